"""The cache of compiled kernels: a folder of the user's with one file for each kernel, named after its code.

The name of a kernel has a digest of the code that it reaches: its own and that of all functions it calls, without
comments and docstrings. A file is a checksum of 32 bytes and the machine code behind it.
"""

import dis
import hashlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import EnumType
from functools import lru_cache
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import is_jitted

from ...system.threads import refusals

OVERLOADS: dict[Any, tuple[Any, ...]] = {}
"""The implementation that compiled code calls in place of a function, with its options."""

_OUTSIDE = {"numba", "numpy", "llvmlite", "builtins", "math", "typing"}
"""Packages whose functions and classes are identified by name: their versions are part of a kernel's name too."""

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), range, np.generic, np.dtype)
_BY_NAME = (BuiltinFunctionType, ModuleType, np.ufunc)
_BY_TEXT = (types.Type, ir.Type, ir.Constant)
_CONSTANTS = frozenset(dis.hasconst)


def digest(*roots: Any) -> str:
    """Return a digest of functions and values and of all that they reach: by name, in closures, or as parts."""
    numbers: dict[int, int] = {}
    kept, made, todo = [], hashlib.sha256(), [*reversed(roots)]
    while todo:
        value = todo.pop()
        text, parts = (f"number {numbers[id(value)]}", []) if id(value) in numbers else _described(value)
        if parts:
            numbers[id(value)] = len(numbers)
            kept.append(value)  # keeps it alive, so that no other value gets its id
        made.update(f"{text} {len(parts)}\n".encode())
        todo += reversed(parts)
    return made.hexdigest()


def _described(value: Any) -> tuple[str, list[Any]]:
    """Return a description of a value, and the values that it consists of or reaches."""
    kind = type(value).__name__
    if isinstance(value, FunctionType) and value in OVERLOADS:
        return f"overloaded {value.__qualname__}", [*OVERLOADS[value]]
    if isinstance(value, _PLAIN):
        return f"{kind} {value!r}", []
    if is_jitted(value):
        return "compiled", [value.py_func, value.targetoptions]
    if isinstance(value, _BY_NAME) or _is_outside(value):
        return f"{getattr(value, '__module__', kind)} {value.__name__}", []
    if isinstance(value, FunctionType):
        return f"function {instructions(value.__code__)}", [*_reached(value)]
    if isinstance(value, property | staticmethod | classmethod):
        return kind, [value.fget if isinstance(value, property) else value.__func__]
    if hasattr(value, "__wrapped__"):  # an intrinsic, or a function with a cache
        return "wrapped", [value.__wrapped__]
    if isinstance(value, EnumType):
        members: Any = value.__members__
        return f"enum {value.__name__}", [(name, member.value) for name, member in members.items()]
    if isinstance(value, type):
        unsaid = "__", "_abc"  # what Python itself keeps there
        own = [own for name, own in vars(value).items() if isinstance(own, FunctionType) or not name.startswith(unsaid)]
        return f"class {value.__qualname__}", [*value.__bases__, *own]
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {value.shape} {value.tobytes().hex()}", []
    if isinstance(value, _BY_TEXT):
        return f"{kind} {value}", []
    if isinstance(value, set | frozenset):
        return kind, sorted(value, key=repr)
    if isinstance(value, tuple | list | dict):
        return kind, [*(value.items() if isinstance(value, dict) else value)]
    raise TypeError(f"A kernel reaches {value!r}, of which nobody can say whether it has changed.")


def _is_outside(value: Any) -> bool:
    """Return whether a function or class belongs to another package."""
    package = str(getattr(value, "__module__", None)).partition(".")[0]
    return isinstance(value, FunctionType | type) and package in _OUTSIDE


def _reached(function: FunctionType) -> Iterator[Any]:
    """Yield the values that a function reaches: by name, in its closure, and as defaults."""
    names = dict.fromkeys(_names(function.__code__))
    modules = []
    for name in names:
        if name in function.__globals__:
            yield (value := function.__globals__[name])
            if isinstance(value, ModuleType) and value.__name__.partition(".")[0] not in _OUTSIDE:
                modules.append(value)
    for module in modules:  # any of the names may be an attribute of it
        yield [vars(module)[name] for name in names if name in vars(module)]
    for cell in function.__closure__ or ():
        yield cell.cell_contents
    yield function.__defaults__


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names of globals and attributes in a code object, and in the functions that it defines."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


@lru_cache(maxsize=2048)
def instructions(code: CodeType) -> str:
    """Return the instructions of a code object with the constants that they load, which leaves out its docstring."""
    raw = bytearray(code.co_code)
    loaded, extended = [], 0
    for at in range(0, len(raw), 2):
        operation, argument = raw[at], raw[at + 1] | extended << 8
        if operation in _CONSTANTS:
            raw[at + 1], constant = 0, code.co_consts[argument]
            loaded.append(instructions(constant) if isinstance(constant, CodeType) else _constant(constant))
        extended = argument if operation == dis.EXTENDED_ARG else 0
    arguments = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    return f"{raw.hex()} {code.co_exceptiontable.hex()} {arguments} {names} {loaded}"


def _constant(value: Any) -> str:
    """Return a constant's type and value; the elements of a set are sorted."""
    if isinstance(value, frozenset | tuple):
        parts = [_constant(part) for part in value]
        return f"{type(value).__name__} {sorted(parts) if isinstance(value, frozenset) else parts}"
    return f"{type(value).__name__} {value!r}"


try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

_SUFFIX = ".kernel"


@lru_cache(maxsize=1)
def folder() -> Path | None:
    """Return the folder of the cache, or None if no folder can be written.

    A folder that can only be read is used if it has kernels. ``VECPROP_CACHE_DIR`` chooses another folder.
    """
    if place := _place():
        with refusals():
            place.mkdir(parents=True, exist_ok=True)
        if _is_writable(place) or any(place.glob(f"*{_SUFFIX}")):
            return place
    wrong = "No folder can be written to keep compiled kernels in, so they are compiled anew in each process"
    warnings.warn(f"{wrong}: set VECPROP_CACHE_DIR to a folder that can.", stacklevel=2)
    return None


def _is_writable(place: Path) -> bool:
    with refusals(), tempfile.TemporaryFile(dir=place):
        return True
    return False


def _place() -> Path | None:
    """Return the folder that is to hold the cache, or None if the user has no home."""
    if chosen := os.environ.get("VECPROP_CACHE_DIR"):
        return Path(os.path.abspath(os.path.expanduser(chosen)))
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA", "~")
    elif sys.platform == "darwin":
        home = os.path.expanduser("~/Library/Caches")
    else:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return None if home.startswith("~") else Path(home) / "vecprop"


def is_shared() -> bool:
    """Return whether this process can write kernels that other processes will find."""
    return (path := folder()) is not None and _is_writable(path)


def _file(name: str) -> Path | None:
    path = folder()
    return None if path is None else path / f"{name}{_SUFFIX}"


def is_kept(name: str) -> bool:
    """Return whether the cache has a kernel of this name."""
    file = _file(name)
    return file is not None and file.is_file()


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Wait until no other process compiles the kernel of this name: of several that start at once, one does.

    The system unlocks the file of a process that ends, however it ends. Without a folder, or such locks, none waits.
    """
    file = _file(name)
    with ExitStack() as stack:
        if file is not None and fcntl is not None:
            with refusals():
                lock = stack.enter_context(file.with_suffix(".lock").open("wb"))
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def kept(name: str) -> bytes | None:
    """Return the code that is kept under a name, or None if there is none or the file is damaged."""
    file = _file(name)
    with refusals():
        content = b"" if file is None else file.read_bytes()
        checksum, code = content[:32], content[32:]
        if checksum == hashlib.sha256(code).digest():
            return code
    return None


def keep(name: str, code: bytes) -> None:
    """Keep a kernel under a name. The file appears complete, since other processes may read it at any moment."""
    file = _file(name)
    if file is None:
        return
    with refusals():  # a full disk, or a read-only folder: the next process compiles it anew
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as made:
            made.write(hashlib.sha256(code).digest() + code)
        try:
            os.replace(made.name, file)
        except OSError:
            os.unlink(made.name)

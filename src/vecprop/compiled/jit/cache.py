"""The cache of compiled kernels: a folder with one file per kernel.

The name of a kernel contains a digest of its code and of all functions that it calls,
without comments and docstrings. A file consists of a checksum of 32 bytes and the
machine code. Because machine code is executed, files and folders are used only if no
other user except root can have written them.
"""

import dis
import hashlib
import os
import secrets
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import EnumType
from functools import lru_cache, partialmethod
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import is_jitted

from ...system.threads import suppress_system_errors

_OUTSIDE = {"numba", "numpy", "llvmlite", "builtins", "math", "typing"}
"""Packages whose functions and classes are identified by name; their versions are
also part of a kernel's digest.
"""

_PLAIN = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(None),
    type(...),
    range,
    np.generic,
    np.dtype,
)
_BY_NAME = (BuiltinFunctionType, ModuleType, np.ufunc)
_BY_TEXT = (types.Type, ir.Type, ir.Constant)
_CONSTANTS = frozenset(dis.hasconst)


def digest(*roots) -> str:
    """Return a digest of functions and values, including everything that they reference.

    Values are visited depth first. A value that is reached again is described by its
    number, so that cycles end.
    """
    numbers: dict[int, int] = {}
    visited = []  # keeps the values alive, so that their ids are not reused
    hashed = hashlib.sha256()
    stack = [*reversed(roots)]
    while stack:
        value = stack.pop()
        if id(value) in numbers:
            text = f"number {numbers[id(value)]}"
            parts = []
        else:
            text, parts = _described(value)
        if parts:
            numbers[id(value)] = len(numbers)
            visited.append(value)
        hashed.update(f"{text} {len(parts)}\n".encode())
        stack += reversed(parts)
    return hashed.hexdigest()


def _described(value) -> tuple[str, list[Any]]:
    """Return a description of a value, and the values that it contains or references."""
    kind = type(value).__name__
    if isinstance(value, _PLAIN):
        return f"{kind} {value!r}", []
    if is_jitted(value):
        return "compiled", [value.py_func, value.targetoptions]
    if isinstance(value, _BY_NAME) or _is_outside(value):
        return f"{getattr(value, '__module__', kind)} {value.__name__}", []
    if isinstance(value, FunctionType):
        return f"function {instructions(value.__code__)}", [*_reached(value)]
    if isinstance(value, partialmethod):
        return kind, [value.func, value.args, value.keywords]
    if isinstance(value, property | staticmethod | classmethod):
        return kind, [value.fget if isinstance(value, property) else value.__func__]
    if hasattr(value, "__wrapped__"):  # an intrinsic, or a function with a cache
        return "wrapped", [value.__wrapped__]
    if isinstance(value, EnumType):
        members: Any = value.__members__
        return f"enum {value.__name__}", [
            (name, member.value) for name, member in members.items()
        ]
    if isinstance(value, type):
        parts: list[Any] = [*value.__bases__]
        for name, attribute in vars(value).items():
            is_set_by_python = name.startswith(("__", "_abc"))
            is_function = isinstance(attribute, FunctionType | partialmethod)
            if is_function or not is_set_by_python:
                parts.append(attribute)
        return f"class {value.__qualname__}", parts
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {value.shape} {value.tobytes().hex()}", []
    if isinstance(value, _BY_TEXT):
        return f"{kind} {value}", []
    if isinstance(value, set | frozenset):
        return kind, sorted(value, key=repr)
    if isinstance(value, tuple | list | dict):
        return kind, [*(value.items() if isinstance(value, dict) else value)]
    raise TypeError(f"A kernel references {value!r}, whose contents cannot be hashed.")


def _is_outside(value) -> bool:
    """Return whether a function or class belongs to one of the packages in `_OUTSIDE`."""
    package = str(getattr(value, "__module__", None)).partition(".")[0]
    return isinstance(value, FunctionType | type) and package in _OUTSIDE


def _reached(function: FunctionType) -> Iterator[Any]:
    """Yield the values that a function references by name, in its closure, and as defaults."""
    names = dict.fromkeys(_names(function.__code__))
    values = function.__globals__
    referenced = [values[name] for name in names if name in values]
    yield from referenced
    for value in referenced:
        if isinstance(value, ModuleType):
            package = value.__name__.partition(".")[0]
            if package not in _OUTSIDE:
                # any of the names may be an attribute of the module
                yield [vars(value)[name] for name in names if name in vars(value)]
    for cell in function.__closure__ or ():
        yield cell.cell_contents
    yield function.__defaults__


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names of globals and attributes in a code object and its nested functions."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


@lru_cache(maxsize=2048)
def instructions(code: CodeType) -> str:
    """Return the instructions of a code object with the constants that they load but without the docstring."""
    raw = bytearray(code.co_code)
    constants = []
    higher_bits = 0  # of the argument, set by a preceding EXTENDED_ARG
    for position in range(0, len(raw), 2):
        operation = raw[position]
        argument = raw[position + 1] | higher_bits << 8
        if operation in _CONSTANTS:
            # the value of the constant matters, but not its index
            raw[position + 1] = 0
            constants.append(_constant(code.co_consts[argument]))
        higher_bits = argument if operation == dis.EXTENDED_ARG else 0
    arguments = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    return f"{raw.hex()} {code.co_exceptiontable.hex()} {arguments} {names} {constants}"


def _constant(value) -> str:
    """Return a constant's type and value; the elements of a set are sorted."""
    if isinstance(value, CodeType):
        return instructions(value)
    if isinstance(value, frozenset | tuple):
        parts = [_constant(part) for part in value]
        return (
            f"{type(value).__name__}"
            f" {sorted(parts) if isinstance(value, frozenset) else parts}"
        )
    return f"{type(value).__name__} {value!r}"


try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

_SUFFIX = ".kernel"


@lru_cache(maxsize=1)
def folder() -> Path | None:
    """Return the folder of the cache, or None if no folder is usable.

    The environment variable ``VECPROP_CACHE_DIR`` sets the folder. If the variable is
    unset or its folder is unusable, the user's cache folder is used.
    """
    usable = None
    refused: dict[str, None] = {}
    for find in (_chosen, _own):
        path = find()
        if path is None:
            continue
        reason = _unusable(path)
        if reason is None:
            usable = path
            break
        refused[f"{path} ({reason})"] = None
    if refused or usable is None:
        places = " and ".join(refused) or "a home folder"
        instead = "each process compiles them"
        if usable is not None:
            instead = f"{usable} is used instead"
        warnings.warn(
            f"Compiled kernels cannot be stored in {places}, so {instead}: set"
            " VECPROP_CACHE_DIR to a folder that only you can write to.",
            stacklevel=2,
        )
    return usable


def _unusable(path: Path) -> str | None:
    """Create a folder, and return the reason why it is unusable, if any. Read-only folders with kernels are usable."""
    with suppress_system_errors():
        path.mkdir(0o755, parents=True, exist_ok=True)
    with suppress_system_errors():
        if reason := _distrust(path.stat()):
            return reason
        if _is_writable(path) or any(path.glob(f"*{_SUFFIX}")):
            return None
    return "it is not writable"


def _distrust(status: os.stat_result) -> str | None:
    """Return a reason to distrust a file or folder that others may have changed. Windows home folders are private."""
    if not hasattr(os, "geteuid"):
        return None
    if status.st_uid not in (0, os.geteuid()):
        return f"it belongs to the user with ID {status.st_uid}"
    return "other users can write to it" if status.st_mode & 0o022 else None


def _is_writable(path: Path) -> bool:
    with suppress_system_errors(), tempfile.TemporaryFile(dir=path):
        return True
    return False


def _chosen() -> Path | None:
    chosen = os.environ.get("VECPROP_CACHE_DIR")
    return Path(os.path.abspath(os.path.expanduser(chosen))) if chosen else None


def _own() -> Path | None:
    """Return the user's cache folder, or None for a user without a home."""
    from platformdirs import user_cache_path

    path = user_cache_path("vecprop", appauthor=False)
    return path if path.is_absolute() else None


def _file(name: str) -> Path | None:
    path = folder()
    return None if path is None else path / f"{name}{_SUFFIX}"


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Wait until no other process compiles this kernel, so that only one process compiles it.

    The system releases the lock when the process ends. Without a folder or file locks,
    processes do not wait.
    """
    file = _file(name)
    with ExitStack() as stack:
        if file is not None and fcntl is not None:
            with suppress_system_errors():
                lock = stack.enter_context(file.with_suffix(".lock").open("ab"))
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


_warned: list[Path] = []
"""The file that the only warning of `kept` is about."""


def kept(name: str) -> bytes | None:
    """Return the cached code of a kernel, or None if the file is missing, damaged or not trusted."""
    file = _file(name)
    if file is None:
        return None
    with suppress_system_errors(), file.open("rb") as opened:
        if reason := _distrust(os.fstat(opened.fileno())):
            if not _warned:
                _warned.append(file)
                warnings.warn(
                    f"{file} is ignored and compiled again, since {reason}: remove it.",
                    stacklevel=2,
                )
            return None
        content = opened.read()
        checksum = content[:32]
        code = content[32:]
        if checksum == _checksum(name, code):
            return code
    return None


def _checksum(name: str, code: bytes) -> bytes:
    return hashlib.sha256(name.encode() + code).digest()


def keep(name: str, code: bytes):
    """Store a kernel in the cache. The file is renamed when complete, since other processes may read it at any time.

    Other users can read the file if the umask allows it, so that root can compile for
    the users of a container.
    """
    file = _file(name)
    if file is None:
        return
    temporary = file.with_suffix(f".{secrets.token_hex(8)}")
    # a full disk, or a read-only folder: the next process compiles again
    with suppress_system_errors():
        try:
            with open(
                temporary, "xb", opener=lambda path, flags: os.open(path, flags, 0o644)
            ) as opened:
                opened.write(_checksum(name, code) + code)
            os.replace(temporary, file)
        except OSError:
            temporary.unlink(missing_ok=True)

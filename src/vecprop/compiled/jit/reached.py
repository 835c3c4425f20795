"""What a kernel is compiled from: its own code and all that it reaches, without comments and docstrings.

Two kernels that reach the same code are the same machine code, whatever else has changed in the files around it. So a
digest of what is reached is the name under which a kernel is kept; see `cache`.
"""

import dis
import hashlib
from collections.abc import Iterator
from enum import EnumType
from functools import lru_cache
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic
from numba.core.types import Type

OVERLOADS: dict[Any, tuple[Any, ...]] = {}
"""What compiled code has in place of a function, and how that is compiled: noted where it is said."""

_OUTSIDE = {"numba", "numpy", "llvmlite", "builtins", "math", "typing"}
"""Packages whose functions and classes are known by their names; the names of kept kernels have their versions too."""

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), range, np.generic, np.dtype)
_BY_NAME = (BuiltinFunctionType, np.ufunc)
_BY_TEXT = (Type, ir.Type, ir.Constant)
_CONSTANTS = frozenset(dis.hasconst)


def digest(*roots: Any) -> str:
    """Return a digest of functions and values, and of what they reach by name, closure or as their parts."""
    numbers: dict[int, int] = {}
    kept, made, todo = [], hashlib.sha256(), [*reversed(roots)]
    while todo:
        value = todo.pop()
        if id(value) in numbers:
            text, parts = f"number {numbers[id(value)]}", []
        else:
            text, parts = _described(value)
        if parts:
            numbers[id(value)] = len(numbers)
            kept.append(value)  # so that no other value has its id
        made.update(f"{text} {len(parts)}\n".encode())
        todo += reversed(parts)
    return made.hexdigest()


def same_code(first: CodeType, second: CodeType) -> bool:
    """Return whether two codes do the same, be their comments, docstrings or lines as they may."""
    return _instructions(first) == _instructions(second)


def _described(value: Any) -> tuple[str, list[Any]]:
    """Return what a value is in words, and the values that it is made of or reaches."""
    if isinstance(value, FunctionType) and value in OVERLOADS:
        return f"overloaded {value.__qualname__}", [*OVERLOADS[value]]
    if isinstance(value, _PLAIN):
        return f"{type(value).__name__} {value!r}", []
    if isinstance(value, Dispatcher):
        return "compiled", [value.py_func, value.targetoptions]
    if isinstance(value, _Intrinsic):
        return "intrinsic", [value._defn]
    if isinstance(value, ModuleType):
        return f"module {value.__name__}", []
    if isinstance(value, _BY_NAME) or _is_outside(value):
        return f"{value.__module__ if hasattr(value, '__module__') else ''} {value.__name__}", []
    if isinstance(value, FunctionType):
        return f"function {_instructions(value.__code__)}", [*_reached(value)]
    if isinstance(value, property | staticmethod | classmethod):
        return type(value).__name__, [value.fget if isinstance(value, property) else value.__func__]
    if hasattr(value, "__wrapped__"):  # as those are that remember what they have returned
        return "wrapped", [value.__wrapped__]
    if isinstance(value, EnumType):
        return f"enum {value.__name__}", [
            (name, member.value) for name, member in dict[str, Any](value.__members__).items()
        ]
    if isinstance(value, type):
        own = [part for name, part in vars(value).items() if isinstance(part, FunctionType) or name[:2] != "__"]
        return f"class {value.__qualname__}", [*value.__bases__, *own]
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {value.shape} {value.tobytes().hex()}", []
    if isinstance(value, _BY_TEXT):
        return f"{type(value).__name__} {value}", []
    if isinstance(value, set | frozenset):
        return "set", sorted(value, key=repr)
    if isinstance(value, tuple | list):
        return type(value).__name__, [*value]
    if isinstance(value, dict):
        return "dict", [part for pair in value.items() for part in pair]
    raise TypeError(f"A kernel reaches {value!r}, of which nobody can say whether it has changed.")


def _is_outside(value: Any) -> bool:
    """Return whether a function or class is one of other packages'."""
    package = str(getattr(value, "__module__", None)).partition(".")[0]
    return isinstance(value, FunctionType | type) and package in _OUTSIDE


def _reached(function: FunctionType) -> Iterator[Any]:
    """Yield what a function reaches: by name, in its closure, and as defaults."""
    names = dict.fromkeys(_names(function.__code__))
    modules = []
    for name in names:
        if name in function.__globals__:
            yield (value := function.__globals__[name])
            modules += [value] if isinstance(value, ModuleType) and not _is_library(value) else []
    for module in modules:  # whose names may be any of those
        yield [vars(module)[name] for name in names if name in vars(module)]
    for cell in function.__closure__ or ():
        yield cell.cell_contents
    yield function.__defaults__


def _is_library(module: ModuleType) -> bool:
    return module.__name__.partition(".")[0] in _OUTSIDE


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names of globals and attributes in a code, and in those of the functions that it defines."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


@lru_cache(maxsize=2048)
def _instructions(code: CodeType) -> str:
    """Return a code's instructions with the constants that they load: a docstring is not loaded."""
    raw = bytearray(code.co_code)
    loaded, extended = [], 0
    for at in range(0, len(raw), 2):
        operation, argument = raw[at], raw[at + 1] | extended << 8
        if operation in _CONSTANTS:
            raw[at + 1], constant = 0, code.co_consts[argument]
            loaded.append(_instructions(constant) if isinstance(constant, CodeType) else _constant(constant))
        extended = argument if operation == dis.EXTENDED_ARG else 0
    arguments = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    return f"{raw.hex()} {code.co_exceptiontable.hex()} {arguments} {names} {loaded}"


def _constant(value: Any) -> str:
    """Return a constant's type and value, which of a set has no order of its own."""
    if isinstance(value, frozenset):
        return f"frozenset {sorted(map(_constant, value))}"
    if isinstance(value, tuple):
        return f"tuple {list(map(_constant, value))}"
    return f"{type(value).__name__} {value!r}"

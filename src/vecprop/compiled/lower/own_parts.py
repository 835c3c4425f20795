"""Decide which custom parts are compiled, and report why the others need the reference engine.

A custom part is compiled if it only implements the formulas of its base class and has only numeric fields. Before its
kernels are used, they are compared with the formulas on a grid of numbers. If a global that a formula reads is changed
later, for example in a notebook, all formulas are recompiled.
"""

import ctypes
import dis
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import lru_cache
from itertools import product
from types import FunctionType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numba import NumbaError

from ...core import Activation, Array
from ...core.losses import ElementwiseLoss
from ...optimize.optimizers import Optimizer
from .formulas import forget, hyperparameters, is_of_the_library, of_formulas
from .loops import derivative_address, link_address, loss_address, map_address, update_address

FIXED: dict[type, tuple[str, ...]] = {
    Activation: ("forward", "backward", "parameters", "init", "random"),
    ElementwiseLoss: ("value", "takes_classes"),
    Optimizer: ("init", "step", "_rate"),
}
"""The base classes whose formulas become kernels, and the methods that parts must not override."""

NUMBERS = int, float, np.integer, np.floating, np.bool_
"""The types of hyperparameters."""

MAGNITUDES = 1e-30, 1e-8, 1e-3, 0.1, 0.3, 0.5, 1, 1.5, 2, 3, 5, 8, 12, 20, 30, 50, 100, 1e3, 1e5, 1e10
GRID = np.array([0.0, *MAGNITUDES, *(-magnitude for magnitude in MAGNITUDES)])
FEW = np.array([-30.0, -2.0, -0.5, 0.0, 0.25, 1.0, 3.0])
"""The numbers on which kernels and formulas are compared; for several arguments, all combinations of FEW are used."""

ROUNDINGS = 64
"""The maximum difference between a kernel and its formula, in rounding units of their arguments and results."""


_Comparison: TypeAlias = tuple[str, Callable[..., np.ndarray], Callable[..., Any], tuple[np.ndarray, ...]]
"""The name of a formula, its kernel, the formula, and the arrays on which the two are compared."""


class _Reading(NamedTuple):
    """The functions and global values that the formulas of a class used when they were compiled."""

    values: list[tuple[Mapping[str, Any], str, Any]]
    functions: list[tuple[FunctionType, Any, Any]]

    def is_current(self) -> bool:
        """Return whether the functions and global values are unchanged."""
        for names, name, value in self.values:  # runs at the start of every fit; a generator would take twice as long
            if names.get(name) is not value:
                return False
        for function, code, defaults in self.functions:
            if function.__code__ is not code or function.__defaults__ is not defaults:
                return False
        return True


def reason_against(part: Any, F: type) -> str | None:
    """Return the reason why a custom part has no kernel for type F, if any, as the end of a sentence."""
    why = _beyond_formulas(type(part)) or _beyond_numbers(part)
    if why is not None:
        return f"{type(part).__name__} is a custom part {why}"
    reason, reading = _compared(part, F)
    if not reading.is_current():
        forget()
        reason, reading = _compared(part, F)
    return reason


def _beyond_formulas(cls: type) -> str | None:
    """Return the reason why a class cannot be compiled, if any: a method that it overrides or lacks."""
    contract = next((contract for contract in FIXED if issubclass(cls, contract)), None)
    if contract is None:
        return "that is not derived from Activation, ElementwiseLoss or Optimizer"
    for name in FIXED[contract]:
        if getattr(cls, name) is not getattr(contract, name):
            return f"that overrides {name!r}"
    # Kernels are cached for equal parts. The `__eq__` of dataclasses is generated and has no source file.
    if (equal := cls.__eq__) is not object.__eq__ and _file(equal) != _file(contract.__eq__):
        return "that overrides '__eq__'"
    if cls.__getattribute__ is not object.__getattribute__:
        return "that overrides '__getattribute__'"
    if issubclass(cls, Optimizer) and isinstance(cls.update, FunctionType):
        first = Optimizer.update.__code__.co_varnames[1:5]
        if cls.update.__code__.co_varnames[1:5] != first:
            return f"whose 'update' does not take the arguments {', '.join(first)}"
    return None


def _file(function: Any) -> str | None:
    return function.__code__.co_filename if isinstance(function, FunctionType) else None


def _beyond_numbers(part: Any) -> str | None:
    """Return the reason why a part is not fully described by numeric fields, if any."""
    cls: Any = type(part)
    if not cls.__dataclass_params__.frozen:
        return "that is not a frozen dataclass"
    names = cls.__dataclass_fields__
    more = getattr(part, "__dict__", {}).keys() - names.keys()
    if more:
        return f"whose attribute {min(more)!r} is not a field"
    for field in fields(cls):
        if field.name == "reduction":
            continue
        if not isinstance(getattr(part, field.name), NUMBERS):
            return f"whose field {field.name!r} is not a number"
        if not field.compare:
            return f"whose field {field.name!r} has compare=False"
    return None


@of_formulas
@lru_cache(maxsize=512)
def _compared(part: Any, F: type) -> tuple[str | None, _Reading]:
    """Compile a part's kernels and compare them with its formulas; return the reason why they are unusable, if any."""
    reading = _reading_of(type(part))
    try:
        with np.errstate(all="ignore"):
            found = (_difference(type(part).__name__, comparison) for comparison in _comparisons(part, F))
            return next(filter(None, found), None), reading
    except (ValueError, RuntimeError, TypeError, ArithmeticError, AttributeError, NumbaError) as error:
        message = str(error).strip().partition("\n")[0].rstrip(".")
        return message[:1].lower() + message[1:], reading


def _reading_of(cls: type) -> _Reading:
    """Return the globals that the methods of a custom class read, and the custom functions that they call."""
    methods = {name for base in cls.__mro__ for name, value in vars(base).items() if isinstance(value, FunctionType)}
    own = [base for base in cls.__mro__ if base is not object and not is_of_the_library(base)]
    values: list[Any] = [
        (vars(base), name, vars(base).get(name)) for base in own for name in methods if not name.startswith("__")
    ]
    functions, todo = [], [value for _, _, value in values if isinstance(value, FunctionType)]
    known = set()
    for function in todo:  # called functions are appended
        if function in known or is_of_the_library(function):
            continue
        known.add(function)
        functions.append((function, function.__code__, function.__defaults__))
        for name in {each.argval for each in dis.get_instructions(function) if each.opname == "LOAD_GLOBAL"}:
            value = function.__globals__.get(name)
            values.append((function.__globals__, name, value))
            todo += [value] if isinstance(value, FunctionType) else []
    return _Reading(values, functions)


def _comparisons(part: Any, F: type) -> Iterator[_Comparison]:
    """Yield the formulas of a part, their kernels, and the numbers on which they are compared."""
    h = hyperparameters(part)

    def call(address: int, *arguments: Any, result: Any = None) -> Any:
        """Call a kernel, and return its last argument, to which it writes."""
        given = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in (*arguments, h)]
        kinds = [ctypes.c_double if isinstance(a, float) else ctypes.c_int64 for a in given]
        ctypes.CFUNCTYPE(result, *kinds)(address)(*given)
        return arguments[-1]

    z = GRID.astype(F)
    if isinstance(part, Activation):

        def value(z: np.ndarray) -> np.ndarray:
            return call(map_address(part, F), 1, 1, z.size, 0, z, np.empty_like(z))

        def derivative(z: np.ndarray, y: np.ndarray) -> np.ndarray:
            delta = np.ones_like(z)
            call(derivative_address(part, F), 1, 1, z.size, 0, z, delta, 0, 0, y)
            return delta

        yield "value", value, part.value, (z,)
        yield "derivative", derivative, part.derivative, (z, _as(part.value(z), z))
    elif isinstance(part, ElementwiseLoss):

        def predict(Z: np.ndarray) -> np.ndarray:
            return call(link_address(part, F), Z.size, 1, Z, np.empty_like(Z))

        def both(Z: np.ndarray, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            delta, ones, loss = np.empty_like(Z), np.ones_like(Z), np.empty_like(Z)
            sizes = Z.size, 1, Z.size
            return delta, call(loss_address(part, F), *sizes, Z, T, ones, delta, loss, result=ctypes.c_double)

        pairs = _each_with_each(GRID, FEW, F=F)
        yield "predict", predict, part.predict, (z,)
        yield "element", lambda Z, T: both(Z, T)[1], part.element, pairs
        yield "delta", lambda Z, T: both(Z, T)[0], part.delta, pairs
    else:
        rate, none = 0.5, np.zeros(0, F)
        for t in (1, 1000):

            def update(theta: np.ndarray, J: np.ndarray, *moments: np.ndarray, t: int = t) -> np.ndarray:
                moved = [array.copy() for array in (theta, *moments)]
                first, second = (*moved[1:], none, none)[:2]
                arrays = moved[0], J, first, second, np.empty_like(theta)
                call(update_address(part, F), theta.size, rate, float(t), *arrays, result=ctypes.c_double)
                return np.stack(moved)

            def formula(theta: Array, J: Array, *moments: Array, t: int = t) -> np.ndarray:
                moved = part.update(theta, J, rate, t, *moments)
                return np.stack([_as(array, theta) for array in moved])

            axes = (FEW, FEW, *[np.abs(FEW)] * len(part.moments))
            yield ("update", update, formula, _each_with_each(*axes, F=F))


def _each_with_each(*axes: np.ndarray, F: type) -> tuple[np.ndarray, ...]:
    return tuple(np.array(column, F) for column in zip(*product(*axes), strict=True))


def _as(values: Any, like: np.ndarray) -> np.ndarray:
    """Broadcast the result of a formula, which may be a single number, to an array like its argument."""
    return np.array(np.broadcast_to(np.asarray(values), like.shape), like.dtype)


def _difference(cls: str, comparison: _Comparison) -> str | None:
    """Return the reason if a kernel differs from its formula by more than rounding or depends on the array size."""
    name, kernel, formula, arguments = comparison
    found = kernel(*arguments)
    expected = _as(formula(*arguments), found)
    eps = np.finfo(found.dtype).eps
    # Perturb each argument by a different factor to estimate how the formula magnifies rounding errors.
    moved = [argument * (1 + 4 * (place + 1) * eps) for place, argument in enumerate(arguments)]
    magnified = np.abs(_as(formula(*moved), found) - expected)
    size = 1 + np.abs(expected) + sum(map(np.abs, arguments))
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    wrong = ~(same | (np.abs(found - expected) <= ROUNDINGS * eps * size + ROUNDINGS * magnified))
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0])
        at = ", ".join(f"{argument[place[-1]]:g}" for argument in arguments)
        values = f"{found[place]:g} in machine code and {expected[place]:g} by the formula"
        return f"the {name} of {cls} is {values} at {at}, in {found.dtype}"
    alone = [kernel(*(argument[k : k + 1] for argument in arguments)) for k in range(arguments[0].size)]
    if not np.array_equal(np.concatenate(alone, axis=-1), found, equal_nan=True):
        return f"the {name} of {cls} is rounded differently for single numbers than for arrays"
    return None

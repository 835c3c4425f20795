"""Decide which custom parts are compiled, and report why the others need the reference engine.

A custom part is compiled if it only implements the formulas of its base class and has
only numeric fields. Before its kernels are used, they are compared with the formulas on
a grid of numbers. If a global that a formula reads is changed later, for example in a
notebook, all formulas are recompiled.
"""

import ctypes
import dis
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import lru_cache, partial
from itertools import product
from types import FunctionType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numba import NumbaError
from numpy import ndarray

from ...core import Activation, Array
from ...core.losses import ElementwiseLoss
from ...optimize.optimizers import Optimizer
from .formulas import forget, hyperparameters, is_of_the_library, of_formulas
from .loops import (
    derivative_address,
    link_address,
    loss_address,
    map_address,
    update_address,
)

FIXED: dict[type, tuple[str, ...]] = {
    Activation: ("forward", "backward", "parameters", "init", "random"),
    ElementwiseLoss: ("value", "takes_classes"),
    Optimizer: ("init", "step", "_rate"),
}
"""The base classes whose formulas become kernels, and the methods that parts must
not override.
"""

NUMBERS = int, float, np.integer, np.floating, np.bool_
"""The types of hyperparameters."""

MAGNITUDES = (
    1e-30,
    1e-8,
    1e-3,
    0.1,
    0.3,
    0.5,
    1,
    1.5,
    2,
    3,
    5,
    8,
    12,
    20,
    30,
    50,
    100,
    1e3,
    1e5,
    1e10,
)
GRID = np.array([0.0, *MAGNITUDES, *(-magnitude for magnitude in MAGNITUDES)])
FEW = np.array([-30.0, -2.0, -0.5, 0.0, 0.25, 1.0, 3.0])
"""The numbers on which kernels and formulas are compared; for several arguments, all
combinations of FEW are used.
"""

ROUNDINGS = 64
"""The maximum difference between a kernel and its formula, in rounding units of
their arguments and results.
"""


_Comparison: TypeAlias = tuple[
    str, Callable[..., ndarray], Callable[..., Any], tuple[ndarray, ...]
]
"""The name of a formula, its kernel, the formula, and the arrays on which the two
are compared.
"""


class _Reading(NamedTuple):
    """The functions and global values that the formulas of a class used when they were compiled."""

    values: list[tuple[Mapping[str, Any], str, Any]]
    functions: list[tuple[FunctionType, Any, Any]]

    def is_current(self) -> bool:
        """Return whether the functions and global values are unchanged."""
        # runs at the start of every fit; a generator would take twice as long
        for names, name, value in self.values:
            if names.get(name) is not value:
                return False
        for function, code, defaults in self.functions:
            if function.__code__ is not code or function.__defaults__ is not defaults:
                return False
        return True


def reason_against(part, F: type) -> str | None:
    """Return the reason why a custom part has no kernel for type F, if any, as the end of a sentence."""
    if description := _beyond_formulas(type(part)) or _beyond_numbers(part):
        return f"{type(part).__name__} is a custom part {description}"
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
    # Kernels are cached for equal parts. The `__eq__` of dataclasses is generated and
    # has no source file.
    if (equal := cls.__eq__) is not object.__eq__ and _file(equal) != _file(
        contract.__eq__
    ):
        return "that overrides '__eq__'"
    if cls.__getattribute__ is not object.__getattribute__:
        return "that overrides '__getattribute__'"
    if issubclass(cls, Optimizer) and isinstance(cls.update, FunctionType):
        first = Optimizer.update.__code__.co_varnames[1:5]
        if cls.update.__code__.co_varnames[1:5] != first:
            return f"whose 'update' does not take the arguments {', '.join(first)}"
    return None


def _file(function) -> str | None:
    return function.__code__.co_filename if isinstance(function, FunctionType) else None


def _beyond_numbers(part) -> str | None:
    """Return the reason why a part is not fully described by numeric fields, if any."""
    cls: Any = type(part)
    if not cls.__dataclass_params__.frozen:
        return "that is not a frozen dataclass"
    names = cls.__dataclass_fields__
    attributes = getattr(part, "__dict__", {}).keys() - names.keys()
    if attributes:
        return f"whose attribute {min(attributes)!r} is not a field"
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
def _compared(part, F: type) -> tuple[str | None, _Reading]:
    """Compile a part's kernels and compare them with its formulas; return the reason why they are unusable, if any."""
    cls = type(part)
    reading = _reading_of(cls)
    if isinstance(part, Activation):
        comparisons = _comparisons_of_activation(part, F)
    elif isinstance(part, ElementwiseLoss):
        comparisons = _comparisons_of_loss(part, F)
    else:
        comparisons = _comparisons_of_optimizer(part, F)
    try:
        with np.errstate(all="ignore"):
            for comparison in comparisons:
                if reason := _difference(cls.__name__, *comparison):
                    return reason, reading
    except (
        ValueError,
        RuntimeError,
        TypeError,
        ArithmeticError,
        AttributeError,
        NumbaError,
    ) as error:
        message = str(error).strip().partition("\n")[0].rstrip(".")
        return message[:1].lower() + message[1:], reading
    return None, reading


def _reading_of(cls: type) -> _Reading:
    """Return the globals that the methods of a custom class read, and the custom functions that they call."""
    methods = set()
    for base in cls.__mro__:
        methods |= {
            name
            for name, value in vars(base).items()
            if isinstance(value, FunctionType) and name[:2] != "__"
        }
    values: list[Any] = []
    for base in cls.__mro__:
        if base is not object and not is_of_the_library(base):
            values += [(vars(base), name, vars(base).get(name)) for name in methods]
    functions = {}
    to_visit = [value for _, _, value in values]
    for function in to_visit:  # called functions are appended
        if (
            not isinstance(function, FunctionType)
            or function in functions
            or is_of_the_library(function)
        ):
            continue
        functions[function] = function, function.__code__, function.__defaults__
        names = {
            item.argval
            for item in dis.get_instructions(function)
            if item.opname == "LOAD_GLOBAL"
        }
        for name in names:
            value = function.__globals__.get(name)
            values.append((function.__globals__, name, value))
            to_visit.append(value)
    return _Reading(values, [*functions.values()])


def _run(address: int, *arguments, result=None) -> None:
    """Call a kernel with arrays, integers and floats."""
    operands = [
        argument.ctypes.data if isinstance(argument, ndarray) else argument
        for argument in arguments
    ]
    types = [
        ctypes.c_double if isinstance(operand, float) else ctypes.c_int64
        for operand in operands
    ]
    ctypes.CFUNCTYPE(result, *types)(address)(*operands)


def _mapped(address: int, part, z: ndarray) -> ndarray:
    """Return the results of a kernel that maps numbers."""
    y = np.empty_like(z)
    _run(address, 1, 1, z.size, 0, z, y, hyperparameters(part))
    return y


def _comparisons_of_activation(part: Activation, F: type) -> Iterator[_Comparison]:
    """Yield the comparisons of an activation."""

    def derivative(z: ndarray, y: ndarray) -> ndarray:
        delta = np.ones_like(z)
        _run(
            derivative_address(part, F),
            1,
            1,
            z.size,
            0,
            z,
            delta,
            0,
            0,
            y,
            hyperparameters(part),
        )
        return delta

    z = GRID.astype(F)
    yield "value", partial(_mapped, map_address(part, F), part), part.value, (z,)
    yield "derivative", derivative, part.derivative, (z, _as(part.value(z), z))


def _comparisons_of_loss(part: ElementwiseLoss, F: type) -> Iterator[_Comparison]:
    """Yield the comparisons of a loss."""
    h = hyperparameters(part)

    def element_and_delta(Z: ndarray, T: ndarray) -> tuple[ndarray, ndarray]:
        weight, delta, loss = np.ones((3, Z.size), F)
        _run(
            loss_address(part, F),
            Z.size,
            1,
            Z.size,
            Z,
            T,
            weight,
            delta,
            loss,
            h,
            result=ctypes.c_double,
        )
        return loss, delta

    pairs = _each_with_each(GRID, FEW, F=F)
    yield (
        "predict",
        partial(_mapped, link_address(part, F), part),
        part.predict,
        (GRID.astype(F),),
    )
    yield "element", lambda Z, T: element_and_delta(Z, T)[0], part.element, pairs
    yield "delta", lambda Z, T: element_and_delta(Z, T)[1], part.delta, pairs


def _comparisons_of_optimizer(part: Optimizer, F: type) -> Iterator[_Comparison]:
    """Yield the comparisons of an optimizer."""
    rate = 0.5
    arguments = _each_with_each(FEW, FEW, *[np.abs(FEW)] * len(part.moments), F=F)
    for t in (1, 1000):

        def update(
            theta: ndarray, J: ndarray, *moments: ndarray, t: int = t
        ) -> ndarray:
            moved = [array.copy() for array in (theta, *moments)]
            unused = np.zeros(0, F)
            first, second, *_ = *moved[1:], unused, unused
            scratch = np.empty_like(theta)
            arrays = moved[0], J, first, second, scratch, hyperparameters(part)
            _run(
                update_address(part, F),
                theta.size,
                rate,
                float(t),
                *arrays,
                result=ctypes.c_double,
            )
            return np.stack(moved)

        def formula(theta: Array, J: Array, *moments: Array, t: int = t) -> ndarray:
            moved = part.update(theta, J, rate, t, *moments)
            return np.stack([_as(array, theta) for array in moved])

        yield "update", update, formula, arguments


def _each_with_each(*axes: ndarray, F: type) -> tuple[ndarray, ...]:
    return tuple(np.array(column, F) for column in zip(*product(*axes), strict=True))


def _as(values: Any, like: ndarray) -> ndarray:
    """Broadcast the result of a formula, which may be a single number, to an array like its argument."""
    return np.array(np.broadcast_to(np.asarray(values), like.shape), like.dtype)


def _difference(
    cls: str, name: str, kernel, formula, arguments: tuple[ndarray, ...]
) -> str | None:
    """Return the reason if a kernel differs from its formula by more than rounding or depends on the array size."""
    result = kernel(*arguments)
    expected = _as(formula(*arguments), result)
    eps = np.finfo(result.dtype).eps
    # Perturb each argument by a different factor to estimate how the formula magnifies
    # rounding errors.
    moved = [
        argument * (1 + 4 * factor * eps)
        for factor, argument in enumerate(arguments, start=1)
    ]
    magnified = np.abs(_as(formula(*moved), result) - expected)
    size = 1 + np.abs(expected) + sum(map(np.abs, arguments))
    is_same = (result == expected) | (np.isnan(result) & np.isnan(expected))
    is_wrong = ~(
        is_same
        | (np.abs(result - expected) <= ROUNDINGS * eps * size + ROUNDINGS * magnified)
    )
    if is_wrong.any():
        index = tuple(np.argwhere(is_wrong)[0])
        point = ", ".join(f"{argument[index[-1]]:g}" for argument in arguments)
        return (
            f"the {name} of {cls} is {result[index]:g} in machine code and"
            f" {expected[index]:g} by the formula at {point}, in {result.dtype}"
        )
    single_results = []
    for k in range(arguments[0].size):
        single_results.append(kernel(*(argument[k : k + 1] for argument in arguments)))
    if not np.array_equal(
        np.concatenate(single_results, axis=-1), result, equal_nan=True
    ):
        return (
            f"the {name} of {cls} is rounded differently for single numbers than for"
            " arrays"
        )
    return None

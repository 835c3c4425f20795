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
from typing import Any, NamedTuple

import numpy as np
from numba import NumbaError
from numpy import ndarray

from ...core import Activation, Array
from ...core.losses import ElementwiseLoss
from ...optimize.optimizers import Optimizer
from .callbacks import layer_mixes_rows, loss_mixes_rows
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

RATE = 0.5
"""The learning rate of the compared optimizers."""

ROUNDINGS = 64
"""The maximum difference between a kernel and its formula, in rounding units of
their arguments and results.
"""


class _Comparison(NamedTuple):
    """A formula, its kernel, and arrays: both compute results for these arrays."""

    name: str
    kernel: Callable[..., ndarray]
    formula: Callable[..., Any]
    arguments: tuple[ndarray, ...]


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
    base = next((base for base in FIXED if issubclass(cls, base)), None)
    if base is None:
        return "that is not derived from Activation, ElementwiseLoss or Optimizer"
    for name in FIXED[base]:
        if getattr(cls, name) is not getattr(base, name):
            return f"that overrides {name!r}"
    if _overrides_equality(cls):
        return "that overrides '__eq__'"
    if cls.__getattribute__ is not object.__getattribute__:
        return "that overrides '__getattribute__'"
    if issubclass(cls, Optimizer) and isinstance(cls.update, FunctionType):
        names = Optimizer.update.__code__.co_varnames[1:5]
        if cls.update.__code__.co_varnames[1:5] != names:
            return f"whose 'update' does not take the arguments {', '.join(names)}"
    return None


def _overrides_equality(cls: type) -> bool:
    """Return whether a class defines equality; the methods of object and of dataclasses have no source file."""
    equality = cls.__eq__
    if not isinstance(equality, FunctionType):
        return False
    return equality.__code__.co_filename != Optimizer.__eq__.__code__.co_filename


def _beyond_numbers(part) -> str | None:
    """Return the reason why a part is not fully described by numeric fields, if any."""
    cls: Any = type(part)
    if not cls.__dataclass_params__.frozen:
        return "that is not a frozen dataclass"
    for field in fields(cls):
        is_number = isinstance(getattr(part, field.name), NUMBERS)
        if field.name != "reduction" and not is_number:
            return f"whose field {field.name!r} is not a number"
    return _beyond_fields(part)


def _beyond_fields(part) -> str | None:
    """Return the reason why equal parts may differ, if any: programs are cached for equal networks."""
    names = getattr(type(part), "__dataclass_fields__", {})
    attributes = getattr(part, "__dict__", {}).keys() - names.keys()
    if attributes:
        return f"whose attribute {min(attributes)!r} is not a field"
    for field in names.values():
        if not field.compare:
            return f"whose field {field.name!r} has compare=False"
    return None


def reason_against_calls(part, width: int) -> str | None:
    """Return the reason why compiled loops cannot call a custom part, if any, as the end of a sentence.

    ``width`` is the number of inputs of a layer, or of outputs for a loss.
    """
    try:
        description = _beyond_calls(part, width)
    except TypeError:
        description = "that cannot be hashed"
    if description is None:
        return None
    return f"{type(part).__name__} is a custom part {description}"


@lru_cache(maxsize=512)
def _beyond_calls(part, width: int) -> str | None:
    """Return the reason why a part cannot be called, if any; raise TypeError if it cannot be hashed."""
    cls = type(part)
    description = None
    if _overrides_equality(cls):
        description = "that overrides '__eq__'"
    elif cls.__eq__ is not object.__eq__:
        description = _beyond_fields(part)
    if description is not None:
        return description
    mixes_rows = False
    if hasattr(part, "forward"):
        mixes_rows = layer_mixes_rows(part, width)
    elif hasattr(part, "delta"):
        mixes_rows = loss_mixes_rows(part, width)
    return "that does not compute each row separately" if mixes_rows else None


@of_formulas
@lru_cache(maxsize=512)
def _compared(part, F: type) -> tuple[str | None, _Reading]:
    """Compile a part's kernels and compare them with its formulas; return the reason why they are unusable, if any."""
    cls = type(part)
    reading = _reading_of(cls)
    try:
        with np.errstate(all="ignore"):
            for comparison in _comparisons(part, F):
                if reason := _difference(cls.__name__, comparison):
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
    """Return the globals that the methods of a custom class read, and the custom functions that they call.

    A value is described by the dictionary that holds it, its name, and the value itself.
    """
    custom_classes = [
        base
        for base in cls.__mro__
        if base is not object and not is_of_the_library(base)
    ]
    values: list[Any] = []
    for name in _methods(cls):
        for base in custom_classes:
            values.append((vars(base), name, vars(base).get(name)))
    functions = {}
    to_visit = [value for _, _, value in values]
    for function in to_visit:  # called functions are appended
        if not isinstance(function, FunctionType):
            continue
        if function in functions or is_of_the_library(function):
            continue
        functions[function] = function, function.__code__, function.__defaults__
        for instruction in dis.get_instructions(function):
            if instruction.opname == "LOAD_GLOBAL":
                name = instruction.argval
                value = function.__globals__.get(name)
                values.append((function.__globals__, name, value))
                to_visit.append(value)
    return _Reading(values, [*functions.values()])


def _methods(cls: type) -> set[str]:
    """Return the names of the methods of a class and its bases, except special methods."""
    names = set()
    for base in cls.__mro__:
        for name, value in vars(base).items():
            if isinstance(value, FunctionType) and not name.startswith("__"):
                names.add(name)
    return names


def _run(address: int, *arguments, result=None):
    """Call a kernel with arrays, integers and floats."""
    operands = []
    types = []
    for argument in arguments:
        if isinstance(argument, ndarray):
            argument = argument.ctypes.data
        operands.append(argument)
        is_float = isinstance(argument, float)
        types.append(ctypes.c_double if is_float else ctypes.c_int64)
    ctypes.CFUNCTYPE(result, *types)(address)(*operands)


def _mapped(address: int, part, z: ndarray) -> ndarray:
    """Return the results of a kernel that maps numbers: a layer of one input for z.size rows, without parameters."""
    y = np.empty_like(z)
    no_parameters = 0
    _run(address, 1, 1, z.size, no_parameters, z, y, hyperparameters(part))
    return y


def _derivatives(part: Activation, z: ndarray, y: ndarray) -> ndarray:
    """Return the derivatives that an activation's kernel multiplies by delta = 1; see `calls.backward`."""
    delta = np.ones_like(z)
    address = derivative_address(part, z.dtype.type)
    no_parameters = no_gradient = add = 0
    layer = (1, 1, z.size, no_parameters, z, delta, no_gradient, add)
    _run(address, *layer, y, hyperparameters(part))
    return delta


def _loss_result(part: ElementwiseLoss, name: str, Z: ndarray, T: ndarray) -> ndarray:
    """Return the elements or the deltas that a loss's kernel computes for rows of weight 1; see `calls.loss`."""
    weights, deltas, losses = np.ones((3, Z.size), Z.dtype)
    rows = (Z.size, 1, Z.size)
    arrays = (Z, T, weights, deltas, losses, hyperparameters(part))
    address = loss_address(part, Z.dtype.type)
    _run(address, *rows, *arrays, result=ctypes.c_double)
    return deltas if name == "delta" else losses


def _updated(part: Optimizer, t: int, theta: ndarray, *further: ndarray) -> ndarray:
    """Return the parameters and moments after a step of an optimizer's kernel; see `calls.update`.

    The other arrays are the gradient and the moments.
    """
    J, *moments = (array.copy() for array in further)
    theta = theta.copy()
    first, second, *further = [*moments, np.zeros(0), np.zeros(0)]
    scratch = np.empty_like(theta)
    further = np.array([moment.ctypes.data for moment in further], np.int64)
    offset = 0
    arrays = (theta, J, first, second, scratch, hyperparameters(part), further, offset)
    address = update_address(part, theta.dtype.type)
    _run(address, theta.size, RATE, float(t), *arrays, result=ctypes.c_double)
    return np.stack([theta, *moments])


def _updated_by_formula(
    part: Optimizer, t: int, theta: Array, J: Array, *moments: Array
) -> ndarray:
    """Return the parameters and moments after a step of an optimizer's formula."""
    state = part.update(theta, J, RATE, t, *moments)
    return np.stack([_as(array, theta) for array in state])


def _comparisons(part, F: type) -> Iterator[_Comparison]:
    """Yield the comparisons of an activation, a loss or an optimizer."""
    z = GRID.astype(F)
    if isinstance(part, Activation):
        value = partial(_mapped, map_address(part, F), part)
        yield _Comparison("value", value, part.value, (z,))
        arguments = (z, _as(part.value(z), z))
        derivative = partial(_derivatives, part)
        yield _Comparison("derivative", derivative, part.derivative, arguments)
    elif isinstance(part, ElementwiseLoss):
        predict = partial(_mapped, link_address(part, F), part)
        yield _Comparison("predict", predict, part.predict, (z,))
        pairs = _each_with_each(GRID, FEW, F=F)
        for name in ("element", "delta"):
            kernel = partial(_loss_result, part, name)
            yield _Comparison(name, kernel, getattr(part, name), pairs)
    else:
        sizes = np.abs(FEW)
        count = len(part.moments)
        arguments = _each_with_each(FEW, FEW, *[sizes] * min(count, 2), F=F)
        generator = np.random.default_rng(0)
        for _ in range(count - 2):  # all combinations would be too many
            further = generator.choice(sizes, arguments[0].size).astype(F)
            arguments = (*arguments, further)
        for t in (1, 1000):
            kernel = partial(_updated, part, t)
            formula = partial(_updated_by_formula, part, t)
            yield _Comparison("update", kernel, formula, arguments)


def _each_with_each(*axes: ndarray, F: type) -> tuple[ndarray, ...]:
    return tuple(np.array(column, F) for column in zip(*product(*axes), strict=True))


def _as(values: Any, like: ndarray) -> ndarray:
    """Broadcast the result of a formula, which may be a single number, to an array like its argument."""
    return np.array(np.broadcast_to(np.asarray(values), like.shape), like.dtype)


def _difference(cls: str, comparison: _Comparison) -> str | None:
    """Return the reason if a kernel differs from its formula by more than rounding or depends on the array size."""
    arguments = comparison.arguments
    result = comparison.kernel(*arguments)
    expected = _as(comparison.formula(*arguments), result)
    subject = f"the {comparison.name} of {cls}"
    is_same = (result == expected) | (np.isnan(result) & np.isnan(expected))
    error = np.abs(result - expected)
    is_wrong = ~(is_same | (error <= _tolerance(comparison, expected)))
    if is_wrong.any():
        index = tuple(np.argwhere(is_wrong)[0])
        point = ", ".join(f"{argument[index[-1]]:g}" for argument in arguments)
        return (
            f"{subject} is {result[index]:g} in machine code and"
            f" {expected[index]:g} by the formula at {point}, in {result.dtype}"
        )
    single_results = []
    for k in range(arguments[0].size):
        numbers = [argument[k : k + 1] for argument in arguments]
        single_results.append(comparison.kernel(*numbers))
    joined = np.concatenate(single_results, axis=-1)
    if not np.array_equal(joined, result, equal_nan=True):
        return f"{subject} is rounded differently for single numbers than for arrays"
    return None


def _tolerance(comparison: _Comparison, expected: ndarray) -> ndarray:
    """Return the largest rounding error of each result: some rounding units, and the effect of inexact arguments.

    Each argument is moved by a different number of rounding units, to estimate how the
    formula magnifies rounding errors.
    """
    eps = np.finfo(expected.dtype).eps
    moved = []
    for number, argument in enumerate(comparison.arguments, start=1):
        moved.append(argument * (1 + 4 * number * eps))
    magnified = np.abs(_as(comparison.formula(*moved), expected) - expected)
    size = 1 + np.abs(expected) + sum(map(np.abs, comparison.arguments))
    return ROUNDINGS * eps * size + ROUNDINGS * magnified

"""Flatten nested parameters to a vector with named parts, and restore their structure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ..arithmetic import ArrayPair

Shape = tuple[int, ...]


@dataclass(frozen=True)
class NamedPart:
    """A named part of a vector of parameters."""

    name: str
    start: int
    shape: Shape
    layer: int | None = None

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def span(self) -> slice:
        return slice(self.start, self.start + self.size)

    def unit(self, entry: int):
        """Return the direction, (1, size), that moves one entry."""
        return np.eye(1, self.size, entry)

    def index(self, entry: int) -> Shape:
        """Convert an index in the flattened part to an index in the part."""
        return unraveled(entry, self.shape)


class Directions(NamedTuple):
    """A part of the parameters and directions of its moves, the rows of U, (K, size)."""

    part: NamedPart
    U: ndarray


def raveled(index: Shape, shape: Shape):
    """Convert an index in an array to an index in the flattened array."""
    return int(np.ravel_multi_index(index, shape)) if shape else 0


def unraveled(number, shape: Shape) -> Shape:
    """Convert an index in a flattened array to an index in the array."""
    return tuple(int(index) for index in np.unravel_index(number, shape))


def named_entry(parts: Iterable[NamedPart], index: int):
    """Return the name of a vector entry: the name of its part and its index in the part."""
    part = next(part for part in parts if part.start <= index < part.span.stop)
    return f"{part.name}{list(part.index(index - part.start)) or ''}"


@dataclass(frozen=True)
class Structure:
    """The named parts of a vector, and how they are nested."""

    parts: tuple[NamedPart, ...]
    dtype: np.dtype
    tree: Any

    def rebuilt(self, vector):
        """Return the vector as parameters in their original structure, with single numbers as scalars."""

        def leaf(part: NamedPart):
            array = vector[part.span].reshape(part.shape)
            # the function may use a scalar as a dict key
            return array[()] if isinstance(array, ndarray) else array

        return mapped(self.tree, leaf)


class _Flattening:
    """The parts and the arrays of nested parameters, in the order of the vector."""

    def __init__(self):
        self.parts: list[NamedPart] = []
        self.arrays: list[ndarray] = []
        self._names: set[str] = set()
        self._size = 0

    def add(self, name: str, leaf):
        """Append an array to the vector, and return its part."""
        name = name or "theta"
        array = as_array(leaf)
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"{name} has dtype {array.dtype}, but parameters must be real numbers."
            )
        part = NamedPart(self._unique(name), self._size, array.shape)
        self.parts.append(part)
        self.arrays.append(array)
        self._size += array.size
        return part

    def _unique(self, name: str):
        """Return the name with a number if another part has the same name, as for the keys 1 and "1"."""
        unique = name
        number = 1
        while unique in self._names:
            number += 1
            unique = f"{name} ({number})"
        self._names.add(unique)
        return unique


def flattened(theta) -> tuple[ndarray, Structure]:
    """Flatten parameters to a float64 vector; return the vector and the structure.

    Examples
    --------
    >>> vector, structure = flattened({"W": np.ones((2, 3)), "b": [0.0, 1.0]})
    >>> vector
    array([1., 1., 1., 1., 1., 1., 0., 1.])
    >>> [(part.name, part.shape) for part in structure.parts]
    [('W', (2, 3)), ('b[0]', ()), ('b[1]', ())]
    """
    flattening = _Flattening()
    tree = _named(theta, "", flattening.add)
    parts = tuple(flattening.parts)
    arrays = flattening.arrays
    if not any(array.size for array in arrays):
        raise ValueError("theta is empty: pass at least one parameter.")
    dtype = np.result_type(*arrays)
    if dtype.kind != "f":
        dtype = np.dtype(np.float64)
    vector = np.concatenate([array.ravel() for array in arrays]).astype(float)
    is_finite = np.isfinite(vector)
    if not is_finite.all():
        wrong = int(np.argmin(is_finite))
        raise ValueError(
            f"theta is not finite: {named_entry(parts, wrong)} is {vector[wrong]}."
        )
    return vector, Structure(parts, dtype, tree)


def as_array(leaf):
    """Convert an array, a number or a PyTorch tensor to a NumPy array."""
    return np.asarray(leaf.detach().cpu() if hasattr(leaf, "detach") else leaf)


def _children(tree) -> Iterable[Any]:
    return tree.values() if isinstance(tree, Mapping) else tree


def leaves(tree) -> list[Any]:
    """Return the arrays in nested lists, tuples and dicts."""
    arrays: list[Any] = []
    mapped(tree, arrays.append)
    return arrays


def mapped(tree, function: Callable[[Any], Any]):
    """Apply a function to each array in nested lists, tuples and dicts."""
    return _named(tree, "", lambda _, leaf: function(leaf))


def _named(tree, name: str, function: Callable[[str, Any], Any]):
    """Apply a function to each leaf of a tree: to its name and its array."""
    if not isinstance(tree, Mapping | list | tuple):
        return function(name, tree)
    children = []
    names = _names_of_children(tree, name)
    for child_name, child in zip(names, _children(tree), strict=False):
        children.append(_named(child, child_name, function))
    if isinstance(tree, Mapping):
        return dict(zip(tree, children, strict=True))
    if hasattr(tree, "_fields"):
        return type(tree)(*children)
    return type(tree)(children)


def _names_of_children(tree, name: str):
    """Return names such as theta[0] for a list or tuple, and W or layer.W for a dict or named tuple."""
    if isinstance(tree, Mapping):
        keys = tree.keys()
    elif hasattr(tree, "_fields"):
        keys = tree._fields
    else:
        return [f"{name or 'theta'}[{index}]" for index in range(len(tree))]
    prefix = f"{name}." if name else ""
    return [f"{prefix}{key}" for key in keys]


def gathered(gradient, tree, outputs: Shape) -> Iterator[Any]:
    """Yield the gradient of each part, (outputs, size), or raise if its structure does not match the parameters."""
    for part, leaf in paired(gradient, tree, outputs):
        yield _column(leaf, part, outputs)


def paired(gradient, tree, outputs: Shape) -> Iterator[tuple[NamedPart, Any]]:
    """Yield each part and its gradient, without checking its shape."""
    if isinstance(tree, NamedPart):
        yield tree, gradient
        return
    children = _matched(gradient, tree, outputs)
    for child, subtree in zip(children, _children(tree), strict=True):
        yield from paired(child, subtree, outputs)


def _matched(gradient, tree, outputs: Shape):
    """Return the children of a gradient in the order of the parameters, matching dicts by key."""
    if isinstance(tree, Mapping):
        _require_keys(gradient, tree)
        return [gradient[key] for key in tree]
    fields = getattr(tree, "_fields", ())
    if fields and isinstance(gradient, Mapping) and set(gradient) == set(fields):
        return [gradient[field] for field in fields]
    if not isinstance(gradient, list | tuple):
        gradient = _as_numbers(gradient)
        if outputs and gradient.shape == (*outputs, len(tree)):
            # a Jacobian, for parameters that are a list of numbers
            return [gradient[..., column] for column in range(len(tree))]
        if not gradient.ndim:
            gradient = [gradient]
    if len(gradient) != len(tree):
        raise ValueError(
            f"The gradient has {len(gradient)} arrays, but theta has {len(tree)}."
        )
    return list(gradient)


def _require_keys(gradient, tree: Mapping[Any, Any]):
    """Raise unless the gradient is a dict with the keys of the parameters."""
    if not isinstance(gradient, Mapping):
        kind = type(gradient).__name__
        raise ValueError(
            f"The gradient must be a dict with the keys of theta, got {kind}."
        )
    missing = ", ".join(repr(key) for key in tree if key not in gradient)
    extra = ", ".join(repr(key) for key in gradient if key not in tree)
    problems = []
    if missing:
        problems.append(f"lacks {missing}")
    if extra:
        problems.append(f"has extra {extra}")
    if problems:
        raise ValueError(
            f"The gradient {' and '.join(problems)}: return a dict with the keys of"
            " theta."
        )


def _column(gradient, part: NamedPart, outputs: Shape):
    """Return the gradient of one part as an array of shape (outputs, size)."""
    values = prod(outputs)
    expected = (*outputs, *part.shape)
    is_list = isinstance(gradient, list | tuple)
    if is_list and len(gradient) == 1 and part.shape[:1] != (1,) and not outputs:
        # the only array of a list of gradients
        [gradient] = gradient
        is_list = isinstance(gradient, list | tuple)
    array = _as_numbers(gradient)
    shape = tuple(array.shape)
    if shape == expected or (values == 1 and shape == part.shape):
        return array.reshape((values, part.size))
    if is_list and shape[1:] == part.shape:
        raise ValueError(f"The gradient has {len(gradient)} arrays, but theta has 1.")
    problem = f"The gradient of {part.name} has shape {shape}, expected {expected}"
    if len(shape) > 1 and shape == expected[::-1]:
        raise ValueError(f"{problem}: it is transposed.")
    if outputs:
        problem += ": the shape of the value followed by the shape of the part"
    raise ValueError(f"{problem}.")


def _as_numbers(gradient) -> Any:
    """Convert a gradient to an array, but return array pairs unchanged."""
    return gradient if isinstance(gradient, ArrayPair) else real_numbers(gradient)


def real_numbers(gradient):
    """Convert a gradient to an array of real numbers, or raise a TypeError."""
    kind = getattr(gradient, "dtype", type(gradient).__name__)
    error = TypeError(f"The gradient must be an array of real numbers, got {kind}.")
    try:
        array = as_array(gradient)
        if array.dtype.kind == "O" and all(map(_is_real, array.flat)):
            array = array.astype(float)
    except (TypeError, ValueError, RuntimeError, OverflowError) as cause:
        raise error from cause
    if array.dtype.kind not in "fiub":
        raise error
    return array


def _is_real(number):
    return isinstance(number, int | float | np.number)

"""Parameters of any shape as one vector with named parts: a number, an array, or lists and dicts of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count
from math import prod
from typing import Any

import numpy as np

from ..arithmetic import ArrayPair


@dataclass(frozen=True)
class NamedPart:
    """A named part of a vector of parameters."""

    name: str
    start: int
    shape: tuple[int, ...]
    layer: int | None = None

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def span(self) -> slice:
        return slice(self.start, self.start + self.size)

    def unit(self, entry: int) -> np.ndarray:
        """Return the direction, (1, size), in which one entry moves."""
        return np.eye(1, self.size, entry)

    def index(self, entry: int) -> tuple[int, ...]:
        """Return the index of an entry in the part, given its index in the flattened part."""
        return tuple(int(i) for i in np.unravel_index(entry, self.shape))


def named_entry(parts: Iterable[NamedPart], place: int) -> str:
    """Return the name of the part that contains a place of the vector, with the index in the part."""
    part = next(part for part in parts if part.start <= place < part.start + part.size)
    return f"{part.name}{list(part.index(place - part.start)) or ''}"


@dataclass(frozen=True)
class Structure:
    """How a vector is divided into arrays, and how they were nested."""

    parts: tuple[NamedPart, ...]
    dtype: np.dtype
    tree: Any

    def rebuilt(self, vector: Any) -> Any:
        """Return the parameters in the user's structure, with the numbers of the vector; single numbers as scalars."""

        def leaf(part: NamedPart) -> Any:
            array = vector[part.span].reshape(part.shape)
            return array[()] if isinstance(array, np.ndarray) else array  # the function may use a scalar as a dict key

        return mapped(self.tree, leaf)


def flattened(theta: Any) -> tuple[np.ndarray, Structure]:
    """Return parameters as a float64 vector, and their structure.

    Examples
    --------
    >>> vector, structure = flattened({"W": np.ones((2, 3)), "b": [0.0, 1.0]})
    >>> vector
    array([1., 1., 1., 1., 1., 1., 0., 1.])
    >>> [(part.name, part.shape) for part in structure.parts]
    [('W', (2, 3)), ('b[0]', ()), ('b[1]', ())]
    """
    parts: list[NamedPart] = []
    values: list[np.ndarray] = []

    def part_of(name: str, leaf: Any) -> NamedPart:
        array = as_array(leaf)
        name, taken = name or "theta", {part.name for part in parts}
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} has dtype {array.dtype}, but parameters are real numbers.")
        names = chain([name], (f"{name} ({number})" for number in count(2)))  # the keys may be 1 and "1"
        unique = next(candidate for candidate in names if candidate not in taken)
        parts.append(NamedPart(unique, parts[-1].span.stop if parts else 0, array.shape))
        values.append(array)
        return parts[-1]

    tree = _named(theta, "", part_of)
    if not sum(array.size for array in values):
        raise ValueError("theta is empty: there is no parameter to check.")
    dtype = np.result_type(*values)
    vector = np.concatenate([array.ravel() for array in values]).astype(np.float64)
    if not np.isfinite(vector).all():
        wrong = int(np.argmin(np.isfinite(vector)))
        raise ValueError(f"theta is not finite: {named_entry(parts, wrong)} is {vector[wrong]}.")
    return vector, Structure(tuple(parts), dtype if dtype.kind == "f" else np.dtype(np.float64), tree)


def as_array(leaf: Any) -> np.ndarray:
    """Return an array, a number or a PyTorch tensor as a NumPy array."""
    return np.asarray(leaf.detach().cpu() if hasattr(leaf, "detach") else leaf)


def _children(tree: Any) -> Iterable[Any]:
    return tree.values() if isinstance(tree, Mapping) else tree


def mapped(tree: Any, function: Callable[[Any], Any]) -> Any:
    """Return a list, tuple, dict or array with a function applied to each of its arrays."""
    return _named(tree, "", lambda _, leaf: function(leaf))


def _named(tree: Any, name: str, function: Callable[[str, Any], Any]) -> Any:
    """Return a tree with a function applied to the name and the array of each leaf."""
    if not isinstance(tree, Mapping | list | tuple):
        return function(name, tree)
    of_mapping = isinstance(tree, Mapping)
    children = []
    for key, child in zip(tree if of_mapping else getattr(tree, "_fields", count()), _children(tree), strict=False):
        by_key = f"{name}.{key}" if name else str(key)
        by_place = isinstance(key, int) and not of_mapping
        children.append(_named(child, f"{name or 'theta'}[{key}]" if by_place else by_key, function))
    if of_mapping:
        return dict(zip(tree, children, strict=True))
    return type(tree)(*children) if hasattr(tree, "_fields") else type(tree)(children)


def gathered(gradient: Any, tree: Any, outputs: tuple[int, ...]) -> Iterator[Any]:
    """Yield the arrays (outputs, size) of a gradient in the structure of the parameters, or raise an error."""
    if isinstance(tree, NamedPart):
        yield _column(gradient, tree, outputs)
        return
    for child, own in zip(_matched(gradient, tree, outputs), _children(tree), strict=True):
        yield from gathered(child, own, outputs)


def _matched(gradient: Any, tree: Any, outputs: tuple[int, ...]) -> list[Any]:
    """Return the children of a gradient in the order of the parameters: by key if they have keys."""
    if isinstance(tree, Mapping):
        if not isinstance(gradient, Mapping):
            kind = type(gradient).__name__
            raise ValueError(f"the gradient is {kind}, but theta is a dict: return a dict with its keys.")
        missing, extra = [k for k in tree if k not in gradient], [k for k in gradient if k not in tree]
        if missing or extra:
            words = [f"{what} {', '.join(map(repr, keys))}" for what, keys in (("lacks", missing), ("has", extra))
                     if keys]  # fmt: skip
            raise ValueError(f"the gradient {' and '.join(words)}, unlike theta: return a dict with theta's keys.")
        return [gradient[key] for key in tree]
    if isinstance(gradient, Mapping) and hasattr(tree, "_fields") and set(gradient) == set(tree._fields):
        return [gradient[field] for field in tree._fields]
    if not isinstance(gradient, list | tuple):
        gradient = _as_numbers(gradient)
        if outputs and gradient.shape == (*outputs, len(tree)):
            return [gradient[..., k] for k in range(len(tree))]
        gradient = gradient if getattr(gradient, "ndim", 0) else [gradient]
    if len(gradient) != len(tree):
        raise ValueError(f"the gradient has {len(gradient)} arrays, but theta has {len(tree)}.")
    return list(gradient)


def _column(gradient: Any, part: NamedPart, outputs: tuple[int, ...]) -> Any:
    """Return the gradient of one part as an array (outputs, size)."""
    wanted, values = (*outputs, *part.shape), prod(outputs)
    if isinstance(gradient, list | tuple) and len(gradient) == 1 and part.shape[:1] != (1,) and not outputs:
        [gradient] = gradient
    array = _as_numbers(gradient)
    shape = tuple(array.shape)
    if shape == wanted or (values == 1 and shape == part.shape):
        return array.reshape((values, part.size))
    if isinstance(gradient, list | tuple) and shape[1:] == part.shape:
        raise ValueError(f"The gradient has {len(gradient)} arrays, but theta has 1.")
    needed = f"The gradient of {part.name} has shape {shape}, but {wanted} is needed"
    if len(shape) > 1 and shape == wanted[::-1]:
        raise ValueError(f"{needed}: it is transposed.")
    raise ValueError(needed + (": the function's shape, then the parameter's." if outputs else "."))


def _as_numbers(gradient: Any) -> Any:
    """Return a gradient as an array; array pairs stay as they are."""
    return gradient if isinstance(gradient, ArrayPair) else real_numbers(gradient)


def real_numbers(gradient: Any) -> np.ndarray:
    """Return a gradient as an array of real numbers, or raise a TypeError that says what it is."""
    wrong = TypeError(f"The gradient, of type {type(gradient).__name__}, is no array of real numbers: return an array.")
    try:
        array = as_array(gradient)
        if array.dtype.kind == "O" and all(isinstance(number, int | float | np.number) for number in array.flat):
            array = array.astype(float)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise wrong from error
    if array.dtype.kind not in "fiub":
        raise wrong
    return array

"""Parameters of any shape as one vector with named parts: a number, an array, or lists and dicts of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Part:
    """A named part of a vector of parameters.

    Parameters
    ----------
    name : str
        Its name, such as "layer 0 (Dense) W".
    start : int
        The index of its first entry in the vector.
    shape : tuple of int
        Its shape.
    layer : int, optional
        The number of the network's layer that it belongs to.
    """

    name: str
    start: int
    shape: tuple[int, ...]
    layer: int | None = None

    @property
    def size(self) -> int:
        """The number of entries."""
        return prod(self.shape)

    @property
    def span(self) -> slice:
        """The part of the vector that it fills."""
        return slice(self.start, self.start + self.size)

    def index(self, entry: int) -> tuple[int, ...]:
        """Return the index in the part of one of its entries, given by its place in the flattened part."""
        return tuple(int(i) for i in np.unravel_index(entry, self.shape))


@dataclass(frozen=True)
class Structure:
    """How a vector is cut into arrays, and those are put together as they were given."""

    parts: tuple[Part, ...]
    dtype: np.dtype
    build: Callable[[Iterator[Any]], Any]

    def rebuilt(self, vector: Any) -> Any:
        """Return the parameters as they were given, with the numbers of the vector."""
        return self.build(iter([vector[part.span].reshape(part.shape) for part in self.parts]))


def flattened(theta: Any) -> tuple[np.ndarray, Structure]:
    """Return parameters as a float64 vector, and how to put it back.

    Examples
    --------
    >>> vector, structure = flattened({"W": np.ones((2, 3)), "b": [0.0, 1.0]})
    >>> vector
    array([1., 1., 1., 1., 1., 1., 0., 1.])
    >>> [(part.name, part.shape) for part in structure.parts]
    [('W', (2, 3)), ('b[0]', ()), ('b[1]', ())]
    """
    arrays, build = _leaves(theta, "")
    parts, start = [], 0
    for name, array in arrays:
        parts.append(Part(name, start, array.shape))
        start += array.size
    if start == 0:
        raise ValueError("theta is empty: there is no parameter to check.")
    values = [array for _, array in arrays]
    dtype = np.result_type(*values)
    vector = np.concatenate([array.ravel() for array in values]).astype(np.float64)
    if not np.isfinite(vector).all():
        wrong = int(np.flatnonzero(~np.isfinite(vector))[0])
        part = next(part for part in parts if part.start <= wrong < part.start + part.size)
        raise ValueError(
            f"theta is not finite: {part.name}{list(part.index(wrong - part.start)) or ''} is {vector[wrong]}."
        )
    return vector, Structure(tuple(parts), dtype if dtype.kind == "f" else np.dtype(np.float64), build)


def _leaves(tree: Any, name: str) -> tuple[list[tuple[str, np.ndarray]], Callable[[Iterator[Any]], Any]]:
    if isinstance(tree, Mapping | list | tuple):
        keys = list(tree) if isinstance(tree, Mapping) else range(len(tree))
        children = [_leaves(tree[key], _child(name, key, isinstance(tree, Mapping))) for key in keys]
        builds = [build for _, build in children]

        def build(values: Iterator[Any]) -> Any:
            rebuilt = [child(values) for child in builds]
            return dict(zip(keys, rebuilt, strict=True)) if isinstance(tree, Mapping) else type(tree)(rebuilt)

        return [leaf for leaves, _ in children for leaf in leaves], build
    array = np.asarray(tree)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name or 'theta'} has dtype {array.dtype}, but parameters are real numbers.")
    return [(name or "theta", array)], next


def _child(name: str, key: Any, of_mapping: bool) -> str:
    if of_mapping:
        return f"{name}.{key}" if name else str(key)
    return f"{name or 'theta'}[{key}]"


def gathered(gradient: Any, structure: Structure, outputs: tuple[int, ...], what: str = "the gradient") -> Any:
    """Return a gradient built as the parameters are, as arrays (outputs, size), or say what is wrong with it."""
    count = prod(outputs)
    leaves = list(_arrays(gradient))
    if len(leaves) != len(structure.parts):
        raise ValueError(f"{what} has {len(leaves)} arrays, but theta has {len(structure.parts)}.")
    columns = []
    for array, part in zip(leaves, structure.parts, strict=True):
        if tuple(array.shape) != (*outputs, *part.shape):
            raise ValueError(
                f"{what} of {part.name} has shape {tuple(array.shape)}, but {(*outputs, *part.shape)} is needed"
                + (": the function's shape, then the parameter's." if outputs else ".")
            )
        columns.append(array.reshape((count, part.size)))
    return columns


def _arrays(tree: Any) -> Iterator[Any]:
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        for child in tree:
            yield from _arrays(child)
    else:
        yield tree if hasattr(tree, "reshape") else np.asarray(tree, dtype=float)

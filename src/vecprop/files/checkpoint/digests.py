"""What a run is, in few letters: digests of its arrays and settings, by which another run is told from it."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from ...core.expansion import Expansion
from ...core.inputs import Batch
from ...core.selection import Scaling, Selection
from .. import FileError

COUNT = "number of members"
"""The name of that of a population, among what a run is."""

BLOCK = 2**20
"""The numbers that are hashed at a time, which bounds the copy of an array that does not lie row by row."""


def digest(value: Any) -> str | None:
    """Return a digest of an array, of a sparse matrix, or of a selection or batch of rows; None of None.

    Examples
    --------
    >>> digest(np.zeros(3)) == digest([0.0, 0.0, 0.0]), digest(np.zeros(3)) == digest(np.zeros(3, np.float32))
    (True, False)
    """
    match value:
        case None:
            return None
        case Selection():
            return _of_rows(value.X, value.rows, value.scaling, value.expansion)
        case Batch():
            return _of_rows(value.X, value.chosen, value.scaling, value.expansion)
    if sparse.issparse(value):
        X: Any = value.tocsr()
        return of_all([str(X.shape), *map(digest, (X.data, X.indices, X.indptr))])
    return _of_array(np.asarray(value))


def of_all(digests: Any) -> str:
    """Return one digest of a list of values that JSON can hold.

    Examples
    --------
    >>> of_all(["a", None]) == of_all(["a", None]), of_all(["a", None]) == of_all([None, "a"])
    (True, False)
    """
    return hashlib.sha256(json.dumps(list(digests)).encode("utf-8", "surrogatepass")).hexdigest()


def differing(own: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """Return the names of what differs between two runs as the beginning of a sentence, "" if they are the same.

    Examples
    --------
    >>> differing({"X": "1", "clip": None}, {"X": "2", "clip": 0.5})
    'its X and its clip differ'
    """
    names = [name for name in {**own, **known} if own.get(name) != known.get(name)]
    if COUNT in names:  # of which all else is a consequence
        names = [COUNT]
    return " and ".join(f"its {name}" for name in names) + (" differs" if len(names) == 1 else " differ" * bool(names))


def require_savable(theta: Any) -> None:
    """Refuse parameters that a model file does not hold."""
    if not isinstance(theta, np.ndarray) or theta.dtype not in (np.float32, np.float64):
        kind = f"dtype {theta.dtype}" if isinstance(theta, np.ndarray) else f"the type {type(theta).__name__}"
        raise FileError(f"theta has {kind}, but a model file holds NumPy arrays of float32 and float64: convert it.")


def _of_rows(X: Any, rows: np.ndarray | None, scaling: Scaling | None, expansion: Expansion | None) -> str | None:
    if rows is None and scaling is None and expansion is None:
        return digest(X)
    how = [None] if scaling is None else [digest(scaling.shift), digest(scaling.scale), bool(scaling.multiplies)]
    how += [] if expansion is None else [digest(expansion.columns), digest(expansion.edges)]
    return of_all([digest(X), digest(rows), *how])


def _of_array(array: np.ndarray) -> str:
    found = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    if array.ndim == 0 or array.dtype.hasobject:
        found.update(repr(array.tolist()).encode("utf-8", "surrogatepass"))
        return found.hexdigest()
    step = max(1, BLOCK * len(array) // max(array.size, 1))
    for first in range(0, len(array), step):
        found.update(np.ascontiguousarray(array[first : first + step]).reshape(-1).view(np.uint8).data)
    return found.hexdigest()

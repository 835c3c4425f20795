"""Comparisons of what a function returned with what it should: in any shape that NumPy takes alike, up to rounding."""

from typing import Any

import numpy as np

PRECISION = 1e-5
"""The largest difference of equal values, relative to the largest: results may be in float32, and logarithms may have a
small number added to what they are taken of. No known mistake on the arguments that are tried makes so small a one."""


def same(found: Any, expected: Any, precision: float = PRECISION) -> bool:
    """Return whether two results are equal up to rounding, whatever axes of length 1 they have; lists part by part.

    Examples
    --------
    >>> same(np.array([1.0, 2.0]), np.array([[1.0, 2.0 + 1e-9]])), same(np.ones((2, 1)), np.ones(3))
    (True, False)
    """
    if isinstance(expected, list):
        parts = as_list(found)
        return (
            parts is not None
            and len(parts) == len(expected)
            and all(same(part, whole, precision) for part, whole in zip(parts, expected, strict=True))
        )
    if not isinstance(found, np.ndarray):
        return False
    expected = np.asarray(expected, float)
    if np.squeeze(found).shape != np.squeeze(expected).shape:
        return False
    found, expected = found.ravel(), expected.ravel()
    known = np.isfinite(expected)
    size = np.max(np.abs(expected[known]), initial=0)
    return bool(
        np.all(np.abs(found[known] - expected[known]) <= precision * size + 1e-13)
        and np.array_equal(found[~known], expected[~known], equal_nan=True)
    )


def right(found: Any, expected: Any, result: str, precision: float = PRECISION) -> bool:
    """Return whether a result is right, with its shape: a bias may be (3,) or (1, 3), a number may have any shape.

    Examples
    --------
    >>> right(np.ones(3), np.ones((1, 3)), "bias"), right(np.ones((3, 1)), np.ones((1, 3)), "bias")
    (True, False)
    """
    return same(found, expected, precision) and fits(found, expected, result)


def fits(found: Any, expected: Any, result: str) -> bool:
    """Return whether a result has the right shape."""
    if result == "list":
        parts = as_list(found)
        return (
            parts is not None
            and len(parts) == len(expected)
            and all(
                fits(part, whole, "bias" if np.shape(whole)[:1] == (1,) or np.ndim(whole) == 1 else "array")
                for part, whole in zip(parts, expected, strict=True)
            )
        )
    if not isinstance(found, np.ndarray):
        return False
    if result == "number":
        return found.size == 1
    shapes = {np.shape(expected)}
    if result == "bias":
        length = np.shape(expected)[-1]
        shapes |= {(length,), (1, length)}
    return found.shape in shapes


def as_list(found: Any) -> list[Any] | None:
    """Return a result as a list of its parts, if it is one."""
    if isinstance(found, np.ndarray):
        return list(found) if found.ndim else None
    return found if isinstance(found, list) else None


def difference(found: Any, expected: Any, result: str, precision: float = PRECISION) -> str:
    """Return the first entry that differs, with both values, or how types or shapes do.

    Examples
    --------
    >>> difference(np.array([[1.0, 2.0]]), np.array([[1.0, 3.0]]), "array")
    'entry [0, 1] is 2, but should be 3'
    """
    if result == "list":
        parts = as_list(found)
        if parts is None or len(parts) != len(expected):
            count = f"{len(parts)} parts" if parts is not None else shown(found)
            return f"the result is {count}, but should be a list of {len(expected)} arrays"
        for number, (part, whole) in enumerate(zip(parts, expected, strict=True)):
            kind = "bias" if np.shape(whole)[:1] == (1,) or np.ndim(whole) == 1 else "array"
            if not right(part, whole, kind, precision):
                return f"in part {number} of the list, {difference(part, whole, kind, precision)}"
        return "the parts are right"
    if not isinstance(found, np.ndarray):
        return f"the result is {shown(found)}, but should be {shape_in_words(expected, result)}"
    if not fits(found, expected, result) and np.squeeze(found).shape != np.squeeze(expected).shape:
        return f"the result has shape {found.shape}, but should be {shape_in_words(expected, result)}"
    expected = np.asarray(expected, float)
    if not same(found, expected, precision):
        flat, whole = found.ravel(), expected.ravel()
        with np.errstate(invalid="ignore"):
            error = np.where(np.isfinite(flat), np.abs(flat - whole), np.inf)
        worst = int(np.argmax(error > precision * np.max(np.abs(whole))))
        place = [int(k) for k in np.unravel_index(worst, expected.shape)]
        entry = f"entry {place}" if place else "the result"
        return f"{entry} is {flat[worst]:.6g}, but should be {whole[worst]:.6g}"
    return f"the result has shape {found.shape}, but should be {shape_in_words(expected, result)}"


def shape_in_words(expected: Any, result: str) -> str:
    """Return the shape that a result should have."""
    if result == "number":
        return "one number"
    shape = np.shape(expected)
    return f"an array of shape {shape}" + (f" or {shape[-1:]}" if result == "bias" else "")


def shown(found: Any) -> str:
    """Return what a result is that is no array, in words.

    Examples
    --------
    >>> shown(("dict",)), shown(None), shown([np.ones(2)])
    ('of type dict', 'None', 'a list of 1')
    """
    if isinstance(found, tuple):
        return f"of type {found[0]}" if " " not in found[0] else f"an {found[0]}"
    return f"a list of {len(found)}" if isinstance(found, list) else "None"

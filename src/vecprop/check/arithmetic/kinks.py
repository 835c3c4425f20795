"""Kinks: the slopes of a function where two numbers that it compares are equal.

Numbers carry a tangent, the derivative along a direction (`tangents.py`). Where two of them are equal, a comparison has
two outcomes, and so may the slope: at relu(0) it is 1 for a number that is about to grow and 0 for one that is about to
shrink. The comparison is decided by the tangents, which gives the one-sided derivative exactly, or all ties are broken
alike.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .tangents import COMPARISONS, Tangent

LESS, BY_TANGENT, GREATER = -1, 0, 1
"""How a comparison of equal numbers is decided: as if the first were less or greater, or by the tangents."""


@dataclass(frozen=True)
class OneSided:
    """The slopes along K directions where ties may make more than one, each (K, outputs).

    Parameters
    ----------
    usual : ndarray
        The slope where every tie is broken as the function itself breaks it.
    low, high : ndarray
        The lesser and the larger one-sided derivative.
    least, largest : ndarray
        The least and the largest slope over all ways to break ties: equal where there is no kink.
    """

    usual: np.ndarray
    low: np.ndarray
    high: np.ndarray
    least: np.ndarray
    largest: np.ndarray


class Tied(Tangent):
    """Tangents that decide comparisons of equal numbers; all members of one move along the same directions."""

    @property
    def real(self) -> Any:
        """The numbers themselves: their tangents decide ties."""
        return self


def _order(like: Tied, x: Any, y: Any) -> np.ndarray:
    """Return 1, 0 or -1 as x is greater than y, equal or less, with ties broken."""
    (a, da), (b, db) = like.pair(x), like.pair(y)
    broken = like.ties.broken or np.sign(da - db)
    return np.where(a == b, broken, np.sign(a - b))


def _compare(function: Any) -> Any:
    return lambda like, x, y: function(_order(like, x, y), 0)


def _max(like: Tied, x: Tied, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
    """Return the largest number with, of equal ones, the largest tangent, or the least where ties are less."""
    top = np.max(x.value, axis=axis, keepdims=True)
    sign = -1 if like.ties.broken == LESS else 1
    tangent = sign * np.max(np.where(x.value == top, sign * x.tangent, -np.inf), axis=axis, keepdims=keepdims)
    return like.like(np.max(x.value, axis=axis, keepdims=keepdims), tangent)


Tied.ufuncs = {
    **Tangent.ufuncs,
    np.sign: lambda like, x: _order(like, x, 0),
    **{f: _compare(f) for f in COMPARISONS},
}
Tied.functions = {**Tangent.functions, np.real: lambda like, array: array, np.max: _max}

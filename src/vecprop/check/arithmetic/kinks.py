"""Kinks: the one-sided derivatives of a function that compares equal numbers.

Numbers carry a tangent, the derivative along a direction (`tangents.py`). A comparison of two equal numbers, a tie, has
two outcomes, and so may the derivative: at relu(0) it is 1 for a number that grows along the direction, and 0 for one
that shrinks. If ties are decided by the tangents, the result is the exact one-sided derivative. Or all ties are decided
alike, as less or as greater.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .tangents import COMPARISONS, Tangent

LESS, BY_TANGENT, GREATER = -1, 0, 1
"""How a comparison of equal numbers is decided: as if the first were less or greater, or by the tangents."""


@dataclass(frozen=True)
class OneSided:
    """The derivatives along K directions from both sides of ties, each (K, outputs)."""

    usual: np.ndarray
    low: np.ndarray
    high: np.ndarray
    least: np.ndarray
    largest: np.ndarray


class Tied(Tangent):
    """Tangents that decide comparisons of equal numbers. In one computation all move along the same directions."""

    @property
    def real(self) -> Any:
        """The numbers with their tangents, which decide ties."""
        return self


def _order(like: Tied, x: Any, y: Any) -> np.ndarray:
    """Return 1, 0 or -1 as x is greater than, equal to or less than y, with ties decided."""
    (a, da), (b, db) = like.pair(x), like.pair(y)
    broken = like.ties.broken or np.sign(da - db)
    return np.where(a == b, broken, np.sign(a - b))


def _compare(function: Any) -> Any:
    return lambda like, x, y: function(_order(like, x, y), 0)


def _max(like: Tied, x: Tied, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
    """Return the largest number; of equal ones, that with the largest tangent, or the least if ties are less."""
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

"""Kinks: the slopes of a function where two numbers that it compares are equal.

Numbers carry a tangent, the derivative along a direction. Where two of them are equal, a comparison has two outcomes,
and so may the slope: at relu(0) it is 1 for a number that is about to grow and 0 for one that is about to shrink. The
comparison is decided by the tangents, which gives the one-sided derivative exactly, or all ties are broken alike.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from .carried import SHARED_FUNCTIONS, Carried


class Ties(Enum):
    """How a comparison of equal numbers is decided: by the tangents, or as if the first were less or greater."""

    BY_TANGENT = 0
    LESS = -1
    GREATER = 1


@dataclass(frozen=True)
class Slopes:
    """The slopes along K directions where ties may make more than one, each (K, outputs).

    Parameters
    ----------
    low, high : ndarray
        The lesser and the larger one-sided derivative.
    usual : ndarray
        The slope where every tie is broken as the function itself breaks it.
    room : ndarray
        How far the slopes are apart over all ways to break ties: 0 where there is no kink.
    """

    low: np.ndarray
    high: np.ndarray
    usual: np.ndarray
    room: np.ndarray


class Tangent(Carried):
    """Numbers, each with its derivative along a direction, and how ties are broken."""

    def __init__(self, value: np.ndarray, companion: np.ndarray, ties: Ties = Ties.BY_TANGENT) -> None:
        super().__init__(value, companion)
        self.ties = ties

    def like(self, value: np.ndarray, companion: np.ndarray) -> "Tangent":
        """Return another pair whose ties are broken alike."""
        return Tangent(value, companion, self.ties)


def _scaled(derivative: Any) -> Any:
    """Return the rule of an elementwise function, which multiplies the tangent by the derivative at (x, y)."""
    function, slope = derivative
    return lambda like, x: (lambda y: like.like(y, slope(x.value, y) * x.companion))(function(x.value))


def _add(like: Tangent, x: Any, y: Any) -> Any:
    (a, da), (b, db) = like.pair(x), like.pair(y)
    return like.like(a + b, da + db)


def _multiply(like: Tangent, x: Any, y: Any) -> Any:
    (a, da), (b, db) = like.pair(x), like.pair(y)
    return like.like(a * b, da * b + a * db)


def _divide(like: Tangent, x: Any, y: Any) -> Any:
    (a, da), (b, db) = like.pair(x), like.pair(y)
    return like.like(a / b, (da - a / b * db) / b)


def _matmul(like: Tangent, x: Any, y: Any) -> Any:
    (a, da), (b, db) = like.pair(x), like.pair(y)
    tangent = da @ b if isinstance(x, Tangent) else np.zeros(1)
    return like.like(a @ b, tangent + a @ db if isinstance(y, Tangent) else tangent)


def _power(like: Tangent, x: Any, exponent: Any) -> Any:
    if isinstance(exponent, Tangent):
        return NotImplemented
    return like.like(np.power(x.value, exponent), exponent * np.power(x.value, exponent - 1) * x.companion)


def _order(like: Tangent, x: Any, y: Any) -> np.ndarray:
    """Return 1, 0 or -1 as x is greater than y, equal or less, with ties broken."""
    (a, da), (b, db) = like.pair(x), like.pair(y)
    broken = np.sign(da - db) if like.ties is Ties.BY_TANGENT else np.full(np.shape(a - b), like.ties.value)
    return np.where(a == b, broken, np.sign(a - b))


def _compare(function: Any) -> Any:
    return lambda like, x, y: function(_order(like, x, y), 0)


def _where(like: Tangent, condition: np.ndarray, x: Any, y: Any) -> Any:
    (a, da), (b, db) = like.pair(x), like.pair(y)
    return like.like(np.where(condition, a, b), np.where(condition, da, db))


def _sum(like: Tangent, x: Tangent, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
    return x.each(lambda part: np.asarray(np.sum(part, axis=axis, keepdims=keepdims)))


def _max(like: Tangent, x: Tangent, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
    """Return the largest number with, of equal ones, the largest tangent, or the least where ties are less."""
    top = np.max(x.value, axis=axis, keepdims=True)
    sign = -1 if like.ties is Ties.LESS else 1
    tangent = sign * np.max(np.where(x.value == top, sign * x.companion, -np.inf), axis=axis, keepdims=keepdims)
    return like.like(np.max(x.value, axis=axis, keepdims=keepdims), tangent)


Tangent.ufuncs = {
    np.add: _add,
    np.subtract: lambda like, x, y: _add(like, x, -y),
    np.multiply: _multiply,
    np.divide: _divide,
    np.matmul: _matmul,
    np.negative: lambda like, x: x.each(np.negative),
    np.positive: lambda like, x: x,
    np.power: _power,
    np.absolute: lambda like, x: np.where(x < 0, -x, x),
    np.sign: lambda like, x: _order(like, x, 0),
    np.maximum: lambda like, x, y: np.where(_order(like, x, y) > 0, x, y),
    np.minimum: lambda like, x, y: np.where(_order(like, x, y) < 0, x, y),
    **{f: _compare(f) for f in (np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal)},
    np.isfinite: lambda like, x: np.isfinite(x.value),
    **{
        rule[0]: _scaled(rule)
        for rule in (
            (np.square, lambda x, y: 2 * x),
            (np.sqrt, lambda x, y: 0.5 / y),
            (np.exp, lambda x, y: y),
            (np.expm1, lambda x, y: np.exp(x)),
            (np.log, lambda x, y: 1 / x),
            (np.log1p, lambda x, y: 1 / (1 + x)),
            (np.tanh, lambda x, y: 1 - y * y),
            (np.sin, lambda x, y: np.cos(x)),
            (np.cos, lambda x, y: -np.sin(x)),
        )
    },
}
Tangent.functions = {**SHARED_FUNCTIONS, np.sum: _sum, np.where: _where, np.max: _max}

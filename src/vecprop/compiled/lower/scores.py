"""The score of held-out rows, from predictions that kernels have left: the loops of `core.scores`.

Sums are over rows in their order, by one thread, so that a score's bits do not depend on how many there are.
"""

from enum import IntEnum
from functools import cache

import numpy as np
from numba import njit, types

from ..jit.arrays import numbers_at, words_at
from ..jit.machine_code import address_of
from ..jit.options import INNER
from ..jit.record import fit_at

number = float
"""The floating type, which `address_of` fills in."""


class Score(IntEnum):
    """The scores, by their names in `core.scores.SCORES`."""

    NONE = 0
    ACCURACY = 1
    SUBSET_ACCURACY = 2
    R2 = 3


@njit(**INNER)
def _place(c, s):
    """Return the number in the data of a held-out row."""
    return words_at(c.validation.chosen, c.validation.rows)[s] if c.validation.chosen else s


@njit(**INNER)
def _weight(c, s, like):
    """Return a row's weight."""
    if not c.validation.weight:
        return 1.0
    return np.float64(numbers_at(c.validation.weight, c.validation.data_rows, like)[_place(c, s)])


@njit(**INNER)
def _target(c, s, o, like):
    """Return a row's target of an output; that of its class is 1."""
    place, O, N = _place(c, s), c.outputs, c.validation.data_rows
    if c.validation.classes:
        return 1.0 if words_at(c.validation.classes, N)[place] == o else 0.0
    return np.float64(numbers_at(c.validation.t, N * O, like)[place * O + o])


@njit(**INNER)
def _prediction(c, s, o, like):
    O = c.outputs
    return np.float64(numbers_at(c.predictions, c.validation.rows * O, like)[s * O + o])


@njit(**INNER)
def _has_right_class(c, s, like):
    """Return whether the largest prediction, the first of equal ones, is that of the target."""
    predicted, right = 0, 0
    for o in range(1, c.outputs):
        if _prediction(c, s, o, like) > _prediction(c, s, predicted, like):
            predicted = o
        if _target(c, s, o, like) > _target(c, s, right, like):
            right = o
    return predicted == right


@njit(**INNER)
def _has_right_labels(c, s, like):
    """Return whether all predictions are on the targets' side of ½."""
    right = True
    for o in range(c.outputs):
        right = right and (_prediction(c, s, o, like) > 0.5) == (_target(c, s, o, like) > 0.5)
    return right


@njit(**INNER)
def _share_of_right_rows(c, like):
    by_class = c.score == Score.ACCURACY and c.outputs > 1
    right, total = 0.0, 0.0
    for s in range(c.validation.rows):
        weight = _weight(c, s, like)
        total += weight
        if _has_right_class(c, s, like) if by_class else _has_right_labels(c, s, like):
            right += weight
    return right / total


@njit(**INNER)
def _determination(c, o, like):
    """Return R² of an output."""
    first, sum_of_t, total, residual, spread = _target(c, 0, o, like), 0.0, 0.0, 0.0, 0.0
    for s in range(c.validation.rows):
        weight = _weight(c, s, like)
        total += weight
        sum_of_t += weight * (_target(c, s, o, like) - first)
    mean = sum_of_t / total
    for s in range(c.validation.rows):
        weight, t, y = _weight(c, s, like), _target(c, s, o, like), _prediction(c, s, o, like)
        residual += weight * (t - y) ** 2
        spread += weight * (t - first - mean) ** 2
    if residual == 0:
        return 1.0
    return 1 - residual / spread if spread > 0 else 0.0


def score_of_held_rows(context):
    """Return the score of the held-out rows, whose predictions are known."""
    c, like = fit_at(context), number(0)
    if c.score != Score.R2:
        return _share_of_right_rows(c, like)
    total, O = 0.0, c.outputs
    for o in range(O):
        total += _determination(c, o, like)
    return total / O


@cache
def score_address(F: type) -> int:
    """Return the address of `score_of_held_rows` for numbers of type F."""
    return address_of(score_of_held_rows, types.float64(types.intp), F.__name__, number=F)

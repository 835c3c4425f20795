"""The scores of validation rows, from their predictions: a loop for each score, by its name in `core.scores`.

One thread sums over the rows in their order, so the bits of a score do not depend on the number of threads.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import njit, types

from ..jit.arrays import numbers_at, words_at
from ..jit.fit_record import fit_at
from ..jit.machine_code import address_of
from ..jit.numba_options import INNER

number = float
"""A placeholder for the floating type, filled in by `address_of`."""


@njit(**INNER)
def _place(c, s):
    """Return the row number in the data of a validation row."""
    return words_at(c.validation.chosen, c.validation.rows)[s] if c.validation.chosen else s


@njit(**INNER)
def _weight(c, s, like):
    """Return a row's weight."""
    if not c.validation.weight:
        return 1.0
    return np.float64(numbers_at(c.validation.weight, c.validation.data_rows, like)[_place(c, s)])


@njit(**INNER)
def _target(c, s, o, like):
    """Return a row's target for an output; classes are one-hot."""
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
def _share_of_right_rows(c, by_class, like):
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


def _accuracy(context):
    c = fit_at(context)
    return _share_of_right_rows(c, c.outputs > 1, number(0))


def _subset_accuracy(context):
    return _share_of_right_rows(fit_at(context), False, number(0))


def _r2(context):
    c, like, total = fit_at(context), number(0), 0.0
    for o in range(c.outputs):
        total += _determination(c, o, like)
    return total / c.outputs


LOOPS: dict[str, Any] = {"accuracy": _accuracy, "subset_accuracy": _subset_accuracy, "r2": _r2}
"""The loop of each score that has one. Fits with another score run on the reference engine, by its formula."""


@cache
def score_address(name: str, F: type) -> int:
    """Return the address of a score's loop for numbers of type F."""
    return address_of(LOOPS[name], types.float64(types.intp), F.__name__, number=F)

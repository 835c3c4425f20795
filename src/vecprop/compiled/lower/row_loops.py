"""Loops over rows: scores, scaling of inputs, and shuffling."""

import ctypes
from functools import cache
from typing import Any

import numpy as np

from ...core import counter_rng
from ..jit import in_order, inner
from ..jit.addresses import numbers_at, part, words_at
from ..jit.fit_record import as_word, fit_at
from ..jit.machine_code import address_of
from ..jit.tracing import of_numbers
from .loops import count, mix

# Placeholders, filled in by `address_of`: the types of inputs and of scaling, and
# whether to multiply or divide.
number: Any = float
scaling_type: Any = float
multiplies = False


@inner
def _place(c, s):
    """Return the index of a validation row in the data."""
    return (
        words_at(c.validation.chosen, c.validation.rows)[s]
        if c.validation.chosen
        else s
    )


@inner
def _weight(c, s, like):
    """Return the weight of a row."""
    if not c.validation.weight:
        return 1.0
    return np.float64(
        numbers_at(c.validation.weight, c.validation.data_rows, like)[_place(c, s)]
    )


@inner
def _target(c, s, o, like):
    """Return the target of a row for an output; classes are one-hot encoded."""
    row = _place(c, s)
    O = c.outputs
    N = c.validation.data_rows
    if c.validation.classes:
        return 1.0 if words_at(c.validation.classes, N)[row] == o else 0.0
    return np.float64(numbers_at(c.validation.t, N * O, like)[row * O + o])


@inner
def _prediction(c, s, o, like):
    O = c.outputs
    return np.float64(numbers_at(c.predictions, c.validation.rows * O, like)[s * O + o])


@inner
def _has_right_class(c, s, like):
    """Return whether the class with the largest prediction, or the first of several, is the target."""
    predicted, right = 0, 0
    for o in range(1, c.outputs):
        if _prediction(c, s, o, like) > _prediction(c, s, predicted, like):
            predicted = o
        if _target(c, s, o, like) > _target(c, s, right, like):
            right = o
    return predicted == right


@inner
def _has_right_labels(c, s, like):
    """Return whether all predictions are on the same side of ½ as their targets."""
    right = True
    for o in range(c.outputs):
        right = right and (_prediction(c, s, o, like) > 0.5) == (
            _target(c, s, o, like) > 0.5
        )
    return right


@inner
def _share_of_right_rows(c, by_class, like):
    right, total = 0.0, 0.0
    for s in range(c.validation.rows):
        weight = _weight(c, s, like)
        total += weight
        if _has_right_class(c, s, like) if by_class else _has_right_labels(c, s, like):
            right += weight
    return right / total


@inner
def _determination(c, o, like):
    """Return R² of an output."""
    first = _target(c, 0, o, like)
    sum_of_t = 0.0
    total = 0.0
    residual = 0.0
    spread = 0.0
    for s in range(c.validation.rows):
        weight = _weight(c, s, like)
        total += weight
        sum_of_t += weight * (_target(c, s, o, like) - first)
    mean = sum_of_t / total
    for s in range(c.validation.rows):
        weight = _weight(c, s, like)
        t = _target(c, s, o, like)
        y = _prediction(c, s, o, like)
        residual += weight * (t - y) ** 2
        spread += weight * (t - first - mean) ** 2
    if residual == 0:
        return 1.0
    return 1 - residual / spread if spread > 0 else 0.0


def _accuracy(context) -> float:
    c = fit_at(context)
    return _share_of_right_rows(c, c.outputs > 1, number(0))


def _subset_accuracy(context) -> float:
    return _share_of_right_rows(fit_at(context), False, number(0))


def _r2(context) -> float:
    c = fit_at(context)
    like = number(0)
    total = 0.0
    for o in range(c.outputs):
        total += _determination(c, o, like)
    return total / c.outputs


LOOPS: dict[str, Any] = {
    "accuracy": _accuracy,
    "subset_accuracy": _subset_accuracy,
    "r2": _r2,
}
"""The loops of scores, by their names in `core.scores`. Each computes sums over the
rows in order, in one thread.

Fits with other scores run on the reference engine.
"""


@cache
def score_address(name: str, F: type) -> int:
    """Return the address of a score's loop for type F."""
    return address_of(LOOPS[name], F)


@in_order
def _scale_row(inputs, shift, scale, multiplies):
    """Scale a row, each input by its shift and scale. As in NumPy, the result of each operation is rounded."""
    rounded = inputs.dtype.type
    for k in range(inputs.size):
        if multiplies:
            inputs[k] = rounded(inputs[k] * scale[k]) + shift[k]
        else:
            inputs[k] = rounded(inputs[k] - shift[k]) / scale[k]


@in_order
def _scale_feature(inputs, shift, scale, multiplies):
    """Scale one feature of all rows, with the rounding of `_scale_row`."""
    rounded = inputs.dtype.type
    for s in range(inputs.size):
        if multiplies:
            inputs[s] = rounded(inputs[s] * scale) + shift
        else:
            inputs[s] = rounded(inputs[s] - shift) / scale


def scale(first, features, rows, by_rows, shifts, scales, tile):
    """Scale a tile of features x rows, or of rows x features if ``by_rows`` is set, starting at feature `first`."""
    I = features
    end = first + features
    feature_shifts = part(numbers_at(shifts, end, scaling_type(0)), first, end)
    feature_scales = part(numbers_at(scales, end, scaling_type(0)), first, end)
    inputs = numbers_at(tile, I * rows, number(0))
    if by_rows:
        for s in range(rows):
            _scale_row(
                part(inputs, s * I, (s + 1) * I),
                feature_shifts,
                feature_scales,
                multiplies,
            )
    else:
        for k in range(I):
            _scale_feature(
                part(inputs, k * rows, (k + 1) * rows),
                feature_shifts[k],
                feature_scales[k],
                multiplies,
            )


@cache
def scale_address(F: type, scaling_type: type, multiplies: bool) -> int:
    """Return the address of `scale` for inputs of type F and a type of scaling; see `calls.scale`."""
    suffix = f"_{scaling_type.__name__}_{'multiplied' if multiplies else 'divided'}"
    return address_of(
        scale, F, suffix, scaling_type=scaling_type, multiplies=multiplies
    )


_WORD = np.uint32(0)
_SHUFFLED = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 7)


_HALF = np.uint64(32)
_lead = of_numbers(lambda key: key >> _HALF)
_bucket = of_numbers(lambda key, n: ((key >> _HALF) * n) >> _HALF)
"""Return the bucket of a key: the range of keys is divided into n equal intervals."""


@inner
def _key(state, numbers, row):
    """Return the random key of a row, or of its global index if `numbers` is not 0."""
    return np.uint64(count(state, words_at(numbers, row + 1)[row] if numbers else row))


def shuffle(seed, epoch, n, numbers, keys, starts, order):
    """Write `core.counter_rng.permutation` to ``order``: the row indices, sorted by random keys.

    Keys are uniformly distributed. They are sorted into n buckets by their leading
    digits, followed by an insertion sort. Each key is computed twice, which is faster
    than storing it, and once more if the leading 32 bits of two keys are equal. The
    number of rows must be below 2**32, because buckets depend only on the leading 32
    bits.
    """
    keys = numbers_at(keys, n, _WORD)
    starts = numbers_at(starts, n + 1, _WORD)
    order = words_at(order, n)
    state = count(count(mix(seed), counter_rng.SHUFFLE), epoch)
    for bucket in range(n + 1):
        starts[bucket] = 0
    for row in range(n):
        starts[_bucket(_key(state, numbers, row), n) + 1] += 1
    for bucket in range(n):
        starts[bucket + 1] += starts[bucket]
    for row in range(n):
        key = _key(state, numbers, row)
        bucket = _bucket(key, n)
        position = starts[bucket]
        starts[bucket] = position + 1
        keys[position] = _lead(key)
        order[position] = row
    for i in range(1, n):
        key = keys[i]
        row = order[i]
        j = i - 1
        while j >= 0 and (
            keys[j] > key
            or (
                keys[j] == key
                and _key(state, numbers, order[j]) > _key(state, numbers, row)
            )
        ):
            keys[j + 1] = keys[j]
            order[j + 1] = order[j]
            j -= 1
        keys[j + 1], order[j + 1] = key, row


def order_of_part(seed: int, epoch: int, numbers: np.ndarray) -> np.ndarray:
    """Return the order of some rows of an epoch, given their global indices; rows are sorted by random keys."""
    n = len(numbers)
    numbers = np.ascontiguousarray(numbers, np.int64)
    keys = np.empty(n, np.uint32)
    starts = np.empty(n + 1, np.uint32)
    order = np.empty(n, np.int64)
    addresses = [array.ctypes.data for array in (numbers, keys, starts, order)]
    _SHUFFLED(shuffle_address())(as_word(seed), epoch, n, *addresses)
    return order


@cache
def shuffle_address() -> int:
    """Return the address of `shuffle`."""
    return address_of(shuffle, float)

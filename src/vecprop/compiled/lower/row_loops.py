"""Loops over rows: scores, scaling of inputs, and shuffling."""

import ctypes
from functools import cache
from typing import Any

import numpy as np

from ...core import counter_rng
from ..jit import in_order, inner
from ..jit.addresses import numbers_at, part, words_at
from ..jit.fit_record import as_word
from ..jit.machine_code import address_of
from ..jit.tracing import of_numbers
from .loops import count, mix

# Placeholders, filled in by `address_of`: the types of inputs and of scaling, and
# whether to multiply or divide.
number: Any = float
scaling_type: Any = float
multiplies = False


@inner
def _data_row(fit, s):
    """Return the index of validation row s in the data."""
    rows = fit.validation
    return words_at(rows.chosen, rows.rows)[s] if rows.chosen else s


@inner
def _weight(fit, s, like):
    """Return the weight of a row."""
    rows = fit.validation
    if not rows.weight:
        return 1.0
    weights = numbers_at(rows.weight, rows.data_rows, like)
    return np.float64(weights[_data_row(fit, s)])


@inner
def _target(fit, s, o, like):
    """Return the target of a row for an output; classes are one-hot encoded."""
    rows = fit.validation
    row = _data_row(fit, s)
    O = fit.outputs
    if rows.classes:
        return 1.0 if words_at(rows.classes, rows.data_rows)[row] == o else 0.0
    targets = numbers_at(rows.t, rows.data_rows * O, like)
    return np.float64(targets[row * O + o])


@inner
def _prediction(fit, s, o, like):
    O = fit.outputs
    predictions = numbers_at(fit.predictions, fit.validation.rows * O, like)
    return np.float64(predictions[s * O + o])


@inner
def _has_right_class(fit, s, like):
    """Return whether the class with the largest prediction, or the first of several, is the target."""
    predicted = 0
    right = 0
    for o in range(1, fit.outputs):
        if _prediction(fit, s, o, like) > _prediction(fit, s, predicted, like):
            predicted = o
        if _target(fit, s, o, like) > _target(fit, s, right, like):
            right = o
    return predicted == right


@inner
def _has_right_labels(fit, s, like):
    """Return whether all predictions are on the same side of ½ as their targets."""
    for o in range(fit.outputs):
        is_predicted = _prediction(fit, s, o, like) > 0.5
        if is_predicted != (_target(fit, s, o, like) > 0.5):
            return False
    return True


@inner
def _share_of_right_rows(fit, by_class, like):
    """Return the share of the weight of rows with the right class, or with all right labels."""
    right_weight = 0.0
    total = 0.0
    for s in range(fit.validation.rows):
        weight = _weight(fit, s, like)
        total += weight
        is_right = (
            _has_right_class(fit, s, like)
            if by_class
            else _has_right_labels(fit, s, like)
        )
        if is_right:
            right_weight += weight
    return right_weight / total


@inner
def _determination(fit, o, like):
    """Return R² of an output: 1 - Σ w (t - y)² / Σ w (t - mean)², with the mean of t weighted by w.

    Targets are shifted by the first one, so that large means do not cancel digits.
    """
    first = _target(fit, 0, o, like)
    sum_of_t = 0.0
    total = 0.0
    for s in range(fit.validation.rows):
        weight = _weight(fit, s, like)
        total += weight
        sum_of_t += weight * (_target(fit, s, o, like) - first)
    mean = sum_of_t / total
    residual = 0.0
    spread = 0.0
    for s in range(fit.validation.rows):
        weight = _weight(fit, s, like)
        t = _target(fit, s, o, like)
        y = _prediction(fit, s, o, like)
        residual += weight * (t - y) ** 2
        spread += weight * (t - first - mean) ** 2
    if residual == 0:
        return 1.0
    return 1 - residual / spread if spread > 0 else 0.0


def _accuracy(fit) -> float:
    return _share_of_right_rows(fit, fit.outputs > 1, number)


def _subset_accuracy(fit) -> float:
    return _share_of_right_rows(fit, False, number)


def _r2(fit) -> float:
    total = 0.0
    for o in range(fit.outputs):
        total += _determination(fit, o, number)
    return total / fit.outputs


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
    """Scale the inputs first to first + features - 1 of a tile of features x rows.

    If ``by_rows`` is set, the tile has rows x features. ``shifts`` and ``scales`` are
    the addresses of one number per input.
    """
    I = features
    end = first + features
    feature_shifts = part(numbers_at(shifts, end, scaling_type), first, end)
    feature_scales = part(numbers_at(scales, end, scaling_type), first, end)
    inputs = numbers_at(tile, I * rows, number)
    if by_rows:
        for s in range(rows):
            row = part(inputs, s * I, (s + 1) * I)
            _scale_row(row, feature_shifts, feature_scales, multiplies)
    else:
        for k in range(I):
            feature = part(inputs, k * rows, (k + 1) * rows)
            _scale_feature(feature, feature_shifts[k], feature_scales[k], multiplies)


@cache
def scale_address(F: type, scaling_type: type, multiplies: bool) -> int:
    """Return the address of `scale` for inputs of type F and a type of scaling; see `calls.scale`."""
    suffix = f"_{scaling_type.__name__}_{'multiplied' if multiplies else 'divided'}"
    return address_of(
        scale, F, suffix, scaling_type=scaling_type, multiplies=multiplies
    )


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
    keys = numbers_at(keys, n, np.uint32)
    starts = numbers_at(starts, n + 1, np.uint32)
    order = words_at(order, n)
    state = count(count(mix(seed), counter_rng.SHUFFLE), epoch)
    # The start of each bucket: the number of keys in the buckets before it.
    for bucket in range(n + 1):
        starts[bucket] = 0
    for row in range(n):
        starts[_bucket(_key(state, numbers, row), n) + 1] += 1
    for bucket in range(n):
        starts[bucket + 1] += starts[bucket]
    # Sort the rows into the buckets.
    for row in range(n):
        key = _key(state, numbers, row)
        bucket = _bucket(key, n)
        position = starts[bucket]
        starts[bucket] = position + 1
        keys[position] = _lead(key)
        order[position] = row
    # Sort the rows by insertion.
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
        keys[j + 1] = key
        order[j + 1] = row


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

"""Replace a pipeline's scaler by an affine map of columns, which scales rows lazily instead of copying them.

The results are bit-identical: the map is compared with the scaler on some rows.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from sklearn import get_config
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

from ...core.rows.selection import Scaling

LARGE = 2**23
"""Rows are scaled lazily if X has at least this many bytes; copies of smaller X are
cheap and faster to read.
"""

PART = 2**17
"""The number of entries of X that are copied at a time while a scaler is fitted."""

SOME = 1000
"""The number of rows that are used to compare a scaler with its map."""

MOST_CHUNKS = 64
"""The largest number of chunks of columns, because each one reads all rows."""


class MapNames(NamedTuple):
    """The attributes of a scaler with its shift and scale, and whether it multiplies; see `Scaling`."""

    shift: str
    scale: str
    multiplies: bool = False


_MAPS: dict[type, MapNames] = {
    StandardScaler: MapNames("mean_", "scale_"),
    RobustScaler: MapNames("center_", "scale_"),
    MaxAbsScaler: MapNames("", "scale_"),
    MinMaxScaler: MapNames("min_", "scale_", multiplies=True),
}


class ScalerStep(NamedTuple):
    """The scaler of a pipeline, and its position."""

    position: int
    scaler: Any


def scaler_of(pipeline: Pipeline) -> ScalerStep | None:
    """Return a pipeline's scaler if it is the only step before the model, and only scales."""
    steps = []
    for position, (_, step) in enumerate(pipeline.steps[:-1]):
        if step not in (None, "passthrough"):
            steps.append(ScalerStep(position, step))
    if len(steps) != 1 or type(steps[0].scaler) not in _MAPS:
        return None
    (scaler_step,) = steps
    scaler = scaler_step.scaler
    config = get_config()
    has_other_tasks = (
        # such as callbacks or set_output
        vars(scaler).keys() != scaler.get_params(deep=False).keys()
        or config["transform_output"] != "default"
        or config["enable_metadata_routing"]
        or pipeline.memory is not None
        or pipeline.verbose
    )
    if has_other_tasks or getattr(scaler, "clip", False):
        return None
    return scaler_step


def fitted_in_parts(scaler, X: ndarray, rows: ndarray):
    """Fit a scaler to some rows of X in small chunks, with results bit-identical to `fit`."""
    fitted: Any = clone(scaler)
    if isinstance(scaler, StandardScaler):
        return _standard_in_parts(fitted, X, rows)
    if isinstance(scaler, RobustScaler):
        return _by_columns(fitted, X, rows)
    for part in _parts(rows, X.shape[1]):
        fitted.partial_fit(X[part])  # minima and maxima do not depend on the chunks
    return fitted


def _parts(rows: ndarray, columns: int) -> list[ndarray]:
    """Split row indices into chunks."""
    return np.array_split(rows, max(len(rows) * columns // PART, 1))


def _by_columns(scaler, X: ndarray, rows: ndarray):
    """Fit a scaler to rows of X, a few columns at a time, because scalers make about five copies of their input.

    No chunk has a single column, because NumPy may then sum in another order.
    """
    I = X.shape[1]
    count = max(min(I // 2, X.size // PART, MOST_CHUNKS), 1)
    scalers = []
    for chunk in range(count):
        columns = X[:, I * chunk // count : I * (chunk + 1) // count]
        unfitted = clone(scaler)
        scalers.append(unfitted.fit(columns[rows]))
    fitted = scalers[0]
    for name, values in vars(fitted).items():
        if isinstance(values, ndarray) and values.ndim:  # one entry per column
            joined = np.concatenate([getattr(part, name) for part in scalers])
            setattr(fitted, name, joined)
    fitted.n_features_in_ = I
    return fitted


def _standard_in_parts(scaler, X: ndarray, rows: ndarray):
    """Fit a `StandardScaler` to rows of X by sums that are accumulated over chunks.

    The result for the first rows is compared with the scaler's result. If the bits
    differ, as with another release of scikit-learn or memory order of X, the scaler is
    fitted a few columns at a time instead.
    """
    sample = rows[:SOME]
    scaler.fit(X[sample])
    is_same = X.shape[1] > 1 and X.flags.c_contiguous
    for name, values in _moments(X, sample).items():
        fitted_values = getattr(scaler, name)
        if fitted_values is not None and not np.array_equal(fitted_values, values):
            is_same = False
    if not is_same:
        return _by_columns(scaler, X, rows)
    for name, values in _moments(X, rows).items():
        if getattr(scaler, name) is not None:
            setattr(scaler, name, values)
    scaler.n_samples_seen_ = type(scaler.n_samples_seen_)(len(rows))
    return scaler


def _moments(X: ndarray, rows: ndarray) -> dict[str, ndarray]:
    """Return the mean, variance and scale of each column, computed as by `StandardScaler`.

    The variance is Σ (x - mean)² / N minus the square of Σ (x - mean) / N, which
    corrects the rounding of the mean. Sums are continued in the next chunk as its first
    row, so that numbers are added in the same order as in one sum of all rows.
    """
    N, I = len(rows), X.shape[1]
    parts = _parts(rows, 4 * I)  # four arrays of a chunk exist at once
    total = np.zeros((1, I))
    for part in parts:
        total = _sum([total, X[part]])
    mean = total[0] / N
    deviations = np.zeros((1, I))
    squares = np.zeros((1, I))
    for part in parts:
        deviation = X[part] - mean
        deviations = _sum([deviations, deviation])
        squares = _sum([squares, deviation**2])
    variance = (squares[0] - deviations[0] ** 2 / N) / N
    epsilon = np.finfo(float).eps
    rounding_error = N * epsilon * variance + (N * mean * epsilon) ** 2
    scale = np.where(variance <= rounding_error, 1.0, np.sqrt(variance))
    return {"mean_": mean, "var_": variance, "scale_": scale}


def _sum(arrays: list[ndarray]) -> ndarray:
    """Return the sum of the rows of all arrays, (1, I)."""
    return np.concatenate(arrays).sum(axis=0, keepdims=True)


def scaling_of(scaler, rows: ndarray) -> Scaling | None:
    """Return the map of a fitted scaler, or None if the map is not finite and bit-identical on these rows.

    Some scalers compute in the dtype of X, others in float64.
    """
    names = _MAPS[type(scaler)]
    columns = rows.shape[1]
    shift = np.zeros(columns)
    # without centering, the scaler has a mean that it does not use
    if getattr(scaler, "with_mean", True):
        shift = _vector(scaler, names.shift, shift)
    scale = _vector(scaler, names.scale, np.ones(columns))
    with np.errstate(over="ignore"):
        scaled = scaler.transform(rows)
        if not np.isfinite(scaled).all():
            return None
        for dtype in (rows.dtype, np.float64):
            scaling = Scaling(
                shift.astype(dtype), scale.astype(dtype), names.multiplies
            )
            if np.array_equal(scaling(rows), scaled):
                return scaling
    return None


def _vector(scaler, name: str, default: ndarray) -> ndarray:
    """Return an attribute with one entry per column, or the default if a scaler lacks the attribute."""
    values = getattr(scaler, name, None)
    return default if values is None else values

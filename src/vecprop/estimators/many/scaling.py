"""Replace a pipeline's scaler by an affine map of columns, which scales rows lazily instead of copying them.

The results are bit-identical: the map is compared with the scaler on some rows.
"""

from typing import Any

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

_MAPS: dict[type, tuple[str, str, bool]] = {
    StandardScaler: ("mean_", "scale_", False),
    RobustScaler: ("center_", "scale_", False),
    MaxAbsScaler: ("", "scale_", False),
    MinMaxScaler: ("min_", "scale_", True),
}
"""The attributes of each scaler with its shift and scale, and whether it multiplies;
see `Scaling`.
"""


def scaler_of(pipeline: Pipeline) -> tuple[int, Any] | None:
    """Return the position of a pipeline's scaler and the scaler if it is the only step before the model."""
    steps = [(position, step) for position, (_, step) in enumerate(pipeline.steps[:-1])]
    steps = [
        (position, step)
        for position, step in steps
        if step not in (None, "passthrough")
    ]
    if len(steps) != 1 or type(steps[0][1]) not in _MAPS:
        return None
    scaler = steps[0][1]
    # no callbacks or set_output
    has_only_settings = vars(scaler).keys() == scaler.get_params(deep=False).keys()
    config = get_config()
    is_plain = (
        config["transform_output"] == "default"
        and not config["enable_metadata_routing"]
    )
    is_quiet = pipeline.memory is None and not pipeline.verbose
    clips = getattr(scaler, "clip", False)
    return (
        steps[0] if has_only_settings and is_plain and is_quiet and not clips else None
    )


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
    count = max(min(I // 2, X.size // PART, 64), 1)
    parts = []
    for part in range(count):
        columns = X[:, I * part // count : I * (part + 1) // count]
        unfitted: Any = clone(scaler)
        parts.append(unfitted.fit(columns[rows]))
    fitted = parts[0]
    for name, values in vars(fitted).items():
        if isinstance(values, ndarray) and values.ndim:
            setattr(
                fitted, name, np.concatenate([getattr(part, name) for part in parts])
            )
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
        fitted = getattr(scaler, name)
        is_same = is_same and (fitted is None or np.array_equal(fitted, values))
    if not is_same:
        return _by_columns(scaler, X, rows)
    for name, values in _moments(X, rows).items():
        if getattr(scaler, name) is not None:
            setattr(scaler, name, values)
    scaler.n_samples_seen_ = type(scaler.n_samples_seen_)(len(rows))
    return scaler


def _moments(X: ndarray, rows: ndarray) -> dict[str, Any]:
    """Return the mean, variance and scale of each column, computed as by `StandardScaler`.

    The variance is Σ (x - mean)² / N minus the square of Σ (x - mean) / N, which
    corrects the rounding of the mean.
    """
    N, I = len(rows), X.shape[1]
    total, deviations, squares = np.zeros((3, 1, I))
    parts = _parts(rows, 4 * I)  # four arrays of a chunk exist at once
    for part in parts:
        # in the same order as one sum of all rows
        total = np.concatenate([total, X[part]]).sum(axis=0, keepdims=True)
    mean = total[0] / N
    for part in parts:
        deviation = X[part] - mean
        deviations = np.concatenate([deviations, deviation]).sum(axis=0, keepdims=True)
        squares = np.concatenate([squares, deviation**2]).sum(axis=0, keepdims=True)
    variance = (squares[0] - deviations[0] ** 2 / N) / N
    epsilon = np.finfo(float).eps
    # within rounding error
    is_constant = variance <= N * epsilon * variance + (N * mean * epsilon) ** 2
    scale = np.where(is_constant, 1.0, np.sqrt(variance))
    return {"mean_": mean, "var_": variance, "scale_": scale}


def scaling_of(scaler, rows: ndarray) -> Scaling | None:
    """Return the map of a fitted scaler, or None if the map is not finite and bit-identical on these rows.

    Some scalers compute in the dtype of X, others in float64.
    """
    shift_name, scale_name, multiplies = _MAPS[type(scaler)]
    shift = np.zeros(rows.shape[1])
    # without centering, the scaler has a mean that it does not use
    if getattr(scaler, "with_mean", True):
        shift = _vector(scaler, shift_name, shift)
    scale = _vector(scaler, scale_name, np.ones(rows.shape[1]))
    with np.errstate(over="ignore"):
        scaled = scaler.transform(rows)
        if not np.isfinite(scaled).all():
            return None
        for dtype in (rows.dtype, np.float64):
            scaling = Scaling(shift.astype(dtype), scale.astype(dtype), multiplies)
            if np.array_equal(scaling(rows), scaled):
                return scaling
    return None


def _vector(scaler, name: str, default: ndarray) -> ndarray:
    """Return an attribute with one entry per column, or the default if a scaler lacks the attribute."""
    values = getattr(scaler, name, None)
    return default if values is None else values

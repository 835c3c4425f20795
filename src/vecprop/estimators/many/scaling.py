"""A pipeline's scaler as an affine map of columns: rows are then scaled as they are read, and no copy of them is kept.

The bits are those of the scaler: what it does to some rows is compared with the map.
"""

from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from ...core.rows.selection import Scaling

LARGE = 2**23
"""The bytes of X from which rows are scaled as they are read: copies of fewer take little, and are read faster."""

PART = 2**17
"""The numbers of X that are copied at a time while a scaler is fitted."""

SOME = 1000
"""The number of rows on which a scaler is compared with what stands for it."""

_MAPS: dict[type, tuple[str, str, bool]] = {
    StandardScaler: ("mean_", "scale_", False),
    RobustScaler: ("center_", "scale_", False),
    MaxAbsScaler: ("", "scale_", False),
    MinMaxScaler: ("min_", "scale_", True),
}
"""For each scaler the attributes of shift and scale, and whether it multiplies; see `Scaling`."""


def scaler_of(pipeline: Pipeline) -> tuple[int, Any] | None:
    """Return the place of a pipeline's scaler and the scaler, if it is all that is before the model."""
    steps = [(place, step) for place, (_, step) in enumerate(pipeline.steps[:-1]) if step not in (None, "passthrough")]
    if len(steps) != 1 or type(steps[0][1]) not in _MAPS:
        return None
    scaler, config = steps[0][1], get_config()
    has_settings_alone = vars(scaler).keys() == scaler.get_params(deep=False).keys()  # no callbacks, no frames
    plain = config["transform_output"] == "default" and not config["enable_metadata_routing"]
    quiet = pipeline.memory is None and not pipeline.verbose
    return steps[0] if has_settings_alone and plain and quiet and not getattr(scaler, "clip", False) else None


def fitted_in_parts(scaler: Any, X: np.ndarray, rows: np.ndarray) -> Any:
    """Return the scaler fitted to some rows of X, of which few numbers are copied at a time, with the bits of `fit`."""
    own: Any = clone(scaler)
    if isinstance(scaler, StandardScaler):
        return _standard_in_parts(own, X, rows)
    if isinstance(scaler, RobustScaler):
        return _by_columns(own, X, rows)
    for some in _parts(rows, X.shape[1]):
        own.partial_fit(X[some])  # least and greatest numbers do not depend on the parts
    return own


def _parts(rows: np.ndarray, columns: int) -> list[np.ndarray]:
    """Return the numbers of rows in parts."""
    return np.array_split(rows, max(len(rows) * columns // PART, 1))


def _by_columns(scaler: Any, X: np.ndarray, rows: np.ndarray) -> Any:
    """Return a scaler fitted to rows of X, some columns after others; it makes about five copies of them.

    No part has a single column, whose sums NumPy may add up in another order.
    """
    I, most = X.shape[1], 64
    count = max(min(I // 2, X.size // PART, most), 1)
    unfitted: list[Any] = [clone(scaler) for _ in range(count)]
    parts = [own.fit(X[:, I * part // count : I * (part + 1) // count][rows]) for part, own in enumerate(unfitted)]
    fitted = parts[0]
    for name, values in vars(fitted).items():
        if isinstance(values, np.ndarray) and values.ndim:
            setattr(fitted, name, np.concatenate([getattr(part, name) for part in parts]))
    fitted.n_features_in_ = I
    return fitted


def _standard_in_parts(scaler: Any, X: np.ndarray, rows: np.ndarray) -> Any:
    """Return a scaler fitted to rows of X by sums that go on from part to part.

    The scaler itself tells the bits that sums of its first rows should have. If they are others, which other releases
    of scikit-learn may have, and X in another order has, it is fitted to some columns after others.
    """
    some = rows[:SOME]
    scaler.fit(X[some])
    moments = _moments(X, some)
    is_same = X.shape[1] > 1 and X.flags.c_contiguous
    for name, values in moments.items():
        known = getattr(scaler, name)
        is_same = is_same and (known is None or np.array_equal(known, values))
    if not is_same:
        return _by_columns(scaler, X, rows)
    for name, values in _moments(X, rows).items():
        if getattr(scaler, name) is not None:
            setattr(scaler, name, values)
    scaler.n_samples_seen_ = type(scaler.n_samples_seen_)(len(rows))
    return scaler


def _moments(X: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    """Return the mean, variance and scale of each column as `StandardScaler` has them.

    The variance is Σ (x - mean)² / N, less the square of Σ (x - mean) / N, which rounding of the mean leaves.
    """
    N, I = len(rows), X.shape[1]
    total, rest, squares = np.zeros((3, 1, I))
    parts = _parts(rows, 4 * I)  # of which there are four arrays at once
    for some in parts:
        total = np.concatenate([total, X[some]]).sum(axis=0, keepdims=True)  # row by row, as all of them at once
    mean = total[0] / N
    for some in parts:
        deviation = X[some] - mean
        rest = np.concatenate([rest, deviation]).sum(axis=0, keepdims=True)
        squares = np.concatenate([squares, deviation**2]).sum(axis=0, keepdims=True)
    variance = (squares[0] - rest[0] ** 2 / N) / N
    epsilon = np.finfo(float).eps
    is_constant = variance <= N * epsilon * variance + (N * mean * epsilon) ** 2  # up to the rounding of the variance
    scale = np.where(is_constant, 1.0, np.sqrt(variance))
    return {"mean_": mean, "var_": variance, "scale_": scale}


def scaling_of(scaler: Any, rows: np.ndarray) -> Scaling | None:
    """Return the map of a fitted scaler, or None if what it does to these rows is not finite or has other bits.

    Some scalers compute in the type of X, others in float64.
    """
    shift, scale, multiplies = _MAPS[type(scaler)]
    shifts = getattr(scaler, "with_mean", True)  # or else the mean is known, but not used
    own, I = (getattr(scaler, shift, None) if shifts else None, getattr(scaler, scale)), rows.shape[1]
    vectors = [np.full(I, float(none)) if values is None else values for values, none in zip(own, (0, 1), strict=True)]
    with np.errstate(over="ignore"):
        scaled = scaler.transform(rows)
        for dtype in (rows.dtype, np.float64):
            offset, factor = (values.astype(dtype) for values in vectors)
            scaling = Scaling(offset, factor, multiplies)
            if np.isfinite(scaled).all() and np.array_equal(scaling(rows), scaled):
                return scaling
    return None

"""Validate theta, inputs, targets and weights once per call. Each error is one sentence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Self, TypeAlias

import numpy as np
from numpy import ndarray

from ...system.threads import run_in_parallel, usable_threads
from ..elementary import Array, is_of, namespace, real
from ..losses import Loss
from .selection import PART, Expansion, Scaling, Selection

Network: TypeAlias = Any
"""A `network.Network`; importing the class here would be circular."""

MANY = 2**20
"""Arrays of at least this size are checked by sums of squares instead of per element.
This is a quarter faster, and twice as fast for arrays larger than the cache.
"""

SQUARES_PER_SUM = 4096
"""Longer sums may start BLAS threads, which then spin and slow other threads down."""

ELEMENTS_PER_THREAD = 2**21
"""The minimum number of elements per thread. One thread cannot use the full memory
bandwidth, but starting another takes time.
"""

AS_READ = 2**24
"""Arrays with at least this many elements are converted lazily; a full copy would
take at least 64 MB in float32.
"""


def is_converted_as_read(X, dtype: np.dtype) -> bool:
    """Return whether X is converted lazily: it is large, and its dtype or memory order must change."""
    if not isinstance(X, ndarray) or X.ndim != 2 or X.size < AS_READ:
        return False
    if X.dtype == dtype and X.flags.c_contiguous:
        return False
    is_number = X.dtype.kind in "biu" or (
        X.dtype.kind == "f" and X.dtype.itemsize in (4, 8)
    )
    return is_number and X.dtype.isnative and X.flags.aligned and min(X.strides) > 0


@dataclass(frozen=True, eq=False)
class Batch:
    """Validated rows, in the array library and dtype of the network's parameters."""

    X: Array
    T: Array
    weight: Array | None = None
    chosen: ndarray | None = None
    scaling: Scaling | None = None
    expansion: Expansion | None = None
    converted: np.dtype | None = None

    @property
    def rows(self) -> int:
        """The number of rows, N."""
        return self.X.shape[-2] if self.chosen is None else len(self.chosen)

    @property
    def of_classes(self) -> bool:
        """Whether the targets are integer classes."""
        return is_of("integral", self.T)

    @property
    def members(self) -> tuple[int, ...]:
        """The broadcast leading axes of inputs, targets and weights."""
        axes_of_targets = self.T.shape[: -1 if self.of_classes else -2]
        members = _common_members("X", self.X.shape[:-2], "T", axes_of_targets)
        if self.weight is None:
            return members
        return _common_members("", members, "", self.weight.shape[:-1])

    def require_finite_inputs(self):
        """Raise a ValueError if X contains NaN or infinity."""
        if self.converted is None:
            _require_finite(self.X)
            return
        size = max(PART // self.X.shape[1], 1)
        for start in range(0, len(self.X), size):  # convert a few rows at a time
            # values too large for the dtype become infinite
            with np.errstate(over="ignore"):
                part = self.X[start : start + size].astype(self.converted)
            _require_finite(part, first=start)

    @property
    def chosen_weight(self) -> Array | None:
        """The weights of the chosen rows, without leading axes, or None if all are 1."""
        if self.weight is None or self.chosen is None:
            return self.weight
        return self.weight[self.chosen]

    def take(self, rows) -> Self:
        """Return the rows with these indices as a batch of plain arrays, converted and transformed."""
        xp = namespace(self.X)
        if self.chosen is not None:  # the indices count the chosen rows
            rows = self.chosen[rows]
        index = xp.asarray(rows, device=self.X.device)
        X = xp.take(self.X, index, axis=-2)
        if self.converted is not None:
            X = X.astype(self.converted, order="C")
        transform = self.scaling or self.expansion
        if transform is not None:
            X = transform(X)
        T = xp.take(self.T, index, axis=-1 if self.of_classes else -2)
        weight = self.weight
        if weight is not None:
            weight = xp.take(weight, index, axis=-1)
        return type(self)(X, T, weight)

    def gathered(self) -> Self:
        """Return the chosen rows as a batch of plain arrays."""
        steps = (self.chosen, self.scaling, self.expansion, self.converted)
        if all(step is None for step in steps):
            return self
        return self.take(np.arange(self.rows))


def checked_theta(network, theta):
    """Validate theta and return it as an array."""
    layout = getattr(network, "layout", None)
    if layout is None:
        raise TypeError(f"network must be a Network, got {type(network).__name__}.")
    theta = _as_array(theta, "theta")
    if not is_of(("real floating", "complex floating"), theta):
        raise TypeError(
            f"theta has dtype {theta.dtype}, but parameters must be floating-point"
            " numbers: convert it, for example with theta.astype(float)."
        )
    if theta.ndim == 0 or theta.shape[-1] != layout.size:
        parts = ", ".join(f"{tensor} {tensor.shape}" for tensor in layout.tensors)
        raise ValueError(
            f"theta has shape {tuple(theta.shape)}, but this network takes (*M,"
            f" {layout.size}): {parts or 'no parameters'}."
        )
    _require_finite(theta, "theta", layout=layout)
    return theta


def require_writable(theta):
    """Raise a TypeError if the arrays of theta's library are immutable, as in JAX."""
    from array_api_compat import is_writeable_array

    if not is_writeable_array(theta):
        library = type(theta).__module__.partition(".")[0]
        raise TypeError(
            f"theta is an immutable array of {library}, but gradients and training need"
            " mutable ones: pass np.asarray(theta); only losses and predictions accept"
            " immutable arrays."
        )


def checked_rows(network, theta, X, finite: bool = True):
    """Validate X and return it in theta's array library and precision."""
    X = _as_numbers(X, "X", theta)
    # only one of the two is complex, and PyTorch's @ does not mix dtypes
    if X.dtype != theta.dtype:
        X = namespace(theta).astype(X, namespace(theta).result_type(X, theta))
    if X.ndim < 2 or X.shape[-1] != network.inputs:
        hint = ""
        if X.ndim == 1 and X.shape[0] == network.inputs:
            hint = ": a single row is X[None, :]"
        raise ValueError(
            f"X has shape {tuple(X.shape)}, but {_what_is_taken(network)}{hint}."
        )
    if finite:
        _require_finite(X)
    _common_members("theta", theta.shape[:-1], "X", X.shape[:-2])
    return X


def _require_finite(array, name: str = "X", first: int = 0, layout=None):
    """Raise if an entry of rows, or of parameters with a layout, is not finite.

    ``first`` is the index of the first row.
    """
    if prod(array.shape) >= MANY and _squares_are_finite(array):
        return
    index = _first_false(namespace(array).isfinite(array))
    if index is None:
        return
    value = _plain(array[index])
    if layout is None:
        *members, row, column = index
        raise ValueError(
            f"{name} is not finite: {_row([*members, first + row])}, column {column} is"
            f" {value}; fill or drop it."
        )
    *members, number = index
    parameter = layout.locate(number)
    if members:
        parameter += f" of member {_entry(members)}"
    raise ValueError(f"{name} is not finite: {parameter} is {value}.")


def _what_is_taken(network) -> str:
    return (
        f"layer 0 ({type(network.layers[0]).__name__}) takes (*M, N, {network.inputs})"
    )


def checked_batch(
    network,
    theta,
    X,
    T,
    sample_weight,
    finite: bool = True,
    as_read: bool = False,
) -> Batch:
    """Validate inputs, targets and weights, and return them as a `Batch`.

    If ``as_read`` is true, a large X is converted lazily, see `is_converted_as_read`.
    """
    source = Selection(X)
    if isinstance(X, Selection):
        source = X
        finite = False  # the rows were validated before
    X = source.X
    converted = None
    if source.expansion is None:
        if (
            as_read
            and isinstance(theta, ndarray)
            and is_converted_as_read(X, theta.dtype)
        ):
            X = np.asarray(X)
            converted = theta.dtype
            checked_rows(
                network,
                theta,
                np.broadcast_to(theta.dtype.type(0), X.shape),
                finite=False,
            )
        else:
            X = checked_rows(network, theta, X, finite)
    if X.shape[-2] == 0:
        raise ValueError(
            f"X has no rows: its shape is {tuple(X.shape)}, and"
            f" {_what_is_taken(network)} with N at least 1."
        )
    members = _common_members("theta", theta.shape[:-1], "X", X.shape[:-2])
    T = _checked_targets(network.loss_function, T, X, network.outputs, theta)
    members = _common_members(
        "theta and X", members, "T", T.shape[: -1 if is_of("integral", T) else -2]
    )
    weight = None
    if sample_weight is not None:
        weight = _checked_weight(sample_weight, X, theta, network.reduction)
        _common_members("theta, X and T", members, "sample_weight", weight.shape[:-1])
    batch = Batch(
        X, T, weight, source.rows, source.scaling, source.expansion, converted
    )
    if finite and converted is not None:
        batch.require_finite_inputs()
    if source.rows is not None:
        require_weight(batch, network.reduction)
    return batch


def require_weight(batch: Batch, reduction: str):
    """Raise a ValueError if all chosen rows of a batch have weight 0."""
    weight = batch.chosen_weight
    if reduction == "mean" and weight is not None and not weight.any():
        raise ValueError(
            "sample_weight is 0 in every selected row, so the weighted mean is"
            " undefined: give at least one row a positive weight."
        )


def _checked_targets(loss: Loss, T, X, outputs: int, theta):
    rows = X.shape[-2]
    takes_classes = getattr(loss, "takes_classes", False)
    raw = _as_array(T, "T", theta)
    if raw.dtype == object and _is_nullable(T):
        raw = _without_missing(T)
    has_number_per_row = raw.shape[-1:] == (rows,) and tuple(raw.shape[-2:]) != (
        rows,
        outputs,
    )
    if takes_classes and has_number_per_row and is_of("integral", raw):
        index = _first_false((raw >= 0) & (outputs > raw))
        if index is None:
            return raw
        raise ValueError(
            f"T has class {int(raw[index])} in {_row(index)}, but {outputs} outputs"
            f" take the classes 0 to {outputs - 1}."
        )
    T = _as_numbers(raw, "T", theta)
    if T.ndim == 1 and outputs == 1:
        T = T[:, None]
    if tuple(T.shape[-2:]) != (rows, outputs):
        shapes = f"(*M, {rows}, {outputs})"
        if takes_classes:
            shapes += f" or integer classes (*M, {rows})"
        elif outputs == 1:
            shapes += f" or ({rows},)"
        raise ValueError(
            f"T has shape {tuple(raw.shape)} and dtype {raw.dtype}, but"
            f" {type(loss).__name__} on {outputs} outputs and {rows} rows takes"
            f" {shapes}."
        )
    _require_finite(T, "T")
    if not isinstance(loss, Loss):
        return T
    wrong_targets = loss.wrong_targets(T)
    if wrong_targets is not None:
        is_wrong, rule = wrong_targets
        index = _first_false(~is_wrong)
        if index is not None:
            raise ValueError(
                f"{rule}, but {_row(index[:-1])} of T is"
                f" {_plain(T[(*index[:-1], ...)])}."
            )
    return loss.exact_targets(T)


def _checked_weight(sample_weight, X, theta, reduction: str):
    weight = _as_numbers(sample_weight, "sample_weight", theta)
    xp = namespace(weight)
    if weight.ndim == 0 or weight.shape[-1] != X.shape[-2]:
        raise ValueError(
            f"sample_weight has shape {tuple(weight.shape)}, but X has {X.shape[-2]}"
            f" rows: pass shape (*M, {X.shape[-2]})."
        )
    limits = xp.finfo(weight.dtype)
    # the inverse of smaller numbers would be infinite
    tiny = float(limits.smallest_normal)
    conditions = {
        "finite and at least 0": xp.isfinite(weight) & (weight >= 0),
        f"0 or at least {tiny:.2g}, the smallest normal number of {weight.dtype}": (
            (weight == 0) | (weight >= tiny)
        ),
    }
    for needed, is_met in conditions.items():
        index = _first_false(is_met)
        if index is not None:
            raise ValueError(
                f"sample_weight is {float(weight[index])} in {_row(index)}: weights"
                f" must be {needed}."
            )
    largest = float(xp.max(weight))
    if largest > float(limits.max) / weight.shape[-1]:
        raise ValueError(
            f"sample_weight is up to {largest}, so its sum could overflow: scale the"
            " weights down."
        )
    if reduction == "mean" and bool(xp.any(xp.sum(weight, axis=-1) == 0)):
        raise ValueError(
            "sample_weight is 0 in every row, so the weighted mean is undefined: give"
            " at least one row a positive weight."
        )
    return weight


def _as_array(values, name: str, like=None):
    """Return the values as an array, in the library of ``like``."""
    library = type(values).__module__.partition(".")[0]
    try:
        if like is not None:
            return namespace(like).asarray(values, device=like.device)
        if hasattr(values, "__array_namespace__") or library in ("torch", "cupy"):
            return values
        return np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} is not an array of numbers with rows of equal length: {error}."
        ) from None


def _as_numbers(values, name: str, theta):
    """Convert the values to theta's library and real precision; complex values stay complex."""
    array = _as_array(values, name, theta)
    if array.dtype == theta.dtype or is_of("complex floating", array):
        return array
    xp = namespace(theta)
    dtype = real(theta).dtype
    if is_of(("bool", "integral", "real floating"), array):
        return xp.astype(array, dtype)
    if _is_nullable(values):
        return xp.asarray(_without_missing(values), dtype=dtype, device=theta.device)
    if array.ndim == 0 and array[()] is None:
        raise TypeError(f"{name} is None: pass an array of numbers.")
    advice = "encode text and categories first"
    if isinstance(values, Iterator):
        advice = f"an iterator can be read only once, so pass list({name})"
    if hasattr(values, "tocsr"):
        advice = f"it is a sparse matrix, so pass {name}.toarray(), or use an estimator"
    raise TypeError(f"{name} has dtype {array.dtype}, but must be numeric: {advice}.")


def _is_nullable(values) -> bool:
    """Return whether the values are a numeric pandas object; NumPy reads its nullable dtypes as objects."""
    if not hasattr(values, "dtypes"):
        return False
    dtypes = [values.dtypes] if getattr(values, "ndim", 0) == 1 else values.dtypes
    return all(getattr(dtype, "kind", "O") in "biuf" for dtype in dtypes)


def _without_missing(values) -> ndarray:
    """Convert nullable pandas values to integers if they are classes, else to floats with NaN for missing values."""
    numbers = values.to_numpy(float, na_value=np.nan)
    are_whole = (
        values.ndim == 1 and values.dtype.kind in "iu" and not np.isnan(numbers).any()
    )
    return values.to_numpy(np.int64) if are_whole else numbers


def _common_members(
    first: str, a: tuple[int, ...], second: str, b: tuple[int, ...]
) -> tuple[int, ...]:
    if a == b:
        return tuple(a)
    try:
        return np.broadcast_shapes(tuple(a), tuple(b))
    except ValueError:
        raise ValueError(
            f"{first} has the leading axes {tuple(a)} and {second} {tuple(b)}: they"
            " must be equal, 1 or absent."
        ) from None


def _squares_are_finite(array) -> bool:
    """Return whether sums of squares are finite, which implies that all numbers are finite."""
    numbers = namespace(array).reshape(array, (-1,))
    threads = 1
    if isinstance(array, ndarray):
        threads = min(usable_threads(), len(numbers) // ELEMENTS_PER_THREAD)
    if threads <= 1:
        return _sums_are_finite(numbers)
    parts = np.array_split(numbers, threads)
    are_finite = [False] * threads

    def check(thread: int):
        are_finite[thread] = _sums_are_finite(parts[thread])

    try:
        run_in_parallel(check, threads)
    except RuntimeError:  # Python cannot start threads while it shuts down
        return _sums_are_finite(numbers)
    return all(are_finite)


def _sums_are_finite(numbers) -> bool:
    xp = namespace(numbers)
    end = numbers.shape[0] // SQUARES_PER_SUM * SQUARES_PER_SUM
    rows = xp.reshape(numbers[:end], (-1, SQUARES_PER_SUM))
    with np.errstate(over="ignore"):
        for part in (rows, numbers[end:]):
            if not xp.all(xp.isfinite(xp.vecdot(part, part))):
                return False
    return True


def _first_false(mask) -> tuple[int, ...] | None:
    xp = namespace(mask)
    # np.all takes twice as long as the method
    if mask.all() if xp is np else xp.all(mask):
        return None
    return tuple(int(axis[0]) for axis in xp.nonzero(~mask))


def _plain(values):
    return values.tolist() if hasattr(values, "tolist") else values


def _entry(index: Sequence[int]) -> str:
    return str(index[0]) if len(index) == 1 else str(tuple(index))


def _row(index: Sequence[int]) -> str:
    *member, row = index
    return f"member {_entry(member)}, row {row}" if member else f"row {row}"

"""The members of a population, their shared data, and their results, which are created on access."""

import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self, get_args, overload

import numpy as np
from numpy import ndarray

from ..core import (
    Array,
    Batch,
    Network,
    Score,
    Selection,
    SuggestsKeywords,
    checked_theta,
)
from ..optimize import (
    CURVES,
    LBFGS,
    EarlyStopping,
    Optimizer,
    Schedule,
    TrainingLoss,
    TrainingSettings,
)
from ..system.extras import imported
from ..system.suggestions import SuggestsNames
from ..system.versions import Versioned
from .progress import MemberProgress
from .state import History, Reason, TrainingResult, TrainingState

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Member(SuggestsKeywords):
    """One network of a population, with its settings and rows.

    Parameters
    ----------
    network : Network
        The network.
    theta : ndarray (P,) or int
        The initial parameters, or a seed for ``network.init``. The array is not
        changed. The process that trains the member draws the parameters from the seed,
        in float32 if X is float32, and otherwise in float64.
    optimizer : Optimizer or LBFGS
        The optimizer.
    rows : ndarray of int, optional
        The indices of the rows of X to train on. By default, the member is trained on
        all rows.
    validation_rows : ndarray of int, optional
        The indices of the validation rows. The loss and the score of these rows are
        measured after each epoch.
    X, T : ndarray, optional
        Data that replace the data of the population, for example a fold with separate
        preprocessing. Several members may use the same arrays. The arrays are not
        copied.
    sample_weight : ndarray (N,), optional
        The weights of all rows of X, instead of the population's weights.
    keeps_predictions : bool, default False
        Whether to store the predictions of the validation rows after each epoch in the
        history.
    metric : callable, optional
        A function that returns a score, given the predictions of the validation rows.
        Early stopping then monitors this score instead of the validation loss, and the
        history has the negative scores as validation losses. Such members are trained
        one after the other.
    epochs, batch_size, shuffle, seed, validation_score, training_loss, schedule,
    early_stopping, clip_norm
        See `train`.

    Examples
    --------
    Five members for 5-fold cross-validation; each is validated on the fold that it is
    not trained on:

    >>> network, X = Network(1, [Dense(1)], SquaredError()), np.linspace(-1, 1, 20)[:, None]
    >>> rows, members = np.arange(20), []
    >>> for k in range(5):
    ...     left = rows % 5 == k
    ...     members.append(
    ...         Member(network, np.zeros(2), Momentum(0.1), rows=rows[~left], validation_rows=rows[left], epochs=100)
    ...     )
    >>> results = train_population(members, X, 3 * X + 1)
    >>> bool(max(result.history.validation_loss[-1] for result in results) < 1e-3)
    True
    """

    network: Network
    theta: Array | int
    optimizer: Optimizer | LBFGS
    rows: ndarray | None = None
    validation_rows: ndarray | None = None
    X: ndarray | Selection | None = None
    T: ndarray | None = None
    sample_weight: ndarray | None = None
    epochs: int = 300
    batch_size: int | None = None
    shuffle: bool = True
    seed: int = 0
    validation_score: Score | None = None
    training_loss: TrainingLoss = "auto"
    schedule: Schedule | None = None
    early_stopping: EarlyStopping | None = None
    clip_norm: float | None = None
    keeps_predictions: bool = False
    metric: Callable[[ndarray], float] | None = None

    @property
    def _settings(self) -> TrainingSettings:
        """The member's settings for `train`."""
        return TrainingSettings(**{name: getattr(self, name) for name in SETTINGS})

    def _key(self, intern: "Interner") -> tuple:
        """Return a grouping key that ignores the initial parameters and seeds."""
        key = [np.shape(self.theta), getattr(self.theta, "dtype", None)]
        for name, value in vars(self).items():
            if name in ("network", "optimizer", "schedule"):
                key.append(intern(value))
            elif name in ("rows", "validation_rows", "X", "T", "sample_weight"):
                key.append(id(value))
            elif name not in ("theta", "seed"):
                key.append(value)
        return tuple(key)


SETTINGS = [field.name for field in fields(TrainingSettings) if field.name != "engine"]
"""The settings of members, which `train` also has."""


class Interner:
    """Map equal parts to the same integer. A part that cannot be hashed is equal only to itself.

    The address of each part is remembered, so that the nested hash of a large part is
    computed only once.
    """

    def __init__(self):
        self._number_of_address = {}
        self._number_of_part = {}
        self._parts = []  # a reference keeps an address from being reused

    def __call__(self, part) -> int:
        """Return the integer of a part."""
        address = id(part)
        if address not in self._number_of_address:
            number = len(self._parts)
            self._parts.append(part)
            # raised by custom parts that cannot be hashed or compared
            with suppress(TypeError, ValueError):
                number = self._number_of_part.setdefault(part, number)
            self._number_of_address[address] = number
        return self._number_of_address[address]


class Data:
    """The data from which members select their rows. Each array is checked once."""

    def __init__(self, X: Array, T: Array, sample_weight: Array | None):
        self.X = X
        self.T = T
        self.sample_weight = sample_weight
        self._batches = {}

    def __reduce__(self) -> tuple:
        """Pickle only the arrays."""
        return type(self), (self.X, self.T, self.sample_weight)

    def arrays(self, member: Member) -> list:
        """Return a member's inputs, targets and weights, before rows are selected."""
        arrays = []
        for name in ("X", "T", "sample_weight"):
            array = getattr(member, name)
            arrays.append(getattr(self, name) if array is None else array)
        return arrays

    def with_theta(self, member: Member) -> Member:
        """Return the member; if its theta is a seed, draw the parameters from it."""
        if not isinstance(member.theta, int | np.integer):
            return member
        X, *_ = self.arrays(member)
        dtype = np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64
        return replace(member, theta=member.network.init(int(member.theta), dtype))

    def batch(self, member: Member) -> Batch:
        """Return a member's data as a batch. Members with compatible networks share the batch."""
        network = member.network
        X, T, weight = self.arrays(member)
        theta = checked_theta(network, member.theta)
        shape = (network.inputs, network.outputs)
        arrays = (id(X), id(T), id(weight))
        key = (shape, repr(network.loss_function), theta.dtype, arrays)
        if key not in self._batches:
            self._batches[key] = network._batch(theta, X, T, weight, as_read=True)
        return self._batches[key]

    def selected(self, member: Member, rows: ndarray | None) -> list:
        """Return copies of the selected rows, or the original arrays if rows is None."""
        arrays = self.arrays(member)
        if rows is None:
            return arrays
        rows = row_indices(rows, row_count(arrays[0]))
        return [rows_of(array, rows) for array in arrays]

    def row_count(self, member: Member) -> int:
        """Return the number of rows that a member is trained on."""
        return row_count(self.arrays(member)[0] if member.rows is None else member.rows)


def row_indices(rows, count: int) -> ndarray:
    """Return row indices as an array; raise ValueError if they are invalid."""
    rows = np.asarray(rows)
    if rows.ndim != 1 or not len(rows) or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(
            "rows must be a one-dimensional array of at least one integer, got an"
            f" array of shape {rows.shape} and dtype {rows.dtype}."
        )
    if rows.min() < 0 or rows.max() >= count:
        raise ValueError(
            f"rows has indices from {rows.min()} to {rows.max()}, but X has the rows 0"
            f" to {count - 1}."
        )
    return rows


def rows_of(values, rows: ndarray):
    """Return the rows of an array, a list or a pandas object at these positions, or None for None."""
    if values is None:
        return None
    if isinstance(values, Selection):
        return values.take(rows)
    if hasattr(values, "iloc"):  # values[rows] would select labels
        return values.iloc[rows]
    return (values if hasattr(values, "shape") else np.asarray(values))[rows]


def row_count(rows) -> int:
    """Return the number of rows of an array, a list or a sparse matrix."""
    return rows.shape[0] if hasattr(rows, "shape") else len(rows)


REASONS: tuple[Reason, ...] = get_args(Reason)

CURVES_OF_MEMBERS = CURVES | {"validation_predictions": "validation_predictions"}
"""The names of curves in a history, by the names of the attributes that have one entry per epoch."""


@dataclass(eq=False)
class GroupResults(Versioned):
    """The results of members that differ only in their initial parameters and seeds."""

    numbers: Sequence[int]
    network: Network
    optimizer_class: str
    stopping: EarlyStopping | None
    epochs: int
    rows: int
    per_epoch: int
    running: bool
    moments: Mapping[str, ndarray]
    thetas: ndarray
    last_finite: ndarray
    best: ndarray
    memory: ndarray
    losses: ndarray
    validation_losses: ndarray
    validation_scores: ndarray
    validation_predictions: ndarray
    norms: ndarray
    sizes: ndarray
    done: ndarray
    steps: ndarray
    reasons: ndarray
    measured: ndarray
    seconds: ndarray

    def results(self) -> Self:
        """Return the results themselves; see `CompiledGroup.results`."""
        return self

    def result(self, index: int) -> TrainingResult:
        """Return the result of the member at this position. Its arrays are views of the group's arrays."""
        epochs = int(self.done[index])
        reason = REASONS[self.reasons[index]]
        history = History()
        if self.measured[index]:
            seconds = self.seconds[index] / max(epochs, 1) * np.arange(epochs + 1)
            history._time.append(seconds)
            for name, curve in CURVES_OF_MEMBERS.items():
                entries = epochs
                if name.startswith("validation"):
                    entries += 1  # before the first epoch
                elif name == "losses" and not self.running:
                    entries += 1
                values = getattr(self, name)[index, :entries]
                if len(values):
                    getattr(history, f"_{curve}").append(values)
        has_diverged = reason == "diverged"
        theta = self.last_finite[index] if has_diverged else self.thetas[index]
        moments = {name: moment[index] for name, moment in self.moments.items()}
        state = TrainingState(
            theta,
            optimizer={"t": epochs * self.per_epoch, **moments},
            schedule={},
            epoch=epochs,
            step=int(self.steps[index]),
            epochs=self.epochs,
            rows=self.rows,
            history=history,
            network=self.network,
            optimizer_class=self.optimizer_class,
        )
        rule = self.stopping
        if rule is not None:
            best = self.best[index]
            state.early_stopping = {
                "monitor": rule.monitor,
                "theta": best,
                "memory": self.memory[index],
            }
            if rule.restore_best and not has_diverged:
                theta = best
        return TrainingResult(theta, history, state, reason)

    @property
    def last_losses(self) -> ndarray:
        """The latest training loss of each member, (M,); NaN where unknown."""
        # a running loss has no entry for the initial parameters
        entries = self.done - self.running
        losses = self.losses[np.arange(len(entries)), entries]
        return np.where(self.measured & (entries >= 0), losses, np.nan)

    def progress(self) -> MemberProgress:
        """Return the current progress of the members."""
        has_ended = self.seconds > 0
        validation_losses = np.full(len(self.done), np.nan)
        if self.validation_losses.size:
            members = np.arange(len(self.done))
            validation_losses = self.validation_losses[members, self.done]
        has_epochs = self.done > 0
        return MemberProgress(
            has_ended,
            share=np.where(has_ended, 1, self.done / max(self.epochs, 1)),
            rows=self.done * self.rows,
            loss=np.where(has_epochs, self.last_losses, np.nan),
            validation_loss=np.where(has_epochs, validation_losses, np.nan),
        )

    def compact(self, members: Any = slice(None)) -> Self:
        """Return a copy of the results of some members, without unused memory."""
        arrays = {}
        for name in ARRAYS:
            arrays[name] = getattr(self, name)[members].copy()
        entries = int(arrays["done"].max(initial=0)) + 1
        for name in CURVES_OF_MEMBERS:
            arrays[name] = arrays[name][:, :entries].copy()
        has_diverged = arrays["reasons"] == REASONS.index("diverged")
        arrays["thetas"][has_diverged] = arrays["last_finite"][has_diverged]
        # `result` needs no other parameters
        arrays["last_finite"] = arrays["thetas"]
        if self.stopping is None:
            arrays["best"] = arrays["thetas"]
        moments = {}
        for name, moment in self.moments.items():
            moments[name] = moment[members].copy()
        return replace(
            self, numbers=np.asarray(self.numbers)[members], moments=moments, **arrays
        )


ARRAYS = tuple(field.name for field in fields(GroupResults) if field.type is ndarray)
"""Names of the attributes that have one entry per member, except the moments."""


class PartialResults(NamedTuple):
    """The results of some members of a population, stacked by group."""

    groups: list[GroupResults]
    others: dict[int, TrainingResult]

    def add(self, part: "PartialResults"):
        """Add the results of other members."""
        self.groups.extend(part.groups)
        self.others.update(part.others)

    @property
    def numbers(self) -> list[int]:
        """The indices of the members in the population."""
        numbers = list(self.others)
        for group in self.groups:
            numbers.extend(map(int, group.numbers))
        return numbers

    def compact(self, moments: bool) -> "PartialResults":
        """Return a compact copy, which contains the optimizers' moments if ``moments`` is True."""
        part = self if moments else self.without_moments()
        return PartialResults([group.compact() for group in part.groups], part.others)

    def ended(self, saved: set[int]) -> "PartialResults":
        """Return compact results of the members that have ended and are not saved, without interrupted ones."""
        groups = []
        for group in self.groups:
            is_saved = np.isin(group.numbers, list(saved))
            is_interrupted = group.reasons == REASONS.index("interrupted")
            is_new = (group.seconds > 0) & ~is_interrupted & ~is_saved
            if is_new.any():
                groups.append(group.compact(np.flatnonzero(is_new)))
        others = {}
        for number, result in self.others.items():
            if result.reason != "interrupted":
                others[number] = result
        return PartialResults(groups, others)

    def without_moments(self) -> "PartialResults":
        """Return the results without the optimizers' moments; nothing is copied."""
        groups = [replace(group, moments={}) for group in self.groups]
        others = {}
        for number, result in self.others.items():
            counts = {}
            for name, value in result.state.optimizer.items():
                if not np.ndim(value):
                    counts[name] = value
            state = replace(result.state, optimizer=counts)
            others[number] = replace(result, state=state)
        return PartialResults(groups, others)

    def restore_networks(self, members: Any):
        """Replace unpickled copies of networks by the members' networks."""
        for group in self.groups:
            group.network = members[group.numbers[0]].network
        for number, result in self.others.items():
            if result.state.network is not None:
                result.state.network = members[number].network


class TrainingResults(Sequence[TrainingResult], SuggestsNames):
    """The results of `train_population`: a sequence in the order of the members.

    Parameters
    ----------
    groups : sequence of GroupResults
        The results of members that were trained together.
    others : mapping of int to TrainingResult
        The results of the other members, by their indices.

    Attributes
    ----------
    last_loss : ndarray (M,)
        The latest training loss of each member, or NaN if the loss is unknown.

    Examples
    --------
    >>> network = Network(1, [Dense(1)], SquaredError())
    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> members = [Member(network, np.zeros(2), GradientDescent(rate), epochs=100) for rate in (0.1, 0.5)]
    >>> results = train_population(members, X, 3 * X + 1)
    >>> best = results.last_loss.argmin()
    >>> results[best].theta.round(2)
    array([3., 1.])
    """

    def __init__(
        self, groups: Sequence[GroupResults], others: Mapping[int, TrainingResult]
    ):
        """Find the position of each member in its group."""
        self._groups = groups
        self._others = others
        self._results = dict(others)
        count = len(others) + sum(len(group.numbers) for group in groups)
        # the group of each member, and its position in the group
        self._group_numbers = np.empty(count, np.intp)
        self._positions = np.empty(count, np.intp)
        for number, group in enumerate(groups):
            self._group_numbers[group.numbers] = number
            self._positions[group.numbers] = np.arange(len(group.numbers))

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> TrainingResult: ...
    @overload
    def __getitem__(self, index: slice) -> list[TrainingResult]: ...
    def __getitem__(self, index: int | slice) -> TrainingResult | list[TrainingResult]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        try:
            number = range(len(self))[operator.index(index)]
        except IndexError:
            raise IndexError(
                f"index {index} is out of range for a population of {len(self)}"
                " members."
            ) from None
        if number not in self._results:  # repeated access returns the same object
            group = self._groups[self._group_numbers[number]]
            self._results[number] = group.result(int(self._positions[number]))
        return self._results[number]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        reasons = Counter(result.reason for result in self).most_common()
        ends = ", ".join(f"{count} by {reason!r}" for reason, count in reasons)
        text = f"{type(self).__name__} of {len(self)} member(s), ended"
        text += f" {ends or 'by nothing'}"
        losses = self.last_loss[np.isfinite(self.last_loss)]
        if len(losses):
            text += f"; lowest loss {losses.min():.6g}"
        return f"<{text}>"

    def to_frame(self) -> "pd.DataFrame":
        """Return a data frame with one row per member, in the order of the members.

        The columns are the reason why training ended, the number of epochs, the number
        of steps, and the latest loss, validation loss and validation score. Unknown
        values are NaN.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> network, X = Network(1, [Dense(1)], SquaredError()), np.linspace(-1, 1, 20)[:, None]
        >>> members = [Member(network, np.zeros(2), GradientDescent(rate), epochs=100) for rate in (0.1, 0.5)]
        >>> print(train_population(members, X, 3 * X + 1).to_frame()[["reason", "epochs", "loss"]].round(4))
               reason  epochs    loss
        member
        0      epochs     100  0.0009
        1      epochs     100  0.0000
        """
        pd = imported("pandas", "TrainingResults.to_frame", "tables")
        columns = ["reason", "epochs", "steps"]
        curves = ["loss", "validation_loss", "validation_score"]
        rows = []
        for result in self:
            row = [result.reason, result.state.epoch, result.state.step]
            row.extend(getattr(result.history, f"last_{name}") for name in curves)
            rows.append(row)
        index = pd.RangeIndex(len(rows), name="member")
        frame = pd.DataFrame(rows, columns=[*columns, *curves], index=index)
        return frame.astype(dict.fromkeys(curves, float))

    def plot(self, ax: "Axes | None" = None, **curve: Any) -> "Axes":
        """Plot the losses of all members, and their median; see `vecprop.pictures.plot_loss`.

        A member that has ended counts with its last loss in later epochs.
        """
        from ..pictures.loss import plot_loss

        return plot_loss(self, ax, **curve)

    def __reduce__(self) -> tuple[type[Self], tuple]:
        """Pickle a compact copy of the stacked results."""
        return type(self), ([group.compact() for group in self._groups], self._others)

    @property
    def last_loss(self) -> ndarray:
        """The latest training loss of each member, (M,); NaN where unknown."""
        losses = np.full(len(self), np.nan)
        for group in self._groups:
            losses[group.numbers] = group.last_losses
        for number, result in self._results.items():
            if result.history.last_loss is not None:
                losses[number] = result.history.last_loss
        return losses

"""The members of a population, their shared data, and their results, which are created on access."""

import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Self, get_args, overload

import numpy as np

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
    rows: np.ndarray | None = None
    validation_rows: np.ndarray | None = None
    X: np.ndarray | Selection | None = None
    T: np.ndarray | None = None
    sample_weight: np.ndarray | None = None
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

    @property
    def _settings(self) -> TrainingSettings:
        """The member's settings for `train`."""
        return TrainingSettings(*_settings_of(self))

    def _key(self, intern: "Interner") -> tuple[Any, ...]:
        """Return a grouping key that ignores the initial parameters and seeds."""
        parts = (self.network, self.optimizer, self.schedule)
        data = (self.rows, self.validation_rows, self.X, self.T, self.sample_weight)
        plan = (
            self.epochs,
            self.batch_size,
            self.shuffle,
            self.training_loss,
            self.clip_norm,
        )
        stopping = (self.validation_score, self.early_stopping, self.keeps_predictions)
        shape = (np.shape(self.theta), getattr(self.theta, "dtype", None))
        return (*map(intern, parts), *map(id, data), *plan, *stopping, *shape)


_settings_of = attrgetter(
    *(field.name for field in fields(TrainingSettings) if field.name != "engine")
)


class Interner:
    """Map equal parts to the same integer. A part that cannot be hashed is equal only to itself.

    The address of each part is remembered, so that the nested hash of a large part is
    computed only once.
    """

    def __init__(self) -> None:
        # the reference to a part keeps its address from being reused
        self._known: dict[int, tuple[int, Any]] = {}
        self._first: dict[Any, int] = {}

    def __call__(self, part) -> int:
        """Return the integer of a part."""
        if id(part) not in self._known:
            number = len(self._known)
            # raised by custom parts that cannot be hashed or compared
            with suppress(TypeError, ValueError):
                number = self._first.setdefault(part, number)
            self._known[id(part)] = number, part
        return self._known[id(part)][0]


class Data:
    """The data from which members select their rows. Each array is checked once."""

    def __init__(self, X: Array, T: Array, sample_weight: Array | None) -> None:
        self.X, self.T, self.sample_weight = X, T, sample_weight
        self._batches: dict[tuple[Any, ...], Batch] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle only the arrays."""
        return type(self), (self.X, self.T, self.sample_weight)

    def arrays(self, member: Member) -> tuple[Array, Array, Array | None]:
        """Return a member's inputs, targets and weights, before rows are selected."""
        X = self.X if member.X is None else member.X
        T = self.T if member.T is None else member.T
        return (
            X,
            T,
            (
                self.sample_weight
                if member.sample_weight is None
                else member.sample_weight
            ),
        )

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
        arrays = self.arrays(member)
        theta = checked_theta(network, member.theta)
        key = (
            network.inputs,
            network.outputs,
            repr(network.loss_function),
            theta.dtype,
            *map(id, arrays),
        )
        if key not in self._batches:
            self._batches[key] = network._batch(theta, *arrays, as_read=True)
        return self._batches[key]

    def selected(
        self, member: Member, rows: np.ndarray | None
    ) -> tuple[Array, Array, Array | None]:
        """Return a copy of the selected rows, or the original arrays if rows is None."""
        X, T, weight = self.arrays(member)
        if rows is None:
            return X, T, weight
        rows = row_indices(rows, row_count(X))
        X = X.take(rows) if isinstance(X, Selection) else rows_of(X, rows)
        return X, rows_of(T, rows), None if weight is None else rows_of(weight, rows)

    def row_count(self, member: Member) -> int:
        """Return the number of rows that a member is trained on."""
        return row_count(self.arrays(member)[0] if member.rows is None else member.rows)


def row_indices(rows, count: int) -> np.ndarray:
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


def rows_of(values, rows: np.ndarray):
    """Return the rows of an array, a list or a pandas object at these positions."""
    if hasattr(values, "iloc"):  # values[rows] would select labels
        return values.iloc[rows]
    return (values if hasattr(values, "shape") else np.asarray(values))[rows]


def row_count(rows) -> int:
    """Return the number of rows of an array, a list or a sparse matrix."""
    return rows.shape[0] if hasattr(rows, "shape") else len(rows)


REASONS: tuple[Reason, ...] = get_args(Reason)

CURVES = (
    "losses",
    "validation_losses",
    "validation_scores",
    "validation_predictions",
    "norms",
    "sizes",
)
"""Names of the attributes that have one entry per epoch."""


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
    moments: Mapping[str, np.ndarray]
    thetas: np.ndarray
    last_finite: np.ndarray
    best: np.ndarray
    memory: np.ndarray
    losses: np.ndarray
    validation_losses: np.ndarray
    validation_scores: np.ndarray
    validation_predictions: np.ndarray
    norms: np.ndarray
    sizes: np.ndarray
    done: np.ndarray
    steps: np.ndarray
    reasons: np.ndarray
    measured: np.ndarray
    seconds: np.ndarray

    def results(self) -> Self:
        """Return the results themselves; see `CompiledGroup.results`."""
        return self

    def result(self, index: int) -> TrainingResult:
        """Return the result of the member at this position. Its arrays are views of the group's arrays."""
        epochs = int(self.done[index])
        reason = REASONS[self.reasons[index]]
        history = History()
        if self.measured[index]:
            history._extend(
                loss=self.losses[index, : epochs + (not self.running)],
                validation_loss=self.validation_losses[index, : epochs + 1],
                validation_score=self.validation_scores[index, : epochs + 1],
                validation_predictions=self.validation_predictions[index, : epochs + 1],
                gradient_norm=self.norms[index, :epochs],
                step_size=self.sizes[index, :epochs],
                time=self.seconds[index] / max(epochs, 1) * np.arange(epochs + 1),
            )
        theta = self.last_finite if reason == "diverged" else self.thetas
        state = TrainingState(
            theta[index],
            {"t": epochs * self.per_epoch}
            | {name: moment[index] for name, moment in self.moments.items()},
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
            state.early_stopping = {
                "monitor": rule.monitor,
                "theta": self.best[index],
                "memory": self.memory[index],
            }
            if rule.restore_best and reason != "diverged":
                theta = self.best
        return TrainingResult(theta[index], history, state, reason)

    def progress(self) -> np.ndarray:
        """Return the current progress of the members, (5, M).

        The rows are: whether the member has ended, the fraction of its epochs that is
        done, the number of rows seen, and the latest training and validation losses
        (NaN if unknown).
        """
        members = np.arange(len(self.numbers))
        ended = self.seconds > 0
        shares = np.where(ended, 1, self.done / max(self.epochs, 1))
        losses = self.losses[members, self.done - self.running]
        validation_losses = np.full(len(members), np.nan)
        if self.validation_losses.size:
            validation_losses = self.validation_losses[members, self.done]
        rows = [ended, shares, self.done * self.rows]
        for latest in (losses, validation_losses):
            rows.append(np.where(self.done > 0, latest, np.nan))
        return np.stack(rows)

    def compact(self, members: Any = slice(None)) -> Self:
        """Return a copy of the results of some members, without unused memory."""
        arrays: dict[str, np.ndarray] = {
            name: getattr(self, name)[members].copy() for name in ARRAYS
        }
        measured = int(arrays["done"].max(initial=0)) + 1
        for name in CURVES:
            arrays[name] = arrays[name][:, :measured].copy()
        has_diverged = arrays["reasons"] == REASONS.index("diverged")
        arrays["thetas"][has_diverged] = arrays["last_finite"][has_diverged]
        arrays["last_finite"] = arrays["thetas"]
        if self.stopping is None:
            arrays["best"] = arrays["thetas"]
        moments = {
            name: moment[members].copy() for name, moment in self.moments.items()
        }
        return replace(
            self, numbers=np.asarray(self.numbers)[members], moments=moments, **arrays
        )


ARRAYS = tuple(field.name for field in fields(GroupResults) if field.type is np.ndarray)
"""Names of the attributes that have one entry per member, except the moments."""


class PartialResults(NamedTuple):
    """The results of some members of a population, stacked by group."""

    groups: list[GroupResults]
    others: dict[int, TrainingResult]

    @property
    def numbers(self) -> list[int]:
        """The indices of the members in the population."""
        return [
            *self.others,
            *(int(number) for group in self.groups for number in group.numbers),
        ]

    def compact(self, moments: bool) -> "PartialResults":
        """Return a compact copy, which contains the optimizers' moments if ``moments`` is True."""
        part = self if moments else self.without_moments()
        return PartialResults([group.compact() for group in part.groups], part.others)

    def ended(self, saved: set[int]) -> "PartialResults":
        """Return compact results of the members that have ended and are not saved, without interrupted ones."""
        groups = []
        for group in self.groups:
            has_ended = (group.seconds > 0) & (
                group.reasons != REASONS.index("interrupted")
            )
            is_new = [number not in saved for number in group.numbers]
            indices = np.flatnonzero(has_ended & is_new)
            if len(indices):
                groups.append(group.compact(indices))
        others = {
            number: result
            for number, result in self.others.items()
            if result.reason != "interrupted"
        }
        return PartialResults(groups, others)

    def without_moments(self) -> "PartialResults":
        """Return the results without the optimizers' moments; nothing is copied."""
        others = {}
        for number, result in self.others.items():
            counts = {
                name: value
                for name, value in result.state.optimizer.items()
                if not np.ndim(value)
            }
            others[number] = replace(
                result, state=replace(result.state, optimizer=counts)
            )
        return PartialResults(
            [replace(group, moments={}) for group in self.groups], others
        )

    def with_networks(self, members: Sequence[Member]) -> "PartialResults":
        """Return the results with the members' networks instead of unpickled copies."""
        groups = [
            replace(group, network=members[group.numbers[0]].network)
            for group in self.groups
        ]
        others = {}
        for number, result in self.others.items():
            network = result.state.network and members[number].network
            others[number] = replace(
                result, state=replace(result.state, network=network)
            )
        return PartialResults(groups, others)


def joined(parts: Iterable[PartialResults]) -> PartialResults:
    """Combine the results of several parts of a population."""
    whole = PartialResults([], {})
    for part in parts:
        whole.groups.extend(part.groups)
        whole.others.update(part.others)
    return whole


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
    ) -> None:
        self._groups, self._others, self._asked_for = groups, others, dict(others)
        count = len(others) + sum(len(group.numbers) for group in groups)
        self._group_of, self._place_of = np.empty((2, count), np.intp)
        for which, group in enumerate(groups):
            self._group_of[group.numbers], self._place_of[group.numbers] = (
                which,
                np.arange(len(group.numbers)),
            )

    def __len__(self) -> int:
        return len(self._group_of)

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
        if number not in self._asked_for:  # repeated access returns the same object
            self._asked_for[number] = self._groups[self._group_of[number]].result(
                int(self._place_of[number])
            )
        return self._asked_for[number]

    def __eq__(self, other: object) -> bool:
        return (
            list(self) == list(other) if isinstance(other, Sequence) else NotImplemented
        )

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        reasons = Counter(result.reason for result in self)
        ended = ", ".join(
            f"{count} by {reason!r}" for reason, count in reasons.most_common()
        )
        losses = self.last_loss[np.isfinite(self.last_loss)]
        lowest = f"; lowest loss {losses.min():.6g}" if len(losses) else ""
        return (
            f"<{type(self).__name__} of {len(self)} member(s), ended"
            f" {ended or 'by nothing'}{lowest}>"
        )

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
        curves = ["loss", "validation_loss", "validation_score"]
        latest = attrgetter(*(f"history.last_{name}" for name in curves))
        rows = [[of.reason, of.state.epoch, of.state.step, *latest(of)] for of in self]
        index = pd.RangeIndex(len(rows), name="member")
        frame = pd.DataFrame(
            rows, columns=["reason", "epochs", "steps", *curves], index=index
        )
        return frame.astype(dict.fromkeys(curves, float))

    def plot(self, ax: "Axes | None" = None, **curve: Any) -> "Axes":
        """Plot the losses of all members, and their median; see `vecprop.pictures.plot_loss`.

        A member that has ended counts with its last loss in later epochs.
        """
        from ..pictures.loss import plot_loss

        return plot_loss(self, ax, **curve)

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        """Pickle a compact copy of the stacked results."""
        return type(self), ([group.compact() for group in self._groups], self._others)

    def _parts(self) -> tuple[Sequence[GroupResults], Mapping[int, TrainingResult]]:
        """Return the results of the groups, and the results of the other members by their indices."""
        return self._groups, self._others

    @property
    def last_loss(self) -> np.ndarray:
        """The latest training loss of each member, (M,); NaN where unknown."""
        losses = np.full(len(self), np.nan)
        for group in self._groups:
            latest = group.done - group.running
            own = group.losses[np.arange(len(latest)), latest]
            losses[group.numbers] = np.where(
                group.measured & (latest >= 0), own, np.nan
            )
        for number, result in self._asked_for.items():
            loss = result.history.last_loss
            losses[number] = np.nan if loss is None else loss
        return losses

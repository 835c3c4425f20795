"""The results of a population, each made when it is asked for: of a thousand, most never are."""

import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self, get_args, overload

import numpy as np

from ..core.network import Network
from ..optimize.settings import StoppingRule
from ..system.versions import Versioned
from .members import Member
from .state import History, Reason, TrainingResult, TrainingState

if TYPE_CHECKING:
    import pandas as pd


REASONS: tuple[Reason, ...] = get_args(Reason)

CURVES = ("losses", "validation_losses", "validation_scores", "validation_predictions", "norms", "sizes")
"""The attributes with an entry for each epoch."""


@dataclass(eq=False)
class CohortResults(Versioned):
    """The results of members that differ in their initial parameters and seeds alone."""

    numbers: Sequence[int]
    network: Network
    optimizer_class: str
    stopping: StoppingRule | None
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

    def result(self, place: int) -> TrainingResult:
        """Return the result of the member at a place, with views of arrays that members share."""
        epochs, step = int(self.done[place]), int(self.steps[place])
        reason, rule = REASONS[self.reasons[place]], self.stopping
        optimizer = {"t": epochs * self.per_epoch} | {name: moment[place] for name, moment in self.moments.items()}
        history, known, stopping = History(), epochs + 1, {}
        if self.measured[place]:
            history.extend(
                loss=self.losses[place, : epochs + (not self.running)],
                validation_loss=self.validation_losses[place, :known],
                validation_score=self.validation_scores[place, :known],
                validation_predictions=self.validation_predictions[place, :known],
                gradient_norm=self.norms[place, :epochs],
                step_size=self.sizes[place, :epochs],
                time=self.seconds[place] / max(epochs, 1) * np.arange(known),
            )
        if rule is not None:
            stopping = {"on": rule.on, "theta": self.best[place], "memory": self.memory[place]}
        theta = (self.last_finite if reason == "diverged" else self.thetas)[place]
        parts = {"network": self.network, "optimizer_class": self.optimizer_class}
        state = TrainingState(theta, optimizer, {}, epochs, step, self.epochs, self.rows, history, stopping, **parts)
        if rule is not None and rule.restores and reason != "diverged":
            theta = self.best[place]
        return TrainingResult(theta, history, state, reason)

    def progress(self) -> np.ndarray:
        """Return the progress of members, perhaps still under way, (5, M).

        That is: whether each has ended, the share of its epochs that is done, the number of rows it has seen, and its
        latest losses of training and of validation; nan if they are not known.
        """
        every, ended, known = np.arange(len(self.numbers)), self.seconds > 0, self.done > 0
        share = np.where(ended, 1, self.done / max(self.epochs, 1))
        validated = self.validation_losses[every, self.done] if self.validation_losses.size else np.nan
        losses = (np.where(known, of, np.nan) for of in (self.losses[every, self.done - self.running], validated))
        return np.stack([ended, share, self.done * self.rows, *losses])

    def taken(self, places: Any = slice(None), moments: bool = True) -> Self:
        """Return the results of some members, copied without what results do not need."""
        arrays: dict[str, np.ndarray] = {name: getattr(self, name)[places].copy() for name in ARRAYS}
        known = int(arrays["done"].max(initial=0)) + 1
        for name in CURVES:
            arrays[name] = arrays[name][:, :known].copy()
        has_diverged = arrays["reasons"] == REASONS.index("diverged")
        arrays["thetas"][has_diverged] = arrays["last_finite"][has_diverged]
        arrays["last_finite"] = arrays["thetas"]
        if self.stopping is None:
            arrays["best"] = arrays["thetas"]
        kept = {name: moment[places].copy() for name, moment in self.moments.items()} if moments else {}
        return replace(self, numbers=np.asarray(self.numbers)[places], moments=kept, **arrays)


ARRAYS = tuple(field.name for field in fields(CohortResults) if field.type is np.ndarray)
"""The attributes with an entry for each member, except the moments."""


class Part(NamedTuple):
    """The results of some members of a population, as they are stacked."""

    cohorts: list[CohortResults]
    others: dict[int, TrainingResult]

    @property
    def numbers(self) -> list[int]:
        """The numbers of its members in the population."""
        return [*self.others, *(int(number) for cohort in self.cohorts for number in cohort.numbers)]

    def taken(self, moments: bool) -> "Part":
        """Return a copy without what results do not need, and without the optimizers' moments if these are not kept."""
        part = self if moments else self.without_moments()
        return Part([cohort.taken() for cohort in part.cohorts], part.others)

    def ended(self) -> "Part":
        """Return the results of the members that have ended, not those that were interrupted."""
        ended = [np.flatnonzero(each.reasons != REASONS.index("interrupted")) for each in self.cohorts]
        cohorts = [each.taken(places) for each, places in zip(self.cohorts, ended, strict=True) if len(places)]
        return Part(cohorts, {number: each for number, each in self.others.items() if each.reason != "interrupted"})

    def without_moments(self) -> "Part":
        """Return the results without the optimizers' moments, and no copies."""
        others = {}
        for number, each in self.others.items():
            known = {name: value for name, value in each.state.optimizer.items() if not np.ndim(value)}
            others[number] = replace(each, state=replace(each.state, optimizer=known))
        return Part([replace(cohort, moments={}) for cohort in self.cohorts], others)

    def of(self, members: Sequence[Member]) -> "Part":
        """Return the results with the members' own networks: those that came from elsewhere have copies."""
        cohorts = [replace(each, network=members[each.numbers[0]].network) for each in self.cohorts]
        others = {
            number: replace(each, state=replace(each.state, network=each.state.network and members[number].network))
            for number, each in self.others.items()
        }
        return Part(cohorts, others)


def joined(parts: Iterable[Part]) -> Part:
    """Return the results of several parts of a population as one."""
    parts = list(parts)
    others = {number: result for part in parts for number, result in part.others.items()}
    return Part([cohort for part in parts for cohort in part.cohorts], others)


class TrainingResults(Sequence[TrainingResult]):
    """The results of `train_population`: a sequence, like a list, in the order of the members.

    Parameters
    ----------
    cohorts : sequence of CohortResults
        The results of members that were trained together.
    others : mapping of int to TrainingResult
        The results of the other members, by their numbers.

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

    def __init__(self, cohorts: Sequence[CohortResults], others: Mapping[int, TrainingResult]) -> None:
        self._cohorts, self._others, self._asked_for = cohorts, others, dict(others)
        count = len(others) + sum(len(cohort.numbers) for cohort in cohorts)
        self._cohort_of, self._place_of = np.empty((2, count), np.intp)
        for which, cohort in enumerate(cohorts):
            self._cohort_of[cohort.numbers], self._place_of[cohort.numbers] = which, np.arange(len(cohort.numbers))

    def __len__(self) -> int:
        return len(self._cohort_of)

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
            raise IndexError(f"There is no result {index}: the population has {len(self)} members.") from None
        if number not in self._asked_for:  # the same whenever it is asked for
            self._asked_for[number] = self._cohorts[self._cohort_of[number]].result(int(self._place_of[number]))
        return self._asked_for[number]

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        reasons = Counter(result.reason for result in self)
        ended = ", ".join(f"{count} by {reason!r}" for reason, count in reasons.most_common())
        losses = self.last_loss[np.isfinite(self.last_loss)]
        lowest = f"; lowest loss {losses.min():.6g}" if len(losses) else ""
        return f"<{type(self).__name__} of {len(self)} member(s), ended {ended or 'by nothing'}{lowest}>"

    def to_frame(self) -> "pd.DataFrame":
        """Return a table with a row for each member, in their order.

        Its columns are the reason why training ended, the numbers of epochs and of steps, and the latest loss,
        validation loss and validation score, which are NaN where they are not known.

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
        try:
            import pandas as pd
        except ImportError:
            raise ImportError('TrainingResults.to_frame needs pandas: pip install "vecprop[tables]".') from None
        curves = ["loss", "validation_loss", "validation_score"]
        rows = [
            [of.reason, of.state.epoch, of.state.step, *(getattr(of.history, f"last_{name}") for name in curves)]
            for of in self
        ]
        index = pd.RangeIndex(len(rows), name="member")
        frame = pd.DataFrame(rows, columns=["reason", "epochs", "steps", *curves], index=index)
        return frame.astype(dict.fromkeys(curves, float))

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        """Pickle the results as they are stacked, without what they do not need of the arrays."""
        return type(self), ([cohort.taken() for cohort in self._cohorts], self._others)

    @property
    def last_loss(self) -> np.ndarray:
        """Each member's latest training loss, (M,); nan if none is known."""
        losses = np.full(len(self), np.nan)
        for cohort in self._cohorts:
            latest = cohort.done - cohort.running
            own = cohort.losses[np.arange(len(latest)), latest]
            losses[cohort.numbers] = np.where(cohort.measured & (latest >= 0), own, np.nan)
        for number, result in self._asked_for.items():
            loss = result.history.last_loss
            losses[number] = np.nan if loss is None else loss
        return losses

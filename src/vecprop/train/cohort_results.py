"""The results of members that were trained together, stacked: of a thousand, few are ever made one by one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self, get_args

import numpy as np

from ..core.network import Network
from ..optimize.stopping import EarlyStopping, Stagnation
from ..system.versions import Versioned
from .history import History
from .state import Reason, TrainingResult, TrainingState

if TYPE_CHECKING:
    from .members import Member

REASONS: tuple[Reason, ...] = get_args(Reason)

ARRAYS = (
    "thetas",
    "last_finite",
    "best",
    "memory",
    "losses",
    "validation_losses",
    "validation_scores",
    "validation_predictions",
    "norms",
    "sizes",
    "done",
    "steps",
    "reasons",
    "measured",
    "seconds",
)
"""The attributes with an entry for each member, except the moments."""

CURVES = ("losses", "validation_losses", "validation_scores", "validation_predictions", "norms", "sizes")
"""The attributes with an entry for each epoch."""


@dataclass(eq=False)
class CohortResults(Versioned):
    """The results of members that differ in their initial parameters and seeds alone."""

    numbers: Sequence[int]
    network: Network
    optimizer_class: str
    stopping: EarlyStopping | Stagnation | None
    epochs: int
    rows: int
    per_epoch: int
    running: bool
    thetas: np.ndarray
    last_finite: np.ndarray
    best: np.ndarray
    moments: Mapping[str, np.ndarray]
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

    def last_losses(self) -> np.ndarray:
        """Return each member's latest training loss, (M,); nan if none is known."""
        latest = self.done - self.running
        known = self.measured & (latest >= 0)
        return np.where(known, self.losses[np.arange(len(latest)), latest], np.nan)

    def progress(self) -> np.ndarray:
        """Return the progress of members that have ended, (5, M); see `Cohort.progress`."""
        every, ones = np.arange(len(self.numbers)), np.ones(len(self.numbers))
        validation_losses = self.validation_losses[every, self.done] if self.validation_losses.size else np.nan * ones
        return np.stack([ones, ones, self.done * self.rows, self.last_losses(), validation_losses])

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
        others = {number: _without_moments(each) for number, each in self.others.items()}
        return Part([replace(cohort, moments={}) for cohort in self.cohorts], others)

    def of(self, members: "Sequence[Member]") -> "Part":
        """Return the results with the members' own networks: those that came from elsewhere have copies."""
        cohorts = [replace(each, network=members[each.numbers[0]].network) for each in self.cohorts]
        others = {
            number: replace(each, state=replace(each.state, network=each.state.network and members[number].network))
            for number, each in self.others.items()
        }
        return Part(cohorts, others)


def _without_moments(result: TrainingResult) -> TrainingResult:
    known = {name: value for name, value in result.state.optimizer.items() if not np.ndim(value)}
    return replace(result, state=replace(result.state, optimizer=known))


def joined(parts: Iterable[Part]) -> Part:
    """Return the results of several parts of a population as one."""
    parts = list(parts)
    others = {number: result for part in parts for number, result in part.others.items()}
    return Part([cohort for part in parts for cohort in part.cohorts], others)

"""The stages of a fit: what further networks are like, and how many stages there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from ...train.progress import Progress
from ..encoding.encoder import View
from .ensemble_fit import Fit, Training


@dataclass(frozen=True)
class Stage:
    """What the networks of a stage are like, compared with what the settings say.

    Examples
    --------
    >>> Stage("standardised", deeper=1, wider=2).widths([64, 32])
    [128, 64, 64]
    """

    view: View
    activation: str | None = None
    deeper: int = 0
    wider: int = 1
    dropout: float = 0.0
    patience: int = 1
    decay: float = 1.0

    def widths(self, widths: Sequence[int]) -> list[int]:
        """Return the widths of hidden layers, given those of the settings."""
        return [self.wider * width for width in (*widths, *list(widths[-1:]) * self.deeper)]

    def training(self, training: Training) -> Training:
        """Return how the networks are trained, given how those of the first stage are."""
        patience, decay = self.patience * training.patience, self.decay * training.weight_decay
        return replace(training, patience=patience, weight_decay=decay)


SEQUENCE = [
    Stage("standardised", "elu", deeper=1, decay=0.3),
    Stage("standardised", "tanh", deeper=1),
    Stage("standardised", "silu", deeper=1),
    Stage("standardised", "elu", deeper=2),
    Stage("pieces", dropout=0.2, patience=2, decay=0.2),
    Stage("pieces", deeper=1, dropout=0.1, patience=2),
]
"""The stages after the first, which are repeated without end, with other seeds."""
MOST_STAGES = 16
"""The largest number of stages of a budget: what more gain on the rows that choose them, they lose on others."""


def stage_of(number: int) -> Stage:
    """Return a stage after the first, by its number.

    Examples
    --------
    >>> stage_of(2) == stage_of(2 + len(SEQUENCE))
    True
    """
    return SEQUENCE[(number - 2) % len(SEQUENCE)]


class Schedule:
    """How many stages there are, a number or as many as fit into a time, and the progress over them.

    Parameters
    ----------
    budget : float or None
        The seconds from now in which there are as many stages as are likely to end, from one to `MOST_STAGES`.
    """

    def __init__(
        self,
        stages: int | None,
        budget: float | None,
        progress: Callable[[Progress], object] | None,
        checkpoint: Any = None,
    ) -> None:
        self._kept = checkpoint
        self._of_stage: dict[int, Any] = {}
        self.stages, self.budget, self.progress = stages or 1, budget, progress
        self.began, self.stages_done, self.loss = perf_counter(), 0, float("nan")
        self._work, self._rows, self._rows_of_stage = 0, 0, 0

    @property
    def stage(self) -> int:
        """The number of the stage that is trained."""
        return self.stages_done + 1

    @property
    def seconds(self) -> float:
        """The seconds so far."""
        return perf_counter() - self.began + sum(kept.seconds for kept in self._of_stage.values())

    @property
    def checkpoint(self) -> Any:
        """What keeps the networks of the stage that is trained; None without a checkpoint."""
        if self._kept is None:
            return None
        return self._of_stage.setdefault(self.stage, self._kept.part(f"stage-{self.stage}"))

    @property
    def checkpoint_of_last(self) -> Any:
        """What keeps the networks that are trained on all rows once stages are chosen; None without a checkpoint."""
        return None if self._kept is None else self._kept.part("all-rows")

    @property
    def may_choose(self) -> bool:
        """Whether there may be a stage after the first."""
        return self.budget is not None or self.stages > 1

    def goes_on(self, fits: Sequence[Fit], last: Sequence[Fit] = ()) -> bool:
        """Return whether there is another stage, of these fits, which are taken to be as fast as those before.

        If more fits follow after the last stage, they too are to end in time.
        """
        if self.budget is None:
            return self.stage <= self.stages
        if self.checkpoint is not None:
            if self.checkpoint.is_begun:
                return True
            if last and self.checkpoint_of_last.is_begun:  # an earlier program has ended the stages here
                return False
        seconds, to_come = self.seconds, _work(fits) + (_work(last) if last else 0)
        return self.stage <= MOST_STAGES and seconds + seconds * to_come / self._work <= self.budget

    def end_stage(self, fits: Sequence[Fit], loss: float) -> None:
        """Count a stage of these fits, after which the first model has this loss on unseen rows."""
        self.stages_done, self.loss, self._work = self.stage, loss, self._work + _work(fits)
        self._rows, self._rows_of_stage = self._rows + self._rows_of_stage, 0

    @property
    def report(self) -> Callable[[Progress], object] | None:
        """What to call with the progress of a stage."""
        return None if self.progress is None else self._report

    @property
    def report_of_trial(self) -> Callable[[Progress], object] | None:
        """What to call with the progress of a trial before the first stage.

        It is stage 0, and no part of what is to be done. It only ends by itself: there is no model that it could leave.
        """
        return None if self.progress is None else self._report_trial

    def _report(self, now: Progress) -> object:
        self._rows_of_stage = now.rows
        return self._say(now, (self.stages_done + now.share) / self.stages, self.stage)

    def _report_trial(self, now: Progress) -> None:
        self._say(now, 0.0, 0)

    def _say(self, now: Progress, done: float, stage: int) -> object:
        share = done if self.budget is None else self.seconds / self.budget
        rows = self._rows + now.rows
        assert self.progress is not None
        return self.progress(replace(now, share=min(share, 1.0), rows=rows, stage=stage, best=self.loss))


def _work(fits: Sequence[Fit]) -> float:
    """Return the numbers of parameters times epochs and rows, to which the time of training is about proportional."""
    return sum(
        fit.rows_a_sampled_row * view.training.epochs * view.networks[0].layout.size
        for fit in fits
        for view in fit.views
    )

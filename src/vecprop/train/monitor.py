"""The monitor of a population: it reports the progress of training, and whether the rest is to be stopped."""

from collections.abc import Callable, Sequence

import numpy as np

from .cohort_results import CohortResults, Part
from .engine import Cohort
from .keeping import Keeping
from .progress import Progress
from .state import TrainingResult


class Monitor:
    """Reports a population's progress, and whether the rest of it is to be stopped."""

    def __init__(
        self, total: int, progress: Callable[[Progress], object] | None, keeping: Keeping | None = None
    ) -> None:
        self.cohorts: Sequence[Cohort | CohortResults] = []
        self.total, self.progress, self.keeping = total, progress, keeping
        self.stopped = self.interrupted = False
        self._alone: list[list[float]] = []

    def ended(self, number: int, result: TrainingResult) -> None:
        """Count a member that was trained by itself."""
        self._count(result)
        if self.keeping is not None:
            self.keeping.ended(number, result)
        self.look()

    def knows(self, part: Part) -> None:
        """Count members whose results are known."""
        self.cohorts = [*self.cohorts, *part.cohorts]
        for result in part.others.values():
            self._count(result)

    def came(self, part: Part) -> bool:
        """Count members that were trained elsewhere; return whether the rest is to be stopped."""
        self.knows(part)
        if self.keeping is not None:
            self.keeping.came(part)
        return self.look()

    def _count(self, result: TrainingResult) -> None:
        losses = (result.history.last_loss, result.history.last_validation_loss)
        rows = result.state.epoch * result.state.rows
        self._alone.append([1, 1, rows, *(np.nan if loss is None else float(np.mean(loss)) for loss in losses)])
        self.stopped |= result.reason == "interrupted"

    def look(self) -> bool:
        """Report the progress of training, and keep what has ended; return whether the rest is to be stopped."""
        if self.keeping is not None:
            self.keeping.look(self.cohorts)
        answer = None if self.progress is None else self.progress(self.latest())
        if isinstance(answer, bool | np.bool_) and answer:
            self.stopped = True
        return self.stopped

    def latest(self) -> Progress:
        """Return the progress of training."""
        each = [*(cohort.progress() for cohort in self.cohorts), np.array(self._alone).reshape(-1, 5).T]
        ended, share, rows, losses, validation_losses = np.concatenate(each, axis=1)
        done = share.sum() / self.total
        return Progress(
            int(ended.sum()), self.total, done, int(rows.sum()), _middle(losses), _middle(validation_losses)
        )


def _middle(losses: np.ndarray) -> float:
    """Return the median of the losses that are known."""
    known = losses[~np.isnan(losses)]
    return float(np.median(known)) if len(known) else float("nan")

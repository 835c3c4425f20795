"""The results of a population, each made when it is asked for: of a thousand, most never are."""

import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np

from .cohort_results import CohortResults
from .state import TrainingResult

if TYPE_CHECKING:
    import pandas as pd


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
        rows = [
            {
                "reason": result.reason,
                "epochs": result.state.epoch,
                "steps": result.state.step,
                "loss": result.history.last_loss,
                "validation_loss": result.history.last_validation_loss,
                "validation_score": result.history.last_validation_score,
            }
            for result in self
        ]
        columns = ["reason", "epochs", "steps", "loss", "validation_loss", "validation_score"]
        frame = pd.DataFrame(rows, columns=columns, index=pd.RangeIndex(len(rows), name="member"))
        return frame.astype(dict.fromkeys(columns[3:], float))

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        """Pickle the results as they are stacked, without what they do not need of the arrays."""
        return type(self), ([cohort.taken() for cohort in self._cohorts], self._others)

    def parts(self) -> tuple[Sequence[CohortResults], Mapping[int, TrainingResult]]:
        """Return the results as they are stacked, and those of the other members by their numbers."""
        return self._cohorts, self._others

    @property
    def last_loss(self) -> np.ndarray:
        """Each member's latest training loss, (M,); nan if none is known."""
        losses = np.full(len(self), np.nan)
        for cohort in self._cohorts:
            losses[cohort.numbers] = cohort.last_losses()
        for number, result in self._asked_for.items():
            loss = result.history.last_loss
            losses[number] = np.nan if loss is None else loss
        return losses

"""The rules of early stopping, and the formula by which both count epochs without progress."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from ..core.elementary import AT_LEAST_0, PATIENCE, Range, Ranged

Watched = Literal["loss", "validation_loss", "validation_score"]
"""The quantities that a rule can watch, by their names in `train.state.History`."""


@dataclass(frozen=True)
class StoppingRule(Ranged):
    """Ends training after a number of epochs in a row without progress."""

    patience: float
    tolerance: float
    on: Watched

    from_start: ClassVar[bool]
    """Whether the loss of the initial parameters counts too."""
    from_lowest: ClassVar[bool]
    """Whether a loss is compared with the lowest one, not with that of the latest progress."""
    _ranges: ClassVar[dict[str, Range]] = {"patience": PATIENCE, "tolerance": AT_LEAST_0}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.on not in get_args(Watched):
            raise ValueError(f"{type(self).__name__} watches one of {', '.join(get_args(Watched))}, not {self.on!r}.")

    @property
    def restores(self) -> bool:
        """Whether training returns the best parameters, not the last."""
        return not self.from_lowest or self.on != "loss"

    def as_numbers(self) -> tuple[float, ...]:
        """Return the rule as the compiled engine has it, see `compiled.run.epochs.STOPPING`."""
        return self.patience, self.tolerance, self.from_lowest, get_args(Watched).index(self.on)


@dataclass(frozen=True)
class EarlyStopping(StoppingRule):
    """Stop when the loss has not fallen for a while, and restore the best parameters.

    Each member of a population stops by itself. Its later epochs do not count, and training ends when all members have
    stopped.

    Parameters
    ----------
    patience : int, default 10
        The number of epochs in a row without progress after which training ends.
    tolerance : float, default 0.0
        The decrease below the best loss so far that counts as progress, in units of the loss.
    on : {"validation_loss", "validation_score", "loss"}, default "validation_loss"
        The quantity that the rule watches: the validation loss, or the training loss if there is no validation set; the
        validation score, whose increase is progress; or the training loss.

    Raises
    ------
    ValueError
        If patience is less than 1, tolerance less than 0 or on is none of these.

    Examples
    --------
    >>> EarlyStopping(patience=3, on="validation_score")
    EarlyStopping(patience=3, tolerance=0.0, on='validation_score')
    """

    patience: int = 10
    tolerance: float = 0.0
    on: Watched = "validation_loss"

    from_start = True
    from_lowest = False


@dataclass(frozen=True)
class Stagnation(StoppingRule):
    """Stop when the training loss stagnates, and keep the last parameters: scikit-learn's rule.

    A loss is compared with the lowest one so far, from the first epoch on, so that many decreases that are each smaller
    than the tolerance are no progress. If it watches the validation rows, it restores the best parameters.

    Parameters
    ----------
    patience : int or inf, default 10
        The number of epochs in a row without progress after which training ends.
    tolerance : float, default 0.0001
        The decrease below the lowest loss so far that counts as progress, in units of the loss.
    on : {"loss", "validation_loss", "validation_score"}, default "loss"
        The quantity that the rule watches, see `EarlyStopping`.

    Raises
    ------
    ValueError
        If patience is less than 1, tolerance less than 0 or on is none of these.

    Examples
    --------
    >>> Stagnation(patience=11)
    Stagnation(patience=11, tolerance=0.0001, on='loss')
    """

    patience: float = 10
    tolerance: float = 1e-4
    on: Watched = "loss"

    from_start = False
    from_lowest = True


def observed(
    loss: float, lowest: float, progress_at: float, stalled: float, tolerance: float, from_lowest: bool
) -> tuple[float, float, float]:
    """Return the lowest loss, the loss at the latest progress, and the number of epochs since then.

    From the lowest loss, as in scikit-learn, a decrease by exactly the tolerance is progress, and so is a loss of NaN.
    Kernels are compiled from this source, so all its arguments are numbers.
    """
    progresses = not loss > lowest - tolerance if from_lowest else loss < progress_at - tolerance
    if loss < lowest:
        lowest = loss
    return lowest, loss if progresses else progress_at, 0.0 if progresses else stalled + 1.0

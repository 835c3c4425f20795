"""When training ends: the rules of early stopping, and the formula that all of them count by."""

from dataclasses import dataclass
from typing import Literal, get_args

Watched = Literal["loss", "validation_loss", "validation_score"]
"""What a rule watches, by the names of `History` in ``train``."""


def _refuse_out_of_range(rule: "EarlyStopping | Stagnation") -> None:
    name = type(rule).__name__
    if not rule.patience >= 1:
        raise ValueError(f"{name} needs a patience of at least 1 epoch, not {rule.patience!r}.")
    if not rule.tolerance >= 0:
        raise ValueError(f"{name} needs a tolerance of at least 0, not {rule.tolerance!r}.")
    if rule.on not in get_args(Watched):
        raise ValueError(f"{name} watches one of {', '.join(get_args(Watched))}, not {rule.on!r}.")


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the loss has not fallen for a while, and restore the best parameters.

    Each member of a population stops by itself: what it does after that does not count, and training ends when all have
    stopped.

    Parameters
    ----------
    patience : int, default 10
        How many epochs in a row without progress end training.
    tolerance : float, default 0.0
        By how much the loss must fall below the best so far to count as progress, in units of the loss.
    on : {"validation_loss", "validation_score", "loss"}, default "validation_loss"
        What it watches: the validation loss, or the training loss where there is no validation data; the validation
        score, which rises as a loss falls; or the training loss.

    Raises
    ------
    ValueError
        Where patience is less than 1, tolerance less than 0 or on is none of these.

    Examples
    --------
    >>> EarlyStopping(patience=3, on="validation_score")
    EarlyStopping(patience=3, tolerance=0.0, on='validation_score')
    """

    patience: int = 10
    tolerance: float = 0.0
    on: Watched = "validation_loss"

    from_start = True
    """Whether it looks at the initial parameters too."""
    from_lowest = False
    """Whether progress is counted from the lowest loss, not from that of the latest progress."""
    restores = True
    """Whether training returns the best parameters, not the last."""

    __post_init__ = _refuse_out_of_range


@dataclass(frozen=True)
class Stagnation:
    """Stop when the training loss stagnates, and keep the last parameters: scikit-learn's rule.

    Progress is counted from the lowest loss so far, from the first epoch on, so that many steps that are each smaller
    than the tolerance are none. Where it watches rows of validation, it restores the best parameters.

    Parameters
    ----------
    patience : int or inf, default 10
        Training ends when there was no progress in this many epochs in a row, the last of them included.
    tolerance : float, default 0.0001
        By how much the loss must be below the lowest so far to be progress, in units of the loss.
    on : {"loss", "validation_loss", "validation_score"}, default "loss"
        What it watches, see `EarlyStopping`.

    Raises
    ------
    ValueError
        Where patience is less than 1, tolerance less than 0 or on is none of these.

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

    @property
    def restores(self) -> bool:
        """Whether training returns the best parameters, not the last."""
        return self.on != "loss"

    __post_init__ = _refuse_out_of_range


def as_numbers(rule: EarlyStopping | Stagnation) -> tuple[float, ...]:
    """Return a rule as the compiled engine has it, see `compiled.epochs.Stopping`."""
    return rule.patience, rule.tolerance, rule.from_lowest, get_args(Watched).index(rule.on)


def observed(
    loss: float, lowest: float, progress_at: float, stalled: float, tolerance: float, from_lowest: bool
) -> tuple[float, float, float]:
    """Return what is remembered after a loss: the lowest, that of the latest progress, and the epochs since then.

    The kernels of `compiled.epochs` are compiled from this source, so it takes numbers and knows nothing but them.

    Parameters
    ----------
    loss : float
        The loss after an epoch; a score counts by its negative.
    lowest, progress_at, stalled : float
        What is remembered so far.
    tolerance : float
        By how much the loss must be lower to be progress.
    from_lowest : bool
        Lower than what: than the lowest loss, or than that of the latest progress. From the lowest it may be lower by
        just the tolerance, and a loss that is not a number counts as progress, as in scikit-learn.

    Examples
    --------
    >>> observed(2.0, lowest=3.0, progress_at=3.0, stalled=4.0, tolerance=0.5, from_lowest=False)
    (2.0, 2.0, 0.0)
    >>> observed(2.8, lowest=3.0, progress_at=3.0, stalled=4.0, tolerance=0.5, from_lowest=False)
    (2.8, 3.0, 5.0)
    """
    progresses = not loss > lowest - tolerance if from_lowest else loss < progress_at - tolerance
    if loss < lowest:
        lowest = loss
    return lowest, loss if progresses else progress_at, 0.0 if progresses else stalled + 1.0

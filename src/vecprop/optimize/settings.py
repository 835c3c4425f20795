"""The settings of training with the rules that stop it, and the plan of an epoch that follows from them."""

from dataclasses import dataclass, field, is_dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from ..core import Batch, Network, require_writable
from ..core.elementary import AT_LEAST_0, PATIENCE, Array, Range, Ranged, is_of, is_within, namespace
from ..core.scores import SCORES, Score
from .lbfgs import LBFGS
from .optimizers import Optimizer
from .schedules import Constant, Schedule

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
        """Return the rule as the compiled engine has it, see `compiled.run.measures.STOPPING`."""
        return self.patience, self.tolerance, self.from_lowest, get_args(Watched).index(self.on)


@dataclass(frozen=True)
class EarlyStopping(StoppingRule):
    """Stop when the loss has not fallen for a while, and restore the best parameters.

    Each member stops by itself and stays where it is. Its later measurements do not count, and training ends when all
    members have stopped.

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


TrainingLoss = Literal["auto", "exact", "running"]
"""The losses that a history may record, see `train`."""

EngineName = Literal["auto", "compiled", "reference"]

ENGINES = get_args(EngineName)[1:]
"""The engines, the fastest first; the last takes every network."""


@dataclass(frozen=True)
class Plan:
    """The mini-batches of the epochs of one fit. If it is running, the training loss is the mean over them."""

    batch_size: int
    shuffle: bool
    seed: int = field(compare=False)  # plans that differ in it alone have the same kernels and memory
    clip: float | None
    running: bool
    score: Score | None = None


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of one training; see `train`."""

    optimizer: Optimizer | LBFGS
    epochs: int
    batch_size: int | None
    shuffle: bool
    seed: int
    validation_score: Score | None
    training_loss: TrainingLoss
    schedule: Schedule | None
    early_stopping: StoppingRule | None
    clip: float | None
    engine: EngineName = "auto"

    def check(self, network: Network, theta: Array, validates: bool) -> None:
        """Refuse settings that are out of range, or do not fit together, the network, its parameters or the rows."""
        optimizer: Any = self.optimizer
        is_lbfgs, name = isinstance(optimizer, LBFGS), type(optimizer).__name__
        moves = is_lbfgs or all(callable(getattr(optimizer, method, None)) for method in ("init", "step"))
        if isinstance(optimizer, type) or not moves:
            advice = "give one such as Momentum(learning_rate=0.01) or LBFGS()."
            raise TypeError(f"The optimizer is {optimizer!r}: {advice}")
        smallest = float(namespace(theta).finfo(theta.dtype).smallest_normal)
        for setting in getattr(optimizer, "positive", ()):
            if (value := getattr(optimizer, setting)) < smallest:
                least = f"theta has dtype {theta.dtype}, whose smallest normal number is {smallest:.2g}"
                raise ValueError(f"The {setting} of {name} is {value}, but {least}.")
        if not isinstance(theta, np.ndarray):
            require_writable(theta)
        if is_of("complex floating", theta):
            raise TypeError(f"theta has dtype {theta.dtype}, but training moves real parameters.")
        if is_lbfgs and theta.ndim > 1:
            raise ValueError(f"LBFGS trains one network, but theta has the members {tuple(theta.shape[:-1])}.")
        if is_lbfgs and network.random:
            advice = "use another optimizer."
            raise ValueError(f"LBFGS needs a loss that stays the same, but this network has dropout: {advice}")
        size = 1 if self.batch_size is None else self.batch_size
        for setting, value, least in (("epochs", self.epochs, 0), ("batch_size", size, 1)):
            if not isinstance(value, int | np.integer) or not is_within(value, least):
                raise ValueError(f"{setting} is {value!r}, but a whole number of at least {least} is needed.")
        if not isinstance(self.seed, int | np.integer):
            raise TypeError(f"seed is {self.seed!r}, but a whole number is needed.")
        clip: Any = self.clip
        is_number = clip is None or (np.ndim(clip) == 0 and np.asarray(clip).dtype.kind in "biuf")
        if clip is not None and not (is_number and 0 < clip < np.inf):
            raise ValueError(f"clip is {clip!r}, but the largest norm of a gradient is positive and finite.")
        if self.engine not in ("auto", *ENGINES):
            raise ValueError(f'engine is {self.engine!r}, but it is "auto", "compiled" or "reference".')
        if self.training_loss not in get_args(TrainingLoss):
            raise ValueError(f'training_loss is {self.training_loss!r}, but it is "auto", "exact" or "running".')
        if not isinstance(self.shuffle, bool | np.bool_):
            raise TypeError(f"shuffle is {self.shuffle!r}, but True or False is needed.")
        if self.early_stopping is not None and not isinstance(self.early_stopping, StoppingRule):
            raise TypeError(f"early_stopping is {self.early_stopping!r}: give one such as EarlyStopping(patience=10).")
        schedule = self.schedule
        if schedule is not None and (isinstance(schedule, type) or not callable(getattr(schedule, "factor", None))):
            raise TypeError(f"schedule is {schedule!r}: give one such as Cosine().")
        score, rule = self.validation_score, self.early_stopping
        if score is None and rule is not None and rule.on == "validation_score":
            raise ValueError('early_stopping watches the validation score: name it, as in validation_score="accuracy".')
        if score is not None and score not in SCORES:
            raise ValueError(f"validation_score is {score!r}, but it is one of {', '.join(SCORES)}.")
        if score is not None and not validates:
            raise ValueError(f"validation_score is {score!r}, but there are no rows of validation: give them too.")
        if schedule is not None and not (is_dataclass(optimizer) and hasattr(optimizer, "learning_rate")):
            raise TypeError(f"A schedule changes the learning_rate of a dataclass, which {name} is not.")

    def check_score(self, validation: Batch) -> None:
        """Refuse a score that these validation rows do not have."""
        if self.validation_score == "r2" and validation.rows < 2:
            raise ValueError("validation_score is 'r2', which needs at least 2 rows of validation.")
        weight = validation.chosen_weight
        if self.validation_score is None or weight is None:
            return
        if not namespace(weight).all(namespace(weight).any(weight > 0, axis=-1)):
            raise ValueError("The rows of validation all have weight 0, so that they have no score: weigh one.")

    def plan(self, rows: int) -> Plan:
        """Return the plan of an epoch over this many rows."""
        size = int(min(self.batch_size or rows, rows))
        running = self.training_loss == "running" or (self.training_loss == "auto" and size < rows)
        clip = None if self.clip is None else float(self.clip)
        return Plan(size, self.shuffle, self.seed, clip, running, self.validation_score)

    def rates(self, total: int, count: int, first: int = 0, state: dict[str, Any] | None = None) -> np.ndarray:
        """Return the learning rates of as many steps, from the first one on, of so many in all; or one rate for all.

        Their shape is (steps,), or (steps, *M) if there is one for each member.
        """
        optimizer: Any = self.optimizer
        if self.schedule is None or isinstance(self.schedule, Constant):
            return np.array([optimizer.learning_rate], float)
        rate = np.asarray(optimizer.learning_rate)
        factors = [self.schedule.factor(step, total, state or {}) for step in range(first, first + count)]
        factors = np.array(factors, float)
        return rate * (factors.reshape(count, *(1,) * rate.ndim) if factors.ndim == 1 else factors)

    def identity(self, rows: int) -> dict[str, Any]:
        """Return all but the epochs on which the bits of training on this many rows depend, by name."""
        plan, known = self.plan(rows), dict(vars(self))
        del known["epochs"]
        loss = "running" if plan.running else "exact"
        return known | {"batch_size": plan.batch_size, "training_loss": loss, "schedule": self.schedule or Constant()}

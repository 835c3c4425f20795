"""The settings of training, the stopping rules, and the plan of an epoch."""

from collections.abc import Iterable
from dataclasses import dataclass, field, is_dataclass
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
from numpy import ndarray

from ..core import Batch, Network, require_writable
from ..core.elementary import (
    AT_LEAST_0,
    PATIENCE,
    Array,
    Range,
    Ranged,
    is_of,
    is_within,
    namespace,
)
from ..core.scores import SCORES, Score
from ..system.suggestions import wrong_part
from .lbfgs import LBFGS
from .optimizers import Optimizer
from .schedules import Constant, Schedule

Monitored = Literal["loss", "validation_loss", "validation_score"]
"""The quantities that early stopping can monitor, as named in `train.state.History`."""

Reference = Literal["progress", "best"]


@dataclass(frozen=True)
class EarlyStopping(Ranged):
    """Stop when a loss stops decreasing, or the validation score stops increasing.

    Members of a population stop independently, and stopped members do not change.
    Training ends when all members have stopped.

    Parameters
    ----------
    monitor : {"validation_loss", "validation_score", "loss"}, default "validation_loss"
        The monitored quantity. "loss" is the training loss. Without a validation set,
        "validation_loss" monitors the training loss. For "validation_score", an
        increase is progress.
    min_delta : float, default 0.0
        The decrease that counts as progress, in units of the loss.
    patience : int or inf, default 10
        The number of consecutive epochs without progress before training ends.
    restore_best : bool, default True
        Whether training returns the best parameters instead of the last parameters.
    compare_to : {"progress", "best"}, default "progress"
        "progress" compares each loss with the loss of the latest epoch with progress,
        as in Keras. Many small decreases then add up to progress. "best" compares each
        loss with the lowest loss so far, as in scikit-learn. A decrease by exactly
        min_delta is then progress, and the loss of the initial parameters does not
        count.

    Raises
    ------
    ValueError
        If patience is less than 1, min_delta is negative, or another parameter is not a
        listed value.

    Examples
    --------
    >>> EarlyStopping("validation_score", patience=3)
    EarlyStopping(monitor='validation_score', min_delta=0.0, patience=3, restore_best=True, compare_to='progress')
    """

    monitor: Monitored = "validation_loss"
    min_delta: float = 0.0
    patience: float = 10
    restore_best: bool = True
    compare_to: Reference = "progress"

    _ranges: ClassVar[dict[str, Range]] = {
        "patience": PATIENCE,
        "min_delta": AT_LEAST_0,
    }
    _choices: ClassVar[dict[str, tuple[Any, ...]]] = {
        "monitor": get_args(Monitored),
        "restore_best": (True, False),
        "compare_to": get_args(Reference),
    }

    def _observed(self, loss: float, memory: Iterable[float]) -> tuple:
        """Return the lowest loss, the loss at the latest progress, and the epochs since then, after another epoch."""
        compares_to_best = self.compare_to == "best"
        return observed(loss, *memory, self.min_delta, compares_to_best)

    def _as_numbers(self) -> tuple[float, ...]:
        """Return the rule as numbers; see `compiled.run.measures.STOPPING`."""
        return (
            self.patience,
            self.min_delta,
            self.compare_to == "best",
            get_args(Monitored).index(self.monitor),
        )


def observed(
    loss: float,
    lowest: float,
    progress_at: float,
    stalled: float,
    min_delta: float,
    compares_to_best: bool,
) -> tuple[float, float, float]:
    """Return the lowest loss, the loss at the latest progress, and the epochs since then.

    If compares_to_best is true, a decrease by exactly min_delta and a loss of NaN are
    progress, as in scikit-learn. Kernels are compiled from this source, so all
    arguments are numbers.
    """
    is_progress = loss < progress_at - min_delta
    if compares_to_best:
        is_progress = not loss > lowest - min_delta
    if loss < lowest:
        lowest = loss
    if is_progress:
        return lowest, loss, 0.0
    return lowest, progress_at, stalled + 1.0


TrainingLoss = Literal["auto", "exact", "running"]
"""The kinds of training loss that a history can record, see `train`."""

EngineName = Literal["auto", "compiled", "reference"]

ENGINES = get_args(EngineName)[1:]
"""The engines, fastest first; the last one supports every network."""


@dataclass(frozen=True)
class Plan:
    """The mini-batches of an epoch; a running loss is the mean over mini-batches."""

    batch_size: int
    shuffle: bool
    # plans that differ only in the seed share kernels and memory
    seed: int = field(compare=False)
    clip_norm: float | None
    running: bool
    score: Score | None = None


NOTHING = np.empty(0)


class EpochResults(NamedTuple):
    """What an engine has computed in some epochs. The arrays have one entry per epoch, (E, *M), or more.

    Values that were not measured are arbitrary. After divergence, the next entry is the
    value that is not finite.
    """

    epochs: int
    steps: int
    # whether early stopping ends training; None if the engine does not compare losses
    stalled: bool | None = None
    stopped: bool = False  # whether an interrupt ended the epochs early
    diverged: bool = False
    gradient_diverged: bool = False
    losses: ndarray = NOTHING
    validation_losses: ndarray = NOTHING
    norms: ndarray = NOTHING
    sizes: ndarray = NOTHING
    validation_scores: ndarray = NOTHING


CURVES = {
    "losses": "loss",
    "validation_losses": "validation_loss",
    "validation_scores": "validation_score",
    "norms": "gradient_norm",
    "sizes": "step_size",
}
"""The names of curves in a history, by the fields of `EpochResults`."""


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of a training run; see `train`."""

    optimizer: Optimizer | LBFGS
    epochs: int
    batch_size: int | None
    shuffle: bool
    seed: int
    validation_score: Score | None
    training_loss: TrainingLoss
    schedule: Schedule | None
    early_stopping: EarlyStopping | None
    clip_norm: float | None
    engine: EngineName = "auto"

    def check(self, network: Network, theta: Array, validates: bool):
        """Raise an error if settings are invalid or do not fit the network or theta."""
        self._check_optimizer(theta)
        if not isinstance(theta, ndarray):
            require_writable(theta)
        if is_of("complex floating", theta):
            raise TypeError(
                f"theta has dtype {theta.dtype}, but training needs real parameters."
            )
        if isinstance(self.optimizer, LBFGS):
            self._check_lbfgs(network, theta)
        self._check_values()
        if self.schedule is not None:
            self._check_schedule(self.schedule)
        self._check_validation(validates)

    def _check_optimizer(self, theta: Array):
        optimizer: Any = self.optimizer
        methods = [getattr(optimizer, method, None) for method in ("init", "step")]
        is_optimizer = isinstance(optimizer, LBFGS) or all(map(callable, methods))
        if isinstance(optimizer, type) or not is_optimizer:
            raise TypeError(
                wrong_part("optimizer", optimizer, "one such as Adam() or LBFGS()")
            )
        smallest = float(namespace(theta).finfo(theta.dtype).smallest_normal)
        for setting in getattr(optimizer, "positive", ()):
            value = getattr(optimizer, setting)
            if value < smallest:
                raise ValueError(
                    f"The {setting} of {type(optimizer).__name__} is {value}, but theta"
                    f" has dtype {theta.dtype}, whose smallest normal number is"
                    f" {smallest:.2g}."
                )

    def _check_values(self):
        size = 1 if self.batch_size is None else self.batch_size
        for setting, value, least in (
            ("epochs", self.epochs, 0),
            ("batch_size", size, 1),
        ):
            if not isinstance(value, int | np.integer) or not is_within(value, least):
                raise ValueError(
                    f"{setting} must be an integer of at least {least}, got {value!r}."
                )
        if not isinstance(self.seed, int | np.integer):
            raise TypeError(f"seed must be an integer, got {self.seed!r}.")
        clip_norm = np.asarray(1.0 if self.clip_norm is None else self.clip_norm)
        is_number = clip_norm.ndim == 0 and clip_norm.dtype.kind in "biuf"
        if not is_number or not 0 < clip_norm < np.inf:
            raise ValueError(
                "clip_norm must be a positive and finite number, got"
                f" {self.clip_norm!r}."
            )
        for setting, choices in (
            ("engine", EngineName),
            ("training_loss", TrainingLoss),
        ):
            value = getattr(self, setting)
            first, second, third = get_args(choices)
            if value not in (first, second, third):
                raise ValueError(
                    f'{setting} must be "{first}", "{second}" or "{third}", got'
                    f" {value!r}."
                )
        if not isinstance(self.shuffle, bool | np.bool_):
            raise TypeError(f"shuffle must be True or False, got {self.shuffle!r}.")
        if not isinstance(self.early_stopping, EarlyStopping | None):
            rule = "a rule such as EarlyStopping(patience=10)"
            raise TypeError(wrong_part("early_stopping", self.early_stopping, rule))

    def _check_schedule(self, schedule: Schedule):
        factor = getattr(schedule, "factor", None)
        if isinstance(schedule, type) or not callable(factor):
            raise TypeError(wrong_part("schedule", schedule, "one such as Cosine()"))
        optimizer: Any = self.optimizer
        if not is_dataclass(optimizer) or not hasattr(optimizer, "learning_rate"):
            raise TypeError(
                "A schedule needs an optimizer dataclass with a learning_rate, which"
                f" {type(optimizer).__name__} is not."
            )

    def _check_validation(self, validates: bool):
        score = self.validation_score
        if score is None:
            rule = self.early_stopping
            if rule is not None and rule.monitor == "validation_score":
                raise ValueError(
                    "early_stopping monitors the validation score: pass one as"
                    ' validation_score="accuracy".'
                )
            return
        if score not in SCORES:
            raise ValueError(
                f"validation_score must be one of {', '.join(SCORES)}, got {score!r}."
            )
        if not validates:
            raise ValueError(
                f"validation_score is {score!r}, which needs validation rows: pass"
                " validation."
            )

    def check_score(self, validation: Batch):
        """Raise if the score is undefined for these validation rows."""
        if self.validation_score == "r2" and validation.rows < 2:
            raise ValueError(
                "validation_score is 'r2', which needs at least 2 validation rows."
            )
        weight = validation.chosen_weight
        if self.validation_score is None or weight is None:
            return
        if not namespace(weight).all(namespace(weight).any(weight > 0, axis=-1)):
            raise ValueError(
                "All validation rows have weight 0, so their score is undefined: make a"
                " weight positive."
            )

    def plan(self, rows: int) -> Plan:
        """Return the plan of an epoch over this many rows."""
        size = int(min(self.batch_size or rows, rows))
        is_running = self.training_loss == "running"
        if self.training_loss == "auto":
            is_running = size < rows
        if isinstance(self.optimizer, LBFGS):
            is_running = False
        return Plan(
            batch_size=size,
            shuffle=self.shuffle,
            seed=self.seed,
            clip_norm=None if self.clip_norm is None else float(self.clip_norm),
            running=is_running,
            score=self.validation_score,
        )

    def rates(
        self,
        total: int,
        count: int,
        first: int = 0,
        state: dict[str, Any] | None = None,
    ) -> ndarray:
        """Return the learning rates of some steps, (count, *M), or one constant rate."""
        optimizer: Any = self.optimizer
        if self.schedule is None or isinstance(self.schedule, Constant):
            return np.array([optimizer.learning_rate], float)
        rates = np.asarray(optimizer.learning_rate)
        factors = []
        for step in range(first, first + count):
            factors.append(self.schedule.factor(step, total, state or {}))
        factors = np.array(factors, float)
        if factors.ndim == 1:
            factors = factors.reshape(count, *(1,) * rates.ndim)
        return rates * factors

    def identity(self, rows: int) -> dict[str, Any]:
        """Return all settings that determine the result, except epochs."""
        plan = self.plan(rows)
        settings = dict(vars(self))
        del settings["epochs"]
        settings["batch_size"] = plan.batch_size
        settings["training_loss"] = "running" if plan.running else "exact"
        settings["schedule"] = self.schedule or Constant()
        return settings

    def _check_lbfgs(self, network: Network, theta: Array):
        unusable = self.batch_size, self.schedule, self.clip_norm
        if any(value is not None for value in unusable):
            raise ValueError(
                "LBFGS trains on full batches: omit batch_size, schedule and clip_norm."
            )
        if theta.ndim > 1:
            raise ValueError(
                "LBFGS trains one network, but theta has the leading axes"
                f" {tuple(theta.shape[:-1])}."
            )
        if network._random:
            raise ValueError(
                "LBFGS needs a deterministic loss, but this network has dropout: use"
                " another optimizer."
            )

"""The settings of training, and the plan of an epoch that follows from them."""

from dataclasses import dataclass, field, is_dataclass
from typing import Any, Literal, get_args

import numpy as np

from ..core.elementary import Array, is_of, is_within, namespace
from ..core.network import Network
from ..core.rows.inputs import Batch, require_writable
from ..core.scores import SCORES, Score
from .lbfgs import LBFGS
from .optimizers import Optimizer
from .schedules import Constant, Schedule
from .stopping import StoppingRule

TrainingLoss = Literal["auto", "exact", "running"]
"""The losses that a history may record, see `train`."""

EngineName = Literal["auto", "compiled", "reference"]

NAMES = get_args(EngineName)[1:]
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
            raise TypeError(
                f"The optimizer is {optimizer!r}: give one such as Momentum(learning_rate=0.01) or LBFGS()."
            )
        smallest = float(namespace(theta).finfo(theta.dtype).smallest_normal)
        for setting in getattr(optimizer, "positive", ()):
            if (value := getattr(optimizer, setting)) < smallest:
                raise ValueError(
                    f"The {setting} of {name} is {value}, but theta has dtype {theta.dtype}, whose smallest normal "
                    f"number is {smallest:.2g}."
                )
        if not isinstance(theta, np.ndarray):
            require_writable(theta)
        if is_of("complex floating", theta):
            raise TypeError(f"theta has dtype {theta.dtype}, but training moves real parameters.")
        if is_lbfgs and theta.ndim > 1:
            raise ValueError(f"LBFGS trains one network, but theta has the members {tuple(theta.shape[:-1])}.")
        if is_lbfgs and network.random:
            raise ValueError(
                "LBFGS needs a loss that stays the same, but this network has dropout: use another optimizer."
            )
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
        if self.engine not in ("auto", *NAMES):
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

    def identity(self, rows: int) -> dict[str, Any]:
        """Return all but the epochs on which the bits of training on this many rows depend, by name."""
        plan, known = self.plan(rows), dict(vars(self))
        del known["epochs"]
        loss = "running" if plan.running else "exact"
        return known | {"batch_size": plan.batch_size, "training_loss": loss, "schedule": self.schedule or Constant()}

"""What `train` is given beside the data, and the one sentence that it says of anything else."""

from collections.abc import Sequence
from dataclasses import is_dataclass
from typing import Any

import numpy as np

from ..core.elementary import Array, is_of, namespace
from ..core.network import Network
from ..core.scores import SCORES
from ..optimize.lbfgs import LBFGS
from ..optimize.stopping import EarlyStopping, Stagnation
from .engine import NAMES
from .state import TrainingState


def check_arguments(
    network: Network,
    theta: Array,
    optimizer: Any,
    epochs: int,
    batch_size: int | None,
    seed: int,
    clip: float | None,
) -> None:
    """Refuse what does not fit together."""
    moves = isinstance(optimizer, LBFGS) or all(callable(getattr(optimizer, name, None)) for name in ("init", "step"))
    if isinstance(optimizer, type) or not moves:
        raise TypeError(f"The optimizer is {optimizer!r}: give one such as Momentum(learning_rate=0.01) or LBFGS().")
    if is_of("complex floating", theta):
        raise TypeError(f"theta has dtype {theta.dtype}, but training moves real parameters.")
    if isinstance(optimizer, LBFGS) and theta.ndim > 1:
        raise ValueError(f"LBFGS trains one network, but theta has the members {tuple(theta.shape[:-1])}.")
    if isinstance(optimizer, LBFGS) and network.random:
        raise ValueError("LBFGS needs a loss that stays the same, but this network has dropout: use another optimizer.")
    for name, value, least in (("epochs", epochs, 0), ("batch_size", batch_size, 1)):
        if value is not None and (not isinstance(value, int | np.integer) or value < least):
            raise ValueError(f"{name} is {value!r}, but a whole number of at least {least} is needed.")
    if not isinstance(seed, int | np.integer):
        raise TypeError(f"seed is {seed!r}, but a whole number is needed.")
    if clip is not None and not 0 < clip < np.inf:
        raise ValueError(f"clip is {clip!r}, but the largest norm of a gradient is positive and finite.")


def check_choices(engine: str, training_loss: str, shuffle: bool) -> None:
    """Refuse what is none of the choices."""
    if engine not in ("auto", *NAMES):
        raise ValueError(f'engine is {engine!r}, but it is "auto", "compiled" or "reference".')
    if training_loss not in ("exact", "running"):
        raise ValueError(f'training_loss is {training_loss!r}, but it is "exact" or "running".')
    if not isinstance(shuffle, bool | np.bool_):
        raise TypeError(f"shuffle is {shuffle!r}, but True or False is needed.")


def check_watchers(optimizer: Any, schedule: Any, early_stopping: Any, callbacks: Any, state: Any) -> None:
    """Refuse what cannot watch training."""
    if early_stopping is not None and not isinstance(early_stopping, EarlyStopping | Stagnation):
        raise TypeError(f"early_stopping is {early_stopping!r}: give one such as EarlyStopping(patience=10).")
    if schedule is not None and (isinstance(schedule, type) or not callable(getattr(schedule, "factor", None))):
        raise TypeError(f"schedule is {schedule!r}: give one such as Cosine().")
    if schedule is not None and not (is_dataclass(optimizer) and hasattr(optimizer, "learning_rate")):
        name = type(optimizer).__name__
        raise TypeError(f"A schedule changes the learning_rate of a dataclass, which {name} is not.")
    if not isinstance(callbacks, Sequence) or not all(map(callable, callbacks)):
        raise TypeError(f"callbacks is {callbacks!r}, but a list of functions of the state is needed.")
    for callback in callbacks:
        interval = getattr(callback, "interval", 1)
        if not (isinstance(interval, int | float | np.number) and interval >= 1):
            raise ValueError(f"The interval of {callback!r} is {interval!r}, but it is 1 epoch at least.")
    if state is not None and not isinstance(state, TrainingState):
        raise TypeError(f"state is {state!r}, but a TrainingState is needed: result.state of an earlier call.")


def check_score(
    name: Any, early_stopping: EarlyStopping | Stagnation | None, rows: int | None, weight: Array | None
) -> None:
    """Refuse a score that so many rows of validation of these weights do not have, or that early stopping misses."""
    if name is None:
        if early_stopping is not None and early_stopping.on == "validation_score":
            raise ValueError('early_stopping watches the validation score: name it, as in validation_score="accuracy".')
        return
    if name not in SCORES:
        raise ValueError(f"validation_score is {name!r}, but it is one of {', '.join(SCORES)}.")
    if rows is None:
        raise ValueError(f"validation_score is {name!r}, but there are no rows of validation: give them too.")
    if name == "r2" and rows < 2:
        raise ValueError("validation_score is 'r2', which needs at least 2 rows of validation.")
    if weight is not None and not namespace(weight).all(namespace(weight).any(weight > 0, axis=-1)):
        raise ValueError("The rows of validation all have weight 0, so that they have no score: weigh one.")

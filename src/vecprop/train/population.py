"""Many networks at once: each is trained as `train` would train it alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..core.elementary import Array
from ..core.network import Network
from ..optimize.lbfgs import LBFGS
from ..optimize.optimizers import Optimizer
from ..optimize.schedules import Schedule
from .early_stopping import EarlyStopping, Stagnation
from .engine import Engine
from .state import DivergenceError, TrainingResult
from .trainer import train


@dataclass(frozen=True, eq=False)
class Member:
    """One network of a population, with settings and rows of its own. What has no entry here is as in `train`.

    Parameters
    ----------
    network : Network
        What to train.
    theta : ndarray (P,)
        The parameters to start from; they are not changed.
    optimizer : Optimizer or LBFGS
        How theta moves.
    rows : ndarray of int, optional
        The numbers of the rows of X to train on; all by default.
    validation_rows : ndarray of int, optional
        The numbers of the rows whose loss is measured after each epoch; none by default.
    X, T : ndarray, optional
        Data in place of those that the population shares, such as a fold's own preprocessing makes. Members may share
        them: nothing is copied for a member.
    sample_weight : ndarray (N,), optional
        The weights of all rows of X, in place of those that the population shares.
    epochs, batch_size, shuffle, seed, training_loss, schedule, early_stopping, clip
        See `train`.
    """

    network: Network
    theta: Array
    optimizer: Optimizer | LBFGS
    rows: np.ndarray | None = None
    validation_rows: np.ndarray | None = None
    X: np.ndarray | None = None
    T: np.ndarray | None = None
    sample_weight: np.ndarray | None = None
    epochs: int = 300
    batch_size: int | None = None
    shuffle: bool = True
    seed: int = 0
    training_loss: Literal["exact", "running"] = "exact"
    schedule: Schedule | None = None
    early_stopping: EarlyStopping | Stagnation | None = None
    clip: float | None = None


def train_population(
    members: Sequence[Member],
    X: np.ndarray,
    T: np.ndarray,
    *,
    sample_weight: np.ndarray | None = None,
    engine: Engine = "auto",
) -> list[TrainingResult]:
    """Train many networks, each with settings and rows of its own.

    Parameters
    ----------
    members : sequence of Member
        What to train.
    X : ndarray (N, I)
        The inputs that members choose their rows from.
    T : ndarray (N, O) or (N,)
        The targets, as the members' losses take them.
    sample_weight : ndarray (N,), optional
        The rows' weights.
    engine : {"auto", "compiled", "reference"}, default "auto"
        See `train`.

    Returns
    -------
    list of TrainingResult
        For each member what `train` returns for it alone, bit for bit. A member that diverges is stopped at its last
        parameters with a finite loss, its result's reason is "diverged", and no other takes notice.

    Examples
    --------
    >>> network = Network(1, [Dense(1)], SquaredError())
    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> members = [Member(network, np.zeros(2), GradientDescent(rate), epochs=100) for rate in (0.1, 0.5)]
    >>> [float(result.history.loss[-1].round(4)) for result in train_population(members, X, 3 * X + 1)]
    [0.0009, 0.0]
    """
    return [_alone(member, X, T, sample_weight, engine) for member in members]


def _alone(member: Member, X: Array, T: Array, sample_weight: Array | None, engine: Engine) -> TrainingResult:
    X = X if member.X is None else member.X
    T = T if member.T is None else member.T
    weight = sample_weight if member.sample_weight is None else member.sample_weight

    def chosen(rows: np.ndarray | None) -> tuple[Array, Array, Array | None]:
        if rows is None:
            return X, T, weight
        return X[rows], T[rows], None if weight is None else weight[rows]

    own_X, own_T, own_weight = chosen(member.rows)
    validation = None if member.validation_rows is None else chosen(member.validation_rows)
    try:
        return train(
            member.network,
            member.theta,
            own_X,
            own_T,
            optimizer=member.optimizer,
            epochs=member.epochs,
            batch_size=member.batch_size,
            shuffle=member.shuffle,
            seed=member.seed,
            sample_weight=own_weight,
            validation=validation,
            training_loss=member.training_loss,
            schedule=member.schedule,
            early_stopping=member.early_stopping,
            clip=member.clip,
            engine=engine,
        )
    except DivergenceError as error:
        return error.result

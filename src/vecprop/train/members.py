"""The members of a population, and the data that they share."""

from contextlib import suppress
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import numpy as np

from ..core.elementary import Array
from ..core.network import Network
from ..core.rows.inputs import Batch, checked_theta
from ..core.rows.selection import Selection
from ..core.scores import Score
from ..optimize.lbfgs import LBFGS
from ..optimize.optimizers import Optimizer
from ..optimize.schedules import Schedule
from ..optimize.settings import StoppingRule, TrainingLoss, TrainingSettings


@dataclass(frozen=True, eq=False)
class Member:
    """One network of a population, with settings and rows of its own; see `train` for those that are not described.

    Parameters
    ----------
    network : Network
        The network.
    theta : ndarray (P,)
        The parameters to start from; they are not changed.
    optimizer : Optimizer or LBFGS
        The optimizer.
    rows : ndarray of int, optional
        The numbers of the rows of X to train on; all by default.
    validation_rows : ndarray of int, optional
        The numbers of the rows whose loss and score are measured after each epoch; none by default.
    X, T : ndarray, optional
        Data in place of those that the population shares, such as a fold's own preprocessing makes. Members may share
        them: nothing is copied for a member.
    sample_weight : ndarray (N,), optional
        The weights of all rows of X, in place of those that the population shares.
    keeps_predictions : bool, default False
        Whether the history keeps the predictions of the validation rows after each epoch.
    epochs, batch_size, shuffle, seed, validation_score, training_loss, schedule, early_stopping, clip
        See `train`.

    Examples
    --------
    Each of five members leaves out another fifth of the rows, and is measured on it:

    >>> network, X = Network(1, [Dense(1)], SquaredError()), np.linspace(-1, 1, 20)[:, None]
    >>> rows, members = np.arange(20), []
    >>> for k in range(5):
    ...     left = rows % 5 == k
    ...     members.append(
    ...         Member(network, np.zeros(2), Momentum(0.1), rows=rows[~left], validation_rows=rows[left], epochs=100)
    ...     )
    >>> results = train_population(members, X, 3 * X + 1)
    >>> bool(max(result.history.validation_loss[-1] for result in results) < 1e-3)
    True
    """

    network: Network
    theta: Array
    optimizer: Optimizer | LBFGS
    rows: np.ndarray | None = None
    validation_rows: np.ndarray | None = None
    X: np.ndarray | Selection | None = None
    T: np.ndarray | None = None
    sample_weight: np.ndarray | None = None
    epochs: int = 300
    batch_size: int | None = None
    shuffle: bool = True
    seed: int = 0
    validation_score: Score | None = None
    training_loss: TrainingLoss = "auto"
    schedule: Schedule | None = None
    early_stopping: StoppingRule | None = None
    clip: float | None = None
    keeps_predictions: bool = False

    @property
    def settings(self) -> TrainingSettings:
        """The settings by which `train` would train the member alone."""
        return TrainingSettings(*_settings_of(self))

    def key(self, alike: "Alike") -> tuple[Any, ...]:
        """Return a key that is equal for members that differ in their initial parameters and seeds alone."""
        parts = (self.network, self.optimizer, self.schedule)
        data = (self.rows, self.validation_rows, self.X, self.T, self.sample_weight)
        plan = (self.epochs, self.batch_size, self.shuffle, self.training_loss, self.clip)
        stopping = (self.validation_score, self.early_stopping, self.keeps_predictions)
        shape = (np.shape(self.theta), getattr(self.theta, "dtype", None))
        return (*map(alike, parts), *map(id, data), *plan, *stopping, *shape)


_settings_of = attrgetter(*(field.name for field in fields(TrainingSettings) if field.name != "engine"))


class Alike:
    """Numbers parts, so that equal parts have the same number; a part without a hash equals itself alone.

    A part that has come before is recognized by its address, without the hashes of all the parts that it consists of.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, Any]] = {}  # the part beside its number, so that it is not replaced
        self._first: dict[Any, int] = {}

    def __call__(self, part: Any) -> int:
        """Return the number of a part; equal parts have the same."""
        if id(part) not in self._known:
            number = len(self._known)
            with suppress(TypeError, ValueError):  # of a part of the user's own, which cannot be compared
                number = self._first.setdefault(part, number)
            self._known[id(part)] = number, part
        return self._known[id(part)][0]


class Data:
    """The data that members choose their rows from; each check of them is made once."""

    def __init__(self, X: Array, T: Array, sample_weight: Array | None) -> None:
        self.X, self.T, self.sample_weight = X, T, sample_weight
        self._batches: dict[tuple[Any, ...], Batch] = {}

    def of(self, member: Member) -> tuple[Array, Array, Array | None]:
        """Return the inputs, targets and weights that a member chooses its rows from."""
        return (
            self.X if member.X is None else member.X,
            self.T if member.T is None else member.T,
            self.sample_weight if member.sample_weight is None else member.sample_weight,
        )

    def batch(self, member: Member) -> Batch:
        """Return a member's data as a batch, which members share if their networks take the same."""
        network, data = member.network, self.of(member)
        theta = checked_theta(network, member.theta)
        key = (network.inputs, network.outputs, repr(network.loss_function), theta.dtype, *map(id, data))
        if key not in self._batches:
            self._batches[key] = network.batch(theta, *data, as_read=True)
        return self._batches[key]

    def chosen(self, member: Member, rows: np.ndarray | None) -> tuple[Array, Array, Array | None]:
        """Return a copy of the chosen rows, or all as they are."""
        X, T, weight = self.of(member)
        if rows is None:
            return X, T, weight
        rows = checked_row_numbers(rows, row_count(X))
        return X.take(rows) if isinstance(X, Selection) else X[rows], T[rows], None if weight is None else weight[rows]

    def rows(self, member: Member) -> int:
        """Return the number of rows that a member is trained on."""
        return row_count(self.of(member)[0] if member.rows is None else member.rows)


def checked_row_numbers(rows: Any, count: int) -> np.ndarray:
    """Return the numbers of rows as an array, or say what is wrong with them."""
    rows = np.asarray(rows)
    if rows.ndim != 1 or not len(rows) or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(
            f"rows has shape {rows.shape} and dtype {rows.dtype}, but the numbers of at least one row are needed."
        )
    if rows.min() < 0 or rows.max() >= count:
        raise ValueError(f"rows has numbers from {rows.min()} to {rows.max()}, but X has the rows 0 to {count - 1}.")
    return rows


def row_count(rows: Any) -> int:
    """Return the number of rows of an array, a list or a sparse matrix, which has no len()."""
    return rows.shape[0] if hasattr(rows, "shape") else len(rows)

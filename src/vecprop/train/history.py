"""The history: the measurements of training, epoch by epoch."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from ..system.versions import Versioned

if TYPE_CHECKING:
    import pandas as pd


@dataclass(eq=False)
class History(Versioned):
    """The measurements of training. Entry k of a loss is measured before epoch k + 1, the last entry at the end.

    Attributes
    ----------
    loss : ndarray (epochs + 1, *M), or (epochs, *M) if it is running
        The training loss, on all rows, without noise, with the penalty. A running loss is the mean over an epoch's
        batches, each with its noise and at the parameters that it met.
    validation_loss : ndarray (epochs + 1, *M), or (0,) without validation data
        The same on the validation rows.
    validation_score : ndarray (epochs + 1, *M), or (0,) if nothing is scored
        The score of the validation rows, larger is better.
    validation_predictions : ndarray (epochs + 1, n, O), or (0,) if they are not kept
        The predictions of the validation rows, see `Member`.
    gradient_norm : ndarray (epochs, *M)
        The Euclidean norm of the gradient before clipping, the mean over the epoch's steps.
    step_size : ndarray (epochs, *M)
        The Euclidean length of the steps that theta took, the mean over the epoch's steps.
    time : ndarray (epochs + 1,)
        Seconds since training began.

    Examples
    --------
    >>> history = History()
    >>> history.measure(loss=2.0, validation_loss=None, time=0.0)
    >>> history.loss
    array([2.])
    """

    # Each list holds arrays with a leading axis of epochs, of one or of many that ran as one.
    _loss: list[np.ndarray] = field(default_factory=list)
    _validation_loss: list[np.ndarray] = field(default_factory=list)
    _validation_score: list[np.ndarray] = field(default_factory=list)
    _validation_predictions: list[np.ndarray] = field(default_factory=list)
    _gradient_norm: list[np.ndarray] = field(default_factory=list)
    _step_size: list[np.ndarray] = field(default_factory=list)
    _time: list[np.ndarray] = field(default_factory=list)

    def measure(self, **values: ArrayLike | None) -> None:
        """Append values of one epoch, by the names of the attributes; None is one that is not known."""
        self.extend(**{name: None if value is None else np.asarray(value)[None] for name, value in values.items()})

    def extend(self, **values: np.ndarray | None) -> None:
        """Append values of several epochs, each with a leading axis of them, by the names of the attributes."""
        for name, several in values.items():
            if several is not None and len(several):
                getattr(self, f"_{name}").append(several)

    def joined(self) -> Self:
        """Return a copy that holds each of its curves as one array, however many epochs were recorded one by one."""
        return type(self)(**{name: [_joined(parts)] if parts else [] for name, parts in vars(self).items()})

    @property
    def loss(self) -> np.ndarray:
        """The training loss, ``(epochs + 1, *M)``, or ``(epochs, *M)`` if it is running."""
        return _joined(self._loss)

    @property
    def validation_loss(self) -> np.ndarray:
        """The validation loss, ``(epochs + 1, *M)``, or ``(0,)`` without validation data."""
        return _joined(self._validation_loss)

    @property
    def validation_score(self) -> np.ndarray:
        """The validation score, ``(epochs + 1, *M)``, or ``(0,)`` if nothing is scored."""
        return _joined(self._validation_score)

    @property
    def validation_predictions(self) -> np.ndarray:
        """The predictions of the validation rows, ``(epochs + 1, n, O)``, or ``(0,)`` if they are not kept."""
        return _joined(self._validation_predictions)

    @property
    def gradient_norm(self) -> np.ndarray:
        """The norm of the gradient, the mean over each epoch's steps, ``(epochs, *M)``."""
        return _joined(self._gradient_norm)

    @property
    def step_size(self) -> np.ndarray:
        """The length of the steps, the mean over each epoch's steps, ``(epochs, *M)``."""
        return _joined(self._step_size)

    @property
    def time(self) -> np.ndarray:
        """Seconds since training began, (epochs + 1,)."""
        return _joined(self._time)

    @property
    def last_loss(self) -> np.ndarray | None:
        """The latest training loss, (*M,), or None before there is one."""
        return self._loss[-1][-1] if self._loss else None

    @property
    def latest_losses(self) -> np.ndarray:
        """The training losses that were recorded together last, of one epoch or of several that ran as one, (E, *M)."""
        return self._loss[-1]

    @property
    def latest_validation_losses(self) -> np.ndarray:
        """The validation losses that were recorded together last, (E, *M), or (0,) without validation data."""
        return _joined(self._validation_loss[-1:])

    @property
    def latest_validation_scores(self) -> np.ndarray:
        """The validation scores that were recorded together last, (E, *M), or (0,) if nothing is scored."""
        return _joined(self._validation_score[-1:])

    @property
    def last_validation_loss(self) -> np.ndarray | None:
        """The latest validation loss, (*M,), or None without validation data."""
        return self._validation_loss[-1][-1] if self._validation_loss else None

    @property
    def last_validation_score(self) -> np.ndarray | None:
        """The latest validation score, (*M,), or None if nothing is scored."""
        return self._validation_score[-1][-1] if self._validation_score else None

    def to_frame(self) -> "pd.DataFrame":
        """Return the history as a DataFrame: a row per epoch, or per epoch and member, in that order.

        The last row holds the final losses; no step follows it, so its norm, step size and running loss are NaN.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise ImportError('History.to_frame needs pandas: pip install "vecprop[tables]".') from None
        members = self.loss.shape[1:]
        shape = (len(self.time), *members)
        columns = {}
        for name in ("loss", "validation_loss", "validation_score", "gradient_norm", "step_size"):
            values = getattr(self, name)
            if name.startswith("validation") and not len(values):
                continue
            columns[name] = np.full(shape, np.nan)
            columns[name][: len(values)] = values.reshape(-1, *members)
        columns["time"] = np.broadcast_to(self.time.reshape(-1, *(1 for _ in members)), shape)
        names = ["epoch"] + (["member"] if len(members) == 1 else [f"member_{axis}" for axis in range(len(members))])
        index = pd.MultiIndex.from_product([range(length) for length in shape], names=names)
        if not members:
            index = pd.RangeIndex(len(self.time), name="epoch")
        return pd.DataFrame({name: values.reshape(-1) for name, values in columns.items()}, index=index)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0)

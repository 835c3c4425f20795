"""The training state after an epoch, the result of training, and the error if training diverges."""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy import ndarray

from ..core import Array, Network, namespace
from ..optimize import LBFGS, EarlyStopping, TrainingSettings
from ..system.extras import imported
from ..system.versions import Versioned

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def _concatenated(parts: list[ndarray]) -> ndarray:
    """Return the parts of a curve as one array, which is empty without parts."""
    if not parts:
        return np.empty(0)
    return np.concatenate(parts)


@dataclass(eq=False)
class History(Versioned):
    """Recorded losses and other values. Entry k of a loss is measured after k epochs.

    Attributes
    ----------
    loss : ndarray (epochs + 1, *M), or (epochs, *M) for running losses
        The training loss on all rows, without noise, including the penalty. A running
        loss is the mean of the losses of the batches of an epoch, with noise. The loss
        of a batch is computed before the step.
    validation_loss : ndarray (epochs + 1, *M), or (0,) without validation data
        The same loss on the validation rows.
    validation_score : ndarray (epochs + 1, *M), or (0,) if no score is set
        The score on the validation rows. Larger scores are better.
    validation_predictions : ndarray (epochs + 1, n, O), or (0,) if they are not stored
        The predictions of the validation rows, see `Member`.
    gradient_norm : ndarray (epochs, *M)
        The Euclidean norm of the gradient before clipping, averaged over the steps of
        each epoch.
    step_size : ndarray (epochs, *M)
        The Euclidean norm of the change of theta in a step, averaged over the steps of
        each epoch.
    time : ndarray (epochs + 1,)
        Seconds since training started.
    last_loss, last_validation_loss, last_validation_score : ndarray (*M,) or None
        The latest values, or None if none was measured.

    Examples
    --------
    >>> network, X = Network(1, [Dense(1)], SquaredError()), np.linspace(-1, 1, 20)[:, None]
    >>> history = train(network, np.zeros(2), X, 3 * X, optimizer=GradientDescent(0.5), epochs=2).history
    >>> history.loss.shape, history.gradient_norm.shape, bool(history.last_loss == history.loss[-1])
    ((3,), (2,), True)
    """

    # The first axis of each array in these lists is the epoch.
    _loss: list[ndarray] = field(default_factory=list)
    _validation_loss: list[ndarray] = field(default_factory=list)
    _validation_score: list[ndarray] = field(default_factory=list)
    _validation_predictions: list[ndarray] = field(default_factory=list)
    _gradient_norm: list[ndarray] = field(default_factory=list)
    _step_size: list[ndarray] = field(default_factory=list)
    _time: list[ndarray] = field(default_factory=list)

    def _joined(self) -> Self:
        """Return a copy that holds each curve as one contiguous array."""
        joined = type(self)()
        for name, parts in vars(self).items():
            if parts:
                setattr(joined, name, [np.concatenate(parts)])
        return joined

    @property
    def loss(self) -> ndarray:
        """The training loss, ``(epochs + 1, *M)``, or ``(epochs, *M)`` for running losses."""
        return _concatenated(self._loss)

    @property
    def validation_loss(self) -> ndarray:
        """The validation loss, ``(epochs + 1, *M)``, or ``(0,)`` without validation data."""
        return _concatenated(self._validation_loss)

    @property
    def validation_score(self) -> ndarray:
        """The validation score, ``(epochs + 1, *M)``, or ``(0,)`` if no score is set."""
        return _concatenated(self._validation_score)

    @property
    def validation_predictions(self) -> ndarray:
        """The predictions of the validation rows, or ``(0,)`` if they are not stored."""
        parts = self._validation_predictions
        if len(parts) == 1:  # a copy would be large
            return parts[0]
        return _concatenated(parts)

    @property
    def gradient_norm(self) -> ndarray:
        """The norm of the gradient, averaged over each epoch, ``(epochs, *M)``."""
        return _concatenated(self._gradient_norm)

    @property
    def step_size(self) -> ndarray:
        """The norm of the steps, averaged over each epoch, ``(epochs, *M)``."""
        return _concatenated(self._step_size)

    @property
    def time(self) -> ndarray:
        """Seconds since training started, ``(epochs + 1,)``."""
        return _concatenated(self._time)

    @property
    def last_loss(self) -> ndarray | None:
        """The latest training loss, (*M,), or None."""
        return self._loss[-1][-1] if self._loss else None

    @property
    def last_validation_loss(self) -> ndarray | None:
        """The latest validation loss, (*M,), or None."""
        return self._validation_loss[-1][-1] if self._validation_loss else None

    @property
    def last_validation_score(self) -> ndarray | None:
        """The latest validation score, (*M,), or None."""
        return self._validation_score[-1][-1] if self._validation_score else None

    def _latest(self, name: str) -> ndarray:
        """Return the values of E epochs that were added last to a curve, (E, *M)."""
        return _concatenated(getattr(self, f"_{name}")[-1:])

    def to_frame(self) -> "pd.DataFrame":
        """Return a data frame with one row per epoch, or one row per epoch and member.

        The last row holds the final losses. Its gradient norm, step size and running
        loss are NaN.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pd = imported("pandas", "History.to_frame", "tables")
        losses = self.loss if len(self.loss) else self.validation_loss
        members = losses.shape[1:]
        shape = (len(self.time), *members)
        columns = {}
        for name in (
            "loss",
            "validation_loss",
            "validation_score",
            "gradient_norm",
            "step_size",
        ):
            values = getattr(self, name)
            if len(values) or not name.startswith("validation"):
                column = np.full(shape, np.nan)
                column[: len(values)] = values.reshape(-1, *members)
                columns[name] = column.ravel()
        columns["time"] = np.repeat(self.time, np.prod(members, dtype=int))
        index = pd.RangeIndex(len(self.time), name="epoch")
        if members:
            names = ["epoch", *(f"member_{axis}" for axis in range(len(members)))]
            if len(members) == 1:
                names = ["epoch", "member"]
            index = pd.MultiIndex.from_product(map(range, shape), names=names)
        return pd.DataFrame(columns, index=index)


EPOCH_START: dict = dict.fromkeys(("windows", "rows", "steps"), 0)
EPOCH_START |= dict.fromkeys(("weight", "loss", "gradient_norm", "step_size"), 0.0)
"""The progress at the start of an epoch in windows: the counts of windows, rows and
steps, and the means so far.
"""

Reason = Literal[
    "epochs",
    "early stopping",
    "callback",
    "interrupted",
    "converged",
    "stalled",
    "diverged",
]


@dataclass(eq=False)
class TrainingState(Versioned):
    """The state of training. Callbacks receive it after each epoch, and `train` can continue from it.

    Attributes
    ----------
    theta : array (*M, P)
        The current parameters. Training updates this array in place, so make a copy if
        you keep it. Callbacks may change the array.
    optimizer : dict
        The optimizer's state.
    schedule : dict
        The schedule's state.
    epoch, step : int
        The number of epochs and the number of steps so far, including earlier calls
        that this call continues.
    epochs : int
        The total number of epochs after which this call ends.
    rows : int
        The number of rows per epoch.
    history : History
        The history of this call.
    early_stopping : dict
        The name of the monitored quantity, the best parameters, and the ``memory`` (3,
        *M): the lowest loss, the loss of the latest epoch with progress, and the number
        of epochs since then. For a score, the loss is its negative. Empty without early
        stopping.
    network : Network or None
        The network. Training cannot continue with a different network.
    optimizer_class : str
        The class name of the optimizer, or "" if it is unknown. Training cannot
        continue with a different optimizer.
    under_way : dict
        The progress within an epoch of `train_blocks`: the counts of windows and rows,
        and the means so far. Empty between epochs.

    Examples
    --------
    >>> network, X = Network(1, [Dense(1)], SquaredError()), np.linspace(-1, 1, 20)[:, None]
    >>> data, settings = (X, 3 * X + 1), {"optimizer": Momentum(0.1), "epochs": 50}
    >>> half = train(network, np.zeros(2), *data, **settings)
    >>> whole = train(network, half.theta, *data, **settings, state=half.state)
    >>> whole.state.epoch, whole.state.step
    (100, 100)
    """

    theta: Array
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    epoch: int = 0
    step: int = 0
    epochs: int = 0
    rows: int = 0
    history: History = field(default_factory=History)
    early_stopping: dict[str, Any] = field(default_factory=dict)
    network: Network | None = None
    optimizer_class: str = ""
    under_way: dict[str, Any] = field(default_factory=dict)

    def _continued(self, theta: Array, epochs: int, rows: int) -> Self:
        """Return a copy to continue from, with copied arrays and a new history."""
        return replace(
            self,
            theta=theta,
            optimizer=deepcopy(self.optimizer),
            schedule=deepcopy(self.schedule),
            early_stopping=deepcopy(self.early_stopping),
            under_way=deepcopy(self.under_way),
            epochs=self.epoch + epochs,
            rows=rows,
            history=History(),
        )


@dataclass(frozen=True, eq=False, repr=False)
class TrainingResult(Versioned):
    """The result of training.

    Attributes
    ----------
    theta : array (*M, P)
        The trained parameters. With early stopping, these are the best parameters.
    history : History
        The recorded losses and other values.
    state : TrainingState
        The state for continuing exactly: ``train(network, result.theta, X, T, ...,
        state=result.state)``. If early stopping has restored the best parameters,
        ``result.state.theta`` holds the latest parameters.
    reason : str
        The reason why training ended: "epochs", "early stopping", "callback",
        "interrupted" (by Ctrl-C), "converged" or "stalled" (L-BFGS), or "diverged" (in
        a DivergenceError).

    Examples
    --------
    >>> network, X = Network(1, [Dense(1)], SquaredError()), np.linspace(-1, 1, 20)[:, None]
    >>> result = train(network, np.zeros(2), X, 3 * X + 1, optimizer=GradientDescent(0.5), epochs=100)
    >>> result.theta.round(2), result.reason, len(result.history.loss)
    (array([3., 1.]), 'epochs', 101)
    """

    theta: Array
    history: History
    state: TrainingState
    reason: Reason

    def __repr__(self) -> str:
        epochs = self.state.epoch
        unit = "epoch" if epochs == 1 else "epochs"
        text = (
            f"{type(self).__name__} after {epochs:,} {unit}, ended by {self.reason!r}"
        )
        losses = self.history.last_loss
        if losses is not None and np.size(losses):
            name = "lowest loss" if np.size(losses) > 1 else "loss"
            text += f"; {name} {np.min(losses):.6g}"
        return f"<{text}>"

    def to_frame(self) -> "pd.DataFrame":
        """Return the history as a data frame; see `History.to_frame`."""
        return self.history.to_frame()

    def plot(self, ax: "Axes | None" = None, **curve: Any) -> "Axes":
        """Plot the loss, and the validation loss if there is one; see `vecprop.pictures.plot_loss`."""
        from ..pictures.loss import plot_loss

        return plot_loss(self.history, ax, **curve)


class DivergenceError(ArithmeticError):
    """Training produced a loss that is not finite.

    Attributes
    ----------
    result : TrainingResult
        The result with the last parameters whose loss was finite. ``result.state.step``
        is the step after which a value was not finite.

    Examples
    --------
    >>> network, X = Network(1, [Dense(1)], SquaredError()), np.linspace(-1, 1, 20)[:, None]
    >>> try:
    ...     train(network, np.zeros(2), X, 3 * X, optimizer=GradientDescent(1e6), epochs=100)
    ... except DivergenceError as error:
    ...     print(error.result.reason, bool(np.isfinite(error.result.theta).all()))
    diverged True
    """

    def __init__(self, message: str, result: TrainingResult):
        super().__init__(message)
        self.result = result

    def __reduce__(self) -> tuple:
        """Pickle the error with its result."""
        return type(self), (self.args[0], self.result)


class Best:
    """Track the best parameters of each member for early stopping.

    Tracking continues from the state if the earlier rule monitored the same value.
    ``memory`` has shape (3, *M): the lowest loss, the loss at the latest improvement,
    and the number of epochs since then. The compiled engine updates ``memory`` in
    place; see `compiled.run.measures`. A monitored score is negated, so that lower is
    better.
    """

    def __init__(self, rule: EarlyStopping, state: TrainingState):
        """Continue from the state, or store the initial parameters in it."""
        self.rule = rule
        self.continues = state.early_stopping.get("monitor") == rule.monitor
        if not self.continues:
            theta = state.theta
            members = theta.shape[:-1]
            no_loss = np.full(members, np.inf)
            state.early_stopping = {
                "monitor": rule.monitor,
                "theta": namespace(theta).asarray(theta, copy=True),
                "memory": np.stack([no_loss, no_loss, np.zeros(members)]),
            }
        self.theta = state.early_stopping["theta"]
        self.memory = state.early_stopping["memory"]

    @property
    def have_stopped(self) -> np.ndarray:
        """Whether each member has stopped, (*M,)."""
        _, _, epochs_without_progress = self.memory
        return epochs_without_progress >= self.rule.patience

    def start(self, state: TrainingState) -> Reason | None:
        """Compare the initial loss if it was measured and the rule uses it; return a reason to stop, if any."""
        if self.continues:
            return "early stopping" if self.have_stopped.all() else None
        uses_loss = self.rule.compare_to == "progress"
        if uses_loss and self._watched(state.history) is not None:
            self.observe(state)
        return None

    def has_stalled(self, state: TrainingState, stalled: bool | None) -> bool:
        """Return whether all members have stopped; compare the latest loss unless a kernel has compared it."""
        if stalled is not None:
            return stalled
        self.observe(state)
        return bool(self.have_stopped.all())

    def observe(self, state: TrainingState):
        """Compare the latest loss with the best, and store the parameters of members that improved."""
        theta = state.theta
        losses = self._watched(state.history)
        lowest_losses, _, _ = self.memory
        is_active = ~self.have_stopped
        xp = namespace(theta)
        is_better = xp.asarray(
            (losses < lowest_losses) & is_active, device=theta.device
        )
        self.theta[...] = xp.where(is_better[..., None], theta, self.theta)
        for member in map(tuple, np.argwhere(is_active)):
            memory = self.memory[:, *member]
            self.memory[:, *member] = self.rule._observed(losses[member], memory)

    def _watched(self, history: History) -> Any:
        """Return the latest monitored value as float64, lower is better, or None if none was measured."""
        monitor = self.rule.monitor
        values = getattr(history, f"last_{monitor}")
        if values is None:  # without validation rows
            values = history.last_loss
        if values is None:
            return None
        if monitor == "validation_score":
            return -values
        return values.astype(float)


def new_state(
    network: Network, theta: Array, settings: TrainingSettings, rows: int
) -> TrainingState:
    """Return the state before the first epoch."""
    state = TrainingState(
        theta, optimizer={}, schedule={}, epochs=int(settings.epochs), rows=rows
    )
    optimizer = settings.optimizer
    if not isinstance(optimizer, LBFGS):
        state.optimizer = optimizer.init(theta)
        state.network = network
        state.optimizer_class = type(optimizer).__name__
        if settings.schedule is not None:
            state.schedule = settings.schedule.init()
    return state


def continued(state: TrainingState, new: TrainingState) -> TrainingState:
    """Return a copy of the state to continue from; raise ValueError if it does not fit the new state."""
    saved_parts = _parts(state)
    if not state.optimizer_class:  # it is unknown
        saved_parts["the optimizer"] = new.optimizer_class
    if state.network is None:
        saved_parts["the network"] = new.network
    for name, expected in _parts(new).items():
        if saved_parts[name] != expected:
            raise ValueError(
                f"The state comes from {name} {saved_parts[name]}, not {expected}: pass"
                " the same arguments."
            )
    return state._continued(new.theta, new.epochs, new.rows)


def _parts(state: TrainingState) -> dict:
    """Return what must be equal in a state and its continuation, as named in errors."""
    return {
        "theta of shape": tuple(state.theta.shape),
        "theta of dtype": state.theta.dtype,
        "the optimizer": state.optimizer_class,
        "the network": state.network,
        "an optimizer with": _shapes(state.optimizer),
        "a schedule with": list(state.schedule),
    }


def _shapes(state: dict) -> dict[str, tuple[int, ...]]:
    return {name: tuple(getattr(value, "shape", ())) for name, value in state.items()}

"""The state of training after an epoch, its result, and the error if it diverges."""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from ..core.elementary import Array
from ..core.network import Network
from ..system.versions import Versioned
from .history import History

NO_WAY: dict[str, Any] = {
    **dict.fromkeys(("windows", "rows", "steps"), 0),
    **dict.fromkeys(("weight", "loss", "gradient_norm", "step_size"), 0.0),
}
"""The start of an epoch that comes in windows: their number, that of their rows and steps, and the means so far."""

Reason = Literal["epochs", "early stopping", "callback", "interrupted", "converged", "stalled", "diverged"]


@dataclass(eq=False)
class TrainingState(Versioned):
    """The state of training. Callbacks receive it after each epoch, and `train` continues from it.

    Attributes
    ----------
    theta : array (*M, P)
        The current parameters: training moves this array in place, so copy it to keep it. A callback may change it.
    optimizer : dict
        The optimizer's state.
    schedule : dict
        The schedule's state.
    epoch, step : int
        The number of epochs and of steps so far, over all calls of `train` that continue each other.
    epochs : int
        The number of the epoch at which this call will end.
    rows : int
        The number of rows of an epoch.
    history : History
        The measurements of this call.
    early_stopping : dict
        What early stopping knows: the best parameters, and how long ago they were found. Empty without a rule.
    network : Network or None
        The network, so that another one does not continue from here.
    optimizer_class : str
        The name of the optimizer's class, likewise; "" if it is not known.
    under_way : dict
        How far an epoch has come whose rows are trained on window by window, see `train_blocks`: the number of windows
        and rows, and the means so far. Empty between epochs.

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

    def continued(self, theta: Array, epochs: int, rows: int) -> Self:
        """Return a copy to continue from, with arrays of its own and a new history."""
        return replace(
            self,
            theta=theta,
            optimizer=deepcopy(self.optimizer),
            schedule=deepcopy(self.schedule),
            epochs=self.epoch + epochs,
            rows=rows,
            history=History(),
            early_stopping=deepcopy(self.early_stopping),
            under_way=dict(self.under_way),
        )


@dataclass(frozen=True, eq=False)
class TrainingResult(Versioned):
    """The result of training.

    Attributes
    ----------
    theta : array (*M, P)
        The trained parameters; with early stopping, the best.
    history : History
        The measurements.
    state : TrainingState
        Continues exactly where training stopped: ``train(network, result.theta, X, T, ..., state=result.state)``.
        If early stopping has restored the best parameters, training stopped at ``result.state.theta``.
    reason : str
        Why training ended: "epochs", "early stopping", "callback", "interrupted" (by Ctrl-C, after the last whole
        epoch), "converged" or "stalled" (L-BFGS), or "diverged" in the result that a DivergenceError carries.

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


class DivergenceError(ArithmeticError):
    """Training produced a loss that is not finite.

    Attributes
    ----------
    result : TrainingResult
        The result up to the last parameters with a finite loss, which its state has too; the state's step is the one
        after which something was not finite.

    Examples
    --------
    >>> network, X = Network(1, [Dense(1)], SquaredError()), np.linspace(-1, 1, 20)[:, None]
    >>> try:
    ...     train(network, np.zeros(2), X, 3 * X, optimizer=GradientDescent(1e6), epochs=100)
    ... except DivergenceError as error:
    ...     print(error.result.reason, bool(np.isfinite(error.result.theta).all()))
    diverged True
    """

    def __init__(self, message: str, result: TrainingResult) -> None:
        super().__init__(message)
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the error with its result."""
        return type(self), (self.args[0], self.result)

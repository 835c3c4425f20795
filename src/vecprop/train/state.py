"""What training hands out: its state after an epoch, its result, and the error when it diverges."""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from ..core.elementary import Array
from .history import History

Reason = Literal["epochs", "early stopping", "callback", "interrupted", "converged", "stalled", "diverged"]


@dataclass(eq=False, slots=True)
class TrainingState:
    """Where training stands. Callbacks receive it after each epoch, and `train` continues from it.

    Attributes
    ----------
    theta : array (*M, P)
        The current parameters: the very array that training moves, so copy it to keep it. A callback may change it.
    optimizer : dict
        The optimizer's state.
    schedule : dict
        The schedule's state.
    epoch, step : int
        How many epochs and steps are done, over all calls of `train` that continue each other.
    epochs : int
        The number of the epoch at which this call will end.
    rows : int
        How many rows an epoch trains on.
    history : History
        What this call measured.
    """

    theta: Array
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    epoch: int = 0
    step: int = 0
    epochs: int = 0
    rows: int = 0
    history: History = field(default_factory=History)

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
        )


@dataclass(frozen=True, eq=False, slots=True)
class TrainingResult:
    """What training returns.

    Attributes
    ----------
    theta : array (*M, P)
        The trained parameters; with early stopping, the best.
    history : History
        What was measured.
    state : TrainingState
        Continues exactly where training stopped: ``train(network, result.theta, X, T, ..., state=result.state)``.
        Where early stopping has put theta back to the best, training stopped at ``result.state.theta``.
    reason : str
        Why training ended: "epochs", "early stopping", "callback", "interrupted" (Ctrl-C), "converged" or
        "stalled" (L-BFGS), or "diverged" in the result that a DivergenceError carries.
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
        What was trained up to the last parameters with a finite loss.
    """

    def __init__(self, message: str, result: TrainingResult) -> None:
        super().__init__(message)
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        """Let the error pass from one process to another."""
        return type(self), (self.args[0], self.result)

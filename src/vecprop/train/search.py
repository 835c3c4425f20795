"""Search: training by L-BFGS, whose line search decides where to look."""

from collections.abc import Callable

import numpy as np

from ..core.elementary import Array, namespace, on_host
from ..optimize.lbfgs import LBFGS
from .run import Run
from .state import Reason


class Search:
    """The iterations of L-BFGS on the loss of all rows; an iteration counts as an epoch.

    Parameters
    ----------
    run : Run
        What measures the iterations.
    evaluate : callable
        Takes parameters and returns the loss of the rows of training and its gradient.
    validate : callable
        Takes parameters and returns the loss and the score of the rows of validation, None for what is not measured.
    optimizer : LBFGS
        How to search.
    """

    def __init__(
        self,
        run: Run,
        evaluate: Callable[[Array], tuple[Array, Array]],
        validate: Callable[[Array], tuple[Array | None, Array | None]],
        optimizer: LBFGS,
    ) -> None:
        self.run = run
        self.state = run.state
        self.evaluate = evaluate
        self.validate = validate
        self.optimizer = optimizer
        self.reason: Reason | None = None
        self.seen: tuple[np.ndarray, float, np.ndarray] | None = None  # the latest point, its loss and its gradient

    def search(self) -> Reason:
        """Move theta until the search or something else ends; return what it was."""
        start = on_host(self.state.theta).astype(float)
        self.run.start(np.asarray(self.loss_and_gradient(start)[0]), *self.validate(self.state.theta))
        self.point, self.length = start, np.linalg.norm(self.loss_and_gradient(start)[1])
        if self.state.epochs == 0:
            return "epochs"
        try:
            ended = self.optimizer.minimize(self.loss_and_gradient, start, self.state.epochs, self.after_iteration)[1]
            return self.reason or ended
        except KeyboardInterrupt:
            return "interrupted"

    def loss_and_gradient(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Return loss and gradient at a point, in float64, remembering the latest."""
        if self.seen is None or not np.array_equal(self.seen[0], point):
            like = self.state.theta
            theta = namespace(like).asarray(point, dtype=like.dtype, device=like.device)
            loss, gradient = self.evaluate(theta)
            self.seen = point.copy(), float(loss), on_host(gradient).astype(float)
        return self.seen[1], self.seen[2]

    def after_iteration(self, point: np.ndarray) -> None:
        """Move theta to where an iteration has ended, and measure there."""
        state, like = self.state, self.state.theta
        loss, gradient = self.loss_and_gradient(point)
        state.theta[...] = namespace(like).asarray(point, dtype=like.dtype, device=like.device)
        state.epoch, state.step = state.epoch + 1, state.step + 1
        state.history.moved(np.asarray(self.length), np.asarray(np.linalg.norm(point - self.point)))
        self.point, self.length = point.copy(), np.linalg.norm(gradient)
        self.reason = self.run.after_epoch(np.asarray(loss), *self.validate(state.theta))
        if self.reason is not None:
            raise StopIteration

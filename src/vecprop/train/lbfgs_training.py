"""Training by L-BFGS, whose line search chooses the points at which the loss is computed."""

import numpy as np

from ..core.elementary import Array, namespace, on_host
from ..core.inputs import Batch
from ..core.scores import Score, score
from ..optimize.lbfgs import LBFGS
from ..system.threads import PressedAgain, holding_back_interrupts
from .engine import Engine
from .run import Run
from .state import Reason


class LBFGSTraining:
    """The iterations of L-BFGS on the loss of all rows; an iteration counts as an epoch."""

    def __init__(
        self,
        run: Run,
        engine: Engine,
        batch: Batch,
        validation_batch: Batch | None,
        score: Score | None,
        optimizer: LBFGS,
    ) -> None:
        self.run, self.state, self.engine = run, run.state, engine
        batch, validation_batch = batch.gathered(), None if validation_batch is None else validation_batch.gathered()
        self.validation_batch, self.optimizer = validation_batch, optimizer
        self.score: Score | None = score
        self.evaluation = engine.evaluation(self.state.theta, batch)
        self.on_validation = None if validation_batch is None else engine.evaluation(self.state.theta, validation_batch)
        self.reason: Reason | None = None
        self.seen: tuple[np.ndarray, float, np.ndarray] | None = None  # the latest point, its loss and its gradient

    def search(self) -> Reason:
        """Move theta until the search or something else ends; return the reason."""
        start = on_host(self.state.theta).astype(float)
        self.run.start(np.asarray(self.loss_and_gradient(start)[0]), *self.validated(self.state.theta))
        self.point, self.length = start, np.linalg.norm(self.loss_and_gradient(start)[1])
        if self.state.epochs == 0:
            return "epochs"
        try:
            ended = self.optimizer.minimize(self.loss_and_gradient, start, self.state.epochs, self.after_iteration)[1]
            return self.reason or ended
        except PressedAgain:
            raise
        except KeyboardInterrupt:
            return "interrupted"

    def loss_and_gradient(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Return loss and gradient at a point, in float64, remembering the latest."""
        if self.seen is None or not np.array_equal(self.seen[0], point):
            like = self.state.theta
            theta = namespace(like).asarray(point, dtype=like.dtype, device=like.device)
            loss, gradient = self.evaluation.loss_and_gradient(theta)
            self.seen = point.copy(), float(loss), on_host(gradient).astype(float)
        return self.seen[1], self.seen[2]

    def after_iteration(self, point: np.ndarray) -> None:
        """Measure at the end of an iteration, and record it."""
        like, (loss, gradient) = self.state.theta, self.loss_and_gradient(point)
        theta = namespace(like).asarray(point, dtype=like.dtype, device=like.device)
        measured = np.asarray(loss), *self.validated(theta)
        holding_back_interrupts(lambda received: self.record(point, theta, gradient, *measured))
        if self.reason is not None:
            raise StopIteration

    def record(self, point: np.ndarray, theta: Array, gradient: np.ndarray, *measured: Array | None) -> None:
        """Move theta to the end of an iteration, and record what was measured there."""
        state = self.state
        state.theta[...] = theta
        state.epoch, state.step = state.epoch + 1, state.step + 1
        state.history.measure(gradient_norm=self.length, step_size=np.linalg.norm(point - self.point))
        self.point, self.length = point.copy(), np.linalg.norm(gradient)
        self.reason = self.run.after_epoch(*measured)

    def validated(self, theta: Array) -> tuple[Array | None, Array | None]:
        """Return the loss and the score of the validation rows at theta, None for one that is not measured."""
        validation_batch, name = self.validation_batch, self.score
        if validation_batch is None or self.on_validation is None:
            return None, None
        return self.on_validation.loss(theta), None if name is None else score(
            name, self.engine, theta, validation_batch
        )

"""Training by L-BFGS: an iteration counts as an epoch."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ..core import Array, Batch, namespace, on_host, score
from ..optimize import EpochResults
from ..system.threads import defer_sigint
from .engine import Engine
from .run import Run, Steps, results_of_epoch


class Evaluated(NamedTuple):
    """A point of the search, with its loss and gradient."""

    point: ndarray
    loss: float
    gradient: ndarray


class Objective(Steps):
    """The loss of all rows and its gradient, at points of the search: theta in float64."""

    def __init__(self, run: Run, batch: Batch, engine: Engine):
        """Check the inputs, and prepare the losses and gradients."""
        super().__init__(run)
        batch.require_finite_inputs()
        theta = self.state.theta
        self.engine = engine
        self.evaluation = engine.evaluation(theta, batch.gathered())
        if self.validation_batch is not None:
            self.validation_batch = self.validation_batch.gathered()
            self.validation_evaluation = engine.evaluation(theta, self.validation_batch)
        self.point = on_host(theta).astype(float)
        self.latest = None
        self.gradient_norm: Any = None  # at the latest point

    def measure(self, window: Any, interrupts: list) -> EpochResults:
        """Return the losses before the first iteration."""
        self.evaluate(self.point)
        self.gradient_norm = self.norm_at(self.point)
        return self.results

    def evaluate(self, point: ndarray):
        """Measure the results of an iteration that ends at a point."""
        self.results = results_of_epoch(
            **self.losses(point),
            norms=self.gradient_norm,
            sizes=np.linalg.norm(point - self.point),
        )

    def advance(self, window: ndarray, most: float, interrupts: list) -> EpochResults:
        """Move theta to the point that was evaluated, and return the results of the iteration."""
        self.run.is_whole = False
        self.state.theta[...] = self.theta_at(window)
        self.state.step += 1
        self.point = window.copy()
        self.gradient_norm = self.norm_at(window)
        if self.results.epochs:
            self.run.last_finite[...] = self.state.theta
        return self.results

    def norm_at(self, point: ndarray) -> Any:
        """Return the norm of the gradient at a point."""
        _, gradient = self.loss_and_gradient(point)
        return np.linalg.norm(gradient)

    def loss_and_gradient(self, point: ndarray) -> tuple[float, ndarray]:
        """Return the loss and the gradient at a point; the latest result is cached."""
        if self.latest is None or not np.array_equal(self.latest.point, point):
            loss, gradient = self.evaluation.loss_and_gradient(self.theta_at(point))
            self.latest = Evaluated(
                point.copy(), float(loss), on_host(gradient).astype(float)
            )
        return self.latest.loss, self.latest.gradient

    def losses(self, point: ndarray) -> dict[str, Array]:
        """Return the losses and the score at a point, by their names in the results."""
        loss, _ = self.loss_and_gradient(point)
        losses = {"losses": loss}
        if self.validation_batch is None:
            return losses
        theta = self.theta_at(point)
        losses["validation_losses"] = self.validation_evaluation.loss(theta)
        name = self.plan.score
        if name is not None:
            losses["validation_scores"] = score(
                name, self.engine, theta, self.validation_batch
            )
        return losses

    def theta_at(self, point: ndarray) -> Array:
        """Return a point as parameters."""
        theta = self.state.theta
        return namespace(theta).asarray(point, dtype=theta.dtype, device=theta.device)


class LBFGSRun(Run):
    """A run whose iterations are found by L-BFGS."""

    def initial_results(self, window: Batch) -> EpochResults:
        """Return the losses before the first iteration; Ctrl-C does not wait for them."""
        return self.steps.measure(window, [])

    def take(self, window: Batch):
        """Train until the search converges or the run ends."""
        self.start(window)
        if self.result is not None:
            return
        optimizer: Any = self.settings.optimizer
        _, ended = optimizer.minimize(
            self.steps.loss_and_gradient,
            self.steps.point,
            self.state.epochs,
            self.after_iteration,
        )
        if self.result is None:
            self.end(self.result_so_far(ended))

    def after_iteration(self, point: ndarray):
        """Record an iteration; raise StopIteration if the run ends."""
        self.steps.evaluate(point)
        self.end_by(defer_sigint(partial(self.advance, point)))
        if self.result is not None:
            raise StopIteration

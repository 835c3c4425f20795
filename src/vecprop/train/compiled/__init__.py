"""The compiled engine: the kernels of ``vecprop.compiled``, which are imported when something needs them."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.counter_rng import RandomKey
from ...core.elementary import Array
from ...core.network import Network
from ...core.rows.inputs import Batch
from ...core.rows.sparse import SparseBatch, SparseNetwork
from ...optimize.lbfgs import LBFGS
from ..engine import Engine, Refusal
from ..run import Run
from ..state import Reason

if TYPE_CHECKING:
    from ...compiled.compiled_network import BatchLoss
    from .training_loop import CompiledCohort


class Compiled(Engine):
    """Computes and trains networks of parts that have kernels, one or many, in float32 or float64."""

    name = "compiled"

    @staticmethod
    def refusal(
        network: Network,
        theta: Array,
        batches: Iterable[Batch] = (),
        optimizer: Any = None,
        noise: RandomKey | None = None,
        score: str | None = None,
    ) -> Refusal | None:
        """Return why the kernels do not take these, or None."""
        batches = list(batches)
        arrays = theta, *(batch.X for batch in batches if not isinstance(batch, SparseBatch))
        if not all(isinstance(array, np.ndarray) for array in arrays):
            return Refusal("it takes NumPy arrays", warns=False)
        if theta.dtype not in (np.float32, np.float64):
            return Refusal(f"it takes float32 and float64, not {theta.dtype}", warns=False)
        several = theta.ndim > 1 or any(batch.members for batch in batches)
        if several or isinstance(getattr(optimizer, "learning_rate", None), tuple):
            return Refusal("it trains one network at a time", warns=False)
        if noise is not None and (
            noise.rows is not None or not isinstance(noise.seed, int | np.integer) or noise.step < 0
        ):
            reason = "its noise has one whole number as its seed, a step of at least 0, and the rows as they lie"
            return Refusal(reason, warns=False)
        from ...compiled.program import unsupported

        by_steps = not isinstance(optimizer, LBFGS)  # which needs the network's kernels alone
        F: type = np.dtype(theta.dtype).type
        reason = unsupported(network, F, optimizer, score) if by_steps else unsupported(network, F)
        return Refusal(reason, warns=True) if reason else None

    def training(self, run: Run, batch: Batch, validation_batch: Batch | None) -> Callable[[], Reason]:
        """Return what trains one network by the steps of an optimizer."""
        from .training_loop import CompiledTrainingLoop

        return CompiledTrainingLoop(run, batch, validation_batch).descend

    @property
    def cohort(self) -> "type[CompiledCohort]":
        """The class that trains many at once."""
        from .training_loop import CompiledCohort

        return CompiledCohort

    def evaluation(self, theta: np.ndarray, batch: Batch, noise: RandomKey | None = None) -> "BatchLoss":
        """Return the loss of a batch, and its gradient, as functions of parameters of theta's type."""
        from ...compiled.compiled_network import BatchLoss

        return BatchLoss(self.network, theta.dtype.type, batch, noise)

    def predictor(self, theta: np.ndarray) -> Callable[[Array], np.ndarray]:
        """Return a function that predicts rows with these parameters, a single row in a few microseconds."""
        if isinstance(self.network, SparseNetwork):  # whose products SciPy computes as fast as memory allows
            return partial(self.network.predict, theta)
        from ...compiled.compiled_network import CompiledNetwork

        return CompiledNetwork(self.network).predictor(theta, copy=False)

    def gradients(self, noise: RandomKey | None) -> Mapping[str, Callable[[np.ndarray, Batch], tuple[Any, np.ndarray]]]:
        """Return the gradient of a batch by itself, and that of a step of training, which other kernels compute."""
        from ...compiled.compiled_network import CompiledNetwork, gradient_of_a_step

        kernels = CompiledNetwork(self.network)
        return {
            "": lambda theta, batch: kernels.batch_loss_and_gradient(theta, batch, noise),
            "a step of training": lambda theta, batch: gradient_of_a_step(self.network, theta, batch, noise),
        }

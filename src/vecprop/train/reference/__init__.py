"""The reference engine: the formulas of ``core``, in plain Python on the arrays of any library."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...core.counter_rng import RandomKey
from ...core.elementary import Array
from ...core.inputs import Batch
from ...core.network import Network
from ..engine import Engine
from .training_loop import ReferenceTrainingLoop


@dataclass(frozen=True, eq=False)
class ReferenceEvaluation:
    """The loss of one batch of rows that have been checked."""

    network: Network
    batch: Batch
    noise: RandomKey | None

    def loss(self, theta: Array) -> Array:
        """Return the loss."""
        return self.network.batch_loss(theta, self.batch, self.noise)

    def loss_and_gradient(self, theta: Array) -> tuple[Array, Array]:
        """Return the loss and its gradient."""
        return self.network.batch_loss_and_gradient(theta, self.batch, self.noise)


class Reference(Engine):
    """Computes every network, also of parts of the user's own, and trains it step by step in Python."""

    name = "reference"

    @staticmethod
    def refusal(
        network: Network,
        theta: Array,
        batches: Iterable[Batch] = (),
        optimizer: Any = None,
        noise: RandomKey | None = None,
        score: str | None = None,
    ) -> None:
        """Return None: it takes everything."""

    @property
    def training_loop(self) -> type[ReferenceTrainingLoop]:
        """The class that trains one network by the steps of an optimizer."""
        return ReferenceTrainingLoop

    def evaluation(self, theta: Array, batch: Batch, noise: RandomKey | None = None) -> ReferenceEvaluation:
        """Return the loss of a batch, and its gradient, as functions of parameters."""
        return ReferenceEvaluation(self.network, batch, noise)

    def predictor(self, theta: Array) -> Callable[[Array], Array]:
        """Return a function that predicts rows with these parameters."""
        return partial(self.network.predict, theta)

    def gradients(self, noise: RandomKey | None) -> Mapping[str, Callable[[Array, Batch], tuple[Array, Array]]]:
        """Return its one function of a batch's loss and gradient."""
        return {"": lambda theta, batch: self.network.batch_loss_and_gradient(theta, batch, noise)}

"""What an engine is: one interface for computing and training a network."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

from ..core import Array, Batch, Network, RandomKey
from .run import Run
from .state import Reason


class Unsupported(NamedTuple):
    """Why an engine does not take something."""

    reason: str
    warns: bool


@dataclass(frozen=True, eq=False)
class Engine(ABC):
    """Computes a network and trains it. What an engine does not say is computed by the formulas of ``core``."""

    name: ClassVar[str]
    network: Network

    @staticmethod
    def unsupported_reason(
        network: Network,
        theta: Array,
        batches: Iterable[Batch] = (),
        optimizer: Any = None,
        noise: RandomKey | None = None,
        score: str | None = None,
    ) -> Unsupported | None:
        """Return why it does not take a network with such parameters, rows, optimizer, noise and score, or None."""
        return None

    @abstractmethod
    def training(self, run: Run, batch: Batch, validation_batch: Batch | None) -> Callable[[], Reason]:
        """Return what moves theta by an optimizer's steps until something ends training, and returns the reason."""

    @property
    def group_class(self) -> type[Any] | None:
        """The class that trains many at once, see `CompiledGroup`; None if it trains each by itself."""
        return None

    def evaluation(self, theta: Array, batch: Batch, noise: RandomKey | None = None) -> Any:
        """Return the loss of a batch, and its gradient, as functions of parameters like these."""
        return SimpleNamespace(
            loss=lambda theta: self.network.batch_loss(theta, batch, noise),
            loss_and_gradient=lambda theta: self.network.batch_loss_and_gradient(theta, batch, noise),
        )

    def predictor(self, theta: Array) -> Callable[[Array], Array]:
        """Return a function that predicts rows with these parameters, and follows changes of them in place."""
        return partial(self.network.predict, theta)

    def gradients(self, noise: RandomKey | None) -> Mapping[str, Callable[[Array, Batch], tuple[Array, Array]]]:
        """Return the functions by which it computes a batch's loss and gradient, by name; "" is the main one."""
        return {"": lambda theta, batch: self.network.batch_loss_and_gradient(theta, batch, noise)}

    def predict(self, theta: Array, X: Array) -> Array:
        """Return the predictions of rows."""
        return self.predictor(theta)(X)

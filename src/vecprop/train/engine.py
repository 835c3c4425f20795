"""The interface of engines, which compute and train networks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

from ..core import Array, Batch, Network, RandomKey


class Unsupported(NamedTuple):
    """The reason why an engine cannot compute a network, and whether to issue a warning."""

    reason: str
    warns: bool


Gradient = Callable[[Array, Batch], tuple[Array, Array]]
"""A function that returns the loss and the gradient of a batch."""


@dataclass(frozen=True, eq=False)
class Engine:
    """Compute and train a network. By default, methods use the formulas of ``core``."""

    name: ClassVar[str]
    steps_class: ClassVar[type[Any]]
    """The class of `run.Steps` that trains the parameters of a run on rows in memory."""
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
        """Return the reason why the engine cannot compute a network with these arguments, if any."""
        return None

    @staticmethod
    def called_formulas(network: Network, theta: Array) -> list[str]:
        """Return the reasons why formulas are called in Python although others are compiled."""
        return []

    @property
    def group_class(self) -> type[Any] | None:
        """The class that trains many members at once, see `CompiledGroup`; None if each is trained separately."""
        return None

    def evaluation(
        self, theta: Array, batch: Batch, noise: RandomKey | None = None
    ) -> Any:
        """Return an object that computes the loss and the gradient of a batch at any theta."""
        network = self.network
        return SimpleNamespace(
            loss=lambda theta: network._batch_loss(theta, batch, noise),
            loss_and_gradient=lambda theta: network._batch_loss_and_gradient(
                theta, batch, noise
            ),
        )

    def predictor(self, theta: Array) -> Callable[[Array], Array]:
        """Return a function that predicts rows. In-place changes of theta affect later predictions."""
        return partial(self.network.predict, theta)

    def gradients(self, noise: RandomKey | None) -> Mapping[str, Gradient]:
        """Return functions for the loss and gradient of a batch, by name; the main function is named ""."""
        return {
            "": lambda theta, batch: self.network._batch_loss_and_gradient(
                theta, batch, noise
            )
        }

    def predict(self, theta: Array, X: Array) -> Array:
        """Return the predictions of rows."""
        return self.predictor(theta)(X)

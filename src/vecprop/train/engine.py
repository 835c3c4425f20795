"""What an engine is: one interface for computing and training a network."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from ..core.counter_rng import RandomKey
from ..core.elementary import Array
from ..core.inputs import Batch
from ..core.network import Network
from .members import Data, Member
from .results import CohortResults
from .run import Run
from .state import Reason


class Refusal(NamedTuple):
    """Why an engine does not take something."""

    reason: str
    warns: bool


class Evaluation(Protocol):
    """The loss of one batch, ready to be evaluated at many parameters."""

    def loss(self, theta: Array) -> Array:
        """Return the loss."""
        ...

    def loss_and_gradient(self, theta: Array) -> tuple[Array, Array]:
        """Return the loss and its gradient."""
        ...


class TrainingLoop(ABC):
    """The steps of an optimizer along the gradients of batches."""

    @abstractmethod
    def __init__(self, run: Run, batch: Batch, validation_batch: Batch | None) -> None: ...

    @abstractmethod
    def descend(self) -> Reason:
        """Move theta until the epochs are done or something ends them; return the reason."""


class Stopping(Protocol):
    """What stops cohorts, see `monitor.Monitor`."""

    stopped: bool
    interrupted: bool

    def look(self) -> bool:
        """Report the progress of training; return whether the rest is to be stopped."""
        ...


class Cohort(ABC):
    """Members of a population that differ in their initial parameters and seeds alone, trained together."""

    @abstractmethod
    def __init__(self, numbers: Sequence[int], members: Sequence[Member], data: Data) -> None: ...

    @classmethod
    @abstractmethod
    def run(cls, cohorts: Sequence[Any], monitor: Stopping) -> None:
        """Train the members of all cohorts, until they are done or the monitor stops them."""

    @abstractmethod
    def progress(self) -> np.ndarray:
        """Return the progress of each member while they run, (5, M).

        That is: whether it has ended, the share of its epochs that is done, the number of rows it has seen, and its
        latest losses of training and of validation; nan if they are not known.
        """

    @abstractmethod
    def results(self) -> CohortResults:
        """Return the results; of members that have not ended yet they mean nothing."""


@dataclass(frozen=True, eq=False)
class Engine(ABC):
    """Computes a network and trains it."""

    name: ClassVar[str]
    network: Network

    @staticmethod
    @abstractmethod
    def refusal(
        network: Network,
        theta: Array,
        batches: Iterable[Batch] = (),
        optimizer: Any = None,
        noise: RandomKey | None = None,
        score: str | None = None,
    ) -> Refusal | None:
        """Return why it does not take a network with such parameters, rows, optimizer, noise and score, or None."""

    @property
    @abstractmethod
    def training_loop(self) -> type[TrainingLoop]:
        """The class that trains one network by the steps of an optimizer."""

    @property
    def cohort(self) -> type[Cohort] | None:
        """The class that trains many at once; None if it trains each by itself."""
        return None

    @abstractmethod
    def evaluation(self, theta: Array, batch: Batch, noise: RandomKey | None = None) -> Evaluation:
        """Return the loss of a batch, and its gradient, as functions of parameters like these."""

    @abstractmethod
    def predictor(self, theta: Array) -> Callable[[Array], Array]:
        """Return a function that predicts rows with these parameters, and follows changes of them in place."""

    @abstractmethod
    def gradients(self, noise: RandomKey | None) -> Mapping[str, Callable[[Array, Batch], tuple[Array, Array]]]:
        """Return the functions by which it computes a batch's loss and gradient, by name; "" is the main one."""

    def predict(self, theta: Array, X: Array) -> Array:
        """Return the predictions of rows."""
        return self.predictor(theta)(X)

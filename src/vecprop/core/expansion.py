"""Inputs that are computed as they are read, from the few numbers that are kept of each row."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Expansion(ABC):
    """How rows that are kept as bytes become inputs of a network, in float32.

    Columns tell what is kept of each column of a table and which inputs it becomes; edges are what numbers are compared
    with.
    """

    columns: np.ndarray
    edges: np.ndarray

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return int(self.columns["width"].sum())

    @abstractmethod
    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the inputs of rows, (N, inputs)."""

    @abstractmethod
    def address(self, F: type) -> int:
        """Return the address of the kernel that computes inputs of type F; see `compiled.jit.addresses.call_expand`."""

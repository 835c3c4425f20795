"""Inputs that are computed as they are read, from the few numbers that are kept of each row."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum

import numpy as np


class Kept(IntEnum):
    """What is kept of a column."""

    INPUTS = 0
    """Its inputs as they are, in float32."""
    PLACE = 1
    """The place of the one input that is 1, in int32; the others are 0."""
    NUMBER = 2
    """A number in float32."""
    WIDE_NUMBER = 3
    """A number in float64."""


COLUMN = np.dtype(
    [
        ("kept", np.int64),  # one of `Kept`
        ("at", np.int64),  # where in a row, in bytes
        ("first", np.int64),  # the first input, and their number
        ("width", np.int64),
        # Of numbers: which inputs of `tables.encoding.columns.NumberInputs` there are, and how they are made.
        ("has_bends", np.int64),
        ("marks_missing", np.int64),
        ("has_standard", np.int64),
        ("has_scores", np.int64),
        ("pieces", np.int64),
        ("edges", np.int64),  # where the tables of the pieces begin in `Expansion.edges`
        ("centre", np.float64),
        ("scale", np.float64),
        ("mean", np.float64),
        ("deviation", np.float64),
        ("limit", np.float64),  # of the scaled number
        ("largest", np.float64),  # of the scaled number before it is squared
        ("most", np.float64),  # of the standardised number
    ],
    align=True,
)
"""What is kept of a column of a table, and the inputs that it becomes."""


@dataclass(frozen=True, eq=False)
class Expansion(ABC):
    """How rows that are kept as bytes become inputs of a network, in float32.

    Parameters
    ----------
    edges : ndarray
        For each column of numbers with pieces five tables, one after the other: the lower edge of each piece, and of
        what is above the last, with infinite ones up to a multiple of four and one more; and as many of the pieces'
        numbers, widths, normal scores of the lower edges, and slopes of these scores.
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

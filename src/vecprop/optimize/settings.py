"""The plan of an epoch: its mini-batches, their order, and the clipping of gradients."""

from dataclasses import dataclass
from typing import Literal

from ..core.scores import Score


@dataclass(frozen=True)
class Plan:
    """The plan of the epochs of one fit, the same on every engine.

    Parameters
    ----------
    running : bool
        Whether the training loss is the mean over the mini-batches during the epoch, instead of the loss on all rows
        after it.
    """

    batch_size: int
    shuffle: bool
    seed: int
    clip: float | None
    running: bool
    score: Score | None = None


TrainingLoss = Literal["auto", "exact", "running"]
"""The losses that a history may record, see `train`."""

"""The plan of an epoch: which rows a step sees, in which order, and what is made of its gradient."""

from dataclasses import dataclass

from ..core.scores import Score


@dataclass(frozen=True)
class Plan:
    """How the epochs of one fit run, on whichever engine.

    Parameters
    ----------
    batch_size : int
        How many rows a step sees.
    shuffle : bool
        Whether each epoch draws its batches from a new order of the rows.
    seed : int
        Fixes the order of rows and the noise.
    clip : float or None
        The largest norm of a step's gradient.
    running : bool
        Whether the training loss is the mean over the batches as they are met, instead of measured on all rows.
    score : str or None, default None
        What the rows of validation are scored by.
    """

    batch_size: int
    shuffle: bool
    seed: int
    clip: float | None
    running: bool
    score: Score | None = None

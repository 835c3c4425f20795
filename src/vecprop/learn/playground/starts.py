"""Many starts at once: the same training from other parameters, as one population."""

import time
from dataclasses import dataclass

import numpy as np

from ...core.network import Network
from ...optimize.optimizers import Optimizer
from ...train.members import Member
from ...train.population import train_population
from .settings import Settings

LONGEST = 10.0
"""The number of seconds after which starts that are not done are left as they are."""


@dataclass(frozen=True, eq=False)
class Starts:
    """The losses of many starts.

    Parameters
    ----------
    losses : ndarray (M, epochs + 1)
        The training loss of each before the first epoch and after each; NaN after it diverged, or time was over.
    """

    seeds: np.ndarray
    losses: np.ndarray


def many_starts(
    network: Network,
    optimizer: Optimizer,
    settings: Settings,
    X: np.ndarray,
    T: np.ndarray,
    count: int,
    epochs: int,
) -> Starts:
    """Train from the seeds that follow the settings' own, which is the first."""
    seeds = settings.start + np.arange(count)
    members = [
        Member(
            network,
            network.init(int(seed)),
            optimizer,
            epochs=epochs,
            batch_size=settings.batch or None,
            shuffle=False,
            seed=int(seed),
            training_loss="exact",
        )
        for seed in seeds
    ]
    end = time.monotonic() + LONGEST
    engine = "auto" if settings.mistake == "none" else "reference"
    results = train_population(members, X, T, progress=lambda _: time.monotonic() > end, engine=engine)
    losses = np.full((count, epochs + 1), np.nan)
    for curve, result in zip(losses, results, strict=True):
        curve[: len(result.history.loss)] = result.history.loss
    return Starts(seeds, losses)

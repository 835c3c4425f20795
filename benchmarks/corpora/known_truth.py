"""Tables whose best model is known: a linear model, or a constant."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class KnownTable:
    """A table with target "y", whose best model is linear or, if ``r2`` is 0, ignores the inputs."""

    name: str
    frame: pd.DataFrame
    r2: float
    """The R² of the best model: of the target or, for classes, of its log odds plus logistic noise."""
    group: str | None = None


def known_tables(seed: int) -> Iterator[KnownTable]:
    """Yield 44 tables of 30 to 3,000 rows."""
    for number, (rows, r2) in enumerate(
        (rows, r2) for rows in (30, 100, 300, 900, 3000) for r2 in (0, 0.1, 0.3, 0.5, 0.9)
    ):
        rng = np.random.default_rng((seed, 0, number))
        inputs, signal = inputs_and_signal(rng, rows)
        y = np.sqrt(r2) * signal + np.sqrt(1 - r2) * rng.normal(size=rows)
        yield KnownTable(f"numbers, {rows} rows, R² {r2}", inputs.assign(y=y), r2)
    classes = [(rows, r2, 0.0) for rows in (60, 200, 900, 3000) for r2 in (0, 0.5)]
    classes += [(rows, r2, 3.0) for rows in (300, 900, 3000) for r2 in (0, 0.5)]
    for number, (rows, r2, rarity) in enumerate(classes):
        rng = np.random.default_rng((seed, 1, number))
        inputs, signal = inputs_and_signal(rng, rows)
        noise = rng.logistic(scale=np.sqrt(3) / np.pi, size=rows)
        score = np.sqrt(r2) * signal + np.sqrt(1 - r2) * noise
        name = f"{'rare ' if rarity else ''}classes, {rows} rows, R² {r2}"
        threshold = np.quantile(score, 0.95) if rarity else 0.0
        yield KnownTable(name, inputs.assign(y=np.where(score > threshold, "yes", "no")), r2)
    for number, (groups, r2) in enumerate((groups, r2) for groups in (12, 30, 60) for r2 in (0, 0.5)):
        rng = np.random.default_rng((seed, 2, number))
        group = np.repeat(np.arange(groups), 10)
        inputs, signal = inputs_and_signal(rng, groups)
        y = np.sqrt(r2) * signal[group] + np.sqrt(1 - r2) * rng.normal(size=groups)[group]
        frame = inputs.iloc[group].reset_index(drop=True)
        frame = frame + rng.normal(0, 0.01, frame.shape)
        y = y + rng.normal(0, 0.1, len(group))
        yield KnownTable(f"{groups} groups, R² {r2}", frame.assign(y=y, group=[f"g{k}" for k in group]), r2, "group")


def inputs_and_signal(rng: np.random.Generator, rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return normal inputs, and a linear combination of them with variance 1."""
    columns = int(rng.integers(2, 8))
    X = rng.normal(size=(rows, columns))
    direction = rng.normal(size=columns)
    return pd.DataFrame(X, columns=[f"x{k}" for k in range(columns)]), X @ direction / np.linalg.norm(direction)

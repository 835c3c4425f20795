"""The verdict on tables whose best model is known: a linear model, or a constant."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import pytest

from vecprop.app.training.config import estimator_of
from vecprop.app.training.splitting import Request, split_table
from vecprop.tables.evaluation.measuring import cross_validated, measured_unseen


@dataclass(frozen=True)
class KnownTable:
    """A table with target "y", whose best model is linear or, if ``r2`` is 0, ignores the inputs."""

    name: str
    frame: pd.DataFrame
    r2: float
    """The R² of the best model: of the target or, for classes, of its log odds plus
    logistic noise.
    """
    group: str | None = None


def known_tables(seed: int) -> Iterator[KnownTable]:
    """Yield 45 tables of 30 to 3,000 rows."""
    for number, (rows, r2) in enumerate(
        (rows, r2)
        for rows in (30, 100, 300, 900, 3000)
        for r2 in (0, 0.1, 0.3, 0.5, 0.9)
    ):
        rng = np.random.default_rng((seed, 0, number))
        inputs, signal = inputs_and_signal(rng, rows)
        y = np.sqrt(r2) * signal + np.sqrt(1 - r2) * rng.normal(size=rows)
        yield KnownTable(f"numbers, {rows} rows, R² {r2}", inputs.assign(y=y), r2)
    classes = [
        *product((60, 200, 900, 3000), (0, 0.5), (0.5,)),
        *product((300, 900, 3000), (0, 0.5), (0.05,)),
    ]
    for number, (rows, r2, share) in enumerate(classes):
        rng = np.random.default_rng((seed, 1, number))
        inputs, signal = inputs_and_signal(rng, rows)
        noise = rng.logistic(scale=np.sqrt(3) / np.pi, size=rows)
        score = np.sqrt(r2) * signal + np.sqrt(1 - r2) * noise
        is_positive = score > np.quantile(score, 1 - share)
        name = f"{share:.0%} positive of {rows} rows, R² {r2}"
        yield KnownTable(name, inputs.assign(y=np.where(is_positive, "yes", "no")), r2)
    for number, (groups, r2) in enumerate(product((12, 30, 60), (0, 0.5))):
        rng = np.random.default_rng((seed, 2, number))
        group = np.repeat(np.arange(groups), 10)
        inputs, signal = inputs_and_signal(rng, groups)
        y = (
            np.sqrt(r2) * signal[group]
            + np.sqrt(1 - r2) * rng.normal(size=groups)[group]
        )
        frame = inputs.iloc[group].reset_index(drop=True)
        frame += rng.normal(0, 0.01, frame.shape)
        y += rng.normal(0, 0.1, len(group))
        names = [f"g{number}" for number in group]
        yield KnownTable(
            f"{groups} groups, R² {r2}", frame.assign(y=y, group=names), r2, "group"
        )


def inputs_and_signal(
    rng: np.random.Generator, rows: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return normal inputs, and a linear combination of them with variance 1."""
    columns = int(rng.integers(2, 8))
    X = rng.normal(size=(rows, columns))
    direction = rng.normal(size=columns)
    return pd.DataFrame(
        X, columns=[f"x{k}" for k in range(columns)]
    ), X @ direction / np.linalg.norm(direction)


@pytest.mark.long
@pytest.mark.parametrize(
    "table", list(known_tables(seed=0)), ids=lambda table: table.name
)
def test_the_verdict_agrees_with_the_truth(table, tmp_path):
    table.frame.to_csv(tmp_path / "table.csv", index=False)
    request = Request(tmp_path / "table.csv", "y", None, group=table.group)
    parts = split_table(request)
    assert (parts.folds is None) == (len(table.frame) >= 1000)
    model = estimator_of(request, parts.task).fit(**parts.training)
    if parts.folds is None:
        measured = measured_unseen(model, parts, seed=0)
    else:
        measured = cross_validated(model, parts, parts.folds, seed=0, progress=None)
    verdict = measured.verdict
    assert verdict is not None
    assert verdict.level not in ("better", "slightly better")
    # naive, or the linear model
    truth = list(measured.baselines)[0 if table.r2 == 0 else 1]
    assert truth not in verdict.beaten
    if "no skill" in verdict.says:
        assert table.r2 <= 0.3
        assert "naive" not in verdict.beaten

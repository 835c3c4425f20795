"""vecprop's estimators against scikit-learn's, on its tables and on sparse texts: ``python benchmarks/estimators.py``.

Both have their default parameters, the same rows in the same type, and the same number
of epochs; nothing ends training before. They take turns in one process, warm, and the
medians of the turns are compared; a turn lasts a twentieth of a second at least, and
does not count if other programs kept the processors busy. Learning is compared by the
score on a quarter of the rows, over several seeds.
"""

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from machine import described, machine
from scipy import sparse
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import normalize, scale

import vecprop

TURN, PATIENCE, QUIET = 0.05, 60.0, 0.05
"""The seconds of a turn, the longest wait for quiet turns, and the share of the
processors that others may use.
"""

MAKERS = {"scikit-learn": neural_network, "vecprop": vecprop}
RESULTS = Path(__file__).parent / "results" / "estimators.md"


@dataclass(frozen=True)
class Table:
    """Rows to learn from, and the number of epochs: dense inputs, and the targets of a regression, are scaled."""

    name: str
    kind: str
    load: Callable[[], tuple[np.ndarray, np.ndarray]]
    epochs: int = 200
    settings: Mapping[str, Any] = field(default_factory=dict)

    def rows(self, dtype: str) -> tuple[Any, np.ndarray]:
        """Return the inputs, of this type, and the targets."""
        X, y = self.load()
        if sparse.issparse(X):
            return X.astype(dtype), y
        return scale(X).astype(dtype), y if self.kind == "MLPClassifier" else scale(y)

    def model(self, maker: str, epochs: int, seed: int = 0) -> Any:
        """Return a maker's model that will train for this number of epochs."""
        settings = {
            "max_iter": epochs,
            "n_iter_no_change": epochs + 1,
            "random_state": seed,
            **self.settings,
        }
        return getattr(MAKERS[maker], self.kind)(**settings)


def texts(rows: int, columns: int, words: int) -> tuple[Any, np.ndarray]:
    """Return sparse rows such as TF-IDF makes of texts, of frequent and rare words, and their classes."""
    rng, rank = np.random.default_rng(0), np.arange(1, columns + 1)
    chosen = rng.choice(columns, (rows, words), p=1 / rank / (1 / rank).sum()).ravel()
    values, starts = (
        rng.exponential(size=chosen.size),
        np.arange(0, chosen.size + 1, words),
    )
    X = normalize(sparse.csr_array((values, chosen, starts), shape=(rows, columns)))
    return X, (X @ rng.normal(size=columns) > 0).astype(int)


TABLES = (
    Table(
        "breast cancer",
        "MLPClassifier",
        partial(datasets.load_breast_cancer, return_X_y=True),
    ),
    Table("digits", "MLPClassifier", partial(datasets.load_digits, return_X_y=True)),
    Table("diabetes", "MLPRegressor", partial(datasets.load_diabetes, return_X_y=True)),
    Table(
        "friedman 1",
        "MLPRegressor",
        partial(datasets.make_friedman1, 20_640, 8, noise=1, random_state=0),
        20,
    ),
    *(
        Table(
            f"texts of {words} words",
            "MLPClassifier",
            partial(texts, *shape, words),
            10,
            {"hidden_layer_sizes": 50},
        )
        for shape in ((2000, 10_000), (4000, 20_000))
        for words in (75, 500)
    ),
)
"""Friedman's has as many rows as the Californian houses, which would have to be
downloaded.
"""


def seconds(run: Callable[[], object], repeats: int = 1) -> float:
    """Return the seconds of a call, the mean of repeats."""
    began = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - began) / repeats


def busy_seconds() -> tuple[float, float]:
    """Return the processors' busy seconds, for all programs and for this one; zeros if they are unknown."""
    if not Path("/proc/stat").exists():
        return 0.0, 0.0
    user, nice, system, _, _, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    )
    own = os.times()
    return (user + nice + system + irq + softirq) / os.sysconf(
        "SC_CLK_TCK"
    ), own.user + own.system


def in_turns(
    runs: dict[str, Callable[[], object]], rounds: int
) -> tuple[dict[str, float], bool]:
    """Return each run's median time, measured in turns, and whether all turns were quiet."""
    for run in runs.values():
        run()  # warms up
    repeats = {name: 1 + int(TURN / seconds(run)) for name, run in runs.items()}
    quiet: list[dict[str, float]] = []
    noisy: list[dict[str, float]] = []
    until = time.monotonic() + PATIENCE
    while len(quiet) < rounds and (len(noisy) < rounds or time.monotonic() < until):
        began, (every, own) = time.monotonic(), busy_seconds()
        turn = {name: seconds(run, repeats[name]) for name, run in runs.items()}
        elapsed, (every_after, own_after) = time.monotonic() - began, busy_seconds()
        others = (every_after - every - (own_after - own)) / (
            elapsed * (os.cpu_count() or 1)
        )
        (quiet if others < QUIET else noisy).append(turn)
    turns = quiet if len(quiet) == rounds else noisy
    return {
        name: statistics.median(turn[name] for turn in turns) for name in runs
    }, turns is quiet


def times(
    table: Table, dtype: str, rounds: int
) -> dict[str, tuple[dict[str, float], bool]]:
    """Return the seconds of an epoch, of a fit of one epoch, and of predictions, and whether the machine was quiet."""
    X, y = table.rows(dtype)
    fits = {
        maker: partial(table.model(maker, table.epochs).fit, X, y) for maker in MAKERS
    }
    fitted: dict[str, Any] = {maker: fit() for maker, fit in fits.items()}
    whole, quiet = in_turns(fits, rounds)
    return {
        "an epoch of fit": (
            {maker: value / table.epochs for maker, value in whole.items()},
            quiet,
        ),
        "fit of one epoch": in_turns(
            {maker: partial(table.model(maker, 1).fit, X, y) for maker in MAKERS},
            rounds,
        ),
        "predict": in_turns(
            {maker: partial(model.predict, X) for maker, model in fitted.items()},
            rounds,
        ),
        "predict a row": in_turns(
            {maker: partial(model.predict, X[:1]) for maker, model in fitted.items()},
            rounds,
        ),
    }


def scores(table: Table, dtype: str, seeds: int) -> dict[str, list[float]]:
    """Return the scores on test rows, for each seed."""
    X, y = table.rows(dtype)
    found: dict[str, list[float]] = {maker: [] for maker in MAKERS}
    for seed in range(seeds):
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
        for maker in MAKERS:
            found[maker].append(
                table.model(maker, table.epochs, seed)
                .fit(X_train, y_train)
                .score(X_test, y_test)
            )
    return found


def page(tables: Sequence[Table], rounds: int, seeds: int) -> str:
    """Measure, and return the figures as a page of Markdown."""
    print(f"{rounds} rounds, {seeds} seeds")
    timed = [
        "| table | rows | type | what | scikit-learn | vecprop | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    learned = [
        "| table | epochs | scikit-learn | vecprop | difference |",
        "|---|---|---|---|---|",
    ]
    for table in tables:
        for dtype in ("float64", "float32"):
            size = "×".join(map(str, table.rows(dtype)[0].shape))
            for what, (found, quiet) in times(table, dtype, rounds).items():
                first, own = found["scikit-learn"], found["vecprop"]
                ratio = f"{first / own:.1f}" if quiet else f"({first / own:.1f})"
                line = (
                    f"| {table.name} | {size} | {dtype} | {what} | {shown(first)} |"
                    f" {shown(own)} | {ratio} |"
                )
                timed.append(line)
                print(line, flush=True)
        found = scores(table, "float64", seeds)
        difference = np.subtract(found["vecprop"], found["scikit-learn"])
        error = difference.std(ddof=1) / np.sqrt(seeds)
        first, own = (statistics.mean(found[maker]) for maker in MAKERS)
        line = (
            f"| {table.name} | {table.epochs} | {first:.4f} | {own:.4f} |"
            f" {difference.mean():+.4f} ± {error:.4f} |"
        )
        learned.append(line)
        print(line, flush=True)
    return "\n".join(
        [
            "# Estimators against scikit-learn's",
            "",
            (
                "Made by `python benchmarks/estimators.py`: default parameters, equal"
                f" epochs, medians of {rounds} turns; a ratio is scikit-learn's time"
                " over vecprop's. Texts are sparse, with 50 hidden units. 'An epoch of"
                " fit' is the time of a fit of 200 epochs (20 for friedman 1, 10 for"
                " texts), divided by their number. 'Fit of one epoch' consists mostly"
                " of the validation of X and y if rows are few. A ratio in parentheses"
                " was measured while other programs kept the processors busy, and is"
                " unreliable."
            ),
            "",
            *described(machine("numpy", "scipy", "numba", "scikit-learn")),
            "",
            *timed,
            "",
            (
                "Accuracy, or R² of a regression, on a quarter of the rows: the means"
                f" of {seeds} seeds, and their difference with its standard error."
            ),
            "",
            *learned,
            "",
        ]
    )


def shown(value: float) -> str:
    return f"{1e3 * value:.3g} ms" if value > 1e-3 else f"{1e6 * value:.3g} µs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument(
        "--only",
        default="",
        help="tables whose names start so; the figures are then only printed",
    )
    settings = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    made = page(
        [table for table in TABLES if table.name.startswith(settings.only)],
        settings.rounds,
        settings.seeds,
    )
    if not settings.only:
        RESULTS.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()

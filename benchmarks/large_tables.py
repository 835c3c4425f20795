"""Tables of 300,000 and a million rows, against HistGradientBoosting: ``python benchmarks/large_tables.py``.

The tables are generated. In *clusters* (scikit-learn's ``make_classification``) half of
the columns separate two classes, in eight Gaussian clusters each, a quarter are
mixtures of these, and 5 % of classes are flipped. In *rules* the logit is a sum of 40
steps, each of which compares three columns with thresholds, which suits trees. Each
model is fitted in a separate process with its defaults. 200,000 further rows test it.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from machine import described, machine
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, log_loss

import vecprop as vp

PAGE = Path(__file__).parent / "results" / "large_tables.md"
TESTED, RULES = 200_000, 40
SIZES = {"300,000 × 20": (300_000, 20), "1,000,000 × 30": (1_000_000, 30)}
MODELS = {
    "vecprop": vp.TabularClassifier,
    "HistGradientBoosting": HistGradientBoostingClassifier,
}
MEGABYTE = 2**20


def clusters(rows: int, columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and classes of Gaussian clusters."""
    X, y, *_ = make_classification(
        rows,
        columns,
        n_informative=columns // 2,
        n_redundant=columns // 4,
        n_clusters_per_class=8,
        flip_y=0.05,
        random_state=seed,
    )
    return np.asarray(X), np.asarray(y)


def rules(rows: int, columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and classes that a sum of rules tells."""
    rng = np.random.default_rng(seed)
    X, logits = rng.normal(size=(rows, columns)), np.zeros(rows)
    for _ in range(RULES):
        chosen, limits, signs = (
            rng.choice(columns, 3, replace=False),
            rng.normal(0, 0.5, 3),
            rng.choice([-1, 1], 3),
        )
        logits += 2 * rng.normal() * (signs * (X[:, chosen] - limits) > 0).all(axis=1)
    logits -= np.median(logits)
    return X, rng.random(rows) < 1 / (1 + np.exp(-2 * logits))


KINDS = {"clusters": clusters, "rules": rules}


def resident(field: str) -> float:
    """Return the memory of this process in MB: VmRSS, or its peak, VmHWM."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return (
        next(int(line.split()[1]) for line in lines if line.startswith(field))
        * 1024
        / MEGABYTE
    )


def measure(kind: str, size: str, model: str, seed: int) -> dict[str, float]:
    """Return what fitting and predicting takes, and how good predictions are."""
    rows, columns = SIZES[size]
    X, y = KINDS[kind](rows + TESTED, columns, seed)
    names = [f"x{number}" for number in range(columns)]
    table, test = (
        pd.DataFrame(part.copy(), columns=names) for part in (X[:rows], X[rows:])
    )
    del X
    if model == "vecprop":  # with what a first fit imports and loads
        vp.TabularClassifier(max_iter=1).fit(table[:5000], y[:5000]).predict(
            table[:5000]
        )
    fitted: Any = MODELS[model](random_state=0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is that from here on
    before, wall, cpu = resident("VmRSS"), time.perf_counter(), time.process_time()
    fitted.fit(table, y[:rows])
    found = {
        "seconds": time.perf_counter() - wall,
        "CPU seconds": time.process_time() - cpu,
    }
    found |= {
        "table": table.memory_usage().sum() / MEGABYTE,
        "memory": resident("VmHWM") - before,
    }
    P = fitted.predict_proba(test)
    found |= {
        "log loss": log_loss(y[rows:], P),
        "accuracy": accuracy_score(y[rows:], P[:, 1] > 0.5),
    }
    Path("/proc/self/clear_refs").write_text("5")
    before, wall = resident("VmRSS"), time.perf_counter()
    fitted.predict_proba(table)
    return found | {
        "prediction": time.perf_counter() - wall,
        "its memory": resident("VmHWM") - before,
    }


def main() -> None:
    """Measure each model on each table, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the generated tables")
    parser.add_argument(
        "--note", default="", help="a sentence on the machine for the page"
    )
    parser.add_argument(
        "--one",
        nargs=3,
        metavar=("KIND", "SIZE", "MODEL"),
        help="measure this and print it as JSON",
    )
    asked = parser.parse_args()
    if asked.one:
        kind, size, model = asked.one
        print(json.dumps(measure(kind, size, model, asked.seed)))
        return
    lines = []
    for size in SIZES:
        for kind in KINDS:
            for model in MODELS:
                command = [
                    sys.executable,
                    __file__,
                    "--seed",
                    str(asked.seed),
                    "--one",
                    kind,
                    size,
                    model,
                ]
                found = json.loads(
                    subprocess.run(
                        command, check=True, capture_output=True, text=True
                    ).stdout
                )
                times = (
                    f"{found['seconds']:.1f} | {found['CPU seconds']:.1f} |"
                    f" {found['prediction']:.1f}"
                )
                memory = (
                    f"{found['table']:.0f} | {found['memory']:.0f} |"
                    f" {found['its memory']:.0f}"
                )
                quality = f"{found['log loss']:.4f} | {found['accuracy']:.4f}"
                lines.append(
                    f"| {kind}, {size} | {model} | {times} | {memory} | {quality} |"
                )
                print(lines[-1], flush=True)
    head = [
        "# Large tables",
        "",
        (
            f"Made by `python benchmarks/large_tables.py --seed {asked.seed}`, which"
            " describes the generated tables. Models use their defaults."
            " HistGradientBoosting has at most 100 trees by default; a careful user"
            " would allow more for so many rows. Log loss and accuracy are measured on"
            " 200,000 other rows. The memory of a fit is its peak beyond the memory of"
            " the process that has loaded the table. Prediction covers all training"
            " rows."
        ),
        "",
        *described(machine("numpy", "scikit-learn", "pandas", "numba")),
        *([f"- {asked.note}"] if asked.note else []),
        "",
        (
            "| table | model | fit, s | CPU s | predict, s | table, MB | fit, MB |"
            " predict, MB | log loss | accuracy |"
        ),
        "|---|---|" + "---:|" * 8,
    ]
    PAGE.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Models of tables beside others: ``python benchmarks/tables.py``.

The contenders of `table_peers` are tested on the same folds of the same tables: three
folds, shuffled with several seeds. Times are CPU times of fitting and predicting with
all preparation, in one process, warm, with one thread each, so that other programs
change them little. Outcomes are kept for each table and contender in
`results/tables.json`, with the machine of each contender, so that an interrupted run
continues and contenders can be added later. ``--again`` measures contenders again.

The defaults were chosen on other tables, or on generated ones of other seeds:
``--choice`` runs those.
"""

import argparse
import json
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before NumPy, since it sets the number of threads.
os.environ |= dict.fromkeys(
    (
        "VECPROP_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
    ),
    "1",
)

# isort: split
import numpy as np
import pandas as pd
from machine import machine
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from table_inputs import prepared
from table_peers import CONTENDERS, ONLY_CLASSIFIERS
from table_sets import CLASSIFICATION, Table, choice, report
from tables_report import page, picture

RESULTS = Path(__file__).parent / "results"
KEPT = RESULTS / "tables.json"
PACKAGES = (
    "numpy",
    "scikit-learn",
    "pandas",
    "numba",
    "lightgbm",
    "xgboost",
    "catboost",
    "pytabkit",
    "torch",
)


def splits(
    table: Table, frame: pd.DataFrame, y: np.ndarray, repeats: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    kind = StratifiedKFold if table.task == CLASSIFICATION else KFold
    for seed in range(repeats):
        yield from kind(3, shuffle=True, random_state=seed).split(frame, y)


def outcome(
    table: Table,
    name: str,
    frame: pd.DataFrame,
    y: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
) -> list[float]:
    """Return the loss, the score and the seconds of a contender: log loss and accuracy, or RMSE / σ and R²."""
    X = frame if name == "vecprop" else prepared(frame)
    started = time.process_time()
    model = CONTENDERS[name](table.task).fit(X.iloc[train], y[train])
    if table.task == CLASSIFICATION:
        P = np.asarray(model.predict_proba(X.iloc[test]), np.float64)
        seconds = time.process_time() - started
        loss = log_loss(
            y[test], P / P.sum(axis=1, keepdims=True), labels=model.classes_
        )
        score = accuracy_score(y[test], model.classes_[P.argmax(axis=1)])
    else:
        predicted = np.asarray(model.predict(X.iloc[test])).ravel()
        seconds = time.process_time() - started
        loss = np.sqrt(np.mean((predicted - y[test]) ** 2)) / y.std()
        score = r2_score(y[test], predicted)
    return [float(loss), float(score), seconds]


def measure(table: Table, names: list[str], repeats: int) -> dict[str, list[float]]:
    """Return for each contender the means of loss, score and seconds over the splits of a table."""
    frame, y = table.make()
    outcomes: dict[str, list] = {name: [] for name in names}
    for train, test in splits(table, frame, y, repeats):
        for name in names:
            outcomes[name].append(outcome(table, name, frame, y, train, test))
    return {name: np.mean(values, axis=0).tolist() for name, values in outcomes.items()}


def warm_up() -> None:
    """Compile what fits need, so that no time contains it."""
    for table in report():
        if table.name in ("iris", "diabetes"):
            measure(table, ["vecprop"], 1)


def competes(name: str, table: Table) -> bool:
    """Return whether a contender has a model for the task of a table."""
    return table.task == CLASSIFICATION or name not in ONLY_CLASSIFIERS


def kept_results() -> dict[str, Any]:
    """Return what earlier runs measured: outcomes by table and contender, and the machine of each contender."""
    if KEPT.exists():
        return json.loads(KEPT.read_text())
    return {"tables": {}, "machines": {}}


def report_progress(table: Table, outcomes: dict[str, list[float]]) -> None:
    rounded = {name: np.round(values, 3).tolist() for name, values in outcomes.items()}
    print(table.task, table.name, rounded, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--repeats", type=int, default=1, help="how many seeds of the folds"
    )
    parser.add_argument(
        "--choice",
        action="store_true",
        help="the tables on which the defaults were chosen; not kept",
    )
    parser.add_argument(
        "--contenders",
        nargs="+",
        default=list(CONTENDERS),
        choices=CONTENDERS,
        help="these alone",
    )
    parser.add_argument(
        "--again", nargs="+", default=[], choices=CONTENDERS, help="measure these again"
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    warm_up()
    if arguments.choice:
        for table in choice():
            names = [name for name in arguments.contenders if competes(name, table)]
            report_progress(table, measure(table, names, arguments.repeats))
        return
    results = kept_results()
    for outcomes in results["tables"].values():
        for name in arguments.again:
            outcomes.pop(name, None)
    for table in report():
        outcomes = results["tables"].setdefault(f"{table.task}: {table.name}", {})
        missing = [
            name
            for name in arguments.contenders
            if name not in outcomes and competes(name, table)
        ]
        if missing:
            outcomes |= measure(table, missing, arguments.repeats)
            results["machines"] |= dict.fromkeys(missing, machine(*PACKAGES))
            results["repeats"] = arguments.repeats
            KEPT.write_text(json.dumps(results))
            report_progress(table, outcomes)
    (RESULTS / "tables.md").write_text(page(results), encoding="utf-8")
    picture(results, RESULTS / "tables.png")


if __name__ == "__main__":
    main()

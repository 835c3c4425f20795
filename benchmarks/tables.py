"""Models of tables beside scikit-learn's MLP and HistGradientBoosting: ``python benchmarks/tables.py``.

All have their default parameters, and the same folds of the same tables: three folds, shuffled with several seeds. The
MLP is given what it needs: numbers scaled to mean 0 and standard deviation 1, with missing ones at the median and
marked, categories as inputs of 0 and 1, and targets of regression scaled too. Gradient boosting takes categories and
missing values as they are. Times are the processor's, of fitting and predicting with all preparation, in turns in one
process, warm, with one thread each, so that other programs change them little.

The defaults were chosen on other tables, or on generated ones of other seeds: ``--choice`` runs those.
"""

import argparse
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Before NumPy, since it sets the number of threads.
os.environ |= dict.fromkeys(("VECPROP_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

# isort: split
import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from table_sets import CLASSIFICATION, REGRESSION, Table, choice, report

from vecprop import TabularClassifier, TabularRegressor

RESULTS = Path(__file__).parent / "results" / "tables.md"


def scaled_mlp(task: str) -> Any:
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include=["number", "bool"])),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude=["number", "bool"])),
        sparse_threshold=0,
    )
    if task == CLASSIFICATION:
        return make_pipeline(columns, MLPClassifier(random_state=0))
    scaled = TransformedTargetRegressor(MLPRegressor(random_state=0), transformer=StandardScaler())
    return make_pipeline(columns, scaled)


def boosting(task: str) -> Any:
    kind = HistGradientBoostingClassifier if task == CLASSIFICATION else HistGradientBoostingRegressor
    return kind(random_state=0)  # takes categories by their type, which `as_categories` gives them


def tabular(task: str) -> Any:
    return (TabularClassifier if task == CLASSIFICATION else TabularRegressor)(random_state=0)


CONTENDERS: dict[str, Callable[[str], Any]] = {
    "vecprop": tabular,
    "MLP": scaled_mlp,
    "HistGradientBoosting": boosting,
}


def as_categories(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose columns of text are categories, as gradient boosting needs them."""
    text = frame.select_dtypes(exclude=["number", "bool"]).columns
    return frame.astype(dict.fromkeys(text, "category"))


def splits(table: Table, frame: pd.DataFrame, y: np.ndarray, repeats: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    kind = StratifiedKFold if table.task == CLASSIFICATION else KFold
    for seed in range(repeats):
        yield from kind(3, shuffle=True, random_state=seed).split(frame, y)


def measure(table: Table, repeats: int) -> dict[str, np.ndarray]:
    """Return for each contender the means of loss, score and seconds over the splits of a table."""
    frame, y = table.make()
    outcomes: dict[str, list] = {name: [] for name in CONTENDERS}
    for train, test in splits(table, frame, y, repeats):
        for name, make in CONTENDERS.items():
            X = as_categories(frame) if name == "HistGradientBoosting" else frame
            started = time.process_time()
            model = make(table.task).fit(X.iloc[train], y[train])
            if table.task == CLASSIFICATION:
                P = model.predict_proba(X.iloc[test])
                seconds = time.process_time() - started
                predicted = model.classes_[P.argmax(axis=1)]
                outcome = log_loss(y[test], P, labels=model.classes_), accuracy_score(y[test], predicted)
            else:
                predicted = model.predict(X.iloc[test])
                seconds = time.process_time() - started
                error = np.sqrt(np.mean((predicted - y[test]) ** 2)) / y.std()
                outcome = error, r2_score(y[test], predicted)
            outcomes[name].append((*outcome, seconds))
    return {name: np.mean(values, axis=0) for name, values in outcomes.items()}


def lines_of(task: str, measured: dict[str, dict[str, np.ndarray]]) -> Iterator[str]:
    """Yield the lines of a table of results."""
    loss, score = ("log loss", "accuracy") if task == CLASSIFICATION else ("RMSE / σ", "R²")
    names = list(CONTENDERS)
    yield f"| {task} | " + " | ".join(f"{what}, {name}" for what in (loss, score, "seconds") for name in names) + " |"
    yield "|---|" + "---:|" * (3 * len(names))
    values = {table: np.array([of[name] for name in names]).T for table, of in measured.items()}
    for table, of in {**values, "**mean**": np.mean(list(values.values()), axis=0)}.items():
        cells = []
        for row, digits in zip(of, (3, 3, 2), strict=True):
            cells += [f"{value:.{digits}f}" for value in row]
        yield f"| {table} | " + " | ".join(cells) + " |"
    losses = np.array([of[0] for of in values.values()])
    yield ""
    for place, name in enumerate(names[1:], 1):
        better = int((losses[:, 0] < losses[:, place]).sum())
        yield f"The {loss} of vecprop is lower than that of {name} on {better} of {len(losses)} tables."


def _processor() -> str:
    """Return the processor's name, if the system knows it."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2, help="how many seeds of the folds")
    parser.add_argument("--choice", action="store_true", help="the tables on which the defaults were chosen; not kept")
    parser.add_argument("--task", choices=[CLASSIFICATION, REGRESSION], help="of one task alone; not kept")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    found: dict[str, dict[str, dict[str, np.ndarray]]] = {CLASSIFICATION: {}, REGRESSION: {}}
    warm = next(report())
    measure(warm, 1)
    for table in choice() if arguments.choice else report():
        if arguments.task in (None, table.task):
            found[table.task][table.name] = measure(table, arguments.repeats)
            shown = {name: values.round(3).tolist() for name, values in found[table.task][table.name].items()}
            print(table.name, shown, flush=True)
    lines = [
        "# Tables: accuracy and time",
        "",
        f"`python benchmarks/tables.py --repeats {arguments.repeats}` on one thread of "
        f"{_processor()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("numpy", "scikit-learn", "pandas", "numba"))
        + ". Each number is a mean over "
        f"{3 * arguments.repeats} test parts; `benchmarks/tables.py` describes how they are made.",
    ]
    for task, measured in found.items():
        if measured:
            lines += ["", f"## {task.capitalize()}", "", *lines_of(task, measured)]
    print("\n".join(lines))
    if not (arguments.choice or arguments.task):
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

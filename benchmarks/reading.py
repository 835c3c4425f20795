"""CPU seconds of reading text files, as multiples of polars: ``python benchmarks/reading.py``.

The files are generated. *Long* has 100,000 rows and 21 columns: decimals, integers,
categories, dates, Booleans, codes with leading zeros and missing values. *Wide* files
have 100 rows of decimals. All readers take turns in one process, and the median of
their times counts. The times of all threads are added.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from machine import described, machine

import vecprop as vp

PAGE = Path(__file__).parent / "results" / "reading.md"
TURNS = 9
READERS: dict[str, Callable[[Path], Any]] = {
    "polars": pl.read_csv,
    "polars to pandas": lambda path: pl.read_csv(path).to_pandas(),
    "pandas": pd.read_csv,
    "vecprop": vp.read_table,
    "vecprop, as text": lambda path: vp.read_table(path, as_text=True),
}


def long_table(rows: int = 100_000) -> pd.DataFrame:
    """Return a table with columns of many kinds."""
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {}
    for number in range(10):
        scale = 10 ** (number % 4)
        columns[f"x{number}"] = np.round(rng.normal(size=rows) * scale, 4)
    for number in range(3):
        columns[f"n{number}"] = rng.integers(0, 10 ** (number + 1), rows)
    for count in (8, 60, 2000):
        names = np.array([f"name {number}" for number in range(count)])
        columns[f"category{count}"] = rng.choice(names, rows)
    days = np.datetime64("2020-01-01") + rng.integers(0, 1500, rows)
    columns["day"] = days.astype(str)
    columns["flag"] = rng.choice(["true", "false"], rows)
    columns["code"] = np.char.zfill(rng.integers(0, 99999, rows).astype(str), 5)
    missing = pd.Series(rng.normal(size=rows).round(3)).astype(object)
    missing[rng.random(rows) < 0.1] = "NA"
    columns["missing"] = missing
    columns["y"] = rng.choice(["yes", "no"], rows)
    return pd.DataFrame(columns)


def wide_table(columns: int, rows: int = 100) -> pd.DataFrame:
    """Return a table of decimals."""
    X = np.random.default_rng(0).normal(size=(rows, columns)).round(4)
    return pd.DataFrame(X, columns=[f"x{number}" for number in range(columns)])


def times_of(path: Path) -> dict[str, float]:
    """Return the median CPU seconds of each reader."""
    times: dict[str, list[float]] = {name: [] for name in READERS}
    for _ in range(TURNS + 1):
        for name, read in READERS.items():
            start = time.process_time()
            read(path)
            times[name].append(time.process_time() - start)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def page(results: dict[str, dict[str, float]]) -> str:
    """Return the results as a page."""
    lines = [
        "# Reading text files",
        "",
        "Median CPU seconds of all threads in one process, and in brackets multiples of",
        "polars. `python benchmarks/reading.py` measured them.",
        "",
        *described(machine("vecprop", "pandas", "pyarrow", "polars")),
        "",
        f"| file | {' | '.join(READERS)} |",
        f"|---|{'---:|' * len(READERS)}",
    ]
    for file, times in results.items():
        cells = [
            f"{seconds:.3f} ({seconds / times['polars']:.1f})"
            for seconds in times.values()
        ]
        lines.append(f"| {file} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    warnings.simplefilter("ignore")
    tables = {
        "long, 100,000 × 21": long_table(),
        "wide, 100 × 1,000": wide_table(1000),
        "wide, 100 × 3,000": wide_table(3000),
    }
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, table in tables.items():
            path = Path(folder, "table.csv")
            table.to_csv(path, index=False)
            results[name] = times_of(path)
    text = page(results)
    PAGE.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()

"""The memory of fits, and growth in columns: ``python benchmarks/table_memory.py``.

Each model is fitted in a separate process. The memory of a fit is the peak of the
process, minus its memory before the table is loaded and after a small fit has loaded
modules and kernels. It thus contains the table. The goal is at most 4 times the table
plus 100 MB. The second list has the CPU seconds of each step for tables of 300 rows,
which should grow in proportion to the columns.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from large_tables import MEGABYTE, resident

import vecprop as vp
from vecprop.tables import evaluate

TABLES = ["numbers", "narrow", "medium", "mixed", "text"]
WIDE = [500, 1000, 2000, 5000]
EPOCHS_OF_WIDE = 3


def categories(rows: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return a column of text with a number of categories."""
    names = np.array([f"category {number}" for number in range(count)], object)
    return names[rng.integers(0, count, rows)]


def table(kind: str) -> pd.DataFrame:
    """Return a table with a binary target."""
    rng = np.random.default_rng(0)
    sizes = {"numbers": (238_000, 20), "narrow": (500_000, 3), "medium": (60_000, 20)}
    sizes |= {"mixed": (80_000, 15), "text": (50_000, 2)}
    rows, columns = sizes.get(kind, (300, 0))
    if kind.isdigit():
        columns = int(kind)
    X = pd.DataFrame(rng.normal(size=(rows, columns))).add_prefix("x")
    counts = {"mixed": [3, 10, 50, 200, 1000], "text": [10_000, 10_000]}
    for number, count in enumerate(counts.get(kind, [])):
        X[f"c{number}"] = categories(rows, count, rng)
    return X.assign(y=(X.x0 + rng.normal(size=rows) > 0).astype(int))


def warm_up():
    """Load modules and kernels."""
    X = table("20").assign(c=categories(300, 20, np.random.default_rng(0)))
    model = vp.TabularClassifier("y", max_iter=1).fit(pd.concat([X] * 20))
    model.predict(X)


def memory_of_fit(kind: str) -> dict[str, float]:
    """Return the sizes of a table and of the peak of a fit, in MB."""
    before = resident("VmRSS")
    frame = table(kind)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts here
    vp.TabularClassifier("y", random_state=0).fit(frame)
    size = frame.memory_usage(deep=True).sum() / MEGABYTE
    peak = resident("VmHWM") - before
    return {"table": size, "peak": peak, "times, beyond 100 MB": (peak - 100) / size}


def seconds_of_steps(columns: str) -> dict[str, float]:
    """Return the CPU seconds of the steps with a wide table, and the peak of its fit in MB."""
    frame = table(columns)
    figures = {}

    def measured(name: str, step: Callable):
        started = time.process_time()
        result = step()
        figures[name] = time.process_time() - started
        return result

    model = vp.TabularClassifier("y", max_iter=EPOCHS_OF_WIDE, random_state=0)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    measured("fit", lambda: model.fit(frame))
    peak = resident("VmHWM") - before
    measured("predict", lambda: model.predict(frame))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.npz")
        measured("save", lambda: vp.save(model, path))
        measured("load", lambda: vp.load(path))
        evaluation = measured("evaluate", lambda: evaluate(model, frame))
        measured("report", lambda: evaluation.report(Path(folder, "report.html")))
    return {**figures, "fit, MB": peak}


def main() -> None:
    """Measure each table in a process, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", help="measure this table and print it as JSON")
    kind = parser.parse_args().one
    if kind is not None:
        warm_up()
        measure = seconds_of_steps if kind.isdigit() else memory_of_fit
        print(json.dumps(measure(kind)))
        return
    for kind in [*TABLES, *map(str, WIDE)]:
        command = [sys.executable, __file__, "--one", kind]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        figures = json.loads(done.stdout)
        texts = [f"{name} {value:.2f}" for name, value in figures.items()]
        print(f"{kind}: {', '.join(texts)}", flush=True)


if __name__ == "__main__":
    main()

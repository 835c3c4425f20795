"""``vecprop train`` from a CSV of 100,000 rows and 30 columns to a model: ``python benchmarks/commands.py``.

Each command is run several times in a process of its own, warm; the times are those of
its fastest run. The rest of the time, beside reading, training and measuring, is the
start of Python with its libraries, and writing.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from machine import described, machine

ROWS, RUNS = 100_000, 3
COMMAND = [
    sys.executable,
    "-c",
    "import sys; sys.argv[0] = 'vecprop'; from vecprop.app import main; main()",
]


def table() -> pd.DataFrame:
    """Return 20 columns of numbers, 10 of categories, and two targets."""
    rng = np.random.default_rng(0)
    numbers = pd.DataFrame(rng.normal(size=(ROWS, 20)).round(4)).add_prefix("number ")
    categories = pd.DataFrame(rng.choice(list("abcdef"), size=(ROWS, 10))).add_prefix(
        "category "
    )
    z = (
        numbers["number 0"] * numbers["number 1"]
        + numbers["number 2"]
        + (categories["category 0"] == "a")
    )
    z = z + rng.logistic(scale=0.3, size=ROWS)
    return numbers.join(categories).assign(
        buys=np.where(z > 0, "yes", "no"), spends=z.round(4)
    )


def timed(*arguments: str) -> tuple[float, str]:
    """Return the seconds that a command takes, and its output."""
    began = time.perf_counter()
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=True
    )
    return time.perf_counter() - began, done.stdout


def lines() -> list[str]:
    found = []
    for target, other in (("buys", "spends"), ("spends", "buys")):
        table().drop(columns=other).to_csv("table.csv", index=False)
        train = ["train", "table.csv", "--target", target, "--json", "--force"]
        timed(*train, "--max-iter", "1")
        seconds, text = min(timed(*train) for _ in range(RUNS))
        result = json.loads(text)
        parts = result["seconds"]
        rest = seconds - sum(parts.values())
        shares = " | ".join(f"{each:.2f}" for each in (seconds, *parts.values(), rest))
        found.append(
            f"| {result['task']} | {shares} | {1 - parts['training'] / seconds:.0%} |"
        )
        seconds, _ = min(
            timed("predict", "table.npz", "table.csv", "-o", "predicted.csv", "--force")
            for _ in range(RUNS)
        )
        found.append(f"| predictions of {ROWS:,} rows | {seconds:.2f} | | | | | |")
    return found


def main() -> None:
    target = Path(__file__).parent / "results" / "commands.md"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        rows = lines()
    head = (
        "| | seconds | reading | training | measuring | the rest | not training"
        " |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    where = "\n".join(described(machine("vecprop", "numpy", "pandas", "scikit-learn")))
    about = (
        f"Made by `python benchmarks/commands.py` with {ROWS:,} rows and 30 columns:"
        f" the fastest of {RUNS} runs."
    )
    target.write_text(
        f"# From a table to a model\n\n{about}\n\n{where}\n\n{head}\n"
        + "\n".join(rows)
        + "\n"
    )
    print(target.read_text())


if __name__ == "__main__":
    main()

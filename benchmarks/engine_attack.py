"""Thousands of random attacks on the engine: ``python benchmarks/engine_attack.py``.

Networks of all parts, sparse rows, selections, odd inputs, leaks, damaged kernel files
and processes, see ``benchmarks/attack``. Each seed runs in a process of its own; what
it has shown is kept, so that an interrupted run continues.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import described, machine

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "benchmarks" / "results" / "engine_attack.md"
SHOWN = {
    "networks": (
        "networks of all parts: equal bits on 1, 2, 4 and 8 threads, in populations and"
        " after an interruption; agreement with the reference engine"
    ),
    "sparse_rows": (
        "sparse rows: the same, agreement with dense rows, unusual and damaged matrices"
    ),
    "selections": (
        "rows selected and scaled while they are read, searches, early stopping: the"
        " bits of a fit on copies"
    ),
    "clothes": (
        "inputs in other containers and types, planted NaN and infinity, tiny and huge"
        " numbers"
    ),
    "leaks": "2,000 small fits of one kind: memory, threads and open files do not grow",
    "kernel_files": "damaged kernel files: a warning, a new compilation, equal bits",
    "processes": (
        "simultaneous fits in forked, spawned and joblib processes and in threads:"
        " equal bits"
    ),
}
COUNTS = {
    "networks": (20, 500),
    "sparse_rows": (10, 300),
    "selections": (10, 200),
    "clothes": (10, 200),
    "leaks": (8, 5),
    "kernel_files": (4, 10),
    "processes": (5, 10),
}
"""The number of seeds, and of cases of each."""

FIRST = 1000
"""The first seed."""


def attacked(kind: str, seed: int, count: int) -> dict[str, Any]:
    """Return the number of cases and the failures, one of which may be the end of the process."""
    environment = os.environ | {"VECPROP_NUM_THREADS": "8", "OPENBLAS_NUM_THREADS": "1"}
    command = [
        sys.executable,
        ROOT / "benchmarks" / "attack" / "attack.py",
        kind,
        str(seed),
        str(count),
    ]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        return {
            "cases": 0,
            "failed": {
                "process": f"ended with {done.returncode}: {done.stderr[-500:]}"
            },
        }
    return json.loads(done.stdout)


def page(found: dict[str, dict[str, Any]]) -> str:
    """Return the results as a page."""
    rows, flagged = [], []
    for kind, what in SHOWN.items():
        own = {
            name: result for name, result in found.items() if name.split()[0] == kind
        }
        failed = [
            (name, *of)
            for name, result in own.items()
            for of in result["failed"].items()
        ]
        rows.append(
            f"| {what} | {sum(result['cases'] for result in own.values()):,} |"
            f" {len(failed)} |"
        )
        flagged += [
            f"- `{name} 0 --only {number}`: {' '.join(said.split())[:160]}"
            for name, number, said in failed
        ]
    if flagged:
        flagged = [
            "",
            "Repeated by `python benchmarks/attack/attack.py` with",
            "",
            *flagged,
        ]
    lines = [
        "# Attacks on the engine",
        "",
        (
            f"{sum(result['cases'] for result in found.values()):,} random cases, made"
            " by `python"
        ),
        "benchmarks/engine_attack.py`.",
        "",
        *described(machine("vecprop", "numba", "scikit-learn")),
        "",
        "| what | cases | flagged |",
        "|---|---:|---:|",
        *rows,
        "",
        (
            "A case is flagged if the two engines differ by more than 1,000 times the"
            " effect of rounding. That effect is"
        ),
        (
            "measured in the reference engine: it changes the last bits of the"
            " parameters, or computes in a wider type."
        ),
        (
            "Training on huge numbers may end differently if a sum in a layer"
            " overflows, or if a change of the last bits"
        ),
        (
            "has the same effect in the reference engine. A case is also flagged if any"
            " other check fails."
        ),
        *flagged,
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=COUNTS, default=list(COUNTS))
    parser.add_argument(
        "--again", action="store_true", help="forget what an earlier run has found"
    )
    given = parser.parse_args()
    kept = Path(tempfile.gettempdir()) / "vecprop-engine-attack"
    kept.mkdir(exist_ok=True)
    todo = [
        (seed, kind)
        for kind in given.kinds
        for seed in range(FIRST, FIRST + COUNTS[kind][0])
    ]
    # of each kind in turn, so that an interrupted run has some of all
    for seed, kind in sorted(todo):
        file = kept / f"{kind} {seed}.json"
        if given.again or not file.exists():
            file.write_text(json.dumps(attacked(kind, seed, COUNTS[kind][1])))
            print(f"{file.stem} is done", file=sys.stderr)
    found = {
        file.stem: json.loads(file.read_text()) for file in sorted(kept.glob("*.json"))
    }
    if {name.split()[0] for name in found} == set(COUNTS):
        PAGE.write_text(page(found))
    print(page(found), end="")


if __name__ == "__main__":
    main()

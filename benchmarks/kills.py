"""Hundreds of kills -9 of trainings that are kept: ``python benchmarks/kills.py``.

Each seed kills one training at random moments and inside of writes, also on a full disk, and lets it go on to its end,
see ``tests/random_kills.py``. What it has shown is kept, so that an interrupted run continues.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from campaign import results_of
from machine import described, machine

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "benchmarks" / "results" / "kills.md"
COUNT = 8
"""The number of seeds of each work."""

WORKS = {
    100: "small networks",
    200: "large networks",
    300: "populations",
    400: "tables",
    500: "the command",
    600: "estimators",
    700: "searches and ensembles",
    800: "rows in blocks",
}
"""The first seed of each work of ``tests/random_kills.py``."""

SEEDS = [first + number for number in range(COUNT) for first in WORKS]
KINDS = {
    "runs": "trainings",
    "at a random moment": "killed at a random moment",
    "inside a write": "killed inside a write",
    "left unfinished": "left an unfinished file",
    "on a full disk": "killed on a full disk",
    "ended by a full disk": "ended by a full disk, with one sentence",
}


def killed(seed: int) -> dict[str, int]:
    """Return how often a training was killed in which way, or say what went wrong."""
    environment = os.environ | {"VECPROP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}
    name = WORKS[seed // 100 * 100]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, ROOT / "tests" / "random_kills.py", name, str(seed)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"Seed {seed}: {done.stderr}")
    return json.loads(done.stdout)


def page(found: dict[str, dict[str, int]]) -> str:
    """Return the results as a page."""
    by_work = {name: Counter[str]() for name in WORKS.values()}
    for seed, counts in found.items():
        by_work[WORKS[int(seed) // 100 * 100]].update(counts)
    total = sum(by_work.values(), Counter())
    kills = total["at a random moment"] + total["inside a write"]
    rows = [
        f"| {name} | {' | '.join(f'{counts[kind]:,}' for kind in KINDS)} |"
        for name, counts in [*by_work.items(), ("all", total)]
    ]
    lines = [
        "# Kills",
        "",
        f"{kills:,} kills -9 of {total['runs']:,} trainings with a checkpoint, in processes of their own:",
        "`python benchmarks/kills.py`. Networks have a random optimizer, schedule, rule of early stopping, batch",
        "size, type and dropout. Each training was killed up to eight times, at a moment drawn from its whole length",
        "or inside of a write: between two arrays, before the file was synced, before and after it took its name.",
        "Disks were full for some of them: a small one that was filled but for some bytes, or a limit of the size of",
        "files. After each kill all files were read, and none was damaged. The same program went on and, when it was",
        "not killed again, ended with the bits of the whole run: parameters, moments, the best parameters, the reason",
        "and all curves but the time.",
        "",
        *described(machine("vecprop", "numba", "scikit-learn")),
        "",
        f"| work | {' | '.join(KINDS.values())} |",
        f"|---|{'---:|' * len(KINDS)}",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    found, is_whole = results_of("vecprop-kills", __doc__, SEEDS, killed)
    if is_whole:
        PAGE.write_text(page(found))
    print(page(found), end="")


if __name__ == "__main__":
    main()

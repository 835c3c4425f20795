"""Ten thousand interruptions at random moments: ``python benchmarks/interruptions.py``.

Handlers of signals that raise, Ctrl-C and exceptions that another thread sets strike fits, predictions, searches,
files, checks and the compiler, see ``tests/interruptions.py``. Each seed runs in a process of its own; what it has
shown is kept, so that an interrupted run continues.
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
PAGE = ROOT / "benchmarks" / "results" / "interruptions.md"
SEEDS, COUNT = range(100, 150), 200
"""The seeds, and the number of interruptions of each."""
KINDS = {
    "alarm": "a signal's handler raised",
    "time-out": "a signal's handler raised a TimeoutError",
    "Ctrl-C": "Ctrl-C",
    "set": "another thread set an exception",
}


def interrupted(seed: int) -> dict[str, int]:
    """Return how often each work was interrupted by what, or say what went wrong."""
    environment = os.environ | {"VECPROP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}  # whose own threads spin
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, ROOT / "tests" / "interruptions.py", str(seed), str(COUNT)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"Seed {seed}: {done.stderr}")
    return json.loads(done.stdout)


def page(found: dict[str, dict[str, int]]) -> str:
    """Return the results as a page."""
    total = sum(map(Counter, found.values()), Counter())
    left = max(of["threads that are left"] for of in found.values())
    ignored = total["ignored by Python"]
    del total["threads that are left"], total["ignored by Python"]
    works = sorted({name.partition(":")[0] for name in total})
    rows = []
    for work in works:
        counts = (f"{total[f'{work}: {kind}']:,}" for kind in KINDS)
        rows.append(f"| {work.replace('_', ' ')} | {' | '.join(counts)} |")
    lines = [
        "# Interruptions",
        "",
        f"{total.total():,} interruptions at random moments, of one to three exceptions each:",
        "`python benchmarks/interruptions.py`. After each, the exception had reached the caller, or training had",
        "returned its result, from which it went on to the bit; no thread used the processor, the handler of Ctrl-C",
        "was in place, locks were free, files were whole, and what was done again had the same bits.",
        f"The exception of {ignored} was raised in a finalizer of another library, where Python ignores it. Checks of",
        "gradients and loading take an Exception for one of the formulas or the file, so others struck them.",
        f"At most {left} threads were parked at the end of {COUNT} interruptions.",
        "",
        *described(machine("vecprop", "numba", "scikit-learn")),
        "",
        f"| work | {' | '.join(KINDS.values())} |",
        f"|---|{'---:|' * len(KINDS)}",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    found, is_whole = results_of("vecprop-interruptions", __doc__, SEEDS, interrupted)
    if is_whole:
        PAGE.write_text(page(found))
    print(page(found), end="")


if __name__ == "__main__":
    main()

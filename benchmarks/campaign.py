"""Campaigns by seeds: what each seed has shown is kept, so that an interrupted run continues."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def results_of(
    name: str, description: str | None, seeds: Sequence[int], one: Callable[[int], Any]
) -> tuple[dict[str, Any], bool]:
    """Return the results of the seeds by number, those of earlier runs too, and whether all seeds are done.

    Parameters
    ----------
    name : str
        The name of the file of results, in the folder for temporary files.
    description : str
        What ``--help`` says.
    seeds : sequence of int
        All seeds; ``--seeds`` takes the first of them, and ``--again`` forgets earlier
        results.
    one : callable
        Returns the result of a seed, which JSON can hold.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--seeds", type=int, default=len(seeds), help="the number of seeds"
    )
    parser.add_argument(
        "--again", action="store_true", help="forget what an earlier run has found"
    )
    given = parser.parse_args()
    kept = Path(tempfile.gettempdir()) / f"{name}.json"
    if given.again:
        kept.unlink(missing_ok=True)
    found = json.loads(kept.read_text()) if kept.exists() else {}
    for seed in seeds[: given.seeds]:
        if str(seed) not in found:
            found[str(seed)] = one(seed)
            kept.write_text(json.dumps(found))
            print(f"seed {seed} is done", file=sys.stderr)
    return found, len(found) == len(seeds)

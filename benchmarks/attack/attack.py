"""An attack on the engine by random cases: ``python benchmarks/attack/attack.py KIND SEED COUNT``.

It prints the number of cases and those that failed, with what went wrong, as JSON. Case
k of a seed is repeated alone by ``--only k``, which raises.
"""

import argparse
import importlib
import json
import sys
import warnings
import zlib
from pathlib import Path

# for its registry of parts
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import numpy as np

KINDS = (
    "networks",
    "sparse_rows",
    "selections",
    "clothes",
    "leaks",
    "kernel_files",
    "processes",
)


def attacked(kind: str, seed: int, numbers: range) -> dict[str, object]:
    """Return how many cases were tried, and what went wrong by their number."""
    attack, failed = importlib.import_module(kind).attack, {}
    for number in numbers:
        try:
            attack(case(kind, seed, number))
        except Exception as error:
            failed[number] = f"{type(error).__name__}: {error}"[:1500]
            print(
                f"{kind} {seed} {number}: {failed[number]}", file=sys.stderr, flush=True
            )
    return {"cases": len(numbers), "failed": failed}


def case(kind: str, seed: int, number: int) -> np.random.Generator:
    """Return the generator of a case."""
    return np.random.default_rng([zlib.crc32(kind.encode()), seed, number])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--only", type=int)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.only is not None:
        importlib.import_module(given.kind).attack(
            case(given.kind, given.seed, given.only)
        )
        return
    print(json.dumps(attacked(given.kind, given.seed, range(given.count))))


if __name__ == "__main__":
    main()

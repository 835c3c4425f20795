"""What narrower vectors cost: training with this processor masked to the instructions of older ones.

A mask is the settings of Numba, NumPy and OpenBLAS that keep each to some instructions.
Each workload runs in a process for each mask, in turns; scikit-learn runs beside it
with the same mask.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

from machine import described, machine
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

RESULTS = Path(__file__).parent / "results"

SSE2 = {
    "NUMBA_CPU_NAME": "x86-64",
    "NUMBA_CPU_FEATURES": "+sse,+sse2,+fxsr,+cx8",
    "OPENBLAS_CORETYPE": "Prescott",
}
AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": (
        "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt"
    ),
    "OPENBLAS_CORETYPE": "Haswell",
}
MASKS = {
    "AVX2": (AVX2, {"X86_V3", "AVX2", "FMA3"}),
    "SSE2": (SSE2, set()),
    "SSE2, blocks": (SSE2 | {"VECPROP_PRODUCTS": "blocks"}, set()),
    "all, BLAS": ({"VECPROP_PRODUCTS": "BLAS"}, set(__cpu_dispatch__)),
}
"""The settings of each mask, and the instructions beyond the least ones that NumPy
may use.
"""


def masked(mask: str) -> dict[str, str]:
    """Return the environment in which Numba, NumPy and BLAS use the instructions of a mask."""
    settings, used_by_numpy = MASKS[mask]
    disabled = [
        name
        for name in __cpu_dispatch__
        if __cpu_features__[name] and name not in used_by_numpy
    ]
    own = {
        name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"
    }
    return own | settings | {"NPY_DISABLE_CPU_FEATURES": " ".join(disabled)}


def one_process(number: int, dtype: str) -> None:
    """Print the median milliseconds of a workload, with vecprop and with scikit-learn."""
    from contenders import WORKLOADS, Workload, scikit_learn, vecprop
    from engine import timed

    work = Workload(**{**vars(WORKLOADS[number]), "dtype": dtype})
    for contender in (vecprop, scikit_learn):
        contest = contender(work, *work.data())
        assert contest is not None
        contest.train()
        print(1e3 * statistics.median(timed(contest.train)[0] for _ in range(5)))


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=3, help="the number of processes of each mask"
    )
    parser.add_argument(
        "--one", nargs=2, metavar=("NUMBER", "TYPE"), help="run one workload here"
    )
    options = parser.parse_args()
    if options.one:
        one_process(int(options.one[0]), options.one[1])
        return
    from contenders import WORKLOADS

    lines = [
        "# Processors with narrower vectors",
        "",
        "Made by `python benchmarks/processors.py`, which",
    ]
    lines += [
        "restricts this processor to the instructions of older ones. Fits use two"
        " threads and momentum. Milliseconds"
    ]
    lines += [
        f"are vecprop's times: medians of 5 fits in each of {options.rounds}"
        " process(es)."
    ]
    lines += [
        "Speed on ARM has not been measured.",
        "",
        *described(machine("numpy", "scipy", "numba", "scikit-learn")),
    ]
    lines += [
        "",
        (
            "| workload | type | instructions | ms | relative to all | scikit-learn,"
            " same instructions |"
        ),
        "|---|---|---|---|---|---|",
    ]
    for number, work in enumerate(WORKLOADS):
        for dtype in ("float32", "float64"):
            found: dict[str, list[list[float]]] = {mask: [] for mask in ("all", *MASKS)}
            for _ in range(options.rounds):
                for mask, times in found.items():
                    environment = dict(os.environ) if mask == "all" else masked(mask)
                    command = [sys.executable, __file__, "--one", str(number), dtype]
                    done = subprocess.run(
                        command,
                        env=environment,
                        capture_output=True,
                        text=True,
                        check=True,
                    )
                    times.append([float(line) for line in done.stdout.split()])
            medians = {
                mask: [statistics.median(of) for of in zip(*times, strict=True)]
                for mask, times in found.items()
            }
            for mask, (own, other) in medians.items():
                cost = own / medians["all"][0]
                lines.append(
                    f"| {work.name} | {dtype} | {mask} | {own:.2f} | {cost:.2f} |"
                    f" {other / own:.1f} times |"
                )
                print(lines[-1], flush=True)
    (RESULTS / "processors.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""Training and prediction against the tools that people use today, in one run: ``make bench``.

Every workload runs on vecprop and on each form of each peer that is installed: NumPy,
scikit-learn, PyTorch eager and compiled, and JAX as one program and as a compiled step.
They take turns in one process, warm, and the medians are compared; a large matrix
product takes turns too, since the processor's speed varies. All may use two threads
(BLAS, PyTorch's, XLA's own). The loss that each reaches on all rows is printed beside
its time, and shows who does less work.

The time of each first call is shown separately. No code is compiled before: vecprop and
PyTorch, which keep compiled code on disk, start with empty folders.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

# Before NumPy, since it sets the number of threads.
from contenders import WORKLOADS, Contest, Workload, plain_numpy, scikit_learn, vecprop
from contenders_jax import jax_scan, jax_step, predictor_of_jax
from contenders_torch import (
    forget_compiled,
    predictors_of_pytorch,
    pytorch,
    pytorch_compiled,
    pytorch_compiled_steps,
)

# isort: split
import numpy as np
from machine import described, machine
from sklearn.neural_network import MLPClassifier

import vecprop as vp

CONTENDERS = {
    "vecprop": vecprop,
    "tutorial": plain_numpy,
    "scikit-learn": scikit_learn,
    "PyTorch, eager": pytorch,
    "PyTorch, compiled step": pytorch_compiled,
    "PyTorch, 10 compiled steps": pytorch_compiled_steps,
    "JAX, scan": jax_scan,
    "JAX, step": jax_step,
}

KINDS = (("float32", "momentum"), ("float32", "adam"), ("float64", "momentum"))
"""The types and optimizers of each workload."""

TURN, REST = 0.1, 0.2
"""The seconds that a turn lasts at least, and the pause in which the last one's
threads stop spinning.
"""

RESULTS = Path(__file__).parent / "results"

PRODUCT = 2048
"""The number of rows and columns of a large matrix."""


def large_product(dtype: str) -> Callable[[], object]:
    """Return a function that computes the product of large matrices."""
    A = np.random.default_rng(0).standard_normal((PRODUCT, PRODUCT)).astype(dtype)
    out = np.empty_like(A)
    return lambda: np.matmul(A, A, out=out)


def timed(run: Callable[[], object]) -> tuple[float, object]:
    """Return the seconds of a call, and its result."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def contests(work: Workload) -> dict[str, Contest]:
    """Return the contenders that are installed and that train this workload."""
    X, t = work.data()
    entered = {}
    for name, contender in CONTENDERS.items():
        try:
            contest = contender(work, X, t)
        except ImportError:
            continue
        if contest is not None:
            entered[name] = contest
    return entered


def turn(run: Callable[[], object], repeats: int) -> float:
    """Return the seconds of a run, as the mean of a turn."""
    time.sleep(REST)
    if repeats > 1:
        run()  # what other contenders left in the caches does not count
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def measure(work: Workload, rounds: int) -> dict:
    """Return each contender's median time, spread, first call and loss, all measured in turns."""
    forget_compiled()
    runs, first_calls, losses = {}, {}, {}
    for name, contest in contests(work).items():
        first_calls[name], trained = timed(contest.train)
        losses[name] = contest.loss(trained)
        runs[name] = contest.train
    runs["product"] = large_product(work.dtype)
    repeats = {}
    for name, run in runs.items():
        shortest = min(timed(run)[0] for _ in range(3))
        repeats[name] = 1 + int(TURN / shortest)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(turn(run, repeats[name]))
    medians = {name: statistics.median(values) for name, values in times.items()}
    peak = 2 * PRODUCT**3 / medians["product"]
    return {
        "workload": work.name,
        "optimizer": work.optimizer,
        "dtype": work.dtype,
        "floor_ms": 1e3 * work.operations / peak,
        "share_of_peak": work.operations / peak / medians["vecprop"],
        "contenders": {
            name: {
                "median_ms": 1e3 * medians[name],
                "min_ms": 1e3 * min(times[name]),
                "max_ms": 1e3 * max(times[name]),
                "first_ms": 1e3 * first_calls[name],
                "ratio": medians[name] / medians["vecprop"],
                "loss": losses[name],
            }
            for name in losses
        },
    }


def one_row() -> dict:
    """Return the median time of predicting a single row, in microseconds."""
    work = Workload("one row", (30, 64, 64, 2), 200, 200, 1)
    X, t = work.data()
    row = X[:1]
    predict = vp.compile(work.network()).predictor(work.theta())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPClassifier((64, 64), max_iter=1).fit(X, t)
    calls: dict[str, Callable[[], object]] = {
        "vecprop": lambda: predict(row),
        "scikit-learn": lambda: model.predict_proba(row),
    }
    if find_spec("torch"):
        calls |= predictors_of_pytorch(work, row)
    if find_spec("jax"):
        calls["JAX, compiled"] = predictor_of_jax(work, row)
    for call in calls.values():
        call()  # compiles
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(400):
        for name, call in calls.items():
            times[name].append(timed(call)[0])
    return {name: 1e6 * statistics.median(values) for name, values in times.items()}


def scaling(rounds: int) -> dict:
    """Return vecprop's microseconds a row and epoch as rows, widths and depths grow."""
    base = {"batch": 256, "epochs": 1}
    series = {
        "rows": [
            Workload(str(n), (30, 64, 2), n, **base)
            for n in (1_000, 10_000, 100_000, 1_000_000)
        ],
        "width": [
            Workload(str(n), (30, n, n, 2), 4_096, **base)
            for n in (2, 8, 32, 128, 512, 2048)
        ],
        "depth": [
            Workload(str(n), (30, *(64,) * n, 2), 8_192, **base)
            for n in (1, 2, 4, 8, 16)
        ],
    }
    result = {}
    for name, works in series.items():
        result[name] = {}
        for work in works:
            run = vecprop(work, *work.data()).train
            run()
            seconds = statistics.median(timed(run)[0] for _ in range(rounds))
            result[name][work.name] = 1e6 * seconds / work.rows
    return result


def table(results: dict) -> str:
    """Return the figures as a page of Markdown."""
    lines = [
        "# Training and prediction against peers",
        "",
        (
            "Made by `make bench`. Times are medians of alternating rounds, with two"
            " threads (PyTorch: one thread for the"
        ),
        (
            "smallest network, where two are slower). A ratio is the peer's time"
            " divided by vecprop's. 'First call' is the"
        ),
        (
            "time of the first training in a process without compiled code on disk; it"
            " contains the compilation. PyTorch"
        ),
        (
            "runs eagerly with a fused optimizer, with a step compiled by"
            " `torch.compile`, and with ten compiled steps a"
        ),
        (
            "call. JAX runs as one program that scans over the steps, and as a compiled"
            " step in a Python loop with donated"
        ),
        (
            "buffers. 'Matrix products' is the time of the matrix products at the rate"
            " of a large product."
        ),
        "",
    ]
    lines += described(results["machine"])
    lines += [
        "",
        (
            "| workload | optimizer | type | contender | median ms | min-max | ratio |"
            " loss | first call ms |"
        ),
    ]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for entry in results["training"]:
        for name, c in entry["contenders"].items():
            lines.append(
                f"| {entry['workload']} | {entry['optimizer']} | {entry['dtype']} |"
                f" {name} | {c['median_ms']:.2f} | {c['min_ms']:.2f}-{c['max_ms']:.2f}"
                f" | {c['ratio']:.2f} | {c['loss']:.4g} | {c['first_ms']:.0f} |"
            )
        lines.append(
            f"| {entry['workload']} | {entry['optimizer']} | {entry['dtype']} | *matrix"
            f" products* | {entry['floor_ms']:.2f} | | {entry['share_of_peak']:.0%} of"
            " the product's rate | | |"
        )
    lines += [
        "",
        "One row predicted, median: "
        + ", ".join(f"{n} {us:.1f} µs" for n, us in results["one_row"].items())
        + ".",
    ]
    lines += [
        "",
        "Microseconds a row and epoch (batches of 256, float32, momentum):",
        "",
    ]
    for name, values in results["scaling"].items():
        lines.append(
            f"- by {name}: "
            + ", ".join(f"{size}: {us:.2f}" for size, us in values.items())
        )
    return "\n".join([*lines, ""])


def picture(results: dict, path: Path) -> None:
    """Draw each peer's ratio for the float32 workloads."""
    from matplotlib.figure import Figure

    from vecprop.pictures.style import colour, marker

    entries = [e for e in results["training"] if e["dtype"] == "float32"]
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    ax = figure.add_subplot()
    names = [name for name in CONTENDERS if name != "vecprop"]
    for number, name in enumerate(names):
        points = [
            (e["contenders"][name]["ratio"], k)
            for k, e in enumerate(entries)
            if name in e["contenders"]
        ]
        if points:
            ax.plot(
                *zip(*points, strict=True),
                marker(number),
                color=colour(number),
                markersize=9,
                label=name,
            )
    ax.axvline(1, color="0.4", linestyle="--", label="vecprop")
    ax.set(
        xscale="log",
        xlabel="time, as a multiple of vecprop's",
        yticks=range(len(entries)),
    )
    ax.set_yticklabels([f"{e['workload']}, {e['optimizer']}" for e in entries])
    ax.invert_yaxis()
    figure.legend(loc="outside right")
    figure.savefig(path, dpi=150)


def training(kinds: list[tuple[str, str]], rounds: int) -> list[dict]:
    """Return the results of all workloads with these types and optimizers."""
    entries = []
    for workload in WORKLOADS:
        for dtype, optimizer in kinds:
            work = replace(workload, dtype=dtype, optimizer=optimizer)
            entry = measure(work, rounds)
            entries.append(entry)
            ratios = {
                name: round(c["ratio"], 2) for name, c in entry["contenders"].items()
            }
            ms = entry["contenders"]["vecprop"]["median_ms"]
            print(
                f"{work.name} {optimizer} {dtype}: {ms:.2f} ms,"
                f" {entry['share_of_peak']:.0%}, {ratios}",
                flush=True,
            )
    return entries


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=5, help="the number of turns of each contender"
    )
    parser.add_argument("--quick", action="store_true", help="float32 and no scaling")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="the folder of the results"
    )
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if kind[0] == "float32" or not options.quick]
    results: dict = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VECPROP_CACHE_DIR"] = f"{folder}/vecprop"
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}/torch"
        results["training"] = training(kinds, options.rounds)
        results["one_row"] = one_row()
        results["scaling"] = {} if options.quick else scaling(15)
    results["machine"] = machine(
        "numpy", "scipy", "numba", "scikit-learn", "torch", "jax", "optax"
    )
    options.results.mkdir(exist_ok=True)
    (options.results / "engine.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.results / "engine.md").write_text(table(results))
    picture(results, options.results / "engine.png")
    print(table(results))


if __name__ == "__main__":
    main()

"""Rows that are larger than memory, from Parquet and from a memory map: ``python benchmarks/blocks.py``.

Rows of 30 normal numbers and one of two classes, whose logit is nonlinear in eight of
them, are generated into a folder and removed at the end. A network 30-64-64-2 is
trained on them for an epoch, in batches of 256, in float32:

- streamed, all rows: the peak of anonymous memory (``RssAnon``) beyond an interpreter
  that has imported vecprop;
- streamed and in memory, as many rows as fit: the rate a core, which is rows by seconds
  of CPU time, in runs that take turns, of which the fastest counts;
- other libraries that train on rows larger than memory, on fewer rows. Log loss is
  measured on 200,000 other rows.

Each measurement has a process of its own. With ``--folder``, rows and measurements stay
there until all is measured: the same command goes on where it was ended, with the file
of rows or the measurement that was under way.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from machine import described, machine
from sklearn.metrics import log_loss

import vecprop as vp

PAGE = Path(__file__).parent / "results" / "blocks.md"
INPUTS, FILE, GROUP, BATCH, TESTED = 30, 2**20, 2**16, 256, 200_000
WINDOW, REPEATS = 2**20, 3
MEGABYTE = 2**20


def rows_of(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and classes."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, INPUTS), np.float32)
    logits = (
        2 * X[:, 0] * X[:, 1]
        + 2 * np.sin(3 * X[:, 2])
        + X[:, 3]
        + X[:, 4] ** 2
        - 1
        + X[:, 5] * np.abs(X[:, 6])
    )
    return X, (rng.random(rows) < 1 / (1 + np.exp(-logits - X[:, 7]))).astype(np.int32)


def generate(folder: Path, rows: int) -> None:
    """Write rows as arrays, and as Parquet files without dictionaries, which numbers like these have no use for.

    Files that an earlier run has written stay as they are.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "parquet").mkdir(exist_ok=True)
    X = opened(folder / "X.npy", np.float32, (rows, INPUTS))
    T = opened(folder / "T.npy", np.int32, (rows,))
    for number, first in enumerate(range(0, rows, FILE)):
        path = folder / "parquet" / f"{number:05}.parquet"
        if path.exists():
            continue
        own, t = rows_of(number, min(FILE, rows - first))
        X[first : first + len(t)], T[first : first + len(t)] = own, t
        table = pa.table({f"x{k}": own[:, k] for k in range(INPUTS)} | {"t": t})
        pq.write_table(
            table, folder / "unfinished", row_group_size=GROUP, use_dictionary=False
        )
        X.flush(), T.flush()
        os.replace(folder / "unfinished", path)


def opened(path: Path, F: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of a file, which is made if it is not there."""
    return (
        np.lib.format.open_memmap(path, "r+")
        if path.exists()
        else np.lib.format.open_memmap(path, "w+", F, shape)
    )


def anonymous() -> int:
    """Return the anonymous memory of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return (
        next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
        * 1024
    )


class Peak:
    """The largest anonymous memory while a block runs, looked at a hundred times a second."""

    def __enter__(self) -> "Peak":
        self.bytes, self._ended = anonymous(), threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._ended.wait(0.01):
            self.bytes = max(self.bytes, anonymous())

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self.bytes = max(self.bytes, anonymous())


def network() -> vp.Network:
    """Return the network."""
    return vp.Network(
        INPUTS,
        [vp.Dense(64), vp.ReLU(), vp.Dense(64), vp.ReLU(), vp.Dense(2)],
        vp.SoftmaxCrossEntropy(),
    )


def mapped(folder: Path, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first rows as memory maps."""
    return tuple(np.load(folder / f"{name}.npy", mmap_mode="r")[:rows] for name in "XT")  # type: ignore[return-value]


def parquet(folder: Path, rows: int) -> vp.blocks.ParquetBlocks:
    """Return the first files of Parquet, of this number of rows or a few more."""
    files = sorted((folder / "parquet").iterdir())[: -(-rows // FILE)]
    return vp.blocks.ParquetBlocks(files, "t")


def vecprop(how: str, folder: Path, rows: int) -> Any:
    """Train the network; return a function that predicts."""
    net = network()
    theta, settings = (
        net.init(0, dtype=np.float32),
        {"optimizer": vp.Adam(1e-3), "epochs": 1, "batch_size": BATCH},
    )
    vp.blocks.train_blocks(
        net,
        theta,
        vp.blocks.ArrayBlocks(np.zeros((BATCH, INPUTS)), np.zeros(BATCH, int)),
        **settings,
    )  # loads
    if how == "in memory":
        X, T = (np.array(array) for array in mapped(folder, rows))
        return (
            timed(
                lambda: vp.train(net, theta, X, T, training_loss="running", **settings)
            ),
            net,
        )
    blocks = (
        vp.blocks.ArrayBlocks(*mapped(folder, rows))
        if how == "memory map"
        else parquet(folder, rows)
    )
    return (
        timed(
            lambda: vp.blocks.train_blocks(
                net, theta, blocks, window=WINDOW, **settings
            )
        ),
        net,
    )


def timed(work: Any) -> dict[str, Any]:
    """Return the result of a work, its seconds, those of all processors, and its peak of memory."""
    with Peak() as peak:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        found = {
            "seconds": time.perf_counter() - wall,
            "CPU seconds": time.process_time() - cpu,
        }
    return {**found, "peak": peak.bytes, "result": result}


def scikit_learn(folder: Path, rows: int) -> Any:
    """Train scikit-learn's network block by block."""
    from sklearn.neural_network import MLPClassifier

    model, blocks = (
        MLPClassifier((64, 64), batch_size=BATCH, alpha=0),
        parquet(folder, rows),
    )

    def work() -> Any:
        for number in range(len(blocks.sizes)):
            model.partial_fit(*blocks.read(number), classes=[0, 1])
        return model.predict_proba

    return timed(work)


def xgboost(folder: Path, rows: int) -> Any:
    """Train XGBoost on its external memory."""
    import xgboost

    blocks = parquet(folder, rows)

    class Parts(xgboost.DataIter):
        def __init__(self) -> None:
            self.number = 0
            super().__init__(cache_prefix=str(folder / "cache"))

        def next(self, input_data: Any) -> bool:
            if self.number == len(blocks.sizes):
                return False
            X, t = blocks.read(self.number)
            input_data(data=X, label=t)
            self.number += 1
            return True

        def reset(self) -> None:
            self.number = 0

    def work() -> Any:
        data = xgboost.ExtMemQuantileDMatrix(Parts())
        booster = xgboost.train(
            {"objective": "binary:logistic", "tree_method": "hist"}, data, 100
        )
        return lambda X: booster.predict(xgboost.DMatrix(X))

    return timed(work)


def lightgbm(folder: Path, rows: int) -> Any:
    """Train LightGBM on a sequence, which it reads by parts and keeps in memory as bins."""
    import lightgbm

    X, T = mapped(folder, rows)

    class Rows(lightgbm.Sequence):
        batch_size = GROUP

        def __getitem__(self, index: Any) -> np.ndarray:
            return X[index].astype(np.float64)

        def __len__(self) -> int:
            return len(X)

    def work() -> Any:
        booster = lightgbm.train(
            {"objective": "binary", "verbose": -1},
            lightgbm.Dataset(Rows(), np.array(T)),
            100,
        )
        return booster.predict

    return timed(work)


PEERS = {
    "scikit-learn, partial_fit": scikit_learn,
    "XGBoost, external memory": xgboost,
    "LightGBM, Sequence": lightgbm,
}


def measure(how: str, folder: Path, rows: int) -> dict[str, float]:
    """Return what one way takes, how much memory beyond the interpreter's, and its log loss."""
    X, t = rows_of(10**6, TESTED)
    before = int(json.loads(run("--base")))
    if how in PEERS:
        found = PEERS[how](folder, rows)
        predict = found.pop("result")
    else:
        found, net = vecprop(how, folder, rows)
        theta = found.pop("result").theta
        predict = lambda X: net.predict(theta, X)  # noqa: E731
    peak = (found.pop("peak") - before) / MEGABYTE
    return found | {"rows": rows, "peak": peak, "log loss": log_loss(t, predict(X))}


def run(*arguments: str) -> str:
    """Return what this program prints with other arguments."""
    return subprocess.run(
        [sys.executable, __file__, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


def main() -> None:
    """Generate the rows, measure each way, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", type=int, default=100_000_000, help="that are streamed"
    )
    parser.add_argument(
        "--in-memory",
        type=int,
        default=8 * FILE,
        help="rows of the comparison with memory",
    )
    parser.add_argument(
        "--peers",
        type=int,
        default=2 * FILE,
        help="rows of the comparison with other libraries",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=None,
        help="there, with room for 250 bytes a row; a temporary one by default",
    )
    parser.add_argument(
        "--note", default="", help="a sentence on the machine for the page"
    )
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument(
        "--base",
        action="store_true",
        help="print the memory of an interpreter with vecprop imported",
    )
    parser.add_argument(
        "--one",
        nargs=3,
        metavar=("WAY", "FOLDER", "ROWS"),
        help="measure this and print it as JSON",
    )
    asked = parser.parse_args()
    if asked.base:
        print(anonymous())
        return
    if asked.one:
        print(json.dumps(measure(asked.one[0], Path(asked.one[1]), int(asked.one[2]))))
        return
    with folder_of(asked) as folder:
        generate(folder, asked.rows)
        lines = report(folder, asked)
    head = [
        "# Rows larger than memory",
        "",
        (
            f"Made by `python benchmarks/blocks.py --rows {asked.rows}`. A network"
            " 30-64-64-2 trains for one"
        ),
        (
            "epoch in batches of 256 rows in float32. Memory is the peak of anonymous"
            " memory beyond an"
        ),
        (
            "interpreter that has imported vecprop. Log loss is measured on 200,000"
            " other rows."
        ),
        "",
        *described(
            machine("numpy", "pyarrow", "numba", "scikit-learn", "xgboost", "lightgbm")
        ),
        *([f"- {asked.note}"] if asked.note else []),
        "",
    ]
    asked.page.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


@contextmanager
def folder_of(asked: Any) -> Iterator[Path]:
    """Give the folder for the rows, which is removed once all is measured; a temporary one in any case."""
    if asked.folder is None:
        with tempfile.TemporaryDirectory(prefix="blocks-") as folder:
            yield Path(folder)
        return
    folder = asked.folder / f"blocks-{asked.rows}"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    shutil.rmtree(folder)


def report(folder: Path, asked: Any) -> list[str]:
    """Measure each way, unless an earlier run has; return the page's tables."""
    kept = folder / "measured.json"
    known: dict[str, dict[str, float]] = (
        json.loads(kept.read_text()) if kept.exists() else {}
    )

    def one(how: str, rows: int, turn: int = 0) -> dict[str, float]:
        rows = min(rows, asked.rows)
        key = f"{how}, {rows} rows, turn {turn}"
        if key not in known:
            known[key] = json.loads(run("--one", how, str(folder), str(rows)))
            kept.write_text(json.dumps(known))
            print(key, known[key], flush=True)
        return known[key]

    lines = [
        "| streamed | rows | s | CPU s | million rows/s | peak, MB | log loss |",
        "|---|" + "---:|" * 6,
    ]
    for how in ("memory map", "Parquet"):
        found = one(how, asked.rows)
        times = (
            f"{found['seconds']:.1f} | {found['CPU seconds']:.1f} |"
            f" {found['rows'] / found['seconds'] / 1e6:.2f}"
        )
        lines.append(
            f"| {how} | {found['rows']:,} | {times} | {found['peak']:.0f} |"
            f" {found['log loss']:.4f} |"
        )
    lines += [
        "",
        (
            "| rows in | rows | million rows per CPU second | relative to in memory |"
            " peak, MB |"
        ),
        "|---|" + "---:|" * 4,
    ]
    ways = ("in memory", "memory map", "Parquet")
    turns = [
        {how: one(how, asked.in_memory, turn) for how in ways}
        for turn in range(1, REPEATS + 1)
    ]
    best = {
        how: min((turn[how] for turn in turns), key=lambda found: found["CPU seconds"])
        for how in ways
    }
    rates = {
        how: found["rows"] / found["CPU seconds"] / 1e6 for how, found in best.items()
    }
    for how, found in best.items():
        share = f"{rates[how]:.2f} | {rates[how] / rates['in memory']:.2f}"
        lines.append(f"| {how} | {found['rows']:,} | {share} | {found['peak']:.0f} |")
    lines += [
        "",
        "| library | rows | s | CPU s | peak, MB | log loss |",
        "|---|" + "---:|" * 5,
    ]
    for how in ("Parquet", *PEERS):
        found = one(how, asked.peers)
        name, times = (
            f"vecprop, {how}" if how in ways else how,
            f"{found['seconds']:.1f} | {found['CPU seconds']:.1f}",
        )
        lines.append(
            f"| {name} | {found['rows']:,} | {times} | {found['peak']:.0f} |"
            f" {found['log loss']:.4f} |"
        )
    return lines


if __name__ == "__main__":
    main()

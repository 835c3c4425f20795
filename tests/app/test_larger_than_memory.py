"""Test training on a table larger than a memory limit, by one command in a separate process."""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from anonymous_memory import peak_of, reads_proc
from vecprop import load

LIMIT = 1_200_000_000
"""The limit for ``ulimit -d``, including memory that Python and libraries reserve
but never use.
"""
MEMORY = 600_000_000
OFTEN = (
    "import numpy, sys; from vecprop.files.checkpoint import Checkpoint, store;"
    " store.SHARE = numpy.inf; Checkpoint.__init__.__defaults__ = (0.0,); from"
    " vecprop.app.command_line import app; app(sys.argv[1:])"
)
"""The program, which saves its state after each window instead of once a minute."""


def started(folder, *arguments):
    def limited():
        resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))

    command = [sys.executable, "-c", OFTEN, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, preexec_fn=limited, stdout=pipe, stderr=pipe, text=True
    )


def run(folder, *arguments):
    """Run a command under the limit; return its output and its peak private memory."""
    process, most = started(folder, *arguments), 0
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        lines = status.read_text().splitlines() if status.exists() else []
        most = max(
            [
                most,
                *(
                    1024 * int(line.split()[1])
                    for line in lines
                    if line.startswith("RssAnon")
                ),
            ]
        )
        time.sleep(0.02)
    out, said = process.communicate()
    assert process.returncode == 0, said
    return out, said, most


def kill_when_kept(folder, kept, *arguments):
    """Kill a command after it has saved its state again."""
    before = kept.stat().st_mtime_ns if kept.exists() else 0
    process = started(folder, *arguments)
    while process.poll() is None and not (
        kept.exists() and kept.stat().st_mtime_ns > before
    ):
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate()


@pytest.mark.long
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(),
    reason="memory is counted as Linux counts it",
)
def test_killed_training_on_a_folder_stays_within_memory(tmp_path):
    rng = np.random.default_rng(0)
    table = load_breast_cancer(as_frame=True).frame  # pyright: ignore[reportAttributeAccessIssue]
    (tmp_path / "cancer").mkdir()
    for part in range(5):
        rows = table.iloc[rng.integers(0, len(table), 20_000)].reset_index(drop=True)
        columns = rows.drop(columns="target") * rng.normal(1, 0.15, (len(rows), 30))
        columns["diagnosis"] = np.where(rows["target"] > 0, "benign", "malignant")
        columns.to_parquet(tmp_path / "cancer" / f"{part}.parquet")
    few = ("--max-iter", 2, "--n-estimators", 2, "--hidden-layer-sizes", 16)
    train = (
        "train",
        "cancer",
        "--target",
        "diagnosis",
        "--memory",
        MEMORY,
        *few,
        "--json",
    )
    out, said, most = run(tmp_path, *train, "-o", "whole.npz")
    result = json.loads(out)
    assert "does not fit into memory" in said
    assert result["rows"]["train"] + result["rows"]["test"] == 100_000
    assert result["scores"]["vecprop"]["accuracy"]["value"] > 0.95
    assert most < MEMORY
    kept = tmp_path / "keep" / "networks" / "stage-1" / "network-3.npz"
    for _ in range(2):
        kill_when_kept(
            tmp_path, kept, *train, "-o", "killed.npz", "--checkpoint", "keep"
        )
    _, _, most = run(tmp_path, *train, "-o", "killed.npz", "--checkpoint", "keep")
    assert most < MEMORY
    assert not (tmp_path / "keep").exists()
    one, other = (load(tmp_path / f"{name}.npz") for name in ("whole", "killed"))
    assert np.array_equal(one.ensemble_.theta, other.ensemble_.theta)
    _, _, most = run(
        tmp_path,
        "predict",
        "killed.npz",
        "cancer",
        "-o",
        "p.parquet",
        "--keep",
        "diagnosis",
    )
    predicted = pd.read_parquet(tmp_path / "p.parquet")
    accuracy = np.mean(predicted["prediction"] == predicted["diagnosis"])
    assert accuracy > 0.95
    assert most < MEMORY
    out, _, most = run(tmp_path, "evaluate", "killed.npz", "cancer", "--json")
    assert json.loads(out)["scores"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert most < MEMORY


@pytest.mark.long
@reads_proc
def test_evaluation_holds_only_targets_and_predictions(tmp_path):
    rng = np.random.default_rng(0)
    rows, columns = 5_000, [f"x{number}" for number in range(250)]
    (tmp_path / "table").mkdir()
    for part in range(20):
        frame = pd.DataFrame(
            rng.normal(size=(rows, len(columns))), columns=columns
        ).assign(y=rng.integers(0, 2, rows))
        frame.to_parquet(tmp_path / "table" / f"{part}.parquet", row_group_size=2_500)
    before = f"""
        from vecprop import TabularClassifier, read_table
        from vecprop.tables import evaluate
        table = read_table({str(tmp_path / "table" / "0.parquet")!r})[:2000]
        model = TabularClassifier("y", n_estimators=2, max_iter=1, hidden_layer_sizes=(4,), random_state=0).fit(table)
        evaluate(model, {str(tmp_path / "table" / "0.parquet")!r}, baselines=False)
    """
    peak = peak_of(
        f"evaluate(model, {str(tmp_path / 'table')!r}, baselines=False)", before
    )
    assert peak < 0.4 * 20 * rows * len(columns) * 8

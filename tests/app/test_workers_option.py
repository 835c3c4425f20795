"""Test that ``vecprop train --workers`` trains bit-identical networks in other processes."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import vecprop as vp
from shared_commands import FAST
from vecprop.app.training.cluster import local_cluster


def test_invalid_workers_and_missing_dask_raise_an_error(
    vecprop, table, without_package
):
    for where in ("four", "local:", "local:0", "local:x", "local:-1", "127.0.0.1:8786"):
        done = vecprop("train", table, "--target", "buys", "--workers", where, code=2)
        assert (
            done.stderr
            == f"--workers {where}: give the address of a scheduler (tcp://HOST:8786)"
            " or local:4.\n"
        )
    without_package("distributed")
    done = vecprop("train", table, "--target", "buys", "--workers", "local:2", code=2)
    assert done.stderr == '--workers needs Dask: pip install "vecprop[dask]".\n'


@pytest.mark.long
def test_local_processes_accept_only_each_other():
    distributed = pytest.importorskip("distributed")
    with local_cluster(1, 1) as cluster:
        assert cluster.scheduler_address.startswith("tls://")
        with pytest.raises(Exception, match=r"(?i)tls|ssl|security"):
            distributed.Client(cluster.scheduler_address, timeout=5)
        with distributed.Client(cluster) as client:
            assert client.submit(pow, 2, 3).result() == 8


@pytest.mark.long
def test_models_are_bit_identical(vecprop, table):
    pytest.importorskip("distributed")
    options = ["--target", "buys", *FAST, "--refit", "--quiet"]
    vecprop("train", table, *options, "-o", "here.npz")
    command = [
        sys.executable,
        "-m",
        "vecprop",
        "train",
        table,
        *options,
        "-o",
        "there.npz",
        "--workers",
        "local:2",
    ]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    here, there = vp.load("here.npz"), vp.load("there.npz")
    for own, other in zip(here.ensemble_.views, there.ensemble_.views, strict=True):
        np.testing.assert_array_equal(own.thetas, other.thetas)
        assert own.share == other.share
    with open("there.toml", encoding="utf-8") as file:
        # workers do not change the bits of networks
        assert "workers" not in file.read()


LITTLE = (
    "import sys; from vecprop.tables.streaming import memory_plan as plan; "
    "plan.memory_of = lambda memory: plan.PROGRAM + 8_000_000; "
    "from vecprop.app.command_line import app; app(sys.argv[1:])"
)
"""The program, with little memory."""


@pytest.mark.long
def test_workers_train_on_folders_larger_than_memory(tmp_path):
    pytest.importorskip("distributed")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(12_000, 2)), columns=["x", "z"])
    frame["y"] = frame["x"] * frame["z"]
    (tmp_path / "large").mkdir()
    frame.to_parquet(tmp_path / "large" / "a.parquet", row_group_size=1000)
    for model, workers in (("here.npz", ()), ("there.npz", ("--workers", "local:2"))):
        options = ["large", "--target", "y", *FAST, "--quiet", "-o", model, *workers]
        command = [sys.executable, "-c", LITTLE, "train", *map(str, options)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert (done.returncode, done.stderr) == (0, "")
    here, there = vp.load(tmp_path / "here.npz"), vp.load(tmp_path / "there.npz")
    np.testing.assert_array_equal(here.ensemble_.theta, there.ensemble_.theta)
    assert here.notes_ == there.notes_
    assert any("block by block" in note for note in here.notes_)


@pytest.mark.long
def test_an_unreachable_scheduler_raises_an_error(vecprop, table, limit):
    pytest.importorskip("distributed")
    limit("cluster: seconds to connect", 1)
    done = vecprop(
        "train", table, "--target", "buys", "--workers", "tcp://127.0.0.1:9", code=2
    )
    assert (
        done.stderr
        == "--workers tcp://127.0.0.1:9: no Dask scheduler responds there.\n"
    )

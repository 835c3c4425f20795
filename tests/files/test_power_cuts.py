"""Test that power cuts leave complete files, from which training resumes bit-identically."""

import os
from functools import partial
from typing import Any

import numpy as np
import pytest

import vecprop as vp
from power_cuts import Disk, lay_out
from vecprop.files import atomic
from vecprop.files.model_file import container

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
T = X.sum(axis=1, keepdims=True)
NETWORK = vp.Network(3, [vp.Dense(4), vp.Tanh(), vp.Dense(1)], vp.SquaredError())


def single(path, epochs=4):
    kept = None if path is None else vp.Checkpoint(path / "run.npz", every=0)
    settings: dict[str, Any] = {
        "optimizer": vp.Adam(0.01),
        "epochs": epochs,
        "batch_size": 10,
    }
    result = vp.train(
        NETWORK,
        NETWORK.init(0),
        X,
        T,
        **settings,
        callbacks=[lambda state: None],
        checkpoint=kept,
    )
    return [result.theta, result.history.loss, result.state.epoch]


def population(path, epochs=4):
    kept = None if path is None else vp.Checkpoint(path / "folder", every=0)
    members = [
        vp.Member(NETWORK, NETWORK.init(seed), vp.LBFGS(), epochs=epochs)
        for seed in range(3)
    ]
    results = vp.train_population(members, X, T, checkpoint=kept)
    return [result.theta for result in results] + [
        result.history.loss for result in results
    ]


@pytest.fixture(autouse=True)
def written_after_each_epoch(limit):
    limit("checkpoint: share of the time", np.inf)


def cut(train, root, monkeypatch):
    """Train, and yield each state after a possible power cut, with the number of guaranteed writes."""
    disk = Disk(root)
    with monkeypatch.context() as patch:
        disk.record(patch)
        writes, write = [], container.write

        def marked(path, *rest):
            write(path, *rest)
            writes.append(path)
            disk.mark(path)

        patch.setattr(container, "write", marked)
        train(root)
    yield from disk.cuts()


@pytest.mark.parametrize(
    "train",
    [
        partial(single, epochs=2),
        pytest.param(single, marks=pytest.mark.long),
        pytest.param(population, marks=pytest.mark.long),
    ],
    ids=["two epochs", "four epochs", "population"],
)
def test_after_a_power_cut_files_are_complete_and_training_resumes(
    train, tmp_path, monkeypatch
):
    whole, ended, count = train(None), {}, 0
    for files, promised in cut(train, tmp_path, monkeypatch):
        count += 1
        lay_out(files, tmp_path)
        kept = {path: files[path] for path in sorted(files) if path.suffix == ".npz"}
        for path in kept:
            container.read(path)
        assert set(promised) <= kept.keys()
        if (
            promised
            and promised[-1].name == "run.npz"
            and promised[-1].parent == tmp_path
        ):
            (_, _, epochs), own = whole, vp.load(promised[-1])
            # the number of guaranteed epochs
            assert own.state.epoch >= min(len(promised), epochs)
        if (key := tuple(kept.items())) not in ended:
            ended[key] = train(tmp_path)
            for one, other in zip(ended[key], whole, strict=True):
                np.testing.assert_array_equal(one, other)
            assert not [
                path for path in tmp_path.rglob("*") if path.suffix == ".unfinished"
            ]
    assert len(ended) > 2
    assert count > 50


def without_sync(path, document, arrays):
    """Write a file without flushing its data or its name to disk."""
    with atomic.open(path.with_suffix(".unfinished"), "xb") as file:  # pyright: ignore[reportAttributeAccessIssue]
        file.write(b"PK" + bytes(3000))
    os.replace(path.with_suffix(".unfinished"), path)


def without_folder(path, document, arrays):
    """Write a file and flush its data, but not its name, to disk."""
    with atomic.open(path.with_suffix(".unfinished"), "xb") as file:  # pyright: ignore[reportAttributeAccessIssue]
        file.write(b"PK" + bytes(3000))
        file.flush()
        os.fsync(file.fileno())
    os.replace(path.with_suffix(".unfinished"), path)


@pytest.mark.parametrize(
    ("write", "is_lost"),
    [
        (without_sync, lambda left: len(left[0]) < 3002),
        (without_folder, lambda left: not left),
    ],
)
def test_the_simulated_disk_loses_unsynced_data(write, is_lost, tmp_path, monkeypatch):
    def train(root):
        container.write(root / "run.npz", {}, {})

    monkeypatch.setattr(container, "write", write)
    left = [
        [content for path, content in files.items() if path.suffix == ".npz"]
        for files, promised in cut(train, tmp_path, monkeypatch)
        if promised
    ]
    assert any(map(is_lost, left))
    assert [b"PK" + bytes(3000)] in left

"""An interrupted write or a power cut leaves either the old or the new file."""

import os
import signal
import stat
import subprocess
import sys
import time
from functools import partial
from typing import Any

import numpy as np
import pytest

import vecprop as vp
from power_cuts import Disk, lay_out
from vecprop import load
from vecprop.files import atomic
from vecprop.files.atomic import written_at_once
from vecprop.files.model_file import container

SAVE = """
import sys
import numpy as np
from vecprop import Dense, Network, SquaredError, save
from vecprop.export import TrainedNetwork
network = Network(200, [Dense(500), Dense(1)], SquaredError())
models = [TrainedNetwork(network, np.full(network.layout.size, value)) for value in (1.0, 2.0)]
print("ready", flush=True)
while True:
    for model in models:
        save(model, sys.argv[1])
"""


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_files_stay_complete_when_writers_are_killed(tmp_path):
    path, rng = tmp_path / "model", np.random.default_rng(1)
    found, was_within = set(), False
    for _ in range(60):
        program = subprocess.Popen(
            [sys.executable, "-c", SAVE, path], stdout=subprocess.PIPE
        )
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        while not path.exists():
            assert program.poll() is None
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.05))
        program.send_signal(signal.SIGKILL)
        program.communicate()
        theta = load(path).theta
        assert (theta == theta.flat[0]).all()
        found.add(float(theta.flat[0]))
        was_within |= any("unfinished" in file.name for file in tmp_path.iterdir())
    assert (found, was_within) == ({1.0, 2.0}, True)


def test_an_error_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), written_at_once(path) as file:
        file.writelines([b"new", "text"])  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk to write to")
def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(
        "builtins.open", lambda name, mode, real=open, **more: real("/dev/full", "wb")
    )
    with pytest.raises(OSError, match="No space left"), written_at_once(path) as file:
        file.write(bytes(2**20))
    monkeypatch.undo()
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(os.name == "nt", reason="permissions")
def test_permissions_and_links_are_preserved(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    with written_at_once(path) as file:
        file.write(b"1")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    path.chmod(0o600)
    link.symlink_to(path)
    with written_at_once(link) as file:
        file.write(b"2")
    assert link.is_symlink()
    assert path.read_bytes() == b"2"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_missing_folder_raises_oserror(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="no does not exist: create"),
        written_at_once(tmp_path / "no" / "file"),
    ):
        pass


WRITES = """
import sys, time
from vecprop.files.atomic import written_at_once
with written_at_once(sys.argv[1]) as file:
    print("begun", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no open file by itself")
def test_abandoned_files_are_removed_and_open_files_are_not(tmp_path):
    """The modification time does not matter, since clocks differ."""
    path, hour = tmp_path / "model[1].npz", 3600
    left = [
        tmp_path / f".{path.name}.{age}.unfinished"
        for age in (-48 * hour, 0, 48 * hour)
    ]
    others = [
        tmp_path / ".model[1].npz.4.0123.unfinished",
        tmp_path / ".other.0123.unfinished",
    ]
    for file in (*left, *others):
        file.write_bytes(b"half")
        age = int(file.suffixes[-2][1:]) if file in left else 0
        changed = time.time() - age
        os.utime(file, (changed, changed))
    with subprocess.Popen(
        [sys.executable, "-c", WRITES, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "begun\n"
        with written_at_once(path) as file:
            file.write(b"mine")
        assert path.read_bytes() == b"mine"
        program.communicate("")
    assert program.returncode == 0
    assert path.read_bytes() == b""
    with written_at_once(path) as file:
        file.write(b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, others[1]])


@pytest.mark.skipif(os.name == "nt", reason="pipes and modes")
def test_pipes_are_not_replaced_and_private_files_stay_private(tmp_path):
    os.mkfifo(pipe := tmp_path / "pipe")
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    with written_at_once(pipe) as file:
        file.write(b"all")
    assert (reader.communicate()[0], stat.S_ISFIFO(pipe.stat().st_mode)) == (
        b"all",
        True,
    )
    (private := tmp_path / "file").touch(0o600)
    with written_at_once(private) as file:
        file.write(b"new")
        (unfinished,) = tmp_path.glob(".file.*")
        assert stat.S_IMODE(unfinished.stat().st_mode) == 0o600
    assert (stat.S_IMODE(private.stat().st_mode), private.read_bytes()) == (
        0o600,
        b"new",
    )
    if os.getuid() == 0:
        os.chown(private, 12345, 12345)
        with written_at_once(private) as file:
            file.write(b"newer")
        assert private.stat().st_uid == 12345


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

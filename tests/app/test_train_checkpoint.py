"""Test that ``vecprop train --checkpoint`` resumes after a kill, and removes its folder at the end."""

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

import vecprop as vp
from conditions import Killed, kill_at
from shared_commands import FAST
from vecprop.app.training.job import TrainingJob
from vecprop.tables.error import Note

COMMAND = ("train", "people.csv", "--target", "buys", *FAST, "--checkpoint", "run")


def require_same(one, whole):
    for own, of in zip(one.ensemble_.views, whole.ensemble_.views, strict=True):
        np.testing.assert_array_equal(own.thetas, of.thetas)
    assert one.validation_loss_ == whole.validation_loss_


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    "kills", [[5], pytest.param(range(6), marks=pytest.mark.long)], ids=str
)
def test_a_command_killed_anywhere_resumes(kills, vecprop, monkeypatch):
    vecprop(*COMMAND[:-2], "-o", "whole.npz")
    whole = vp.load("whole.npz")
    options = set(
        Path("whole.toml").read_text().replace("whole.npz", "people.npz").splitlines()
    )
    # files: run, stage, networks, list of output files, model, options
    for kill in kills:
        with monkeypatch.context() as patch:
            kill_at(patch, kill)
            with pytest.raises(Killed):
                vecprop(*COMMAND)
        assert Path("run").is_dir() == (kill > 0)  # it was empty before
        for kind in ("npz", "toml"):  # an unfinished file, as after a kill
            Path(left := f".people.{kind}.0123456789abcdef.unfinished").write_bytes(
                b"half"
            )
            os.utime(left, (2**32, 2**32))
        vecprop(*COMMAND)
        require_same(vp.load("people.npz"), whole)
        assert set(Path("people.toml").read_text().splitlines()) == options
        assert sorted(path.name for path in Path().iterdir()) == [
            *("people.csv", "people.npz", "people.toml", "whole.npz", "whole.toml")
        ]
        Path("people.npz").unlink()
        Path("people.toml").unlink()


@pytest.mark.usefixtures("table")
def test_ctrl_c_and_sigterm_allow_resuming(vecprop, monkeypatch):
    train, before = TrainingJob.train, signal.getsignal(signal.SIGTERM)

    def terminate(job):
        signal.raise_signal(signal.SIGTERM)

    def press(job):
        raise KeyboardInterrupt

    def train_in_part(job, workers):
        train(job, workers)
        job.model.notes_.append(Note("Training was interrupted.", "interrupted"))

    for name, value, code in (
        ("measure", press, 130),
        ("measure", terminate, 143),
        ("train", train_in_part, 130),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(TrainingJob, name, value)
            stopped = vecprop(*COMMAND, code=code)
        assert signal.getsignal(signal.SIGTERM) is before
        assert [path.name for path in Path("run", "networks").iterdir()] == ["stage-1"]
        assert not Path("people.npz").exists()
        assert (
            "progress is saved in run; run the same command again to resume"
            in stopped.stderr
        )
    vecprop(*COMMAND, "--threads", 1)
    assert not Path("run").exists()


@pytest.mark.usefixtures("table")
def test_a_second_command_names_the_first(vecprop):
    begun, end = threading.Event(), threading.Event()

    def hold():
        with vp.Checkpoint("run")._held():
            begun.set()
            end.wait(600)

    first = threading.Thread(target=hold)
    first.start()
    try:
        assert begun.wait(600)
        second = vecprop(*COMMAND, code=2)
    finally:
        end.set()
        first.join()
    assert f"run is in use by process {os.getpid()} on" in second.stderr
    assert not Path("run").exists()


@pytest.mark.usefixtures("table")
def test_the_folder_of_another_run_raises_an_error_and_is_unchanged(
    vecprop, people, monkeypatch
):
    kill_at(monkeypatch, 4)
    with pytest.raises(Killed):
        vecprop(*COMMAND)
    before = {path: path.read_bytes() for path in Path("run").rglob("*.npz")}
    for changed, named in (
        (("--seed", 1), "its --seed differs"),
        (("--dropout", 0.5), "its --dropout differs"),
        (("--test", "people.csv"), "its test differs"),
    ):
        said = vecprop(*COMMAND, *changed, code=2).stderr
        assert f"run is the checkpoint of another run: {named}" in said
    people[1:].to_csv("people.csv", index=False)
    assert "its table differs" in vecprop(*COMMAND, code=2).stderr
    Path("mine", "letters").mkdir(parents=True)
    assert (
        "mine holds other files, such as letters"
        in vecprop(*COMMAND[:-1], "mine", code=2).stderr
    )
    assert (
        "not a stream"
        in vecprop("train", "-", *COMMAND[2:], "-o", "a.npz", code=2).stderr
    )
    assert {path: path.read_bytes() for path in Path("run").rglob("*.npz")} == before


@pytest.mark.long
@pytest.mark.usefixtures("table")
def test_folds_and_a_refit_are_checkpointed_too(vecprop, monkeypatch):
    for options in (("--cv", 2), ("--refit",)):
        vecprop(*COMMAND[:-2], *options, "-o", "whole.npz", "--force")
        with monkeypatch.context() as patch:
            # while saving the networks of the folds, or those for all rows
            kill_at(patch, 4)
            with pytest.raises(Killed):
                vecprop(*COMMAND, *options, "--force")
        assert {path.name for path in Path("run", "networks").iterdir()} - {
            "stage-1"
        } in ({"cv"}, {"refit"})
        vecprop(*COMMAND, *options, "--force")
        require_same(vp.load("people.npz"), vp.load("whole.npz"))

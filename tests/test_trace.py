"""How much of the library a reader has to know to follow a call: the functions and files that it passes through."""

import sys
import threading
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import vecprop as vp
from shared_commands import call, small_baselines

__all__ = ["small_baselines"]

ROOT = str(Path(vp.__file__).parent)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 20))
y = (X[:, 0] + X[:, 1] > 0).astype(int)


def passed_by(call, warned: Literal["ignore", "always"] = "ignore"):
    """Return the functions and the files of the library that a call passes through when it is made again.

    Comprehensions, which are functions in some releases of Python, do not count.
    Warnings are ignored, or caught if `warned` is "always".
    """
    functions = set()

    def note(frame, event, argument):
        code = frame.f_code
        if (
            event == "call"
            and code.co_filename.startswith(ROOT)
            and not code.co_name.startswith("<")
        ):
            functions.add((code.co_filename, code.co_qualname))

    before = sys.getprofile()
    with warnings.catch_warnings(record=True):
        warnings.simplefilter(warned)
        call()
        threading.setprofile(note)
        sys.setprofile(note)
        try:
            call()
        finally:
            sys.setprofile(before)
            threading.setprofile(None)
    return sorted(functions), sorted(
        {Path(file).relative_to(ROOT).as_posix() for file, _ in functions}
    )


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Return the name of a file with a table, in the current folder."""
    import pandas as pd

    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(X[:, :4], columns=list("abcd"))
    frame["kind"], frame["y"] = (
        np.where(X[:, 4] > 0, "u", "v"),
        np.where(y > 0, "yes", "no"),
    )
    frame.to_csv("table.csv", index=False)
    return "table.csv"


def command(*arguments):
    return lambda: call(*arguments, "--force", "-q")


def assert_passes(
    call, files, functions, warned: Literal["ignore", "always"] = "ignore"
):
    """Assert that a call passes through no more files and functions than it did, give or take another machine's."""
    passed, places = passed_by(call, warned)
    assert len(places) <= files, places
    assert len(passed) <= functions + 3, passed


# Three epochs are too few, of which a warning tells; the diagnosis in it is worked out
# if somebody is to read it.
@pytest.mark.parametrize(
    ("warned", "files", "functions"), [("ignore", 23, 163), ("always", 25, 207)]
)
def test_a_fit(warned, files, functions):
    model = vp.MLPClassifier(max_iter=3, random_state=0)
    assert_passes(lambda: model.fit(X, y), files, functions, warned)


@pytest.mark.parametrize(
    ("engine", "files", "functions"), [("compiled", 15, 93), ("reference", 17, 116)]
)
def test_a_training(engine, files, functions):
    network = vp.Network(
        20, [vp.Dense(32), vp.ReLU(), vp.Dense(2)], vp.SoftmaxCrossEntropy()
    )
    theta, settings = (
        network.init(0),
        {"optimizer": vp.Adam(), "epochs": 3, "batch_size": 200, "engine": engine},
    )
    assert_passes(lambda: vp.train(network, theta, X, y, **settings), files, functions)


def test_a_prediction_on_the_command_line(table):
    vp.save(
        vp.TabularClassifier("y", n_estimators=3, max_iter=3, random_state=0).fit(
            table
        ),
        "model.npz",
    )
    assert_passes(
        command("predict", "model.npz", table, "-o", "predictions.csv"),
        files=46,
        functions=228,
    )


def test_a_model_of_a_table(table):
    model = vp.TabularClassifier("y", n_estimators=2, max_iter=5, random_state=0)
    assert_passes(lambda: model.fit(table), files=60, functions=484)


def test_a_gradient_check():
    network = vp.Network(
        2, [vp.Dense(3), vp.Logistic(), vp.Dense(2)], vp.SoftmaxCrossEntropy()
    )
    assert_passes(
        lambda: vp.check_gradients(network, network.init(1), X[:20, :2], y[:20]),
        files=30,
        functions=257,
    )


def test_a_training_on_the_command_line(table):
    few = ("--target", "y", "--max-iter", "5", "--n-estimators", "2")
    assert_passes(command("train", table, *few), files=80, functions=680)

"""Fixtures that run commands in this process, and tables for them."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from shared_commands import FAST, invoke, small_baselines

__all__ = ["small_baselines"]


@pytest.fixture
def vecprop(tmp_path, monkeypatch, limit):
    """Run a command in an empty folder, check its exit code, and return stdout and stderr.

    A failed command writes nothing to stdout and, for wrong options, one line to
    stderr. By default, small tables are cross-validated with two folds, not five.
    """
    monkeypatch.chdir(tmp_path)
    limit("command: folds", 2)

    def run(*arguments, code=0, text=None):
        done = invoke(*arguments, text=text)
        assert code in (None, done.exit_code), done.output
        if code in (2, 3, 4) and "--debug" not in arguments:
            assert done.stdout == ""
            assert code != 2 or done.stderr.count("\n") == 1
        return done

    return run


@pytest.fixture
def result_of(vecprop):
    """Run a command with --json and return its result."""
    return lambda *arguments: json.loads(vecprop(*arguments, "--json").stdout)


@pytest.fixture(scope="session")
def people():
    rng = np.random.default_rng(0)
    age = rng.integers(20, 80, 200)
    frame = pd.DataFrame(
        {
            "age": age,
            "town": rng.choice(["Rome", "Oslo", "Lima"], 200),
            "visits": rng.poisson(3, 200),
        }
    )
    frame["buys"] = np.where(age + rng.normal(0, 5, 200) > 50, "yes", "no")
    frame["spends"] = age * 2.0 + rng.normal(0, 5, 200)
    return frame


@pytest.fixture
def table(people, tmp_path):
    people.to_csv(tmp_path / "people.csv", index=False)
    return tmp_path / "people.csv"


@pytest.fixture(scope="session")
def models(people, tmp_path_factory):
    """Create a folder with people.csv and two models of it."""
    folder = tmp_path_factory.mktemp("trained")
    people.to_csv(folder / "people.csv", index=False)
    for target in ("buys", "spends"):
        arguments = [
            "train",
            folder / "people.csv",
            "--target",
            target,
            "-o",
            folder / f"{target}.npz",
            *FAST,
        ]
        done = invoke(*arguments)
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def trained(models, tmp_path):
    """Put people.csv and its models buys.npz and spends.npz into the test's folder."""
    for name in ("people.csv", "buys.npz", "spends.npz"):
        shutil.copyfile(models / name, tmp_path / name)
    return tmp_path

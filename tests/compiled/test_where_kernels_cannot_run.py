"""If a system function or the sources are missing, so that no kernel can run, the reference engine is used."""

import compileall
import inspect
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import vecprop as vp
from vecprop.compiled import program
from vecprop.compiled.jit import machine_code, threads, trial
from vecprop.train import compiled, trainer

NETWORK = vp.Network(3, [vp.Dense(2), vp.Tanh(), vp.Dense(1)], vp.SquaredError())
X = np.random.default_rng(0).normal(size=(20, 3))


def fit(engine):
    return vp.train(
        NETWORK,
        NETWORK.init(0),
        X,
        X[:, 0],
        optimizer=vp.Adam(),
        epochs=2,
        engine=engine,
    ).theta


def fit_many():
    member = vp.Member(NETWORK, NETWORK.init(0), vp.Adam(), epochs=2)
    return vp.train_population([member], X, X[:, 0])[0].theta.tolist()


def gone(*arguments):
    raise AttributeError("Numba has no such name\nin this release")


def without_sources(of):
    raise OSError


def forget():
    for known in (
        trial._reasons.clear,
        program._tried.clear,
        trainer._warned.clear,
        compiled.missing.cache_clear,
    ):
        known()


@pytest.fixture
def tried_again():
    """Check the requirements of kernels again, as in a new process, before and after a test."""
    yield forget()
    forget()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            (trial, "MISSING", "sched_yield"),
            "this system has no function sched_yield, which kernels call",
        ),
        (
            (inspect, "getsource", without_sources),
            (
                "the source files of vecprop are missing, which are needed to compile"
                " kernels"
            ),
        ),
        (
            (vars(numba)["config"], "DISABLE_JIT", 1),
            "Numba's compiler is disabled, unset NUMBA_DISABLE_JIT",
        ),
        (
            (machine_code, "loaded", gone),
            (
                r"Numba [\d.]+ does not work here \(AttributeError: Numba has no such"
                r" name\), install another release"
            ),
        ),
    ],
)
def test_the_reference_engine_is_used_with_one_warning(
    monkeypatch, tried_again, change, reason
):
    expected = fit("reference")
    model = vp.MLPRegressor(
        hidden_layer_sizes=(2,), max_iter=2, random_state=0, early_stopping=True
    )
    monkeypatch.setattr(*change)
    with pytest.warns(
        UserWarning,
        match=f"Computing on the reference engine, which is slower: {reason}",
    ):
        np.testing.assert_array_equal(fit("auto"), expected)
    np.testing.assert_array_equal(fit("auto"), expected)
    assert fit_many() == expected.tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, X[:, 0]).predict(X)
    with pytest.raises(ValueError, match=f"cannot train this network: {reason}"):
        fit("compiled")
    with pytest.raises(ValueError, match=f"cannot be compiled, because {reason}"):
        vp.compile(NETWORK)


def test_a_missing_system_function_is_named():
    assert threads.made_known() is None
    assert threads.made_known(("sched_yield", "no_such_function")) == "no_such_function"


@pytest.mark.long
def test_a_program_packaged_without_sources(tmp_path):
    shutil.copytree(
        Path(vp.__file__).parent,
        tmp_path / "vecprop",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    compileall.compile_dir(tmp_path / "vecprop", quiet=1, legacy=True)
    for source in (tmp_path / "vecprop").rglob("*.py"):
        source.unlink()
    code = """
import numpy as np, vecprop as vp
X = np.random.default_rng(0).normal(size=(60, 4))
print(vp.__file__, vp.MLPClassifier(max_iter=3).fit(X, X[:, 0] > 0).predict(X[:2]).shape)
"""
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0].endswith("__init__.pyc")
    assert (
        "Computing on the reference engine, which is slower: the source files of"
        " vecprop" in done.stderr
    )

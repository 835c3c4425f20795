"""scikit-learn's own tests of its networks, run on vecprop's."""

import subprocess
import sys

import pytest

PRIVATE = "test_gradient or test_learning_rate_warmstart or test_adaptive_learning_rate"
"""Tests that read scikit-learn's private ``_loss_grad_lbfgs`` and ``_optimizer``."""

ENDS_IN_NAN = "test_mlp_diverging_loss"
"""The test that wants a diverged fit to end quietly in NaN."""

PROGRAM = f"""
import sys, pytest, sklearn.neural_network, vecprop
sklearn.neural_network.MLPClassifier = vecprop.MLPClassifier
sklearn.neural_network.MLPRegressor = vecprop.MLPRegressor
tests = ["--pyargs", "sklearn.neural_network.tests.test_mlp", "-k", "not ({PRIVATE} or {ENDS_IN_NAN})"]
sys.exit(pytest.main([*tests, "-q", "-p", "no:cacheprovider", "-c", sys.argv[1], "--rootdir", sys.argv[2]]))
"""


@pytest.mark.long
def test_scikit_learns_own_tests_pass(tmp_path):
    pytest.importorskip("sklearn.neural_network.tests.test_mlp")
    settings = tmp_path / "pytest.ini"
    settings.write_text("[pytest]\n")
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, settings, tmp_path], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert " passed" in run.stdout

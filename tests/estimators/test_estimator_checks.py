"""Run scikit-learn's estimator checks, and its own tests of its networks."""

import subprocess
import sys

import pytest
from sklearn.utils.estimator_checks import (
    estimator_checks_generator,
    parametrize_with_checks,
)

from sampled import sampled
from vecprop import (
    MLPClassifier,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
    MLPRegressor,
    MLPSearchCV,
)

QUICK = {"hidden_layer_sizes": [10], "max_iter": 30, "learning_rate_init": 0.05}
LEARNS = {"hidden_layer_sizes": (10,), "max_iter": 60, "learning_rate_init": 0.02}
SEARCHED = {
    "param_grid": {"learning_rate_init": [0.01, 0.1]},
    "cv": 2,
    "error_score": "raise",
}
MORE = [
    MLPClassifier(
        [10], max_iter=30, solver="lbfgs", class_weight="balanced", activation=["tanh"]
    ),
    MLPRegressor(
        "huber", [10], max_iter=30, solver="lbfgs", scale_target=True, layer_norm=True
    ),
    MLPSearchCV(MLPClassifier([9], max_iter=40, random_state=0), **SEARCHED),
    MLPSearchCV(MLPRegressor("huber", [9], max_iter=90, random_state=0), **SEARCHED),
    MLPEnsembleClassifier(MLPClassifier(**LEARNS), 3),
    MLPEnsembleClassifier(
        MLPClassifier(**LEARNS | {"solver": "lbfgs", "max_iter": 15}),
        4,
        max_samples=0.9,
    ),
    MLPEnsembleRegressor(MLPRegressor(**LEARNS), 4),
    MLPEnsembleRegressor(
        MLPRegressor(**LEARNS | {"max_iter": 30}), 3, bootstrap=True, max_features=0.9
    ),
    MLPEnsembleRegressor(
        MLPRegressor(**LEARNS), 5, bootstrap=True, max_features=0.9, oob_score=True
    ),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        *estimator_checks_generator(MLPClassifier(**QUICK)),
        *sampled(estimator_checks_generator(MLPRegressor(**QUICK))),
    ],
)
def test_every_check_passes(estimator, check):
    check(estimator)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore:.* rows have no out-of-bag prediction")
# scikit-learn's own, of infinite labels
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@parametrize_with_checks(MORE)
def test_every_check_passes_with_other_settings(estimator, check):
    is_drawn = (
        getattr(estimator, "bootstrap", False)
        or getattr(estimator, "max_samples", 1) < 1
    )
    if is_drawn and "sample_weight_equivalence" in str(check):
        pytest.skip("repeated rows change the draw, as in scikit-learn's Bagging")
    check(estimator)


PRIVATE = "test_gradient or test_learning_rate_warmstart or test_adaptive_learning_rate"
"""Tests that use scikit-learn's private ``_loss_grad_lbfgs`` and ``_optimizer``."""

ENDS_IN_NAN = "test_mlp_diverging_loss"
"""The test that expects NaN from a diverged fit, without an error."""

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
        [sys.executable, "-c", PROGRAM, settings, tmp_path],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert " passed" in run.stdout

"""Test that results equal scikit-learn's networks, with the same initial parameters and batches."""

from inspect import signature

import numpy as np
import pytest
import sklearn.neural_network as scikit
from sklearn.datasets import (
    make_classification,
    make_multilabel_classification,
    make_regression,
)

import vecprop
from sampled import sampled

X2, y2 = map(np.asarray, make_classification(90, 6, random_state=0))
X3, y3 = map(
    np.asarray, make_classification(90, 6, n_classes=3, n_informative=4, random_state=1)
)
XL, yL = map(
    np.asarray, make_multilabel_classification(60, 6, n_classes=3, random_state=2)
)
XR, yR = map(np.asarray, make_regression(80, 5, noise=5, random_state=3))
yR = yR / yR.std()
XO, yO = map(np.asarray, make_regression(80, 5, n_targets=3, noise=5, random_state=4))
yO = yO / yO.std()
counts = np.random.default_rng(0).poisson(np.exp(XR[:, 0] / 2))
weights = np.random.default_rng(1).uniform(0, 2, 200)
takes_weights = pytest.mark.skipif(
    "sample_weight" not in signature(scikit.MLPClassifier.fit).parameters,
    reason="scikit-learn does so from 1.7 on",
)


def pair(name, X, y, *weights, **settings):
    """Fit the models of scikit-learn and vecprop; return both."""
    settings = {
        "shuffle": False,
        "random_state": 0,
        "max_iter": 12,
        "hidden_layer_sizes": (7, 5),
    } | settings
    models = [getattr(library, name)(**settings) for library in (scikit, vecprop)]
    return [model.fit(X, y, *weights) for model in models]


def assert_same(theirs, ours, tolerance=1e-9):
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(theirs, name), getattr(ours, name), strict=True):
            np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)
    for name in (
        "n_iter_",
        "t_",
        "n_layers_",
        "n_outputs_",
        "out_activation_",
        "n_features_in_",
    ):
        assert getattr(ours, name) == getattr(theirs, name), name


CLASSIFICATION = {
    "two": (X2, y2),
    "three": (X3, y3),
    "labels": (XL, yL),
    "text": (X3, np.array(["a", "b", "c"])[y3.astype(int)]),
}


@pytest.mark.parametrize("data", CLASSIFICATION)
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_classifier(data, solver):
    X, y = CLASSIFICATION[data]
    # a line search amplifies rounding errors
    few = {"max_iter": 10} if solver == "lbfgs" else {}
    theirs, ours = pair(
        "MLPClassifier",
        X,
        y,
        solver=solver,
        batch_size=20,
        learning_rate_init=0.01,
        **few,
    )
    assert_same(theirs, ours, 1e-6 if solver == "lbfgs" else 1e-9)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(
        ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6
    )
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-6)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    if solver != "lbfgs":
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
        np.testing.assert_allclose(ours.best_loss_, theirs.best_loss_, rtol=1e-9)


@pytest.mark.parametrize(("X", "y"), [(XR, yR), (XO, yO)], ids=["one", "three"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_regressor(X, y, solver):
    theirs, ours = pair(
        "MLPRegressor", X, y, solver=solver, batch_size=20, learning_rate_init=0.01
    )
    assert_same(theirs, ours)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-8)
    # scikit-learn's loss is a mean over outputs, but its gradient is that of the sum
    if y.ndim == 1:
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_activations(activation):
    assert_same(*pair("MLPClassifier", X3, y3, activation=activation, batch_size=20))


@takes_weights
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_sample_weights(name):
    # scikit-learn averages the losses of batches by their number of rows, ignoring
    # sample weights.
    theirs, ours = pair(
        name,
        X2,
        y2,
        weights[: len(y2)],
        batch_size=20,
        solver="sgd",
        learning_rate_init=0.1,
    )
    assert_same(theirs, ours)


@takes_weights
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_poisson(solver):
    theirs, ours = pair(
        "MLPRegressor",
        XR,
        counts,
        weights[:80],
        loss="poisson",
        solver=solver,
        batch_size=80,
    )
    assert_same(theirs, ours)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)


SGD = {"solver": "sgd", "learning_rate_init": 0.05, "batch_size": 20}


SETTINGS = [
    {"learning_rate": "invscaling", "power_t": 0.3},
    {"learning_rate": "adaptive", "tol": 0.01, "max_iter": 200, "n_iter_no_change": 2},
    {"nesterovs_momentum": False},
    {"momentum": 0.0},
    {"momentum": 1.0, "max_iter": 4},
    {"alpha": 1.0},
    {"tol": 0.02, "n_iter_no_change": 3, "max_iter": 200},
    {"solver": "adam", "beta_1": 0.5, "beta_2": 0.7, "epsilon": 0.01},
    {"solver": "adam", "learning_rate": "adaptive"},
    {"batch_size": 64},
    {"early_stopping": True, "validation_fraction": 0.3, "max_iter": 60},
    {"early_stopping": True, "tol": 0.0, "n_iter_no_change": 1, "max_iter": 60},
    {
        "early_stopping": True,
        "learning_rate": "adaptive",
        "tol": 0.05,
        "n_iter_no_change": 2,
        "max_iter": 200,
    },
]
KINDS = ["MLPClassifier", "MLPRegressor"]


@pytest.mark.parametrize(
    ("settings", "name"),
    sampled(
        (settings, KINDS[(n + m) % 2])
        for n, settings in enumerate(SETTINGS)
        for m in range(2)
    ),
    ids=str,
)
def test_settings(settings, name):
    theirs, ours = pair(name, X2, y2, **(SGD | settings))
    assert_same(theirs, ours)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    if "early_stopping" in settings:
        np.testing.assert_allclose(
            ours.validation_scores_, theirs.validation_scores_, atol=1e-9
        )
        np.testing.assert_allclose(
            ours.best_validation_score_, theirs.best_validation_score_, atol=1e-9
        )
        assert ours.best_loss_ is theirs.best_loss_ is None


def test_float32_stays_float32_and_agrees():
    theirs, ours = pair(
        "MLPClassifier", X3.astype(np.float32), y3, batch_size=20, max_iter=5
    )
    assert_same(theirs, ours, 1e-5)
    assert {values.dtype for values in ours.coefs_ + ours.intercepts_} == {
        np.dtype(np.float32)
    }


def test_lbfgs_on_float32_searches_in_float64():
    theirs, ours = pair(
        "MLPClassifier", X3.astype(np.float32), y3, solver="lbfgs", max_iter=12
    )
    assert_same(theirs, ours, 1e-4)
    assert ours.theta_.dtype == np.float32
    seen = []
    ours.set_params(
        callbacks=[
            lambda state: seen.append((state.theta.dtype, ours.predict_proba(X3).dtype))
        ]
    )
    assert ours.fit(X3.astype(np.float32), y3).theta_.dtype == np.float32
    assert set(seen) == {(np.dtype(np.float64),) * 2}


def test_lbfgs_converged_at_the_start_has_a_loss():
    theirs, ours = pair("MLPClassifier", X3, y3, solver="lbfgs", tol=10.0)
    assert theirs.n_iter_ == ours.n_iter_ == 0
    assert_same(theirs, ours)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-9)


def test_warm_start_and_partial_fit_after_it():
    models = [
        library.MLPClassifier(
            (7,),
            solver="sgd",
            shuffle=False,
            random_state=0,
            max_iter=3,
            momentum=0,
            warm_start=True,
        )
        for library in (scikit, vecprop)
    ]
    for model in models:
        model.fit(X2, y2).fit(X2, y2).partial_fit(X2[:40], y2[:40])
    assert_same(*models)
    np.testing.assert_allclose(models[1].loss_curve_, models[0].loss_curve_, rtol=1e-9)


def test_all_settings_of_scikit_learn_have_the_same_default_and_position():
    for name in ("MLPClassifier", "MLPRegressor"):
        theirs, ours = (
            getattr(scikit, name)().get_params(),
            getattr(vecprop, name)().get_params(),
        )
        assert theirs.items() <= ours.items()
    assert vecprop.MLPClassifier((3,), "tanh").activation == "tanh"
    if "loss" in scikit.MLPRegressor().get_params():
        assert vecprop.MLPRegressor("poisson", (3,), "tanh").loss == "poisson"
    with pytest.raises(TypeError):
        vecprop.MLPClassifier((3,), "tanh", "sgd")

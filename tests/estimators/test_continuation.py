"""Test that training in one call or several gives identical bits, also after interruptions."""

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification

from models import fresh
from sampled import sampled
from vecprop import Cosine, MLPClassifier, MLPRegressor, load, save

X, y = map(
    np.asarray,
    make_classification(
        90, 5, n_classes=3, n_informative=4, n_redundant=0, random_state=1
    ),
)
SETTINGS = {
    "hidden_layer_sizes": (6,),
    "batch_size": 20,
    "random_state": 0,
    "dropout": 0.2,
    "n_iter_no_change": 1000,
}
SOLVERS = [
    {"solver": "adam"},
    {"solver": "sgd", "learning_rate": "invscaling"},
    {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 0.05},
    {"solver": "rmsprop"},
]


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
@pytest.mark.parametrize("how", sampled(["partial_fit", "pickled", "warm_start"]))
def test_epochs_in_one_call_or_in_many(solver, how):
    whole = MLPClassifier(**SETTINGS | solver, max_iter=10).fit(X, y)
    parts = MLPClassifier(
        **SETTINGS | solver, max_iter=1, warm_start=how != "partial_fit"
    )
    for _ in range(whole.n_iter_):
        if how == "partial_fit":
            parts.partial_fit(X, y, classes=[0, 1, 2])
        else:
            parts.fit(X, y)
        if how == "pickled":
            parts = pickle.loads(pickle.dumps(parts))
    assert (parts.theta_ == whole.theta_).all()
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.t_ == whole.t_
    assert parts.best_loss_ == whole.best_loss_


def test_fit_and_partial_fit_in_turns():
    whole = MLPRegressor(**SETTINGS, max_iter=6).fit(X, y)
    parts = MLPRegressor(**SETTINGS, max_iter=2, warm_start=True)
    parts.partial_fit(X, y).fit(X, y).partial_fit(X, y).fit(X, y)
    assert (parts.theta_ == whole.theta_).all()


def test_without_a_random_state_random_numbers_continue():
    model = MLPClassifier(
        **SETTINGS | {"random_state": None}, max_iter=2, warm_start=True
    ).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    assert (model.fit(X, y).theta_ == copy.fit(X, y).theta_).all()


def test_without_warm_start_fit_restarts():
    model = MLPClassifier(**SETTINGS, max_iter=3).fit(X, y)
    first = model.theta_.copy()
    assert (model.fit(X, y).theta_ == first).all()
    assert model.n_iter_ == len(model.loss_curve_) == 3
    assert (fresh(model).fit(X, y).theta_ == first).all()


@pytest.mark.parametrize("name", ["cosine", Cosine()])
def test_a_schedule_with_a_horizon_restarts_and_has_no_partial_fit(name):
    model = MLPClassifier(
        **SETTINGS, learning_rate=name, max_iter=3, warm_start=True
    ).fit(X, y)
    start = model.theta_.copy()
    model.fit(X, y)
    again = MLPClassifier(**SETTINGS, learning_rate=name, max_iter=3).initialize(X, y)
    again.theta_ = start
    again.set_params(warm_start=True).fit(X, y)
    assert (again.theta_ == model.theta_).all()
    with pytest.raises(
        ValueError, match="the total number of epochs, which partial_fit does not know"
    ):
        model.partial_fit(X, y)


def test_another_solver_restarts_from_the_current_parameters():
    model = MLPClassifier(**SETTINGS | {"dropout": 0}, max_iter=3, warm_start=True).fit(
        X, y
    )
    before = model.loss_
    model.set_params(solver="lbfgs", max_iter=20).fit(X, y)
    assert model.loss_ < before
    model.set_params(solver="sgd", max_iter=1).fit(X, y)
    assert len(model.loss_curve_) == 3 + model.n_iter_ + 20


def test_another_learning_rate_continues():
    model: Any = MLPClassifier(**SETTINGS, max_iter=3, warm_start=True).fit(X, y)
    state = model._state
    model.set_params(learning_rate_init=0.01).fit(X, y)
    assert model._state.optimizer["t"] == 2 * state.optimizer["t"]


def test_early_stopping_continues_from_the_best():
    settings = SETTINGS | {
        "early_stopping": True,
        "n_iter_no_change": 3,
        "warm_start": True,
    }
    model: Any = MLPClassifier(**settings, max_iter=8).fit(X, y)
    best = model.best_validation_score_
    model.fit(X, y)
    assert model.best_validation_score_ >= best
    assert len(model.validation_scores_) == len(model.loss_curve_)


@pytest.mark.parametrize("scoring", [None, "loss"])
def test_a_warm_start_after_early_stopping_continues_from_the_last_parameters(scoring):
    thetas: list[np.ndarray] = []

    def see(state):
        thetas.append(state.theta.copy())

    settings = SETTINGS | {
        "early_stopping": True,
        "scoring": scoring,
        "callbacks": [see],
        "learning_rate_init": 0.3,
    }
    model = MLPClassifier(
        **settings | {"n_iter_no_change": 1, "tol": 1.0}, warm_start=True, max_iter=9
    ).fit(X, y)
    first = model.n_iter_
    assert first < 9
    # the best parameters, not the last ones
    assert not np.array_equal(model.theta_, thetas[-1])
    model.set_params(max_iter=2).fit(X, y)
    continued = [*thetas]
    thetas.clear()
    MLPClassifier(**settings | {"n_iter_no_change": 99}, max_iter=len(continued)).fit(
        X, y
    )
    assert len(continued) > first
    np.testing.assert_array_equal(continued, thetas)


def test_a_converged_model_continues_one_epoch_at_a_time():
    model = MLPClassifier(
        **SETTINGS | {"n_iter_no_change": 2, "tol": 1.0}, max_iter=50, warm_start=True
    ).fit(X, y)
    # the first loss is the best, and the next three do not improve by 1
    assert model.n_iter_ == 4
    assert model.fit(X, y).n_iter_ == 1
    assert len(model.loss_curve_) == 5


def test_training_continues_from_assigned_coefficients():
    model = MLPRegressor(**SETTINGS | {"dropout": 0}).partial_fit(X, y)
    assert all(
        np.shares_memory(values, model.theta_)
        for values in model.coefs_ + model.intercepts_
    )
    model.coefs_ = [np.zeros_like(W) for W in model.coefs_]
    model.intercepts_[-1][:] = 7
    np.testing.assert_array_equal(model.predict(X), 7)
    model.intercepts_[-1] = np.array([8.0])
    np.testing.assert_array_equal(model.predict(X), 8)
    model.set_params(learning_rate_init=1e-9).partial_fit(X, y)
    np.testing.assert_allclose(model.predict(X), 8, atol=1e-6)
    model.set_params(early_stopping=True, warm_start=True, max_iter=3).fit(X, y)
    model.intercepts_[-1][:] = 100
    # ½ (100 - class)² with classes 0 to 2
    assert model.fit(X, y).loss_curve_[-3] > 4000
    with pytest.raises(
        ValueError, match=r"Entry 0 has shape \(5, 6\), got an array of shape \(5, 5\)"
    ):
        model.coefs_[0] = np.zeros((5, 5))
    with pytest.raises(ValueError, match="coefs_ has 2 arrays, got 1"):
        model.coefs_ = [np.zeros((5, 6))]


def test_a_float32_model_learns_from_float64_rows():
    model = (
        MLPClassifier(**SETTINGS, max_iter=2, warm_start=True)
        .fit(X.astype(np.float32), y)
        .fit(X, y)
    )
    assert model.theta_.dtype == model.predict_proba(X).dtype == np.float32


R = np.random.default_rng(0)
ROWS = R.normal(size=(150, 4))
TARGETS = {
    MLPClassifier: (np.sin(ROWS[:, 0]) > R.normal(0, 0.3, 150)).astype(int),
    MLPRegressor: np.sin(ROWS[:, 0]),
}
WARM = {
    "hidden_layer_sizes": (6,),
    "random_state": 0,
    "n_iter_no_change": 3,
    "warm_start": True,
}
EPOCHS = 15


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize(
    "settings",
    [
        {"early_stopping": True},
        {"early_stopping": True, "scoring": "loss"},
        {
            "early_stopping": True,
            "solver": "sgd",
            "learning_rate": "adaptive",
            "learning_rate_init": 0.1,
        },
        {},
    ],
)
def test_warm_starts(kind, settings, tmp_path):
    y = TARGETS[kind]
    whole = kind(max_iter=EPOCHS, **WARM, **settings).fit(ROWS, y)
    epochs = 1 if kind is MLPClassifier else 4
    model = kind(max_iter=epochs, **WARM, **settings).fit(ROWS, y)
    save(model, tmp_path / "model.npz")
    for begun in (model, load(tmp_path / "model.npz")):
        begun.set_params(max_iter=EPOCHS - epochs).fit(ROWS, y)
        np.testing.assert_array_equal(begun.theta_, whole.theta_)
        assert begun.loss_curve_ == whole.loss_curve_


@pytest.mark.parametrize("settings", [{"early_stopping": True}, {}])
def test_a_callback_can_save_the_model(settings, tmp_path):
    y = TARGETS[MLPClassifier]

    def checkpoint(state):
        if state.epoch == 4:
            save(model, tmp_path / "model.npz")
            model.callbacks = None
            kept.append(pickle.dumps(model))

    kept: list[bytes] = []
    model = MLPClassifier(max_iter=EPOCHS, callbacks=[checkpoint], **WARM, **settings)
    model.fit(ROWS, y)
    for begun in (pickle.loads(kept[0]), load(tmp_path / "model.npz")):
        assert (begun.n_iter_, begun.callbacks) == (4, None)
        begun.set_params(max_iter=EPOCHS - 4).fit(ROWS, y)
        np.testing.assert_array_equal(begun.theta_, model.theta_)
        assert begun.loss_curve_ == model.loss_curve_


def test_an_error_in_a_callback_keeps_trained_parameters():
    y = TARGETS[MLPRegressor]

    def full(state):
        if state.epoch == 3:
            raise OSError(28, "No space left on device")

    model = MLPRegressor(max_iter=EPOCHS, callbacks=[full], **WARM)
    with pytest.raises(OSError, match="No space") as caught:
        model.fit(ROWS, y)
    np.testing.assert_array_equal(vars(caught.value)["result"].theta, model.theta_)
    model.set_params(callbacks=None, max_iter=2).fit(ROWS, y)
    whole = MLPRegressor(max_iter=5, **WARM).fit(ROWS, y)
    np.testing.assert_array_equal(model.theta_, whole.theta_)

"""Test that early stopping is identical in separate and joint fits, in searches, and with Python callbacks."""

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV

from models import fresh
from vecprop import (
    MLPClassifier,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
    MLPRegressor,
    MLPSearchCV,
    SquaredError,
)
from vecprop.estimators import data, fit
from vecprop.estimators.data import random_parts

pytestmark = pytest.mark.filterwarnings("ignore")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
Z = X @ RNG.normal(size=(4, 3)) + 0.3 * RNG.normal(size=(90, 3))
W = RNG.uniform(0.1, 2, 90)
TARGETS = {
    "two classes": (MLPClassifier(), np.where(Z[:, 0] > 0, "yes", "no")),
    "classes": (MLPClassifier(), Z.argmax(axis=1)),
    "labels": (MLPClassifier(), (Z > 0).astype(int)),
    "classes by squared error": (MLPClassifier(loss=SquaredError()), Z.argmax(axis=1)),
    "balanced classes": (
        MLPClassifier(class_weight="balanced"),
        (Z[:, 0] > 0.5).astype(int),
    ),
    "numbers": (MLPRegressor(), Z[:, 0]),
    "several numbers": (MLPRegressor(scale_target=True), 100 + 20 * Z),
    "counts": (MLPRegressor(loss="poisson"), np.exp(Z[:, 0]).round()),
}
MEASURED = (
    "loss_curve_",
    "validation_loss_curve_",
    "validation_scores_",
    "best_validation_score_",
    "n_iter_",
    "t_",
)


def assert_same(model, other):
    for name in MEASURED:
        assert getattr(model, name) == getattr(other, name), name
    for one, two in zip(
        model.coefs_ + model.intercepts_, other.coefs_ + other.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(one, two)
    assert model._ending == other._ending


@st.composite
def problems(draw):
    """Draw a random model and data."""
    model, y = TARGETS[draw(st.sampled_from(sorted(TARGETS)))]
    parameters = {
        "hidden_layer_sizes": draw(st.sampled_from([(3,), (5, 4), (200,)])),
        "solver": draw(st.sampled_from(["sgd", "adam", "rmsprop"])),
        "learning_rate_init": draw(st.sampled_from([0.01, 0.1])),
        "batch_size": draw(st.sampled_from([7, 40, "auto"])),
        "n_iter_no_change": draw(st.sampled_from([1, 3, 100])),
        "tol": draw(st.sampled_from([0.0, 1e-4, 0.05])),
        "scoring": draw(st.sampled_from([None, "loss"])),
        "validation_fraction": draw(st.sampled_from([0.1, 0.4])),
        "random_state": draw(st.integers(0, 99)),
    }
    inputs = X.astype(draw(st.sampled_from([np.float32, np.float64])))
    weight = draw(st.sampled_from([None, W]))
    return (
        fresh(model, early_stopping=True, max_iter=25, **parameters),
        inputs,
        y,
        weight,
    )


def fitted(model, *rows):
    """Fit the model and return it, even if training diverges."""
    with suppress(ValueError):
        model.fit(*rows)
    return model


@pytest.mark.long
@given(problems())
@settings(max_examples=30)
def test_early_stopping_is_identical_alone_together_and_in_python(problem):
    model, rows, y, weight = problem
    kind = (
        MLPEnsembleClassifier
        if isinstance(model, MLPClassifier)
        else MLPEnsembleRegressor
    )
    alone: Any = fitted(fresh(model), rows, y, weight)
    assert len(alone.validation_scores_) == alone.n_iter_
    assert alone.best_validation_score_ == max(
        alone.validation_scores_, default=-np.inf
    )
    assert_same(
        alone, fitted(fresh(model, callbacks=[lambda state: None]), rows, y, weight)
    )
    for one in fitted(
        kind(model, n_estimators=3, random_state=0), rows, y, weight
    ).estimators_:
        assert_same(
            one, fitted(fresh(model, random_state=one.random_state), rows, y, weight)
        )


@pytest.mark.long
@given(problems())
@settings(max_examples=15)
def test_early_stopping_in_a_search_equals_grid_search(problem):
    model, rows, y, weight = problem
    fitted = []

    def keep(model, X, y):
        fitted.append(model)
        return model.score(X, y)

    grid = {"alpha": [1e-4, 1.0], "hidden_layer_sizes": [(3,), (6,)]}
    searches = [
        kind(model, grid, cv=2, scoring=keep) for kind in (MLPSearchCV, GridSearchCV)
    ]
    ours, theirs = (
        search.fit(rows, y, sample_weight=weight).cv_results_ for search in searches
    )
    np.testing.assert_array_equal(ours["mean_test_score"], theirs["mean_test_score"])
    half = len(fitted) // 2
    named = [
        {(str(one.get_params()), one.t_, one.loss_): one for one in part}
        for part in (fitted[:half], fitted[half:])
    ]
    assert named[0].keys() == named[1].keys()
    for key, one in named[0].items():
        assert_same(one, named[1][key])


@pytest.mark.parametrize("name", TARGETS)
def test_validation_scores_equal_score(name):
    model, y = TARGETS[name]
    model = fresh(model, hidden_layer_sizes=(5,), max_iter=3, random_state=0)
    for weights in ({}, {"sample_weight_val": W[60:]}):
        model.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:], **weights)
        expected = model.score(X[60:], y[60:], *weights.values())
        np.testing.assert_allclose(model.validation_scores_[-1], expected, rtol=1e-12)


def test_searches_and_fits_need_no_python_between_epochs(monkeypatch):
    """All epochs of a fit are recorded together at its end."""
    recorded, epochs = [], fit.FitRun.record

    def counted(self, state, losses, *measured):
        recorded.append(len(losses))
        return epochs(self, state, losses, *measured)

    monkeypatch.setattr(fit.FitRun, "record", counted)
    for model, y in TARGETS.values():
        model = fresh(model, early_stopping=True, max_iter=30, random_state=0)
        model.fit(X, y)
        assert recorded == [model.n_iter_] != [1]
        recorded.clear()
        search = MLPSearchCV(
            model, {"alpha": [0.1]}, cv=2, error_score="raise", refit=False
        ).fit(X, y)
        assert len(recorded) == search.n_splits_
        assert min(recorded) > 1
        recorded.clear()


def test_candidates_of_a_search_share_held_out_rows(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        data, "random_parts", lambda *a: drawn.append(a) or random_parts(*a)
    )
    model = MLPClassifier(early_stopping=True, max_iter=2, random_state=0)
    grid = {"alpha": [0.1, 0.2, 0.3], "validation_fraction": [0.1, 0.3]}
    MLPSearchCV(model, grid, cv=2, refit=False).fit(X, Z[:, 0] > 0)
    assert len(drawn) == 2 * 2
    MLPSearchCV(model.set_params(random_state=None), grid, cv=2, refit=False).fit(
        X, Z[:, 0] > 0
    )
    assert len(drawn) == 2 * 2 + 2 * 6


def test_overridden_score_and_predict_are_used():
    class Contrary(MLPClassifier):
        def score(self, X, y, sample_weight=None):
            return -super().score(X, y, sample_weight)

    class Constant(MLPRegressor):
        def predict(self, X):
            return np.zeros(len(X))

    model: Any = Contrary(early_stopping=True, max_iter=4, random_state=0).fit(
        X, Z[:, 0] > 0
    )
    other: Any = Constant(early_stopping=True, max_iter=4, random_state=0).fit(
        X, Z[:, 0]
    )
    assert max(model.validation_scores_) <= 0
    assert len(set(other.validation_scores_)) == 1


def test_one_row_of_validation_has_no_r2_and_one_class_is_always_right():
    model = MLPRegressor(max_iter=2, random_state=0).fit(
        X, Z[:, 0], X_val=X[:1], y_val=Z[:1, 0]
    )
    assert model.validation_scores_ is not None
    assert np.isnan(model.validation_scores_).all()
    model = MLPClassifier(max_iter=2, early_stopping=True, random_state=0).fit(
        X, np.ones(90)
    )
    assert model.validation_scores_ == [1.0, 1.0]


def test_restarts_hold_out_the_same_rows():
    aside, (_, y) = set(), TARGETS["two classes"]

    def scored(model, X, y):
        if len(X) < 45:  # not those of training
            aside.add(X.tobytes())
        return model.score(X, y)

    settings: dict[str, Any] = {
        "n_restarts": 4,
        "early_stopping": True,
        "warm_start": True,
        "max_iter": 5,
    }
    model: Any = MLPClassifier(
        (4,), scoring=scored, random_state=np.random.RandomState(4), **settings
    ).fit(X, y)
    assert model.best_restart_ > 0
    model.fit(X, y)
    assert len(aside) == 1

"""Restarts, which select the best of several fits, and simultaneous fits."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_moons
from sklearn.utils import check_random_state

from models import fresh
from vecprop import MLPClassifier, MLPRegressor
from vecprop.estimators.many.fits import fit_many, random_states

X, y = map(np.asarray, make_moons(80, noise=0.2, random_state=0))
FEW = {"hidden_layer_sizes": (3,), "max_iter": 6, "random_state": 5, "batch_size": 20}


def alone(model, **fit):
    """Fit each restart separately."""
    states = random_states(model.random_state, model.n_restarts)
    one: Any = model
    return [
        fresh(one, n_restarts=1, random_state=state).fit(X, y, **fit)
        for state in states
    ]


@pytest.mark.parametrize(
    "settings",
    [{}, {"solver": "lbfgs"}, {"learning_rate": "adaptive", "solver": "sgd"}],
    ids=str,
)
def test_the_restart_with_the_lowest_loss_is_selected(settings):
    model: Any = MLPClassifier(n_restarts=6, **FEW, **settings)
    starts = alone(model)
    best = min(starts, key=lambda start: start.loss_)
    model.fit(X, y)
    np.testing.assert_array_equal(model.theta_, best.theta_)
    assert model.restart_losses_.tolist() == [start.loss_ for start in starts]
    assert model.loss_curve_ == best.loss_curve_
    assert model.best_restart_ == starts.index(best)
    assert (model.random_state, model.n_iter_, model.t_) == (5, best.n_iter_, best.t_)
    np.testing.assert_array_equal(model.predict(X), best.predict(X))
    assert starts[0].restart_losses_ is None


def test_with_validation_rows_the_last_score_selects_the_restart():
    model = MLPClassifier(n_restarts=6, **FEW)
    validation = {"X_val": X[:30], "y_val": 1 - y[:30]}
    starts = alone(model, **validation)
    best = max(starts, key=lambda start: start.validation_scores_[-1])
    assert best is not min(starts, key=lambda start: start.loss_)
    np.testing.assert_array_equal(model.fit(X, y, **validation).theta_, best.theta_)


def test_with_early_stopping_the_best_score_selects_the_restart():
    model: Any = MLPClassifier(
        n_restarts=6, early_stopping=True, n_iter_no_change=2, **FEW | {"max_iter": 30}
    )
    model.fit(X, y)
    first = fresh(model, n_restarts=1).fit(X, y)
    assert model.best_validation_score_ > first.best_validation_score_
    spec = model._begin(*model._accept(X, y), check_random_state(5))
    assert spec.validation is not None
    assert len(spec.validation) == 8


def test_a_diverged_restart_is_not_selected():
    # With this learning rate and scale, some restarts diverge and others do not.
    model: Any = MLPRegressor(
        hidden_layer_sizes=(4,),
        solver="sgd",
        learning_rate_init=0.05,
        max_iter=40,
        n_restarts=8,
        random_state=0,
    )
    model.fit(3 * X, 4 * X[:, 0])
    diverged = np.isinf(model.restart_losses_)
    assert 0 < diverged.sum() < 8
    assert model.loss_ == model.restart_losses_.min()
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        model.set_params(learning_rate_init=1e6).fit(X, y)
    first = fresh(model, n_restarts=1)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        first.fit(X, y)
    np.testing.assert_array_equal(model.theta_, first.theta_)


def test_training_continues_from_the_best_restart():
    settings = FEW | {"n_iter_no_change": 1000}
    whole = MLPClassifier(n_restarts=4, **settings).fit(X, y)
    for _ in range(3):
        whole.partial_fit(X, y)
    parts = MLPClassifier(n_restarts=4, warm_start=True, **settings).fit(X, y)
    parts.set_params(max_iter=3).fit(X, y)
    np.testing.assert_array_equal(parts.theta_, whole.theta_)
    np.testing.assert_array_equal(parts.restart_losses_, whole.restart_losses_)


@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_simultaneous_fits_equal_separate_fits(n_jobs):
    rows, labels = map(
        np.asarray,
        make_classification(
            60, 4, n_classes=3, n_informative=3, n_redundant=0, random_state=0
        ),
    )
    settings = [
        {"solver": "sgd", "learning_rate": "invscaling", "shuffle": False},
        {"activation": "tanh", "dropout": 0.3, "hidden_layer_sizes": (4, 2)},
        {"early_stopping": True},
        {"solver": "lbfgs"},
        {"scoring": "accuracy"},
        {"tol": 0.1, "n_iter_no_change": 1, "max_iter": 50},
        {"learning_rate": "one_cycle", "max_iter": 7},
        {"learning_rate_init": 1e200, "solver": "sgd"},
    ]
    models = [MLPClassifier(**FEW | own) for own in settings]
    specs = [
        model._begin(
            *model._accept(rows, labels), check_random_state(model.random_state)
        )
        for model in models
    ]
    outcomes: Any = fit_many(specs, n_jobs)
    assert [outcome.diverged for outcome in outcomes] == [*[False] * 7, True]
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        models[7]._learn(specs[7], outcomes[7])
    for model, spec, outcome in zip(models[:7], specs, outcomes, strict=False):
        model._learn(spec, outcome)
        one = fresh(model).fit(rows, labels)
        np.testing.assert_array_equal(model.theta_, one.theta_)
        for name in (
            "loss_curve_",
            "validation_scores_",
            "score_curve_",
            "n_iter_",
            "t_",
            "best_loss_",
        ):
            assert getattr(model, name) == getattr(one, name)
        if (
            not model.early_stopping
            and model.solver != "lbfgs"
            and model.learning_rate != "one_cycle"
        ):
            np.testing.assert_array_equal(
                model.partial_fit(rows, labels).theta_,
                one.partial_fit(rows, labels).theta_,
            )
    assert models[5].n_iter_ < 50


def test_random_states():
    instance = np.random.RandomState(3)
    states = random_states(instance, 4)
    assert states[0] is instance
    assert states[1:] == random_states(np.random.RandomState(3), 4)[1:]
    assert len(set(states)) == 4
    assert random_states(None, 3)[0] is None
    assert random_states(8, 3) == [
        8,
        *np.random.RandomState(8).randint(2**31 - 1, size=2),
    ]
    assert random_states(8, 3)[:2] == random_states(8, 2)


def test_restarts_that_stop_before_an_epoch():
    model = MLPClassifier((3,), solver="lbfgs", tol=1e9, n_restarts=3, random_state=0)
    assert model.fit(X, y, X_val=X[:30], y_val=y[:30]).best_restart_ == 0


def test_an_interrupted_restart_warns():
    def interrupt(state):
        raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user") as caught:
        MLPClassifier(n_restarts=2, n_jobs=1, callbacks=[interrupt], **FEW).fit(X, y)
    # one for the first restart, which ends the others, and one for the fit
    assert len(caught) == 2

"""The trial of views: which networks the first stage trains, decided by rows that short trainings have not seen."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vecprop import Dense, TabularClassifier, TabularRegressor, TrainingResult, load, save, train_population
from vecprop.core.selection import Selection
from vecprop.tables import settings, trial
from vecprop.tables.trial import with_views_that_pay

FEW: dict[str, Any] = {"n_members": 2, "hidden_layer_sizes": (6, 4), "max_iter": 8, "random_state": 0}
R = np.random.default_rng(3)
X = pd.DataFrame({"a": R.normal(size=240), "b": R.normal(size=240), "c": R.choice(list("xyz"), 240)})
CLASSES = np.where(X.a * X.b + 0.3 * R.normal(size=240) > 0, "yes", "no")
PIECES, USUAL, WIDE = ("pieces", [6, 4]), ("standardised", [6, 4, 4]), ("standardised", [12, 8])


@pytest.fixture
def large(monkeypatch):
    """Let tables be large from a hundred rows on."""
    monkeypatch.setattr(settings, "SEVERAL_ROWS", 100)
    monkeypatch.setattr(trial, "MANY_ROWS", 100)


def prepared(model: Any) -> Any:
    return model._prepared(X, CLASSES)[1]


def planned(monkeypatch, *losses):
    """Let choices have these losses: of large tables the standardised views alone, and then both beside pieces."""
    monkeypatch.setattr(trial, "_losses", lambda model, fit, choices: losses[: len(choices)])


def interrupted(result):
    return TrainingResult(result.theta, result.history, result.state, "interrupted")


def kinds(views: Any) -> list[Any]:
    """Return how views see numbers, and the widths of their networks."""
    networks = [getattr(view, "network", None) or view.networks[0] for view in views]
    widths = [[own.outputs for own in network.layers[:-1] if isinstance(own, Dense)] for network in networks]
    return [(view.view, own) for view, own in zip(views, widths, strict=True)]


def test_small_tables_and_regressors_have_no_trial(monkeypatch):
    planned(monkeypatch)
    model = TabularClassifier(**FEW)
    fit = prepared(model)
    assert with_views_that_pay(model, fit) is fit
    assert kinds(fit.views) == [PIECES, USUAL]
    assert [len(TabularClassifier().first_stages(rows)) for rows in (2499, 2500)] == [2, 3]
    assert [len(TabularRegressor().first_stages(rows)) for rows in (2499, 10**6)] == [2, 2]


@pytest.mark.parametrize(
    ("losses", "chosen"),
    [
        ((1.0, 1.0, 1.0, 1.0), [USUAL]),
        ((1.019, 1.0, 1.0, 1.0), [USUAL]),
        ((1.021, 1.0, 1.0, 1.0), [WIDE]),
        ((1.1, 1.1, 1.019, 1.0), [PIECES, USUAL]),
        ((1.1, 1.1, 1.021, 1.0), [PIECES, WIDE]),
        ((np.inf, 1.0, np.inf, 1.0), [WIDE]),
    ],
)
def test_the_quickest_of_the_best_views_are_chosen(large, monkeypatch, losses, chosen):
    planned(monkeypatch, *losses)
    model = TabularClassifier(**FEW)
    fit = prepared(model)
    found = with_views_that_pay(model, fit)
    assert kinds(found.views) == chosen
    assert len(found.left_out) == 3 - len(chosen)
    assert {view.training.epochs for view in found.views} == {8}  # max_iter is obeyed


def test_only_of_large_tables_a_view_is_alone_and_is_trained_longer(large, monkeypatch):
    model = TabularClassifier(n_members=2, random_state=0)
    fit = prepared(model)
    planned(monkeypatch, 1.0, 1.0, 1.0, 1.0)
    (alone,) = with_views_that_pay(model, fit).views
    usual = fit.views[1].training
    assert alone.training == replace(usual, epochs=2 * usual.epochs)
    monkeypatch.setattr(trial, "MANY_ROWS", 1000)
    both = with_views_that_pay(model, fit)
    assert kinds(both.views) == [("pieces", [64, 64]), ("standardised", [64, 64, 64])]
    assert both.views[0].training == usual


def test_a_trial_is_a_short_training_without_the_last_fold(large):
    model = TabularClassifier(**FEW)
    fit = prepared(model)
    for view, tried in zip(fit.views, trial._trials(model, fit), strict=True):
        assert tried is not None
        ((own, predicted),) = tried.unseen[0]
        np.testing.assert_array_equal(own, np.flatnonzero(fit.rows.fold == 1))
        member = replace(fit, views=[view]).members()[1]
        (result,) = train_population([replace(member, epochs=2)], view.X, fit.rows.T)
        np.testing.assert_array_equal(tried.networks[0].thetas, [result.theta])
        inputs = view.X.take(own) if isinstance(view.X, Selection) else view.X[own]
        np.testing.assert_allclose(predicted, view.networks[0].predict(result.theta, inputs), rtol=1e-4, atol=1e-6)


def test_a_view_that_diverges_is_not_chosen(large, monkeypatch):
    model = TabularClassifier(**FEW)
    fit = prepared(model)
    trials = trial._trials(model, fit)
    monkeypatch.setattr(trial, "_trials", lambda model, fit: [trials[0], None, trials[2]])
    choices = [[fit.views[1]], [fit.views[2]], list(fit.views[:2]), [fit.views[0], fit.views[2]]]
    assert np.isfinite(trial._losses(model, fit, choices)).tolist() == [False, True, False, True]


def test_a_trial_that_is_interrupted_ends_the_fit(large, monkeypatch):
    model = TabularClassifier(**FEW)
    fit = prepared(model)
    train = trial.results_of
    monkeypatch.setattr(
        trial,
        "results_of",
        lambda *arguments, **settings: ([interrupted(own) for own in of] for of in train(*arguments, **settings)),
    )
    with pytest.raises(KeyboardInterrupt):
        with_views_that_pay(model, fit)


@pytest.fixture(params=[(1.0, 1.0, 1.0, 1.0), (9.0, 9.0, 9.0, 1.0)], ids=["one view", "wide"])
def chosen(request, large, monkeypatch):
    """A model of seven stages whose trial has chosen the standardised view alone, or wide networks beside pieces."""
    planned(monkeypatch, *request.param)
    return TabularClassifier(stages=7, **FEW).fit(X, CLASSES)


def test_models_of_chosen_views_are_kept_and_refitted(chosen, tmp_path):
    first = [view for view in chosen.ensemble_.views if view.stage == 1]
    assert kinds(first) in ([USUAL], [PIECES, WIDE])
    assert chosen.stages_ == 7
    assert np.isfinite(chosen.out_of_fold_).all()
    save(chosen, tmp_path / "model.npz")
    np.testing.assert_array_equal(load(tmp_path / "model.npz").predict_proba(X), chosen.predict_proba(X))
    again = chosen.refitted(X, CLASSES)
    assert kinds(again.ensemble_.views) == kinds(chosen.ensemble_.views)
    assert [view.stage for view in again.ensemble_.views] == [view.stage for view in chosen.ensemble_.views]


def test_wide_networks_are_chosen_where_they_predict_better(monkeypatch):
    monkeypatch.setattr(settings, "SEVERAL_ROWS", 100)
    model = TabularClassifier(n_members=2, hidden_layer_sizes=2, random_state=0)
    centers = 3 * R.normal(size=(9, 3))
    of_class = R.integers(0, 9, 600)
    table = centers[of_class] + R.normal(size=(600, 3))
    fitted = model.fit(table, of_class)
    assert kinds(fitted.ensemble_.views)[1] == ("standardised", [4])
    usual = TabularClassifier(n_members=2, hidden_layer_sizes=2, random_state=0)
    monkeypatch.setattr(settings, "SEVERAL_ROWS", 1000)
    assert fitted.validation_loss_ < usual.fit(table, of_class).validation_loss_


@pytest.mark.parametrize("is_useful", [False, True])
def test_pieces_are_trained_of_large_tables_only_where_they_pay(large, monkeypatch, is_useful):
    monkeypatch.setattr(TabularClassifier, "instead", [])
    x = R.uniform(0, 8, size=(1500, 2))
    classes = (x[:, 0].astype(int) % 2 if is_useful else x.sum(axis=1) + R.normal(size=1500) > 8).astype(int)
    model = TabularClassifier(n_members=2, random_state=0, hidden_layer_sizes=16).fit(x, classes)
    assert [view.view for view in model.ensemble_.views] == (
        ["pieces", "standardised"] if is_useful else ["standardised"]
    )

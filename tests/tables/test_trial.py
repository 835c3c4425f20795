"""The selection of views by short trial fits."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from vecprop import Dense, TabularClassifier, TabularRegressor, load, save, train_population
from vecprop.core.rows.selection import Selection
from vecprop.tables import settings
from vecprop.tables.ensemble import fitting as trial
from vecprop.tables.ensemble.fitting import select_views

FEW: dict[str, Any] = {"n_estimators": 2, "hidden_layer_sizes": (6, 4), "max_iter": 16, "random_state": 0}
SHORT: dict[str, Any] = FEW | {"max_iter": 4}
R = np.random.default_rng(3)
X = pd.DataFrame({"a": R.normal(size=240), "b": R.normal(size=240), "c": R.choice(list("xyz"), 240)})
CLASSES = np.where(X.a * X.b + 0.3 * R.normal(size=240) > 0, "yes", "no")
PIECES, USUAL, WIDE = ("pieces", [6, 4]), ("standardised", [6, 4, 4]), ("standardised", [12, 8])


@pytest.fixture
def several(monkeypatch):
    """Try wide networks from a hundred rows on."""
    monkeypatch.setattr(settings, "SEVERAL_ROWS", 100)


@pytest.fixture
def large(monkeypatch):
    """Let "auto" be ten epochs, as for large tables."""
    monkeypatch.setattr(settings, "MAX_TOTAL_ROWS", 1)
    monkeypatch.setattr(settings, "MAX_EPOCHS", 1)


def prepared(**settings: Any) -> Any:
    return TabularClassifier(**FEW | settings)._plan(X, CLASSES)


def planned(monkeypatch, *losses):
    """Set the losses of the choices: pieces with each standardised view, and for large tables a single view."""
    monkeypatch.setattr(trial, "_losses", lambda plan, choices, progress: losses[: len(choices)])


def kinds(views: Any) -> list[Any]:
    """Return the name and the layer widths of each view."""
    networks = [getattr(view, "network", None) or view.networks[0] for view in views]
    widths = [[own.outputs for own in network.layers[:-1] if isinstance(own, Dense)] for network in networks]
    return [(view.view, own) for view, own in zip(views, widths, strict=True)]


def test_small_tables_and_regressors_have_no_trial(monkeypatch):
    planned(monkeypatch)
    plan = prepared()
    assert select_views(plan) is plan.fit
    assert kinds(plan.fit.views) == [PIECES, USUAL]
    assert [len(TabularClassifier()._candidates(rows)) for rows in (2499, 2500)] == [2, 3]
    assert [len(TabularRegressor()._candidates(rows)) for rows in (2499, 10**6)] == [2, 2]


@pytest.mark.parametrize(
    ("losses", "chosen"),
    [
        ((1.0, 1.0), [PIECES, USUAL]),
        ((1.0, 0.971), [PIECES, USUAL]),
        ((1.0, 0.969), [PIECES, WIDE]),
        ((np.inf, 1.0), [PIECES, WIDE]),
        ((1.0, np.inf), [PIECES, USUAL]),
        ((np.inf, np.inf), [PIECES, USUAL]),
    ],
)
def test_other_views_must_be_clearly_better(several, monkeypatch, losses, chosen):
    planned(monkeypatch, *losses)
    plan = prepared()
    found = select_views(plan)
    assert kinds(found.views) == chosen
    assert {view.training.epochs for view in found.views} == {16}


def test_large_tables_may_use_a_single_view_with_more_epochs(several, large, monkeypatch):
    planned(monkeypatch, 1.0, 1.0, 0.9)
    plan = prepared(max_iter="auto")
    usual = plan.fit.views[1].training
    found = select_views(plan)
    assert [(view.view, view.training) for view in found.views] == [("standardised", replace(usual, epochs=20))]
    assert usual.epochs == 10
    plan.model.set_params(max_iter=10)
    assert len(select_views(plan).views) == 2


def test_a_trial_is_a_short_fit_without_the_last_fold(several):
    plan = prepared()
    for view, tried in zip(plan.fit.views, trial._trials(plan, plan.fit.views), strict=True):
        assert tried is not None
        ((networks,), (((own, predicted),),)) = tried
        np.testing.assert_array_equal(own, np.flatnonzero(plan.fit.rows.fold == 1))
        member = replace(plan.fit, views=[view]).members()[1]
        (result,) = train_population([replace(member, epochs=2)], view.X, plan.fit.rows.T)
        np.testing.assert_array_equal(networks.thetas, [result.theta])
        inputs = view.X.take(own) if isinstance(view.X, Selection) else view.X[own]
        of_last = view.networks[0].predict(result.theta, inputs)
        np.testing.assert_allclose(predicted[:, 0], of_last, rtol=1e-4, atol=1e-6)


def test_a_diverging_view_is_not_selected(several):
    plan = prepared()
    pieces, usual, wide = plan.fit.views
    usual = replace(usual, training=replace(usual.training, learning_rate=1e300))
    with np.errstate(all="ignore"):
        found = select_views(replace(plan, fit=replace(plan.fit, views=[pieces, usual, wide])))
    assert kinds(found.views) == [PIECES, WIDE]


def test_interrupting_a_trial_ends_the_fit(several, telling):
    with pytest.raises(KeyboardInterrupt):
        select_views(prepared(), lambda now: True)


def test_a_trial_reports_progress_and_cannot_be_stopped(several, telling):
    seen = []

    def show(now):
        seen.append(now)
        return now.stage == 0

    answered = TabularClassifier(**SHORT, progress=show).fit(X, CLASSES)
    stages = [now.stage for now in seen]
    assert set(stages) == {0, 1}
    assert stages == sorted(stages)
    assert {now.share for now in seen if now.stage == 0} == {0.0}
    np.testing.assert_array_equal(
        answered.predict_proba(X), TabularClassifier(**SHORT).fit(X, CLASSES).predict_proba(X)
    )


@pytest.fixture(params=[(1.0, 1.0, 0.5), (1.0, 0.5, 1.0)], ids=["one view", "wide"])
def chosen(request, several, large, monkeypatch):
    """A model whose trial selected only the standardized view, or wide networks and pieces."""
    planned(monkeypatch, *request.param)
    settings: dict[str, Any] = FEW | {"max_iter": "auto"}
    return TabularClassifier(**settings).fit(X, CLASSES)


def test_models_with_selected_views_can_be_saved_and_refitted(chosen, tmp_path):
    assert kinds(chosen.ensemble_.views) in ([USUAL], [PIECES, WIDE])
    assert np.isfinite(chosen.out_of_fold_).all()
    save(chosen, tmp_path / "model.npz")
    np.testing.assert_array_equal(load(tmp_path / "model.npz").predict_proba(X), chosen.predict_proba(X))
    again = chosen.refit(X, CLASSES)
    assert kinds(again.ensemble_.views) == kinds(chosen.ensemble_.views)


def test_wide_networks_are_selected_if_they_predict_better(several, monkeypatch):
    centers = 3 * R.normal(size=(9, 3))
    of_class = R.integers(0, 9, 600)
    table = centers[of_class] + R.normal(size=(600, 3))
    fitted: Any = TabularClassifier(n_estimators=2, hidden_layer_sizes=2, random_state=0).fit(table, of_class)
    assert kinds(fitted.ensemble_.views)[1] == ("standardised", [4])
    monkeypatch.setattr(settings, "SEVERAL_ROWS", 1000)
    usual: Any = clone(fitted)
    assert fitted.validation_loss_ < usual.fit(table, of_class).validation_loss_


@pytest.mark.parametrize("are_steps", [False, True])
def test_pieces_of_large_tables_are_trained_if_they_help(large, monkeypatch, are_steps):
    monkeypatch.setattr(settings, "SEVERAL_ROWS", 10**6)  # without wide networks
    x = R.normal(size=(4_000, 10))
    one, other = x @ np.linspace(-1, 1, 10), x @ np.linspace(1, 2, 10)
    classes = np.floor(3 * x[:, 0]) % 2 == 1 if are_steps else one * other > 0
    model = TabularClassifier(n_estimators=2, random_state=0, hidden_layer_sizes=16).fit(x, classes)
    assert [view.view for view in model.ensemble_.views] == ["pieces", "standardised"][not are_steps :]

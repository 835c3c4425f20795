"""A fit to a table that is killed goes on at the stage it was in, and makes the same model to the bit."""

from itertools import count
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from killing import Killed, kill_at
from vecprop import Checkpoint, TabularClassifier, TabularRegressor, load, save
from vecprop.files.checkpoint import store as pace
from vecprop.tables.ensemble import stages as module
from vecprop.train.compiled.training_loop import CompiledCohort

FEW: dict[str, Any] = {"n_members": 3, "hidden_layer_sizes": 6, "max_iter": 8, "random_state": 0}
R = np.random.default_rng(5)
X = pd.DataFrame({"a": R.normal(size=120), "b": R.normal(size=120), "c": R.choice(list("xyz"), 120)})
NUMBERS = np.sin(2 * X.a) + X.b + 0.3 * R.normal(size=120)
CLASSES = np.where(X.a * X.b + 0.3 * R.normal(size=120) > 0, "yes", "no")


@pytest.fixture(autouse=True)
def kept_often(monkeypatch):
    monkeypatch.setattr(pace, "SHARE", np.inf)


def unfitted(model: Any, **settings: Any) -> Any:
    """Return a model with other settings, which is not fitted."""
    again: Any = clone(model)
    return again.set_params(**settings)


def assert_same(one, whole):
    assert one.stages_ == whole.stages_
    assert one.validation_loss_ == whole.validation_loss_
    assert one.loss_curves_ == whole.loss_curves_
    assert one.validation_loss_curves_ == whole.validation_loss_curves_
    np.testing.assert_array_equal(one.out_of_fold_, whole.out_of_fold_)
    for own, of in zip(one.ensembles, whole.ensembles, strict=True):
        for view, of_whole in zip(own.views, of.views, strict=True):
            assert (view.view, view.stage, view.share) == (of_whole.view, of_whole.stage, of_whole.share)
            np.testing.assert_array_equal(view.thetas, of_whole.thetas)


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (TabularClassifier(**FEW, stages=3), CLASSES),
        pytest.param(
            TabularRegressor(**FEW, stages=2, loss="quantile", quantile=(0.1, 0.5, 0.9)),
            NUMBERS,
            marks=pytest.mark.long,
        ),
    ],
    ids=["classes", "quantiles"],
)
def test_a_fit_that_is_killed_anywhere_goes_on_to_the_bit(model, y, tmp_path, monkeypatch):
    whole = unfitted(model).fit(X, y)
    kept = unfitted(model, checkpoint=Checkpoint(tmp_path / "folder", every=0))
    for kill in (1, 1, 0, 1):  # in the first stage, then as the second begins, as its networks are kept, in the third
        with monkeypatch.context() as patch:
            kill_at(patch, kill)
            try:
                unfitted(kept).fit(X, y)
            except Killed:
                continue
            assert model.stages < 3
    assert_same(kept.fit(X, y), whole)
    monkeypatch.setattr(CompiledCohort, "run", lambda cohorts, monitor: pytest.fail("it is trained"))
    assert_same(unfitted(kept).fit(X, y), whole)
    save(kept, tmp_path / "model.npz")
    assert load(tmp_path / "model.npz").checkpoint is None


def test_a_model_that_is_trained_anew_is_kept_too(tmp_path, monkeypatch):
    kept: Any = TabularRegressor(**FEW, checkpoint=Checkpoint(tmp_path, every=0)).fit(X, NUMBERS)
    whole = unfitted(kept, checkpoint=None).fit(X, NUMBERS).refitted(X, NUMBERS)
    with monkeypatch.context() as patch:
        kill_at(patch, 1)
        with pytest.raises(Killed):
            kept.refitted(X, NUMBERS)
    np.testing.assert_array_equal(kept.refitted(X, NUMBERS).predict(X), whole.predict(X))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["anew", "stage-1"]


def test_a_budget_counts_the_seconds_before_and_ends_stages_that_were_begun(tmp_path, monkeypatch):
    seconds = count()
    monkeypatch.setattr(module, "perf_counter", lambda: 0.01 * next(seconds))
    kept: Any = TabularRegressor(**FEW, budget=1e9, checkpoint=Checkpoint(tmp_path, every=0))
    monkeypatch.setattr(module, "MOST_STAGES", 4)
    with monkeypatch.context() as patch:
        kill_at(patch, 5)  # the networks of the third stage
        with pytest.raises(Killed):
            unfitted(kept).fit(X, NUMBERS)
    again = unfitted(kept, budget=1e-9).fit(X, NUMBERS)
    assert again.stages_ == 3
    assert_same(again, unfitted(kept, checkpoint=None, budget=None, stages=3).fit(X, NUMBERS))
    schedule = module.Schedule(None, 9.0, None, Checkpoint(tmp_path))
    schedule.checkpoint.seconds = 5.0
    assert schedule.seconds > 5


@pytest.mark.parametrize(
    ("changed", "y", "named"),
    [
        ({}, NUMBERS**3, "its T differs"),
        ({"random_state": 1}, NUMBERS, "its .*seed and its start differ"),
        ({"dropout": 0.5}, NUMBERS, "its network differs"),
        ({"learning_rate_init": 0.02}, NUMBERS, "its optimizer differs"),
    ],
    ids=["target", "seed", "network", "optimizer"],
)
def test_the_folder_of_another_fit_is_refused(changed, y, named, tmp_path):
    kept: Any = TabularRegressor(**FEW, checkpoint=Checkpoint(tmp_path / "folder")).fit(X, NUMBERS)
    with pytest.raises(ValueError, match=f"stage-1 is the checkpoint of another run: {named}"):
        unfitted(kept, **changed).fit(X, y)


def test_what_cannot_be_kept_is_said_before_training(tmp_path):
    with pytest.raises(ValueError, match="random_state is None, so that each call of fit trains other networks"):
        TabularRegressor(checkpoint=Checkpoint(tmp_path)).fit(X, NUMBERS)
    with pytest.raises(ValueError, match="The 'checkpoint' parameter"):
        TabularRegressor(random_state=0, checkpoint="folder").fit(X, NUMBERS)
    assert not list(tmp_path.iterdir())

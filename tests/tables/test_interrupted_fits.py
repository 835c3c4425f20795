"""Progress, interruption and resumption of fits to tables."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from conditions import Killed, kill_at
from models import fresh as unfitted
from vecprop import Checkpoint, TabularClassifier, TabularRegressor, load, save

FEW: dict[str, Any] = {
    "n_estimators": 3,
    "hidden_layer_sizes": 8,
    "max_iter": 12,
    "random_state": 0,
}
FEWER: dict[str, Any] = FEW | {"max_iter": 3}
R = np.random.default_rng(5)
X = pd.DataFrame(
    {"a": R.normal(size=160), "b": R.normal(size=160), "c": R.choice(list("xyz"), 160)}
)
NUMBERS = np.sin(2 * X.a) + X.b + 0.3 * R.normal(size=160)
CLASSES = np.where(X.a * X.b + 0.3 * R.normal(size=160) > 0, "yes", "no")


def predicted(model):
    return (
        model.predict_proba(X)
        if hasattr(model, "predict_proba")
        else model.predict_interval(X)
    )


def test_progress_rises_to_the_end(telling):
    seen = []
    TabularClassifier(**FEWER, progress=seen.append).fit(X, CLASSES)
    shares, rows = [now.share for now in seen], [now.rows for now in seen]
    assert (shares, rows) == (sorted(shares), sorted(rows))
    assert shares[-1] == pytest.approx(1)


def test_an_interrupted_model_can_be_saved_and_refitted(telling, tmp_path):
    cut = TabularRegressor(**FEW, progress=lambda now: now.share > 0.1).fit(X, NUMBERS)
    assert "interrupted" in vars(cut.notes_[-1]).values()
    save(cut.set_params(progress=None), tmp_path / "model.npz")
    np.testing.assert_array_equal(
        predicted(load(tmp_path / "model.npz")), predicted(cut)
    )
    lowest = [np.argmin(curve) for curve in cut.validation_loss_curves_ if curve]
    assert 0 < len(lowest) < len(cut.validation_loss_curves_)
    assert cut.refit(X, NUMBERS).n_iter_ == max(np.median(lowest), 1)


@pytest.fixture
def kept_often(limit):
    limit("checkpoint: share of the time", np.inf)


def assert_same(one, whole):
    assert one.validation_loss_ == whole.validation_loss_
    assert one.loss_curves_ == whole.loss_curves_
    assert one.validation_loss_curves_ == whole.validation_loss_curves_
    np.testing.assert_array_equal(one.out_of_fold_, whole.out_of_fold_)
    for own, of in zip(one._ensembles, whole._ensembles, strict=True):
        for view, of_whole in zip(own.views, of.views, strict=True):
            assert (view.view, view.share) == (of_whole.view, of_whole.share)
            np.testing.assert_array_equal(view.thetas, of_whole.thetas)


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (TabularClassifier(**FEWER), CLASSES),
        pytest.param(
            TabularRegressor(**FEWER, loss="quantile", quantile=(0.1, 0.5, 0.9)),
            NUMBERS,
            marks=pytest.mark.long,
        ),
    ],
    ids=["classes", "quantiles"],
)
def test_a_killed_fit_resumes_bit_identically(
    model, y, tmp_path, kept_often, monkeypatch
):
    whole = unfitted(model).fit(X, y)
    kept = unfitted(model, checkpoint=Checkpoint(tmp_path / "folder", every=0))
    for kill in (1, 0):  # while the first networks are saved, and before
        with monkeypatch.context() as patch:
            kill_at(patch, kill)
            with pytest.raises(Killed):
                unfitted(kept).fit(X, y)
    assert_same(kept.fit(X, y), whole)
    kill_at(monkeypatch, 0)  # nothing is trained, and so nothing is written
    assert_same(unfitted(kept).fit(X, y), whole)
    monkeypatch.undo()
    save(kept, tmp_path / "model.npz")
    assert load(tmp_path / "model.npz").checkpoint is None


def test_a_killed_refit_resumes(tmp_path, kept_often, monkeypatch):
    kept: Any = TabularRegressor(**FEWER, checkpoint=Checkpoint(tmp_path, every=0)).fit(
        X, NUMBERS
    )
    whole = unfitted(kept, checkpoint=None).fit(X, NUMBERS).refit(X, NUMBERS)
    with monkeypatch.context() as patch:
        kill_at(patch, 1)
        with pytest.raises(Killed):
            kept.refit(X, NUMBERS)
    np.testing.assert_array_equal(kept.refit(X, NUMBERS).predict(X), whole.predict(X))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["refit", "stage-1"]


def test_the_checkpoint_folder_of_another_fit_is_rejected(tmp_path):
    kept: Any = TabularRegressor(
        **FEWER, checkpoint=Checkpoint(tmp_path / "folder")
    ).fit(X, NUMBERS)
    for changed, y, named in (
        ({}, NUMBERS**3, "its T differs"),
        ({"random_state": 1}, NUMBERS, "its .*seed and its start differ"),
        ({"dropout": 0.5}, NUMBERS, "its network differs"),
        ({"learning_rate_init": 0.02}, NUMBERS, "its optimizer differs"),
    ):
        with pytest.raises(
            ValueError, match=f"stage-1 is the checkpoint of another run: {named}"
        ):
            unfitted(kept, **changed).fit(X, y)


def test_invalid_checkpoints_are_rejected_before_training(tmp_path):
    settings: Any
    for settings, said in (
        (
            {"checkpoint": Checkpoint(tmp_path)},
            "random_state is None, so each call of fit trains different networks",
        ),
        ({"checkpoint": "folder", "random_state": 0}, "The 'checkpoint' parameter"),
    ):
        with pytest.raises(ValueError, match=said):
            TabularRegressor(**settings).fit(X, NUMBERS)
    assert not list(tmp_path.iterdir())

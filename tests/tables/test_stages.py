"""Stages: selection of further networks, time limits, progress, interruption and resuming."""

import pickle
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from killing import Killed, kill_at
from models import fresh as unfitted
from sampled import sampled
from vecprop import Checkpoint, Dense, Dropout, TabularClassifier, TabularRegressor, Tanh, TrainingResult, load, save
from vecprop.files.checkpoint import store as pace
from vecprop.tables.ensemble import stages as module
from vecprop.tables.ensemble.ensemble import results_of
from vecprop.tables.ensemble.stages import SEQUENCE, Schedule, Stage, StagedEnsemble
from vecprop.tables.table_model import CUT_SHORT

FEW: dict[str, Any] = {"n_estimators": 3, "hidden_layer_sizes": 8, "max_iter": 12, "random_state": 0}
FEWER: dict[str, Any] = FEW | {"max_iter": 3}
R = np.random.default_rng(5)
X = pd.DataFrame({"a": R.normal(size=160), "b": R.normal(size=160), "c": R.choice(list("xyz"), 160)})
NUMBERS = np.sin(2 * X.a) + X.b + 0.3 * R.normal(size=160)
CLASSES = np.where(X.a * X.b + 0.3 * R.normal(size=160) > 0, "yes", "no")
MODELS: dict[str, Any] = {
    "classifier": (TabularClassifier(**FEW), CLASSES),
    "regressor": (TabularRegressor(**FEW), NUMBERS),
    "quantiles": (TabularRegressor(loss="quantile", quantile=(0.1, 0.5, 0.9), **FEW), NUMBERS),
}


@pytest.fixture(scope="module", params=MODELS)
def both(request):
    """A model of one stage and one of several, with the target."""
    model, y = MODELS[request.param]
    return unfitted(model).fit(X, y), unfitted(model, stages=7 if request.param == "classifier" else 3).fit(X, y), y


def stages_of(model):
    return [(view.view, view.stage) for view in model.ensemble_.views]


def predicted(model):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict_interval(X)


def clock(monkeypatch, seconds):
    """Advance the clock by some seconds at each call."""
    times = (seconds * number for number in count())
    monkeypatch.setattr(module, "perf_counter", lambda: next(times))


def frozen(monkeypatch):
    """Replace the clock by the entry of a list."""
    now = [0.0]
    monkeypatch.setattr(module, "perf_counter", lambda: now[0])
    return now


def fits(epochs, size=1) -> Any:
    """Return fits for a schedule, of one network with ``size`` parameters."""
    network = SimpleNamespace(layout=SimpleNamespace(size=size))
    view = SimpleNamespace(training=SimpleNamespace(epochs=epochs), networks=[network])
    return [SimpleNamespace(stream=None, views=[view])]


def test_more_stages_do_not_increase_the_out_of_fold_loss(both):
    one, more, _ = both
    assert (one.stages_, more.stages_) == (1, more.stages)
    assert more.validation_loss_ < one.validation_loss_
    assert stages_of(more)[:2] == stages_of(one) == [("pieces", 1), ("standardised", 1)]
    assert 2 < len(stages_of(more)) <= more.stages + 1
    assert all((view, stage) == (SEQUENCE[stage - 2].view, stage) for view, stage in stages_of(more)[2:])
    for first, own in zip(one.ensemble_.views, more.ensemble_.views, strict=False):
        np.testing.assert_array_equal(first.thetas, own.thetas)
    assert sum(view.share for view in more.ensemble_.views) == pytest.approx(1)
    assert len(more.loss_curves_) == sum(map(len, more._ensembles))
    assert np.isfinite(more.out_of_fold_).all()


def test_a_stage_changes_layers_and_training(monkeypatch):
    own = Stage("pieces", "tanh", deeper=1, dropout=0.25, patience=3, decay=0.5)
    monkeypatch.setattr(module, "SEQUENCE", [own])
    model = unfitted(TabularClassifier(**FEW), hidden_layer_sizes=(8, 5), dropout=0.1, activation="elu")
    plan = model._plan(X, CLASSES)
    before: Any = plan.fit.members()[0]
    after: Any = plan.fit_of_stage(2).members()[0]
    expected = [Dense(8), Tanh(), Dropout(0.25), Dense(5), Tanh(), Dropout(0.25), Dense(5), Tanh(), Dropout(0.25)]
    assert after.network.layers == (*expected, Dense(2))
    assert after.early_stopping.patience == 3 * before.early_stopping.patience
    assert after.optimizer == replace(before.optimizer, weight_decay=before.optimizer.weight_decay / 2)
    seeds = [member.seed for number in range(2, 5) for member in plan.fit_of_stage(number).members()]
    assert len({*seeds, *(member.seed for member in plan.fit.members())}) == len(seeds) + 6


@pytest.mark.parametrize("model", [TabularClassifier, TabularRegressor])
def test_no_stage_repeats_the_first(model):
    for first in model._first_stage:
        assert replace(first, activation=model._auto_activations[first.view]) not in SEQUENCE


def test_stages_with_a_diverged_network_are_dropped(monkeypatch):
    monkeypatch.setattr("vecprop.tables.ensemble.stages.PROGRESS", -9.0)
    model = TabularRegressor(**FEW)
    plan = model._plan(X, NUMBERS)
    (results,) = results_of([plan.fit], None)
    later, begun = plan.fit_of_stage(2), StagedEnsemble.of(plan, plan.fit.outcome(results))
    (results,) = results_of([later], None)
    assert begun.with_stage(later, results) is not begun
    results = [*results[:2], TrainingResult(results[2].theta, results[2].history, results[2].state, "diverged")]
    assert begun.with_stage(later, results) is begun


def test_stages_without_improvement_are_dropped(monkeypatch):
    model, y = MODELS["classifier"]
    one = unfitted(model).fit(X, y)
    monkeypatch.setattr("vecprop.tables.ensemble.stages.PROGRESS", 0.9)
    more = unfitted(model, stages=3).fit(X, y)
    assert (more.stages_, more.validation_loss_, stages_of(more)) == (3, one.validation_loss_, stages_of(one))
    np.testing.assert_array_equal(predicted(more), predicted(one))


@pytest.mark.parametrize("name", sampled(MODELS, 3))
def test_a_time_limit_only_determines_the_number_of_stages(name, monkeypatch):
    model, y = MODELS[name]
    clock(monkeypatch, 1.0)
    spent = unfitted(model, time_limit=7.5).fit(X, y)
    assert 2 < spent.stages_ < 12
    again = unfitted(model, stages=spent.stages_, n_jobs=1).fit(X, y)
    assert stages_of(again) == stages_of(spent)
    np.testing.assert_array_equal(again.ensemble_.theta, spent.ensemble_.theta)
    np.testing.assert_array_equal(predicted(again), predicted(spent))
    assert again.validation_loss_ == spent.validation_loss_


@pytest.mark.parametrize(("time_limit", "stages"), [(0.5, 1), (19.0, 1), (21.0, 2), (41.0, 6), (10.0**9, 16)])
def test_a_stage_starts_only_if_it_is_likely_to_finish_in_time(monkeypatch, time_limit, stages):
    now = frozen(monkeypatch)
    schedule: Any = Schedule(None, time_limit, None)
    now[0] += 10
    schedule.end_stage(fits(1, size=2), 0.5)  # five seconds for a work of one
    for work in (2, *[1] * 20):
        if not schedule.continues(fits(work)):
            break
        now[0] += 5 * work
        schedule.end_stage(fits(work), 0.4)
    assert schedule.stages_done == stages
    assert time_limit < 10 or now[0] <= time_limit


def test_the_final_fit_counts_towards_the_time_limit(monkeypatch):
    now = frozen(monkeypatch)
    schedules: list[Any] = [Schedule(None, time_limit, None) for time_limit in (29.9, 30.1)]
    now[0] += 10
    for schedule in schedules:
        schedule.end_stage(fits(1, size=2), 0.5)
    assert [schedule.continues(fits(1), fits(3)) for schedule in schedules] == [False, True]


def test_progress_contains_the_stage_and_the_best_loss(telling):
    seen = []
    model = TabularClassifier(**FEWER, stages=3, progress=seen.append).fit(X, CLASSES)
    assert sorted({now.stage for now in seen}) == [1, 2, 3]
    shares = [now.share for now in seen]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert np.isnan(seen[0].best)
    assert seen[-1].best >= model.validation_loss_
    rows = [now.rows for now in seen]
    assert rows == sorted(rows)


def test_a_bar_shows_the_stage_and_the_best_loss(telling, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    one = TabularClassifier(**FEWER).fit(X, CLASSES)
    assert not capsys.readouterr().err
    TabularClassifier(**FEWER, stages=2, verbose=True).fit(X, CLASSES)
    assert f"stage 2, best {one.validation_loss_:.4g}" in capsys.readouterr().err


def test_an_interruption_discards_the_current_stage(telling):
    def raising(now):
        if now.stage == 3:
            raise KeyboardInterrupt

    two = TabularRegressor(**FEWER, stages=2).fit(X, NUMBERS)
    for stop in (lambda now: now.stage == 3, raising):
        cut = TabularRegressor(**FEWER, stages=5, progress=stop).fit(X, NUMBERS)
        assert (cut.stages_, cut.notes_[-1]) == (2, CUT_SHORT)
        np.testing.assert_array_equal(predicted(cut), predicted(two))


def test_a_model_interrupted_in_the_first_stage_can_be_saved_and_refitted(telling, tmp_path):
    cut = TabularRegressor(**FEW, progress=lambda now: now.share > 0.1).fit(X, NUMBERS)
    assert (cut.stages_, cut.notes_[-1]) == (1, CUT_SHORT)
    save(cut.set_params(progress=None), tmp_path / "model.npz")
    np.testing.assert_array_equal(predicted(load(tmp_path / "model.npz")), predicted(cut))
    lowest = [np.argmin(curve) for curve in cut.validation_loss_curves_ if curve]
    assert 0 < len(lowest) < len(cut.validation_loss_curves_)
    assert cut.refit(X, NUMBERS).n_iter_ == max(np.median(lowest), 1)


def test_models_of_several_stages_can_be_saved_and_refitted(both, tmp_path):
    _, more, y = both
    save(more, tmp_path / "model.npz")
    for other in (load(tmp_path / "model.npz"), pickle.loads(pickle.dumps(more))):
        assert (other.stages_, stages_of(other)) == (more.stages, stages_of(more))
        np.testing.assert_array_equal(predicted(other), predicted(more))
    anew = more.refit(X, y)
    assert (anew.stages_, stages_of(anew)) == (more.stages, stages_of(more))
    for own, before in zip(anew.ensemble_.views, more.ensemble_.views, strict=True):
        assert (own.network, own.thetas.shape) == (before.network, before.thetas.shape)
        assert (own.share, own.inverse_temperature) == (before.share, before.inverse_temperature)
        assert (own.thetas != before.thetas).any()


@pytest.mark.parametrize("argument", [{"groups": np.arange(160) % 20}, {"time": np.arange(160)}])
def test_groups_times_and_weights_apply_to_all_stages(argument: Any):
    weight = np.where(np.arange(160) % 3, 1.0, 0.0)
    model = TabularRegressor(**FEWER, stages=2).fit(X, NUMBERS, sample_weight=weight, **argument)
    assert np.isnan(model.out_of_fold_[weight == 0]).all()
    assert np.isfinite(predicted(model)).all()


@pytest.fixture
def kept_often(monkeypatch):
    monkeypatch.setattr(pace, "SHARE", np.inf)


def assert_same(one, whole):
    assert one.stages_ == whole.stages_
    assert one.validation_loss_ == whole.validation_loss_
    assert one.loss_curves_ == whole.loss_curves_
    assert one.validation_loss_curves_ == whole.validation_loss_curves_
    np.testing.assert_array_equal(one.out_of_fold_, whole.out_of_fold_)
    for own, of in zip(one._ensembles, whole._ensembles, strict=True):
        for view, of_whole in zip(own.views, of.views, strict=True):
            assert (view.view, view.stage, view.share) == (of_whole.view, of_whole.stage, of_whole.share)
            np.testing.assert_array_equal(view.thetas, of_whole.thetas)


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (TabularClassifier(**FEWER, stages=3), CLASSES),
        pytest.param(
            TabularRegressor(**FEWER, stages=2, loss="quantile", quantile=(0.1, 0.5, 0.9)),
            NUMBERS,
            marks=pytest.mark.long,
        ),
    ],
    ids=["classes", "quantiles"],
)
def test_a_killed_fit_resumes_bit_identically(model, y, tmp_path, kept_often, monkeypatch):
    whole = unfitted(model).fit(X, y)
    kept = unfitted(model, checkpoint=Checkpoint(tmp_path / "folder", every=0))
    for kill in (
        1,
        1,
        0,
        1,
    ):  # in the first stage, at the start of the second, while its networks are saved, in the third
        with monkeypatch.context() as patch:
            kill_at(patch, kill)
            try:
                unfitted(kept).fit(X, y)
            except Killed:
                continue
            assert model.stages < 3
    assert_same(kept.fit(X, y), whole)
    kill_at(monkeypatch, 0)  # nothing is trained, and so nothing is written
    assert_same(unfitted(kept).fit(X, y), whole)
    monkeypatch.undo()
    save(kept, tmp_path / "model.npz")
    assert load(tmp_path / "model.npz").checkpoint is None


def test_a_killed_refit_resumes(tmp_path, kept_often, monkeypatch):
    kept: Any = TabularRegressor(**FEWER, checkpoint=Checkpoint(tmp_path, every=0)).fit(X, NUMBERS)
    whole = unfitted(kept, checkpoint=None).fit(X, NUMBERS).refit(X, NUMBERS)
    with monkeypatch.context() as patch:
        kill_at(patch, 1)
        with pytest.raises(Killed):
            kept.refit(X, NUMBERS)
    np.testing.assert_array_equal(kept.refit(X, NUMBERS).predict(X), whole.predict(X))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["refit", "stage-1"]


def test_a_time_limit_includes_earlier_runs_and_started_stages_finish(tmp_path, kept_often, monkeypatch):
    clock(monkeypatch, 0.01)
    kept: Any = TabularRegressor(**FEWER, time_limit=1e9, checkpoint=Checkpoint(tmp_path, every=0))
    monkeypatch.setattr(module, "MAX_STAGES", 4)
    with monkeypatch.context() as patch:
        kill_at(patch, 5)  # the networks of the third stage
        with pytest.raises(Killed):
            unfitted(kept).fit(X, NUMBERS)
    again = unfitted(kept, time_limit=1e-9).fit(X, NUMBERS)
    assert again.stages_ == 3
    assert_same(again, unfitted(kept, checkpoint=None, time_limit=None, stages=3).fit(X, NUMBERS))
    schedule = module.Schedule(None, 9.0, None, Checkpoint(tmp_path))
    schedule.checkpoint._seconds = 5.0
    assert schedule.seconds > 5


def test_the_checkpoint_folder_of_another_fit_is_rejected(tmp_path):
    kept: Any = TabularRegressor(**FEWER, checkpoint=Checkpoint(tmp_path / "folder")).fit(X, NUMBERS)
    for changed, y, named in (
        ({}, NUMBERS**3, "its T differs"),
        ({"random_state": 1}, NUMBERS, "its .*seed and its start differ"),
        ({"dropout": 0.5}, NUMBERS, "its network differs"),
        ({"learning_rate_init": 0.02}, NUMBERS, "its optimizer differs"),
    ):
        with pytest.raises(ValueError, match=f"stage-1 is the checkpoint of another run: {named}"):
            unfitted(kept, **changed).fit(X, y)


def test_invalid_stages_time_limits_and_checkpoints_are_rejected_before_training(tmp_path):
    settings: Any
    for settings, said in (
        ({"stages": 2, "time_limit": 5.0}, r"stages=2 and time_limit=5.0 are both set: pass"),
        ({"stages": 0}, "'stages' parameter"),
        ({"time_limit": 0}, "'time_limit' parameter"),
        ({"time_limit": float("inf")}, "'time_limit' parameter"),
        ({"checkpoint": Checkpoint(tmp_path)}, "random_state is None, so each call of fit trains different networks"),
        ({"checkpoint": "folder", "random_state": 0}, "The 'checkpoint' parameter"),
    ):
        with pytest.raises(ValueError, match=said):
            TabularRegressor(**settings).fit(X, NUMBERS)
    assert not list(tmp_path.iterdir())


def test_n_iter_counts_the_epochs_of_later_stages():
    few: dict[str, Any] = FEW | {"n_estimators": 2, "max_iter": 60, "n_iter_no_change": 2}
    models = [unfitted(TabularRegressor(**few), stages=4, random_state=seed).fit(X, NUMBERS) for seed in range(6)]
    assert [model.n_iter_ for model in models] == [max(map(len, model.loss_curves_)) for model in models]
    first = [max(map(len, model.loss_curves_[:4])) for model in models]
    assert any(model.n_iter_ > epochs for model, epochs in zip(models, first, strict=True))

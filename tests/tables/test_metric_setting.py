"""The setting ``metric``: a scikit-learn scorer that stops training and chooses thresholds."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import f1_score, make_scorer, mean_absolute_error

from vecprop import Checkpoint, TabularClassifier, TabularRegressor, load, save
from vecprop.tables import TableError, evaluate

YES: Any = "yes"
FEW: Any = {
    "n_estimators": 2,
    "max_iter": 12,
    "hidden_layer_sizes": 8,
    "random_state": 0,
}


def table(seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
    frame["sold"] = np.where(frame["a"] + rng.normal(size=200) > 1, "yes", "no")
    return frame


OLD, NEW = table(0), table(1)


def classifier(metric, **settings):
    return TabularClassifier("sold", metric=metric, **FEW, **settings).fit(OLD)


@cache
def classifier_of_f1():
    """Return a classifier that maximizes F1, which tests do not change."""
    return classifier("f1")


class Third:
    """A scorer that prefers the predictions of the third call for each network."""

    def __init__(self):
        self.predictions = []

    def __call__(self, model, X, y):
        if len(y) == len(OLD):  # the check before training
            return 0.0
        self.predictions.append(model.predict(X))
        return float(len(self.predictions) % 8 == 3)


def test_networks_get_the_parameters_with_the_best_score():
    scorer = Third()
    frame = OLD.drop(columns="sold")
    model = TabularRegressor("b", metric=scorer, **FEW | {"max_iter": 7}).fit(frame)
    assert model.validation_loss_curves_ == [[0, 0, -1, 0, 0, 0, 0, 0]] * 4
    rows = np.split(np.arange(200), [100])
    view = model.ensemble_.views[0]
    inputs = model.encoder_(frame)[:, view.inputs]
    outputs = view.network.predict(view.thetas[0], inputs)
    predicted = model._in_units(outputs[:, 0])
    chosen = scorer.predictions[2]
    is_in = np.isin(np.round(predicted, 6), np.round(chosen, 6))
    assert len(chosen) == len(rows[0])
    assert is_in.sum() == 100


def test_a_score_without_progress_ends_training():
    model = TabularClassifier(
        "sold", metric=lambda model, X, y: 0.5, n_iter_no_change=3, **FEW
    ).fit(OLD)
    assert model.n_iter_ == 3


def test_the_log_loss_stops_as_the_loss_does():
    plain = TabularClassifier("sold", label_smoothing=0, **FEW).fit(OLD)
    scored = classifier("neg_log_loss", label_smoothing=0)
    for loss, score in zip(
        plain.validation_loss_curves_, scored.validation_loss_curves_, strict=True
    ):
        assert score[: len(loss)] == pytest.approx(loss, rel=1e-4)
    assert scored.ensemble_.theta == pytest.approx(plain.ensemble_.theta, rel=1e-3)


def test_a_metric_of_decisions_chooses_the_threshold():
    model = classifier_of_f1()
    assert 0 < model.threshold_ < 0.5
    predicted = model.predict(NEW)
    default = TabularClassifier("sold", **FEW).fit(OLD).predict(NEW)
    assert f1_score(NEW["sold"], predicted, pos_label=YES) > f1_score(
        NEW["sold"], default, pos_label=YES
    )
    assert not hasattr(classifier("roc_auc"), "threshold_")
    assert classifier("f1", threshold=0.3).threshold_ == 0.3


def absolute_error(model, X, y):
    return -mean_absolute_error(y, model.predict(X))


def test_scorers_by_name_and_as_functions_are_the_same():
    own = make_scorer(f1_score, pos_label=YES)
    expected = classifier_of_f1().predict_proba(NEW)
    assert (classifier(own).predict_proba(NEW) == expected).all()
    frame = OLD.drop(columns="sold")
    named: Any = TabularRegressor("b", metric="neg_mean_absolute_error", **FEW).fit(
        frame
    )
    free: Any = TabularRegressor("b", metric=absolute_error, **FEW).fit(frame)
    assert (named.predict(NEW) == free.predict(NEW)).all()
    assert named.validation_loss_curves_ == free.validation_loss_curves_


def test_the_first_line_has_the_metric(tmp_path):
    model = classifier_of_f1()
    evaluation: Any = evaluate(model, NEW, baselines=False)
    expected = f1_score(NEW["sold"], model.predict(NEW), pos_label=YES)
    assert f"The metric f1 is {expected:.3g}." in evaluation.summary
    save(model, tmp_path / "model.npz")
    loaded: Any = load(tmp_path / "model.npz")
    assert (loaded.predict(NEW) == model.predict(NEW)).all()
    copy: Any = clone(loaded)
    assert copy.metric == "f1"


def test_wrong_metrics(tmp_path):
    wrong: Any = (
        (
            {"metric": "acuracy"},
            "is not the name of .* scorer: did you mean 'accuracy'",
        ),
        ({"metric": "f2"}, "is not the name of a scikit-learn scorer: see get_scor"),
        ({"metric": 3}, "'metric' parameter"),
        ({"metric": "f1", "checkpoint": Checkpoint(tmp_path)}, "with checkpoint"),
    )
    for settings, message in wrong:
        with pytest.raises(ValueError, match=message):
            TabularClassifier("sold", **FEW, **settings).fit(OLD)
    with pytest.raises(TableError, match="metric needs one target"):
        TabularRegressor(["a", "b"], metric="r2", **FEW).fit(OLD)


def test_a_metric_that_does_not_fit_the_target_is_refused_before_training():
    frame = OLD.drop(columns="sold")
    with pytest.raises(TableError, match=r"The metric does not fit the target 'b': "):
        TabularRegressor("b", metric="f1", **FEW).fit(frame)
    with pytest.raises(TableError, match=r"positional arguments? but 3 were given"):
        TabularRegressor("b", metric=lambda y: 1.0, **FEW).fit(frame)
    table = OLD.assign(sold=np.arange(len(OLD)) % 3)
    with pytest.raises(TableError, match="multiclass but average='binary'"):
        TabularClassifier("sold", metric="f1", **FEW).fit(table)

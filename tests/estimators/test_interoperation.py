"""Test estimators with frames, pipelines, searches, routing, pickles, other arrays and callbacks."""

import copy
import io
import pickle
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score, get_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vecprop import MLPClassifier, MLPRegressor

X, y = map(np.asarray, load_iris(return_X_y=True))
FEW = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}
NAMES = ["a", "b", "c", "d"]


def frame(library):
    module = pytest.importorskip(library)
    return module.DataFrame({name: X[:, column] for column, name in enumerate(NAMES)})


@pytest.mark.parametrize(
    ("library", "early_stopping"), [("pandas", True), ("polars", False)]
)
def test_frames(library, early_stopping):
    X_frame = frame(library)
    labels = X_frame["a"].__class__(np.array(["x", "y", "z"])[y])
    model = MLPClassifier(early_stopping=early_stopping, scoring="accuracy", **FEW).fit(
        X_frame, labels
    )
    assert model.feature_names_in_.tolist() == NAMES
    plain = MLPClassifier(early_stopping=early_stopping, scoring="accuracy", **FEW).fit(
        X, y
    )
    np.testing.assert_array_equal(model.theta_, plain.theta_)
    assert set(model.predict(X_frame)) <= {"x", "y", "z"}
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X_frame[NAMES[::-1]])


@pytest.mark.long
def test_scores_in_other_processes():
    scores = cross_val_score(MLPRegressor(**FEW), X, y, cv=2, n_jobs=2)
    np.testing.assert_array_equal(
        scores, cross_val_score(MLPRegressor(**FEW), X, y, cv=2)
    )


def test_metadata_is_routed():
    weight = np.linspace(0, 2, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLPClassifier(**FEW).set_fit_request(
            sample_weight=True, X_val=True, y_val=True
        )
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline: Any = make_pipeline(scaler, model).fit(
            X, y, sample_weight=weight, X_val=X[:20], y_val=y[:20]
        )
    scaled = StandardScaler().fit_transform(X)
    alone = MLPClassifier(**FEW).fit(
        scaled, y, sample_weight=weight, X_val=X[:20], y_val=y[:20]
    )
    np.testing.assert_array_equal(pipeline.steps[-1][1].theta_, alone.theta_)
    assert pipeline.steps[-1][1].validation_loss_curve_ == alone.validation_loss_curve_


def test_html_and_text():
    model = MLPClassifier(**FEW)
    assert "MLPClassifier" in model._repr_html_()
    assert (
        repr(model)
        == "MLPClassifier(hidden_layer_sizes=(6,), max_iter=5, random_state=0)"
    )


def test_copies_predict_the_same_and_are_independent():
    model = MLPClassifier(**FEW).fit(X, y)
    before = model.predict_proba(X)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    for other in (
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        joblib.load(file),
    ):
        np.testing.assert_array_equal(other.predict_proba(X), before)
        other.intercepts_[-1][:] = [100, 0, 0]
        assert set(other.predict(X)) == {0}
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert not hasattr(clone(model), "theta_")


def test_arrays_of_other_libraries_become_numpy():
    strict = pytest.importorskip("array_api_strict")
    model = MLPClassifier(**FEW).fit(strict.asarray(X), strict.asarray(y))
    np.testing.assert_array_equal(model.theta_, MLPClassifier(**FEW).fit(X, y).theta_)
    assert isinstance(model.predict(strict.asarray(X)), np.ndarray)
    assert not model.__sklearn_tags__().array_api_support


@pytest.mark.parametrize("F", [np.float32, np.float64])
def test_the_order_of_bytes_changes_nothing(F):
    own, foreign = X.astype(F), X.astype(np.dtype(F).newbyteorder("S"))
    models = [
        MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, random_state=0).fit(rows, y)
        for rows in (own, foreign)
    ]
    np.testing.assert_array_equal(models[0].theta_, models[1].theta_, strict=True)
    np.testing.assert_array_equal(
        models[0].predict(own), models[0].predict(foreign), strict=True
    )


def test_a_scorer_receives_a_model_that_predicts():
    class Scorer:
        def __call__(self, model, X, y):
            return accuracy_score(y, model.predict(X))

    one: Any = MLPClassifier(scoring=Scorer(), **FEW).fit(X, y)
    other: Any = MLPClassifier(scoring=get_scorer("accuracy"), **FEW).fit(X, y)
    assert one.score_curve_ == other.score_curve_
    weight = np.where(y == 0, 0.0, 1.0)
    one, other = (
        one.fit(X, y, sample_weight=weight),
        other.fit(X, y, sample_weight=weight),
    )
    assert one.score_curve_[-1] == accuracy_score(y, one.predict(X))
    assert other.score_curve_[-1] == accuracy_score(y[y > 0], other.predict(X[y > 0]))


callback: Any = (
    pytest.importorskip("sklearn.callback") if sklearn.__version__ >= "1.9" else None
)


@pytest.mark.skipif(
    callback is None, reason="scikit-learn has callbacks from release 1.9 on"
)
class TestCallbacks:
    def test_the_scoring_monitor_scores_each_epoch(self):
        monitor = callback.ScoringMonitor(scoring="accuracy")
        model = MLPClassifier(**FEW).set_callbacks(monitor).fit(X, y)
        scores = [
            row["accuracy"]
            for row in monitor.get_logs().data
            if row["task_name"] == "epoch"
        ]
        assert scores == MLPClassifier(scoring="accuracy", **FEW).fit(X, y).score_curve_
        assert model.n_iter_ == 5

    def test_hooks_are_called_in_pairs_and_may_end_training(self):
        class Recorder:
            def __init__(self, stop_after):
                self.calls, self.stop_after = [], stop_after

            def setup(self, estimator, context):
                self.calls.append("setup")

            def teardown(self, estimator, context):
                self.calls.append("teardown")

            def on_fit_task_begin(self, estimator, context):
                self.calls.append(f"begin {context.task_name}")

            def on_fit_task_end(
                self, estimator, context, *, fitted_estimator: Any = None
            ):
                assert fitted_estimator.predict(X).shape == y.shape
                self.calls.append(f"end {context.task_name}")
                return self.calls.count("end epoch") == self.stop_after

        epoch = ["begin epoch", "end epoch"]
        for stop_after, epochs in ((3, 3), (9, 5)):
            recorder = Recorder(stop_after)
            model = MLPClassifier(**FEW).set_callbacks(recorder).fit(X, y)
            assert model.n_iter_ == epochs
            assert recorder.calls == [
                "setup",
                "begin fit",
                *epoch * epochs,
                "end fit",
                "teardown",
            ]

    def test_the_progress_bar(self, capsys):
        pytest.importorskip("rich")
        MLPClassifier(**FEW).set_callbacks(callback.ProgressBar()).fit(X, y)
        assert "MLPClassifier" in capsys.readouterr().out

    def test_the_fits_of_a_search_are_one_run(self):
        monitor = callback.ScoringMonitor(scoring="accuracy")
        model = MLPClassifier(**FEW).set_callbacks(monitor)
        GridSearchCV(model, {"alpha": [0, 1]}, cv=2, refit=False).fit(X, y)
        epochs = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
        assert len(epochs) == 2 * 2 * 5

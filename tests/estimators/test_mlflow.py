"""Test that MLflow logs fits with the loss of each epoch, and saves all estimators."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vecprop as vp
from models import fresh

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]

X = np.random.default_rng(0).normal(size=(60, 4))
Y = (X[:, 0] > 0).astype(int)
FEW: dict[str, Any] = {"max_iter": 3, "random_state": 0}
MODELS: dict[str, Any] = {
    "classifier": vp.MLPClassifier(**FEW, early_stopping=True),
    "regressor": vp.MLPRegressor(**FEW),
    "ensemble": vp.MLPEnsembleClassifier(vp.MLPClassifier(**FEW), 2, random_state=0),
    "ensemble of regressors": vp.MLPEnsembleRegressor(
        vp.MLPRegressor(**FEW), 2, random_state=0
    ),
    "search": vp.MLPSearchCV(vp.MLPClassifier(**FEW), {"alpha": [0.1, 0.2]}, cv=2),
    "table": vp.TabularClassifier(n_estimators=2, **FEW),
    "table of numbers": vp.TabularRegressor(n_estimators=2, **FEW),
    "pipeline": make_pipeline(StandardScaler(), vp.MLPClassifier(**FEW)),
    "search over a pipeline": GridSearchCV(
        make_pipeline(StandardScaler(), vp.MLPClassifier(**FEW)),
        {"mlpclassifier__alpha": [0.1, 0.2]},
        cv=2,
    ),
}


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("mlflow.sklearn")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'runs.db'}")
    yield mlflow
    mlflow.utils.autologging_utils.revert_patches("sklearn")


def epochs(mlflow, run, name):
    """Return the steps and values of a metric."""
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, name)
    return [entry.step for entry in history], [entry.value for entry in history]


@pytest.mark.parametrize("name", MODELS)
def test_autolog(mlflow, name):
    from vecprop.mlflow import autolog

    alone = fresh(MODELS[name]).fit(X, Y)
    autolog(silent=True)
    model = fresh(MODELS[name]).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), alone.predict(X))
    run: Any = mlflow.last_active_run()
    assert run.info.status == "FINISHED"
    # one run for each candidate of a search
    assert len(mlflow.search_runs()) == (3 if "search" in name else 1)
    assert run.data.metrics["training_score"] == pytest.approx(model.score(X, Y))
    (logged,) = [
        kept
        for kept in mlflow.search_logged_models(output_format="list")
        if kept.name == "model"
    ]
    again = mlflow.sklearn.load_model(logged.model_uri)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    fitted = getattr(model, "best_estimator_", model)
    fitted = fitted[-1] if "pipeline" in name else fitted
    if "search" in name:
        assert run.data.metrics["best_cv_score"] == model.best_score_
    if "table" in name:
        assert epochs(mlflow, run, "loss/1") == (
            [1, 2, 3],
            pytest.approx(fitted.loss_curves_[1]),
        )
        validation = pytest.approx(fitted.validation_loss_curves_[1])
        assert epochs(mlflow, run, "validation_loss/1") == ([0, 1, 2, 3], validation)
    elif "ensemble" in name:
        assert epochs(mlflow, run, "loss/1") == (
            [1, 2, 3],
            pytest.approx(fitted.estimators_[1].loss_curve_),
        )
    else:
        assert epochs(mlflow, run, "loss") == (
            [1, 2, 3],
            pytest.approx(fitted.loss_curve_),
        )
    if name == "classifier":
        assert epochs(mlflow, run, "validation_loss") == (
            [1, 2, 3],
            pytest.approx(fitted.validation_loss_curve_),
        )
        assert epochs(mlflow, run, "validation_score") == (
            [1, 2, 3],
            pytest.approx(fitted.validation_scores_),
        )


def test_autolog_in_a_new_process_with_the_default_store(tmp_path):
    """MLflow loads `mlflow.sklearn` lazily, and nothing has used it yet."""
    pytest.importorskip("mlflow")
    lines = [
        "import mlflow, vecprop.mlflow",
        "vecprop.mlflow.autolog(log_models=False)",
        "vecprop.MLPClassifier(max_iter=3).fit([[0.0], [1.0]] * 30, [0, 1] * 30)",
        "run = mlflow.last_active_run().info.run_id",
        (
            "print([entry.step for entry in"
            " mlflow.MlflowClient().get_metric_history(run, 'loss')])"
        ),
    ]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MLFLOW")
    }
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[1, 2, 3]\n", done.stderr


def test_autolog_of_a_table_with_its_target(mlflow, tmp_path):
    from vecprop.mlflow import autolog

    autolog(silent=True)
    table = pd.DataFrame(
        {"a": X[:, 0], "town": ["Oslo", "Rome"] * 30, "y": np.where(Y, "yes", "no")}
    )
    table.to_csv(tmp_path / "table.csv", index=False)
    model = vp.TabularClassifier("y", n_estimators=2, **FEW).fit(tmp_path / "table.csv")
    assert mlflow.last_active_run().data.metrics["training_score"] == model.score(table)


def test_autolog_off_and_a_run_that_fails(mlflow):
    from vecprop.mlflow import autolog

    autolog(silent=True)
    with pytest.raises(ValueError, match="non-finite"):
        vp.MLPRegressor(solver="sgd", learning_rate_init=1e300, **FEW).fit(X, Y)
    assert mlflow.last_active_run().info.status == "FAILED"
    autolog(disable=True)
    vp.MLPClassifier(**FEW).fit(X, Y)
    assert len(mlflow.search_runs()) == 1


@pytest.mark.parametrize(
    "name",
    [
        "_gen_estimators_to_patch",
        "utils._is_parameter_search_estimator",
        "utils._log_estimator_content",
    ],
)
def test_an_unsupported_mlflow_raises_an_error(mlflow, monkeypatch, name):
    from vecprop.mlflow import autolog

    monkeypatch.delattr(f"mlflow.sklearn.{name}")
    with pytest.raises(ImportError, match="install another version of MLflow"):
        autolog()


@pytest.mark.parametrize("form", ["pickle", "cloudpickle", "skops"])
@pytest.mark.parametrize("name", MODELS)
def test_models_are_kept(mlflow, tmp_path, name, form):
    if form not in mlflow.sklearn.SUPPORTED_SERIALIZATION_FORMATS:
        pytest.skip("an older MLflow, without skops")
    model, known = fresh(MODELS[name]).fit(X, Y), {}
    if form == "skops":
        skops = pytest.importorskip("skops.io")
        known["skops_trusted_types"] = skops.get_untrusted_types(
            data=skops.dumps(model)
        )
    mlflow.sklearn.save_model(
        model,
        tmp_path / "model",
        serialization_format=form,
        pip_requirements=["vecprop"],
        **known,
    )
    again = mlflow.sklearn.load_model(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    if name == "regressor":  # the training state is saved too
        np.testing.assert_array_equal(
            again.partial_fit(X, Y).theta_, model.partial_fit(X, Y).theta_
        )

"""Test that files from earlier versions still load: ``earlier`` contains some, with predictions.

The number at the start of a name is the format version. ``python
tests/files/test_earlier_files.py`` writes the files. Earlier versions wrote the table
of stages, which was trained with the setting ``stages=3``, and the tables of wide
networks and of one view, which were the results of a trial.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vecprop as vp
from conditions import current_limit
from vecprop.files.model_file import information

FOLDER = Path(__file__).parent / "earlier"
ALL_X = np.random.default_rng(0).normal(size=(60, 3)).round(3)
ALL_TABLE = pd.DataFrame(
    {
        "a": ALL_X[:, 0],
        "n": [f"{value:.2f}".replace(".", ",") for value in ALL_X[:, 1]],
        "town": ["Oslo", "Rome", None] * 20,
        "when": pd.date_range("2020-01-01", periods=60).strftime("%Y-%m-%d"),
        "says": ["a red car", "a blue car", "an old house", "a new red house"] * 15,
    }
)
X, TABLE = ALL_X[:3], ALL_TABLE[:3]


def predictions(model: Any) -> np.ndarray:
    if isinstance(model, vp.export.TrainedNetwork):
        return model.network.predict(model.theta, X)
    predict = model.predict_proba if hasattr(model, "predict_proba") else model.predict
    return predict(TABLE if hasattr(model, "encoder_") else X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*.npz")), ids=lambda path: path.stem
)
def test_files_of_earlier_versions_load_and_continue(path, tmp_path):
    model: Any = vp.load(path)
    expected = list(information(path)["metrics"].values())
    np.testing.assert_allclose(np.ravel(predictions(model)), expected, rtol=1e-6)
    vp.save(model, tmp_path / "again.npz")
    again: Any = vp.load(tmp_path / "again.npz")
    np.testing.assert_array_equal(predictions(again), predictions(model))
    if isinstance(model, vp.export.TrainedNetwork):
        network, theta, state = model
        adam = vp.Adam(0.01)
        result = vp.train(
            network,
            theta,
            X,
            [0, 1, 0],
            optimizer=adam,
            epochs=1,
            schedule=vp.Adaptive(),
            state=state,
        )
        assert result.state.epoch == 4
    elif isinstance(model, vp.MLPClassifier | vp.MLPRegressor):
        y = ["no", "yes", "no"] if isinstance(model, vp.MLPClassifier) else X[:, 0]
        assert model.set_params(early_stopping=False).partial_fit(X, y).loss_ > 0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.parametrize(
    ("name", "count"), [("stages", 4), ("wide-networks", 2), ("one-view", 1)]
)
def test_networks_of_earlier_versions_can_be_refitted_and_saved(name, count, tmp_path):
    model: Any = vp.load(FOLDER / f"1-table-of-{name}.npz")
    is_classifier = isinstance(model, vp.TabularClassifier)
    target = np.where(ALL_X[:, 0] > 0, "yes", "no") if is_classifier else ALL_X[:, 0]
    again = model.refit(ALL_TABLE, target)
    views = [(view.view, view.network, view.share) for view in model.ensemble_.views]
    assert len(views) == count
    assert [
        (view.view, view.network, view.share) for view in again.ensemble_.views
    ] == views
    vp.save(again, tmp_path / "again.npz")
    np.testing.assert_array_equal(
        predictions(vp.load(tmp_path / "again.npz")), predictions(again)
    )


def written() -> dict[str, Any]:
    """Train models of all kinds with this version; return them by name."""
    labels, numbers = (
        np.where(ALL_X[:, 0] > 0, "yes", "no"),
        ALL_X[:, 0] + ALL_X[:, 1] ** 2,
    )
    layers = [vp.Dense(4), vp.LayerNorm(), vp.Tanh(), vp.Dropout(0.1), vp.Dense(2)]
    network = vp.Network(3, layers, vp.SoftmaxCrossEntropy(), [vp.L2(0.01)])
    classes = (ALL_X[:, 0] > 0).astype(int)
    settings: Any = {"optimizer": vp.Adam(0.01), "schedule": vp.Adaptive(), "epochs": 3}
    trained = vp.train(network, network.init(0), ALL_X, classes, **settings)
    few: Any = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
    custom: Any = {
        "hidden_layer_sizes": [4, 3],
        "activation": ["elu", vp.LeakyReLU(0.2)],
        "solver": vp.AdamW(0.01, weight_decay=0.1),
        "learning_rate": vp.WarmUp(3, vp.InverseScaling(0.3)),
    }
    classifier = vp.MLPClassifier(
        **few | custom, dropout=[0.2, 0.0], layer_norm=True, early_stopping=True
    )
    regressor = vp.MLPRegressor(
        **few, loss=vp.Huber(0.5), n_restarts=2, scale_target=True, solver="sgd"
    )
    members = vp.MLPEnsembleRegressor(
        vp.MLPRegressor(**few), n_estimators=2, oob_score=True, bootstrap=True
    )
    of_tables: Any = {
        "n_estimators": 2,
        "max_iter": 5,
        "random_state": 0,
        "hidden_layer_sizes": (4,),
    }
    return {
        "network": vp.export.TrainedNetwork(network, trained.theta, trained.state),
        "classifier": classifier.fit(ALL_X, labels),
        "regressor": regressor.fit(ALL_X, numbers),
        "pipeline": (
            make_pipeline(StandardScaler(), vp.MLPClassifier(**few)).fit(
                ALL_X, np.arange(60) % 3
            )
        ),
        "ensemble": members.set_params(random_state=0).fit(ALL_X, numbers),
        "table": vp.TabularClassifier(**of_tables).fit(ALL_TABLE, labels),
        "table-of-numbers": vp.TabularRegressor(**of_tables).fit(ALL_TABLE, numbers),
        "table-of-quantiles": (
            vp.TabularRegressor(
                **of_tables, loss="quantile", quantile=[0.1, 0.5, 0.9]
            ).fit(ALL_TABLE, numbers)
        ),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    version = current_limit("model file: version")
    for name, model in written().items():
        expected = {
            f"expected {place}": value
            for place, value in enumerate(np.ravel(predictions(model)))
        }
        vp.save(
            model,
            FOLDER / f"{current_limit('model file: version')}-{name}.npz",
            metrics=expected,
        )

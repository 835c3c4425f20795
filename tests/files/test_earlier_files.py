"""Files that earlier versions have written are still read: ``earlier`` holds some, with what their models predicted."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import vecprop as vp
from vecprop.files import model_file

FILES = sorted((Path(__file__).parent / "earlier").glob("*.npz"))
X = np.random.default_rng(0).normal(size=(60, 3)).round(3)[:3]
TABLE = pd.DataFrame(
    {
        "a": X[:, 0],
        "n": [f"{value:.2f}".replace(".", ",") for value in X[:, 1]],
        "town": ["Oslo", "Rome", None],
        "when": ["2020-01-01", "2020-01-02", "2020-01-03"],
    }
)


def predictions(model: Any) -> np.ndarray:
    if isinstance(model, vp.export.TrainedNetwork):
        return model.network.predict(model.theta, X)
    predict = model.predict_proba if hasattr(model, "predict_proba") else model.predict
    return predict(TABLE if hasattr(model, "encoder_") else X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_earlier_files_are_read_and_continue(path, tmp_path):
    model: Any = vp.load(path)
    expected = list(model_file.information(path)["metrics"].values())
    np.testing.assert_allclose(np.ravel(predictions(model)), expected, rtol=1e-6)
    vp.save(model, tmp_path / "again.npz")
    again: Any = vp.load(tmp_path / "again.npz")
    np.testing.assert_array_equal(predictions(again), predictions(model))
    if isinstance(model, vp.export.TrainedNetwork):
        network, theta, state = model
        adam = vp.Adam(0.01)
        result = vp.train(network, theta, X, [0, 1, 0], optimizer=adam, epochs=1, schedule=vp.Adaptive(), state=state)
        assert result.state.epoch == 4
    elif isinstance(model, vp.MLPClassifier | vp.MLPRegressor):
        y = ["no", "yes", "no"] if isinstance(model, vp.MLPClassifier) else X[:, 0]
        assert model.set_params(early_stopping=False).partial_fit(X, y).loss_ > 0

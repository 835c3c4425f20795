"""Test that converted scikit-learn networks predict the same."""

from typing import Any

import numpy as np
import pytest
from sklearn import neural_network as scikit
from sklearn.exceptions import NotFittedError

from models import MANY, NUMBERS, THREE, TWO, X, fitted
from sampled import sampled
from vecprop import MLPClassifier, MLPRegressor, load, save
from vecprop.export import from_sklearn

FEW: dict[str, Any] = {"hidden_layer_sizes": (6, 4), "max_iter": 8, "random_state": 0}
TARGETS = {
    "two": TWO,
    "truth values": TWO.astype(bool),
    "text": np.array(["a", "b", "c"])[THREE],
    "objects": np.array(["no", "yes"], object)[TWO],
    "several labels": MANY,
    "one class": np.zeros(60, int),
}


def assert_same(ours, theirs, rows, kind):
    assert type(ours) is kind
    assert ours.get_params().items() >= theirs.get_params().items()
    for name in (
        "classes_",
        "n_outputs_",
        "out_activation_",
        "n_layers_",
        "t_",
        "n_iter_",
    ):
        if hasattr(theirs, name):
            np.testing.assert_array_equal(
                getattr(ours, name), getattr(theirs, name), strict=True
            )
    ours_said, theirs_said = ours.predict(rows), theirs.predict(rows)
    assert (ours_said.shape, ours_said.dtype) == (theirs_said.shape, theirs_said.dtype)
    tolerance = 1e-5 if rows.dtype == np.float32 else 1e-12
    if kind is MLPRegressor:
        np.testing.assert_allclose(
            ours_said, theirs_said, rtol=tolerance, atol=tolerance
        )
    else:
        np.testing.assert_array_equal(ours_said, theirs_said)
        np.testing.assert_allclose(
            ours.predict_proba(rows), theirs.predict_proba(rows), atol=tolerance
        )


@pytest.mark.parametrize(
    ("kind", "activation"),
    [
        *((kind, "relu") for kind in TARGETS),
        *(("two", name) for name in ("tanh", "logistic", "identity")),
    ],
)
@pytest.mark.parametrize("dtype", sampled([np.float64, np.float32]))
def test_classifiers(kind, dtype, activation, tmp_path):
    rows = X.astype(dtype)
    theirs = fitted(
        scikit.MLPClassifier(**FEW, activation=activation), rows, TARGETS[kind]
    )
    ours = from_sklearn(theirs)
    assert ours.theta_.dtype == dtype
    assert_same(ours, theirs, rows, MLPClassifier)
    save(ours, tmp_path / "model")
    assert_same(load(tmp_path / "model"), theirs, rows, MLPClassifier)


@pytest.mark.parametrize(
    "settings",
    [{}, {"solver": "lbfgs"}, {"early_stopping": True}, {"solver": "sgd"}],
    ids=str,
)
@pytest.mark.parametrize("outputs", [1, 2])
def test_regressors(settings, outputs):
    y = NUMBERS if outputs == 1 else np.column_stack([NUMBERS, X[:, 0]])
    theirs = fitted(scikit.MLPRegressor(**FEW | settings), X, y)
    ours = from_sklearn(theirs)
    assert_same(ours, theirs, X, MLPRegressor)
    if "solver" not in settings and not ours.early_stopping:
        before = ours.loss_curve_
        assert before == pytest.approx(outputs * np.array(theirs.loss_curve_))
        assert ours.partial_fit(X, y).loss_ < before[0]


def test_counts():
    if "loss" not in scikit.MLPRegressor().get_params():
        pytest.skip("scikit-learn has the Poisson loss from 1.7 on")
    theirs = fitted(scikit.MLPRegressor(**FEW, loss="poisson"), X, np.abs(NUMBERS))
    assert_same(from_sklearn(theirs), theirs, X, MLPRegressor)


def test_column_names_are_copied_and_arrays_are_not_shared():
    pandas = pytest.importorskip("pandas")
    rows = pandas.DataFrame(X, columns=["a", "b", "c"])
    random: Any = np.random.RandomState(0)
    theirs = fitted(scikit.MLPClassifier(**{**FEW, "random_state": random}), rows, TWO)
    before, numbers = theirs.coefs_[0].copy(), random.get_state()[2]
    ours = from_sklearn(theirs)
    np.testing.assert_array_equal(ours.predict(rows), theirs.predict(rows))
    ours.coefs_[0][:] = 0
    np.testing.assert_array_equal(theirs.coefs_[0], before)
    assert random.get_state()[2] == numbers


def test_other_models_raise_an_error():
    with pytest.raises(
        TypeError,
        match=(
            r"needs scikit-learn's MLPClassifier or MLPRegressor, got MLPClassifier\(\)"
        ),
    ):
        from_sklearn(MLPClassifier())  # type: ignore[arg-type]
    with pytest.raises(NotFittedError):
        from_sklearn(scikit.MLPRegressor())

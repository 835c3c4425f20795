"""The file that is written needs NumPy alone, can be read, and predicts the same."""

import dataclasses
import datetime
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

import vecprop as vp
from models import ENSEMBLES, ESTIMATORS, FEW, ODD_NAMES, TWO, X, fitted, frame
from registry import LAYERS, LOSSES, name, problem
from vecprop import FileError, load, save
from vecprop.export import TrainedNetwork, to_numpy


def functions(model):
    """Return the functions of the source, run."""
    names = {}
    exec(compile(to_numpy(model), "<source>", "exec"), names)
    return names


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("layer", LAYERS, ids=name)
def test_layers(layer, dtype):
    p = problem(layer, vp.SquaredError())
    theta, rows = p.theta.astype(dtype), p.X.astype(dtype)
    Y = functions(TrainedNetwork(p.network, theta))["predict"](rows)
    assert Y.dtype == dtype
    np.testing.assert_allclose(Y, p.network.predict(theta, rows), rtol=1e-13 if dtype == np.float64 else 1e-5)


@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_links(loss):
    network = vp.Network(2, [vp.Identity()], loss)
    Z = np.array([[0, 0], [700, -700], [-700, 700], [1e-9, 0], [-40, -30.0]])
    Y = functions(TrainedNetwork(network, np.zeros(0)))["predict"](Z)
    np.testing.assert_array_equal(Y, network.predict(np.zeros(0), Z))


@pytest.mark.parametrize("kind", [*ESTIMATORS, *(f"ensemble: {kind}" for kind in ENSEMBLES)])
def test_estimators(kind):
    model, y = ESTIMATORS[kind] if kind in ESTIMATORS else ENSEMBLES[kind.removeprefix("ensemble: ")]
    model = fitted(clone(model), X, y)
    source = functions(model)
    expected = model.predict(X)
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(source["predict"](X), expected, rtol=1e-11, strict=True)
    else:
        np.testing.assert_array_equal(source["predict"](X), expected, strict=True)
    assert ("predict_proba" in source) == hasattr(model, "predict_proba")
    if "predict_proba" in source:
        np.testing.assert_allclose(source["predict_proba"](X), model.predict_proba(X), rtol=1e-11)


def test_a_single_class_and_a_loss_without_probabilities():
    model = fitted(vp.MLPClassifier(**FEW), X, np.full(60, "a"))
    np.testing.assert_array_equal(functions(model)["predict"](X), model.predict(X))
    model = fitted(vp.MLPClassifier(**FEW, loss=vp.SquaredError()), X, TWO)
    source = functions(model)
    np.testing.assert_array_equal(source["predict"](X), model.predict(X))
    assert "predict_proba" not in source


PLAIN = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    MinMaxScaler((-1, 1), clip=True),
    MinMaxScaler(),
    MaxAbsScaler(),
    RobustScaler(quantile_range=(10, 90)),
    RobustScaler(with_centering=False),
    FunctionTransformer(),
    make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), "passthrough"),
    ColumnTransformer([("a", StandardScaler(), [2]), ("b", "drop", [0])], remainder="passthrough"),
]


@pytest.mark.parametrize("step", PLAIN, ids=str)
def test_pipelines(step, tmp_path):
    rows = X.copy()
    if "Imputer" in str(step):
        rows[::5, 1] = np.nan
    model = fitted(make_pipeline(step, vp.MLPRegressor(**FEW)), rows, X[:, 0])
    save(model, tmp_path / "model")
    model, new = load(tmp_path / "model"), 2 * rows[::-1]
    np.testing.assert_allclose(functions(model)["predict"](new), model.predict(new), rtol=1e-11)


@pytest.mark.parametrize("unknown", ["error", "ignore"])
def test_a_table(unknown):
    pytest.importorskip("pandas")
    table = frame().fillna({"colour": "none"}).astype({"size": str})
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["width", "length"]),
            ("names", OneHotEncoder(handle_unknown=unknown), ["size", "colour", "rooms"]),
            ("rest", "passthrough", ["rooms"]),
        ]
    )
    model = fitted(make_pipeline(columns, vp.MLPClassifier(**FEW)), table, TWO)
    source = functions(model)
    np.testing.assert_allclose(source["predict_proba"](table), model.predict_proba(table), rtol=1e-11)
    np.testing.assert_allclose(
        source["predict_proba"](table.to_numpy().tolist()), model.predict_proba(table), rtol=1e-11
    )
    assert "Rows have the columns length, width, colour, size, rooms." in source["__doc__"]
    new = table.assign(colour="pink")
    if unknown == "error":
        with pytest.raises(ValueError, match="a category that was not there in training"):
            source["predict"](new)
    else:
        np.testing.assert_allclose(source["predict_proba"](new), model.predict_proba(new), rtol=1e-11)


def test_it_runs_where_there_is_nothing_but_numpy(tmp_path):
    model = fitted(make_pipeline(StandardScaler(), vp.MLPClassifier(**FEW)), X, np.array(["no", "yes"])[TWO])
    source = to_numpy(model, tmp_path / "model.py")
    assert (tmp_path / "model.py").read_text(encoding="utf-8") == source
    assert len(source.splitlines()) < 50
    code = """
import sys
import numpy as np
import model
print(model.predict(np.zeros((1, 3)))[0], [name for name in ("sklearn", "scipy", "vecprop") if name in sys.modules])
"""
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    assert shown.split() == [model.predict(np.zeros((1, 3)))[0], "[]"]


def test_a_small_network_can_be_read():
    network = vp.Network(2, [vp.Dense(1), vp.LeakyReLU(0.1)], vp.SquaredError())
    source = to_numpy(TrainedNetwork(network, np.array([1.0, 2.0, 0.5])))
    assert (
        source.partition("\n\n")[2]
        == '''\
import numpy as np


W0 = np.array([[1.0], [2.0]], np.float64)
b0 = np.array([0.5], np.float64)


def leaky_relu(z):
    """Return z where z > 0, else leak z."""
    return np.where(z > 0, z, 0.1 * z)


def outputs(X):
    """Return the network's outputs, (N, O), for rows of inputs."""
    X = np.asarray(X, np.float64)
    if not np.isfinite(X).all():
        raise ValueError("X is not finite: fill or drop missing and infinite values.")
    X = X @ W0 + b0
    X = leaky_relu(X)
    return X


def predict(X):
    """Return the prediction for each row."""
    return outputs(X)
'''
    )


@pytest.mark.parametrize("column", ODD_NAMES)
def test_a_name_of_a_column_is_not_run(column):
    table = frame()[["width", "rooms"]].set_axis([column, "a\0b"], axis=1)
    model = fitted(make_pipeline(StandardScaler(), vp.MLPRegressor(**FEW)), table, X[:, 0])
    source = functions(model)
    assert f"the columns {column}, a\0b." in source["__doc__"]
    np.testing.assert_allclose(source["predict"](table), model.predict(table), rtol=1e-11)


def test_labels_that_are_no_names_or_numbers_are_refused():
    days = np.array([datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)])[TWO]
    model = fitted(vp.MLPClassifier(**FEW), X, TWO)
    model._targets = dataclasses.replace(model._targets, classes=np.unique(days))
    model.classes_ = model._targets.classes
    with pytest.raises(FileError, match=r"datetime.date\(2024, 1, 1\) cannot be written as NumPy source"):
        to_numpy(model)


def test_numbers_that_are_not_finite_stay_as_they_are():
    network = vp.Network(1, [vp.Dense(2)], vp.SquaredError())
    theta = np.array([1.0, 2.0, np.inf, -np.inf])
    np.testing.assert_array_equal(functions(TrainedNetwork(network, theta))["predict"]([[1.0]]), [[np.inf, -np.inf]])


def test_one_activation_with_two_settings():
    layers = [vp.LeakyReLU(0.1), vp.LeakyReLU(0.2), vp.LeakyReLU(0.1), vp.Softplus(), vp.Logistic()]
    network = vp.Network(2, layers, vp.BinaryCrossEntropy())
    rows = np.array([[-3.0, 2.0]])
    source = functions(TrainedNetwork(network, np.zeros(0)))
    np.testing.assert_array_equal(source["predict"](rows), network.predict(np.zeros(0), rows))
    assert [name for name in source if name.startswith("leaky")] == ["leaky_relu", "leaky_relu_1"]


class Cube(vp.extend.Activation):
    def value(self, z):
        return z**3

    def derivative(self, z, y):
        return 3 * z**2


def test_what_has_no_source_is_named():
    p = problem(Cube(), vp.SquaredError())
    with pytest.raises(FileError, match=r"Cube.* is not one of vecprop's own parts"):
        to_numpy(TrainedNetwork(p.network, p.theta))
    for step in (OrdinalEncoder(), SimpleImputer(add_indicator=True), FunctionTransformer(np.tanh)):
        model = fitted(make_pipeline(step, vp.MLPClassifier(**FEW)), X, TWO)
        with pytest.raises(FileError, match="cannot be written as NumPy source: use `save`, or `to_onnx`"):
            to_numpy(model)
    model = fitted(make_pipeline(OneHotEncoder(drop="first"), vp.MLPClassifier(**FEW)), X.round(), TWO)
    with pytest.raises(FileError, match="cannot be written as NumPy source, which has a column for each category"):
        to_numpy(model)
    with pytest.raises(FileError, match="A StandardScaler cannot be written as NumPy source"):
        to_numpy(StandardScaler().fit(X))
    members = problem(vp.ReLU(), vp.SquaredError(), members=(2,))
    with pytest.raises(FileError, match=r"theta has the members \(2,\), but source is of one network"):
        to_numpy(TrainedNetwork(members.network, members.theta))

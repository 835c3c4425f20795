"""Graphs give the same predictions in onnxruntime, for every part of a network and every kind of estimator."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, RobustScaler, StandardScaler

import vecprop as vp
from models import ENSEMBLES, ESTIMATORS, FEW, THREE, TWO, X, fitted, frame
from registry import LAYERS, LOSSES, name, problem
from vecprop import FileError
from vecprop.export import TrainedNetwork, to_onnx

onnx = pytest.importorskip("onnx")
skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

DTYPES = {np.float64: 1e-6, np.float32: 1e-5}


def run(graph, **inputs):
    """Return what onnxruntime computes."""
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def assert_close(found, expected, tolerance):
    """Compare with a relative tolerance, in the size of the largest entry."""
    assert found.shape == expected.shape
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", LAYERS, ids=name)
def test_layers(layer, dtype):
    p = problem(layer, vp.SquaredError(), rows=50)
    theta, rows = p.theta.astype(dtype), p.X.astype(dtype)
    (Y,) = run(to_onnx(TrainedNetwork(p.network, theta), dtype=dtype), X=rows)
    assert Y.dtype == dtype
    assert_close(Y, p.network.predict(theta, rows), DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_links(loss, dtype):
    p = problem(vp.Tanh(), loss, rows=50)
    theta, rows = p.theta.astype(dtype), p.X.astype(dtype)
    (Y,) = run(to_onnx(TrainedNetwork(p.network, theta), dtype=dtype), X=rows)
    assert_close(Y, p.network.predict(theta, rows), DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", [layer for layer in LAYERS if isinstance(layer, vp.extend.Activation)], ids=name)
def test_activations_keep_their_digits_far_out_and_near_0(layer, dtype):
    """Entry by entry, relative to the entry itself."""
    network = vp.Network(1, [layer], vp.SquaredError())
    z = np.array([0, 1e-30, 1e-12, 1e-6, 1e-3, 0.3, 1, 5, 30, 80, 1000], dtype)
    z = np.concatenate([-z[::-1], z])[:, None]
    (y,) = run(to_onnx(TrainedNetwork(network, np.zeros(0, dtype)), dtype=dtype), X=z)
    expected = network.predict(np.zeros(0, dtype), z)
    np.testing.assert_allclose(y, expected, rtol=DTYPES[dtype], atol=np.finfo(dtype).tiny)


@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_links_far_out(loss):
    network = vp.Network(2, [vp.Identity()], loss)
    Z = np.array([[0, 0], [700, -700], [-700, 700], [1e-9, 0], [-40, -30.0]])
    (Y,) = run(to_onnx(TrainedNetwork(network, np.zeros(0)), dtype=np.float64), X=Z)
    np.testing.assert_allclose(Y, network.predict(np.zeros(0), Z), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [*ESTIMATORS, *(f"ensemble: {kind}" for kind in ENSEMBLES)])
def test_estimators(kind, dtype):
    model, y = ESTIMATORS[kind] if kind in ESTIMATORS else ENSEMBLES[kind.removeprefix("ensemble: ")]
    rows = X.astype(dtype)
    model = fitted(clone(model), rows, y)
    first, *others = run(to_onnx(model, dtype=dtype), X=rows)
    expected = model.predict(rows)
    if not others:
        assert_close(first, expected.reshape(len(rows), -1), DTYPES[dtype])
        return
    np.testing.assert_array_equal(first, expected)
    assert first.dtype in (np.int64, object)
    assert_close(others[0], model.predict_proba(rows), DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scaler", [StandardScaler(), RobustScaler(), make_pipeline(StandardScaler(), PCA(2))], ids=str)
def test_pipelines(scaler, dtype):
    rows = X.astype(dtype)
    model = fitted(make_pipeline(scaler, vp.MLPClassifier(**FEW)), rows, np.array(["no", "yes"])[TWO])
    label, probability = run(to_onnx(model, dtype=dtype), X=rows)
    np.testing.assert_array_equal(label, model.predict(rows))
    assert_close(probability, model.predict_proba(rows), DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("indicator", [False, True])
def test_a_pipeline_for_a_table(dtype, indicator):
    pytest.importorskip("pandas")
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(add_indicator=indicator), StandardScaler()), ["length", "width"]),
            ("sizes", OneHotEncoder(handle_unknown="ignore"), ["size"]),
            ("rooms", SimpleImputer(), ["rooms", "width"]),
        ]
    )
    table = frame()[["length", "width", "size", "rooms"]].astype({"size": str, "length": dtype, "width": dtype})
    model = fitted(make_pipeline(columns, vp.MLPRegressor(**FEW)), table, X[:, 0])
    table.loc[:4, "size"] = "XXL"
    table.loc[3:7, "width"] = np.nan
    inputs = {name: table[[name]].to_numpy() for name in table}
    (Y,) = run(to_onnx(model, X=table, dtype=dtype), **inputs)
    assert Y.dtype == dtype
    assert_close(Y.ravel(), model.predict(table), DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "imputer",
    [
        SimpleImputer(),
        SimpleImputer(strategy="median", add_indicator=True),
        SimpleImputer(add_indicator=True, keep_empty_features=True),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Skipping features")
def test_missing_values_are_filled_in(imputer, dtype):
    rows = X.astype(dtype)
    rows[::5, 1] = rows[:, 2] = np.nan
    model = fitted(make_pipeline(clone(imputer), vp.MLPClassifier(**FEW)), rows, TWO)
    rows[1::5, 0] = np.nan
    if imputer.add_indicator:
        rows[:, 0] = 1  # what was there in all rows of training has no indicator, and scikit-learn refuses it
    label, probability = run(to_onnx(model, dtype=dtype), X=rows)
    np.testing.assert_array_equal(label, model.predict(rows))
    assert_close(probability, model.predict_proba(rows), DTYPES[dtype])


def test_imputers_of_other_kinds_are_left_to_skl2onnx():
    rows = X.round().astype(np.float32)
    model = fitted(make_pipeline(SimpleImputer(missing_values=0.0), vp.MLPClassifier(**FEW)), rows, TWO)
    _, probability = run(to_onnx(model), X=rows)
    assert_close(probability, model.predict_proba(rows), 1e-5)


def test_pipelines_that_are_given_to_skl2onnx(tmp_path):
    from vecprop.files.onnx import register

    register()
    rows = X.astype(np.float32)
    model = fitted(make_pipeline(StandardScaler(), vp.MLPClassifier(**FEW)), rows, THREE)
    for opset in (13, 18, 21):
        label, maps = run(skl2onnx.to_onnx(model, rows[:1], target_opset={"": opset, "ai.onnx.ml": 3}), X=rows)
        np.testing.assert_array_equal(label, model.predict(rows))
        assert_close(np.array([list(row.values()) for row in maps]), model.predict_proba(rows), 1e-5)
    bag = fitted(BaggingClassifier(vp.MLPClassifier(**FEW), 3, random_state=0), rows, TWO)
    _, probability = run(skl2onnx.to_onnx(bag, rows[:1], options={"zipmap": False}), X=rows)
    assert_close(probability, bag.predict_proba(rows), 1e-5)


class Sine(vp.extend.Activation):
    def value(self, z):
        return vp.Tanh().value(z) * z**2

    def derivative(self, z, y):
        return z


def test_a_layer_of_ones_own():
    p = problem(Sine(), vp.SquaredError())
    (Y,) = run(to_onnx(TrainedNetwork(p.network, p.theta), dtype=np.float64), X=p.X)
    assert_close(Y, p.network.predict(p.theta, p.X), 1e-12)


def test_a_graph_is_written_to_a_file(tmp_path):
    p = problem(vp.ReLU(), vp.SquaredError())
    made = to_onnx(TrainedNetwork(p.network, p.theta), tmp_path / "network.onnx")
    assert onnx.load(tmp_path / "network.onnx") == made


def test_what_has_no_graph_is_named():
    p = problem(vp.ReLU(), vp.SquaredError(), members=(2,))
    with pytest.raises(FileError, match=r"theta has the members \(2,\), but a graph is of one network"):
        to_onnx(TrainedNetwork(p.network, p.theta))
    model = fitted(vp.MLPClassifier(**FEW), X, TWO.astype(np.uint64) + np.uint64(2**63))
    with pytest.raises(FileError, match="Labels in ONNX are whole numbers or text"):
        to_onnx(model)
    with pytest.raises(ValueError, match="dtype is int64, but a graph computes in float32 or float64"):
        to_onnx(model, dtype=int)
    pipeline = fitted(make_pipeline(FunctionTransformer(np.tanh), vp.MLPClassifier(**FEW)), X, TWO)
    with pytest.raises(RuntimeError, match="FunctionTransformer is not supported"):
        to_onnx(pipeline)


@pytest.mark.long
def test_without_skl2onnx_it_says_what_to_install():
    code = """
import sys
sys.modules["skl2onnx"] = None
import vecprop
try:
    vecprop.export.to_onnx(None)
except ImportError as error:
    print(error)
"""
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert shown == 'to_onnx needs onnx and skl2onnx: pip install "vecprop[onnx]".\n'

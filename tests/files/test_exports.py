"""Test that ONNX graphs and NumPy source give the same predictions as all parts and estimators."""

import dataclasses
import datetime
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier
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
from exports import assert_close, functions, predicted, run
from fits import Cube
from models import ENSEMBLES, ESTIMATORS, FEW, ODD_NAMES, THREE, TWO, X, fitted, frame
from registry import LAYERS, LOSSES, name, problem
from sampled import sampled
from vecprop import FileError, load, save
from vecprop.export import TrainedNetwork, to_numpy, to_onnx

onnx = pytest.importorskip("onnx")
skl2onnx = pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.usefixtures("reference_engine"),
]

DTYPES = {np.float64: 1e-6, np.float32: 1e-5}
FORMS = {("graph", dtype): tolerance for dtype, tolerance in DTYPES.items()}
FORMS |= {("source", np.float64): 1e-11, ("source", np.float32): 1e-5}
OF_MODELS = pytest.mark.parametrize(
    ("form", "dtype"), [("graph", np.float32), ("source", np.float64)]
)


@pytest.mark.parametrize(("form", "dtype"), sampled(FORMS))
@pytest.mark.parametrize(
    ("layer", "loss"),
    [
        *((layer, vp.SquaredError()) for layer in LAYERS),
        *((vp.Tanh(), loss) for loss in LOSSES),
    ],
    ids=name,
)
def test_layers_and_links(layer, loss, form, dtype):
    p = problem(layer, loss, rows=50)
    theta, rows = p.theta.astype(dtype), p.X.astype(dtype)
    (Y,) = predicted(form, TrainedNetwork(p.network, theta), rows, dtype)
    assert Y.dtype == dtype
    assert_close(Y, p.network.predict(theta, rows), FORMS[form, dtype])


@pytest.mark.parametrize(("form", "tolerance"), [("graph", 1e-12), ("source", 0)])
@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_links_of_large_values(loss, form, tolerance):
    network = vp.Network(2, [vp.Identity()], loss)
    Z = np.array([[0, 0], [700, -700], [-700, 700], [1e-9, 0], [-40, -30.0]])
    (Y,) = predicted(form, TrainedNetwork(network, np.zeros(0)), Z)
    np.testing.assert_allclose(
        Y, network.predict(np.zeros(0), Z), rtol=tolerance, atol=1e-300
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "layer",
    [layer for layer in LAYERS if isinstance(layer, vp.extend.Activation)],
    ids=name,
)
def test_activations_are_accurate_for_large_values_and_near_0(layer, dtype):
    """Compare each entry relative to its size."""
    network = vp.Network(1, [layer], vp.SquaredError())
    z = np.array([0, 1e-30, 1e-12, 1e-6, 1e-3, 0.3, 1, 5, 30, 80, 1000], dtype)
    z = np.concatenate([-z[::-1], z])[:, None]
    (y,) = predicted("graph", TrainedNetwork(network, np.zeros(0, dtype)), z, dtype)
    expected = network.predict(np.zeros(0, dtype), z)
    np.testing.assert_allclose(
        y, expected, rtol=DTYPES[dtype], atol=np.finfo(dtype).tiny
    )


def assert_same(model, rows, form, dtype, tolerance=None):
    """Compare labels, numbers and probabilities, including dtypes."""
    found, expected = predicted(form, model, rows, dtype), [model.predict(rows)]
    tolerance = tolerance or FORMS[form, dtype]
    if hasattr(model, "predict_proba"):
        np.testing.assert_array_equal(found[0], expected[0], strict=form == "source")
        assert form == "source" or found[0].dtype in (np.int64, object)
        found, expected = found[1:], [model.predict_proba(rows)]
    elif form == "graph":
        expected = [expected[0].reshape(len(rows), -1)]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == (dtype if form == "graph" else theirs.dtype)
        assert_close(ours, theirs, tolerance)


@OF_MODELS
@pytest.mark.usefixtures("telling")
@pytest.mark.parametrize(
    "kind", sampled([*ESTIMATORS, *(f"ensemble: {kind}" for kind in ENSEMBLES)], 3)
)
def test_estimators(kind, form, dtype):
    model, y = (
        ESTIMATORS[kind]
        if kind in ESTIMATORS
        else ENSEMBLES[kind.removeprefix("ensemble: ")]
    )
    rows = X.astype(dtype)
    assert_same(fitted(clone(model), rows, y), rows, form, dtype)


def test_a_single_class_and_a_loss_without_probabilities():
    model = fitted(vp.MLPClassifier(**FEW), X, np.full(60, "a"))
    np.testing.assert_array_equal(functions(model)["predict"](X), model.predict(X))
    model = fitted(vp.MLPClassifier(**FEW, loss=vp.SquaredError()), X, TWO)
    source = functions(model)
    np.testing.assert_array_equal(source["predict"](X), model.predict(X))
    assert "predict_proba" not in source


FILLED = [SimpleImputer(), SimpleImputer(strategy="median", add_indicator=True)]
FILLED.append(SimpleImputer(add_indicator=True, keep_empty_features=True))
IN_GRAPHS = [
    StandardScaler(),
    RobustScaler(),
    make_pipeline(StandardScaler(), PCA(2)),
    *FILLED,
]
IN_SOURCE = [
    *(
        StandardScaler(with_mean=mean, with_std=std)
        for mean, std in ((True, True), (False, True), (True, False))
    ),
    *(
        MinMaxScaler((-1, 1), clip=True),
        MinMaxScaler(),
        MaxAbsScaler(),
        FunctionTransformer(),
    ),
    *(RobustScaler(quantile_range=(10, 90)), RobustScaler(with_centering=False)),
    make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), "passthrough"),
    ColumnTransformer(
        [("a", StandardScaler(), [2]), ("b", "drop", [0])], remainder="passthrough"
    ),
]


@pytest.mark.parametrize("dtype", sampled(DTYPES))
@pytest.mark.parametrize("step", IN_GRAPHS, ids=str)
@pytest.mark.filterwarnings("ignore:Skipping features")
def test_graphs_of_pipelines(step, dtype):
    rows, imputes = X.astype(dtype), "Imputer" in str(step)
    if imputes:
        rows[::5, 1] = rows[:, 2] = np.nan
    model = fitted(
        make_pipeline(clone(step), vp.MLPClassifier(**FEW)),
        rows,
        np.array(["no", "yes"])[TWO],
    )
    if imputes:
        rows[1::5, 0] = (
            1 if step.add_indicator else np.nan
        )  # scikit-learn rejects values that were missing nowhere in training
    assert_same(model, rows, "graph", dtype)


@pytest.mark.parametrize("step", IN_SOURCE, ids=str)
def test_source_of_pipelines(step, tmp_path):
    rows = X.copy()
    if "Imputer" in str(step):
        rows[::5, 1] = np.nan
    save(
        fitted(make_pipeline(step, vp.MLPRegressor(**FEW)), rows, X[:, 0]),
        tmp_path / "model",
    )
    assert_same(load(tmp_path / "model"), 2 * rows[::-1], "source", np.float64)


@pytest.mark.parametrize(
    ("dtype", "indicator"), [(np.float32, False), (np.float64, True)]
)
def test_a_graph_takes_the_columns_of_a_table(dtype, indicator):
    pytest.importorskip("pandas")
    columns = ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(add_indicator=indicator), StandardScaler()), ["length", "width"]),
        ("sizes", OneHotEncoder(handle_unknown="ignore"), ["size"]),
        ("rooms", SimpleImputer(), ["rooms", "width"]),
    ])  # fmt: skip
    table: Any = frame()[["length", "width", "size", "rooms"]].astype(
        {"size": str, "length": dtype, "width": dtype}
    )
    model = fitted(make_pipeline(columns, vp.MLPRegressor(**FEW)), table, X[:, 0])
    table.loc[:4, "size"] = "XXL"
    table.loc[3:7, "width"] = np.nan
    inputs = {name: table[[name]].to_numpy() for name in table}
    (Y,) = run(to_onnx(model, X=table, dtype=dtype), **inputs).values()
    assert Y.dtype == dtype
    assert_close(Y.ravel(), model.predict(table), DTYPES[dtype])


@pytest.mark.parametrize("unknown", ["error", "ignore"])
def test_source_takes_the_columns_of_a_table(unknown):
    pytest.importorskip("pandas")
    table: Any = frame().fillna({"colour": "none"}).astype({"size": str})
    columns = ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["width", "length"]),
        ("names", OneHotEncoder(handle_unknown=unknown), ["size", "colour", "rooms"]),
        ("rest", "passthrough", ["rooms"]),
    ])  # fmt: skip
    model = fitted(make_pipeline(columns, vp.MLPClassifier(**FEW)), table, TWO)
    source = functions(model)
    predict, expected = source["predict_proba"], model.predict_proba(table)
    np.testing.assert_allclose(predict(table), expected, rtol=1e-11)
    np.testing.assert_allclose(predict(table.to_numpy().tolist()), expected, rtol=1e-11)
    assert (
        "Rows have the columns length, width, colour, size, rooms." in source["__doc__"]
    )
    new = table.assign(colour="pink")
    if unknown == "error":
        with pytest.raises(
            ValueError, match="a category that did not occur in training"
        ):
            source["predict"](new)
    else:
        np.testing.assert_allclose(predict(new), model.predict_proba(new), rtol=1e-11)


@pytest.mark.parametrize("column", ODD_NAMES)
def test_column_names_are_not_executed(column):
    table = frame()[["width", "rooms"]].set_axis([column, "a\0b"], axis=1)
    model = fitted(
        make_pipeline(StandardScaler(), vp.MLPRegressor(**FEW)), table, X[:, 0]
    )
    source = functions(model)
    assert f"the columns {column}, a\0b." in source["__doc__"]
    np.testing.assert_allclose(
        source["predict"](table), model.predict(table), rtol=1e-11
    )


def test_other_imputers_are_converted_by_skl2onnx():
    rows = X.round().astype(np.float32)
    model = fitted(
        make_pipeline(SimpleImputer(missing_values=0.0), vp.MLPClassifier(**FEW)),
        rows,
        TWO,
    )
    assert_same(model, rows, "graph", np.float32)


def test_pipelines_converted_by_skl2onnx():
    from vecprop.files.onnx import register

    register()
    rows = X.astype(np.float32)
    model = fitted(
        make_pipeline(StandardScaler(), vp.MLPClassifier(**FEW)), rows, THREE
    )
    for opset in (13, 18, 21):
        graph = skl2onnx.to_onnx(
            model, rows[:1], target_opset={"": opset, "ai.onnx.ml": 3}
        )
        label, maps = run(graph, X=rows).values()
        np.testing.assert_array_equal(label, model.predict(rows))
        assert_close(
            np.array([list(row.values()) for row in maps]),
            model.predict_proba(rows),
            1e-5,
        )
    bag = fitted(
        BaggingClassifier(vp.MLPClassifier(**FEW), 3, random_state=0), rows, TWO
    )
    _, probability = run(
        skl2onnx.to_onnx(bag, rows[:1], options={"zipmap": False}), X=rows
    ).values()
    assert_close(probability, bag.predict_proba(rows), 1e-5)


# Readable source, and unsupported parts.


def test_a_graph_with_a_custom_layer_is_written_to_a_file(tmp_path):
    p = problem(Cube(), vp.SquaredError())
    made = to_onnx(
        TrainedNetwork(p.network, p.theta), tmp_path / "network.onnx", dtype=np.float64
    )
    assert onnx.load(tmp_path / "network.onnx") == made
    (Y,) = run(made, X=p.X).values()
    assert_close(Y, p.network.predict(p.theta, p.X), 1e-12)


def test_source_needs_only_numpy(tmp_path):
    model = fitted(
        make_pipeline(StandardScaler(), vp.MLPClassifier(**FEW)),
        X,
        np.array(["no", "yes"])[TWO],
    )
    source = to_numpy(model, tmp_path / "model.py")
    assert (tmp_path / "model.py").read_text(encoding="utf-8") == source
    assert len(source.splitlines()) < 50
    assert [line for line in source.splitlines() if "import" in line] == [
        "import numpy as np"
    ]
    assert functions(model)["predict"](np.zeros((1, 3))) == model.predict(
        np.zeros((1, 3))
    )


def test_the_source_of_a_small_network_is_readable():
    network = vp.Network(2, [vp.Dense(1), vp.LeakyReLU(0.1)], vp.SquaredError())
    source = to_numpy(TrainedNetwork(network, np.array([1.0, 2.0, 0.5])))
    expected = '''\
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
    assert source.partition("\n\n")[2] == expected


def test_nonfinite_numbers_are_exported():
    network = vp.Network(1, [vp.Dense(2)], vp.SquaredError())
    theta = np.array([1.0, 2.0, np.inf, -np.inf])
    np.testing.assert_array_equal(
        functions(TrainedNetwork(network, theta))["predict"]([[1.0]]),
        [[np.inf, -np.inf]],
    )


def test_one_activation_with_two_settings():
    layers = [
        vp.LeakyReLU(0.1),
        vp.LeakyReLU(0.2),
        vp.LeakyReLU(0.1),
        vp.Softplus(),
        vp.Logistic(),
    ]
    network = vp.Network(2, layers, vp.BinaryCrossEntropy())
    rows = np.array([[-3.0, 2.0]])
    source = functions(TrainedNetwork(network, np.zeros(0)))
    np.testing.assert_array_equal(
        source["predict"](rows), network.predict(np.zeros(0), rows)
    )
    assert [name for name in source if name.startswith("leaky")] == [
        "leaky_relu",
        "leaky_relu_1",
    ]


def test_labels_other_than_text_and_numbers_raise_an_error():
    days = np.array([datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)])[TWO]
    model = fitted(vp.MLPClassifier(**FEW), X, TWO)
    model.targets_ = dataclasses.replace(model.targets_, classes=np.unique(days))
    model.classes_ = model.targets_.classes
    with pytest.raises(
        FileError,
        match=r"datetime.date\(2024, 1, 1\) cannot be written as NumPy source",
    ):
        to_numpy(model)


def in_front(step, rows=X):
    return fitted(make_pipeline(step, vp.MLPClassifier(**FEW)), rows, TWO)


def trained(layer, **settings):
    p = problem(layer, vp.SquaredError(), **settings)
    return TrainedNetwork(p.network, p.theta)


SMALL = vp.Network(2, [vp.Dense(1)], vp.SquaredError())

ELSEWHERE = "cannot be written as NumPy source: use `save`, or `to_onnx`"


@pytest.mark.parametrize(("write", "make", "error", "said"), [
    (to_numpy, lambda: trained(Cube()), FileError, r"Cube.* cannot be exported: only vecprop's built-in parts"),
    (to_numpy, lambda: in_front(OrdinalEncoder()), FileError, ELSEWHERE),
    (to_numpy, lambda: in_front(SimpleImputer(add_indicator=True)), FileError, ELSEWHERE),
    (to_numpy, lambda: in_front(FunctionTransformer(np.tanh)), FileError, ELSEWHERE),
    (to_numpy, lambda: in_front(OneHotEncoder(drop="first"), X.round()), FileError, "does not support missing"),
    (to_numpy, lambda: StandardScaler().fit(X), FileError, "A StandardScaler cannot be written as NumPy source"),
    (to_numpy, lambda: TrainedNetwork(SMALL, np.ones(4)), FileError, r"theta has shape \(4,\), but .* 3 parameters"),
    (to_onnx, lambda: TrainedNetwork(SMALL, np.ones(4)), FileError, r"theta has shape \(4,\), but .* 3 parameters"),
    (to_onnx, lambda: SMALL, FileError, r"A Network cannot be exported .*: give a TrainedNetwork\(network, theta\)"),
    (to_numpy, lambda: trained(vp.ReLU(), members=(2,)), FileError, r"shape \(2,\), but source can contain only one"),
    (to_onnx, lambda: trained(vp.ReLU(), members=(2,)), FileError, r"shape \(2,\), but a graph can contain only one"),
    (to_onnx, lambda: fitted(vp.MLPClassifier(**FEW), X, TWO.astype(np.uint64) + np.uint64(2**63)), FileError,
     "Labels in ONNX must be integers or text"),
    (lambda model: to_onnx(model, dtype=int), lambda: trained(vp.ReLU()), ValueError,
     "dtype is int64, expected float32 or float64"),
    (to_onnx, lambda: in_front(FunctionTransformer(np.tanh)), RuntimeError, "FunctionTransformer is not supported"),
])  # fmt: skip
def test_unsupported_parts_are_named(write, make, error, said):
    model = make()
    with pytest.raises(error, match=said):
        write(model)


@pytest.mark.long
def test_only_estimators_need_skl2onnx():
    code = """
import sys
sys.modules["skl2onnx"] = None
import vecprop as vp
network = vp.Network(2, [vp.Dense(2)], vp.SoftmaxCrossEntropy())
model = vp.export.to_onnx(vp.export.TrainedNetwork(network, network.init(0)))
print([node.op_type for node in model.graph.node][:2])
try:
    vp.export.to_onnx(vp.MLPClassifier(max_iter=1).fit([[0], [1]], [0, 1]))
except ImportError as error:
    print(error)
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    message = 'to_onnx of an estimator needs skl2onnx: pip install "vecprop[onnx]".'
    assert shown.splitlines() == ["['MatMul', 'Add']", message]

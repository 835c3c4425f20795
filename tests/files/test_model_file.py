"""Test that saved models are restored bit-identically, and that unsupported parts are named."""

import copy
import hashlib
import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import vecprop as vp
from conditions import current_limit
from fits import Cube
from models import (
    ESTIMATORS,
    FEW,
    NUMBERS,
    SCALERS,
    TWO,
    X,
    fitted,
    frame,
    fresh,
    table_pipeline,
)
from registry import LAYERS, LOSSES, PARTS, name, problem
from sampled import sampled
from vecprop import FileError, MLPClassifier, MLPRegressor, load, save
from vecprop.export import TrainedNetwork
from vecprop.files import model_file
from vecprop.files.model_file.json_values import Reader, Writer
from vecprop.files.model_file.registry import BY_CLASS, BY_NAME


def round_trip(model, tmp_path, **notes) -> Any:
    path = tmp_path / "model.npz"
    save(model, path, **notes)
    return load(path)


def state_of(value):
    """Return the content of a value in a comparable form."""
    if isinstance(value, np.ndarray):
        entries = state_of(value.tolist()) if value.dtype == object else value.tobytes()
        return "array", value.dtype, value.shape, entries
    if isinstance(value, list | tuple):
        return type(value), [state_of(entry) for entry in value]
    if isinstance(value, dict):
        return {key: state_of(entry) for key, entry in value.items()}
    if hasattr(value, "__dict__") and not isinstance(value, type):
        left_out = ("_rows",)
        return type(value), {
            key: state_of(entry)
            for key, entry in vars(value).items()
            if key not in left_out
        }
    return type(value), repr(value)


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("dtype", sampled([np.float64, np.float32]))
def test_estimators_are_restored_exactly(kind, dtype, tmp_path):
    model, y = ESTIMATORS[kind]
    model, rows = fitted(fresh(model), X.astype(dtype), y), X.astype(dtype)
    model.hidden_activations(rows)
    model.score(rows, y)
    again = round_trip(model, tmp_path)
    assert state_of(again) == state_of(model)  # including fitted attributes
    for method in {"predict", "predict_proba"} & set(dir(model)):
        np.testing.assert_array_equal(
            getattr(again, method)(rows), getattr(model, method)(rows), strict=True
        )


@pytest.mark.parametrize(
    "kind",
    sampled(kind for kind in ESTIMATORS if kind not in ("early stopping", "lbfgs")),
)
def test_training_continues_bit_identically(kind, tmp_path):
    model, y = ESTIMATORS[kind]
    model = fitted(fresh(model), X, y)
    again = round_trip(model, tmp_path)
    assert "classes_" not in vars(model) or again.classes_ is again.targets_.classes
    for _ in range(2):
        model.partial_fit(X, y)
        again = round_trip(again.partial_fit(X, y), tmp_path)
    assert (again.theta_ == model.theta_).all()
    assert again.loss_curve_ == model.loss_curve_


def test_a_random_state_continues(tmp_path):
    settings = FEW | {
        "random_state": np.random.RandomState(3),
        "warm_start": True,
        "early_stopping": True,
    }
    model = fitted(MLPRegressor(**settings), X, NUMBERS)
    again = round_trip(model, tmp_path)
    assert (fitted(again, X, NUMBERS).theta_ == fitted(model, X, NUMBERS).theta_).all()


@pytest.mark.parametrize(("model", "y"), [
    (vp.MLPEnsembleClassifier(MLPClassifier(**FEW), 3), np.array(["no", "yes"])[TWO]),
    (vp.MLPEnsembleClassifier(MLPClassifier(**FEW), 3, bootstrap=True, oob_score=True), TWO),
    (vp.MLPEnsembleRegressor(MLPRegressor(**FEW, scale_target=True), 3, max_samples=0.5, max_features=2), NUMBERS),
], ids=["text", "bootstrap", "numbers"])  # fmt: skip
def test_ensembles_are_restored_exactly(model, y, tmp_path):
    model = fitted(fresh(model), X, y)
    again = round_trip(model, tmp_path)
    assert state_of(again) == state_of(model)
    np.testing.assert_array_equal(again.predict(X), model.predict(X), strict=True)
    model.estimators_[1] = MLPClassifier()
    with pytest.raises(FileError, match="MLPEnsemble"):
        save(model, tmp_path / "model")


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
def test_pipelines_are_restored_exactly(scaler, tmp_path):
    rows = X.copy()
    if "Imputer" in str(scaler):
        rows[::5, 1] = np.nan
    model = fitted(make_pipeline(scaler, MLPClassifier(**FEW)), rows, TWO)
    again = round_trip(model, tmp_path)
    assert state_of(again) == state_of(model)
    np.testing.assert_array_equal(
        again.predict_proba(rows), model.predict_proba(rows), strict=True
    )


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_a_pipeline_for_a_table_is_restored_exactly(output, tmp_path):
    pytest.importorskip("pandas")
    pipeline: Any = table_pipeline()
    if output == "pandas":
        pipeline[0].transformers[1][1].set_params(sparse_output=False)
        pipeline.set_output(transform="pandas")
    model = fitted(pipeline, frame(), TWO)
    again = round_trip(model, tmp_path)
    assert state_of(again) == state_of(model)
    new = frame(90)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of unknown categories
        np.testing.assert_array_equal(
            again.predict_proba(new), model.predict_proba(new)
        )
    with pytest.raises(ValueError, match="columns are missing"):
        again.predict(new.drop(columns="width"))


@pytest.mark.parametrize("members", [(), (3,)])
@pytest.mark.parametrize("layer", LAYERS, ids=name)
def test_networks_are_restored_exactly(layer, members, tmp_path):
    p = problem(layer, vp.SquaredError(), members)
    network, theta, state = round_trip(TrainedNetwork(p.network, p.theta), tmp_path)
    assert (network, state) == (p.network, None)
    np.testing.assert_array_equal(
        network.predict(theta, p.X), p.network.predict(p.theta, p.X), strict=True
    )


@pytest.mark.parametrize(
    "schedule", [None, vp.Adaptive(), vp.WarmUp(2, vp.Adaptive())], ids=str
)
@pytest.mark.parametrize("members", [(), (2,)])
@pytest.mark.parametrize("loss", sampled(LOSSES, 6), ids=name)
def test_training_of_a_network_continues_bit_identically(
    loss, members, schedule, tmp_path
):
    p = problem(vp.Tanh(), loss, members)
    how = {
        "optimizer": vp.Adam(0.01),
        "schedule": schedule,
        "epochs": 4,
        "engine": "reference",
    }
    first = vp.train(p.network, p.theta, p.X, p.T, **how)
    trained = round_trip(TrainedNetwork(p.network, first.theta, first.state), tmp_path)
    np.testing.assert_array_equal(
        trained.state.history.loss, first.history.loss, strict=True
    )
    on, again = (
        vp.train(network, theta, p.X, p.T, **how, state=state).theta
        for network, theta, state in [(p.network, first.theta, first.state), trained]
    )
    np.testing.assert_array_equal(again, on, strict=True)


def trained(epochs, engine="compiled") -> Any:
    """Train a network with a record of each epoch."""
    p = problem(vp.Tanh(), vp.SquaredError())
    how: Any = {
        "optimizer": vp.Adam(0.01),
        "validation": (p.X, p.T),
        "validation_score": "r2",
        "engine": engine,
    }
    result = vp.train(
        p.network,
        p.theta,
        p.X,
        p.T,
        epochs=epochs,
        callbacks=[lambda state: None],
        **how,
    )
    return TrainedNetwork(p.network, result.theta, result.state)


CURVES = (
    "loss",
    "validation_loss",
    "validation_score",
    "gradient_norm",
    "step_size",
    "time",
)


def require_same_curves(one: Any, other: Any):
    for curve in CURVES:
        np.testing.assert_array_equal(
            getattr(one, curve), getattr(other, curve), strict=True
        )


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_a_long_training_has_as_many_arrays_as_a_short_one(engine, tmp_path):
    def arrays_of(epochs):
        model = trained(epochs, engine)
        again = round_trip(model, tmp_path)
        require_same_curves(again.state.history, model.state.history)
        return model_file.information(tmp_path / "model.npz")["arrays"].keys()

    assert arrays_of(100) == arrays_of(2)


@pytest.mark.parametrize("limited", ["entries", "bytes of the document"])
def test_files_too_large_to_load_are_not_written(limited, tmp_path, limit):
    path, model, larger = (
        tmp_path / "model",
        trained(2),
        fitted(make_pipeline(*SCALERS, MLPClassifier(**FEW)), X, TWO),
    )
    save(model, path)
    old = path.read_bytes()
    with np.load(path) as file:
        size = {
            "entries": len(file.files),
            "bytes of the document": len(file["document"]),
        }[limited]
    limit(f"model file: {limited}", size)
    save(model, path)  # the maximum for a file
    load(path)
    with pytest.raises(
        FileError,
        match=rf"not written: it would have \d+ \D+, more than the {size} that",
    ):
        save(larger, path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("part", PARTS, ids=name)
def test_every_public_part_is_registered(part):
    written = json.loads(json.dumps(Writer(BY_CLASS).plain(part, "part")))
    assert Reader(BY_NAME, {}).value(written) == part


VALUES = [
    None,
    True,
    -3,
    0.1,
    np.inf,
    -np.inf,
    "ä\ud800",
    [1, [2.5]],
    (1, "a", ()),
    {"a": (1,), "tuple": 2},
]
VALUES += [
    {1: "a", (1, 2): None, None: 2.0},
    np.float32(0.1),
    np.int8(3),
    np.bool_(True),
    np.str_("x"),
]
VALUES += [np.dtype("float32"), np.dtype("<U3"), np.float64, str, slice(1, None, 2)]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_are_restored_with_their_types(value):
    text = json.dumps(Writer({}).plain(value, "value"), allow_nan=False)
    assert state_of(Reader({}, {}).value(json.loads(text))) == state_of(value)


def test_columns_and_metrics_are_in_the_file(tmp_path):
    model = fitted(MLPClassifier(**FEW), X, TWO)
    columns = {"a": np.dtype(float), "b": np.dtype(float), "c": "category"}
    metrics: Any = {"accuracy": np.float32(0.5)}
    save(model, tmp_path / "model", columns=columns, metrics=metrics)
    said = model_file.information(tmp_path / "model")
    assert said["columns"] == [["a", "float64"], ["b", "float64"], ["c", "category"]]
    assert said["fingerprint"] == model_file.fingerprint(dict(said["columns"]))
    assert said["metrics"] == {"accuracy": 0.5}
    assert said["written by"]["vecprop"] == vp.__version__


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model = fitted(MLPClassifier(**FEW), X, TWO)
    for file in ("a", "b"):
        save(copy.deepcopy(model), tmp_path / file)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_alone_reads_a_file(tmp_path):
    """Follow docs/model-files.md."""
    model = fitted(MLPRegressor(**FEW, scale_target=True), X, NUMBERS)
    save(model, tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        text = file["document"].tobytes()
        assert hashlib.sha256(text).digest() == file["checksum"].tobytes()
        document = json.loads(text)
        for array, said in document["arrays"].items():
            values = file[array]
            assert (values.dtype.str, list(values.shape)) == (
                said["dtype"],
                said["shape"],
            )
            assert hashlib.sha256(values.tobytes()).hexdigest() == said["sha256"]
        said = document["model"]["MLPRegressor"]
        theta = file[said["theta_"]["array"]]
        targets = {
            key: file[value["array"]]
            for key, value in said["targets_"]["Numbers"].items()
            if key != "outputs"
        }
    W, b, V, c = np.split(theta, np.cumsum([15, 5, 5]))
    Y = np.maximum(X @ W.reshape(3, 5) + b, 0) @ V.reshape(5, 1) + c
    np.testing.assert_allclose(
        (Y * targets["scale"] + targets["shift"]).ravel(), model.predict(X), rtol=1e-12
    )


def test_callbacks_and_pipeline_memory_are_not_saved(tmp_path):
    network = MLPClassifier(**FEW, callbacks=[lambda state: None])
    model = Pipeline(
        [("scale", StandardScaler()), ("network", network)],
        memory=str(tmp_path / "memory"),
    )
    fitted(model, X, TWO)
    again = round_trip(model, tmp_path)
    assert (again.memory, again[-1].callbacks) == (None, None)
    assert b"memory" not in (tmp_path / "model.npz").read_bytes()
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert state_of(fitted(again, X, TWO)) == state_of(
        fitted(fresh(model, memory=None, network__callbacks=None), X, TWO)
    )


def test_unsavable_parts_are_named(tmp_path):
    def refused(model, message):
        with pytest.raises(FileError, match=message):
            save(model, tmp_path / "model")
        assert not list(tmp_path.iterdir())

    own = fitted(MLPClassifier(**FEW | {"activation": Cube()}), X, TWO)
    refused(
        own,
        r"^activation is of the class \w+.*Cube, but.*never code; use pickle or joblib",
    )
    scaler = FunctionTransformer(np.tanh)
    refused(
        fitted(make_pipeline(scaler, MLPClassifier(**FEW)), X, TWO),
        r"^steps.0.1.func is the function tanh",
    )
    refused(
        fitted(make_pipeline(PCA(), MLPClassifier(**FEW)), X, TWO),
        r"^steps.0.1 is of the class sklearn.PCA",
    )
    refused(
        StandardScaler().fit(X),
        "A StandardScaler cannot be saved as a model: give a TrainedNetwork",
    )
    refused(
        make_pipeline(StandardScaler(), FunctionTransformer()).fit(X),
        "A FunctionTransformer cannot be saved",
    )
    network = vp.Network(3, [vp.Dense(1)], vp.SquaredError())
    refused(
        network,
        r"A Network cannot be saved as a model: give a TrainedNetwork\(network,"
        r" theta\)",
    )
    refused(
        TrainedNetwork(network, np.zeros(5)),
        "the values of TrainedNetwork are inconsistent",
    )
    model = fitted(MLPClassifier(**FEW), X, TWO)
    model.note = "mine"
    refused(
        model, "MLPClassifier has the attribute 'note', which a model file cannot store"
    )
    for unfitted in (
        MLPClassifier(),
        Pipeline([("scale", StandardScaler()), ("network", MLPRegressor())]),
    ):
        with pytest.raises(NotFittedError):
            save(unfitted, tmp_path / "model")


def test_another_release_of_scikit_learn_warns(tmp_path, limit):
    model = fitted(make_pipeline(StandardScaler(), MLPClassifier(**FEW)), X, TWO)
    version = current_limit("version of scikit-learn")
    limit("version of scikit-learn", "1.5.2")
    save(model, tmp_path / "model")
    limit("version of scikit-learn", version)
    with pytest.warns(
        InconsistentVersionWarning, match=r"Pipeline from version 1\.5\.2"
    ):
        load(tmp_path / "model")


@pytest.mark.long
def test_the_page_about_model_files_is_correct(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "model-files.md").read_text(
        encoding="utf-8"
    )
    pytest.importorskip("skl2onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names = {}
    for program in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(program, names)
    np.testing.assert_array_equal(
        names["again"].predict(names["X"]), names["model"].predict(names["X"])
    )
    people, table_model = names["people"], names["table_model"]
    P = table_model.predict_proba(people)
    np.testing.assert_allclose(
        names["buys"].predict_proba(people), P, rtol=1e-6, atol=1e-12
    )
    np.testing.assert_allclose(names["probabilities"], P, rtol=1e-5, atol=1e-12)
    assert names["document"].keys() == set(
        re.findall(r"^\| `([\w ]+)` \| (?!bytes|32 bytes)", page, re.MULTILINE)
    )
    for entry in ("document", "checksum"):
        assert f"| `{entry}` |" in page


@pytest.mark.parametrize("name", ["model.pkl", "model.JOBLIB", "model.onnx"])
def test_extensions_of_other_formats_are_refused(name, tmp_path):
    with pytest.raises(
        FileError,
        match=r"has the extension of another format: name the model file model\.npz\.$",
    ):
        save(MLPClassifier(), tmp_path / name)
    assert not list(tmp_path.iterdir())

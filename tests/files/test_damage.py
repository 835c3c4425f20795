"""Test that damaged, truncated, foreign, newer or hostile files give one clear error, or the correct model."""

import collections
import hashlib
import io
import json
import pickle
import random
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pandas as pd
import pytest
from altered import refused, rewrite, rewritten
from joblib import parallel_config
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import vecprop as vp
from models import FEW, TWO, X, fitted, raw_table
from sampled import sampled
from vecprop import FileError, load, save
from vecprop.files.model_file import information

pytestmark = pytest.mark.usefixtures("reference_engine")

MODEL = fitted(make_pipeline(StandardScaler(), vp.MLPClassifier(**FEW)), X, TWO)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "model.npz"
    save(MODEL, path)
    return path.read_bytes()


def damaged(data, rng):
    """Return a copy of the bytes with random damage."""
    data = bytearray(data)
    start, length = rng.randrange(len(data)), rng.choice([1, 2, 8, 100, 1000])
    match rng.randrange(6):
        case 0:
            data[start] ^= 1 << rng.randrange(8)
        case 1:
            data[start : start + length] = rng.randbytes(length)
        case 2:
            del data[start : start + length]
        case 3:
            data[start:start] = rng.randbytes(length)
        case 4:
            del data[start:]
        case 5:
            data[start : start + length] = bytes(length)
    return bytes(data)


TABLE = raw_table(rows=60)
SMALL: Any = {
    "n_estimators": 2,
    "max_iter": 2,
    "hidden_layer_sizes": (4,),
    "random_state": 0,
}
FUZZED = {
    "pipeline": lambda: (MODEL, X),
    "classifier of tables": lambda: (
        vp.TabularClassifier(**SMALL).fit(TABLE, TWO),
        TABLE,
    ),
    "regressor of tables": lambda: (
        vp.TabularRegressor(**SMALL).fit(TABLE, X[:, 0]),
        TABLE,
    ),
}


def read_damaged(kind, path, tries, seed):
    """Count the damaged files that gave an error or the correct model; also return other results."""
    right, rows = FUZZED[kind]()
    save(right, path)
    good, said = path.read_bytes(), information(path)
    rng, found = random.Random(seed), collections.Counter()
    expected = right.predict(rows)
    for _ in range(tries):
        path.write_bytes(damaged(good, rng))
        try:
            model = load(path)
        except FileError as error:
            sentence = str(error).replace(str(path), "")
            found[
                (
                    "error"
                    if sentence.endswith(".") and "\n" not in sentence
                    else f"unclear: {error}"
                )
            ] += 1
        except BaseException as error:
            found[f"another error: {error!r}"] += 1
        else:
            save(model, path)
            is_same = information(path) == said and np.array_equal(
                model.predict(rows), expected
            )
            found["same" if is_same else "altered"] += 1
    return found


@pytest.mark.parametrize("kind", FUZZED)
def test_damaged_files(kind, tmp_path):
    found = read_damaged(kind, tmp_path / "model", 40, seed=0)
    assert found.keys() <= {"error", "same"}, found
    assert found["error"] > 25


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("kind", FUZZED)
def test_many_damaged_files(kind, tmp_path, seed):
    found = read_damaged(kind, tmp_path / "model", 3000, seed)
    assert found.keys() == {"error", "same"}, found


def test_every_flipped_bit_of_an_array_is_detected(good, tmp_path):
    data = bytearray(good)
    at = good.index(MODEL.steps[-1][1].theta_.tobytes())
    for bit in (0, 31, 63):
        data[at + bit // 8] ^= 1 << bit % 8
        (tmp_path / "model").write_bytes(data)
        refused(
            tmp_path / "model",
            r"is damaged or truncated: Bad CRC-32 for file"
            r" 'steps\.1\.1\.theta_\.npy'\.$",
        )


@pytest.mark.parametrize(("name", "message"), [
    ("steps.1.1.theta_", r"the array 'steps\.1\.1\.theta_' has a wrong checksum"),
    ("document", "its document has a wrong checksum"),
    ("checksum", "its document has a wrong checksum"),
])  # fmt: skip
def test_a_replaced_entry_with_a_valid_crc_is_detected(name, message, good, tmp_path):
    with (
        zipfile.ZipFile(io.BytesIO(good)) as old,
        zipfile.ZipFile(tmp_path / "model", "w") as new,
    ):
        for entry in old.infolist():
            data = bytearray(old.read(entry))
            data[-1] ^= entry.filename == f"{name}.npy"
            new.writestr(entry.filename, bytes(data))
    refused(tmp_path / "model", message)


def test_foreign_files(good, tmp_path):
    archive = io.BytesIO()
    np.savez(archive, W=np.zeros(3))
    for data, message in (
        (b"", "is empty"),
        (b"a,b\n1,2\n", r"is not a model file: give a file written by vecprop.save"),
        (pickle.dumps(MODEL), "is not a model file"),
        (
            archive.getvalue(),
            "is not a model file: give a file written by vecprop.save",
        ),
        *((good[:end], "is damaged or truncated") for end in (-30, 4, len(good) // 2)),
    ):
        (tmp_path / "model").write_bytes(data)
        refused(tmp_path / "model", message)
    refused(tmp_path, "is a folder")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")


def test_a_newer_format_is_named(tmp_path, monkeypatch, limit):
    limit("model file: version", 2)
    save(MODEL, tmp_path / "model")
    monkeypatch.undo()
    refused(
        tmp_path / "model",
        "has format version 2, but this vecprop supports versions up to 1: update"
        " vecprop",
    )


def test_a_pickle_inside_is_not_loaded(tmp_path):
    class Harm:
        def __reduce__(self):
            return (pytest.fail, ("executed",))

    save(MODEL, tmp_path / "model")
    with (
        zipfile.ZipFile(tmp_path / "model", "a") as archive,
        archive.open("harm.npy", "w") as entry,
    ):
        np.lib.format.write_array(entry, np.array([Harm()], object), allow_pickle=True)
    refused(tmp_path / "model", "its arrays differ from the listed ones")
    rewritten(
        MODEL,
        tmp_path / "model",
        lambda document, arrays: arrays.update(harm=np.array([0])),
    )
    data = (tmp_path / "model").read_bytes()
    plain = b"'descr': '<i8', 'fortran_order': False, 'shape': (1,), }"
    (tmp_path / "model").write_bytes(
        data.replace(plain, plain.replace(b"<i8", b"|O") + b" ")
    )
    refused(tmp_path / "model", "is damaged")


def zeros(shape):
    """Return the bytes of an .npy file that declares a shape but has no data."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    return header.getvalue()


HOW = {
    "compressed": "compressed",
    "claimed": "differs from its shape",
    "overlapping": "overlap",
    "many": "10. entries",
}


@pytest.mark.parametrize("how", HOW)
def test_loading_needs_no_more_memory_than_the_file_size(how, good, tmp_path, limit):
    path = tmp_path / "model"
    path.write_bytes(good)
    if how == "compressed":
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bomb.npy", bytes(2**26))
    elif how == "claimed":
        with (
            zipfile.ZipFile(io.BytesIO(good)) as old,
            zipfile.ZipFile(path, "w") as new,
        ):
            for entry in old.infolist():
                is_theta = entry.filename.endswith("theta_.npy")
                new.writestr(
                    entry.filename, zeros((2**40,)) if is_theta else old.read(entry)
                )
    elif how == "overlapping":
        with zipfile.ZipFile(path, "a") as archive:
            largest = max(archive.infolist(), key=lambda entry: entry.file_size)
            for number in range(100):
                twin = zipfile.ZipInfo(f"twin{number}.npy")
                twin.header_offset, twin.CRC = largest.header_offset, largest.CRC
                twin.file_size = twin.compress_size = largest.file_size
                archive.filelist.append(twin)
            archive._didModify = True  # pyright: ignore[reportAttributeAccessIssue] (private)
    else:
        limit("model file: entries", 100)
        with zipfile.ZipFile(path, "a") as archive:
            for number in range(100):
                archive.writestr(f"{number}.npy", b"")
    tracemalloc.start()
    refused(path, HOW[how])
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


def set_in(value, *keys):
    def change(document, arrays):
        place = document["model"]["Pipeline"]["steps"]
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


SCALER, NETWORK = (0, "tuple", 1, "StandardScaler"), (1, "tuple", 1, "MLPClassifier")
PARTS = (*NETWORK, "network_", "Network")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            set_in({"os.system": {}}, *NETWORK, "solver"),
            "'os.system' is not a known class",
        ),
        (set_in({"Harm": "x"}, *NETWORK, "solver"), "'Harm' is not a known class"),
        (set_in({"type": "eval"}, *NETWORK, "solver"), "'eval' is not known"),
        (
            set_in({"dtype": "O,O"}, *NETWORK, "solver"),
            "is not a numeric, Boolean or text dtype",
        ),
        (
            set_in({"scalar": ["<M8[s]", 1]}, *NETWORK, "alpha"),
            "is not a numeric, Boolean or text dtype",
        ),
        (set_in({"array": "nothing"}, *NETWORK, "theta_"), "'nothing' is not known"),
        (
            set_in(-1.0, *NETWORK, "alpha"),
            "The 'alpha' parameter of MLPClassifier must be",
        ),
        (
            set_in("x", *NETWORK, "predict"),
            "MLPClassifier in this version has no 'predict'",
        ),
        (
            set_in("x", *NETWORK, "__class__"),
            "MLPClassifier in this version has no '__class__'",
        ),
        (
            set_in("many", *NETWORK, "n_iter_"),
            "MLPClassifier has an invalid value for 'n_iter_'",
        ),
        (
            set_in({"array": "steps.0.1.mean_"}, *NETWORK, "theta_"),
            "an invalid value for 'theta_'",
        ),
        (
            set_in({"array": "steps.1.1.theta_"}, *SCALER, "mean_"),
            "StandardScaler has an invalid value for 'mean_'",
        ),
        (
            set_in(10**30, *PARTS, "layers", 0, "Dense", "outputs"),
            "an invalid value for 'theta_'",
        ),
        (
            set_in("3", *PARTS, "layers", 0, "Dense", "outputs"),
            "Dense has the invalid value outputs='3'",
        ),
        (set_in({"ReLU": {"leak": 1}}, *PARTS, "layers", 1), "'leak' is not known"),
        (
            set_in({"StandardScaler": {}}, *PARTS, "loss"),
            "a network has parts other than layers, a loss and penalties",
        ),
        (set_in(7, *PARTS, "inputs"), "an invalid value for 'theta_'"),
        (set_in([], *PARTS, "layers"), "A network needs at least one layer"),
        (
            set_in({"StandardScaler": {}}, 1, "tuple", 1),
            "A StandardScaler cannot be saved as a model",
        ),
        (
            set_in({"FunctionTransformer": {"func": "print"}}, 0, "tuple", 1),
            "FunctionTransformer must be a callable",
        ),
        (set_in({"MLPClassifier": {}}, 1, "tuple", 1), "not fitted"),
        (set_in([[[[]]]] * 3, 0), "model"),
        (lambda document, arrays: document.pop("model"), "model"),
        (
            lambda document, arrays: document.update(model=None),
            "A NoneType cannot be saved",
        ),
    ],
)
def test_hostile_descriptions(change, message, tmp_path):
    rewritten(MODEL, tmp_path / "model", change)
    said = refused(tmp_path / "model", message)
    assert said.startswith(
        f"{tmp_path / 'model'} has no model that this version of vecprop supports: "
    )


def test_arrays_of_other_dtypes_raise_an_error(tmp_path):
    rewritten(
        MODEL,
        tmp_path / "model",
        lambda document, arrays: arrays.update(other=np.zeros(2, complex)),
    )
    refused(tmp_path / "model", r"has the array 'other' of the unsupported type '<c16'")


@pytest.mark.parametrize(
    "change",
    [list, lambda listed: {name: listed[name] | {"other": 1} for name in listed}],
)
def test_an_invalid_list_of_arrays_raises_an_error(change, good, tmp_path):
    entries: dict[str, Any] = dict(np.load(io.BytesIO(good)))
    document = json.loads(entries["document"].tobytes())
    text = json.dumps(document | {"arrays": change(document["arrays"])}).encode()
    entries["document"] = np.frombuffer(text, np.uint8)
    entries["checksum"] = np.frombuffer(hashlib.sha256(text).digest(), np.uint8)
    with open(tmp_path / "model", "wb") as file:
        np.savez(file, **entries)
    refused(tmp_path / "model", "is damaged")


def test_the_state_of_a_callback_is_read_on_request(tmp_path):
    network = vp.Network(1, [vp.Dense(1)], vp.SquaredError())
    checkpoint = vp.Checkpoint(tmp_path / "run.npz")
    start = network, network.init(0), np.ones((4, 1)), np.ones(4)
    settings: dict[str, Any] = {
        "optimizer": vp.Adam(),
        "epochs": 2,
        "checkpoint": checkpoint,
        "callbacks": [lambda state: False],
    }
    vp.train(*start, **settings)
    harm = {"Harm": "x"}
    rewrite(checkpoint.path, lambda document, arrays: document.update(memory=harm))
    load(checkpoint.path)
    with pytest.raises(
        FileError,
        match=r"has a memory that cannot be read: 'Harm' is not a known class .*\.$",
    ):
        vp.train(*start, **settings)


def test_a_recursive_description_raises_an_error(tmp_path):
    for depth in (990, 100_000):
        text = (
            b'{"format": "vecprop model", "version": 1, "arrays": {}, "model": %b%b}'
            % (b"[" * depth, b"]" * depth)
        )
        document, checksum = (
            np.frombuffer(part, np.uint8)
            for part in (text, hashlib.sha256(text).digest())
        )
        with open(tmp_path / "model", "wb") as file:
            np.savez(file, document=document, checksum=checksum)
        refused(tmp_path / "model", "recursion")


def test_a_state_of_other_parameters_raises_an_error(tmp_path):
    network = vp.Network(3, [vp.Dense(2)], vp.SquaredError())
    result = vp.train(
        network, network.init(0), X, X[:, :2], optimizer=vp.Adam(), epochs=2
    )
    model = vp.export.TrainedNetwork(network, result.theta, result.state)

    rewritten(
        model,
        tmp_path / "model",
        lambda document, arrays: arrays.update({"state.optimizer.m": np.zeros(5)}),
    )
    refused(tmp_path / "model", "the values of TrainingState are inconsistent")


@pytest.fixture(scope="module")
def of_columns():
    frame = pd.DataFrame(
        {"a": np.arange(30.0), "b": np.arange(30) % 3, "c": ["x", "y", "z"] * 10}
    )
    steps = [("n", StandardScaler(), ["a"]), ("o", OneHotEncoder(), ["c"])]
    columns = ColumnTransformer(steps, remainder="passthrough", n_jobs=2)
    model = make_pipeline(columns, vp.MLPClassifier(**FEW))
    with parallel_config("threading"):  # processes take seconds to start
        fitted(model, frame, frame.b.to_numpy())
        yield model, frame


@pytest.mark.parametrize(("value", "keys"), sampled([
    (2000, ["n_jobs"]),
    ("other", ["transformers_", 0, "tuple", 0]),
    ("other", ["transformers_", 0, "tuple", 2, 0]),
    ("other", ["transformers", 1, "tuple", 0]),
    ([], ["_columns"]),
    ({"dict": {}}, ["_transformer_to_input_indices"]),
    ([99], ["_transformer_to_input_indices", "dict", "n"]),
    ({"dict": {}}, ["output_indices_"]),
], 3))  # fmt: skip
def test_inconsistent_transformers_raise_an_error(value, keys, of_columns, tmp_path):
    model, frame = of_columns
    rewritten(model, tmp_path / "model")
    np.testing.assert_array_equal(
        load(tmp_path / "model").predict(frame), model.predict(frame)
    )
    rewritten(
        model,
        tmp_path / "model",
        set_in(value, 0, "tuple", 1, "ColumnTransformer", *keys),
    )
    refused(
        tmp_path / "model",
        "a step has n_jobs=2000" if value == 2000 else "are inconsistent",
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nonfinite_parameters_raise_an_error(value, tmp_path):
    rewritten(
        MODEL,
        tmp_path / "model",
        lambda document, arrays: arrays["steps.1.1.theta_"].fill(value),
    )
    refused(tmp_path / "model", "parameters are not finite")
    network = vp.Network(3, [vp.Dense(2)], vp.SquaredError())
    with pytest.raises(
        FileError, match="The model cannot be saved: parameters are not finite"
    ):
        vp.save(
            vp.export.TrainedNetwork(network, np.full(8, value)), tmp_path / "other"
        )

"""Test that tabular models are restored exactly, and that hostile files raise an error."""

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from altered import refused, rewritten

import vecprop as vp
from vecprop import FileError, load, save

FRAME = pd.DataFrame(
    {
        "number": np.where(np.arange(60) % 7 == 0, np.nan, np.sin(np.arange(60.0))),
        "town": np.array(list("abc"))[np.arange(60) % 3],
        "day": pd.date_range("2024-01-01", periods=60, freq="9h"),
        "words": [f"word{k % 11} and word{k % 13}" for k in range(60)],
        "constant": 1,
        "class": np.array(["yes", "no"])[np.arange(60) // 2 % 2],
    }
)
FEW = {"n_estimators": 2, "max_iter": 2, "hidden_layer_sizes": (4,), "random_state": 0}


@pytest.fixture(scope="module")
def models(reference_engine):
    classifier = vp.TabularClassifier("class", **FEW).fit(FRAME)
    quantiles = vp.TabularRegressor(**FEW, loss="quantile", quantile=(0.1, 0.5, 0.9))
    return {
        "classes": classifier,
        "numbers": vp.TabularRegressor(**FEW).fit(FRAME, FRAME.index**2),
        "quantiles": quantiles.fit(FRAME, FRAME.index**2),
    }


@pytest.mark.parametrize("kind", ["classes", "numbers", "quantiles"])
def test_predictions_notes_and_settings_are_restored(models, kind, tmp_path):
    model = models[kind]
    save(model, tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert again.get_params() == model.get_params()
    assert again.notes_ == model.notes_
    assert again.loss_curves_ == model.loss_curves_
    assert again.encoder_.kinds == {
        "number": "numbers",
        "town": "categories",
        "day": "dates",
        "words": "text",
    } | ({} if kind == "classes" else {"class": "categories"})
    np.testing.assert_array_equal(
        again.predict(FRAME), model.predict(FRAME), strict=True
    )
    if kind == "classes":
        np.testing.assert_array_equal(
            again.predict_proba(FRAME), model.predict_proba(FRAME)
        )
    else:
        np.testing.assert_array_equal(
            again.predict_interval(FRAME), model.predict_interval(FRAME)
        )


def described(document, name) -> Any:
    """Return the state of the first object of a class in a document."""
    if isinstance(document, dict):
        if name in document:
            return document[name]
        document = list(document.values())
    if isinstance(document, list):
        return next(
            (
                state
                for entry in document
                if (state := described(entry, name)) is not None
            ),
            None,
        )
    return None


def test_scores_belong_to_edges(models, tmp_path):
    model = copy(models["numbers"])
    place = model.encoder_.names.index("number")
    parts = list(model.encoder_.parts)
    parts[place] = replace(parts[place], scores=parts[place].scores[1:])
    model.encoder_ = replace(model.encoder_, parts=parts)
    with pytest.raises(FileError, match="the values of NumberInputs are inconsistent"):
        save(model, tmp_path / "model.npz")


@pytest.mark.parametrize(("name", "attribute", "value"), [
    ("NumberInputs", "scale", 0.0),
    ("NumberInputs", "centre", {"float": "nan"}),
    ("Categories", "buckets", 0),
    ("LatentTexts", "idf", [1.0]),
    ("Encoder", "names", ["number"]),
    ("Encoder", "parts", []),
    ("TabularClassifier", "inverse_temperature_", -1.0),
    ("TabularClassifier", "classes_", [1, 2]),
    ("Networks", "stage", 0),
    ("Networks", "penalty", -1.0),
    ("TabularClassifier", "notes_", [1]),
    ("TabularClassifier", "n_estimators", 0),
])  # fmt: skip
def test_inconsistent_values_raise_an_error(models, tmp_path, name, attribute, value):
    def change(document, arrays):
        described(document["model"], name)[attribute] = value

    rewritten(models["classes"], tmp_path / "model.npz", change)
    refused(tmp_path / "model.npz", "has no model")


@pytest.mark.parametrize("kept", [0, 1])
def test_a_level_without_its_ensemble_raises_an_error(models, tmp_path, kept):
    def change(document, arrays):
        state = described(document["model"], "TabularRegressor")
        state["outer_"] = state["outer_"][:kept]

    rewritten(models["quantiles"], tmp_path / "model.npz", change)
    refused(tmp_path / "model.npz", "has no model")


@pytest.mark.parametrize(
    "shaped",
    [lambda theta: theta[:, 1:], lambda theta: theta[0], lambda theta: theta[:0]],
)
def test_parameters_of_another_shape_raise_an_error(models, tmp_path, shaped):
    def change(document, arrays):
        name, *_ = [name for name in arrays if name.endswith("thetas")]
        arrays[name] = np.ascontiguousarray(shaped(arrays[name]))

    rewritten(models["numbers"], tmp_path / "model.npz", change)
    refused(tmp_path / "model.npz", "has no model")

"""Graphs of models of tables take columns as they are, and predict what the models do."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import vecprop as vp
from models import raw_table
from vecprop import FileError
from vecprop.export import to_onnx
from vecprop.tables.encoding import columns as tables_columns
from vecprop.tables.ensemble.ensemble import Ensemble, temperature_scaled
from vecprop.tables.kinds.values import MISSING, as_names

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")

DTYPES = {np.float64: 1e-6, np.float32: 1e-5}
FEW = {"n_members": 3, "max_iter": 3, "hidden_layer_sizes": (6,), "random_state": 0}
TABLE, NEW = raw_table(0), raw_table(1, unseen=["Pune"])
NUMBERS = np.linspace(-5, 40, len(TABLE))
TWO, THREE = (np.array(["no", "yes"])[np.arange(90) % 2], np.arange(90) % 3)


def columns(model, table, dtype):
    """Return a table's columns as a graph takes them."""
    parts = zip(model.encoder_.names, model.encoder_.parts, strict=True)
    return {name: column(part, table[name], dtype) for name, part in parts}


def column(part, series, dtype):
    """Return numbers as numbers, categories as text, and what a graph cannot read as the encoder makes of it."""
    if part.kind == "numbers":
        return part.read(series).astype(dtype)[:, None]
    if part.kind == "dates":
        return part.read(series)[:, None]
    if part.kind == "categories" and part.buckets == 1:
        names = as_names(series)
        return np.where(names == MISSING, "", names).astype(object)[:, None]
    return part(series).astype(dtype)


def run(graph, inputs):
    """Return what onnxruntime computes, by name."""
    onnx.checker.check_model(graph, full_check=True)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def in_type(table, dtype):
    """Return a table whose numbers are those of a type."""
    numbers = table.select_dtypes("float64")
    with np.errstate(over="ignore"):
        return table.astype(dict.fromkeys(numbers, dtype)).astype(dict.fromkeys(numbers, float))


def in_float64(model, table):
    """Return what a model would predict if its networks computed in float64, member by member."""
    inputs = np.hstack(
        [part(table[name]) for name, part in zip(model.encoder_.names, model.encoder_.parts, strict=True)]
    )
    of_views = [
        [view.network.predict(theta, inputs[:, view.inputs]) for theta in view.thetas.astype(float)]
        for view in model.ensemble_.views
    ]
    each = [model.ensemble_.together(predictions) for predictions in zip(*of_views, strict=True)]
    if isinstance(model, vp.TabularClassifier):
        return np.mean([temperature_scaled(P, model.inverse_temperature_) for P in each], axis=0)
    return model._in_units(np.array(each)).mean(axis=0)


def assert_same(model, *tables):
    """Compare what graphs predict with what the model does: entry by entry."""
    for dtype, tolerance in DTYPES.items():
        coverage = None if isinstance(model, vp.TabularClassifier) else 0.75
        graph = to_onnx(model, dtype=dtype, coverage=coverage)
        for table in tables:
            rows = in_type(table, dtype)
            found = run(graph, columns(model, rows, dtype))
            if isinstance(model, vp.TabularClassifier):
                label, numbers = found.values()
                np.testing.assert_array_equal(label, model.predict(rows))
                expected = model.predict_proba(rows)
            else:
                numbers, low, high = found.values()
                expected = model.predict(rows)[:, None]
                ends, scale = np.hstack([low, high]), np.abs(expected).max()
                np.testing.assert_allclose(ends, model.predict_interval(rows, coverage), tolerance, tolerance * scale)
                assert ends.dtype == dtype
            assert numbers.dtype == dtype
            np.testing.assert_allclose(numbers, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())
            if dtype == np.float64:
                np.testing.assert_allclose(numbers, in_float64(model, rows).reshape(expected.shape), 1e-12, 1e-12)


@pytest.mark.parametrize("y", [TWO, THREE, THREE > 0, THREE * 2.0], ids=lambda y: y.dtype.str)
def test_classes(y):
    assert_same(vp.TabularClassifier(**FEW).fit(TABLE, y), TABLE, NEW)


@pytest.mark.parametrize("activation", ["silu", "relu", "gelu"])
def test_numbers(activation):
    assert_same(vp.TabularRegressor(**FEW, activation=activation, dropout=0.1).fit(TABLE, NUMBERS), TABLE, NEW)


def test_quantiles():
    assert_same(vp.TabularRegressor(**FEW, loss="quantile", quantile=(0.1, 0.5, 0.9)).fit(TABLE, NUMBERS), TABLE, NEW)


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.999])
def test_intervals_of_any_share(coverage):
    for settings in ({}, {"loss": "quantile", "quantile": (0.1, 0.5, 0.9)}):
        model = vp.TabularRegressor(**FEW, **settings).fit(TABLE, NUMBERS)
        found = run(to_onnx(model, dtype=np.float64, coverage=coverage), columns(model, NEW, np.float64))
        ends = np.hstack([found["low"], found["high"]])
        np.testing.assert_allclose(ends, model.predict_interval(NEW, coverage), rtol=1e-6, atol=2e-5)
        assert (ends[:, 0] < found["variable"][:, 0]).all()
        assert (ends[:, 1] > found["variable"][:, 0]).all()


def test_intervals_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="coverage=1 is not a share"):
        to_onnx(vp.TabularRegressor(**FEW).fit(TABLE, NUMBERS), coverage=1)
    with pytest.raises(FileError, match="A TabularClassifier knows no intervals"):
        to_onnx(vp.TabularClassifier(**FEW).fit(TABLE, TWO), coverage=0.9)


def test_stages(monkeypatch):
    monkeypatch.setattr("vecprop.tables.ensemble.staged.PROGRESS", -9.0)  # so that all are kept
    model = vp.TabularClassifier(**FEW, stages=8).fit(TABLE, THREE)
    assert len(model.ensemble_.views) == 9
    assert_same(model, TABLE, NEW)
    assert_same(
        vp.TabularRegressor(**FEW, stages=3, loss="quantile", quantile=(0.1, 0.5, 0.9)).fit(TABLE, NUMBERS), NEW
    )


@pytest.mark.long
def test_a_model_that_was_trained_to_the_end():
    y = np.where(TABLE["visits"] + TABLE["X"] > 1, "yes", "no")
    assert_same(vp.TabularClassifier(random_state=0).fit(TABLE, y), TABLE, NEW)
    assert_same(vp.TabularRegressor(random_state=0).fit(TABLE, TABLE["visits"] * 100 + TABLE["X"]), TABLE, NEW)


def test_probabilities_that_underflow():
    model = vp.TabularClassifier(**FEW).fit(TABLE, THREE)
    model.ensemble_ = Ensemble(
        [replace(view, thetas=view.thetas * 40, inverse_temperature=None) for view in model.ensemble_.views]
    )
    model.inverse_temperature_ = 0.15
    assert (in_float64(model, TABLE).min() < 1e-4).any()
    found = run(to_onnx(model, dtype=np.float64), columns(model, TABLE, np.float64))
    np.testing.assert_allclose(found["probabilities"], in_float64(model, TABLE), rtol=1e-9)


@pytest.mark.parametrize("names", [["stamp"], ["town"], ["member"], ["town", "floor"], ['say "hi"', "visits"]])
def test_few_columns(names):
    assert_same(vp.TabularClassifier(**FEW).fit(TABLE[names], TWO), TABLE, NEW)


@pytest.mark.parametrize("frequency", ["9h", "57D", "31QS"], ids=str)
def test_dates_come_in_as_days(frequency):
    days = TABLE[["visits", "town"]].assign(day=pd.date_range("1898-02-27", periods=90, freq=frequency, unit="s"))
    model = vp.TabularRegressor(**FEW).fit(days, NUMBERS)
    assert model.encoder_.kinds["day"] == "dates"
    assert_same(model, days, days.assign(day=days.day.where(days.index % 3 > 0)))
    assert_same(vp.TabularClassifier(**FEW).fit(days[["day"]][10:], TWO[10:]), days)


def test_names_stay_apart():
    table = TABLE[["label", "vecprop_Concat_0", "X"]].set_axis(["label", "vecprop_Concat_0", "probabilities"], axis=1)
    model = vp.TabularClassifier(**FEW).fit(table, TWO)
    found = run(to_onnx(model), columns(model, table, np.float32))
    assert list(found) == ["label_", "probabilities_"]
    assert list(run(to_onnx(vp.TabularRegressor(**FEW).fit(table, NUMBERS)), columns(model, table, np.float32))) == [
        "variable"
    ]


def test_a_column_without_a_name_is_refused():
    model = vp.TabularClassifier(**FEW).fit(TABLE[["X", "stamp"]].set_axis(["", "stamp"], axis=1), TWO)
    with pytest.raises(FileError, match="A column has no name"):
        to_onnx(model)


@pytest.mark.long
def test_many_columns():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 1000))).add_prefix("column ")
    model, small = (vp.TabularClassifier(**FEW).fit(of, np.arange(60) % 2) for of in (table, table.iloc[:, :10]))
    assert len(to_onnx(model).graph.node) <= len(to_onnx(small).graph.node)
    assert_same(model, table)


def test_categories_that_all_are_rare():
    table = pd.DataFrame({"code": [f"c{number}" for number in range(20)]})
    model: Any = vp.TabularClassifier(**FEW).fit(table, np.arange(20) % 2)
    assert not len(model.encoder_.parts[0].names)
    assert_same(model, table)


def test_text_that_is_empty_is_missing_unless_training_had_it():
    codes = pd.DataFrame({"code": ["a", "", None] * 20})
    model = vp.TabularClassifier(**FEW).fit(codes, np.arange(60) % 2)
    (_, found) = run(to_onnx(model), {"code": np.array([[""]], object)}).values()
    np.testing.assert_allclose(found, model.predict_proba(codes[1:2]), rtol=1e-5)
    model = vp.TabularClassifier(**FEW).fit(codes[codes.code != ""], np.arange(40) % 2)
    (_, found) = run(to_onnx(model), {"code": np.array([[""]], object)}).values()
    np.testing.assert_allclose(found, model.predict_proba(codes[2:3]), rtol=1e-5)


def test_what_a_graph_cannot_read_comes_in_as_numbers(monkeypatch):
    monkeypatch.setattr(tables_columns, "CATEGORIES", 20)
    table = TABLE.assign(
        words=[f"word{number % 11} and word{number % 13}" for number in range(90)],
        code=[f"c{number % 45}" for number in range(90)],
    )
    model = vp.TabularRegressor(**FEW).fit(table, NUMBERS)
    message = r"cannot read the column\(s\) 'words' \(text\), 'code' \(too many categories\)"
    with pytest.warns(UserWarning, match=message):
        assert_same(model, table)


def test_text_comes_in_as_training_reads_it():
    table = pd.DataFrame(
        {
            "price": [f"1.{k % 9}00,5" for k in range(90)],
            "day": [f"{k % 28 + 1:02}/{k % 12 + 1:02}/2024" for k in range(90)],
            "plan": [f"0{k % 4}" for k in range(90)],
        }
    )
    model: Any = vp.TabularClassifier(**FEW).fit(table, TWO)
    few = table[table["price"] == "1.200,5"]
    found = run(to_onnx(model, dtype=np.float64), columns(model, few, np.float64))
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(few), rtol=1e-6)

"""Test that exported tabular models take raw columns and predict like the models."""

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import vecprop as vp
from exports import functions, run
from models import raw_table
from sampled import sampled
from vecprop import FileError
from vecprop.export import to_numpy, to_onnx
from vecprop.tables.encoding.columns import NumberInputs
from vecprop.tables.ensemble.ensemble import Ensemble, temperature_scaled
from vecprop.tables.kinds.values import MISSING, as_names

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")
pytestmark = pytest.mark.usefixtures("reference_engine")

TOLERANCES = {np.float64: 1e-6, np.float32: 1e-5}
FEW = {"n_estimators": 2, "max_iter": 3, "hidden_layer_sizes": (6,), "random_state": 0}
QUANTILES = {"loss": "quantile", "quantile": (0.1, 0.5, 0.9)}
TABLE, NEW = raw_table(0), raw_table(1, unseen=["Pune"])
NUMBERS = np.linspace(-5, 40, len(TABLE))
TWO, THREE = (np.array(["no", "yes"])[np.arange(90) % 2], np.arange(90) % 3)


def classifier(table: Any = TABLE, y=TWO, **settings) -> Any:
    return vp.TabularClassifier(**FEW | settings).fit(table, y)


def regressor(table: Any = TABLE, **settings) -> Any:
    return vp.TabularRegressor(**FEW | settings).fit(table, NUMBERS)


def columns(model, table, dtype=np.float64):
    """Return a table's columns as inputs of a graph."""
    parts = zip(model.encoder_.names, model.encoder_.parts, strict=True)
    return {name: column(part, table[name], dtype) for name, part in parts}


def column(part, series, dtype):
    """Return numbers, text for categories, and the encoder's output for unsupported columns."""
    if part.kind == "numbers":
        return part.read(series).astype(dtype)[:, None]
    if part.kind == "dates":
        return part.read(series)[:, None]
    if part.kind == "categories" and part.buckets == 1:
        names = as_names(series)
        return np.where(names == MISSING, "", names).astype(object)[:, None]
    return part(series).astype(dtype)


def of_graph(model, table, dtype: Any = np.float64, **settings) -> dict[str, Any]:
    return run(to_onnx(model, dtype=dtype, **settings), **columns(model, table, dtype))


def in_type(table, dtype):
    """Return a table with numbers rounded to a dtype."""
    numbers = table.select_dtypes("float64")
    with np.errstate(over="ignore"):
        return table.astype(dict.fromkeys(numbers, dtype)).astype(
            dict.fromkeys(numbers, float)
        )


def in_float64(model, table):
    """Return the predictions of a model whose networks compute in float64, one by one."""
    parts = zip(model.encoder_.names, model.encoder_.parts, strict=True)
    inputs = np.hstack([part(table[name]) for name, part in parts])
    of_views = [
        [
            view.network.predict(theta, inputs[:, view.inputs])
            for theta in view.thetas.astype(float)
        ]
        for view in model.ensemble_.views
    ]
    each = [
        model.ensemble_.average(predictions)
        for predictions in zip(*of_views, strict=True)
    ]
    if isinstance(model, vp.TabularClassifier):
        return np.mean(
            [temperature_scaled(P, model.inverse_temperature_) for P in each], axis=0
        )
    return model._in_units(np.array(each)).mean(axis=0)


def assert_graph(model, *tables, dtype: Any = np.float64):
    """Compare the predictions of a graph with the model's, entry by entry."""
    tolerance, classes = TOLERANCES[dtype], isinstance(model, vp.TabularClassifier)
    graph = to_onnx(model, dtype=dtype, coverage=None if classes else 0.75)
    for table in tables:
        rows = in_type(table, dtype)
        found = run(graph, **columns(model, rows, dtype))
        if classes:
            label, numbers = found.values()
            np.testing.assert_array_equal(label, model.predict(rows))
            expected = model.predict_proba(rows)
        else:
            numbers, low, high = found.values()
            expected = model.predict(rows)[:, None]
            ends, scale = np.hstack([low, high]), np.abs(expected).max()
            np.testing.assert_allclose(
                ends, model.predict_interval(rows, 0.75), tolerance, tolerance * scale
            )
            assert ends.dtype == dtype
        assert numbers.dtype == dtype
        np.testing.assert_allclose(
            numbers, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max()
        )
        if dtype == np.float64:
            np.testing.assert_allclose(
                numbers, in_float64(model, rows).reshape(expected.shape), 1e-12, 1e-12
            )


def assert_source(model, *tables):
    """Compare the predictions of the source with the model's."""
    classes = isinstance(model, vp.TabularClassifier)
    source = functions(model, coverage=None if classes else 0.8)
    for table in tables:
        expected = model.predict(table)
        if classes:
            np.testing.assert_array_equal(
                source["predict"](table), expected, strict=True
            )
            probabilities = model.predict_proba(table)
            np.testing.assert_allclose(
                source["predict_proba"](table), probabilities, rtol=1e-5, strict=True
            )
            continue
        scale = np.abs(expected).max()
        np.testing.assert_allclose(
            source["predict"](table) / scale, expected / scale, 1e-6, 1e-6, strict=True
        )
        for coverage in ([], [0.5]):
            ends = model.predict_interval(table, *coverage or [0.8])
            found = source["predict_interval"](table, *coverage)
            np.testing.assert_allclose(
                found / scale, ends / scale, 1e-6, 1e-6, strict=True
            )


def assert_same(model, *tables):
    """Compare both exports with the model."""
    assert_graph(model, *tables)
    assert_source(model, *tables)


DAYS = TABLE[["visits", "town"]]


def days(frequency):
    return DAYS.assign(
        day=pd.date_range("1898-02-27", periods=90, freq=frequency, unit="s")
    )


FEW_COLUMNS = (["stamp"], ["member"], ["town", "floor"], ['say "hi"', "visits"])
MODELS = {
    **{y.dtype.str: lambda y=y: classifier(y=y) for y in (TWO, THREE, THREE * 2.0)},
    "one column of times": lambda: classifier(days("57D")[["day"]][10:], TWO[10:]),
    "other widths": lambda: classifier(
        DAYS, n_estimators=5, hidden_layer_sizes=(8, 4, 3)
    ),
    **{
        name: lambda name=name: regressor(activation=name, dropout=0.1)
        for name in ("silu", "gelu")
    },
    "own activation": lambda: regressor(activation=vp.LeakyReLU(0.3)),
    "quantiles": lambda: regressor(**QUANTILES),
    **{
        " ".join(names): lambda names=names: classifier(TABLE[names])
        for names in FEW_COLUMNS
    },
}


@pytest.mark.parametrize("name", sampled(MODELS, 8))
def test_both_exports_predict_like_the_model(name):
    model = MODELS[name]()
    tables = (TABLE, NEW) if "day" not in model.encoder_.names else (days("57D"),)
    if "gelu" in str(model.activation):
        assert_graph(model, *tables)
    else:
        assert_same(model, *tables)


@pytest.mark.parametrize(
    "model",
    sampled([lambda: classifier(y=THREE), lambda: regressor(activation="silu")]),
)
def test_graphs_in_float32(model):
    assert_graph(model(), TABLE, NEW, dtype=np.float32)


def test_source_parses_times_like_the_model():
    table = pd.DataFrame(
        {
            "time": [f"{n % 7}h {n % 60}min" for n in range(90)],
            "clock": [f"{n % 24}:15" for n in range(90)],
        }
    )
    assert_source(regressor(table), table)


def test_labels_that_are_objects():
    assert_source(classifier(DAYS, TWO.astype(object)), TABLE, NEW)


@pytest.mark.parametrize("settings", [{}, QUANTILES], ids=["one", "quantiles"])
def test_intervals_of_any_coverage(settings):
    model = regressor(**settings)
    for coverage in (0.5, 0.999):
        found = of_graph(model, NEW, coverage=coverage)
        ends = np.hstack([found["low"], found["high"]])
        np.testing.assert_allclose(
            ends, model.predict_interval(NEW, coverage), rtol=1e-6, atol=2e-5
        )
        assert (ends[:, 0] < found["variable"][:, 0]).all()
        assert (ends[:, 1] > found["variable"][:, 0]).all()


def test_invalid_coverages_raise_an_error():
    numbers, classes = regressor(DAYS), classifier(DAYS)
    with pytest.raises(ValueError, match=r"coverage must be at least .* got 1"):
        to_onnx(numbers, coverage=1)
    with pytest.raises(
        ValueError, match=r"coverage must be at least 0\.5 and less than 1, got 0\.4"
    ):
        functions(numbers, coverage=0.9)["predict_interval"](TABLE, 0.4)
    with pytest.raises(ValueError, match=r"coverage must be at least .* got 0\.4"):
        to_numpy(numbers, coverage=0.4)
    for write in (to_onnx, to_numpy):
        with pytest.raises(FileError, match="A TabularClassifier has no intervals"):
            write(classes, coverage=0.9)


def test_networks_of_later_stages_of_earlier_versions():
    model = classifier(DAYS, THREE)
    pieces, usual = model.ensemble_.nonlinear
    later = replace(
        usual, thetas=usual.thetas[::-1].copy(), share=usual.share / 2, stage=2
    )
    model.ensemble_ = Ensemble([pieces, replace(usual, share=usual.share / 2), later])
    assert_same(model, NEW)


@pytest.mark.long
def test_a_model_that_was_trained_to_the_end():
    y = TABLE["visits"] * 100 + TABLE["X"]
    model = vp.TabularRegressor(random_state=0).fit(TABLE, y)
    assert model.predict(TABLE).max() > y.max() - 2  # near the limit of predictions
    classes = vp.TabularClassifier(random_state=0).fit(
        TABLE, np.where(y > 100, "yes", "no")
    )
    for each in (model, classes):
        assert_same(each, TABLE, NEW)
        assert_graph(each, TABLE, NEW, dtype=np.float32)


def test_linear_models():
    y = 0.4 * TABLE["visits"].fillna(3) + np.linspace(0, 1, 90)
    for model in (
        vp.TabularRegressor(**FEW).fit(DAYS, y),
        vp.TabularClassifier(**FEW).fit(DAYS, pd.qcut(y, 3, labels=list("abc"))),
    ):
        assert model.ensemble_.views[-1].view in ("linear", "linear_pieces")
        assert_same(model, DAYS, NEW)


def test_probabilities_that_underflow():
    model = classifier(y=THREE)
    model.ensemble_ = Ensemble(
        [
            replace(view, thetas=view.thetas * 40, share=0.5, inverse_temperature=None)
            for view in model.ensemble_.nonlinear
        ]
    )
    model.inverse_temperature_ = 0.15
    assert (in_float64(model, TABLE).min() < 1e-4).any()
    np.testing.assert_allclose(
        of_graph(model, TABLE)["probabilities"], in_float64(model, TABLE), rtol=1e-9
    )


@pytest.mark.parametrize("frequency", sampled(["31QS", "9h", "57D"], 3))
def test_dates_are_passed_as_days(frequency):
    table = days(frequency)
    model = classifier(table)
    assert model.encoder_.kinds["day"] == "dates"
    holes = table.assign(day=table.day.where(table.index % 3 > 0))
    assert_same(model, table, holes)
    expected, predict = model.predict_proba(holes), functions(model)["predict_proba"]
    texts = holes.day.astype(str).replace("NaT", "")
    for day in (holes.day.astype(object), texts, holes.day.to_numpy("datetime64[s]")):
        np.testing.assert_allclose(predict(holes.assign(day=day)), expected, rtol=1e-6)
    for wrong in ("31.1.2024", "20240131", 7):
        with pytest.raises(
            ValueError, match="is not a date in the format year-month-day or"
        ):
            predict(table.assign(day=wrong))


def test_output_names_differ_from_column_names():
    table = TABLE[["label", "vecprop_Concat_0", "X"]].set_axis(
        ["label", "vecprop_Concat_0", "probabilities"], axis=1
    )
    assert list(of_graph(classifier(table), table)) == ["label_", "probabilities_"]
    assert list(of_graph(regressor(table), table)) == ["variable"]
    with pytest.raises(FileError, match="A column has no name"):
        to_onnx(classifier(TABLE[["X", "stamp"]].set_axis(["", "stamp"], axis=1)))


@pytest.mark.long
def test_many_columns():
    table, y = (
        pd.DataFrame(np.random.default_rng(0).normal(size=(60, 1000))).add_prefix(
            "column "
        ),
        np.arange(60) % 2,
    )
    model, small = classifier(table, y), classifier(table.iloc[:, :10], y)
    assert len(to_onnx(model).graph.node) <= len(to_onnx(small).graph.node)
    assert_same(model, table)
    assert_graph(model, table, dtype=np.float32)


def test_columns_with_only_rare_categories():
    table = pd.DataFrame({"code": [f"c{number}" for number in range(20)]})
    model = classifier(table, np.arange(20) % 2)
    assert not len(model.encoder_.parts[0].names)
    assert_same(model, table)


def test_many_categories():
    """More categories than separate inputs: the others share inputs by hash."""
    codes = pd.DataFrame({"code": [f"{number % 300:03}é" for number in range(600)]})
    codes.loc[::50, "code"] = None
    model = classifier(codes, np.arange(600) % 2)
    assert model.encoder_.parts[0].buckets > 1
    assert_source(model, codes, codes + "?")


def test_empty_text_is_missing_unless_it_is_a_category():
    codes = pd.DataFrame({"code": ["a", "", None] * 20})
    for table, same in ((codes, 1), (codes[codes.code != ""], 2)):
        model = classifier(table, np.arange(len(table)) % 2)
        found = run(to_onnx(model), code=np.array([[""]], object))["probabilities"]
        np.testing.assert_allclose(
            found, model.predict_proba(codes[same : same + 1]), rtol=1e-5
        )


def test_columns_that_cannot_be_exported_are_named(limit):
    limit("encoder: categories", 20)
    words = [f"word{number % 11} and word{number % 13}" for number in range(90)]
    model = regressor(
        DAYS.assign(words=words, code=[f"c{number % 45}" for number in range(90)])
    )
    message = (
        r"cannot read the column\(s\) 'words' \(text\), 'code' \(too many categories\)"
    )
    table = TABLE.assign(words=words, code="c1")
    with pytest.warns(UserWarning, match=message):
        assert_graph(model, table)
    with pytest.raises(
        FileError,
        match=(
            r"Column 'words' has the kind 'text', but .*: train without it, or use"
            r" `save`"
        ),
    ):
        to_numpy(model)


def test_arrays():
    X = TABLE[["visits", "stamp"]].to_numpy()
    assert_source(classifier(X), X)
    mixed = TABLE[["town", "stamp", "member"]].to_numpy()
    model = classifier(mixed)
    assert_source(model, mixed)
    np.testing.assert_array_equal(
        functions(model)["predict"](mixed.tolist()), model.predict(mixed)
    )


def test_names_that_are_numbers():
    table = TABLE[["visits", "town", "stamp"]].set_axis([0, 1, 2], axis=1)
    assert_source(classifier(table), table, table.set_axis(list("012"), axis=1))


def test_columns_of_every_library():
    names = ['say "hi"', "visits", "town", "floor", "member"]
    model = classifier(TABLE[names])
    expected, predict = model.predict_proba(NEW), functions(model)["predict_proba"]
    nullable = NEW[names].convert_dtypes()
    assert isinstance(nullable["visits"].dtype, pd.Int64Dtype)
    lists = {
        name: [None if pd.isna(value) else value for value in NEW[name]]
        for name in names
    }
    texts = {
        name: ["" if value is None else str(value) for value in lists[name]]
        for name in (*names[:2], "member")
    }
    texts["member"] = [f" {text.upper()}" for text in texts["member"]]
    for table in (nullable, lists, lists | texts, NEW[names[::-1]].assign(more=1)):
        np.testing.assert_allclose(predict(table), expected, rtol=1e-6)


def test_values_that_are_not_numeric_raise_an_error():
    predict = functions(classifier(TABLE[["stamp", "visits"]]))["predict"]
    with pytest.raises(
        ValueError, match=r"'1,5' is not a number in the training format"
    ):
        predict({"stamp": ["1,5"], "visits": [1]})
    for times in (["2024-01-01"], [5]):
        with pytest.raises(TypeError, match="times, not numbers"):
            predict({"stamp": np.array(times, "datetime64[ns]"), "visits": [1]})
    with pytest.raises(KeyError, match="visits"):
        predict({"stamp": [1.5]})


def test_text_is_parsed_as_in_training():
    table = pd.DataFrame(
        {
            "price": [f"1.{k % 9}00,5" for k in range(90)],
            "share": [f"{k % 13} %" for k in range(90)],
            "cost": [f"${k % 11},{k % 7}00.25" if k % 11 else "$5" for k in range(90)],
            "day": [
                f"{k % 28 + 1:02}.{k % 12 + 1:02}.2024 {k % 24}:30" for k in range(90)
            ],
            "month": [f"20{k % 20 + 10}-{k % 12 + 1:02}" for k in range(90)],
            "plan": [f"0{k % 4}" for k in range(90)],
        }
    )
    model = classifier(table)
    assert model.encoder_.readings == {
        "price": "numbers, decimal separator ',', '.' between thousands",
        "share": "numbers, %",
        "cost": "numbers, decimal separator '.', ',' between thousands, $",
        "day": "dates, day.month.year",
        "month": "dates, year-month",
        "plan": "codes",
    }
    assert_same(model, table)
    assert_source(
        model,
        table.assign(price=1234.5, day="Feb 3, 2024"),
        table.assign(cost=None, month=""),
    )
    predict = functions(model)["predict"]
    for wrong in ({"price": "1,234.5"}, {"share": "5"}, {"cost": "€5"}):
        with pytest.raises(ValueError, match="is not a number in the training format"):
            predict(table.assign(**wrong))
    with pytest.raises(
        ValueError, match=r"'02/03/2024' is not a date in the format day\.month\.year"
    ):
        predict(table.assign(day="02/03/2024"))


# Readable source.


def test_source_runs_with_only_numpy(tmp_path):
    frame: Any = NEW[["visits", "town", '"""']]
    model = classifier(TABLE[frame.columns])
    source = to_numpy(model, tmp_path / "model.py")
    assert (tmp_path / "model.py").read_text(encoding="utf-8") == source
    code = """
import json, sys
sys.path.insert(0, ".")
import model
table = json.load(sys.stdin)
others = [name for name in ("sklearn", "scipy", "pandas", "vecprop") if name in sys.modules]
print(json.dumps([model.predict(table).tolist(), model.predict_proba(table).tolist(), others]))
"""
    table = json.dumps(
        {name: frame[name].where(frame[name].notna(), None).tolist() for name in frame}
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        input=table,
    )
    labels, probabilities, others = json.loads(done.stdout)
    assert labels == model.predict(frame).tolist()
    np.testing.assert_allclose(probabilities, model.predict_proba(frame), rtol=1e-6)
    assert others == []


def test_source_is_readable():
    table = pd.DataFrame(
        {
            "age": np.arange(90.0) % 3,
            "town": np.array(["Oslo", None, "Rome"])[np.arange(90) % 3],
        }
    )
    source = to_numpy(regressor(table))
    scores: Any = NumberInputs.of(table["age"]).scores
    assert len(source.splitlines()) < 230  # two views and linear models
    assert "interval" not in source
    assert source.startswith('"""The predictions of a TabularRegressor')
    assert (
        """
    blocks = [
        numbers(table['age'], 1.0, 1.4825796886582654, [0.0, 1.0, 2.0], False, (1.0, 0.816496580927726), SCORES),
        categories(table['town'], [MISSING, 'Oslo', 'Rome'], 1),
    ]
""".replace("SCORES", str(scores.tolist()))
        in source
    )

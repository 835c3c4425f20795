"""The file that is written of a model of tables needs NumPy alone, can be read, and predicts the same."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

import vecprop as vp
from models import raw_table
from vecprop import FileError
from vecprop.export import to_numpy
from vecprop.tables.encoding.columns import NumberInputs

FEW = {"n_members": 2, "max_iter": 2, "hidden_layer_sizes": (4,), "random_state": 0}
TABLE, NEW = raw_table(0), raw_table(1, unseen=["Pune"])
NUMBERS = np.linspace(-5, 40, len(TABLE))
TWO, THREE = (np.array(["no", "yes"])[np.arange(90) % 2], np.arange(90) % 3)
WORDS = [f"word{number % 11} and word{number % 13}" for number in range(90)]


def classifier(table: Any = TABLE, y=TWO, **settings) -> Any:
    return vp.TabularClassifier(**FEW | settings).fit(table, y)


def functions(model, **settings):
    """Return the functions of the source, run."""
    names = {}
    exec(compile(to_numpy(model, **settings), "<source>", "exec"), names)
    return names


def assert_same(model, *tables):
    """Compare what the source predicts with what the model does."""
    source = functions(model, coverage=None if isinstance(model, vp.TabularClassifier) else 0.8)
    for table in tables:
        expected = model.predict(table)
        if isinstance(model, vp.TabularRegressor):
            scale = np.abs(expected).max()
            np.testing.assert_allclose(source["predict"](table) / scale, expected / scale, 1e-6, 1e-6, strict=True)
            for coverage in ([], [0.5], [0.75]):
                ends, found = (
                    model.predict_interval(table, *coverage or [0.8]),
                    source["predict_interval"](table, *coverage),
                )
                np.testing.assert_allclose(found / scale, ends / scale, 1e-6, 1e-6, strict=True)
            continue
        np.testing.assert_array_equal(source["predict"](table), expected, strict=True)
        np.testing.assert_allclose(source["predict_proba"](table), model.predict_proba(table), rtol=1e-5, strict=True)


@pytest.mark.parametrize("y", [TWO, THREE, THREE > 0, THREE * 2.0, TWO.astype(object)], ids=lambda y: y.dtype.str)
def test_classes(y):
    assert_same(classifier(y=y), TABLE, NEW)


@pytest.mark.parametrize("activation", ["silu", "relu", "tanh", vp.LeakyReLU(0.3)], ids=str)
def test_numbers(activation):
    model = vp.TabularRegressor(**FEW, activation=activation, dropout=0.1).fit(TABLE, NUMBERS)
    assert_same(model, TABLE, NEW)


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
    y = TABLE["visits"] * 100 + TABLE["X"]
    model = vp.TabularRegressor(random_state=0).fit(TABLE, y)
    assert model.predict(TABLE).max() > y.max() - 2  # nearly as far as predictions may go
    assert_same(model, TABLE, NEW)
    assert_same(vp.TabularClassifier(random_state=0).fit(TABLE, y > 100), TABLE, NEW)


def test_quantiles():
    assert_same(vp.TabularRegressor(**FEW, loss="quantile", quantile=(0.1, 0.5, 0.9)).fit(TABLE, NUMBERS), TABLE, NEW)


@pytest.mark.parametrize("settings", [{}, {"n_members": 5, "hidden_layer_sizes": (8, 4, 3)}, {"max_iter": 30}], ids=str)
def test_settings(settings):
    assert_same(classifier(**settings), TABLE, NEW)


@pytest.mark.parametrize("columns", [["stamp"], ["town"], ["member"], ["town", "floor"], ['say "hi"', "visits"]])
def test_few_columns(columns):
    assert_same(classifier(TABLE[columns]), TABLE, NEW)


def test_many_categories():
    """More than have an input of their own: the others share some, by their checksum."""
    codes = pd.DataFrame({"code": [f"{number % 300:03}é" for number in range(600)]})
    codes.loc[::50, "code"] = None
    model = classifier(codes, np.arange(600) % 2)
    assert model.encoder_.parts[0].buckets > 1
    assert_same(model, codes, codes + "?")


@pytest.mark.long
def test_many_columns():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 1000))).add_prefix("column ")
    assert_same(classifier(table, np.arange(60) % 2), table)


def test_arrays():
    X = TABLE[["visits", "stamp"]].to_numpy()
    assert_same(classifier(X), X)
    mixed = TABLE[["town", "stamp", "member"]].to_numpy()
    model = classifier(mixed)
    assert_same(model, mixed)
    np.testing.assert_array_equal(functions(model)["predict"](mixed.tolist()), model.predict(mixed))


@pytest.mark.parametrize("frequency", ["9h", "57D", "31QS"], ids=str)
def test_dates(frequency):
    days = TABLE[["visits", "town"]].assign(day=pd.date_range("1898-02-27", periods=90, freq=frequency, unit="s"))
    model = classifier(days)
    assert model.encoder_.kinds["day"] == "dates"
    holes = days.assign(day=days.day.where(days.index % 3 > 0))
    assert_same(model, days, holes)
    expected, predict = model.predict_proba(holes), functions(model)["predict_proba"]
    for day in (
        holes.day.astype(object),
        holes.day.astype(str).replace("NaT", ""),
        holes.day.to_numpy("datetime64[s]"),
    ):
        np.testing.assert_allclose(predict(holes.assign(day=day)), expected, rtol=1e-6)
    for wrong in ("31.1.2024", "20240131", 7):
        with pytest.raises(ValueError, match="is no date that is written as year-month-day or"):
            predict(days.assign(day=wrong))


def test_names_that_are_numbers():
    table = TABLE[["visits", "town", "stamp"]].set_axis([0, 1, 2], axis=1)
    model = classifier(table)
    assert_same(model, table, table.set_axis(list("012"), axis=1))


def test_columns_of_every_library():
    columns = ['say "hi"', "visits", "town", "floor", "member"]
    model = classifier(TABLE[columns])
    expected, predict = model.predict_proba(NEW), functions(model)["predict_proba"]
    nullable = NEW[columns].convert_dtypes()
    assert isinstance(nullable["visits"].dtype, pd.Int64Dtype)
    lists = {name: [None if pd.isna(value) else value for value in NEW[name]] for name in columns}
    texts = {name: ["" if value is None else str(value) for value in lists[name]] for name in (*columns[:2], "member")}
    texts["member"] = [f" {text.upper()}" for text in texts["member"]]
    for table in (nullable, lists, lists | texts, NEW[columns[::-1]].assign(more=1)):
        np.testing.assert_allclose(predict(table), expected, rtol=1e-6)


def test_what_a_column_of_numbers_cannot_hold_is_said():
    predict = functions(classifier(TABLE[["stamp", "visits"]]))["predict"]
    with pytest.raises(ValueError, match=r"'1,5' is no number as training read them"):
        predict({"stamp": ["1,5"], "visits": [1]})
    for times in (["2024-01-01"], [5]):
        with pytest.raises(TypeError, match="times, not numbers"):
            predict({"stamp": np.array(times, "datetime64[ns]"), "visits": [1]})
    with pytest.raises(KeyError, match="visits"):
        predict({"stamp": [1.5]})


def test_intervals_hold_half_of_the_targets_at_least():
    model = vp.TabularRegressor(**FEW).fit(TABLE, NUMBERS)
    with pytest.raises(ValueError, match=r"coverage=0\.4 is not a share of at least ½ and less than 1"):
        functions(model, coverage=0.9)["predict_interval"](TABLE, 0.4)
    with pytest.raises(ValueError, match=r"coverage=0\.4 is not a share"):
        to_numpy(model, coverage=0.4)
    with pytest.raises(FileError, match="A TabularClassifier knows no intervals"):
        to_numpy(classifier(TABLE), coverage=0.9)


def test_what_has_no_source_is_named():
    with pytest.raises(FileError, match=r"Column 'words' is of text, but .*: train without it, or use `save`"):
        to_numpy(classifier(TABLE.assign(words=WORDS)))


def test_it_runs_where_there_is_nothing_but_numpy(tmp_path):
    frame = NEW[["visits", "town", '"""']]
    model = classifier(TABLE[frame.columns])
    source = to_numpy(model, tmp_path / "model.py")
    assert (tmp_path / "model.py").read_text(encoding="utf-8") == source
    code = """
import json, sys
import model
table = json.load(sys.stdin)
others = [name for name in ("sklearn", "scipy", "pandas", "vecprop") if name in sys.modules]
print(json.dumps([model.predict(table).tolist(), model.predict_proba(table).tolist(), others]))
"""
    table = json.dumps({name: frame[name].where(frame[name].notna(), None).tolist() for name in frame})
    done = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; sys.path.insert(0, '.')\n" + code],
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


def test_it_can_be_read():
    table = pd.DataFrame({"age": np.arange(90.0) % 3, "town": np.array(["Oslo", None, "Rome"])[np.arange(90) % 3]})
    source = to_numpy(vp.TabularRegressor(**FEW).fit(table, NUMBERS))
    scores = NumberInputs.of(table["age"]).scores
    assert scores is not None
    assert len(source.splitlines()) < 200
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


def test_text_is_read_as_in_training():
    table = pd.DataFrame(
        {
            "price": [f"1.{k % 9}00,5" for k in range(90)],
            "share": [f"{k % 13} %" for k in range(90)],
            "cost": [f"${k % 11},{k % 7}00.25" if k % 11 else "$5" for k in range(90)],
            "day": [f"{k % 28 + 1:02}.{k % 12 + 1:02}.2024 {k % 24}:30" for k in range(90)],
            "month": [f"20{k % 20 + 10}-{k % 12 + 1:02}" for k in range(90)],
            "plan": [f"0{k % 4}" for k in range(90)],
        }
    )
    model = classifier(table)
    assert model.encoder_.readings == {
        "price": "numbers, decimal sign ',', '.' between thousands",
        "share": "numbers, %",
        "cost": "numbers, decimal sign '.', ',' between thousands, $",
        "day": "dates, day.month.year",
        "month": "dates, year-month",
        "plan": "codes",
    }
    assert_same(model, table, table.assign(price=1234.5, day="Feb 3, 2024"), table.assign(cost=None, month=""))
    predict = functions(model)["predict"]
    for wrong in ({"price": "1,234.5"}, {"share": "5"}, {"cost": "€5"}):
        with pytest.raises(ValueError, match="is no number as training read them"):
            predict(table.assign(**wrong))
    with pytest.raises(ValueError, match=r"'02/03/2024' is no date that is written as day\.month\.year"):
        predict(table.assign(day="02/03/2024"))

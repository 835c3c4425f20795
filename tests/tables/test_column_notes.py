"""Columns that leak the target, that count rows, or that are unlike those of training are named; others are not."""

import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from vecprop import TabularClassifier, TabularRegressor, load, save
from vecprop.tables.encoding.columns import Categories, NumberInputs
from vecprop.tables.explaining.column_notes import Profile, drift, leaks, tallies
from vecprop.tables.rows import row_numbers


def sold(rows=800, seed=0):
    r = np.random.default_rng(seed)
    frame = pd.DataFrame({"age": r.uniform(20, 70, rows).round(1), "town": r.choice(["Rome", "Oslo", "Bern"], rows)})
    days = np.datetime64("2023-01-01") + r.integers(0, 800, rows)
    frame["when"] = days.astype(str)
    frame["note"] = [f"a text of number {number % 80}" for number in range(rows)]
    frame["price"] = frame["age"] * 2 + (frame["town"] == "Oslo") * 30 + r.normal(0, 2, rows)
    return frame


NEW = sold(5, 1).drop(columns="price")
MANY = sold(300, 2).drop(columns="price")


@pytest.fixture(scope="module")
def model():
    return TabularRegressor("price", n_members=2, max_iter=1, hidden_layer_sizes=4, random_state=0).fit(sold())


def test_a_table_like_training_has_no_notes(model):
    for seed in range(1, 4):
        assert model.check(sold(300, seed).drop(columns="price")) == []
    assert model.check(NEW) == []
    assert model.check(sold().sort_values("age")[:20].drop(columns="price")) == []  # too few to be a sample
    (note,) = model.check(MANY.assign(age="old"))
    assert "not numbers" in note


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (NEW.assign(age=500), "'age': 5 of 5 values are out of training's range, 20 to 70; .* 500, is 430 beyond"),
        (NEW.assign(age=[-30, 30, 30, 30, 90]), "2 of 5 values are out of .* the farthest, -30, is 50 beyond"),
        (NEW.assign(age=70.5), "'age': 5 of 5 values are out of training's range"),
        (NEW.assign(when="2031-05-05"), "'when': 5 of 5 .* 2023-01-02 to 2025-03-.*, 2031-05-05, is 22.. days beyond"),
        (NEW.assign(age=np.nan), "'age': 5 of 5 values are missing, in training 0 of 800"),
        (NEW.assign(note=None), "'note': 5 of 5 values are missing"),
        (NEW.assign(town="Paris"), "'town': 5 of 5 rows are of categories that training never had, such as 'Paris'"),
        (MANY.assign(age=MANY["age"] / 2 + 20), "'age': .* of values are at most .*, in training"),
        (MANY.assign(town=["Oslo", "Rome", "Oslo"] * 100), "'town': (67% of values are 'Oslo'|0% of .* are 'Bern')"),
        (MANY.assign(when=MANY["when"].str.replace("2024", "2023")), "'when': .* of values are at most 202"),
    ],
)
def test_what_is_unlike_training_is_said_and_how_far(model, table, said):
    (note,) = (note for note in model.check(table) if "fewer than 2 rows" not in note)
    assert re.search(said, note), note


def test_a_share_of_missing_values_that_grows():
    table = sold().drop(columns=["note", "when"])
    table.loc[::20, "age"] = np.nan
    model = TabularRegressor("price", n_members=2, max_iter=1, random_state=0).fit(table)
    assert model.check(table) == []
    (note,) = model.check(MANY[["age", "town"]].assign(age=MANY["age"].mask(MANY.index % 2 == 0)))
    assert "'age': 150 of 300 values are missing, in training 40 of 800" in note


def test_parts_of_a_table_are_told_of_as_one_and_profiles_are_saved(model, tmp_path):
    table = MANY.assign(
        age=np.r_[MANY["age"][:290], np.linspace(80, 200, 10)], town=MANY["town"].mask(MANY.index > 280)
    )
    whole, parts = tallies(model, table), None
    for first in range(0, 300, 37):
        parts = tallies(model, table[first : first + 37], parts)
    assert drift(model, whole) == (drifts := drift(model, parts or []))
    assert any("10 of 300 values are out of training's range" in note for notes in drifts.values() for note in notes)
    save(model, tmp_path / "model.npz")
    assert load(tmp_path / "model.npz").check(table) == model.check(table)


def test_values_are_compared_as_training_reads_them(tmp_path):
    text = sold().assign(when=lambda frame: pd.to_datetime(frame["when"]).dt.strftime("%d/%m/%Y"))
    text.to_csv(tmp_path / "t.csv", index=False, sep=";", decimal=",")
    model = TabularRegressor("price", n_members=2, max_iter=1, random_state=0).fit(tmp_path / "t.csv")
    written = NEW.assign(age=["30,5", "40,125", "1,500", "50,5", "60,5"], when="05/04/2024").astype(str)
    (note,) = model.check(written)
    assert "'age': 1 of 5 values are out of training's range, 20 to 70; the farthest, 1.5, is 18.5 beyond" in note
    (note,) = model.check(written.assign(age="30,5", when="05/04/2034"))
    assert "the farthest, 2034-04-05" in note


def test_many_categories_are_not_kept():
    names = pd.Series([f"k{number // 2}" for number in range(10_000)])
    part = Categories.of(names)
    profile = Profile.of(part, names)
    assert len(profile.values) == 0
    assert profile.notes(part, profile.tally(part, pd.Series(["new"])), 1) == []


def test_infinite_and_constant_columns_have_profiles():
    series = pd.Series([1.0, np.nan, np.inf, -np.inf] * 5)
    part = NumberInputs.of(series)
    profile = Profile.of(part, series)
    assert profile.notes(part, profile.tally(part, series), 1) == []
    constant = pd.Series([1.0, np.nan] * 5)
    part = NumberInputs.of(constant)
    profile = Profile.of(part, constant)
    assert "the farthest, 2, is 1 beyond" in profile.notes(part, profile.tally(part, pd.Series([2.0])), 1)[0]


R = np.random.default_rng(0)
YES = R.random(300) < 0.3
NUMBER = R.normal(size=300)
CLASSES = np.where(YES, "yes", "no")
ORDER = R.permutation(np.repeat(np.arange(10), 30))

LEAKS_OF_CLASSES = {
    "a code": np.where(YES, 4, 7),
    "a noisy copy": YES + R.normal(0, 0.15, 300),
    "names of each class": np.where(YES, R.choice(["a", "b"], 300), R.choice(["c", "d"], 300)),
    "whole numbers in no order": np.where(YES, R.choice([1, 3, 5], 300), R.choice([2, 4], 300)),
    "values for all of a class": np.where(YES, R.normal(size=300), np.nan),
    "values for some of a class": np.where(YES & (R.random(300) < 0.6), R.normal(size=300), np.nan),
    "no values for some of a class": np.where(YES & (R.random(300) < 0.6), np.nan, R.normal(size=300)),
}
FAIR_OF_CLASSES = {
    "chance": R.normal(size=300),
    "few values": R.integers(0, 3, 300),
    "a good column": YES + R.normal(0, 0.5, 300),
    "missing by chance": np.where(R.random(300) < 0.1, np.nan, 1.0),
    "almost always missing": np.where(np.arange(300) == np.flatnonzero(~YES)[0], 1.0, np.nan),
    "text": [f"row {number}" for number in range(300)],
    "dates": pd.date_range("2024-01-01", periods=300),
}


@pytest.mark.parametrize("kind", LEAKS_OF_CLASSES)
def test_leaks_of_classes(kind):
    (note,) = leaks(pd.DataFrame({"fair": R.normal(size=300), "leak": LEAKS_OF_CLASSES[kind]}), CLASSES)
    assert note.startswith("Column 'leak'")
    if "for some" in kind:
        state = "is missing" if kind.startswith("no") else "has values"
        assert f"{state} only where the target is yes" in note


def test_columns_that_are_fair():
    assert leaks(pd.DataFrame(FAIR_OF_CLASSES), CLASSES) == []
    numbers = {"chance": R.normal(size=300), "good": NUMBER + R.normal(0, 0.3, 300), "few": R.integers(0, 5, 300)}
    assert leaks(pd.DataFrame(numbers), NUMBER) == []
    assert leaks(pd.DataFrame({"copy": YES[:40]}), CLASSES[:40]) == []


@pytest.mark.parametrize("table", [load_iris, load_wine, load_breast_cancer, load_diabetes])
def test_well_known_tables_have_no_leaks(table):
    frame, y = table(return_X_y=True, as_frame=True)
    assert leaks(frame, y.to_numpy()) == []


def test_leaks_of_numbers():
    frame = pd.DataFrame({"twice": 2 * NUMBER + 1, "noisy": NUMBER + R.normal(0, 0.05, 300), "curve": np.exp(NUMBER)})
    frame["one missing"] = np.where(np.arange(300) == 7, np.nan, NUMBER)
    assert len(leaks(frame, NUMBER)) == 4
    flowers = np.repeat(["a", "b", "c"], 50)
    assert len(leaks(pd.DataFrame({"row": np.arange(150)}), flowers)) == 1


@pytest.mark.parametrize(
    ("name", "values", "is_number"),
    [
        ("id", np.arange(1000, 1060), True),
        ("id", R.permutation(60), True),
        ("id", [f"{number:05d}" for number in range(60)], True),
        ("column 1", np.sort(R.choice(200, 60, replace=False)), True),
        ("Unnamed: 0", np.sort(R.choice(200, 60, replace=False)).astype(float), True),
        ("id", 2 * np.arange(60), False),
        ("id", np.r_[np.arange(59), 58], False),
        ("id", np.r_[np.arange(59), np.nan], False),
        ("id", np.arange(60) + 0.5, False),
        ("column 1", R.permutation(200)[:60], False),
        ("day", pd.date_range("2024-01-01", periods=60), False),
    ],
)
def test_columns_that_count_the_rows(name, values, is_number):
    frame = pd.DataFrame({name: values, "x": 0.5})
    assert list(row_numbers(frame)) == ([name] if is_number else [])
    assert row_numbers(frame, but=[name]) == row_numbers(frame[[name]]) == {}


def test_row_numbers_are_no_inputs_and_said():
    X, y = load_iris(return_X_y=True)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(target=y).reset_index()
    model = TabularClassifier("target", n_members=2, max_iter=1, random_state=0).fit(frame)
    assert "index" not in model.encoder_.names
    assert any(note.startswith("Column 'index' is not used: it counts the rows") for note in model.notes_)
    assert model.check(frame) == []
    timed = TabularRegressor("target", n_members=2, max_iter=1, random_state=0).fit(frame, time="index")
    assert "index" in timed.encoder_.names
    declared = TabularClassifier("target", columns={"index": "number"}, n_members=2, max_iter=1).fit(frame)
    assert "index" in declared.encoder_.names


def test_a_target_of_a_file_is_judged_as_numbers(tmp_path):
    number = np.random.default_rng(0).normal(size=300).round(6)
    frame = pd.DataFrame({"twice": 2 * number, "x": R.normal(size=300).round(6), "y": number})
    frame.to_csv(tmp_path / "t.csv", index=False, sep=";", decimal=",")
    model = TabularRegressor("y", n_members=2, max_iter=1, random_state=0).fit(tmp_path / "t.csv")
    assert [note for note in model.notes_ if "tells the target" in note and "'twice'" in note]


def test_a_long_text_among_short_ones_takes_no_memory_in_each_row():
    frame = pd.DataFrame({"text": ["x" * 1_000_000, *[f"text {number}" for number in range(199)]]})
    tracemalloc.start()
    assert not leaks(frame, np.arange(200) % 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6  # an array of str would have 800 MB

"""Columns that tell the target, or count the rows, are named; others are not."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from vecprop import TabularClassifier, TabularRegressor
from vecprop.tables.explaining.column_notes import leaks
from vecprop.tables.rows import row_numbers

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


def test_what_is_filled_for_one_class_is_said():
    frame = pd.DataFrame(LEAKS_OF_CLASSES)[["values for some of a class", "no values for some of a class"]]
    filled, missing = leaks(frame, CLASSES)
    assert "has values only where the target is yes" in filled
    assert "is missing only where the target is yes" in missing


def test_columns_that_are_fair():
    assert leaks(pd.DataFrame(FAIR_OF_CLASSES), CLASSES) == []
    numbers = {"chance": R.normal(size=300), "good": NUMBER + R.normal(0, 0.3, 300), "few": R.integers(0, 5, 300)}
    assert leaks(pd.DataFrame(numbers), NUMBER) == []
    assert leaks(pd.DataFrame({"copy": YES[:40]}), CLASSES[:40]) == []


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_diabetes])
def test_well_known_tables_have_no_leaks(load):
    frame, y = load(return_X_y=True, as_frame=True)
    assert leaks(frame, y.to_numpy()) == []


def test_leaks_of_numbers():
    frame = pd.DataFrame(
        {
            "twice": 2 * NUMBER + 1,
            "noisy": NUMBER + R.normal(0, 0.05, 300),
            "curve": np.exp(NUMBER),
            "one missing": np.where(np.arange(300) == 7, np.nan, NUMBER),
        }
    )
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

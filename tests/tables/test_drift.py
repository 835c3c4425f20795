"""What of a table is unlike training is said, with how far; what is like it is not."""

import re

import numpy as np
import pandas as pd
import pytest

from vecprop import TabularRegressor, load, save
from vecprop.tables.encoding.columns import Categories, NumberInputs
from vecprop.tables.explaining.column_notes import Profile, drift_notes, tallies


def sold(rows=800, seed=0):
    r = np.random.default_rng(seed)
    frame = pd.DataFrame({"age": r.uniform(20, 70, rows).round(1), "town": r.choice(["Rome", "Oslo", "Bern"], rows)})
    days = np.datetime64("2023-01-01") + r.integers(0, 800, rows)
    frame["when"] = days.astype(str)
    frame["note"] = [f"a text of number {number}" for number in range(rows)]
    frame["price"] = frame["age"] * 2 + (frame["town"] == "Oslo") * 30 + r.normal(0, 2, rows)
    return frame


NEW = sold(5, 1).drop(columns="price")
MANY = sold(300, 2).drop(columns="price")


@pytest.fixture(scope="module")
def model():
    return TabularRegressor("price", n_members=2, max_iter=1, hidden_layer_sizes=4, random_state=0).fit(sold())


def test_a_table_like_training_has_no_notes(model):
    for seed in range(1, 30):
        assert model.check(sold(300, seed).drop(columns="price")) == []
    assert model.check(NEW) == []
    assert model.check(sold().sort_values("age")[:20].drop(columns="price")) == []  # too few to be a sample
    (note,) = model.check(MANY.assign(age="old"))
    assert "not numbers" in note


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            NEW.assign(age=500),
            "'age': 5 of 5 values are out of training's range, 20 to 70; the farthest, 500, is 430 beyond",
        ),
        (NEW.assign(age=[-30, 30, 30, 30, 90]), "2 of 5 values are out of .* the farthest, -30, is 50 beyond"),
        (NEW.assign(age=70.5), "'age': 5 of 5 values are out of training's range"),
        (NEW.assign(when="2031-05-05"), "'when': 5 of 5 .* 2023-01-02 to 2025-03-.*, 2031-05-05, is 22.. days beyond"),
        (NEW.assign(age=np.nan), "'age': 5 of 5 values are missing, in training 0 of 800"),
        (NEW.assign(town=None), "'town': 5 of 5 values are missing, in training 0 of 800"),
        (NEW.assign(when=None), "'when': 5 of 5 values are missing"),
        (NEW.assign(note=None), "'note': 5 of 5 values are missing"),
        (NEW.assign(town="Paris"), "'town': 5 of 5 rows are of categories that training never had, such as 'Paris'"),
        (MANY.assign(age=MANY["age"] / 2 + 20), "'age': .* of values are at most .*, in training"),
        (
            MANY.assign(town=["Oslo"] * 200 + ["Rome"] * 100),
            "'town': (67% of values are 'Oslo'|0% of values are 'Bern')",
        ),
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


def test_parts_of_a_table_are_told_of_as_one(model):
    table = MANY.assign(
        age=np.r_[MANY["age"][:290], np.linspace(80, 200, 10)], town=MANY["town"].mask(MANY.index > 280)
    )
    whole, parts = tallies(model, table), None
    for first in range(0, 300, 37):
        parts = tallies(model, table[first : first + 37], parts)
    assert drift_notes(model, whole) == drift_notes(model, parts)
    assert any("10 of 300 values are out of training's range" in note for note in drift_notes(model, parts))


def test_values_are_compared_as_training_reads_them(tmp_path):
    text = sold().assign(when=lambda frame: pd.to_datetime(frame["when"]).dt.strftime("%d/%m/%Y"))
    text.to_csv(tmp_path / "t.csv", index=False, sep=";", decimal=",")
    model = TabularRegressor("price", n_members=2, max_iter=1, random_state=0).fit(tmp_path / "t.csv")
    written = NEW.assign(age=["30,5", "40,125", "1,500", "50,5", "60,5"], when="05/04/2024").astype(str)
    (note,) = model.check(written)
    assert "'age': 1 of 5 values are out of training's range, 20 to 70; the farthest, 1.5, is 18.5 beyond" in note
    (note,) = model.check(written.assign(age="30,5", when="05/04/2034"))
    assert "the farthest, 2034-04-05" in note


def test_profiles_are_saved(model, tmp_path):
    save(model, tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert again.check(NEW.assign(age=500, town="Paris")) == model.check(NEW.assign(age=500, town="Paris"))


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
    assert (
        "the farthest, 2, is 1 beyond"
        in Profile.of(part, constant).notes(part, Profile.of(part, constant).tally(part, pd.Series([2.0])), 1)[0]
    )

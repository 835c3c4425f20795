"""Notes on drift: they are rare for rows of the training population, and they find real changes."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import vecprop as vp
from sampled import sampled

FAST: dict[str, Any] = {
    "n_estimators": 2,
    "max_iter": 1,
    "hidden_layer_sizes": 4,
    "random_state": 0,
}


def people(rows, seed):
    """Return rows with long tails, missing values, text, tags, dates and words among numbers."""
    r = np.random.default_rng(seed)
    names = np.array(["red", "green", "blue", "big", "old", "rare"])
    has_name = r.random((rows, 6)) < [0.5, 0.5, 0.4, 0.3, 0.3, 0.005]
    frame = pd.DataFrame(
        {
            "income": r.lognormal(8, 1, rows).round(2),
            "age": r.integers(18, 90, rows).astype(str),
            "children": r.poisson(1, rows),
            "town": [f"t{number % 80}" for number in r.zipf(1.5, rows)],
            "tags": [";".join(names[own]) or "red" for own in has_name],
            "day": (np.datetime64("2022-01-01") + r.integers(0, 700, rows)).astype(str),
            "note": [
                f"{a} words of a {b} text {c}"
                for a, b, c in r.integers(0, 40, (rows, 3))
            ],
            "y": r.normal(size=rows),
        }
    )
    frame["income"] = frame["income"].mask(r.random(rows) < 0.1)
    frame["children"] = frame["children"].mask(r.random(rows) < 0.005)
    frame["age"] = frame["age"].mask(r.random(rows) < 0.05, "unknown")
    frame["town"] = frame["town"].mask(r.random(rows) < 0.01)
    return frame


def model_of(frame, **arguments):
    return vp.TabularRegressor("y", **FAST).fit(frame, **arguments)


@cache
def model_of_people():
    """Return a model of 400 people, which tests do not change."""
    return model_of(people(400, 0))


@pytest.mark.parametrize("seed", sampled(range(6), every=6))
def test_parts_of_the_training_table_have_no_drift(seed):
    table = people(300, seed)
    model = model_of(table)
    assert model.detect_drift(table) == []
    assert model.detect_drift(pd.concat([table, table, table])) == []
    alarms = sum(
        model.detect_drift(table[row : row + 1]) != [] for row in range(0, 300, 5)
    )
    parts = [
        table.sample(rows, random_state=rows)
        for rows in (5, 20, 40, 80, 120, 160, 200, 240, 280)
    ]
    alarms += sum(model.detect_drift(part) != [] for part in parts)
    assert alarms == 0


def test_a_training_file_has_no_drift(tmp_path):
    table = people(200, 1)
    table["town"] = "Zürich " + table["town"]
    table.to_csv(
        tmp_path / "t.csv", index=False, sep=";", decimal=",", encoding="cp1252"
    )
    model = model_of(tmp_path / "t.csv")
    assert any("cp1252" in note for note in model.notes_)
    assert model.detect_drift(tmp_path / "t.csv") == []


@pytest.mark.long
@pytest.mark.parametrize("rows", [100, 300, 2000])
def test_new_rows_of_the_population_rarely_have_drift(rows):
    alarms = tables = 0
    for seed in range(8):
        model = model_of(people(rows, seed))
        for other in range(25):
            alarms += (
                model.detect_drift(
                    people([1, 10, 50, 200, 1000][other % 5], 1000 + other)
                )
                != []
            )
            tables += 1
    assert alarms <= 0.04 * tables


def panel(groups, seed, rows=8):
    """Return rows of groups: most columns are constant in a group, and some sizes differ."""
    r = np.random.default_rng(seed)
    number = np.repeat(np.arange(groups), r.integers(2, 2 * rows, groups))
    frame = pd.DataFrame(
        {
            "patient": number + 10_000 * seed,
            "height": r.normal(170, 10, groups)[number],
            "street": [
                f"street {name}" for name in r.integers(0, 10**6, groups)[number]
            ],
            "clinic": r.choice(list("abcdef"), groups)[number],
            "dose": np.where(r.random(groups) < 0.2, np.nan, r.normal(size=groups))[
                number
            ],
            "pulse": r.normal(70, 5, len(number)),
        }
    )
    return frame.assign(y=frame["pulse"] + r.normal(size=len(number)))


@pytest.mark.parametrize(("tables", "others"), sampled([(1, 5), (20, 15)]))
def test_new_groups_of_the_population_rarely_have_drift(tables, others):
    alarms = 0
    for seed in range(tables):
        model = model_of(panel(60, 2 * seed), groups="patient")
        for other in range(others):
            new = panel(60, 100 + 20 * seed + other)
            alarms += model.detect_drift(new) != []
            alarms += model.detect_drift(new.drop(columns="patient")) != []
        new = panel(60, 1)
        assert any(
            "'height'" in note
            for note in model.detect_drift(new.assign(height=new["height"] + 20))
        )
        assert any(
            "'dose'" in note for note in model.detect_drift(new.assign(dose=np.nan))
        )
    assert alarms <= 0.02 * tables * others


def sales(first, rows, seed):
    r = np.random.default_rng(seed)
    days = np.datetime64(first) + np.sort(r.integers(0, 365, rows))
    year = days.astype("datetime64[Y]").astype(int) + 1970
    return pd.DataFrame(
        {
            "day": days.astype(str),
            "year": year,
            "size": r.normal(size=rows),
            "y": r.normal(size=rows),
        }
    )


@pytest.mark.parametrize("time", [None, "day", "year"])
def test_later_dates_are_no_drift(time):
    table = pd.concat([sales("2020-01-01", 300, 0), sales("2021-01-01", 300, 1)])
    columns = ["day", "size", "y"] if time != "year" else ["year", "size", "y"]
    model = model_of(table[columns], time=time)
    for first in ("2021-06-01", "2022-01-01", "2029-01-01"):
        assert model.detect_drift(sales(first, 200, 2)[columns]) == []
        assert model.detect_drift(sales(first, 3, 2)[columns]) == []
    assert any(
        columns[0] in note
        for note in model.detect_drift(sales("2010-01-01", 200, 2)[columns])
    )
    assert any(
        "'size'" in note
        for note in model.detect_drift(
            sales("2022-01-01", 200, 2)[columns].assign(size=5.0)
        )
    )
    assert (
        model.refit(table[columns]).detect_drift(sales("2022-01-01", 200, 2)[columns])
        == []
    )


SHIFTS = {
    "income": lambda frame: frame["income"] * 2.2,
    "age": (
        lambda frame: frame["age"].where(
            frame["age"] == "unknown", (90 - frame.index % 30).astype(str)
        )
    ),
    "children": lambda frame: frame["children"] + 1,
    "town": lambda frame: frame["town"].mask(frame.index % 3 == 0, "abroad"),
    "tags": lambda frame: frame["tags"] + ";new",
    "day": lambda frame: frame["day"].str.replace("2022", "2012"),
    "note": lambda frame: frame["note"].mask(frame.index % 4 == 0),
}


@pytest.mark.parametrize("column", SHIFTS)
def test_real_changes_are_found(column):
    model = model_of_people()
    new = [people(100, seed) for seed in range(1, 6)]
    for table in new:
        shifted = table.assign(**{column: SHIFTS[column](table)})
        assert any(
            f"Column {column!r}" in note for note in model.detect_drift(shifted)
        ), column


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.assign(income=frame["income"] / 1000),  # another unit
        lambda frame: frame.assign(income=frame["income"].astype(str) + " miles"),
        lambda frame: frame.assign(income=np.nan),
        lambda frame: frame.assign(town="abroad"),
    ],
)
def test_changes_of_all_values_are_found_in_many_rows(change):
    model = model_of_people()
    assert model.detect_drift(change(people(60, 1))) != []

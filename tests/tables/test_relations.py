"""Times and identifiers that relate the rows of a table."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from vecprop.tables.encoding.encoder import Encoder
from vecprop.tables.explaining.relations import is_panel, relations

R = np.random.default_rng(0)
PERSON = R.permutation(np.repeat(np.arange(40), 5))
DAYS = pd.date_range("2024-01-01", periods=200)
WALK = np.cumsum(R.normal(size=200))
NOISE = R.normal(size=200)
EFFECT = R.normal(size=40)[PERSON]


def related(y: Any = NOISE, **columns):
    """Return the columns that relate rows, and their roles."""
    frame = pd.DataFrame({"x": R.normal(size=200), **columns})
    return [
        (relation.column, relation.role)
        for relation in relations(Encoder.of(frame)[0], frame, np.asarray(y))
    ]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("day", DAYS),
        ("when", DAYS.strftime("%d.%m.%Y")),
        ("when", R.permutation(DAYS.strftime("%b %d %Y"))),
        ("when", DAYS.strftime("%Y%m%d").astype(int)),
        ("time", np.arange(200) * 0.5),
        ("TradeWeek", np.repeat(np.arange(40), 5)),
        ("Jahr", np.repeat(np.arange(40), 5)),
        ("ts", R.permutation(1_600_000_000 + 60 * np.arange(200))),
        (
            "week",
            R.permutation(
                [f"{2020 + week // 52}-W{week % 52 + 1:02d}" for week in range(200)]
            ),
        ),
        (
            "quarter",
            [f"{1960 + number // 4}Q{number % 4 + 1}" for number in range(200)],
        ),
        ("year", R.permutation(np.repeat(np.arange(1980, 2000), 10))),
    ],
)
def test_dates_and_ordered_times_are_times(name, values):
    assert related(**{name: values}) == [(name, "time")]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("age", R.integers(20, 80, 200)),
        ("birth_date", R.permutation(DAYS.strftime("%Y-%m-%d"))),
        ("year_built", R.integers(1900, 2020, 200)),
        ("time", R.integers(0, 60, 200)),
        ("distance", np.arange(200) * 0.5),
        ("day", [None, *DAYS[1:]]),
        ("year", np.repeat([2020, 2021], 100)),
    ],
)
def test_other_dates_and_numbers_are_not_times(name, values):
    assert related(**{name: values}) == []


@pytest.mark.parametrize(
    ("name", "values", "y"),
    [
        ("patient", PERSON, NOISE),
        ("customerID", [f"C-{number:03d}" for number in PERSON], NOISE),
        ("user_id", 1000 + 17 * PERSON, NOISE > 0),
        ("code", [f"{'abcd'[number % 4]}{number}" for number in PERSON], EFFECT),
        ("patient_number", PERSON, NOISE),
        ("StoreNbr", 1000 + 17 * PERSON, NOISE),
        ("number", R.permutation(1000)[PERSON], np.where(EFFECT > 0, "ill", "well")),
    ],
)
def test_columns_with_repeated_entities_are_identifiers(name, values, y):
    assert related(y, **{name: values}) == [(name, "group")]


@pytest.mark.parametrize(
    ("name", "values", "y"),
    [
        ("sex", R.choice(["f", "m"], 200), NOISE),
        ("color", R.choice(list("abcdefgh"), 200), NOISE),
        ("city", R.choice(list("abcdefgh"), 200), NOISE),
        ("player_position", R.choice(list("abcdefgh"), 200), NOISE),
        ("family_size", R.integers(1, 9, 200), NOISE),
        ("stock", R.integers(0, 40, 200), NOISE),
        ("account_age", R.integers(0, 40, 200), NOISE),
        ("area", [f"{number} m²" for number in PERSON], EFFECT),
        ("age", PERSON, PERSON + NOISE),
        ("id", [f"A{number}" for number in range(200)], NOISE),
        ("paid", R.integers(0, 30, 200), NOISE),
    ],
)
def test_categories_amounts_and_row_identifiers_are_not_identifiers(name, values, y):
    assert related(y, **{name: values}) == []


def test_one_row_per_entity_and_time_is_a_panel():
    entity = np.repeat(np.arange(10), 20)
    week = np.tile(np.arange(20), 10)
    assert is_panel(entity, week)
    assert not is_panel(entity, R.permutation(week))
    assert not is_panel(entity, np.arange(200))
    shuffled = R.permutation(200)
    columns = {"Chick": entity[shuffled], "week": week[shuffled]}
    assert related(**columns) == [("week", "time"), ("Chick", "group")]
    assert related(patient=PERSON, visit=DAYS[R.permutation(200)]) == [
        ("patient", "group"),
        ("visit", "time"),
    ]


def test_rows_sorted_by_entity_are_a_panel_whatever_the_names_of_columns():
    entity = np.repeat(np.arange(10), 20)
    count = np.tile(np.arange(20), 10)
    effect = R.normal(size=10)[entity] + 0.5 * NOISE
    assert related(effect, branch=entity, n=count) == [
        ("n", "time"),
        ("branch", "group"),
    ]
    assert related(effect, branch=entity, n=R.permutation(count)) == []
    assert related(NOISE, branch=entity, n=count) == []
    by_count = np.argsort(count, kind="stable")
    assert related(effect[by_count], n=count[by_count], patient=entity[by_count]) == [
        ("patient", "group")
    ]


def test_the_strongest_of_equally_likely_identifiers_is_used():
    other = R.integers(0, 40, 200)
    effect = EFFECT + 0.1 * NOISE
    for columns in (
        {"rater_id": other, "film_id": PERSON},
        {"film_id": PERSON, "rater_id": other},
    ):
        assert related(effect, **columns) == [("film_id", "group")]


def test_tables_without_evidence_have_no_relations():
    frame = pd.DataFrame({"patient": np.repeat(np.arange(10), 5)})
    encoder, _ = Encoder.of(frame)
    assert relations(encoder, frame, np.zeros(50)) == []
    assert relations(encoder, frame[:40], np.arange(40.0)) == []
    assert len(relations(encoder, frame, np.arange(50.0))) == 1


@pytest.mark.parametrize(("noise", "is_found"), [(0.02, True), (1.0, False)])
def test_repeated_measurements_are_found_without_an_identifier(noise, is_found):
    rng = np.random.default_rng(1)
    person = rng.permutation(np.repeat(np.arange(40), 5))
    frame = pd.DataFrame(
        rng.normal(size=(40, 3))[person] + noise * rng.normal(size=(200, 3)),
        columns=list("abc"),
    )
    frame.loc[3, "b"] = np.nan
    found = relations(Encoder.of(frame)[0], frame, rng.normal(size=40)[person])
    assert [(relation.role, relation.is_evident) for relation in found] == [
        ("group", True)
    ] * is_found
    if is_found:
        groups = found[0].values
        assert len(set(zip(groups[4:], person[4:], strict=True))) == 40
        assert "pass their groups (--group)" in found[0].note


@pytest.mark.parametrize(
    "scale", [np.asarray, np.exp, np.round], ids=["normal", "lognormal", "integers"]
)
def test_ordinary_rows_are_no_repeated_measurements(scale):
    rng = np.random.default_rng(2)
    x = scale(
        rng.normal(size=(300, 2)) @ rng.normal(size=(2, 4))
        + 0.1 * rng.normal(size=(300, 4))
    )
    frame = pd.DataFrame(x, columns=list("abcd"))
    assert relations(Encoder.of(frame)[0], frame, x[:, 0] + rng.normal(size=300)) == []

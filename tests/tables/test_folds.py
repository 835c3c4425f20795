"""Relations of rows are found, and folds respect groups and times."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupShuffleSplit

from vecprop import TableError, TabularClassifier, TabularRegressor
from vecprop.tables.encoding.encoder import Encoder
from vecprop.tables.encoding.folds import (
    Dependence,
    folds_of_groups,
    folds_of_time,
    splits,
    times,
)
from vecprop.tables.ensemble.calibration import Residuals
from vecprop.tables.explaining.relations import is_panel, relations
from vecprop.tables.kinds.ambiguities import ColumnOptions
from vecprop.tables.reading.frames import as_frame

QUICK: dict[str, Any] = {
    "n_estimators": 3,
    "hidden_layer_sizes": 8,
    "max_iter": 10,
    "random_state": 0,
}


def panel(seed=0, groups=60, rows=25):
    """Return patients who are identifiable by their columns, with a target that depends on the patient."""
    r = np.random.default_rng(seed)
    g, effect, latent = (
        np.repeat(np.arange(groups), rows),
        r.normal(0, 3, groups),
        r.normal(size=(groups, 4)),
    )
    X, x = latent[g] + 0.02 * r.normal(size=(len(g), 4)), r.normal(size=len(g))
    frame = pd.DataFrame(X, columns=list("abcd")).assign(
        x=x, patient=[f"p{k}" for k in g]
    )
    return frame.assign(y=effect[g] + x + r.normal(0, 0.3, len(g)))


def test_groups_stay_in_one_fold_and_folds_are_balanced():
    r = np.random.default_rng(0)
    groups = np.unique(r.integers(0, 50, 400), return_inverse=True)[1]
    y = groups % 10 + r.normal(size=400)
    fold = folds_of_groups(y, groups, 4, seed=0)
    assert all(len(np.unique(fold[groups == g])) == 1 for g in np.unique(groups))
    assert np.ptp(np.bincount(fold)) <= 20
    assert np.ptp([y[fold == k].mean() for k in range(4)]) < 1 < y.std()
    assert (folds_of_groups(y, groups, 4, seed=1) != fold).any()
    assert np.bincount(folds_of_groups(y, np.arange(400) % 3, 8, seed=0)).size == 3


def test_networks_are_trained_on_rows_before_their_validation_rows():
    time = np.random.default_rng(0).integers(0, 30, 200).astype(float)
    fold = folds_of_time(time, 4)
    for learned, later in splits(fold, is_time=True):
        assert time[learned].max() < time[later].min()
        assert len(learned) + len(later) == 200
    assert (fold == -1).sum() > 80
    assert folds_of_time(np.repeat([1.0, 2.0], 5), 8).tolist() == [-1] * 5 + [0] * 5


def test_scores_of_drifting_tables_are_not_optimistic():
    r, rows = np.random.default_rng(0), 600
    x, slope = r.normal(size=rows), np.cumsum(r.normal(0, 0.08, rows))
    frame = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=rows), "x": x})
    frame["y"] = slope * x + r.normal(0, 0.3, rows)
    train, test = frame[:480], frame[480:]
    by_row, by_time = (
        TabularRegressor("y", n_estimators=4, max_iter=40, random_state=0).fit(
            train, time=time
        )
        for time in (None, "day")
    )

    def held(model):
        low, high = model.predict_interval(test, 0.9).T
        return ((low <= test["y"]) & (test["y"] <= high)).mean()

    assert by_row.validation_loss_ < by_time.validation_loss_
    assert held(by_row) < held(by_time)


def test_day_first_dates_are_times():
    days = pd.Series(pd.date_range("2023-01-01", "2023-12-31"))
    for form in ("%d.%m.%Y", "%Y-%m-%d", "%d/%m/%Y"):
        assert (np.diff(times(days.dt.strftime(form), "day")) == 1).all()


def test_column_options_apply_to_times():
    days = [f"{1 + k % 12:02d}/{1 + k // 12:02d}/2024" for k in range(120)]
    frame, y = pd.DataFrame({"day": days, "x": np.arange(120.0)}), np.arange(120.0) % 7
    model = TabularRegressor(columns={"day": "date day first"}, **QUICK)
    day_first, in_order = (
        model.fit(frame, y, time=time).ensemble_.theta
        for time in ("day", np.arange(120.0))
    )
    np.testing.assert_array_equal(day_first, in_order)
    assert times(
        pd.Series(["1,250", "1,5"]), "hour", ColumnOptions(decimal=",")
    ).tolist() == [1.25, 1.5]


@pytest.mark.parametrize(
    "given",
    [
        pd.period_range("2020-01", periods=4, freq="M"),
        pd.to_timedelta([1, 2, 3, 4], unit="D"),
    ],
)
def test_periods_and_durations_are_times(given):
    frame = pd.DataFrame({"when": given})
    of_argument, of_column = (
        Dependence.of(frame, None, given),
        Dependence.of(as_frame(frame), None, "when"),
    )
    assert of_argument.time is not None
    assert (np.diff(of_argument.time) > 0).all()
    np.testing.assert_array_equal(of_argument.time, of_column.time)


def test_folds_use_a_text_target_as_numbers(tmp_path):
    frame = panel(groups=6, rows=20).drop(columns="patient").round(3)
    frame.to_csv(tmp_path / "t.csv", index=False)
    of_file, of_frame = (
        TabularRegressor("y", **QUICK).fit(table)
        for table in (tmp_path / "t.csv", frame)
    )
    np.testing.assert_array_equal(of_file.ensemble_.theta, of_frame.ensemble_.theta)


@pytest.mark.long
def test_intervals_cover_new_groups():
    held, known = [], []  # of forty panels; the coverage of one varies from 82 to 93 %
    for seed in range(40):
        frame = panel(seed)
        train, test = next(
            GroupShuffleSplit(1, test_size=0.2, random_state=seed).split(
                frame, groups=frame["patient"]
            )
        )
        model = TabularRegressor("y", random_state=0, max_iter=20).fit(
            frame.iloc[train], groups="patient"
        )
        y = frame["y"].to_numpy()[test]
        low, high = model.predict_interval(frame.iloc[test], 0.9).T
        held.append(((low <= y) & (y <= high)).mean())
        known.append(
            model.validation_loss_
            / np.sqrt(np.mean((model.predict(frame.iloc[test]) - y) ** 2))
        )
    assert 0.87 <= np.mean(held) <= 0.93
    assert 0.75 < np.mean(known) < 1.1


def test_intervals_of_few_groups_are_wider():
    def interval(groups):
        residuals = Residuals.of([np.arange(100.0)], [np.ones(100)], groups)
        return residuals.interval(np.zeros((1, 1)), np.zeros((1, 1)), 0.8)[0, 1]

    assert interval(float("inf")) < interval(8.0) < interval(2.0) == 99.0


@pytest.mark.parametrize("as_column", [True, False])
def test_groups_and_times_are_columns_or_values_for_each_row(as_column):
    frame = panel(groups=12, rows=10)
    given = "patient" if as_column else frame["patient"].to_numpy()
    table = frame if as_column else frame.drop(columns="patient")
    model = TabularRegressor("y", **QUICK).fit(table, groups=given)
    assert "patient" not in model.encoder_.names
    assert any("'patient'" in note for note in model.detect_drift(frame)) == (
        not as_column
    )
    same = TabularRegressor("y", **QUICK).fit(
        frame.drop(columns="patient"), groups=frame["patient"]
    )
    np.testing.assert_array_equal(model.ensemble_.theta, same.ensemble_.theta)
    timed = TabularRegressor("y", **QUICK).fit(
        frame.drop(columns="patient"), time="x" if as_column else frame["x"]
    )
    assert "x" in timed.encoder_.names
    assert timed.ensemble_.folds == 3


def test_validation_loss_of_classifiers_is_measured_on_new_groups():
    frame = panel()
    means = np.repeat(frame["y"].to_numpy().reshape(60, 25).mean(axis=1), 25)
    frame["sick"] = np.where(means > 0, "yes", "no")
    frame = frame.drop(columns="y")
    by_row = TabularClassifier("sick", **QUICK).fit(frame.drop(columns="patient"))
    by_group = TabularClassifier("sick", **QUICK).fit(frame, groups="patient")
    assert by_row.validation_loss_ < 0.4 < 0.6 < by_group.validation_loss_


def test_rows_without_a_target_are_dropped_with_their_groups():
    frame = panel(groups=6, rows=5)
    frame.loc[:4, "y"] = None
    model = TabularRegressor("y", **QUICK).fit(frame, groups="patient")
    assert model.residuals_.groups == 5


def test_invalid_groups_and_times_raise():
    arguments: dict[str, Any]
    for arguments, said in (
        ({"groups": "patient", "time": "x"}, "pass only one of the two"),
        ({"groups": "patent"}, "did you mean 'patient'"),
        ({"groups": [1, 2]}, "groups has 2: pass one per row"),
        ({"groups": np.ones(150)}, "have the same group"),
        ({"time": np.ones(150)}, "have the same time"),
        ({"time": np.arange(150) > 148}, "Too many rows have the earliest time"),
        (
            {"time": "patient"},
            (
                "Column 'patient' has 150 value.* that are not times, such as '.*' in"
                " row 0"
            ),
        ),
    ):
        with pytest.raises(TableError, match=said):
            TabularRegressor("y", **QUICK).fit(panel(groups=6), **arguments)


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

"""Notes on drift, leaks, groups, row numbers and odd targets."""

import re
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from sampled import sampled
from vecprop import TabularClassifier, TabularRegressor, load, save
from vecprop.tables.encoding.columns import Categories, NumberInputs
from vecprop.tables.encoding.encoder import Encoder
from vecprop.tables.error import Note, ranked
from vecprop.tables.explaining.column_notes import leaks, odd_targets, strong_columns
from vecprop.tables.explaining.drift import Profile, comparisons, tallies
from vecprop.tables.kinds.ambiguities import note_on_numbers
from vecprop.tables.rows import row_numbers


def sold(rows=800, seed=0):
    r = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": r.uniform(20, 70, rows).round(1),
            "town": r.choice(["Rome", "Oslo", "Bern"], rows),
        }
    )
    days = np.datetime64("2023-01-01") + r.integers(0, 800, rows)
    frame["when"] = days.astype(str)
    frame["note"] = [f"a text of number {number % 80}" for number in range(rows)]
    frame["price"] = (
        frame["age"] * 2 + (frame["town"] == "Oslo") * 30 + r.normal(0, 2, rows)
    )
    return frame


def drift(model, tallies):
    return {
        name: comparison.notes()
        for name, comparison in comparisons(model, tallies).items()
    }


def notes_on(part, profile, series):
    model = SimpleNamespace(encoder_=Encoder(["x"], [part], {}), profiles_=[profile])
    return drift(model, tallies(model, pd.DataFrame({"x": series})))["x"]


NEW = sold(5, 1).drop(columns="price")
MANY = sold(300, 2).drop(columns="price")


@pytest.fixture(scope="module")
def model():
    return TabularRegressor(
        "price", n_estimators=2, max_iter=1, hidden_layer_sizes=4, random_state=0
    ).fit(sold())


def test_a_table_from_the_training_distribution_has_no_notes(model):
    for seed in range(1, 4):
        assert model.detect_drift(sold(300, seed).drop(columns="price")) == []
    assert model.detect_drift(NEW) == []
    # too few to be a sample
    assert (
        model.detect_drift(sold().sort_values("age")[:20].drop(columns="price")) == []
    )
    (note,) = model.detect_drift(MANY.assign(age="old"))
    assert "not numbers" in note


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            NEW.assign(age=500),
            (
                r"'age': 5 of 5 values are outside the training range 20 to 70, .*"
                r" \(500\) by 430"
            ),
        ),
        (
            NEW.assign(age=[-30, 30, 30, 30, 90]),
            r"2 of 5 values are outside .* the farthest \(-30\) by 50",
        ),
        (NEW.assign(age=70.5), "'age': 5 of 5 values are outside the training range"),
        (
            NEW.assign(when="2011-05-05"),
            r"'when': 5 of 5 .* 2023-01-02 to 2025-03-.* \(2011-05-05\) by 42.. days",
        ),
        (
            NEW.assign(when="9999-12-31"),
            r"'when': 5 of 5 values are outside .* \(9999-12-31\) by",
        ),
        (
            NEW.assign(age=np.nan),
            r"'age': 5 of 5 values are missing \(0 of 800 in training\)",
        ),
        (NEW.assign(note=None), "'note': 5 of 5 values are missing"),
        (
            NEW.assign(town="Paris"),
            (
                "'town': 5 of 5 rows have categories that did not occur in training, .*"
                " 'Paris'"
            ),
        ),
        (
            MANY.assign(age=MANY["age"] / 2 + 20),
            r"'age': .* of values are at most .* \(.* in training\)",
        ),
        (
            MANY.assign(town=["Oslo", "Rome", "Oslo"] * 100),
            "'town': (67% of values are 'Oslo'|0% of .* are 'Bern')",
        ),
        (
            MANY.assign(when=MANY["when"].str.replace("2024", "2023")),
            "'when': .* of values are at most 202",
        ),
    ],
)
def test_drift_is_described(model, table, message):
    (note,) = (
        note
        for note in model.detect_drift(table)
        if "fewer than 2 training rows" not in note
    )
    assert re.search(message, note), note


def test_a_growing_share_of_missing_values_is_drift():
    table = sold().drop(columns=["note", "when"])
    table.loc[::20, "age"] = np.nan
    model = TabularRegressor("price", n_estimators=2, max_iter=1, random_state=0).fit(
        table
    )
    assert model.detect_drift(table) == []
    (note,) = model.detect_drift(
        MANY[["age", "town"]].assign(age=MANY["age"].mask(MANY.index % 2 == 0))
    )
    assert "'age': 150 of 300 values are missing (40 of 800 in training)" in note


def test_chunks_give_the_drift_of_the_whole_table_and_profiles_are_saved(
    model, tmp_path
):
    table = MANY.assign(
        age=np.r_[MANY["age"][:290], np.linspace(80, 200, 10)],
        town=MANY["town"].mask(MANY.index > 280),
    )
    whole, parts = tallies(model, table), None
    for first in range(0, 300, 37):
        parts = tallies(model, table[first : first + 37], parts)
    assert drift(model, whole) == (drifts := drift(model, parts or []))
    assert any(
        "10 of 300 values are outside the training range" in note
        for notes in drifts.values()
        for note in notes
    )
    save(model, tmp_path / "model.npz")
    assert load(tmp_path / "model.npz").detect_drift(table) == model.detect_drift(table)


def test_drift_parses_values_as_in_training(tmp_path):
    text = sold().assign(
        when=lambda frame: pd.to_datetime(frame["when"]).dt.strftime("%d/%m/%Y")
    )
    text.to_csv(tmp_path / "t.csv", index=False, sep=";", decimal=",")
    model = TabularRegressor("price", n_estimators=2, max_iter=1, random_state=0).fit(
        tmp_path / "t.csv"
    )
    written = NEW.assign(
        age=["30,5", "40,125", "1,500", "50,5", "60,5"], when="05/04/2024"
    ).astype(str)
    (note,) = model.detect_drift(written)
    assert (
        "'age': 1 of 5 values are outside the training range 20 to 70, the farthest"
        " (1.5) by 18.5" in note
    )
    (note,) = model.detect_drift(written.assign(age="30,5", when="05/04/2014"))
    assert "the farthest (2014-04-05)" in note


def test_profiles_of_many_categories_store_no_values():
    names = pd.Series([f"k{number // 2}" for number in range(10_000)])
    part = Categories.of(names)
    profile = Profile.learn(part, names)
    assert len(profile.values) == 0
    assert notes_on(part, profile, ["new"]) == []


def test_infinite_and_constant_columns_have_profiles():
    series = pd.Series([1.0, np.nan, np.inf, -np.inf] * 5)
    part = NumberInputs.of(series)
    profile = Profile.learn(part, series)
    assert notes_on(part, profile, series) == []
    constant = pd.Series([1.0, np.nan] * 5)
    part = NumberInputs.of(constant)
    profile = Profile.learn(part, constant)
    assert "the farthest (2) by 1" in notes_on(part, profile, [2.0])[0]


R = np.random.default_rng(0)
YES = R.random(300) < 0.3
NUMBER = R.normal(size=300)
CLASSES = np.where(YES, "yes", "no")
ORDER = R.permutation(np.repeat(np.arange(10), 30))

LEAKS_OF_CLASSES = {
    "a code": np.where(YES, 4, 7),
    "a noisy copy": YES + R.normal(0, 0.15, 300),
    "names of each class": np.where(
        YES, R.choice(["a", "b"], 300), R.choice(["c", "d"], 300)
    ),
    "whole numbers in no order": np.where(
        YES, R.choice([1, 3, 5], 300), R.choice([2, 4], 300)
    ),
    "values for all of a class": np.where(YES, R.normal(size=300), np.nan),
    "values for some of a class": np.where(
        YES & (R.random(300) < 0.6), R.normal(size=300), np.nan
    ),
    "no values for some of a class": np.where(
        YES & (R.random(300) < 0.6), np.nan, R.normal(size=300)
    ),
    "a date for some": ["2024-01-31" if yes else None for yes in YES],
}
FAIR_OF_CLASSES = {
    "chance": R.normal(size=300),
    "few values": R.integers(0, 3, 300),
    "a good column": YES + R.normal(0, 0.5, 300),
    "missing by chance": np.where(R.random(300) < 0.1, np.nan, 1.0),
    "almost always missing": np.where(
        np.arange(300) == np.flatnonzero(~YES)[0], 1.0, np.nan
    ),
    "text": [f"row {number}" for number in range(300)],
    "dates": pd.date_range("2024-01-01", periods=300),
}


def leaks_of(frame, y):
    return leaks(Encoder.of(frame)[0], frame, np.asarray(y))[0]


@pytest.mark.parametrize("kind", LEAKS_OF_CLASSES)
def test_leaks_of_classes_are_reported(kind):
    (note,) = leaks_of(
        pd.DataFrame({"fair": R.normal(size=300), "leak": LEAKS_OF_CLASSES[kind]}),
        CLASSES,
    )
    assert note.startswith("Column 'leak'")
    if "for some" in kind:
        assert (
            f"{'is missing' if kind.startswith('no') else 'has values'} only where the"
            " target is yes" in note
        )


def test_good_columns_are_not_leaks():
    assert leaks_of(pd.DataFrame(FAIR_OF_CLASSES), CLASSES) == []
    numbers = {
        "chance": R.normal(size=300),
        "good": NUMBER + R.normal(0, 0.3, 300),
        "few": R.integers(0, 5, 300),
    }
    assert leaks_of(pd.DataFrame(numbers), NUMBER) == []
    assert leaks_of(pd.DataFrame({"copy": YES[:40]}), CLASSES[:40]) == []


@pytest.mark.parametrize(
    "table", [load_iris, load_wine, load_breast_cancer, load_diabetes]
)
def test_well_known_tables_have_no_leaks(table):
    frame, y = table(return_X_y=True, as_frame=True)
    assert leaks_of(frame, y.to_numpy()) == []


def test_leaks_of_numbers_are_reported():
    frame = pd.DataFrame(
        {
            "twice": 2 * NUMBER + 1,
            "noisy": NUMBER + R.normal(0, 0.05, 300),
            "curve": np.exp(NUMBER),
        }
    )
    frame["one missing"] = np.where(np.arange(300) == 7, np.nan, NUMBER)
    assert len(leaks_of(frame, NUMBER)) == 4
    flowers = np.repeat(["a", "b", "c"], 50)
    assert len(leaks_of(pd.DataFrame({"row": np.arange(150)}), flowers)) == 1


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
def test_row_numbers_are_recognized(name, values, is_number):
    frame = pd.DataFrame({name: values, "x": 0.5})
    assert list(row_numbers(frame)) == ([name] if is_number else [])
    assert row_numbers(frame, but=[name]) == row_numbers(frame[[name]]) == {}


def test_row_numbers_are_reported_and_ignored():
    X, y = load_iris(return_X_y=True)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(target=y).reset_index()
    model = TabularClassifier("target", n_estimators=2, max_iter=1, random_state=0).fit(
        frame
    )
    assert "index" not in model.encoder_.names
    assert any(
        note.startswith("Column 'index' is not used: it only counts the rows")
        for note in model.notes_
    )
    assert model.detect_drift(frame) == []
    timed = TabularRegressor("target", n_estimators=2, max_iter=1, random_state=0).fit(
        frame, time="index"
    )
    assert "index" in timed.encoder_.names
    declared = TabularClassifier(
        "target", columns={"index": "number"}, n_estimators=2, max_iter=1
    ).fit(frame)
    assert "index" in declared.encoder_.names


def test_leaks_of_a_numeric_target_in_a_file_are_reported(tmp_path):
    number = np.random.default_rng(0).normal(size=300).round(6)
    frame = pd.DataFrame(
        {"twice": 2 * number, "x": R.normal(size=300).round(6), "y": number}
    )
    frame.to_csv(tmp_path / "t.csv", index=False, sep=";", decimal=",")
    model = TabularRegressor("y", n_estimators=2, max_iter=1, random_state=0).fit(
        tmp_path / "t.csv"
    )
    assert [
        note
        for note in model.notes_
        if "predicts the target almost" in note and "'twice'" in note
    ]


@pytest.mark.long
def test_one_long_text_does_not_take_its_memory_for_each_row():
    frame = pd.DataFrame(
        {"text": ["x" * 10_000, *[f"text {number % 50}" for number in range(1999)]]}
    )
    encoder = Encoder(["text"], [Categories.of(frame["text"])], {})
    tracemalloc.start()
    assert leaks(encoder, frame, R.permutation(2000) % 2) == ([], {})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6  # an array of str would have 80 MB


def has(notes, *parts):
    return any(all(part in note for part in parts) for note in notes)


@pytest.fixture(scope="module")
def visits():
    """Return visits of patients, the patients' share of a target, and noise."""
    r = np.random.default_rng(5)
    of = r.permutation(np.repeat(np.arange(100), 6))
    ids, ages = r.permutation(9000)[:100], r.integers(20, 80, 100)
    frame = pd.DataFrame(
        {"patient": ids[of], "age": ages[of], "dose": r.integers(1, 60, 600)}
    )
    return frame, r.normal(size=100)[of], r.normal(size=600)


@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize(
    "read", [lambda y: y, lambda y: np.where(y > 0, "ill", "well")]
)
def test_ids_with_similar_rows_are_groups(visits, share, read):
    frame, own, noise = visits
    y = read(share * own + 0.5 * noise)
    (note,) = leaks_of(frame, y)
    assert "groups='patient' (--group)" in note
    assert leaks(Encoder.of(frame)[0], frame, y, skip_relations=True)[0] == []
    assert not has(
        leaks_of(
            frame.assign(patient=frame["patient"].map(lambda number: f"P{number}")), y
        ),
        "'dose'",
    )
    # pairs are similar
    few = pd.DataFrame({"patient": np.repeat(list("abcdefghijklmnop"), 10)})
    assert has(
        leaks_of(few, read(own[::80].repeat(20) + 0.1 * noise[:160])), "(--group)"
    )


@pytest.mark.parametrize(
    "read", [lambda y: y, lambda y: np.where(y > y.mean(), "high", "low")]
)
def test_values_that_only_repeat_are_not_groups(visits, read):
    frame, own, noise = visits
    areas = frame.assign(area=frame["patient"].map("{} m²".format)).drop(
        columns="patient"
    )
    assert not has(leaks_of(areas, read(own + 0.5 * noise)), "'area'")
    amounts = frame.assign(born=2024 - frame["dose"], band=frame["dose"] // 10).drop(
        columns=["patient", "age"]
    )
    assert leaks_of(amounts, read(frame["dose"] + 5 * noise)) == []
    assert leaks_of(frame, read(noise)) == []


def test_a_target_that_follows_a_date_is_reported():
    r = np.random.default_rng(0)
    order = r.permutation(500)
    frame = pd.DataFrame(
        {
            "x": r.normal(size=500),
            "day": pd.date_range("2020-01-01", periods=500)[order].astype(str),
        }
    )
    walk = np.cumsum(r.normal(size=500))[order]
    (note,) = leaks_of(frame, walk)
    assert "time='day' (--time)" in note
    assert leaks(Encoder.of(frame)[0], frame, walk, skip_relations=True)[0] == []
    assert leaks_of(frame, frame["x"] + r.normal(size=500)) == []


def table_of_cards(rows=400, seed=0):
    """Return applications for a credit card; spending almost determines who has a card."""
    r = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "income": r.normal(3, 1, rows).round(2),
            "age": r.uniform(20, 70, rows).round(),
        }
    )
    card = frame["income"] + r.normal(0, 1, rows) > 2.5
    frame["spent"] = np.where(
        card & (r.random(rows) < 0.97), r.lognormal(3, 1, rows), 0.0
    ).round(2)
    return frame.assign(card=np.where(card, "yes", "no"))


def test_a_column_as_good_as_the_model_is_reported():
    model = TabularClassifier("card", n_estimators=2, max_iter=30, random_state=0).fit(
        table_of_cards(seed=1)
    )
    assert has(model.notes_[:1], "'spent' alone predicts")
    fair = table_of_cards().assign(spent=lambda frame: frame["age"])
    fair["distance"] = np.random.default_rng(1).uniform(0, 100, 400).round(1)
    fair["fare"] = 3 * fair["distance"] + fair["age"] + 10 * fair["income"]
    model = TabularRegressor("fare", n_estimators=2, max_iter=100, random_state=0).fit(
        fair.drop(columns="card")
    )
    assert not has(model.notes_, "alone")


Y = np.random.default_rng(3).lognormal(0, 1, 600)


@pytest.mark.parametrize(
    ("y", "name", "message"),
    [
        (np.append(Y, 1e12), "", "y is 1e+12 in row 600, "),
        (
            np.append(Y, [9e5] * 3),
            "",
            "y is 900000 in row 600 and extreme in 2 more rows, ",
        ),
        (
            np.append(Y, Y.sum()),
            "",
            "y in row 600 (1038.21) may be the total of the other rows",
        ),
        (
            np.append(Y, 0.8 * Y.sum()),
            "Summe",
            "y in row 600 (830.568) may be the total of the other rows",
        ),
        (
            np.append(Y, [-999.0] * 9),
            "",
            "y: -999 in 9 rows may stand for missing values: leave these empty.",
        ),
        (Y, "Total", ""),
        (np.exp(2 * np.log(Y)), "", ""),
        (np.where(Y > 5, np.round(Y), 0), "", ""),
    ],
)
def test_odd_targets_are_reported(y, name, message):
    frame = pd.DataFrame({"town": ["Rome"] * (len(y) - 1) + [name or "Oslo"], "x": y})
    notes = odd_targets(frame, y, "y")
    assert len(notes) == bool(message)
    assert "".join(notes).startswith(message)


@pytest.mark.parametrize(
    ("columns", "tables", "most"), sampled([(300, 1, 2), (20, 20, 1)])
)
def test_drift_notes_are_rare_by_chance_and_find_a_shift(columns, tables, most):
    found = shifts = 0
    for seed in range(tables):
        r = np.random.default_rng(columns + seed)
        draws = [
            r.normal(size=(1000, columns)),
            r.lognormal(0, 1.5, (1000, columns)),
            r.poisson(2, (1000, columns)),
        ]
        kinds = np.arange(columns) % 3
        frame = pd.DataFrame(np.choose(kinds, draws)).rename(columns="c{}".format)
        frame["town"] = [f"t{min(number, 300)}" for number in r.zipf(1.6, 1000)]
        train, test = frame[:800], frame[800:]
        encoder = Encoder.of(train)[0]
        profiles = [Profile.learn(part, train[name]) for name, part in encoder.columns]
        model = SimpleNamespace(encoder_=encoder, profiles_=profiles)
        found += sum(map(bool, drift(model, tallies(model, test)).values()))
        shifted = drift(model, tallies(model, test.assign(c0=test["c0"] + 0.5)))
        shifts += has(shifted["c0"], "of values are at most")
    assert found <= most
    assert shifts >= tables - 1


def test_notes_are_sorted_by_kind():
    notes = [
        Note("Column 'a' is not used: it is empty.", "unused", "a"),
        Note("Read as dates: 'leave it out if not used'."),
        Note("Column 'c' is 3.", "trust", "c"),
    ]
    assert ranked([*notes, notes[0]]) == notes[::-1]


def test_notes_keep_their_kind_and_column_in_a_file(tmp_path):
    table = table_of_cards(100).assign(empty=None)
    model = TabularClassifier("card", n_estimators=2, max_iter=1, random_state=0).fit(
        table
    )
    save(model, tmp_path / "cards.npz")
    note = next(
        note for note in load(tmp_path / "cards.npz").notes_ if "'empty'" in note
    )
    assert (note.kind, note.column) == ("unused", "empty")


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.89, "nearly as well as"), (0.95, "at least as well as"), (0.5, "")],
)
def test_a_strong_column_is_compared_with_the_model(share, words):
    target = np.arange(200.0)[:, None]
    # explains 90 %
    predicted = (
        target
        + np.sqrt(0.1 * target.var()) * np.where(np.arange(200) % 2, 1, -1)[:, None]
    )
    notes = strong_columns({"fare": share}, target, predicted)
    assert [note.column for note in notes] == ["fare"] * bool(words)
    assert all(words in note for note in notes)


def test_a_frequent_minus_one_is_no_marker():
    days = np.random.default_rng(0).integers(0, 300, 500).astype(float)
    often = np.where(np.arange(500) % 5, -1, days)
    assert note_on_numbers(often, "days") == ""
    assert "-1 in 50 rows may stand for missing values" in note_on_numbers(
        np.where(np.arange(500) % 10, days, -1), "days"
    )

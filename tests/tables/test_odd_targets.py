"""Odd targets raise a note or an error, however the model is trained."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import vecprop as vp
from sampled import sampled
from shared_commands import invoke
from vecprop import TableError

N = 240
R = np.random.default_rng(0)
FAST: dict[str, Any] = {
    "n_estimators": 2,
    "max_iter": 1,
    "hidden_layer_sizes": 4,
    "random_state": 0,
}
NAMES = [";".join(sorted({*R.choice(list("abcdefgh"), 3)})) for _ in range(N)]


def mixed(*classes):
    return R.choice(np.array(classes, object), N).tolist()


NOTED = {
    "one positive row": (
        [0] * (N - 1) + [1],
        "1 class(es) have fewer than 5 rows, such as 1 (1 of 240)",
    ),
    "a typo": (
        mixed("setosa", "versicolor")[: N - 6] + ["versicolour"] * 6,
        "differ by a letter: spell them",
    ),
    "one positive text": (
        ["no"] * (N - 2) + ["yes"] * 2,
        "1 class(es) have fewer than 5 rows, such as 'yes' (2 of 240)",
    ),
    "a class of one row": (
        [*mixed("a", "b"), "c"][1:],
        "1 class(es) have fewer than 5 rows, such as 'c' (1 of 240)",
    ),
    "case": (
        mixed("yes", "Yes", "no"),
        "'Yes' and 'yes' differ only in case or spaces",
    ),
    "period": (
        mixed(">50K", ">50K.", "<=50K", "<=50K."),
        "'<=50K' and '<=50K.' differ only in punctuation",
    ),
    "hyphen": (
        mixed("semi-annual", "semi annual", "annual"),
        "differ only in punctuation",
    ),
    "underscore": (mixed("not spam", "not_spam", "spam"), "differ only in punctuation"),
    "-1": (mixed(0, 1, -1), "-1 in"),
    "-9": (mixed(1, 2, 3, -9), "-9 in"),
    "999": (mixed(0, 1, 2, 999), "999 in"),
    "unknown": (mixed("good", "bad", "unknown"), "'unknown' in"),
    "a dash": (mixed("good", "bad", "-"), "'-' in"),
    "no answer": (mixed("gut", "schlecht", "keine Angabe"), "'keine Angabe' in"),
    "zeros": (mixed("1", "1.0", "two"), "differ only in punctuation, zeros or accents"),
    "99 of text": (mixed("1", "2", "99"), "99 in"),
    "tags": (
        NAMES,
        "combinations of names with ';' is a class: train a model for each name",
    ),
    "dates": (
        mixed("2024-01-31", "2024-02-29", "2024-03-31"),
        "dates such as '2024-01-31' are classes: replace them",
    ),
}
ORDINARY = {
    "two classes": mixed("yes", "no"),
    "signs": mixed(-1, 1),
    "digits": mixed(*range(10)),
    "grades": mixed("A", "A+", "A-", "B"),
    "languages": mixed("C", "C++", "C#"),
    "decimals": mixed("v1.5", "v15", "v2"),
    "a small class": mixed("a", "b")[: N - 20] + ["c"] * 20,
    "symbols": mixed("<=50K", ">50K"),
    "outcomes": mixed("approved", "refused", "other", "none"),
    "numbers with signs": mixed("#1", "#2", "#3"),
    "names": mixed("Rome, Italy", "Oslo, Norway"),
    "years": mixed(2019, 2020, 2021),
    "words": (
        mixed("grade one", "minor", "major")[: N - 20]
        + ["minors 2"] * 10
        + ["grade two"] * 10
    ),
    "letters": (
        mixed("grade A", "class 1")[: N - 20] + ["grade B"] * 10 + ["class 2"] * 10
    ),
}


def table(y):
    return pd.DataFrame(
        {"x": R.normal(size=N).round(3), "z": R.choice(list("uvw"), N), "y": y}
    )


def notes_of(frame):
    return [
        note
        for note in vp.TabularClassifier("y", **FAST).fit(frame).notes_
        if note.startswith("The target 'y'")
    ]


@pytest.mark.parametrize("name", NOTED)
def test_odd_classes_are_noted_in_frames_and_files(name, tmp_path):
    y, message = NOTED[name]
    frame = table(y)
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        frame.to_csv(tmp_path / "t.csv", index=False)
        assert any(message in note for note in notes_of(tmp_path / "t.csv"))
        if name != "99 of text":  # text in a data frame stays text
            assert any(message in note for note in notes_of(frame))


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_classes_have_no_note(name):
    assert notes_of(table(ORDINARY[name])) == []


@pytest.mark.parametrize(
    "name", sampled(["one positive row", "period", "999", "tags"], every=4)
)
def test_the_command_prints_the_notes(name, tmp_path, monkeypatch):
    y, message = NOTED[name]
    monkeypatch.chdir(tmp_path)
    table(y).to_csv("t.csv", index=False)
    options = [
        "--target",
        "y",
        "--max-iter",
        "1",
        "--n-estimators",
        "2",
        "--task",
        "classification",
    ]
    done = invoke("train", "t.csv", *options)
    assert done.output.count(message) == 1


def test_a_target_of_dates_is_not_called_an_identifier():
    days = pd.date_range("2023-01-01", periods=N)
    for y in (
        days,
        days.tz_localize("UTC"),
        list(days.date),
        days.strftime("%Y-%m-%d"),
        days.strftime("%d.%m.%Y"),
    ):
        with pytest.raises(
            TableError,
            match=(
                r"(240 distinct dates in 240 rows|Unknown label type\)): replace them"
                r" by numbers"
            ),
        ):
            vp.TabularClassifier("y", **FAST).fit(table(y))
        with pytest.raises(
            TableError,
            match=(
                r"not numbers.*replace them by numbers, such as the days since a date"
            ),
        ):
            vp.TabularRegressor("y", **FAST).fit(table(y))
    with pytest.raises(TableError, match="looks like an identifier"):
        vp.TabularClassifier("y", **FAST).fit(
            table([f"id{number}" for number in range(N)])
        )

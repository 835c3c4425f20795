"""Odd targets raise a note or an error, however the model is trained."""

import warnings
from typing import Any

import pandas as pd
import pytest

import vecprop as vp
from odd_targets import NOTED, N, mixed, table
from sampled import sampled
from shared_commands import invoke
from vecprop import TableError

FAST: dict[str, Any] = {
    "n_estimators": 2,
    "max_iter": 1,
    "hidden_layer_sizes": 4,
    "random_state": 0,
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


def notes_of(frame):
    return [
        note
        for note in vp.TabularClassifier("y", **FAST).fit(frame).notes_
        if note.startswith("The target 'y'")
    ]


@pytest.mark.parametrize("name", sampled(NOTED, 4))
def test_odd_classes_are_noted_in_frames_and_files(name, tmp_path):
    y, message = NOTED[name]
    frame = table(y)
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        frame.to_csv(tmp_path / "t.csv", index=False)
        assert any(message in note for note in notes_of(tmp_path / "t.csv"))
        if name != "99 of text":  # text in a data frame stays text
            assert any(message in note for note in notes_of(frame))


@pytest.mark.parametrize("name", sampled(ORDINARY, 3))
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

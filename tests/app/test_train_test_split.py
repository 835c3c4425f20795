"""Test splits by groups and times, duplicate rows and row numbers."""

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import vecprop as vp
from sampled import sampled
from shared_commands import FAST
from vecprop.app.training.splitting import Request, rows_of_parts, split_table


def request(path, group=None, time=None, size=0.25, **others):
    return Request(path, "y", size, group, time, **others)


def notes(path, **columns):
    """Return the notes on splitting a table."""
    return "\n".join(split_table(request(path, **columns)).notes)


@pytest.fixture
def visits(tmp_path):
    r = np.random.default_rng(0)
    patient = np.repeat(np.arange(20), 6)
    frame = pd.DataFrame(
        {"patient": patient, "x": r.normal(size=120), "z": r.normal(size=20)[patient]}
    )
    frame["day"] = pd.date_range("2023-12-01", periods=120).strftime("%d.%m.%Y")
    frame["y"] = frame["x"] + r.normal(size=20)[patient]
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "visits.csv", index=False)
    return tmp_path / "visits.csv"


def test_groups_and_times_reach_the_fit(visits):
    parts = split_table(request(visits, group="patient"))
    groups = parts.X["patient"].to_numpy()
    model = vp.TabularRegressor(n_estimators=2, max_iter=1, random_state=0).fit(
        **parts.training
    )
    assert "patient" not in model.encoder_.names
    assert model.residuals_.groups == len(np.unique(groups)) == 15
    parts = split_table(request(visits, time="day"))
    days = pd.to_datetime(parts.X["day"], dayfirst=True).to_numpy()
    assert days.max() < pd.to_datetime(parts.X_test["day"], dayfirst=True).min()
    model = vp.TabularRegressor(n_estimators=2, max_iter=1, random_state=0).fit(
        **parts.training
    )
    assert "day" in model.encoder_.names
    earlier = days < np.sort(days)[len(days) // 2]
    assert np.isnan(model.out_of_fold_[earlier]).all()
    assert not np.isnan(model.out_of_fold_[~earlier]).any()


def small(path, rows=999, **columns):
    """Return the parts of a table without options on the test."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=rows), "n": np.arange(rows)})
    frame.assign(y=frame["x"] + rng.normal(size=rows), **columns).to_csv(
        path, index=False
    )
    return partial(split_table, Request(path, "y", None)), partial(
        Request, path, "y", None
    )


def test_small_tables_are_cross_validated_by_default(tmp_path):
    split, asked = small(
        tmp_path / "small.csv", group=np.arange(999) // 100, two=np.arange(999) % 2
    )
    parts = split()
    assert (parts.folds, parts.rows, parts.has_test) == (5, 999, False)
    assert split_table(replace(asked(), size=0.2)).folds is None
    assert (
        split_table(asked(time="n")).folds
        == split_table(asked(group="group")).folds
        == 5
    )
    split, _ = small(tmp_path / "larger.csv", rows=1000)
    assert (split().folds, len(split().y_test)) == (None, 200)


def test_duplicates_within_a_table_without_a_test_are_reported(tmp_path):
    frame = pd.DataFrame({"x": np.arange(40.0), "y": np.arange(40.0) % 7})
    pd.concat([frame, frame.iloc[[3, 5]]]).to_csv(tmp_path / "twice.csv", index=False)
    for size in (None, 0.0):
        (note,) = [
            note
            for note in split_table(Request(tmp_path / "twice.csv", "y", size)).notes
            if "duplicates" in note
        ]
        assert note.startswith(
            "2 of 42 rows are exact duplicates of earlier rows, such as line 42 of"
            " twice.csv (line 5 of"
        )
    frame.to_csv(tmp_path / "once.csv", index=False)
    assert "duplicates" not in "".join(
        split_table(Request(tmp_path / "once.csv", "y", None)).notes
    )


def test_tables_that_cannot_be_cross_validated_have_a_test(tmp_path):
    _, asked = small(
        tmp_path / "few.csv", rows=40, three=np.arange(40) % 3, late=[0] * 39 + [1]
    )
    assert split_table(asked(group="three")).folds == 5
    _, asked = small(
        tmp_path / "ties.csv", rows=40, late=np.repeat([0, 1, 2], [20, 10, 10])
    )
    parts = split_table(asked(time="late"))
    assert (parts.folds, parts.has_test) == (None, True)
    frame = pd.DataFrame({"x": range(40), "y": ["a"] * 39 + ["b"]})
    frame.to_csv(tmp_path / "rare.csv", index=False)
    parts = split_table(Request(tmp_path / "rare.csv", "y", None))
    assert (parts.folds, parts.has_test) == (None, True)


@pytest.mark.parametrize(
    ("options", "how"),
    sampled(
        [
            ((), "cross-validation"),
            (("--test-size", 0.2), "test"),
            (("--test-size", 0), "out of fold"),
            (("--refit",), "test"),
            (("--config", "share.toml"), "test"),
            (("--test", "other.csv"), "test"),
        ]
    ),
)
def test_options_on_the_test_replace_the_default(
    vecprop, result_of, people, options, how
):
    people.to_csv("people.csv", index=False)
    people.iloc[::3].assign(age=lambda rows: rows.age + 1).to_csv(
        "other.csv", index=False
    )
    Path("share.toml").write_text("test_size = 0.3")
    result = result_of("train", "people.csv", "--target", "spends", *options, *FAST)
    assert result["measured"]["how"] == how
    theta = vp.load("people.npz").ensemble_.theta
    again = result_of("train", "--config", "people.toml", "--force")
    assert (again["measured"], again["scores"]) == (
        result["measured"],
        result["scores"],
    )
    np.testing.assert_array_equal(vp.load("people.npz").ensemble_.theta, theta)


def test_too_few_groups_and_empty_parts_raise_an_error(vecprop, visits):
    frame = pd.read_csv(visits)
    frame.assign(two=frame.index % 2, one=1).to_csv("few.csv", index=False)
    for column, said in (("two", "2 group"), ("one", "1 group")):
        assert (
            said
            in vecprop(
                "train", "few.csv", "--target", "y", "--group", column, *FAST, code=3
            ).stderr
        )
    for size, count in ((1e-9, 0), (20, 20), (float("inf"), 20)):
        with pytest.raises(
            vp.TableError,
            match=f"A test set of {count} out of 20 rows leaves one part empty",
        ):
            rows_of_parts(request(None, size=size), noise(20), np.zeros(20), True)


def test_too_few_groups_or_times_for_cross_validation_raise_an_error_before_training(
    vecprop, visits
):
    frame = pd.read_csv(visits)
    frame.assign(two=frame.index % 2, three=frame.index % 3).to_csv(
        "few.csv", index=False
    )
    rule = (
        "but each fold of --cv 2 must leave at least two for training and validation:"
        " leave out"
    )
    for option, column, said in (
        ("--group", "two", f"Column 'two' has 2 group(s), {rule} --group."),
        ("--group", "three", f"Column 'three' has 3 group(s), {rule} --cv."),
        ("--time", "three", f"Column 'three' has 3 time(s), {rule} --time."),
    ):
        done = vecprop(
            "train",
            "few.csv",
            "--target",
            "y",
            option,
            column,
            "--cv",
            2,
            *FAST,
            code=3,
        )
        assert done.stderr.splitlines()[-1] == said
        assert not Path("few.npz").exists()
    assert (
        "In cross-validation"
        in vecprop(
            "train", "few.csv", "--target", "y", "--group", "three", "--cv", 3, *FAST
        ).stdout
    )


def noise(rows, seed=0):
    r = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": r.normal(size=rows),
            "c": r.choice(["a", "b"], rows),
            "y": r.choice(["p", "q"], rows),
        }
    )


def test_duplicate_rows_are_noted_with_their_lines(tmp_path):
    frame = noise(60)
    twice = (
        pd.concat([frame, frame]).sample(frac=1, random_state=0).assign(row=range(120))
    )
    # no empty row
    (tmp_path / "twice.csv").write_text(
        text := twice.to_csv(index=False).replace("\n", "\n\n", 1)
    )
    note = notes(tmp_path / "twice.csv")
    found: Any = re.search(
        r"(\d+) of 30 test rows are exact duplicates.* line (\d+) of .* \(line"
        r" (\d+) of",
        note,
    )
    assert int(found[1]) > 12
    one, other = (
        text.splitlines()[int(line) - 1].rsplit(",", 1)[0]
        for line in found.groups()[1:]
    )
    assert one == other
    assert "duplicates" not in notes(tmp_path / "twice.csv", group="x")
    frame = pd.concat([frame, frame], ignore_index=True)
    frame.to_parquet(tmp_path / "twice.parquet")
    found = re.search(
        r"such as row (\d+) of .*twice.parquet \(row (\d+) of",
        notes(tmp_path / "twice.parquet"),
    )
    # counted from 0
    assert frame.loc[int(found[1])].tolist() == frame.loc[int(found[2])].tolist()
    noise(200)[["c", "y"]].to_csv(tmp_path / "few_values.csv", index=False)
    assert "duplicates" not in notes(tmp_path / "few_values.csv")


def test_a_test_file_with_the_training_rows_raises_an_error(vecprop, tmp_path):
    noise(60).to_csv("t.csv", index=False)
    done = vecprop("train", "t.csv", "--target", "y", "--test", "t.csv", *FAST, code=2)
    assert "is the training table itself" in done.stderr
    noise(60).sample(frac=1, random_state=0).to_parquet("copy.parquet")
    done = vecprop(
        "train", "t.csv", "--target", "y", "--test", "copy.parquet", *FAST, code=3
    )
    assert "has the same rows as t.csv" in done.stderr
    pd.concat([noise(60)[:9], noise(20, 1)]).to_csv("some.csv", index=False)
    done = vecprop("train", "t.csv", "--target", "y", "--test", "some.csv", *FAST)
    assert "9 of 29 test rows are exact duplicates of training rows" in done.stderr
    assert "such as line 2 of some.csv (line 2 of t.csv)" in done.stderr
    frame = pd.concat([noise(30), noise(30)])  # some targets are missing
    frame.iloc[:5, 2] = None
    frame.iloc[30:35, 2] = None
    frame.to_csv("t.csv", index=False)
    frame.iloc[5:6].to_csv("other.csv", index=False)
    note = notes(Path("t.csv"), test=Path("other.csv"))
    assert "1 of 1 test rows are exact duplicates" in note
    assert "(line 7 of t.csv)" in note


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (
            ["5 kg", "7 lb", "8 kg", "9 lb", "4 kg", "3 lb"],
            "most values contain digits, such as '5 kg': write numbers in one unit",
        ),
        (
            ["1.5", "2,5"],
            (
                "its numbers have different formats or units, such as '1.5': write all"
                " in the same format"
            ),
        ),
        (["1,5", "2,5"], ""),
        (["low", "high"], ""),
    ],
)
def test_classes_that_may_be_numbers_are_noted(tmp_path, y, said):
    noise(60).assign(y=y * (60 // len(y))).to_csv(tmp_path / "t.csv", index=False)
    found = [
        note
        for note in split_table(request(tmp_path / "t.csv")).notes
        if "the target, is read as classes" in note
    ]
    assert found == (
        [f"Column 'y', the target, is read as classes, but {said}."] if said else []
    )


@pytest.mark.long
def test_row_numbers_are_not_inputs(vecprop):
    table = noise(60).assign(id=range(500, 560))
    # rows without a target are dropped, but counted
    table["y"] = table["y"].mask(table["id"] % 20 == 7)
    table.to_csv("t.csv")
    done = vecprop("train", "t.csv", "--target", "y", "--json", *FAST)
    assert sorted(json.loads(done.stdout)["columns"]["dropped"]) == ["column 1", "id"]
    assert "Column 'id' is not used: it only counts the rows" in done.stderr
    assert "'id'" not in vecprop("predict", "t.npz", "t.csv", "-o", "p.csv").stderr
    done = vecprop(
        "train", "t.csv", "--target", "y", "--json", "--numbers", "id", "--force", *FAST
    )
    assert list(json.loads(done.stdout)["columns"]["dropped"]) == ["column 1"]
    assert "Column 'id' is not used" not in notes(Path("t.csv"), time="id")


def test_duplicates_are_found_across_number_formats_and_types(tmp_path):
    path, csv, parquet = (
        tmp_path / name for name in ("t.csv", "some.csv", "some.parquet")
    )
    frame = noise(60).assign(n=lambda frame: frame["x"].round(2).astype(object))
    frame.loc[7, "n"] = "many"
    frame.to_csv(path, index=False, sep=";", decimal=",")
    frame.assign(n=frame["x"].round(2))[20:30].to_parquet(parquet)
    frame[20:30].to_csv(csv, index=False, sep=";", decimal=",")
    assert "10 of 10 test rows are exact duplicates" in notes(path, test=csv)
    frame.drop(columns="n").to_csv(path, index=False, sep=";", decimal=",")
    note = notes(path, test=parquet)
    assert "10 of 10 test rows are exact duplicates" in note
    assert "such as row 0 of some.parquet (line 22 of t.csv)" in note


def test_the_latest_days_are_the_test_in_any_date_format(tmp_path):
    days = pd.date_range("2023-01-01", periods=100)
    frame = pd.DataFrame({"x": np.arange(100) % 7, "y": np.arange(100) / 7}).sample(
        frac=1, random_state=0
    )
    for form in ("%Y-%m-%d", "%d.%m.%Y", "%b %d, %Y"):
        frame.assign(day=days[frame.index].strftime(form)).to_csv(
            tmp_path / "time.csv", index=False
        )
        parts = split_table(Request(tmp_path / "time.csv", "y", 0.2, time="day"))
        assert sorted(parts.y_test) == sorted(frame["y"])[-20:]

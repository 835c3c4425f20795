"""Test that bad tables give one sentence and exit code 3, or a repair with a note."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conditions import full_disk, raising
from sampled import sampled
from shared_commands import FAST

ROWS = [(k / 10, "abc"[k % 3], ["yes", "no"][k // 3 % 2]) for k in range(60)]
NAMES = ["x", "c", "y"]


def write(rows, names=NAMES, separator=",", encoding="utf-8"):
    lines = [separator.join(map(str, row)) for row in [names, *rows]]
    Path("t.csv").write_text("\n".join(lines) + "\n", encoding=encoding)


def changed(column, values):
    """Return the rows with a column replaced."""
    return [
        (*row[:column], value, *row[column + 1 :])
        for row, value in zip(ROWS, values, strict=True)
    ]


REFUSED = {
    "empty": (lambda: Path("t.csv").write_text(""), "t.csv is empty"),
    "only names": (lambda: write([]), "t.csv has 3 columns and 0 rows"),
    "folder": (lambda: Path("t.csv").mkdir(), "is a folder"),
    "no text": (lambda: Path("t.csv").write_bytes(bytes(range(256))), "is not text"),
    "one row": (lambda: write(ROWS[:1]), "Only 1 row(s) have a target"),
    "one class": (lambda: write(changed(2, ["yes"] * 60)), "one class"),
    "no target": (lambda: write(changed(2, [""] * 60)), "all 60 are missing"),
    "a class for each row": (
        lambda: write(changed(2, map("k{}".format, range(60)))),
        "looks like an identifier",
    ),
    "nothing varies": (
        lambda: write([(1, "a", row[2]) for row in ROWS]),
        "No column can be used as input",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_unusable_tables_give_a_one_sentence_error(vecprop, kind):
    make, said = REFUSED[kind]
    make()
    assert said in vecprop("train", "t.csv", "--target", "y", *FAST, code=3).stderr
    assert not Path("t.npz").exists()


def test_the_nearest_name_is_suggested(vecprop):
    write(ROWS, ["x", "c", "answer"])
    Path("none").mkdir()
    for table, options, said in (
        (
            "t.csv",
            ["anwser"],
            "The table has no column 'anwser': did you mean 'answer'?\n",
        ),
        ("t.cvs", ["answer"], "There is no file t.cvs: did you mean 't.csv'?\n"),
        ("none", ["answer"], "none is a folder that contains no table files.\n"),
        (
            "t.csv",
            ["answer", "--group", "C"],
            "The table has no column 'C': did you mean 'c'?\n",
        ),
    ):
        assert vecprop("train", table, "--target", *options, code=3).stderr == said


REPAIRED = {
    "a short row": (
        lambda: write([*ROWS, (1, "a")]),
        "fewer values than the 3 columns",
    ),
    "a missing target": (
        lambda: write(changed(2, ["", *[row[2] for row in ROWS[1:]]])),
        "Rows without a target are not used: 1 of 60",
    ),
    "an infinite value": (lambda: write(changed(0, ["inf", *range(59)])), "infinite"),
    "no number": (
        lambda: write(changed(0, ["many", *range(59)])),
        "1 value(s), such as 'many' in line 2, are not",
    ),
    "a column of nothing": (
        lambda: write(changed(1, [""] * 60)),
        "all values are missing",
    ),
    "another encoding": (
        lambda: write(ROWS, ["größe", "c", "y"], encoding="latin-1"),
        "is not UTF-8",
    ),
    "a leak": (
        lambda: write([(*row, row[2].upper()) for row in ROWS * 2], [*NAMES, "copy"]),
        "Column 'copy' predicts the target almost perfectly",
    ),
}


@pytest.mark.parametrize("kind", sampled(REPAIRED, 4))
def test_repairs_are_noted(vecprop, kind):
    make, said = REPAIRED[kind]
    make()
    done = vecprop("train", "t.csv", "--target", "y", *FAST)
    assert said in done.stderr
    notes = done.stderr.splitlines()
    assert len(notes) == len(set(notes))


def test_targets_with_decimal_commas_and_targets_that_are_not_numeric(vecprop):
    write(changed(0, [f"{k},5" for k in range(60)]), separator=";")
    assert (
        '"task": "regression"'
        in vecprop(
            "train", "t.csv", "--target", "x", "--json", "-o", "m.npz", *FAST
        ).stdout
    )
    write(changed(0, ["inf", *np.arange(59) / 7]))
    assert (
        "1 value(s) that are infinite"
        in vecprop("train", "t.csv", "--target", "x", code=3).stderr
    )
    done = vecprop("train", "t.csv", "--target", "y", "--task", "regression", code=3)
    assert "60 value(s) that are not numbers" in done.stderr


def test_dates_are_a_target_only_if_they_are_declared_as_classes(vecprop):
    days = pd.date_range("2024-01-01", periods=30)
    advice = (
        "replace them by numbers, such as the days since a date, or pass --task"
        " classification if they are classes"
    )
    for kind in (
        days.strftime("%d.%m.%Y"),
        days[:2].strftime("%Y-%m-%d").repeat(15),
        days.strftime("%Y%m%d"),
    ):
        write(changed(2, [*kind, *kind]))
        done = vecprop("train", "t.csv", "--target", "y", *FAST, code=3)
        assert done.stderr == f"The target column 'y' contains dates: {advice}.\n"
        assert not Path("t.npz").exists()
    pd.DataFrame({"x": range(60), "y": [*days] * 2}).to_parquet("t.parquet")
    assert (
        "contains dates"
        in vecprop("train", "t.parquet", "--target", "y", *FAST, code=3).stderr
    )
    done = vecprop("train", "t.csv", "--target", "y", "--task", "classification", *FAST)
    assert "\nclassification of 'y' (" in done.stdout


def test_booleans_and_integers_are_classes(vecprop):
    pd.DataFrame(
        {"x": range(60), "b": [True, False] * 30, "k": [3, 1, 2] * 20}
    ).to_parquet("t.parquet")
    for target in ("b", "k"):
        assert (
            "classification"
            in vecprop(
                "train", "t.parquet", "--target", target, "--force", *FAST
            ).stdout
        )
        vecprop("predict", "t.npz", "t.parquet", "-o", "p.parquet", "--force")
        found = pd.read_parquet("p.parquet").prediction
        assert set(found) <= set(pd.read_parquet("t.parquet")[target])


def test_a_full_disk_gives_one_sentence_and_keeps_the_old_model(
    vecprop, table, at_step
):
    full = OSError(28, "No space left on device", "page.html")
    at_step("writing the page", raising(full))
    done = vecprop(
        "train", table, "--target", "buys", "--report", "page.html", *FAST, code=1
    )
    assert done.stderr.endswith("page.html: No space left on device.\n")
    assert "log loss" in done.stdout
    before = Path("people.npz").read_bytes()
    with full_disk():
        done = vecprop(
            "train", table, "--target", "buys", "--force", "--seed", 1, *FAST, code=1
        )
    assert done.stderr.endswith("people.npz: No space left on device.\n")
    assert Path("people.npz").read_bytes() == before


@pytest.mark.long
def test_ten_thousand_columns_and_a_million_rows(vecprop):
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(
        rng.normal(size=(100, 10_000)).round(2),
        columns=[f"x{k}" for k in range(10_000)],
    )
    wide.assign(y=np.where(wide.x0 > 0, "a", "b")).to_parquet("wide.parquet")
    vecprop("train", "wide.parquet", "--target", "y", *FAST)
    tall = pd.DataFrame(rng.normal(size=(1_000_000, 3)), columns=list("abc"))
    tall.assign(y=tall.a + tall.b).to_parquet("tall.parquet")
    vecprop("train", "tall.parquet", "--target", "y", *FAST)
    vecprop("predict", "tall.npz", "tall.parquet", "-o", "p.parquet")

"""Commands on folders."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conditions import current_limit
from sampled import sampled
from shared_commands import FAST


@pytest.fixture
def folder(people, tmp_path):
    (tmp_path / "people").mkdir()
    people[:120].to_csv(tmp_path / "people" / "a.csv", index=False)
    people[120:].to_csv(tmp_path / "people" / "b.csv", index=False)
    return tmp_path / "people"


def test_folders_are_evaluated_and_predicted_like_their_rows(
    vecprop, result_of, trained, folder
):
    model, whole = "buys.npz", "people.csv"
    vecprop("predict", model, "people", "-o", "parts.csv", "--keep", "age")
    vecprop("predict", model, whole, "-o", "whole.csv", "--keep", "age")
    assert pd.read_csv("parts.csv").equals(pd.read_csv("whole.csv"))
    parts, of_all = (result_of("evaluate", model, table) for table in ("people", whole))
    assert parts["scores"] == of_all["scores"]


def test_a_model_of_a_folder_equals_that_of_the_table(vecprop, folder, trained):
    vecprop("train", "people", "--target", "buys", *FAST)
    assert (folder.parent / "people.npz").exists()
    ours, theirs = (
        vecprop("predict", model, "people").stdout
        for model in ("people.npz", "buys.npz")
    )
    assert ours == theirs
    done = vecprop("predict", "buys.npz", "people", "-o", "people/out.csv", code=2)
    assert "is in the input folder people" in done.stderr
    done = vecprop("explain", "buys.npz", "people", "--row", 3, code=2)
    assert (
        done.stderr
        == "people is a folder: give the file in it that contains the rows.\n"
    )


@pytest.mark.long
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("kind", sampled(["csv", "parquet"]))
def test_the_report_of_a_folder_names_a_row_that_explain_finds(
    vecprop, folder, people, kind
):
    if kind == "parquet":
        for file, part in (("a", people[:120]), ("b", people[120:])):
            (folder / f"{file}.csv").unlink()
            part.to_parquet(folder / f"{file}.parquet", row_group_size=50)
    vecprop("train", "people", "--target", "buys", *FAST, "--report", "page.html")
    page = unescape(Path("page.html").read_text(encoding="utf-8"))
    found: Any = re.search(r"vecprop explain people.npz (\S+) --row (\d+)", page)
    vecprop("explain", "people.npz", found[1], "--row", found[2])
    named: Any = re.search(r"<td[^>]*>(?:row|line) (?:(.\.csv):)?(\d+)</td>", page)
    assert (Path(found[1]).name, found[2]) == (named[1] or "people", named[2])


def test_rows_of_a_parquet_folder_are_explained_like_a_table(vecprop, trained, people):
    Path("people").mkdir()
    people.to_parquet("people.parquet")
    for number in range(0, len(people), 70):
        people[number : number + 70].to_parquet(
            f"people/{number:03}.parquet", row_group_size=30
        )
    done = vecprop("predict", "buys.npz", "people", code=2)
    assert (
        done.stderr
        == "Give -o, a file for the predictions, such as predictions.parquet.\n"
    )
    vecprop("predict", "buys.npz", "people", "-o", "p.parquet", "--keep", "visits")
    assert pd.read_parquet("p.parquet")["visits"].tolist() == people["visits"].tolist()
    model, rows = "buys.npz", ("--row", 140, "--row", 3, "--row", 139, "--json")
    whole, parts = (
        json.loads(vecprop("explain", model, table, *rows).stdout)
        for table in ("people.parquet", "people")
    )
    assert parts == whole
    last = len(people) - 1
    done = vecprop("explain", model, "people", "--row", last + 1, code=3)
    assert (
        done.stderr
        == f"people has no row {last + 1}: --row must be between 0 and {last}.\n"
    )


MEMORY = current_limit("stream: memory of the program") + 8_000_000
LITTLE = ("--memory", MEMORY)
"""Memory for only a sample of the rows of the folder "large"."""


@pytest.fixture
def large(tmp_path, limit):
    limit("stream: least memory", 0)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=12_000),
            "z": rng.normal(size=12_000),
            "id": range(12_000),
        }
    )
    frame["group"], frame["day"], frame["w"] = (
        frame["id"] // 100,
        frame["id"],
        1 + frame["id"] % 2,
    )
    frame["y"] = np.where(frame["x"] * frame["z"] > 0, "yes", "no")
    (tmp_path / "large").mkdir()
    for part in range(4):
        frame[3000 * part : 3000 * (part + 1)].to_parquet(
            tmp_path / "large" / f"{part}.parquet", row_group_size=1000
        )
    return frame


@pytest.mark.long
def test_training_on_a_folder_larger_than_memory(vecprop, large):
    done = vecprop(
        "train",
        "large",
        "--target",
        "y",
        *LITTLE,
        "--ignore",
        "group,day,w",
        *FAST,
        "--json",
    )
    result = json.loads(done.stdout)
    rows = result["rows"]
    assert rows["train"] + rows["test"] == len(large)
    assert 300 < rows["test"] < 1500
    assert any(
        "instead of 2400, which is the maximum" in note for note in result["notes"]
    )
    assert any("rows block by block" in note for note in result["notes"])
    assert f'memory = "{MEMORY}"' in Path("large.toml").read_text()
    vecprop("predict", "large.npz", "large", "-o", "before.csv")
    vecprop("train", "--config", "large.toml", "--force")
    vecprop("predict", "large.npz", "large", "-o", "after.csv")
    assert pd.read_csv("before.csv").equals(pd.read_csv("after.csv"))


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [
        ("--group", "group", "--refit"),
        ("--time", "day", "--weight", "w"),
        ("--test-size", 0),
        ("--test", "large/0.parquet"),
        ("--test-size", 100, "--report", "page.html"),
    ],
)
def test_options_apply_to_folders_larger_than_memory(vecprop, large, options):
    result = json.loads(
        vecprop(
            "train", "large", "--target", "y", *LITTLE, *options, *FAST, "--json"
        ).stdout
    )
    if "--refit" in options:
        assert result["refit"]["rows"] == len(large)
    if "--time" in options:
        assert result["rows"]["train"] + result["rows"]["test"] == len(large)


def test_options_that_need_all_rows_in_memory_raise_an_error(vecprop, large):
    done = vecprop("train", "large", "--target", "y", "--cv", 3, *LITTLE, *FAST, code=2)
    assert "--cv needs the table in memory, but it does not fit" in done.stderr
    done = vecprop("train", "large", "--target", "y", "--memory", "much", *FAST, code=2)
    assert (
        done.stderr
        == "--memory much is not an amount of memory: give one such as 4GB.\n"
    )
    Path("large.csv").write_text("x,y\n" + "0.25,yes\n" * 300_000)
    done = vecprop("train", "large.csv", "--target", "y", *LITTLE, *FAST, code=3)
    assert (
        "convert it to Parquet, which can be read in chunks: `vecprop convert large.csv"
        " large-parquet`" in done.stderr
    )


@pytest.fixture
def measured(people, trained, tmp_path):
    """Create evaluation rows with missing values, as a Parquet folder and as a text file."""
    several = pd.concat(
        [people.assign(w=number) for number in range(1, 4)], ignore_index=True
    )
    several.loc[::7, ["buys", "spends"]] = None
    several.loc[5:250, "w"] = 0  # whole parts do not count
    (tmp_path / "parts").mkdir()
    for part in range(2):
        several[300 * part : 300 * (part + 1)].to_parquet(
            tmp_path / f"parts/{part}.parquet", row_group_size=57
        )
    several.to_csv(tmp_path / "whole.csv", index=False)
    return several


@pytest.mark.parametrize(
    "target", ["buys", pytest.param("spends", marks=pytest.mark.long)]
)
def test_folders_are_evaluated_in_parts(
    vecprop, trained, measured, tables_only_in_parts, target
):
    whole = vecprop("evaluate", f"{target}.npz", "whole.csv", "--weight", "w", "--json")
    tables_only_in_parts()
    parts = vecprop("evaluate", f"{target}.npz", "parts", "--weight", "w", "--json")
    assert json.loads(parts.stdout) == json.loads(whole.stdout)
    assert json.loads(parts.stdout)["rows"] == int(
        (measured[target].notna() & (measured["w"] > 0)).sum()
    )


def test_notes_on_parts_count_all_rows(vecprop, trained, measured):
    bad = measured.assign(w=measured["w"].mask(measured.index > 500, -1.0))
    bad.to_parquet("parts/1.parquet", row_group_size=100)
    (Path("parts") / "0.parquet").unlink()
    model, known = "buys.npz", measured["buys"].notna()
    done = vecprop("evaluate", model, "parts", "--weight", "w", code=3)
    assert (
        f"has {int(known[501:].sum())} invalid value(s), such as -1 in row 501"
        in done.stderr
    )
    assert (
        "The table has no column 'age2'"
        in vecprop("evaluate", model, "parts", "--target", "age2", code=3).stderr
    )
    measured.assign(buys=None).to_parquet("parts/1.parquet", row_group_size=100)
    assert (
        "has no values: all 600 are missing"
        in vecprop("evaluate", model, "parts", code=3).stderr
    )


def test_text_larger_than_memory_is_not_evaluated(vecprop, trained, limit):
    limit("available memory of streams", lambda: 1000)
    done = vecprop("evaluate", "buys.npz", "people.csv", code=3)
    assert "people-parquet`." in done.stderr

"""Commands on folders."""

import json

import pandas as pd
import pytest

from commands import FAST


@pytest.fixture
def folder(people, tmp_path):
    (tmp_path / "people").mkdir()
    people[:120].to_csv(tmp_path / "people" / "a.csv", index=False)
    people[120:].to_csv(tmp_path / "people" / "b.csv", index=False)
    return tmp_path / "people"


def test_a_folder_is_evaluated_and_predicted_as_its_rows_are(vecprop, trained, folder):
    model, whole = trained / "buys.npz", trained / "people.csv"
    assert vecprop("predict", model, "people", "-o", "parts.csv", "--keep", "age").exit_code == 0
    assert vecprop("predict", model, whole, "-o", "whole.csv", "--keep", "age").exit_code == 0
    assert pd.read_csv("parts.csv").equals(pd.read_csv("whole.csv"))
    parts, of_all = (json.loads(vecprop("evaluate", model, table, "--json").stdout) for table in ("people", whole))
    assert parts["scores"] == of_all["scores"]


def test_parquet_folders_keep_types(vecprop, trained, people, tmp_path):
    (tmp_path / "people").mkdir()
    people[:120].to_parquet("people/a.parquet")
    people[120:].astype({"visits": float}).to_parquet("people/b.parquet")
    done = vecprop("predict", trained / "buys.npz", "people")
    assert (done.exit_code, done.stderr) == (
        2,
        "Give -o, the name of a file for the predictions, such as predictions.parquet.\n",
    )
    assert vecprop("predict", trained / "buys.npz", "people", "-o", "p.parquet", "--keep", "visits").exit_code == 0
    assert pd.read_parquet("p.parquet")["visits"].tolist() == people["visits"].tolist()


def test_a_model_of_a_folder_is_that_of_the_table(vecprop, folder, trained):
    assert vecprop("train", "people", "--target", "buys", *FAST).exit_code == 0
    assert (folder.parent / "people.npz").exists()
    ours, theirs = (vecprop("predict", model, "people").stdout for model in ("people.npz", trained / "buys.npz"))
    assert ours == theirs


def test_nothing_is_written_into_a_folder_that_is_read(vecprop, folder, trained):
    done = vecprop("predict", trained / "buys.npz", "people", "-o", "people/out.csv")
    assert done.exit_code == 2
    assert "is in the folder people, which is read" in done.stderr
    done = vecprop("explain", trained / "buys.npz", "people", "--row", 3)
    assert (done.exit_code, done.stderr) == (2, "people is a folder: name the file in it that has the rows.\n")

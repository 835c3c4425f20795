"""``vecprop train`` with several targets."""

import json

import numpy as np
import pandas as pd
import pytest

import vecprop as vp
from shared_commands import FAST


def test_several_numbers_are_trained_and_scored_out_of_fold(vecprop, table):
    done = vecprop("train", table, "--target", "age,spends", *FAST, "-o", "m.npz")
    heads = "on 200 rows (95 % interval)", "age", "spends"
    assert all(head in done.stdout for head in heads)
    assert "age: Out of fold, without a test" in done.stdout
    model = vp.load("m.npz")
    assert model.target == ["age", "spends"]
    assert model.predict(table).shape == (200, 2)
    assert "rmse of spends" in vecprop("info", "m.npz").stdout
    again = vecprop("train", "--config", "m.toml", "--force", "--json")
    assert json.loads(again.stdout)["target"] == ["age", "spends"]
    np.testing.assert_array_equal(vp.load("m.npz").predict(table), model.predict(table))


def test_labels_are_tested_and_refitted(vecprop, result_of, people):
    often = np.where(people["visits"] > 3, "often", "seldom")
    labels = people.assign(often=often).drop(columns="visits")
    labels.loc[3, "often"] = None
    labels.to_csv("labels.csv", index=False)
    options = ["--target", "buys,often", "--test-size", 0.25, "--refit", *FAST]
    result = result_of("train", "labels.csv", *options)
    assert result["rows"] == {"train": 149, "test": 50}
    assert result["refit"]["rows"] == 199
    assert list(result["targets"]) == ["buys", "often"]
    assert result["targets"]["buys"]["scores"]["vecprop"]["accuracy"]["value"] > 0.5
    said = "Rows without one of the targets are not used: 1 of 200."
    assert said in result["notes"]


def test_a_test_file_and_weights(result_of, people):
    table = people.assign(w=np.arange(200) % 3)
    table[:150].to_csv("train.csv", index=False)
    table[150:].to_csv("test.csv", index=False)
    options = ["--test", "test.csv", "--weight", "w", *FAST]
    result = result_of("train", "train.csv", "--target", "age,spends", *options)
    used = int((table["w"] > 0)[:150].sum())
    tested = int((table["w"] > 0)[150:].sum())
    assert result["rows"] == {"train": used, "test": tested}


@pytest.mark.long
def test_the_report_has_sections_for_each_target(vecprop, table):
    target = ("--target", "age,spends")
    vecprop("train", table, *target, *FAST, "--report", "r.html")
    with open("r.html", encoding="utf-8") as file:
        page = file.read()
    assert "<h2>Metrics: age</h2>" in page
    assert "<h2>Columns: spends</h2>" in page
    assert "vecprop train --config" in page


@pytest.mark.parametrize(
    ("target", "options", "code", "message"),
    [
        ("age,none", (), 3, "no column 'none'"),
        ("age,buys", (), 2, "--target names numbers and classes: give --task"),
        ("age,spends", ("--cv", 3), 2, "--cv needs one target"),
        ("buys,town", (), 3, "'town' has 3 classes, but each of several targets"),
    ],
)
def test_wrong_targets_are_one_sentence(vecprop, table, target, options, code, message):
    done = vecprop("train", table, "--target", target, *FAST, *options, code=code)
    assert message in done.stderr


def test_a_name_with_a_comma_is_quoted(vecprop, people):
    table = people.rename(columns={"age": "age,years"})
    table.to_csv("c.csv", index=False)
    done = vecprop("train", "c.csv", "--target", "age,years", *FAST, code=2)
    assert "quote the name of the target" in done.stderr
    vecprop("train", "c.csv", "--target", '"age,years"', *FAST, "-o", "m.npz")
    assert vp.load("m.npz").target == "age,years"
    assert pd.read_csv("c.csv").shape == (200, 5)

"""Test that commands, estimators and streamed tables handle sample weights identically."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vecprop import TableError, TabularClassifier

QUICK: dict[str, Any] = {"max_iter": 2, "n_estimators": 2, "random_state": 0}
COMMAND = [
    "--target",
    "y",
    "--max-iter",
    "2",
    "--n-estimators",
    "2",
    "--force",
    "-o",
    "m.npz",
]
ROWS = 200


@pytest.fixture
def weighed():
    rng = np.random.default_rng(0)
    a = rng.normal(size=ROWS)
    return pd.DataFrame(
        {
            "a": a,
            "b": rng.normal(size=ROWS),
            "w": np.ones(ROWS),
            "y": np.where(a > 0, "yes", "no"),
        }
    )


def left_out(notes):
    return [note for note in notes if "are not used: " in note]


@pytest.mark.parametrize(("wrong", "place"), [(1e35, 0), (-1, 40), ("many", 40)])
def test_a_wrong_weight_is_named_by_its_line(vecprop, weighed, wrong, place):
    weight = weighed["w"].astype(object)
    weight[place] = wrong
    weight[60:70] = 0
    weighed.assign(w=weight, y=weighed["y"].where(weighed.index < 190)).to_csv(
        "w.csv", index=False
    )
    said = (
        f"Column 'w', the weights, has 1 invalid value(s), such as '{wrong}' in line"
        f" {place + 2}: "
    )
    assert vecprop(
        "train", "w.csv", "--weight", "w", *COMMAND, code=3
    ).stderr.startswith(said)
    with pytest.raises(TableError) as raised:
        TabularClassifier("y", **QUICK).fit("w.csv", sample_weight="w")
    assert str(raised.value).startswith(said)


def test_a_missing_weight_or_time_is_not_shown_as_nan(vecprop, weighed):
    weighed.assign(w=weighed["w"].where(weighed.index > 0)).to_csv("w.csv", index=False)
    done = vecprop("train", "w.csv", "--weight", "w", *COMMAND, code=3)
    assert (
        "Column 'w', the weights, has 1 invalid value(s), such as a missing value in"
        " line 2: " in done.stderr
    )
    with pytest.raises(
        TableError,
        match=r"has 1 value.* that are not times, such as a missing value in line 2: ",
    ):
        TabularClassifier("y", **QUICK).fit("w.csv", time="w")


def test_all_zero_and_too_large_test_weights_raise_an_error(vecprop, weighed):
    weighed.assign(w=0).to_csv("w.csv", index=False)
    assert (
        "is zero in all rows"
        in vecprop("train", "w.csv", "--weight", "w", *COMMAND, code=3).stderr
    )
    weighed.to_csv("w.csv", index=False)
    weighed[:50].assign(a=lambda own: own["a"] + 1, w=[1.0] * 49 + [1e31]).to_csv(
        "test.csv", index=False
    )
    done = vecprop(
        "train", "w.csv", "--test", "test.csv", "--weight", "w", *COMMAND, code=3
    )
    assert "'1e+31' in line 51: weights must be numbers from 0 to 1e+30" in done.stderr


def test_rows_left_out_are_reported_alike_by_estimators_streams_and_commands(
    vecprop, result_of, weighed, tmp_path, little, tables_only_in_parts
):
    weighed.loc[:9, "w"] = 0
    weighed.loc[10:29, "w"] = 1e-40
    weighed.loc[30:34, "y"] = None
    said = [
        f"Rows without a target are not used: 5 of {ROWS}.",
        f"Rows with the weight 0 are not used: 10 of {ROWS}.",
        (
            "Rows with a weight below 1e-30, which is treated as 0, are not used: 20"
            f" of {ROWS}."
        ),
    ]
    weighed.to_csv("w.csv", index=False)
    done = vecprop("train", "w.csv", "--weight", "w", "--json", *COMMAND)
    result = json.loads(done.stdout)
    assert left_out(result["notes"]) == said
    assert sum(result["rows"].values()) == ROWS - 35
    evaluated = result_of("evaluate", "m.npz", "w.csv", "--weight", "w")
    assert (evaluated["rows"], left_out(evaluated["notes"])) == (ROWS - 35, said)
    for own in ({"sample_weight": "w"}, {"sample_weight": weighed["w"].to_numpy()}):
        assert (
            left_out(TabularClassifier("y", **QUICK).fit(weighed, **own).notes_) == said
        )
    weighed.to_parquet(tmp_path / "w.parquet", row_group_size=50)
    tables_only_in_parts()
    streamed = TabularClassifier("y", **QUICK).fit(
        tmp_path / "w.parquet", sample_weight="w", memory=little + 300_000
    )
    assert left_out(streamed.notes_) == said


def test_explained_tables_need_no_column_of_weights(vecprop, weighed):
    weighed.to_csv("w.csv", index=False)
    weighed.drop(columns="w").to_csv("new.csv", index=False)
    vecprop("train", "w.csv", "--weight", "w", *COMMAND)
    assert (
        "Rise of the log loss on 200 rows"
        in vecprop("explain", "m.npz", "new.csv").stdout
    )

"""Test the options of ``vecprop train`` for column kinds, and the times and classes that depend on them."""

import json
import tomllib

import numpy as np
import pandas as pd
import pytest

import vecprop as vp
from shared_commands import FAST

N = 60
FRAME = pd.DataFrame(
    {
        "zip": np.arange(N) % 5 + 1001,
        "price": ["1,234", "5,678", "2,000"] * 20,
        "sold": [f"0{k % 7 + 1}/0{k % 9 + 1}/2024" for k in range(N)],
        "a, b": np.arange(N) % 4,
        "y": np.arange(N) % 30,
    }
)


@pytest.fixture
def path(tmp_path):
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


def readings(model):
    return vp.load(model).encoder_.readings


def test_options_set_column_kinds_and_are_saved_for_the_next_run(vecprop, path):
    said = [
        "--codes",
        'zip,"a, b"',
        "--decimal",
        ",",
        "--date-format",
        "day first",
        "--numbers",
        "price",
    ]
    assert ": set " not in vecprop("train", path, "--target", "y", *said, *FAST).stderr
    dates = "dates, day/month/year"
    expected = {
        "zip": "codes",
        "price": "numbers, decimal separator ','",
        "sold": dates,
        "a, b": "codes",
    }
    assert readings("t.npz") == expected
    written = tomllib.loads((path.parent / "t.toml").read_text())
    assert written["columns"] == {"zip": "code", "a, b": "code", "price": "number"}
    assert (written["decimal"], written["date_format"]) == (",", "day first")
    before = vp.load("t.npz").predict(path)
    vecprop("train", "--config", "t.toml", "--force")
    assert readings("t.npz") == expected
    np.testing.assert_array_equal(vp.load("t.npz").predict(path), before)


def test_a_file_sets_column_kinds_and_options_take_precedence(vecprop, path):
    (path.parent / "c.toml").write_text(
        '[columns]\nzip = "category"\nprice = "number ,"\nsold = "ignore"\n'
    )
    vecprop(
        "train", path, "--target", "y", "--columns", "c.toml", "--codes", "zip", *FAST
    )
    assert readings("t.npz") == {
        "zip": "codes",
        "price": "numbers, decimal separator ','",
        "a, b": "numbers",
    }


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        (["--codes", "zip", "--dates", "zip"], 2, "cannot be both a code and a date"),
        (
            ["--codes", "zap"],
            3,
            "no column 'zap', which is set to 'code': did you mean 'zip'?",
        ),
        (["--decimal", ";"], 2, "';' is not a decimal separator: use '.' or ','."),
        (["--date-format", "soon"], 2, "'soon' is not a date format"),
        (["--columns", "nowhere.toml"], 2, "There is no file nowhere.toml in "),
        (["--columns", "t.csv"], 2, "t.csv is not TOML"),
    ],
)
def test_contradictory_column_options_give_one_sentence(
    vecprop, path, said, code, message
):
    assert (
        message
        in vecprop("train", path, "--target", "y", *said, *FAST, code=code).stderr
    )
    assert not (path.parent / "t.npz").exists()


def test_named_missing_values_are_classes(vecprop, result_of, tmp_path):
    frame = pd.DataFrame(
        {"x": np.arange(N) % 7, "y": np.array(["NA", "None", "mild"])[np.arange(N) % 3]}
    )
    frame.to_csv("c.csv", index=False)
    done = vecprop("train", "c.csv", "--target", "y", "--json", *FAST)
    assert json.loads(done.stdout)["classes"] == ["None", "mild"]
    assert (
        "are read as missing: 'NA' (20); list classes among them in --classes."
        in done.stderr
    )
    done = vecprop(
        "train", "c.csv", "--target", "y", "--json", "--classes", "NA", "--force", *FAST
    )
    assert json.loads(done.stdout)["classes"] == ["NA", "None", "mild"]
    assert result_of("evaluate", "c.npz", "c.csv")["rows"] == N


def test_an_evaluated_target_is_parsed_as_in_training(vecprop, result_of, tmp_path):
    target = [f"{k % 9},{k % 10}25" for k in range(N)]
    pd.DataFrame({"x": np.arange(N) % 9, "y": ["1,5", *target[1:]]}).to_csv(
        "t.csv", index=False, sep=";"
    )
    vp.save(vp.TabularRegressor("y", n_estimators=2, max_iter=1).fit("t.csv"), "t.npz")
    pd.DataFrame({"x": np.arange(3), "y": target[1:4]}).to_csv(
        "new.csv", index=False, sep=";"
    )
    scores = result_of("evaluate", "t.npz", "new.csv")["scores"]
    assert scores["rmse"]["value"] < 10
    pd.DataFrame({"x": [1], "y": ["1.5"]}).to_csv("other.csv", index=False, sep=";")
    done = vecprop("evaluate", "t.npz", "other.csv", code=3)
    assert (
        "1 value(s) that are not numbers, decimal separator ',', such as '1.5' in"
        " line 2" in done.stderr
    )

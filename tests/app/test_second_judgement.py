"""Judge models of `vecprop train` also by later rows or new groups, if rows may depend on each other."""

import json
import re
import signal
from functools import partial

import numpy as np
import pandas as pd
import pytest

from conditions import Killed, kill_at
from related_tables import HARMLESS, PANELS, tables, target_of

QUICK = [
    "--n-estimators",
    2,
    "--max-iter",
    20,
    "--batch-size",
    32,
    "--hidden-layer-sizes",
    16,
    "--force",
]
QUICK += ["--test-size", 0.2]


@pytest.fixture
def visits(tmp_path):
    """Write visits of patients whose blood pressure depends on the patient."""
    r = np.random.default_rng(0)
    patient = r.permutation(np.repeat(np.arange(12), 30))
    frame = pd.DataFrame(
        {
            "patient": [f"P{number}" for number in patient],
            "dose": r.normal(size=360).round(2),
        }
    )
    frame["pressure"] = (
        10 * r.normal(size=12)[patient] + frame["dose"] + 0.1 * r.normal(size=360)
    ).round(2)
    frame.to_csv(tmp_path / "visits.csv", index=False)
    return frame


@pytest.fixture
def sales(tmp_path):
    """Write independent sales with dates and with the number of a seller."""
    r = np.random.default_rng(1)
    frame = pd.DataFrame(r.normal(size=(300, 2)).round(2), columns=["a", "b"])
    frame["day"] = pd.date_range("2024-01-01", periods=300).strftime("%d.%m.%Y")
    frame["amount"] = (3 * frame["a"] + r.normal(size=300)).round(2)
    frame.to_csv(tmp_path / "sales.csv", index=False)
    return frame


@pytest.fixture
def tides(tmp_path):
    """Write levels that change every fifty days."""
    r = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "day": pd.date_range("2023-01-01", periods=300),
            "x": r.normal(size=300).round(2),
        }
    )
    frame["level"] = np.repeat([0, 3, 1, 4, 8, -5], 50) + frame["x"]
    frame.to_csv(tmp_path / "tides.csv", index=False)
    return frame


@pytest.mark.usefixtures("visits")
def test_a_model_that_is_worse_on_new_groups_has_no_positive_verdict(
    vecprop, result_of
):
    result = result_of("train", "visits.csv", "--target", "pressure", *QUICK)
    verdict = result["verdict"]
    (judgement,) = result["judgements"]
    assert verdict["level"] == "worse on new groups"
    assert (judgement["rows"], judgement["column"]) == ("new groups", "patient")
    assert judgement["is_worse"]
    assert verdict["ours"] == judgement["scores"]["vecprop"]["rmse"]
    assert (
        result["scores"]["vecprop"]["r2"]["value"]
        > 0.8
        > 0.2
        > judgement["scores"]["vecprop"]["r2"]["value"]
    )
    assert "Pass --group patient" in verdict["says"]
    assert [
        worry for worry in verdict["worries"] if worry.startswith("On random rows: ")
    ]
    lines = vecprop(
        "train", "visits.csv", "--target", "pressure", *QUICK, "--report", "page.html"
    ).stdout.splitlines()
    assert re.match(
        r"Worse on new groups: the RMSE is [\d.]+ \([\d.]+ on random rows\) and the"
        r" R² is ",
        lines[0],
    )
    with open("page.html") as file:
        page = file.read()
    assert (
        '<div class="verdict worse-on-new-groups"><p class="level">Worse on new'
        " groups</p>" in page
    )
    assert "<h3>Later rows and new groups</h3>" in page


@pytest.mark.usefixtures("tides")
def test_a_model_that_is_worse_on_later_rows_has_no_positive_verdict(result_of):
    result = result_of("train", "tides.csv", "--target", "level", *QUICK)
    assert result["verdict"]["level"] == "worse on later rows"
    assert "Pass --time day" in result["verdict"]["says"]


@pytest.mark.usefixtures("sales")
def test_a_model_that_is_about_the_same_on_later_rows_keeps_its_verdict(result_of):
    result = result_of("train", "sales.csv", "--target", "amount", *QUICK)
    (judgement,) = result["judgements"]
    assert not judgement["is_worse"]
    assert not result["verdict"]["level"].startswith("worse on")
    assert [
        note
        for note in result["notes"]
        if note.startswith("About the same on later rows: the RMSE is ")
    ]


@pytest.mark.usefixtures("visits")
def test_given_groups_or_tests_and_tables_without_relations_have_no_second_judgement(
    result_of, visits
):
    command = ["train", "visits.csv", "--target", "pressure", *QUICK]
    visits.assign(dose=visits["dose"] + 1).to_csv("other.csv", index=False)
    for options in (
        ["--group", "patient"],
        ["--time", "dose"],
        ["--test", "other.csv"],
    ):
        assert result_of(*command, *options)["judgements"] == []
    visits.drop(columns="patient").to_csv("visits.csv", index=False)
    assert result_of(*command)["judgements"] == []


def test_repeated_measurements_are_groups_and_grids_are_not(result_of):
    r = np.random.default_rng(3)
    x = np.linspace(0, 10, 400).round(3)  # neighbors differ by 0.025 or 0.026
    frame = pd.DataFrame({"x": x, "y": np.sin(x) * x + 0.3 * r.normal(size=400)})
    frame.to_csv("grid.csv", index=False)
    assert result_of("train", "grid.csv", "--target", "y", *QUICK)["judgements"] == []
    samples = np.repeat(r.normal(size=(80, 2)), 5, axis=0)
    frame = pd.DataFrame(samples + 1e-4 * r.normal(size=(400, 2)), columns=["a", "b"])
    frame["y"] = np.repeat(r.normal(size=80), 5) + 0.1 * r.normal(size=400)
    frame.to_csv("samples.csv", index=False)
    (judgement,) = result_of("train", "samples.csv", "--target", "y", *QUICK)[
        "judgements"
    ]
    assert (judgement["rows"], judgement["column"]) == (
        "new groups",
        "rows are nearly equal",
    )


@pytest.mark.long
@pytest.mark.usefixtures("tides")
def test_a_command_killed_while_it_judges_resumes(vecprop, monkeypatch):
    command = ["train", "tides.csv", "--target", "level", *QUICK, "--json", "--quiet"]
    whole = json.loads(vecprop(*command).stdout)
    for kill in (4, 5):  # while saving networks for later rows
        with monkeypatch.context() as patch:
            kill_at(patch, kill)
            with pytest.raises(Killed):
                vecprop(*command, "--checkpoint", "run")
    resumed = json.loads(vecprop(*command, "--checkpoint", "run").stdout)
    for key in ("scores", "judgements", "verdict", "notes"):
        assert resumed[key] == whole[key]


@pytest.mark.usefixtures("tides")
def test_ctrl_c_while_judging_saves_the_model_without_metrics(vecprop, at_step):
    at_step("judging", partial(signal.raise_signal, signal.SIGINT))
    stopped = vecprop("train", "tides.csv", "--target", "level", *QUICK, code=130)
    assert "the trained model is saved in tides.npz, without metrics" in stopped.stderr
    assert "better" not in stopped.stdout


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["stocks_by_month", "patients", "weather_by_day", "customers_with_dates"]
)
def test_no_verdict_on_related_rows_is_positive(name, result_of):
    assert name in PANELS
    ((_, _, table),) = tables({name}, 1)
    table.to_csv("table.csv", index=False)
    result = result_of("train", "table.csv", "--target", target_of(table))
    assert result["verdict"]["level"].startswith("worse on ")


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        "random_dates",
        "customers_without_effect",
        "season_by_date",
        "cities_with_effect",
    ],
)
def test_verdicts_on_independent_rows_stay_positive(name, result_of):
    assert name in HARMLESS
    ((_, _, table),) = tables({name}, 1)
    table.to_csv("table.csv", index=False)
    result = result_of("train", "table.csv", "--target", target_of(table))
    assert result["verdict"]["level"] == "better"

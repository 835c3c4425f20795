"""Saved models: evaluated without a test set, refitted, with thresholds, and after Ctrl-C."""

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, root_mean_squared_error

import vecprop as vp
from conditions import raising
from sampled import sampled
from shared_commands import FAST
from vecprop import TableError
from vecprop.app.training.splitting import Request, split_table
from vecprop.tables.encoding.folds import splits
from vecprop.tables.evaluation.measuring import cross_validated, measured_unseen

FEW: dict[str, Any] = {
    "n_estimators": 2,
    "max_iter": 1,
    "hidden_layer_sizes": 4,
    "random_state": 0,
}


def test_without_a_test_set_scores_are_out_of_fold(vecprop, result_of, table, people):
    result = result_of("train", table, "--target", "spends", "--test-size", 0, *FAST)
    assert result["rows"] == {"train": 200, "test": 0}
    assert result["measured"] == {"how": "out of fold", "rows": 200}
    assert "Without a test set" in result["verdict"]["worries"][0]
    said = (
        "There was no test: each row was predicted without training on it (out of"
        " fold)."
    )
    assert result_of("info", "people.npz")["note"] == said
    model = vp.TabularRegressor(
        "spends", n_estimators=2, max_iter=2, hidden_layer_sizes=4, random_state=0
    ).fit(people)
    expected = root_mean_squared_error(people["spends"], model.out_of_fold_)
    assert result["scores"]["vecprop"]["rmse"]["value"] == pytest.approx(
        expected, rel=1e-4
    )
    assert result["scores"]["naive"]["r2"]["value"] == pytest.approx(0, abs=0.02)
    assert tomllib.loads(Path("people.toml").read_text())["test_size"] == 0


def visits(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "patient": np.repeat(np.arange(20), 6),
            "x": rng.normal(size=120),
            "day": rng.permutation(120),
        }
    )
    frame.assign(y=frame["x"] + rng.normal(size=120) / 2).to_csv(
        tmp_path / "visits.csv", index=False
    )
    return tmp_path / "visits.csv"


@pytest.mark.parametrize(
    ("group", "time"), sampled([("patient", None), (None, None), (None, "day")])
)
def test_cross_validation_predicts_unseen_folds(tmp_path, group, time):
    parts = split_table(Request(visits(tmp_path), "y", 0, group, time))
    model = vp.TabularRegressor("y", **FEW).fit(**parts.training)
    found = cross_validated(model, parts, 3, seed=0, progress=None)
    assert len(found.folds) == 3
    assert len(found.truth) == (60 if time else 120)
    fold = parts.dependence.folds(parts.y, 3, seed=0)
    if group:
        assert len(set(zip(parts.X["patient"], fold, strict=True))) == 20
    rows, _ = splits(fold, is_time=time is not None)[1]
    alone = vp.TabularRegressor("y", **FEW).fit(**parts.split(rows, rows[:0]).training)
    np.testing.assert_array_equal(
        found.predicted[found.folds[1]], alone.predict(parts.X[fold == 1])
    )
    last, _ = splits(fold, is_time=time is not None)[2]
    np.testing.assert_allclose(
        found.predictions["naive"][found.folds[2]], parts.y[last].mean()
    )
    scores = found.metrics_of_folds
    rmse = root_mean_squared_error(
        parts.y[fold == 1], alone.predict(parts.X[fold == 1])
    )
    assert scores["vecprop"]["rmse"][1] == pytest.approx(rmse)
    out_of_fold = measured_unseen(model, parts, seed=0)
    assert list(out_of_fold.predictions) == list(found.predictions)
    np.testing.assert_array_equal(
        out_of_fold.predicted, model.out_of_fold_[~np.isnan(model.out_of_fold_)]
    )


def test_more_folds_than_rows_raise_an_error(tmp_path):
    table = visits(tmp_path)
    with pytest.raises(
        TableError, match="--cv has 121 folds, more than the 120 rows: lower it"
    ):
        split_table(Request(table, "y", 0, folds=121))
    frame = pd.DataFrame({"x": range(30), "y": ["a"] * 29 + ["b"]})
    frame.to_csv(tmp_path / "rare.csv", index=False)
    parts = split_table(Request(tmp_path / "rare.csv", "y", 0))
    with pytest.raises(
        TableError,
        match=r"In a fold of the cross-validation: .* only one class, .* Lower --cv",
    ):
        cross_validated(
            vp.TabularClassifier("y", **FEW).fit(**parts.training),
            parts,
            3,
            seed=0,
            progress=None,
        )


def test_rows_of_weight_0_are_not_scored(tmp_path):
    frame = pd.DataFrame({"x": range(30), "y": list("abc") * 10, "w": [1, 1, 0] * 10})
    frame.to_csv(tmp_path / "table.csv", index=False)
    frame.assign(x=99, w=[1, 0, 0] * 10).to_csv(tmp_path / "test.csv", index=False)
    request = Request(tmp_path / "table.csv", "y", 0.2, weight="w")
    parts = split_table(request)
    assert (sorted({*parts.y, *parts.y_test}), len(parts.y) + len(parts.y_test)) == (
        ["a", "b"],
        20,
    )
    assert parts.notes[0] == "Rows with the weight 0 are not used: 10 of 30."
    parts = split_table(replace(request, test=tmp_path / "test.csv"))
    assert (len(parts.y), len(parts.y_test), len(parts.X_test)) == (20, 10, 10)


def test_cross_validation_chooses_thresholds_on_other_rows(tmp_path, people):
    people[["age", "buys"]][:60].to_csv(tmp_path / "people.csv", index=False)
    parts = split_table(Request(tmp_path / "people.csv", "buys", 0))
    model = vp.TabularClassifier("buys", **FEW, threshold="f1").fit(**parts.training)
    found = cross_validated(model, parts, 2, seed=0, progress=None)
    thresholds: Any = found.thresholds
    fold = parts.dependence.folds(parts.y, 2, seed=0)
    training = parts.split(
        np.flatnonzero(fold != 1), np.flatnonzero(fold == 1)
    ).training
    alone = vp.TabularClassifier("buys", **FEW, threshold="f1").fit(**training)
    assert model.threshold_ != alone.threshold_
    assert set(thresholds[fold == 1]) == {alone.threshold_}
    np.testing.assert_array_equal(found.decided, found.predicted[:, 1] > thresholds)
    f1 = f1_score(found.truth[fold == 1], found.decided[fold == 1])
    assert found.metrics_of_folds["vecprop"]["f1"][1] == pytest.approx(f1)


def test_classes_missing_from_a_fold_get_probability_0(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=60),
            "y": np.where(np.arange(60) == 7, "c", rng.choice(["a", "b"], 60)),
        }
    )
    frame.to_csv(tmp_path / "rare.csv", index=False)
    parts = split_table(Request(tmp_path / "rare.csv", "y", 0))
    model = vp.TabularClassifier("y", **FEW, class_weight="balanced").fit(
        **parts.training
    )
    found = cross_validated(model, parts, 2, seed=0, progress=None)
    assert found.thresholds is None
    for P in found.predictions.values():
        np.testing.assert_allclose(P.sum(axis=1), 1)
        assert P[7, 2] == 0


@pytest.mark.long
def test_cross_validation_and_missing_test_sets_are_reported(vecprop, result_of, table):
    done = vecprop(
        "train",
        table,
        "--target",
        "buys",
        "--test-size",
        0,
        *FAST,
        "-o",
        "untested.npz",
    )
    for said in (
        "200 to train, none to test",
        "out of fold, without a test set (95 % interval)",
        "Without a test set",
    ):
        assert said in done.stdout
    done = vecprop("train", table, "--target", "buys", "--cv", 3, *FAST)
    assert "in cross-validation (95 % interval)" in done.stdout
    assert re.search(
        r"\n\nmean ± std over 3 folds  vecprop .*\nlog loss +\S+ ± \S+ ", done.stdout
    )
    result = result_of("train", "--config", "people.toml", "--force")
    assert result["measured"] == {"how": "cross-validation", "rows": 200}
    losses = result["folds"]["vecprop"]["log_loss"]
    assert len(losses) == 3
    assert np.mean(losses) == pytest.approx(
        result["scores"]["vecprop"]["log_loss"]["value"], rel=0.02
    )


@pytest.mark.long
def test_refit_evaluates_on_the_test_and_saves_a_model_of_all_rows(
    vecprop, result_of, table, people
):
    options = [
        "train",
        table,
        "--target",
        "buys",
        "--threshold",
        "recall:0.8",
        "--json",
        *FAST,
    ]
    first = result_of(*options, "--test-size", 0.2)
    model = vp.load("people.npz")
    result = result_of(*options, "--refit", "--force")
    again = vp.load("people.npz")
    assert result["scores"]["vecprop"] == first["scores"]["vecprop"]
    assert result["refit"]["rows"] == 200
    assert (again.threshold_, again.temperature_) == (
        model.threshold_,
        model.temperature_,
    )
    assert again.profiles_[0].rows == 200
    assert any("refitted on 200 rows" in note for note in result["notes"])
    info = vecprop("info", "people.npz").stdout
    assert "refitted on 200 rows" in info
    assert tomllib.loads(Path("people.toml").read_text())["refit"] is True
    thetas = again.ensemble_.theta
    vecprop("train", "--config", "people.toml", "--force")
    np.testing.assert_array_equal(vp.load("people.npz").ensemble_.theta, thetas)


@pytest.mark.long
def test_a_threshold_decides_in_all_commands(vecprop, result_of, table, people):
    options = ["--threshold", "0.2", "--class-weight", "balanced", "--json", *FAST]
    result = result_of("train", table, "--target", "buys", *options)
    assert (result["positive"], result["threshold"]) == ("yes", 0.2)
    model = vp.load("people.npz")
    assert (model.threshold_, model.class_weight) == (0.2, "balanced")
    written = tomllib.loads(Path("people.toml").read_text())
    assert (written["threshold"], written["class_weight"]) == (0.2, "balanced")
    vecprop("predict", "people.npz", table, "-o", "p.csv")
    found = pd.read_csv("p.csv")
    np.testing.assert_array_equal(
        found["prediction"] == "yes", found["probability of yes"] > 0.2
    )
    evaluated = result_of("evaluate", "people.npz", table)["scores"]
    assert evaluated["f1"]["value"] == pytest.approx(
        f1_score(people["buys"] == "yes", model.predict(people) == "yes")
    )
    assert result_of("info", "people.npz")["threshold"] == 0.2
    done = vecprop(
        "train",
        table,
        "--target",
        "spends",
        "--threshold",
        "f1",
        "-o",
        "x.npz",
        *FAST,
        code=2,
    )
    assert "has no option threshold" in done.stderr


@pytest.mark.parametrize(
    ("error", "report"), sampled([(KeyboardInterrupt, False), (MemoryError, True)])
)
def test_a_model_is_saved_if_evaluation_fails(vecprop, table, at_step, error, report):
    at_step("measuring", raising(error))
    options = [
        "train",
        table,
        "--target",
        "buys",
        *(["--report", "page.html"] if report else []),
        *FAST,
    ]
    done = vecprop(*options, code=130 if error is KeyboardInterrupt else 1)
    assert "the trained model is saved in people.npz, without metrics." in done.stderr
    assert vp.load("people.npz").target == "buys"
    assert tomllib.loads(Path("people.toml").read_text())["target"] == "buys"
    before = Path("people.npz").read_bytes()
    assert (
        "people.interrupted.npz"
        in vecprop(*options, "--force", "--seed", 1, code=None).stderr
    )
    assert Path("people.npz").read_bytes() == before


@pytest.mark.long
def test_a_failed_refit_saves_the_evaluated_model(
    vecprop, table, people, monkeypatch, at_step
):
    at_step("refitting", raising(KeyboardInterrupt))
    options = ["--refit", "--json", "-o", "cut.npz", *FAST]
    done = vecprop("train", table, "--target", "buys", *options, code=130)
    monkeypatch.undo()
    monkeypatch.chdir(table.parent)
    assert "the evaluated model is saved instead" in done.stderr
    assert "refit" not in json.loads(done.stdout)
    assert vp.load("cut.npz").profiles_[0].rows == 160
    people.head(9).assign(buys="perhaps", age=0).to_csv("new.csv", index=False)
    options = ["--test", "new.csv", "--threshold", 0.3, "--refit"]
    done = vecprop("train", table, "--target", "buys", *options, *FAST, code=3)
    assert (
        "The refit failed: the evaluated model is saved in people.npz instead."
        in done.stderr
    )
    assert "has 3 classes, but a threshold needs two" in done.stderr
    assert vp.load("people.npz").profiles_[0].rows == 200


@pytest.mark.parametrize(("group", "time"), [("patient", None), (None, "day")])
def test_groups_and_times_apply_with_a_test_file(tmp_path, group, time):
    table = visits(tmp_path)
    pd.read_csv(table)[:9].assign(x=0).drop(
        columns=["patient", "day"][time is not None]
    ).to_csv(tmp_path / "t.csv")
    parts = split_table(Request(table, "y", 0.2, group, time, test=tmp_path / "t.csv"))
    assert (len(parts.y), len(parts.y_test)) == (120, 9)
    of_rows = parts.dependence.groups if group else parts.dependence.time
    assert of_rows is not None
    assert len(set(of_rows.tolist())) == (20 if group else 120)
    assert parts.training["groups" if group else "time"] is of_rows
    if group:
        known = pd.read_csv(table)[:8].assign(
            x=0, patient=[0, 0, 1, 90, 91, 92, 93, 94]
        )
        known.to_csv(tmp_path / "t.csv")
        (note,) = split_table(
            Request(table, "y", 0.2, group, test=tmp_path / "t.csv")
        ).notes
        assert note.startswith(
            "3 of 8 test rows belong to training groups (column 'patient')"
        )

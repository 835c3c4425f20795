"""``vecprop train``: a table in, a model out, and what is said of it."""

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
import tomllib
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss, mean_pinball_loss, r2_score

import vecprop as vp
from shared_commands import FAST
from vecprop.app.commands import train as command


def result_of(done):
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_classes_are_learned_and_measured_on_the_test(vecprop, table, people):
    result = result_of(vecprop("train", table, "--target", "buys", "--json", "--seed", 3))
    assert result["task"] == "classification"
    assert result["classes"] == ["no", "yes"]
    assert result["rows"] == {"train": 160, "test": 40}
    assert set(result["columns"]["used"]) == {"age", "town", "visits", "spends"}
    ours, naive, linear = (result["scores"][name] for name in ("vecprop", "naive", "logistic regression"))
    assert ours["accuracy"]["low"] <= ours["accuracy"]["value"] <= ours["accuracy"]["high"]
    assert ours["log_loss"]["value"] < 0.6 * naive["log_loss"]["value"]
    assert naive["roc_auc"]["value"] == 0.5
    assert linear["accuracy"]["value"] > 0.8
    model = vp.load("people.npz")
    assert model.score(people) > 0.85
    assert result["seconds"]["training"] > 0


def test_metrics_are_those_of_the_rows_set_aside(vecprop, table, people):
    result = result_of(
        vecprop("train", table, "--target", "spends", "--json", "--time", "age", "--test-size", 30, *FAST)
    )
    late = people.age >= people.age.sort_values().iloc[-30]
    assert result["rows"] == {"train": int((~late).sum()), "test": int(late.sum())}
    predicted = vp.load("people.npz").predict(people[late])
    assert result["scores"]["vecprop"]["r2"]["value"] == pytest.approx(r2_score(people.spends[late], predicted))
    naive = np.sqrt(np.mean((people.spends[late] - people.spends[~late].mean()) ** 2))
    assert result["scores"]["naive"]["rmse"]["value"] == pytest.approx(naive)


def test_groups_stay_together_and_are_no_input(vecprop, table):
    done = vecprop("train", table, "--target", "buys", "--group", "town", "--json", *FAST)
    result = result_of(done)
    assert "town" not in result["columns"]["used"]
    assert "Column 'town' is not used: it tells groups apart." in done.stderr
    assert result["rows"]["test"] > 50  # one of three towns


def test_a_test_file_is_the_test(vecprop, table, people):
    people.iloc[:50].to_parquet("test.parquet")
    result = result_of(vecprop("train", table, "--target", "buys", "--test", "test.parquet", "--json", *FAST))
    assert result["rows"] == {"train": 200, "test": 50}
    model = vp.load("people.npz")
    scores, part = result["scores"]["vecprop"], people.iloc[:50]
    assert scores["log_loss"]["value"] == pytest.approx(log_loss(part.buys, model.predict_proba(part)))
    assert scores["accuracy"]["value"] == pytest.approx(accuracy_score(part.buys, model.predict(part)))


def test_settings_reach_the_estimator(vecprop, table):
    options = {
        **{"--hidden-layer-sizes": "5,6", "--activation": "tanh", "--dropout": 0.25, "--weight-decay": 0.5},
        **{"--learning-rate-init": 0.02, "--batch-size": 32, "--max-iter": 3, "--n-iter-no-change": 2},
        **{"--ensemble": 3, "--threads": 1, "--seed": 9},
    }
    done = vecprop("train", table, "--target", "buys", *(part for pair in options.items() for part in pair))
    assert done.exit_code == 0, done.stderr
    settings = vp.load("people.npz").get_params()
    expected = {
        **{"hidden_layer_sizes": (5, 6), "activation": "tanh", "dropout": 0.25, "weight_decay": 0.5, "n_jobs": 1},
        **{"learning_rate_init": 0.02, "batch_size": 32, "max_iter": 3, "n_iter_no_change": 2, "n_members": 3},
        **{"random_state": 9, "target": "buys", "progress": None},
    }
    assert {name: settings[name] for name in expected} == expected


def test_each_setting_of_the_estimators_is_an_option():
    from vecprop.app.training.config import SETTINGS

    elsewhere = {"target", "random_state", "progress", "verbose", "columns", "decimal", "date_format"} | {
        *("checkpoint", "workers")  # which change no bit
    }
    for kind in (vp.TabularClassifier, vp.TabularRegressor):
        assert set(kind().get_params()) - elsewhere <= set(SETTINGS.values())
    assert set(SETTINGS) <= set(command.train.__annotations__)


def test_a_run_writes_options_that_make_it_again(vecprop, table):
    first = vecprop("train", table, "--target", "buys", "--seed", 4, "--test-size", 50, *FAST)
    assert first.exit_code == 0, first.stderr
    written = tomllib.loads(Path("people.toml").read_text())
    assert written["target"] == "buys"
    assert written["task"] == "classification"
    assert written["seed"] == 4
    theta = vp.load("people.npz").ensemble_.theta
    assert vecprop("train", "--config", "people.toml").exit_code == 2  # people.npz exists
    again = vecprop("train", "--config", "people.toml", "-o", "again.npz")
    assert again.exit_code == 0, again.stderr
    np.testing.assert_array_equal(vp.load("again.npz").ensemble_.theta, theta)
    other = vecprop("train", "--config", "people.toml", "-o", "other.npz", "--seed", 5)
    assert other.exit_code == 0, other.stderr
    assert vp.load("other.npz").random_state == 5  # what is given wins


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('tagret = "buys"', "unknown name 'tagret': did you mean 'target'?"),
        ("target = ", "is not TOML"),
        ('[target]\nname = "buys"', "all names stand at the top"),
        ('target = "buys"\nseed = "many"', "--seed"),
    ],
)
def test_wrong_configurations_are_usage_errors(vecprop, table, text, said):
    Path("run.toml").write_text(text)
    done = vecprop("train", table, "--config", "run.toml")
    assert done.exit_code == 2
    assert said in re.sub(r"[\s│]+", " ", done.stderr)


def test_a_budget_is_written_as_its_stages_which_make_the_model_again(vecprop, table, monkeypatch):
    monkeypatch.setattr("vecprop.tables.ensemble.stages.perf_counter", partial(next, count()))  # a second at each look
    done = vecprop("train", table, "--target", "buys", "--budget", 7, "--json", *FAST)
    model, result = vp.load("people.npz"), result_of(done)
    assert result["stages"] == model.stages_ > 1
    written = tomllib.loads(Path("people.toml").read_text())
    assert written["stages"] == model.stages_
    assert "budget" not in written
    again = vecprop("train", "--config", "people.toml", "-o", "again.npz")
    assert again.exit_code == 0, again.stderr
    assert f"parameters in all, of {model.stages_} stages" in again.stdout
    np.testing.assert_array_equal(vp.load("again.npz").ensemble_.theta, model.ensemble_.theta)


@pytest.mark.parametrize(
    ("of_file", "given", "stages"), [("stages = 3", ["--budget", 1e-9], 1), ("budget = 1e-9", ["--stages", 2], 2)]
)
def test_a_budget_or_stages_win_over_the_other_of_a_file(vecprop, table, of_file, given, stages):
    Path("run.toml").write_text(of_file)
    done = vecprop("train", table, "--target", "buys", "--config", "run.toml", *given, *FAST)
    assert done.exit_code == 0, done.stderr
    assert vp.load("people.npz").stages_ == stages


@pytest.mark.long
@pytest.mark.parametrize("quantile", ["0.75", "0.2,0.5,0.9"])
def test_quantiles_are_learned_measured_and_predicted(vecprop, table, people, quantile):
    options = ["--loss", "quantile", "--quantile", quantile, "--report", "page.html", "--json", *FAST]
    result = result_of(vecprop("train", table, "--target", "spends", *options))
    model, levels = vp.load("people.npz"), [float(level) for level in quantile.split(",")]
    assert model.levels == levels
    assert result["networks"] == 4 * len(levels)
    assert json.loads(vecprop("info", "people.npz", "--json").stdout)["networks"] == 4 * len(levels)
    assert "quantile loss" in Path("page.html").read_text()
    for metric in ["pinball_loss", *(["share_below"] if len(levels) == 1 else ["mae", "coverage", "width"])]:
        assert set(result["scores"]) == {"vecprop", "naive", "linear regression", "gradient boosting"}
        assert result["scores"]["naive"][metric]["value"] > 0
    assert tomllib.loads(Path("people.toml").read_text())["quantile"] == quantile
    assert vecprop("train", "--config", "people.toml", "--force").exit_code == 0
    evaluated = json.loads(vecprop("evaluate", "people.npz", table, "--json").stdout)["scores"]
    assert evaluated["pinball_loss"]["value"] > 0
    done = vecprop("predict", "people.npz", table, "--interval", 0.8, "-o", "p.csv")
    assert done.exit_code == 0, done.stderr
    found = pd.read_csv("p.csv")
    np.testing.assert_allclose(found.prediction, model.predict(people))
    np.testing.assert_allclose(found[["low", "high"]], model.predict_interval(people, 0.8))
    if len(levels) == 1:
        loss = mean_pinball_loss(people.spends, found.prediction, alpha=0.75)
        assert evaluated["pinball_loss"]["value"] == pytest.approx(loss)


def test_a_column_of_weights(vecprop, people):
    weight = np.where(people.index % 3 == 0, 0, np.where(people.town == "Rome", 5, 1))
    people.assign(w=weight).to_csv("weighed.csv", index=False)

    done = vecprop("train", "weighed.csv", "--target", "buys", "--weight", "w", "--json", "--time", "age", *FAST)
    result = result_of(done)
    assert "w" not in result["columns"]["used"]
    assert "Column 'w' is not used: it weighs rows." in done.stderr
    assert tomllib.loads(Path("weighed.toml").read_text())["weight"] == "w"
    model = vp.load("weighed.npz")
    late = people.age >= people.age.sort_values().iloc[-40]

    def loss(P):
        return log_loss(people.buys[late], P, sample_weight=weight[late], labels=["no", "yes"])

    expected = loss(model.predict_proba(people[late]))
    assert result["scores"]["vecprop"]["log_loss"]["value"] == pytest.approx(expected)
    shares = np.bincount(people.buys[~late] == "yes", weight[~late]) / weight[~late].sum()
    naive = loss(np.tile(shares, (late.sum(), 1)))
    assert result["scores"]["naive"]["log_loss"]["value"] == pytest.approx(naive)
    evaluated = json.loads(vecprop("evaluate", "weighed.npz", "weighed.csv", "--weight", "w", "--json").stdout)
    expected = accuracy_score(people.buys, model.predict(people), sample_weight=weight)
    assert evaluated["scores"]["accuracy"]["value"] == pytest.approx(expected)
    options = ["--target", "buys", "--weight", "w", "--test", "weighed.csv", "--force", *FAST]
    assert "'w'" not in vecprop("train", "weighed.csv", *options).stderr.replace("Column 'w' weighs rows", "")


@pytest.mark.parametrize(
    ("weight", "said"),
    [("many", "200 value(s) that are no weights"), (-1, "weights are numbers from 0 to"), (0, "is zero in all rows")],
)
def test_weights_that_are_none(vecprop, people, weight, said):
    people.assign(w=weight).to_csv("weighed.csv", index=False)
    done = vecprop("train", "weighed.csv", "--target", "buys", "--weight", "w", *FAST)
    assert (done.exit_code, done.stdout) == (3, "")
    assert said in done.stderr


def test_results_are_text_on_stdout_and_notes_on_stderr(vecprop, table, people):
    people.assign(constant=1).to_csv("more.csv", index=False)
    done = vecprop("train", "more.csv", "--target", "buys", *FAST)
    assert done.exit_code == 0
    for said in ("classification of 'buys' (2 classes) in more.csv", "160 to train, 40 to test", "log loss", "ROC AUC"):
        assert said in done.stdout
    assert "1 dropped: constant (all values are the same)" in done.stdout
    assert "Note: Column 'constant' is not used" in done.stderr
    assert "Note" not in done.stdout
    assert "\x1b" not in done.output
    quiet = vecprop("train", "more.csv", "--target", "buys", "--quiet", "--force", *FAST)
    assert quiet.stderr == ""


def test_nothing_is_overwritten_unasked(vecprop, table):
    for name in ("people.npz", "people.toml"):
        Path(name).write_text("precious")
        done = vecprop("train", table, "--target", "buys", *FAST)
        assert done.exit_code == 2
        assert f"{name} exists" in done.stderr
        assert Path(name).read_text() == "precious"
        Path(name).unlink()
    Path("page.html").write_text("precious")
    assert vecprop("train", table, "--target", "buys", "--report", "page.html", *FAST).exit_code == 2
    assert Path("page.html").read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--group", "town", "--time", "age"], "give one of the two"),
        (["--cv", 3, "--test", "people.csv"], "leave out --test"),
        (["--cv", 3, "--test-size", 0.2], "leave out --test"),
        (["--cv", 3, "--refit"], "there is no test"),
        (["--test-size", 0, "--refit"], "there is no test"),
        (["--threshold", "f2"], 'must be a probability between 0 and 1, "f1"'),
        (["-o", "nowhere/model.npz"], "There is no folder nowhere"),
        (["-o", "."], "is a folder"),
        (["-o", "people.csv", "--force"], "people.csv is what is read"),
        (["--dropout", 2], "dropout"),
        (["--hidden-layer-sizes", "5,x"], "--hidden-layer-sizes is '5,x', but must be whole numbers of at least 1"),
        (["--activation", "step"], "activation"),
        (["--ensemble", 1], "ensemble"),
        (["--budget", 0], "budget"),
        (["--stages", 0], "stages"),
        (["--stages", 2, "--budget", 60], "budget=60.0 the seconds that decide it: give one of the two"),
        (["--quantile", "0.9"], "is for --loss quantile"),
        (["--loss", "quantile", "--quantile", "high"], "--quantile is 'high', but must be levels"),
        (["--loss", "quantile"], "has no loss"),
    ],
)
def test_usage_errors(vecprop, table, arguments, said):
    done = vecprop("train", table, "--target", "buys", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_what_is_no_file_is_not_replaced(vecprop, table):
    os.mkfifo("pipe")
    for arguments in (["train", table, "--target", "buys"], ["predict", "any.npz", table]):
        done = vecprop(*arguments, "-o", "pipe", "--force")
        assert (done.exit_code, done.stderr) == (2, "pipe is no file: give the name of one with -o.\n")
        assert stat.S_ISFIFO(os.stat("pipe").st_mode)


@pytest.mark.parametrize("option", ["--weight", "--group"])
def test_the_target_is_nothing_else(vecprop, table, option):
    done = vecprop("train", table, "--target", "spends", option, "spends", *FAST)
    assert done.exit_code == 3
    assert "Column 'spends' is the target: it cannot be what" in done.stderr


def test_levels_that_make_no_sense_are_a_usage_error(vecprop, table):
    done = vecprop("train", table, "--target", "spends", "--loss", "quantile", "--quantile", "0.5,0.1,0.9")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "three that rise" in done.stderr


def test_divergence_has_a_code_of_its_own(vecprop, table):
    done = vecprop("train", table, "--target", "spends", "--learning-rate-init", 1e30, *FAST)
    assert done.exit_code == 4
    assert "lower learning_rate_init" in done.stderr
    assert not Path("people.npz").exists()


def test_classes_seen_only_in_the_test_are_counted_as_wrong(vecprop, people):
    rows = pd.DataFrame({"x": range(60), "y": ["a", "b"] * 29 + ["c", "c"]})
    rows.iloc[:50].to_csv("train.csv", index=False)
    rows.iloc[50:].to_csv("test.csv", index=False)
    result = result_of(vecprop("train", "train.csv", "--target", "y", "--test", "test.csv", "--json", *FAST))
    assert result["scores"]["vecprop"]["accuracy"]["value"] <= 0.8


@pytest.mark.long
def test_interrupted_training_is_saved(tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20_000, 20)), columns=[f"x{k}" for k in range(20)])
    frame.assign(y=np.sin(frame.sum(axis=1))).to_parquet(tmp_path / "big.parquet")
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # a shell's background may not
    code = f"{heeding}; from vecprop.app import main; main()"
    command = [sys.executable, "-c", code, "train", "big.parquet", "--target", "y"]
    subprocess.run([*command, "--max-iter", "1", "-o", "warm.npz"], cwd=tmp_path, check=True)  # compiles
    patient = [*command, "--max-iter", "3000", "--n-iter-no-change", "3000"]
    process = subprocess.Popen(patient, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    time.sleep(8)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Interrupted: what was trained is saved in big.npz." in said
    assert len(vp.load(tmp_path / "big.npz").ensemble_) >= 1


@pytest.mark.long
def test_a_run_is_made_again_by_the_command_as_printed(vecprop, table, people):
    people.to_csv("my people.csv", index=False)
    done = vecprop("train", "my people.csv", "--target", "buys", "--report", "page.html", *FAST)
    assert done.exit_code == 0, done.stderr
    command = done.stdout.partition("made again by: ")[2].splitlines()[0]
    assert command == "vecprop train --config 'my people.toml' --force"
    assert command.replace("'", "&#x27;") in Path("page.html").read_text()
    theta = vp.load("my people.npz").ensemble_.theta
    assert vecprop(*shlex.split(command)[1:]).exit_code == 0
    np.testing.assert_array_equal(vp.load("my people.npz").ensemble_.theta, theta)


def test_tables_of_other_years_become_other_models(vecprop, people):
    for year in (2023, 2024):
        people.to_csv(f"sales.{year}.csv", index=False)
        assert vecprop("train", f"sales.{year}.csv", "--target", "buys", *FAST).exit_code == 0
    assert {path.name for path in Path().glob("*.npz")} == {"sales.2023.npz", "sales.2024.npz"}
    assert {path.name for path in Path().glob("*.toml")} == {"sales.2023.toml", "sales.2024.toml"}


def test_no_file_that_is_read_is_written_and_none_twice(vecprop, table, people):
    people.to_csv("test.csv", index=False)
    done = vecprop("train", table, "--target", "buys", "--test", "test.csv", "-o", "test.csv", "--force", *FAST)
    assert (done.exit_code, done.stderr) == (2, "test.csv is what is read: give another name with -o.\n")
    done = vecprop("train", table, "--target", "buys", "--report", "people.npz", *FAST)
    assert done.exit_code == 2
    assert pd.read_csv("test.csv").shape == people.shape


@pytest.mark.long
@pytest.mark.parametrize("asked", [False, True])
def test_an_interrupted_run_replaces_an_old_model_only_if_asked(vecprop, table, monkeypatch, asked):
    options = ["train", table, "--target", "buys", "--report", "page.html", *FAST]
    assert vecprop(*options).exit_code == 0
    names = ("people.npz", "people.toml", "page.html")
    before = [Path(name).read_bytes() for name in names]
    keep_curves = vp.TabularClassifier._keep_curves

    def interrupted(self, results):
        keep_curves(self, results)
        self.notes_.append("Training was interrupted: the model is what was learned so far.")

    monkeypatch.setattr(vp.TabularClassifier, "_keep_curves", interrupted)
    done = vecprop(*options, "--force", "--seed", 1, *(["--replace-interrupted"] if asked else []))
    assert done.exit_code == 130, done.stderr
    assert ([Path(name).read_bytes() for name in names] == before) == (not asked)
    name = "people.npz" if asked else "people.interrupted.npz"
    assert f"what was trained is saved in {name}." in done.stderr
    assert vp.load(name).random_state == 1
    assert Path("page.interrupted.html").exists() == (not asked)


def test_a_column_of_that_name_interrupts_nothing(vecprop, people):
    people.assign(interrupted=1).to_csv("in.csv", index=False)
    assert vecprop("train", "in.csv", "--target", "buys", *FAST).exit_code == 0


def test_whole_numbers_with_missing_values_are_whole_classes(vecprop, people):
    people.assign(buys=np.where(people.index < 3, np.nan, people.buys == "yes")).to_csv("in.csv", index=False)
    result = result_of(vecprop("train", "in.csv", "--target", "buys", "--json", *FAST))
    assert result["classes"] == [0, 1]
    assert "probability of 1" in vecprop("predict", "in.npz", "in.csv").stdout.splitlines()[0]
    assert vecprop("evaluate", "in.npz", "in.csv").exit_code == 0
    model = vp.TabularClassifier("buys", n_members=2, max_iter=1).fit("in.csv")
    assert model.classes_.dtype.kind == "i"

"""Test ``vecprop train``: models, output and options."""

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
import tomllib
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss, mean_pinball_loss, r2_score

import vecprop as vp
from shared_commands import FAST
from vecprop.app.commands import train as command
from vecprop.tables.error import Note
from vecprop.tables.evaluation.verdict import UNCLEAR


def test_classifiers_are_trained_and_scored_on_the_test(result_of, table, people):
    result = result_of(
        "train", table, "--target", "buys", "--seed", 3, "--test-size", 0.2
    )
    assert result["task"] == "classification"
    assert result["classes"] == ["no", "yes"]
    assert result["rows"] == {"train": 160, "test": 40}
    assert set(result["columns"]["used"]) == {"age", "town", "visits", "spends"}
    ours, naive, linear = (
        result["scores"][name] for name in ("vecprop", "naive", "logistic regression")
    )
    assert (
        ours["accuracy"]["low"] <= ours["accuracy"]["value"] <= ours["accuracy"]["high"]
    )
    assert ours["log_loss"]["value"] < 0.6 * naive["log_loss"]["value"]
    assert naive["roc_auc"]["value"] == 0.5
    assert linear["accuracy"]["value"] > 0.8
    model = vp.load("people.npz")
    assert model.score(people) > 0.85
    assert result["seconds"]["training"] > 0


def test_metrics_are_those_of_held_out_rows(result_of, table, people):
    result = result_of(
        "train", table, "--target", "spends", "--time", "age", "--test-size", 30, *FAST
    )
    late = people.age >= people.age.sort_values().iloc[-30]
    assert result["rows"] == {"train": int((~late).sum()), "test": int(late.sum())}
    predicted = vp.load("people.npz").predict(people[late])
    assert result["scores"]["vecprop"]["r2"]["value"] == pytest.approx(
        r2_score(people.spends[late], predicted)
    )
    naive = np.sqrt(np.mean((people.spends[late] - people.spends[~late].mean()) ** 2))
    assert result["scores"]["naive"]["rmse"]["value"] == pytest.approx(naive)


def test_a_test_file_is_the_test_and_groups_stay_together(
    vecprop, result_of, table, people
):
    people.iloc[:50].to_parquet("test.parquet")
    result = result_of(
        "train", table, "--target", "buys", "--test", "test.parquet", *FAST
    )
    assert result["rows"] == {"train": 200, "test": 50}
    model = vp.load("people.npz")
    scores, part = result["scores"]["vecprop"], people.iloc[:50]
    assert scores["log_loss"]["value"] == pytest.approx(
        log_loss(part.buys, model.predict_proba(part))
    )
    assert scores["accuracy"]["value"] == pytest.approx(
        accuracy_score(part.buys, model.predict(part))
    )
    done = vecprop(
        "train",
        table,
        "--target",
        "buys",
        "--group",
        "town",
        "--test-size",
        0.2,
        "--json",
        "--force",
        *FAST,
    )
    result = json.loads(done.stdout)
    assert "town" not in result["columns"]["used"]
    assert "Column 'town' is not used: it defines the groups." in done.stderr
    assert result["rows"]["test"] > 50  # one of three towns, which has no interval
    assert (result["verdict"]["level"], result["verdict"]["margin"]["low"]) == (
        UNCLEAR,
        None,
    )


def test_settings_reach_the_estimator(vecprop, table):
    options = {
        **{
            "--hidden-layer-sizes": "5,6",
            "--activation": "tanh",
            "--dropout": 0.25,
            "--weight-decay": 0.5,
        },
        **{
            "--learning-rate-init": 0.02,
            "--batch-size": 32,
            "--max-iter": 3,
            "--n-iter-no-change": 2,
        },
        **{"--n-estimators": 3, "--threads": 1, "--seed": 9, "--positive": "NO"},
    }
    done = vecprop(
        "train",
        table,
        "--target",
        "buys",
        *(part for pair in options.items() for part in pair),
    )
    assert "F1 of 'no'" in done.stdout
    settings = vp.load("people.npz").get_params()
    expected = {
        **{
            "hidden_layer_sizes": (5, 6),
            "activation": "tanh",
            "dropout": 0.25,
            "weight_decay": 0.5,
            "n_jobs": 1,
        },
        **{
            "learning_rate_init": 0.02,
            "batch_size": 32,
            "max_iter": 3,
            "n_iter_no_change": 2,
            "n_estimators": 3,
        },
        **{"random_state": 9, "target": "buys", "progress": None},
    }
    assert {name: settings[name] for name in expected} == expected


def test_each_setting_of_the_estimators_is_an_option():
    from vecprop.app.training.config import SETTINGS

    elsewhere = {
        "target",
        "random_state",
        "progress",
        "verbose",
        "columns",
        "decimal",
        "date_format",
    }
    elsewhere |= {"checkpoint", "workers"}  # they do not change the result
    for kind in (vp.TabularClassifier, vp.TabularRegressor):
        assert set(kind().get_params()) - elsewhere <= set(SETTINGS.values())
    assert set(SETTINGS) <= set(command.train.__annotations__)


def test_wrong_configurations_are_usage_errors(vecprop, table):
    for text, said in (
        ('tagret = "buys"', "unknown name 'tagret': did you mean 'target'?"),
        ("target = ", "is not TOML"),
        ('[target]\nname = "buys"', "options must be at the top level"),
        (
            'target = "buys"\ncv = 1',
            "--cv is '1', but must be an integer of at least 2.",
        ),
        ("epochs = 3", "unknown name 'epochs': did you mean 'max_iter'?"),
        (
            "stages = 3",
            (
                "unknown name 'stages': it was removed: lower --max-iter or"
                " --n-estimators instead."
            ),
        ),
        (
            "time_limit = 60.0",
            "unknown name 'time_limit': it was removed: lower --max-iter",
        ),
        ("qqq = 1", "unknown name 'qqq': see vecprop train --help."),
    ):
        Path("run.toml").write_text(text)
        assert said in vecprop("train", table, "--config", "run.toml", code=2).stderr


@pytest.mark.long
def test_saved_options_reproduce_a_run_and_the_command_line_takes_precedence(
    vecprop, table
):
    vecprop("train", table, "--target", "buys", "--seed", 4, "--test-size", 50, *FAST)
    model = vp.load("people.npz")
    written = tomllib.loads(Path("people.toml").read_text())
    assert (written["target"], written["task"], written["seed"]) == (
        "buys",
        "classification",
        4,
    )
    vecprop("train", "--config", "people.toml", code=2)  # people.npz exists
    with open("people.toml", "a") as file:
        file.write("stages = 1\n")  # as in files of earlier versions
    vecprop("train", "--config", "people.toml", "-o", "again.npz")
    np.testing.assert_array_equal(
        vp.load("again.npz").ensemble_.theta, model.ensemble_.theta
    )
    Path("run.toml").write_text("seed = 4")
    vecprop(
        "train",
        table,
        "--target",
        "buys",
        "--config",
        "run.toml",
        "--seed",
        5,
        *FAST,
        "--force",
    )
    assert vp.load("people.npz").random_state == 5


@pytest.mark.long
@pytest.mark.parametrize("quantile", ["0.75", "0.2,0.5,0.9"])
def test_quantiles_are_trained_scored_and_predicted(
    vecprop, result_of, table, people, quantile
):
    options = [
        "--loss",
        "quantile",
        "--quantile",
        quantile,
        "--report",
        "page.html",
        "--json",
        *FAST,
    ]
    result = result_of("train", table, "--target", "spends", *options)
    model, levels = (
        vp.load("people.npz"),
        [float(level) for level in quantile.split(",")],
    )
    assert model._levels == levels
    assert result["networks"] == 4 * len(levels)
    assert result_of("info", "people.npz")["networks"] == 4 * len(levels)
    assert "quantile loss" in Path("page.html").read_text()
    for metric in [
        "pinball_loss",
        *(["share_below"] if len(levels) == 1 else ["mae", "coverage", "width"]),
    ]:
        assert set(result["scores"]) == {
            "vecprop",
            "naive",
            "linear regression",
            "gradient boosting",
        }
        assert result["scores"]["naive"][metric]["value"] > 0
    assert tomllib.loads(Path("people.toml").read_text())["quantile"] == quantile
    vecprop("train", "--config", "people.toml", "--force")
    evaluated = result_of("evaluate", "people.npz", table)["scores"]
    assert evaluated["pinball_loss"]["value"] > 0
    vecprop("predict", "people.npz", table, "--interval", 0.8, "-o", "p.csv")
    found = pd.read_csv("p.csv")
    np.testing.assert_allclose(found.prediction, model.predict(people))
    np.testing.assert_allclose(
        found[["low", "high"]], model.predict_interval(people, 0.8)
    )
    if len(levels) == 1:
        loss = mean_pinball_loss(people.spends, found.prediction, alpha=0.75)
        assert evaluated["pinball_loss"]["value"] == pytest.approx(loss)


@pytest.mark.long
def test_a_column_of_weights(vecprop, result_of, people):
    weight = np.where(people.index % 3 == 0, 0, np.where(people.town == "Rome", 5, 1))
    people.assign(w=weight).to_csv("weighed.csv", index=False)

    done = vecprop(
        "train",
        "weighed.csv",
        "--target",
        "buys",
        "--weight",
        "w",
        "--json",
        "--time",
        "age",
        "--test-size",
        0.2,
        *FAST,
    )
    result = json.loads(done.stdout)
    assert "w" not in result["columns"]["used"]
    assert "Column 'w' is not used: it contains the weights." in done.stderr
    assert tomllib.loads(Path("weighed.toml").read_text())["weight"] == "w"
    model = vp.load("weighed.npz")
    late = people.age >= people.age.sort_values().iloc[-40]

    def loss(P):
        return log_loss(
            people.buys[late], P, sample_weight=weight[late], labels=["no", "yes"]
        )

    expected = loss(model.predict_proba(people[late]))
    assert result["scores"]["vecprop"]["log_loss"]["value"] == pytest.approx(expected)
    shares = (
        np.bincount(people.buys[~late] == "yes", weight[~late]) / weight[~late].sum()
    )
    naive = loss(np.tile(shares, (late.sum(), 1)))
    assert result["scores"]["naive"]["log_loss"]["value"] == pytest.approx(naive)
    evaluated = result_of("evaluate", "weighed.npz", "weighed.csv", "--weight", "w")
    expected = accuracy_score(people.buys, model.predict(people), sample_weight=weight)
    assert evaluated["scores"]["accuracy"]["value"] == pytest.approx(expected)
    people[:40].assign(w=1, visits=0).to_csv("test.csv", index=False)
    options = [
        "--target",
        "buys",
        "--weight",
        "w",
        "--test",
        "test.csv",
        "--force",
        *FAST,
    ]
    assert (
        "In the test: Column 'w'"
        not in vecprop("train", "weighed.csv", *options).stderr
    )


def test_results_are_text_on_stdout_and_notes_on_stderr(vecprop, table, people):
    people.assign(constant=1).to_csv("more.csv", index=False)
    done = vecprop("train", "more.csv", "--target", "buys", "--test-size", 0.2, *FAST)
    for said in (
        "classification of 'buys' (2 classes) in more.csv",
        "160 to train, 40 to test",
        "log loss",
        "ROC AUC",
    ):
        assert said in done.stdout
    assert "1 dropped: constant (all values are the same)" in done.stdout
    assert "Note: Column 'constant' is not used" in done.stderr
    assert "Note" not in done.stdout
    assert "\x1b" not in done.output


def test_nothing_is_overwritten_without_force(vecprop, table):
    for name in ("people.npz", "people.toml"):
        Path(name).write_text("precious")
        assert (
            f"{name} exists"
            in vecprop("train", table, "--target", "buys", *FAST, code=2).stderr
        )
        assert Path(name).read_text() == "precious"
        Path(name).unlink()
    Path("page.html").write_text("precious")
    vecprop("train", table, "--target", "buys", "--report", "page.html", *FAST, code=2)
    done = vecprop(
        "train",
        table,
        "--target",
        "buys",
        "--test",
        "page.html",
        "-o",
        "page.html",
        "--force",
        code=2,
    )
    assert done.stderr == "page.html is an input file: choose another name with -o.\n"
    assert Path("page.html").read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("buys --group town --time age", 2, "give one of the two"),
        ("buys --cv 3 --test people.csv", 2, "leave out --test"),
        ("buys --cv 3 --test-size 0.2", 2, "leave out --test"),
        ("buys --cv 3 --refit", 2, "needs a test set"),
        ("buys --test-size 0 --refit", 2, "needs a test set"),
        ("buys --threshold f2", 2, 'must be a probability between 0 and 1, "f1"'),
        ("buys -o nowhere/model.npz", 2, "The folder nowhere does not exist"),
        ("buys -o .", 2, "is a folder"),
        ("buys -o people.csv --force", 2, "people.csv is an input file"),
        ("buys -o a.htm --report a.htm", 2, "a.htm would be written twice"),
        ("buys --n-estimators 1", 2, "n-estimators"),
        ("buys --quantile 0.9", 2, "needs --loss quantile"),
        (
            "buys --loss quantile --quantile high",
            2,
            "--quantile is 'high', but must be levels",
        ),
        ("buys --loss quantile", 3, "value(s) that are not numbers"),
        ("buys --loss quantile --task classification", 2, "has no option loss"),
        ("spends --loss poison", 2, "--loss is 'poison', but must be absolute, "),
        ("spends --loss poisson --exposure ages", 3, "no column 'ages': did"),
        ("spends --loss quantile --quantile 0.5,0.1,0.9", 2, "three increasing levels"),
        (
            "spends --weight spends",
            3,
            "Column 'spends' is the target and cannot contain the",
        ),
        (
            "spends --group spends",
            3,
            "Column 'spends' is the target and cannot contain the",
        ),
        ("spends --learning-rate-init 1e30", 4, "lower learning_rate_init"),
    ],
)
def test_incompatible_options_raise_an_error(vecprop, table, arguments, code, said):
    assert (
        said
        in vecprop(
            "train", table, *FAST, "--target", *arguments.split(), code=code
        ).stderr
    )
    assert not Path("people.npz").exists()


def test_counts_with_an_exposure_are_trained_predicted_and_evaluated(vecprop, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(20, 80, 200)})
    frame["years"] = rng.uniform(0.5, 2, 200).round(2)
    frame["claims"] = rng.poisson(frame["years"] * frame["age"] / 40)
    frame.to_csv("claims.csv", index=False)
    chosen = ("--target", "claims", "--loss", "poisson", "--exposure", "years")
    page = ("--report", "page.html")
    said = vecprop("train", "claims.csv", *FAST, *chosen, "--test-size", "50", *page)
    assert "The mean deviance is " in said.stdout.splitlines()[0]
    assert "Poisson regression" in said.stdout
    assert "years (it contains the exposure)" in said.stdout
    assert "Poisson regression" in Path("page.html").read_text()
    options = tomllib.loads(Path("claims.toml").read_text())
    assert (options["loss"], options["exposure"]) == ("poisson", "years")
    ends = ("--interval", "0.9", "-o", "rows.csv")
    vecprop("predict", "claims.npz", "claims.csv", *ends)
    rows: Any = pd.read_csv("rows.csv")
    assert (rows["prediction"] > 0).all()
    assert (rows["high"] >= rows["prediction"]).all()
    said = vecprop("evaluate", "claims.npz", "claims.csv")
    assert "deviance" in said.stdout
    # an earlier name of the loss, from a saved configuration
    again = (*FAST, "--target", "claims", "--loss", "squared_error", "--force")
    said = vecprop("train", "claims.csv", *again)
    assert 'loss="poisson" (--loss poisson)' in said.stderr


def test_devices_and_folders_are_not_replaced(vecprop, table):
    os.mkfifo("pipe")
    for arguments in (
        ["train", table, "--target", "buys"],
        ["predict", "any.npz", table],
    ):
        done = vecprop(*arguments, "-o", "pipe", "--force", code=2)
        assert done.stderr == "pipe is not a file: choose another name with -o.\n"
        assert stat.S_ISFIFO(os.stat("pipe").st_mode)


def test_classes_seen_only_in_the_test_are_counted_as_wrong(result_of, tmp_path):
    rows = pd.DataFrame({"x": range(60), "y": ["a", "b"] * 29 + ["c", "c"]})
    rows.iloc[:50].to_csv("train.csv", index=False)
    rows.iloc[50:].to_csv("test.csv", index=False)
    result = result_of(
        "train", "train.csv", "--target", "y", "--test", "test.csv", *FAST
    )
    assert result["scores"]["vecprop"]["accuracy"]["value"] <= 0.8


@pytest.mark.long
def test_interrupted_training_is_saved(tmp_path):
    frame = pd.DataFrame(
        np.random.default_rng(0).normal(size=(20_000, 20)),
        columns=[f"x{k}" for k in range(20)],
    )
    frame.assign(y=np.sin(frame.sum(axis=1))).to_parquet(tmp_path / "big.parquet")
    # shells may disable it
    setup = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{setup}; from vecprop.app import main; main()"
    command = [sys.executable, "-c", code, "train", "big.parquet", "--target", "y"]
    # compiles
    subprocess.run(
        [*command, "--max-iter", "1", "-o", "warm.npz"], cwd=tmp_path, check=True
    )
    patient = [*command, "--max-iter", "3000", "--n-iter-no-change", "3000"]
    for seconds in (8, 32):  # on a busy machine, training may start after 8
        process = subprocess.Popen(
            patient, cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
        if said != "Interrupted.\n":
            break
    assert "Interrupted: the trained model is saved in big.npz." in said
    assert len(vp.load(tmp_path / "big.npz").ensemble_) >= 1


@pytest.mark.long
def test_the_printed_command_reproduces_a_run(vecprop, table, people):
    people.to_csv("my people.csv", index=False)
    done = vecprop(
        "train", "my people.csv", "--target", "buys", "--report", "page.html", *FAST
    )
    command = done.stdout.partition(", reproduced by: ")[2].splitlines()[0]
    assert command == "vecprop train --config 'my people.toml' --force"
    assert command in unescape(Path("page.html").read_text())
    theta = vp.load("my people.npz").ensemble_.theta
    vecprop(*shlex.split(command)[1:])
    np.testing.assert_array_equal(vp.load("my people.npz").ensemble_.theta, theta)


@pytest.mark.long
@pytest.mark.parametrize("asked", [False, True])
def test_an_interrupted_run_replaces_an_old_model_only_on_request(
    vecprop, table, monkeypatch, asked
):
    options = ["train", table, "--target", "buys", "--report", "page.html", *FAST]
    vecprop(*options)
    names = ("people.npz", "people.toml", "page.html")
    before = [Path(name).read_bytes() for name in names]
    learn = vp.TabularClassifier._learn

    def interrupted(self, plan, outcome):
        learn(self, plan, outcome)
        self.notes_.append(Note("Training was interrupted.", "interrupted"))

    monkeypatch.setattr(vp.TabularClassifier, "_learn", interrupted)
    done = vecprop(
        *options,
        "--force",
        "--seed",
        1,
        *(["--replace-interrupted"] if asked else []),
        code=130,
    )
    assert ([Path(name).read_bytes() for name in names] == before) == (not asked)
    name = "people.npz" if asked else "people.interrupted.npz"
    assert f"the trained model is saved in {name}." in done.stderr
    assert vp.load(name).random_state == 1
    assert Path("page.interrupted.html").exists() == (not asked)


def test_integers_with_missing_values_are_integer_classes(vecprop, people):
    people.assign(buys=np.where(people.index < 3, np.nan, people.buys == "yes")).to_csv(
        "in.csv", index=False
    )
    done = vecprop("train", "in.csv", "--target", "buys", "--json", "--quiet", *FAST)
    assert (json.loads(done.stdout)["classes"], done.stderr) == ([0, 1], "")
    assert (
        "probability of 1"
        in vecprop("predict", "in.npz", "in.csv").stdout.splitlines()[0]
    )
    vecprop("evaluate", "in.npz", "in.csv")
    assert vp.load("in.npz").classes_.dtype.kind == "i"

"""Test that wrong usage gives one sentence with a suggestion, and that closed pipes are handled."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from inspect import signature
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import registry
import vecprop as vp
from shared_commands import FAST, commands, exit_with
from vecprop import catalog, load
from vecprop.system.suggestions import synonyms
from vecprop.terminal.usage import COMMANDS

FOREIGN_WORDING = (
    "Usage:",
    "Invalid value",
    "Input should",
    "Value error",
    "No such",
    "Missing option",
    "unexpected",
)


def refused(vecprop, *arguments, code=2):
    """Run a command with wrong usage and return its error message."""
    said = vecprop(*arguments, code=code).stderr
    assert said.count("\n") == 1
    assert not any(words in said for words in FOREIGN_WORDING)
    return said.strip()


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ("train t.csv --target y --epochs 3", "--max-iter"),
        ("train t.csv --target y --lr 0.1", "--learning-rate-init"),
        ("train t.csv --target y --random_state 3", "--seed"),
        ("train t.csv --target y --test_size 0.2", "--test-size"),
        ("train t.csv --target y --validation-size=0.2", "--test-size"),
        ("train t.csv --target y --out m.npz", "--output"),
        ("train t.csv --target-column y", "--target"),
        ("train t.csv -target y", "--target"),
        ("train t.csv --target y --pos-label yes", "--positive"),
        ("train t.csv --target y --maxiter 3", "--max-iter"),
        ("train --data t.csv --target y", "TABLE, without a name"),
        ("predict --model m.npz t.csv", "MODEL, without a name"),
        ("predict m.npz t.csv --coverage 0.9", "--interval"),
        ("predict m.npz t.csv --format json", "--json"),
        ("explain m.npz t.csv --line 3", "--row"),
        ("export m.npz --format onnx", "--to"),
        ("demo --output x", "--out"),
        ("demo -h", "--help"),
        ("fit t.csv", "vecprop train"),
        ("test m.npz", "vecprop evaluate"),
        ("trian t.csv", "vecprop train"),
        ("check m.npz t.csv", "vecprop check-gradients"),
        ("learn grades x", "vecprop learn grade"),
        ("learn check x", "vecprop learn grade"),
    ],
)
def test_the_right_option_is_suggested(vecprop, arguments, meant):
    assert f"did you mean {meant}? See vecprop" in refused(vecprop, *arguments.split())


def test_synonyms_refer_to_existing_options():
    by_name = commands()
    names = {
        opt.lstrip("-")
        for command in by_name.values()
        for each in command.params
        for opt in (*each.opts, each.name)
    }
    public = [getattr(vp, name) for name in vp.__all__]
    public = [
        each
        for each in public
        if callable(each)
        and not (isinstance(each, type) and issubclass(each, Exception))
    ]
    settings = {
        name.replace("_", "-") for each in public for name in signature(each).parameters
    }
    lists = (catalog.ACTIVATIONS, catalog.LOSSES, catalog.SCHEDULES)
    values = {
        name.replace("_", "-") for parts in lists for name in catalog.named(parts)
    }
    values |= {*registry.SCORES, "validation-loss", "validation-score", "X_val"}
    assert {row.split()[0] for row in synonyms()} - names - settings - values - {
        *vp.__all__
    } - {"help"} == set()
    assert {row.split()[0] for row in COMMANDS} - {
        name.split()[-1] for name in by_name
    } - {"learn"} == {
        "--help",
        "--version",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--task foo", "--task is 'foo', but must be classification or regression."),
        ("--cv 1", "--cv is '1', but must be an integer of at least 2."),
        ("--seed -1", "--seed is '-1', but must be an integer from 0 to 4294967295."),
        ("--max-iter 0", "--max-iter is '0', but must be an integer of at least 1."),
        ("--activation foo", "--activation is 'foo', but must be auto, elu, gelu, "),
        ("--dropout 1", "--dropout is 1.0, but must be a number of at least 0 and less than 1."),
        ("--label-smoothing 0.5", "--label-smoothing is 0.5, but must be a number of at least 0 and less than 0.5."),
        ("--learning-rate-init 0", "--learning-rate-init is 0.0, but must be a number above 0."),
        ("--weight-decay nan", "--weight-decay is nan, but must be a finite number."),
        ("--hidden-layer-sizes 8,0", "--hidden-layer-sizes is '8,0', but must be integers of at least 1"),
        ("--test-size 2.5", "--test-size is 2.5, but must be a share of the rows, at least 0 and less than 1, or a"),
        ("--test-size -1", "--test-size is -1, but must be a share of the rows"),
        ("--report page.pdf", "--report is page.pdf, but must end in .html or .htm: name it page.html."),
        ("-o model.pkl", "-o is model.pkl, but must end in .npz: name it model.npz."),
        ("--ignore buys", "--ignore names the target 'buys': leave it out."),
        ("--classes maybe", "--classes names 'maybe', but the target 'buys' has no such value."),
        ("--json=yes", "--json takes no value."),
        ("--help=1", "--help takes no value."),
        ("--seed", "--seed needs a value: the random seed of the split and of training."),
        ("extra", "vecprop train takes TABLE, but got also 'extra': see vecprop train --help."),
    ],
)  # fmt: skip
def test_invalid_values_raise_an_error(vecprop, table, arguments, said):
    assert refused(
        vecprop, "train", table.name, "--target", "buys", *arguments.split()
    ).startswith(said)


def test_quotes_and_parentheses_in_arguments_are_repeated(vecprop):
    assert (
        refused(vecprop, "info", "a.npz", "it's (b")
        == 'vecprop info takes MODEL, but got also "it\'s (b": see vecprop info --help.'
    )
    for path in ([], ["learn"]):
        name = " ".join(["vecprop", *path])
        assert (
            refused(vecprop, *path, "it's")
            == f'{name} has no command "it\'s": see {name} --help.'
        )


def test_flags_and_missing_arguments_are_described(vecprop, table):
    for option in ("--show-completion", "--install-completion", "--help"):
        assert refused(vecprop, f"{option}=bash") == f"{option} takes no value."
    assert (
        refused(vecprop, "train", table)
        == "vecprop train needs --target: the column to predict; joint networks"
        " predict several: price,rent."
    )
    assert refused(vecprop, "train").startswith(
        "vecprop train needs TABLE: a CSV, Parquet"
    )
    assert "[columns]" in vecprop("train", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("train people.csv --target buys --optimizer adam", 2, "the optimizer is always AdamW: leave it out."),
        ("train people.csv --target buys --device cuda", 2, "vecprop runs on the processor: leave it out."),
        ("train people.csv --target buys --verbose", 2, "are shown unless --quiet is given: leave it out."),
        ("train people.csv --target buys --stages 2", 2, "it was removed: lower --max-iter or --n-estimators instead."),
        ("train people.csv --target buys --test-size 20%", 2, "must be a number: the share or number of test rows"),
        ("train people.csv --target buys --quantile 0.5", 2, "--quantile 0.5 needs --loss quantile: give both."),
        ("train people.csv --target buys --config folder", 2, "folder is a folder: give the name of a file in it."),
        ("train people.csv --target buys --config none.toml", 2, "There is no file none.toml in /"),
        ("train folder/none.csv --target buys", 3, "There is no file none.csv in /"),
        ("train none/a.csv --target buys", 3, "because the folder /"),
        ("train buys.npz --target buys", 3, "buys.npz is a model file, not delimited text: pass a table"),
        ("train people.csv --target spends --test town.csv", 3, "--test town.csv has no column 'spends', the target"),
        ("predict people.csv buys.npz", 3, "give a file written by vecprop.save or `vecprop train`."),
        ("predict folder people.csv", 3, "folder is a folder: give the model file in it."),
        ("predict mlp.npz people.csv", 1, "Column 'town' of X contains text such as"),
        ("predict buys.npz people.csv --threshold 0.3", 2, "it is an option of vecprop train; see vecprop"),
        ("predict buys.npz people.csv --interval 0.9", 2, "leave out coverage (--interval)."),
        ("export buys.npz --to numpy --interval 0.9", 3, "leave out coverage (--interval), or use a TabularRegressor."),
        ("export buys.npz", 2, "needs --to: the format: Python source that needs only NumPy, or an ONNX graph."),
        ("explain buys.npz people.csv --row 2,3", 2, "an integer of at least 0; repeat the option for several."),
        ("explain buys.npz town.csv", 3, "The table has no column 'age'"),
        ("check-gradients module.py:f --size 3", 2, "nor installed: give MODULE:FUNCTION, without .py."),
        ("check-gradients module.py people.csv", 2, "is not a model file: give a function as module:FUNCTION."),
        ("check-gradients module:g --size 3", 2, "has no function 'g': give the name of a function of this file."),
        ("check-gradients buys.npz", 2, "Give a table too: its rows are needed to check a model's gradients."),
        ("convert people.csv out --words agee", 3, "people.csv has no column 'agee': did you mean 'age'?"),
        ("learn grade-worksheets none", 2, "none is not a folder: give the folder with the saved answers."),
        ("help train", 2, "has no command 'help': did you mean vecprop --help? See vecprop --help."),
        ("-V", 2, "vecprop has no option -V: see vecprop --help."),
    ],
)  # fmt: skip
def test_mistakes_end_in_advice(
    vecprop, models, people, tmp_path, arguments, code, says
):
    for name in ("people.csv", "buys.npz"):
        shutil.copy(models / name, tmp_path / name)
    (tmp_path / "folder").mkdir()
    (tmp_path / "module.py").write_text(
        "def f(theta):\n    return theta @ theta, 2 * theta\n"
    )
    people[["town", "buys"]].to_csv(tmp_path / "town.csv", index=False)
    if "mlp.npz" in arguments:
        X = people[["age", "town"]].assign(town=1.0)
        vp.save(
            vp.MLPClassifier(random_state=0).initialize(X, people["buys"]),
            tmp_path / "mlp.npz",
        )
    assert says in vecprop(*arguments.split(), code=code).stderr


@pytest.mark.long
@pytest.mark.usefixtures("no_pictures")
def test_the_positive_class_of_a_command(vecprop, result_of, people, table):
    rare = people.assign(buys=np.where(people["age"] > 70, "fraud", "ok"))
    rare.to_csv(table, index=False)
    done = vecprop(
        "train",
        table,
        "--target",
        "buys",
        "--threshold",
        "f1",
        "--report",
        "page.html",
        *FAST,
    )
    assert "positive  'fraud', threshold" in done.stdout
    assert "F1 of 'fraud'" in done.stdout
    assert "PR AUC of &#x27;fraud&#x27;" in Path("page.html").read_text(
        encoding="utf-8"
    ).replace("&#39;", "&#x27;")
    assert "recall of 'fraud'" in vecprop("evaluate", "people.npz", table).stdout
    found = result_of("evaluate", "people.npz", table)
    assert found["positive"] == "fraud"
    predicted, truth = (
        load("people.npz").predict(rare) == "fraud",
        rare["buys"] == "fraud",
    )
    assert found["scores"]["recall"]["value"] == pytest.approx(
        (predicted & truth).sum() / truth.sum()
    )
    assert result_of("info", "people.npz")["positive"] == "fraud"
    said = refused(
        vecprop,
        "train",
        table,
        "--target",
        "buys",
        "--positive",
        "x",
        "--force",
        *FAST,
        code=3,
    )
    assert said.startswith(
        "The target 'buys' has the classes 'fraud' and 'ok', but positive is 'x'"
    )
    refused(
        vecprop,
        "train",
        table,
        "--target",
        "spends",
        "--positive",
        "1",
        "--force",
        *FAST,
    )


def test_predictions_as_json(vecprop, trained, people):
    done = vecprop(
        "predict", "buys.npz", "people.csv", "--json", "--keep", "town", "--chunk", 70
    )
    rows = json.loads(done.stdout)
    assert [row["town"] for row in rows] == people["town"].tolist()
    model = load("buys.npz")
    assert [row["prediction"] for row in rows] == model.predict(people).tolist()
    np.testing.assert_array_equal(
        [row["probability of yes"] for row in rows], model.predict_proba(people)[:, 1]
    )
    said = refused(
        vecprop, "predict", "buys.npz", "people.csv", "--json", "-o", "p.csv"
    )
    assert (
        said
        == "--json prints the predictions, and -o writes them to p.csv: give only one"
        " of the two."
    )


def test_a_model_is_explained_with_and_without_a_table(
    vecprop, result_of, trained, people
):
    model, table = "spends.npz", "people.csv"
    done = vecprop("explain", model, table)
    assert done.stdout.startswith(
        f"Rise of the squared error on 200 rows of {table} when"
    )
    assert done.stdout.splitlines()[2].split()[0] == "age"
    assert re.search(
        r"\d+ of 200 rows are exact duplicates of training rows", done.stderr
    )
    found = result_of("explain", model, table)["importances"]
    assert {name for each in found for name in each["columns"]} == {
        "age",
        "town",
        "visits",
        "buys",
    }
    assert found[0]["low"] <= found[0]["rise"] <= found[0]["high"]
    assert (
        "on rows drawn from the training distributions"
        in vecprop("explain", model).stdout
    )
    people.drop(columns="spends").to_csv("new.csv", index=False)
    done = vecprop("explain", model, "new.csv", "-o", "importances.csv")
    assert pd.read_csv("importances.csv").columns.tolist() == [
        "column",
        "importance",
        "low",
        "high",
    ]
    assert (
        refused(vecprop, "explain", model, "--row", 2)
        == "--row needs a table: give TABLE too."
    )
    refused(vecprop, "explain", model, table, "--background", table)


@pytest.mark.parametrize(
    "command", ["predict --chunk 20", "predict --json", "evaluate", "train --help"]
)
def test_a_pipe_closed_under_a_command_is_not_an_error(trained, monkeypatch, command):
    monkeypatch.chdir(trained)
    read, write = os.pipe()
    os.close(read)
    with (
        os.fdopen(write, "w") as output,
        redirect_stdout(output),
        pytest.raises(SystemExit) as ended,
    ):
        exit_with(*command.split(), "buys.npz", "people.csv")
    assert ended.value.code == 0


@pytest.mark.long
@pytest.mark.parametrize("arguments", ["train --help", "predict buys.npz people.csv"])
def test_a_closed_pipe_is_not_an_error(trained, arguments):
    command = (
        "import sys; sys.argv[0] = 'vecprop'; from vecprop.app import main; main()"
    )
    line = (
        f"{shlex.join([sys.executable, '-c', command])} {arguments} | true; echo"
        " ${PIPESTATUS[0]}"
    )
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=True, cwd=trained
    )
    assert done.stdout == "0\n"
    assert all(line.startswith("Note: ") for line in done.stderr.splitlines())

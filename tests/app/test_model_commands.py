"""Test ``predict``, ``evaluate``, ``check-gradients``, ``export`` and ``info``."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vecprop as vp
from sampled import sampled
from shared_commands import FAST


def read(text):
    path = Path("read.csv")
    path.write_text(text)
    return pd.read_csv(path)


def test_predictions_equal_the_models(vecprop, trained, people):
    done = vecprop("predict", "buys.npz", "people.csv", "--chunk", 33)
    found = read(done.stdout)
    model = vp.load("buys.npz")
    assert list(found) == ["prediction", "probability of no", "probability of yes"]
    assert found.prediction.tolist() == model.predict(people).tolist()
    np.testing.assert_allclose(
        found.iloc[:, 1:], model.predict_proba(people), rtol=1e-12
    )


def test_intervals_and_kept_columns(vecprop, trained, people):
    done = vecprop(
        "predict", "spends.npz", "people.csv", "--interval", 0.8, "--keep", "town"
    )
    found = read(done.stdout)
    assert list(found) == ["town", "prediction", "low", "high"]
    assert found.town.tolist() == people.town.tolist()
    np.testing.assert_allclose(
        found[["low", "high"]], vp.load("spends.npz").predict_interval(people, 0.8)
    )


FORMATS = [("p.parquet", 37), ("p.feather", 1000), ("p.csv.gz", 37), ("p.tsv", 1000)]


@pytest.mark.parametrize(("name", "chunk"), sampled(FORMATS))
def test_the_extension_selects_the_format(vecprop, trained, people, name, chunk):
    people.to_parquet("in.parquet")
    done = vecprop("predict", "spends.npz", "in.parquet", "-o", name, "--chunk", chunk)
    read = {
        "parquet": pd.read_parquet,
        "feather": pd.read_feather,
        "gz": pd.read_csv,
        "tsv": pd.read_table,
    }
    found = read[name.split(".")[-1]](name)
    np.testing.assert_allclose(
        found.prediction, vp.load("spends.npz").predict(people), rtol=1e-6
    )
    assert done.stdout == ""
    vecprop("predict", "spends.npz", "in.parquet", "-o", name, code=2)  # it exists
    vecprop("predict", "spends.npz", "in.parquet", code=2)  # Parquet on a terminal


def test_unsupported_formats_and_missing_files_are_named(vecprop, trained):
    for name in ("p.xlsx", "p.csv.bz2", "p.parquet.gz"):
        done = vecprop("predict", "buys.npz", "people.csv", "-o", name, code=2)
        assert done.stderr.startswith(
            f"{name} does not have the extension of a table: name it .csv"
        )
        assert not Path(name).exists()
    for command in ("predict", "evaluate", "check-gradients"):
        done = vecprop(command, "bys.npz", "people.csv", code=3)
        assert done.stderr == "There is no file bys.npz: did you mean 'buys.npz'?\n"


def test_columns_may_be_reordered_missing_or_of_other_types(vecprop, trained, people):
    people[["spends", "town", "visits", "age"]].astype({"age": str}).assign(
        more=1
    ).to_csv("other.csv", index=False)
    done = vecprop("predict", "buys.npz", "other.csv")
    assert "'more'" in done.stderr
    assert (
        read(done.stdout).prediction.tolist()
        == vp.load("buys.npz").predict(people).tolist()
    )
    people.rename(columns={"age": "Age "}).to_csv("renamed.csv", index=False)
    done = vecprop("predict", "buys.npz", "renamed.csv", "-o", "out.csv", code=3)
    assert "no column 'age', which the model needs: did you mean 'Age" in done.stderr
    assert not Path("out.csv").exists()


def test_a_failure_halfway_writes_no_file(vecprop, trained, people):
    pd.concat([people] * 2).to_csv("long.csv", index=False)
    with Path("long.csv").open("a") as file:
        file.write("1,2,3,4,5,6,7\n")
    assert (
        "line 402"
        in vecprop(
            "predict", "buys.npz", "long.csv", "-o", "out.csv", "--chunk", 100, code=3
        ).stderr
    )
    assert not Path("out.csv").exists()


def test_models_saved_in_python_predict_tables_too(vecprop, people):
    model = make_pipeline(
        StandardScaler(),
        vp.MLPClassifier(
            (4,), solver="lbfgs", alpha=1.0, max_iter=1000, random_state=0
        ),
    )
    model.fit(people[["age", "visits"]], people.buys)
    vp.save(model, "own.npz")
    people[["town", "visits", "age", "buys"]].to_csv("people.csv", index=False)
    expected = model.predict(people[["age", "visits"]]).tolist()
    assert (
        read(vecprop("predict", "own.npz", "people.csv").stdout).prediction.tolist()
        == expected
    )
    vecprop("evaluate", "own.npz", "people.csv", code=2)  # which column?
    vecprop("evaluate", "own.npz", "people.csv", "--target", "buys")
    vecprop("check-gradients", "own.npz", "people.csv", "--target", "buys")
    vecprop("export", "own.npz", "--to", "numpy")
    names = runpy.run_path("own.py")
    assert names["predict"](people[["age", "visits"]].to_numpy()).tolist() == expected
    vecprop("export", "own.npz", "--to", "numpy", code=2)  # it exists


def test_tabular_models_and_their_intervals_are_exported(vecprop, trained, people):
    vecprop("export", "buys.npz", "--to", "numpy", "-o", "buys.py")
    assert (
        runpy.run_path("buys.py")["predict"](people).tolist()
        == vp.load("buys.npz").predict(people).tolist()
    )
    model = vp.load("spends.npz")
    vecprop(
        "export", "spends.npz", "--to", "numpy", "--interval", 0.8, "-o", "model.py"
    )
    names = runpy.run_path("model.py")
    np.testing.assert_allclose(
        names["predict"](people), model.predict(people), rtol=1e-6
    )
    np.testing.assert_allclose(
        names["predict_interval"](people),
        model.predict_interval(people, 0.8),
        rtol=1e-5,
    )
    pytest.importorskip("skl2onnx")
    assert (
        vecprop("export", "buys.npz", "--to", "onnx", "-o", "model.onnx").stderr == ""
    )
    session = pytest.importorskip("onnxruntime").InferenceSession("model.onnx")
    assert {given.name for given in session.get_inputs()} == set(
        vp.load("buys.npz").encoder_.names
    )
    done = vecprop(
        "export",
        "spends.npz",
        "--to",
        "onnx",
        "--interval",
        0.9,
        "-o",
        "model.onnx",
        "--force",
    )
    session = pytest.importorskip("onnxruntime").InferenceSession("model.onnx")
    assert [given.name for given in session.get_outputs()] == [
        "variable",
        "low",
        "high",
    ]
    done = vecprop(
        "export",
        "buys.npz",
        "--to",
        "onnx",
        "--interval",
        0.9,
        "-o",
        "buys.onnx",
        code=3,
    )
    assert "has no intervals" in done.stderr


@pytest.mark.long
@pytest.mark.filterwarnings("always:A graph cannot read")
def test_unsupported_exports_raise_an_error(vecprop, people):
    text = [f"word{number % 11} and word{number % 13}" for number in range(200)]
    vp.save(
        vp.TabularClassifier("buys", n_estimators=2, max_iter=1).fit(
            people.assign(text=text)
        ),
        "texts.npz",
    )
    done = vecprop("export", "texts.npz", "--to", "numpy", code=3)
    assert done.stderr.startswith(
        "Column 'text' has the kind 'text', but NumPy source supports only numbers"
    )
    assert not Path("texts.py").exists()
    pytest.importorskip("skl2onnx")
    done = vecprop("export", "texts.npz", "--to", "onnx")
    assert done.stderr.startswith(
        "Note: A graph cannot read the column(s) 'text' (text)"
    )


def test_classes_of_another_type_are_matched_by_name(vecprop, trained, people):
    people.assign(buys=np.where(people.buys == "yes", 1, 0)).to_csv(
        "numbers.csv", index=False
    )
    vp.save(
        vp.TabularClassifier("buys", n_estimators=2, max_iter=1).fit("numbers.csv"),
        "numbers.npz",
    )
    # not a class: "0.0"
    people.assign(buys=np.where(people.buys == "yes", "1", "0.0")).to_parquet(
        "text.parquet"
    )
    done = vecprop("evaluate", "numbers.npz", "text.parquet", "--json")
    assert (
        f"{(people.buys == 'no').sum()} rows have classes that did not occur in"
        " training" in done.stdout
    )
    done = vecprop("check-gradients", "buys.npz", "numbers.csv", code=3)
    assert "none of the model's classes, such as 'no', 'yes'" in done.stderr


def test_notes_on_a_table_appear_once(vecprop, trained, people):
    people.rename(columns={"visits": "Besuche"}).to_csv("people.csv", index=False)
    Path("people.csv").write_bytes(
        Path("people.csv").read_bytes()
        + "50,Köln,3,yes,100\n51,Rome\n".encode("cp1252")
    )
    for *command, notes in (
        # including the missing target
        ("train", "people.csv", "--target", "buys", *FAST, 3),
        ("evaluate", "people.npz", "people.csv", 3),
        ("explain", "people.npz", "people.csv", 3),
        ("predict", "people.npz", "people.csv", 2),
    ):
        done = vecprop(*command)
        said = [
            line
            for line in done.stderr.splitlines()
            if "cp1252" in line or "line 203" in line or "without a target" in line
        ]
        assert len(said) == notes, said


def test_evaluation_scores_only_rows_with_finite_targets(vecprop, trained, people):
    people.assign(buys=people.buys.where(people.index % 2 == 0)).to_csv(
        "half.csv", index=False
    )
    done = vecprop("evaluate", "buys.npz", "half.csv", "--json")
    result, half = json.loads(done.stdout), people[::2]
    assert result["rows"] == 100
    expected = log_loss(half.buys, vp.load("buys.npz").predict_proba(half))
    assert result["scores"]["log_loss"]["value"] == pytest.approx(expected)
    shown = vecprop("evaluate", "spends.npz", "people.csv").stdout
    assert shown.partition("\n\n")[2].startswith(
        "on 200 rows of people.csv (95 % interval)  spends.npz\nRMSE "
    )
    people[:1].to_csv("one.csv", index=False)
    done = vecprop("evaluate", "spends.npz", "one.csv", "--json")
    scores = json.loads(done.stdout, parse_constant=pytest.fail)["scores"]
    # the variance of one row is undefined
    assert scores["r2"] == {"value": None, "low": None, "high": None}
    assert scores["mae"]["value"] > 0


def test_gradients_of_models_and_functions_are_checked(vecprop, trained):
    for target in ("buys", "spends"):
        assert (
            "PASS: No gradient errors found"
            in vecprop("check-gradients", f"{target}.npz", "people.csv").stdout
        )
    Path("mine_of_the_tests.py").write_text(
        "def right(w): return (w * w).sum(), 2 * w\ndef wrong(w): return (w *"
        " w).sum(), w\n"
    )
    vecprop("check-gradients", "mine_of_the_tests:right", "--size", 3)
    done = vecprop(
        "check-gradients", "mine_of_the_tests:wrong", "--size", 3, "--json", code=5
    )
    assert json.loads(done.stdout)["verdict"] == "FAIL"
    vecprop("check-gradients", "mine_of_the_tests:right", code=2)
    assert (
        "has no function 'none'"
        in vecprop(
            "check-gradients", "mine_of_the_tests:none", "--size", 3, code=2
        ).stderr
    )
    assert (
        "'nothing_here' is neither"
        in vecprop("check-gradients", "nothing_here:f", "--size", 3, code=2).stderr
    )
    for rest in (("people.csv",), ("--target", "buys")):
        done = vecprop(
            "check-gradients", "mine_of_the_tests:right", *rest, "--size", 3, code=2
        )
        assert "leave out TABLE and --target" in done.stderr
    assert (
        "--size is for functions"
        in vecprop(
            "check-gradients", "buys.npz", "people.csv", "--size", 3, code=2
        ).stderr
    )


def test_information(vecprop, result_of, trained):
    said = result_of("info", "buys.npz")
    assert said["model"] == "TabularClassifier"
    assert said["target"] == "buys"
    assert said["classes"] == ["no", "yes"]
    assert (said["columns"]["age"], said["columns"]["buys"]) == ("numbers", "classes")
    assert 0 < said["metrics"]["accuracy"] <= 1
    assert said["written by"]["vecprop"] == vp.__version__
    text = vecprop("info", "spends.npz").stdout
    assert "TabularRegressor" in text
    assert "Dense(4)" in text
    for command in (
        ["info", "people.csv"],
        ["predict", "people.csv", "people.csv"],
        ["evaluate", "none.npz", "t.csv"],
    ):
        vecprop(*command, code=3)


KEPT = [
    ("csv", "p.parquet"),
    ("feather", "p.parquet"),
    ("parquet", "p.csv"),
    ("csv", "p.csv"),
]


@pytest.mark.parametrize(("ending", "output"), sampled(KEPT))
def test_copied_columns_are_unchanged(vecprop, trained, people, ending, output):
    zips = ["01234", "2"] * 100
    # more digits than a float can represent
    ids = pd.array([9007199254740993, None, *range(198)], dtype="Int64")
    kept = people.assign(zip=zips, id=ids, day=pd.to_datetime("2024-02-01"))
    write = {
        "csv": lambda name: kept.to_csv(name, index=False),
        "parquet": kept.to_parquet,
        "feather": kept.to_feather,
    }
    write[ending](f"in.{ending}")
    options = [
        *("--keep", "zip", "--keep", "id", "--keep", "day"),
        "-o",
        output,
        "--chunk",
        66,
    ]
    vecprop("predict", "spends.npz", f"in.{ending}", *options)
    if output == "p.csv":
        found = pd.read_csv(output, dtype=str, keep_default_na=False)
    else:
        found = (
            pd.read_parquet(output, dtype_backend="pyarrow").astype("string").fillna("")
        )
    assert list(found) == ["zip", "id", "day", "prediction"]
    assert found.zip.tolist() == zips
    assert found.id.tolist()[:3] == ["9007199254740993", "", "0"]
    assert found.day.str.startswith("2024-02-01").all()


def test_integers_of_a_sheet_stay_integers_with_empty_cells(vecprop, trained, people):
    sheet = people[:3].assign(a=[1, None, 2.5], b=[" x", 7, True])
    sheet.to_excel("s.xlsx", index=False)
    done = vecprop("predict", "buys.npz", "s.xlsx", "--keep", "a", "--keep", "b")
    kept = [line.split(",")[:2] for line in done.stdout.splitlines()[1:]]
    assert kept == [["1", " x"], ["", "7"], ["2.5", "True"]]


def test_durations_and_the_target_give_no_note():
    frame = pd.DataFrame(
        {"spent": pd.to_timedelta(np.arange(40) % 7, unit="h"), "y": np.arange(40.0)}
    )
    model = vp.TabularRegressor("y", n_estimators=2, max_iter=1, random_state=0).fit(
        frame
    )
    assert model.detect_drift(frame) == []


def test_copied_columns_may_change_type_but_not_replace_predictions(
    vecprop, trained, people
):
    people.assign(id=[*range(150), *("x" * 50)]).to_csv("in.csv", index=False)
    options = ("--keep", "id", "-o", "p.parquet", "--chunk", 100)
    vecprop("predict", "spends.npz", "in.csv", *options)
    assert pd.read_parquet("p.parquet").id.tolist() == [
        *map(str, range(150)),
        *("x" * 50),
    ]
    people.assign(prediction=7).to_csv("in.csv", index=False)
    done = vecprop(
        "predict", "spends.npz", "in.csv", "--keep", "prediction", "-o", "p.csv", code=2
    )
    assert done.stderr.startswith(
        "--keep 'prediction' clashes with a column of predictions"
    )
    assert not Path("p.csv").exists()
    done = vecprop("predict", "spends.npz", "in.csv", "--keep", "twon", code=3)
    assert done.stderr == "The table has no column 'twon': did you mean 'town'?\n"


def test_streams_can_be_read_and_written(vecprop, trained, people):
    expected = vecprop("predict", "spends.npz", "people.csv").stdout
    assert vecprop("predict", "spends.npz", "people.csv", "-o", "-").stdout == expected
    people.to_parquet("in.parquet")
    assert vecprop("predict", "spends.npz", "in.parquet", "-o", "-").stdout == expected
    text = Path("people.csv").read_bytes()
    assert vecprop("predict", "spends.npz", "-", text=text).stdout == expected
    vecprop("evaluate", "spends.npz", "-", text=text)
    done = vecprop("train", "-", "--target", "buys", *FAST, text=text, code=2)
    assert (
        done.stderr
        == "The table is read from standard input: name the model file with -o.\n"
    )
    vecprop("train", "-", "--target", "buys", "-o", "m.npz", *FAST, text=text)
    vecprop("export", "m.npz", "--to", "numpy", "-o", "-", code=2)
    written = {"in.parquet", "m.npz", "m.toml"}
    assert (
        set(map(str, Path().iterdir()))
        == {"people.csv", "buys.npz", "spends.npz"} | written
    )


def test_a_model_is_not_overwritten_and_byte_columns_are_read(vecprop, trained, people):
    content = Path("spends.npz").read_bytes()
    Path("model.csv").write_bytes(content)
    done = vecprop(
        "predict", "model.csv", "people.csv", "-o", "model.csv", "--force", code=2
    )
    assert done.stderr == "model.csv is an input file: choose another name with -o.\n"
    assert Path("model.csv").read_bytes() == content
    people.assign(key=[b"\xff\x00", b"\xfe"] * 100).to_parquet("in.parquet")
    for command in (
        ["train", "in.parquet", "--target", "buys", *FAST],
        ["predict", "in.npz", "in.parquet", "-o", "-"],
    ):
        vecprop(*command)


def test_control_characters_are_escaped(vecprop, people):
    people.rename(columns={"town": "\x1b[31mtown"}).assign(**{"\x1b]0;one": 1}).to_csv(
        "in.csv", index=False
    )
    for command in (
        ["train", "in.csv", "--target", "buys", *FAST],
        ["info", "in.npz"],
        ["evaluate", "in.npz", "in.csv"],
        ["train", "\x1b[2Jin.csv", "--target", "buys"],
        ["train", "in.csv", "--target", "\x1b[2Jbuys", "--force"],
    ):
        assert (
            "\x1b"
            not in vecprop(
                *command, code=3 if "\x1b[2J" in "".join(map(str, command)) else 0
            ).output
        )
    assert r"\x1b[31mtown" in vecprop("info", "in.npz").stdout


def test_messages_are_shortened(vecprop, people):
    vp.save(
        vp.TabularRegressor("spends", n_estimators=2, max_iter=1).fit(
            people.rename(columns={"age": "age" * 400})
        ),
        "in.npz",
    )
    people.to_csv("other.csv", index=False)
    done = vecprop("predict", "in.npz", "other.csv", code=3)
    assert len(done.stderr) <= 501
    assert done.stderr.startswith("The table has no column 'ageage")
    assert done.stderr.endswith("which the model needs.\n")


def test_rows_that_pipeline_steps_reject_are_data_errors(vecprop, people):
    numbers = people[["age", "visits"]]
    model = make_pipeline(
        StandardScaler(),
        vp.MLPClassifier((4,), solver="lbfgs", alpha=1.0, random_state=0),
    )
    vp.save(model.fit(numbers, people.buys), "own.npz")
    people.assign(age="old").to_csv("in.csv", index=False)
    for command in ("predict", "evaluate", "check-gradients"):
        done = vecprop(
            command,
            "own.npz",
            "in.csv",
            *([] if command == "predict" else ["--target", "buys"]),
            code=3,
        )
        assert done.stderr.startswith(
            "A step of the pipeline failed on this table: could not convert string"
        )


def test_a_single_row_is_predicted_as_among_others(vecprop, tmp_path):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 600))).add_prefix("x")
    network = vp.MLPClassifier((64, 64), max_iter=1, random_state=0)
    with pytest.warns(match="converged"):
        network.fit(X, np.arange(40) % 13)
    vp.save(network, "network.npz")
    found = []
    for rows in (40, 1):
        X[:rows].to_parquet("X.parquet", index=False)
        vecprop("predict", "network.npz", "X.parquet", "-o", "Y.parquet", "--force")
        found.append(pd.read_parquet("Y.parquet"))
    whole, row = found
    pd.testing.assert_frame_equal(row, whole[:1], check_exact=True)


def test_commands_accept_models_with_several_targets(vecprop, people, tmp_path):
    people.to_csv("people.csv", index=False)
    settings: Any = {"n_estimators": 2, "max_iter": 2, "random_state": 0}
    numbers = vp.TabularRegressor(["age", "spends"], **settings).fit(people)
    labels = people.assign(often=people["visits"] > 3).drop(columns="visits")
    classes = vp.TabularClassifier(["buys", "often"], **settings).fit(labels)
    labels.to_csv("labels.csv", index=False)
    vp.save(numbers, "numbers.npz")
    vp.save(classes, "classes.npz")
    assert "['age', 'spends']" in vecprop("info", "numbers.npz").stdout
    assert "['buys', 'often']" in vecprop("info", "classes.npz").stdout
    vecprop("predict", "numbers.npz", "people.csv", "--interval", 0.8, "-o", "p.csv")
    expected = ["prediction of age", "prediction of spends", "low of age"]
    predicted = pd.read_csv("p.csv")
    assert predicted.columns.tolist()[:3] == expected
    np.testing.assert_allclose(predicted.iloc[:, :2], numbers.predict(people))
    header = vecprop("predict", "classes.npz", "labels.csv").stdout.splitlines()[0]
    assert header.endswith("probability of buys,probability of often")
    result = json.loads(
        vecprop("evaluate", "numbers.npz", "people.csv", "--json").stdout
    )
    assert list(result["targets"]) == ["age", "spends"]
    assert result["targets"]["age"]["scores"]["r2"]["value"] < 1
    text = vecprop("evaluate", "classes.npz", "labels.csv").stdout
    assert text.index("\noften\n") > text.index("log loss")
    for command in ("explain", "check-gradients"):
        done = vecprop(command, "numbers.npz", "people.csv", code=3)
        assert "several targets cannot be" in done.stderr

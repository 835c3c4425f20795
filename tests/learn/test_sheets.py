"""Worksheets: their numbers, what is filled in, and a class of them."""

import json
import re

import numpy as np
import pytest

import vecprop as vp
from vecprop import learn
from vecprop.learn.sheet_files import graded_sheet, names_of, rows_of_grades, sheets_of, written

SHEET = learn.worksheet("2-3-2", rows=4, seed=7)


def answers_of(sheet):
    """Return the answers of one who fills in everything, to three decimals."""
    return {value.name: value.array.round(3).tolist() for value in sheet.blanks}


@pytest.mark.parametrize(
    ("activation", "loss"),
    [("logistic", "softmax"), ("tanh", "logistic"), ("relu", "squared_error"), ("gelu", "softmax")],
)
def test_numbers_are_round_and_worth_computing(loss, activation):
    other = learn.worksheet("2-3-2", rows=3, seed=99)
    for seed in range(3):
        sheet = learn.worksheet("2-3-2", rows=3, activation=activation, loss=loss, seed=seed)
        for value in sheet.given:
            np.testing.assert_array_equal(2 * value.array, np.round(2 * value.array))
        assert (np.abs(sheet.trace["delta_Z1"]).max(axis=0) > 0.02).all()
        assert sheet.network.loss_function.reduction == "sum"
        assert sheet.check(answers_of(sheet)).right
        gradient = sheet.network.loss_and_gradient(sheet.trace.theta, sheet.trace["X"], sheet.trace["T"])[1]
        np.testing.assert_array_equal(sheet.trace.gradient, gradient)
        assert not np.array_equal(sheet.trace.theta, other.trace.theta)


def test_each_value_is_checked_and_what_follows_has_half():
    answers = answers_of(SHEET)
    answers["Z1"][0][1] += 0.5
    H1 = 1 / (1 + np.exp(-np.array(answers["Z1"])))
    answers["H1"] = H1.tolist()
    del answers["Y"]
    answers["l"] = [answers["l"]]
    answers["J_W1"] = np.array(answers["J_W1"]).T.tolist()
    answers["delta_Z2"][0][0] = ""
    grades = SHEET.check(answers)
    assert grades["Z1"].mistake == "1 of 12 entries are wrong"
    assert grades["Z1"].hint(1) == "Look at the entries [0, 1]."
    assert (grades["H1"].points, grades["H1"].mistake) == (0.5, "it follows from a value that is wrong")
    assert grades["l"].right
    for name in ("Y", "J_W1", "delta_Z2"):
        assert grades[name].mistake == "it is not filled in, or of another shape"
    assert grades["J_b1"].right
    assert "should be" in grades["Z1"].hint(3)
    assert SHEET.check(answers, "J_b1").right
    with pytest.raises(ValueError, match="There is no blank 'W1', only Z1, H1"):
        SHEET.check(answers, ["W1"])
    for value in SHEET.blanks:
        for wrong in (-value.array, 2 * value.array, value.array + 0.03 * (1 + np.abs(value.array).max())):
            assert not SHEET.check(answers_of(SHEET) | {value.name: wrong}, value.name).right, value.name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": "2"}, "The shape '2' is not one such as 2-3-2"),
        ({"shape": "2-51-2"}, "at most 50 units"),
        ({"rows": 51}, "rows from 1 to 50"),
        ({"seed": -1}, "seed from 0"),
        ({"shape": "2-1"}, "A softmax needs at least 2 outputs"),
        ({"activation": "sin"}, "There is no activation 'sin'"),
        ({"name": "x" * 201}, "at most 200 letters"),
    ],
)
def test_what_makes_no_sheet_is_said(change, message):
    assert learn.Worksheet("2-2", 1) == learn.worksheet("2-2", rows=1)  # one that is made by position
    with pytest.raises(ValueError, match=message):
        learn.worksheet(**{"shape": "2-3-2"} | change)


def test_pages_hold_fields_and_no_solution_and_names_are_text(tmp_path):
    sheet = learn.worksheet("2-3-2", seed=7, name="<script>alert(1)</script>")
    page, solved = written(sheet, ".html"), written(sheet, ".html", solution=True)
    assert page.count("<input ") == sum(value.array.size for value in sheet.blanks)
    assert "<script>alert" not in page
    assert f"{sheet.trace['L']:.4g}" not in page
    assert f"{sheet.trace['L']:.4g}" in solved
    assert "<input " not in solved
    details = json.loads(re.findall(r'id="sheet">(.*?)</script>', page)[0])
    assert details == sheet.to_dict()
    flat = {name: np.ravel(values) for name, values in answers_of(sheet).items()}
    answers = {name: [f"{x:.3f}".replace(".", ",") for x in values] for name, values in flat.items()}
    answers["J_b2"] = ["0", "x"]
    (tmp_path / "a.json").write_text(json.dumps({"worksheet": details, "answers": answers}))
    found, grades = graded_sheet(tmp_path / "a.json", 1, 1000)
    assert found == sheet
    assert [name for name, grade in grades.items() if not grade.right] == ["J_b2"]


def test_a_class_has_a_sheet_for_each_name(tmp_path):
    (tmp_path / "a.csv").write_text("number,Name\n1,Ada\n2,\n3,Ada\n4,../Emmy\n", encoding="utf-8")
    assert names_of(tmp_path / "a.csv") == ["Ada", "Ada", "../Emmy"]
    (tmp_path / "b.csv").write_text("Ada\nEmmy\n")
    assert names_of(tmp_path / "b.csv") == ["Ada", "Emmy"]
    (tmp_path / "c.csv").write_text("\n")
    with pytest.raises(ValueError, match="has no names"):
        names_of(tmp_path / "c.csv")
    made = list(sheets_of(SHEET, ["Ada", "Ada", "../Emmy", "…"]))
    assert [(stem, sheet.seed) for stem, sheet in made] == [("Ada", 7), ("Ada-2", 8), ("Emmy", 9), ("sheet", 10)]
    assert not np.array_equal(made[0][1].trace["Z1"], made[1][1].trace["Z1"])


def test_files_that_are_no_sheets_have_a_line_too(tmp_path):
    for name, content in {
        "a.json": "{",
        "b.json": '{"worksheet": {"shape": "999999-2"}}',
        "c.json": '{"worksheet": {"shape": "2-2", "rows": 2}, "answers": {"Z1": {"x": 1}, "L": ["1e999"]}}',
        "c2.json": '{"worksheet": {"shape": "2-2"}, "answers": 1}',
        "d.md": "# no sheet",
        "e.ipynb": "[]",
    }.items():
        (tmp_path / name).write_text(content)
    rows = list(rows_of_grades(tmp_path, 1, 1000))
    assert [row["file"] for row in rows] == ["a.json", "b.json", "c.json", "c2.json", "d.md", "e.ipynb"]
    assert [row["points"] for row in rows] == [0] * 6
    assert "is no file of answers" in rows[0]["notes"]
    assert all("does not say which worksheet" in rows[k]["notes"] for k in (1, 4))
    assert rows[3]["notes"].endswith("has no answers.")
    assert rows[2]["out_of"] > 0

    network = learn.worksheet("3-4-4-1", activation="elu", loss="squared_error").network
    layers = [vp.Dense(4), vp.ELU(), vp.Dense(4), vp.ELU(), vp.Dense(1)]
    assert network == vp.Network(3, layers, vp.SquaredError(reduction="sum"))


@pytest.mark.long
@pytest.mark.parametrize("ending", [".md", ".ipynb"])
def test_sheets_as_code_are_run_and_graded(tmp_path, ending):
    sheet = learn.worksheet("2-3-1", activation="tanh", loss="logistic", seed=3, name="Ada 'L' \"x\"")
    path = tmp_path / f"sheet{ending}"
    solution = written(sheet, ending, solution=True)
    if ending == ".ipynb":  # the first cell is formatted by another program
        solution = solution.replace("learn.worksheet('2-3-1', ", "learn.worksheet(\\n    shape='2-3-1', ")
    path.write_text(solution, encoding="utf-8", newline="\r\n")
    found, grades = graded_sheet(path, 30, 2048)
    assert found == sheet
    assert grades.right, grades
    path.write_text(written(sheet, ending).replace("Z1 = None", "Z1 = X @ W1 + b1"), encoding="utf-8")
    found, grades = graded_sheet(path, 30, 2048)
    assert [name for name, grade in grades.items() if grade.right] == ["Z1"]

"""Test worksheets: their numbers, grades and files."""

import json
import re

import numpy as np
import pytest

import vecprop as vp
from sampled import sampled
from vecprop import learn
from vecprop.learn.sheet import number_of
from vecprop.learn.sheet_files import (
    graded_sheet,
    names_of,
    rows_of_grades,
    sheets_of,
    written,
)
from vecprop.learn.tracing.equations import computed

SHEET = learn.worksheet("2-3-2", rows=4, seed=7)


def answers_of(sheet):
    """Return complete and correct answers, rounded to three decimals."""
    return {value.name: value.array.round(3).tolist() for value in sheet.blanks}


@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        ("logistic", "softmax"),
        ("tanh", "logistic"),
        ("relu", "squared_error"),
        ("gelu", "softmax"),
    ],
)
def test_numbers_are_rounded_and_nontrivial(loss, activation):
    other = learn.worksheet("2-3-2", rows=3, seed=99)
    for seed in range(3):
        sheet = learn.worksheet(
            "2-3-2", rows=3, activation=activation, loss=loss, seed=seed
        )
        for value in sheet.given:
            np.testing.assert_array_equal(2 * value.array, np.round(2 * value.array))
        assert (np.abs(sheet.trace["delta_Z1"]).max(axis=0) > 0.02).all()
        assert sheet.network.loss_function.reduction == "sum"
        assert sheet.grade(answers_of(sheet)).right
        gradient = sheet.network.loss_and_gradient(
            sheet.trace.theta, sheet.trace["X"], sheet.trace["T"]
        )[1]
        np.testing.assert_array_equal(sheet.trace.gradient, gradient)
        assert not np.array_equal(sheet.trace.theta, other.trace.theta)


def test_entries_share_points_and_errors_carry_forward():
    answers = answers_of(SHEET)
    answers["Z1"][0][1] += 0.5
    answers["H1"] = (1 / (1 + np.exp(-np.array(answers["Z1"])))).round(3).tolist()
    answers["Z1"][2] = [None, "", np.nan]
    answers["H1"][3][0] = "½x"
    del answers["Y"]
    answers["l"] = [answers["l"]]
    answers["J_W1"] = np.array(answers["J_W1"]).T.tolist()
    grades = SHEET.grade(answers)
    assert grades["Z1"].points == pytest.approx(8 / 12)
    assert grades["Z1"].mistake == "4 of 12 entries are wrong"
    assert (
        grades["Z1"].hint(1)
        == "Not filled in: [2, 0], [2, 1], [2, 2]. Look at the entries [0, 1]."
    )
    assert "should be" in grades["Z1"].hint(3)
    assert grades["H1"].points == pytest.approx(11 / 12)
    assert grades["H1"].hint(1) == "Entry [3, 0] is not a number: '½x'."
    assert grades["H1"].notes == ("It follows from Z1, which contains an error.",)
    assert str(grades["H1"]).endswith(
        "'½x'. (0.92 of 1) It follows from Z1, which contains an error."
    )
    assert grades["l"].right
    assert grades["Y"].hint(1) == "Not filled in: [0, 0], [0, 1], [1, 0], …."
    assert grades["J_W1"].hint(1) == "It should have the shape (2, 3), got (3, 2)."
    assert grades["J_b1"].right
    assert SHEET.grade(answers, "J_b1").right
    with pytest.raises(ValueError, match="Unknown value 'W1': choose from Z1, H1"):
        SHEET.grade(answers, ["W1"])


def test_wrong_values_get_no_points():
    for value in SHEET.blanks:
        for wrong in (
            -value.array,
            2 * value.array,
            value.array + 0.03 * (1 + np.abs(value.array).max()),
        ):
            assert not SHEET.grade(
                answers_of(SHEET) | {value.name: wrong}, value.name
            ).right, value.name


SHEETS = [
    learn.worksheet("2-3-2", seed=15),
    # with a probability of 0.000
    learn.worksheet("3-4-2", rows=8, activation="relu", seed=828567),
    learn.worksheet("2-4-3-1", activation="silu", loss="logistic", seed=1),
    learn.worksheet("2-2-2-2", rows=6, activation="tanh", loss="squared_error", seed=2),
]


def worked(sheet, rounding, **mistakes):
    """Return the answers of a student who rounds intermediate results and makes the given mistakes."""
    values, answers = {value.name: value.array for value in sheet.given}, {}
    for value in sheet.blanks:
        found = np.array(computed(value.name, value.equation, values), float)
        found = mistakes.get(value.name, lambda found, values: found)(found, values)
        # the logarithm of 0.000
        answers[value.name] = np.where(found > 1e11, np.inf, found.round(3))
        values[value.name] = rounding(found)
    return answers


@pytest.mark.parametrize(
    "rounding", sampled([lambda a: a.round(3), lambda a: a.round(4), lambda a: a], 3)
)
@pytest.mark.parametrize("sheet", SHEETS, ids=str)
def test_students_lose_points_only_for_their_own_mistakes(sheet, rounding):
    assert sheet.grade(worked(sheet, rounding)).right
    rng = np.random.default_rng(0)
    for value in rng.choice(np.array(sheet.blanks, object), 4):
        place = tuple(map(rng.integers, value.array.shape))

        def slips(found, values, place=place):
            found[place] += 0.02 if found[place] < 0.9 else -0.02
            return found

        grades = sheet.grade(worked(sheet, rounding, **{value.name: slips}))
        assert grades[value.name].points == pytest.approx(1 - 1 / value.array.size), (
            value.name
        )
        assert all(
            grade.right for name, grade in grades.items() if name != value.name
        ), grades
    forgets = {
        "Z1": lambda found, values: found - values["b1"],
        "delta_Z2": lambda found, values: -found,
        "J_b1": lambda found, values: found / sheet.rows,
    }
    for name, mistake in forgets.items():
        answers = worked(sheet, rounding, **{name: mistake})
        grades = sheet.grade(answers)
        off = np.abs(answers[name] - sheet.trace[name])
        assert (off < 0.001).mean() <= grades[name].points <= (off < 0.005).mean(), name
        assert all(grade.right for other, grade in grades.items() if other != name), (
            grades
        )


def test_a_constant_answer_earns_no_carried_points():
    for number in (0, 0.5, 1):
        assert (
            SHEET.grade(
                {
                    value.name: np.full(value.array.shape, number)
                    for value in SHEET.blanks
                }
            ).points
            < 1.5
        )
    # its derivative is constant
    sheet = learn.worksheet("2-3-2", activation="identity")
    grades = sheet.grade(worked(sheet, np.copy, S_H1=lambda found, values: -found))
    assert [name for name, grade in grades.items() if not grade.right] == ["S_H1"]


def test_numbers_are_read_as_people_write_them():
    texts = [
        "½",
        "- 0.5",
        "−0,5",
        "+.5",
        "-1 1/2",
        "50\u2009%",
        "50%",
        "1e-3",
        "1\u202f234,5",
        "1½",
        "",
        "\u00a0∞",
    ]
    numbers = [0.5, -0.5, -0.5, 0.5, -1.5, 0.5, 0.5, 0.001, 1234.5, 1.5, np.nan, np.inf]
    np.testing.assert_array_equal([number_of(text) for text in texts], numbers)
    for text in ("x", "1 2", "1/0", "1.2.3", "½1", "2²", "-", "%", "1" * 101):
        with pytest.raises((ValueError, ZeroDivisionError)):
            number_of(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": "2"}, "shape must be 2 to 10 integers"),
        ({"shape": "2-51-2"}, "at most 50 units"),
        ({"rows": 51}, "rows must be an integer from 1 to 50"),
        ({"seed": -1}, "seed must be an integer from 0"),
        ({"shape": "2-1"}, "softmax loss needs at least 2 outputs"),
        ({"activation": "sin"}, "Unknown activation 'sin'"),
        ({"name": "x" * 201}, "at most 200 characters"),
    ],
)
def test_invalid_sheets_raise_a_clear_error(change, message):
    # positional arguments
    assert learn.Worksheet("2-2", 1) == learn.worksheet("2-2", rows=1)
    with pytest.raises(ValueError, match=message):
        learn.worksheet(**{"shape": "2-3-2"} | change)


def test_pages_contain_fields_but_no_solution_and_escape_names(tmp_path):
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
    answers = {
        name: [f"{x:.3f}".replace(".", ",") for x in values]
        for name, values in flat.items()
    }
    answers["J_b2"] = ["0", "x"]
    (tmp_path / "a.json").write_text(
        json.dumps({"worksheet": details, "answers": answers})
    )
    found, grades = graded_sheet(tmp_path / "a.json", 1, 1000)
    assert found == sheet
    assert [name for name, grade in grades.items() if not grade.right] == ["J_b2"]


def test_a_class_has_a_sheet_for_each_name(tmp_path):
    (tmp_path / "a.csv").write_text(
        "number,Name\n1,Ada\n2,\n3,Ada\n4,../Emmy\n", encoding="utf-8"
    )
    assert names_of(tmp_path / "a.csv") == ["Ada", "Ada", "../Emmy"]
    (tmp_path / "b.csv").write_text("Ada\nEmmy\n")
    assert names_of(tmp_path / "b.csv") == ["Ada", "Emmy"]
    for separator in (";", "\t"):
        (tmp_path / "d.csv").write_text(
            "\nname;mail\nAda, L.;a\nEmmy;b\n".replace(";", separator)
        )
        assert names_of(tmp_path / "d.csv") == ["Ada, L.", "Emmy"]
    (tmp_path / "c.csv").write_text("\n")
    with pytest.raises(ValueError, match="has no names"):
        names_of(tmp_path / "c.csv")
    made = list(sheets_of(SHEET, ["Ada", "Ada", "../Emmy", "…"]))
    assert [(stem, sheet.seed) for stem, sheet in made] == [
        ("Ada", 7),
        ("Ada-2", 8),
        ("Emmy", 9),
        ("sheet", 10),
    ]
    assert not np.array_equal(made[0][1].trace["Z1"], made[1][1].trace["Z1"])


def test_files_without_a_sheet_are_listed(tmp_path):
    for name, content in {
        "a.json": "{",
        "b.json": '{"worksheet": {"shape": "999999-2"}}',
        "c.json": (
            '{"worksheet": {"shape": "2-2", "rows": 2}, "answers": {"Z1": {"x": 1},'
            ' "L": ["1e999"]}}'
        ),
        "c2.json": '{"worksheet": {"shape": "2-2"}, "answers": 1}',
        "d.md": "# no sheet",
        "e.ipynb": "[]",
    }.items():
        (tmp_path / name).write_text(content)
    rows = list(rows_of_grades(tmp_path, 1, 1000))
    assert [row["file"] for row in rows] == [
        "a.json",
        "b.json",
        "c.json",
        "c2.json",
        "d.md",
        "e.ipynb",
    ]
    assert [row["points"] for row in rows] == [0] * 6
    assert "is not an answer file" in rows[0]["notes"]
    assert all("does not contain the settings" in rows[k]["notes"] for k in (1, 4))
    assert rows[3]["notes"].endswith(
        "has no answers: save them from the worksheet page."
    )
    assert rows[2]["out_of"] > 0

    network = learn.worksheet("3-4-4-1", activation="elu", loss="squared_error").network
    layers = [vp.Dense(4), vp.ELU(), vp.Dense(4), vp.ELU(), vp.Dense(1)]
    assert network == vp.Network(3, layers, vp.SquaredError(reduction="sum"))


@pytest.mark.long
@pytest.mark.parametrize("ending", [".md", ".ipynb"])
def test_sheets_written_as_code_are_graded(tmp_path, ending):
    sheet = learn.worksheet(
        "2-3-1", activation="tanh", loss="logistic", seed=3, name="Ada 'L' \"x\""
    )
    path = tmp_path / f"sheet{ending}"
    solution = written(sheet, ending, solution=True)
    if ending == ".ipynb":  # the first cell is formatted by another program
        solution = solution.replace(
            "learn.worksheet('2-3-1', ", "learn.worksheet(\\n    shape='2-3-1', "
        )
    path.write_text(solution, encoding="utf-8", newline="\r\n")
    found, grades = graded_sheet(path, 30, 2048)
    assert found == sheet
    assert grades.right, grades
    texts = [[f"{4 * x:g}/4" for x in row] for row in sheet.trace["Z1"]]
    path.write_text(
        written(sheet, ending).replace("Z1 = None", f"Z1 = {texts}"), encoding="utf-8"
    )
    found, grades = graded_sheet(path, 30, 2048)
    assert [name for name, grade in grades.items() if grade.right] == ["Z1"]


def test_a_printed_sheet_has_a_name_line_a_drawing_and_three_decimals():
    sheet = learn.worksheet()
    assert sum(value.array.size for value in sheet.blanks) == 30
    page = written(sheet, ".html", solution=True)
    assert "Name:" in page
    assert page.count("<path") == 8
    assert "1 row, " in page
    decimals = re.findall(r"<td>-?\d+\.(\d{3,})</td>", page)
    assert decimals
    assert {len(digits) for digits in decimals} == {3}

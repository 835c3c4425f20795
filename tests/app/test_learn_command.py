"""``vecprop learn``: what is said of a student's file, its exit code, and worksheets of a class."""

import csv
import json
import re

import pytest

from learn.students import RIGHT_NETWORK
from vecprop import learn

RIGHT = "def error_output(Y, T):\n    return Y - T\n"
WRONG = "def error_output(Y, T):\n    return T - Y\n"


def test_wrong_options_are_said(vecprop):
    done = vecprop("learn", "check", "none.py")
    assert (done.exit_code, done.stderr) == (3, "There is no file none.py.\n")
    done = vecprop("learn", "check", "a.py", "--shape", "2-0-1")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "The shape '2-0-1' is not one such as 2-3-2" in done.stderr
    assert "A softmax needs at least 2 outputs" in vecprop("learn", "check", "a.py", "--shape", "2-1").stderr
    for option, name in (("activation", "sin"), ("loss", "l")):
        done = vecprop("learn", "check", "a.py", "--shape", "2-1", f"--{option}", name)
        assert f"There is no {option} '{name}'" in done.stderr


@pytest.mark.long
def test_points_messages_and_exit_codes(vecprop, tmp_path):
    (tmp_path / "right.py").write_text(RIGHT)
    done = vecprop("learn", "check", "right.py", "--only", "error_output")
    assert (done.exit_code, done.stdout) == (0, "error_output: right.\n1 of 1 points.\n")
    (tmp_path / "wrong.py").write_text(WRONG)
    done = vecprop("learn", "check", "wrong.py", "--only", "error_output")
    assert done.exit_code == 5
    assert done.stdout == "error_output: not right yet. Look at the signs. (0 of 1)\n0 of 1 points.\n"
    done = vecprop("learn", "check", "wrong.py", "--only", "error_output", "--hints", 3, "--solution")
    assert "should be" in done.stdout
    assert done.stdout.endswith("error_output, solution:\nY - T\n")
    done = vecprop("learn", "check", "wrong.py", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["points"], found["out_of"], len(found["functions"])) == (5, 0, 14, 14)
    assert "no function 'nn' in the tutorial" in vecprop("learn", "check", "wrong.py", "--only", "nn").stderr


@pytest.mark.long
def test_a_network_of_a_shape(vecprop, tmp_path):
    lines = "\n".join(f"    {line}" for line in RIGHT_NETWORK.replace("N = len(X)", "N = 1").splitlines())
    (tmp_path / "own.py").write_text(f"import numpy as np\ndef loss_and_gradient(theta, X, T):\n{lines}\n")
    assert vecprop("learn", "check", "own.py", "--shape", "2-3-2").exit_code == 0
    assert vecprop("learn", "check", "own.py", "--shape", "2-3-2", "--activation", "tanh").exit_code == 5


def test_a_class_gets_sheets_and_grades(vecprop, tmp_path):
    (tmp_path / "class.csv").write_text("name\nAda\n=1+1\n")
    done = vecprop("learn", "worksheet", "--names", "class.csv", "-o", "sheets", "--rows", 2)
    assert (done.exit_code, done.stdout) == (0, "2 worksheets in sheets.\n")
    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == ["1-1.html", "Ada.html"]
    for path in (tmp_path / "sheets").iterdir():
        (details,) = re.findall(r'id="sheet">(.*?)</script>', path.read_text())
        sheet = learn.worksheet(**json.loads(details))
        answers = {value.name: [f"{x:.3f}" for x in value.array.ravel()] for value in sheet.blanks}
        path.with_suffix(".json").write_text(json.dumps({"worksheet": json.loads(details), "answers": answers}))
    done = vecprop("learn", "grade", "sheets", "-o", "grades.csv")
    assert done.stdout == "2 worksheets graded in grades.csv.\n"
    rows = list(csv.DictReader((tmp_path / "grades.csv").read_text().splitlines()))
    assert [(row["name"], row["seed"], row["points"] == row["out_of"]) for row in rows] == [
        ("'=1+1", "1", True),  # no formula for a spreadsheet
        ("Ada", "0", True),
    ]
    assert vecprop("learn", "grade", "sheets").stdout.startswith(
        "file,name,shape,rows,seed,points,out_of,wrong,notes\n"
    )
    done = vecprop("learn", "grade", "sheets", "-o", "grades.csv")
    assert (done.exit_code, "grades.csv exists" in done.stderr) == (2, True)


def test_a_sheet_of_each_kind_and_what_is_no_sheet(vecprop, tmp_path):
    for name in ("a.html", "a.ipynb", "a.md"):
        assert vecprop("learn", "worksheet", "-o", name).exit_code == 0
        assert (tmp_path / name).exists()
    done = vecprop("learn", "worksheet", "-o", "a.md")
    assert (done.exit_code, done.stderr) == (
        2,
        "a.md exists: give another name with -o, or allow to overwrite it with --force.\n",
    )
    assert vecprop("learn", "worksheet", "-o", "a.md", "--force", "--solution").exit_code == 0
    assert "not '.txt'" in vecprop("learn", "worksheet", "-o", "a.txt").stderr
    assert "at most 50 units" in vecprop("learn", "worksheet", "-o", "b.md", "--shape", "99-2").stderr
    assert "a.md is no folder" in vecprop("learn", "grade", "a.md").stderr
    (tmp_path / "empty").mkdir()
    assert "empty has no worksheets" in vecprop("learn", "grade", "empty").stderr

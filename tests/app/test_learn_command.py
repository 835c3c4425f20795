"""Test ``vecprop learn``: output and exit codes for students' files, and worksheets of a class."""

import csv
import json
import re
from pathlib import Path

import pytest

from students import RIGHT_NETWORK
from vecprop import learn


def test_wrong_options_raise_a_usage_error(vecprop):
    said = vecprop("learn", "grade", "none.py", code=3).stderr
    assert said == f"There is no file none.py in {Path.cwd()}: check the path.\n"
    done = vecprop("learn", "grade", "a.py", "--shape", "2-0-1", code=2)
    assert "such as 2-3-2, got '2-0-1'" in done.stderr
    for options, said in (
        (("--shape", "2-1"), "The softmax loss needs at least 2 outputs"),
        (("--shape", "2-1", "--activation", "sin"), "Unknown activation 'sin'"),
        (("--shape", "2-1", "--loss", "l"), "Unknown loss 'l'"),
        (("--shape", "2-3-2", "--solution"), "leave out --only and --solution"),
        (("--shape", "2-3-2", "--only", "softmax"), "leave out --only and --solution"),
    ):
        assert said in vecprop("learn", "grade", "a.py", *options, code=2).stderr


@pytest.mark.long
def test_points_messages_and_exit_codes(vecprop, tmp_path):
    (tmp_path / "right.py").write_text("def error_output(Y, T):\n    return Y - T\n")
    (tmp_path / "wrong.py").write_text("def error_output(Y, T):\n    return T - Y\n")
    done = vecprop("learn", "grade", "right.py", "--only", "error_output")
    assert done.stdout == "error_output: right.\n1 of 1 points.\n"
    done = vecprop("learn", "grade", "wrong.py", "--only", "error_output", code=5)
    assert (
        done.stdout
        == "error_output: not right yet. Look at the signs. (0 of 1)\n0 of 1 points.\n"
    )
    done = vecprop(
        "learn",
        "grade",
        "wrong.py",
        "--only",
        "error_output",
        "--hints",
        3,
        "--solution",
        code=5,
    )
    assert "should be" in done.stdout
    assert done.stdout.endswith("error_output, solution:\nY - T\n")
    found = json.loads(vecprop("learn", "grade", "wrong.py", "--json", code=5).stdout)
    assert (found["points"], found["out_of"], len(found["functions"])) == (0, 19, 19)
    assert (
        "has no function 'net'"
        in vecprop("learn", "grade", "wrong.py", "--only", "net", code=2).stderr
    )
    lines = "\n".join(
        f"    {line}"
        for line in RIGHT_NETWORK.replace("N = len(X)", "N = 1").splitlines()
    )
    (tmp_path / "own.py").write_text(
        f"import numpy as np\ndef loss_and_gradient(theta, X, T):\n{lines}\n"
    )
    vecprop("learn", "grade", "own.py", "--shape", "2-3-2")
    vecprop(
        "learn", "grade", "own.py", "--shape", "2-3-2", "--activation", "tanh", code=5
    )


def test_worksheets_of_a_class_are_made_and_graded(vecprop, tmp_path):
    (tmp_path / "class.csv").write_text("name\nAda\n=1+1\n")
    done = vecprop(
        "learn", "worksheet", "--names", "class.csv", "-o", "sheets", "--rows", 2
    )
    assert done.stdout == "2 worksheets in sheets.\n"
    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == [
        "1-1.html",
        "Ada.html",
    ]
    for path in (tmp_path / "sheets").iterdir():
        (details,) = re.findall(r'id="sheet">(.*?)</script>', path.read_text())
        sheet = learn.worksheet(**json.loads(details))
        answers = {
            value.name: [f"{x:.3f}" for x in value.array.ravel()]
            for value in sheet.blanks
        }
        path.with_suffix(".json").write_text(
            json.dumps({"worksheet": json.loads(details), "answers": answers})
        )
    assert (
        vecprop("learn", "grade-worksheets", "sheets", "-o", "grades.csv").stdout
        == "2 worksheets graded in grades.csv.\n"
    )
    rows = list(csv.DictReader((tmp_path / "grades.csv").read_text().splitlines()))
    assert [
        (row["name"], row["seed"], row["points"] == row["out_of"]) for row in rows
    ] == [
        ("'=1+1", "1", True),  # not a formula in a spreadsheet
        ("Ada", "0", True),
    ]
    assert vecprop("learn", "grade-worksheets", "sheets").stdout.startswith(
        "file,name,shape,rows,seed,points,out_of,wrong,notes\n"
    )
    assert (
        "grades.csv exists"
        in vecprop(
            "learn", "grade-worksheets", "sheets", "-o", "grades.csv", code=2
        ).stderr
    )


def test_worksheets_of_each_format_and_invalid_ones(vecprop, tmp_path):
    for name in ("a.html", "a.ipynb", "a.md"):
        vecprop("learn", "worksheet", "-o", name)
        assert (tmp_path / name).exists()
    done = vecprop("learn", "worksheet", "-o", "a.md", code=2)
    assert (
        done.stderr
        == "a.md exists: choose another name with -o, or overwrite it with --force.\n"
    )
    vecprop("learn", "worksheet", "-o", "a.md", "--force", "--solution")
    (tmp_path / "empty").mkdir()
    for arguments, said in (
        (("worksheet", "-o", "a.txt"), "got '.txt'"),
        (("worksheet", "-o", "b.md", "--shape", "99-2"), "at most 50 units"),
        (("grade-worksheets", "a.md"), "a.md is not a folder"),
        (("grade-worksheets", "empty"), "empty has no worksheets"),
    ):
        assert said in vecprop("learn", *arguments, code=2).stderr


def test_a_class_without_a_list_of_names(vecprop, tmp_path):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "ps1.py").write_text(
        "def error_output(Y, T):\n    return T - Y"
    )
    options = ("-o", "g.csv", "--only", "error_output")
    assert vecprop("learn", "grade", ".", *options).stdout == "1 row in g.csv.\n"
    (row,) = csv.DictReader((tmp_path / "g.csv").read_text().splitlines())
    assert (row["name"], row["file"], row["points"]) == ("ada", "ada/ps1.py", "0")
    summary = (tmp_path / "g-mistakes.csv").read_text()
    assert summary.endswith("\n1,error_output,the sign is wrong\n")


@pytest.mark.long
def test_a_class_is_graded_and_continued(vecprop, tmp_path):
    right = "def error_output(Y, T):\n    return Y - T\n"
    wrong = right.replace("Y - T", "T - Y")
    texts = {
        "Ada Lovelace_17_file/ps1.py": right,
        "Ada Lovelace_17_file/notes.py": "x = 1\n",
        "ann/a.py": wrong,
        "ann-lee.py": "import os\nos._exit(0)\n" + right,
        "bob.md": "no code",
        "zoé.ipynb": "{",
        "stranger.py": wrong,
        "__MACOSX/bob.py": right,
    }
    for name, text in texts.items():
        path = tmp_path / "subs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "class.csv").write_text(
        "name\nLovelace, Ada\n=1+1\nAnn\nAnn Lee\nBob\nZoe\n".replace(", ", " ")
    )
    command = ("learn", "grade", "subs", "--names", "class.csv", "-o", "g.csv")
    command = (*command, "--only", "error_output")
    assert vecprop(*command).stdout == "7 rows in g.csv.\n"
    out = tmp_path / "g.csv"
    content = out.read_text()
    rows = list(csv.DictReader(content.splitlines()))
    assert [(row["name"], row["file"], row["points"]) for row in rows] == [
        ("Lovelace Ada", "Ada Lovelace_17_file/ps1.py", "1"),
        ("'=1+1", "", "0"),
        ("Ann", "ann/a.py", "0"),
        ("Ann Lee", "ann-lee.py", "1"),
        ("Bob", "bob.md", "0"),
        ("Zoe", "zoé.ipynb", "0"),
        ("", "stranger.py", "0"),
    ]
    notes = [row["notes"] for row in rows]
    assert notes[0] == "Not graded: Ada Lovelace_17_file/notes.py."
    assert notes[1] == "No file matches the name."
    assert notes[3].startswith("The file ends its own process")
    assert notes[6] == "The file matches no name, or several."
    assert rows[2]["mistakes"] == "error_output: the sign is wrong"
    summary = (tmp_path / "g-mistakes.csv").read_text().splitlines()
    assert summary[:2] == [
        "students,function,mistake",
        "2,error_output,the sign is wrong",
    ]
    assert "<td>the sign is wrong</td>" in (tmp_path / "g-mistakes.html").read_text()
    # a killed run leaves a part of a row; complete rows are not graded again
    marked = content.replace("Ann Lee,ann-lee.py,1", "Ann Lee,ann-lee.py,7")
    out.write_text(marked[: marked.index("stranger") + 3])
    vecprop(*command, "--jobs", 2)
    assert out.read_text() == marked
    vecprop(*command, "--force")
    assert out.read_text() == content


def test_wrong_options_for_a_class(vecprop, tmp_path):
    (tmp_path / "subs").mkdir()
    for options, said in (
        ((), "subs is a folder: give a CSV file with -o."),
        (("-o", "g.csv", "--shape", "2-3-2"), "--shape grades one file"),
        (("-o", "g.csv"), "subs has no submissions"),
        (("-o", "g.txt"), ".csv"),
        (("-o", "g.csv", "--only", "net"), "has no function 'net'"),
    ):
        assert said in vecprop("learn", "grade", "subs", *options, code=2).stderr
    (tmp_path / "subs" / "a.py").write_text("")
    (tmp_path / "g.csv").write_text("a,b\n")
    said = vecprop("learn", "grade", "subs", "-o", "g.csv", code=2).stderr
    assert "g.csv contains other columns" in said

"""``vecprop learn check``: what is said of a student's file, and its exit code."""

import json

import pytest

from learn.students import RIGHT_NETWORK

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

"""Files of students run in processes of their own; whatever they do becomes a sentence and points."""

import json
import os
import time

import pytest

import vecprop as vp
from learn.students import RIGHT, RIGHT_NETWORK
from vecprop import learn
from vecprop.learn.grading.student import chunks_of, load
from vecprop.learn.grading.tasks import TASKS


def source(name, body, arguments=None):
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"def {name}({', '.join(arguments or TASKS[name].arguments)}):\n{lines}\n"


def module(**changed):
    """Return a module with a right function for each of the tutorial's, and others in the place of some."""
    bodies = {name: bodies[0] for name, bodies in RIGHT.items()} | changed
    return "import numpy as np\n" + "\n".join(source(name, body) for name, body in bodies.items())


@pytest.fixture
def graded(tmp_path):
    """Grade a text as a file."""

    def grade(text, name="student.py", **options):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return learn.grade_file(path, **{"seconds": 5, **options})

    return grade


def test_a_file_is_graded_in_another_process(graded):
    main = "if __name__ == '__main__':\n    error_output = None\n"
    text = source("error_output", "import os\nos.environ['CHANGED'] = '1'\nreturn Y - T") + source(
        "loss", "return T.sum()"
    )
    grades = graded(text + main, names=["error_output", "loss", "softmax"])
    assert [grades[name].mistake for name in grades] == [
        "",
        "the logarithm of Y is left out: only T is summed",
        "it is missing",
    ]
    assert grades.points == 1
    assert "CHANGED" not in os.environ


def test_code_is_found_in_notebooks_and_markdown():
    cells = [
        {"cell_type": "markdown", "source": ["x = 0"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "x = 1"]},
        {"cell_type": "code", "source": "y = x + 1\n!ls"},
        {"cell_type": "code", "source": "y = ("},
        {"cell_type": "code", "source": "z = y + 1\nw = 1 / 0\nv = 5"},
    ]
    names, errors = load(chunks_of(json.dumps({"cells": cells}), ".ipynb"), ".ipynb", False, (), print, {})
    assert (names["x"], names["y"], names["z"], names["v"]) == (1, 2, 3, 5)
    assert errors[0].startswith("code cell 3, line 1: SyntaxError")
    assert errors[1:] == ["code cell 4, line 2: ZeroDivisionError: division by zero"]
    page = (
        "Words\n\n```python\nx = 1\n```\n```text\nx = 2\n```\n~~~{python}\ny = x\n~~~\n```{code-cell} i\nz = y\n```\n"
    )
    names, errors = load(chunks_of(page, ".md"), ".md", False, (), print, {})
    assert (names["x"], names["z"], errors) == (1, 1, [])


def test_what_is_no_source_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match=r"a\.txt is no Python file"):
        learn.grade_file(tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError):
        learn.grade_file(tmp_path / "b.py")
    (tmp_path / "c.py").write_bytes(b"#" * (10 * 2**20 + 1))
    with pytest.raises(ValueError, match="larger than 10 MB"):
        learn.grade_file(tmp_path / "c.py")


@pytest.mark.long
def test_a_right_module_is_right_in_each_kind_of_file(graded):
    text = module()
    assert graded(text).right
    assert graded(f"# Work\n\n```python\n{text}\n```\n", "student.md").right
    cells = [{"cell_type": "code", "source": text.splitlines(keepends=True)}]
    assert graded(json.dumps({"cells": cells}), "student.ipynb").right
    assert not graded("{", "broken.ipynb").points


@pytest.mark.long
def test_all_that_can_go_wrong_becomes_a_sentence(graded):
    text = module(
        logistic="while True:\n    pass",
        softmax="exit()",
        hidden_activations="import os\nos._exit(0)",
        output_activations="return np.zeros((2**20, 2**16)) + 1",
        loss="return input()",
        error_output="print('x' * 10**7)\nreturn Y - T",
        gradient_weight_out="H /= 2\nreturn 2 * H.T @ Eo",
        gradient_bias_out="return np.ones((4000, 4000))",
        error_hidden="import subprocess\nsubprocess.Popen(['sleep', '1000'])\nreturn Eo @ Wo.T",
        gradient_weight_hidden="return gradient_weight_hidden(X, Eh)",
        gradient_bias_hidden="raise KeyboardInterrupt",
        backprop_gradients="""import os
for descriptor in range(3, 20):
    try:
        os.write(descriptor, b'{"kind": "value", "value": 1, "number": 1}\\n' * 3)
    except OSError:
        pass""",
        update_momentum="with open('large', 'w') as file:\n    file.write('x' * 10**8)",
    )
    grades = graded("import nothing_of_this_name\n" + text + "\nexit()\n", seconds=3)
    expected = {
        "logistic": "it does not end",
        "softmax": "it ends the program by exit()",
        "hidden_activations": "it ends the whole process",
        "output_activations": "it needs too much memory",
        "loss": "it asks for input",
        "error_output": "",
        "gradient_weight_out": "H is changed in place",
        "gradient_bias_out": "the result is an array of too many numbers",
        "error_hidden": "the slope of the logistic function is missing",
        "gradient_weight_hidden": "it calls itself without end",
        "gradient_bias_hidden": "it ends the whole process",
        "backprop_gradients": "it ends the whole process",
        "update_momentum": "it writes a large file",
        "update_params": "",
    }
    assert {name: grade.mistake for name, grade in grades.items()} == expected
    assert grades.points == 2.5
    assert grades["update_momentum"].points == 0
    assert (
        grades.notes[0]
        == "The file has an error in line 1: ModuleNotFoundError: No module named 'nothing_of_this_name'."
    )
    assert grades.notes[1].endswith("it ends itself by exit().")
    assert len(grades.notes) == 2
    assert "Traceback" not in str(grades)


@pytest.mark.long
def test_a_file_that_does_not_end_and_functions_that_do_not(graded):
    started = time.monotonic()
    text = module(**dict.fromkeys(("softmax", "loss", "error_output", "error_hidden"), "while True:\n    pass"))
    grades = graded(text + "\nwhile True:\n    pass\n", seconds=1)
    assert "does not end within 1 s" in grades.notes[0]
    assert grades["logistic"].right
    assert [name for name in grades if grades[name].mistake == "it does not end"] == [
        "softmax",
        "output_activations",
        "loss",
    ]
    assert grades["update_params"].mistake.startswith("it was not tried")
    assert time.monotonic() - started < 40


@pytest.mark.long
def test_a_networks_gradient_in_a_file(graded):
    network = vp.Network(2, [vp.Dense(3), vp.Logistic(), vp.Dense(2)], vp.SoftmaxCrossEntropy())
    text = "import numpy as np\n" + source("loss_and_gradient", RIGHT_NETWORK, ("theta", "X", "T"))
    assert graded(text, network=network).right
    wrong = graded(text.replace("H * (1 - H) * (d", "(d"), network=network)
    assert wrong["loss_and_gradient"].mistake == "the derivative of layer 1 (Logistic) is missing"
    assert graded("", network=network)["loss_and_gradient"].mistake == "it is missing"

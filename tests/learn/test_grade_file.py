"""Test the grading of files: errors become sentences, and all their processes end."""

import csv
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import textwrap
import time
from itertools import product
from pathlib import Path

import pytest

from sampled import sampled
from students import NETWORK, RIGHT, RIGHT_NETWORK, source
from vecprop import learn
from vecprop.learn import sheet_files
from vecprop.learn.grading import student
from vecprop.learn.grading.student import chunks_of, load

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
RIGHT_ONE = "\ndef error_output(Y, T):\n    return Y - T\n"


def module(**changed):
    """Return a module with correct functions of the tutorial, some of them replaced."""
    bodies = {name: bodies[0] for name, bodies in RIGHT.items()} | changed
    return "import numpy as np\n" + "\n".join(
        source(name, body) for name, body in bodies.items()
    )


@pytest.fixture
def graded(tmp_path):
    """Grade a text as a file; if names are given, a correct function is added when it is missing."""

    def grade(text, names=("error_output",), file="student.py", **options):
        path = tmp_path / file
        added = RIGHT_ONE if names and "def error_output" not in text else ""
        path.write_text(textwrap.dedent(text) + added, encoding="utf-8")
        return learn.grade_file(path, names, **{"seconds": 1, **options})

    return grade


def test_a_file_is_graded_in_another_process(graded):
    main = "if __name__ == '__main__':\n    error_output = None\n"
    text = (
        "import json, math, numpy as np\n"
        + source(
            "error_output",
            "'vecprop'\nimport os\nos.environ['CHANGED'] = '1'\nreturn Y - T",
        )
        + source("loss", "return T.sum()")
    )
    grades = graded(text + main, ["error_output", "loss", "softmax"])
    mistakes = ["", "the logarithm of Y is left out: only T is summed", "it is missing"]
    assert [grade.mistake for grade in grades.values()] == mistakes
    assert grades.points == 1
    assert "CHANGED" not in os.environ
    assert grades.flags == ()


def test_code_is_found_in_notebooks_and_markdown():
    cells = [
        {"cell_type": "markdown", "source": ["x = 0"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "x = 1"]},
        {"cell_type": "code", "source": "y = x + 1\n!ls"},
        {"cell_type": "code", "source": "y = ("},
        {"cell_type": "code", "source": "z = y + 1\nw = 1 / 0\nv = 5"},
    ]
    names, errors = load(
        chunks_of(json.dumps({"cells": cells}), ".ipynb"),
        ".ipynb",
        False,
        (),
        print,
        {},
    )
    assert (names["x"], names["y"], names["z"], names["v"]) == (1, 2, 3, 5)
    assert errors[0].startswith("code cell 3, line 1: SyntaxError")
    assert errors[1:] == ["code cell 4, line 2: ZeroDivisionError: division by zero"]
    page = (
        "Words\n\n```python\nx = 1\n```\n```text\nx = 2\n```\n~~~{python}\ny ="
        " x\n~~~\n```{code-cell} i\nz = y\n```\n"
    )
    names, errors = load(chunks_of(page, ".md"), ".md", False, (), print, {})
    assert (names["x"], names["z"], errors) == (1, 1, [])


@pytest.mark.long
def test_settings_of_matplotlib_stay_in_the_folder_of_one_student(graded):
    text = """
    import os, matplotlib
    assert matplotlib.get_configdir() == matplotlib.get_cachedir() == os.getcwd()
    assert any(name.startswith("fontlist") for name in os.listdir())
    """
    assert graded(text).notes == ()


def test_files_without_source_code_are_rejected(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "c.py").write_bytes(b"#" * (10 * 2**20 + 1))
    for name, said in (
        ("a.txt", r"a\.txt must be a Python file"),
        ("c.py", "larger than 10 MB"),
    ):
        with pytest.raises(ValueError, match=said):
            learn.grade_file(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        learn.grade_file(tmp_path / "b.py")


@pytest.mark.long
def test_correct_code_is_accepted_in_each_file_type(graded):
    assert graded(module(), None).right
    assert graded(f"# Work\n\n```python\n{module()}\n```\n", None, "student.md").right
    cells = [{"cell_type": "code", "source": module().splitlines(keepends=True)}]
    assert graded(json.dumps({"cells": cells}), None, "student.ipynb").right
    assert not graded("{", None, "broken.ipynb").points
    text = "import numpy as np\n" + source("loss_and_gradient", RIGHT_NETWORK)
    assert graded(text, None, network=NETWORK).right
    wrong = graded(text.replace("H * (1 - H) * (d", "(d"), None, network=NETWORK)
    assert (
        wrong["loss_and_gradient"].mistake
        == "the derivative of layer 1 (Logistic) is missing"
    )
    assert (
        graded("", None, network=NETWORK)["loss_and_gradient"].mistake
        == "it is missing"
    )


WRITES = """import os
for descriptor in range(3, 20):
    try:
        os.write(descriptor, b'{"kind": [], "functions": 3, "used": 4, "value": 1, "number": 1}\\n' * 3)
    except OSError:
        pass"""


@pytest.mark.long
def test_every_failure_is_reported_in_a_sentence(graded):
    cases = {
        "logistic": ("while True:\n    pass", "it does not end"),
        "softmax": ("exit()", "it ends the program by exit()"),
        "hidden_activations": ("import os\nos._exit(0)", "it ends the whole process"),
        "output_activations": (
            "return np.zeros((2**20, 2**16)) + 1",
            "it needs too much memory",
        ),
        "loss": ("return input()", "it asks for input"),
        "error_output": ("print('x' * 10**7)\nreturn Y - T", ""),
        "gradient_weight_out": ("H /= 2\nreturn 2 * H.T @ Eo", "H is changed in place"),
        "gradient_bias_out": (
            "return np.ones((4000, 4000))",
            "the result is an array of too many numbers",
        ),
        "error_hidden": (
            "import subprocess\nsubprocess.Popen(['sleep', '1000'])\nreturn Eo @ Wo.T",
            "the derivative of the logistic function is missing",
        ),
        "gradient_weight_hidden": (
            "return gradient_weight_hidden(X, Eh)",
            "it calls itself endlessly",
        ),
        "gradient_bias_hidden": (
            "raise KeyboardInterrupt",
            "it ends the whole process",
        ),
        "backprop_gradients": (WRITES, "it ends the whole process"),
        "update_momentum": (
            "with open('large', 'w') as file:\n    file.write('x' * 10**8)",
            "it writes a large file",
        ),
        "update_params": (RIGHT["update_params"][0], ""),
    }
    text = module(**{name: body for name, (body, _) in cases.items()})
    grades = graded(
        "import nothing_of_this_name\n" + text + "\nexit()\n", list(cases), seconds=3
    )
    assert {name: grade.mistake for name, grade in grades.items()} == {
        name: case[1] for name, case in cases.items()
    }
    assert grades.points == 2.5
    assert grades["update_momentum"].points == 0
    error = "ModuleNotFoundError: No module named 'nothing_of_this_name'."
    assert grades.notes[0] == f"The file has an error in line 1: {error}"
    assert grades.notes[1].endswith("it calls exit().")
    assert len(grades.notes) == 2
    assert "Traceback" not in str(grades)


def running(mark):
    """Return the processes with a mark in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            state = (folder / "stat").read_bytes().rpartition(b")")[2].split()[0]
        except OSError:
            continue
        if mark.encode() in command and state != b"Z":
            found.append(folder.name)
    return found


SLEEPER = "[sys.executable, '-c', 'import time; time.sleep(600)', MARK]"
DETACHED = {
    "in a session of its own": f"subprocess.Popen({SLEEPER}, start_new_session=True)",
    "without the environment": (
        f"subprocess.Popen({SLEEPER}, start_new_session=True, env={{}})"
    ),
    "forked twice": (
        f"""
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, {SLEEPER})
    os._exit(0)"""
    ),
}


@LINUX
@pytest.mark.parametrize(
    ("start", "isolated"),
    sampled(product(reversed(DETACHED.values()), (False, True)), 6),
)
def test_processes_of_a_file_end_with_its_grading(
    graded, monkeypatch, tmp_path, start, isolated
):
    if not isolated:  # simulates systems without namespaces
        source = Path(student.__file__).read_text()
        (tmp_path / "program.py").write_text(
            source.replace("system.unshare", "(lambda flags: -1)")
        )
        monkeypatch.setattr(student, "__file__", str(tmp_path / "program.py"))
    mark = secrets.token_hex(8)
    assert graded(f"import os, subprocess, sys\nMARK = {mark!r}\n{start}\n").right
    assert running(mark) == []
    inside = (
        f"import os, subprocess, sys\nMARK = {mark!r}\ndef loss(Y, T):\n"
        + textwrap.indent(start, "    ")
    )
    assert graded(inside, ["loss", "error_output"])["error_output"].right
    assert running(mark) == []


ATTACKS = {
    "it kills its parent": "import os\nos.kill(os.getppid(), 9)",
    "it kills its group": "import os\nos.killpg(0, 9)",
    "it ends itself": "import os\nos._exit(0)",
    "it closes all files": "import os\nos.closerange(0, 100)",
    "it forks and goes on": "import os\nos.fork()",
    "it stops itself": "import os\nos.kill(os.getpid(), 19)",
    "it waits": "import time\ntime.sleep(1000)",
    "it waits at the end": "import atexit, time\natexit.register(time.sleep, 1000)",
    "it has a thread": (
        "import threading, time\nthreading.Thread(target=time.sleep,"
        " args=(1000,)).start()"
    ),
    "it deletes its folder": "import os, shutil\nshutil.rmtree(os.getcwd())",
    "it changes NumPy": (
        "import numpy as np\nnp.asarray = np.array = np.array_equal = None"
    ),
    "it changes json": "import json\njson.dumps = json.loads = None",
    "it writes answers": WRITES,
}


@LINUX
@pytest.mark.parametrize("text", sampled(ATTACKS.values(), 7), ids=ATTACKS)
def test_the_remaining_functions_are_graded(graded, text):
    grades = graded(text + "\n")
    assert (grades["error_output"].right, grades["error_output"].status) == (
        True,
        "right",
    )


@LINUX
@pytest.mark.long
def test_blocked_signals_and_many_processes_are_handled(graded):
    text = (
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile"
        " True:\n    pass\n"
    )
    assert graded(text).right
    text = "import os\ndef loss(Y, T):\n    while True:\n        os.fork()\n"
    grades = graded(text, ["loss", "error_output"])
    assert [grades[name].status for name in grades] == ["not right yet", "right"]


@LINUX
def test_the_student_process_ends_with_the_grader(tmp_path):
    mark = secrets.token_hex(8)
    (tmp_path / "s.py").write_text(
        "import os, subprocess, sys, time\nMARK ="
        f" {mark!r}\nsubprocess.Popen({SLEEPER})\ntime.sleep(600)\n"
    )
    code = (
        f"from vecprop import learn; learn.grade_file({str(tmp_path / 's.py')!r},"
        " seconds=600)"
    )
    grader = subprocess.Popen([sys.executable, "-c", code])
    while not running(mark):
        time.sleep(0.05)
    grader.send_signal(signal.SIGKILL)
    grader.wait()
    for _ in range(600):
        if not running(mark):
            break
        time.sleep(0.05)
    assert running(mark) == []


@LINUX
def test_waiting_or_endless_code_is_not_judged(graded):
    endless = "while True:\n    pass"
    functions = {
        "loss": "import time\ntime.sleep(1000)",
        "error_output": "return Y - T",
    }
    functions |= {"softmax": endless, "logistic": endless, "error_hidden": "return H"}
    names = [*functions, "update_params"]
    grades = graded(
        "\n".join(source(name, body) for name, body in functions.items()),
        names,
        seconds=0.2,
    )
    status = [
        "not judged",
        "right",
        "not judged",
        "not judged",
        "not judged",
        "missing",
    ]
    assert [grade.status for grade in grades.values()] == status
    assert [function["status"] for function in grades.to_dict()["functions"]] == status
    assert grades["loss"].mistake == "it waits forever"
    assert grades["softmax"].mistake == "it does not end"
    assert grades["error_hidden"].mistake.startswith("it was not run")
    assert str(grades["loss"]).startswith(
        "loss: not judged. It waits forever. (0 of 1)"
    )


@LINUX
def test_only_undefined_functions_are_missing(graded):
    text = """
    import nothing_of_this_name
    @nothing_of_this_name.jit
    def loss(Y, T):
        return 0
    softmax = 3
    if False:
        def logistic(z):
            return z
    """
    names = ["loss", "softmax", "logistic", "update_params", "error_output"]
    grades = graded(text, names)
    assert [grades[name].status for name in names] == [
        "not judged",
        "not judged",
        "not judged",
        "missing",
        "right",
    ]
    assert (
        "line 3: NameError: name 'nothing_of_this_name' is not defined"
        in grades["loss"].mistake
    )
    assert "value is of type int, not a function" in grades["softmax"].mistake
    grades = graded("def loss(Y, T:\n    return 0\n", names)
    assert [grades[name].status for name in names] == [
        "not judged",
        "missing",
        "missing",
        "missing",
        "right",
    ]
    assert "SyntaxError" in grades["loss"].mistake


def test_a_file_with_syntax_errors_is_graded_function_by_function(graded):
    text = """
    print "Python 2"
    @(lambda f: f)
    def loss(Y, T):
        '''Return
    the loss.
        '''
        return -(T * np.log(Y)).sum()
    import numpy as np
    def softmax(z)
        return z
    def gradient_bias_out(Eo):
    return 0
    x = (1
    def gradient_bias_hidden(Eh):
        if True:
            return Eh.sum(axis=0)
        else:
            return (
    0)
    """
    names = ["loss", "softmax", "gradient_bias_out", "gradient_bias_hidden"]
    grades = graded(text, [*names, "error_output"])
    status = [grade.status for grade in grades.values()]
    assert status == ["right", "not judged", "not judged", "right", "right"]
    assert "line 10: SyntaxError: expected ':'" in grades["softmax"].hint(1)
    assert [re.search(r"line \d+", note)[0] for note in grades.notes] == [
        "line 2",
        "line 10",
        "line 12",
        "line 13",
        "line 14",
    ]
    assert "<" not in "".join(grades.notes)


@pytest.mark.parametrize(
    "names", [["output_activations"], ["output_activations", "softmax"]]
)
def test_called_functions_are_judged_even_if_they_are_not_listed(graded, names):
    text = module(softmax="raise ValueError('x')")
    grades = graded(text, names)
    assert (
        grades["output_activations"].mistake
        == "it is correct except for softmax, which it calls and which is wrong"
    )
    assert grades.points == 0.5


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ('{"cells": [}', " (Expecting value: line 1 column 12 (char 11))"),
        ('{"cells": 3}', ""),
    ],
)
def test_damaged_notebooks_are_not_judged(tmp_path, text, about):
    (tmp_path / "student.ipynb").write_text(text)
    grades = learn.grade_file(tmp_path / "student.ipynb", ["loss"])
    assert grades["loss"].status == "not judged"
    assert grades.notes == (
        f"The file is not a valid notebook{about}: save it again in Jupyter.",
    )


@pytest.mark.long
@LINUX
def test_an_endless_file_reports_where_and_what_was_not_judged(graded):
    text = """
    scale = len("1")
    def loss(Y, T):
        return scale * 0
    softmax = (lambda f: f)(lambda z: z)
    while True:
        pass
    """
    grades = graded(text, ["loss", "softmax", "error_output"], seconds=0.2)
    why = "The file does not end within 0.2 s of processor time, in line 6"
    assert grades.notes == (f"{why}: only its functions are graded.",)
    assert [grade.status for grade in grades.values()] == [
        "not judged",
        "not right yet",
        "right",
    ]
    assert grades["loss"].mistake == "it needs a name that the file does not define"


@LINUX
@pytest.mark.long
def test_time_limits_count_processor_time_without_imports(
    graded, tmp_path, monkeypatch
):
    (tmp_path / "slow_library.py").write_text(
        "import time\nend = time.process_time() + 1.5\nwhile time.process_time() <"
        " end:\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert graded("import slow_library\n").notes == ()
    assert "does not end within 1 s" in graded("__import__('slow_library')\n").notes[0]


@LINUX
@pytest.mark.long
def test_the_tutorial_has_full_points_in_an_empty_home_and_under_load(
    tmp_path, monkeypatch
):
    cells = [
        {
            "cell_type": "code",
            "source": f"import matplotlib.pyplot as plt\nplt.plot([1, 2])\n{module()}",
        }
    ]
    (tmp_path / "tutorial.ipynb").write_text(json.dumps({"cells": cells}))
    home = tmp_path / "home"
    home.mkdir()
    load = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)
    ]
    code = (
        "import sys; from vecprop import learn; print(learn.grade_file(sys.argv[1],"
        " seconds=1).total)"
    )
    environment = {**os.environ, "HOME": str(home), "OPENBLAS_NUM_THREADS": "1"}
    try:
        command = [sys.executable, "-c", code, str(tmp_path / "tutorial.ipynb")]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        )
    finally:
        for process in load:
            process.kill()
            process.wait()
    assert done.stdout == "19 of 19 points.\n"


USES = {
    "import vecprop.learn.tutorial as s": "it imports vecprop.learn.tutorial",
    "def loss(Y, T):\n    from vecprop.learn import grade\n    return grade(Y)(Y, T)": (
        "it imports vecprop.learn"
    ),
    "m = __import__('vec' + 'prop.learn.tutorial')": (
        "it imports vecprop.learn.tutorial"
    ),
    "import importlib\nm = importlib.import_module('vec' + 'prop')": (
        "it imports vecprop"
    ),
    "exec('import vec' + 'prop')": "it imports vecprop",
    "open(PATH).read()": "it reads tutorial.py",
    "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import vecprop'])": (
        "a program that imports"
    ),
}


@LINUX
@pytest.mark.parametrize(
    ("text", "use"), sampled(USES.items(), 7), ids=range(len(USES))
)
def test_uses_of_the_library_are_flagged(graded, text, use):
    tutorial = Path(learn.__file__).with_name("tutorial.py")
    grades = graded(
        text.replace("PATH", repr(str(tutorial))) + "\n", ["error_output", "loss"]
    )
    (flag,) = grades.flags
    assert flag.startswith("The file uses vecprop, which contains the solutions: ")
    assert use in flag
    assert flag in str(grades)
    assert grades.to_dict()["flags"] == [flag]
    assert "The file uses vecprop" in grades._repr_html_()


@pytest.mark.long
@LINUX
def test_a_class_is_graded_row_by_row(tmp_path, monkeypatch):
    pytest.importorskip("typer", reason='pip install "vecprop[cli]"')
    from vecprop.app.commands.learn import grade_worksheets as grade_command

    folder = tmp_path / "sheets"
    folder.mkdir()
    sheet = learn.worksheet("2-2", rows=1)
    start = "from vecprop import learn\nsheet = learn.worksheet('2-2', rows=1)\n"
    texts = {
        "a.md": "Z1 = sheet.trace['Z1']\n",
        "b.md": "import os\nos.kill(os.getppid(), 9)\n",
        "c.md": "import time\ntime.sleep(1000)\n",
        "d.md": f"Z1 = {sheet.trace['Z1'].tolist()}\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(f"```python\n{start}{text}```\n")
    (folder / "e.json").write_text(
        '{"worksheet": {"shape": "2-2", "rows": 1}, "answers": {"Z1": 3}}'
    )
    out, seen, graded_sheet = tmp_path / "grades.csv", [], sheet_files.graded_sheet

    def interrupted(path, seconds, megabytes):
        seen.append(out.exists() and len(out.read_text().splitlines()))
        if path.name == "e.json":
            raise KeyboardInterrupt
        return graded_sheet(path, seconds, megabytes)

    monkeypatch.setattr(sheet_files, "graded_sheet", interrupted)
    with pytest.raises(KeyboardInterrupt):
        grade_command(folder, out, seconds=1, memory=2048)
    assert seen == [False, 2, 3, 4, 5]
    rows = {row["file"]: row for row in csv.DictReader(out.read_text().splitlines())}
    assert [float(row["points"]) for row in rows.values()] == [1, 0, 0, 1]
    assert (
        "The file uses the library's solutions: sheet.trace." in rows["a.md"]["notes"]
    )
    assert rows["c.md"]["notes"].startswith("Not judged. The file waits forever")
    assert "uses" not in rows["d.md"]["notes"]

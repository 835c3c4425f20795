"""Whatever a student's file does, the grading ends, the others are graded, and nothing that it has started is left."""

import csv
import json
import os
import secrets
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from learn.students import RIGHT
from sampled import sampled
from vecprop import learn
from vecprop.learn.grading import student
from vecprop.learn.grading.tasks import TASKS

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
RIGHT_ONE = "\ndef error_output(Y, T):\n    return Y - T\n"


@pytest.fixture
def graded(tmp_path):
    """Grade a text and a right function as a file."""

    def grade(text, names=("error_output",), **options):
        path = tmp_path / "student.py"
        path.write_text(textwrap.dedent(text) + RIGHT_ONE, encoding="utf-8")
        return learn.grade_file(path, names, **{"seconds": 1, **options})

    return grade


def running(mark):
    """Return the processes with a mark in their command."""
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
    "without the environment": f"subprocess.Popen({SLEEPER}, start_new_session=True, env={{}})",
    "forked twice": f"""
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, {SLEEPER})
    os._exit(0)""",
}


@LINUX
@pytest.mark.parametrize("isolated", [True, pytest.param(False, marks=pytest.mark.long)])
@pytest.mark.parametrize("start", DETACHED.values(), ids=DETACHED)
def test_nothing_that_a_file_starts_outlives_the_grading(graded, monkeypatch, tmp_path, start, isolated):
    if not isolated:  # as where the system does not allow namespaces
        source = Path(student.__file__).read_text()
        (tmp_path / "program.py").write_text(source.replace("system.unshare", "(lambda flags: -1)"))
        monkeypatch.setattr(student, "__file__", str(tmp_path / "program.py"))
    mark = secrets.token_hex(8)
    assert graded(f"import os, subprocess, sys\nMARK = {mark!r}\n{start}\n").right
    assert running(mark) == []
    inside = f"import os, subprocess, sys\nMARK = {mark!r}\ndef loss(Y, T):\n" + textwrap.indent(start, "    ")
    assert graded(inside, ["loss", "error_output"])["error_output"].right
    assert running(mark) == []


ATTACKS = {
    "it kills its parent": "import os\nos.kill(os.getppid(), 9)",
    "it kills its group": "import os\nos.killpg(0, 9)",
    "it ends itself": "import os\nos._exit(0)",
    "it exits": "raise SystemExit(3)",
    "it closes all files": "import os\nos.closerange(0, 100)",
    "it forks and goes on": "import os\nos.fork()",
    "it stops itself": "import os\nos.kill(os.getpid(), 19)",
    "it waits": "import time\ntime.sleep(1000)",
    "it waits at the end": "import atexit, time\natexit.register(time.sleep, 1000)",
    "it has a thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()",
    "it deletes its folder": "import os, shutil\nshutil.rmtree(os.getcwd())",
    "it changes NumPy": "import numpy as np\nnp.asarray = np.array = np.array_equal = None",
    "it changes json": "import json\njson.dumps = json.loads = None",
    "it writes answers": """import os
for fd in range(3, 20):
    try:
        os.write(fd, b'{"kind": [], "functions": 3, "used": 4}\\n')
    except OSError:
        pass""",
}


@LINUX
@pytest.mark.parametrize("text", sampled(ATTACKS.values()), ids=ATTACKS)
def test_the_rest_is_graded(graded, text):
    grades = graded(text + "\n")
    assert (grades["error_output"].right, grades["error_output"].status) == (True, "right")


@LINUX
@pytest.mark.long
def test_signals_that_are_blocked_and_many_processes(graded):
    text = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True:\n    pass\n"
    assert graded(text).right
    text = "import os\ndef loss(Y, T):\n    while True:\n        os.fork()\n"
    grades = graded(text, ["loss", "error_output"])
    assert [grades[name].status for name in grades] == ["not right yet", "right"]


@LINUX
def test_the_end_of_the_grader_ends_the_students_process(tmp_path):
    mark = secrets.token_hex(8)
    (tmp_path / "s.py").write_text(
        f"import os, subprocess, sys, time\nMARK = {mark!r}\nsubprocess.Popen({SLEEPER})\ntime.sleep(600)\n"
    )
    code = f"from vecprop import learn; learn.grade_file({str(tmp_path / 's.py')!r}, seconds=600)"
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
def test_what_waits_or_does_not_end_is_not_judged(graded):
    text = "import time\ndef loss(Y, T):\n    time.sleep(1000)\ndef softmax(z):\n    while True:\n        pass\n"
    grades = graded(text, ["loss", "softmax", "error_output", "logistic"])
    assert [grade.status for grade in grades.values()] == ["not judged", "not judged", "right", "missing"]
    assert grades["loss"].mistake == "it waits without end"
    assert grades["softmax"].mistake == "it does not end"
    assert str(grades["loss"]).startswith("loss: not judged. It waits without end. (0 of 1)")
    assert [function["status"] for function in grades.to_dict()["functions"]][-2:] == ["right", "missing"]


@LINUX
def test_only_what_a_file_does_not_contain_is_missing(graded):
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
    assert [grades[name].status for name in names] == ["not judged", "not judged", "not judged", "missing", "right"]
    assert "line 3: NameError: name 'nothing_of_this_name' is not defined" in grades["loss"].mistake
    assert "a value of type int, not for a function" in grades["softmax"].mistake
    grades = graded("def loss(Y, T:\n    return 0\n", names)
    assert [grades[name].status for name in names] == ["not judged", "missing", "missing", "missing", "not judged"]
    assert "SyntaxError" in grades["loss"].mistake


@LINUX
def test_a_file_that_does_not_end_says_where_and_what_is_not_judged(graded):
    text = """
    scale = len("1")
    def loss(Y, T):
        return scale * 0
    softmax = (lambda f: f)(lambda z: z)
    while True:
        pass
    """
    grades = graded(text, ["loss", "softmax", "error_output"])
    why = "The file does not end within 1 s of processor time, in line 6"
    assert grades.notes == (f"{why}: only its functions are looked at, not the rest.",)
    assert [grade.status for grade in grades.values()] == ["not judged", "not right yet", "right"]
    assert grades["loss"].mistake == "it needs what the file does not come to define"


@LINUX
@pytest.mark.long
def test_processor_time_counts_and_that_of_imports_does_not(graded, tmp_path, monkeypatch):
    (tmp_path / "slow_library.py").write_text(
        "import time\nend = time.process_time() + 1.5\nwhile time.process_time() < end:\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert graded("import slow_library\n").notes == ()
    assert "does not end within 1 s" in graded("__import__('slow_library')\n").notes[0]


@LINUX
@pytest.mark.long
def test_the_tutorial_has_full_points_in_an_empty_home_and_under_load(tmp_path, monkeypatch):
    functions = {name: bodies[0] for name, bodies in RIGHT.items()}
    text = "import numpy as np\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\n"
    for name, body in functions.items():
        text += f"def {name}({', '.join(TASKS[name].arguments)}):\n{textwrap.indent(body, '    ')}\n"
    cells = [{"cell_type": "code", "source": text}]
    (tmp_path / "tutorial.ipynb").write_text(json.dumps({"cells": cells}))
    home = tmp_path / "home"
    home.mkdir()
    load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    code = "import sys; from vecprop import learn; print(learn.grade_file(sys.argv[1], seconds=1).total)"
    environment = {**os.environ, "HOME": str(home), "OPENBLAS_NUM_THREADS": "1"}
    try:
        command = [sys.executable, "-c", code, str(tmp_path / "tutorial.ipynb")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    finally:
        for process in load:
            process.kill()
            process.wait()
    assert done.stdout == "14 of 14 points.\n"


USES = {
    "import vecprop.learn.tutorial as s": "it imports vecprop.learn.tutorial",
    "def loss(Y, T):\n    from vecprop.learn import grade\n    return grade(Y)(Y, T)": "it imports vecprop.learn",
    "m = __import__('vec' + 'prop.learn.tutorial')": "it imports vecprop.learn.tutorial",
    "import importlib\nm = importlib.import_module('vec' + 'prop')": "it imports vecprop",
    "exec('import vec' + 'prop')": "it imports vecprop",
    "open(PATH).read()": "it reads tutorial.py",
    "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import vecprop'])": "a program that imports",
}


@LINUX
@pytest.mark.parametrize(("text", "use"), USES.items(), ids=range(len(USES)))
def test_uses_of_the_library_are_flagged(graded, text, use):
    tutorial = Path(learn.__file__).with_name("tutorial.py")
    grades = graded(text.replace("PATH", repr(str(tutorial))) + "\n", ["error_output", "loss"])
    (flag,) = grades.flags
    assert flag.startswith("The file uses vecprop, which has the solutions: ")
    assert use in flag
    assert flag in str(grades)
    assert grades.to_dict()["flags"] == [flag]
    assert "The file uses vecprop" in grades._repr_html_()


@LINUX
def test_other_imports_are_not_flagged(graded):
    assert graded("import json, math, numpy as np\nname = 'a vecprop of words'\n").flags == ()


@LINUX
def test_a_class_is_graded_row_by_row(tmp_path, monkeypatch):
    pytest.importorskip("typer", reason='pip install "vecprop[cli]"')
    from vecprop.app.commands.learn import grade as grade_command

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
    (folder / "e.json").write_text('{"worksheet": {"shape": "2-2", "rows": 1}, "answers": {"Z1": 3}}')
    out = tmp_path / "grades.csv"
    seen = []

    from vecprop.learn import sheet_files

    graded_sheet = sheet_files.graded_sheet

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
    assert "The file uses the library's solutions: sheet.trace." in rows["a.md"]["notes"]
    assert rows["c.md"]["notes"].startswith("Not judged. The file waits for something that does not come")
    assert "uses" not in rows["d.md"]["notes"]

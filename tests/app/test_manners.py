"""The commands as a user runs them, in a process of their own: streams, exit codes, time to start."""

import subprocess
import sys
import time
from typing import Any

import pytest
from typer.main import get_command

from vecprop.app.command_line import app

COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'vecprop'; from vecprop.app import main; main()"]


def test_the_version_is_there_at_once_and_nothing_heavy_is_imported_for_it():
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([*COMMAND, "--version"], check=True, capture_output=True)
        if time.perf_counter() - began < 1:  # 0.15 s where nothing else runs; benchmarks measure, tests guard
            break
    else:
        pytest.fail("The version takes a second.")
    code = "import sys, vecprop.app.command_line as _; "
    code += "print({'numpy', 'sklearn', 'pandas', 'numba', 'bokeh', 'tornado'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_help_has_an_example(vecprop):
    commands: Any = get_command(app)
    lessons = [f"learn {name}" for name in commands.commands["learn"].commands]
    for command in [*commands.commands.keys() - {"learn"}, *lessons]:
        assert f"Example: vecprop {command}" in vecprop(*command.split(), "--help").stdout


def test_errors_are_one_sentence_and_traced_with_debug(vecprop):
    assert vecprop("train", "none.csv", "--target", "y", code=3).stderr == "There is no file none.csv.\n"
    assert "Traceback" in vecprop("train", "none.csv", "--target", "y", "--debug", code=3).stderr
    vecprop("train", code=2)

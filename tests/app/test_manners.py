"""Test commands in a separate process: streams, exit codes and startup time."""

import subprocess
import sys
from typing import Any

from typer.main import get_command

from vecprop.app.command_line import app

COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'vecprop'; from vecprop.app import main; main()"]


def test_nothing_heavy_is_imported_for_the_version():
    heavy = "{'numpy', 'sklearn', 'pandas', 'numba', 'bokeh', 'tornado'} & set(sys.modules)"
    code = f"import atexit, sys; atexit.register(lambda: print({heavy})); sys.argv = ['vecprop', '--version']; "
    code += "from vecprop.app import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nset()\n")


def test_help_has_an_example(vecprop):
    commands: Any = get_command(app)
    lessons = [f"learn {name}" for name in commands.commands["learn"].commands]
    for command in [*commands.commands.keys() - {"learn"}, *lessons]:
        assert f"Example: vecprop {command}" in vecprop(*command.split(), "--help").stdout


def test_errors_are_one_sentence_with_a_traceback_under_debug(vecprop):
    assert vecprop("train", "none.csv", "--target", "y", code=3).stderr == "There is no file none.csv.\n"
    assert "Traceback" in vecprop("train", "none.csv", "--target", "y", "--debug", code=3).stderr
    vecprop("train", code=2)

"""The commands as a user runs them, in a process of their own: streams, exit codes, time to start."""

import os
import subprocess
import sys
import time
from typing import Any

import pytest
from typer.main import get_command

from shared_commands import FAST
from vecprop.app.command_line import app

COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'vecprop'; from vecprop.app import main; main()"]


def outside(*arguments, **options):
    """Run a command in a process of its own."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_the_version_is_there_at_once():
    times = []
    for _ in range(3):
        began = time.perf_counter()
        assert outside("--version").returncode == 0
        times.append(time.perf_counter() - began)
    assert min(times) < 1  # 0.15 s where nothing else runs; benchmarks measure, tests guard


def test_nothing_heavy_is_imported_for_it():
    code = "import sys, vecprop.app.command_line as _; "
    code += "print({'numpy', 'sklearn', 'pandas', 'numba', 'bokeh', 'tornado'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


COMMANDS = [
    "train",
    "predict",
    "evaluate",
    "explain",
    "convert",
    "check",
    "export",
    "info",
    "warmup",
    "demo",
    "playground",
]


def test_help_has_an_example(vecprop):
    group: Any = get_command(app)
    for command in [
        *group.commands.keys() - {"learn"},
        *(f"learn {name}" for name in group.commands["learn"].commands),
    ]:
        assert f"Example: vecprop {command}" in vecprop(*command.split(), "--help").stdout


@pytest.mark.long
def test_a_run_from_outside(table):
    done = outside(
        "train", table.name, "--target", "buys", *FAST, cwd=table.parent, env={**os.environ, "NO_COLOR": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert "log loss" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert (table.parent / "people.npz").exists()


def test_errors_are_one_sentence_and_traced_with_debug(vecprop):
    assert vecprop("train", "none.csv", "--target", "y", code=3).stderr == "There is no file none.csv.\n"
    assert "Traceback" in vecprop("train", "none.csv", "--target", "y", "--debug", code=3).stderr
    vecprop("train", code=2)

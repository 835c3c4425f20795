"""The commands as a user runs them, in a process of their own: streams, exit codes, time to start."""

import os
import shlex
import subprocess
import sys
import time

import pytest

from shared_commands import FAST

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


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "predict",
        "evaluate",
        "convert",
        "check",
        "export",
        "info",
        "warmup",
        "demo",
        "playground",
        "learn check",
        "learn worksheet",
        "learn grade",
    ],
)
def test_help_has_an_example(vecprop, command):
    done = vecprop(*command.split(), "--help")
    assert done.exit_code == 0
    assert f"Example: vecprop {command}" in done.stdout


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
    done = vecprop("train", "none.csv", "--target", "y")
    assert (done.exit_code, done.stdout, done.stderr) == (3, "", "There is no file none.csv.\n")
    done = vecprop("train", "none.csv", "--target", "y", "--debug")
    assert done.exit_code == 3
    assert "Traceback" in done.stderr
    assert vecprop("train").exit_code == 2


@pytest.mark.long
def test_a_reader_that_stops_early_is_no_failure_of_ours(trained):
    command = shlex.join([*COMMAND, "predict", str(trained / "buys.npz"), str(trained / "people.csv")])
    done = subprocess.run(f"{command} --chunk 1 | head -1", shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("prediction")
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "fault" not in done.stderr

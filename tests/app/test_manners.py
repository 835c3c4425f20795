"""Test commands in a separate process: streams, exit codes and startup time."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared_commands import FAST, commands

COMMAND = [
    sys.executable,
    "-c",
    "import sys; sys.argv[0] = 'vecprop'; from vecprop.app import main; main()",
]


def test_nothing_heavy_is_imported_for_the_version():
    heavy = (
        "{'numpy', 'sklearn', 'pandas', 'numba', 'bokeh', 'tornado'} & set(sys.modules)"
    )
    code = (
        f"import atexit, sys; atexit.register(lambda: print({heavy})); sys.argv ="
        " ['vecprop', '--version']; "
    )
    code += "from vecprop.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("\nset()\n")


def test_help_has_an_example(vecprop):
    for command in commands():
        assert (
            f"Example: vecprop {command}" in vecprop(*command.split(), "--help").stdout
        )


def test_errors_are_one_sentence_with_a_traceback_under_debug(vecprop):
    said = vecprop("train", "none.csv", "--target", "y", code=3).stderr
    assert said == f"There is no file none.csv in {Path.cwd()}: check the path.\n"
    assert (
        "Traceback"
        in vecprop("train", "none.csv", "--target", "y", "--debug", code=3).stderr
    )
    vecprop("train", code=2)


def test_the_number_of_further_notes_is_shown(vecprop, tmp_path):
    names = [f"c{number}" for number in range(25)]
    lines = [",".join([str(row)] * 25) for row in range(100)]
    (tmp_path / "numbers.csv").write_text(
        "\n".join([",".join(names), *lines, ",".join(["none"] * 25), ""])
    )
    notes = vecprop("convert", "numbers.csv", "numbers").stderr
    assert "\nNote: and 5 more.\n" in notes


@pytest.mark.parametrize(
    ("module", "extra", "command"),
    [
        (
            "matplotlib",
            "pictures",
            ("train", "people.csv", "--target", "buys", "--report", "page.html", *FAST),
        ),
        ("pyarrow", "tables", ("train", "people.parquet", "--target", "buys", *FAST)),
        ("pyarrow", "tables", ("convert", "people.csv", "converted")),
    ],
)
def test_missing_extras_are_named(
    vecprop, table, people, without_package, module, extra, command
):
    people.to_parquet(table.with_suffix(".parquet"))
    without_package(module)
    done = vecprop(*command, code=1)
    assert done.stderr.endswith(f'pip install "vecprop[{extra}]".\n')
    assert not list(table.parent.glob("*.npz"))

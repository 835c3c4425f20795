"""Test commands whose standard streams are closed, have no reader, or are full."""

import os
import subprocess
import sys
from contextlib import redirect_stderr

import pytest

from shared_commands import FAST, exit_with

COMMAND = [
    sys.executable,
    "-c",
    "import sys; sys.argv[0] = 'vecprop'; from vecprop.app import main; main()",
]
IS_POSIX = os.name == "posix"
needs_posix = pytest.mark.skipif(not IS_POSIX, reason="for POSIX shells and signals")


def run_in_shell(redirection, *arguments, folder):
    """Run a command with redirected streams; return its exit code and what it wrote to the other streams."""
    script = f'set -o pipefail; "$@" {redirection}'
    command = ["bash", "-c", script, "bash", *COMMAND, *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@needs_posix
@pytest.mark.long
@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [
        (">&-", 0, ""),
        ("<&-", 0, ""),
        ("2>&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        ("| true", 0, ""),
        ("2> >(true)", 0, ""),
        ("2>&1 | true", 0, ""),
        ("> /dev/full", 1, "No space left on device.\n"),
        ("2> /dev/full", 0, ""),
    ],
)
def test_output_that_nobody_reads_is_discarded(trained, redirection, code, message):
    assert run_in_shell(redirection, "info", "buys.npz", folder=trained)[::2] == (
        code,
        message,
    )
    train = ("train", "people.csv", "--target", "buys", "-o", "new.npz", *FAST)
    assert run_in_shell(redirection, *train, folder=trained)[0] == code
    assert (trained / "new.npz").exists()


@needs_posix
@pytest.mark.long
def test_wrong_options_with_closed_streams_keep_their_exit_code(trained):
    for redirection in ("2>&-", ">&- 2>&-", "2> >(true)"):
        assert run_in_shell(redirection, "info", folder=trained)[0] == 2
    assert run_in_shell("<&-", "predict", "buys.npz", "-", folder=trained)[::2] == (
        3,
        "Standard input is empty.\n",
    )


@needs_posix
def test_a_message_without_a_reader_does_not_raise():
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", buffering=1) as stream, redirect_stderr(stream):
        for _ in range(2):
            with pytest.raises(SystemExit) as ended:
                exit_with("info", "no_model.npz")
            assert ended.value.code == 3

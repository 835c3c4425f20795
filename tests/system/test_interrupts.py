"""Interrupts of commands: during imports, in finalizers, and twice."""

import os
import signal
import subprocess
import sys
import time

import pytest

from vecprop.system.interrupts import defer_ignored_interrupt, terminated_as_interrupted
from vecprop.system.signals import handle_signals, leave

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="this system has no timers"
)
NUMBERS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def handlers_of_commands(monkeypatch):
    before = {number: signal.getsignal(number) for number in (*NUMBERS, signal.SIGALRM)}
    monkeypatch.setattr(sys, "unraisablehook", defer_ignored_interrupt)
    handle_signals(leave)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def wait():
    """Wait for an interrupt."""
    for _ in range(1000):
        time.sleep(0.01)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_interrupt_waits_for_the_end_of_an_import(number, tmp_path, monkeypatch):
    (tmp_path / "interrupted.py").write_text(
        f"import signal\nsignal.raise_signal({number})\nis_whole = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "interrupted", raising=False)
    seen = []

    def command():
        import interrupted  # pyright: ignore[reportMissingImports]

        seen.append(interrupted.is_whole)
        wait()

    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
        terminated_as_interrupted()(command)()
    assert seen == [True]
    assert signal.getsignal(number) is leave


def test_an_interrupt_that_is_still_deferred_at_the_end_is_dropped(
    tmp_path, monkeypatch
):
    (tmp_path / "late.py").write_text(
        "import signal\nsignal.raise_signal(signal.SIGTERM)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with terminated_as_interrupted():
        import late  # noqa: F401 # pyright: ignore[reportMissingImports]
    time.sleep(0.03)


class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def finalize_and_wait():
    Finalized()
    wait()


def test_an_interrupt_that_python_ignores_in_a_finalizer_is_delivered_again():
    with pytest.raises(KeyboardInterrupt):
        terminated_as_interrupted()(finalize_and_wait)()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_before_the_command_starts_ends_it_with_one_sentence(number):
    code = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from vecprop.system.signals import handle_signals, leave
handle_signals(leave)
signal.raise_signal({int(number)})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        128 + number,
        "",
        "Interrupted.\n",
    )


def test_ignored_signals_stay_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    handle_signals(leave)
    with terminated_as_interrupted():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")
@pytest.mark.parametrize("number", NUMBERS)
def test_an_interrupt_while_the_package_is_imported_is_one_sentence(number, tmp_path):
    (tmp_path / "lazy_loader.py").write_text(
        f"import signal\nsignal.raise_signal({number})\n"
    )
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "vecprop", "--version"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (128 + number, "Interrupted.\n")

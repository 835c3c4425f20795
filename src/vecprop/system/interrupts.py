"""Handle Ctrl-C and SIGTERM: end commands at once, or after they have saved their work."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from .signals import leave

TERMINATED = 128 + signal.SIGTERM
"""The exit code that shells report for a process ended by SIGTERM."""

AT_ONCE = 1.0
"""A second SIGTERM within this many seconds is ignored: `timeout` signals both the
process and its group.
"""

PAUSE = 0.01
"""The number of seconds between attempts to deliver a deferred interrupt."""

_guarded: list[bool] = []
_deferred: list[bool] = []


def defer_ignored_interrupt(unraisable) -> None:
    """Deliver an interrupt again if Python ignored it, for example in a finalizer (an unraisable hook)."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        _defer()
    else:
        sys.__unraisablehook__(unraisable)


def _defer() -> None:
    """Deliver an interrupt to the handler of Ctrl-C a little later."""

    def deliver(number: int, frame: FrameType | None) -> None:
        _deferred.clear()
        signal.raise_signal(signal.SIGINT)

    if hasattr(signal, "setitimer"):
        _deferred.append(True)
        signal.signal(signal.SIGALRM, deliver)
        signal.setitimer(signal.ITIMER_REAL, PAUSE)


def _interrupt(frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, but not during an import: C extensions print such exceptions, or lose them.

    A second interrupt during an import ends the program.
    """
    while (
        frame is not None
        and frame.f_code.co_filename != "<frozen importlib._bootstrap>"
    ):
        frame = frame.f_back
    if frame is None or not hasattr(signal, "setitimer"):
        raise KeyboardInterrupt
    if _deferred:
        leave(signal.SIGINT, frame)
    _defer()


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM interrupt the block as Ctrl-C does, and raise SystemExit(143) at its end. Blocks may be nested.

    A user's signal handler is called immediately. If it raises, the exception replaces
    SystemExit; if it returns, the block continues. The handler `leave` is replaced.
    There is no effect in other threads or in forked processes.
    """
    before = {
        number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)
    }
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or _guarded or None in before.values():
        yield
        return
    ends = []
    process = os.getpid()
    latest = -AT_ONCE

    def terminate(number: int, frame: FrameType | None) -> None:
        nonlocal latest
        end: BaseException = SystemExit(TERMINATED)
        user_handler: Any = before[signal.SIGTERM]
        is_custom = callable(user_handler) and user_handler is not leave
        if not is_custom and os.getpid() != process:
            _by_default(number)
            return
        if is_custom:
            try:
                user_handler(number, frame)
            except BaseException as error:
                end = error
            else:
                return
        now = time.monotonic()
        if now - latest < AT_ONCE:
            return
        latest = now
        ends.append(end)
        # training may have replaced it, to end between two batches
        handler = signal.getsignal(signal.SIGINT)
        assert callable(handler)
        handler(signal.SIGINT, frame)

    def interrupt(number: int, frame: FrameType | None) -> None:
        user_handler = before[signal.SIGINT]
        if user_handler is leave:
            _interrupt(frame)
        elif ends:
            raise KeyboardInterrupt
        elif callable(user_handler):
            user_handler(number, frame)
        elif user_handler == signal.SIG_DFL:
            _by_default(number)

    def restore() -> None:
        if _deferred:  # the command has ended before the interrupt was delivered
            signal.setitimer(signal.ITIMER_REAL, 0)
            _deferred.clear()
            ends.clear()
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        _guarded.append(True)
        signal.signal(signal.SIGINT, interrupt)
        if before[signal.SIGTERM] is not signal.SIG_IGN:
            signal.signal(signal.SIGTERM, terminate)
        yield
    except BaseException as error:
        # Raise an error of the block rather than SystemExit, unless the error itself
        # carries an exit code.
        if _deferred or (
            isinstance(error, Exception) and not hasattr(error, "exit_code")
        ):
            ends.clear()
        if not ends:
            raise
    finally:
        _guarded.clear()
        try:
            restore()
        # raised by the handler of a signal that arrived just before
        except BaseException:
            restore()
            raise
    if ends:
        raise ends[0]


def _by_default(number: int) -> None:
    """Restore the default action of a signal and send it to this process, which ends it."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)

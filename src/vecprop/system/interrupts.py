"""SIGTERM during trainings that are kept: it ends them as Ctrl-C does, and then the program."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 128 + signal.SIGTERM
"""The exit code of a program that SIGTERM has ended, as shells count it."""

AT_ONCE = 1.0
"""The seconds within which a repeated SIGTERM is the same: `timeout` sends it to the program, and then to its group."""

_guarded: list[bool] = []


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM interrupt the block as Ctrl-C does, and raise SystemExit(143) at its end; blocks may be nested.

    A handler of the user's own is called at once and decides: what it raises is raised at the end of the block. Outside
    of the main thread, in processes that the block forks, and where SIGTERM is ignored, nothing changes.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or _guarded or None in before.values() or before[signal.SIGTERM] is signal.SIG_IGN:
        yield
        return
    ends: list[BaseException] = []
    process, came = os.getpid(), [-AT_ONCE]

    def terminate(number: int, frame: FrameType | None) -> None:
        end: BaseException = SystemExit(TERMINATED)
        own = before[signal.SIGTERM]
        if not callable(own) and os.getpid() != process:
            _by_default(number)
            return
        if callable(own):
            try:
                own(number, frame)
            except BaseException as error:
                end = error
            else:
                return
        now = time.monotonic()
        if now - came[0] < AT_ONCE:
            return
        came[0] = now
        ends.append(end)
        handler = signal.getsignal(signal.SIGINT)  # which training may have replaced, to end between two batches
        assert callable(handler)
        handler(signal.SIGINT, frame)

    def interrupt(number: int, frame: FrameType | None) -> None:
        own = before[signal.SIGINT]
        if ends:
            raise KeyboardInterrupt
        if callable(own):
            own(number, frame)
        elif own == signal.SIG_DFL:
            _by_default(number)

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        _guarded.append(True)
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, terminate)
        yield
    except BaseException as error:
        # An error of the program's own is worth more than the exit code, unless it only tells another one.
        if ends and isinstance(error, Exception) and not hasattr(error, "exit_code"):
            ends.clear()
        if not ends:
            raise
    finally:
        _guarded.clear()
        try:
            restore()
        except BaseException:  # of a signal that came just before
            restore()
            raise
    if ends:
        raise ends[0]


def _by_default(number: int) -> None:
    """Let a signal do what it does without a handler: it ends the process."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)

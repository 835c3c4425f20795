"""Handle SIGTERM during training with a checkpoint: end training as Ctrl-C does, then exit."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 128 + signal.SIGTERM
"""The exit code that shells report for a process ended by SIGTERM."""

AT_ONCE = 1.0
"""A second SIGTERM within this many seconds is ignored: `timeout` signals both the process and its group."""

_guarded: list[bool] = []


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM interrupt the block as Ctrl-C does, and raise SystemExit(143) at its end. Blocks may be nested.

    A user's signal handler is called immediately. If it raises, the exception replaces SystemExit; if it returns,
    the block continues. There is no effect in other threads, in forked processes, or if SIGTERM is ignored.
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
        handler = signal.getsignal(signal.SIGINT)  # training may have replaced it, to end between two batches
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
        # Raise an error of the block rather than SystemExit, unless the error itself carries an exit code.
        if ends and isinstance(error, Exception) and not hasattr(error, "exit_code"):
            ends.clear()
        if not ends:
            raise
    finally:
        _guarded.clear()
        try:
            restore()
        except BaseException:  # raised by the handler of a signal that arrived just before
            restore()
            raise
    if ends:
        raise ends[0]


def _by_default(number: int) -> None:
    """Restore the default action of a signal and send it to this process, which ends it."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)

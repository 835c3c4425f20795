"""SIGTERM during trainings that are kept: it ends them as Ctrl-C does, and then the program."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED = 128 + signal.SIGTERM
"""The exit code of a program that SIGTERM has ended, as shells count it."""

_guarded: list[bool] = []


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM interrupt the block as Ctrl-C does, and raise SystemExit(143) at its end; blocks may be nested.

    A handler of the user's own is called at once and decides: what it raises is raised at the end of the block. Outside
    of the main thread, and where SIGTERM is ignored, nothing changes.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or _guarded or None in before.values() or before[signal.SIGTERM] is signal.SIG_IGN:
        yield
        return
    ends: list[BaseException] = []

    def terminate(number: int, frame: FrameType | None) -> None:
        end: BaseException = SystemExit(TERMINATED)
        if callable(own := before[signal.SIGTERM]):
            try:
                own(number, frame)
            except BaseException as error:
                end = error
            else:
                return
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
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, before[number])
        _guarded.clear()
    if ends:
        raise ends[0]

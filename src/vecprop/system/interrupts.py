"""Handle Ctrl-C and SIGTERM: end commands at once, or after they saved their work."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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


def defer_ignored_interrupt(unraisable):
    """Deliver an interrupt again if Python ignored it (an unraisable hook)."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        _defer()
    else:
        sys.__unraisablehook__(unraisable)


def _defer():
    """Deliver an interrupt to the handler of Ctrl-C a little later."""

    def deliver(number: int, frame: FrameType | None):
        _deferred.clear()
        signal.raise_signal(signal.SIGINT)

    if hasattr(signal, "setitimer"):
        _deferred.append(True)
        signal.signal(signal.SIGALRM, deliver)
        signal.setitimer(signal.ITIMER_REAL, PAUSE)


def _interrupt(frame: FrameType | None):
    """Raise KeyboardInterrupt, but not during an import: C extensions print such exceptions, or lose them.

    A second interrupt during an import ends the program.
    """
    if not hasattr(signal, "setitimer") or not _is_importing(frame):
        raise KeyboardInterrupt
    if _deferred:
        leave(signal.SIGINT, frame)
    _defer()


def _is_importing(frame: FrameType | None) -> bool:
    """Return whether an import called this frame."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


@dataclass
class _Handlers:
    """The handlers of SIGTERM and SIGINT in a block, given the handlers outside it."""

    on_sigterm: Any
    on_sigint: Any
    process: int = field(default_factory=os.getpid)
    latest: float = -AT_ONCE
    exceptions: list[BaseException] = field(default_factory=list)
    """What the block raises at its end, because of SIGTERM."""

    def terminate(self, number: int, frame: FrameType | None):
        """Interrupt the block, unless the outer handler returns (a signal handler)."""
        exception = SystemExit(TERMINATED)
        if callable(self.on_sigterm) and self.on_sigterm is not leave:
            try:
                self.on_sigterm(number, frame)
                return
            except BaseException as error:
                exception = error
        elif os.getpid() != self.process:  # a forked process
            _by_default(number)
            return
        now = time.monotonic()
        if now - self.latest < AT_ONCE:
            return
        self.latest = now
        self.exceptions.append(exception)
        # training may have replaced it, to end between two batches
        interrupt_block = signal.getsignal(signal.SIGINT)
        assert callable(interrupt_block)
        interrupt_block(signal.SIGINT, frame)

    def interrupt(self, number: int, frame: FrameType | None):
        """Interrupt the block, or call the outer handler (a signal handler)."""
        if self.on_sigint is leave:
            _interrupt(frame)
        elif self.exceptions:
            raise KeyboardInterrupt
        elif callable(self.on_sigint):
            self.on_sigint(number, frame)
        elif self.on_sigint == signal.SIG_DFL:
            _by_default(number)

    def install(self):
        signal.signal(signal.SIGINT, self.interrupt)
        if self.on_sigterm is not signal.SIG_IGN:
            signal.signal(signal.SIGTERM, self.terminate)

    def restore(self):
        """Restore the outer handlers."""
        if _deferred:  # the command has ended before the interrupt was delivered
            signal.setitimer(signal.ITIMER_REAL, 0)
            _deferred.clear()
            self.exceptions.clear()
        signal.signal(signal.SIGTERM, self.on_sigterm)
        signal.signal(signal.SIGINT, self.on_sigint)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM interrupt the block as Ctrl-C does, and raise SystemExit(143) at its end. Blocks may be nested.

    A user's signal handler is called immediately. If it raises, the exception replaces
    SystemExit; if it returns, the block continues. The handler `leave` is replaced.
    There is no effect in other threads or in forked processes.
    """
    handlers = _Handlers(
        on_sigterm=signal.getsignal(signal.SIGTERM),
        on_sigint=signal.getsignal(signal.SIGINT),
    )
    is_main = threading.current_thread() is threading.main_thread()
    # None is a handler set in C, which cannot be restored
    is_replaceable = None not in (handlers.on_sigterm, handlers.on_sigint)
    if not is_main or _guarded or not is_replaceable:
        yield
        return
    try:
        _guarded.append(True)
        handlers.install()
        yield
    except BaseException as error:
        # Raise an error of the block rather than SystemExit, unless the error itself
        # carries an exit code.
        is_error = isinstance(error, Exception) and not hasattr(error, "exit_code")
        if _deferred or is_error:
            handlers.exceptions.clear()
        if not handlers.exceptions:
            raise
    finally:
        _guarded.clear()
        try:
            handlers.restore()
        finally:  # the handler of a signal that arrived just before may raise
            handlers.restore()
    if handlers.exceptions:
        raise handlers.exceptions[0]


def _by_default(number: int):
    """End this process by the default action of a signal."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)

"""The command line ``vecprop``: its commands and their implementation."""

import os
import signal
import sys

from ..system.interrupts import defer_ignored_interrupt
from ..system.signals import handle_signals, leave


def main():
    """Run the command line, or say in one sentence which package is missing."""
    handle_signals(leave)
    sys.unraisablehook = defer_ignored_interrupt
    _open_closed_streams()
    try:
        from .command_line import app
    except ImportError as error:
        sys.exit(f'The command line needs {error.name}: pip install "vecprop[all]".')
    try:
        app()
    finally:  # the work is done, and nothing may disturb the end of Python
        handle_signals(signal.SIG_IGN)


def _open_closed_streams():
    """Connect closed standard streams to the null device, also because other files would get their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115

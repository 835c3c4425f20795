"""End ``vecprop`` on Ctrl-C and SIGTERM; imports little, since it is loaded first."""

import os
import signal
import sys


def leave(number: int, frame: object):
    """End the program at once with one sentence (a signal handler)."""
    try:
        os.write(2, b"Interrupted.\n")
    finally:
        os._exit(128 + number)


def handle_signals(handler: object):
    """Handle Ctrl-C and SIGTERM, unless the parent process ignores them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]


def handle_signals_of_command():
    """Let Ctrl-C and SIGTERM end the command ``vecprop`` at once."""
    arguments = sys.orig_argv[1:3]
    if arguments == ["-m", "vecprop"] or (
        arguments and os.path.basename(arguments[0]) in ("vecprop", "vecprop.exe")
    ):
        handle_signals(leave)

"""Ctrl-C while results are written."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held_back_interrupts() -> Iterator[list[int]]:
    """Hold Ctrl-C back in the block, so that it ends as it should; a second one ends it at once.

    The block gets a list, which has an entry once Ctrl-C has come.

    Examples
    --------
    >>> with held_back_interrupts() as received:
    ...     signal.raise_signal(signal.SIGINT)
    >>> len(received)
    1
    """
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = signal.signal(signal.SIGINT, receive)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)

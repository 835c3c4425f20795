"""The pace of writing, which takes next to nothing of the time of training."""

import time

SHARE = 0.01
"""The largest share of the time that writing takes."""


class Pace:
    """When to write: after some seconds, and so seldom that it takes no more than a hundredth of the time."""

    def __init__(self, every: float) -> None:
        self.every, self.written, self.cost = every, time.perf_counter(), 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to write."""
        return time.perf_counter() - self.written >= max(self.every, self.cost / SHARE)

    def wrote(self, began: float) -> None:
        """Note that what was begun at a time is written."""
        self.written = time.perf_counter()
        self.cost = self.written - began

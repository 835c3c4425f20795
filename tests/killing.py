"""The end of a program at a moment of its writing, without a process of its own."""

import os
from itertools import count


class Killed(BaseException):
    """The end of the program, as far as it can see."""


def kill_at(monkeypatch, which):
    """Kill the program as it puts the file of this number in its place."""
    number, rename = count(), os.replace

    def die(unfinished, target):
        if next(number) == which:
            raise Killed
        rename(unfinished, target)

    monkeypatch.setattr("vecprop.files.atomic.os.replace", die)

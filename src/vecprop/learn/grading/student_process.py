"""A student's file in a process of its own, with limits of time and memory and an empty folder."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from . import student
from .judging import ENDED
from .student import Outcome, decoded, encoded

LARGEST_FILE, LONGEST_ANSWER = 10 * 2**20, 50 * 2**20
STARTING = 60
"""The most seconds that Python and NumPy may take to start."""

MOST_ENDLESS = 3
"""The number of functions that do not end after which no others are tried."""


class StudentProcess:
    """The functions of a file; each is called in another process, which is started anew if it ends or is too slow.

    Parameters
    ----------
    text : str
        The file's content.
    ending : {".py", ".ipynb", ".md"}
        What it is.
    seconds : float
        The time for the whole file, and for each call.
    megabytes : int
        The memory of the process.

    Attributes
    ----------
    functions : dict of str to bool
        The functions that the file defines, and whether each is the student's own.
    notes : list of str
        Sentences on the file as a whole.
    """

    def __init__(self, text: str, ending: str, seconds: float, megabytes: int) -> None:
        self.start = {"text": text, "ending": ending, "seconds": 20 * seconds, "megabytes": megabytes}
        self.seconds, self.megabytes = seconds, megabytes
        self.functions: dict[str, bool] = {}
        self.notes: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        self.endless, self.calls = 0, 0
        self.only_definitions = False

    def __enter__(self) -> "StudentProcess":
        loaded = self._load()
        if loaded["kind"] != "value":
            self.only_definitions = True
            why = f"does not end within {self.seconds:g} s" if loaded["kind"] == "time" else "ends its own process"
            self.notes.append(f"The file {why}: only its functions are looked at, not the rest.")
            loaded = self._load()
        if loaded["kind"] == "value":
            self.functions = {str(name): bool(own) for name, own in loaded["functions"].items()}
            self.notes += [f"The file has an error in {error}." for error in map(str, loaded["errors"][:5])]
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def call(self, name: str, arguments: Mapping[str, Any], lists: bool) -> Outcome:
        """Return what a call comes to; see `student.call`. The kinds "time", "crash" and "untried" are added."""
        if self.endless >= MOST_ENDLESS:
            return _nothing("untried")
        if self.process is None and self._load()["kind"] != "value":
            return _nothing("crash")
        values = {key: encoded(_arrays(value)) for key, value in arguments.items()}
        self.calls += 1
        request = {"name": name, "arguments": values, "lists": lists, "number": self.calls}
        outcome = self._ask(request, self.seconds)
        self.endless += outcome["kind"] == "time"
        if outcome["kind"] in ENDED:
            return outcome
        try:
            if outcome["number"] == self.calls:
                return {**outcome, "value": decoded(outcome["value"])}
        except (ValueError, TypeError, KeyError):
            pass
        self._end()  # the student's code has written into the pipe
        return _nothing("crash")

    def values(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the values of variables, of those that are there, as arrays or lists of them."""
        if self.process is None and self._load()["kind"] != "value":
            return {}
        found = self._ask({"values": list(names)}, self.seconds).get("values")
        try:
            return {name: decoded(found[name]) for name in names if found[name] is not None} if found else {}
        except (ValueError, TypeError, KeyError):  # the student's code has written into the pipe
            return {}

    def _load(self) -> Outcome:
        """Start the process, and return the functions that it has found."""
        self._end()
        self.folder = tempfile.TemporaryDirectory(prefix="vecprop-", ignore_cleanup_errors=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
        home = self.folder.name
        single = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}
        settings = {"HOME": home, "TMPDIR": home, "TEMP": home, "MPLBACKEND": "agg", "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", student.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=home,
            env={**kept, **single, **settings},
            start_new_session=True,
        )
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_read, args=(self.process, self.answers), daemon=True).start()
        path = [str(Path(entry).resolve()) for entry in sys.path if entry]
        start = {**self.start, "path": path, "only_definitions": self.only_definitions}
        with suppress(queue.Empty):
            self.answers.get(timeout=STARTING)
        answer = self._ask(start, self.seconds)
        if answer["kind"] == "value" and not (isinstance(answer.get("functions"), dict) and "errors" in answer):
            return _nothing("crash")
        return answer

    def _ask(self, request: Any, seconds: float) -> Outcome:
        """Return the answer to a request; the process is ended if there is none."""
        assert self.process is not None
        assert self.process.stdin is not None
        with suppress(OSError, ValueError):  # it has ended: there is no answer
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        try:
            line = self.answers.get(timeout=seconds)
        except queue.Empty:
            self._end()
            return _nothing("time")
        try:
            answer = json.loads(line)
            return {"kind": "value", "value": None, "printed": "", "changed": [], **answer}
        except (ValueError, TypeError, RecursionError):
            self._end()
            return _nothing("crash")

    def _end(self) -> None:
        """End the process, and all that it has started."""
        process, self.process = self.process, None
        if process is None:
            return
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what is left to be written has no reader
                    pipe.close()
        self.folder.cleanup()


def _read(process: "subprocess.Popen[str]", answers: "queue.Queue[str]") -> None:
    """Hand over the lines that a process writes, and an empty one when it ends or writes too much."""
    assert process.stdout is not None
    with suppress(OSError, ValueError):
        while line := process.stdout.readline(LONGEST_ANSWER):
            answers.put(line)
    answers.put("")


def _nothing(kind: str) -> Outcome:
    return {"kind": kind, "value": None, "printed": "", "changed": []}


def _arrays(value: Any) -> Any:
    return [_arrays(part) for part in value] if isinstance(value, list) else np.asarray(value, float)


def read_source(path: Path) -> tuple[str, str]:
    """Return a file's text and its ending.

    Raises
    ------
    ValueError
        If it is no Python file, notebook or Markdown, or too large.
    """
    ending = path.suffix.lower()
    if ending not in (".py", ".ipynb", ".md"):
        raise ValueError(f"{path} is no Python file (.py), notebook (.ipynb) or Markdown (.md).")
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"{path} is larger than 10 MB.")
    return content.decode("utf-8-sig", "replace"), ending

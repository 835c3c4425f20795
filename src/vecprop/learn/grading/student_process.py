"""Run a student's file in a separate process with limited time and memory."""

import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from . import student
from .judging import ENDED
from .student import Outcome, Process, decoded, descendants, encoded, kill

STARTING, LOOK = 300, 0.2
"""The time limit for starting Python and NumPy, and the interval between checks, in seconds."""


class StudentProcess:
    """Calls the functions of a file in another process and restarts it if necessary.

    After `__enter__`, `functions` maps the defined functions to whether the student wrote them, `unset` maps undefined
    functions to reasons, and `notes` contains sentences about the whole file.
    """

    def __init__(self, text: str, ending: str, seconds: float, megabytes: int, wanted: Sequence[str] = ()) -> None:
        path = [str(Path(entry).resolve()) for entry in sys.path if entry]
        package = str(Path(student.__file__).parents[2])
        self.start = {"text": text, "ending": ending, "seconds": 20 * seconds, "megabytes": megabytes}
        self.start |= {"wanted": list(wanted), "path": path, "package": package}
        self.seconds = seconds
        self.functions: dict[str, bool] = {}
        self.unset: dict[str, str] = {}
        self.notes: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        self.endless, self.calls = 0, 0
        self.only_definitions = False
        self.place = ""
        self.used: dict[str, None] = {}

    def __enter__(self) -> "StudentProcess":
        loaded = self._load()
        if loaded["kind"] != "value":
            self.only_definitions = True
            reasons = {"time": f"does not end within {self.seconds:g} s of processor time"}
            reasons |= {"blocked": "waits forever"}
            why = reasons.get(loaded["kind"], "ends its own process")
            why += f", in {self.place}" if self.place else ""
            self.notes.append(f"The file {why}: only its functions are graded.")
            loaded = self._load()
            self.unset = dict.fromkeys(self.unset, f"the file {why}")
        if loaded["kind"] == "value":
            self.functions = {str(name): bool(own) for name, own in loaded["functions"].items()}
            self.unset |= {str(name): str(why) for name, why in loaded["unset"].items()}
            self.notes += map(str, loaded["notes"][:5])
        self.unset = {name: why for name, why in self.unset.items() if name not in self.functions}
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def flags(self) -> tuple[str, ...]:
        """Warnings for the teacher about uses of this library."""
        uses = sorted(self.used, key=lambda text: "it reads" in text)[:3]
        return (f"The file uses vecprop, which contains the solutions: {'; '.join(uses)}.",) if uses else ()

    def call(self, name: str, arguments: Mapping[str, Any], lists: bool, instead: str = "") -> Outcome:
        """Call a function and return its outcome; `judging` lists further kinds of outcomes."""
        if self.endless >= 3:  # too many endless functions
            return _nothing("untried")
        values = {key: encoded(value) for key, value in arguments.items()}
        self.calls += 1
        request = {"name": name, "arguments": values, "lists": lists, "number": self.calls, "instead": instead}
        outcome = self._asked(request)
        self.endless += outcome["kind"] in ("time", "blocked")
        if outcome["kind"] in ENDED:
            return outcome
        try:
            if outcome["number"] == self.calls:
                return self._plain(outcome)
        except (ValueError, TypeError, KeyError):
            pass
        self._end()  # the student's code has written to the pipe
        return _nothing("crash")

    def _plain(self, outcome: Outcome) -> Outcome:
        """Convert the values of an untrusted outcome to the expected types."""
        plain: Outcome = {name: str(outcome.get(name, "")) for name in ("kind", "printed", "error", "code")}
        plain |= {name: list(map(str, outcome.get(name, ()))) for name in ("changed", "parameters")}
        if self.only_definitions and plain["error"].startswith("NameError"):
            plain["kind"] = "unset"
        line = outcome.get("line")
        return plain | {"value": decoded(outcome["value"]), "line": line if isinstance(line, int) else None}

    def values(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the values of the defined variables as arrays, strings or lists."""
        found = self._asked({"values": list(names)}).get("values")
        try:
            return {name: decoded(found[name]) for name in names if found[name] is not None} if found else {}
        except (ValueError, TypeError, KeyError):  # the student's code has written to the pipe
            return {}

    def _load(self) -> Outcome:
        """Start the process, load the file and return its functions."""
        self._end()
        self.folder = tempfile.TemporaryDirectory(prefix="student-", ignore_cleanup_errors=True)
        home, python = self.folder.name, [sys.executable, "-I", "-X", "utf8"]
        inherited = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
        single = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}
        settings = {"HOME": home, "TMPDIR": home, "TEMP": home, "MPLBACKEND": "agg", "PYTHONDONTWRITEBYTECODE": "1"}
        if re.search("matplotlib|pylab|seaborn", str(self.start["text"])):
            settings["MPLCONFIGDIR"] = home
            for name, content in _font_list().items():
                Path(home, name).write_text(content, encoding="utf-8")
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        pipes |= {"encoding": "utf-8", "errors": "replace"}
        command, env = [*python, student.__file__], {**inherited, **single, **settings}
        self.process = subprocess.Popen(command, cwd=home, env=env, start_new_session=True, **pipes)
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_read, args=(self.process, self.answers), daemon=True).start()
        with suppress(queue.Empty):
            self.answers.get(timeout=STARTING)
        answer = self._ask({**self.start, "only_definitions": self.only_definitions})
        types = {"functions": dict, "unset": dict, "notes": list}
        is_one = all(isinstance(answer.get(name), kind) for name, kind in types.items())
        return answer if is_one or answer["kind"] != "value" else _nothing("crash")

    def _asked(self, request: Any) -> Outcome:
        has_ended = self.process is None and self._load()["kind"] != "value"
        return _nothing("crash") if has_ended else self._ask(request)

    def _ask(self, request: Any) -> Outcome:
        """Send a request and return the answer; end the process if it does not answer."""
        assert self.process
        assert self.process.stdin
        with suppress(OSError, ValueError):  # the process has ended
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        watch = _Watch(self.process.pid, self.seconds)
        while not (kind := watch.verdict()):
            try:
                line = self.answers.get(timeout=LOOK)
                answer = _nothing("value") | json.loads(line)
                self.used |= dict.fromkeys(map(str, answer.get("used", ())))
                if "contained" in answer:
                    self.unset = dict.fromkeys(map(str, answer["contained"]), "")
                elif "place" in answer:
                    self.place = str(answer["place"])
                    watch.importing(bool(answer.get("imports")))
                else:
                    return answer
            except queue.Empty:
                continue
            except (ValueError, TypeError, RecursionError):
                kind = "crash"
                break
        self._end()
        return _nothing(kind)

    def _end(self) -> None:
        """End the process and its descendants."""
        process, self.process = self.process, None
        if process is None:
            return
        if not hasattr(os, "fork"):
            process.kill()
        with suppress(OSError, ValueError):  # the pipe may have no reader
            process.stdin.close()  # pyright: ignore[reportOptionalMemberAccess]
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        kill(descendants(process.pid))
        process.kill()
        process.wait()
        self.folder.cleanup()


class _Watch:
    """Measures the processor time and the idle time of the student's processes."""

    def __init__(self, root: int, seconds: float) -> None:
        self.root, self.seconds = root, seconds
        self.waited, self.started = 0.0, time.monotonic()
        self.looked = self.started
        self.used = self.counted = 0.0
        self.since: float | None = None
        self.imports = False

    def _look(self) -> dict[int, Process]:
        processes = descendants(self.root)
        self.used = sum(process.seconds for process in processes.values())
        self.since = self.used if self.since is None else self.since
        return processes

    def importing(self, imports: bool) -> None:
        """Exclude the time of imports, which take long with a cold cache."""
        if imports != self.imports:
            self._look()
            self.counted += 0 if self.imports else self.used - (self.since or 0)
            self.since, self.imports = self.used, imports

    def verdict(self) -> str:
        """Return the kind of outcome if the call must be stopped, or an empty string."""
        now, before = time.monotonic(), self.used
        elapsed = now - self.looked
        if elapsed < LOOK:
            return ""
        self.looked, processes = now, self._look()
        counted, most = (0, STARTING) if self.imports else (self.counted, self.seconds)
        longest = 100 if processes else 10  # wall time; shorter if processes cannot be inspected
        if counted + self.used - (self.since or 0) > most or now - self.started > longest * max(self.seconds, 1):
            return "time"
        if len(processes) > 200:
            return "crash"
        if processes and self.used - before < elapsed / 10 and not any(p.state in "RD" for p in processes.values()):
            self.waited += elapsed
        return "blocked" if self.waited > self.seconds else ""


def _read(process: "subprocess.Popen[str]", answers: "queue.Queue[str]") -> None:
    """Queue the lines of a process, and an empty line when it ends or writes too much."""
    assert process.stdout
    left = 50 * 2**20
    with suppress(OSError, ValueError), process.stdout:
        while left > 0 and (line := process.stdout.readline(left)):
            left -= len(line)
            answers.put(line)
    answers.put("")


@cache
def _font_list() -> dict[str, str]:
    """Return the cached font lists of matplotlib, which take seconds to create."""
    code = "import matplotlib as m, matplotlib.font_manager; print(m.get_cachedir())"
    found = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    with suppress(OSError):
        return {path.name: path.read_text("utf-8") for path in Path(found.stdout.strip()).glob("fontlist*.json")}
    return {}


def _nothing(kind: str) -> Outcome:
    return {"kind": kind, "value": None, "printed": "", "changed": []}


def read_source(path: Path) -> tuple[str, str]:
    """Return the text and the suffix of a file."""
    ending = path.suffix.lower()
    if ending not in (".py", ".ipynb", ".md"):
        raise ValueError(f"{path} must be a Python file (.py), a notebook (.ipynb) or Markdown (.md).")
    with path.open("rb") as file:
        content = file.read(10 * 2**20 + 1)
    if len(content) > 10 * 2**20:
        raise ValueError(f"{path} is larger than 10 MB: remove outputs and data from it.")
    return content.decode("utf-8-sig", "replace").replace("\r\n", "\n"), ending

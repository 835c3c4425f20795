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

from ...system.suggestions import missing_file
from . import student
from .judging import ENDED
from .student import Outcome, decoded, descendants, encoded, kill

MOST_PROCESSES = 200
STARTING, LOOK = 300, 0.2
"""The time limit for starting Python and NumPy, and the interval between checks, in
seconds.
"""


class StudentProcess:
    """Calls the functions of a file in another process and restarts it if necessary.

    After `__enter__`, `functions` maps the defined functions to whether the student
    wrote them, `unset` maps undefined functions to reasons, and `notes` contains
    sentences about the whole file.
    """

    def __init__(
        self,
        text: str,
        ending: str,
        seconds: float,
        megabytes: int,
        wanted: Sequence[str] = (),
    ):
        self.start = {
            "text": text,
            "ending": ending,
            "seconds": 20 * seconds,
            "megabytes": megabytes,
            "wanted": list(wanted),
            "path": [str(Path(entry).resolve()) for entry in sys.path if entry],
            "package": str(Path(student.__file__).parents[2]),
        }
        self.seconds = seconds
        self.functions: dict[str, bool] = {}
        self.unset: dict[str, str] = {}
        self.notes: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        self.endless = 0  # the number of calls that were stopped
        self.calls = 0
        self.only_definitions = False
        self.place = ""  # the line that runs while the file is loaded
        self.used: dict[str, None] = {}  # uses of this library

    def __enter__(self) -> "StudentProcess":
        loaded = self._load()
        if loaded["kind"] != "value":
            # the file is loaded again, without statements that may take long or exit
            reason = self._reason(loaded["kind"])
            self.notes.append(f"The file {reason}: only its functions are graded.")
            self.only_definitions = True
            loaded = self._load()
            self.unset = dict.fromkeys(self.unset, f"the file {reason}")
        if loaded["kind"] == "value":
            self.functions = {
                str(name): bool(is_own) for name, is_own in loaded["functions"].items()
            }
            self.unset |= {
                str(name): str(reason) for name, reason in loaded["unset"].items()
            }
            self.notes += map(str, loaded["notes"][:5])
        for name in self.functions:
            self.unset.pop(name, None)
        return self

    def _reason(self, kind):
        """Describe why a file could not be loaded."""
        reason = "ends its own process"
        if kind == "time":
            reason = f"does not end within {self.seconds:g} s of processor time"
        elif kind == "blocked":
            reason = "waits forever"
        return f"{reason}, in {self.place}" if self.place else reason

    def __exit__(self, *_: object):
        self._end()

    @property
    def flags(self) -> tuple[str, ...]:
        """Warnings for the teacher about uses of this library."""
        if not self.used:
            return ()
        uses = sorted(self.used, key=lambda text: "it reads" in text)
        text = "; ".join(uses[:3])
        return (f"The file uses vecprop, which contains the solutions: {text}.",)

    def call(
        self, name: str, arguments: Mapping, lists: bool, instead: str = ""
    ) -> Outcome:
        """Call a function and return its outcome; `judging` lists further kinds of outcomes."""
        if self.endless >= 3:  # too many endless functions
            return _nothing("untried")
        self.calls += 1
        outcome = self._asked(
            {
                "name": name,
                "arguments": {key: encoded(value) for key, value in arguments.items()},
                "lists": lists,
                "number": self.calls,
                "instead": instead,
            }
        )
        if outcome["kind"] in ("time", "blocked"):
            self.endless += 1
        if outcome["kind"] in ENDED:
            return outcome
        with suppress(ValueError, TypeError, KeyError):
            if outcome["number"] == self.calls:
                return self._plain(outcome)
        self._end()  # the student's code has written to the pipe
        return _nothing("crash")

    def _plain(self, outcome):
        """Convert the values of an untrusted outcome to the expected types."""
        plain: Outcome = {
            name: str(outcome.get(name, ""))
            for name in ("kind", "printed", "error", "code")
        }
        for name in ("changed", "parameters"):
            plain[name] = list(map(str, outcome.get(name, ())))
        if self.only_definitions and plain["error"].startswith("NameError"):
            plain["kind"] = "unset"
        line = outcome.get("line")
        plain["line"] = line if isinstance(line, int) else None
        plain["value"] = decoded(outcome["value"])
        return plain

    def values(self, names: Sequence[str]) -> dict:
        """Return the values of the defined variables as arrays, strings or lists."""
        values = self._asked({"values": list(names)}).get("values") or {}
        try:
            return {
                name: decoded(values[name])
                for name in names
                if values[name] is not None
            }
        # the student's code has written to the pipe
        except (ValueError, TypeError, KeyError):
            return {}

    def _load(self):
        """Start the process, load the file and return its functions."""
        self._end()
        self.folder = tempfile.TemporaryDirectory(
            prefix="student-", ignore_cleanup_errors=True
        )
        home = self.folder.name
        environment = {
            name: os.environ[name]
            for name in ("PATH", "LANG", "SYSTEMROOT")
            if name in os.environ
        }
        environment |= dict.fromkeys(
            ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"
        )
        environment |= dict.fromkeys(("HOME", "TMPDIR", "TEMP"), home)
        environment |= {"MPLBACKEND": "agg", "PYTHONDONTWRITEBYTECODE": "1"}
        if re.search("matplotlib|pylab|seaborn", str(self.start["text"])):
            environment["MPLCONFIGDIR"] = home
            for name, content in _font_list().items():
                Path(home, name).write_text(content, encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", student.__file__],
            cwd=home,
            env=environment,
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
        )
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(
            target=_read, args=(self.process, self.answers), daemon=True
        ).start()
        with suppress(queue.Empty):
            self.answers.get(timeout=STARTING)
        start = {**self.start, "only_definitions": self.only_definitions}
        answer = self._ask(start, self.seconds)
        types = {"functions": dict, "unset": dict, "notes": list}
        is_valid = all(
            isinstance(answer.get(name), kind) for name, kind in types.items()
        )
        return answer if is_valid or answer["kind"] != "value" else _nothing("crash")

    def _asked(self, request):
        """Restart the process if it has ended, and send a request."""
        if self.process is None and self._load()["kind"] != "value":
            return _nothing("crash")
        # less time after endless functions
        return self._ask(request, self.seconds / 4**self.endless)

    def _ask(self, request, seconds):
        """Send a request and return the answer; end the process if it does not answer."""
        assert self.process
        assert self.process.stdin
        with suppress(OSError, ValueError):  # the process has ended
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        watch = _Watch(self.process.pid, seconds)
        kind = ""
        while not kind:
            try:
                message = _nothing("value") | json.loads(self.answers.get(timeout=LOOK))
                if not self._is_progress(message, watch):
                    return message
                kind = watch.verdict()
            except queue.Empty:
                kind = watch.verdict()
            except (ValueError, TypeError, RecursionError):
                kind = "crash"  # the process has ended or written something else
        self._end()
        return _nothing(kind)

    def _is_progress(self, message, watch):
        """Return whether a message is sent while the file is loaded, and store its content."""
        self.used |= dict.fromkeys(map(str, message.get("used", ())))
        if "contained" in message:
            self.unset = dict.fromkeys(map(str, message["contained"]), "")
            return True
        if "place" in message:
            self.place = str(message["place"])
            watch.importing(bool(message.get("imports")))
            return True
        return False

    def _end(self):
        """End the process and its descendants."""
        process = self.process
        self.process = None
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

    def __init__(self, root: int, seconds: float):
        self.root = root
        self.seconds = seconds
        self.started = self.looked = time.monotonic()
        self.idle = 0.0
        # processor time in total, in earlier code without imports, and at the last
        # change between imports and other code
        self.used = 0.0
        self.counted = 0.0
        self.since: float | None = None
        self.imports = False

    def _look(self):
        processes = descendants(self.root)
        self.used = sum(process.seconds for process in processes.values())
        if self.since is None:
            self.since = self.used
        return processes

    def importing(self, imports: bool):
        """Exclude the time of imports, which take long with a cold cache."""
        if imports == self.imports:
            return
        self._look()
        if not self.imports:
            self.counted += self._recent()
        self.since = self.used
        self.imports = imports

    def _recent(self):
        """Return the processor time since the last change between imports and other code."""
        return self.used - (self.since or 0)

    def verdict(self) -> str:
        """Return the kind of outcome if the call must be stopped, or an empty string."""
        time_now = time.monotonic()
        elapsed = time_now - self.looked
        if elapsed < LOOK:
            return ""
        used_before = self.used
        processes = self._look()
        self.looked = time_now
        # processor time: imports have a large limit, and all other code shares one
        seconds = self._recent()
        limit = STARTING
        if not self.imports:
            seconds += self.counted
            limit = self.seconds
        # wall time; shorter if processes cannot be inspected
        wall_limit = max(self.seconds, 1) * (100 if processes else 10)
        if seconds > limit or time_now - self.started > wall_limit:
            return "time"
        if len(processes) > MOST_PROCESSES:
            return "crash"
        is_running = any(process.state in "RD" for process in processes.values())
        is_idle = self.used - used_before < elapsed / 10
        if processes and not is_running and is_idle:
            self.idle += elapsed
        return "blocked" if self.idle > self.seconds else ""


def _read(process, answers):
    """Queue the lines of a process, and an empty line when it ends or writes too much."""
    assert process.stdout
    remaining = 50 * 2**20
    with suppress(OSError, ValueError), process.stdout:
        while remaining > 0 and (line := process.stdout.readline(remaining)):
            remaining -= len(line)
            answers.put(line)
    answers.put("")


@cache
def _font_list():
    """Return the cached font lists of matplotlib, which take seconds to create."""
    code = "import matplotlib as m, matplotlib.font_manager; print(m.get_cachedir())"
    result = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False
    )
    with suppress(OSError):
        return {
            path.name: path.read_text("utf-8")
            for path in Path(result.stdout.strip()).glob("fontlist*.json")
        }
    return {}


def _nothing(kind):
    return {"kind": kind, "value": None, "printed": "", "changed": []}


def read_source(path: Path) -> tuple[str, str]:
    """Return the text and the suffix of a file."""
    ending = path.suffix.lower()
    if not path.exists():
        raise FileNotFoundError(missing_file(path))
    if ending not in (".py", ".ipynb", ".md"):
        raise ValueError(
            f"{path} must be a Python file (.py), a notebook (.ipynb) or Markdown"
            " (.md)."
        )
    with path.open("rb") as file:
        content = file.read(10 * 2**20 + 1)
    if len(content) > 10 * 2**20:
        raise ValueError(
            f"{path} is larger than 10 MB: remove outputs and data from it."
        )
    return content.decode("utf-8-sig", "replace").replace("\r\n", "\n"), ending

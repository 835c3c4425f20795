"""Run a student's file and call its functions.

This module is also a program that does not import vecprop. It reads requests from standard input and writes answers to
standard output as JSON lines. The student's code uses other streams. On systems with fork, two supervising processes
separate the student's process from the grader's; see `supervised`.
"""

import ast
import ctypes
import inspect
import io
import json
import os
import re
import select
import signal
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from typing import Any, NamedTuple

import numpy as np

LONGEST, LARGEST = 2_000, 100_000
"""The maximum length of printed text, and the maximum size of a result."""

IMPORTS = (ast.Import, ast.ImportFrom)
DEFINITIONS = (*IMPORTS, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
SIMPLE = (ast.Constant, ast.Lambda, ast.Name, ast.Attribute)
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)

Outcome = dict[str, Any]

asarray, array_equal, new_array, dumps, loads = np.asarray, np.array_equal, np.array, json.dumps, json.loads
"""References that remain valid if the student's code overwrites functions of NumPy or json."""


def call(
    function: Callable[..., Any], arguments: Mapping[str, Any], lists: bool, buffers: dict[Any, Any], instead: str = ""
) -> Outcome:
    """Call a function; return its value or error, printed text and changed arguments.

    The "kind" is "value", "error" or "exit"; errors include the "line" and "code" where they were raised. Every second
    call reuses argument arrays of the same name and shape from `buffers`, as a training loop does. During the call, the
    functions defined by the code `instead` replace the global functions of the same names.
    """
    arguments = {name: plain(value, lists) for name, value in arguments.items()}
    given = {name: _copied(value, buffers, (name,)) for name, value in arguments.items()}
    printed, others = io.StringIO(), dict[str, Any](np=np)
    exec(instead, others)
    scope = getattr(function, "__globals__", {}) if instead else {}
    replaced = {name: scope[name] for name, other in others.items() if inspect.isfunction(other) and name in scope}
    try:
        scope.update({name: others[name] for name in replaced})
        with redirect_stdout(printed), warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            outcome: Outcome = {"kind": "value", "value": simple(function(*given.values()))}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a student's function may raise anything
        outcome = described(error, getattr(getattr(function, "__code__", None), "co_filename", ""))
    finally:
        scope.update(replaced)
    changed = [name for name, value in arguments.items() if not _same(value, given[name])]
    found = {"printed": printed.getvalue()[:LONGEST], "changed": changed}
    with suppress(Exception):  # not every callable has a signature
        found["parameters"] = list(inspect.signature(function).parameters)
    return {**outcome, **found}


def _copied(value: Any, buffers: dict[Any, Any], key: tuple[Any, ...]) -> Any:
    if isinstance(value, list):
        return [_copied(part, buffers, (*key, number)) for number, part in enumerate(value)]
    if not isinstance(value, np.ndarray):
        return value
    key = (*key, value.shape)
    count, first = buffers.get(key, (0, value.copy()))
    copy = value.copy() if count % 2 else first
    copy.setflags(write=True)
    copy[...] = value
    buffers[key] = count + 1, first
    return copy


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, list):
        return isinstance(after, list) and len(before) == len(after) and all(map(_same, before, after))
    return bool(array_equal(before, after)) if isinstance(before, np.ndarray) else before == after


def described(error: BaseException, file: str) -> Outcome:
    """Describe an error with the last line of the student's file in its traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    kind = "exit" if isinstance(error, SystemExit) else "error"
    said = "" if kind == "exit" else " ".join(str(error).split())[:LONGEST]
    text = f"{type(error).__name__}: {said}".removesuffix(": ")
    line = frames[-1].lineno if frames else getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    code = (frames[-1].line or "") if frames else ""
    return {"kind": kind, "error": text, "line": line, "code": code[:200]}


def simple(value: Any, texts: bool = False) -> Any:
    """Convert a result to an array, list, string, None, or a tuple with a type name."""
    if value is None or (texts and isinstance(value, str)):
        return value
    if hasattr(value, "detach"):  # PyTorch tensors that require gradients
        value = value.detach()
    if isinstance(value, dict | set | str | bytes | types.GeneratorType) or callable(value):
        return (type(value).__name__,)
    try:
        with warnings.catch_warnings(action="ignore"):
            array = asarray(value)
            if array.size > LARGEST:
                return ("array of too many numbers",)
            if array.dtype.kind == "c" and not np.imag(array).any():
                array = np.real(array)
            if array.dtype.kind in ("cS" if texts else "cUS"):
                return ("array of complex numbers" if array.dtype.kind == "c" else "array of strings",)
            array = new_array(array, float) if array.dtype.kind in "biuf" or array.dtype == object else None
    except (TypeError, ValueError, RuntimeError):
        array = None
    is_list = isinstance(value, Sequence) or (isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "OU")
    if array is not None and not (is_list and array.ndim == 3):
        return array
    if not is_list or len(value) > 100:
        return (type(value).__name__,)
    return [simple(part, texts) for part in value]  # arrays of different shapes


def is_own(function: Any) -> bool:
    """Return whether a function is not part of the library."""
    return not str(getattr(function, "__module__", "")).startswith(("vecprop.learn.tutorial", "vecprop.core"))


def encoded(value: Any) -> Any:
    if isinstance(value, tuple):
        return {"type": str(value[0])[:LONGEST]}
    if isinstance(value, list):
        return [encoded(part) for part in value]
    if value is None or isinstance(value, str):
        return value and value[:LONGEST]
    array = asarray(value)
    return {"shape": list(array.shape), "numbers": [float(number) for number in array.ravel()]}


def decoded(value: Any) -> Any:
    if isinstance(value, dict):
        if "type" in value:
            return (str(value["type"]),)
        return new_array(value["numbers"], float).reshape([int(length) for length in value["shape"]])
    return [decoded(part) for part in value] if isinstance(value, list) else value


def chunks_of(text: str, ending: str) -> list[str]:
    """Return the Python code of a file, in chunks per cell or Markdown block."""
    if ending == ".ipynb":
        cells = json.loads(text).get("cells", [])
        return ["".join(cell.get("source", "")) for cell in cells if cell.get("cell_type") == "code"]
    if ending == ".md":
        fence = r"^[ ]{0,3}(?:```|~~~)"
        head = r"[ ]*(?:\{?\.?python3?\b[^\n]*|\{code-cell\}[^\n]*|py[ ]*)\n"
        return re.findall(f"{fence}{head}(.*?){fence}", text, re.MULTILINE | re.DOTALL)
    return [text]


def _parsed(chunk: str) -> list[ast.stmt]:
    """Parse a chunk of code, without notebook commands such as %matplotlib."""
    try:
        return ast.parse(chunk).body
    except SyntaxError:
        return ast.parse(re.sub(r"^([ \t]*)[%!?].*$", r"\1pass", chunk, flags=re.MULTILINE)).body


def outline(chunks: Sequence[str]) -> set[str]:
    """Return the names defined by code, without running it."""
    names: set[str] = set()
    for chunk in chunks:
        try:
            names.update(_defined(ast.Module(_parsed(chunk), [])))
        except UNREADABLE:
            head = r"^(?:[ \t]*(?:async +)?def +(?=\w+ *\()|(?=\w+ *=[^=]))(\w+)"
            names.update(re.findall(head, chunk, re.MULTILINE))
    return names


def _defined(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, DEFINITIONS[2:]):
            yield child.name
        elif isinstance(child, ast.alias):
            yield child.asname or child.name
        elif isinstance(child, ast.Name):
            yield from [child.id] if isinstance(child.ctx, ast.Store) else []
        else:
            yield from _defined(child)


def load(
    chunks: Sequence[str],
    ending: str,
    only_definitions: bool,
    wanted: Sequence[str],
    starting: Callable[[str, bool], None],
    unset: dict[str, str],
) -> tuple[dict[str, Any], list[str]]:
    """Run all statements of a file and return its names and errors.

    With `only_definitions`, only imports, functions, classes, simple values and the wanted names are defined. `unset`
    receives the names that remain undefined because of an error, with the reason.
    """
    module = types.ModuleType("homework")  # not "__main__", so that main blocks do not run
    sys.modules["homework"], names = module, vars(module)
    errors: list[str] = []

    def failed(error: str, lost: Iterable[str]) -> None:
        errors.append(error)
        unset.update(dict.fromkeys(lost, f"the file has an error in {error}"))

    for number, chunk in enumerate(chunks, 1):
        prefix = {".ipynb": f"code cell {number}, ", ".md": f"block {number}, "}.get(ending, "")
        file = f"<student {number}>"
        try:
            statements = _parsed(chunk)
        except UNREADABLE as error:
            found = described(error, file)
            failed(f"{prefix}line {found['line']}: {found['error'].split(' (<')[0]}", outline([chunk]))
            continue
        for statement in statements:
            sets_value = isinstance(statement, ast.Assign) and (
                isinstance(statement.value, SIMPLE) or set(_defined(statement)) & set(wanted)
            )
            if only_definitions and not sets_value and not isinstance(statement, DEFINITIONS):
                continue
            starting(f"{prefix}line {statement.lineno}", isinstance(statement, IMPORTS))
            alone = ast.Module([statement], [])
            try:
                exec(compile(alone, file, "exec"), names)
            except BaseException as error:  # a student's file may raise anything
                found = described(error, file)
                what = "it calls exit()" if found["kind"] == "exit" else found["error"]
                failed(f"{prefix}line {found['line'] or statement.lineno}: {what}", _defined(alone))
    return names, errors


def limit(seconds: float, megabytes: int) -> None:
    """Limit the processor time, memory, file sizes and core dumps if supported."""
    for name, most in {"CPU": int(seconds) + 60, "AS": megabytes * 2**20, "FSIZE": 2**20, "CORE": 0}.items():
        with suppress(ImportError, ValueError, OSError):  # not available on Windows
            import resource

            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def serve() -> None:
    """Load a file and call its functions on requests from standard input."""
    requests, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)

    own = os.getpid()

    def answer(content: Any) -> None:
        if os.getpid() != own:  # a process forked by the student's code
            os._exit(0)
        answers.write(dumps(content) + "\n")
        answers.flush()

    answer({"ready": True})
    start = json.loads(requests.readline())
    sys.path[:] = start["path"]
    limit(start["seconds"], start["megabytes"])
    try:
        chunks, damage = chunks_of(start["text"], start["ending"]), ""
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        about = f" ({error})" if isinstance(error, ValueError) else ""
        chunks, damage = [], f"the file is not a valid notebook{about}: save it again in Jupyter"
    wanted, used = set(start["wanted"]), list[str]()
    contained = wanted if damage else wanted & outline(chunks)
    answer({"contained": sorted(contained)})
    watch(start["package"], used)
    printed, unset = io.StringIO(), dict[str, str]()
    with redirect_stdout(printed), redirect_stderr(io.StringIO()), warnings.catch_warnings(action="ignore"):
        begin = lambda place, imports: answer({"place": place, "imports": imports})  # noqa: E731
        names, found = load(chunks, start["ending"], start["only_definitions"], start["wanted"], begin, unset)
    functions = {name: is_own(value) for name, value in names.items() if callable(value) and not name.startswith("__")}
    reasons = dict.fromkeys(contained, damage or "the file does not reach its definition")
    for name in contained & set(names):
        kind = type(names[name]).__name__
        reasons[name] = f"its final value is of type {kind}, not a function"
    reasons |= {name: why for name, why in unset.items() if name in contained}
    notes = [f"The file has an error in {error}." for error in found[:20]] or [f"T{damage[1:]}."] * bool(damage)
    answer({"functions": functions, "notes": notes, "unset": reasons, "used": used})
    buffers: dict[Any, Any] = {}
    for line in requests:
        request = loads(line)
        if "values" in request:
            values = {name: encoded(simple(names.get(name), True)) for name in request["values"]}
            answer({"values": values, "used": used})
            continue
        arguments = {name: decoded(value) for name, value in request["arguments"].items()}
        sys.stdin = io.StringIO()  # exit() closes the stream
        outcome = call(names[request["name"]], arguments, request["lists"], buffers, request["instead"])
        answer({**outcome, "value": encoded(outcome.get("value")), "number": request["number"], "used": used})


def watch(package: str, used: list[str]) -> None:
    """Record imports of this library, reads of its files, and commands that import it."""

    def note(event: str, details: tuple[Any, ...]) -> None:
        if event == "import":
            found = re.match(r"vecprop(\.|$)", str(details[0])) and f"it imports {details[0]}"
        elif event == "open":
            path = os.path.abspath(details[0]) if isinstance(details[0], str) else ""
            name = os.path.basename(path)
            inside = path.startswith(package + os.sep) and path != __file__
            found = inside and ("it imports vecprop" if name.endswith(".pyc") else f"it reads {name}")
        else:
            command = event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn")
            found = command and re.search(r"(?:import|from|-m)['\", ]+vecprop\b", str(details))
            found = found and "it starts a program that imports vecprop"
        if found and found not in used and len(used) < 10:
            used.append(found)

    sys.addaudithook(note)


def plain(value: Any, as_lists: bool) -> Any:
    """Convert 0-dimensional arrays to numbers, and all arrays to lists if requested."""
    if isinstance(value, list):
        return [plain(part, as_lists) for part in value]
    return value.tolist() if as_lists or value.ndim == 0 else value


class Process(NamedTuple):
    """A process; its state is "R" if it is running or runnable."""

    parent: int
    state: str
    seconds: float


def descendants(root: int) -> dict[int, Process]:
    """Return the direct and indirect child processes; none on systems without /proc."""
    running: dict[int, Process] = {}
    with suppress(OSError):
        if os.readlink("/proc/self") != str(os.getpid()):  # /proc shows another namespace
            return {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError, IndexError), open(f"/proc/{name}/stat", "rb") as file:
                details = file.read().rpartition(b")")[2].split()
                ticks = sum(map(int, details[11:15])) / os.sysconf("SC_CLK_TCK")
                running[int(name)] = Process(int(details[1]), details[0].decode(), ticks)
    found: dict[int, Process] = {}
    added = {root}
    while added:
        added = {pid for pid, process in running.items() if process.parent in added and pid not in found}
        found |= {pid: running[pid] for pid in added}
    return found


def kill(processes: Iterable[int]) -> None:
    for pid in processes:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def supervised() -> None:
    """Fork; return in the student's process, and kill its descendants in the current process.

    The grader starts this process, which starts a second one, which starts the student's. The second process is the
    student's parent, so killing the parent is harmless. If the system allows it, the second process and its descendants
    cannot see other processes. Detached processes become children of this process. All are killed when the student's
    process ends or the request pipe closes, which happens when the grader ends.
    """
    with suppress(OSError, AttributeError):  # not supported on every system
        system, user, new_users, new_processes = ctypes.CDLL(None), os.getuid(), 0x10000000, 0x20000000
        system.prctl(36, 1, 0, 0, 0)  # orphans become children of this process
        if system.unshare(new_processes) and not system.unshare(new_users | new_processes):
            with open("/proc/self/uid_map", "w") as file:
                file.write(f"{user} {user} 1")
    ended, held = os.pipe()  # the pipe closes when the second process ends
    parent = os.fork()
    if not parent:
        os.setsid()
        student = os.fork()
        if not student:
            os.close(ended)
            os.close(held)
            if sys.platform == "darwin":  # NumPy's libraries do not survive a fork there
                os.execv(sys.executable, [sys.executable, "-I", "-X", "utf8", __file__, "serve"])
            return
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        while os.wait()[0] != student:
            pass
        os._exit(0)
    os.close(held)
    os.close(1)
    hangups = select.poll()
    hangups.register(0, 0)
    hangups.register(ended, 0)
    hangups.poll()
    with suppress(OSError):
        os.killpg(parent, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            kill(descendants(os.getpid()))
            os.wait()
    os._exit(0)


if __name__ == "__main__":
    if hasattr(os, "fork") and "serve" not in sys.argv:
        supervised()
    serve()

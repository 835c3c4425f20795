"""The side of the student: a call of their function, and the process that runs their file.

This module is also a program of its own, in which nothing of vecprop is imported: it reads requests from standard input
and answers on standard output, a line of JSON each. What the student's code prints or reads goes elsewhere.
"""

import ast
import contextlib
import inspect
import io
import json
import os
import re
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

LONGEST, LARGEST = 2_000, 100_000
"""The most characters of a printed text, and the most numbers of a result, that are kept."""

IMPORTS = (ast.Import, ast.ImportFrom)
DEFINITIONS = (*IMPORTS, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
LIBRARY = re.compile(r"(?:import|from|-m)['\", ]+vecprop\b")
"""A use of this library in the command of another process."""

Outcome = dict[str, Any]

asarray, array_equal, new_array, dumps, loads = np.asarray, np.array_equal, np.array, json.dumps, json.loads
"""Kept under names of this module, since the student's code may put others into the places of NumPy's and json's."""


def call(function: Callable[..., Any], arguments: Mapping[str, Any], buffers: dict[Any, Any] | None = None) -> Outcome:
    """Return what a call comes to: a value or an error, what it printed, and which arguments it changed.

    Parameters
    ----------
    buffers : dict, optional
        Arrays of earlier calls: each second time, one of the same name and shape is filled again, as in a loop.

    Returns
    -------
    dict
        With "kind", which is "value", "error" or "exit", and "printed" and "changed"; with "value", or with "error" and
        the "line" and "code" where it was raised.
    """
    given = {name: _copied(value, {} if buffers is None else buffers, (name,)) for name, value in arguments.items()}
    printed = io.StringIO()
    outcome: Outcome
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            outcome = {"kind": "value", "value": simple(function(*given.values()))}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a student's function may raise anything
        outcome = described(error, getattr(getattr(function, "__code__", None), "co_filename", ""))
    changed = [name for name, value in arguments.items() if not _same(value, given[name])]
    found = {"printed": printed.getvalue()[:LONGEST], "changed": changed}
    with contextlib.suppress(Exception):  # not every callable has a signature
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
    """Return an error as its sentence, with the last line of a file that it went through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    kind = "exit" if isinstance(error, SystemExit) else "error"
    said = "" if kind == "exit" else " ".join(str(error).split())[:LONGEST]
    text = f"{type(error).__name__}: {said}".removesuffix(": ")
    line = frames[-1].lineno if frames else getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    code = (frames[-1].line or "") if frames else ""
    return {"kind": kind, "error": text, "line": line, "code": code[:200]}


def simple(value: Any) -> Any:
    """Return a result as an array of numbers, a list of them, None, or the name of another type in a tuple."""
    if value is None:
        return None
    if hasattr(value, "detach"):  # a tensor of PyTorch that has a gradient
        value = value.detach()
    if isinstance(value, dict | set | str | bytes | types.GeneratorType) or callable(value):
        return (type(value).__name__,)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = asarray(value)
            if array.size > LARGEST:
                return ("array of too many numbers",)
            if array.dtype.kind == "c" and not np.imag(array).any():
                array = np.real(array)
            if array.dtype.kind in "cUS":
                return ("array of complex numbers" if array.dtype.kind == "c" else "array of texts",)
            array = new_array(array, float) if array.dtype.kind in "biuf" or array.dtype == object else None
    except (TypeError, ValueError, RuntimeError):
        array = None
    is_list = isinstance(value, Sequence) or (isinstance(value, np.ndarray) and value.dtype == object)
    if array is None or (is_list and array.ndim == 3):  # a list of arrays whose shapes may differ
        if not is_list or len(value) > 100:
            return (type(value).__name__,)
        return [simple(part) for part in value]
    return array


def is_own(function: Any) -> bool:
    """Return whether a function is not one of the library's own."""
    return not str(getattr(function, "__module__", "")).startswith(("vecprop.learn.tutorial", "vecprop.core"))


def encoded(value: Any) -> Any:
    """Return a simple value for JSON."""
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "numbers": [float(number) for number in value.ravel()]}
    if isinstance(value, tuple):
        return {"type": str(value[0])[:LONGEST]}
    return [encoded(part) for part in value] if isinstance(value, list) else value


def decoded(value: Any) -> Any:
    """Return a simple value from JSON."""
    if isinstance(value, dict):
        if "type" in value:
            return (str(value["type"]),)
        return new_array(value["numbers"], float).reshape([int(length) for length in value["shape"]])
    return [decoded(part) for part in value] if isinstance(value, list) else value


def chunks_of(text: str, ending: str) -> list[str]:
    """Return the Python code of a file: of a notebook its cells, of Markdown its blocks, each with its own lines."""
    if ending == ".ipynb":
        cells = json.loads(text).get("cells", [])
        chunks = ["".join(cell.get("source", "")) for cell in cells if cell.get("cell_type") == "code"]
    elif ending == ".md":
        fence = r"^[ ]{0,3}(?:```|~~~)"
        head = r"[ ]*(?:\{?\.?python3?\b[^\n]*|\{code-cell\}[^\n]*|py[ ]*)\n"
        chunks = re.findall(f"{fence}{head}(.*?){fence}", text, re.MULTILINE | re.DOTALL)
    else:
        chunks = [text]
    return chunks


def _parsed(chunk: str) -> list[ast.stmt]:
    """Return the statements of a chunk, without a notebook's own commands, such as %matplotlib."""
    try:
        return ast.parse(chunk).body
    except SyntaxError:
        return ast.parse(re.sub(r"^([ \t]*)[%!?].*$", r"\1pass", chunk, flags=re.MULTILINE)).body


def outline(chunks: Sequence[str]) -> set[str]:
    """Return the names that code defines, without running it."""
    names: set[str] = set()
    for chunk in chunks:
        try:
            names.update(_defined(ast.Module(_parsed(chunk), [])))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
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
    wanted: Sequence[str] = (),
    starting: Callable[[str, bool], None] = lambda place, imports: None,
    unset: dict[str, str] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Return the names that a file defines, and its errors; each statement is run, also after one that failed.

    Parameters
    ----------
    only_definitions : bool
        Whether only imports, functions, classes, simple values and the wanted names are set, since the whole file did
        not come to an end.
    """
    module = types.ModuleType("homework")  # no main program, so that what is for one does not run
    sys.modules["homework"], names = module, vars(module)
    errors: list[str] = []
    unset = {} if unset is None else unset
    for number, chunk in enumerate(chunks, 1):
        before = {".ipynb": f"code cell {number}, ", ".md": f"block {number}, "}.get(ending, "")
        file = f"<student {number}>"
        try:
            statements = _parsed(chunk)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            found = described(error, file)
            errors.append(f"{before}line {found['line']}: {found['error'].split(' (<')[0]}")
            unset |= dict.fromkeys(outline([chunk]), f"the file has an error in {errors[-1]}")
            continue
        for statement in statements:
            if only_definitions and not isinstance(statement, DEFINITIONS):
                simple = (ast.Constant, ast.Lambda, ast.Name, ast.Attribute)
                if not isinstance(statement, ast.Assign):
                    continue
                if not isinstance(statement.value, simple) and not set(_defined(statement)) & set(wanted):
                    continue
            starting(f"{before}line {statement.lineno}", isinstance(statement, IMPORTS))
            try:
                exec(compile(ast.Module([statement], []), file, "exec"), names)
            except BaseException as error:  # a student's file may raise anything
                found = described(error, file)
                what = "it ends itself by exit()" if found["kind"] == "exit" else found["error"]
                errors.append(f"{before}line {found['line'] or statement.lineno}: {what}")
                reason = f"the file has an error in {errors[-1]}"
                unset |= dict.fromkeys(_defined(ast.Module([statement], [])), reason)
    return names, errors


def limit(seconds: float, megabytes: int) -> None:
    """Limit this process: processor time, memory, sizes of files; no core dumps. Where the system cannot, nothing."""
    try:
        import resource
    except ImportError:  # Windows
        return
    wanted = {
        resource.RLIMIT_CPU: int(seconds) + 60,
        resource.RLIMIT_AS: megabytes * 2**20,
        resource.RLIMIT_FSIZE: 2**20,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in wanted.items():
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


def serve() -> None:
    """Load a file and call its functions, as the requests on standard input say."""
    requests, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)

    own = os.getpid()

    def answer(content: Any) -> None:
        if os.getpid() != own:  # the student's code has forked, and the copy has come back
            os._exit(0)
        answers.write(dumps(content) + "\n")
        answers.flush()

    answer({"ready": True})
    start = json.loads(requests.readline())
    sys.path[:] = start["path"]
    limit(start["seconds"], start["megabytes"])
    try:
        chunks, errors = chunks_of(start["text"], start["ending"]), []
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        chunks, errors = [], [f"it is no notebook: {error}"]
    contained, used = outline(chunks) & set(start["wanted"]), list[str]()
    answer({"contained": sorted(contained)})
    watch(start["package"], used)
    printed, unset = io.StringIO(), dict[str, str]()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begin = lambda place, imports: answer({"place": place, "imports": imports})  # noqa: E731
        names, found = load(chunks, start["ending"], start["only_definitions"], start["wanted"], begin, unset)
    functions = {name: is_own(value) for name, value in names.items() if callable(value) and not name.startswith("__")}
    reasons = dict.fromkeys(contained, "the file does not come to its definition") | {
        name: f"in the end its name stands for a value of type {type(names[name]).__name__}, not for a function"
        for name in contained & set(names)
    }
    reasons |= {name: why for name, why in unset.items() if name in contained}
    answer({"functions": functions, "errors": (errors + found)[:20], "unset": reasons, "used": used})
    buffers: dict[Any, Any] = {}
    for line in requests:
        request = loads(line)
        if "values" in request:
            answer({"values": {name: encoded(simple(names.get(name))) for name in request["values"]}, "used": used})
            continue
        arguments = {name: plain(decoded(value), request["lists"]) for name, value in request["arguments"].items()}
        sys.stdin = io.StringIO()  # exit() closes it
        outcome = call(names[request["name"]], arguments, buffers)
        answer({**outcome, "value": encoded(outcome.get("value")), "number": request["number"], "used": used})


def watch(package: str, used: list[str]) -> None:
    """Note each use of this library: imports, by whatever name, files of its folder, and commands that import it."""

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
            found = command and LIBRARY.search(str(details)) and "it starts a program that imports vecprop"
        if found and found not in used and len(used) < 10:
            used.append(found)

    sys.addaudithook(note)


def plain(value: Any, as_lists: bool) -> Any:
    """Return an argument as it is given: numbers instead of arrays without axes, and lists if asked."""
    if isinstance(value, list):
        return [plain(part, as_lists) for part in value]
    return value.tolist() if as_lists or value.ndim == 0 else value


if __name__ == "__main__":
    serve()

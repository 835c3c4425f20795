"""The number of single changes of the library that the tests of their own folder do not notice.

Operators, signs, constants and conditions of the code are changed one at a time, in a
copy of the project, and the tests and examples of the folder are run until one fails.
They must pass on the unchanged copy first. The changes are drawn by a seed:

``python benchmarks/mutations.py [--folder NAME ...] [--count N] [--seed S]``

Noticed changes are kept in `benchmarks/results/mutations.json`, so that an interrupted
run continues; changes that survived are tried again. Changes that change nothing are
listed, each with its reason, in `benchmarks/equivalent_mutations.json`, and are not
counted.
"""

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "mutations.json"
PAGE = RESULTS.with_suffix(".md")
EQUIVALENT = ROOT / "benchmarks" / "equivalent_mutations.json"

FOLDERS = {
    "core": (70, 0.08),
    "optimize": (30, 0.10),
    "train": (50, 0.08),
    "compiled": (50, 0.08),
    "check": (40, 0.12),
    "tables": (40, 0.12),
    "estimators": (40, 0.12),
}
"""The number of changes that are tried in each folder, and the share of them that
may survive.
"""

SEED = 17
MINUTES = 10
"""The most minutes for the tests of one change; a change that takes longer loops
forever, and counts as noticed.
"""

OTHER: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One change of one expression, from one offset of a file to another."""

    file: str
    line: int
    start: int
    end: int
    old: str
    new: str
    number: int = 1
    """The number of this change among the file's equal changes, from 1."""

    @property
    def key(self) -> str:
        """A name of the change that does not depend on its line."""
        return (
            f"{self.file}: {self.old} ->"
            f" {self.new}{f' ({self.number})' if self.number > 1 else ''}"
        )

    def applied(self, source: str) -> str:
        """Return the file with the change."""
        data = source.encode()
        assert data[self.start : self.end].decode() == self.old
        return (data[: self.start] + self.new.encode() + data[self.end :]).decode()


def changes(path: Path) -> list[Change]:
    """Return all changes of a file, except those of annotations, of text, and of code for type checkers alone."""
    source = path.read_text()
    lengths = [len(line) for line in source.encode().splitlines(keepends=True)]
    starts = [sum(lengths[:n]) for n in range(len(lengths))]

    def change(node: ast.AST, new: str) -> Change:
        start, end = (
            starts[getattr(node, f"{e}lineno")] + getattr(node, f"{e}col_offset")
            for e in ("", "end_")
        )
        return Change(
            str(path.relative_to(ROOT)),
            line,
            start,
            end,
            source.encode()[start:end].decode(),
            new,
        )

    starts.insert(0, 0)  # lines are counted from 1
    found = []
    for node in _code(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        found += [change(node, new) for new in _replacements(node)]
    seen = Counter()
    for place, one in enumerate(found):
        seen[one.key] += 1
        found[place] = replace(one, number=seen[one.key])
    return found


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements and expressions that run."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(
                child, ast.JoinedStr | ast.Raise | ast.Assert
            ):
                continue
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            yield child
            yield from _code(child)


def _replacements(node: ast.AST) -> Iterator[str]:
    """Yield the replacements of an expression."""
    if isinstance(node, ast.BinOp) and type(node.op) in OTHER and not _is_text(node):
        yield (
            f"({ast.unparse(ast.BinOp(node.left, OTHER[type(node.op)](), node.right))})"
        )
    elif isinstance(node, ast.AugAssign) and type(node.op) in OTHER:
        yield ast.unparse(
            ast.AugAssign(node.target, OTHER[type(node.op)](), node.value)
        )
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield f"({ast.unparse(node.operand)})"
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        other = ast.Compare(node.left, [OTHER[type(node.ops[0])]()], node.comparators)
        yield f"({ast.unparse(other)})"
    elif isinstance(node, ast.BoolOp):
        yield f"({ast.unparse(ast.BoolOp(OTHER[type(node.op)](), node.values))})"
    elif isinstance(node, ast.IfExp):
        yield f"({ast.unparse(ast.IfExp(node.test, node.orelse, node.body))})"
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield repr(
            node.value + 1
            if isinstance(node.value, int) or not node.value
            else 2 * node.value
        )


def _is_text(node: ast.BinOp) -> bool:
    return any(isinstance(side, ast.JoinedStr | ast.Constant) and isinstance(getattr(side, "value", ""), str)
               for side in (node.left, node.right))  # fmt: skip


def drawn(folder: str, count: int, seed: int) -> list[Change]:
    """Return changes of a folder's files, drawn by a seed: the same ones if others are added or removed."""
    files = sorted((ROOT / "src" / "vecprop" / folder).rglob("*.py"))
    every = [change for path in files for change in changes(path)]
    return sorted(every, key=lambda one: sha256(f"{seed} {one.key}".encode()).digest())[
        :count
    ]


class Copy:
    """A copy of the project in which changes are tried, one at a time."""

    def __init__(self, folder: str) -> None:
        self.root = Path(folder)
        for name in (
            "src",
            "tests",
            "docs",
            "benchmarks/corpora",
            "benchmarks/results",
        ):
            shutil.copytree(
                ROOT / name,
                self.root / name,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        for name in ("conftest.py", "pyproject.toml", "README.md", "CONTRIBUTING.md"):
            shutil.copy(ROOT / name, self.root / name)
        # Bytecode with a hash of its source: a changed file is compiled again, and the
        # others are not.
        compiled = [
            sys.executable,
            "-m",
            "compileall",
            "-q",
            "--invalidation-mode",
            "checked-hash",
            str(self.root / "src"),
        ]
        subprocess.run(compiled, check=True)

    def failed_unchanged(self, folder: str) -> str:
        """Return the test of a folder that fails without any change, or nothing if all pass."""
        return self._first_failure([f"tests/{folder}"])

    def failed(self, change: Change, folder: str) -> str:
        """Return the test that fails with a change, or nothing if all pass."""
        path = self.root / change.file
        source = path.read_text()
        path.write_text(change.applied(source))
        try:
            # The tests that speak of the file come first.
            tests = sorted(
                (self.root / "tests" / folder).glob("test_*.py"),
                key=lambda p: path.stem not in p.stem,
            )
            return self._first_failure(
                [change.file, *(str(test.relative_to(self.root)) for test in tests)]
            )
        finally:
            path.write_text(source)

    def _first_failure(self, tests: list[str]) -> str:
        # Plain assertions and no cache: nothing may be taken from the run before.
        command = [
            sys.executable,
            "-B",
            "-m",
            "pytest",
            "-q",
            "-x",
            "-m",
            "not long",
            "-p",
            "no:cacheprovider",
            *tests,
        ]
        own = {"PYTHONPATH": str(self.root / "src"), "OMP_NUM_THREADS": "1"}
        try:
            run = subprocess.run(
                command,
                cwd=self.root,
                env=os.environ | own,
                capture_output=True,
                text=True,
                timeout=60 * MINUTES,
            )
        except subprocess.TimeoutExpired:
            return f"no end in {MINUTES} minutes"
        if run.returncode == 0:
            return ""
        failures = [
            line
            for line in run.stdout.splitlines()
            if line.startswith(("FAILED", "ERROR"))
        ]
        return (
            failures[0].split(" - ")[0]
            if failures
            else f"pytest ended with {run.returncode}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Count the changes of the library that its tests do not notice."
    )
    parser.add_argument(
        "--folder", nargs="*", default=list(FOLDERS), choices=list(FOLDERS)
    )
    parser.add_argument("--count", type=int, help="changes to try in each folder")
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    equivalent = json.loads(EQUIVALENT.read_text())
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(folder)
        for name in given.folder:
            if failure := copy.failed_unchanged(name):
                raise SystemExit(
                    f"Without any change {failure} fails in a copy: fix this first."
                )
            for change in drawn(name, given.count or FOLDERS[name][0], given.seed):
                if not known.get(change.key) and change.key not in equivalent:
                    began = time.time()
                    known[change.key] = copy.failed(change, name)
                    print(
                        f"{time.time() - began:4.0f} s  {change.key}:"
                        f" {known[change.key] or 'SURVIVES'}",
                        flush=True,
                    )
                    RESULTS.write_text(
                        json.dumps(known, indent=1, ensure_ascii=False) + "\n"
                    )
    report = page(
        {
            name: drawn(name, given.count or FOLDERS[name][0], given.seed)
            for name in given.folder
        },
        known,
    )
    print(report)
    if given.count is None and given.folder == list(FOLDERS):
        PAGE.write_text(report)


def page(tried: dict[str, list[Change]], known: dict[str, str]) -> str:
    """Return the figures, and which changes survive."""
    equivalent = json.loads(EQUIVALENT.read_text())
    lines = [
        "# Mutation testing",
        "",
        (
            "`make campaigns` changes one operator, sign, constant or condition of the"
            " library at a time and runs"
        ),
        (
            "the short tests and the examples of its folder."
            " `benchmarks/equivalent_mutations.json` lists the"
        ),
        "changes that have no effect, with reasons.",
        "",
        f"- date: {time.strftime('%Y-%m-%d')}",
        "",
        "| folder | changes | no effect | detected | survive | limit |",
        "|---|---|---|---|---|---|",
    ]
    surviving = []
    for name, own in tried.items():
        counted = [change for change in own if change.key not in equivalent]
        alive = [change for change in counted if not known[change.key]]
        share = len(alive) / max(1, len(counted))
        lines.append(
            f"| {name} | {len(own)} | {len(own) - len(counted)} |"
            f" {len(counted) - len(alive)} | {len(alive)} ({100 * share:.0f} %) |"
            f" {100 * FOLDERS[name][1]:.0f} % |"
        )
        surviving += [
            f"- `{change.file}:{change.line}`: `{change.old}` becomes `{change.new}`"
            for change in alive
        ]
    return "\n".join([*lines, "", "Not detected:", *surviving, ""])


if __name__ == "__main__":
    main()

"""How often the report of a failed check names the wrong line: ``python benchmarks/wrong_lines.py``.

Right functions in many styles come from `corpora/line_styles.py` and
`corpora/line_functions.py`. A fault is planted in one backward statement: the value
stays, and the gradient changes by more than 1 %. Half of the functions are held out:
``--half held`` reads them, and the development used only ``--half first``.
"""

import argparse
import ast
import copy
import inspect
import linecache
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from machine import described, machine

sys.path.insert(0, str(Path(__file__).parent / "corpora"))

import line_functions
import line_styles
from vecprop.check import check_gradients
from vecprop.check.points.function import Code, checked_function
from vecprop.check.wrong_line import find_wrong_line

RESULTS = Path(__file__).parent / "results" / "wrong_lines.md"

GROSS = 1e-2
"""The least change of the gradient, relative to its largest entry, by a gross mistake."""


@dataclass(frozen=True)
class Source:
    """A right function as text, and a point where to check it."""

    style: str
    name: str
    text: str
    entry: str
    theta: Any
    args: tuple[Any, ...]

    @property
    def is_held(self) -> bool:
        """Whether the function belongs to the half that is held out."""
        return crc32(self.name.encode()) % 2 == 1


@dataclass(frozen=True)
class Fault:
    """A wrong version of a function: the lines of the planted statement, and a word for the change."""

    kind: str
    text: str
    line: int


def entry_of(text: str) -> str:
    """Return the name that the last statement of a text binds."""
    last = ast.parse(text).body[-1]
    return last.name if isinstance(last, ast.FunctionDef) else last.targets[0].id


def corpus() -> Iterator[Source]:
    for style, name, text, theta, args in line_styles.sources():
        yield Source(style, name, text, entry_of(text), theta, args)
    text = inspect.getsource(line_functions)
    text = text[: text.index("def points")]
    for name, (style, theta, args) in line_functions.points().items():
        yield Source(style, name, text, name, theta, args)


COUNTER = iter(range(10**9))


def loaded(text: str, entry: str):
    """Run a text as a module that inspect can read, and return one of its functions."""
    file = f"<case {next(COUNTER)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    names: dict[str, Any] = {"np": np, "__name__": "case"}
    exec(compile(text, file, "exec"), names)
    return names[entry]


def leaves(tree) -> list[np.ndarray]:
    if isinstance(tree, dict):
        tree = [tree[key] for key in sorted(tree)]
    if isinstance(tree, list | tuple):
        return [leaf for child in tree for leaf in leaves(child)]
    return [np.asarray(tree, dtype=float).ravel()]


def evaluated(f, source: Source):
    value, gradient = f(copy.deepcopy(source.theta), *copy.deepcopy(source.args))
    return float(value), np.concatenate(leaves(gradient))


# ---------------------------------------------------------------- faults


def changes(node: ast.AST, names: list[str]) -> Iterator[tuple[str, ast.AST]]:
    """Yield wrong versions of an expression."""
    if isinstance(node, ast.BinOp):
        left, right, op = node.left, node.right, node.op
        if isinstance(op, ast.Mult):
            yield "a factor is missing", left
            yield "a factor is missing", right
        if isinstance(op, ast.Div):
            yield "1/N is missing", left
        if isinstance(op, ast.MatMult):
            yield "a matrix is transposed", ast.BinOp(transposed(left), op, right)
            yield "a matrix is transposed", ast.BinOp(left, op, transposed(right))
        if isinstance(op, ast.Add | ast.Sub):
            yield (
                "a sign is wrong",
                ast.BinOp(
                    left, ast.Sub() if isinstance(op, ast.Add) else ast.Add(), right
                ),
            )
            yield "a term is missing", left
        if isinstance(op, ast.Pow):
            yield "an exponent is wrong", left
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "a sign is wrong", node.operand
    if isinstance(node, ast.Compare):
        yield (
            "a comparison is wrong",
            ast.Compare(node.left, [ast.Lt()], node.comparators),
        )
    if (
        isinstance(node, ast.keyword)
        and node.arg == "axis"
        and isinstance(node.value, ast.Constant)
    ):
        yield (
            "an axis is wrong",
            ast.keyword("axis", ast.Constant(1 - node.value.value)),
        )
    if (
        isinstance(node, ast.Constant)
        and type(node.value) in (int, float)
        and node.value not in (0, 1)
    ):
        yield "a number is wrong", ast.Constant(1)
    if (
        isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Load)
        and node.id in names
    ):
        index = names.index(node.id)
        for name in (*names[max(index - 2, 0) : index], *names[index + 1 : index + 3]):
            yield "another variable is used", ast.Name(name, ast.Load())


def transposed(node):
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return node.value
    return ast.Attribute(node, "T", ast.Load())


class Replacing(ast.NodeTransformer):
    """Replace one node of a tree."""

    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        """Return the new node instead of the old one."""
        return self.new if node is self.old else self.generic_visit(node)


def wrong_statements(statement, names) -> Iterator[tuple[str, ast.stmt]]:
    if isinstance(statement, ast.AugAssign):
        target = copy.deepcopy(statement.target)
        yield "= instead of +=", ast.Assign([target], statement.value, lineno=1)
        op = ast.Sub() if isinstance(statement.op, ast.Add) else ast.Add()
        yield "a sign is wrong", ast.AugAssign(target, op, statement.value)
        yield "a statement is missing", ast.Pass()
    elif isinstance(statement, ast.Assign):
        yield (
            "a sign is wrong",
            ast.Assign(
                statement.targets, ast.UnaryOp(ast.USub(), statement.value), lineno=1
            ),
        )
        yield (
            "a factor N is wrong",
            ast.Assign(
                statement.targets,
                ast.BinOp(statement.value, ast.Mult(), ast.Constant(3)),
                lineno=1,
            ),
        )
    if not isinstance(statement, ast.Assign | ast.AugAssign | ast.Return):
        return
    for node in ast.walk(statement.value) if statement.value else ():
        for kind, new in changes(node, names):
            yield kind, Replacing(node, new)


def planted(source: Source, most=40) -> Iterator[Fault]:
    """Yield versions of a function whose value is right and whose gradient is grossly wrong."""
    tree = ast.parse(source.text)
    lines = source.text.splitlines()
    right, expected = evaluated(loaded(source.text, source.entry), source)
    size = np.abs(expected).max()
    candidates = []
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        names = []
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Name)
                and isinstance(node.ctx, ast.Store)
                and node.id not in names
            ):
                names.append(node.id)
        for statement in ast.walk(function):
            if not isinstance(statement, ast.Assign | ast.AugAssign | ast.Return):
                continue
            for kind, change in wrong_statements(statement, names):
                wrong = (
                    copy.deepcopy(statement) if isinstance(change, ast.stmt) else None
                )
                if isinstance(change, ast.stmt):
                    text = ast.unparse(ast.fix_missing_locations(change))
                else:
                    new = Replacing(change.old, change.new)
                    wrong = _replaced(statement, new)
                    text = ast.unparse(ast.fix_missing_locations(wrong))
                candidates.append((kind, statement, text))
    draw = np.random.default_rng(crc32(source.name.encode()))
    for old, new in line_functions.SLIPS.get(source.name, ()):
        old = old.replace("'", '"')
        numbers = [number for number, line in enumerate(lines) if line.strip() == old]
        assert len(numbers) >= 1, (source.name, old)
        indent = lines[numbers[0]][: -len(lines[numbers[0]].lstrip())]
        yield_text = [*lines]
        yield_text[numbers[0]] = indent + new
        for number in numbers:
            yield_text = [*lines]
            yield_text[number] = indent + new
            fault = _judged(
                "a realistic mistake",
                "\n".join(yield_text) + "\n",
                number + 1,
                source,
                right,
                expected,
                size,
            )
            if fault:
                yield fault
                break
    count = 0
    seen = Counter()
    for index in draw.permutation(len(candidates)):
        kind, statement, text = candidates[index]
        if seen[kind] >= 2 or count >= most:
            continue
        start, stop = statement.lineno - 1, statement.end_lineno
        indent = " " * statement.col_offset
        changed = [
            *lines[:start],
            indent + text,
            *[""] * (stop - start - 1),
            *lines[stop:],
        ]
        fault = _judged(
            kind,
            "\n".join(changed) + "\n",
            statement.lineno,
            source,
            right,
            expected,
            size,
        )
        if fault:
            seen[kind] += 1
            count += 1
            yield fault


def _replaced(statement, replacing):
    """Return a copy of a statement with one node replaced."""
    old, replacing.old = replacing.old, None
    path = _path(statement, old)
    clone = copy.deepcopy(statement)
    target = clone
    for name, index in path[:-1]:
        target = (
            getattr(target, name) if index is None else getattr(target, name)[index]
        )
    name, index = path[-1]
    new = copy.deepcopy(replacing.new)
    if index is None:
        setattr(target, name, new)
    else:
        getattr(target, name)[index] = new
    return clone


def _path(node, wanted):
    for name, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if not isinstance(child, ast.AST):
                continue
            step = (name, index if isinstance(value, list) else None)
            if child is wanted:
                return [step]
            rest = _path(child, wanted)
            if rest:
                return [step, *rest]
    return []


def _judged(kind, text, line, source, right, expected, size):
    """Return the fault if it leaves the value and changes the gradient grossly."""
    try:
        value, gradient = evaluated(loaded(text, source.entry), source)
    except Exception:
        return None
    is_backward = abs(value - right) <= 1e-12 * abs(right)
    if (
        not is_backward
        or gradient.shape != expected.shape
        or not np.isfinite(gradient).all()
    ):
        return None
    if np.abs(gradient - expected).max() <= GROSS * size:
        return None
    return Fault(kind, text, line)


# ---------------------------------------------------------------- scores


def statement_at(text: str, line: int):
    """Return the smallest statement that contains a line."""
    best = None
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.stmt) or not node.lineno <= line <= node.end_lineno:
            continue
        if best is None or _lines(node) <= _lines(best):
            best = node
    return best


def _lines(node) -> int:
    return node.end_lineno - node.lineno


def keys(nodes) -> set[str]:
    return {ast.unparse(node) for node in nodes}


def targets(statement) -> set[str]:
    """Return the names that a statement stores, and the names of containers and attributes."""
    if isinstance(statement, ast.Assign):
        nodes = statement.targets
    elif isinstance(statement, ast.AugAssign | ast.For):
        nodes = [statement.target]
    else:
        return set()
    names = set()
    for node in nodes:
        for child in ast.walk(node):
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                names.add(child.id)
            if isinstance(child, ast.Subscript | ast.Attribute) and isinstance(
                child.ctx, ast.Store
            ):
                names.add(
                    ast.unparse(child.value)
                    if isinstance(child, ast.Subscript)
                    else ast.unparse(child)
                )
    return names


def reads(statement) -> set[str]:
    names = set()
    for child in ast.walk(statement):
        if isinstance(child, ast.Name | ast.Attribute) and isinstance(
            child.ctx, ast.Load
        ):
            names.add(ast.unparse(child))
    return names


def place(fault: Fault, source: Source, line: int | None) -> str:
    """Judge a quoted line: the fault, a direct consequence, or a right statement."""
    if line is None:
        return "none"
    if line == fault.line:
        return "exact"
    planted_there = statement_at(source.text, fault.line)
    quoted = statement_at(fault.text, line)
    stored = targets(planted_there)
    if (
        isinstance(planted_there, ast.For)
        and planted_there.lineno <= line <= planted_there.end_lineno
    ):
        return "consequence"
    if stored & reads(quoted):
        return "consequence"
    is_deleted = isinstance(statement_at(fault.text, fault.line), ast.Pass)
    if is_deleted and stored & targets(quoted):
        return "consequence"
    return "right"


def cases(half: str) -> Iterator[Source]:
    for source in corpus():
        if half == "all" or source.is_held == (half == "held"):
            yield source


def judged(source: Source, fault: Fault):
    """Return how a check of a wrong function names the line, the wrong line and the seconds."""
    f = loaded(fault.text, source.entry)
    began = time.perf_counter()
    report = check_gradients(f, source.theta, args=source.args)
    seconds = time.perf_counter() - began
    if report.verdict != "FAIL":
        return str(report.verdict), None, seconds
    line = report.wrong_line
    return place(fault, source, line and line.line), line, seconds


def row(name: str, counts: Counter) -> str:
    n = sum(counts.values())
    named = counts["exact"] + counts["consequence"]
    cells = (named / n, counts["exact"] / n, counts["right"] / n, counts["none"] / n)
    return f"| {name} | {n} | " + " | ".join(f"{cell:.1%}" for cell in cells) + " |"


HEAD = [
    "| | wrong functions | named | of them exactly | a right statement | none |",
    "|---|--:|--:|--:|--:|--:|",
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--half", default="all", choices=["first", "held", "all"])
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    totals: dict[str, Counter] = defaultdict(Counter)
    styles: dict[str, Counter] = defaultdict(Counter)
    kinds: dict[str, Counter] = defaultdict(Counter)
    seconds = []
    functions: Counter = Counter()
    accused = []
    explained = 0
    warnings.simplefilter("ignore")
    for source in cases(options.half):
        if options.only not in source.name:
            continue
        half = "held out" if source.is_held else "development"
        functions[half] += 1
        f = loaded(source.text, source.entry)
        right = checked_function(f, source.theta, source.args, gradient=None)
        right.code = Code(f, None, source.args)
        names = {part.name for part in right.parts}
        if find_wrong_line(right, names, is_complex=True):
            accused.append(source.name)
        for fault in planted(source, options.each):
            result, line, time_taken = judged(source, fault)
            seconds.append(time_taken)
            totals[half][result] += 1
            styles[source.style][result] += 1
            kinds[fault.kind][result] += 1
            explained += bool(line and line.explanation)
            if result not in ("exact", "consequence") or options.only:
                print(source.name, fault.kind, result, fault.line, line)
    n = sum(map(Counter.total, totals.values()))
    lines = [
        "# The wrong line of a gradient",
        "",
        f"Made by `python benchmarks/wrong_lines.py` with {functions.total()} right functions in",
        f"{len(styles)} styles, and {n} faults planted in their backward statements. A fault leaves the",
        "value and changes the gradient by more than 1 % of its largest entry. A fault is *named* if",
        "the report quotes its line, or a statement that reads what this line stores. The functions of",
        "the half *development* were used to develop the analysis.",
        "",
        *described(machine("numpy")),
        "",
        *HEAD,
        *[row(f"{half}, {functions[half]} functions", c) for half, c in totals.items()],
        "",
        f"The report explains {explained / n:.0%} of the mistakes. The analysis was also forced on all",
        f"right functions: {len(accused)} were accused. A check with the analysis took"
        f" {np.mean(seconds):.2f} s on average and {max(seconds):.1f} s at most.",
        "",
        "## By style",
        "",
        *HEAD,
        *[row(style, counts) for style, counts in styles.items()],
        "",
        "## By mistake",
        "",
        *HEAD,
        *[row(kind, counts) for kind, counts in kinds.items()],
    ]
    print("\n".join(lines))
    if options.half == "all" and not options.only:
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""Count what makes code hard to read: ``python tests/density.py [FOLDERS]``.

Constructs are counted per 1,000 statements. Vague names are a percentage of all names
that the code binds. Tokens are names, numbers and operators; comments and strings do
not count.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "vecprop"
TESTS = ROOT / "tests"
KERNELS = [SOURCE / "compiled" / folder for folder in ("run", "gemm", "lower")]
"""Folders that the limits on lines of a function and on positional arguments
exclude.
"""

MOST_LINES = 60
MOST_POSITIONAL_ARGUMENTS = 3

VAGUE_NAMES = frozenset(
    re.findall(
        r"\w+",
        """
        alone apart are at bare each found given here how kept known left made more most now of
        one other others own place placed places rest said some such that then there these things
        those way what which whole why
        """,
    )
)
PUBLIC_MODULES = frozenset(
    re.findall(
        r"\S+",
        """
        vecprop vecprop.app vecprop.blocks vecprop.check vecprop.cluster vecprop.export vecprop.extend
        vecprop.learn vecprop.learn.tutorial vecprop.mlflow vecprop.pictures vecprop.tables
        """,
    )
)
"""Modules that the documentation names. Their names, except modules, are public."""

PUBLIC_FUNCTIONS = frozenset(
    {
        "vecprop.files.model_file.information",
        "vecprop.files.onnx.register",
        "vecprop.train",
    }
)
"""Functions of other modules that the documentation describes, and the function that
has the name of a package.
"""

REPLACEMENTS = frozenset({"setattr", "delattr", "setitem", "delitem"})
"""Methods of ``pytest.MonkeyPatch`` that replace parts of the program. Environment
variables and the working directory are conditions that users set too.
"""

TOKEN = re.compile(
    r"""
    \#[^\n]*                                            # a comment
    | [rbufRBUF]{0,2}                                    # a string
      (?: '''(?:\\.|[^\\])*?''' | \"{3}(?:\\.|[^\\])*?\"{3}
        | '(?:\\.|[^\\'\n])*' | "(?:\\.|[^\\"\n])*" )
    | (?P<token>
        [^\W\d]\w*                                      # a name
      | 0[xX][\da-fA-F_]+ | 0[bB][01_]+ | 0[oO][0-7_]+   # a number
      | (?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?[jJ]?
      | \*\*= | //= | >>= | <<= | \.\.\. | -> | := | \*\*  # an operator
      | // | >> | << | <= | >= | == | != | [-+*/%&|^@]=
      | [-+*/%&|^~<>()\[\]{},:.;@=]
    )
    """,
    re.DOTALL | re.VERBOSE,
)
"""A token, or a comment or string, which does not count. The module ``tokenize`` takes
four times as long, and counts parts of f-strings since Python 3.12.
"""

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def is_vague(name: str) -> bool:
    """Return whether a name does not name anything of the field."""
    return name in VAGUE_NAMES or name.startswith(("of_", "own_"))


def is_packed(node: ast.AST) -> bool:
    """Return whether a statement assigns several computed values to several names."""
    if not isinstance(node, ast.Assign):
        return False
    target = node.targets[0]
    if not isinstance(target, ast.Tuple) or not isinstance(node.value, ast.Tuple):
        return False
    plain = (ast.Name, ast.Constant, ast.Attribute)
    return any(not isinstance(value, plain) for value in node.value.elts)


def bound_name(node: ast.AST) -> str | None:
    """Return the name that a node binds."""
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return node.attr
    return None


def constructs(tree: ast.AST) -> Counter[str]:
    """Count the statements, the bound names and the constructs of a module."""
    counts: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            counts["statements"] += 1
        if isinstance(node, ast.IfExp):
            counts["conditional expressions"] += 1
        if isinstance(node, COMPREHENSIONS):
            counts["comprehensions"] += 1
        if isinstance(node, ast.BoolOp):
            counts["and, or"] += 1
        if isinstance(node, ast.Lambda):
            counts["lambdas"] += 1
        if is_packed(node):
            counts["packed assignments"] += 1
        name = bound_name(node)
        if name is not None:
            counts["bound names"] += 1
            if is_vague(name):
                counts["vague names"] += 1
    return counts


def long_functions(tree: ast.AST) -> int:
    """Return the number of functions that have more than `MOST_LINES` lines."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return sum(code_lines(function) > MOST_LINES for function in functions)


def code_lines(function: ast.FunctionDef) -> int:
    """Return the number of lines of a function without its docstring."""
    first = function.body[0]
    lines = _lines(function)
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= _lines(first)
    return lines


def _lines(statement: ast.stmt) -> int:
    assert statement.end_lineno is not None
    return statement.end_lineno - statement.lineno + 1


def long_calls(tree: ast.AST) -> int:
    """Return the number of calls with more than `MOST_POSITIONAL_ARGUMENTS`."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return sum(len(call.args) > MOST_POSITIONAL_ARGUMENTS for call in calls)


def tokens(text: str) -> int:
    """Return the number of names, numbers and operators."""
    return sum(match.lastgroup == "token" for match in TOKEN.finditer(text))


def python_files(folders: list[Path]) -> Iterator[Path]:
    """Yield the Python files of folders."""
    for folder in folders:
        yield from sorted(folder.rglob("*.py"))


def density(folders: list[Path]) -> dict[str, float]:
    """Return the figures of all Python files in folders."""
    counts: Counter[str] = Counter()
    for file in python_files(folders):
        text = file.read_text("utf-8")
        tree = ast.parse(text)
        counts.update(constructs(tree))
        counts["tokens"] += tokens(text)
        if not any(file.is_relative_to(folder) for folder in KERNELS):
            counts["functions of more than 60 lines"] += long_functions(tree)
            counts["calls with more than 3 positional arguments"] += long_calls(tree)
    statements = counts.pop("statements")
    names = counts.pop("bound names")
    figures: dict[str, float] = dict(counts)
    figures["vague names"] = 100 * counts["vague names"] / names
    for construct in (
        "conditional expressions",
        "comprehensions",
        "and, or",
        "lambdas",
    ):
        figures[construct] = 1000 * counts[construct] / statements
    figures["packed assignments"] = 1000 * counts["packed assignments"] / statements
    return figures


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Yield the full names that a module imports or replaces."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Call) and is_import_by_text(node.func):
            for argument in node.args:
                if isinstance(argument, ast.Constant):
                    yield str(argument.value)


def is_import_by_text(function: ast.expr) -> bool:
    """Return whether a called function imports or replaces what a text names."""
    if isinstance(function, ast.Name):
        return function.id == "import_module"
    return isinstance(function, ast.Attribute) and (
        function.attr in REPLACEMENTS | {"import_module"}
    )


def is_module(name: str) -> bool:
    """Return whether a full name names a module of vecprop."""
    path = SOURCE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def is_internal(name: str) -> bool:
    """Return whether a full name belongs to vecprop and is not documented."""
    if name.partition(".")[0] != "vecprop" or name in PUBLIC_FUNCTIONS:
        return False
    module = name if is_module(name) else name.rpartition(".")[0]
    return module not in PUBLIC_MODULES


def replacements(tree: ast.AST) -> int:
    """Return the number of calls that replace parts of the program."""
    functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    methods = [node for node in functions if isinstance(node, ast.Attribute)]
    return sum(method.attr in REPLACEMENTS for method in methods)


def density_of_tests(folder: Path) -> dict[str, int]:
    """Return how often tests reach behind the public interface."""
    figures = {"test files that import internals": 0, "monkeypatches": 0}
    for file in python_files([folder]):
        tree = ast.parse(file.read_text("utf-8"))
        internal_names = [name for name in imported_names(tree) if is_internal(name)]
        if internal_names:
            figures["test files that import internals"] += 1
        figures["monkeypatches"] += replacements(tree)
    return figures


def main(arguments: list[str]) -> None:
    """Print the figures of folders."""
    folders = [Path(argument).resolve() for argument in arguments] or [SOURCE]
    for name, figure in density(folders).items():
        print(f"{name}: {figure:.10g}")
    if not arguments:
        for name, figure in density_of_tests(TESTS).items():
            print(f"{name}: {figure}")


if __name__ == "__main__":
    main(sys.argv[1:])

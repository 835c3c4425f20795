"""General mistakes: a part of a formula is changed, left out or replaced."""

import ast
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, product
from typing import Any, NamedTuple

import numpy as np

from ...core.activations import logistic, softplus
from ...core.elementary import Array
from .mistakes import Mistake, slope, softmax
from .tasks import TASKS, Function, Task, functions

ChangeFunction = Callable[[Array, Any], Any]
"""A function that changes an array, given the number of data rows."""


class Change(NamedTuple):
    """A change of a part of a formula: its description, the topic of `LOOK`, and its function.

    The family describes a change by any number.
    """

    words: str
    look: str
    function: ChangeFunction
    family: str = ""


def with_constants(function: Function, *constants) -> ChangeFunction:
    return lambda A, N: function(A, *constants)


def _changes(table: dict):
    """Return changes by functions of an array and perhaps of constants."""
    changes = []
    for text, entry in table.items():
        look, words = text.split(" | ")
        function, *constants = entry if isinstance(entry, tuple) else [entry]
        changes.append(Change(words, look, with_constants(function, *constants)))
    return changes


def only(A, entries):
    """Set all other entries of an array to 0."""
    changed = np.zeros_like(A)
    changed[entries] = A[entries]
    return changed


def without(A, entries):
    return A - only(A, entries)


def constant(A, value):
    """Return a value in the shape of A."""
    return 0 * A + value


def repeated(A, entries):
    return constant(A, A[entries])


def reduced(A, reduce: Function, axis: int | None = None):
    """Replace all entries along an axis by their sum, mean or maximum."""
    return constant(A, reduce(A, axis=axis, keepdims=True))


def centered(A, axis: int | None = None):
    return A - reduced(A, np.mean, axis)


def standardized(A, axis: int, least: float = 0):
    return centered(A, axis) / (reduced(A, np.std, axis) + least)


def over_sum(A, axis: int):
    return A / reduced(A, np.sum, axis)


def over_norm(A, axis: int | None = None):
    return A / np.linalg.norm(A, axis=axis, keepdims=True)


def over_size(A, axis: int | None = None):
    return A / np.size(A, axis)


_erf = np.vectorize(math.erf)
FIRST_COLUMN = np.s_[:, 0]
LAST_COLUMN = np.s_[:, -1]

CHANGES = [
    *_changes(
        {
            "factors | {} is 0 everywhere": (constant, 0),
            "factors | {} is 1 everywhere": (constant, 1),
            "sign | the sign of {} is wrong": np.negative,
            "size | {} is doubled": (np.multiply, 2),
            "size | {} is halved": (np.multiply, 0.5),
        }
    ),
    Change("{} is divided by N, the number of rows", "size", np.divide),
    Change("{} is multiplied by N, the number of rows", "size", np.multiply),
    Change(
        "{} is divided by the square root of N, the number of rows",
        "size",
        lambda A, N: A / np.sqrt(N),
    ),
    Change(
        "{} is divided by N - 1, with N the number of rows",
        "size",
        lambda A, N: A / max(N - 1, 1),
    ),
    *_changes(
        {
            "size | {} is divided by its number of rows": (over_size, 0),
            "size | {} is divided by its number of columns": (over_size, -1),
            "size | {} is divided by its number of entries": over_size,
            "size | {} is divided by the square root of its number of columns": (
                lambda A: A / np.sqrt(A.shape[1])
            ),
            "shape | {} is transposed": np.transpose,
            "shape | the transpose of {} is reshaped": lambda A: A.T.reshape(A.shape),
            "shape | {} is reshaped where it should be transposed": lambda A: (
                A.reshape(A.shape[::-1]).T
            ),
            "function | {} is squared": np.square,
            "function | the square root of {} is taken": np.sqrt,
            "sign | the absolute value of {} is taken": np.abs,
            "function | {} is multiplied by its absolute value": lambda A: (
                A * np.abs(A)
            ),
            "sign | only the sign of {} is kept": np.sign,
            "sign | 1 - {0} is used instead of {0}": lambda A: 1 - A,
            "function | 1 / {0} is used instead of {0}": np.reciprocal,
            "function | negative numbers in {} are set to 0": (np.maximum, 0),
            "function | positive numbers in {} are set to 0": (np.minimum, 0),
            "function | the logistic function is applied to {}": logistic,
            "function | the softmax is applied to {}": softmax,
            "function | the hyperbolic tangent is applied to {}": np.tanh,
            "function | log(1 + exp(z)) is applied to {}": softplus,
            "function | the normal distribution function is applied to {}": lambda A: (
                (1 + _erf(A / 2**0.5)) / 2
            ),
            "function | {} is multiplied by e": (np.multiply, np.e),
            "function | the exponential of {} is taken": np.exp,
            "function | the logarithm of {} is taken": np.log,
            "factors | the derivative y (1 - y) is evaluated at {}": slope,
            "factors | the derivative 1 - y² is evaluated at {}": lambda A: 1 - A**2,
            "numbers | {} is rounded to integers": np.round,
            "numbers | {} is truncated to integers": np.trunc,
            "numbers | {} is rounded down to integers": np.floor,
            "numbers | {} is rounded up to integers": np.ceil,
            "numbers | {} is rounded to 1 decimal": (np.round, 1),
            **{
                f"numbers | {{}} is rounded to {n} decimals": (np.round, n)
                for n in range(2, 7)
            },
            "numbers | {} is rounded to float16": lambda A: np.float64(np.float16(A)),
            "size | {} is divided by its largest absolute value": lambda A: (
                A / np.abs(A).max()
            ),
            "size | {} is divided by its Euclidean norm": over_norm,
            "size | {} is divided by its Euclidean norm if that is above 1": lambda A: (
                A / max(1, np.linalg.norm(A))
            ),
            "size | the columns of {} are divided by their norms": (over_norm, 0),
            "size | the rows of {} are divided by their norms": (over_norm, 1),
            "size | {} is divided by the sums of its rows": (over_sum, 1),
            "size | {} is divided by the sums of its columns": (over_sum, 0),
            "argument | the mean of all entries is subtracted from {}": centered,
            "argument | the means of its columns are subtracted from {}": (centered, 0),
            "argument | the means of its rows are subtracted from {}": (centered, 1),
            "argument | the columns of {} are standardized": (standardized, 0, 1e-12),
            "argument | the rows of {} are standardized": (standardized, 1),
            "axis | {} is replaced by the mean of each column": (reduced, np.mean, 0),
            "axis | {} is replaced by the sum of each column": (reduced, np.sum, 0),
            "axis | {} is replaced by the largest entry of each column": (
                reduced,
                np.max,
                0,
            ),
            "axis | {} is replaced by the mean of each row": (reduced, np.mean, 1),
            "axis | {} is replaced by the sum of each row": (reduced, np.sum, 1),
            "axis | {} is replaced by the largest entry of each row": (
                reduced,
                np.max,
                1,
            ),
            "axis | {} is replaced by its mean": (reduced, np.mean),
            "axis | {} is replaced by its sum": (reduced, np.sum),
            "argument | the first entry of {} is used for all entries": lambda A: (
                constant(A, A.flat[0])
            ),
            "argument | the first row of {} is used for all rows": (repeated, 0),
            "argument | the last row of {} is used for all rows": (repeated, -1),
            "axis | only the first row of {} is used": (only, 0),
            "axis | only the last row of {} is used": (only, -1),
            "axis | the first row of {} is left out": (without, 0),
            "axis | the last row of {} is left out": (without, -1),
            "axis | only the first column of {} is used": (only, FIRST_COLUMN),
            "axis | only the second column of {} is used": (only, np.s_[:, 1]),
            "axis | only the last column of {} is used": (only, LAST_COLUMN),
            "axis | the first column of {} is left out": (without, FIRST_COLUMN),
            "axis | the last column of {} is left out": (without, LAST_COLUMN),
            "axis | every other column of {} is left out": (only, np.s_[:, 1::2]),
            "order | the rows of {} are in reverse order": (np.flip, 0),
            "order | the columns of {} are in reverse order": (np.flip, 1),
            "order | the rows of {} are shifted by one": (np.roll, 1, 0),
            "order | the columns of {} are shifted by one": (np.roll, 1, 1),
        }
    ),
    *_changes(
        {
            "order | the rows of {} are shifted by one": (np.roll, -1, 0),
            "order | the columns of {} are shifted by one": (np.roll, -1, 1),
            "order | the columns of {} are sorted": (np.sort, 0),
            "order | the rows of {} are sorted": (np.sort, 1),
            "axis | the columns of {} are accumulated": (np.cumsum, 0),
            "axis | the rows of {} are accumulated": (np.cumsum, 1),
            "argument | class indices are used instead of {}": lambda A: A.argmax(
                axis=1
            )[:, None],
            "numbers | each row of {} is replaced by a one-hot vector of its largest entry": lambda A: (
                np.eye(A.shape[1])[A.argmax(axis=1)]
            ),
            "axis | the entries of {} below the diagonal are left out": np.triu,
            "axis | the entries of {} above the diagonal are left out": np.tril,
            "shape | the pseudoinverse of {} is used instead of the transpose": (
                lambda A: np.linalg.pinv(A).T
            ),
        }
    ),
]
"""Changes of a part of a formula or of the result."""

BASES = _changes(
    {
        f"function | {base:g} to the power {{}} is used": (
            lambda A, base: base**A,
            base,
        )
        for base in (2, 2.7, 2.71, 2.718, 2.72, 3, 10)
    }
)
RESULT_NAMES = {
    "{} is doubled": "a factor 2 is too many",
    "{} is halved": "a factor 2 is missing",
    "{} is transposed": "the result is transposed",
}
FUNCTIONS = [
    change for change in CHANGES if change.look in ("function", "sign", "factors")
]
SCALAR_CHANGES = [
    change
    for change in CHANGES
    if change.look in ("function", "sign", "numbers") and "column" not in change.words
]

NUMBERS = (
    1e-6,
    1e-5,
    1e-4,
    1e-3,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.25,
    0.3,
    0.5,
    0.7,
    0.8,
    0.9,
    0.95,
    0.99,
    1.0,
    1.5,
    2.0,
    2.5,
    3.0,
    4.0,
    5.0,
    6.0,
    8.0,
    10.0,
    12.0,
    15.0,
    20.0,
    30.0,
    50.0,
    100.0,
)


def clipped(A, c: float):
    return np.clip(A, -c, c)


def clipped_to_probabilities(A, c: float) -> Array | None:
    return np.clip(A, c, 1 - c) if c < 0.5 else None


def without_small_numbers(A, c: float):
    return np.where(np.abs(A) < c, 0, A)


def mixed_with_row_means(A, c: float):
    return (1 - c) * A + c * A.mean(axis=1, keepdims=True)


def _changes_by_numbers(table: dict):
    changes = []
    for (text, function), number in product(table.items(), NUMBERS):
        look, words = text.split(" | ")
        family = words.replace("NUMBER", "some number")
        words = words.replace("NUMBER", f"{number:g}")
        changes.append(Change(words, look, with_constants(function, number), family))
    return changes


NUMBER_CHANGES = _changes_by_numbers(
    {
        "size | {0} is multiplied by NUMBER": np.multiply,
        "size | {0} is divided by NUMBER": np.divide,
        "argument | {0} is always NUMBER": constant,
        "terms | NUMBER is added to {0}": np.add,
        "terms | NUMBER is subtracted from {0}": np.subtract,
        "function | {0} is at least NUMBER": np.maximum,
        "function | {0} is at most NUMBER": np.minimum,
        "function | {0} is at least -NUMBER": lambda A, c: np.maximum(A, -c),
        "function | {0} is clipped at -NUMBER and NUMBER": clipped,
        "function | {0} is clipped at NUMBER and 1 - NUMBER": clipped_to_probabilities,
        "function | numbers in {0} between -NUMBER and NUMBER are set to 0": (
            without_small_numbers
        ),
        "terms | NUMBER times the mean of each row is mixed into {0}": (
            mixed_with_row_means
        ),
    }
)
"""Changes of an array by a number."""


def described(words: str, name: str) -> str:
    """Describe a change of a part of a formula; an empty name stands for the result.

    Examples
    --------
    >>> described("the square root of {} is taken", "T")
    'the square root of T is taken'
    >>> described("the square root of {} is taken", "")
    'the square root is taken'
    """
    if not name:
        # "the square root is taken", "the result is used instead of it"
        words = words.replace(" of {}", "")
        words = words.replace("{0} is used", "the result is used")
        words = words.replace("of {0}", "of it")
        return words.format("it")
    if words.startswith(("1 -", "1 /")) and " " in name:
        name = f"({name})"
    return words.format(name)


def row_count(arguments: Iterable[Any]) -> int:
    """Return the number of data rows of the arguments."""
    for argument in arguments:
        if getattr(argument, "ndim", 0) == 2:
            return len(argument)
    return 1


class FormulaPart(NamedTuple):
    """A part of a formula; the name of the whole formula is empty."""

    name: str
    text: str
    node: Any
    spans: list[tuple[int, int]]


def _expressions(node, parent) -> Iterator[tuple[Any, Any]]:
    """Yield the expressions inside a node, each with its parent."""
    if isinstance(
        node,
        ast.BinOp | ast.UnaryOp | ast.Call | ast.Attribute | ast.Constant | ast.Name,
    ):
        yield node, parent
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.Call):
        children = node.args  # without the function and axis=...
    elif isinstance(node, ast.ListComp):
        children = [node.elt, node.generators[0].iter]
    for child in children:
        yield from _expressions(child, node)


def _parts(task):
    """Return the parts of a formula, shortest first: all equal parts together, then one by one."""
    parts_by_text = {}
    for part in _single_parts(task):
        parts_by_text.setdefault(part.text, []).append(part)
    parts = []
    # variables before numbers: a change of both may have the same effect
    for text in sorted(parts_by_text, key=lambda text: (len(text), text.isdigit())):
        equal_parts = parts_by_text[text]
        first = equal_parts[0]  # its name is empty if it is the whole formula
        spans = [part.spans[0] for part in equal_parts]
        name = _in_words(text) if first.name else ""
        parts.append(first._replace(name=name, spans=spans))
        if len(equal_parts) > 1:
            parts.extend(equal_parts)
    return parts


def _single_parts(task):
    """Yield the expressions of a formula with their positions in its source code."""
    lines = task.source.splitlines(keepends=True)
    line_starts = list(accumulate(map(len, lines), initial=0))
    definition: Any = ast.parse(task.source).body[0]
    for statement in ast.walk(definition):
        if not isinstance(statement, ast.Assign | ast.Expr | ast.Return):
            continue
        for node, parent in _expressions(statement.value, statement):
            start = line_starts[node.lineno - 1] + node.col_offset
            end = line_starts[node.end_lineno - 1] + node.end_col_offset
            text = task.source[start:end]
            name = f"{_in_words(text)} in {_in_words(ast.unparse(parent))}"
            if isinstance(parent, ast.Return):
                name = ""
            yield FormulaPart(name, text, node, [(start, end)])


def _in_words(text):
    return re.sub(r"\bnp\.|, axis=\d, keepdims=True", "", text)


class ChangedFormula:
    """A task's function after new code has replaced a part of the formula.

    The code may call `changed`, which `with_change` defines.
    """

    def __init__(self, task: Task, part: FormulaPart, code: str):
        source = task.source
        for start, end in reversed(part.spans):
            source = f"{source[:start]}({code}){source[end:]}"
        self.namespace = functions()
        exec(source, self.namespace)
        self.function: Function = self.namespace[task.name]

    def with_change(self, change: ChangeFunction) -> Function:
        """Return the function with a definition of `changed`."""

        def function(*arguments):
            rows = row_count(arguments)
            self.namespace["changed"] = lambda A: change(A, rows)
            return self.function(*arguments)

        return function


def mutated(task: Task) -> Iterator[Mistake]:
    """Yield mistakes in a formula: parts that are left out, changed or replaced."""
    parts = _parts(task)
    for part in parts:
        yield from _rewritten(task, part, _left_out(part))
    for part in parts:
        is_long = task.name in ("backprop_gradients", "train")
        if is_long and part.name not in task.arguments:
            continue  # other parts belong to the called functions
        changes = CHANGES
        if isinstance(part.node, ast.Constant) or part.name in (
            "momentum_term",
            "learning_rate",
        ):
            changes = SCALAR_CHANGES
        yield from _changed(task, part, changes)
    if task.name not in ("backprop_gradients", "train"):
        for part in parts:
            yield from _other_functions(task, part)
    for part in parts:
        yield from _rewritten(task, part, _replacements(task, part))


def _rewritten(task, part, descriptions):
    """Yield mistakes that replace a part, from their words, topics and code."""
    for words, look, code in descriptions:
        yield Mistake(words, look, ChangedFormula(task, part, code).function)


def _changed(task, part, changes):
    """Yield mistakes that apply a change to the value of a part."""
    if not part.name:
        return
    formula = ChangedFormula(task, part, f"changed({part.text})")
    for words, look, change, family in changes:
        name = described(words, part.name)
        family = described(family, part.name) if family else words
        yield Mistake(name, look, formula.with_change(change), family)


def _other_functions(task, part):
    """Yield mistakes that apply another function to the argument of a call.

    For example, the exponential of z is taken instead of logistic(z).
    """
    argument = ""
    if not part.name and len(task.arguments) == 1:  # the whole formula is the call
        argument = task.arguments[0]
    elif isinstance(part.node, ast.Call):
        argument = part.text.partition("(")[2].removesuffix(")")
    if not argument or "," in argument:  # only calls with one argument
        return
    changes = FUNCTIONS
    if part.name.startswith("exp("):
        changes = FUNCTIONS + BASES
    ending = f"instead of {part.name}" if part.name else "instead"
    formula = ChangedFormula(task, part, f"changed({argument})")
    for words, look, change, _ in changes:
        words = words.replace(" instead of {0}", "")
        name = f"{described(words, _in_words(argument))} {ending}"
        yield Mistake(name, look, formula.with_change(change))


def with_numbers(task: Task) -> Iterator[Mistake]:
    """Yield changes of a formula by a number or by an additional argument."""
    if len(task.calls) > 1:
        return
    parts = _parts(task)
    for part in parts:
        yield from _changed(task, part, NUMBER_CHANGES)
    if "backprop_gradients" in task.calls:
        return
    parts.sort(key=lambda part: part.name != "")  # the whole formula first
    for part, argument in product(parts, task.arguments):
        if argument not in part.name.split():
            yield from _rewritten(task, part, _with_argument(part, argument))


def _with_argument(part, argument):
    name = part.name or "it"
    code = f"({part.text})"
    yield f"{name} is multiplied by {argument}", "factors", f"{code} * {argument}"
    yield f"{name} is divided by {argument}", "factors", f"{code} / {argument}"
    yield f"{argument} is added to {name}", "terms", f"{code} + {argument}"
    yield f"{argument} is subtracted from {name}", "terms", f"{code} - {argument}"


OPERATORS = {
    "+": "added",
    "-": "subtracted",
    "*": "multiplied",
    "/": "divided",
    "@": "multiplied as matrices",
}
REDUCTIONS = (
    "max",
    "min",
    "prod",
    "mean",
    "median",
    "std",
    "var",
    "argmax",
    "linalg.norm",
)
SYMBOLS: dict[Any, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.MatMult: "@",
}


def _left_out(part):
    """Yield a part without one operand: the words, where to look, and the new code."""
    node = part.node
    if isinstance(node, ast.BinOp):
        left = ast.unparse(node.left)
        right = ast.unparse(node.right)
        formula = f" of {_in_words(part.text)}"
        if isinstance(node.left, ast.Name) and isinstance(node.right, ast.Name):
            formula = ""
        yield f"{_in_words(right)} is left out{formula}", "terms", left
        yield f"{_in_words(left)} is left out{formula}", "terms", right
        if isinstance(node.op, ast.Sub):
            yield f"{_in_words(left)} is left out{formula}", "terms", f"-({right})"
    if isinstance(node, ast.Attribute):
        matrix = ast.unparse(node.value)
        yield f"{matrix} is not transposed", "shape", matrix


def _replacements(task, part):
    """Yield replacements of a part: the words, where to look, and the new code."""
    node = part.node
    if isinstance(node, ast.BinOp):
        yield from _other_operators(node)
    if part.text.startswith("np.sum("):
        yield from _other_reductions(part)
    if isinstance(node, ast.Name):
        variables = re.findall(r"\b[A-Z]\w*|\bls_\w+|\bb[ho]\b", task.source)
        for name in dict.fromkeys(variables):
            if name != node.id:
                yield f"{name} is used instead of {part.name}", "argument", name


def _other_operators(node):
    left = ast.unparse(node.left)
    right = ast.unparse(node.right)
    symbol = SYMBOLS[type(node.op)]
    yield (
        f"{_in_words(left)} and {_in_words(right)} are swapped",
        "order",
        f"({right}) {symbol} ({left})",
    )
    for other_symbol, operation in OPERATORS.items():
        if other_symbol == symbol:
            continue
        for first, second in ((left, right), (right, left)):
            words = (
                f"{_in_words(first)} and {_in_words(second)} are {operation}, not"
                f" {OPERATORS[symbol]}"
            )
            yield words, "order", f"({first}) {other_symbol} ({second})"


def _other_reductions(part):
    """Yield replacements of a sum by other functions and along other axes."""
    argument = ast.unparse(part.node.args[0])
    for function in REDUCTIONS:
        for axis in ("0", "1", ""):
            option = f", axis={axis}, keepdims=True" if axis else ""
            words = function.removeprefix("linalg.")
            if not axis:
                words += " of all entries"
            elif option not in part.text:
                words += f" along axis {axis}"
            yield (
                f"{words} is used instead of the sum",
                "function",
                f"np.{function}({argument}{option})",
            )


def changed_result(task: Task, wrong_parts: Sequence[int]) -> Iterator[Mistake]:
    """Yield mistakes that change the correct result, or elements of a list."""
    exact = functions()[task.name]
    for words, look, change, _ in CHANGES:
        name = RESULT_NAMES.get(words) or described(words, "")
        yield Mistake(name, look, with_changed_result(exact, change))
        if 0 < len(wrong_parts) < 4:
            yield Mistake(
                in_parts(wrong_parts) + name,
                look,
                with_changed_result(exact, change, wrong_parts),
            )


def with_changed_result(
    function: Function, change: ChangeFunction, parts: Sequence[int] = range(4)
) -> Function:
    """Return a function that changes another function's result, or some parts of its list."""

    def changed_function(*arguments):
        result = function(*arguments)
        rows = row_count(arguments)
        if not isinstance(result, list):
            return change(np.asarray(result), rows)
        changed_parts = []
        for k, part in enumerate(result):
            changed_parts.append(change(part, rows) if k in parts else part)
        return changed_parts

    return changed_function


def in_parts(indices: Sequence[int]) -> str:
    """Describe the indices of list elements."""
    noun = "part" if len(indices) == 1 else "parts"
    return f"in {noun} {' and '.join(map(str, indices))} of the list "


def inherited(
    task: Task, mistakes_of: Callable[[Task], Iterable[Mistake]]
) -> Iterator[Mistake]:
    """Yield the mistakes of all functions that a function calls."""
    for name in task.calls:
        called = TASKS[name]
        for mistake in chain(mistakes_of(called), inherited(called, mistakes_of)):
            wrong = functions({name: mistake.function})[task.name]
            yield Mistake(f"{name}: {mistake.name}", mistake.look, wrong)


def any_of(task: Task) -> Iterator[Mistake]:
    """Yield the general mistakes of a function."""
    yield from changed_result(task, ())
    yield from mutated(task)
    if task.name in ("logistic", "softmax"):
        yield from with_numbers(task)

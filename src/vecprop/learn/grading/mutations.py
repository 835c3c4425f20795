"""General mistakes: a part of a formula is changed, left out or replaced."""

import ast
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, product
from typing import Any, NamedTuple

import numpy as np

from ...core.elementary import Array
from .mistakes import Mistake, slope, softmax
from .tasks import TASKS, Function, Task, functions

ChangeFunction = Callable[[Array, Any], Any]
"""A function that changes an array, given the number of data rows or another number."""


class Change(NamedTuple):
    """A change of a part of a formula: its description, the topic of `LOOK`, and its function."""

    words: str
    look: str
    function: ChangeFunction


def _change(words, look, function, *arguments, **options):
    """Return a change by a function of the array and of constants."""
    return Change(words, look, lambda A, N: function(A, *arguments, **options))


def only(A: Array, entries) -> Array:
    """Set all other entries of an array to 0."""
    changed = np.zeros_like(A)
    changed[entries] = A[entries]
    return changed


def without(A: Array, entries) -> Array:
    return A - only(A, entries)


def constant(A: Array, value) -> Array:
    """Return a value in the shape of A."""
    return 0 * A + value


def reduced(A: Array, reduce: Function, axis: int | None = None) -> Array:
    """Replace all entries along an axis by their sum, mean or maximum."""
    return constant(A, reduce(A, axis=axis, keepdims=True))


def centered(A: Array, axis: int | None = None) -> Array:
    return A - A.mean(axis=axis, keepdims=True)


def over_sum(A: Array, axis: int) -> Array:
    return A / A.sum(axis=axis, keepdims=True)


def over_norm(A: Array, axis: int | None = None) -> Array:
    return A / np.linalg.norm(A, axis=axis, keepdims=True)


_FUNCTIONS = functions()
_erf = np.vectorize(math.erf)


def standardized(A: Array, axis: int, least: float = 0) -> Array:
    return centered(A, axis) / (A.std(axis=axis, keepdims=True) + least)


def over_size(A: Array, axis: int | None = None) -> Array:
    return A / np.size(A, axis)


def repeated(A: Array, row: int) -> Array:
    return constant(A, A[row])


FIRST_COLUMN = np.s_[:, 0]
LAST_COLUMN = np.s_[:, -1]

CHANGES = [
    _change("{} is 0 everywhere", "factors", constant, 0),
    _change("{} is 1 everywhere", "factors", constant, 1),
    _change("the sign of {} is wrong", "sign", np.negative),
    _change("{} is doubled", "size", np.multiply, 2),
    _change("{} is halved", "size", np.multiply, 0.5),
    Change("{} is divided by N, the number of rows", "size", np.divide),
    Change("{} is multiplied by N, the number of rows", "size", np.multiply),
    Change("{} is divided by the square root of N, the number of rows", "size", lambda A, N: A / np.sqrt(N)),
    Change("{} is divided by N - 1, with N the number of rows", "size", lambda A, N: A / max(N - 1, 1)),
    _change("{} is divided by its number of rows", "size", over_size, 0),
    _change("{} is divided by its number of columns", "size", over_size, -1),
    _change("{} is divided by its number of entries", "size", over_size),
    _change("{} is divided by the square root of its number of columns", "size", lambda A: A / np.sqrt(A.shape[1])),
    _change("{} is transposed", "shape", np.transpose),
    _change("the transpose of {} is reshaped", "shape", lambda A: A.T.reshape(A.shape)),
    _change("{} is reshaped where it should be transposed", "shape", lambda A: A.reshape(A.shape[::-1]).T),
    _change("{} is squared", "function", np.square),
    _change("the square root of {} is taken", "function", np.sqrt),
    _change("the absolute value of {} is taken", "sign", np.abs),
    _change("{} is multiplied by its absolute value", "function", lambda A: A * np.abs(A)),
    _change("only the sign of {} is kept", "sign", np.sign),
    _change("1 - {0} is used instead of {0}", "sign", lambda A: 1 - A),
    _change("1 / {0} is used instead of {0}", "function", np.reciprocal),
    _change("negative numbers in {} are set to 0", "function", np.maximum, 0),
    _change("positive numbers in {} are set to 0", "function", np.minimum, 0),
    _change("the logistic function is applied to {}", "function", _FUNCTIONS["logistic"]),
    _change("the softmax is applied to {}", "function", softmax),
    _change("the hyperbolic tangent is applied to {}", "function", np.tanh),
    _change("log(1 + exp(z)) is applied to {}", "function", lambda A: np.log1p(np.exp(A))),
    _change("the normal distribution function is applied to {}", "function", lambda A: (1 + _erf(A / 2**0.5)) / 2),
    _change("{} is multiplied by e", "function", np.multiply, np.e),
    _change("the exponential of {} is taken", "function", np.exp),
    _change("the logarithm of {} is taken", "function", np.log),
    _change("the derivative y (1 - y) is evaluated at {}", "factors", slope),
    _change("the derivative 1 - y² is evaluated at {}", "factors", lambda A: 1 - A**2),
    _change("{} is rounded to integers", "numbers", np.round),
    _change("{} is truncated to integers", "numbers", np.trunc),
    _change("{} is rounded down to integers", "numbers", np.floor),
    _change("{} is rounded up to integers", "numbers", np.ceil),
    _change("{} is rounded to 1 decimal", "numbers", np.round, 1),
    *(_change(f"{{}} is rounded to {n} decimals", "numbers", np.round, n) for n in range(2, 7)),
    _change("{} is rounded to float16", "numbers", lambda A: np.float64(np.float16(A))),
    _change("{} is divided by its largest absolute value", "size", lambda A: A / np.abs(A).max()),
    _change("{} is divided by its Euclidean norm", "size", over_norm),
    _change("{} is divided by its Euclidean norm if that is above 1", "size", lambda A: A / max(1, np.linalg.norm(A))),
    _change("the columns of {} are divided by their norms", "size", over_norm, 0),
    _change("the rows of {} are divided by their norms", "size", over_norm, 1),
    _change("{} is divided by the sums of its rows", "size", over_sum, 1),
    _change("{} is divided by the sums of its columns", "size", over_sum, 0),
    _change("the mean of all entries is subtracted from {}", "argument", centered),
    _change("the means of its columns are subtracted from {}", "argument", centered, 0),
    _change("the means of its rows are subtracted from {}", "argument", centered, 1),
    _change("the columns of {} are standardized", "argument", standardized, 0, 1e-12),
    _change("the rows of {} are standardized", "argument", standardized, 1),
    _change("{} is replaced by the mean of each column", "axis", reduced, np.mean, 0),
    _change("{} is replaced by the sum of each column", "axis", reduced, np.sum, 0),
    _change("{} is replaced by the largest entry of each column", "axis", reduced, np.max, 0),
    _change("{} is replaced by the mean of each row", "axis", reduced, np.mean, 1),
    _change("{} is replaced by the sum of each row", "axis", reduced, np.sum, 1),
    _change("{} is replaced by the largest entry of each row", "axis", reduced, np.max, 1),
    _change("{} is replaced by its mean", "axis", reduced, np.mean),
    _change("{} is replaced by its sum", "axis", reduced, np.sum),
    _change("the first entry of {} is used for all entries", "argument", lambda A: constant(A, A.flat[0])),
    _change("the first row of {} is used for all rows", "argument", repeated, 0),
    _change("the last row of {} is used for all rows", "argument", repeated, -1),
    _change("only the first row of {} is used", "axis", only, 0),
    _change("only the last row of {} is used", "axis", only, -1),
    _change("the first row of {} is left out", "axis", without, 0),
    _change("the last row of {} is left out", "axis", without, -1),
    _change("only the first column of {} is used", "axis", only, FIRST_COLUMN),
    _change("only the second column of {} is used", "axis", only, np.s_[:, 1]),
    _change("only the last column of {} is used", "axis", only, LAST_COLUMN),
    _change("the first column of {} is left out", "axis", without, FIRST_COLUMN),
    _change("the last column of {} is left out", "axis", without, LAST_COLUMN),
    _change("every other column of {} is left out", "axis", only, np.s_[:, 1::2]),
    _change("the rows of {} are in reverse order", "order", np.flip, 0),
    _change("the columns of {} are in reverse order", "order", np.flip, 1),
    _change("the rows of {} are shifted by one", "order", np.roll, 1, axis=0),
    _change("the rows of {} are shifted by one", "order", np.roll, -1, axis=0),
    _change("the columns of {} are shifted by one", "order", np.roll, 1, axis=1),
    _change("the columns of {} are shifted by one", "order", np.roll, -1, axis=1),
    _change("the columns of {} are sorted", "order", np.sort, 0),
    _change("the rows of {} are sorted", "order", np.sort, 1),
    _change("the columns of {} are accumulated", "axis", np.cumsum, 0),
    _change("the rows of {} are accumulated", "axis", np.cumsum, 1),
    _change("class indices are used instead of {}", "argument", lambda A: A.argmax(axis=1)[:, None]),
    _change(
        "each row of {} is replaced by a one-hot vector of its largest entry",
        "numbers",
        lambda A: np.eye(A.shape[1])[A.argmax(axis=1)],
    ),
    _change("the entries of {} below the diagonal are left out", "axis", np.triu),
    _change("the entries of {} above the diagonal are left out", "axis", np.tril),
    _change("the pseudoinverse of {} is used instead of the transpose", "shape", lambda A: np.linalg.pinv(A).T),
]
"""Changes of a part of a formula or of the result."""

BASES = [
    _change(f"{base:g} to the power {{}} is used", "function", lambda A, base=base: base**A)
    for base in (2, 2.7, 2.71, 2.718, 2.72, 3, 10)
]
RESULT_NAMES = {
    "{} is doubled": "a factor 2 is too many",
    "{} is halved": "a factor 2 is missing",
    "{} is transposed": "the result is transposed",
}
FUNCTIONS = [change for change in CHANGES if change.look in ("function", "sign", "factors")]
SCALAR_CHANGES = [
    change for change in CHANGES if change.look in ("function", "sign", "numbers") and "column" not in change.words
]


def clipped_to_probabilities(A: Array, c: float) -> Array | None:
    return np.clip(A, c, 1 - c) if c < 0.5 else None


def mixed_with_row_means(A: Array, c: float) -> Array:
    return (1 - c) * A + c * A.mean(axis=1, keepdims=True)


NUMBER_CHANGES = [
    Change("{0} is multiplied by {1:g}", "size", np.multiply),
    Change("{0} is divided by {1:g}", "size", np.divide),
    Change("{0} is always {1:g}", "argument", constant),
    Change("{1:g} is added to {0}", "terms", np.add),
    Change("{1:g} is subtracted from {0}", "terms", np.subtract),
    Change("{0} is at least {1:g}", "function", np.maximum),
    Change("{0} is at most {1:g}", "function", np.minimum),
    Change("{0} is at least -{1:g}", "function", lambda A, c: np.maximum(A, -c)),
    Change("{0} is clipped at -{1:g} and {1:g}", "function", lambda A, c: np.clip(A, -c, c)),
    Change("{0} is clipped at {1:g} and 1 - {1:g}", "function", clipped_to_probabilities),
    Change(
        "numbers in {0} between -{1:g} and {1:g} are set to 0", "function", lambda A, c: np.where(np.abs(A) < c, 0, A)
    ),
    Change("{1:g} times the mean of each row is mixed into {0}", "terms", mixed_with_row_means),
]
"""Changes of an array by a number."""

NUMBERS = (
    *(1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99),
    *(1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 50.0, 100.0),
)


def described(words: str, name: str, *numbers: float) -> str:
    """Describe a change of a named part of a formula, or of its result if the name is empty."""
    if not name:
        words = words.replace(" of {}", "").replace("{0} is used", "the result is used").replace("of {0}", "of it")
    elif words.startswith("1 ") and " " in name:
        name = f"({name})"
    return words.format(name or "it", *numbers)


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


def _expressions(node: Any, parent: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the expressions inside a node, each with its parent."""
    if isinstance(node, ast.BinOp | ast.UnaryOp | ast.Call | ast.Attribute | ast.Constant | ast.Name):
        yield node, parent
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.Call):
        children = node.args
    elif isinstance(node, ast.ListComp):
        children = [node.elt, node.generators[0].iter]
    for child in children:
        yield from _expressions(child, node)


def _parts(task):
    """Return the parts of a formula, shortest first. Repeated parts are also returned one by one."""
    line_starts = list(accumulate(map(len, task.source.splitlines(keepends=True)), initial=0))
    occurrences = {}
    body: Any = ast.parse(task.source).body[0]
    for statement in body.body:
        for node, parent in _expressions(statement.value, statement):
            start = line_starts[node.lineno - 1] + node.col_offset
            end = line_starts[node.end_lineno - 1] + node.end_col_offset
            text = task.source[start:end]
            name = f"{_in_words(text)} in {_in_words(ast.unparse(parent))}"
            if isinstance(parent, ast.Return):
                name = ""
            occurrences.setdefault(text, []).append(FormulaPart(name, text, node, [(start, end)]))
    parts = []
    for text in sorted(occurrences, key=len):
        first, *repetitions = occurrences[text]
        spans = [part.spans[0] for part in occurrences[text]]
        parts.append(first._replace(name=first.name and _in_words(text), spans=spans))
        if repetitions:
            parts.extend(occurrences[text])
    return parts


def _in_words(text):
    return re.sub(r"\bnp\.|, axis=\d, keepdims=True", "", text)


class ChangedFormula:
    """A task's function with one part of its formula replaced; the new code may call `changed`."""

    def __init__(self, task: Task, part: FormulaPart, code: str) -> None:
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
        for words, look, code in _left_out(part):
            yield Mistake(words, look, ChangedFormula(task, part, code).function)
    for part in parts:
        yield from _changed(task, part)
    if task.name != "backprop_gradients":
        for part in parts:
            yield from _other_functions(task, part)
    for part in parts:
        for words, look, code in _replacements(task, part):
            yield Mistake(words, look, ChangedFormula(task, part, code).function)


def _changed(task, part):
    """Yield changes of a part of a formula."""
    if not part.name:
        return
    if task.name == "backprop_gradients" and part.name not in task.arguments:
        return  # other parts belong to the called functions
    changes = CHANGES
    if isinstance(part.node, ast.Constant) or part.name in ("momentum_term", "learning_rate"):
        changes = SCALAR_CHANGES
    formula = ChangedFormula(task, part, f"changed({part.text})")
    for words, look, change in changes:
        yield Mistake(described(words, part.name), look, formula.with_change(change), words)


def _other_functions(task, part):
    """Yield other functions of the argument of a function call."""
    argument = ""
    if not part.name and len(task.arguments) == 1:
        argument = task.arguments[0]
    elif isinstance(part.node, ast.Call):
        argument = part.text.partition("(")[2][:-1]
    if not argument or "," in argument:
        return
    changes = FUNCTIONS
    if part.name.startswith("exp("):
        changes = FUNCTIONS + BASES
    formula = ChangedFormula(task, part, f"changed({argument})")
    for words, look, change in changes:
        name = f"{described(words, _in_words(argument))} instead of {part.name}".removesuffix(" of ")
        yield Mistake(name, look, formula.with_change(change))


def with_numbers(task: Task) -> Iterator[Mistake]:
    """Yield changes of a formula by a number or by an additional argument."""
    if len(task.calls) > 1:
        return
    parts = _parts(task)
    for part in parts:
        if part.name:
            yield from _changed_by_numbers(task, part)
    if "backprop_gradients" in task.calls:
        return
    parts.sort(key=lambda part: bool(part.name))  # the whole formula first
    for part, argument in product(parts, task.arguments):
        name = part.name or "it"
        if argument in name.split():
            continue
        for words, look, symbol in _WITH_ARGUMENT:
            formula = ChangedFormula(task, part, f"({part.text}) {symbol} {argument}")
            yield Mistake(words.format(name, argument), look, formula.function)


def _changed_by_numbers(task, part):
    formula = ChangedFormula(task, part, f"changed({part.text})")
    for (words, look, change), number in product(NUMBER_CHANGES, NUMBERS):
        yield Mistake(
            described(words, part.name, number),
            look,
            formula.with_change(by_number(change, number)),
            family=described(words.replace("{1:g}", "some number"), part.name),
        )


def by_number(change: Function, number: float) -> ChangeFunction:
    return lambda A, N: change(A, number)


_WITH_ARGUMENT = (
    ("{} is multiplied by {}", "factors", "*"),
    ("{} is divided by {}", "factors", "/"),
    ("{1} is added to {0}", "terms", "+"),
    ("{1} is subtracted from {0}", "terms", "-"),
)
OPERATORS = {"+": "added", "-": "subtracted", "*": "multiplied", "/": "divided", "@": "multiplied as matrices"}
SYMBOLS: dict[Any, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@"}


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
        for name in dict.fromkeys(re.findall(r"\b[A-Z]\w*|\bls_\w+|\bb[ho]\b", task.source)):
            if name != node.id:
                yield f"{name} is used instead of {part.name}", "argument", name


def _other_operators(node):
    left = ast.unparse(node.left)
    right = ast.unparse(node.right)
    symbol = SYMBOLS[type(node.op)]
    yield f"{_in_words(left)} and {_in_words(right)} are swapped", "order", f"({right}) {symbol} ({left})"
    for other_symbol, operation in OPERATORS.items():
        if other_symbol == symbol:
            continue
        for first, second in ((left, right), (right, left)):
            words = f"{_in_words(first)} and {_in_words(second)} are {operation}, not {OPERATORS[symbol]}"
            yield words, "order", f"({first}) {other_symbol} ({second})"


def _other_reductions(part):
    argument = ast.unparse(part.node.args[0])
    for function in ("max", "min", "prod", "mean", "median", "std", "var", "argmax", "linalg.norm"):
        for axis in ("0", "1", ""):
            option = f", axis={axis}, keepdims=True" if axis else ""
            words = function.removeprefix("linalg.")
            if not axis:
                words += " of all entries"
            elif option not in part.text:
                words += f" along axis {axis}"
            yield f"{words} is used instead of the sum", "function", f"np.{function}({argument}{option})"


def changed_result(task: Task, parts: int, wrong_parts: Sequence[int]) -> Iterator[Mistake]:
    """Yield mistakes that change the correct result, or elements of a list."""
    exact = functions()[task.name]
    if not parts:
        for words, look, change in CHANGES:
            yield Mistake(_result_name(words), look, _with_changed_result(exact, change))
        return
    all_parts = tuple(range(parts))
    for words, look, change in CHANGES:
        yield Mistake(_result_name(words), look, _with_changed_parts(exact, change, all_parts))
        if 0 < len(wrong_parts) < parts:
            function = _with_changed_parts(exact, change, wrong_parts)
            yield Mistake(in_parts(wrong_parts) + _result_name(words), look, function)


def _result_name(words):
    return RESULT_NAMES.get(words) or described(words, "")


def _with_changed_result(exact, change):
    return lambda *arguments: change(np.asarray(exact(*arguments)), row_count(arguments))


def _with_changed_parts(exact, change, parts):
    def function(*arguments):
        result = list(exact(*arguments))
        for k in parts:
            result[k] = change(result[k], row_count(arguments))
        return result

    return function


def in_parts(indices: Sequence[int]) -> str:
    """Describe the indices of list elements."""
    noun = "part" if len(indices) == 1 else "parts"
    return f"in {noun} {' and '.join(map(str, indices))} of the list "


AFFECTED = {
    "error_hidden": {0, 1},
    "gradient_weight_hidden": {0},
    "gradient_bias_hidden": {1},
    "gradient_weight_out": {2},
    "gradient_bias_out": {3},
}
"""The indices of gradients affected by a function; other functions affect all."""


def inherited(
    task: Task, mistakes_of: Callable[[Task], Iterable[Mistake]], wrong_parts: Sequence[int] = ()
) -> Iterator[Mistake]:
    """Yield mistakes of called functions that affect the wrong parts of a list."""
    for name in task.calls:
        called = TASKS[name]
        if not AFFECTED.get(name, set(wrong_parts)).issuperset(wrong_parts):
            continue
        for mistake in chain(mistakes_of(called), inherited(called, mistakes_of, wrong_parts)):
            wrong_functions = functions({name: mistake.function})
            yield Mistake(f"{name}: {mistake.name}", mistake.look, wrong_functions[task.name])


def any_of(task: Task) -> Iterator[Mistake]:
    """Yield the general mistakes of a function."""
    yield from changed_result(task, 0, ())
    yield from mutated(task)
    if task.name in ("logistic", "softmax"):
        yield from with_numbers(task)

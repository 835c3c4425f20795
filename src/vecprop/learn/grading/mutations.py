"""General mistakes: a part of a formula is changed, left out or replaced."""

import ast
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, product
from typing import Any, NamedTuple

import numpy as np

from .mistakes import Mistake, table
from .tasks import TASKS, Task, functions

Change = Callable[[Any, int], Any]
"""A function that changes an array, given the number of data rows."""


def only(A: Any, place: Any) -> Any:
    """Set all entries of an array to 0 except one."""
    changed = np.zeros_like(A)
    changed[place] = A[place]
    return changed


CHANGES = table(
    "A, N",
    """
factors | {} is [0|1] everywhere | 0 * A + [0|1]
sign | the sign of {} is wrong | -A
size | {} is [doubled|halved] | [2|0.5] * A
size | {} is [divided|multiplied] by N, the number of rows | A [/|*] N
size | {} is divided by the square root of N, the number of rows | A / np.sqrt(N)
size | {} is divided by N - 1, with N the number of rows | A / max(N - 1, 1)
size | {} is divided by its number of [rows|columns|entries] | A / [len(A)|len(A.T)|A.size]
size | {} is divided by the square root of its number of columns | A / np.sqrt(A.shape[1])
shape | {} is transposed | A.T
shape | the transpose of {} is reshaped | A.T.reshape(A.shape)
shape | {} is reshaped where it should be transposed | A.reshape(A.shape[::-1]).T
function | {} is squared | A**2
function | the square root of {} is taken | np.sqrt(A)
sign | the absolute value of {} is taken | np.abs(A)
function | {} is multiplied by its absolute value | A * np.abs(A)
sign | only the sign of {} is kept | np.sign(A)
sign | 1 - {0} is used instead of {0} | 1 - A
function | 1 / {0} is used instead of {0} | 1 / A
function | [negative|positive] numbers in {} are set to 0 | np.[maximum|minimum](A, 0)
function | the [logistic function|softmax|hyperbolic tangent] is applied to {} | [logistic|softmax|np.tanh](A)
function | log(1 + exp(z)) is applied to {} | np.log1p(np.exp(A))
function | the normal distribution function is applied to {} | (1 + erf(A / 2**0.5)) / 2
function | {} is multiplied by e | np.e * A
function | the [exponential|logarithm] of {} is taken | np.[exp|log](A)
factors | the derivative [y (1 - y)|1 - y²] is evaluated at {} | [slope(A)|1 - A**2]
numbers | {} is [rounded|truncated|rounded down|rounded up] to integers | np.[round|trunc|floor|ceil](A)
numbers | {} is rounded to 1 decimal | np.round(A, 1)
numbers | {} is rounded to [2|3|4|5|6] decimals | np.round(A, [2|3|4|5|6])
numbers | {} is rounded to float16 | np.float64(np.float16(A))
size | {} is divided by its largest absolute value | A / np.abs(A).max()
size | {} is divided by its Euclidean norm[| if that is above 1] | A / max([0|1], np.linalg.norm(A))
size | the [columns|rows] of {} are divided by their norms | A / np.linalg.norm(A, axis=[0|1], keepdims=True)
size | {} is divided by the sums of its [rows|columns] | A / A.sum(axis=[1|0], keepdims=True)
argument | the mean of all entries is subtracted from {} | A - A.mean()
argument | the means of its [columns|rows] are subtracted from {} | A - A.mean(axis=[0|1], keepdims=True)
argument | the columns of {} are standardized | (A - A.mean(axis=0)) / (A.std(axis=0) + 1e-12)
argument | the rows of {} are standardized | ((A.T - A.mean(1)) / A.std(1)).T
axis | {} is replaced by the [mean|sum|largest entry] of each column | 0 * A + A.[mean|sum|max](0, keepdims=True)
axis | {} is replaced by the [mean|sum|largest entry] of each row | 0 * A + A.[mean|sum|max](1, keepdims=True)
axis | {} is replaced by its [mean|sum] | 0 * A + A.[mean|sum]()
argument | the first entry of {} is used for all entries | 0 * A + A.flat[0]
argument | the [first|last] row of {} is used for all rows | 0 * A + A[[0|-1]]
axis | only the [first|last] row of {} is used | only(A, [0|-1])
axis | the [first|last] row of {} is left out | A - only(A, [0|-1])
axis | only the [first|second|last] column of {} is used | only(A, np.s_[:, [0|1|-1]])
axis | the [first|last] column of {} is left out | A - only(A, np.s_[:, [0|-1]])
axis | every other column of {} is left out | only(A, np.s_[:, 1::2])
order | the [rows|columns] of {} are in reverse order | np.flip(A, [0|1])
order | the rows of {} are shifted by one | np.roll(A, [1|-1], axis=0)
order | the columns of {} are shifted by one | np.roll(A, [1|-1], axis=1)
order | the [columns|rows] of {} are sorted | np.sort(A, axis=[0|1])
axis | the [columns|rows] of {} are accumulated | np.cumsum(A, axis=[0|1])
argument | class indices are used instead of {} | A.argmax(axis=1)[:, None]
numbers | each row of {} is replaced by a one-hot vector of its largest entry | np.eye(A.shape[1])[A.argmax(axis=1)]
axis | the entries of {} [below|above] the diagonal are left out | np.[triu|tril](A)
shape | the pseudoinverse of {} is used instead of the transpose | np.linalg.pinv(A).T
""",
    only=only,
    erf=np.vectorize(math.erf),
)
"""Changes of a part of a formula or of the result."""

_NUMBERS = "[2|2.7|2.71|2.718|2.72|3|10]"
BASES = table("A, N", f"function | {_NUMBERS} to the power {{}} is used | {_NUMBERS}**A")
OF_RESULTS = {"{} is doubled": "a factor 2 is too many", "{} is halved": "a factor 2 is missing"}
OF_RESULTS |= {"{} is transposed": "the result is transposed"}
FUNCTIONS = [one for one in CHANGES if one[1] in ("function", "sign", "factors")]
OF_ONE_NUMBER = [one for one in CHANGES if "column" not in one[0] and one[1] in ("function", "sign", "numbers")]
NUMBERS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
NUMBERS = (*NUMBERS, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 50.0, 100.0)
OF_NUMBERS = table(
    "A, c",
    """
size | {0} is [multiplied|divided] by {1:g} | A [*|/] c
argument | {0} is always {1:g} | 0 * A + c
terms | {1:g} is [added to|subtracted from] {0} | A [+|-] c
function | {0} is at [least|most] {1:g} | np.[maximum|minimum](A, c)
function | {0} is at least -{1:g} | np.maximum(A, -c)
function | {0} is clipped at -{1:g} and {1:g} | np.clip(A, -c, c)
function | {0} is clipped at {1:g} and 1 - {1:g} | np.clip(A, c, 1 - c) if c < 0.5 else None
function | numbers in {0} between -{1:g} and {1:g} are set to 0 | np.where(np.abs(A) < c, 0, A)
terms | {1:g} times the mean of each row is mixed into {0} | (1 - c) * A + c * A.mean(1)[:, None]
""",
)


def said(words: str, name: str, *numbers: float) -> str:
    """Describe a change of a named part of a formula, or of its result if the name is empty."""
    if not name:
        words = words.replace(" of {}", "").replace("{0} is used", "the result is used").replace("of {0}", "of it")
    name = f"({name})" if words.startswith("1 ") and " " in name else name
    return words.format(name or "it", *numbers)


def rows_of(arguments: Any) -> int:
    """Return the number of data rows of the arguments."""
    return next((len(argument) for argument in arguments if getattr(argument, "ndim", 0) == 2), 1)


class Part(NamedTuple):
    """A part of a formula; the name of the whole formula is empty."""

    name: str
    text: str
    node: Any
    places: list[tuple[int, int]]


def _parts(task: Task) -> list[Part]:
    """Return the parts of a formula, shortest first. Repeated parts are also returned one by one."""
    source = task.source
    starts = [0, *(found.end() for found in re.finditer("\n", source))]
    groups: dict[str, list[tuple[Any, Any]]] = {}

    def visit(node: Any, parent: Any) -> None:
        if isinstance(node, ast.BinOp | ast.UnaryOp | ast.Call | ast.Attribute | ast.Constant | ast.Name):
            groups.setdefault(ast.get_source_segment(source, node) or "", []).append((node, parent))
        children = node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
        for child in [node.elt, node.generators[0].iter] if isinstance(node, ast.ListComp) else children:
            visit(child, node)

    body: Any = ast.parse(source).body[0]
    for statement in body.body:
        visit(statement.value, statement)
    found = []
    for text, nodes in sorted(groups.items(), key=lambda one: len(one[0])):
        places, alone = [], []
        for node, parent in nodes:
            start, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
            places.append((start, end))
            alone.append(Part(f"{_said(text)} in {_said(ast.unparse(parent))}", text, node, [(start, end)]))
        is_whole = isinstance(nodes[0][1], ast.Return)
        found.append(Part("" if is_whole else _said(text), text, nodes[0][0], places))
        found += alone if len(alone) > 1 else []
    return found


def _said(text: str) -> str:
    return re.sub(r"\bnp\.|, axis=\d, keepdims=True", "", text)


def _with(task: Task, part: Part, new: str) -> Callable[..., Callable[..., Any]]:
    """Return a function that builds the task's function with a part replaced by `new`."""
    source, names = task.source, functions()
    for start, end in reversed(part.places):
        source = f"{source[:start]}({new}){source[end:]}"
    exec(source, names)
    function = names[task.name]

    def made(change: Change | None = None) -> Callable[..., Any]:
        def called(*args: Any) -> Any:
            N = rows_of(args)
            names["changed"] = lambda A: change(A, N)  # pyright: ignore[reportOptionalCall]
            return function(*args)

        return called

    return made


def mutated(task: Task) -> Iterator[Mistake]:
    """Yield mistakes in a formula: parts that are left out, changed or replaced."""
    parts, is_list = _parts(task), task.name == "backprop_gradients"  # other parts belong to the called functions
    for part in parts:
        for words, look, new in _left_out(part):
            yield Mistake(words, look, _with(task, part, new)())
    for part in parts:
        if part.name in task.arguments if is_list else part.name:
            made = _with(task, part, f"changed({part.text})")
            is_number = isinstance(part.node, ast.Constant) or part.name in ("momentum_term", "learning_rate")
            for words, look, change in OF_ONE_NUMBER if is_number else CHANGES:
                yield Mistake(said(words, part.name), look, made(change), words)
    for part in parts if not is_list else ():
        inside = part.text[part.text.index("(") + 1 : -1] if isinstance(part.node, ast.Call) else ""
        if not part.name and len(task.arguments) == 1:
            inside = task.arguments[0]
        if inside and "," not in inside:
            made = _with(task, part, f"changed({inside})")
            for words, look, change in [*FUNCTIONS, *(BASES if part.name.startswith("exp(") else ())]:
                instead = f" instead of {part.name}" if part.name else " instead"
                yield Mistake(said(words, _said(inside)) + instead, look, made(change))
    for part in parts:
        for words, look, new in _replacements(task, part):
            yield Mistake(words, look, _with(task, part, new)())


def with_numbers(task: Task) -> Iterator[Mistake]:
    """Yield changes of a formula by a number or by an additional argument."""
    if len(task.calls) > 1:
        return
    for part in _parts(task):
        made = _with(task, part, f"changed({part.text})")
        for (words, look, change), c in product(OF_NUMBERS, NUMBERS) if part.name else ():
            name, family = said(words, part.name, c), said(words.replace("{1:g}", "some number"), part.name)
            yield Mistake(name, look, made(lambda A, N, change=change, c=c: change(A, c)), family)
    parts = sorted(_parts(task), key=lambda part: bool(part.name))  # the whole formula first
    for part, name in product(parts if "backprop_gradients" not in task.calls else (), task.arguments):
        whole = part.name or "it"
        for words, look, symbol in _WITH_ARGUMENT if name not in whole.split() else ():
            made = _with(task, part, f"({part.text}) {symbol} {name}")()
            yield Mistake(words.format(whole, name), look, made)


_WITH_ARGUMENT = (
    ("{} is multiplied by {}", "factors", "*"),
    ("{} is divided by {}", "factors", "/"),
    ("{1} is added to {0}", "terms", "+"),
    ("{1} is subtracted from {0}", "terms", "-"),
)
OPERATORS = {"+": "added", "-": "subtracted", "*": "multiplied", "/": "divided", "@": "multiplied as matrices"}
SYMBOLS: dict[Any, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@"}


def _left_out(part: Part) -> Iterator[tuple[str, str, str]]:
    """Yield a part without one operand: the words, where to look, and the new text."""
    node = part.node
    if isinstance(node, ast.BinOp):
        left, right = ast.unparse(node.left), ast.unparse(node.right)
        of = "" if isinstance(node.left, ast.Name) and isinstance(node.right, ast.Name) else f" of {_said(part.text)}"
        yield f"{_said(right)} is left out{of}", "terms", left
        yield f"{_said(left)} is left out{of}", "terms", right
        if isinstance(node.op, ast.Sub):
            yield f"{_said(left)} is left out{of}", "terms", f"-({right})"
    if isinstance(node, ast.Attribute):
        yield f"{ast.unparse(node.value)} is not transposed", "shape", ast.unparse(node.value)


def _replacements(task: Task, part: Part) -> Iterator[tuple[str, str, str]]:
    """Yield replacements of a part: the words, where to look, and the new text."""
    node: Any = part.node
    if isinstance(node, ast.BinOp):
        left, right, symbol = ast.unparse(node.left), ast.unparse(node.right), SYMBOLS[type(node.op)]
        yield f"{_said(left)} and {_said(right)} are swapped", "order", f"({right}) {symbol} ({left})"
        others = [other for other in OPERATORS if other != symbol]
        for other, (one, two) in product(others, ((left, right), (right, left))):
            words = f"{_said(one)} and {_said(two)} are {OPERATORS[other]}, not {OPERATORS[symbol]}"
            yield words, "order", f"({one}) {other} ({two})"
    if part.text.startswith("np.sum("):
        axis, inside = re.search(r"axis=\d", part.text), ast.unparse(part.node.args[0])
        for name in ("max", "min", "prod", "mean", "median", "std", "var", "argmax", "linalg.norm"):
            for other, over in (("axis=0", " along axis 0"), ("axis=1", " along axis 1"), ("", " of all entries")):
                words = f"{name.removeprefix('linalg.')}{'' if axis and axis[0] == other else over}"
                keep = f", {other}, keepdims=True" if other else ""
                yield f"{words} is used instead of the sum", "function", f"np.{name}({inside}{keep})"
    if isinstance(node, ast.Name):
        for other in dict.fromkeys(re.findall(r"\b[A-Z]\w*|\bls_\w+|\bb[ho]\b", task.source)):
            if other != node.id:
                yield f"{other} is used instead of {part.name}", "argument", other


def changed_result(task: Task, parts: int, wrong: Sequence[int]) -> Iterator[Mistake]:
    """Yield mistakes that change the correct result, or elements of a list."""
    exact = functions()[task.name]
    for words, look, change in CHANGES:
        name = OF_RESULTS.get(words) or said(words, "")
        for some in dict.fromkeys([tuple(range(parts)), tuple(wrong)]) if parts else ((),):

            def made(*args: Any, change: Change = change, some: Sequence[int] = some) -> Any:
                right, N = exact(*args), rows_of(args)
                if not parts:
                    return change(np.asarray(right), N)
                return [change(part, N) if k in some else part for k, part in enumerate(right)]

            yield Mistake((in_parts(some) if 0 < len(some) < parts else "") + name, look, made)


def in_parts(numbers: Sequence[int]) -> str:
    """Describe the indices of list elements."""
    return f"in part{'s' * (len(numbers) > 1)} {' and '.join(map(str, numbers))} of the list "


AFFECTED = {"error_hidden": (0, 1), "gradient_weight_hidden": (0,), "gradient_bias_hidden": (1,)}
AFFECTED |= {"gradient_weight_out": (2,), "gradient_bias_out": (3,)}
"""The indices of gradients affected by a function; other functions affect all."""


def inherited(task: Task, of: Callable[[Task], Iterable[Mistake]], wrong: Sequence[int] = ()) -> Iterator[Mistake]:
    """Yield mistakes of called functions that affect the wrong parts of a list."""
    for called in map(TASKS.__getitem__, task.calls):
        if set(wrong) <= set(AFFECTED.get(called.name, wrong)):
            for mistake in chain(of(called), inherited(called, of, wrong)):
                faulty = functions({called.name: mistake.made})
                yield Mistake(f"{called.name}: {mistake.name}", mistake.look, faulty[task.name])


def any_of(task: Task) -> Iterator[Mistake]:
    """Yield the general mistakes of a function."""
    yield from chain(changed_result(task, 0, ()), mutated(task))
    if task.name in ("logistic", "softmax"):
        yield from with_numbers(task)

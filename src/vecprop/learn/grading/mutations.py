"""Mistakes that any formula can have: a part of it is changed, left out, or taken the place of by another."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from itertools import chain, product
from typing import Any

import numpy as np

from .mistakes import Mistake, logistic, slope, softmax
from .tasks import TASKS, Task, defined, functions

Change = Callable[[Any, int], Any]
"""A changed array, of the array and of the number of rows of data."""


def _unit(A: Any, axis: int | None = None) -> Any:
    return A / np.linalg.norm(A, axis=axis, keepdims=True)


def _only(A: Any, *place: Any) -> Any:
    """Return an array with 0 everywhere but in a place."""
    changed = np.zeros_like(A)
    changed[place] = A[place]
    return changed


COLUMN = slice(None)
CHANGES: list[tuple[str, str, Change]] = [
    ("{} is 0 everywhere", "factors", lambda A, N: 0 * A),
    ("{} is 1 everywhere", "factors", lambda A, N: 0 * A + 1),
    ("the sign of {} is wrong", "sign", lambda A, N: -A),
    ("{} is doubled", "size", lambda A, N: 2 * A),
    ("{} is halved", "size", lambda A, N: A / 2),
    ("{} is divided by N, the number of rows", "size", lambda A, N: A / N),
    ("{} is multiplied by N, the number of rows", "size", lambda A, N: A * N),
    ("{} is divided by the square root of N, the number of rows", "size", lambda A, N: A / np.sqrt(N)),
    ("{} is divided by N - 1, with N the number of rows", "size", lambda A, N: A / max(N - 1, 1)),
    ("{} is divided by its number of rows", "size", lambda A, N: A / len(A)),
    ("{} is divided by its number of columns", "size", lambda A, N: A / A.shape[1]),
    ("{} is divided by its number of entries", "size", lambda A, N: A / A.size),
    ("{} is divided by the square root of its number of columns", "size", lambda A, N: A / np.sqrt(A.shape[1])),
    ("{} is transposed", "shape", lambda A, N: A.T),
    ("the transpose of {} is reshaped", "shape", lambda A, N: A.T.reshape(A.shape)),
    ("{} is reshaped where it should be transposed", "shape", lambda A, N: A.reshape(A.shape[::-1]).T),
    ("{} is squared", "function", lambda A, N: A**2),
    ("the square root of {} is taken", "function", lambda A, N: np.sqrt(A)),
    ("the absolute value of {} is taken", "sign", lambda A, N: np.abs(A)),
    ("{} is multiplied by its absolute value", "function", lambda A, N: A * np.abs(A)),
    ("only the sign of {} is kept", "sign", lambda A, N: np.sign(A)),
    ("1 - {0} is taken instead of {0}", "sign", lambda A, N: 1 - A),
    ("1 / {0} is taken instead of {0}", "function", lambda A, N: 1 / A),
    ("negative numbers in {} are set to 0", "function", lambda A, N: np.maximum(A, 0)),
    ("positive numbers in {} are set to 0", "function", lambda A, N: np.minimum(A, 0)),
    ("{} goes through the logistic function", "function", lambda A, N: logistic(A)),
    ("{} goes through the softmax", "function", lambda A, N: softmax(A)),
    ("{} goes through the hyperbolic tangent", "function", lambda A, N: np.tanh(A)),
    ("{} goes through log(1 + exp(z))", "function", lambda A, N: np.log1p(np.exp(A))),
    ("{} goes through the normal distribution function", "function", lambda A, N: _normal(A)),
    ("{} is multiplied by e", "function", lambda A, N: np.e * A),
    ("the exponential of {} is taken", "function", lambda A, N: np.exp(A)),
    ("the logarithm of {} is taken", "function", lambda A, N: np.log(A)),
    ("the slope y (1 - y) is taken at {}", "factors", lambda A, N: slope(A)),
    ("the slope 1 - y² is taken at {}", "factors", lambda A, N: 1 - A**2),
    ("{} is rounded to whole numbers", "numbers", lambda A, N: np.round(A)),
    ("{} is cut to whole numbers", "numbers", lambda A, N: np.trunc(A)),
    ("{} is rounded down to whole numbers", "numbers", lambda A, N: np.floor(A)),
    ("{} is rounded up to whole numbers", "numbers", lambda A, N: np.ceil(A)),
    *(
        (f"{{}} is rounded to {k} decimal{'s' * (k > 1)}", "numbers", lambda A, N, k=k: np.round(A, k))
        for k in range(1, 7)
    ),
    ("{} has only three digits, as float16 has", "numbers", lambda A, N: np.float64(np.float16(A))),
    ("{} is divided by its largest absolute value", "size", lambda A, N: A / np.abs(A).max()),
    ("{} is divided by its Euclidean norm", "size", lambda A, N: _unit(A)),
    ("{} is divided by its Euclidean norm if that is above 1", "size", lambda A, N: A / max(1, np.linalg.norm(A))),
    ("the columns of {} are divided by their norms", "size", lambda A, N: _unit(A, 0)),
    ("the rows of {} are divided by their norms", "size", lambda A, N: _unit(A, 1)),
    ("{} is divided by the sums of its rows", "size", lambda A, N: A / A.sum(axis=1, keepdims=True)),
    ("{} is divided by the sums of its columns", "size", lambda A, N: A / A.sum(axis=0)),
    ("the mean of all entries is subtracted from {}", "argument", lambda A, N: A - A.mean()),
    ("the means of its columns are subtracted from {}", "argument", lambda A, N: A - A.mean(axis=0)),
    ("the means of its rows are subtracted from {}", "argument", lambda A, N: A - A.mean(axis=1, keepdims=True)),
    ("the columns of {} are standardized", "argument", lambda A, N: (A - A.mean(axis=0)) / (A.std(axis=0) + 1e-12)),
    ("the rows of {} are standardized", "argument", lambda A, N: ((A.T - A.mean(1)) / A.std(1)).T),
    *(
        (
            f"{{}} is replaced by the {words} of each {line}",
            "axis",
            lambda A, N, f=f, k=k: 0 * A + f(A, axis=k, keepdims=True),
        )
        for k, line in enumerate(("column", "row"))
        for words, f in (("mean", np.mean), ("sum", np.sum), ("largest entry", np.max))
    ),
    ("{} is replaced by its mean", "axis", lambda A, N: 0 * A + A.mean()),
    ("{} is replaced by its sum", "axis", lambda A, N: 0 * A + A.sum()),
    ("the first entry of {} stands for all", "argument", lambda A, N: 0 * A + A.flat[0]),
    ("the first row of {} stands for all", "argument", lambda A, N: 0 * A + A[0]),
    ("the last row of {} stands for all", "argument", lambda A, N: 0 * A + A[-1]),
    ("only the first row of {} is used", "axis", lambda A, N: _only(A, 0)),
    ("only the last row of {} is used", "axis", lambda A, N: _only(A, -1)),
    ("the first row of {} is left out", "axis", lambda A, N: A - _only(A, 0)),
    ("the last row of {} is left out", "axis", lambda A, N: A - _only(A, -1)),
    ("only the first column of {} is used", "axis", lambda A, N: _only(A, COLUMN, 0)),
    ("only the second column of {} is used", "axis", lambda A, N: _only(A, COLUMN, 1)),
    ("only the last column of {} is used", "axis", lambda A, N: _only(A, COLUMN, -1)),
    ("the first column of {} is left out", "axis", lambda A, N: A - _only(A, COLUMN, 0)),
    ("the last column of {} is left out", "axis", lambda A, N: A - _only(A, COLUMN, -1)),
    ("every other column of {} is left out", "axis", lambda A, N: _only(A, COLUMN, slice(1, None, 2))),
    ("the rows of {} are in reverse order", "order", lambda A, N: A[::-1]),
    ("the columns of {} are in reverse order", "order", lambda A, N: A[:, ::-1]),
    ("the rows of {} are moved by one", "order", lambda A, N: np.roll(A, 1, axis=0)),
    ("the rows of {} are moved by one", "order", lambda A, N: np.roll(A, -1, axis=0)),
    ("the columns of {} are moved by one", "order", lambda A, N: np.roll(A, 1, axis=1)),
    ("the columns of {} are moved by one", "order", lambda A, N: np.roll(A, -1, axis=1)),
    ("the columns of {} are sorted", "order", lambda A, N: np.sort(A, axis=0)),
    ("the rows of {} are sorted", "order", lambda A, N: np.sort(A, axis=1)),
    ("the columns of {} are added up step by step", "axis", lambda A, N: np.cumsum(A, axis=0)),
    ("the rows of {} are added up step by step", "axis", lambda A, N: np.cumsum(A, axis=1)),
    ("the numbers of the classes are taken instead of {}", "argument", lambda A, N: A.argmax(axis=1)[:, None]),
    (
        "only the largest entry of each row of {} counts, as 1",
        "numbers",
        lambda A, N: np.eye(A.shape[1])[A.argmax(axis=1)],
    ),
    ("the entries of {} below the diagonal are left out", "axis", lambda A, N: np.triu(A)),
    ("the entries of {} above the diagonal are left out", "axis", lambda A, N: np.tril(A)),
    ("the pseudoinverse of {} is taken instead of the transpose", "shape", lambda A, N: np.linalg.pinv(A).T),
]
"""Changes of a part of a formula, or of the result."""

BASES: list[tuple[str, str, Change]] = [
    (f"the power of {c:g} by {{}} is taken", "function", lambda A, N, c=c: c**A)
    for c in (2, 2.7, 2.71, 2.718, 2.72, 3, 10)
]
OF_RESULTS = {
    "{} is doubled": "a factor 2 is too many",
    "{} is halved": "a factor 2 is missing",
    "{} is transposed": "the result is transposed",
}
FUNCTIONS = [one for one in CHANGES if one[1] in ("function", "sign", "factors")]
OF_ONE_NUMBER = [one for one in CHANGES if "column" not in one[0] and one[1] in ("function", "sign", "numbers")]
NUMBERS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
NUMBERS = (*NUMBERS, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 50.0, 100.0)
OF_NUMBERS: list[tuple[str, str, Callable[[Any, float], Any]]] = [
    ("{0} is multiplied by {1:g}", "size", lambda A, c: A * c),
    ("{0} is divided by {1:g}", "size", lambda A, c: A / c),
    ("{0} is always {1:g}", "argument", lambda A, c: 0 * A + c),
    ("{1:g} is added to {0}", "terms", lambda A, c: A + c),
    ("{1:g} is subtracted from {0}", "terms", lambda A, c: A - c),
    ("{0} is at least {1:g}", "function", lambda A, c: np.maximum(A, c)),
    ("{0} is at most {1:g}", "function", lambda A, c: np.minimum(A, c)),
    ("{0} is at least -{1:g}", "function", lambda A, c: np.maximum(A, -c)),
    ("{0} is cut off at -{1:g} and {1:g}", "function", lambda A, c: np.clip(A, -c, c)),
    ("{0} is cut off at {1:g} and 1 - {1:g}", "function", lambda A, c: np.clip(A, c, 1 - c) if c < 0.5 else None),
    ("numbers in {0} between -{1:g} and {1:g} are set to 0", "function", lambda A, c: np.where(np.abs(A) < c, 0, A)),
    ("{1:g} times the mean of each row is mixed into {0}", "terms", lambda A, c: (1 - c) * A + c * A.mean(1)[:, None]),
]
ENTERS: dict[Any, str] = {
    ast.Mult: "{0} is multiplied by {1}",
    ast.Div: "{0} is divided by {1}",
    ast.Add: "{1} is added to {0}",
    ast.Sub: "{1} is subtracted from {0}",
}


def _normal(A: Any) -> Any:
    from scipy.special import ndtr

    return ndtr(A)


def said(words: str, name: str, *numbers: float) -> str:
    """Return the words of a change, for a part of a formula or for the result, which is without a name.

    Examples
    --------
    >>> said("the sign of {} is wrong", "Eo"), said("the sign of {} is wrong", "")
    ('the sign of Eo is wrong', 'the sign is wrong')
    """
    if not name:
        words = words.replace(" of {}", "").replace("{0} is taken", "the result is taken").replace("of {0}", "of it")
    name = f"({name})" if words.startswith("1 ") and " " in name else name
    return words.format(name or "it", *numbers)


def rows_of(arguments: Any) -> int:
    """Return the number of rows of data among arguments."""
    return next((len(argument) for argument in arguments if getattr(argument, "ndim", 0) == 2), 1)


def mutated(task: Task) -> Iterator[Mistake]:
    """Yield the mistakes in a function's own formula: parts that are left out, changed, or replaced.

    Examples
    --------
    >>> next(mutated(TASKS["error_output"])).name
    'T is left out'
    """
    tree = defined(task)
    parts = _parts(tree)
    for nodes, _ in parts:
        for words, look, new in _left_out(nodes[0]):
            yield Mistake(words, look, _with_changes(task, _put(tree, nodes, new))())
    for name, is_number, made in _changeable(task):
        for words, look, change in OF_ONE_NUMBER if is_number else CHANGES:
            yield Mistake(said(words, name), look, made(change), words)
    for nodes, name in parts if task.name != "backprop_gradients" else ():
        whole = isinstance(nodes[0], ast.Call) and len(nodes[0].args) == 1 and nodes[0].args[0]
        inside = whole or (name == "" and len(task.arguments) == 1 and ast.Name(task.arguments[0], ast.Load()))
        if inside:
            made = _with_changes(task, _put(tree, nodes, lambda node, inside=inside: _call("changed", inside)))
            for words, look, change in [*FUNCTIONS, *(BASES if name.startswith("exp(") else ())]:
                instead = f"{said(words, _text(inside))} instead" + (f" of {name}" if name else "")
                yield Mistake(instead, look, made(change))
    for nodes, name in parts:
        for words, look, new in _replacements(tree, nodes[0], name):
            yield Mistake(words, look, _with_changes(task, _put(tree, nodes, new))())


def with_numbers(task: Task) -> Iterator[Mistake]:
    """Yield the mistakes in which a number enters a function's formula, or an argument once more."""
    if "backprop_gradients" in (task.name, *task.calls[1:]):
        return
    for name, _, made in _changeable(task):
        for (words, look, change), c in product(OF_NUMBERS, NUMBERS):
            with_number = made(lambda A, N, change=change, c=c: change(A, c))
            yield Mistake(said(words, name, c), look, with_number, said(words.replace("{1:g}", "some number"), name))
    tree = defined(task)
    for nodes, name in _parts(tree) if "backprop_gradients" not in task.calls else ():
        for other, (symbol, words) in product(task.arguments, ENTERS.items()):
            if other not in name.split():
                enters = lambda node, other=other, symbol=symbol: (  # noqa: E731
                    ast.BinOp(node, symbol(), ast.Name(other, ast.Load()))
                )
                yield Mistake(
                    words.format(name or "it", other), "terms", _with_changes(task, _put(tree, nodes, enters))()
                )


def _changeable(task: Task) -> Iterator[tuple[str, bool, Callable[..., Any]]]:
    """Yield the parts of a formula: the name, whether it is one number, and the function with a change of it."""
    tree = defined(task)
    for nodes, name in _parts(tree):
        if name and (task.name != "backprop_gradients" or name in task.arguments):
            is_number = isinstance(nodes[0], ast.Constant) or name in ("momentum_term", "learning_rate")
            made = _with_changes(task, _put(tree, nodes, lambda node: _call("changed", node)))
            yield name, is_number, made


def changed_result(task: Task, parts: int, wrong: Sequence[int]) -> Iterator[Mistake]:
    """Yield the mistakes that change the right result, or all or the wrong parts of a list."""
    exact = functions()[task.name]
    for words, look, change in CHANGES:
        name = OF_RESULTS.get(words) or said(words, "")
        for some in {tuple(range(parts)), tuple(wrong)} if parts else ((),):

            def made(*args: Any, change: Change = change, some: Sequence[int] = some) -> Any:
                right, N = exact(*args), rows_of(args)
                if not parts:
                    return change(np.asarray(right), N)
                return [change(part, N) if k in some else part for k, part in enumerate(right)]

            where = f"in part{'s' * (len(some) > 1)} {' and '.join(map(str, some))} of the list "
            yield Mistake((where if 0 < len(some) < parts else "") + name, look, made)


AFFECTED = {"error_hidden": (0, 1), "gradient_weight_hidden": (0,), "gradient_bias_hidden": (1,)}
AFFECTED |= {"gradient_weight_out": (2,), "gradient_bias_out": (3,)}
"""The parts of the list of gradients that depend on a function, if not all do."""


def inherited(task: Task, of: Callable[[Task], Iterable[Mistake]], wrong: Sequence[int] = ()) -> Iterator[Mistake]:
    """Yield the mistakes of the functions that a function calls, of those that the wrong parts of a list depend on."""
    for called in map(TASKS.__getitem__, task.calls):
        if set(wrong) <= set(AFFECTED.get(called.name, wrong)):
            for mistake in chain(of(called), inherited(called, of, wrong)):
                faulty = functions({called.name: mistake.made})
                yield Mistake(f"{called.name}: {mistake.name}", mistake.look, faulty[task.name])


def any_of(task: Task) -> Iterator[Mistake]:
    """Yield the mistakes of a function that is called: those that have no names of their own."""
    yield from chain(changed_result(task, 0, ()), mutated(task))
    if task.name in ("logistic", "softmax"):
        yield from with_numbers(task)


def _call(name: str, *nodes: Any) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(nodes), [])


def _with_changes(task: Task, code: Any) -> Callable[..., Callable[..., Any]]:
    """Return a function of a change, that returns a defined function with this change in it."""
    names = functions()
    exec(code, names)
    function = names[task.name]

    def made(change: Change | None = None) -> Callable[..., Any]:
        def called(*args: Any) -> Any:
            N = rows_of(args)
            names["changed"] = lambda A: change(A, N)  # pyright: ignore[reportOptionalCall]
            return function(*args)

        return called

    return made


def _parts(tree: ast.Module) -> list[tuple[list[Any], str]]:
    """Return the parts of a formula with their names: all occurrences of equal parts, and each one of several."""
    groups: dict[str, list[tuple[Any, Any]]] = {}

    def visit(node: Any, parent: Any) -> None:
        is_list = isinstance(node, ast.List | ast.ListComp)
        if isinstance(node, ast.expr) and not is_list and isinstance(getattr(node, "ctx", None), ast.Load | None):
            groups.setdefault(_text(node), []).append((node, parent))
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Call):
            children = node.args
        if isinstance(node, ast.ListComp):
            children = [node.elt, node.generators[0].iter]
        for child in children:
            visit(child, node)

    for statement in tree.body[0].body:  # pyright: ignore[reportAttributeAccessIssue]
        visit(statement.value, statement)
    found = []
    for name, places in sorted(groups.items(), key=lambda one: len(one[0])):
        is_whole = isinstance(places[0][1], ast.Return)
        found.append(([node for node, _ in places], "" if is_whole else name))
        if len(places) > 1:
            found += [([node], f"{name} in {_text(parent)}") for node, parent in places]
    return found


def _text(node: ast.AST) -> str:
    return re.sub(r"\bnp\.|, axis=\d, keepdims=True", "", ast.unparse(node))


def _put(tree: ast.Module, nodes: Sequence[Any], new: Callable[[Any], Any]) -> Any:
    """Return the code of a definition with other nodes in the places of some."""
    memo: dict[int, Any] = {}
    changed = deepcopy(tree, memo)
    places = {id(memo[id(node)]) for node in nodes}

    class Put(ast.NodeTransformer):
        def visit(self, node: Any) -> Any:
            return new(node) if id(node) in places else self.generic_visit(node)

    return compile(ast.fix_missing_locations(Put().visit(changed)), "mutation", "exec")


OPERATORS: dict[Any, str] = {
    ast.Add: "added",
    ast.Sub: "subtracted",
    ast.Mult: "multiplied",
    ast.Div: "divided",
    ast.MatMult: "multiplied as matrices",
}


def _left_out(node: Any) -> Iterator[tuple[str, str, Callable[[Any], Any]]]:
    """Yield what is left of a part of which something is left out: words, what to look at, and the new part."""
    if isinstance(node, ast.BinOp):
        left, right, whole = _text(node.left), _text(node.right), _text(node)
        of = "" if isinstance(node.left, ast.Name) and isinstance(node.right, ast.Name) else f" of {whole}"
        yield f"{right} is left out{of}", "terms", lambda old: old.left
        yield f"{left} is left out{of}", "terms", lambda old: old.right
        if isinstance(node.op, ast.Sub):
            yield f"{left} is left out{of}", "terms", lambda old: ast.UnaryOp(ast.USub(), old.right)
    if isinstance(node, ast.Attribute):
        yield f"{_text(node.value)} is not transposed", "shape", lambda old: old.value


def _replacements(tree: ast.Module, node: Any, name: str) -> Iterator[tuple[str, str, Callable[[Any], Any]]]:
    """Yield what may stand in the place of a part: words, what to look at, and the new part, of the old one."""
    if isinstance(node, ast.BinOp):
        left, right, symbol = _text(node.left), _text(node.right), type(node.op)
        yield f"{left} and {right} are swapped", "order", lambda old: ast.BinOp(old.right, old.op, old.left)
        for other in OPERATORS:
            if other is not symbol:
                words = f"{{}} and {{}} are {OPERATORS[other]}, not {OPERATORS[symbol]}"
                new = lambda old, other=other: ast.BinOp(old.left, other(), old.right)  # noqa: E731
                swapped = lambda old, other=other: ast.BinOp(old.right, other(), old.left)  # noqa: E731
                yield words.format(left, right), "order", new
                yield words.format(right, left), "order", swapped
    if isinstance(node, ast.Call) and _text(node.func) == "sum":
        axis = next((ast.literal_eval(one.value) for one in node.keywords if one.arg == "axis"), None)
        for function, k in product(
            ("max", "min", "prod", "mean", "median", "std", "var", "argmax", "linalg.norm"), (0, 1, None)
        ):
            call: Any = ast.parse(
                f"np.{function}(_{'' if k is None else f', axis={k}, keepdims=True'})", mode="eval"
            ).body
            over = "" if k == axis else " of all entries" if k is None else f" along axis {k}"
            words = f"{function.removeprefix('linalg.')}{over} is taken instead of the sum"
            yield words, "function", lambda old, call=call: ast.Call(call.func, [old.args[0]], call.keywords)
    for other in dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)):
        if isinstance(node, ast.Name) and other not in (node.id, "np", "zip", *TASKS):
            yield (
                f"{other} is taken instead of {name}",
                "argument",
                lambda old, other=other: ast.Name(other, ast.Load()),
            )

"""Small changes of an expression that correct frequent mistakes."""

import ast
import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]

CHANGES = {
    ast.BinOp: (
        "{0}; {1}; {0} + {1}; {0} - {1}; {1} - {0}; {0} * {1}; {0} / {1}; {0} ** 2; {0} ** 3;"
        " {0}.T @ {1}; {0} @ {1}.T; {0}.T @ {1}.T; {1} @ {0}; {1} @ {0}.T; {1}.T @ {0}"
    ),
    ast.UnaryOp: "{0}",
    ast.Compare: "{0} > {1}; {0} < {1}; {0} == {1}",
    ast.Constant: "{0} + 1; {0} - 1; 2 * {0}; {0} / 2; -{0}",
    ast.Attribute: "{0}",
    ast.Subscript: "{0}[{1} + 1]; {0}[{1} - 1]",
    ast.Call: "{1}; {0}({2}, {1}); {0}({1}.T)",
    ast.Name: "{0} ** 2; {0}.T",
}
"""What may replace an expression with operands {0}, {1} and {2}."""

REPLACED_WORDS = (
    "axis=0 axis=1; axis=1 axis=0; axis=-1 axis=0; axis=0 axis=None; axis=1 axis=None;"
    " .sum( .mean(; .mean( .sum(; .sin( .cos(; .cos( .sin(; .maximum( .minimum("
)
"""Pairs of words in the text of an expression: the wrong one and the right one."""

FACTORS = "-{x}; 2 * {x}; 0.5 * {x}; {x}.T"

FACTORS_BY_VALUE = (
    "{x} / {a}; {x} * {a}; {x} * (1 - {a} ** 2); {x} * {a} * (1 - {a}); {x} * ({a} > 0);"
    " {x} * (1 - {a}); {x} * np.cos({a}); {x} * np.exp({a})"
)
"""Missing factors; most of them are derivatives of activations."""

SUMS = "{x} + {a}; {x} - {a}"

WEIGHTED_SUMS = "{x} + {s} * {a}; {x} + 2 * {s} * {a}; {x} + {a} / {s}"


SHORT = 60
"""Expressions up to this length are quoted as a whole."""


class Change(NamedTuple):
    """A changed expression, the part that differs, and what replaces it."""

    node: ast.expr
    old: str
    new: str

    @property
    def code(self):
        """The compiled expression."""
        expression = ast.Expression(copy.deepcopy(self.node))
        return compile(ast.fix_missing_locations(expression), "<change>", "eval")

    def __str__(self):
        return f"with `{self.new}` instead of `{self.old}`"


def scope(names: dict[str, Any]) -> dict[str, Shape]:
    """Return the expressions that a statement can read, and the shapes of their values."""
    values = dict(names)
    for name, value in names.items():
        if isinstance(value, dict):
            values.update({f"{name}[{key!r}]": value[key] for key in value})
        for key, member in getattr(value, "__dict__", {}).items():
            values[f"{name}.{key}"] = member
    numbers = int | float | np.ndarray | np.generic
    return {
        name: np.shape(value)
        for name, value in values.items()
        if isinstance(value, numbers) and not isinstance(value, bool)
    }


def changes(
    root: ast.expr, statement: ast.AST, shapes: dict[str, Shape], shape: Shape
) -> Iterator[Change]:
    """Yield changes of the right-hand side of a statement, the smallest first.

    ``shape`` is the shape of its value.
    """
    for node in ast.walk(root):
        if isinstance(node, ast.expr):
            for text in _replacements(node, shapes):
                yield from _changed(root, node, text)
    root_text = ast.unparse(root)
    for words in REPLACED_WORDS.split("; "):
        old, new = words.split()
        if old in root_text:
            yield from _changed(root, root, root_text.replace(old, new))
    yield from _other_operators(root_text, statement)
    for term in _terms(root):
        for text in _multiples(f"({ast.unparse(term)})", shapes, shape):
            yield from _changed(root, term, text)
    for text in _sums(f"({root_text})", shapes, shape):
        yield from _changed(root, root, text)


def _changed(root: ast.expr, node: ast.expr, text: str) -> Iterator[Change]:
    """Yield the change of a node to a text, unless the text is not an expression."""
    try:
        new = ast.parse(text, mode="eval").body
    except SyntaxError:
        return
    changed = copy.deepcopy(root, {id(node): new})
    if len(ast.unparse(root)) <= SHORT:
        node, new = root, changed
    yield Change(changed, ast.unparse(node), ast.unparse(new))


def _replacements(node: ast.expr, shapes: dict[str, Shape]) -> Iterator[str]:
    """Yield what may replace an expression."""
    operands = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            operands.append(f"({ast.unparse(child)})")
    if not operands:
        operands.append(ast.unparse(node))
    is_number = isinstance(getattr(node, "value", None), int | float)
    for template in CHANGES.get(type(node), "").split("; "):
        replacement = template.format(*operands, "", "")
        if f"{{{len(operands)}}}" not in template:
            yield str(eval(replacement)) if is_number else replacement
    text = ast.unparse(node)
    for name, shape in shapes.items():
        if name == text:
            continue
        if shape == shapes.get(text):
            yield name
        elif len(shape) == 2 and shape[::-1] == shapes.get(text):
            yield f"{name}.T"


def _terms(node: ast.expr) -> Iterator[ast.expr]:
    """Yield an expression and the terms of its sums."""
    yield node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield from _terms(node.left)
        yield from _terms(node.right)


def _other_operators(text: str, statement: Any) -> Iterator[Change]:
    """Yield the change from = to +=, or from += to =."""
    if not isinstance(statement, ast.Assign | ast.AugAssign):
        return
    if isinstance(statement, ast.AugAssign):
        target = ast.unparse(statement.target)
        old = f"{target} +="
        new = f"{target} ="
        value = f"({text}) - {target}"
    else:
        target = ast.unparse(statement.targets[0])
        old = f"{target} ="
        new = f"{target} +="
        value = f"{target} + ({text})"
    yield Change(ast.parse(value, mode="eval").body, old, new)


def _multiples(text: str, shapes: dict[str, Shape], shape: Shape) -> Iterator[str]:
    """Yield an expression with a factor that may be missing."""
    sizes = {str(size): () for sizes in shapes.values() for size in sizes if size > 1}
    for template in FACTORS.split("; "):
        yield template.format(x=text)
    for template in FACTORS_BY_VALUE.split("; "):
        for name, factor_shape in (shapes | sizes).items():
            if _broadcast(factor_shape, shape) == shape:
                yield template.format(x=text, a=name)


def _broadcast(factor_shape: Shape, shape: Shape) -> Shape | None:
    try:
        return np.broadcast_shapes(factor_shape, shape)
    except ValueError:
        return None


def _sums(text: str, shapes: dict[str, Shape], shape: Shape) -> Iterator[str]:
    """Yield an expression with a term that may be missing."""
    names = []
    scalars = []
    for name, value_shape in shapes.items():
        if value_shape == shape:
            names.append(name)
        if not value_shape:
            scalars.append(name)
    for name in names:
        for template in SUMS.split("; "):
            yield template.format(x=text, a=name)
        for scalar in scalars:
            for template in WEIGHTED_SUMS.split("; "):
                yield template.format(x=text, a=name, s=scalar)

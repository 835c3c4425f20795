"""A Python file under construction, with imports, constants and functions, including the library's formulas.

The source text of formulas is copied, with NumPy's names and the values of
hyperparameters.
"""

import ast
import inspect
import re
import textwrap
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count
from typing import Any

import numpy as np

from ...core import elementary
from .. import FileError

_NUMPY = {"absolute": "abs", "one": "ones_like"}
"""NumPy's names of elementary functions, where they differ."""


class Formulas:
    """The source of formulas and of all functions that they call.

    Examples
    --------
    >>> formulas = Formulas()
    >>> formulas.method(LeakyReLU(0.1), "value")
    'leaky_relu'
    >>> print(formulas.texts["leaky_relu"])
    def leaky_relu(z):
        \"\"\"Return z where z > 0, else leak z.\"\"\"
        return np.where(z > 0, z, 0.1 * z)
    >>> formulas.method(Tanh(), "value"), formulas.method(Identity(), "value")
    ('np.tanh', None)
    """

    def __init__(self):
        self.texts: dict[str, str] = {}

    def method(self, part, name: str) -> str | None:
        """Add a method of a layer or loss; return its name in the source, or None if the method is the identity."""
        function = getattr(type(part), name)
        if not type(part).__module__.startswith(
            "vecprop."
        ) or not function.__module__.startswith("vecprop."):
            raise FileError(
                f"{part!r} cannot be exported: only vecprop's built-in parts can become"
                " NumPy source."
            )
        words = re.sub(
            r"(?<=[a-z])(?=[A-Z][a-z])|(?<=[a-z])(?=ReLU)", "_", type(part).__name__
        )
        return self.function(function, words.lower(), part=part)

    def function(
        self,
        function: Callable[..., Any],
        name: str | None = None,
        attributes: Sequence[str] = (),
        part=None,
    ) -> str | None:
        """Add a function, with a method's attributes as arguments; return its name in the source."""
        # If the function only calls another one, return the name of the other function
        # instead.
        definition = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        assert isinstance(definition, ast.FunctionDef)
        _Rewriting(self, function.__globals__, part, attributes).visit(definition)
        arguments = ", ".join(argument.arg for argument in definition.args.args)
        if len(definition.body) == 2:
            result = ast.unparse(definition.body[1]).removeprefix("return ")
            if result == arguments:
                return None
            called, _, passed = result.partition("(")
            if called.replace(".", "_").isidentifier() and passed == f"{arguments})":
                return called
        name = name or function.__name__.lstrip("_")
        for unique in _numbered(name, 1):  # make the name unique
            definition.name = unique
            text = ast.unparse(ast.fix_missing_locations(definition))
            if self.texts.setdefault(unique, text) == text:
                break
        return definition.name


def _numbered(name: str, first: int) -> Iterator[str]:
    """Yield a name, then the name with increasing numbers appended."""
    return chain([name], (f"{name}_{number}" for number in count(first)))


class _Rewriting(ast.NodeTransformer):
    def __init__(
        self, formulas: Formulas, names: dict[str, Any], part, attributes: Sequence[str]
    ):
        self.formulas = formulas
        self.names = names
        self.part = part
        self.attributes = attributes

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.decorator_list = []
        node.returns = None
        names = [argument.arg for argument in node.args.args if argument.arg != "self"]
        node.args.args = list(map(ast.arg, [*names, *self.attributes]))
        description = (ast.get_docstring(node) or "").partition("\n")[0]
        node.body = [
            ast.Expr(ast.Constant(description)),
            *map(self.visit, node.body[1:]),
        ]
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        value = self.names.get(node.id)
        if not isinstance(value, int | float):
            return node
        if node.id in ("inf", "pi"):
            return ast.Attribute(ast.Name("np", ast.Load()), node.id, ast.Load())
        return ast.Constant(value)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            if node.attr in self.attributes:
                return ast.Name(node.attr, ast.Load())
            return ast.Constant(getattr(self.part, node.attr))
        return ast.Attribute(self.visit(node.value), node.attr, node.ctx)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        node.args = [self.visit(argument) for argument in node.args]
        if not isinstance(node.func, ast.Name) or node.func.id not in self.names:
            node.func = self.visit(node.func)
            return node
        called = self.names[node.func.id]
        if called is elementary.namespace:
            return ast.Name("np", ast.Load())
        if called is elementary.real:
            return node.args[0]
        if called.__module__ == elementary.__name__:
            name = _NUMPY.get(node.func.id, node.func.id)
            node.func = ast.Attribute(ast.Name("np", ast.Load()), name, ast.Load())
        else:
            node.func = ast.Name(self.formulas.function(called) or "", ast.Load())
        return node


_UNPACKED = '''\
def unpacked(text, dtype, *shape):
    """Decode an array from base64."""
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)
'''
_READABLE = 32
"""Arrays of at most this size are written as readable numbers; larger ones are
encoded as base64.
"""


class Source:
    """A Python file under construction.

    Examples
    --------
    >>> source = Source()
    >>> source.constant("W0", np.array([2.0]))
    'W0'
    >>> source.function("double", "return W0 * x", arguments="x")
    >>> print(source.text("Doubles."))
    \"\"\"Doubles.\"\"\"
    <BLANKLINE>
    import numpy as np
    <BLANKLINE>
    W0 = np.array([2.0], np.float64)
    <BLANKLINE>
    <BLANKLINE>
    def double(x):
        return W0 * x
    <BLANKLINE>
    """

    def __init__(self):
        self.formulas = Formulas()
        self._constants: dict[str, str] = {}
        self._helpers: dict[str, str] = {}
        self._modules: set[str] = set()
        self._functions: list[str] = []

    def constant(self, name: str, values) -> str:
        """Add an exact constant; return its name, which contains a number if necessary to be unique."""
        unique = next(
            candidate
            for candidate in _numbered(name, 2)
            if candidate not in self._constants
        )
        self._constants[unique] = self.literal(values)
        return unique

    def literal(self, values) -> str:
        array = np.asarray(values)
        if array.dtype.kind not in "iuf":
            for value in array.ravel().tolist():
                if not isinstance(value, str | bool | int | float | None):
                    raise FileError(
                        f"{value!r} cannot be written as NumPy source: only numbers and"
                        " text can."
                    )
            return f"np.array({array.tolist()!r}{', object' if array.dtype.kind == 'O' else ''})"
        if array.size <= _READABLE and np.isfinite(array).all():
            return f"np.array({array.tolist()!r}, np.{array.dtype.name})"
        self.helper("unpacked", _UNPACKED, module="base64")
        array = array.astype(array.dtype.newbyteorder("<"))
        shape = "".join(f", {length}" for length in array.shape)
        return (
            f'unpacked("{b64encode(array.tobytes()).decode()}",'
            f' "{array.dtype.str}"{shape})'
        )

    def helper(self, name: str, text: str, module: str | None = None) -> None:
        """Add a helper function and its import, unless already present."""
        self._helpers.setdefault(name, text)
        if module is not None:
            self._modules.add(module)

    def function(self, name: str, *lines: str, arguments: str = "X") -> None:
        body = "".join(f"    {line}\n" for line in lines)
        self._functions.append(f"def {name}({arguments}):\n{body}")

    def text(self, title: str) -> str:
        quoted = "".join(map(_escaped, title))
        imports = "".join(f"import {module}\n" for module in sorted(self._modules))
        if imports:
            imports += "\n"
        blocks = [f'"""{quoted}"""\n\n{imports}import numpy as np\n']
        blocks += self._helpers.values()
        constants = ""
        for name, literal in self._constants.items():
            constants += f"{name} = {literal}\n"
        blocks.append(constants)
        blocks += [f"{text}\n" for text in self.formulas.texts.values()]
        blocks += self._functions
        return "\n\n".join(blocks)


def _escaped(character: str) -> str:
    """Return a character as it must be written between quotes."""
    if character == '"':
        return '\\"'
    if character.isprintable() and character != "\\":
        return character
    return character.encode("unicode_escape").decode()

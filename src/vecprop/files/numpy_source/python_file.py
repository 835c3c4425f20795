"""A Python file under construction, with imports, constants and functions, including the library's formulas.

The source text of formulas is copied, with NumPy's names and the values of
hyperparameters.
"""

import ast
import inspect
import re
import textwrap
from base64 import b64encode
from collections.abc import Callable, Sequence
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

    def method(self, part, name: str):
        """Add a method of a layer or loss; return its name in the source, or None if the method is the identity."""
        function = getattr(type(part), name)
        for module in (type(part).__module__, function.__module__):
            if not module.startswith("vecprop."):
                raise FileError(
                    f"{part!r} cannot be exported: only vecprop's built-in parts can"
                    " become NumPy source."
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
        """Add a function, with a method's attributes as arguments; return its name in the source.

        The name is None for the identity. A function that only calls another one is not
        added, and the name is the name of the other function.
        """
        definition = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        assert isinstance(definition, ast.FunctionDef)
        _Rewriting(self, function.__globals__, part, attributes).visit(definition)
        arguments = ", ".join(argument.arg for argument in definition.args.args)
        _, *statements = definition.body  # without the docstring
        if len(statements) == 1:
            result = ast.unparse(statements[0]).removeprefix("return ")
            if result == arguments:
                return None
            called, _, called_with = result.partition("(")
            is_name = called.replace(".", "_").isidentifier()
            if is_name and called_with == f"{arguments})":
                return called
        # An equal function may have the name already, or the name is not unique.
        for unique in _numbered(name or function.__name__.lstrip("_"), 1):
            definition.name = unique
            text = ast.unparse(ast.fix_missing_locations(definition))
            if self.texts.setdefault(unique, text) == text:
                break
        return definition.name


def _numbered(name: str, first: int):
    """Yield a name, then the name with increasing numbers appended."""
    return chain([name], (f"{name}_{number}" for number in count(first)))


class _Rewriting(ast.NodeTransformer):
    """Rewrites the definition of a formula: names of modules and values of hyperparameters."""

    def __init__(
        self, formulas: Formulas, names: dict[str, Any], part, attributes: Sequence[str]
    ):
        self.formulas = formulas
        self.names = names
        self.part = part
        self.attributes = attributes

    def visit_FunctionDef(self, node: ast.FunctionDef):
        """Remove decorators, annotations and all lines of the docstring except the first."""
        node.decorator_list = []
        node.returns = None
        names = [argument.arg for argument in node.args.args if argument.arg != "self"]
        node.args.args = [ast.arg(name) for name in (*names, *self.attributes)]
        description, _, _ = (ast.get_docstring(node) or "").partition("\n")
        docstring = ast.Expr(ast.Constant(description))
        _, *statements = node.body
        node.body = [docstring, *map(self.visit, statements)]
        return node

    def visit_Name(self, node: ast.Name):
        """Replace a constant of the module by its value."""
        value = self.names.get(node.id)
        if not isinstance(value, int | float):
            return node
        if node.id in ("inf", "pi"):
            return _numpy_name(node.id)
        return ast.Constant(value)

    def visit_Attribute(self, node: ast.Attribute):
        """Replace an attribute of self by an argument or by its value."""
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            if node.attr in self.attributes:
                return ast.Name(node.attr)
            return ast.Constant(getattr(self.part, node.attr))
        return ast.Attribute(self.visit(node.value), node.attr, node.ctx)

    def visit_Call(self, node: ast.Call):
        """Replace an elementary function by NumPy's function, and add other functions of the library."""
        node.args = [self.visit(argument) for argument in node.args]
        if not isinstance(node.func, ast.Name) or node.func.id not in self.names:
            node.func = self.visit(node.func)
            return node
        function = self.names[node.func.id]
        if function is elementary.namespace:
            return ast.Name("np")
        if function is elementary.real:
            return node.args[0]
        if function.__module__ == elementary.__name__:
            node.func = _numpy_name(_NUMPY.get(node.func.id, node.func.id))
        else:
            node.func = ast.Name(self.formulas.function(function) or "")
        return node


def _numpy_name(name: str):
    return ast.Attribute(ast.Name("np"), name)


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
        names = _numbered(name, 2)
        unique = next(name for name in names if name not in self._constants)
        self._constants[unique] = self.literal(values)
        return unique

    def literal(self, values) -> str:
        """Return an expression for an array of numbers or text."""
        array = np.asarray(values)
        if array.dtype.kind not in "iuf":
            for value in array.ravel().tolist():
                if not isinstance(value, str | bool | int | float | None):
                    raise FileError(
                        f"{value!r} cannot be written as NumPy source: only numbers and"
                        " text can."
                    )
            dtype = ", object" if array.dtype.kind == "O" else ""
            return f"np.array({array.tolist()!r}{dtype})"
        if array.size <= _READABLE and np.isfinite(array).all():
            return f"np.array({array.tolist()!r}, np.{array.dtype.name})"
        self.helper("unpacked", _UNPACKED, module="base64")
        array = array.astype(array.dtype.newbyteorder("<"))
        text = b64encode(array.tobytes()).decode()
        shape = "".join(f", {length}" for length in array.shape)
        return f'unpacked("{text}", "{array.dtype.str}"{shape})'

    def helper(self, name: str, text: str, module: str | None = None):
        """Add a helper function and its import, unless already present."""
        self._helpers.setdefault(name, text)
        if module is not None:
            self._modules.add(module)

    def function(self, name: str, *lines: str, arguments: str = "X"):
        body = "".join(f"    {line}\n" for line in lines)
        self._functions.append(f"def {name}({arguments}):\n{body}")

    def text(self, title: str) -> str:
        """Return the source of the file."""
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


def _escaped(character: str):
    """Return a character as it must be written between quotes."""
    if character == '"':
        return '\\"'
    if character.isprintable() and character != "\\":
        return character
    return character.encode("unicode_escape").decode()

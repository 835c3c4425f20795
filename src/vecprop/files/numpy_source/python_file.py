"""A Python file under construction: its imports, constants and functions."""

from base64 import b64encode
from typing import Any

import numpy as np

from ..error import FileError
from .formula_source import Formulas

_UNPACKED = '''\
def unpacked(text, dtype, *shape):
    """Return the array whose bytes a text encodes in base 64."""
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)
'''
_READABLE = 32
"""Arrays of at most this size are written as numbers, which a person can read; larger ones as bytes in base 64."""


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

    def __init__(self) -> None:
        self.formulas = Formulas()
        self._constants: dict[str, str] = {}
        self._helpers: dict[str, str] = {}
        self._modules: set[str] = set()
        self._functions: list[str] = []

    def constant(self, name: str, values: Any) -> str:
        """Add a constant with all its bits; return its name, which gets a number if another constant has it."""
        number = 1
        while (unique := name if number == 1 else f"{name}_{number}") in self._constants:
            number += 1
        self._constants[unique] = self.literal(values)
        return unique

    def literal(self, values: Any) -> str:
        """Return an array as an expression."""
        array = np.asarray(values)
        if array.dtype.kind not in "iuf":
            wrong = [
                value for value in array.ravel().tolist() if not isinstance(value, str | bool | int | float | None)
            ]
            if wrong:
                raise FileError(f"{wrong[0]!r} cannot be written as NumPy source, which holds numbers and text.")
            return f"np.array({array.tolist()!r}{', object' if array.dtype.kind == 'O' else ''})"
        if array.size <= _READABLE and np.isfinite(array).all():
            return f"np.array({array.tolist()!r}, np.{array.dtype.name})"
        self.helper("unpacked", _UNPACKED, module="base64")
        array = array.astype(array.dtype.newbyteorder("<"))
        shape = "".join(f", {length}" for length in array.shape)
        return f'unpacked("{b64encode(array.tobytes()).decode()}", "{array.dtype.str}"{shape})'

    def helper(self, name: str, text: str, module: str | None = None) -> None:
        """Add, once, a function that constants or other functions need, and the module that it imports."""
        self._helpers.setdefault(name, text)
        if module is not None:
            self._modules.add(module)

    def function(self, name: str, *lines: str, arguments: str = "X") -> None:
        """Add a function with these lines."""
        self._functions.append(f"def {name}({arguments}):\n" + "".join(f"    {line}\n" for line in lines))

    def text(self, title: str) -> str:
        """Return the whole file."""
        quotes = '"' * 3
        imports = "\n".join(f"import {module}" for module in sorted(self._modules))
        head = [f"{quotes}{_in_quotes(title)}{quotes}", imports, "import numpy as np\n"]
        formulas = [f"{text}\n" for text in self.formulas.texts.values()]
        blocks = [
            "\n\n".join(filter(None, head)),
            *self._helpers.values(),
            "".join(f"{name} = {literal}\n" for name, literal in self._constants.items()),
            *formulas,
            *self._functions,
        ]
        return "\n\n".join(blocks)


def _in_quotes(text: str) -> str:
    r"""Return a text with all that cannot be between quotes escaped.

    Examples
    --------
    >>> print(_in_quotes('a "b" \\ c'))
    a \"b\" \\ c
    """
    plain = (c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in text)
    return "".join(plain).replace('"', '\\"')

"""Tracing: the library's own formulas, called with symbols instead of arrays, record their operations as an ONNX graph.

So an equation is written once for ONNX too, and a user's own layer becomes a graph if it is written, as all are, with
the names of ``core/elementary.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np


class Node(NamedTuple):
    """An operation of a graph: its name in ONNX, the names of its inputs and outputs, and its attributes."""

    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


@dataclass
class Graph:
    """A graph under construction: its operations and constants.

    Examples
    --------
    >>> graph = Graph(np.float32)
    >>> z = graph.input("z", width=2)
    >>> y = ReLU().value(z)
    >>> [node.kind for node in graph.nodes]
    ['Greater', 'Where']
    """

    dtype: Any
    opset: int = 17
    prefix: str = ""
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    inputs: list["Symbol"] = field(default_factory=list)
    outputs: list["Symbol"] = field(default_factory=list)

    def input(self, name: str, width: int, dtype: Any = None) -> "Symbol":
        """Add an input of the graph, and return its symbol, (N, width)."""
        symbol = Symbol(self, name, (1, width), np.dtype(dtype or self.dtype))
        self.inputs.append(symbol)
        return symbol

    def constant(self, value: Any, dtype: Any = None) -> "Symbol":
        """Return the symbol of a constant, by default of the graph's type."""
        array = np.asarray(value, dtype or self.dtype)
        for name, known in self.constants.items():
            if known.dtype == array.dtype and known.shape == array.shape and known.tobytes() == array.tobytes():
                return Symbol(self, name, array.shape, array.dtype)
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants[name] = array
        return Symbol(self, name, array.shape, array.dtype)

    def node(
        self, kind: str, inputs: Sequence[Any], shape: tuple[int, ...], dtype: Any = None, beside: int = 0, **to: Any
    ) -> "Symbol":
        """Add an operation on symbols, arrays and numbers; return the symbol of its first output.

        ``beside`` is the number of its other outputs, which are not used. Arrays and numbers get the floating type of
        the symbols beside them, and so does the output by default.
        """
        types = [entry.dtype for entry in inputs if isinstance(entry, Symbol) and entry.dtype.kind == "f"]
        floating = np.dtype(types[0] if types else self.dtype)
        symbols = [entry if isinstance(entry, Symbol) else self.constant(entry, floating) for entry in inputs]
        output = f"{self.prefix}{kind}_{len(self.nodes)}"
        others = [f"{output}_{number}" for number in range(beside)]
        self.nodes.append(Node(kind, [symbol.name for symbol in symbols], [output, *others], to))
        return Symbol(self, output, shape, np.dtype(dtype or floating))

    def output(self, z: "Symbol", name: str) -> None:
        self.nodes.append(Node("Identity", [z.name], [name], {}))
        self.outputs.append(Symbol(self, name, z.shape, z.dtype))

    def elementwise(self, kind: str, *inputs: Any, dtype: Any = None) -> "Symbol":
        return self.node(kind, inputs, np.broadcast_shapes(*map(np.shape, inputs)), dtype)

    def over_columns(self, kind: str, z: "Symbol") -> "Symbol":
        """Add a sum or a maximum over the columns of each row, which leaves one column."""
        shape = (*z.shape[:-1], 1)
        if kind == "ReduceSum" or self.opset >= 18:
            return self.node(kind, [z, self.constant([-1], np.int64)], shape, keepdims=1)
        return self.node(kind, [z], shape, axes=[-1], keepdims=1)

    def argmax(self, z: "Symbol") -> "Symbol":
        """Add the number of the largest column of each row, (N,)."""
        return self.node("ArgMax", [z], (1,), np.int64, axis=1, keepdims=0)

    def beside(self, blocks: Sequence["Symbol"]) -> "Symbol":
        width = sum(block.shape[1] for block in blocks)
        return self.node("Concat", blocks, (1, width), blocks[0].dtype, axis=1)

    def cast(self, z: "Symbol", dtype: Any) -> "Symbol":
        from onnx.helper import np_dtype_to_tensor_dtype

        return self.node("Cast", [z], z.shape, dtype, to=np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def tensors(self) -> list[Any]:
        from onnx import numpy_helper

        return [numpy_helper.from_array(array, name) for name, array in self.constants.items()]


def _operators(kind: str, dtype: Any = None) -> tuple[Any, Any]:
    """Return the methods of an operation with an operand on the right, and with one on the left."""
    return (
        lambda self, other: self.graph.elementwise(kind, self, other, dtype=dtype),
        lambda self, other: self.graph.elementwise(kind, other, self, dtype=dtype),
    )


@dataclass(frozen=True, eq=False)
class Symbol:
    """The stand-in for an array while formulas are traced."""

    graph: Graph
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    __array_ufunc__ = None  # a NumPy array leaves its operations with a symbol to the symbol

    ndim = property(lambda self: len(self.shape))

    def columns(self, numbers: Sequence[int]) -> "Symbol":
        """Return the symbol of some columns, by index."""
        numbers_of = self.graph.constant(numbers, np.int64)
        return self.graph.node("Gather", [self, numbers_of], (1, len(numbers)), self.dtype, axis=1)

    def __array_namespace__(self) -> Any:
        return _NAMESPACE

    __add__, __radd__ = _operators("Add")
    __sub__, __rsub__ = _operators("Sub")
    __mul__, __rmul__ = _operators("Mul")
    __truediv__, __rtruediv__ = _operators("Div")
    __pow__, _ = _operators("Pow")
    __lt__, _ = _operators("Less", bool)
    __gt__, _ = _operators("Greater", bool)
    __le__, _ = _operators("LessOrEqual", bool)
    __ge__, _ = _operators("GreaterOrEqual", bool)

    def __neg__(self) -> "Symbol":
        return self.graph.elementwise("Neg", self)

    def __matmul__(self, W: np.ndarray) -> "Symbol":
        return self.graph.node("MatMul", [self, W], (*self.shape[:-1], W.shape[-1]))


def _where(condition: Symbol, a: Any, b: Any) -> Symbol:
    return condition.graph.elementwise("Where", condition, a, b)


def _where_1(y: Symbol, a: Symbol, b: Symbol) -> Symbol:
    return _where(y.graph.elementwise("Equal", y, 1.0, dtype=bool), a, b)


def _expm1(z: Symbol) -> Symbol:
    """Return exp(z) - 1 to full precision, for which ONNX has no operation (Kahan; Higham, 2002, section 1.14.1)."""
    y = _NAMESPACE.exp(z)
    # If y is 1, exp(z) - 1 is z. If y is 0 or infinite, its logarithm is infinite, and y - 1 is right.
    difference = y - 1
    plain = _where_1(y, z, difference * z / _NAMESPACE.log(y))
    return _where(_NAMESPACE.abs(z) < 1, plain, difference)


def _log1p(z: Symbol) -> Symbol:
    """Return log(1 + z) to full precision, in the same way."""
    y = z + 1
    return _where_1(y, z, _NAMESPACE.log(y) * z / (y - 1))


def _elementwise(kind: str) -> Any:
    return lambda z: z.graph.elementwise(kind, z)


def _reduction(kind: str) -> Any:
    def reduce(z: Symbol, axis: int, keepdims: bool) -> Symbol:
        if (axis, keepdims) != (-1, True):
            raise NotImplementedError("formulas of a prediction reduce over columns and keep the axis")
        return z.graph.over_columns(kind, z)

    return reduce


_NAMESPACE = SimpleNamespace(
    **{name: _elementwise(name.capitalize()) for name in ("exp", "log", "tanh", "sqrt", "floor", "sign", "abs")},
    expm1=_expm1,
    log1p=_log1p,
    real=lambda z: z,
    where=_where,
    ones_like=lambda z: z * 0 + 1,
    sum=_reduction("ReduceSum"),
    max=_reduction("ReduceMax"),
    finfo=np.finfo,
)
"""The functions of the array API that formulas of predictions use."""

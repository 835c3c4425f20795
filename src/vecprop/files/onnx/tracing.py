"""Tracing: call formulas with symbols instead of arrays, to record their operations as an ONNX graph.

Therefore each formula is written only once, and custom layers written in NumPy can be exported too.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from .. import FileError


class Node(NamedTuple):
    """An operation of a graph: its ONNX name, the names of its inputs and outputs, and its attributes."""

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
        """Add an input to the graph; return its symbol, (N, width)."""
        symbol = Symbol(self, name, (1, width), np.dtype(dtype or self.dtype))
        self.inputs.append(symbol)
        return symbol

    def constant(self, value: Any, dtype: Any = None) -> "Symbol":
        """Return the symbol of a constant, by default in the graph's dtype."""
        array = np.asarray(value, dtype or self.dtype)
        for name, known in self.constants.items():
            if known.dtype == array.dtype and known.shape == array.shape and known.tobytes() == array.tobytes():
                return Symbol(self, name, array.shape, array.dtype)
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants[name] = array
        return Symbol(self, name, array.shape, array.dtype)

    def node(
        self, kind: str, inputs: Sequence[Any], shape: tuple[int, ...], dtype: Any = None, unused: int = 0, **to: Any
    ) -> "Symbol":
        """Add an operation on symbols, arrays and numbers; return the symbol of its first output.

        ``unused`` is the number of additional outputs, which are ignored. Arrays, numbers and (by default) the output
        get the floating dtype of the symbols.
        """
        types = [entry.dtype for entry in inputs if isinstance(entry, Symbol) and entry.dtype.kind == "f"]
        floating = np.dtype(types[0] if types else self.dtype)
        symbols = [entry if isinstance(entry, Symbol) else self.constant(entry, floating) for entry in inputs]
        output = f"{self.prefix}{kind}_{len(self.nodes)}"
        others = [f"{output}_{number}" for number in range(unused)]
        self.nodes.append(Node(kind, [symbol.name for symbol in symbols], [output, *others], to))
        return Symbol(self, output, shape, np.dtype(dtype or floating))

    def output(self, z: "Symbol", name: str) -> None:
        self.nodes.append(Node("Identity", [z.name], [name], {}))
        self.outputs.append(Symbol(self, name, z.shape, z.dtype))

    def elementwise(self, kind: str, *inputs: Any, dtype: Any = None) -> "Symbol":
        return self.node(kind, inputs, np.broadcast_shapes(*map(np.shape, inputs)), dtype)

    def over_columns(self, kind: str, z: "Symbol", axis: int = -1, keepdims: bool = True) -> "Symbol":
        """Add a sum or a maximum over the columns of each row."""
        place = axis % z.ndim
        shape, to = (*z.shape[:place], *(1,) * keepdims, *z.shape[place + 1 :]), {"keepdims": int(keepdims)}
        if kind == "ReduceSum" or self.opset >= 18:
            return self.node(kind, [z, self.constant([axis], np.int64)], shape, **to)
        return self.node(kind, [z], shape, axes=[axis], **to)

    def argmax(self, z: "Symbol") -> "Symbol":
        """Add the index of the largest column of each row, (N,)."""
        return self.node("ArgMax", [z], (1,), np.int64, axis=1, keepdims=0)

    def concatenate(self, blocks: Sequence["Symbol"], axis: int = 1) -> "Symbol":
        shape = np.concatenate([np.zeros(block.shape) for block in blocks], axis).shape
        return self.node("Concat", blocks, shape, blocks[0].dtype, axis=axis)

    def cast(self, z: "Symbol", dtype: Any) -> "Symbol":
        from onnx.helper import np_dtype_to_tensor_dtype

        return self.node("Cast", [z], z.shape, dtype, to=np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def tensors(self) -> list[Any]:
        from onnx import numpy_helper

        return [numpy_helper.from_array(array, name) for name, array in self.constants.items()]


def cannot(what: str) -> FileError:
    """Return the error for a formula with an unsupported operation."""
    instead = "use elementwise functions, matrix products, and slices, sums and means of columns"
    return FileError(f"A formula has {what}, which vecprop cannot export to ONNX: {instead}.")


def _refuse(what: str) -> Callable[..., Any]:
    def refuse(self: "Symbol", *arguments: Any, **named: Any) -> Any:
        raise cannot(what)

    return refuse


def _method(name: str) -> Callable[..., Any]:
    return lambda self, *arguments, **named: getattr(np, name)(self, *arguments, **named)


@dataclass(frozen=True, eq=False)
class Symbol(NDArrayOperatorsMixin):
    """A stand-in for an array during tracing, with any number of rows on the first axis.

    NumPy's functions and operators on symbols add operations to the graph.
    """

    graph: Graph
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    ndim = property(lambda self: len(self.shape))
    real = property(lambda self: self)
    sum, mean, max, min, prod, var, std, clip = map(
        _method, ("sum", "mean", "max", "min", "prod", "var", "std", "clip")
    )
    __array__ = __float__ = __int__ = _refuse("a function that needs the values of an array")
    __bool__ = _refuse("a condition on the values of an array, as in `if`")
    __len__ = __iter__ = _refuse("a loop over the rows of an array")
    __setitem__ = _refuse("an assignment to a part of an array")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(str(cannot(f"an array's `{name}`")))

    def __array_namespace__(self) -> Any:
        return np

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **named: Any) -> Any:
        name, kind = ufunc.__name__, _KINDS.get(ufunc.__name__)
        if method != "__call__" or named or not (kind or name in _COMPOSED):
            raise cannot(f"`{name}`" + ("" if method == "__call__" else f" with `{method}`"))
        if kind in _OF_TRUTHS and not all(map(_is_truth, inputs)):
            raise cannot(f"`{name}` of values that are not Boolean")
        dtype, given = bool if name in _TRUTHS else None, inputs
        if dtype is None:  # arithmetic treats Booleans as numbers
            given = [each.astype(self.graph.dtype) if _is_truth(each) else each for each in inputs]
        result = self.graph.elementwise(kind, *given, dtype=dtype) if kind else _COMPOSED[name](*given)
        if out is None:
            return result
        if not (isinstance(out[0], Symbol) and out[0].shape == result.shape):
            raise cannot(f"`{name}` with `out`")
        vars(out[0]).update(vars(result))
        return out[0]

    def __array_function__(self, function: Any, types: Any, args: Any, named: Any) -> Any:
        name, rule = function.__name__, _FUNCTIONS.get(function)
        if rule is None or not {*named} <= {*inspect.signature(rule).parameters}:
            raise cannot(f"`{name}`" if rule is None else f"`{name}` with {', '.join(named)}")
        return rule(*args, **named)

    def __getitem__(self, key: Any) -> "Symbol":
        """Select columns, or add an axis of length 1."""
        keys, z, axis = list(key) if isinstance(key, tuple) else [key], self, 0
        place = next((place for place, each in enumerate(keys) if each is ...), len(keys))
        whole = self.ndim - sum(each is not None and each is not ... for each in keys)
        for each in (*keys[:place], *[slice(None)] * whole, *keys[place + 1 :]):
            if isinstance(each, slice) and each == slice(None):
                axis += 1
                continue
            if axis == 0:
                raise cannot("an index of the rows")
            before, after = z.shape[:axis], z.shape[axis:]
            if each is None:
                axes = self.graph.constant([axis], np.int64)
                z, axis = self.graph.node("Unsqueeze", [z, axes], (*before, 1, *after), self.dtype), axis + 1
            else:
                numbers = np.arange(after[0])[each]
                given = [z, self.graph.constant(numbers, np.int64)]
                shape = (*before, *numbers.shape, *after[1:])
                z, axis = self.graph.node("Gather", given, shape, self.dtype, axis=axis), axis + numbers.ndim
        return z

    def astype(self, dtype: Any, copy: bool = True) -> "Symbol":
        if np.dtype(dtype).kind != "f":
            raise cannot(f"`astype` to {np.dtype(dtype)}")
        return self.graph.cast(self, self.graph.dtype) if _is_truth(self) else self


def _is_truth(value: Any) -> bool:
    return isinstance(value, Symbol) and value.dtype == bool


def _matmul(a: Any, b: Any) -> Symbol:
    first, second = np.shape(a), np.shape(b)
    if len(first) < 2 or (isinstance(b, Symbol) and b.ndim < 3):
        raise cannot("a sum over the rows by `matmul`")
    shape = (*np.broadcast_shapes(first[:-2], second[:-2]), first[-2], *second[1:][-1:])
    return (a if isinstance(a, Symbol) else b).graph.node("MatMul", [a, b], shape)


def _where(condition: Any, a: Any, b: Any) -> Symbol:
    graph = next(each.graph for each in (condition, a, b) if isinstance(each, Symbol))
    condition = condition if isinstance(condition, Symbol) else graph.constant(condition, bool)
    return graph.elementwise("Where", condition, a, b)


def _expm1(z: Symbol) -> Any:
    """Return exp(z) - 1 accurately, without an ONNX operation (Kahan; Higham, 2002, section 1.14.1)."""
    y = np.exp(z)
    # If y is 1, the result is z. If y is 0 or infinite, its logarithm is infinite, and the result is y - 1.
    difference = y - 1
    plain = np.where(y == 1, z, difference * z / np.log(y))
    return np.where(np.abs(z) < 1, plain, difference)


def _log1p(z: Symbol) -> Any:
    """Return log(1 + z) accurately, without an ONNX operation (Kahan)."""
    y = z + 1
    return np.where(y == 1, z, np.log(y) * z / (y - 1))


_KINDS = {"add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "power": "Pow", "float_power": "Pow"}
_KINDS |= {"absolute": "Abs", "fabs": "Abs", "negative": "Neg", "rint": "Round", "maximum": "Max", "minimum": "Min"}
_KINDS |= {name: name.capitalize() for name in ("exp", "log", "sqrt", "floor", "ceil", "sign")}
_TRIGONOMETRIC = "sin", "cos", "tan", "sinh", "cosh", "tanh"
_KINDS |= {name: name.capitalize() for name in _TRIGONOMETRIC} | {f"arc{name}": f"A{name}" for name in _TRIGONOMETRIC}
_KINDS |= {"reciprocal": "Reciprocal", "expit": "Sigmoid"}
_OF_TRUTHS = ("And", "Or", "Xor", "Not")
_TRUTHS = {"less": "Less", "greater": "Greater", "less_equal": "LessOrEqual", "greater_equal": "GreaterOrEqual"}
_TRUTHS |= {"equal": "Equal", "isnan": "IsNaN", "isinf": "IsInf", "invert": "Not"}
_TRUTHS |= {f"{of}_{kind.lower()}": kind for of in ("logical", "bitwise") for kind in _OF_TRUTHS}
_KINDS |= _TRUTHS
"""ONNX operations by the names of NumPy and SciPy functions."""

_COMPOSED: dict[str, Callable[..., Any]] = {
    "matmul": _matmul,
    "expm1": _expm1,
    "log1p": _log1p,
    "positive": lambda z: z,
    "conjugate": lambda z: z,
    "square": lambda z: z * z,
    "exp2": lambda z: 2**z,
    "log2": lambda z: np.log(z) / np.log(2),
    "log10": lambda z: np.log(z) / np.log(10),
    "logaddexp": lambda a, b: np.maximum(a, b) + np.log1p(np.exp(-np.abs(a - b))),
    "hypot": lambda a, b: np.sqrt(a * a + b * b),
    "floor_divide": lambda a, b: np.floor(a / b),
    "remainder": lambda a, b: a - np.floor(a / b) * b,
    "not_equal": lambda a, b: ~(a == b),
    "isfinite": lambda z: z * 0 == 0,
}


def _reduction(kind: str) -> Callable[..., Symbol]:
    def reduce(z: Symbol, axis: Any = None, *, keepdims: bool = False) -> Symbol:
        if not isinstance(axis, int | np.integer) or axis % z.ndim == 0:
            raise cannot(f"`{kind.removeprefix('Reduce').lower()}` over the rows or several axes")
        return z.graph.over_columns(kind, z * 1 if _is_truth(z) else z, int(axis), keepdims)

    return reduce


def _var(z: Symbol, axis: Any = None, *, keepdims: bool = False) -> Symbol:
    return np.mean((z - np.mean(z, axis=axis, keepdims=True)) ** 2, axis=axis, keepdims=keepdims)


def _clip(z: Any, a_min: Any = None, a_max: Any = None) -> Any:
    z = z if a_min is None else np.maximum(z, a_min)
    return z if a_max is None else np.minimum(z, a_max)


def _concatenate(arrays: Sequence[Any], axis: int = 0) -> Symbol:
    if not all(isinstance(array, Symbol) for array in arrays) or axis % arrays[0].ndim == 0:
        raise cannot("`concatenate` of rows or with constants")
    return arrays[0].graph.concatenate(arrays, axis)


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    **{of: _reduction(f"Reduce{of.__name__.capitalize()}") for of in (np.sum, np.mean, np.max, np.min, np.prod)},
    np.var: _var,
    np.std: lambda z, axis=None, *, keepdims=False: np.sqrt(np.var(z, axis, keepdims=keepdims)),
    np.clip: _clip,
    np.where: _where,
    np.concatenate: _concatenate,
    np.stack: lambda arrays, axis=0: np.concatenate([np.expand_dims(array, axis) for array in arrays], axis),
    np.expand_dims: lambda z, axis: z[(*[slice(None)] * (axis % (z.ndim + 1)), None)],
    np.dot: _matmul,
    np.real: lambda z: z,
    np.ones_like: lambda z: z * 0 + 1,
    np.zeros_like: lambda z: z * 0,
    np.shape: lambda z: z.shape,
    np.ndim: lambda z: z.ndim,
}

"""Tracing: formulas called with symbols record their operations as an ONNX graph.

Therefore each formula is written only once, and custom layers written in NumPy can be
exported too.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from .. import FileError


class Node(NamedTuple):
    """An operation of a graph: its ONNX name, inputs, outputs and attributes."""

    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


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

    def __init__(self, dtype, opset: int = 17, prefix: str = ""):
        self.dtype = dtype
        self.opset = opset
        self.prefix = prefix
        self.nodes: list[Node] = []
        self.inputs: list[TracedArray] = []
        self.outputs: list[TracedArray] = []
        self._constants: dict[Any, TracedArray] = {}
        self._arrays: dict[str, np.ndarray] = {}

    def input(self, name: str, width: int, dtype=None) -> "TracedArray":
        """Add an input to the graph; return its symbol, (N, width)."""
        symbol = self._symbol(name, (1, width), dtype or self.dtype)
        self.inputs.append(symbol)
        return symbol

    def constant(self, value, dtype=None) -> "TracedArray":
        """Return the symbol of a constant, by default in the graph's dtype."""
        array = np.asarray(value, dtype or self.dtype)
        content = (array.dtype, array.shape, array.tobytes())
        if content not in self._constants:
            name = f"{self.prefix}constant_{len(self._constants)}"
            self._constants[content] = self._symbol(name, array.shape, array.dtype)
            self._arrays[name] = array
        return self._constants[content]

    def _symbol(self, name: str, shape: tuple[int, ...], dtype) -> "TracedArray":
        return TracedArray(graph=self, name=name, shape=shape, dtype=np.dtype(dtype))

    def node(
        self,
        kind: str,
        inputs: Sequence[Any],
        shape: tuple[int, ...],
        dtype=None,
        unused: int = 0,
        **attributes,
    ) -> "TracedArray":
        """Add an operation, and return the symbol of its first output.

        ``unused`` is the number of additional outputs, which are ignored. Arrays and
        numbers get the dtype of the first floating-point input, and so does the output
        by default.
        """
        floating = np.dtype(self.dtype)
        for entry in reversed(inputs):
            if isinstance(entry, TracedArray) and entry.dtype.kind == "f":
                floating = entry.dtype
        names = []
        for entry in inputs:
            if not isinstance(entry, TracedArray):
                entry = self.constant(entry, floating)
            names.append(entry.name)
        output = f"{self.prefix}{kind}_{len(self.nodes)}"
        outputs = [output]
        for number in range(unused):
            outputs.append(f"{output}_{number}")
        self.nodes.append(Node(kind, names, outputs, attributes=attributes))
        return self._symbol(output, shape, dtype or floating)

    def output(self, z: "TracedArray", name: str) -> None:
        self.nodes.append(Node("Identity", [z.name], [name], attributes={}))
        self.outputs.append(self._symbol(name, z.shape, z.dtype))

    def elementwise(self, kind: str, *inputs, dtype=None) -> "TracedArray":
        shape = np.broadcast_shapes(*map(np.shape, inputs))
        return self.node(kind, inputs, shape, dtype=dtype)

    def gather(self, z: "TracedArray", indices, shape, axis: int = 0) -> "TracedArray":
        """Add the selection of entries along an axis."""
        inputs = [z, self.constant(indices, np.int64)]
        return self.node("Gather", inputs, shape, dtype=z.dtype, axis=axis)

    def over_columns(
        self, kind: str, z: "TracedArray", axis: int = -1, keepdims: bool = True
    ) -> "TracedArray":
        """Add a sum or a maximum over the columns of each row."""
        shape = np.sum(np.zeros(z.shape), axis, keepdims=keepdims).shape
        inputs: list[Any] = [z]
        options: dict[str, Any] = {"keepdims": int(keepdims)}
        if kind == "ReduceSum" or self.opset >= 18:
            inputs.append(self.constant([axis], np.int64))
        else:
            options["axes"] = [axis]
        return self.node(kind, inputs, shape, **options)

    def argmax(self, z: "TracedArray") -> "TracedArray":
        """Add the index of the largest column of each row, (N,)."""
        return self.node("ArgMax", [z], (1,), dtype=np.int64, axis=1, keepdims=0)

    def concatenate(
        self, blocks: Sequence["TracedArray"], axis: int = 1
    ) -> "TracedArray":
        shape = np.concatenate([np.zeros(block.shape) for block in blocks], axis).shape
        return self.node("Concat", blocks, shape, dtype=blocks[0].dtype, axis=axis)

    def cast(self, z: "TracedArray", dtype) -> "TracedArray":
        from onnx.helper import np_dtype_to_tensor_dtype

        onnx_type = np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.node("Cast", [z], z.shape, dtype=dtype, to=onnx_type)

    def tensors(self) -> list[Any]:
        from onnx.numpy_helper import from_array

        return [from_array(array, name) for name, array in self._arrays.items()]


def cannot(operation: str) -> FileError:
    """Return the error for a formula with an unsupported operation."""
    return FileError(
        f"A formula has {operation}, which vecprop cannot export to ONNX: use"
        " elementwise functions, matrix products, and slices, sums and means of"
        " columns."
    )


def _refused(operation: str) -> Callable[..., Any]:
    def refuse(*arguments, **options):
        raise cannot(operation)

    return refuse


@dataclass(frozen=True, eq=False)
class TracedArray(NDArrayOperatorsMixin):
    """A stand-in for an array in tracing, with any number of rows on the first axis.

    NumPy's functions and operators on symbols add operations to the graph.
    """

    graph: Graph
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    device = "cpu"
    sum = np.sum
    mean = np.mean
    max = np.max
    min = np.min
    prod = np.prod
    var = np.var
    std = np.std
    clip = np.clip
    __array__ = __float__ = __int__ = _refused(
        "a function that needs the values of an array"
    )
    __bool__ = _refused("a condition on the values of an array, as in `if`")
    __len__ = __iter__ = _refused("a loop over the rows of an array")
    __setitem__ = _refused("an assignment to a part of an array")

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def real(self) -> "TracedArray":
        return self

    def __getattr__(self, name: str):
        raise AttributeError(str(cannot(f"an array's `{name}`")))

    def __array_namespace__(self):
        return np

    def __array_ufunc__(self, ufunc, method: str, *inputs, out=None, **options):
        name = ufunc.__name__
        if method != "__call__":
            raise cannot(f"`{name}` with `{method}`")
        if options:
            raise cannot(f"`{name}`")
        result = self._operation(name, inputs)
        if out is None:
            return result
        if not isinstance(out[0], TracedArray) or out[0].shape != result.shape:
            raise cannot(f"`{name}` with `out`")
        vars(out[0]).update(vars(result))
        return out[0]

    def _operation(self, name: str, inputs: Sequence[Any]):
        """Add the operation of a universal function."""
        if name in _LOGICAL:
            kind = _LOGICAL[name]
            if kind in _BOOLEAN and not all(map(_is_boolean, inputs)):
                raise cannot(f"`{name}` of values that are not Boolean")
            return self.graph.elementwise(kind, *inputs, dtype=bool)
        numbers = list(map(_as_number, inputs))
        if name in _ARITHMETIC:
            return self.graph.elementwise(_ARITHMETIC[name], *numbers)
        if name in _COMPOSED:
            return _COMPOSED[name](*numbers)
        raise cannot(f"`{name}`")

    def __array_function__(self, function, types, arguments, options):
        if function not in _FUNCTIONS:
            raise cannot(f"`{function.__name__}`")
        rule = _FUNCTIONS[function]
        if not options.keys() <= inspect.signature(rule).parameters.keys():
            raise cannot(f"`{function.__name__}` with {', '.join(options)}")
        return rule(*arguments, **options)

    def __getitem__(self, key):
        """Select columns, or add an axis of length 1."""
        z = self
        axis = 0  # the axis of the result that the next entry of the key concerns
        for entry in self._completed(key):
            if isinstance(entry, slice) and entry == slice(None):
                axis += 1
            elif axis == 0:
                raise cannot("an index of the rows")
            elif entry is None:
                shape = (*z.shape[:axis], 1, *z.shape[axis:])
                axes = self.graph.constant([axis], np.int64)
                z = self.graph.node("Unsqueeze", [z, axes], shape, dtype=self.dtype)
                axis += 1
            else:
                # an integer removes the axis, and a list or a slice keeps it
                columns = np.arange(z.shape[axis])[entry]
                shape = (*z.shape[:axis], *columns.shape, *z.shape[axis + 1 :])
                z = self.graph.gather(z, columns, shape, axis=axis)
                axis += columns.ndim
        return z

    def _completed(self, key):
        """Return a key as a list, with full slices in place of an ellipsis."""
        entries = list(key) if isinstance(key, tuple) else [key]
        for position, entry in enumerate(entries):
            if entry is ...:
                new_axes = sum(entry is None for entry in entries)
                indexed_axes = len(entries) - 1 - new_axes
                full = [slice(None)] * (self.ndim - indexed_axes)
                return [*entries[:position], *full, *entries[position + 1 :]]
        return entries

    def astype(self, dtype, copy: bool = True) -> "TracedArray":
        if np.dtype(dtype).kind != "f":
            raise cannot(f"`astype` to {np.dtype(dtype)}")
        return _as_number(self)


def _is_boolean(value):
    return isinstance(value, TracedArray) and value.dtype == bool


def _as_number(value):
    """Return a value, with Booleans as 0 and 1, as in NumPy's arithmetic."""
    if _is_boolean(value):
        return value.graph.cast(value, value.graph.dtype)
    return value


def _identity(z):
    return z


def _matmul(a, b) -> TracedArray:
    if np.ndim(a) < 2 or (isinstance(b, TracedArray) and b.ndim < 3):
        raise cannot("a sum over the rows by `matmul`")
    shape = np.matmul(np.zeros(np.shape(a)), np.zeros(np.shape(b))).shape
    graph = a.graph if isinstance(a, TracedArray) else b.graph
    return graph.node("MatMul", [a, b], shape)


def _where(condition, a, b) -> TracedArray:
    symbols = [z for z in (condition, a, b) if isinstance(z, TracedArray)]
    graph = symbols[0].graph
    if not isinstance(condition, TracedArray):
        condition = graph.constant(condition, bool)
    return graph.elementwise("Where", condition, a, b)


def _expm1(z: TracedArray):
    """Return exp(z) - 1 accurately (Kahan; Higham, 2002, section 1.14.1)."""
    y = np.exp(z)
    # If y is 1, the result is z. If y is 0 or infinite, its logarithm is infinite, and
    # the result is y - 1.
    difference = y - 1
    plain = np.where(y == 1, z, difference * z / np.log(y))
    return np.where(np.abs(z) < 1, plain, difference)


def _log1p(z: TracedArray):
    """Return log(1 + z) accurately, without an ONNX operation (Kahan)."""
    y = z + 1
    return np.where(y == 1, z, np.log(y) * z / (y - 1))


def _log_expit(z: TracedArray):
    """Return log(1 / (1 + exp(-z))), without overflow."""
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


_TRIGONOMETRIC = "sin", "cos", "tan", "sinh", "cosh", "tanh"
_ARITHMETIC = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "power": "Pow",
    "float_power": "Pow",
    "absolute": "Abs",
    "fabs": "Abs",
    "negative": "Neg",
    "rint": "Round",
    "maximum": "Max",
    "minimum": "Min",
    "reciprocal": "Reciprocal",
    "expit": "Sigmoid",
    "erf": "Erf",
}
for _name in ("exp", "log", "sqrt", "floor", "ceil", "sign", *_TRIGONOMETRIC):
    _ARITHMETIC[_name] = _name.capitalize()
for _name in _TRIGONOMETRIC:
    _ARITHMETIC[f"arc{_name}"] = f"A{_name}"
"""ONNX operations on numbers, by the names of NumPy and SciPy functions."""

_BOOLEAN = ("And", "Or", "Xor", "Not")
_LOGICAL = {
    "less": "Less",
    "greater": "Greater",
    "less_equal": "LessOrEqual",
    "greater_equal": "GreaterOrEqual",
    "equal": "Equal",
    "isnan": "IsNaN",
    "isinf": "IsInf",
    "invert": "Not",
}
for _kind in _BOOLEAN:
    _LOGICAL[f"logical_{_kind.lower()}"] = _kind
    _LOGICAL[f"bitwise_{_kind.lower()}"] = _kind
"""ONNX operations with Boolean results."""

_COMPOSED: dict[str, Callable[..., Any]] = {
    "matmul": _matmul,
    "expm1": _expm1,
    "log1p": _log1p,
    "positive": _identity,
    "conjugate": _identity,
    "square": lambda z: z * z,
    "exp2": lambda z: 2**z,
    "log2": lambda z: np.log(z) / np.log(2),
    "log10": lambda z: np.log(z) / np.log(10),
    "logaddexp": lambda a, b: np.maximum(a, b) + np.log1p(np.exp(-np.abs(a - b))),
    "log_expit": _log_expit,
    "hypot": lambda a, b: np.sqrt(a * a + b * b),
    "floor_divide": lambda a, b: np.floor(a / b),
    "remainder": lambda a, b: a - np.floor(a / b) * b,
    "not_equal": lambda a, b: ~(a == b),
    "isfinite": lambda z: z * 0 == 0,
}


def _reduction(name: str) -> Callable[..., TracedArray]:
    def reduce(z: TracedArray, axis=None, *, keepdims: bool = False) -> TracedArray:
        if not isinstance(axis, int | np.integer) or axis % z.ndim == 0:
            raise cannot(f"`{name.lower()}` over the rows or several axes")
        numbers = _as_number(z)
        return z.graph.over_columns(
            f"Reduce{name}", numbers, axis=int(axis), keepdims=keepdims
        )

    return reduce


def _var(z: TracedArray, axis=None, *, keepdims: bool = False) -> TracedArray:
    deviations = z - np.mean(z, axis=axis, keepdims=True)
    return np.mean(deviations**2, axis=axis, keepdims=keepdims)


def _std(z: TracedArray, axis=None, *, keepdims: bool = False) -> TracedArray:
    return np.sqrt(np.var(z, axis=axis, keepdims=keepdims))


def _clip(z, a_min=None, a_max=None):
    if a_min is not None:
        z = np.maximum(z, a_min)
    if a_max is not None:
        z = np.minimum(z, a_max)
    return z


def _concatenate(arrays: Sequence[Any], axis: int = 0) -> TracedArray:
    are_symbols = all(isinstance(array, TracedArray) for array in arrays)
    if not are_symbols or axis % arrays[0].ndim == 0:
        raise cannot("`concatenate` of rows or with constants")
    return arrays[0].graph.concatenate(arrays, axis)


def _take(z: TracedArray, indices, axis: int) -> TracedArray:
    columns = [slice(None)] * (axis % z.ndim)
    return z[(*columns, indices)]


def _expand_dims(z, axis: int):
    return z[(*[slice(None)] * (axis % (z.ndim + 1)), None)]


def _stack(arrays, axis: int = 0):
    return np.concatenate([_expand_dims(array, axis) for array in arrays], axis)


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: _reduction("Sum"),
    np.mean: _reduction("Mean"),
    np.max: _reduction("Max"),
    np.min: _reduction("Min"),
    np.prod: _reduction("Prod"),
    np.var: _var,
    np.std: _std,
    np.clip: _clip,
    np.where: _where,
    np.concatenate: _concatenate,
    np.stack: _stack,
    np.take: _take,
    np.expand_dims: _expand_dims,
    np.dot: _matmul,
    np.real: _identity,
    np.ones_like: lambda z: z * 0 + 1,
    np.zeros_like: lambda z: z * 0,
    np.shape: lambda z: z.shape,
    np.ndim: lambda z: z.ndim,
}

"""C functions that call the Python formulas of custom layers, losses and penalties from compiled loops.

A formula sees the rows of a tile as an array. The arrays share memory with the tile, so
that nothing is copied between the engines. The functions hold the GIL while a formula
runs.
"""

import ctypes
import threading
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy import ndarray

from ...core import RandomKey
from ...core.layers import fill
from ..jit.fit_record import OFFSETS

WORD = ctypes.c_int64
_FORWARD = ctypes.CFUNCTYPE(None, *[WORD] * 14)
_BACKWARD = ctypes.CFUNCTYPE(None, *[WORD] * 9)
_LOSS = ctypes.CFUNCTYPE(ctypes.c_double, *[WORD] * 9)
_LINK = ctypes.CFUNCTYPE(None, *[WORD] * 6)
_PENALIZE = ctypes.CFUNCTYPE(ctypes.c_double, *[WORD] * 3, ctypes.c_double, WORD)
"""The types of the functions; see `calls`. C functions may omit the last arguments."""


class _Call(threading.local):
    """The kernel call of this thread: its arrays, what layers saved, and the exception that ends it."""

    stop: Callable[[], object] | None = None
    error: BaseException | None = None

    def begin(self, stop: Callable[[], object] | None):
        """Start a kernel call, which stop() ends."""
        self.stop = stop
        self.error = None
        self.arrays: dict[Any, Any] = {}
        self.saved: dict[int, Any] = {}

    def array(self, address: int, dtype, *shape: int) -> ndarray:
        """Return the array at an address; a call uses the same addresses again and again."""
        key = (address, *shape)
        array = self.arrays.get(key)
        if array is None:
            size = prod(shape) * dtype.itemsize
            memory = (ctypes.c_char * size).from_address(address)
            array = self.arrays[key] = np.ndarray(shape, dtype, memory)
        return array


_call = _Call()


def run_with_callbacks(
    kernel: Callable, stop: Callable[[], object] | None, *arguments
) -> Any:
    """Return kernel(*arguments), or raise the first exception of a formula after the kernel has ended."""
    _call.begin(stop)
    try:
        with np.errstate(all="ignore"):
            result = kernel(*arguments)
        if _call.error is not None:
            raise _call.error
        return result
    finally:
        _call.begin(None)


def _guarded(function: Callable, result: Any = None) -> Callable:
    """Return a function for compiled code, which cannot receive exceptions: the first one stops the kernels.

    After an exception, the function only returns.
    """

    def call(*arguments):
        if _call.error is not None:
            return result
        try:
            return function(*arguments)
        except BaseException as error:
            _call.error = error
            if _call.stop is not None:
                _call.stop()
            return result

    return call


class CalledLayer:
    """The C functions of a layer with this number of inputs, for one floating-point type."""

    def __init__(self, layer, inputs: int, F: type):
        self.layer = layer
        self.is_random = getattr(layer, "random", False)
        self.dtype = np.dtype(F)
        shapes, _ = layer.parameters(inputs)
        self.shapes = {name: tuple(map(int, shape)) for name, shape in shapes.items()}
        self.size = sum(map(prod, self.shapes.values()))
        self.forward = _FORWARD(_guarded(self._forward))
        self.backward = _BACKWARD(_guarded(self._backward))

    def _views(self, address: int) -> dict[str, ndarray]:
        """Return the parameters, or their gradient, by name."""
        views = _call.arrays.get((address, self))
        if views is None:
            views = self._views_of(_call.array(address, self.dtype, self.size))
            _call.arrays[address, self] = views
        return views

    def _views_of(self, vector: ndarray) -> dict[str, ndarray]:
        views = {}
        start = 0
        for name, shape in self.shapes.items():
            end = start + prod(shape)
            views[name] = vector[start:end].reshape(shape)
            start = end
        return views

    def _forward(self, I, O, rows, p, x, y, *arguments):
        *_, numbers, seed, step, number = arguments
        noise = None
        if self.is_random and step >= 0:
            indices = _call.array(numbers, np.dtype(np.int64), rows).copy()
            noise = RandomKey(seed, step, indices, layer=number)
        X = _call.array(x, self.dtype, I, rows)
        Y, saved = self.layer.forward(self._views(p), X.T, noise)
        _call.array(y, self.dtype, O, rows)[...] = Y.T
        _call.saved[y] = saved

    def _backward(self, I, O, rows, p, x, delta, J, add, y):
        gradient = _call.array(J, self.dtype, self.size)
        earlier = gradient.copy() if add else 0
        gradient[...] = 0
        D = _call.array(delta, self.dtype, O, rows)
        D = self.layer.backward(self._views(p), _call.saved.pop(y), D.T, self._views(J))
        _call.array(delta, self.dtype, I, rows)[...] = D.T
        if add:
            gradient += earlier


class CalledLoss:
    """The C functions of a loss, for one floating-point type."""

    def __init__(self, loss, F: type):
        self.loss = loss
        self.dtype = np.dtype(F)
        self.value = _LOSS(_guarded(self._value, 0.0))
        self.link = _LINK(_guarded(self._link))

    def _value(self, rows, outputs, unpadded, z, t, weight, delta, losses, h) -> float:
        Z = _call.array(z, self.dtype, outputs, rows).T
        T = targets(self.loss, _call.array(t, self.dtype, outputs, rows).T)
        weights = _call.array(weight, self.dtype, rows)
        row_losses = _call.array(losses, self.dtype, rows)
        deltas = _call.array(delta, self.dtype, outputs, rows)
        row_losses[...] = self.loss.value(Z, T)
        deltas[...] = weights * self.loss.delta(Z, T).T
        return float((weights * row_losses)[:unpadded].sum(dtype=float))

    def _link(self, outputs, O, rows, p, z, y):
        Z = _call.array(z, self.dtype, outputs, rows)
        Y = _call.array(y, self.dtype, outputs, rows)
        Y[...] = self.loss.predict(Z.T).T


def targets(loss, T: ndarray) -> ndarray:
    """Return the targets of a tile, (N, O): integer classes if the loss takes classes and each row is one of them."""
    if not getattr(loss, "takes_classes", False):
        return T
    is_one = T == 1
    if (is_one.sum(axis=1) == 1).all() & (np.count_nonzero(T) == len(T)):
        return is_one.argmax(axis=1)
    return T


class CalledPenalties:
    """The C function of all penalties of a network, for one floating-point type.

    Each penalized matrix is a single block of parameters.
    """

    def __init__(self, network, F: type):
        self.network = network
        self.dtype = np.dtype(F)
        self.shapes = {}
        self.spans = []
        for tensor in network.layout.tensors:
            if tensor.penalized:
                self.shapes[tensor.start] = tensor.shape
                self.spans.append((tensor.start, tensor.start + tensor.size))
        self.penalize = _PENALIZE(_guarded(self._penalize, 0.0))

    def _penalize(self, fit, low, high, scale, gradient) -> float:
        if low not in self.shapes:
            return 0.0
        shape = self.shapes[low]
        theta = WORD.from_address(fit + 8 * OFFSETS["theta"]).value
        start = low * self.dtype.itemsize
        W = _call.array(theta + start, self.dtype, *shape)
        total = 0.0
        for penalty in self.network.penalties:
            factor = scale if getattr(penalty, "averaged", False) else 1.0
            if gradient:
                J_W = _call.array(gradient + start, self.dtype, *shape)
                J_W += self.dtype.type(factor) * penalty.gradient(W)
            else:
                total += factor * float(penalty.value(W))
        return total


def address(function) -> int:
    """Return the address of a C function."""
    return ctypes.cast(function, ctypes.c_void_p).value or 0


ROWS = 5
"""The number of rows in the comparison of formulas."""

FEW = slice(1, 3)
"""The rows whose results must not depend on the others."""


def layer_mixes_rows(layer, inputs: int) -> bool:
    """Return whether the outputs or gradients of rows depend on other rows.

    Compiled loops pass only the rows of a tile.
    """
    shapes, outputs = layer.parameters(inputs)
    generator = np.random.default_rng(0)
    X = generator.normal(size=(ROWS, inputs))
    delta = generator.normal(size=(ROWS, outputs))
    p = {name: np.zeros(tuple(shape)) for name, shape in shapes.items()}
    getattr(layer, "init", fill)(p, generator)

    def results(rows: slice) -> list[ndarray]:
        indices = np.arange(ROWS)[rows]
        J = {name: np.zeros_like(values) for name, values in p.items()}
        noise = RandomKey(0, 0, indices) if getattr(layer, "random", False) else None
        Y, saved = layer.forward(p, X[rows], noise)
        return [Y, layer.backward(p, saved, delta[rows], J)]

    return _differ(results)


def loss_mixes_rows(loss, outputs: int) -> bool:
    """Return whether the losses or gradients of rows depend on other rows."""
    generator = np.random.default_rng(0)
    Z = generator.normal(size=(ROWS, outputs))
    T = np.eye(outputs)[generator.integers(outputs, size=ROWS)]

    def results(rows: slice) -> list[ndarray]:
        classes = targets(loss, T[rows])
        return [loss.value(Z[rows], classes), loss.delta(Z[rows], classes)]

    return _differ(results)


def _differ(results: Callable[[slice], list[ndarray]]) -> bool:
    """Return whether results of some rows differ from these rows in the results of all rows."""
    try:
        with np.errstate(all="ignore"):
            together = results(slice(None))
            separate = results(FEW)
    except Exception:  # the formula does not accept these numbers
        return False
    for all_rows, few_rows in zip(together, separate, strict=True):
        if not np.allclose(all_rows[FEW], few_rows, rtol=1e-9, equal_nan=True):
            return True
    return False

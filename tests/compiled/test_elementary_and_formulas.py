"""Compiled elementary functions are accurate, and compiled formulas equal those of core and optimize."""

import ast
import ctypes
import gc
import inspect
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, make_dataclass
from functools import wraps
from tokenize import TokenError
from typing import Any, ClassVar

import numpy as np
import pytest
from numba import njit
from scipy.special import expit

import registry
import vecprop as vp
from sampled import sampled
from vecprop.compiled.lower import formulas
from vecprop.compiled.lower.formulas import compiled_method, hyperparameters
from vecprop.compiled.lower.loops import update_address
from vecprop.compiled.lower.scalar_functions import COMPILED, OWN
from vecprop.core import elementary
from vecprop.core.elementary import clip, tanh, where

TYPES = [np.float32, np.float64]
TYPES_OF_PARTS = sampled([np.float64, np.float32])
RANGES = {
    "exp": np.linspace(-80, 80, 5001),
    "expm1": np.concatenate(
        [np.linspace(-80, 80, 5001), np.linspace(-1e-3, 1e-3, 1001)]
    ),
    "log": np.exp(np.linspace(-80, 80, 5001)),
    "log1p": np.concatenate(
        [np.linspace(0, 1, 5001), np.exp(np.linspace(-60, 60, 1001))]
    ),
    "tanh": np.concatenate(
        [np.linspace(-20, 20, 5001), np.linspace(-1e-3, 1e-3, 1001)]
    ),
    "logistic": np.concatenate(
        [np.linspace(-80, 80, 5001), np.linspace(-1e-3, 1e-3, 1001)]
    ),
}
FUNCTIONS = {function.__name__: function for function in OWN}
EXACT = {name: expit if name == "logistic" else getattr(np, name) for name in FUNCTIONS}


def applied(function, F):
    @njit(error_model="numpy")
    def apply(z, y):
        for i in range(z.size):
            y[i] = function(z[i])

    def on(z):
        y = np.empty(len(z), F)
        apply(np.asarray(z, F), y)
        return y

    return on


@pytest.mark.parametrize("F", TYPES_OF_PARTS)
@pytest.mark.parametrize("name", RANGES)
def test_functions_are_accurate_and_handle_special_numbers(name, F):
    z, found = RANGES[name].astype(F), applied(COMPILED[F][FUNCTIONS[name]], F)
    exact = EXACT[name](z.astype(np.longdouble))
    error = np.abs(found(z) - exact)
    assert (error <= 2 * np.finfo(F).eps * np.abs(exact)).all()
    special = np.array([np.nan, np.inf, -np.inf, 0, -1e30, 1e30, 709.7, 88.7], F)
    with np.errstate(all="ignore"):
        expected = EXACT[name](special)
    np.testing.assert_allclose(found(special), expected, rtol=1e-5)


@pytest.mark.parametrize("F", TYPES)
def test_clip_keeps_nan(F):
    low, high = F(-1), F(2)
    own = COMPILED[F][elementary.clip]
    clipped = applied(njit(lambda z: own(z, low, high)), F)
    np.testing.assert_array_equal(
        clipped([np.nan, -np.inf, -1, 0.5, 2, np.inf]), [np.nan, -1, -1, 0.5, 2, 2]
    )


def called_with_two(formula):
    """Return a function that calls a formula of two numbers; formulas can only be called from compiled code."""
    return njit(lambda h, a, b: formula(h, a, b))


def compare(cls_or_part, method, F, *arrays):
    """Return the results of the compiled formula and of the formula on the same arrays."""
    formula, h = (
        compiled_method(type(cls_or_part), method, F),
        hyperparameters(cls_or_part),
    )
    called = (
        njit(lambda h, a: formula(h, a))
        if len(arrays) == 1
        else called_with_two(formula)
    )
    found = np.array(
        [called(h, *(array[i] for array in arrays)) for i in range(len(arrays[0]))]
    )
    results = {str(signature.return_type) for signature in called.nopython_signatures}
    assert results == {F.__name__}, (
        f"{method} of {cls_or_part} is computed in {results}"
    )
    return found, getattr(cls_or_part, method)(*arrays)


@pytest.mark.long
@pytest.mark.parametrize("F", TYPES)
@pytest.mark.parametrize("activation", registry.ACTIVATIONS, ids=registry.name)
def test_activations(activation, F):
    z = np.concatenate(
        [4 * np.random.default_rng(0).normal(size=40), [0.0, 100.0, -100.0]]
    ).astype(F)
    y = activation.value(z)
    for found, expected in [
        compare(activation, "value", F, z),
        compare(activation, "derivative", F, z, y),
    ]:
        np.testing.assert_allclose(
            found, expected, rtol=8 * np.finfo(F).eps, atol=8 * np.finfo(F).eps
        )


@pytest.mark.long
@pytest.mark.parametrize("F", TYPES)
@pytest.mark.parametrize(
    "loss", registry.LOSSES[len(registry.CLASS_LOSSES) :], ids=registry.name
)
def test_losses(loss, F):
    rng = np.random.default_rng(0)
    z, t = 2 * rng.normal(size=40).astype(F), registry.targets(loss, rng, 40).astype(F)
    for found, expected in [
        compare(loss, "element", F, z, t),
        compare(loss, "delta", F, z, t),
    ]:
        np.testing.assert_allclose(
            found, expected, rtol=16 * np.finfo(F).eps, atol=16 * np.finfo(F).eps
        )


@pytest.mark.parametrize("F", TYPES_OF_PARTS)
@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS, ids=registry.name)
@pytest.mark.parametrize(("n", "t"), [(1, 1), (15, 2), (16, 1000), (1003, 1)])
def test_loops_over_optimizers(optimizer, F, n, t):
    """Adam does not move by gradients whose squares are infinite, and numbers that are not finite show.

    Python's numbers stay double: 1 - β₂ᵗ in single precision would lose four digits in
    the first steps.
    """
    rng = np.random.default_rng(n)
    theta, largest = rng.normal(size=n).astype(F), np.finfo(F).max
    J = (rng.normal(size=n) * 10 ** rng.uniform(-20, 10, n)).astype(F)
    J[: n // 3] = rng.choice([0, largest / 4, -largest / 4, np.inf, np.nan], n // 3)
    moments, moved, h = np.zeros((2, n), F), np.zeros(n, F), hyperparameters(optimizer)
    with np.errstate(all="ignore"):
        expected, *then = optimizer.update(
            theta, J, 0.01, t, *moments[: len(optimizer.moments)].copy()
        )
    found = theta.copy()
    numbers = [array.ctypes.data for array in (found, J, *moments, moved, h)]
    update = ctypes.CFUNCTYPE(
        ctypes.c_double, ctypes.c_int64, *[ctypes.c_double] * 2, *[ctypes.c_int64] * 6
    )
    square = update(update_address(optimizer, F))(n, 0.01, t, *numbers)
    eps, smallest = np.finfo(F).eps, np.finfo(F).smallest_normal
    np.testing.assert_allclose(found, expected, rtol=4 * eps, atol=4 * eps)
    for moment, after in zip(moments, then, strict=False):
        np.testing.assert_allclose(moment, after, rtol=4 * eps, atol=smallest)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(moved, theta - found)
        np.testing.assert_allclose(square, moved @ moved, rtol=n * eps)


def test_the_formulas_of_core_are_compiled(monkeypatch):
    """Kernels are compiled from the source of core, so a changed formula changes the kernel."""
    y = np.array([0.1, 0.25, 0.75])
    compiled = called_with_two(compiled_method(vp.Logistic, "derivative", np.float64))
    np.testing.assert_array_equal([compiled((), 0.0, y_i) for y_i in y], y * (1 - y))
    source = inspect.getsource(vp.Logistic.derivative)
    changed = textwrap.dedent(source).replace("y * (1 - y)", "y * (1 - y) - 1")
    assert changed != textwrap.dedent(source)
    monkeypatch.setattr(
        formulas, "definition_of", lambda function: ast.parse(changed).body[0]
    )
    compiled = called_with_two(
        formulas._compiled.__wrapped__(
            vp.Logistic.derivative, vp.Logistic, vp.Logistic, np.float64, True, True
        )
    )
    np.testing.assert_array_equal(
        [compiled((), 0.0, y_i) for y_i in y], y * (1 - y) - 1
    )


def scaled(z, k: Any = 2.0, *, shift: float = 0):
    return k * z + shift


class OwnFormula(vp.extend.Activation):
    """An activation whose derivative is not used."""

    def derivative(self, z, y):
        return y


@dataclass(frozen=True)
class ByName(OwnFormula):
    factor: float = 3.0

    def value(self, z):
        return tanh(scaled(z, k=self.factor)) + clip(z, high=1.0, low=-1)


@dataclass(frozen=True)
class ByDefault(OwnFormula):
    def value(self, z):
        return scaled(scaled(z), shift=1)


@dataclass(frozen=True)
class ByMethod(OwnFormula):
    factor: float = 0.1

    def value(self, z):
        return self.times(k=self.factor, z=z) + self.times(z, 3) - 1.5

    def times(self, z, k):
        return k * z


@dataclass(frozen=True)
class OfTime(OwnFormula):
    """It calls a helper whose argument is called t, as an optimizer's step is, but is an array."""

    def value(self, z):
        return of_time(z / 3)


def of_time(t):
    return t * 0.1 + t * t


@pytest.mark.parametrize("F", TYPES_OF_PARTS)
@pytest.mark.parametrize(
    "activation",
    [ByName(), ByName(0.5), ByDefault(), ByMethod(), OfTime()],
    ids=registry.name,
)
def test_arguments_passed_by_name_or_by_default(activation, F):
    found, expected = compare(activation, "value", F, np.linspace(-2, 2, 9).astype(F))
    np.testing.assert_allclose(
        found, expected, rtol=8 * np.finfo(F).eps, atol=8 * np.finfo(F).eps
    )


SWITCH = True


def doubled(formula):
    return wraps(formula)(lambda *arguments: 2 * formula(*arguments))


@dataclass(frozen=True)
class Odd(OwnFormula):
    alpha: float = 1.0
    limit: ClassVar[float] = 2.0

    def an_if(self, z):
        if z > 0:
            return z
        return -z

    def an_expression_with_if(self, z):
        return z if z > 0 else -z

    def a_loop(self, z):
        for _ in range(3):
            z = z * z
        return z

    def an_added_assignment(self, z):
        z += 1
        return z

    def an_annotated_assignment(self, z):
        y: float = z
        return y

    def an_index(self, z):
        return z[0]

    def a_chain(self, z):
        return where(0 < z < 1, z, 0)

    def a_rest(self, z):
        return z % 2

    def a_sign(self, z):
        return +z

    def a_switch(self, z):
        return where(SWITCH, z, -z)

    def a_truth(self, z):
        return where(True, z, -z)

    def a_conjunction(self, z):
        return where(z > 0 and z < 1, z, 0)

    def a_class_variable(self, z):
        return z * self.limit

    def an_attribute_of_another(self, z):
        return z.alpha

    def a_function_elsewhere(self, z):
        return np.cumsum(z)

    def a_builtin(self, z):
        return max(z, 0)

    def a_function_of_numbers(self, z):
        return z * scaled(self.alpha)

    def a_method_of_numbers(self, z):
        return z * self.itself(self.alpha)

    def itself(self, z):
        return z

    def stars(self, z):
        return scaled(*(z, 2.0))

    def two_stars(self, z):
        return scaled(z, **{"k": 2.0})

    def an_unknown_name(self, z):
        return scaled(z, factor=2.0)  # pyright: ignore[reportCallIssue]

    def a_text(self, z):
        return scaled(z, k="two")

    def a_tuple_of_a_tuple(self, z):
        a, (b, c) = (z, (z, z))
        return a + b + c

    def a_lambda(self, z):
        return (lambda x: x)(z)

    @doubled
    def a_decorator(self, z):
        return z

    @staticmethod
    def a_static_method(z):
        return z


ODD = [
    name
    for name in vars(Odd)
    if name.startswith(("a_", "an_")) or name.endswith("stars")
]


@pytest.mark.parametrize("method", ODD)
def test_unknown_syntax_is_refused(method):
    """It is not compiled to something else silently."""
    with pytest.raises(
        ValueError, match=rf"The formula \S*{method} cannot be compiled: `.+` .+\.$"
    ):
        compiled_method(Odd, method, np.float64)


def test_too_many_hyperparameters_are_refused():
    numbers: list[Any] = [(name, float, 1.0) for name in "abcdefghi"]
    many = make_dataclass("TooMany", numbers, bases=(ByDefault,), frozen=True)
    with pytest.raises(
        ValueError, match="TooMany has 9 hyperparameters, but kernels support at most 8"
    ):
        hyperparameters(many())


@dataclass(frozen=True)
class Divides(vp.extend.Optimizer):
    """Divide by numbers that may be 0, for which an estimate of 1 / b would be NaN."""

    learning_rate: float = 0.1

    def update(self, theta, J, rate, t, *moments):
        return (theta - rate * (theta / J),)


@pytest.mark.parametrize("F", sampled(TYPES))
def test_only_divisions_by_nonzero_numbers_are_approximated(F):
    theta, J = np.linspace(1, 3, 40).astype(F), np.zeros(40, F)
    moved, zero, h = np.zeros(40, F), np.zeros(40, F), hyperparameters(Divides())
    numbers = [array.ctypes.data for array in (theta, J, zero, zero, moved, h)]
    update = ctypes.CFUNCTYPE(
        ctypes.c_double, ctypes.c_int64, *[ctypes.c_double] * 2, *[ctypes.c_int64] * 6
    )
    update(update_address(Divides(), F))(40, 0.1, 1, *numbers)
    np.testing.assert_array_equal(theta, np.full(40, -np.inf))


def test_a_function_is_found_by_name_if_its_lines_cannot_be_tokenized(monkeypatch):
    """Since Python 3.13, text that cannot be tokenized raises TokenError."""

    def unreadable(function):
        raise TokenError("unexpected EOF in multi-line statement", (1, 0))

    monkeypatch.setattr(inspect, "getsource", unreadable)
    assert formulas.definition_of(vp.GELU.derivative).name == "derivative"


@pytest.mark.long
def test_formulas_are_read_in_threads_during_garbage_collection():
    """CPython 3.11.7 raises SystemError if finalizers let another thread read a syntax tree."""

    class Garbage:
        def __init__(self):
            self.cycle = self

        def __del__(self):
            time.sleep(1e-5)

    def read(_):
        for _ in range(40):
            Garbage()
            for function in (vp.GELU.derivative, vp.Adam.update, vp.LayerNorm.forward):
                formulas.definition_of(function)

    thresholds = gc.get_threshold()
    gc.set_threshold(50, 1, 1)
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(read, range(4)))
    finally:
        gc.set_threshold(*thresholds)

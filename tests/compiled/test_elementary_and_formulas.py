"""The compiled elementary functions are accurate, and compiled formulas are the formulas of core and optimize."""

import ctypes
import inspect

import numpy as np
import pytest
from numba import njit
from scipy.special import expit

import registry
import vecprop as vp
from vecprop.compiled.lower.elementary import OWN
from vecprop.compiled.lower.formulas import compiled_method, hyperparameters
from vecprop.compiled.lower.loops import update_address
from vecprop.core import elementary

TYPES = [np.float32, np.float64]
RANGES = {
    "exp": np.linspace(-80, 80, 5001),
    "expm1": np.concatenate([np.linspace(-80, 80, 5001), np.linspace(-1e-3, 1e-3, 1001)]),
    "log": np.exp(np.linspace(-80, 80, 5001)),
    "log1p": np.concatenate([np.linspace(0, 1, 5001), np.exp(np.linspace(-60, 60, 1001))]),
    "tanh": np.concatenate([np.linspace(-20, 20, 5001), np.linspace(-1e-3, 1e-3, 1001)]),
    "logistic": np.concatenate([np.linspace(-80, 80, 5001), np.linspace(-1e-3, 1e-3, 1001)]),
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


@pytest.mark.parametrize("F", TYPES)
@pytest.mark.parametrize("name", RANGES)
def test_accurate_to_two_units_in_the_last_place(name, F):
    z = RANGES[name].astype(F)
    exact = EXACT[name](z.astype(np.longdouble))
    error = np.abs(applied(FUNCTIONS[name], F)(z) - exact)
    assert (error <= 2 * np.finfo(F).eps * np.abs(exact)).all()


@pytest.mark.parametrize("F", TYPES)
@pytest.mark.parametrize("name", RANGES)
def test_special_numbers(name, F):
    z = np.array([np.nan, np.inf, -np.inf, 0, -1e30, 1e30, 709.7, 88.7], F)
    with np.errstate(all="ignore"):
        expected = EXACT[name](z)
    np.testing.assert_allclose(applied(FUNCTIONS[name], F)(z), expected, rtol=1e-5)


@pytest.mark.parametrize("F", TYPES)
def test_clip_keeps_nan(F):
    low, high = F(-1), F(2)
    clipped = applied(njit(lambda z: elementary.clip(z, low, high)), F)
    np.testing.assert_array_equal(clipped([np.nan, -np.inf, -1, 0.5, 2, np.inf]), [np.nan, -1, -1, 0.5, 2, 2])


def compare(cls_or_part, method, F, *arrays):
    """Return the compiled formula's results and the formula's own on the same arrays."""
    formula, h = compiled_method(type(cls_or_part), method, F), hyperparameters(cls_or_part)
    found = np.array([formula(h, *(array[i] for array in arrays)) for i in range(len(arrays[0]))])
    result = formula.nopython_signatures[0].return_type
    assert str(result) == F.__name__, f"{method} of {cls_or_part} is computed in {result}"
    return found, getattr(cls_or_part, method)(*arrays)


@pytest.mark.parametrize("F", TYPES)
@pytest.mark.parametrize("activation", registry.ACTIVATIONS, ids=registry.name)
def test_activations(activation, F):
    z = np.concatenate([4 * np.random.default_rng(0).normal(size=40), [0.0, 100.0, -100.0]]).astype(F)
    y = activation.value(z)
    for found, expected in [compare(activation, "value", F, z), compare(activation, "slope", F, z, y)]:
        np.testing.assert_allclose(found, expected, rtol=8 * np.finfo(F).eps, atol=8 * np.finfo(F).eps)


@pytest.mark.parametrize("F", TYPES)
@pytest.mark.parametrize("loss", registry.LOSSES[len(registry.CLASS_LOSSES) :], ids=registry.name)
def test_losses(loss, F):
    rng = np.random.default_rng(0)
    z, t = 2 * rng.normal(size=40).astype(F), registry.targets(loss, rng, 40).astype(F)
    for found, expected in [compare(loss, "element", F, z, t), compare(loss, "delta", F, z, t)]:
        np.testing.assert_allclose(found, expected, rtol=16 * np.finfo(F).eps, atol=16 * np.finfo(F).eps)


@pytest.mark.parametrize("F", TYPES)
@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS, ids=registry.name)
def test_optimizers_in_their_first_steps(optimizer, F):
    """Python's numbers stay double: 1 - β₂ᵗ in single precision would lose four digits in the first steps."""
    rng = np.random.default_rng(0)
    theta, J, *moments = np.abs(rng.normal(size=(2 + len(optimizer.moments), 30))).astype(F)
    formula, h = compiled_method(type(optimizer), "update", F), hyperparameters(optimizer)
    for t in (1, 2, 1000):
        expected = optimizer.update(theta, J, 0.05, t, *moments)
        found = [formula(h, theta[i], J[i], 0.05, t, *(m[i] for m in moments)) for i in range(30)]
        np.testing.assert_allclose(np.transpose(found), expected, rtol=100 * np.finfo(F).eps)


@pytest.mark.parametrize("F", TYPES)
@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS, ids=registry.name)
@pytest.mark.parametrize("n", [1, 15, 16, 1003])
def test_loops_over_optimizers(optimizer, F, n):
    """Numbers whose squares are infinite do not move by Adam, and what is not finite shows."""
    rng = np.random.default_rng(n)
    theta, largest = rng.normal(size=n).astype(F), np.finfo(F).max
    J = (rng.normal(size=n) * 10 ** rng.uniform(-20, 10, n)).astype(F)
    J[: n // 3] = rng.choice([0, largest / 4, -largest / 4, np.inf, np.nan], n // 3)
    moments, moved, h = np.zeros((2, n), F), np.zeros(n, F), hyperparameters(optimizer)
    with np.errstate(all="ignore"):
        expected, *then = optimizer.update(theta, J, 0.01, 1, *moments[: len(optimizer.moments)].copy())
    found = theta.copy()
    numbers = [array.ctypes.data for array in (found, J, *moments, moved, h)]
    update = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64, *[ctypes.c_double] * 2, *[ctypes.c_int64] * 6)
    square = update(update_address(optimizer, F))(n, 0.01, 1, *numbers)
    eps, smallest = np.finfo(F).eps, np.finfo(F).smallest_normal
    np.testing.assert_allclose(found, expected, rtol=4 * eps, atol=4 * eps)
    for moment, after in zip(moments, then, strict=False):
        np.testing.assert_allclose(moment, after, rtol=4 * eps, atol=smallest)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(moved, theta - found)
        np.testing.assert_allclose(square, moved @ moved, rtol=n * eps)


def test_the_library_s_own_formulas_are_what_is_compiled():
    """The compiled code comes from the source of core: a changed formula is a changed kernel."""
    source = inspect.getsource(vp.Logistic.slope)
    assert "y * (1 - y)" in source
    formula = compiled_method(vp.Logistic, "slope", np.float64)
    assert formula.py_func.__code__.co_filename == inspect.getsourcefile(vp.Logistic)

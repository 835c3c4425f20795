"""Tangents, rounding errors and finite differences, the arithmetic of gradient checks."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from random_networks import PLACES, case
from vecprop import L1, L2, Dense, Network, ReLU, SquaredError, Tanh
from vecprop.check.arithmetic.rounding import noise_along
from vecprop.check.arithmetic.running_error import Arithmetic, Bounded
from vecprop.check.arithmetic.steps import complex_step, ridders
from vecprop.check.arithmetic.tangents import Tangent, Ties
from vecprop.check.derivatives import is_independent_of
from vecprop.check.points.function import checked_function
from vecprop.check.points.network import NetworkPoint
from vecprop.check.points.parameters import Directions

rng = np.random.default_rng(0)
relu = ReLU().value


def point(network, theta, X, T, weight=None, noise=None):
    batch = network._batch(theta, X, T, weight)
    return NetworkPoint(network, theta, batch, noise, (), np.float64)


SEEDS = [seed for seed in range(60) if PLACES[seed % len(PLACES)] != "exact kink"]


@pytest.mark.parametrize(
    "seed",
    [
        seed if seed < len(PLACES) else pytest.param(seed, marks=pytest.mark.long)
        for seed in SEEDS
    ],
)
def test_tangents_equal_complex_steps(seed):
    """The cases contain every layer, activation, loss and penalty, without ties."""
    one = case(seed)
    at = point(
        one.network, one.theta.astype(float), one.X, one.T, one.weight, one.noise
    )
    moves = [Directions(part, rng.standard_normal((2, part.size))) for part in at.parts]
    with np.errstate(all="ignore"):
        found = np.split(at._summands(moves, Tangent).sum(axis=1), len(moves))
        expected = [
            complex_step(partial(at.values_after, part), U)[:, 0] for part, U in moves
        ]
    margin = 1e-13 * np.abs(at.reference_gradient[0]) + 100 * at.bound.gradient[0]
    for (part, U), a, b in zip(moves, found, expected, strict=True):
        assert (np.abs(a - b) <= np.abs(U) @ margin[part.span] + 1e-280).all()


def test_layers_without_tangents_use_the_complex_step():
    class Opaque(Tanh):
        def value(self, z):
            if isinstance(z, Tangent):
                raise TypeError("not a plain array")
            return np.tanh(z)

    X, T = rng.standard_normal((5, 2)), rng.standard_normal((5, 1))
    networks = [
        Network(2, [Dense(3), layer, Dense(1)], SquaredError())
        for layer in (Opaque(), Tanh())
    ]
    opaque, plain = (point(network, network.init(0), X, T) for network in networks)
    moves = [
        Directions(part, rng.standard_normal((3, part.size))) for part in plain.parts
    ]
    (stepped, maybe_tied), (followed, tied) = (
        opaque.derivatives(moves),
        plain.derivatives(moves),
    )
    np.testing.assert_allclose(stepped, followed, rtol=1e-12)
    assert (maybe_tied, tied) == (True, False)


class Renamed(Dense):
    """A dense layer with other parameter names."""

    def parameters(self, inputs):
        shapes, width = super().parameters(inputs)
        return {"V": shapes["W"], "W": shapes["b"]}, width

    def forward(self, p, X, noise=None):
        return super().forward({"W": p["V"], "b": p["W"]}, X)

    def backward(self, p, saved, delta, J):
        return super().backward(
            {"W": p["V"], "b": p["W"]}, saved, delta, {"W": J["V"], "b": J["W"]}
        )


def test_penalties_do_not_depend_on_parameter_names():
    X, T = rng.standard_normal((5, 2)), rng.standard_normal((5, 1))
    layers = [[cls(3), Tanh(), cls(1)] for cls in (Renamed, Dense)]
    renamed, plain = (
        Network(2, each, SquaredError(), [L2(0.3), L1(0.2)]) for each in layers
    )
    theta = plain.init(0)
    U = [
        rng.standard_normal((3, part.size)) for part in point(plain, theta, X, T).parts
    ]
    found, expected = (
        at._summands([*map(Directions, at.parts, U)], Tangent)
        for at in (point(network, theta, X, T) for network in (renamed, plain))
    )
    np.testing.assert_array_equal(found, expected)
    assert expected[:, 5:].any(axis=1).tolist() == 2 * (3 * [True] + 3 * [False])


@pytest.mark.parametrize("compared", [
    lambda x: x.real > 1, lambda x: np.real(x) >= 1, lambda x: np.sign(x - 1), lambda x: np.absolute(x - 1),
    lambda x: np.maximum(x, 1), lambda x: relu(x - 1),
])  # fmt: skip
def test_comparisons_of_equal_numbers_are_recorded(compared):
    for value, tied in (([[1.0, 2.0]], True), ([[3.0, 2.0]], False)):
        ties, arithmetic = Ties(), Arithmetic()
        compared(Tangent(np.array(value), np.ones((4, 2)), ties=ties))
        compared(Bounded(np.array(value), np.zeros((1, 2)), arithmetic))
        assert (ties.met, arithmetic.tied) == (tied, tied)


def test_the_real_part_has_no_derivative():
    x = Tangent(np.array([[3.0, 2.0]]), np.ones((4, 2)))
    still = np.real(x)
    np.testing.assert_array_equal(
        (x - np.max(still, axis=-1, keepdims=True)).tangent, x.tangent
    )
    np.testing.assert_array_equal((x * still).tangent, [[3, 2]] * 4)
    with pytest.raises(TypeError):
        np.max(x, axis=-1)


def test_operands_with_different_directions():
    x = Tangent(np.array([[1.0, 2.0]]), np.array([[1.0, 1.0]]), first=0)
    y = Tangent(np.array([[3.0, 4.0]]), np.array([[1.0, 2.0]]), first=1)
    product: Any = np.exp(x) * y
    assert product.first == 0
    np.testing.assert_allclose(
        product.tangent, [np.exp([1, 2]) * [3, 4], np.exp([1, 2]) * [1, 2]]
    )


def test_a_shape_may_be_one_argument_or_several():
    x = Tangent(np.ones((1, 3, 2)), np.arange(24.0).reshape(4, 3, 2))
    reshaped: Any
    for reshaped in (
        x.reshape(1, 6),
        x.reshape((1, 6)),
        np.reshape(x, (1, 6)),
        np.reshape(x, shape=(1, 6)),
    ):
        np.testing.assert_array_equal(reshaped.tangent, np.arange(24.0).reshape(4, 6))
    bounded: Any = Bounded(np.ones(6), np.arange(6.0), Arithmetic())
    for reshaped in (
        np.reshape(bounded, (2, 3), order="C"),
        np.reshape(bounded, shape=(2, 3)),
    ):
        np.testing.assert_array_equal(reshaped.companion, np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(
    "unclear",
    [np.sum, np.transpose, np.squeeze, lambda x: x[0], lambda x: x.__setitem__(..., 1)],
)
def test_functions_that_would_mix_directions_raise(unclear):
    x = Tangent(np.ones((1, 3, 2)), np.ones((4, 3, 2)))
    with pytest.raises((TypeError, IndexError)):
        unclear(x)


@pytest.mark.parametrize(("of", "units", "error"), [
    (lambda x, y: x + y, 1, 0.75), (lambda x, y: x - y, 1, 0.75), (lambda x, y: -x, 0, 0.5),
    (lambda x, y: x * y, 1, 1.875), (lambda x, y: x / y, 2, 0.5), (lambda x, y: y / 1.0, 0, 0.25),
    (lambda x, y: np.square(x), 1, 3.25), (lambda x, y: x**-1, 4, 0.08),
    (lambda x, y: x**3, 4, 18.375), (lambda x, y: np.sqrt(x), 1, 0.5 / 3**0.5),
    (lambda x, y: np.exp(x), 4, np.exp(3.5) / 2), (lambda x, y: np.expm1(x), 4, np.exp(3.5) - np.exp(3)),
    (lambda x, y: np.log(x), 4, np.log(3 / 2.5)), (lambda x, y: np.log1p(x), 4, np.log(4 / 3.5)),
    (lambda x, y: np.sin(x), 4, 0.5), (lambda x, y: np.cos(x), 4, 0.5),
    (lambda x, y: np.tanh(x), 4, 0.5 / np.cosh(2.5) ** 2), (lambda x, y: np.sign(x), 0, 0),
    (lambda x, y: np.sign(y - 1.875), 0, 2), (lambda x, y: np.where(x < 3.1, x, 7.0), 0, 4.5),
])  # fmt: skip
def test_error_bounds_match_hand_computed_values(of, units, error):
    """The operands are 3 ± 1/2 and 2 ± 1/4. Exact operands only have the rounding error of the result."""
    x, y = (
        Bounded(np.array([value]), np.zeros(1), Arithmetic()) for value in (3.0, 2.0)
    )
    exact = of(x, y)
    assert exact.companion == pytest.approx(
        units * 2.0**-53 * np.abs(exact.value), abs=0, rel=1e-12
    )
    x.companion += 0.5
    y.companion += 0.25
    assert of(x, y).companion == pytest.approx(error, rel=1e-12)


@pytest.mark.parametrize("compute", [
    lambda x: np.exp(np.zeros(3), out=x), lambda x: np.sum(np.ones((2, 3)), axis=0, out=x),
    lambda x: np.size(x, axis=0), lambda x: np.dot(x, np.eye(3), out=np.zeros(3)),
])  # fmt: skip
def test_functions_that_would_lose_error_bounds_raise(compute):
    x = Bounded(np.ones(3), np.ones(3), Arithmetic())
    with pytest.raises(TypeError):
        compute(x)
    np.testing.assert_array_equal(x.companion, np.ones(3))


@pytest.mark.parametrize("compute", [
    lambda x: 1j * x, lambda x: x + np.ones(1, complex), lambda x: np.eye(1) * 1j @ x, lambda x: np.where(x > 0, 1j, x),
])  # fmt: skip
def test_error_bounds_refuse_complex_numbers(compute):
    with pytest.raises(TypeError, match="complex numbers are not supported"):
        compute(Bounded(np.ones(1), np.zeros(1), Arithmetic()))


def test_the_error_of_a_number_that_overflows_its_dtype_is_unknown():
    x = Bounded(np.array([1e25, 1.0]), np.zeros(2), Arithmetic(np.float32))
    np.testing.assert_array_equal(np.isinf((x * x).companion), [True, False])


ONE = np.ones(1)


def derivative(f, noise=2e-16, scale=1.0):
    """Return the derivative of a function at 0, its error and its jump."""

    def moved(steps):
        with np.errstate(all="ignore"):
            return np.array([[f(float(step[0]))] for step in steps])

    with np.errstate(all="ignore"):
        found = ridders(moved, ONE[:, None], scale * ONE, noise * ONE, ONE[None])
    return found.value.item(), found.error.item(), found.jump.item()


@pytest.mark.parametrize(("f", "expected", "within"), [
    (np.sin, 1.0, 1e-11),
    (lambda t: np.exp(3 * t), 3.0, 1e-10),
    (lambda t: np.log(abs(t - 1e-6)), -1e6, 1e-2),  # a pole at a distance of 1e-6
    (lambda t: abs(t - 1e-6), -1.0, 1e-8),
    (lambda t: np.sin(1e6 * t) / 1e6, 1.0, 1e-7),
    # the domain ends nearby
    (lambda t: np.sqrt(t + 1e-3) if t > -1e-3 else np.nan, 0.5 / np.sqrt(1e-3), 1e-8),
    (lambda t: max(0.0, t - 1e-3) + 2 * t, 2.0, 1e-9),
])  # fmt: skip
def test_derivatives_of_functions_that_are_smooth_on_a_short_scale(f, expected, within):
    value, error, jump = derivative(f)
    assert abs(value - expected) <= min(10 * error, within)
    assert jump == 0


@pytest.mark.parametrize("slopes", [(-1.0, 1.0), (0.0, 1.0), (2.0, 2.5)])
def test_kinks(slopes):
    left, right = slopes
    value, error, jump = derivative(lambda t: (right if t > 0 else left) * t + t * t)
    assert abs(value - (left + right) / 2) <= 10 * error
    assert jump == pytest.approx(right - left, abs=1e-6)


def test_errors_grow_with_noise():
    rough = lambda t: np.round(1e6 * np.exp(t)) / 1e6  # noqa: E731
    value, error, _ = derivative(rough, noise=3e-7)
    assert abs(value - 1) <= 10 * error
    assert error > 1e-7


def test_the_error_is_infinite_without_values():
    assert derivative(lambda t: 0.0 if t == 0 else np.nan)[1] == np.inf


@pytest.mark.parametrize("width", [1e-13, 0.0])
def test_the_error_is_infinite_at_a_spike(width):
    """1/(t² + width²) is symmetric, so long steps give a slope of 0; a single value has no derivative."""
    spike = lambda t: 1 / (t * t + width * width) if width else float(t == 0)  # noqa: E731
    assert derivative(spike)[1] == np.inf


def along(f):
    """Return the noise along two lines, since along one line the steps may match the rounding units."""
    return noise_along([lambda t, v=v: f(1 + v * t[:, None]) for v in (0.73, -0.59)])


@pytest.mark.parametrize(("f", "least", "most"), [
    (np.exp, 1e-16, 2e-15),
    (lambda w: np.exp(w).astype(np.float32), 2e-8, 1e-6),
    (lambda w: np.exp(w).astype(np.float16), 1e-4, 1e-2),
    # the float64 term changes first
    (lambda w: np.exp(w.astype(np.float32)) + w, 2e-9, 1e-6),
    (lambda w: np.abs(w - 1 - 1e-8) + 1, 1e-16, 2e-15),  # a kink is not noise
    (lambda w: 3 + 0 * w, 0, 0),
    # the value hardly changes
    (lambda w: (1e4 + np.sin(w)).astype(np.float32), 1e-4, 1e-2),
])  # fmt: skip
def test_noise_has_the_size_of_the_rounding_errors(f, least, most):
    assert least <= along(f).near.item() <= most


@pytest.mark.parametrize("units", [1, 3, 10])
def test_noise_if_steps_are_multiples_of_the_rounding_unit(units):
    """Each step changes the value by an integer number of float32 units, so no rounding is visible."""
    noise = noise_along(
        [lambda t: (27 + units * 2.0**-19 * t[:, None] / 1e-5).astype(np.float32)]
    )
    assert 5e-7 < noise.near.item() < 5e-6


def test_cancellation_is_visible_over_longer_distances():
    """The quotient is smooth between two adjacent float64 values of 1 - cos w."""
    lost = lambda w: (1 - np.cos(1e-6 * w)) / (1e-6 * w) ** 2  # noqa: E731
    # a jump at a distance of 0.1 does not matter
    for f in (lost, lambda w: lost(w) + 1e3 * (w > 1.1)):
        noise = along(f)
        assert noise.near.item() < 1e-14
        assert noise.farther.item() > 1e-6


@pytest.mark.parametrize("side", [1, -1, 0])
def test_independence_requires_constant_values_on_both_sides(side):
    f = lambda w: (  # noqa: E731
        (w[0] + 1e3) - 1e3 - w[0] + np.maximum(side * (w[0] - 1) - 0.4, 0) * abs(side)
    )
    point = checked_function(f, np.ones(1), (), np.zeros(1))
    assert is_independent_of(point, point.parts[0], np.array([[0.9]])).item() is (
        side == 0
    )

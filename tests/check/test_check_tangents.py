from functools import partial
from typing import Any

import numpy as np
import pytest

from random_networks import PLACES, case
from vecprop import L1, L2, Dense, Network, ReLU, SquaredError, Tanh
from vecprop.check.arithmetic.running_error import Arithmetic, Bounded
from vecprop.check.arithmetic.steps import complex_step
from vecprop.check.arithmetic.tangents import Tangent, Ties
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

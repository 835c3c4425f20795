"""Every gradient equals the complex-step derivative, Im f(x + ih) / h, up to rounding."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import registry
import vecprop as vp
from sampled import sampled

H = 1e-20
CLOSE = 2e-13  # relative to the largest entry


def complex_step(f, x):
    """Return the gradient of a real function of an array, entry by entry."""
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[index] += 1j * H
        gradient[index] = f(moved).imag / H
    return gradient


def assert_close(found, expected, tolerance=CLOSE):
    assert found.shape == expected.shape
    scale = max(np.abs(expected).max(initial=0), 1e-300)
    assert np.abs(found - expected).max(initial=0) <= tolerance * scale


@pytest.mark.parametrize("activation", registry.ACTIVATIONS, ids=registry.name)
def test_slope(activation):
    z = np.concatenate(
        [
            np.linspace(-9, 9, 61)[:30],
            np.linspace(-9, 9, 61)[31:],
            [-30.0, 30.0, -700.0, 700.0, 1e-8],
        ]
    )
    derivative = activation.derivative(z, activation.value(z)) * np.ones_like(z)
    np.testing.assert_allclose(
        derivative, activation.value(z + 1j * H).imag / H, rtol=1e-12, atol=1e-15
    )
    near = z[np.abs(z) <= 5]
    np.testing.assert_allclose(
        activation.value(near + 1j * H).real,
        activation.value(near),
        rtol=1e-14,
        atol=1e-15,
    )


@pytest.mark.parametrize("layer", registry.LAYERS, ids=registry.name)
def test_layer_gradients_of_inputs_and_parameters(layer):
    rng = np.random.default_rng(1)
    shapes, outputs = layer.parameters(3)
    p = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    X, C, noise = (
        rng.normal(size=(4, 3)),
        rng.normal(size=(4, outputs)),
        vp.extend.RandomKey(seed=2),
    )

    def f(X=X, **changed):
        return (C * layer.forward({**p, **changed}, X, noise)[0]).sum()

    _, saved = layer.forward(p, X, noise)
    J = {name: np.full(shape, np.nan) for name, shape in shapes.items()}
    assert_close(layer.backward(p, saved, C, J), complex_step(f, X))
    for name, value in p.items():
        assert_close(
            J[name], complex_step(lambda moved, name=name: f(**{name: moved}), value)
        )


@pytest.mark.parametrize("loss", registry.LOSSES, ids=registry.name)
def test_loss_delta(loss):
    rng = np.random.default_rng(2)
    Z, T = 3 * rng.normal(size=(5, 3)), registry.targets(loss, rng, 5, 3)
    assert loss.value(Z, T).shape == (5,)
    assert_close(loss.delta(Z, T), complex_step(lambda Z: loss.value(Z, T).sum(), Z))


@pytest.mark.parametrize(
    ("layer", "loss"),
    sampled(product(registry.LAYERS, registry.LOSSES), 5),
    ids=registry.name,
)
def test_network_gradient_with_weights_penalties_and_noise(layer, loss):
    p = registry.problem(layer, loss)
    value, gradient = p.network.loss_and_gradient(p.theta, p.X, p.T, p.weight, p.noise)
    # all perturbations along the member axis
    steps = p.theta + 1j * H * np.eye(p.theta.size)
    assert_close(gradient, p.network.loss(steps, p.X, p.T, p.weight, p.noise).imag / H)
    np.testing.assert_allclose(
        value, p.network.loss(p.theta, p.X, p.T, p.weight, p.noise), rtol=1e-15
    )


def test_backward_returns_the_gradient_of_the_inputs():
    p = registry.problem(vp.Tanh(), vp.SquaredError(reduction="sum"))
    outputs, saved = p.network.forward(p.theta, p.X)
    delta = p.network.loss_function.delta(outputs[-1], p.T)
    found = p.network.backward(p.theta, saved, delta, np.empty_like(p.theta))
    assert_close(found, complex_step(lambda X: p.network.loss(p.theta, X, p.T), p.X))


@settings(max_examples=25)
@given(
    widths=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    inputs=st.integers(1, 5),
    rows=st.integers(1, 6),
    members=st.sampled_from([(), (1,), (3,), (2, 2)]),
    activation=st.sampled_from(registry.ACTIVATIONS),
    loss=st.sampled_from(registry.LOSSES),
    seed=st.integers(0, 1000),
)
def test_any_shape(widths, inputs, rows, members, activation, loss, seed):
    rng = np.random.default_rng(seed)
    layers = [part for width in widths for part in (vp.Dense(width), activation)]
    network = vp.Network(inputs, layers, loss)
    theta = rng.normal(size=(*members, network.layout.size))
    X, T = (
        rng.normal(size=(rows, inputs)),
        registry.targets(loss, rng, rows, widths[-1]),
    )
    value, gradient = network.loss_and_gradient(theta, X, T)
    assert value.shape == members
    assert gradient.shape == theta.shape
    direction = rng.normal(size=theta.shape)
    derivative = network.loss(theta + 1j * H * direction, X, T).imag / H
    terms = (gradient * direction).sum(-1)
    np.testing.assert_allclose(
        terms, derivative, rtol=1e-10, atol=1e-12 * max(1, np.abs(gradient).max())
    )


@pytest.mark.parametrize(
    "activation",
    [vp.Softplus(), vp.ELU(), vp.SiLU(), vp.GELU(), vp.Logistic()],
    ids=repr,
)
def test_smooth_activations_have_their_slope_at_zero(activation):
    z = np.zeros(1)
    expected = activation.derivative(z, activation.value(z))
    np.testing.assert_allclose(
        activation.value(z + 1j * H).imag / H, expected, rtol=1e-15
    )


def test_slopes_at_kinks_match_the_docstrings():
    zero = np.zeros((1, 1))
    assert vp.ReLU().derivative(zero, zero) == 0
    assert vp.LeakyReLU(0.2).derivative(zero, zero) == 0.2
    assert vp.AbsoluteError().delta(zero, zero) == 0
    assert vp.Quantile(0.9).delta(zero, zero) == 0
    assert vp.L1(1.0).gradient(zero) == 0

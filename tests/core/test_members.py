"""Members along leading axes and rows are independent."""

from itertools import product

import numpy as np
import pytest

import registry
import vecprop as vp
from sampled import sampled

CASES = [(layer, vp.SoftmaxCrossEntropy()) for layer in registry.LAYERS] + [
    (vp.Tanh(), loss) for loss in registry.LOSSES
]


@pytest.mark.parametrize(("layer", "loss"), CASES, ids=registry.name)
def test_members_equal_a_loop_over_members(layer, loss):
    p = registry.problem(layer, loss, members=(2, 3))
    value, gradient = p.network.loss_and_gradient(p.theta, p.X, p.T, p.weight, p.noise)
    Y = p.network.predict(p.theta, p.X)
    for member in np.ndindex(2, 3):
        alone = p.network.loss_and_gradient(
            p.theta[member], p.X, p.T, p.weight, p.noise
        )
        np.testing.assert_allclose(value[member], alone[0], rtol=1e-13)
        np.testing.assert_allclose(gradient[member], alone[1], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(
            Y[member], p.network.predict(p.theta[member], p.X), rtol=1e-13
        )


@pytest.mark.parametrize(("layer", "loss"), CASES, ids=registry.name)
def test_a_gradient_is_a_sum_over_rows(layer, loss):
    if isinstance(layer, vp.Dropout):
        layer = vp.Dropout(0.0)  # a separate row would have another mask
    p = registry.problem(layer, loss, penalty=None)
    w = p.weight / p.weight.sum() if loss.reduction == "mean" else p.weight
    values, gradients = p.network.loss_and_gradient(
        p.theta, p.X[:, None, :], p.T[:, None, :]
    )
    value, gradient = p.network.loss_and_gradient(p.theta, p.X, p.T, p.weight)
    assert gradients.shape == (6, p.theta.size)
    np.testing.assert_allclose(value, w @ values, rtol=1e-13)
    np.testing.assert_allclose(gradient, w @ gradients, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("layer", registry.LAYERS, ids=registry.name)
def test_rows_are_independent(layer):
    p = registry.problem(layer, vp.SquaredError())
    order = np.array([3, 1, 5, 0, 2, 4])
    shuffled = vp.extend.RandomKey(seed=5, rows=order)
    Z = p.network.forward(p.theta, p.X, p.noise)[0][-1]
    np.testing.assert_allclose(
        p.network.forward(p.theta, p.X[order], shuffled)[0][-1], Z[order], rtol=1e-13
    )


def test_weights_equal_repeated_rows():
    p = registry.problem(vp.Tanh(), vp.SoftmaxCrossEntropy())
    times = np.array([1, 0, 2, 3, 1, 1])
    weighted = p.network.loss_and_gradient(p.theta, p.X, p.T, times)
    repeated = p.network.loss_and_gradient(
        p.theta, np.repeat(p.X, times, 0), np.repeat(p.T, times, 0)
    )
    np.testing.assert_allclose(weighted[0], repeated[0], rtol=1e-13)
    np.testing.assert_allclose(weighted[1], repeated[1], rtol=1e-11, atol=1e-14)


def test_every_argument_may_carry_members():
    p = registry.problem(vp.Tanh(), vp.SquaredError(), members=(4,))
    rng = np.random.default_rng(3)
    X, T, w = (
        rng.normal(size=(4, 6, 3)),
        rng.normal(size=(4, 6, 3)),
        rng.uniform(size=(4, 6)),
    )
    for theta, x, t, weight in [
        (p.theta, X, T, w),
        (p.theta[0], X, p.T, None),
        (p.theta[0], p.X, T, None),
        (p.theta[0], p.X, p.T, w),
        (p.theta, p.X, T, w[:1]),
    ]:
        value, gradient = p.network.loss_and_gradient(theta, x, t, weight)
        assert value.shape == (4,)
        assert gradient.shape == (4, p.theta.shape[-1])
        for k in range(4):
            alone = p.network.loss_and_gradient(
                theta[k] if theta.ndim == 2 else theta,
                x[k] if x.ndim == 3 else x,
                t[k] if t.ndim == 3 else t,
                weight if weight is None else np.broadcast_to(weight, (4, 6))[k],
            )
            np.testing.assert_allclose(value[k], alone[0], rtol=1e-13)
            np.testing.assert_allclose(gradient[k], alone[1], rtol=1e-11, atol=1e-14)


def test_integer_classes_may_carry_members():
    p = registry.problem(vp.Tanh(), vp.SoftmaxCrossEntropy(), members=(4,))
    t = np.random.default_rng(0).integers(0, 3, (4, 6))
    one_hot = np.eye(3)[t]
    np.testing.assert_array_equal(
        p.network.loss(p.theta, p.X, t), p.network.loss(p.theta, p.X, one_hot)
    )
    np.testing.assert_array_equal(
        p.network.loss(p.theta, p.X, one_hot),
        p.network.loss(p.theta, p.X, one_hot.astype(int)),
    )


@pytest.mark.parametrize(
    ("layer", "loss"),
    sampled(product(registry.LAYERS, registry.LOSSES), 5),
    ids=registry.name,
)
def test_float32_is_preserved(layer, loss):
    p = registry.problem(layer, loss)
    theta = p.theta.astype(np.float32)
    value, gradient = p.network.loss_and_gradient(theta, p.X, p.T, p.weight, p.noise)
    assert {value.dtype, gradient.dtype, p.network.predict(theta, p.X).dtype} == {
        np.dtype(np.float32)
    }
    exact = p.network.loss_and_gradient(
        theta.astype(float), p.X, p.T, p.weight, p.noise
    )[1]
    np.testing.assert_allclose(
        gradient, exact, rtol=2e-3, atol=1e-4 * np.abs(exact).max()
    )


def test_noise_with_one_seed_per_member():
    p = registry.problem(vp.Dropout(0.5), vp.SquaredError(), members=(2,))
    both = p.network.loss(
        p.theta, p.X, p.T, noise=vp.extend.RandomKey(seed=np.array([7, 8]))
    )
    alone = [p.network.loss(p.theta[k], p.X, p.T, noise=7 + k) for k in range(2)]
    np.testing.assert_allclose(both, alone, rtol=1e-13)
    assert p.network.loss(p.theta[0], p.X, p.T, noise=7) != p.network.loss(
        p.theta[0], p.X, p.T, noise=8
    )

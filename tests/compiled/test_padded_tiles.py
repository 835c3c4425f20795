"""A small network's tiles are padded to whole vectors with rows of weight 0."""

import numpy as np
import pytest

import vecprop as vp

RNG = np.random.default_rng(0)
X, T, W = RNG.standard_normal((1050, 3)), RNG.standard_normal((1050, 2)), RNG.uniform(0, 2, 1050)
NETWORK = vp.Network(3, [vp.Dense(4), vp.Tanh(), vp.Dense(2)], vp.SquaredError(), [vp.L2(0.1)])


@pytest.mark.parametrize("F", [np.float64, np.float32])
@pytest.mark.parametrize("rows", [1, 7, 8, 9, 15, 16, 17, 31, 33, 100, 513, 1050])  # a tile has 512 at most
def test_any_number_of_rows(rows, F):
    theta = NETWORK.init(0).astype(F)
    loss, gradient = vp.compile(NETWORK).loss_and_gradient(theta, X[:rows], T[:rows], W[:rows])
    expected_loss, expected = NETWORK.loss_and_gradient(theta.astype(float), X[:rows], T[:rows], W[:rows])
    tolerance = 1e-12 if F is np.float64 else 1e-5
    np.testing.assert_allclose(loss, expected_loss, rtol=tolerance)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_padding_is_copies_of_a_row():
    network = vp.Network(1, [vp.Dense(1)], vp.Poisson())
    theta, ones = np.array([-1.0, 1000.0]), np.ones((17, 1))
    loss, gradient = vp.compile(network).loss_and_gradient(theta, 1000 * ones, ones)  # exp(1000) overflows, exp(0) not
    assert loss == pytest.approx(network.loss(theta, 1000 * ones, ones))
    np.testing.assert_allclose(gradient, network.loss_and_gradient(theta, 1000 * ones, ones)[1])

"""Errors that rounding may hide, and right gradients that look wrong because of rounding."""

from dataclasses import dataclass

import numpy as np
import pytest
from judging import RIGHT, WRONG, verdict

from sampled import sampled
from vecprop import Dense, Network, SquaredError, Tanh
from vecprop.check import Verdict
from vecprop.extend import Activation

rng = np.random.default_rng(0)


@pytest.mark.parametrize("constant", sampled([27.3, 1e3]))
def test_values_in_float32_that_hardly_change(constant):
    """If a parameter changes by a millionth, the float32 value changes by equal steps or not at all."""

    def f(w):
        return np.float32(np.sum(np.sin(np.real(w))) + constant), np.cos(np.real(w))

    for scale in (1.0, 0.03):
        w = scale * np.array([-0.29, -0.75, 1.58, 1.1])
        assert verdict(f, w) in RIGHT
        assert verdict(lambda w: (f(w)[0], -f(w)[1]), w) in WRONG


def test_a_pole_closer_than_any_step_does_not_fail():
    def f(w):
        return float(1 / (w[0] - 1) ** 2 + w[1] ** 2), np.array(
            [-2 / (np.real(w[0]) - 1) ** 3, 2 * np.real(w[1])]
        )

    assert verdict(f, np.array([1 + 1e-13, 0.7])) is not Verdict.FAIL


@pytest.mark.long
def test_a_recurrence_with_a_growing_rounding_bound():
    x = rng.normal(size=25)

    def f(p):
        """The likelihood of a Gaussian hidden Markov model with three states (scaled forward algorithm)."""
        A = np.exp(p["A"])
        A = A / A.sum(axis=1, keepdims=True)
        a, log_likelihood = np.ones(3) / 3, 0.0
        for value in x:
            a = a @ A * np.exp(-((value - p["mu"]) ** 2) / 2)
            log_likelihood = log_likelihood + np.log(a.sum())
            a = a / a.sum()
        return log_likelihood

    def slopes(p, factor=1.0):
        J = {}
        for name in p:
            J[name] = np.zeros(p[name].shape)
            for index in np.ndindex(p[name].shape):
                moved = {n: v.astype(complex) for n, v in p.items()}
                moved[name][index] += 1e-20j
                J[name][index] = f(moved).imag / 1e-20
        J["mu"][0] *= factor
        return J

    p = {"A": rng.normal(size=(3, 3)), "mu": np.array([-1.0, 0.0, 1.5])}
    assert verdict(f, p, gradient=slopes) is Verdict.PASS
    assert verdict(f, p, gradient=lambda p: slopes(p, 1.00001)) is Verdict.FAIL


@pytest.mark.parametrize("w", sampled([1e-3, 1e-5, 1e-7, 1e-9], 4))
@pytest.mark.parametrize(("f", "slope"), [
    (lambda w: (1 - np.cos(w)) / w**2, lambda w: -w / 12),
    (lambda w: (np.exp(w) - 1 - w) / w**2, lambda w: 1 / 6 + w / 12),
    (lambda w: (1e8 + w) ** 2 - 1e16, lambda w: 2 * (1e8 + w)),
    (lambda w: ((1e8 + w) - 1e8) ** 2, lambda w: 2 * w),
])  # fmt: skip
def test_cancellation_is_inconclusive_for_wrong_gradients(f, slope, w):
    theta = w * np.array([0.7, 1.3])
    assert verdict(lambda t: np.sum(f(t)), theta, gradient=slope) in RIGHT
    wrong = verdict(lambda t: np.sum(f(t)), theta, gradient=lambda t: -1.1 * slope(t))
    assert wrong in WRONG


def smeared(center, width):
    """Return Σ k log(1 + u²) a with u = (t - p) / width, its gradient, and parameters with a large p."""
    t, k = center + width * np.linspace(-3, 3, 31), np.arange(31)

    def f(theta):
        p, a = theta
        u = (t - p) / width
        return np.sum(k * np.log(1 + u * u)) * a

    def gradient(theta):
        p, a = theta
        u = (t - p) / width
        return np.array(
            [
                -2 * a / width * np.sum(k * u / (1 + u * u)),
                np.sum(k * np.log(1 + u * u)),
            ]
        )

    return f, gradient, np.array([center + 0.123 * width, 0.7])


@pytest.mark.parametrize("width", sampled([600.0, 60.0, 0.1, 1e-3]))
@pytest.mark.parametrize("factor", sampled([0, 2, -1], 3))
def test_a_second_point_does_not_prove_entries_that_are_0_there(width, factor):
    """After a change of 10 %, a Unix time is far from all data, so its derivative is 0."""
    f, gradient, theta = smeared(1.7e9, width)
    assert verdict(f, theta, gradient=gradient) in RIGHT
    wrong = verdict(f, theta, gradient=lambda w: gradient(w) * [factor, 1])
    assert wrong in WRONG


@pytest.mark.parametrize(("f", "theta"), [
    (lambda w: (1e9 + np.sin(w).sum() + 1e-4 * np.abs(w).sum(), np.cos(w)), np.array([0.3, -0.7, 1.1])),
    (lambda w: (1e12 + np.sin(w).sum() + 0.1 * np.abs(w).sum(), np.cos(w)), np.array([0.3, -0.7, 1.1])),
    (lambda w: (1e12 + 0.01 * np.abs(w).sum(), 0 * w), np.array([0.3, -0.7, 1.1])),
    (lambda p: (1e10 + p["a"] @ p["a"] + 1e-3 * np.abs(p["b"]).sum(), {"a": 2 * p["a"], "b": 0 * p["b"]}),
     {"a": np.ones(2), "b": np.array([0.3, -0.7])}),
    (lambda p: (np.sum(np.abs(np.tanh(3e-6 * np.arange(-3, 4) - p + 10) / 1e-6) * np.arange(7)), 0 * p),
     np.array([10 + 1.23e-7])),
])  # fmt: skip
def test_complex_steps_that_lose_terms_of_a_large_value(f, theta):
    assert verdict(f, theta) in WRONG


@pytest.mark.parametrize("center", sampled([2454833.5, 2000.0]))
def test_kinks_between_short_steps(center):
    t, k = center + 1e-3 * np.linspace(-3, 3, 31), np.arange(31)

    def f(p):
        return np.sum(np.exp(-np.abs(t - p[0]) / 1e-3) * k) * p[1]

    def gradient(p):
        e = np.exp(-np.abs(t - p[0]) / 1e-3)
        return np.array(
            [np.sum(k * np.sign(t - p[0]) * e) / 1e-3 * p[1], np.sum(e * k)]
        )

    assert verdict(f, np.array([center + 0.123e-3, 0.7]), gradient=gradient) in RIGHT


@pytest.mark.long
def test_a_product_of_many_matrices():
    draw = np.random.default_rng(1)
    matrices = [draw.normal(size=(5, 5)) * 0.6 for _ in range(22)]
    x = draw.normal(size=5)

    def f(matrices):
        outputs = [x]
        for W in matrices:
            outputs.append(W @ outputs[-1])
        delta, J = outputs[-1], []
        for W, X in zip(matrices[::-1], outputs[-2::-1], strict=True):
            J.append(delta[:, None] * X[None])
            delta = W.T @ delta
        return outputs[-1] @ outputs[-1] / 2, J[::-1]

    assert verdict(f, matrices) is Verdict.PASS
    assert (
        verdict(lambda W: (f(W)[0], [1.0001 * J for J in f(W)[1]]), matrices)
        is Verdict.FAIL
    )


@dataclass(frozen=True)
class TanhInFloat32(Activation):
    """An activation that always computes in float32."""

    def value(self, z):
        return np.tanh(z.astype(np.float32))

    def derivative(self, z, y):
        return 1 - y * y


@pytest.mark.parametrize("seed", sampled(range(4), 4))
def test_a_custom_layer_in_float32(seed):
    network = Network(
        3, [Dense(2), Tanh(), Dense(2), TanhInFloat32(), Dense(1)], SquaredError()
    )
    right = verdict(
        network,
        network.init(seed) + 0.1,
        rng.normal(size=(4, 3)),
        rng.normal(size=(4, 1)),
    )
    assert right in RIGHT

"""Functions that were once misjudged, each next to the error that must not pass with it."""

from functools import partial

import numpy as np
from scipy.special import expit

from vecprop.check import Verdict, check_gradients

rng = np.random.default_rng(0)


def kinks_that_are_met_and_kinks_that_are_not():
    yield (
        Verdict.KINK,
        partial(
            check_gradients,
            lambda w: (np.abs(w).sum(), np.sign(w)),
            np.array([0.0, 1.0]),
        ),
    )
    for distance in (1e-6, -1e-6, 1e-8):
        f = lambda w, d=distance: (np.abs(w - d).sum(), np.sign(w - d))  # noqa: E731
        yield Verdict.PASS, partial(check_gradients, f, np.array([0.0, 1.0]))
        yield (
            Verdict.FAIL,
            partial(
                check_gradients,
                lambda w, f=f: (f(w)[0], -f(w)[1]),
                np.array([0.0, 1.0]),
            ),
        )


def gradients_that_lose_digits_of_their_own():
    tanh = lambda w: (np.sum(np.tanh(w)), 1 - np.tanh(w) ** 2)  # noqa: E731
    yield Verdict.PASS, partial(check_gradients, tanh, np.array([5.1, 8.3]))
    Z, s = rng.normal(size=(2_000, 5)), np.sign(rng.normal(size=2_000))

    def logistic(w, factor=1.0):
        margins = -s * (Z @ w)
        return np.mean(np.log1p(np.exp(margins))), factor * Z.T @ (
            -s * expit(margins)
        ) / len(s)

    yield Verdict.PASS, partial(check_gradients, logistic, np.zeros(5))
    yield (
        Verdict.FAIL,
        partial(check_gradients, logistic, np.zeros(5), args=(1 + 1e-6,)),
    )


def a_pole_nearby():
    f = lambda w: (np.sum(np.log((w - 1) ** 2)) / 2, 1 / (w - 1))  # noqa: E731
    w = np.array([1.000001, 2.0])
    yield Verdict.PASS, partial(check_gradients, f, w)
    yield Verdict.FAIL, partial(check_gradients, lambda w: (f(w)[0], 1.01 * f(w)[1]), w)


def masks_of_minus_infinity():
    mask, C = np.triu(np.ones((3, 3), bool), 1), np.arange(9.0).reshape(3, 3)

    def attention(S):
        S = np.where(mask, -np.inf, S)
        E = np.exp(S - S.max(axis=-1, keepdims=True))
        return E / E.sum(axis=-1, keepdims=True)

    def gradient(S):
        A = attention(S)
        return A * (C - (A * C).sum(axis=-1, keepdims=True))

    value = lambda S: np.sum(C * attention(S))  # noqa: E731
    yield Verdict.PASS, partial(check_gradients, value, C / 10, gradient=gradient)
    yield (
        Verdict.FAIL,
        partial(check_gradients, value, C / 10, gradient=lambda S: attention(S) * C),
    )


def functions_that_overwrite_theta_or_reuse_their_output():
    def overwrites(w):
        w *= 2
        return w @ w

    buffer = {}

    def reuses(w):
        return np.multiply(
            [1.0, 2.0, 3.0], w, out=buffer.setdefault(w.dtype, np.empty(3, w.dtype))
        )

    yield (
        Verdict.PASS,
        partial(check_gradients, overwrites, np.ones(3), gradient=lambda w: 8 * w),
    )
    yield (
        Verdict.PASS,
        partial(
            check_gradients,
            reuses,
            np.ones(3),
            gradient=lambda w: np.diag([1.0, 2.0, 3.0]),
        ),
    )
    yield (
        Verdict.FAIL,
        partial(
            check_gradients,
            reuses,
            np.ones(3),
            gradient=lambda w: np.diag([1.0, 2.0, 2.0]),
        ),
    )


def a_gradient_that_is_0_everywhere():
    yield Verdict.PASS, partial(check_gradients, lambda w: (3.0, 0 * w), np.ones(3))
    yield (
        Verdict.PASS,
        partial(
            check_gradients,
            lambda w: (np.sum(np.floor(w)), 0 * w),
            np.array([0.5, 1.3]),
        ),
    )
    yield (
        Verdict.FAIL,
        partial(check_gradients, lambda w: (np.sum(w), 0 * w), np.ones(3)),
    )
    # The bias before a softmax over itself: its gradient is rounding, here and
    # everywhere.
    shifted = lambda b: (  # noqa: E731
        np.sum(np.exp(b) / np.sum(np.exp(b))) ** 2,
        0 * b,
    )
    yield Verdict.PASS, partial(check_gradients, shifted, np.array([0.3, -0.2, 0.1]))
    beside_3 = lambda b: (np.append(shifted(b)[0], 3.0), np.zeros((2, 3)))  # noqa: E731
    yield (
        Verdict.PASS,
        partial(
            check_gradients, beside_3, np.array([0.3, -0.2, 0.1]), method="ridders"
        ),
    )


def gradients_that_are_constant_between_kinks():
    def variation(w):
        signs = np.sign(np.diff(w))
        return np.abs(np.diff(w)).sum(), np.append(0, signs) - np.append(signs, 0)

    yield (
        Verdict.PASS,
        partial(check_gradients, variation, np.random.default_rng(0).normal(size=200)),
    )
    ranks = lambda x: (  # noqa: E731
        np.sort(x) @ np.arange(10.0),
        np.argsort(np.argsort(x)).astype(float),
    )
    yield (
        Verdict.PASS,
        partial(check_gradients, ranks, np.random.default_rng(23).normal(size=10)),
    )


def a_tiny_part_is_not_taken_for_0():
    small = lambda w, sign: (  # noqa: E731
        float(1e6 + 1e-9 * expit(w).sum()),
        sign * 1e-9 * expit(w) * (1 - expit(w)),
    )
    yield (
        Verdict.INCONCLUSIVE,
        partial(check_gradients, small, np.array([0.3, 0.2]), args=(-1,)),
    )


def a_part_that_is_lost_beside_far_steeper_ones():
    theta = [1 + 0.1 * k for k in range(12)]
    value = lambda t: sum(  # noqa: E731
        1e3 * x * x if k % 2 == 0 else x + np.abs(x) for k, x in enumerate(t)
    )
    for slope, expected in ((2.0, Verdict.PASS), (1.0, Verdict.FAIL)):
        gradient = lambda t, s=slope: [  # noqa: E731
            2e3 * x if k % 2 == 0 else s for k, x in enumerate(t)
        ]
        yield expected, partial(check_gradients, value, theta, gradient=gradient)
    steep = lambda t: sum(  # noqa: E731
        1e10 * x * x if k % 2 == 0 else x + np.abs(x) for k, x in enumerate(t)
    )
    lost = lambda t: [2e10 * x if k % 2 == 0 else 1.0 for k, x in enumerate(t)]  # noqa: E731
    yield Verdict.INCONCLUSIVE, partial(check_gradients, steep, theta, gradient=lost)


def gradients_that_ignore_theta():
    A = rng.normal(size=(400, 6))
    yield (
        Verdict.PASS,
        partial(check_gradients, lambda w: ((A @ w).sum(), A.sum(axis=0)), np.ones(6)),
    )
    yield (
        Verdict.FAIL,
        partial(
            check_gradients, lambda w: ((A @ w).sum(), A.sum(axis=0) + 1e-3), np.ones(6)
        ),
    )


MISJUDGED = [
    kinks_that_are_met_and_kinks_that_are_not,
    gradients_that_lose_digits_of_their_own,
    a_pole_nearby,
    masks_of_minus_infinity,
    functions_that_overwrite_theta_or_reuse_their_output,
    a_gradient_that_is_0_everywhere,
    gradients_that_are_constant_between_kinks,
    a_tiny_part_is_not_taken_for_0,
    a_part_that_is_lost_beside_far_steeper_ones,
    gradients_that_ignore_theta,
]
"""Each yields verdicts and the checks that have them."""

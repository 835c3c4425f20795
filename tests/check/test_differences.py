"""Finite differences: noise, derivatives and error estimates."""

import numpy as np
import pytest

from vecprop.check.arithmetic.rounding import noise_along
from vecprop.check.arithmetic.steps import ridders
from vecprop.check.derivatives import is_independent_of
from vecprop.check.points.function import checked_function

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

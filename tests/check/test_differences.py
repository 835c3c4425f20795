"""Real differences: their noise, their derivatives, and the estimates of their error."""

import numpy as np
import pytest

from vecprop.check.arithmetic.rounding import noise_along
from vecprop.check.arithmetic.steps import ridders
from vecprop.check.derivatives import is_independent_of
from vecprop.check.points.function import checked_function

ONE = np.ones(1)


def derivative(f, noise=2e-16, scale=1.0):
    """Return the derivative of a function of one number at 0, its error and its jump."""

    def moved(steps):
        with np.errstate(all="ignore"):
            return np.array([[f(float(step[0]))] for step in steps])

    with np.errstate(all="ignore"):
        found = ridders(moved, ONE[:, None], scale * ONE, noise * ONE, ONE[None])
    return found.value.item(), found.error.item(), found.jump.item()


@pytest.mark.parametrize(("f", "expected", "within"), [
    (np.sin, 1.0, 1e-11),
    (lambda t: np.exp(3 * t), 3.0, 1e-10),
    (lambda t: np.log(abs(t - 1e-6)), -1e6, 1e-2),  # a pole a millionth away
    (lambda t: abs(t - 1e-6), -1.0, 1e-8),
    (lambda t: np.sin(1e6 * t) / 1e6, 1.0, 1e-7),
    (lambda t: np.sqrt(t + 1e-3) if t > -1e-3 else np.nan, 0.5 / np.sqrt(1e-3), 1e-8),  # a domain that ends nearby
    (lambda t: max(0.0, t - 1e-3) + 2 * t, 2.0, 1e-9),
])  # fmt: skip
def test_derivatives_at_the_scale_where_a_function_is_smooth(f, expected, within):
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


def test_nothing_is_known_without_values():
    assert derivative(lambda t: 0.0 if t == 0 else np.nan)[1] == np.inf


@pytest.mark.parametrize("width", [1e-13, 0.0])
def test_a_spike_is_no_slope(width):
    """Over long steps both sides of 1/(t² + width²) look alike, and a single value has no derivative."""
    spike = lambda t: 1 / (t * t + width * width) if width else float(t == 0)  # noqa: E731
    assert derivative(spike)[1] == np.inf


def along(f):
    """Return the noise along two lines: the steps of one may coincide with the steps of a function's rounding."""
    return noise_along([lambda t, v=v: f(1 + v * t[:, None]) for v in (0.73, -0.59)])


@pytest.mark.parametrize(("f", "least", "most"), [
    (np.exp, 1e-16, 2e-15),
    (lambda w: np.exp(w).astype(np.float32), 2e-8, 1e-6),
    (lambda w: np.exp(w).astype(np.float16), 1e-4, 1e-2),
    (lambda w: np.exp(w.astype(np.float32)) + w, 2e-9, 1e-6),  # the float64 term changes first
    (lambda w: np.abs(w - 1 - 1e-8) + 1, 1e-16, 2e-15),  # a kink is no noise
    (lambda w: 3 + 0 * w, 0, 0),
    (lambda w: (1e4 + np.sin(w)).astype(np.float32), 1e-4, 1e-2),  # it hardly moves
])  # fmt: skip
def test_noise_is_the_size_of_a_functions_rounding(f, least, most):
    assert least <= along(f).near.item() <= most


@pytest.mark.parametrize("units", [1, 3, 10])
def test_rounding_that_falls_in_with_the_steps(units):
    """Each step moves the value by whole units of float32, so that nothing seems to be rounded."""
    noise = noise_along([lambda t: (27 + units * 2.0**-19 * t[:, None] / 1e-5).astype(np.float32)])
    assert 5e-7 < noise.near.item() < 5e-6


def test_lost_digits_show_farther_away():
    """They are smooth between two values of 1 - cos w, which are a ten-thousandth apart."""
    lost = lambda w: (1 - np.cos(1e-6 * w)) / (1e-6 * w) ** 2  # noqa: E731
    for f in (lost, lambda w: lost(w) + 1e3 * (w > 1.1)):  # a jump a tenth away hides none
        noise = along(f)
        assert noise.near.item() < 1e-14
        assert noise.farther.item() > 1e-6


@pytest.mark.parametrize("side", [1, -1, 0])
def test_a_value_is_independent_of_what_changes_it_on_neither_side(side):
    f = lambda w: (w[0] + 1e3) - 1e3 - w[0] + np.maximum(side * (w[0] - 1) - 0.4, 0) * abs(side)  # noqa: E731
    point = checked_function(f, np.ones(1), (), np.zeros(1))
    assert is_independent_of(point, point.parts[0], np.array([[0.9]])).item() is (side == 0)

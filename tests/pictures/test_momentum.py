from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.contour import ContourSet

from vecprop.optimize.optimizers import GradientDescent, Momentum
from vecprop.pictures import plot_momentum
from vecprop.pictures.momentum import STEEPNESS, descent_path, valley, valley_gradient


@given(theta=st.tuples(st.floats(-10, 10), st.floats(-10, 10)))
def test_the_gradient_is_that_of_the_valley(theta):
    step = 1e-30j
    for axis in range(2):
        moved = np.array(theta, complex)
        moved[axis] += step
        assert valley_gradient(np.array(theta))[axis] == pytest.approx((valley(moved) / step).real)


def test_the_paths_are_those_of_the_formulas():
    start, rate, momentum = np.array([-3.0, 1.0]), 0.01, 0.8
    theta, M = start, np.zeros(2)
    straight, ball = [start], [start]
    for _ in range(5):
        straight.append(straight[-1] - rate * STEEPNESS * straight[-1])
        M = momentum * M - rate * STEEPNESS * theta
        theta = theta + M
        ball.append(theta)
    ax: Any = plot_momentum(learning_rate=rate, momentum=momentum, start=(-3, 1), steps=5)
    np.testing.assert_allclose(ax.lines[0].get_xydata(), straight)
    np.testing.assert_allclose(ax.lines[1].get_xydata(), ball)


def test_the_start_is_left_as_it_is():
    start: Any = np.array([1.0, 2.0])
    path = descent_path(Momentum(0.1), valley_gradient, start, steps=3)
    np.testing.assert_array_equal(path[0], start)
    np.testing.assert_array_equal(start, [1, 2])
    assert descent_path(GradientDescent(0.1), valley_gradient, start, steps=0).shape == (1, 2)


def test_by_default_momentum_shows_its_point():
    descent, ball, minimum = (np.asarray(line.get_xydata())[-1] for line in plot_momentum().lines)
    np.testing.assert_array_equal(minimum, [0, 0])
    assert 100 * valley(ball) < valley(descent)


def test_everything_is_labelled_and_differs_in_grey(legend):
    ax: Any = plot_momentum()
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"$\theta_1$", r"$\theta_2$")
    assert legend(ax) == [r"gradient descent, $\mu$ = 0.01", r"momentum, $\mu$ = 0.01, $\lambda$ = 0.9", "minimum"]
    assert [line.get_marker() for line in ax.lines] == ["*", "o", "+"]
    assert len({line.get_linestyle() for line in ax.lines[:2]}) == 2
    surface: Any
    (surface,) = (artist for artist in ax.collections if isinstance(artist, ContourSet))
    for path, level in zip(surface.get_paths(), surface.levels, strict=True):
        np.testing.assert_allclose(valley(path.vertices), level, rtol=0.02)


@pytest.mark.parametrize("steps", [0, 300])
def test_a_path_of_no_steps_and_one_that_diverges_can_be_drawn(steps):
    assert np.shape(plot_momentum(steps=steps, learning_rate=0.06).lines[0].get_xydata()) == (steps + 1, 2)


def test_the_optimizers_say_what_is_wrong():
    with pytest.raises(ValueError, match="Momentum needs a momentum of at least 0 and less than 1"):
        plot_momentum(momentum=1)

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.contour import ContourSet

from vecprop.learn import plot_momentum, plot_random_starts
from vecprop.learn.pictures import STEEPNESS, descent_path, valley
from vecprop.optimize.optimizers import GradientDescent, Momentum


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
    path = descent_path(Momentum(0.1), np.sign, start, steps=3)
    np.testing.assert_array_equal(path[0], start)
    np.testing.assert_array_equal(start, [1, 2])
    assert descent_path(GradientDescent(0.1), np.sign, start, steps=0).shape == (1, 2)


def test_by_default_momentum_shows_its_point():
    descent, ball, minimum = (np.asarray(line.get_xydata())[-1] for line in plot_momentum().lines)
    np.testing.assert_array_equal(minimum, [0, 0])
    assert 100 * valley(ball) < valley(descent)


def test_everything_is_labelled_and_differs_in_gray():
    ax: Any = plot_momentum()
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"$\theta_1$", r"$\theta_2$")
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [r"gradient descent, $\mu$ = 0.01", r"momentum, $\mu$ = 0.01, $\lambda$ = 0.9", "minimum"]
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


@settings(max_examples=10)
@given(losses=st.lists(st.floats(1e-6, 1e6) | st.just(np.nan) | st.just(np.inf), min_size=1, max_size=20))
def test_each_start_that_ended_is_a_dot_in_the_row_of_its_method(losses):
    ax: Any = plot_random_starts({"a": losses, "b": [1e-6, 1e6]}, threshold=1.0)
    x, heights = ax.lines[0].get_data()
    np.testing.assert_array_equal(x, [loss for loss in losses if np.isfinite(loss)])
    assert (np.abs(heights) < 0.31).all()
    assert len(set(heights)) == len(x)
    assert np.abs(ax.lines[1].get_ydata() - 1).max() < 0.31
    plt.close("all")


def test_names_say_how_many_starts_reached_the_threshold():
    losses = {"gradient descent": np.array([3.0, 1.0, np.nan, 9.0]), "momentum": np.array([0.1, 0.2, 0.9])}
    ax: Any = plot_random_starts(losses)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["gradient descent\n1 of 4", "momentum\n3 of 3"]
    assert ax.lines[-1].get_xdata() == [1, 1]
    assert ax.texts[0].get_text() == "success: at most 1 "
    ax = plot_random_starts(losses, threshold=0.15)
    assert [text.get_text().split("\n")[1] for text in ax.get_yticklabels()] == ["0 of 4", "1 of 3"]
    assert ax.get_xlabel() == r"final loss $\xi$"
    assert ax.get_legend() is None


def test_of_curves_the_last_losses_count():
    curves = np.array([[5.0, 6.0], [1.0, 2.0]])
    (a, b) = (plot_random_starts({"a": losses}).lines[0].get_xydata() for losses in (curves, curves[-1]))
    np.testing.assert_array_equal(a, b)


def test_the_axis_is_logarithmic_where_losses_are_positive():
    assert plot_random_starts({"a": [1.0, 100.0]}).get_xscale() == "log"
    assert plot_random_starts({"a": [0.0, 100.0]}, threshold=1).get_xscale() == "linear"


def test_a_method_that_always_diverges_has_no_dots():
    ax: Any = plot_random_starts({"a": [np.inf, np.nan], "b": [1.0, 2.0]})
    assert len(ax.lines[0].get_xdata()) == 0
    assert ax.get_yticklabels()[0].get_text() == "a\n0 of 2"


def test_the_axes_are_those_given():
    ax: Any = plt.subplots()[1]
    assert plot_random_starts({"a": [1.0]}, ax) is ax


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        ({}, "No start ended at a finite loss"),
        ({"a": [np.nan]}, "No start ended at a finite loss"),
        ({"a": []}, r'losses of "a" have shape \(0,\)'),
        ({"a": 1.0}, r'losses of "a" have shape \(\)'),
        ({"a": np.ones((2, 2, 2))}, r"\(2, 2, 2\): give \(M,\) or \(steps \+ 1, M\)"),
        ({"a": [-1.0, 2.0]}, "lowest loss is -1, of which ten times is no threshold"),
    ],
)
def test_says_what_is_wrong(losses, says):
    with pytest.raises(ValueError, match=says):
        plot_random_starts(losses)
    assert not plt.get_fignums()

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.contour import ContourSet

from vecprop.learn import plot_momentum, plot_random_starts

STEEPNESS = np.array([1.0, 40.0])


def valley(theta):
    """Return the loss of the pictures, ½ (θ₁² + 40 θ₂²)."""
    return np.sum(STEEPNESS * theta**2, axis=-1) / 2


def test_paths_match_the_formulas():
    start, rate, momentum = np.array([-3.0, 1.0]), 0.01, 0.8
    theta, M = start, np.zeros(2)
    straight, ball = [start], [start]
    for _ in range(5):
        straight.append(straight[-1] - rate * STEEPNESS * straight[-1])
        M = momentum * M - rate * STEEPNESS * theta
        theta = theta + M
        ball.append(theta)
    ax: Any = plot_momentum(
        learning_rate=rate, momentum=momentum, start=(-3, 1), steps=5
    )
    np.testing.assert_allclose(ax.lines[0].get_xydata(), straight)
    np.testing.assert_allclose(ax.lines[1].get_xydata(), ball)


def test_by_default_momentum_shows_its_point_with_labels_and_in_gray():
    ax: Any = plot_momentum()
    descent, ball, minimum = (np.asarray(line.get_xydata())[-1] for line in ax.lines)
    np.testing.assert_array_equal(minimum, [0, 0])
    assert 100 * valley(ball) < valley(descent)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"$\theta_1$", r"$\theta_2$")
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [
        r"gradient descent, $\mu$ = 0.01",
        r"momentum, $\mu$ = 0.01, $\lambda$ = 0.9",
        "minimum",
    ]
    assert [line.get_marker() for line in ax.lines] == ["*", "o", "+"]
    assert len({line.get_linestyle() for line in ax.lines[:2]}) == 2
    surface: Any
    (surface,) = (artist for artist in ax.collections if isinstance(artist, ContourSet))
    for path, level in zip(surface.get_paths(), surface.levels, strict=True):
        np.testing.assert_allclose(valley(path.vertices), level, rtol=0.02)


def test_empty_and_divergent_paths_are_drawn_and_invalid_ones_raise():
    for steps in (0, 300):
        assert np.shape(
            plot_momentum(steps=steps, learning_rate=0.06).lines[0].get_xydata()
        ) == (steps + 1, 2)
    with pytest.raises(
        ValueError, match="Momentum needs a momentum of at least 0 and less than 1"
    ):
        plot_momentum(momentum=1)


def test_each_finished_start_is_a_dot_in_the_row_of_its_method():
    losses = [3.0, np.nan, 1e-6, 3.0, np.inf, 1e6]
    ax: Any = plot_random_starts({"a": losses, "b": [1e-6, 1e6]}, threshold=1.0)
    x, heights = ax.lines[0].get_data()
    np.testing.assert_array_equal(x, [3.0, 1e-6, 3.0, 1e6])
    assert (np.abs(heights) < 0.31).all()
    assert len(set(heights)) == len(x)
    assert np.abs(ax.lines[1].get_ydata() - 1).max() < 0.31


def test_labels_count_the_starts_that_reached_the_threshold():
    losses = {
        "gradient descent": np.array([3.0, 1.0, np.nan, 9.0]),
        "momentum": np.array([0.1, 0.2, 0.9]),
    }
    ax: Any = plot_random_starts(losses)
    assert [text.get_text() for text in ax.get_yticklabels()] == [
        "gradient descent\n1 of 4",
        "momentum\n3 of 3",
    ]
    assert ax.lines[-1].get_xdata() == [1, 1]
    assert ax.texts[0].get_text() == "success: at most 1 "
    ax = plot_random_starts(losses, threshold=0.15)
    assert [text.get_text().split("\n")[1] for text in ax.get_yticklabels()] == [
        "0 of 4",
        "1 of 3",
    ]
    assert ax.get_xlabel() == r"final loss $\xi$"
    assert ax.get_legend() is None
    curves: Any = {"a": np.array([[5.0, 6.0], [1.0, 2.0]]), "b": [np.inf, np.nan]}
    given: Any = plt.subplots()[1]
    ax = plot_random_starts(curves, given)
    assert ax is given
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2])
    assert len(ax.lines[1].get_xdata()) == 0
    assert [text.get_text() for text in ax.get_yticklabels()] == [
        "a\n2 of 2",
        "b\n0 of 2",
    ]
    assert ax.get_xscale() == "log"
    assert plot_random_starts({"a": [0.0, 100.0]}, threshold=1).get_xscale() == "linear"


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"a": [np.nan]}, "No start has a finite final loss"),
        ({"a": []}, r'losses of "a" must have shape .* got \(0,\)'),
        ({"a": 1.0}, r'losses of "a" must have shape .* got \(\)'),
        (
            {"a": np.ones((2, 2, 2))},
            r"shape \(M,\) or \(steps \+ 1, M\), got \(2, 2, 2\)",
        ),
        ({"a": [-1.0, 2.0]}, "lowest loss is -1, so there is no default threshold"),
    ],
)
def test_invalid_losses_raise_a_clear_error(losses, message):
    with pytest.raises(ValueError, match=message):
        plot_random_starts(losses)
    assert not plt.get_fignums()

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecprop.pictures import plot_random_starts


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

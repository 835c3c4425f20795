from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecprop.pictures import plot_random_starts


@settings(max_examples=25)
@given(
    losses=st.lists(st.floats(1e-6, 1e6) | st.just(np.nan) | st.just(np.inf), min_size=1, max_size=20),
    at=st.floats(1e-6, 1e6),
)
def test_the_curve_is_the_share_of_starts_that_ended_at_or_below(losses, at):
    ax: Any = plot_random_starts({"a": losses, "b": [1e-6, 1e6]}, threshold=1.0)
    x, shares = ax.lines[0].get_data()
    assert ax.lines[0].get_drawstyle() == "steps-post"
    assert np.all(np.diff(x) >= 0)
    assert shares[np.searchsorted(x, at, side="right") - 1] == np.mean(np.array(losses) <= at)
    plt.close("all")


def test_the_legend_says_how_many_starts_reached_the_threshold(legend):
    losses = {"gradient descent": np.array([3.0, 1.0, np.nan, 9.0]), "momentum": np.array([0.1, 0.2, 0.9])}
    ax: Any = plot_random_starts(losses)
    assert legend(ax) == ["gradient descent: 1 of 4 starts at or below 1", "momentum: 3 of 3 starts at or below 1"]
    assert ax.lines[-1].get_xdata() == [1, 1]
    ax = plot_random_starts(losses, threshold=0.15)
    assert [text.split(": ")[1] for text in legend(ax)] == [
        f"{n} starts at or below 0.15" for n in ("0 of 4", "1 of 3")
    ]
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"final loss $\xi$", "share of starts at or below")
    assert len({line.get_linestyle() for line in ax.lines}) == 3


def test_of_curves_the_last_losses_count():
    curves = np.array([[5.0, 6.0], [1.0, 2.0]])
    (a, b) = (plot_random_starts({"a": losses}).lines[0].get_xydata() for losses in (curves, curves[-1]))
    np.testing.assert_array_equal(a, b)


def test_the_axis_is_logarithmic_where_losses_are_positive():
    assert plot_random_starts({"a": [1.0, 100.0]}).get_xscale() == "log"
    assert plot_random_starts({"a": [0.0, 100.0]}, threshold=1).get_xscale() == "linear"


def test_a_method_that_always_diverges_stays_at_0():
    ax: Any = plot_random_starts({"a": [np.inf, np.nan], "b": [1.0, 2.0]})
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 0], [2, 0]])


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

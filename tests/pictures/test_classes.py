from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from vecprop.pictures import plot_classes, plot_decision_boundary, plot_hidden_space
from vecprop.pictures.plane import checked_classes
from vecprop.pictures.style import (
    COLOURS,
    INK,
    MARKERS,
    TINTS,
    colour,
    ink,
    marker,
    tint,
)

X = np.array([[0.0, 1.0, 9.0], [2.0, 3.0, 8.0], [4.0, 5.0, 7.0], [6.0, 7.0, 6.0]])
T = np.array([2, 0, 2, 0])


def test_each_class_has_a_color_a_marker_and_a_name(legend):
    ax: Any = plot_classes(X, T)
    zero, two = ax.collections
    np.testing.assert_array_equal(zero.get_offsets(), X[[1, 3], :2])
    np.testing.assert_array_equal(two.get_offsets(), X[[0, 2], :2])
    assert [to_hex(points.get_facecolor()[0]).upper() for points in (zero, two)] == [
        colour(0),
        colour(2),
    ]
    # a star and a square
    assert len(zero.get_paths()[0].vertices) != len(two.get_paths()[0].vertices)
    assert (ax.get_xlabel(), ax.get_ylabel(), legend(ax)) == (
        "$x_{1}$",
        "$x_{2}$",
        ["class 0", "class 2"],
    )
    ax = plot_classes(
        X,
        T,
        features=(2, 0),
        feature_names=["a", "b", "c"],
        class_names=["no", "maybe", "yes"],
    )
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), X[[1, 3]][:, [2, 0]])
    assert (ax.get_xlabel(), ax.get_ylabel(), legend(ax)) == ("c", "a", ["no", "yes"])


@pytest.mark.parametrize("solid", [False, True])
def test_given_axes_and_scatter_arguments_are_used(circles, solid):
    for plot in (
        [plot_hidden_space] if solid else [plot_classes, plot_decision_boundary]
    ):
        ax: Any = plt.subplots(subplot_kw={"projection": "3d"} if solid else {})[1]
        assert (
            plot(*circles[2 if plot is plot_classes else 0 :], ax=ax, s=7, alpha=0.5)
            is ax
        )
        rows = ax.collections[0 if solid else -1]
        assert (rows.get_sizes()[0], rows.get_alpha()) == (7, 0.5)


def test_legend_hides_no_data_and_global_settings_are_unchanged():
    with plt.rc_context():
        plt.rcdefaults()
        before = dict(plt.rcParams)
        ax: Any = plot_classes(X, T)
        assert dict(plt.rcParams) == before
    ax.figure.draw_without_rendering()
    legend_box, axes_box = ax.get_legend().get_window_extent(), ax.get_window_extent()
    assert legend_box.x0 >= axes_box.x1
    assert legend_box.x1 <= ax.figure.bbox.x1


@given(t=st.lists(st.integers(0, 6), min_size=1, max_size=20))
def test_integers_floats_columns_and_one_hot_rows_name_the_same_classes(t):
    rows, t = np.zeros((len(t), 2)), np.array(t)
    for given_t in (
        t,
        t.astype(float),
        t[:, None],
        np.eye(7)[t],
        0.7 * np.eye(7)[t] + 0.3 / 7,
    ):
        np.testing.assert_array_equal(checked_classes(given_t, rows), t)


def test_72_classes_look_different():
    assert len({(colour(number), marker(number)) for number in range(72)}) == 72
    assert (COLOURS[6], TINTS[0], tint(6)) == ("#000000", 0.2, "#cccccc")
    assert (MARKERS[0], MARKERS[1]) == ("*", "o")


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"t": T[:3]}, ValueError, r"t has shape \(3,\), but X has shape \(4, 3\)"),
        ({"t": np.zeros((4, 2, 2))}, ValueError, r"t has shape \(4, 2, 2\)"),
        ({"t": [0, 1, -1, 0]}, ValueError, "the invalid class -1 in row 2"),
        ({"t": [0, 0.5, 1, 0]}, ValueError, "the invalid class 0.5 in row 1"),
        (
            {"t": [[1, 0], [0, 1], [1, 1], [0, 1]]},
            ValueError,
            r"the invalid class \[1, 1\] in row 2",
        ),
        (
            {"t": [[1, 0], [2, -1], [1, 0], [0, 1]]},
            ValueError,
            r"the invalid class \[2, -1\] in row 1",
        ),
        ({"t": list("abca")}, TypeError, "encode names first"),
        ({"X": X[0]}, ValueError, r"X has shape \(3,\)"),
        ({"X": X.astype(str)}, ValueError, "dtype <U"),
        (
            {"X": np.where(X == 8, np.inf, X)},
            ValueError,
            "row 1, column 2 is inf; fill or drop it",
        ),
        (
            {"features": (0, 3)},
            ValueError,
            r"features=\(0, 3\) must be 2 different indices from 0 to 2, since X has",
        ),
        ({"features": (1, 1)}, ValueError, "different"),
        ({"features": (0, -1)}, ValueError, "from 0 to 2"),
        ({"features": (0, 0.5)}, ValueError, "from 0 to 2"),
        ({"features": 0}, ValueError, "features=0 must be 2"),
        (
            {"feature_names": ["a", "b"]},
            ValueError,
            "feature_names has 2 names, but X has 3 features",
        ),
        (
            {"class_names": ["a", "b"]},
            ValueError,
            "class_names has 2 names, but there are classes 0 to 2",
        ),
    ],
)
def test_errors_open_no_figure(arguments, error, says):
    with pytest.raises(error, match=says):
        plot_classes(**{"X": X, "t": T, **arguments})
    assert not plt.get_fignums()


def test_figures_follow_a_dark_style():
    """Lines have the light color of the style, and regions are nearly as dark as the background."""
    with plt.style.context("dark_background"):
        assert ink() == "white"
        assert max(int(tint(0)[start : start + 2], 16) for start in (1, 3, 5)) < 100
    assert ink() == INK
    assert min(int(tint(0)[start : start + 2], 16) for start in (1, 3, 5)) > 180

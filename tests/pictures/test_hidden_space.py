from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from vecprop import (
    BinaryCrossEntropy,
    Dense,
    Momentum,
    Network,
    SoftmaxCrossEntropy,
    Tanh,
    train,
)
from vecprop.pictures import plot_hidden_space


def drawn(ax) -> list[Any]:
    """Return the coordinates of each class's points."""
    if ax.name == "3d":
        return [
            np.column_stack(each._offsets3d)
            for each in ax.collections
            if not isinstance(each, Poly3DCollection)
        ]
    return [points.get_offsets() for points in ax.collections]


@pytest.fixture
def planes(monkeypatch) -> list[np.ndarray]:
    """Return the corners of each drawn plane."""
    drawn = []

    class Noted(Poly3DCollection):
        def __init__(self, polygons, **look):
            drawn.extend(polygons)
            super().__init__(polygons, **look)

    monkeypatch.setattr("mpl_toolkits.mplot3d.art3d.Poly3DCollection", Noted)
    return drawn


def labels(ax):
    return [ax.get_xlabel(), ax.get_ylabel()] + (
        [ax.get_zlabel()] if ax.name == "3d" else []
    )


def test_three_units_are_three_axes(circles, legend):
    network, theta, X, t = circles
    ax: Any = plot_hidden_space(
        network, theta, X, t, class_names=["orange star", "blue circle"]
    )
    H = network.hidden(theta, X, 1)
    for number, points in enumerate(drawn(ax)):
        np.testing.assert_array_equal(points, H[t == number])
    ax.figure.draw_without_rendering()
    classes = [
        each for each in ax.collections if not isinstance(each, Poly3DCollection)
    ]
    # depth does not fade a class
    assert all((points.get_facecolor()[:, 3] == 1).all() for points in classes)
    assert labels(ax) == ["$h_{1}$", "$h_{2}$", "$h_{3}$"]
    assert legend(ax) == ["orange star", "blue circle"]


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), BinaryCrossEntropy()])
def test_the_cut_between_two_classes_is_where_both_are_equally_probable(
    circles, loss, planes
):
    network, _, X, t = circles
    network = Network(
        2, [Dense(3), Tanh(), Dense(2 if loss.takes_classes else 1)], loss
    )
    T = t if loss.takes_classes else t[:, None]
    theta = train(
        network, network.init(0), X, T, optimizer=Momentum(0.5), epochs=200
    ).theta
    plot_hidden_space(network, theta, X, t)
    (corners,) = planes
    head = Network(3, [network.layers[-1]], loss)
    assert 3 <= len(corners) <= 6
    np.testing.assert_allclose(
        head.predict(theta[-head.layout.size :], corners)[:, -1], 0.5, atol=1e-6
    )
    H = network.hidden(theta, X, 1)
    assert (corners >= H.min(axis=0) - 1e-9).all()
    assert (corners <= H.max(axis=0) + 1e-9).all()


def test_two_units_are_two_axes_and_their_cut_is_a_line():
    network = Network(2, [Dense(2), Tanh(), Dense(2)], SoftmaxCrossEntropy())
    X, theta, t = (
        np.random.default_rng(0).standard_normal((20, 2)),
        network.init(1),
        np.arange(20) % 2,
    )
    ax: Any = plot_hidden_space(network, theta, X, t)
    np.testing.assert_array_equal(drawn(ax)[0], network.hidden(theta, X, 1)[t == 0])
    assert labels(ax) == ["$h_{1}$", "$h_{2}$"]
    (line,) = ax.lines
    head = Network(2, [Dense(2)], SoftmaxCrossEntropy())
    np.testing.assert_allclose(
        head.predict(theta[6:], np.array(line.get_xydata())), 0.5
    )


@pytest.mark.parametrize(
    "other", [{"axes": "principal"}, {"axes": (0, 1)}, {"layer": 0}]
)
def test_curved_boundaries_are_not_drawn(circles, other, planes):
    network, theta, X, t = circles
    ax: Any = plot_hidden_space(network, theta, X, t, **other)
    assert not planes
    assert not ax.lines


@pytest.mark.parametrize("own_figure", [True, False])
def test_the_labels_of_three_axes_lie_inside_the_figure_and_clear_of_the_ticks(
    wide, own_figure
):
    ax: Any = (
        None if own_figure else plt.figure(figsize=(4, 4)).add_subplot(projection="3d")
    )
    ax = plot_hidden_space(*wide, ax=ax, axes=(0, 1, 2))
    ax.figure.draw_without_rendering()
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        label = axis.label.get_window_extent()
        assert ax.figure.bbox.x0 <= label.x0 < label.x1 <= ax.figure.bbox.x1
        assert ax.figure.bbox.y0 <= label.y0 < label.y1 <= ax.figure.bbox.y1
        # The ticks as drawn: axis.get_ticklabels() would lose their places in the
        # projection.
        assert (
            label.count_overlaps(
                [tick.label1.get_window_extent() for tick in axis.majorTicks]
            )
            == 0
        )


@pytest.mark.parametrize(("layer", "axes"), [(0, (9, 0, 4)), (1, (3, 7)), (-2, (3, 7))])
def test_chosen_units_of_a_chosen_layer(wide, layer, axes):
    network, theta, X, t = wide
    ax: Any = plot_hidden_space(network, theta, X, t, layer=layer, axes=axes)
    np.testing.assert_array_equal(
        drawn(ax)[1], network.hidden(theta, X, layer)[t == 1][:, axes]
    )
    assert labels(ax) == [f"$h_{{{unit + 1}}}$" for unit in axes]


def test_a_wider_layer_is_drawn_on_its_principal_axes_with_their_shares_and_signs(
    wide, monkeypatch
):
    network, theta, X, _ = wide
    ax: Any = plot_hidden_space(network, theta, X, np.zeros(60, int))
    (points,) = drawn(ax)
    H = network.hidden(theta, X, 1)
    variances = np.linalg.eigvalsh(np.cov(H.T))[::-1]
    np.testing.assert_allclose(np.cov(points.T), np.diag(variances[:3]), atol=1e-12)
    shares = variances / variances.sum()
    assert labels(ax) == [f"principal axis {k + 1} ({shares[k]:.0%})" for k in range(3)]
    svd = np.linalg.svd

    def with_other_signs(*arguments, **options):
        U, s, Vt = svd(*arguments, **options)
        return -U, s, -Vt

    monkeypatch.setattr(np.linalg, "svd", with_other_signs)
    np.testing.assert_array_equal(
        drawn(plot_hidden_space(network, theta, X, np.zeros(60, int)))[0], points
    )
    network, t = (
        Network(2, [Dense(2), Dense(3)], SoftmaxCrossEntropy()),
        np.zeros(8, int),
    )
    ax = plot_hidden_space(
        network, network.init(0), np.zeros((8, 2)), t, axes="principal"
    )
    assert labels(ax) == ["principal axis 1 (0%)", "principal axis 2 (0%)"]


def test_wrong_dimensions_raise(circles):
    with pytest.raises(
        ValueError,
        match=(
            r'3 axes, but ax does not: create ax with subplot_kw={"projection": "3d"}'
        ),
    ):
        plot_hidden_space(*circles, ax=plt.subplots()[1])
    with pytest.raises(
        ValueError, match="2 axes, but ax does not: create ax with no projection"
    ):
        plot_hidden_space(
            *circles, ax=plt.subplots(subplot_kw={"projection": "3d"})[1], axes=(0, 1)
        )
    network = Network(2, [Dense(1), Dense(2)], SoftmaxCrossEntropy())
    with pytest.raises(
        ValueError, match="Layer 0 has 1 unit, but a figure needs at least 2"
    ):
        plot_hidden_space(
            network, network.init(0), np.ones((3, 2)), np.zeros(3, int), layer=0
        )


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (
            {"layer": 3},
            IndexError,
            "layer 3 is out of range: this network has layers 0 to 2",
        ),
        (
            {"axes": (0, 1, 10)},
            ValueError,
            "must be 2 or 3 different indices from 0 to 9, since layer -2 has 10 units",
        ),
        ({"axes": "pca"}, ValueError, "axes='pca' must be .* or \"principal\""),
        ({"X": np.ones((60, 2))}, ValueError, r"X has shape \(60, 2\)"),
        (
            {"X": np.ones((2, 5)), "t": [0, 1]},
            ValueError,
            "X has 2 rows, but 3 principal axes need at least 3",
        ),
        ({"theta": np.zeros((1, 93))}, ValueError, r"theta has shape \(1, 93\)"),
    ],
)
def test_errors_open_no_figure(wide, arguments, error, says):
    network, theta, X, t = wide
    with pytest.raises(error, match=says):
        plot_hidden_space(network, **{"theta": theta, "X": X, "t": t, **arguments})
    assert not plt.get_fignums()

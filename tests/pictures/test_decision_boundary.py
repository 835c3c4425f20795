from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from sampled import sampled
from vecprop import (
    BinaryCrossEntropy,
    Dense,
    Network,
    SoftmaxCrossEntropy,
    SquaredError,
    Tanh,
)
from vecprop.extend import Activation
from vecprop.pictures import plot_decision_boundary

TINTS = ["#f7dfcc", "#99c7e0", "#b2e2d5"]
"""The colors of the regions of the first classes: red, blue and green on white."""


def painted(ax, points):
    """Return the colors of the figure at points, without rows, axes and lines."""
    for artist in [*ax.collections]:
        if (
            artist.get_offsets().size > 2
            or not np.isinf(getattr(artist, "levels", [0])).any()
        ):
            artist.set_visible(False)
    ax.get_legend().set_visible(False)
    ax.figure.canvas.draw()
    pixels = np.asarray(ax.figure.canvas.buffer_rgba())
    x, y = ax.transData.transform(points).T.astype(int)
    return [to_hex(colour) for colour in pixels[pixels.shape[0] - 1 - y, x] / 255]


def clear_of_the_boundary(ax, predicted_class, features, row, count=200):
    """Return random points of the figure inside class regions, and their classes."""
    low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
    step = (high - low) / 100
    points = np.random.default_rng(0).uniform(low + step, high - step, (count, 2))

    def classes(of):
        rows = np.tile(row, (count, 1))
        rows[:, features] = of
        return predicted_class(rows)

    around = [
        classes(points + step * np.array(shift))
        for shift in [(0, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)]
    ]
    same = np.all([other == around[0] for other in around], axis=0)
    assert same.sum() > count / 3
    return points[same], around[0][same]


def assert_painted_as_predicted(ax, predicted_class, features=(0, 1), row=(0.0, 0.0)):
    points, classes = clear_of_the_boundary(
        ax, predicted_class, features, np.array(row)
    )
    assert painted(ax, points) == [TINTS[number] for number in classes]


@pytest.mark.parametrize(
    ("seed", "classes"),
    sampled([(1, 2), *((seed, 1 + seed) for seed in range(2, 9))], 8),
)
def test_regions_match_predictions(seed, classes):
    generator = np.random.default_rng(seed)
    network = Network(2, [Dense(4), Tanh(), Dense(classes)], SoftmaxCrossEntropy())
    theta = 2 * generator.standard_normal(network.layout.size)
    X = generator.standard_normal((20, 2))
    ax: Any = plot_decision_boundary(network, theta, X, np.arange(20) % classes)
    assert_painted_as_predicted(
        ax, lambda rows: network.predict(theta, rows).argmax(axis=1)
    )


def test_one_binary_output_has_two_regions_with_the_boundary_at_a_half(circles, legend):
    _, _, X, t = circles
    network = Network(2, [Dense(3), Tanh(), Dense(1)], BinaryCrossEntropy())
    theta = np.random.default_rng(1).standard_normal(13)
    ax: Any = plot_decision_boundary(network, theta, X, t[:, None].astype(float))
    assert legend(ax) == ["class 0", "class 1"]
    assert_painted_as_predicted(
        ax, lambda rows: (network.predict(theta, rows)[:, 0] > 0.5).astype(int)
    )


def test_a_linear_boundary_lies_where_the_logits_are_equal():
    network = Network(2, [Dense(2)], SoftmaxCrossEntropy())
    theta = np.array([-1.0, 1.0, 0.0, 0.0, 0.3, -0.3])  # class 1 where x₁ > 0.3
    ax: Any = plot_decision_boundary(
        network, theta, np.array([[-1.0, 0.0], [1.0, 1.0]]), np.array([0, 1])
    )
    (boundary,) = (c for c in ax.collections if list(getattr(c, "levels", [])) == [0])
    np.testing.assert_allclose(boundary.get_paths()[0].vertices[:, 0], 0.3, atol=1e-3)
    np.testing.assert_allclose((*ax.get_xlim(), *ax.get_ylim()), (-1.2, 1.2, -0.1, 1.1))


def test_other_features_are_held_at_their_median_or_at_given_values(wide):
    network, theta, X, t = wide

    def predicted_class(rows):
        return network.predict(theta, rows).argmax(axis=1)

    row = np.median(X, axis=0)
    ax: Any = plot_decision_boundary(
        network, theta, X, t, features=(3, 1), feature_names=list("abcde")
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("d", "b")
    np.testing.assert_array_equal(
        ax.collections[-1].get_offsets(), X[t == 2][:, [3, 1]]
    )
    assert_painted_as_predicted(ax, predicted_class, [3, 1], row)
    row[[0, 4]] = 2, -1
    ax = plot_decision_boundary(
        network, theta, X, t, features=(3, 1), held={0: 2, 4: -1}
    )
    assert_painted_as_predicted(ax, predicted_class, [3, 1], row)


def test_grid_is_predicted_in_one_call(circles):
    asked = []

    class Noted(Activation):
        def value(self, z):
            asked.append(z.shape)
            return z

        def derivative(self, z, y):
            return np.ones_like(z)

    _, _, X, t = circles
    network = Network(2, [Noted(), Dense(2)], SoftmaxCrossEntropy())
    plot_decision_boundary(network, network.init(0), X, t, resolution=30)
    assert asked == [(900, 2)]


def test_classes_with_a_region_or_rows_are_in_the_legend(circles, legend):
    network, theta, X, _ = circles
    ax: Any = plot_decision_boundary(
        network, np.zeros(17), X, np.zeros(100, int), class_names=["only", "none"]
    )
    assert legend(ax) == ["only"]
    assert set(painted(ax, X)) == {TINTS[0]}
    assert legend(plot_decision_boundary(network, theta, X, np.zeros(100, int))) == [
        "class 0",
        "class 1",
    ]


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
def test_one_class_and_constant_features_can_be_drawn(legend, kind):
    network, X = (
        Network(2, [Dense(1)], SoftmaxCrossEntropy()),
        np.array([[0, 1], [1, 1]]).astype(kind),
    )
    ax: Any = plot_decision_boundary(network, np.zeros(3), X, np.zeros(2, int))
    assert legend(ax) == ["class 0"]
    np.testing.assert_allclose((*ax.get_xlim(), *ax.get_ylim()), (-0.1, 1.1, 0, 2))


@pytest.mark.parametrize(
    ("loss", "outputs"), [(SquaredError(), 1), (BinaryCrossEntropy(), 2)]
)
def test_network_that_is_not_a_classifier_raises(loss, outputs):
    network = Network(2, [Dense(outputs)], loss)
    with pytest.raises(
        ValueError,
        match=(
            f"this network's loss is {type(loss).__name__} with {outputs} output.*: use"
            " Soft"
        ),
    ):
        plot_decision_boundary(
            network, network.init(0), np.ones((2, 2)), np.array([0, 1])
        )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"t": np.full(60, 3)},
            "t has class 3 in row 0, but the network has classes 0 to 2",
        ),
        (
            {"X": np.ones((60, 4))},
            r"X has shape \(60, 4\), but the network takes \(N, 5\)",
        ),
        (
            {"theta": np.zeros((2, 93))},
            r"theta has shape \(2, 93\), but a figure shows one network",
        ),
        ({"theta": np.zeros(92)}, r"theta has shape \(92,\)"),
        ({"held": {5: 0.0}}, "held contains feature 5"),
        ({"held": {1: 0.0}}, "held contains feature 1"),
    ],
)
def test_errors_open_no_figure(wide, arguments, says):
    network, theta, X, t = wide
    with pytest.raises(ValueError, match=says):
        plot_decision_boundary(network, **{"theta": theta, "X": X, "t": t, **arguments})
    assert not plt.get_fignums()

from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

import vecprop as vp
from vecprop.pictures import plot_loss

LOSS = np.array([4.0, 2.0, 1.0])
MEMBERS = np.array([[4.0, 5.0, 9.0], [2.0, 3.0, np.nan]])


def test_arrays_are_drawn_over_iterations_and_share_axes():
    ax = plot_loss(LOSS, linewidth=3)
    (curve,) = ax.lines
    np.testing.assert_array_equal(curve.get_xydata(), np.column_stack((np.arange(3), LOSS)))
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_legend()) == ("iteration", r"loss $\xi$", None)
    assert curve.get_linewidth() == 3
    assert all(tick == round(tick) for tick in ax.get_xticks())
    assert plot_loss(np.ones(9), ax, color="k") is ax
    assert ax.lines[1].get_color() == "k"
    assert ax.get_xlim() == (0, 8)


def test_a_history_has_epochs_and_its_validation_loss_another_line_style(legend):
    ax = plot_loss(SimpleNamespace(loss=LOSS, validation_loss=LOSS + 1))
    training, validation = ax.lines
    np.testing.assert_array_equal(training.get_ydata(), LOSS)
    np.testing.assert_array_equal(validation.get_ydata(), LOSS + 1)
    assert training.get_linestyle() != validation.get_linestyle()
    assert (ax.get_xlabel(), legend(ax)) == ("epoch", ["training", "validation"])
    for without in ({}, {"validation_loss": None}, {"validation_loss": np.array([])}):
        assert len(plot_loss(SimpleNamespace(loss=LOSS, **without)).lines) == 1


def test_members_are_thin_lines_and_their_median_a_thick_one(legend):
    ax = plot_loss(MEMBERS)
    *members, median = ax.lines
    np.testing.assert_array_equal(np.column_stack([line.get_ydata() for line in members]), MEMBERS)
    np.testing.assert_array_equal(median.get_ydata(), [5, 3])  # the member that diverged counts as the worst
    assert all(line.get_linewidth() < median.get_linewidth() for line in members)
    assert legend(ax) == ["training, median of 3"]
    ax = plot_loss(SimpleNamespace(loss=np.ones((4, 2, 3)), validation_loss=np.ones((4, 2, 3))), first=1)
    assert legend(ax) == ["training, median of 6", "validation, median of 6"]
    assert [np.asarray(line.get_xdata()).tolist() for line in ax.lines] == [[1, 2, 3, 4]] * 2 * 7


@pytest.mark.parametrize(
    ("history", "says"),
    [
        ([], r"The loss has shape \(0,\)"),
        (1.0, r"The loss has shape \(\)"),
        (SimpleNamespace(loss=LOSS, validation_loss=LOSS[:2]), r"validation_loss has shape \(2,\), .* loss, \(3,\)"),
    ],
)
def test_says_what_is_wrong(history, says):
    with pytest.raises(ValueError, match=says):
        plot_loss(history)
    assert not plt.get_fignums()


def test_running_loss_starts_at_epoch_1_and_validation_loss_at_0():
    network, X = vp.Network(1, [vp.Dense(1)], vp.SquaredError()), np.linspace(-1, 1, 20)[:, None]
    settings: dict[str, Any] = {"optimizer": vp.Momentum(0.1), "epochs": 3, "batch_size": 5}
    alone = vp.train(network, np.zeros(2), X, X, **settings)
    both = vp.train(network, np.zeros(2), X, X, **settings, validation=(X, X))
    for history, epochs in ((alone.history, [[1, 2, 3]]), (both.history, [[1, 2, 3], [0, 1, 2, 3]])):
        for line, expected in zip(plot_loss(history).lines, epochs, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), expected)

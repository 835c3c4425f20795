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
    np.testing.assert_array_equal(
        curve.get_xydata(), np.column_stack((np.arange(3), LOSS))
    )
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_legend()) == (
        "iteration",
        r"loss $\xi$",
        None,
    )
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
    np.testing.assert_array_equal(
        np.column_stack([line.get_ydata() for line in members]), MEMBERS
    )
    # the member that diverged counts as the worst
    np.testing.assert_array_equal(median.get_ydata(), [5, 3])
    assert all(line.get_linewidth() < median.get_linewidth() for line in members)
    assert legend(ax) == ["training, median of 3"]
    ax = plot_loss(
        SimpleNamespace(loss=np.ones((4, 2, 3)), validation_loss=np.ones((4, 2, 3))),
        first=1,
    )
    assert legend(ax) == ["training, median of 6", "validation, median of 6"]
    assert [np.asarray(line.get_xdata()).tolist() for line in ax.lines] == [
        [1, 2, 3, 4]
    ] * 2 * 7


@pytest.mark.parametrize(
    ("history", "says"),
    [
        ([], r"The loss has shape \(0,\)"),
        (1.0, r"The loss has shape \(\)"),
        (
            SimpleNamespace(loss=LOSS, validation_loss=LOSS[:2]),
            r"validation_loss has shape \(2,\), .* loss, \(3,\)",
        ),
    ],
)
def test_says_what_is_wrong(history, says):
    with pytest.raises(ValueError, match=says):
        plot_loss(history)
    assert not plt.get_fignums()


def test_running_loss_starts_at_epoch_1_and_validation_loss_at_0():
    network, X = (
        vp.Network(1, [vp.Dense(1)], vp.SquaredError()),
        np.linspace(-1, 1, 20)[:, None],
    )
    settings: dict[str, Any] = {
        "optimizer": vp.Momentum(0.1),
        "epochs": 3,
        "batch_size": 5,
    }
    alone = vp.train(network, np.zeros(2), X, X, **settings)
    both = vp.train(network, np.zeros(2), X, X, **settings, validation=(X, X))
    for history, epochs in (
        (alone.history, [[1, 2, 3]]),
        (both.history, [[1, 2, 3], [0, 1, 2, 3]]),
    ):
        for line, expected in zip(plot_loss(history).lines, epochs, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), expected)


NETWORK = vp.Network(1, [vp.Dense(1)], vp.SquaredError())
ROWS = np.linspace(-1, 1, 20)[:, None]
TARGETS = 3 * ROWS + 1


def member(epochs, **settings):
    return vp.Member(
        NETWORK, np.zeros(2), vp.GradientDescent(0.5), epochs=epochs, **settings
    )


def test_a_result_plots_its_history_and_is_a_frame():
    settings: dict[str, Any] = {
        "optimizer": vp.GradientDescent(0.5),
        "epochs": 5,
        "validation": (ROWS, TARGETS),
    }
    result = vp.train(NETWORK, np.zeros(2), ROWS, TARGETS, **settings)
    training, validation = result.plot(linewidth=3).lines
    np.testing.assert_array_equal(training.get_ydata(), result.history.loss)
    np.testing.assert_array_equal(
        validation.get_ydata(), result.history.validation_loss
    )
    assert training.get_linewidth() == 3
    np.testing.assert_array_equal(result.to_frame().loss, result.history.loss)


def test_a_population_plots_its_members_with_their_last_losses(legend):
    results = vp.train_population([member(2), member(4), member(4)], ROWS, TARGETS)
    ax = results.plot()
    *each, median = ax.lines
    first = results[0].history.loss
    np.testing.assert_array_equal(each[0].get_ydata(), [*first, first[-1], first[-1]])
    np.testing.assert_array_equal(median.get_ydata(), results[1].history.loss)
    assert legend(ax) == ["training, median of 3"]
    assert results.plot(ax) is ax


def test_of_many_members_the_median_counts_all():
    losses = np.arange(20_000.0).reshape(2, 10_000)
    *some, median = plot_loss(losses).lines
    assert len(some) == 500
    np.testing.assert_array_equal(some[1].get_ydata(), losses[:, 20])
    np.testing.assert_array_equal(median.get_ydata(), np.median(losses, axis=1))


def test_running_losses_of_a_population_begin_at_the_first_epoch():
    some = np.arange(5)
    results = vp.train_population(
        [member(3, batch_size=4, validation_rows=some)] * 2, ROWS, TARGETS
    )
    training, _, _, validation, *_ = results.plot().lines
    np.testing.assert_array_equal(
        training.get_xydata(), np.column_stack((range(1, 4), results[0].history.loss))
    )
    np.testing.assert_array_equal(validation.get_xdata(), range(4))


def test_a_population_without_losses_is_refused():
    with pytest.raises(ValueError, match="must be a nonempty array"):
        vp.train_population([], ROWS, TARGETS).plot()


def test_a_model_plots_its_loss():
    model = vp.MLPRegressor(hidden_layer_sizes=(2,), tol=1.0, random_state=0).fit(
        ROWS, TARGETS[:, 0]
    )
    (curve,) = model.plot(color="k").lines
    np.testing.assert_array_equal(curve.get_ydata(), model.loss_curve_)


def test_an_ensemble_plots_the_losses_of_its_members():
    network = vp.MLPRegressor(
        hidden_layer_sizes=(2,),
        max_iter=3,
        early_stopping=True,
        tol=1.0,
        n_iter_no_change=9,
    )
    with pytest.warns(UserWarning, match="Maximum iterations"):
        ensemble = vp.MLPEnsembleRegressor(network, 2, random_state=0).fit(
            np.tile(ROWS, (5, 1)), np.tile(TARGETS[:, 0], 5)
        )
    first, _, _, validation, *_ = ensemble.plot().lines
    np.testing.assert_array_equal(
        first.get_xydata(),
        np.column_stack((range(1, 4), ensemble.estimators_[0].loss_curve_)),
    )
    np.testing.assert_array_equal(
        validation.get_ydata(), ensemble.estimators_[0].validation_loss_curve_
    )


def test_a_tabular_model_plots_the_losses_of_its_main_networks(legend):
    few = {
        "max_iter": 3,
        "n_estimators": 2,
        "hidden_layer_sizes": (2,),
        "random_state": 0,
    }
    model = vp.TabularRegressor(loss="quantile", quantile=(0.1, 0.5, 0.9), **few).fit(
        np.tile(ROWS, (5, 1)), np.tile(TARGETS[:, 0], 5)
    )
    ax = model.plot()
    count = len(model.loss_curves_) // 3
    first, validation = ax.lines[0], ax.lines[count + 1]
    np.testing.assert_array_equal(
        first.get_xydata(), np.column_stack((range(1, 4), model.loss_curves_[0]))
    )
    np.testing.assert_array_equal(
        validation.get_xydata(),
        np.column_stack((range(4), model.validation_loss_curves_[0])),
    )
    assert legend(ax) == [
        f"training, median of {count}",
        f"validation, median of {count}",
    ]
    with pytest.raises(ValueError, match="not fitted"):
        vp.TabularRegressor().plot()


def test_models_results_and_histories_are_drawn_alike():
    network = vp.Network(1, [vp.Dense(1)], vp.SquaredError())
    result = vp.train(
        network, network.init(0), ROWS, TARGETS, optimizer=vp.Adam(), epochs=3
    )
    for source in (result, result.history, [result]):
        np.testing.assert_array_equal(
            plot_loss(source).lines[0].get_ydata(), result.history.loss
        )
    model = vp.MLPRegressor(hidden_layer_sizes=(2,), tol=1.0, random_state=0).fit(
        ROWS, TARGETS[:, 0]
    )
    (of_function,), (of_method,) = (
        plot_loss(model, color="k").lines,
        model.plot.loss(color="k").lines,
    )
    np.testing.assert_array_equal(of_function.get_xydata(), of_method.get_xydata())
    few = {
        "max_iter": 3,
        "n_estimators": 2,
        "hidden_layer_sizes": (2,),
        "random_state": 0,
    }
    table = vp.TabularRegressor(**few).fit(
        np.tile(ROWS, (5, 1)), np.tile(TARGETS[:, 0], 5)
    )
    assert (
        len(plot_loss(table).lines)
        == len(table.plot.loss().lines)
        == len(table.plot().lines)
        > 2
    )


@pytest.mark.parametrize(
    "source", ["loss.csv", vp.Adam(), None, object(), [], vp.SquaredError()]
)
def test_other_objects_have_no_losses(source):
    with pytest.raises(
        (TypeError, ValueError),
        match=r"^plot_loss needs a history, .* got|must be a nonempty array",
    ):
        plot_loss(source)

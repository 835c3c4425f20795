from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from vecprop import MLPClassifier, MLPSearchCV
from vecprop.pictures import plot_search, plot_search_each

X, y = map(np.asarray, make_moons(60, noise=0.2, random_state=0))
NETWORK = MLPClassifier(
    (3,), max_iter=5, n_iter_no_change=9, batch_size=20, random_state=0
)
RATES = [0.3, 0.001, 0.1]


def searched(grid, **settings):
    return MLPSearchCV(NETWORK, grid, cv=3, refit=False, **settings).fit(X, y)


def test_one_parameter_is_a_curve_with_the_spread_over_folds_and_seeds(legend):
    search = searched({"learning_rate_init": RATES}, n_seeds=3)
    order = np.argsort(RATES)
    ax: Any = plot_search(search)
    curve = next(line for line in ax.lines if line.get_linestyle() == "-")
    np.testing.assert_array_equal(curve.get_xdata(), np.sort(RATES))
    np.testing.assert_array_equal(
        curve.get_ydata(), search.cv_results_["mean_test_score"][order]
    )
    band = ax.collections[0].get_paths()[0].vertices
    mean, deviation = (
        search.cv_results_[f"{name}_test_score"][order] for name in ("mean", "std")
    )
    for x, low, high in zip(
        np.sort(RATES), mean - deviation, mean + deviation, strict=True
    ):
        assert {low, high} <= set(band[band[:, 0] == x, 1])
    (bars,) = ax.containers[0].lines[2]
    seeds = search.cv_results_["std_seed_test_score"][order]
    np.testing.assert_allclose(
        [np.ptp(bar[:, 1]) / 2 for bar in bars.get_segments()], seeds, atol=1e-15
    )
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == (
        "learning_rate_init",
        "test score",
        "log",
    )
    assert legend(ax) == ["± over folds", "mean over folds", "± over seeds"]


def test_curve_connects_the_best_settings_and_others_are_dots(legend):
    sizes = [(2,), (3, 2)]
    search = searched(
        {
            "learning_rate_init": RATES,
            "activation": ["tanh", "relu"],
            "hidden_layer_sizes": sizes,
        }
    )
    scores = search.cv_results_["mean_test_score"]
    ax: Any = plot_search(search, "activation")
    curve, dots = ax.lines
    of = search.cv_results_["param_activation"]
    np.testing.assert_array_equal(
        curve.get_ydata(), [scores[of == value].max() for value in ("tanh", "relu")]
    )
    assert len(dots.get_ydata()) == len(scores) - 2
    assert [text.get_text() for text in ax.get_xticklabels()] == ["tanh", "relu"]
    assert legend(ax) == ["± over folds", "best of each value", "other settings"]
    assert [a.get_xlabel() for a in plot_search_each(search)] == sorted(
        search.cv_results_["params"][0]
    )
    with pytest.raises(
        ValueError,
        match=(
            "activation, hidden_layer_sizes, learning_rate_init vary, but a figure"
            " shows"
        ),
    ):
        plot_search(search)


def test_two_parameters_are_a_map(legend):
    search = searched(
        {
            "learning_rate_init": RATES,
            "activation": ["tanh", "relu"],
            "alpha": [0.0, 0.1],
        }
    )
    results = search.cv_results_
    ax: Any = plot_search(search, ["activation", "learning_rate_init"])
    cells = np.asarray(ax.images[0].get_array())
    assert cells.shape == (3, 2)
    for row, rate in enumerate(sorted(RATES)):
        for column, activation in enumerate(["tanh", "relu"]):
            here = (results["param_learning_rate_init"] == rate) & (
                results["param_activation"] == activation
            )
            assert cells[row, column] == results["mean_test_score"][here].max()
    assert [text.get_text() for text in ax.get_yticklabels()] == ["0.001", "0.1", "0.3"]
    texts = [text.get_text() for text in ax.texts]
    np.testing.assert_allclose(
        [float(text) for text in texts], cells.ravel(), atol=5e-4
    )
    assert len({len(text.partition(".")[2]) for text in texts}) == 1
    (frame,) = ax.patches
    row, column = np.argwhere(cells == cells.max())[0]
    assert frame.get_xy() == pytest.approx((column - 0.48, row - 0.48))


@pytest.mark.filterwarnings("ignore")
def test_settings_that_failed_or_lack_a_parameter():
    grid = [
        {"solver": ["sgd"], "learning_rate_init": [0.01, 1e200]},
        {"alpha": [0.1, 1.0]},
    ]
    search = searched(grid)
    ax: Any = plot_search(search, "learning_rate_init")
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0.01])
    shown: Any = (
        plot_search(search, ["learning_rate_init", "alpha"]).images[0].get_array()
    )
    cells = np.asarray(shown.filled(np.nan))
    assert np.isnan(cells).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_searches_halving_and_several_scores():
    grid = {"learning_rate_init": RATES}
    reference = GridSearchCV(
        NETWORK, grid, cv=3, refit=False, scoring=["accuracy", "neg_log_loss"]
    ).fit(X, y)
    ax: Any = plot_search(reference, score="neg_log_loss")
    np.testing.assert_array_equal(
        ax.lines[0].get_ydata(),
        reference.cv_results_["mean_test_neg_log_loss"][np.argsort(RATES)],
    )
    assert ax.get_ylabel() == "test neg_log_loss"
    # halving varies max_iter, which is not searched
    ax = plot_search(searched(grid, halving=3))
    assert ax.get_xlabel() == "learning_rate_init"


def test_given_axes_are_used_and_bad_names_raise():
    _, axes = plt.subplots(1, 2)
    search = searched(
        {"learning_rate_init": RATES, "alpha": [0.0, 1.0], "solver": ["sgd"]}
    )
    assert plot_search(search, "alpha", axes[0]) is axes[0]
    assert list(plot_search_each(search, axes)) == list(axes)
    plt.close("all")
    with pytest.raises(
        ValueError,
        match=(
            "'beta' does not vary in this search: choose from alpha, learning_rate_init"
        ),
    ):
        plot_search(search, parameters="beta")
    with pytest.raises(ValueError, match="no score 'r2': its scores are score"):
        plot_search(search, score="r2")
    with pytest.raises(ValueError, match="No parameter varies"):
        plot_search(searched({"solver": ["sgd"]}))
    assert not plt.get_fignums()


def test_a_search_plots_itself_and_is_a_frame():
    search = searched({"learning_rate_init": RATES, "alpha": [0.1, 1.0]})
    ax = search.plot("alpha")
    assert search.plot("alpha", ax) is ax
    assert ax.get_xlabel() == "alpha"
    np.testing.assert_array_equal(
        search.to_frame().mean_test_score, search.cv_results_["mean_test_score"]
    )
    for method in (MLPSearchCV(NETWORK, {}).plot, MLPSearchCV(NETWORK, {}).to_frame):
        with pytest.raises(NotFittedError):
            method()

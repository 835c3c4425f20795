from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from vecprop import MLPRegressor
from vecprop.pictures import plot_restarts


class Model:
    """A model with only the attributes that the figure needs."""

    restart_losses_ = np.array([3.0, np.inf, 1.0, 2.0, np.inf])
    best_restart_ = 3


def test_losses_are_sorted_and_the_selected_restart_is_marked(legend):
    ax: Any = plt.subplots()[1]
    assert plot_restarts(Model(), ax) is ax
    dots, star = ax.lines
    np.testing.assert_array_equal(dots.get_xydata(), [[1, 1], [2, 2], [3, 3]])
    np.testing.assert_array_equal(star.get_xydata(), [[2, 2]])
    assert legend(ax) == ["restarts", "selected: restart 3, 2", "2 diverged"]
    assert ax.get_yscale() == "log"
    assert ax.get_xlim() == (0.5, 5.5)


def test_model_without_restarts_raises():
    X = np.linspace(-1, 1, 20)[:, None]
    model = MLPRegressor(
        hidden_layer_sizes=(2,), solver="lbfgs", tol=0.1, random_state=0
    )
    for of in (model, model.fit(X, X[:, 0])):
        with pytest.raises(
            ValueError,
            match="MLPRegressor has no restarts: fit it with n_restarts above 1",
        ):
            plot_restarts(of)

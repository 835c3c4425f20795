from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from sklearn.datasets import load_iris

from vecprop import (
    MLPClassifier,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
    MLPRegressor,
)
from vecprop.pictures import plot_disagreement

X, y = map(np.asarray, load_iris(return_X_y=True))
NAMES = np.array(["setosa", "versicolor", "virginica"])


def classifier(classes=3, **settings):
    network = MLPClassifier((4,), solver="lbfgs", tol=0.01, max_iter=200)
    rows = y < classes
    return MLPEnsembleClassifier(
        network, 4, random_state=0, bootstrap=True, **settings
    ).fit(X[rows], NAMES[y[rows]])


def fields(ax):
    """Return the filled contours, and the lines by width."""
    filled = [artist for artist in ax.collections if getattr(artist, "filled", False)]
    lines = [
        artist
        for artist in ax.collections
        if hasattr(artist, "levels") and not artist.filled
    ]
    return filled, [float(artist.get_linewidths()[0]) for artist in lines]


def test_the_field_is_the_largest_deviation_over_the_classes_with_other_features_held(
    monkeypatch,
):
    drawn = []
    monkeypatch.setattr(Axes, "contourf", record(Axes.contourf, drawn))
    ensemble = classifier(max_features=3)
    ax: Any = plot_disagreement(
        ensemble, X, NAMES[y], features=(2, 3), held={0: 6.0}, resolution=20
    )
    ((x, lines, field),) = drawn
    rows = np.tile(np.median(X, axis=0), (400, 1))
    rows[:, 0] = 6.0
    rows[:, 2], rows[:, 3] = (of.ravel() for of in np.meshgrid(x, lines))
    pairs = zip(ensemble.estimators_, ensemble.estimators_features_, strict=True)
    members = [member.predict_proba(rows[:, features]) for member, features in pairs]
    np.testing.assert_allclose(
        field.ravel(), np.std(members, axis=0).max(axis=1), atol=1e-12
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x_{3}$", "$x_{4}$")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == NAMES.tolist()


def record(method, calls):
    def recorded(self, *arguments, **options):
        calls.append(arguments)
        return method(self, *arguments, **options)

    return recorded


@pytest.mark.parametrize("classes", [2, 3])
def test_each_member_has_a_thin_boundary_and_the_ensemble_a_thick_one(classes):
    ensemble = classifier(classes)
    filled, widths = fields(
        plot_disagreement(ensemble, X, features=(2, 3), resolution=30)
    )
    assert len(filled) == 1
    lines_each = 1 if classes == 2 else 3
    assert 2 <= widths.count(0.6) <= 4 * lines_each
    assert 1 <= widths.count(2.5) <= lines_each
    if classes == 2:
        assert widths.count(2.5) == 1


def test_a_regressor():
    network = MLPRegressor(
        hidden_layer_sizes=(4,), solver="lbfgs", tol=0.01, max_iter=200
    )
    ensemble = MLPEnsembleRegressor(network, 3, random_state=0).fit(X[:, :2], X[:, 2:])
    ax: Any = plot_disagreement(ensemble, X[:, :2], X[:, 2])
    filled, widths = fields(ax)
    assert len(filled) == 1
    assert not widths
    assert (
        ax.figure.axes[1].get_xlabel()
        == "standard deviation of the prediction over 3 members"
    )
    assert ax.collections[-1].get_offsets().shape == (150, 2)


def test_names_come_from_the_fitted_frame_and_bad_features_raise():
    frame = pytest.importorskip("pandas").DataFrame(X, columns=list("abcd"))
    ensemble = MLPEnsembleClassifier(
        MLPClassifier((3,), solver="lbfgs", tol=0.1), 2, random_state=0
    ).fit(frame, y)
    ax: Any = plt.subplots()[1]
    assert (
        plot_disagreement(ensemble, frame, y, features=(1, 2), resolution=10, ax=ax)
        is ax
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("b", "c")
    with pytest.raises(
        ValueError, match=r"X has shape \(150, 3\), but the ensemble takes \(N, 4\)"
    ):
        plot_disagreement(ensemble, X[:, :3])
    with pytest.raises(ValueError, match="must be 2 different indices from 0 to 3"):
        plot_disagreement(ensemble, X, features=(0, 4))

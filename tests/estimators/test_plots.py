"""Test that plots of fitted models show the model's numbers and names."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_iris, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.inspection import DecisionBoundaryDisplay

from vecprop import MLPClassifier, MLPRegressor, pictures

X, number = map(np.asarray, make_moons(100, noise=0.2, random_state=0))
y = np.array(["out", "in"])[number]


@pytest.fixture(scope="module")
def model():
    return MLPClassifier((4, 3), "tanh", solver="lbfgs", alpha=1, random_state=0).fit(
        X, y
    )


@pytest.fixture(scope="module")
def iris():
    frame: Any = load_iris(as_frame=True)
    names = frame.target_names[frame.target]
    model = MLPClassifier(
        (2,), "tanh", learning_rate_init=0.1, max_iter=1000, random_state=0
    ).fit(frame.data, names)
    return model, (frame.data, names)


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_losses_are_drawn_at_their_epochs():
    model = MLPClassifier((3,), max_iter=4, random_state=0).fit(
        X, y, X_val=X[:9], y_val=y[:9]
    )
    ax = model.plot.loss(color="k")
    for line, name in zip(
        ax.lines, ("loss_curve_", "validation_loss_curve_"), strict=True
    ):
        np.testing.assert_array_equal(
            line.get_xydata(), np.column_stack([[1, 2, 3, 4], getattr(model, name)])
        )
        assert line.get_color() == "k"
    assert legend(ax) == ["training", "validation"]
    assert ax.get_xlabel() == "epoch"


def test_epochs_without_validation_rows_leave_a_gap():
    model = MLPClassifier((3,), max_iter=2, warm_start=True, random_state=0).fit(X, y)
    assert len(model.plot.loss().lines) == 1
    ax = model.fit(X, y, X_val=X, y_val=y).plot.loss()
    np.testing.assert_array_equal(
        np.isnan(ax.lines[1].get_ydata()), [True, True, False, False]
    )


def test_the_decision_boundary_matches_the_predictions(model):
    ax = model.plot.decision_boundary(X, y, resolution=150, s=9)
    assert legend(ax) == ["in", "out"]
    boundary = np.vstack(
        [
            path.vertices
            for c in ax.collections
            if list(getattr(c, "levels", [])) == [0]
            for path in c.get_paths()
        ]
    )
    np.testing.assert_allclose(model.predict_proba(boundary)[:, 1], 0.5, atol=0.05)
    names = {tuple(p): y[n] for n, p in enumerate(X)}
    for points, name in zip(
        (c for c in ax.collections if len(c.get_offsets()) > 1),
        ("in", "out"),
        strict=True,
    ):
        assert {names[tuple(p)] for p in points.get_offsets().data} == {name}


def test_axes_are_labeled_by_column_names(iris):
    model, (frame, names) = iris
    ax = model.plot.decision_boundary(frame, names, features=(2, 3), held={0: 5.0})
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "petal length (cm)",
        "petal width (cm)",
    )
    assert legend(ax) == ["setosa", "versicolor", "virginica"]
    bare = model.plot.decision_boundary(
        frame, names, feature_names=list("abcd"), class_names=list("xyz")
    )
    assert (bare.get_xlabel(), legend(bare)) == ("a", ["x", "y", "z"])


@pytest.mark.parametrize("method", ["auto", "predict_proba", "predict"])
def test_scikit_learns_own_display_of_the_boundary(model, method):
    display = DecisionBoundaryDisplay.from_estimator(
        model, X, response_method=method, grid_resolution=20
    )
    grid = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
    expected = (
        model.predict(grid) == "out"
        if method == "predict"
        else model.predict_proba(grid)[:, 1]
    )
    np.testing.assert_allclose(display.response.ravel(), expected, atol=1e-12)


@pytest.mark.parametrize("layer", [-1, 0])
def test_the_hidden_space_shows_the_hidden_activations(model, layer):
    ax = model.plot.hidden_space(X, y, layer=layer, axes=(0, 2))
    H = model.hidden_activations(X, layer=layer)[:, [0, 2]]
    np.testing.assert_allclose(ax.collections[0].get_offsets(), H[y == "in"])
    assert legend(ax) == ["in", "out"]


def test_three_hidden_units_are_drawn_in_3d_and_dropout_is_ignored(model):
    assert model.plot.hidden_space(X, y).name == "3d"
    thinned = MLPClassifier(
        (2,), dropout=0.5, layer_norm=True, max_iter=1, random_state=0
    ).fit(X, y)
    ax = thinned.plot.hidden_space(X, y)
    np.testing.assert_allclose(
        np.asarray(ax.collections[1].get_offsets()),
        thinned.hidden_activations(X)[y == "out"],
    )
    with pytest.raises(
        IndexError, match="Hidden layer 3 does not exist: the model has 2"
    ):
        model.plot.hidden_space(X, y, layer=3)


def test_confusion_counts_rows(model, iris):
    ax = model.plot.confusion(X, y, colorbar=False)
    wrong = model.predict(X) != y
    counts = [[(~wrong & (y == "in")).sum(), (wrong & (y == "in")).sum()]]
    counts += [[(wrong & (y == "out")).sum(), (~wrong & (y == "out")).sum()]]
    np.testing.assert_array_equal(ax.images[0].get_array(), counts)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["in", "out"]
    other, (frame, names) = iris
    assert other.plot.confusion(frame, names).images[0].get_array().sum() == 150


def test_calibration_is_the_share_of_rows_at_a_probability(model, iris):
    ax = model.plot.calibration(X, y, n_bins=2)
    p = model.predict_proba(X)[:, 1]
    halves = [p < 0.5, p >= 0.5]
    expected = [[p[half].mean(), (y[half] == "out").mean()] for half in halves]
    np.testing.assert_allclose(ax.lines[-1].get_xydata(), expected)
    other, (frame, names) = iris
    ax = other.plot.calibration(frame, names)
    assert legend(ax) == ["Perfectly calibrated", "setosa", "versicolor", "virginica"]


def test_calibration_of_multilabel_targets():
    marks = np.column_stack([number, 1 - number])
    model = MLPClassifier((3,), max_iter=5, random_state=0).fit(X, marks)
    ax = model.plot.calibration(X, marks, n_bins=1)
    for k, line in enumerate(ax.lines[1:]):
        np.testing.assert_allclose(
            np.asarray(line.get_xydata()),
            [[model.predict_proba(X)[:, k].mean(), marks[:, k].mean()]],
        )


def test_float32_and_sparse_rows_can_be_drawn():
    small = MLPClassifier((3,), max_iter=3, random_state=0).fit(
        sparse.csr_matrix(X.astype(np.float32)), y
    )
    for rows in (X.astype(np.float32), sparse.csr_matrix(X)):
        assert small.plot.decision_boundary(rows, y)
        assert small.plot.hidden_space(rows, y)
        assert small.plot.calibration(rows, y)


def test_plots_use_the_given_axes_and_open_no_figure(model):
    _, ax = plt.subplots()
    figures = plt.get_fignums()
    assert model.plot.loss(ax) is ax
    for name in ("decision_boundary", "confusion", "calibration"):
        assert getattr(model.plot, name)(X, y, ax) is ax
    assert model.plot.hidden_space(X, y, ax, axes=(0, 1)) is ax
    assert plt.get_fignums() == figures


def test_plots_that_are_impossible_raise_an_error(model):
    with pytest.raises(NotFittedError):
        MLPClassifier().plot.loss()
    with pytest.raises(NotFittedError):
        MLPClassifier().plot.calibration(X, y)
    with pytest.raises(ValueError, match="The loss has shape"):
        MLPClassifier().initialize(X, y).plot.loss()
    with pytest.raises(ValueError, match="needs one class per row"):
        MLPRegressor(max_iter=1).fit(X, number).plot.decision_boundary(X, number)
    marks = np.column_stack([number, 1 - number])
    with pytest.raises(ValueError, match="needs one class per row"):
        MLPClassifier(max_iter=1).fit(X, marks).plot.hidden_space(X, marks)
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    "name", ["loss", "decision_boundary", "hidden_space", "confusion", "calibration"]
)
def test_the_error_says_how_to_install_matplotlib(model, without_package, name):
    without_package("matplotlib")
    with pytest.raises(ImportError, match=r'pip install "vecprop\[pictures\]"'):
        getattr(model.plot, name)(*(() if name == "loss" else (X, y)))


def test_plots_of_classes_refuse_a_regressor():
    model = MLPRegressor(random_state=0).initialize(np.eye(3), np.arange(3.0))
    with pytest.raises(
        ValueError, match="needs the probabilities of classes: use a classifier"
    ):
        model.plot.calibration(np.eye(3), np.arange(3.0))


def test_a_calibration_plot_rejects_unknown_labels(model):
    with pytest.raises(ValueError, match="classes not in"):
        model.plot.calibration(X, number)
    with pytest.raises(ValueError, match="classes not in"):
        model.plot.calibration(X, np.where(number, "inside", "out"))


def test_functions_draw_models_as_methods_do(model):
    for name in ("decision_boundary", "hidden_space"):
        of_function, of_method = (
            getattr(pictures, f"plot_{name}")(model, X, y),
            getattr(model.plot, name)(X, y),
        )
        assert len(of_function.collections) == len(of_method.collections) > 0


@pytest.mark.parametrize(
    ("draw", "needs"),
    [
        (
            lambda: pictures.plot_decision_boundary(np.ones(3), X, y),
            "an MLPClassifier, X and y, or a Network",
        ),
        (
            lambda: pictures.plot_hidden_space("model", X, y),
            "an MLPClassifier, X and y, or a Network",
        ),
        (
            lambda: pictures.plot_classes(MLPClassifier(), y),
            "rows X and their classes t",
        ),
        (
            lambda: pictures.plot_disagreement(MLPClassifier(), X),
            "a fitted MLPEnsembleClassifier or",
        ),
        (lambda: pictures.plot_search(3), "a fitted search or its cv_results_"),
        (
            lambda: pictures.plot_search_each(MLPClassifier()),
            "a fitted search or its cv_results_",
        ),
        (lambda: pictures.plot_restarts(X), "a fitted MLPClassifier or MLPRegressor"),
        (lambda: pictures.plot_gradient_report(True), "a report of check_gradients"),
        (lambda: pictures.plot_taylor_remainder("PASS"), "a report of check_gradients"),
    ],
)
def test_wrong_objects_raise_one_sentence(draw, needs):
    with pytest.raises(
        TypeError, match=f"^plot_[a-z_]+ needs {needs}.*, got [A-Za-z]+\\.$"
    ):
        draw()
    assert not plt.get_fignums()

"""Figures of the disagreement between the members of an ensemble."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from .plane import checked_rows, drawn_features, plane, scatter_classes
from .style import Axes, axes_or_new, colour, figure_of, ink


@figure_of(
    "a fitted MLPEnsembleClassifier or MLPEnsembleRegressor", "estimators_features_"
)
def plot_disagreement(
    ensemble: Any,
    X: Any,
    y: Any = None,
    ax: "Axes | None" = None,
    *,
    features: tuple[int, int] = (0, 1),
    held: Mapping[int, float] | None = None,
    resolution: int = 100,
    feature_names: Sequence[str] | None = None,
) -> "Axes":
    """Draw the disagreement between an ensemble's members over the plane of two features.

    A darker gray means a larger standard deviation over the members: for a regressor,
    of the predictions; for a classifier, of the class probability that varies most. For
    a classifier, thin lines show the decision boundaries of the members, and a thick
    line shows the decision boundary of the ensemble.

    Parameters
    ----------
    ensemble : MLPEnsembleClassifier or MLPEnsembleRegressor
        A fitted ensemble.
    X : array (N, I)
        The inputs.
    y : array (N,), optional
        The targets. If y is given, the rows are drawn too.
    ax : Axes, optional
        The axes to draw on. By default, a new figure is created.
    features : tuple of int, default (0, 1)
        The columns of X on the horizontal and the vertical axis.
    held : mapping of int to float, optional
        The fixed values of other columns, by index. By default, other columns have
        their medians.
    resolution : int, default 100
        The number of grid lines along each axis.
    feature_names : sequence of str, optional
        The names of the columns of X. The default names are the names seen in fit, or
        x₁, x₂, ….

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If X has the wrong number of columns, or a feature does not exist.

    Examples
    --------
    >>> X, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array(["no", "yes", "yes", "no"])
    >>> network = MLPClassifier((4,), "tanh", solver="lbfgs")
    >>> ensemble = MLPEnsembleClassifier(network, 5, random_state=0).fit(X, y)
    >>> ax = plot_disagreement(ensemble, X, y)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['no', 'yes']
    """
    if feature_names is None:
        feature_names = getattr(ensemble, "feature_names_in_", None)
    X = checked_rows(X)
    if X.shape[1] != ensemble.n_features_in_:
        raise ValueError(
            f"X has shape {X.shape}, but the ensemble takes (N,"
            f" {ensemble.n_features_in_})."
        )
    drawn, axis_labels = drawn_features(features, feature_names, X)
    lines_x, lines_y, grid = plane(X, drawn, held or {}, resolution)
    is_classifier = hasattr(ensemble, "classes_")
    with warnings.catch_warnings():
        # the grid has the columns of X
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        predict = ensemble.predict_proba if is_classifier else ensemble.predict
        mean, spread = predict(grid, return_std=True)
    shape = (resolution, resolution, -1)

    ax = axes_or_new(ax)
    worst = spread.reshape(shape).max(axis=-1)
    darkest = 2 * worst.max()  # light grays, so that lines and rows stand out
    field = ax.contourf(
        lines_x, lines_y, worst, levels=12, zorder=0, cmap="Greys", vmin=0, vmax=darkest
    )
    noun = "probability" if is_classifier else "prediction"
    title = f"standard deviation of the {noun} over {len(ensemble.estimators_)} members"
    ax.figure.colorbar(field, ax=ax, label=title, location="bottom")
    if is_classifier:
        for member, columns in zip(
            ensemble.estimators_, ensemble.estimators_features_, strict=True
        ):
            P = member.predict_proba(grid[:, columns])
            _draw_boundaries(ax, lines_x, lines_y, P.reshape(shape), linewidths=0.6)
        _draw_boundaries(ax, lines_x, lines_y, mean.reshape(shape), linewidths=2.5)
    if y is not None and is_classifier:
        labels = {number: str(name) for number, name in enumerate(ensemble.classes_)}
        scatter_classes(ax, X[:, drawn], np.searchsorted(ensemble.classes_, y), labels)
    elif y is not None:
        x, y = X[:, drawn].T
        ax.scatter(x, y, s=16, c=colour(0), edgecolors="white", linewidths=0.5)
    ax.set(**axis_labels, xlim=lines_x[[0, -1]], ylim=lines_y[[0, -1]])
    return ax


def _draw_boundaries(ax: "Axes", x: ndarray, y: ndarray, P: ndarray, **look):
    """Draw the boundaries of the regions where a class is the most probable; two classes share one line."""
    classes = P.shape[-1]
    if classes == 2:
        classes = 1
    for number in range(classes):
        lead = P[..., number] - np.delete(P, number, axis=-1).max(axis=-1, initial=0)
        if lead.min() < 0 < lead.max():
            ax.contour(x, y, lead, levels=[0], colors=[ink()], **look)

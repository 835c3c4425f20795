"""Figures that show how predictions depend on one column: the mean, and the curves of single rows."""

from typing import Any

import numpy as np

from .style import Axes, axes_or_new, colour, figure_of, ink

CURVES = 50
"""The maximum number of curves of single rows; more curves would hide each other."""


@figure_of(
    "a fitted tabular model and a column",
    "column",
    "values",
    "curves",
    "output",
    plot="dependence",
)
def plot_dependence(
    dependence: Any, column: str | None = None, X: Any = None, ax: "Axes | None" = None
) -> "Axes":
    """Plot the mean prediction against the values of a column, with the curves of single rows behind it.

    Curves that are not parallel show that the effect of the column differs between
    rows. Ticks on the axis mark the evaluated values, which are quantiles of the
    column. Unordered categories are drawn as bars that start at the mean over all
    categories; a thin line spans the middle half of the changes in single rows.

    Parameters
    ----------
    dependence : TabularClassifier, TabularRegressor or Dependence
        A fitted tabular model, or an object with the attributes ``column`` and
        ``output`` (names), ``values`` (V numbers, dates or categories) and ``curves``
        (N, V). Categories are ordered if its ``is_ordered`` is true.
    column : str, optional
        The name of the column, for a model.
    X : DataFrame, array or path, optional
        The rows, for a model. By default, columns are drawn independently from their
        training distributions.
    ax : Axes, optional
        The axes to draw on. By default, a new figure is created.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> curves = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    >>> ax = plot_dependence(SimpleNamespace(column="age", values=np.arange(3), curves=curves, output="price"))
    >>> ax.get_xlabel(), ax.lines[-1].get_ydata()
    ('age', array([2., 2., 2.]))
    """
    if not len(dependence.values):
        raise ValueError(
            f"Column {dependence.column!r} has no values to draw: choose another"
            " column."
        )
    ax = axes_or_new(ax)
    if dependence.values.dtype.kind not in "OUS":
        _mark_values(ax, dependence.values)
        _draw_curves(ax, dependence, dependence.values)
        return ax
    names = []
    for name in dependence.values.astype(str).tolist():
        names.append(name if len(name) < 20 else f"{name[:18]}…")
    if getattr(dependence, "is_ordered", False):
        x = np.arange(len(names))
        _draw_curves(ax, dependence, x)
        ax.set_xticks(
            x, names, parse_math=False, rotation=90 if len("  ".join(names)) > 40 else 0
        )
    else:
        _draw_bars(ax, dependence, names)
    return ax


def _draw_curves(ax: "Axes", dependence, x: np.ndarray):
    """Draw the mean, and the curves of single rows behind it."""
    rows = np.unique(np.linspace(0, len(dependence.curves) - 1, CURVES).astype(int))
    ax.plot(x, dependence.curves[rows].T, color=colour(1), linewidth=0.6, alpha=0.35)
    ax.plot(x, dependence.curves.mean(axis=0), color=ink(), linewidth=2.5)
    ax.set_xlabel(dependence.column, parse_math=False)
    ax.set_ylabel(dependence.output, parse_math=False)


def _mark_values(ax: "Axes", x: np.ndarray):
    """Mark the values on the horizontal axis."""
    ax.plot(
        x,
        np.zeros(len(x)),
        "|",
        color=ink(),
        transform=ax.get_xaxis_transform(),
        clip_on=False,
    )
    if x.dtype.kind == "M":
        # more dates could overlap
        dates = np.unique([x[0], x[0] + (x[-1] - x[0]) // 2, x[-1]])
        ax.set_xticks(dates, [str(date)[:10] for date in dates])
    else:
        ax.locator_params(axis="x", nbins=5)


def _draw_bars(ax: "Axes", dependence, names: list[str]):
    """Draw the mean of each category as a bar from the overall mean, with the quartiles of the rows.

    The quartiles show how much the differences between categories vary between rows.
    """
    curves = dependence.curves
    means = curves.mean(axis=0)
    order = np.argsort(means)
    center = means.mean()
    y = np.arange(len(names))
    differences = curves - curves.mean(axis=1, keepdims=True)
    low, high = np.quantile(center + differences[:, order], (0.25, 0.75), axis=0)
    ax.barh(y, means[order] - center, left=center, color=colour(1), height=0.5)
    ax.hlines(y, low, high, color=ink(), linewidth=1)
    ax.axvline(center, color=ink(), linewidth=1)
    # the axis includes most rows, so that small effects look small
    lowest, highest = np.quantile(curves, (0.1, 0.9))
    ax.update_datalim([(lowest, 0), (highest, 0)])
    ax.set_yticks(y, [names[index] for index in order], parse_math=False)
    ax.locator_params(axis="x", nbins=3)
    ax.set_xlabel(dependence.output, parse_math=False)
    ax.set_ylabel(dependence.column, parse_math=False)

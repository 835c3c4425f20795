"""Figures that show how predictions depend on one column: the mean, and the curves of single rows."""

from typing import Any

import numpy as np

from .style import Axes, axes_or_new, colour, figure_of, ink

CURVES = 50
"""The maximum number of curves of single rows; more curves would hide each other."""


@figure_of("a fitted tabular model and a column", "column", "values", "curves", "output", plot="dependence")
def plot_dependence(dependence: Any, column: str | None = None, X: Any = None, ax: "Axes | None" = None) -> "Axes":
    """Plot the mean prediction against the values of a column, with the curves of single rows behind it.

    Curves that are not parallel show that the effect of the column differs between rows. Ticks on the axis mark the
    evaluated values, which are quantiles of the column. Unordered categories are drawn as bars that start at the mean
    over all categories; a thin line spans the middle half of the changes in single rows.

    Parameters
    ----------
    dependence : TabularClassifier, TabularRegressor or Dependence
        A fitted tabular model, or an object with the attributes ``column`` and ``output`` (names), ``values`` (V
        numbers, dates or categories) and ``curves`` (N, V). Categories are ordered if its ``is_ordered`` is true.
    column : str, optional
        The name of the column, for a model.
    X : DataFrame, array or path, optional
        The rows, for a model. By default, columns are drawn independently from their training distributions.
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
        raise ValueError(f"Column {dependence.column!r} has no values to draw: choose another column.")
    ax = axes_or_new(ax)
    names = dependence.values.astype(str).tolist() if dependence.values.dtype.kind in "OUS" else None
    mean, shown = dependence.curves.mean(axis=0), [name if len(name) < 20 else f"{name[:18]}…" for name in names or ()]
    if names is not None and not getattr(dependence, "is_ordered", False):
        order, start, x = np.argsort(mean), mean.mean(), np.arange(len(names))
        changes = dependence.curves - dependence.curves.mean(axis=1, keepdims=True)
        ends = np.quantile(start + changes[:, order], (0.25, 0.75), axis=0)
        ax.barh(x, mean[order] - start, left=start, color=colour(1), height=0.5)
        ax.hlines(x, *ends, color=ink(), linewidth=1)
        ax.axvline(start, color=ink(), linewidth=1)
        ax.update_datalim([(end, 0) for end in np.quantile(dependence.curves, (0.1, 0.9))])  # small effects look small
        ax.set_yticks(x, [shown[place] for place in order], parse_math=False)
        ax.locator_params(axis="x", nbins=3)
        ax.set_xlabel(dependence.output, parse_math=False)
        ax.set_ylabel(dependence.column, parse_math=False)
        return ax
    x = dependence.values if names is None else np.arange(len(names))
    chosen = np.unique(np.linspace(0, len(dependence.curves) - 1, CURVES).astype(int))
    if names is not None:
        ax.set_xticks(x, shown, parse_math=False, rotation=90 if len("  ".join(shown)) > 40 else 0)
    else:
        ax.plot(x, np.zeros(len(x)), "|", color=ink(), transform=ax.get_xaxis_transform(), clip_on=False)
        if dependence.values.dtype.kind == "M":
            few = np.unique([x[0], x[0] + (x[-1] - x[0]) // 2, x[-1]])  # more dates could overlap
            ax.set_xticks(few, [str(date)[:10] for date in few])
        else:
            ax.locator_params(axis="x", nbins=5)
    ax.plot(x, dependence.curves[chosen].T, color=colour(1), linewidth=0.6, alpha=0.35)
    ax.plot(x, mean, color=ink(), linewidth=2.5)
    ax.set_xlabel(dependence.column, parse_math=False)
    ax.set_ylabel(dependence.output, parse_math=False)
    return ax

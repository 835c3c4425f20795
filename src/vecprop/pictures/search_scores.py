"""Figures of search results: scores against parameters."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ..system.estimates import Estimate, NumberFormat
from .style import Axes, add_legend, axes_or_new, colour, ink, pyplot

MOST_TEXTS = 100
"""The largest number of cells that contain their scores."""


class SearchResults:
    """The scores and the varying parameters of a fitted search, or of its ``cv_results_``."""

    def __init__(self, search, score: str):
        """Read the columns of a score; raise an error if nothing can be plotted."""
        table = getattr(search, "cv_results_", search)
        if not isinstance(table, Mapping):
            raise TypeError(
                "plot_search needs a fitted search or its cv_results_, got"
                f" {type(search).__name__}."
            )
        if f"mean_test_{score}" not in table:
            prefix = "mean_test_"
            names = [name for name in table if name.startswith(prefix)]
            scores = ", ".join(name.removeprefix(prefix) for name in names)
            raise ValueError(
                f"The search has no score {score!r}: its scores are {scores}."
            )
        self.name = score
        self.parameters = _varying_parameters(table)
        if not self.parameters:
            raise ValueError(
                "No parameter varies in this search, so there is nothing to plot."
            )
        self.score = np.asarray(table[f"mean_test_{score}"], float)
        self.over_folds = np.asarray(table[f"std_test_{score}"], float)
        self.over_seeds = None
        if f"std_seed_test_{score}" in table:
            self.over_seeds = np.asarray(table[f"std_seed_test_{score}"], float)

    def values(self, parameter: str) -> list:
        """Return the distinct values of a varying parameter; numbers are sorted."""
        if parameter not in self.parameters:
            raise ValueError(
                f"{parameter!r} does not vary in this search: choose from"
                f" {', '.join(self.parameters)}."
            )
        by_label = {}
        for value in self.parameters[parameter]:
            if value is not None:
                by_label[label(value)] = value
        values = list(by_label.values())
        if all(map(is_number, values)):
            values.sort()
        return values

    def best(self, settings: dict) -> int | None:
        """Return the index of the best setting with these values, or None if no score is finite."""
        numbers = np.flatnonzero(np.isfinite(self.score)).tolist()
        for name, value in settings.items():
            values = self.parameters[name]
            numbers = [k for k in numbers if label(values[k]) == label(value)]
        return max(numbers, key=self.score.__getitem__, default=None)


def _varying_parameters(table: Mapping) -> dict[str, list]:
    """Return the value of each varying parameter for each candidate, None if it is not set."""
    candidates = table["params"]
    varying = {}
    for name in dict.fromkeys(chain(*candidates)):
        values = [candidate.get(name) for candidate in candidates]
        is_constant = len(set(map(label, values))) == 1
        # the number of epochs in successive halving, which is not searched
        is_resource = values == list(table.get("n_resources", ()))
        if not is_constant and not is_resource:
            varying[name] = values
    return varying


def is_number(value) -> bool:
    """Return whether a value can be placed on a numeric axis."""
    if isinstance(value, bool | np.bool_):
        return False
    return isinstance(value, int | float | np.number)


def label(value) -> str:
    """Format a value; floats have three significant digits."""
    return f"{value:.3g}" if isinstance(value, float | np.floating) else str(value)


def plot_search(
    search: Any,
    parameters: str | Sequence[str] | None = None,
    ax: "Axes | None" = None,
    *,
    score: str = "score",
) -> "Axes":
    """Plot the scores of a search: a curve over one parameter, or a heat map over two.

    A curve connects the best setting of each value, and dots show the other settings. A
    band shows the standard deviation over the folds, and error bars show the standard
    deviation over the seeds. A cell of a heat map shows the best setting with its two
    values, and a frame marks the best cell.

    Parameters
    ----------
    search : MLPSearchCV, another search with scikit-learn's attributes, or its
    ``cv_results_``
        A fitted search.
    parameters : str or sequence of str, optional
        The names of one or two parameters. By default, these are all varying
        parameters, if there are at most two.
    ax : Axes, optional
        The axes to draw on. By default, a new figure is created.
    score : str, default "score"
        The name of the score.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a parameter or the score does not exist, or more than two parameters vary and
        parameters is None.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from vecprop import MLPClassifier, MLPSearchCV
    >>> network = MLPClassifier((4,), max_iter=10, random_state=0)
    >>> search = MLPSearchCV(network, {"alpha": [0.1, 1.0, 10.0]}, n_seeds=2, refit=False)
    >>> ax = plot_search(search.fit(*make_moons(random_state=0)))
    >>> ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()
    ('alpha', 'test score', 'log')
    """
    results = SearchResults(search, score)
    names = list(parameters or results.parameters)
    if isinstance(parameters, str):
        names = [parameters]
    if len(names) > 2:
        raise ValueError(
            f"{', '.join(names)} vary, but a figure shows at most two: pass one or two"
            " names, or plot each parameter with plot_search_each."
        )
    values = [results.values(name) for name in names]
    ax = axes_or_new(ax)
    if len(names) == 1:
        _draw_curve(ax, results, names[0], values[0])
    else:
        _draw_map(ax, results, names, values)
    return ax


def plot_search_each(
    search: Any, axes: "Sequence[Axes] | None" = None, *, score: str = "score"
) -> "Sequence[Axes]":
    """Plot the scores of a search against each varying parameter, side by side; see `plot_search`.

    Parameters
    ----------
    search : MLPSearchCV, another search with scikit-learn's attributes, or its
    ``cv_results_``
        A fitted search.
    axes : sequence of Axes, optional
        The axes to draw on, one for each parameter; by default a new figure is created.
    score : str, default "score"
        The name of the score.

    Returns
    -------
    sequence of Axes

    Raises
    ------
    ValueError
        If the score does not exist, or the number of axes differs from the number of
        parameters.

    Examples
    --------
    >>> table = {"mean_test_score": [0.5, 1.0], "std_test_score": [0.1, 0.2]}
    >>> table["params"] = [{"alpha": 0.1, "activation": "tanh"}, {"alpha": 1.0, "activation": "relu"}]
    >>> [ax.get_xlabel() for ax in plot_search_each(table)]
    ['alpha', 'activation']
    """
    names = list(SearchResults(search, score).parameters)
    if axes is None:
        size = (3.6 * len(names), 3.6)
        _, rows = pyplot().subplots(
            1,
            len(names),
            sharey=True,
            squeeze=False,
            figsize=size,
            layout="constrained",
        )
        axes = list(rows[0])
    for number, (name, ax) in enumerate(zip(names, axes, strict=True)):
        plot_search(search, name, ax, score=score)
        if number:
            ax.set_ylabel("")
            ax.legend().remove()
    return axes


def _draw_curve(ax: "Axes", results: SearchResults, name: str, values: list):
    """Plot scores against one parameter."""
    is_numeric = all(map(is_number, values))
    x_by_label = {}
    best_candidates = []
    for index, value in enumerate(values):
        x_by_label[label(value)] = float(value) if is_numeric else index
        candidate = results.best({name: value})
        if candidate is not None:
            best_candidates.append(candidate)
    x = []
    for value in results.parameters[name]:
        x.append(x_by_label.get(label(value), np.nan))
    x = np.array(x)
    is_worse = np.isfinite(x)
    is_worse[best_candidates] = False
    subject = "best of each value" if is_worse.any() else "mean over folds"
    _draw_spread(
        ax, results, x=x[best_candidates], rows=best_candidates, subject=subject
    )
    if is_worse.any():
        ax.plot(
            x[is_worse],
            results.score[is_worse],
            ".",
            color=ink(),
            alpha=0.5,
            label="other settings",
        )
    if not is_numeric:
        ax.set_xticks(range(len(values)), list(map(label, values)))
    elif min(values) > 0 and max(values) >= 20 * min(values):
        ax.set_xscale("log")
    ax.set(xlabel=name, ylabel=f"test {results.name}")
    add_legend(ax)


def _draw_spread(
    ax: "Axes", results: SearchResults, x: np.ndarray, rows: list[int], subject: str
):
    """Plot the scores of these rows of the results, and their standard deviations."""
    y = results.score[rows]
    over_folds = results.over_folds[rows]
    ax.fill_between(
        x,
        y - over_folds,
        y + over_folds,
        color=colour(1),
        alpha=0.18,
        linewidth=0,
        label="± over folds",
    )
    ax.plot(
        x,
        y,
        "o-",
        color=colour(1),
        label=subject,
    )
    if results.over_seeds is not None:
        ax.errorbar(
            x,
            y,
            results.over_seeds[rows],
            fmt="none",
            color=colour(0),
            capsize=4,
            linewidth=2,
            label="± over seeds",
            zorder=3,
        )


def _draw_map(ax: "Axes", results: SearchResults, names: list[str], values: list[list]):
    """Plot scores against two parameters."""
    x_name, y_name = names
    x_values, y_values = values
    cells = np.full((len(y_values), len(x_values)), np.nan)
    for row, column in np.ndindex(cells.shape):
        candidate = results.best({x_name: x_values[column], y_name: y_values[row]})
        if candidate is not None:
            cells[row, column] = results.score[candidate]
    picture = ax.imshow(cells, origin="lower", aspect="auto", cmap="cividis")
    ax.figure.colorbar(picture, ax=ax, label=f"test {results.name}")
    if np.isfinite(cells).any():
        if cells.size <= MOST_TEXTS:
            _write_scores(ax, cells)
        row, column = np.argwhere(cells == np.nanmax(cells))[0]
        # a frame just inside the best cell, whose center is (column, row)
        size = 0.96
        corner = (column - size / 2, row - size / 2)
        ax.add_patch(
            pyplot().Rectangle(
                corner, size, size, fill=False, edgecolor=colour(0), linewidth=3
            )
        )
    ax.set_xticks(range(len(x_values)), list(map(label, x_values)))
    ax.set_yticks(range(len(y_values)), list(map(label, y_values)))
    ax.set(xlabel=x_name, ylabel=y_name)


def _write_scores(ax: "Axes", cells: np.ndarray):
    """Write the score in each cell of a heat map, in black on light cells."""
    lowest = np.nanmin(cells)
    highest = np.nanmax(cells)
    # the colors of higher scores are light
    threshold = lowest + 0.6 * (highest - lowest)
    best_first = sorted(cells[np.isfinite(cells)], reverse=True)
    as_text = NumberFormat.of([Estimate(score) for score in best_first])
    for (row, column), score in np.ndenumerate(cells):
        if np.isfinite(score):
            color = "black" if score > threshold else "white"
            ax.text(column, row, as_text(score), ha="center", va="center", color=color)

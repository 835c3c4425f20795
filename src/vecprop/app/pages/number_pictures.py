"""Pictures of a regressor's errors, of its intervals, and of its targets."""

from typing import Any

import numpy as np

from ...pictures.style import INK, colour
from .shares import draw_shares, groups_by

MOST_POINTS = 1_000
"""The largest number of rows that are drawn as points: more would only overlap, and make the page slow."""
COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
TICKS = 5
"""At most this many distances between marks of an axis, so that large numbers have room."""
GROUPS = 5
"""The number of groups of rows, by size, whose intervals are judged."""


def some_rows(rows: int) -> np.ndarray:
    """Return the indices of the rows that are drawn, evenly spaced."""
    return np.linspace(0, rows - 1, min(rows, MOST_POINTS)).astype(int)


def draw_predicted(ax: Any, predicted: np.ndarray, truth: np.ndarray) -> None:
    """Draw true numbers against predicted ones."""
    ends = [min(predicted.min(), truth.min()), max(predicted.max(), truth.max())]
    ax.plot(ends, ends, color=INK, linewidth=1, linestyle=":")
    _draw_rows(ax, predicted, truth)
    ax.set(xlabel="predicted", ylabel="true")
    ax.locator_params(nbins=TICKS)


def draw_residuals(ax: Any, predicted: np.ndarray, truth: np.ndarray) -> None:
    """Draw the error of each prediction."""
    ax.axhline(0, color=INK, linewidth=1, linestyle=":")
    _draw_rows(ax, predicted, truth - predicted)
    ax.set(xlabel="predicted", ylabel="true − predicted")
    ax.locator_params(nbins=TICKS)


def _draw_rows(ax: Any, x: np.ndarray, y: np.ndarray) -> None:
    rows = some_rows(len(x))
    ax.scatter(x[rows], y[rows], s=9, alpha=0.5, color=colour(1), linewidths=0)


def draw_kept(ax: Any, within: dict[float, np.ndarray]) -> None:
    """Draw the shares of rows that lie within intervals, against the shares that these promise."""
    ax.plot([0.45, 1], [0.45, 1], color=INK, linewidth=1, linestyle=":")
    draw_shares(
        ax, list(within), [int(rows.sum()) for rows in within.values()], [len(rows) for rows in within.values()]
    )
    ax.set(xlabel="promised", ylabel="share within", xlim=(0.45, 1), ylim=(None, 1.02))


def draw_coverage(ax: Any, size: np.ndarray, within: np.ndarray, coverage: float, what: str) -> None:
    """Draw the share of rows within their intervals, in groups of rows by a size: the smallest rows come first."""
    groups = groups_by(size, GROUPS)
    ax.axhline(coverage, color=INK, linewidth=1, linestyle=":")
    middles = [float(np.median(size[group])) for group in groups]
    draw_shares(ax, middles, [int(within[group].sum()) for group in groups], list(map(len, groups)))
    ax.set(xlabel=what, ylabel="share within", ylim=(None, 1.02))
    ax.locator_params(axis="x", nbins=TICKS)


def draw_targets(ax: Any, targets: dict[str, np.ndarray]) -> None:
    """Draw the distribution of targets, in training and in the test, as shares of the rows."""
    edges = np.histogram_bin_edges(np.concatenate(list(targets.values())), 30)
    styles: tuple[dict[str, Any], ...] = ({"color": colour(1), "alpha": 0.5}, {"color": colour(0), "histtype": "step"})
    for (name, y), style in zip(targets.items(), styles, strict=False):
        ax.hist(y, edges, weights=np.full(len(y), 100 / len(y)), label=name, **style)
    ax.set(xlabel="target", ylabel="% of rows")
    ax.locator_params(axis="x", nbins=TICKS)
    ax.legend()

"""What is drawn on a page: errors of classifiers and regressors, shares of rows with intervals, and losses."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....pictures.style import INK, colour


def groups_by(x: np.ndarray, most: int) -> list[np.ndarray]:
    """Return the indices of rows in groups by a number, of about equal sizes; equal numbers are in one group.

    There are at most ``most`` groups, and ten rows for each.

    Examples
    --------
    >>> [group.tolist() for group in groups_by(np.repeat([3.0, 1.0], 10), 5)]
    [[10, 11, 12, 13, 14, 15, 16, 17, 18, 19], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]
    """
    count = min(most, max(len(x) // 10, 1))
    starts = np.quantile(x, np.arange(1, count) / count, method="higher")
    numbers = np.searchsorted(starts, x, side="right")
    return [np.flatnonzero(numbers == number) for number in np.unique(numbers)]


def shares(ax: Any, x: Sequence[float], groups: Sequence[np.ndarray]) -> None:
    """Draw the share of rows of each group that are true as points, with Wilson's 95 % intervals as error bars."""
    from scipy.stats import binomtest

    shares = np.array([rows.mean() for rows in groups])
    found = [binomtest(int(rows.sum()), len(rows)).proportion_ci(method="wilson") for rows in groups]
    ends = np.maximum([shares - [of.low for of in found], [of.high for of in found] - shares], 0)
    ax.errorbar(x, shares, ends, marker="o", markersize=4, color=colour(1), linewidth=1.2, elinewidth=1)


def roc(ax: Any, is_positive: np.ndarray, chances: dict[str, np.ndarray], decided: np.ndarray) -> None:
    """Draw the share of positive rows that are found against that of negative rows that are taken for positive."""
    from sklearn.metrics import roc_curve

    ax.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":")
    for number, (name, chance) in enumerate(chances.items()):
        false, true, _ = roc_curve(is_positive, chance)
        ax.plot(false, true, label=name, **_style(number))
    ax.plot(decided[~is_positive].mean(), decided[is_positive].mean(), "o", color=colour(1))
    ax.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.02, 1), ylim=(0, 1.03), aspect="equal")
    ax.legend(loc="lower right")


def precision(ax: Any, is_positive: np.ndarray, chances: dict[str, np.ndarray], decided: np.ndarray) -> None:
    """Draw precision against recall, and the precision of a guess; see `roc`."""
    from sklearn.metrics import precision_recall_curve

    ax.axhline(is_positive.mean(), color=INK, linewidth=1, linestyle=":")
    for number, (name, chance) in enumerate(chances.items()):
        precision, recall, _ = precision_recall_curve(is_positive, chance)
        ax.step(recall, precision, where="post", label=name, **_style(number))
    if decided.any():
        ax.plot(decided[is_positive].mean(), is_positive[decided].mean(), "o", color=colour(1))
    ax.set(xlabel="recall", ylabel="precision", ylim=(0, 1.03), xlim=(0, 1.02), aspect="equal")
    ax.legend(loc="lower left")


def _style(number: int) -> dict[str, Any]:
    """Return the style of the model's curve, or of that of a baseline."""
    return {"color": colour((1, 0, 2)[number]), "linewidth": 2 if number == 0 else 1, "zorder": 3 - number}


def calibration(ax: Any, chance: np.ndarray, is_so: np.ndarray, what: str) -> None:
    """Draw the share of rows in which something is so, against the mean of the probabilities that were given for it."""
    groups, edges = groups_by(chance, 10), np.linspace(0, 1, 21)
    ax.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":")
    weights = np.full(len(chance), 0.25 / np.histogram(chance, edges)[0].max())
    ax.hist(chance, edges, weights=weights, color=INK, alpha=0.25)
    shares(ax, [float(chance[group].mean()) for group in groups], [is_so[group] for group in groups])
    ax.set(xlabel=what, ylabel="share that is so", xlim=(0, 1), ylim=(0, 1.03), aspect="equal")


MOST_POINTS = 1_000
"""The largest number of rows that are drawn as points: more would only overlap, and make the page slow."""
COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
TICKS = 5
"""At most this many distances between marks of an axis, so that large numbers have room."""


def scattered(ax: Any, x: np.ndarray, y: np.ndarray, slope: float, name: str) -> None:
    """Draw numbers, or the errors of predictions, against predictions, and the line of right ones."""
    ends = np.array([min(x.min(), y.min()), max(x.max(), y.max())]) if slope else np.array([x.min(), x.max()])
    ax.plot(ends, slope * ends, color=INK, linewidth=1, linestyle=":")
    rows = np.linspace(0, len(x) - 1, min(len(x), MOST_POINTS)).astype(int)
    ax.scatter(x[rows], y[rows], s=9, alpha=0.5, color=colour(1), linewidths=0)
    ax.set(xlabel="predicted", ylabel=name)
    ax.locator_params(nbins=TICKS)


def kept(ax: Any, within: dict[float, np.ndarray]) -> None:
    """Draw the shares of rows that lie within intervals, against the shares that these promise."""
    ax.plot([0.45, 1], [0.45, 1], color=INK, linewidth=1, linestyle=":")
    shares(ax, list(within), list(within.values()))
    ax.set(xlabel="promised", ylabel="share within", xlim=(0.45, 1), ylim=(None, 1.02))


def coverage(ax: Any, size: np.ndarray, within: np.ndarray, coverage: float, what: str) -> None:
    """Draw the share of rows within their intervals, in groups of rows by a size: the smallest rows come first."""
    groups = groups_by(size, 5)
    ax.axhline(coverage, color=INK, linewidth=1, linestyle=":")
    shares(ax, [float(np.median(size[group])) for group in groups], [within[group] for group in groups])
    ax.set(xlabel=what, ylabel="share within", ylim=(None, 1.02))
    ax.locator_params(axis="x", nbins=TICKS)


def targets(ax: Any, targets: dict[str, np.ndarray]) -> None:
    """Draw the distribution of targets, in training and in the test, as shares of the rows."""
    edges = np.histogram_bin_edges(np.concatenate(list(targets.values())), 30)
    styles: tuple[dict[str, Any], ...] = ({"color": colour(1), "alpha": 0.5}, {"color": colour(0), "histtype": "step"})
    for (name, y), style in zip(targets.items(), styles, strict=False):
        ax.hist(y, edges, weights=np.full(len(y), 100 / len(y)), label=name, **style)
    ax.set(xlabel="target", ylabel="% of rows")
    ax.locator_params(axis="x", nbins=TICKS)
    ax.legend()


def begun(model: Any) -> list[tuple[list[float], list[float]]]:
    """Return the losses of the networks that predict, and their validation losses, one of them before the first epoch.

    Networks of other quantiles follow them and are left out, as are those that had not begun when Ctrl-C came.
    """
    count = len(model.loss_curves_) // len(model.ensembles)
    both = zip(model.loss_curves_[:count], model.validation_loss_curves_[:count], strict=True)
    return [curves for curves in both if curves[0]]


def losses(ax: Any, curves: list[tuple[list[float], list[float]]]) -> None:
    """Draw the losses of each network up to its own last epoch, and a point where the parameters that it keeps are."""
    for number, (loss, validation) in enumerate(curves):
        first = number == 0
        best = int(np.nanargmin(validation))
        ax.plot(range(1, len(loss) + 1), loss, color=colour(1), linewidth=0.9, label="training" if first else None)
        ax.plot(validation, color=colour(0), linewidth=0.9, label="validation" if first else None)
        ax.plot(best, validation[best], "o", color=INK, markersize=3.5, label="kept" if first else None)
    ax.set(xlabel="epoch", ylabel="loss", xlim=(0, max(len(loss) for loss, _ in curves)))
    known = np.concatenate([[*loss, *validation[1:]] for loss, validation in curves])
    low, high = known[np.isfinite(known)].min(), known[np.isfinite(known)].max()
    ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low) or None)
    ax.legend()

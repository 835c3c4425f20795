"""The plots of a report: errors, calibration, coverage, targets and losses."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from ....pictures.style import INK, colour

DOTTED: dict[str, Any] = {"color": INK, "linewidth": 1, "linestyle": ":"}
"""The style of reference lines."""


def groups_by(x: ndarray, most: int) -> list[ndarray]:
    """Sort rows by x, and return the rows of at most ``most`` groups of about equal size.

    Equal numbers are in the same group. Each group has about ten rows or more.

    Examples
    --------
    >>> [group.tolist() for group in groups_by(np.repeat([3.0, 1.0], 10), 5)]
    [[10, 11, 12, 13, 14, 15, 16, 17, 18, 19], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]
    """
    count = min(most, max(len(x) // 10, 1))
    starts = np.quantile(x, np.arange(1, count) / count, method="higher")
    numbers = np.searchsorted(starts, x, side="right")
    return [np.flatnonzero(numbers == number) for number in np.unique(numbers)]


def shares(ax, samples: Mapping[float, ndarray]):
    """Draw the share of True in each sample at its x, with Wilson's 95 % interval."""
    from scipy.stats import binomtest

    heights = []
    errors = []
    for is_true in samples.values():
        share = is_true.mean()
        test = binomtest(int(is_true.sum()), len(is_true))
        low, high = test.proportion_ci(method="wilson")
        heights.append(share)
        errors.append((max(share - low, 0), max(high - share, 0)))
    ax.errorbar(
        list(samples),
        heights,
        np.transpose(errors),
        marker="o",
        markersize=4,
        color=colour(1),
        linewidth=1.2,
        elinewidth=1,
    )


def roc(ax, is_positive: ndarray, chances: dict[str, ndarray], decided: ndarray):
    """Draw ROC curves, the diagonal, and a point for the model's decisions."""
    from sklearn.metrics import roc_curve

    ax.plot([0, 1], [0, 1], **DOTTED)
    for number, (name, chance) in enumerate(chances.items()):
        false, true, _ = roc_curve(is_positive, chance)
        ax.plot(false, true, label=name, **_style(number))
    _mark(ax, decided[~is_positive].mean(), decided[is_positive].mean())
    ax.set(
        xlabel="false positive rate",
        ylabel="true positive rate",
        xlim=(-0.02, 1),
        ylim=(0, 1.03),
        aspect="equal",
    )
    ax.legend(loc="lower right")


def precision(ax, is_positive: ndarray, chances: dict[str, ndarray], decided: ndarray):
    """Draw precision against recall, the precision of guessing, and the model's decisions."""
    from sklearn.metrics import precision_recall_curve

    ax.axhline(is_positive.mean(), **DOTTED)
    for number, (name, chance) in enumerate(chances.items()):
        precision, recall, _ = precision_recall_curve(is_positive, chance)
        ax.step(recall, precision, where="post", label=name, **_style(number))
    if decided.any():
        _mark(ax, decided[is_positive].mean(), is_positive[decided].mean())
    ax.set(
        xlabel="recall",
        ylabel="precision",
        ylim=(0, 1.03),
        xlim=(0, 1.02),
        aspect="equal",
    )
    ax.legend(loc="lower left")


def _style(number: int) -> dict[str, Any]:
    """Return the line style of the model (0) or of a baseline."""
    color = (colour(1), colour(0), colour(2))[number]
    width = 1 if number else 2
    return {"color": color, "linewidth": width, "zorder": 3 - number}


def _mark(ax, x: float, y: float):
    ax.plot(x, y, "o", color=colour(1))


def calibration(ax, chance: ndarray, is_true: ndarray, quantity: str):
    """Draw observed frequencies against mean predicted probabilities."""
    samples = {}
    for group in groups_by(chance, 10):
        samples[chance[group].mean()] = is_true[group]
    edges = np.linspace(0, 1, 21)
    counts, _ = np.histogram(chance, edges)
    ax.plot([0, 1], [0, 1], **DOTTED)
    weights = np.full(len(chance), 0.25 / counts.max())
    ax.hist(chance, edges, weights=weights, color=INK, alpha=0.25)
    shares(ax, samples)
    ax.set(
        xlabel=quantity,
        ylabel="observed frequency",
        xlim=(0, 1),
        ylim=(0, 1.03),
        aspect="equal",
    )


MAX_POINTS = 1_000
"""Maximum number of rows drawn as points. More points would overlap and slow down
the page.
"""
COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
TICKS = 5
"""Maximum number of tick intervals per axis, so that labels with large numbers fit."""


def scattered(ax, x: ndarray, y: ndarray, slope: float, name: str):
    """Draw true values or errors against predictions, with the line of exact predictions."""
    both = np.append(x, y) if slope else x
    ends = np.array([both.min(), both.max()])
    ax.plot(ends, slope * ends, **DOTTED)
    rows = np.linspace(0, len(x) - 1, min(len(x), MAX_POINTS)).astype(int)
    ax.scatter(x[rows], y[rows], s=9, alpha=0.5, color=colour(1), linewidths=0)
    ax.set(xlabel="predicted", ylabel=name)
    ax.locator_params(nbins=TICKS)


def nominal_coverage(ax, within: dict[float, ndarray]):
    """Draw the observed against the nominal coverage of intervals."""
    ax.plot([0.45, 1], [0.45, 1], **DOTTED)
    shares(ax, within)
    ax.set(
        xlabel="nominal coverage",
        ylabel="observed coverage",
        xlim=(0.45, 1),
        ylim=(None, 1.02),
    )


def coverage(ax, size: ndarray, is_inside: ndarray, coverage: float, quantity: str):
    """Draw the observed coverage of intervals in groups of rows, sorted by ``size``."""
    samples = {}
    for group in groups_by(size, 5):
        samples[np.median(size[group])] = is_inside[group]
    ax.axhline(coverage, **DOTTED)
    shares(ax, samples)
    ax.set(xlabel=quantity, ylabel="observed coverage", ylim=(None, 1.02))
    ax.locator_params(axis="x", nbins=TICKS)


def targets(ax, targets: dict[str, ndarray]):
    """Draw histograms of the targets in training and test, as percentages of the rows."""
    edges = np.histogram_bin_edges(np.concatenate(list(targets.values())), 30)
    for name, y in targets.items():
        percent = np.full(len(y), 100 / len(y))
        if name == "test":
            ax.hist(
                y, edges, weights=percent, label=name, color=colour(0), histtype="step"
            )
        else:
            ax.hist(y, edges, weights=percent, label=name, color=colour(1), alpha=0.5)
    ax.set(xlabel="target", ylabel="% of rows")
    ax.locator_params(axis="x", nbins=TICKS)
    ax.legend()


def losses(ax, histories: list[Any]):
    """Draw the losses of each network, and mark the epoch with the selected parameters."""
    losses = []
    for history in histories:
        validation = history.validation_loss
        best = int(np.nanargmin(validation))
        epochs = range(1, len(history.loss) + 1)
        ax.plot(epochs, history.loss, color=colour(1), linewidth=0.9)
        ax.plot(validation, color=colour(0), linewidth=0.9)
        ax.plot(best, validation[best], "o", color=INK, markersize=3.5)
        losses += [*history.loss, *validation[1:]]
    longest = max(len(history.loss) for history in histories)
    ax.set(xlabel="epoch", ylabel="loss", xlim=(0, longest))
    finite = list(filter(np.isfinite, losses))
    lowest = min(finite)
    highest = max(finite)
    margin = 0.05 * (highest - lowest)
    ax.set_ylim(lowest - margin, highest + margin or None)
    ax.legend(ax.get_lines()[:3], ["training", "validation", "selected"])

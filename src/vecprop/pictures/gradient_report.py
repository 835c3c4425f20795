"""Figures of a gradient check: errors against tolerances, and the Taylor remainder."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .style import INK, axes_or_new, colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VERDICTS = {"FAIL": 0, "NONDETERMINISTIC": 3, "INCONCLUSIVE": 4, "KINK": 5, "PASS": 2}
"""The index of each verdict's colour in `style.COLOURS`."""


def plot_gradient_report(report: Any, ax: "Axes | None" = None) -> "Axes":
    """Draw each part's error as a bar: to the right if it is above its tolerance (wrong), else to the left.

    Parameters
    ----------
    report : Report
        The result of `vecprop.check.check_gradients`.
    ax : matplotlib Axes, optional
        The axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> report = check_gradients(lambda x: ((x**2).sum(), 2 * x), np.array([1.0, 2.0]))
    >>> axes = pictures.plot_gradient_report(report)
    """
    ax = axes_or_new(ax)
    least = 1e-3
    ratios = [min(max(row.ratio, least), 1e16) for row in report.rows]
    places = np.arange(len(ratios))
    colours = [colour(VERDICTS[str(row.verdict)]) for row in report.rows]
    ax.barh(places, [np.log10(ratio) for ratio in ratios], color=colours, height=0.6)
    ax.axvline(0, color=INK, linewidth=1)
    ax.set_yticks(places, [row.name for row in report.rows])
    ax.invert_yaxis()
    ax.set_xlabel("largest error / tolerance, as a power of 10")
    ax.set_title(f"{report.verdict}: gradient check")
    used = dict.fromkeys(str(row.verdict) for row in report.rows)
    ax.legend(
        [ax.barh(0, 0, color=colour(VERDICTS[verdict]))[0] for verdict in used],
        list(used),
        loc="lower right",
        framealpha=0.9,
    )
    return ax


def plot_taylor_remainder(report: Any, ax: "Axes | None" = None) -> "Axes":
    """Draw the Taylor remainder over the step, with lines of slope 2 (a right gradient) and 1 (a wrong one).

    Parameters
    ----------
    report : Report
        The result of `vecprop.check.check_gradients`.
    ax : matplotlib Axes, optional
        The axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> report = check_gradients(lambda x: ((x**3).sum(), 3 * x**2), np.array([1.0, 2.0]))
    >>> axes = pictures.plot_taylor_remainder(report)
    """
    ax = axes_or_new(ax)
    taylor = report.taylor
    t, remainder = np.array(taylor.steps), np.array(taylor.remainder)
    seen = np.isfinite(remainder) & (remainder > 0)
    ax.loglog(t[seen], remainder[seen], "o-", color=INK, label="remainder R(t)")
    start = float(remainder[seen].max(initial=taylor.noise)) or 1.0
    for power, number, words in ((2, 2, "slope 2: right"), (1, 0, "slope 1: wrong")):
        ax.loglog(t, start * (t / t[0]) ** power, "--", color=colour(number), label=words)
    ax.axhline(taylor.noise, linestyle=":", color=INK, label="rounding")
    ax.set_xlabel("$t$")
    ax.set_ylabel(r"$|f(\theta + t v) - f(\theta) - t\,\langle g, v\rangle|$")
    ax.set_title("Taylor remainder" + ("" if taylor.slope is None else f": slope {taylor.slope:.2f}"))
    ax.legend()
    return ax

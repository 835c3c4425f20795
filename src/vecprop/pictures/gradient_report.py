"""Figures of a gradient check: errors against tolerances, and the Taylor remainder."""

from typing import Any

import numpy as np

from .style import Axes, add_legend, axes_or_new, colour, figure_of, ink, note_above

VERDICTS = {"FAIL": 0, "NONDETERMINISTIC": 3, "INCONCLUSIVE": 4, "KINK": 5, "PASS": 2}
"""The index of each verdict's color in `style.COLOURS`."""

LEAST, LARGEST = 1e-3, 1e16
"""Ratios of errors to tolerances are clipped to this range."""


@figure_of("a report of check_gradients", "rows", "verdict")
def plot_gradient_report(report: Any, ax: "Axes | None" = None) -> "Axes":
    """Plot the largest error of each part in multiples of its tolerance.

    A vertical line marks the tolerance; rounding does not explain errors to the right
    of the line. Labels of parts that do not pass include the verdict.

    Parameters
    ----------
    report : Report
        The result of `vecprop.check.check_gradients`.
    ax : matplotlib Axes, optional
        The axes to draw on. By default, a new figure is created.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> report = check_gradients(lambda x: ((x**2).sum(), 2 * x), np.array([1.0, 2.0]))
    >>> axes = pictures.plot_gradient_report(report)
    """
    ax = axes_or_new(ax)
    ax.axvline(1, color=ink(), linewidth=1)
    note_above(ax, "tolerance", 1)
    names = []
    ratios = []
    for y, row in enumerate(report.rows):
        ratio = min(max(row.ratio, LEAST), LARGEST)
        marker = "X"
        name = f"{row.name}  {row.verdict}"
        if row.verdict == "PASS":
            marker = "o"
            name = row.name
        ax.plot(
            ratio,
            y,
            marker,
            color=colour(VERDICTS[str(row.verdict)]),
            markersize=8,
            clip_on=False,
        )
        names.append(name)
        ratios.append(ratio)
    ax.set_yticks(range(len(names)), names)
    ax.set(
        xscale="log",
        xlim=(LEAST / 2, max(1e3, 2 * max(ratios, default=1))),
        ylim=(len(names) - 0.5, -0.5),
    )
    ax.grid(axis="y", alpha=0.3)
    ax.set_xlabel("largest error / tolerance")
    ax.set_title(f"{report.verdict}: gradient check", pad=20)
    return ax


@figure_of("a report of check_gradients", "taylor")
def plot_taylor_remainder(report: Any, ax: "Axes | None" = None) -> "Axes":
    """Plot the Taylor remainder against the step size.

    The remainder of a correct gradient has slope 2, and the remainder of a wrong
    gradient has slope 1.

    Parameters
    ----------
    report : Report
        The result of `vecprop.check.check_gradients`.
    ax : matplotlib Axes, optional
        The axes to draw on. By default, a new figure is created.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> report = check_gradients(lambda x: ((x**3).sum(), 3 * x**2), np.array([1.0, 2.0]))
    >>> axes = pictures.plot_taylor_remainder(report)
    """
    taylor = report.taylor
    if taylor is None:
        raise ValueError(
            "This report has no Taylor remainder: draw report.plot() instead."
        )
    ax = axes_or_new(ax)
    t = np.array(taylor.steps)
    remainder = np.array(taylor.remainder)
    is_drawn = np.isfinite(remainder) & (remainder > 0)
    ax.loglog(
        t[is_drawn], remainder[is_drawn], "o-", color=ink(), label="remainder R(t)"
    )
    start = float(remainder[is_drawn].max(initial=taylor.noise)) or 1.0
    for power, number, words in ((2, 2, "slope 2: correct"), (1, 0, "slope 1: wrong")):
        ax.loglog(
            t, start * (t / t[0]) ** power, "--", color=colour(number), label=words
        )
    ax.axhline(taylor.noise, linestyle=":", color=ink(), label="rounding")
    ax.set_xlabel("$t$")
    ax.set_ylabel(r"$|f(\theta + t v) - f(\theta) - t\,\langle g, v\rangle|$")
    ax.set_title(
        "Taylor remainder"
        if taylor.slope is None
        else f"Taylor remainder: slope {taylor.slope:.2f}"
    )
    add_legend(ax)
    return ax

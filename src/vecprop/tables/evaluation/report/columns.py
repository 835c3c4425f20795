"""The section on columns: their kinds, values, importance, drift and effect on predictions."""

import numpy as np

from ....pictures.dependence import plot_dependence
from ...encoding.column import Column
from ...encoding.columns import ordinary
from ...error import printable
from ...explaining.contributions import Dependence, dependences
from ...explaining.drift import comparisons, tallies
from ...explaining.importance import as_texts, loss_name, row_losses
from ..measured import Measured
from .markup import Html, drawn, parts, shown

MAX_COLUMNS = 15
"""The number of columns that are visible before the reader unfolds the others."""
LISTED = 500
EXAMPLES = 3
BINS = 20
"""The number of bars in the histogram of a column."""
LEADING = 6
"""The number of columns with a plot of their effect."""
HEADS = {
    "column": "name",
    "kind": "",
    "parsed as": "",
    "missing": "number",
    "distinct": "number",
    "values": "examples",
    "importance": "bars",
}
ROWS = {"table": "rows of the table", "test": "test rows"}


def columns(measured: Measured) -> Html:
    """Return the table of columns, and plots of the effects of the most important ones.

    Columns are sorted by importance. Unused columns and columns without an importance
    come last.
    """
    model = measured.model
    encoder = model.encoder_
    bars = _bars(measured)
    heads = dict(HEADS)
    drifts = {}
    if measured.has_test:
        drift = "drift" if measured.how == "table" else "drift (test vs training)"
        heads[drift] = "drift"
        for name, comparison in comparisons(model, tallies(model, measured.X)).items():
            drifts[name] = "; ".join(comparison.notes()) or "none found"
    names = list(dict.fromkeys([*bars, *encoder.dropped, *encoder.names]))
    parts_by_name = dict(encoder.columns)
    rows = []
    for name in names[:LISTED]:
        part = parts_by_name.get(name)
        bar = bars.get(name, "")
        if not bar and part is not None:
            bar = "not computed"
        rows.append([*_described(measured, name, part), bar, drifts.get(name, "")])
    output = ""
    plots = []
    names_of_plots = leading_columns(measured)[:LEADING]
    for dependence in dependences(model, measured.X, names_of_plots):
        output = dependence.output
        name = printable(dependence.column)
        plot = drawn(f"{output} by {name}", _draw_dependence, dependence)
        plots.append((name, plot))
    return parts().columns(
        loss_name(model),
        ROWS.get(measured.how, "training rows"),
        heads,
        rows,
        MAX_COLUMNS,
        len(names) - LISTED,
        output,
        plots,
    )


def _draw_dependence(ax, dependence: Dependence):
    plot_dependence(dependence, ax=ax)
    ax.set(xlabel="", ylabel="")  # the page labels both axes


def leading_columns(measured: Measured) -> list[str]:
    """Return the most important column of each redundant group, most important first."""
    columns = []
    for group in measured.importances:
        importance = group.alone[0] if group.alone else group
        columns.append(importance.columns[0])
    return columns


def losses_of(measured: Measured) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the losses and weights of rows (both 0 for unknown classes), and the mean loss."""
    losses = row_losses(measured.model, measured.predicted, measured.truth)
    weight = np.where(np.isnan(losses), 0, measured.weight)
    losses = np.nan_to_num(losses)
    return losses, weight, float(losses @ weight / max(weight.sum(), 1e-300))


def _bars(measured: Measured) -> dict[str, Html]:
    """Return a bar with the importance of each column and of its redundant group."""
    bar = parts().bar
    ends = [0.0]  # an end may be nan
    for group in measured.importances:
        ends += [group.rise, group.high]
    largest = max(ends) or 1.0
    texts = as_texts(measured.importances)
    bars = {}
    for group in measured.importances:
        group_share = group.rise / largest
        group_text = texts[group.columns]
        if not group.alone:
            bars[group.columns[0]] = bar(group_share, group_text)
        for importance in group.alone:
            column = importance.columns[0]
            redundant = [printable(name) for name in group.columns if name != column]
            listed = ", ".join(redundant[:3])
            if len(redundant) > 3:
                listed += f" and {len(redundant) - 3} more"
            bars[column] = bar(
                importance.rise / largest,
                texts[importance.columns],
                f"with {listed}: {group_text}",
                group_share,
            )
    return bars


def _described(measured: Measured, name: str, part: Column | None) -> list[Html]:
    """Return the cells that describe a column's kind and its training values."""
    encoder = measured.model.encoder_
    title = printable(str(name))
    series = (measured.learned or measured).X.get(name)
    if part is None:
        kind = "not used"
        reading = encoder.dropped.get(name, "")
    else:
        kind = "codes" if name in encoder.codes else part.kind
        reading = encoder.reading_of(name, part)
        reading = "" if reading == kind else reading.removeprefix(f"{kind}, ")
    if series is None:  # an unused column
        return [title, kind, reading, "", "", ""]
    values = series.dropna()
    missing = len(series) - len(values)
    empty = f"{missing:,} ({missing / len(series):.1%})" if missing else "0"
    distinct = f"{values.nunique():,}"
    distribution = _distribution(part, values)
    return [title, kind, reading, empty, distinct, distribution]


def _distribution(part, series) -> Html:
    """Return a histogram of numbers or dates, or the most frequent of other values.

    ``part`` is the encoder of the column, or None if the column is not used.
    """
    if part is not None and part.holds == "numbers":
        x = ordinary(part.read(series))
        x = x[~np.isnan(x)]
        if len(x):
            quantiles = np.quantile(x, (0, 0.5, 1), method="nearest")
            edges = np.linspace(quantiles[0], quantiles[2], BINS + 1)
            counts, _ = np.histogram(x, edges)
            return parts().histogram(counts, list(map(part.shown, quantiles)))
    counts = series.value_counts()
    names = counts.index.map(shown)[:EXAMPLES]
    return parts().frequencies(names, counts, len(series))

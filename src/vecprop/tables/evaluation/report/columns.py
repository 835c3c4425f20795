"""The section on columns: their kinds, values, importance, drift and effect on predictions."""

import numpy as np

from ....pictures.dependence import plot_dependence
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
LEADING = 6
"""The number of columns with a plot of their effect."""
HEADS = {
    "column": "name",
    "kind": "",
    "parsed as": "",
    "missing": "number",
    "distinct": "number",
    "examples": "examples",
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
        heads["drift" if measured.how == "table" else "drift (test vs training)"] = (
            "drift"
        )
        for name, comparison in comparisons(model, tallies(model, measured.X)).items():
            drifts[name] = "; ".join(comparison.notes()) or "none found"
    kinds = encoder.kinds | dict.fromkeys(encoder.codes, "codes")
    names = list(dict.fromkeys([*bars, *encoder.dropped, *encoder.names]))
    rows = []
    for name in names[:LISTED]:
        kind = kinds.get(name, "not used")
        reading = encoder.dropped.get(name, "")
        if name in kinds and encoder.readings[name] != kind:
            reading = encoder.readings[name].removeprefix(f"{kind}, ")
        bar = bars.get(name, "not computed" if name in kinds else "")
        rows.append(
            [*_described(measured, name, kind, reading), bar, drifts.get(name, "")]
        )
    leading = dependences(model, measured.X, leading_columns(measured)[:LEADING])
    plots = []
    for dependence in leading:
        name = printable(dependence.column)
        plots.append(
            (
                name,
                drawn(f"{dependence.output} by {name}", _draw_dependence, dependence),
            )
        )
    return parts().columns(
        loss_name(model),
        ROWS.get(measured.how, "training rows"),
        heads,
        rows,
        MAX_COLUMNS,
        len(names) - LISTED,
        leading[0].output if leading else "",
        plots,
    )


def _draw_dependence(ax, dependence: Dependence) -> None:
    plot_dependence(dependence, ax=ax)
    ax.set(xlabel="", ylabel="")  # the page labels both axes


def leading_columns(measured: Measured) -> list[str]:
    """Return the most important column of each group of redundant columns, most important group first."""
    leading = [
        importance.alone[0] if importance.alone else importance
        for importance in measured.importances
    ]
    return [importance.columns[0] for importance in leading]


def losses_of(measured: Measured) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the losses and weights of rows (both 0 for unknown classes), and the mean loss."""
    losses = row_losses(measured.model, measured.predicted, measured.truth)
    weight = np.where(np.isnan(losses), 0, measured.weight)
    losses = np.nan_to_num(losses)
    return losses, weight, float(losses @ weight / max(weight.sum(), 1e-300))


def _bars(measured: Measured) -> dict[str, Html]:
    """Return a bar for each column that shows its importance and the importance of its group."""
    bar = parts().bar
    ends = [
        end
        for importance in measured.importances
        for end in (importance.rise, importance.high)
    ]
    largest = max(ends, default=0.0) or 1.0  # an end may be nan
    texts = as_texts(measured.importances)
    bars = {}
    for group in measured.importances:
        if not group.alone:
            bars[group.columns[0]] = bar(group.rise / largest, texts[group.columns])
        for importance in group.alone:
            column = importance.columns[0]
            others = [printable(name) for name in group.columns if name != column]
            listed = ", ".join(others[:3])
            if len(others) > 3:
                listed += f" and {len(others) - 3} more"
            together = f"with {listed}: {texts[group.columns]}"
            text = texts[importance.columns]
            bars[column] = bar(
                importance.rise / largest, text, together, group.rise / largest
            )
    return bars


def _described(measured: Measured, name: str, kind: str, reading: str) -> list[Html]:
    """Return the cells that describe a column's training values."""
    series = (measured.learned or measured).X.get(name)
    if series is None:  # an unused column
        return [printable(str(name)), kind, reading, "", "", ""]
    missing = int(series.isna().sum())
    known = series.dropna()
    empty = f"{missing:,} ({missing / len(series):.1%})" if missing else "0"
    examples = parts().examples(
        [shown(value) for value in known.drop_duplicates().iloc[:EXAMPLES]]
    )
    return [
        printable(str(name)),
        kind,
        reading,
        empty,
        f"{known.nunique():,}",
        examples,
    ]

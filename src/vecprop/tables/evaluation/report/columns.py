"""The section on columns: their kinds, values, importance, drift and effect on predictions."""

from collections.abc import Iterator
from typing import Any

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
HEADS = {"column": "name", "kind": "", "parsed as": "", "missing": "number", "distinct": "number"}
HEADS |= {"examples": "examples", "importance": "bars"}


def columns(measured: Measured) -> Html:
    """Return the table of columns, and plots of the effects of the most important ones.

    Columns are sorted by importance. Unused columns and columns without an importance come last.
    """
    model, encoder, bars = measured.model, measured.model.encoder_, dict(_bars(measured))
    drifts = comparisons(model, tallies(model, measured.X)) if measured.has_test else {}
    drifts = {name: "; ".join(comparison.notes()) or "none found" for name, comparison in drifts.items()}
    kinds, readings = encoder.kinds | dict.fromkeys(encoder.codes, "codes"), encoder.readings

    def row(name: str) -> list[Html]:
        if name in encoder.dropped:
            return [*_described(measured, name, "not used", encoder.dropped[name]), "", ""]
        read = "" if readings[name] == kinds[name] else readings[name].removeprefix(f"{kinds[name]}, ")
        return [*_described(measured, name, kinds[name], read), bars.get(name, "not computed"), drifts.get(name, "")]

    names = [*bars, *encoder.dropped, *(name for name in encoder.names if name not in bars)]
    leading = dependences(model, measured.X, leading_columns(measured)[:LEADING])
    return parts().columns(
        loss_name(model),
        {"table": "rows of the table", "test": "test rows"}.get(measured.how, "training rows"),
        HEADS | ({"drift" if measured.how == "table" else "drift (test vs training)": "drift"} if drifts else {}),
        list(map(row, names[:LISTED])),
        MAX_COLUMNS,
        len(names) - LISTED,
        leading[0].output if leading else "",
        [(name := printable(of.column), drawn(f"{of.output} by {name}", _draw_dependence, of)) for of in leading],
    )


def _draw_dependence(ax: Any, dependence: Dependence) -> None:
    plot_dependence(dependence, ax=ax)
    ax.set(xlabel="", ylabel="")  # the page labels both axes


def leading_columns(measured: Measured) -> list[str]:
    """Return the most important column of each group of redundant columns, most important group first."""
    return [(each.alone or (each,))[0].columns[0] for each in measured.importances]


def losses_of(measured: Measured) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the losses and weights of rows (both 0 for unknown classes), and the mean loss."""
    losses = row_losses(measured.model, measured.predicted, measured.truth)
    losses, weight = np.nan_to_num(losses), np.where(np.isnan(losses), 0, measured.weight)
    return losses, weight, float(losses @ weight / max(weight.sum(), 1e-300))


def _bars(measured: Measured) -> Iterator[tuple[str, Html]]:
    """Yield each column with a bar that shows its importance and the importance of its group."""
    found, bar = measured.importances, parts().bar
    most = max((end for each in found for end in (each.rise, each.high)), default=0.0) or 1.0  # high may be nan

    texts = as_texts(found)

    for importance in found:
        if not importance.alone:
            yield importance.columns[0], bar(importance.rise / most, texts[importance.columns])
        for own in importance.alone:
            others = [printable(name) for name in importance.columns if name not in own.columns]
            some = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
            together = f"with {some}: {texts[importance.columns]}"
            yield own.columns[0], bar(own.rise / most, texts[own.columns], together, importance.rise / most)


def _described(measured: Measured, name: str, kind: str, reading: str) -> list[Html]:
    """Return the cells that describe a column's training values."""
    series = (measured.learned or measured).X.get(name)
    if series is None:  # an unused column
        return [printable(str(name)), kind, reading, "", "", ""]
    missing, known = int(series.isna().sum()), series.dropna()
    empty = f"{missing:,} ({missing / len(series):.1%})" if missing else "0"
    some = parts().examples([shown(value) for value in known.drop_duplicates().iloc[:EXAMPLES]])
    return [printable(str(name)), kind, reading, empty, f"{known.nunique():,}", some]

"""The table of columns: what each is, how it was read, how much it matters, and how the test's values differ."""

from collections.abc import Iterator
from typing import Any

from ....pictures.dependence import plot_dependence
from ...error import printable
from ...explaining.column_notes import drift, tallies
from ...explaining.contributions import Dependence, dependences
from ...explaining.importance import Importance, loss_name
from ..measured import Measured
from ..metrics import figures
from .markup import Html, drawn, parts

MOST_COLUMNS = 15
"""After this many columns, the most important ones, others are folded."""
LISTED = 500
EXAMPLES = 3
LONGEST, LONGEST_NUMBER = 24, 10
"""The largest numbers of characters of a value that are shown."""
LEADING = 6
"""The number of columns whose effect is drawn."""
HEADS = {"column": "name", "kind": "", "read as": "", "missing": "number", "distinct": "number"}
HEADS |= {"such as": "examples", "importance": "bars"}


def columns(measured: Measured) -> Html:
    """Return the table of columns, and how predictions depend on the leading ones.

    Columns whose importance is known come first, the most important before others, then those that are not used.
    """
    model, found = measured.model, measured.importances
    encoder, bars = model.encoder_, dict(_bars(found))
    drifts = drift(model, tallies(model, measured.X)) if measured.has_test else {}
    drifts = {name: "; ".join(notes) or "none found" for name, notes in drifts.items()}
    kinds, readings = encoder.kinds | dict.fromkeys(encoder.codes, "codes"), encoder.readings

    def row(name: str) -> list[Html]:
        if name in encoder.dropped:
            return [*_described(measured, name, "not used", encoder.dropped[name]), "", ""]
        read = "" if readings[name] == kinds[name] else readings[name]
        return [*_described(measured, name, kinds[name], read), bars.get(name, "not measured"), drifts.get(name, "")]

    names = [*bars, *encoder.dropped, *(name for name in encoder.names if name not in bars)]
    leading = dependences(model, measured.X, [(each.alone or (each,))[0].columns[0] for each in found][:LEADING])
    return parts().columns(
        loss_name(model),
        {"table": "rows of the table", "test": "rows of the test"}.get(measured.how, "rows of training"),
        HEADS | {"drift" if measured.how == "table" else "drift of the test": "drift"},
        list(map(row, names[:LISTED])),
        MOST_COLUMNS,
        len(names) - LISTED,
        leading[0].output if leading else "",
        [(name := printable(of.column), drawn(f"{of.output} by {name}", _draw_dependence, of)) for of in leading],
    )


def _draw_dependence(ax: Any, dependence: Dependence) -> None:
    plot_dependence(dependence, ax)
    ax.set(xlabel="", ylabel="")  # which the page says


def _bars(found: list[Importance]) -> Iterator[tuple[str, Html]]:
    """Yield each column with its importance as a bar and in words: with others, also that of all together."""
    most, bar = max((each.high for each in found), default=0.0) or 1.0, parts().bar
    for importance in found:
        if not importance.alone:
            yield importance.columns[0], bar(importance.rise / most, _in_words(importance))
        for own in importance.alone:
            others = [printable(name) for name in importance.columns if name not in own.columns]
            some = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
            together = f"with {some}: {_in_words(importance)}"
            yield own.columns[0], bar(own.rise / most, _in_words(own), together, importance.rise / most)


def _in_words(importance: Importance) -> str:
    return f"{figures(importance.rise, 3)} ({figures(importance.low, 2)} to {figures(importance.high, 2)})"


def _described(measured: Measured, name: str, kind: str, reading: str) -> list[Html]:
    """Return the cells of a column on its values in training."""
    series = (measured.learned or measured).X.get(name)
    if series is None:  # which is not used
        return [printable(str(name)), kind, reading, "", "", ""]
    missing, known = int(series.isna().sum()), series.dropna()
    empty = f"{missing:,} ({missing / len(series):.1%})" if missing else "0"
    longest = LONGEST_NUMBER if kind == "numbers" else LONGEST
    texts = [printable(str(value)) for value in known.drop_duplicates().iloc[:EXAMPLES]]
    some = parts().examples([text if len(text) <= longest else f"{text[: longest - 1]}…" for text in texts])
    return [printable(str(name)), kind, reading, empty, f"{known.nunique():,}", some]

"""The table of columns: what each is, how it was read, how much it matters, and how the test's values differ."""

from collections.abc import Iterator
from typing import Any

from ....pictures.dependence import plot_dependence
from ...error import printable
from ...explaining.dependence import Dependence, dependences
from ...explaining.importance import Importance, loss_name
from ..measured import Measured
from .markup import Html, bar, drawn, element, figures, join, long_table

MOST_COLUMNS = 15
"""After this many columns, the most important ones, others are folded."""
LISTED = 500
EXAMPLES = 3
LONGEST, LONGEST_NUMBER = 24, 10
"""The largest numbers of characters of a value that are shown."""
LEADING = 6
"""The number of columns whose effect is drawn."""
HEADS = {
    "column": "name",
    "kind": "",
    "read as": "",
    "missing": "number",
    "distinct": "number",
    "such as": "examples",
    "importance": "bars",
}


def columns(measured: Measured) -> Html:
    """Return the table of columns, and how predictions depend on the leading ones."""
    found = measured.importances
    told = (
        f"A column's importance is how much the {loss_name(measured.model)} of {_rows(measured)} rises when its values "
        "are shuffled, with its 95 % interval. Columns that stand in for each other are shuffled together too (paler "
        "bars), since each of them alone can seem unimportant."
    )
    return join(
        [
            element("p", told),
            table_of_columns(measured, found),
            _dependences(measured, [(each.alone or (each,))[0].columns[0] for each in found]),
        ]
    )


def _dependences(measured: Measured, names: list[str]) -> Html:
    """Return pictures of how predictions depend on each of some columns, the most important first."""
    found = dependences(measured.model, measured.X, names[:LEADING])
    if not found:
        return Html()
    told = (
        f"Thick lines and points are the mean {found[0].output} over {_rows(measured)} if all of them had this value "
        "in the column; thin lines are single rows."
    )
    pictures = (_picture_of(each, printable(each.column)) for each in found)
    return join(
        [
            element("h3", "How predictions depend on the leading columns"),
            element("p", told),
            element("div", *pictures, class_="pictures"),
        ]
    )


def _picture_of(dependence: Dependence, name: str) -> Html:
    title = element("figcaption", element("strong", name))
    return element("figure", title, drawn(f"{dependence.output} by {name}", _draw_dependence, dependence))


def _draw_dependence(ax: Any, dependence: Dependence) -> None:
    plot_dependence(dependence, ax)
    ax.set(xlabel="", ylabel="")  # which the page says


def _rows(measured: Measured) -> str:
    return {"table": "rows of the table", "test": "rows of the test"}.get(measured.how, "rows of training")


def table_of_columns(measured: Measured, found: list[Importance]) -> Html:
    """Return the table of columns: those whose importance is known, the largest first, those not used, and others."""
    encoder, bars, drifts = measured.model.encoder_, dict(_bars(found)), drift_of_columns(measured)
    kinds, readings = encoder.kinds | dict.fromkeys(encoder.codes, "codes"), encoder.readings

    def row(name: str) -> list[Html | str]:
        if name in encoder.dropped:
            return [*_described(measured, name, "not used", encoder.dropped[name]), "", ""]
        read = "" if readings[name] == kinds[name] else readings[name]
        return [*_described(measured, name, kinds[name], read), bars.get(name, "not measured"), drifts.get(name, "")]

    names = [*bars, *encoder.dropped, *(name for name in encoder.names if name not in bars)]
    told = element("p", f"{len(names) - LISTED:,} more columns are not listed.") if len(names) > LISTED else Html()
    heads = HEADS | {"drift" if measured.how == "table" else "drift of the test": "drift"}
    return join([long_table(heads, list(map(row, names[:LISTED])), MOST_COLUMNS, "columns"), told])


def _bars(found: list[Importance]) -> Iterator[tuple[str, Html]]:
    """Yield each column with its importance as a bar and in words: with others, also that of all together."""
    most = max((each.high for each in found), default=0.0) or 1.0
    for importance in found:
        if not importance.alone:
            yield importance.columns[0], bar(importance.rise / most, _in_words(importance))
        for own in importance.alone:
            others = [printable(name) for name in importance.columns if name not in own.columns]
            together = element("small", f"with {_some(others)}: {_in_words(importance)}", class_="together")
            yield own.columns[0], bar(own.rise / most, _in_words(own), together, behind=importance.rise / most)


def _in_words(importance: Importance) -> str:
    return f"{figures(importance.rise, 3)} ({figures(importance.low, 2)} to {figures(importance.high, 2)})"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _described(measured: Measured, name: str, kind: str, reading: str) -> list[Html | str]:
    """Return the cells of a column on its values in training."""
    series = (measured.learned or measured).X.get(name)
    if series is None:  # which is not used
        return [printable(str(name)), kind, reading, "", "", ""]
    missing, known = int(series.isna().sum()), series.dropna()
    empty = f"{missing:,} ({missing / len(series):.1%})" if missing else "0"
    longest = LONGEST_NUMBER if kind == "numbers" else LONGEST
    some = [element("span", _short(value, longest)) for value in known.drop_duplicates().iloc[:EXAMPLES]]
    return [printable(str(name)), kind, reading, empty, f"{known.nunique():,}", join(some, " ")]


def _short(value: object, longest: int) -> str:
    text = printable(str(value))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def drift_of_columns(measured: Measured) -> dict[str, str]:
    """Return how the test's values of each column differ from those of training; nothing without a test."""
    if not measured.has_test:
        return {}
    model: Any = measured.model
    tallies = model.tallies(measured.X)
    each = zip(model.encoder_.names, model.encoder_.parts, model.profiles_, tallies, strict=True)
    return {
        name: "; ".join(profile.notes(part, tally, len(tallies))) or "none found" for name, part, profile, tally in each
    }

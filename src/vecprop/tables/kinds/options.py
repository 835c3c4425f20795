"""What a column's owner has said of it: its kind, and how its text is to be read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..error import TableError, nearest
from .dates import EXCEL

KINDS = ["number", "category", "code", "date", "text", "ignore"]
"""The kinds that a column can be called; `encoding.registry` adds further ones."""
ORDERS = {"day first": True, "month first": False}
"""The names of the orders of day and month, and whether the day comes first."""


@dataclass(frozen=True)
class Asked:
    """What is said of a table's columns; what is not said is found from their values.

    Parameters
    ----------
    columns : dict of str to str
        The kind of a column, one of `KINDS`; after a space its decimal sign or the format of its dates.
    date_format : str, optional
        The format of all columns of dates for which none is given, as in ``datetime.strptime``; or "day first",
        "month first", or "excel" for Excel's serial dates.

    Examples
    --------
    >>> asked = Asked({"price": "number ,", "sold": "date day first"})
    >>> asked.kind("price"), asked.decimal_of("price"), asked.format_of("sold"), asked.kind("town")
    ('number', ',', 'day first', None)
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    decimal: str | None = None
    date_format: str | None = None

    def __post_init__(self) -> None:
        for name in self.columns:
            kind, how = self.kind(name), self._how(name)
            if kind not in KINDS:
                raise ValueError(f"Column {name!r} cannot be of the kind {kind!r}: the kinds are {', '.join(KINDS)}.")
            if how and not (kind == "number" and how in (".", ",")) and not (kind == "date" and _is_format(how)):
                raise ValueError(
                    f"Column {name!r} cannot be read as {self.columns[name]!r}: after 'number' stands a decimal sign, "
                    "and after 'date' a format such as %d.%m.%Y, 'day first', 'month first' or 'excel'."
                )
        if self.decimal not in (None, ".", ","):
            raise ValueError(f"{self.decimal!r} is no decimal sign: give '.' or ','.")
        if self.date_format and not _is_format(self.date_format):
            raise ValueError(
                f"{self.date_format!r} is no format of dates: give one such as %d.%m.%Y, or 'day first', 'month first' "
                "or 'excel'."
            )

    def kind(self, name: str) -> str | None:
        """Return the kind of a column, or None if it is not given."""
        return str(self.columns[name]).partition(" ")[0] if name in self.columns else None

    def _how(self, name: str) -> str:
        return str(self.columns.get(name, "")).partition(" ")[2].strip()

    def decimal_of(self, name: str) -> str | None:
        """Return the decimal sign of a column of numbers, or None if it is not given."""
        return (self._how(name) if self.kind(name) == "number" else "") or self.decimal

    def format_of(self, name: str) -> str | None:
        """Return the format of a column of dates, or None if it is not given."""
        return (self._how(name) if self.kind(name) == "date" else "") or self.date_format

    def require(self, names: Iterable[str]) -> None:
        """Refuse the names of columns that are not among those of a table."""
        known = set(names)
        for name in self.columns:
            if name not in known:
                raise TableError(
                    f"The table has no column {name!r}, which is to be read as {self.columns[name]!r}"
                    f"{nearest(name, known) or '.'}"
                )


def _is_format(text: str) -> bool:
    return "%" in text or text == EXCEL or text in ORDERS


NOTHING = Asked()
"""Nothing is said of the columns."""

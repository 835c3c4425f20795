"""Which rows of a table count and which columns are no inputs: the one place that decides this."""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .encoding.columns import first_of
from .error import TableError, first_line, pandas
from .kinds.options import NOTHING, Asked
from .kinds.task import as_whole
from .kinds.values import as_numbers
from .reading.delimited import require_columns
from .reading.frames import Frame

LARGEST_WEIGHT = 1e30
"""The largest weight of a row, with room for sums in float32; weights below its inverse count as 0."""
OF_GROUPS = "it tells groups apart"
"""Why a column of groups is no input."""
OF_WEIGHTS = "it weighs rows"
"""Why a column of weights is no input."""
COUNTS_ROWS = "it counts the rows; call it a number if it is one"
"""Why a column of row numbers is no input."""
FEWEST_ROWS = 20
"""Fewer whole numbers than this may be consecutive and yet be amounts."""
_FIRST = 100
"""Whole numbers are looked for in this number of rows first, which rules out most columns in no time."""
_NO_NAME = re.compile(r"|index|Unnamed: \d+|column \d+|level_\d+")
"""The names that programs give to a column without one."""


@dataclass(frozen=True)
class Roles:
    """The columns of a table that say something of rows, and the share or number of rows of the test."""

    target: str | None
    weight: str | None = None
    group: str | None = None
    time: str | None = None
    test: float = 0.0

    @classmethod
    def named(cls, target: str | None, weight: Any, group: Any, time: Any) -> "Roles":
        """Return the roles that are given as names of columns and not as arrays."""
        weight, group, time = (name if isinstance(name, str) else None for name in (weight, group, time))
        return cls(target, weight, group, time)

    @property
    def reasons(self) -> dict[str, str]:
        """The columns besides the target that are no inputs, each with the reason."""
        each = {self.group: OF_GROUPS, self.weight: OF_WEIGHTS}
        return {name: reason for name, reason in each.items() if name is not None}

    @property
    def aside(self) -> list[str]:
        """The columns that are no inputs."""
        return [*([] if self.target is None else [self.target]), *self.reasons]

    def require(self, names: Sequence[str]) -> None:
        """Refuse a table without one of the columns, and the target in another role."""
        for name, what in ((self.weight, "weighs rows"), (self.group, "tells groups apart"), (self.time, "tells time")):
            if name is not None and name == self.target:
                raise TableError(f"Column {name!r} is the target: it cannot be what {what}. Name another column.")
        require_columns(names, [*self.aside, *([] if self.time is None else [self.time])])

    def meant(self, asked: Asked) -> list[str | None]:
        """Return the columns that are inputs even if they count the rows."""
        return [self.time, *asked.columns]

    def set_aside(self, frame: Frame, asked: Asked = NOTHING) -> dict[str, str]:
        """Return the columns of a whole table, besides the target, that are no inputs, each with the reason."""
        inputs = frame.drop(columns=self.aside, errors="ignore")
        return self.reasons | row_numbers(inputs, but=self.meant(asked))


class RowFilter:
    """Decides which rows of a table, or of one part after the other, count: those with a target and a weight.

    Examples
    --------
    >>> rows = RowFilter("y")
    >>> rows.see(pandas().Series([1.0, None, 3.0]), [1, 1, 1e-50])
    (array([ True, False, False]), array([1., 0., 0.]))
    >>> rows.notes()
    ['1 of 3 rows have no target and are left out.',
     '1 of 3 rows have a weight below 1e-30, which counts as 0, and are left out.']
    """

    def __init__(self, target: str | None, weight: str | None = None) -> None:
        self.target, self.weight, self.total, self.without_target, self.weighted = target, weight, 0, 0, 0
        self.of_weight = {"have the weight 0": 0, f"have a weight below {1 / LARGEST_WEIGHT:g}, which counts as 0,": 0}
        self.range = (np.inf, -np.inf)
        """The smallest and the largest weight of rows that count."""

    def see(self, y: Any, weight: Any = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Return whether each row counts, and the weights, with 0 for rows that do not; None without weights.

        Raises
        ------
        TableError
            If weights of rows with a target are no numbers from 0 to 1e30.
        """
        counts = y.notna().to_numpy()
        self.total += len(y)
        self.without_target += int((~counts).sum())
        if weight is None:
            self.weighted += int(counts.sum())
            return counts, None
        values = np.where(counts, self._checked(weight, counts), 0.0)
        is_tiny = (values > 0) & (values < 1 / LARGEST_WEIGHT)
        zero, tiny = self.of_weight
        self.of_weight[zero] += int((counts & (values == 0)).sum())
        self.of_weight[tiny] += int(is_tiny.sum())
        values[is_tiny] = 0.0
        counts = values > 0
        self.weighted += int(counts.sum())
        if counts.any():
            own = values[counts]
            self.range = min(self.range[0], own.min()), max(self.range[1], own.max())
        return counts, values

    def _checked(self, weight: Any, is_meant: np.ndarray) -> np.ndarray:
        series = weight if isinstance(weight, pandas().Series) else None
        if self.weight is not None:
            values = as_numbers(series)[0]
        else:
            try:
                values = np.asarray(weight, float)
            except ValueError as error:
                raise TableError(f"sample_weight is not numbers: {first_line(error)}.") from None
            if values.shape != is_meant.shape:
                raise TableError(
                    f"The table has {len(is_meant)} rows, but sample_weight has the shape {values.shape}: give one a "
                    "row."
                )
        wrong = is_meant & ~((values >= 0) & (values <= LARGEST_WEIGHT))
        if wrong.any():
            named = "sample_weight" if self.weight is None else f"Column {self.weight!r}, the weights,"
            raise TableError(
                f"{named} has {int(wrong.sum())} value(s) that are no weights, such as "
                f"{first_of(pandas().Series(values) if series is None else series, wrong)}: weights are numbers from 0 "
                f"to {LARGEST_WEIGHT:g}; fix or drop them."
            )
        return values

    @property
    def are_equal(self) -> bool:
        """Whether all rows that count weigh the same."""
        return not self.range[0] < self.range[1]

    def require(self) -> None:
        """Refuse a table of which no row counts."""
        if self.without_target == self.total:
            named = "The target" if self.target is None else f"The target {self.target!r}"
            raise TableError(f"{named} has no values: all {self.total} are missing.")
        if not self.weighted:
            named = "sample_weight" if self.weight is None else f"Column {self.weight!r}, the weights,"
            tiny = f", or below {1 / LARGEST_WEIGHT:g}," if [*self.of_weight.values()][1] else ""
            raise TableError(f"{named} is zero{tiny} in all rows, so that none counts: weigh at least two rows.")

    def notes(self) -> list[str]:
        """Return sentences on the rows that are left out."""
        left_out = {"have no target": self.without_target} | self.of_weight
        return [f"{count} of {self.total} rows {why} and are left out." for why, count in left_out.items() if count]


class UsedRows(NamedTuple):
    """The rows of a table that count, their weights, whether each row of the table does, and notes on the others."""

    frame: Frame
    weight: np.ndarray
    counts: np.ndarray
    notes: list[str]

    @classmethod
    def of(cls, frame: Frame, roles: Roles) -> "UsedRows":
        """Return them, with the columns of a table that has a target, or refuse a table without any."""
        roles.require(frame.columns)
        rows, target = RowFilter(roles.target, roles.weight), roles.target
        counts, weight = rows.see(frame[target], None if roles.weight is None else frame[roles.weight])
        rows.require()
        used = frame if counts.all() else frame[counts]
        if rows.without_target:
            used = used.assign(**{str(target): as_whole(used[target])})
        weight = np.ones(len(used)) if weight is None else weight[counts]
        return cls(used, weight, counts, [*frame.attrs.get("notes", []), *rows.notes()])


def row_numbers(frame: Frame, but: Container[Any] = ()) -> dict[str, str]:
    """Return the columns that count the rows, each with the reason why it is not an input; none if no other is left.

    These are whole numbers in steps of exactly 1 over the whole table, in any order; and columns without a name whose
    whole numbers rise from row to row, as they do in a part of a table.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"id": range(1000, 1030), "x": 0.5})
    >>> row_numbers(frame)
    {'id': 'it counts the rows; call it a number if it is one'}
    """
    found = {name: reason for name in frame.columns if name not in but and (reason := _reason(frame[name], name))}
    return found if len(found) < frame.shape[1] else {}


def _reason(series: Any, name: str) -> str | None:
    if len(series) < FEWEST_ROWS or _rising(series.iloc[:_FIRST]) is None:
        return None
    rising = _rising(series)
    if rising is None:
        return None
    if rising[0] + len(rising) - 1 == rising[-1]:
        return COUNTS_ROWS
    if _NO_NAME.fullmatch(name) and (as_numbers(series)[0] == rising).all():
        return "it has no name and numbers the rows; call it a number if it is one"
    return None


def _rising(series: Any) -> np.ndarray | None:
    """Return the values of a column of distinct whole numbers in rising order, or None for another."""
    x, unread = as_numbers(series)
    if unread or not np.isfinite(x).all() or (x != np.floor(x)).any():
        return None
    x = np.sort(x)
    return x if (x[1:] > x[:-1]).all() else None

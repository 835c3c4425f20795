"""Select the rows of a table that are used, and the columns that are not inputs."""

import re
from collections.abc import Container
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from sklearn.utils.validation import column_or_1d

from .encoding.column import first_of
from .encoding.folds import Dependence
from .error import Note, TableError, first_line, pandas
from .kinds.ambiguities import NO_OPTIONS, ColumnOptions
from .kinds.formats import NumberReading
from .kinds.kinds import as_whole
from .kinds.values import as_numbers, read_numbers
from .reading.delimited import require_columns
from .reading.frames import Frame, as_frame, column_of

LARGEST_WEIGHT = 1e30
"""The largest weight of a row, so that float32 sums do not overflow. Weights below
its inverse become 0.
"""
OF_GROUPS = "it defines the groups"
"""Why a group column is not an input."""
COUNTS_ROWS = "it only counts the rows; declare it as a number to use it"
"""Why a column of row numbers is not an input."""
MIN_ROWS = 20
"""The minimum number of consecutive integers to recognize as row numbers. Fewer
integers may be amounts.
"""
_FIRST = 100
"""The number of rows that are examined first, which quickly rules out most columns
as row numbers.
"""
_NO_NAME = re.compile(r"|index|Unnamed: \d+|column \d+|level_\d+")
"""The names that programs generate for unnamed columns."""


@dataclass(frozen=True)
class Roles:
    """The target, weight, group and time columns of a table, and the share or number of test rows."""

    target: str | None
    weight: str | None = None
    group: str | None = None
    time: str | None = None
    test: float = 0.0

    @classmethod
    def named(cls, target: str | None, *, weight, group, time) -> "Roles":
        """Return the roles of columns, and ignore values that are not names."""
        names = {}
        for role, name in {"weight": weight, "group": group, "time": time}.items():
            if isinstance(name, str):
                names[role] = name
        return cls(target, **names)

    def targets(self, frame: Frame) -> Any:
        """Return the target column, as integers if all values are integral."""
        return as_whole(frame[self.target])

    def weights(self, frame: Frame) -> ndarray | None:
        """Return the weight column as numbers, or None if there is no such column."""
        return None if self.weight is None else as_numbers(frame[self.weight])[0]

    @property
    def reasons(self) -> dict[str, str]:
        """The columns (except the target) whose roles exclude them from the inputs, each with a reason."""
        reasons = {}
        if self.group is not None:
            reasons[self.group] = OF_GROUPS
        if self.weight is not None:
            reasons[self.weight] = "it contains the weights"
        return reasons

    def require(self, table):
        """Raise an error if a column is missing, or the target has another role."""
        roles = (self.weight, "weights"), (self.group, "groups"), (self.time, "times")
        for name, role in roles:
            if name is None:
                continue
            if name == self.target:
                raise TableError(
                    f"Column {name!r} is the target and cannot contain the {role}: name"
                    " another column."
                )
            require_columns(table, [name])

    def set_aside(
        self, frame: Frame, options: ColumnOptions = NO_OPTIONS
    ) -> dict[str, str]:
        """Return the columns of a whole table (except the target) that are not inputs, each with a reason."""
        reasons = self.reasons
        inputs = frame.drop(columns=[self.target, *reasons], errors="ignore")
        return reasons | row_numbers(inputs, but=[self.time, *options.columns])


@dataclass(eq=False)
class RowFilter:
    """Select the rows of a table, chunk by chunk, that have a target and a positive weight.

    Examples
    --------
    >>> rows = RowFilter("y")
    >>> rows.see(pandas().Series([1.0, None, 3.0]), [1, 1, 1e-50])
    (array([ True, False, False]), array([1., 0., 0.]))
    >>> rows.notes()
    ['Rows without a target are not used: 1 of 3.',
     'Rows with a weight below 1e-30, which is treated as 0, are not used: 1 of 3.']
    """

    target: str | None
    weight: str | None = None
    total: int = 0
    without_target: int = 0
    zero_weights: int = 0
    tiny_weights: int = 0
    used: int = 0
    lightest: float = np.inf
    heaviest: float = -np.inf
    """The smallest and the largest positive weight."""

    def see(self, y, weight=None) -> tuple[ndarray, ndarray | None]:
        """Return a mask of the used rows, and the weights of all rows, if any.

        The weights of unused rows are 0.
        """
        is_used = y.notna().to_numpy()
        if is_used.ndim == 2:  # several targets
            is_used = is_used.all(axis=1)
        self.total += len(y)
        self.without_target += int((~is_used).sum())
        weights = None
        if weight is not None:
            weights = np.where(is_used, self._checked(weight, is_used), 0.0)
            is_tiny = (weights > 0) & (weights < 1 / LARGEST_WEIGHT)
            self.zero_weights += int((is_used & (weights == 0)).sum())
            self.tiny_weights += int(is_tiny.sum())
            weights[is_tiny] = 0.0
            is_used = weights > 0
            positive = weights[is_used]
            self.lightest = positive.min(initial=self.lightest)
            self.heaviest = positive.max(initial=self.heaviest)
        self.used += int(is_used.sum())
        return is_used, weights

    def _checked(self, weight, mask: ndarray) -> ndarray:
        """Return weights as numbers, or raise an error if a weight that the mask selects is invalid."""
        if self.weight is not None:
            values, _ = as_numbers(weight)
        else:
            try:
                values = np.asarray(weight, float)
            except ValueError as error:
                raise TableError(
                    f"sample_weight is not numbers: {first_line(error)}."
                ) from None
            if values.shape != mask.shape:
                raise TableError(
                    f"The table has {len(mask)} rows, but sample_weight has shape"
                    f" {values.shape}: pass one weight per row."
                )
        is_invalid = mask & ~((values >= 0) & (values <= LARGEST_WEIGHT))
        if is_invalid.any():
            series = weight
            if not isinstance(weight, pandas().Series):
                series = pandas().Series(values)
            raise TableError(
                f"{self._named_weight} has {is_invalid.sum()} invalid value(s), such as"
                f" {first_of(series, is_invalid)}: weights must be numbers from 0 to"
                f" {LARGEST_WEIGHT:g}; fix or drop them."
            )
        return values

    @property
    def _named_weight(self) -> str:
        if self.weight is None:
            return "sample_weight"
        return f"Column {self.weight!r}, the weights,"

    @property
    def are_equal(self) -> bool:
        """Whether all positive weights are equal."""
        return not self.lightest < self.heaviest

    def notes(self) -> list[str]:
        """Return notes on the rows that are not used, and raise an error if no row is used."""
        if self.without_target == self.total:
            target = (
                "The target" if self.target is None else f"The target {self.target!r}"
            )
            raise TableError(f"{target} has no values: all {self.total} are missing.")
        if not self.used:
            tiny = f", or below {1 / LARGEST_WEIGHT:g}," if self.tiny_weights else ""
            raise TableError(
                f"{self._named_weight} is zero{tiny} in all rows: at least two rows"
                " need a positive weight."
            )
        rows = {
            "without a target": self.without_target,
            "with the weight 0": self.zero_weights,
            f"with a weight below {1 / LARGEST_WEIGHT:g}, which is treated as 0,": (
                self.tiny_weights
            ),
        }
        notes = []
        for reason, count in rows.items():
            if count:
                notes.append(
                    Note(
                        f"Rows {reason} are not used: {count} of {self.total}.",
                        "unused",
                    )
                )
        return notes


class UsedRows(NamedTuple):
    """The used rows of a table, their weights, their mask in the table, and notes on the other rows."""

    frame: Frame
    weight: ndarray
    is_used: ndarray
    notes: list[str]

    @classmethod
    def of(cls, frame: Frame, roles: Roles) -> "UsedRows":
        """Select the used rows of a table, and raise an error if no row is used."""
        rows = RowFilter(roles.target, roles.weight)
        target = str(roles.target)
        require_columns(frame, [target])
        roles.require(frame)
        weight = None
        if roles.weight is not None:
            weight = frame[roles.weight]
        is_used, weight = rows.see(frame[target], weight)
        notes = [*frame.attrs.get("notes", []), *rows.notes()]
        if not is_used.all():
            frame = frame[is_used]
        if rows.without_target:
            frame = frame.assign(**{target: roles.targets(frame)})
        weight = np.ones(len(frame)) if weight is None else weight[is_used]
        return cls(frame, weight, is_used, notes)


class LearnedRows(NamedTuple):
    """The training rows of a model, their mask in the table, the columns that are not inputs, and notes."""

    roles: Roles
    frame: Frame
    target: Any
    weight: ndarray | None
    dependence: Dependence
    aside: dict[str, str]
    is_used: ndarray
    notes: list[str]

    @classmethod
    def of(
        cls, model, X, y, aside, sample_weight=None, groups=None, time=None
    ) -> "LearnedRows":
        """Select the training rows of a table: rows with a target and a positive weight."""
        names = model._target_names
        target = names[0] if len(names) == 1 else None
        frame = as_frame(X, model, target)
        notes = list(frame.attrs.get("notes", []))
        levels = list(frame.attrs.get("index", []))
        if y is None:
            levels = [name for name in levels if name not in names]
        if levels:
            notes.append(_note_on_index(levels))
        y = _target(model, frame, y)
        roles = Roles.named(target, weight=sample_weight, group=groups, time=time)
        for name in names or [None]:
            replace(roles, target=name).require(frame)
        frame = frame.drop(columns=names, errors="ignore")
        # a refitted model uses the same groups
        if groups is None and aside is not None:
            for column, reason in aside.items():
                if reason == OF_GROUPS and column in frame.columns:
                    groups = column
                    break
        options = model._column_options
        dependence = Dependence.of(frame, groups, time, options)
        if aside is None:
            aside = frame.attrs.get("aside")  # of the whole file
        if aside is None:
            aside = roles.set_aside(frame, options)
        model._check_columns(X, frame, reset=True)
        if len(y) != len(frame):
            raise TableError(
                f"The table has {len(frame)} rows, but y has {len(y)}: pass one target"
                " per row."
            )
        rows = RowFilter(target, roles.weight)
        if roles.weight is not None:
            sample_weight = frame[roles.weight]
        is_used, weight = rows.see(y, sample_weight)
        notes += rows.notes()
        if is_used.sum() < 2:
            raise TableError(
                "There is only one sample: at least two rows need a target and a"
                " positive weight."
            )
        if not is_used.all():
            frame = frame[is_used]
            y = y[is_used]
            dependence = dependence[is_used]
        if rows.without_target and y.ndim == 2:
            y = y.apply(as_whole)
        elif rows.without_target:
            y = as_whole(y)
        if weight is not None:
            weight = None if rows.are_equal else weight[is_used]
        return cls(
            roles,
            frame,
            y,
            weight=weight,
            dependence=dependence,
            aside={name: aside[name] for name in aside if name in frame.columns},
            is_used=is_used,
            notes=notes + notes_on_groups(frame, groups),
        )


def exposures(frame: Frame, name: str) -> ndarray:
    """Return the numbers in a column of exposures, or raise an error if one is not positive."""
    series = column_of(frame, name)
    numbers, _ = as_numbers(series)
    is_invalid = ~((numbers > 0) & (numbers <= LARGEST_WEIGHT))
    if is_invalid.any():
        raise TableError(
            f"Column {name!r}, the exposure, has {is_invalid.sum()} invalid value(s),"
            f" such as {first_of(series, is_invalid)}: exposures must be positive"
            " numbers; fix or drop the rows."
        )
    return numbers


def _target(model, frame: Frame, y):
    """Return y, or by default the target of a table: a Series, or a data frame of several targets."""
    name = type(model).__name__
    if isinstance(y, str):
        raise TableError(
            f"y is the text {y!r}, but must contain the targets: pass the column"
            f" name to the constructor, {name}(target={y!r})."
        )
    if y is None:
        if model.target is None:
            raise TableError(
                f"{name} requires y to be passed, but the target y is None: pass y,"
                " or set target= to a column name."
            )
        if isinstance(model.target, str):
            return column_of(frame, model.target)
        require_columns(frame, model._target_names)
        return frame[model._target_names]
    if isinstance(y, pandas().Series):
        return y
    shape = np.asarray(y).shape
    if len(shape) == 2 and shape[1] > 1:
        return _several_targets(model, y)
    return pandas().Series(column_or_1d(y, warn=True))


def _several_targets(model, y) -> Frame:
    """Return a two-dimensional y as a data frame, whose columns have the names of the targets if there are any."""
    frame = y
    if not isinstance(y, pandas().DataFrame):
        columns = [f"target {number}" for number in range(np.shape(y)[1])]
        frame = pandas().DataFrame(np.asarray(y), columns=columns).infer_objects()
    names = model._target_names
    if not names:
        return frame.set_axis([str(name) for name in frame.columns], axis=1)
    if len(names) != frame.shape[1]:
        raise TableError(
            f"y has {frame.shape[1]} columns, but target has {len(names)} name(s): pass"
            " one column for each name."
        )
    return frame.set_axis(names, axis=1)


def _note_on_index(levels: list[str]) -> str:
    """Return a note on levels of a data frame's index that are used as columns."""
    names = " and ".join(map(repr, levels))
    note = f"The index {names} of the data frame is used as a column"
    if len(levels) > 1:
        note = f"The levels {names} of the data frame's index are used as columns"
    return f"{note}: call reset_index(drop=True) to drop the index."


def notes_on_groups(frame: Frame, groups) -> list[str]:
    """Return a note if some rows have no value in the column of the groups."""
    if not isinstance(groups, str) or frame[groups].notna().all():
        return []
    missing = frame[groups].isna().sum()
    return [
        f"Rows without a value in {groups!r} form one group: {missing:,} of"
        f" {len(frame):,}."
    ]


def row_numbers(frame: Frame, but: Container[Any] = ()) -> dict[str, str]:
    """Return the columns that contain only row numbers, each with a reason, unless there are no other columns.

    Such columns contain consecutive integers in any order. Unnamed columns may also
    contain other increasing integers, as in a part of a table.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"id": range(1000, 1030), "x": 0.5})
    >>> row_numbers(frame)
    {'id': 'it only counts the rows; declare it as a number to use it'}
    """
    reasons = {}
    for name in frame.columns:
        series = frame[name]
        if name in but or len(series) < MIN_ROWS:
            continue
        if _distinct_integers(series.iloc[:_FIRST]) is None:
            continue
        integers = _distinct_integers(series)
        if integers is None:
            continue
        if integers.min() + len(integers) - 1 == integers.max():
            reasons[name] = COUNTS_ROWS
        elif _NO_NAME.fullmatch(name) and (integers[1:] > integers[:-1]).all():
            reasons[name] = (
                "it is unnamed and contains row numbers; declare it as a number to"
                " use it"
            )
    if len(reasons) == frame.shape[1]:
        return {}
    return reasons


def _distinct_integers(series) -> ndarray | None:
    """Return the values of a column of distinct integers, or None for other columns."""
    x, is_unread = read_numbers(series, NumberReading())
    if is_unread.any() or not np.isfinite(x).all() or (x != np.floor(x)).any():
        return None
    is_distinct = len(np.unique(x)) == len(x)
    return x if is_distinct else None

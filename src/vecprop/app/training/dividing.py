"""From a table to its rows for training and for the test."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from ...tables.encoding.folds import Dependence, group_numbers, times
from ...tables.error import TableError, pandas
from ...tables.kinds.kinds import target_doubt, target_reading
from ...tables.kinds.number_formats import NumberReading
from ...tables.kinds.options import NOTHING, Asked
from ...tables.kinds.task import guess_task
from ...tables.reading.frames import as_frame, column_of
from ...tables.rows import Roles, UsedRows
from ...tables.streaming.memory_plan import parts_if_larger
from ...tables.streaming.streamed import Streamed
from ...terminal.errors import UsageError
from ..models.known_rows import Frame, Task, target_of
from .repeated_rows import known_groups, refuse_the_same_file, repeated_rows

FEWEST = 10
"""The smallest number of rows for a training and a test part."""


@dataclass(frozen=True)
class Split:
    """The division of rows into training and test.

    Parameters
    ----------
    group : str or None
        A column: rows with the same value are all in training or all in the test, and in one fold of training; the
        column is not used as an input.
    time : str or None
        A column of dates or numbers: the latest rows are the test, and networks are validated on later rows than those
        that they are trained on.
    """

    size: float
    group: str | None
    time: str | None
    seed: int
    asked: Asked = NOTHING

    def numbers(self, frame: Frame, y: np.ndarray, is_classes: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of the rows of training, and of the test.

        Raises
        ------
        TableError
            If there are too few rows, groups or times.

        Examples
        --------
        >>> from vecprop.tables.error import pandas
        >>> frame = pandas().DataFrame({"day": range(20, 0, -1)})
        >>> Split(0.1, None, "day", 0).numbers(frame, np.zeros(20), True)[1]
        array([0, 1])
        """
        rows = len(y)
        if rows < FEWEST:
            raise TableError(
                f"There are {rows} row(s) with a target: at least {FEWEST} are needed to train and to test."
            )
        if self.size == 0:
            return np.arange(rows), np.arange(0)
        count = round(self.size * rows) if self.size < 1 else int(min(self.size, rows))
        if not 1 <= count < rows:
            raise TableError(f"A test part of {count} out of {rows} rows leaves one part empty: change --test-size.")
        if self.time is not None:
            return _latest(times(column_of(frame, self.time), self.time, self.asked), count, self.time)
        if self.group is not None:
            groups = group_numbers(column_of(frame, self.group))
            if groups.max() < 2:
                raise TableError(
                    f"Column {self.group!r} has {groups.max() + 1} group(s): three are needed at least, one to "
                    "test, and two to train and to validate."
                )
            split = GroupShuffleSplit(1, test_size=count / rows, random_state=self.seed)
            return next(split.split(groups, groups=groups))
        drawn = train_test_split(
            np.arange(rows), test_size=count, random_state=self.seed, stratify=_strata(y, count) if is_classes else None
        )
        return np.sort(drawn[0]), np.sort(drawn[1])


@dataclass(frozen=True)
class Request:
    """The request to train a model on a table."""

    table: Path
    target: str
    split: Split
    test: Path | None = None
    task: Task | None = None
    weight: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    classes: Sequence[str] = ()
    folds: int | None = None
    memory: str | None = None


@dataclass(frozen=True, eq=False)
class Parts:
    """A table divided into training and test.

    Parameters
    ----------
    stream : Streamed or None
        The whole table, if it does not fit into memory: the rows are then samples of those of training and of the test.
    """

    task: Task
    X: Frame
    y: np.ndarray
    weight: np.ndarray
    X_test: Frame
    y_test: np.ndarray
    weight_test: np.ndarray
    notes: list[str]
    dependence: Dependence = field(default_factory=Dependence)
    reading: NumberReading | None = None
    stream: Streamed | None = None

    @property
    def rows(self) -> int:
        """The number of rows of training, of which there may be a sample here."""
        return len(self.y) if self.stream is None else self.stream.rows

    @property
    def has_test(self) -> bool:
        """Whether there are rows of a test."""
        return len(self.y_test) > 0

    @property
    def training(self) -> dict[str, Any]:
        """The arguments of ``fit``."""
        if self.stream is not None:
            return {"X": self.stream}
        together = {"groups": self.dependence.groups, "time": self.dependence.time}
        return {"X": self.X, "y": self.y, "sample_weight": self.weight, **together}

    def training_of(self, rows: np.ndarray) -> dict[str, Any]:
        """Return the arguments of ``fit`` for some of the rows of training."""
        some = replace(self, X=self.X.iloc[rows], y=self.y[rows], weight=self.weight[rows])
        return replace(some, dependence=self.dependence[rows]).training

    @property
    def training_of_all(self) -> dict[str, Any]:
        """The arguments of ``fit`` for the rows of training and of the test."""
        if self.stream is not None:
            return {"X": self.stream.whole()}
        X = pandas().concat([self.X, self.X_test])
        X.attrs["aside"] = self.X.attrs["aside"]
        y, weight = (np.concatenate(both) for both in ((self.y, self.y_test), (self.weight, self.weight_test)))
        return {"X": X, "y": y, "sample_weight": weight}


def divided(request: Request) -> Parts:
    """Return the rows of a table for training and for the test; of one that does not fit into memory, samples."""
    split, target = request.split, request.target
    roles = Roles(target, request.weight, split.group, split.time, 0.0 if request.test is not None else split.size)
    larger = parts_if_larger(request.table, request.memory, split.asked, [target, *roles.reasons])
    if larger is not None:
        if request.folds is not None:
            raise UsageError(
                "--cv trains a model of each fold in memory, into which the table does not fit: leave it out, and a "
                "test is set aside."
            )
        stream = Streamed.of(larger.parts, roles, split.seed, larger.memory, larger.sizes, split.asked)
        used, aside = UsedRows.of(stream.frame, roles), stream.aside
    else:
        whole = _frame(request, request.table)
        stream, used, aside = None, UsedRows.of(whole, roles), roles.set_aside(whole, split.asked)
    frame, notes = used.frame, used.notes
    task = request.task or guess_task(frame[target])
    reading, note = None, ""
    if task == "regression":
        reading, note = target_reading(frame[target], target, frame, split.asked)
    elif request.task is None:
        note = target_doubt(frame[target])
    notes += [f"Column {target!r}, the target, {note}."] if note else []

    def rows_of(used: UsedRows) -> tuple[Frame, np.ndarray, np.ndarray]:
        return used.frame.drop(columns=target), target_of(used.frame, target, task, reading), used.weight

    X, y, weight = rows_of(used)
    if unknown := set(request.classes) - set(map(str, np.unique(y))):
        raise UsageError(f"--classes names {min(unknown)!r}, but the target {target!r} has no such value.")
    X.attrs["aside"] = aside
    dependence = Dependence.of(frame, split.group, split.time, split.asked)
    if request.test is not None:
        refuse_the_same_file(request.table, request.test)
        other = UsedRows.of(_frame(request, request.test), replace(roles, group=None, time=None))
        notes += other.notes
        of_test = rows_of(other)
    elif stream is not None:
        if roles.test and not len(stream.test):
            raise TableError("A test part without rows: change --test-size.")
        of_test = rows_of(UsedRows.of(stream.test, roles)) if len(stream.test) else (X[:0], y[:0], weight[:0])
        asked = round(roles.test * stream.parts.sizes.sum()) if roles.test < 1 else roles.test
        if len(stream.test) < 0.9 * asked:
            notes.append(
                f"The test has {len(stream.test)} rows instead of {asked:.0f}, as many as fit into memory; no network "
                "is trained on them."
            )
    else:
        train, test = split.numbers(frame, y, task == "classification")
        of_test = X.iloc[test], y[test], weight[test]
        X, y, weight, dependence = X.iloc[train], y[train], weight[train], dependence[train]
    parts = Parts(task, X, y, weight, *of_test, notes, dependence, reading, stream)
    if request.folds is not None and request.folds > len(parts.y):
        raise TableError(f"There are {len(parts.y)} rows, fewer than the {request.folds} folds of --cv: lower it.")
    if parts.has_test and stream is None:
        parts = replace(parts, notes=notes + repeated_rows(parts, request) + known_groups(parts, split.group))
    return parts


def _frame(request: Request, path: Path) -> Frame:
    """Return a table whose index names the lines of a text file, or counts the rows of another."""
    frame = as_frame(path, target=request.target, classes=request.classes)
    return frame if frame.index.name == "line" else frame.reset_index(drop=True)


def _latest(time: np.ndarray, count: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of all rows but the latest, and of the latest; rows of the same time stay together."""
    is_late = time >= np.sort(time)[-count]
    if is_late.all():
        raise TableError(
            f"Column {name!r} does not tell the latest {count} rows from the others: change --test-size, or do without."
        )
    return np.flatnonzero(~is_late), np.flatnonzero(is_late)


def _strata(y: np.ndarray, count: int) -> np.ndarray | None:
    """Return the classes to stratify a draw by, if each has enough rows for both parts, else None."""
    _, sizes = np.unique(y, return_counts=True)
    return y if sizes.min() > 1 and min(count, len(y) - count) >= len(sizes) else None

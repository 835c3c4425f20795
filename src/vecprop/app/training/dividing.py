"""From a table to its rows for training and for the test."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from ...tables.encoding.folds import Dependence, group_numbers, times
from ...tables.encoding.row_numbers import row_numbers
from ...tables.error import TableError, pandas
from ...tables.kinds.kinds import target_doubt, target_reading
from ...tables.kinds.number_formats import NumberReading
from ...tables.kinds.options import NOTHING, Asked
from ...tables.kinds.task import guess_task
from ...tables.reading.frames import as_frame, column_of
from ...tables.streaming.memory_plan import Larger, parts_if_larger
from ...tables.streaming.streamed import Roles, Streamed
from ...terminal.errors import UsageError
from ..models.known_rows import Frame, Task, counting, target_of, weights_of, with_target
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
    """Return the rows of a table for training and for the test."""
    split = request.split
    named = [name for name in (request.target, request.weight, split.group) if name is not None]
    larger = parts_if_larger(request.table, request.memory, split.asked, named)
    if larger is not None:
        return _divided_in_blocks(request, larger)
    whole = _frame(request, request.table)
    frame, notes = with_target(whole, request.target)
    task = request.task or guess_task(frame[request.target])
    reading, note = None, ""
    if task == "regression":
        reading, note = target_reading(frame[request.target], request.target, frame, request.split.asked)
    elif request.task is None:
        note = target_doubt(frame[request.target])
    notes += [f"Column {request.target!r}, the target, {note}."] if note else []
    y = target_of(frame, request.target, task, reading)
    if unknown := set(request.classes) - set(map(str, np.unique(y))):
        raise UsageError(f"--classes names {min(unknown)!r}, but the target {request.target!r} has no such value.")
    weight = weights_of(frame, request.weight)
    X = frame.drop(columns=request.target)
    aside = {}
    for name, what in ((request.split.group, "tells groups apart"), (request.weight, "weighs rows")):
        if name is not None:
            column_of(frame, name)
            if name == request.target:
                raise TableError(f"Column {name!r} is the target: it cannot be what {what}.")
            aside[name] = f"it {what}"
    X.attrs["aside"] = aside | row_numbers(
        whole.drop(columns=[request.target, *aside]), but=[request.split.time, *request.split.asked.columns]
    )
    of_all = Dependence.of(frame, request.split.group, request.split.time, request.split.asked)
    counts, note = counting(weight, request.weight, request.table)
    notes += note
    frame, X, y, weight, of_all = frame[counts], X[counts], y[counts], weight[counts], of_all[counts]
    if request.test is not None:
        refuse_the_same_file(request.table, request.test)
        other, more = with_target(_frame(request, request.test), request.target)
        y_test, weight_test = target_of(other, request.target, task, reading), weights_of(other, request.weight)
        X_test = other.drop(columns=request.target)
        counts, note = counting(weight_test, request.weight, request.test)
        of_test = X_test[counts], y_test[counts], weight_test[counts]
        parts = Parts(task, X, y, weight, *of_test, [*notes, *more, *note], of_all, reading)
    else:
        train, test = request.split.numbers(frame, y, task == "classification")
        parts = Parts(
            task,
            X.iloc[train],
            y[train],
            weight[train],
            X.iloc[test],
            y[test],
            weight[test],
            notes,
            of_all[train],
            reading,
        )
    if request.folds is not None and request.folds > len(parts.y):
        raise TableError(f"There are {len(parts.y)} rows, fewer than the {request.folds} folds of --cv: lower it.")
    if parts.has_test:
        parts = replace(
            parts, notes=parts.notes + repeated_rows(parts, request) + known_groups(parts, request.split.group)
        )
    return parts


def _divided_in_blocks(request: Request, larger: Larger) -> Parts:
    """Return samples of a table that does not fit into memory, beside the table itself."""
    split, target = request.split, request.target
    if request.folds is not None:
        raise UsageError(
            "--cv trains a model of each fold in memory, into which the table does not fit: leave it out, and a test "
            "is set aside."
        )
    share = 0.0 if request.test is not None else split.size
    roles = Roles(target, request.weight, split.group, split.time, share)
    stream = Streamed.of(larger.parts, roles, split.seed, larger.memory, larger.sizes, split.asked)
    frame = stream.frame
    task = request.task or guess_task(frame[target])
    reading, note = None, ""
    if task == "regression":
        reading, note = target_reading(frame[target], target, frame, split.asked)
    elif request.task is None:
        note = target_doubt(frame[target])
    notes = [f"Column {target!r}, the target, {note}."] if note else []

    def rows_of(frame: Frame) -> tuple[Frame, np.ndarray, np.ndarray]:
        return frame.drop(columns=target), target_of(frame, target, task, reading), weights_of(frame, request.weight)

    X, y, weight = rows_of(frame)
    X.attrs["aside"] = stream.aside
    if request.test is not None:
        other, more = with_target(_frame(request, request.test), target)
        X_test, y_test, weight_test = rows_of(other)
        counts, note = counting(weight_test, request.weight, request.test)
        of_test = X_test[counts], y_test[counts], weight_test[counts]
        notes += [*more, *note]
    elif share and not len(stream.test):
        raise TableError("A test part without rows: change --test-size.")
    else:
        of_test = rows_of(stream.test) if len(stream.test) else (X[:0], y[:0], weight[:0])
        asked = round(share * larger.parts.sizes.sum()) if share < 1 else share
        if len(stream.test) < 0.9 * asked:
            notes.append(
                f"The test has {len(stream.test)} rows instead of {asked:.0f}, as many as fit into memory; no network "
                "is trained on them."
            )
    dependence = Dependence.of(frame, split.group, split.time, split.asked)
    return Parts(task, X, y, weight, *of_test, notes, dependence, reading, stream)


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

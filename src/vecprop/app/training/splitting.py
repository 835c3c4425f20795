"""Split a table into training and test rows, and find test rows that are duplicates of training rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from ...tables.encoding.column import row_named
from ...tables.encoding.folds import Dependence, group_numbers, splits, times
from ...tables.error import Note, TableError, pandas
from ...tables.evaluation.measured import Measured
from ...tables.evaluation.measuring import Parts
from ...tables.evaluation.targets import Task, target_of
from ...tables.explaining.column_notes import odd_classes, odd_targets
from ...tables.kinds.ambiguities import NO_OPTIONS, ColumnOptions
from ...tables.kinds.kinds import DATES, guess_task, kind_of, note_on_classes, target_reading
from ...tables.kinds.values import as_names, own_reading, read_numbers
from ...tables.reading.frames import Frame, as_frame, column_of
from ...tables.rows import Roles, UsedRows, notes_on_groups
from ...tables.streaming.streamed import Streamed
from ...terminal.messages import UsageError

FEWEST = 10
"""The minimum number of rows for a split into training and test rows."""
FEW_DUPLICATES = 0.01
"""Without a test, a smaller share of duplicates is not reported."""
TEST_SHARE = 0.2
"""The default share of test rows."""
FOLDS, MIN_TEST_ROWS = 5, 1_000
"""Tables with fewer rows are scored by cross-validation by default, because a test would have too few rows."""


@dataclass(frozen=True)
class Request:
    """The table and the options for training a model.

    Parameters
    ----------
    size : float or None
        The share or the number of test rows. If it is None, small tables are scored by cross-validation.
    group : str or None
        A column that keeps rows with the same value together, in the same part and the same fold; it is not used as an
        input.
    time : str or None
        A column of dates or numbers: the latest rows become the test set, and networks are validated on rows that are
        later than their training rows.
    test : Path or None
        A file with test rows.
    """

    table: Path
    target: str
    size: float | None = TEST_SHARE
    group: str | None = None
    time: str | None = None
    seed: int = 0
    asked: ColumnOptions = NO_OPTIONS
    test: Path | None = None
    task: Task | None = None
    weight: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    classes: Sequence[str] = ()
    folds: int | None = None
    memory: str | None = None

    @property
    def test_size(self) -> float:
        """The share or the number of test rows of a table that is not scored by cross-validation."""
        return TEST_SHARE if self.size is None else self.size


def rows_of_parts(request: Request, frame: Frame, y: np.ndarray, is_classes: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the training rows and the test rows.

    Raises
    ------
    TableError
        If there are too few rows, groups or times.

    Examples
    --------
    >>> from vecprop.tables.error import pandas
    >>> frame = pandas().DataFrame({"day": range(20, 0, -1)})
    >>> rows_of_parts(Request(Path("sales.csv"), "price", 0.1, time="day"), frame, np.zeros(20), True)[1]
    array([0, 1])
    """
    rows = len(y)
    size = request.test_size
    name = request.time
    if rows < FEWEST:
        raise TableError(f"Only {rows} row(s) have a target; at least {FEWEST} are needed to train and test.")
    if size == 0:
        return np.arange(rows), np.arange(0)
    count = round(size * rows) if size < 1 else int(min(size, rows))
    if not 1 <= count < rows:
        raise TableError(f"A test set of {count} out of {rows} rows leaves one part empty: change --test-size.")
    if name is not None:
        time = times(column_of(frame, name), name, request.asked)
        is_late = time >= np.sort(time)[-count]  # rows of the same time stay together
        if is_late.all():
            wrong = f"Column {name!r} has too many ties to hold out the latest {count} rows"
            raise TableError(f"{wrong}: change --test-size, or leave out --time.")
        return np.flatnonzero(~is_late), np.flatnonzero(is_late)
    if request.group is not None:
        groups = group_numbers(column_of(frame, request.group))
        if groups.max() < 2:
            needed = "at least three are needed, for training, validation and the test"
            raise TableError(f"Column {request.group!r} has {groups.max() + 1} group(s): {needed}.")
        split = GroupShuffleSplit(1, test_size=count / rows, random_state=request.seed)
        return next(split.split(groups, groups=groups))
    sizes = np.unique(y, return_counts=True)[1]
    is_stratified = is_classes and sizes.min() > 1 and min(count, rows - count) >= len(sizes)
    how = {"random_state": request.seed, "stratify": y if is_stratified else None}
    train, test = train_test_split(np.arange(rows), test_size=count, **how)
    return np.sort(train), np.sort(test)


def folds_for(request: Request, y: np.ndarray, dependence: Dependence) -> int | None:
    """Return the number of cross-validation folds, or None if the model is scored on a test set."""
    if request.folds is not None or request.size is not None or not FEWEST <= len(y) < MIN_TEST_ROWS:
        return request.folds
    try:
        for rows, _ in splits(dependence.folds(y, FOLDS, request.seed), is_time=dependence.is_time):
            dependence[rows].folds(y[rows], 2, request.seed)
            if (y[rows] == y[rows[0]]).all():  # without this fold, there is nothing to learn
                return None
    except TableError:  # too few groups or times
        return None
    return FOLDS


def split_table(request: Request) -> Parts:
    """Split a table into training and test rows; return samples if the table exceeds memory."""
    target = request.target
    asked = request.asked
    size = 0.0 if request.test is not None else request.test_size
    roles = Roles(target, request.weight, request.group, request.time, size)
    refusal = None
    if request.folds is not None:
        wrong = "--cv needs the table in memory, but it does not fit"
        refusal = UsageError(f"{wrong}: leave it out to hold out test rows.")
    stream = Streamed.of(request.table, roles, lambda: request.seed, request.memory, asked, refusal)
    whole = _frame(request, request.table) if stream is None else stream.frame
    used = UsedRows.of(whole, roles)
    aside = roles.set_aside(whole, asked) if stream is None else whole.attrs["aside"]
    frame = used.frame
    notes = [*used.notes, *notes_on_groups(frame, request.group)]
    task = request.task or guess_task(frame[target])
    if request.task is None and kind_of(frame[target], target, asked).name == "date":
        wrong = f"The target column {target!r} contains dates: {DATES}"
        raise TableError(f"{wrong}, or pass --task classification if they are classes.")
    reading = None
    note = ""
    if task == "regression":
        reading, note = target_reading(frame[target], target, frame, asked)
    elif request.task is None:
        note = note_on_classes(frame[target])
    if note:
        notes.append(f"Column {target!r}, the target, {note}.")

    def rows_of(used: UsedRows) -> tuple[Frame, np.ndarray, np.ndarray]:
        return used.frame.drop(columns=target), target_of(used.frame, target, task, reading), used.weight

    X, y, weight = rows_of(used)
    if unknown := set(request.classes) - set(map(str, np.unique(y))):
        raise UsageError(f"--classes names {min(unknown)!r}, but the target {target!r} has no such value.")
    X.attrs["aside"] = aside
    if task == "classification":
        notes += odd_classes(y, f"The target {target!r}")
    elif stream is None:
        notes += odd_targets(X, y, f"The target {target!r}")
    dependence = Dependence.of(frame, request.group, request.time, asked)
    folds = request.folds
    if request.test is not None:
        if request.table.exists() and request.test.exists() and request.table.samefile(request.test):
            advice = "give another file, or leave out --test"
            raise UsageError(f"--test {request.test} is the training table itself: {advice}.")
        test_frame = _frame(request, request.test)
        if target not in test_frame.columns:
            raise TableError(
                f"--test {request.test} has no column {target!r}, the target: give a file with this column."
            )
        other = UsedRows.of(test_frame, replace(roles, group=None, time=None))
        notes += other.notes
        of_test = rows_of(other)
    elif stream is not None:
        if roles.test and not len(stream.test):
            raise TableError("The test set has no rows: change --test-size.")
        of_test = rows_of(UsedRows.of(stream.test, roles)) if len(stream.test) else (X[:0], y[:0], weight[:0])
        wanted = round(roles.test * stream.parts.sizes.sum()) if roles.test < 1 else roles.test
        if len(stream.test) < 0.9 * wanted:
            why = "which is the maximum that fits into memory"
            notes.append(f"The test set has {len(stream.test)} rows instead of {wanted:.0f}, {why}.")
    else:
        folds = folds_for(request, y, dependence)
        sized = request if folds is None else replace(request, size=0.0)
        train, test = rows_of_parts(sized, frame, y, task == "classification")
        of_test = X.iloc[test], y[test], weight[test]
        X, y, weight, dependence = X.iloc[train], y[train], weight[train], dependence[train]
    parts = Parts(task, X, y, weight, *of_test, notes, dependence, reading, stream, request.group, folds)
    if request.folds is not None and request.folds > len(parts.y):
        raise TableError(f"--cv has {request.folds} folds, more than the {len(parts.y)} rows: lower it.")
    if stream is None:
        notes += repeated_rows(parts, request)
        notes += rows_of_training_groups(parts)
    return parts


def _frame(request: Request, path: Path) -> Frame:
    """Read a table, indexed by the lines of a text file or by row numbers."""
    frame = as_frame(path, target=request.target, classes=request.classes)
    return frame if frame.index.name == "line" else frame.reset_index(drop=True)


def require_folds(estimator: Any, parts: Parts, request: Request) -> None:
    """Raise an error if a fold of the cross-validation leaves too few groups or times to train and validate."""
    dependence = parts.dependence
    seed = request.seed
    folds = request.folds
    if dependence.is_time:
        values, name, what = dependence.time, request.time, "time"
    else:
        values, name, what = dependence.groups, request.group, "group"
    if folds is None or values is None:
        return
    try:
        for rows, _ in splits(dependence.folds(parts.y, folds, seed), is_time=dependence.is_time):
            dependence[rows].folds(parts.y[rows], estimator._members(len(rows)), seed)
    except TableError as error:
        rule = f"but each fold of --cv {folds} must leave at least two for training and validation"
        count = len(np.unique(values))
        advice = f"leave out --{'cv' if count > 2 and what == 'group' else what}"
        raise TableError(f"Column {name!r} has {count} {what}(s), {rule}: {advice}.") from error


def rows_of_training_groups(parts: Parts) -> list[str]:
    """Return a note on test rows that belong to groups of training rows."""
    if parts.group not in parts.X_test.columns:
        return []
    groups = pandas().Series(as_names(parts.X_test[parts.group]))
    count = groups.isin(as_names(parts.X[parts.group])).sum()
    if not count:
        return []
    training_groups = f"belong to training groups (column {parts.group!r})"
    easier = "predicting them is easier than predicting rows of new groups"
    return [Note(f"{count} of {len(groups)} test rows {training_groups}; {easier}.", "trust", parts.group)]


def repeated_rows(parts: Parts, request: Request) -> list[str]:
    """Return a note on test rows that duplicate training rows, or else on rows that duplicate earlier rows.

    Targets are compared too, but not excluded columns, such as row numbers and weights.

    Raises
    ------
    TableError
        If all rows of a test file are training rows.
    """
    table = request.table
    test = request.test
    aside = parts.X.attrs["aside"].keys() - {request.group}
    scored = parts if parts.has_test else replace(parts, X_test=parts.X, y_test=parts.y)
    names = [name for name in parts.X.columns if name not in aside and name in scored.X_test.columns]
    pairs = [(parts.X[name], scored.X_test[name]) for name in names]
    pairs.append((pandas().Series(parts.y), pandas().Series(scored.y_test)))
    frames = [pandas().DataFrame(dict(enumerate(part))) for part in zip(*starmap(_in_like_terms, pairs), strict=True)]
    train, tested = (pandas().util.hash_pandas_object(frame, index=False).to_numpy() for frame in frames)
    if parts.has_test:
        is_repeated = np.isin(tested, train)
        rows, earlier = "test rows", "training rows"
        share = 0.0
    else:
        is_repeated = pandas().Series(train).duplicated().to_numpy()
        rows, earlier = "rows", "earlier rows"
        share = FEW_DUPLICATES
    if not is_repeated.any() or is_repeated.mean() < share:
        return []
    if test is not None and np.array_equal(np.sort(train), np.sort(tested)):
        advice = "give --test other rows, or leave it out"
        raise TableError(f"{test} has the same rows as {table}: {advice}.")
    if 5 * len(np.unique(train)) <= len(train):  # with few distinct values, duplicates are expected
        return []
    first = int(np.flatnonzero(is_repeated)[0])
    twin = int(np.flatnonzero(train == tested[first])[0])
    repeated_row = f"{row_named(scored.X_test.index, first)} of {(test or table).name}"
    earlier_row = f"{row_named(parts.X.index, twin)} of {table.name}"
    duplicates = f"{is_repeated.sum()} of {len(is_repeated)} {rows} are exact duplicates of {earlier}"
    easier = "predicting them is easier than predicting new rows"
    return [Note(f"{duplicates}, such as {repeated_row} ({earlier_row}); {easier}.", "trust")]


def _in_like_terms(train: Any, test: Any) -> tuple[np.ndarray, np.ndarray]:
    """Convert a column of both parts to numbers, which are parsed as in training, or to text."""
    reading = own_reading(train)
    (x, is_unread), (x_test, is_unread_in_test) = (read_numbers(series, reading) for series in (train, test))
    if not (is_unread.any() or is_unread_in_test.any()):
        return x, x_test
    return train.astype(str).to_numpy(dtype=object), test.astype(str).to_numpy(dtype=object)


def how_chosen(request: Request, parts: Parts, measured: Measured) -> str:
    """Describe the rows that a model was evaluated on, and how representative they are."""
    group, time, rows = request.group, request.time, f"{len(parts.y_test):,} rows"
    share = f"{rows}, {len(parts.y_test) / (parts.rows + len(parts.y_test)):.0%} of all"
    seen, together = "the other rows", ""
    if group is not None:
        together = f" Rows of the same group (column {group!r}) are in the same fold."
    elif time is not None:
        seen, together = f"earlier rows (column {time!r})", ""
    if measured.how == "cross-validation":
        known = f"each of {len(measured.folds)} folds was predicted by a model trained on {seen}"
        return f"There is no test set: {known}.{together} The saved model was trained on all rows."
    if measured.how != "test":
        known = f"{len(measured.truth):,} training rows were predicted by networks"
        together = f" Each fold was predicted from {seen}." if time is not None else together
        return f"There is no test set: {known} that were neither trained nor stopped on them.{together}"
    if request.test is not None:
        return f"The test set is the file {request.test} with {rows}; the training table has {parts.rows:,} rows."
    if time is not None:
        both = pandas().concat([parts.X[time], parts.X_test[time]])  # both parts are parsed as one column
        of_test = times(both, time, request.asked)[len(parts.X) :]
        first = f"from {parts.X_test[time].iloc[int(np.argmin(of_test))]} on"
        why = "All training rows are earlier, as when the model predicts future rows."
        return f"The test set is the latest {share}, by the column {time!r}: {first}. {why}"
    if group is not None:
        groups = f"{parts.X_test[group].nunique(dropna=False):,} groups of the column {group!r}"
        why = "No group is in both parts, so the metrics are for new groups."
        return f"The test set is {share}, from {groups}, drawn at random (seed {request.seed}). {why}"
    is_stratified = parts.task == "classification" and parts.stream is None
    how = ", stratified by class if each class has enough rows" if is_stratified else ""
    easy = "if rows are grouped (such as rows of one patient) or ordered in time"
    advice = f"A random test set is too easy {easy}: use `--group` or `--time` then."
    return f"The test set is {share}, drawn at random (seed {request.seed}){how}. {advice}"

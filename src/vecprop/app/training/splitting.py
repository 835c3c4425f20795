"""Split a table into training and test rows, and find duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from ...tables.encoding.column import row_named
from ...tables.encoding.folds import Dependence, group_numbers, splits, times
from ...tables.error import Note, TableError, pandas
from ...tables.evaluation.measured import Measured
from ...tables.evaluation.measuring import Parts
from ...tables.evaluation.targets import Task, target_of
from ...tables.explaining.column_notes import odd_classes, odd_targets
from ...tables.kinds.ambiguities import NO_OPTIONS, ColumnOptions
from ...tables.kinds.formats import NumberReading
from ...tables.kinds.kinds import (
    DATES,
    guess_task,
    kind_of,
    note_on_classes,
    target_reading,
)
from ...tables.kinds.values import as_names, number_reading, read_numbers
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
FOLDS = 5
MIN_TEST_ROWS = 1_000
"""Tables with fewer rows are scored by cross-validation by default, because a test
would have too few rows.
"""


@dataclass(frozen=True)
class Request:
    """The table and the options for training a model.

    Parameters
    ----------
    size : float or None
        The share or the number of test rows. If it is None, small tables are scored by
        cross-validation.
    group : str or None
        A column that keeps rows with the same value together, in the same part and the
        same fold; it is not used as an input.
    time : str or None
        A column of dates or numbers: the latest rows become the test set, and networks
        are validated on rows that are later than their training rows.
    test : Path or None
        A file with test rows.
    targets : sequence of str
        The names of several targets.
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
    targets: Sequence[str] = ()

    @property
    def test_size(self) -> float:
        """The share or the number of test rows of a table that is not scored by cross-validation."""
        return TEST_SHARE if self.size is None else self.size


def rows_of_parts(
    request: Request, frame: Frame, y: ndarray, is_classes: bool
) -> tuple[ndarray, ndarray]:
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
    if rows < FEWEST:
        raise TableError(
            f"Only {rows} row(s) have a target; at least {FEWEST} are needed to train"
            " and test."
        )
    if size == 0:
        return np.arange(rows), np.arange(0)
    count = round(size * rows) if size < 1 else int(min(size, rows))
    if not 1 <= count < rows:
        raise TableError(
            f"A test set of {count} out of {rows} rows leaves one part empty: change"
            " --test-size."
        )
    if request.time is not None:
        time = times(column_of(frame, request.time), request.time, request.asked)
        is_late = time >= np.sort(time)[-count]  # rows of the same time stay together
        if is_late.all():
            raise TableError(
                f"Column {request.time!r} has too many ties to hold out the latest"
                f" {count} rows: change --test-size, or leave out --time."
            )
        return np.flatnonzero(~is_late), np.flatnonzero(is_late)
    if request.group is not None:
        groups = group_numbers(column_of(frame, request.group))
        if groups.max() < 2:
            raise TableError(
                f"Column {request.group!r} has {groups.max() + 1} group(s): at least"
                " three are needed, for training, validation and the test."
            )
        split = GroupShuffleSplit(1, test_size=count / rows, random_state=request.seed)
        return next(split.split(groups, groups=groups))
    _, sizes = np.unique(y, return_counts=True)
    fewest = min(count, rows - count)
    classes = None
    # scikit-learn needs two rows of each class, and one in each part
    if is_classes and sizes.min() > 1 and fewest >= len(sizes):
        classes = y
    train, test = train_test_split(
        np.arange(rows), test_size=count, random_state=request.seed, stratify=classes
    )
    return np.sort(train), np.sort(test)


def folds_for(request: Request, y: ndarray, dependence: Dependence) -> int | None:
    """Return the number of cross-validation folds, or None for a test set.

    By default, small tables have folds if each fold leaves enough groups or times to
    validate, and more than one value of the target.
    """
    if request.folds is not None or request.size is not None:
        return request.folds
    if not FEWEST <= len(y) < MIN_TEST_ROWS:
        return None
    try:
        folds = dependence.folds(y, FOLDS, request.seed)
        for rows, _ in splits(folds, is_time=dependence.is_time):
            dependence[rows].folds(y[rows], 2, request.seed)
            if (y[rows] == y[rows[0]]).all():
                return None
    except TableError:  # too few groups or times
        return None
    return FOLDS


def split_table(request: Request) -> Parts:
    """Split a table, or a sample if it exceeds memory, into training and test rows."""
    if request.test is not None:
        _require_other_file(request.test, request.table)
    roles = Roles(
        request.target,
        weight=request.weight,
        group=request.group,
        time=request.time,
        test=0.0 if request.test is not None else request.test_size,
    )
    stream = _streamed(request, roles)
    if stream is None:
        frame = _frame(request, request.table)
        aside = roles.set_aside(frame, request.asked)
    else:
        frame = stream.frame
        aside = frame.attrs["aside"]
    used = UsedRows.of(frame, roles)
    notes = [*used.notes, *notes_on_groups(used.frame, request.group)]
    target = target_of_request(request, used.frame, notes)
    X, y, weight = target.rows(used)
    _require_classes(request, y)
    X.attrs["aside"] = aside
    if target.task == "classification":
        notes += odd_classes(y, f"The target {target.name!r}")
    elif stream is None:
        notes += odd_targets(X, y, f"The target {target.name!r}")
    parts = Parts.untested(
        target.task,
        X,
        y,
        weight,
        notes=notes,
        dependence=Dependence.of(
            used.frame, request.group, request.time, request.asked
        ),
        reading=target.reading,
        stream=stream,
        group=request.group,
        folds=request.folds,
    )
    if request.test is not None:
        parts = _with_test_file(parts, request, target=target, roles=roles)
    elif stream is not None:
        parts = _with_sampled_test(parts, stream, target=target, roles=roles)
    else:
        parts = _with_test_rows(parts, request, used.frame)
    if request.folds is not None and request.folds > len(parts.y):
        raise TableError(
            f"--cv has {request.folds} folds, more than the {len(parts.y)} rows:"
            " lower it."
        )
    if stream is None:
        notes += repeated_rows(parts, request)
        notes += rows_of_training_groups(parts)
    return parts


def _streamed(request: Request, roles: Roles) -> Streamed | None:
    """Return a sample of a table that exceeds memory, or None for other tables."""
    refusal = None
    if request.folds is not None:
        refusal = UsageError(
            "--cv needs the table in memory, but it does not fit: leave it out to hold"
            " out test rows."
        )
    return Streamed.of(
        request.table,
        roles,
        lambda: request.seed,
        memory=request.memory,
        asked=request.asked,
        refusal=refusal,
    )


def _require_classes(request: Request, y: ndarray):
    """Raise an error if a class that the request names is not in the target."""
    unknown = set(request.classes) - set(map(str, np.unique(y)))
    if unknown:
        raise UsageError(
            f"--classes names {min(unknown)!r}, but the target {request.target!r} has"
            " no such value."
        )


def _with_test_rows(parts: Parts, request: Request, frame: Frame) -> Parts:
    """Return the parts with some rows held out, or with folds instead."""
    folds = folds_for(request, parts.y, parts.dependence)
    if folds is not None:
        request = replace(request, size=0.0)
    training, test = rows_of_parts(
        request, frame, parts.y, is_classes=parts.task == "classification"
    )
    return replace(parts.split(training, test), folds=folds)


class _Target(NamedTuple):
    """A target column, its task and the format of its numbers."""

    name: str
    task: Task
    reading: NumberReading | None

    def rows(self, used: UsedRows) -> tuple[Frame, ndarray, ndarray]:
        """Return the inputs, targets and weights of rows."""
        y = target_of(used.frame, self.name, self.task, reading=self.reading)
        return used.frame.drop(columns=self.name), y, used.weight


def target_of_request(request: Request, frame: Frame, notes: list[str]) -> _Target:
    """Return the target of a table, and add a note on its values."""
    name = request.target
    task = request.task or guess_task(frame[name])
    if (
        request.task is None
        and kind_of(frame[name], name, request.asked).name == "date"
    ):
        raise TableError(
            f"The target column {name!r} contains dates: {DATES}, or pass --task"
            " classification if they are classes."
        )
    reading = None
    note = ""
    if task == "regression":
        reading, note = target_reading(frame[name], name, frame, request.asked)
    elif request.task is None:
        note = note_on_classes(frame[name])
    if note:
        notes.append(f"Column {name!r}, the target, {note}.")
    return _Target(name, task, reading)


def _require_other_file(test: Path, table: Path):
    """Raise an error if the test file is the training table."""
    if table.exists() and test.exists() and table.samefile(test):
        raise UsageError(
            f"--test {test} is the training table itself: give another file, or leave"
            " out --test."
        )


def _with_test_file(
    parts: Parts, request: Request, target: _Target, roles: Roles
) -> Parts:
    """Return the parts with the test rows of a file."""
    frame = _frame(request, Path(str(request.test)))
    if target.name not in frame.columns:
        raise TableError(
            f"--test {request.test} has no column {target.name!r}, the target: give a"
            " file with this column."
        )
    used = UsedRows.of(frame, replace(roles, group=None, time=None))
    parts.notes.extend(used.notes)
    X, y, weight = target.rows(used)
    return replace(parts, X_test=X, y_test=y, weight_test=weight)


def _with_sampled_test(
    parts: Parts, stream: Streamed, target: _Target, roles: Roles
) -> Parts:
    """Return the parts with the test rows of a table that does not fit into memory."""
    count = len(stream.test)
    if roles.test and not count:
        raise TableError("The test set has no rows: change --test-size.")
    wanted = roles.test
    if wanted < 1:
        wanted = round(wanted * stream.parts.sizes.sum())
    if count < 0.9 * wanted:
        parts.notes.append(
            f"The test set has {count} rows instead of {wanted:.0f}, which is the"
            " maximum that fits into memory."
        )
    if not count:
        return parts
    X, y, weight = target.rows(UsedRows.of(stream.test, roles))
    return replace(parts, X_test=X, y_test=y, weight_test=weight)


def _frame(request: Request, path: Path) -> Frame:
    """Read a table, indexed by the lines of a text file or by row numbers."""
    frame = as_frame(path, target=request.target, classes=request.classes)
    return frame if frame.index.name == "line" else frame.reset_index(drop=True)


def require_folds(estimator, parts: Parts, request: Request):
    """Raise an error if a fold leaves too few groups or times to train and validate."""
    folds = request.folds
    if folds is None:
        return
    dependence = parts.dependence
    seed = request.seed
    try:
        # raises TableError for the table, or for the rows outside a fold
        fold_of_rows = dependence.folds(parts.y, folds, seed)
        for rows, _ in splits(fold_of_rows, is_time=dependence.is_time):
            members = estimator._members(len(rows))
            dependence[rows].folds(parts.y[rows], members, seed)
    except TableError as error:
        column = request.group
        values = f"{dependence.count:g} group(s)"
        option = "--cv" if dependence.count > 2 else "--group"
        if dependence.is_time:
            column = request.time
            values = f"{len(np.unique(np.asarray(dependence.time)))} time(s)"
            option = "--time"
        raise TableError(
            f"Column {column!r} has {values}, but each fold of --cv {folds} must leave"
            f" at least two for training and validation: leave out {option}."
        ) from error


def rows_of_training_groups(parts: Parts) -> list[str]:
    """Return a note on test rows that belong to groups of training rows."""
    if parts.group not in parts.X_test.columns:
        return []
    groups = pandas().Series(as_names(parts.X_test[parts.group]))
    count = groups.isin(as_names(parts.X[parts.group])).sum()
    if not count:
        return []
    text = (
        f"{count} of {len(groups)} test rows belong to training groups (column"
        f" {parts.group!r}); predicting them is easier than predicting rows of new"
        " groups."
    )
    return [Note(text, "trust", parts.group)]


def repeated_rows(parts: Parts, request: Request) -> list[str]:
    """Return a note on test rows that duplicate training rows, or on duplicates in general.

    Targets are compared too, but not excluded columns, such as row numbers and weights.

    Raises
    ------
    TableError
        If all rows of a test file are training rows.
    """
    table = request.table
    test = request.test
    scored = parts
    if not parts.has_test:
        scored = replace(parts, X_test=parts.X, y_test=parts.y)
    train_rows, scored_rows = _digests_of_rows(parts, scored, request.group)
    if parts.has_test:
        is_repeated = np.isin(scored_rows, train_rows)
        subject = "test rows are exact duplicates of training rows"
        is_common = is_repeated.any()
    else:
        is_repeated = pandas().Series(train_rows).duplicated().to_numpy()
        subject = "rows are exact duplicates of earlier rows"
        is_common = is_repeated.any() and is_repeated.mean() >= FEW_DUPLICATES
    if not is_common:
        return []
    if test is not None and np.array_equal(np.sort(train_rows), np.sort(scored_rows)):
        raise TableError(
            f"{test} has the same rows as {table}: give --test other rows, or leave it"
            " out."
        )
    # with few distinct values, duplicates are expected
    if 5 * len(np.unique(train_rows)) <= len(train_rows):
        return []
    first = int(np.argmax(is_repeated))
    twin = int(np.argmax(train_rows == scored_rows[first]))
    text = (
        f"{is_repeated.sum()} of {len(is_repeated)} {subject}, such as"
        f" {row_named(scored.X_test.index, first)} of {(test or table).name}"
        f" ({row_named(parts.X.index, twin)} of {table.name}); predicting them is"
        " easier than predicting new rows."
    )
    return [Note(text, "trust")]


def _digests_of_rows(
    parts: Parts, scored: Parts, group: str | None
) -> tuple[ndarray, ndarray]:
    """Return a digest of each training row, and of each row that is scored."""
    # such as row numbers and weights
    columns_set_aside = parts.X.attrs["aside"].keys() - {group}
    columns = [(pandas().Series(parts.y), pandas().Series(scored.y_test))]
    for name in parts.X.columns:
        if name not in columns_set_aside and name in scored.X_test.columns:
            columns.append((parts.X[name], scored.X_test[name]))
    train_columns = []
    scored_columns = []
    for column in columns:
        train_column, scored_column = _in_one_format(*column)
        train_columns.append(train_column)
        scored_columns.append(scored_column)
    return _row_digests(train_columns), _row_digests(scored_columns)


def _row_digests(columns: Sequence[ndarray]) -> ndarray:
    frame = pandas().DataFrame(dict(enumerate(columns)))
    return pandas().util.hash_pandas_object(frame, index=False).to_numpy()


def _in_one_format(train, test) -> tuple[ndarray, ndarray]:
    """Convert a column of both parts to numbers as parsed in training, or to text."""
    reading = number_reading(train)
    x, is_unread = read_numbers(train, reading)
    x_test, is_unread_in_test = read_numbers(test, reading)
    if not (is_unread.any() or is_unread_in_test.any()):
        return x, x_test
    texts = train.astype(str).to_numpy(dtype=object)
    return texts, test.astype(str).to_numpy(dtype=object)


def how_chosen(request: Request, parts: Parts, measured: Measured) -> str:
    """Describe the rows that a model was evaluated on."""
    if measured.how != "test":
        return f"There is no test set: {_how_predicted(request, measured)}"
    group = request.group
    rows = f"{len(parts.y_test):,} rows"
    share = f"{rows}, {len(parts.y_test) / (parts.rows + len(parts.y_test)):.0%} of all"
    if request.test is not None:
        return (
            f"The test set is the file {request.test} with {rows}; the training table"
            f" has {parts.rows:,} rows."
        )
    if request.time is not None:
        # both are parsed as one column
        column = pandas().concat([parts.X[request.time], parts.X_test[request.time]])
        test_times = times(column, request.time, request.asked)[len(parts.X) :]
        first = int(test_times.argmin())
        return (
            f"The test set is the latest {share}, by the column {request.time!r}: from"
            f" {parts.X_test[request.time].iloc[first]} on. All training rows are"
            " earlier, as when the model predicts future rows."
        )
    if group is not None:
        return (
            f"The test set is {share}, from"
            f" {parts.X_test[group].nunique(dropna=False):,} groups of the column"
            f" {group!r}, drawn at random (seed {request.seed}). No group is in both"
            " parts, so the metrics are for new groups."
        )
    stratified = ""
    if parts.task == "classification" and parts.stream is None:
        stratified = ", stratified by class if each class has enough rows"
    return (
        f"The test set is {share}, drawn at random (seed {request.seed}){stratified}. A"
        " random test set is too easy if rows are grouped (such as rows of one"
        " patient) or ordered in time: use `--group` or `--time` then."
    )


def _how_predicted(request: Request, measured: Measured) -> str:
    """Describe how training rows were predicted."""
    training_rows = "the other rows"
    note = ""
    if request.group is not None:
        note = (
            f" Rows of the same group (column {request.group!r}) are in the same fold."
        )
    if request.time is not None:
        training_rows = f"earlier rows (column {request.time!r})"
    if measured.how == "cross-validation":
        return (
            f"each of {len(measured.folds)} folds was predicted by a model trained on "
            f"{training_rows}.{note} The saved model was trained on all rows."
        )
    if request.time is not None:
        note = f" Each fold was predicted from {training_rows}."
    return (
        f"{len(measured.truth):,} training rows were predicted by networks that were"
        f" neither trained nor stopped on them.{note}"
    )

"""Where a model finds its training rows: in a table in memory, or in files that are larger than memory."""

from collections.abc import Sequence
from copy import copy
from typing import Any

from numpy import ndarray

from .error import TableError
from .reading.frames import Frame
from .rows import LearnedRows, Roles
from .streaming.spooled_stream import local_table
from .streaming.streamed import Streamed, StreamedRows


def training_table(model, X, y, names: dict[str, Any], memory: int | str | None) -> Any:
    """Return a table that training can read repeatedly, as a `Streamed` if it does not fit into memory."""
    table, notes = local_table(X, memory, model._column_options)
    arrays = [
        setting for setting, name in names.items() if not isinstance(name, str | None)
    ]
    if y is not None or model.target is None:
        arrays.append("target")
    refusal = None
    if arrays:
        refusal = TableError(
            f"The table does not fit into memory, so {arrays[0]} must be the name of"
            " one of its columns, not an array."
        )
    elif not isinstance(model.target, str) or model._has_tags:
        refusal = TableError(
            "The table does not fit into memory, so it can have one target only: fit"
            " one model for each target."
        )
    roles = Roles.named(
        model.target,
        weight=names["sample_weight"],
        group=names["groups"],
        time=names["time"],
    )
    streamed = Streamed.of(
        table, roles, model._seed, memory, model._column_options, refusal
    )
    if streamed is None:
        return table
    streamed.row_notes.extend(notes)
    return streamed


def source_of(X: Any, names: dict[str, Any]) -> "FrameSource":
    """Return the source of a model's training rows."""
    if isinstance(X, Streamed):
        return StreamedSource(X)
    return FrameSource(X, names)


class FrameSource:
    """A table in memory. All rows are training rows."""

    is_sample = False
    target_range: tuple[float, float] | None = None
    notes: Sequence[str] = ()
    stream: StreamedRows | None = None

    def __init__(self, table: Any, names: dict[str, Any]):
        self.table = table
        self.names = names

    def sample_weight(self, rows: LearnedRows) -> ndarray | None:
        """Return the weights of the rows, or None if all are equal."""
        return rows.weight

    def split_into_folds(self, model, rows: LearnedRows, target: ndarray) -> ndarray:
        """Return the fold of each row. Set the seed of the folds and the number of training rows."""
        self.count = len(target)
        self.seed = model._seed()
        return rows.dependence.folds(target, model._members(self.count), self.seed)

    def encode(
        self,
        model,
        frame: Frame,
        T: ndarray,
        fold: ndarray,
        weight: ndarray | None,
        *,
        has_means: bool,
    ) -> list[Any]:
        """Return the inputs of each view. With ``has_means``, add target encoding to the encoder of the model."""
        means = None
        if has_means:
            model.encoder_, means = model.encoder_.with_means(frame, T, fold, weight)
        return model.encoder_.of_views(frame, means)

    def learn_targets(self, model, target: ndarray, T: ndarray, weight: ndarray | None):
        """Do nothing, because the targets of all rows are known."""


class StreamedSource(FrameSource):
    """Files that are larger than memory. A sample of their rows determines the columns and the calibration."""

    is_sample = True

    def __init__(self, streamed: Streamed):
        roles = streamed.roles
        super().__init__(
            streamed.frame,
            {"sample_weight": roles.weight, "groups": roles.group, "time": roles.time},
        )
        self.streamed = streamed
        self.target_range = streamed.target_range
        self.notes = streamed.notes
        self.count = streamed.rows
        self.seed = streamed.seed

    def sample_weight(self, rows):
        """Return the weights of the sample. They can be equal in the sample and differ in other rows."""
        if rows.weight is None and not self.streamed.are_equal:
            return self.streamed.roles.weights(self.table)
        return rows.weight

    def split_into_folds(self, model, rows, target):
        """Return the fold of each row of the sample."""
        self.folds = self.streamed.folds(model._members(self.count))
        return self.folds.of(self.streamed.numbers)

    def encode(self, model, frame, T, fold, weight, *, has_means):
        """Return the inputs of each view for the sample. Target encoding is not used."""
        return model.encoder_.of_views(frame, as_arrays=True)

    def learn_targets(self, model, target, T, weight):
        """Learn to encode the targets and weights of all rows from the sample."""
        column_weight = self.streamed.roles.weights(self.table)
        factor = weight
        if weight is not None and column_weight is not None:
            factor = weight / column_weight
        sendable = copy(model)  # to other processes
        sendable.progress = None
        sendable.checkpoint = None
        sendable.workers = None
        encode_targets = sendable._encoding(target, T, factor)
        self.stream = StreamedRows(
            self.streamed, model.encoder_, encode_targets, T.shape[1], self.folds
        )

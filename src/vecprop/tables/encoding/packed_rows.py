"""Store the rows of a large table compactly, and encode them on access."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from ...core.rows.selection import Expansion
from ..reading.frames import Frame, by_blocks
from .column import COLUMN, Column


@dataclass(frozen=True, eq=False)
class PackedRows:
    """The format of packed rows.

    A number takes 8 bytes, or 4 if float32 is exact. A category takes 4.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop.tables.encoding.columns import Categories, NumberInputs
    >>> frame = pd.DataFrame({"age": [20.5, 30.0], "town": ["Oslo", "Rome"]})
    >>> age, town = NumberInputs.of(frame["age"]), Categories.of(frame["town"])
    >>> rows = PackedRows.of([("age", age), ("town", town)], frame)
    >>> rows.type["0"], rows.type["1"], rows(frame).shape
    (dtype('float64'), dtype('int32'), (2, 16))
    >>> rows.expansion(np.array([0, 1, 2, 3, 4, 7])).inputs
    6
    """

    columns: Sequence[tuple[str, Column]]
    types: Sequence[Mapping[str, Any]]
    type: np.dtype

    @classmethod
    def of(cls, columns: Sequence[tuple[str, Column]], frame: Frame) -> "PackedRows":
        """Determine the format. Wide numbers come first, to align all fields."""
        types = []
        fields = []
        for number, (name, part) in enumerate(columns):
            types_of_column = part.packed_types(frame[name])
            types.append(types_of_column)
            for suffix, (dtype, shape) in types_of_column.items():
                fields.append((f"{number}{suffix}", np.dtype(dtype), shape))
        fields.sort(key=lambda field: field[1].itemsize, reverse=True)
        return cls(columns, types, np.dtype(fields, align=True))

    @property
    def width(self) -> int:
        """The number of inputs."""
        return sum(part.width for _, part in self.columns)

    def __call__(
        self, frame: Frame, target_encoded: Mapping[str, ndarray] | None = None
    ) -> ndarray:
        """Pack the rows of a table into shape (N, bytes); see `Encoder.of_views`."""
        # zeros make the padding between fields reproducible
        packed = np.zeros(len(frame), self.type)

        def pack(rows: slice):
            for number, (name, part) in enumerate(self.columns):
                means = None
                if target_encoded and name in target_encoded:
                    means = target_encoded[name][rows]
                for suffix, values in part.pack(frame[name].iloc[rows], means).items():
                    packed[f"{number}{suffix}"][rows] = values

        by_blocks(pack, len(frame), self.width)
        return packed.view(np.uint8).reshape(len(frame), self.type.itemsize)

    def expansion(self, taken: ndarray) -> Expansion:
        """Return a function that expands packed rows to selected inputs."""
        from .expansion import TableExpansion

        is_taken = np.zeros(self.width, bool)
        is_taken[taken] = True
        fields: Any = self.type.fields
        records = []
        tables = [np.zeros(1)]
        for number, (_, part) in enumerate(self.columns):
            selection = is_taken[: part.width]
            is_taken = is_taken[part.width :]
            types = self.types[number]
            for suffix, entries, width in part.entries(selection, types):
                record = np.zeros((), COLUMN)
                record["at"] = fields[f"{number}{suffix}"][1]
                record["width"] = width
                for name, value in entries.items():
                    if name == "edges":
                        record[name] = sum(map(len, tables))
                        tables.append(value)
                    else:
                        record[name] = value
                records.append(record)
        columns = np.array(records)
        columns["first"] = np.cumsum(columns["width"]) - columns["width"]
        return TableExpansion(columns, np.concatenate(tables))

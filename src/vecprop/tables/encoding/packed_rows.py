"""Store the rows of a large table compactly during training, and encode them when a network reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.rows.selection import Expansion
from ..reading.frames import Frame, by_blocks
from .column import COLUMN, Column


@dataclass(frozen=True, eq=False)
class PackedRows:
    """The format of packed rows: a number takes 8 bytes, or 4 if float32 is exact, and a category takes 4.

    Examples
    --------
    >>> import pandas as pd
    >>> from vecprop.tables.encoding.columns import Categories, NumberInputs
    >>> frame = pd.DataFrame({"age": [20.5, 30.0], "town": ["Oslo", "Rome"]})
    >>> rows = PackedRows.of(["age", "town"], [NumberInputs.of(frame["age"]), Categories.of(frame["town"])], frame)
    >>> rows.type["0"], rows.type["1"], rows(frame).shape
    (dtype('float64'), dtype('int32'), (2, 16))
    >>> rows.expansion(np.array([0, 1, 2, 3, 4, 7])).inputs
    6
    """

    names: Sequence[str]
    parts: Sequence[Column]
    types: Sequence[Mapping[str, Any]]
    type: np.dtype

    @classmethod
    def of(
        cls, names: Sequence[str], parts: Sequence[Column], frame: Frame
    ) -> "PackedRows":
        """Determine the format for a table. Wide numbers come first, so that all fields are aligned."""
        types = []
        fields = []
        for number, (name, part) in enumerate(zip(names, parts, strict=True)):
            types_of_column = part.packed_types(frame[name])
            types.append(types_of_column)
            for suffix, (dtype, shape) in types_of_column.items():
                fields.append((f"{number}{suffix}", dtype, shape))
        fields.sort(key=lambda field: -np.dtype(field[1]).itemsize)
        return cls(names, parts, types, np.dtype(fields, align=True))

    def __call__(
        self, frame: Frame, target_encoded: Mapping[str, np.ndarray] | None = None
    ) -> np.ndarray:
        """Pack the rows of a table into shape (N, bytes); see `Encoder.of_views` for ``target_encoded``."""
        # zeros make the padding between fields reproducible
        packed = np.zeros(len(frame), self.type)

        def pack(rows: slice) -> None:
            for number, (name, part) in enumerate(
                zip(self.names, self.parts, strict=True)
            ):
                means = None
                if target_encoded and name in target_encoded:
                    means = target_encoded[name][rows]
                for suffix, values in part.pack(frame[name].iloc[rows], means).items():
                    packed[f"{number}{suffix}"][rows] = values

        by_blocks(pack, len(frame), sum(part.width for part in self.parts))
        return packed.view(np.uint8).reshape(len(frame), self.type.itemsize)

    def expansion(self, taken: np.ndarray) -> Expansion:
        """Return a function that expands packed rows to the inputs with these indices; see `Encoder.of_view`."""
        from .expansion import TableExpansion

        ends = np.cumsum([part.width for part in self.parts])
        is_taken = np.zeros(ends[-1], bool)
        is_taken[taken] = True
        fields: Any = self.type.fields
        records = []
        tables = [np.zeros(1)]
        for number, (part, types) in enumerate(
            zip(self.parts, self.types, strict=True)
        ):
            selection = is_taken[ends[number] - part.width : ends[number]]
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

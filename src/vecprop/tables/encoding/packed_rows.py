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
    def of(cls, names: Sequence[str], parts: Sequence[Column], frame: Frame) -> "PackedRows":
        """Determine the format for a table. Wide numbers come first, so that all fields are aligned."""
        types = [part.packed_types(frame[name]) for name, part in zip(names, parts, strict=True)]
        fields = [(f"{place}{end}", *type) for place, of in enumerate(types) for end, type in of.items()]
        fields.sort(key=lambda field: -np.dtype(field[1]).itemsize)
        return cls(names, parts, types, np.dtype(fields, align=True))

    def __call__(self, frame: Frame, target_encoded: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
        """Pack the rows of a table into shape (N, bytes); see `Encoder.of_views` for ``target_encoded``."""
        packed = np.zeros(len(frame), self.type)  # zeros make the padding between fields reproducible

        def pack(rows: slice) -> None:
            for place, (name, part) in enumerate(zip(self.names, self.parts, strict=True)):
                means = target_encoded[name][rows] if target_encoded and name in target_encoded else None
                for end, values in part.pack(frame[name].iloc[rows], means).items():
                    packed[f"{place}{end}"][rows] = values

        by_blocks(pack, len(frame), sum(part.width for part in self.parts))
        return packed.view(np.uint8).reshape(len(frame), self.type.itemsize)

    def expansion(self, taken: np.ndarray) -> Expansion:
        """Return a function that expands packed rows to the inputs with these indices; see `Encoder.of_view`."""
        from .expansion import TableExpansion

        is_taken, edges, columns, first, at = np.zeros(sum(part.width for part in self.parts), bool), [], [], 0, 0
        is_taken[taken] = True
        offsets = {str(field): entry[1] for field, entry in (self.type.fields or {}).items()}
        for place, part in enumerate(self.parts):
            own, at = is_taken[at : at + part.width], at + part.width
            for end, entries, width in part.entries(own, self.types[place]):
                column = np.zeros((), COLUMN)
                column["at"], column["first"], column["width"] = offsets[f"{place}{end}"], first, width
                for name, value in entries.items():
                    if name == "edges":
                        value, _ = sum(map(len, edges)), edges.append(value)
                    column[name] = value
                columns.append(column)
                first += width
        return TableExpansion(np.array(columns), np.concatenate([*edges, [0.0]]))

"""A large table's rows as training keeps them: numbers as such, which become inputs when a network reads their row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.expansion import COLUMN, Expansion, Kept
from ...train.engines import can_compile
from ..reading.frames import Frame
from .blocks import by_blocks
from .columns import LARGEST_SCALED, LIMIT, MOST_DEVIATIONS, Categories, Dates, NumberInputs, calendar_inputs, ordinary

CALENDAR = " calendar"
"""The field of the inputs that a date has beside those of its days is named after these, and this."""
MEANS = " means"
"""So is that of the mean targets of categories."""


@dataclass(frozen=True, eq=False)
class RowFormat:
    """How rows of a table are kept: a number takes 8 bytes, or 4 where these hold it exactly, and a category 4.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [20.5, 30.0], "town": ["Oslo", "Rome"]})
    >>> rows = RowFormat.of(["age", "town"], [NumberInputs.of(frame["age"]), Categories.of(frame["town"])], frame)
    >>> rows.type["0"], rows.type["1"], rows(frame).shape
    (dtype('float64'), dtype('int32'), (2, 16))
    >>> rows.expansion(np.array([0, 1, 2, 3, 4, 7])).inputs
    6
    """

    names: Sequence[str]
    parts: Sequence[Any]
    type: np.dtype

    @classmethod
    def of(cls, names: Sequence[str], parts: Sequence[Any], frame: Frame) -> "RowFormat":
        """Return how the rows of a table are kept; wide numbers come first, so that all are aligned."""
        fields: list[Any] = []
        for place, (name, part) in enumerate(zip(names, parts, strict=True)):
            if isinstance(part, Categories):
                fields.append((f"{place}", np.int32))
                if part.means is not None:
                    fields.append((f"{place}{MEANS}", np.float32, (part.means.width,)))
            elif isinstance(part, NumberInputs | Dates):
                fields.append((f"{place}", np.float32 if _are_exact_in_float32(frame[name]) else np.float64))
            else:
                fields.append((f"{place}", np.float32, (part.width,)))
            if isinstance(part, Dates):
                fields.append((f"{place}{CALENDAR}", np.float32, (part.width - part.days.width,)))
        return cls(names, parts, np.dtype(sorted(fields, key=lambda field: -np.dtype(field[1]).itemsize), align=True))

    def __call__(self, frame: Frame, told: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
        """Return a table's rows as they are kept, (N, bytes); see `Encoder.of_views` on what is told."""
        kept = np.zeros(len(frame), self.type)  # with the same bytes between fields in each run

        def keep(rows: slice) -> None:
            for place, (name, part) in enumerate(zip(self.names, self.parts, strict=True)):
                field, series = kept[f"{place}"], frame[name].iloc[rows]
                if isinstance(part, NumberInputs | Dates):
                    x = part.read(series)
                    field[rows] = ordinary(x)
                    if isinstance(part, Dates):
                        kept[f"{place}{CALENDAR}"][rows] = calendar_inputs(x, part.day_waves)
                elif isinstance(part, Categories):
                    names = part.read(series)
                    field[rows] = part.places(names)
                    if part.means is not None:
                        kept[f"{place}{MEANS}"][rows] = told[name][rows] if told else part.means(names)
                else:
                    field[rows] = part(series)

        by_blocks(keep, len(frame), sum(part.width for part in self.parts))
        return kept.view(np.uint8).reshape(len(frame), self.type.itemsize)

    def expansion(self, taken: np.ndarray) -> "TableExpansion":
        """Return how kept rows become a view's inputs, given their numbers among all; see `Encoder.of_view`."""
        is_taken, edges, columns, first, at = np.zeros(sum(part.width for part in self.parts), bool), [], [], 0, 0
        is_taken[taken] = True
        offsets = {str(field): entry[1] for field, entry in (self.type.fields or {}).items()}
        for place, part in enumerate(self.parts):
            own, at = is_taken[at : at + part.width], at + part.width
            for field, entries, width in self._entries(place, part, own):
                column = np.zeros((), COLUMN)
                column["at"], column["first"], column["width"] = offsets[field], first, width
                if "pieces" in entries:
                    column["edges"] = sum(map(len, edges))
                    edges.append(_edges_of(part.days if isinstance(part, Dates) else part))
                for name, value in entries.items():
                    column[name] = value
                columns.append(column)
                first += width
        return TableExpansion(np.array(columns), np.concatenate([*edges, [0.0]]), self, taken)

    def _entries(self, place: int, part: Any, is_taken: np.ndarray) -> Iterator[tuple[str, dict[str, Any], int]]:
        """Yield the fields of a column's part, the entries of its `COLUMN`, and its number of inputs."""
        numbers = part.days if isinstance(part, Dates) else part
        if isinstance(numbers, NumberInputs):
            own = is_taken[: numbers.width]
            yield f"{place}", self._entries_of_numbers(f"{place}", numbers, own), int(own.sum())
            if isinstance(part, Dates):
                yield f"{place}{CALENDAR}", {"kept": Kept.INPUTS}, part.width - numbers.width
        elif isinstance(part, Categories):
            if is_taken[0]:
                yield f"{place}", {"kept": Kept.PLACE}, part.marks
            if part.means is not None:
                yield f"{place}{MEANS}", {"kept": Kept.INPUTS}, part.means.width
        else:
            yield f"{place}", {"kept": Kept.INPUTS}, part.width

    def _entries_of_numbers(self, field: str, numbers: NumberInputs, is_taken: np.ndarray) -> dict[str, Any]:
        flags = iter(is_taken[numbers.bends :])
        mean, deviation = numbers.standard or (0.0, 1.0)
        return {
            "kept": Kept.WIDE_NUMBER if self.type[field] == np.float64 else Kept.NUMBER,
            "has_bends": is_taken[0],
            "marks_missing": numbers.marks_missing and next(flags),
            "has_standard": numbers.standard is not None and next(flags),
            "has_scores": numbers.scores is not None and next(flags),
            "pieces": max(len(numbers.edges) - 1, 0),
            "centre": numbers.centre,
            "scale": numbers.scale,
            "mean": mean,
            "deviation": deviation,
            "limit": LIMIT,
            "largest": LARGEST_SCALED,
            "most": MOST_DEVIATIONS,
        }


@dataclass(frozen=True, eq=False)
class TableExpansion(Expansion):
    """How kept rows of a table become some of its inputs."""

    rows: RowFormat
    taken: np.ndarray

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the inputs of rows, (N, I) in float32, from what is kept of them, (N, bytes)."""
        if can_compile():
            from ...compiled.expanded import expanded

            return expanded(self, X)
        kept = np.ascontiguousarray(X).view(self.rows.type)[:, 0]
        inputs = [self._of_part(place, part, kept) for place, part in enumerate(self.rows.parts)]
        return np.take(np.hstack(inputs).astype(np.float32), self.taken, axis=1)

    def _of_part(self, place: int, part: Any, kept: np.ndarray) -> np.ndarray:
        """Return the inputs of one column."""
        own = kept[f"{place}"]
        if isinstance(part, Dates):
            return np.hstack([part.days.of_values(own.astype(float)), kept[f"{place}{CALENDAR}"]])
        if isinstance(part, NumberInputs):
            return part.of_values(own.astype(float))
        if isinstance(part, Categories):
            marks = own[:, None] == np.arange(part.marks)
            return marks if part.means is None else np.hstack([marks, kept[f"{place}{MEANS}"]])
        return own


def _edges_of(numbers: NumberInputs) -> np.ndarray:
    """Return the tables of a column's pieces, one after the other; see `Expansion`."""
    edges = numbers.edges
    if not len(edges):
        return edges
    scores = np.zeros(len(edges)) if numbers.scores is None else numbers.scores
    widths, slopes = np.diff(edges), np.diff(scores) / np.diff(edges)
    each = [edges, np.arange(len(edges), dtype=float), np.append(widths, 1), scores, np.append(slopes, 0)]
    return np.concatenate([np.pad(of, (0, -len(widths) % 4), constant_values=np.inf) for of in each])


def _are_exact_in_float32(series: Any) -> bool:
    """Return whether float32 has the numbers of a column, as its type tells; infinite ones are kept as large ones."""
    if not isinstance(series.dtype, np.dtype) or series.dtype.kind not in "biuf":
        return False
    return np.can_cast(series.dtype, np.float32) and not np.isinf(series.to_numpy()).any()

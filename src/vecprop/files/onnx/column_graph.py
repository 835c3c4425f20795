"""A table's columns in an ONNX graph: from numbers, dates and categories to the networks' inputs."""

import warnings
from collections.abc import Sequence

import numpy as np

from ...core.elementary import clip, sqrt, where
from ...tables.encoding.column import Column
from ...tables.encoding.columns import LARGEST_SCALED, LIMIT, MOST_DEVIATIONS, Categories, Dates, NumberInputs
from ...tables.encoding.encoder import Encoder
from .. import FileError
from .tracing import Graph, Symbol

Home = tuple[int, int]
"""The place of an input: the index of its column, and its index among that column's inputs."""


def encoded(encoder: Encoder, graph: Graph) -> Symbol:
    """Add the operations from a table's columns to the networks' inputs, and return the symbol of these, in float64.

    A column of numbers is an input of the graph's type, with nan for missing values. A column of dates is an input of
    days since 1970 in float64, with the time as their fraction. A column of categories is an input of text, without
    spaces around it, and empty for missing values. A column that a graph cannot read is an input of the encoder's
    numbers.

    Raises
    ------
    FileError
        If a column has no name.

    Warns
    -----
    UserWarning
        If a column is an input of the encoder's numbers.
    """
    _warn_of_what_comes_in_as_numbers(encoder)
    columns = [_column(name, part, graph) for name, part in zip(encoder.names, encoder.parts, strict=True)]
    blocks: list[Symbol] = []
    homes: list[Home] = []
    numbers = {place: part for place, part in enumerate(encoder.parts) if isinstance(part, NumberInputs)}
    days = {place: part.days for place, part in enumerate(encoder.parts) if isinstance(part, Dates)}
    for group in (numbers, days):
        if group:
            x = graph.cast(graph.beside([columns[place] for place in group]), np.float64)
            inputs, places = _of_numbers(list(group.values()), x)
            blocks.append(inputs)
            homes += [(list(group)[column], inner) for column, inner in places]
    for place, (part, column) in enumerate(zip(encoder.parts, columns, strict=True)):
        if isinstance(part, NumberInputs):
            continue
        if part.onnx_type is not None:
            column = part.to_onnx(column)
        blocks.append(graph.cast(column, np.float64))
        homes += [(place, inner) for inner in range(part.width - column.shape[1], part.width)]
    return graph.beside(blocks).columns(sorted(range(len(homes)), key=homes.__getitem__))


def _column(name: str, part: Column, graph: Graph) -> Symbol:
    """Return the symbol of a column as an input of the graph."""
    if not name:
        raise FileError("A column has no name, which each input of a graph has: name it before training.")
    if part.onnx_type is None:
        return graph.input(name, part.width)
    return graph.input(name, 1, None if isinstance(part, NumberInputs) else part.onnx_type)


def _warn_of_what_comes_in_as_numbers(encoder: Encoder) -> None:
    unread = [
        f"{name!r} ({'too many categories' if isinstance(part, Categories) else part.kind})"
        for name, part in zip(encoder.names, encoder.parts, strict=True)
        if part.onnx_type is None
    ]
    if unread:
        more = f" and {len(unread) - 5} more" if len(unread) > 5 else ""
        warnings.warn(
            f"A graph cannot read the column(s) {', '.join(unread[:5])}{more}: its inputs of these names are the "
            "numbers that model.encoder_ makes of them.",
            stacklevel=5,
        )


def _of_numbers(parts: Sequence[NumberInputs], x: Symbol) -> tuple[Symbol, list[Home]]:
    """Return the symbol of the inputs (N, K) of all columns of numbers, see `NumberInputs`, and their places."""
    graph = x.graph
    centre, scale = (np.array([getattr(part, name) for part in parts]) for name in ("centre", "scale"))
    is_missing = graph.elementwise("IsNaN", x, dtype=bool)
    filled = where(is_missing, centre, x)
    z = clip((filled - centre) / scale, -LARGEST_SCALED, LARGEST_SCALED)
    blocks, homes = [z / sqrt(1 + (z / LIMIT) ** 2)], [(column, 0) for column in range(len(parts))]
    pieces = [(column, piece) for column, part in enumerate(parts) for piece in range(len(part.edges) - 1)]
    if pieces:
        low, high = (np.array([parts[column].edges[piece + end] for column, piece in pieces]) for end in (0, 1))
        x = filled.columns([column for column, _ in pieces])
        shares = clip((x - low) / (high - low), 0, 1)
        blocks.append(shares - 0.5)
        homes += [(column, 1 + piece) for column, piece in pieces]
        scored = {column: part.scores for column, part in enumerate(parts) if part.scores is not None}
        steps = np.zeros((len(pieces), len(scored)))
        for place, (column, scores) in enumerate(scored.items()):
            steps[[of == column for of, _ in pieces], place] = np.diff(scores)
        if scored:
            blocks.append(shares @ steps + np.array([scores[0] for scores in scored.values()]))
            homes += [(column, parts[column].width - 1) for column in scored]
    marked = [column for column, part in enumerate(parts) if part.marks_missing]
    if marked:
        blocks.append(graph.cast(is_missing.columns(marked), np.float64))
        homes += [(column, parts[column].bends) for column in marked]
    mean, deviation = np.array([part.standard for part in parts]).T
    blocks.append(clip((filled - mean) / deviation, -MOST_DEVIATIONS, MOST_DEVIATIONS))
    homes += [(column, part.bends + part.marks_missing) for column, part in enumerate(parts)]
    return graph.beside(blocks), homes

"""Models of tables in an ONNX graph: from columns to inputs, predictions and intervals."""

import warnings
from collections.abc import Sequence

import numpy as np

from ...core.elementary import clip, sqrt, where
from ...tables.classifier import TabularClassifier
from ...tables.encoding.column import Column
from ...tables.encoding.columns import LARGEST_SCALED, LIMIT, MOST_DEVIATIONS, Categories, Dates, NumberInputs
from ...tables.encoding.encoder import Encoder
from ...tables.ensemble.ensemble import SMALLEST_PROBABILITY, Ensemble, Networks
from ...tables.ensemble.intervals import level_for, place_of
from ...tables.ensemble.threshold import positive_of
from ...tables.regressor import TabularRegressor
from .. import FileError
from .tracing import Graph, Symbol

Model = TabularClassifier | TabularRegressor


def predictions(model: Model, X: Symbol) -> Symbol:
    """Add the operations of a model of tables on its inputs, and return the symbol of its predictions.

    They are the probabilities of the classes, (N, C), or numbers in the units of the target, (N, 1). The networks
    compute in the graph's type, and all after them, as in the model, in float64.
    """
    total, *others = members = _each(model, model.ensemble_, X)
    for other in others:
        total = total + other
    return X.graph.cast(total / len(members), X.graph.dtype)


def decided(model: TabularClassifier, Y: Symbol) -> Symbol:
    """Add the decision between classes, and return the symbol of the number of each row's class."""
    graph, threshold = Y.graph, getattr(model, "threshold_", None)
    if threshold is None:
        return graph.node("ArgMax", [Y], (1,), np.int64, axis=1, keepdims=0)
    positive = positive_of(model)
    P = Y.columns([positive])
    above = P.__gt__ if positive == 1 else P.__le__
    is_second = graph.cast(above(threshold), np.int64)
    return graph.node("Squeeze", [is_second, graph.constant([1], np.int64)], (1,), np.int64)


def interval(model: TabularRegressor, X: Symbol, Y: Symbol, coverage: float) -> tuple[Symbol, Symbol]:
    """Add the operations of ``predict_interval``, and return the symbols of both ends, (N, 1) each."""
    graph, sizes, level = X.graph, model.residuals_.sizes, level_for(coverage, model.residuals_.groups)
    below, above = [_each(model, outer, X) for outer in model.ensembles[1:]] or [_each(model, model.ensemble_, X)] * 2
    low = graph.cast(_quantile(below, -sizes, 1 - level), graph.dtype)
    high = graph.cast(_quantile(above, sizes, level), graph.dtype)
    return graph.elementwise("Min", low, Y), graph.elementwise("Max", high, Y)


def _quantile(each: list[Symbol], moves: np.ndarray, level: float) -> Symbol:
    """Return the symbol of a quantile of all sums of a member's prediction and one of its moves (M, R)."""
    moved = each[0].graph.beside([Y + own for Y, own in zip(each, moves, strict=True)])
    graph, place = moved.graph, place_of(level, moves.size)
    taken = place + 1 if level < 0.5 else moves.size - place
    count = graph.constant([taken], np.int64)
    found = graph.node("TopK", [moved, count], (1, taken), beside=1, largest=int(level >= 0.5))
    return found.columns([taken - 1])


def _each(model: Model, ensemble: Ensemble, X: Symbol) -> list[Symbol]:
    """Return the symbol of the prediction for each fold, by the networks that have not seen it."""
    members = []
    for predictions in zip(*(_of_view(view, X) for view in ensemble.views), strict=True):
        Y, *others = predictions
        for other in others:
            Y = Y + other
        members.append(_calibrated(model, Y))
    return members


def _of_view(view: Networks, X: Symbol) -> list[Symbol]:
    """Return the symbol of what each network of a view is part of the prediction."""
    network, graph = view.network, X.graph
    own, parts = X.columns(view.inputs.tolist()), []
    for theta in view.thetas:
        outputs, _ = network.forward(theta.astype(graph.dtype), own)
        Y = graph.cast(network.loss_function.predict(outputs[-1]), np.float64)
        scale = view.inverse_temperature
        parts.append((Y if scale is None else _temperature_scaled(Y, scale)) * view.share)
    return parts


def _calibrated(model: Model, Y: Symbol) -> Symbol:
    """Return probabilities at the model's temperature, or numbers in the target's units and range."""
    if isinstance(model, TabularClassifier):
        return _temperature_scaled(Y, model.inverse_temperature_)
    low, high = model.range_
    return clip(Y * model.targets_.scale + model.targets_.shift, low, high)


def _temperature_scaled(P: Symbol, inverse_temperature: float) -> Symbol:
    """Return probabilities p^s / Σ p^s."""
    powers = where(P < SMALLEST_PROBABILITY, SMALLEST_PROBABILITY, P) ** inverse_temperature
    return powers / P.graph.over_columns("ReduceSum", powers)


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

"""Models of tables in an ONNX graph: from the networks' inputs to predictions and intervals."""

import numpy as np

from ...core.elementary import clip, where
from ...tables.classifier import TabularClassifier
from ...tables.ensemble.ensemble import SMALLEST_PROBABILITY, Ensemble, Networks
from ...tables.ensemble.intervals import level_for, place_of
from ...tables.ensemble.threshold import positive_of
from ...tables.regressor import TabularRegressor
from .tracing import Symbol

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

"""Models of tables as ONNX graphs: columns come in, each under its name, and predictions go out."""

import numpy as np

from ..core.elementary import clip, where
from ..tables.classifier import TabularClassifier
from ..tables.regressor import TabularRegressor
from .column_graph import encoded
from .tracing import Graph, Symbol


def predictions(model: TabularClassifier | TabularRegressor, graph: Graph) -> Symbol:
    """Write down the operations of a model of tables, and return the symbol of its predictions.

    They are the probabilities of the classes, (N, C), or numbers in the units of the target, (N, 1). As in the model,
    what is before and after the networks is computed in float64; the networks are of the graph's type.
    """
    X = graph.cast(encoded(model.encoder_, graph), graph.dtype)
    network = model.ensemble_.network
    members = []
    for theta in model.ensemble_.thetas:
        outputs, _ = network.forward(theta.astype(graph.dtype), X)
        members.append(_of_member(model, graph.cast(network.loss_function.predict(outputs[-1]), np.float64)))
    total = members[0]
    for member in members[1:]:
        total = total + member
    return graph.cast(total / len(members), graph.dtype)


def _of_member(model: TabularClassifier | TabularRegressor, Y: Symbol) -> Symbol:
    """Return what one network counts for: probabilities p^s / Σ p^s, or numbers in the target's units and range."""
    if isinstance(model, TabularClassifier):
        powers = where(Y < 1e-30, 1e-30, Y) ** model.sharpness_
        return powers / Y.graph.over_columns("ReduceSum", powers)
    low, high = model.range_
    return clip(Y * model._targets.scale + model._targets.shift, low, high)

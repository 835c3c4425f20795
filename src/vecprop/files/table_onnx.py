"""Models of tables as ONNX graphs: all networks, and what becomes of their outputs."""

from typing import Any

from ..core.elementary import clip
from ..tables.classifier import TabularClassifier
from ..tables.regressor import TabularRegressor
from .tracing import Graph, Symbol


def predictions(model: TabularClassifier | TabularRegressor, graph: Graph) -> Symbol:
    """Write down the operations of a model of tables, and return the symbol of its predictions.

    The graph's input "X" are the columns as ``model.encoder_`` makes inputs of them; the predictions are the
    probabilities of the classes, (N, C), or numbers in the units of the target, (N, 1).
    """
    X = graph.input("X", model.encoder_.width)
    network = model.ensemble_.network
    members = []
    for theta in model.ensemble_.thetas:
        outputs, _ = network.forward(theta.astype(graph.dtype), X)
        members.append(_of_member(model, network.loss_function, outputs[-1]))
    total = members[0]
    for member in members[1:]:
        total = total + member
    return total / len(members)


def _of_member(model: Any, loss: Any, Z: Symbol) -> Symbol:
    """Return what one network predicts: p^s / Σ p^s, which is the softmax of s times the logits, or limited numbers."""
    if isinstance(model, TabularClassifier):
        return loss.predict(Z * model.sharpness_)
    low, high = model.range_
    return clip(loss.predict(Z) * model._targets.scale + model._targets.shift, low, high)

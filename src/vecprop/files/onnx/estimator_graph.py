"""Estimators as ONNX graphs, through skl2onnx's registry, so that pipelines of them convert too.

So does SimpleImputer: skl2onnx's own converter makes no float64 that onnxruntime runs, and no indicator.
"""

from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer

from ...core.elementary import where
from ...core.network import Network
from .. import FileError
from ..networks import CLASSIFIERS, REGRESSORS, averaged
from .tracing import Graph, Symbol


def register() -> None:
    """Register converters of vecprop's estimators with skl2onnx, for pipelines that it converts directly.

    `to_onnx` does so by itself.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    """
    from skl2onnx import update_registered_converter

    options = {"zipmap": [True, False, "columns"], "output_class_labels": [False, True], "nocl": [False]}
    for kind in CLASSIFIERS:
        name = f"Vecprop{kind.__name__}"
        update_registered_converter(kind, name, _classifier_shapes, _convert_classifier, options=options)
    for kind in REGRESSORS:
        update_registered_converter(kind, f"Vecprop{kind.__name__}", _regressor_shapes, _convert_regressor)


def traced(network: Network, theta: np.ndarray, X: Symbol) -> Symbol:
    """Add the operations of a network, and return the symbol of its predictions; those of X not finite are NaN.

    A graph can raise no error, and ReLU makes 0 of NaN.
    """
    outputs, _ = network.forward(theta.astype(X.dtype), X)
    zero_or_nan = X.graph.over_columns("ReduceSum", X * 0)
    return network.loss_function.predict(outputs[-1]) + zero_or_nan


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Add a classifier's labels and probabilities to skl2onnx's container."""
    model = operator.raw_operator
    graph, Y = _predicted(scope, operator, container)
    classes = _classes(model)
    if model.targets_.multilabel:
        label = graph.cast(Y > 0.5, np.int64)
    else:
        if Y.shape[-1] == 1:
            is_second = graph.cast(Y > 0.5, np.int64)
            number = graph.node("Squeeze", [is_second, graph.constant([1], np.int64)], (1,), np.int64)
            # A single class is all that can be predicted.
            number = graph.node("Min", [number, graph.constant(len(classes) - 1, np.int64)], (1,), np.int64)
            Y = graph.node("Concat", [1 - Y, Y], (1, 2), axis=1)
        else:
            number = graph.node("ArgMax", [Y], (1,), np.int64, axis=1, keepdims=0)
        label = labels(model, graph, number)
    pour(graph, container, zip((label, Y), operator.outputs, strict=True))


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    """Add a regressor's predictions to skl2onnx's container."""
    graph, Y = _predicted(scope, operator, container)
    numbers = operator.raw_operator.targets_
    pour(graph, container, [(Y * numbers.scale + numbers.shift, operator.outputs[0])])


def _predicted(scope: Any, operator: Any, container: Any) -> tuple[Graph, Symbol]:
    """Return a graph with all operations of an estimator's networks, and the symbol of their mean predictions."""
    from skl2onnx.common.data_types import DoubleTensorType

    model, given = operator.raw_operator, operator.inputs[0]
    dtype = np.float64 if isinstance(given.type, DoubleTensorType) else np.float32
    graph = graph_among(scope, container, dtype)
    X = graph.cast(graph.input(given.full_name, model.n_features_in_), dtype)
    network, thetas, columns = averaged(model)
    each = [X] * len(thetas) if columns is None else [X.columns(own) for own in columns]
    Y, *others = (traced(network, theta, own) for theta, own in zip(thetas, each, strict=True))
    for other in others:
        Y = Y + other
    return graph, Y / len(thetas) if others else Y


def graph_among(scope: Any, container: Any, dtype: Any) -> Graph:
    """Return a graph whose names are its own among those of skl2onnx."""
    return Graph(dtype, container.target_opset, scope.get_unique_operator_name("vecprop") + "_")


def pour(graph: Graph, container: Any, outputs: Any) -> None:
    """Add a graph's operations and constants to skl2onnx's container, with the names that it gives to the outputs."""
    for symbol, output in outputs:
        graph.output(symbol, output.full_name)
    for tensor in graph.tensors():
        content = list(tensor.string_data) or tensor
        container.add_initializer(tensor.name, tensor.data_type, list(tensor.dims), content)
    for kind, inputs, outputs, to in graph.nodes:
        container.add_node(kind, inputs, outputs, name=f"{graph.prefix}{outputs[0]}", **to)


def labels(model: Any, graph: Graph, number: Symbol) -> Symbol:
    """Return the symbol of the labels of classes whose numbers are given."""
    classes = _classes(model)
    return graph.node("Gather", [graph.constant(classes, classes.dtype), number], (1,), classes.dtype)


def _classes(model: Any) -> np.ndarray:
    """Return the labels in a type that ONNX has: whole numbers or text."""
    labels = model.classes_.tolist()
    if all(isinstance(label, str) for label in labels):
        return np.array(labels, object)
    if all(isinstance(label, bool | int | float) and int(label) == label and abs(label) < 2**63 for label in labels):
        return np.array([int(label) for label in labels])
    raise FileError(f"Labels in ONNX are whole numbers or text, but these are {labels[:5]}.")


def _classifier_shapes(operator: Any) -> None:
    """Set the types and shapes of a classifier's outputs."""
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    model, rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    count = len(model.classes_)
    label = Int64TensorType if _classes(model).dtype == np.int64 else StringTensorType
    operator.outputs[0].set_type(label([rows, count] if model.targets_.multilabel else [rows]))
    operator.outputs[1].type.shape = [rows, max(count, 2)]


def _regressor_shapes(operator: Any) -> None:
    """Set the shape of a regressor's output."""
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [rows, operator.raw_operator.n_outputs_]


def imputer_shape(operator: Any) -> None:
    """Set the type and shape of an imputer's output."""
    from skl2onnx.common._registration import get_shape_calculator
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    dtype = _filled_in(operator)
    if dtype is None:
        get_shape_calculator("SklearnSimpleImputer")(operator)
        return
    kind = DoubleTensorType if dtype == np.float64 else FloatTensorType
    kept, marked = _columns(operator.raw_operator)
    operator.outputs[0].set_type(kind([operator.inputs[0].get_first_dimension(), len(kept) + len(marked)]))


def convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """Add the operations that fill in and mark missing numbers to skl2onnx's container."""
    from skl2onnx.common._registration import get_converter

    dtype = _filled_in(operator)
    if dtype is None:
        get_converter("SklearnSimpleImputer")(scope, operator, container)
        return
    graph = graph_among(scope, container, dtype)
    given = [graph.input(column.full_name, column.get_second_dimension()) for column in operator.inputs]
    x = graph.beside([graph.cast(column, dtype) for column in given])
    is_missing = graph.elementwise("IsNaN", x, dtype=bool)
    kept, marked = _columns(operator.raw_operator)
    blocks = [where(is_missing, operator.raw_operator.statistics_, x).columns(kept)]
    if marked:
        blocks.append(graph.cast(is_missing.columns(marked), dtype))
    pour(graph, container, [(graph.beside(blocks), operator.outputs[0])])


def _filled_in(operator: Any) -> Any:
    """Return the floating type in which an imputer replaces nan; None if it does something else."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType

    step: SimpleImputer = operator.raw_operator
    kinds = {type(column.type) for column in operator.inputs}
    is_nan = isinstance(step.missing_values, float) and np.isnan(step.missing_values)
    if not is_nan or kinds == {Int64TensorType} or not kinds <= {DoubleTensorType, FloatTensorType, Int64TensorType}:
        return None
    return np.float64 if DoubleTensorType in kinds else np.float32


def _columns(step: Any) -> tuple[list[int], list[int]]:
    """Return the columns with a value to fill in, which alone are kept, and those whose missing values are marked."""
    kept = np.flatnonzero(~np.isnan(step.statistics_.astype(float))).tolist()
    return kept, step.indicator_.features_.tolist() if step.add_indicator else []

"""ONNX: networks, estimators and whole pipelines as graphs that other programs run."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..core.network import Network
from ..estimators.classifier import MLPClassifier
from ..estimators.regressor import MLPRegressor
from ..tables.classifier import TabularClassifier
from ..tables.regressor import TabularRegressor
from .atomic import written_at_once
from .error import FileError
from .table_onnx import predictions
from .tracing import Graph, Symbol
from .trained import TrainedNetwork

OPSET = 17
"""The version of ONNX's operations in graphs of a network, and the newest in those of pipelines."""


def to_onnx(model: Any, path: str | os.PathLike[str] | None = None, *, X: Any = None, dtype: Any = np.float32) -> Any:
    """Return a model as an ONNX graph, and write it to a file if a path is given.

    A network's graph has the input ``X``, (N, I), and the output ``Y``, (N, O). A classifier's has the outputs
    ``label`` and ``probabilities``, a regressor's ``variable``, as skl2onnx names them; those of a pipeline are its
    last step's. A model of tables becomes the graph of its networks: ``X`` is what ``model.encoder_`` makes of a
    table's columns, and ``Y`` the probabilities or predictions. The formulas are the library's own, traced, so that
    layers and losses of the user's own become graphs as well.

    Parameters
    ----------
    model : TrainedNetwork, MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor or Pipeline
        What to convert. The steps of a pipeline may be whatever skl2onnx knows.
    path : path, optional
        Where to write the graph; an older file is replaced at once.
    X : data frame or array, optional
        Rows of training, for pipelines whose columns are of several types: each column of a frame becomes an input of
        its name.
    dtype : dtype, default float32
        The type of numbers in the graph, float32 or float64.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ImportError
        Where onnx or skl2onnx are not installed.
    FileError
        Where labels are neither whole numbers nor text, or a network has several members.

    Examples
    --------
    >>> network = Network(2, [Dense(3), Tanh(), Dense(1)], SquaredError())
    >>> graph = to_onnx(TrainedNetwork(network, network.init(seed=0))).graph
    >>> [node.op_type for node in graph.node]
    ['MatMul', 'Add', 'Tanh', 'MatMul', 'Add', 'Identity']
    """
    try:
        import onnx  # noqa: F401
        import skl2onnx  # noqa: F401
    except ImportError:
        raise ImportError('to_onnx needs onnx and skl2onnx: pip install "vecprop[onnx]".') from None
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype is {np.dtype(dtype)}, but a graph computes in float32 or float64.")
    if isinstance(model, TrainedNetwork):
        made = _of_network(model, dtype)
    elif isinstance(model, TabularClassifier | TabularRegressor):
        made = _of_table(model, dtype)
    else:
        made = _of_estimator(model, X, dtype)
    if path is not None:
        with written_at_once(path) as file:
            file.write(made.SerializeToString())
    return made


def register() -> None:
    """Tell skl2onnx how vecprop's estimators are converted, for pipelines that are given to it directly.

    `to_onnx` does so by itself.

    Raises
    ------
    ImportError
        Where skl2onnx is not installed.
    """
    from skl2onnx import update_registered_converter

    update_registered_converter(
        MLPClassifier,
        "VecpropMLPClassifier",
        _classifier_shapes,
        _convert_classifier,
        options={"zipmap": [True, False, "columns"], "output_class_labels": [False, True], "nocl": [False]},
    )
    update_registered_converter(MLPRegressor, "VecpropMLPRegressor", _regressor_shapes, _convert_regressor)


def _of_network(trained: TrainedNetwork, dtype: Any) -> Any:
    """Return the graph of a network alone."""
    network, theta, _ = trained
    if np.ndim(theta) != 1:
        raise FileError(f"theta has the members {np.shape(theta)[:-1]}, but a graph is of one network: give one row.")
    graph = Graph(dtype, OPSET)
    graph.output(_of_rows(network, theta, graph.input("X", network.inputs)), "Y")
    return _model(graph)


def _of_table(model: TabularClassifier | TabularRegressor, dtype: Any) -> Any:
    """Return the graph of a model of tables."""
    check_is_fitted(model)
    columns = model.encoder_.names
    graph = Graph(dtype, OPSET, prefix=_new("vecprop_", columns, str.startswith))
    Y = predictions(model, graph)
    if isinstance(model, TabularClassifier):
        number = graph.node("ArgMax", [Y], (1,), np.int64, axis=1, keepdims=0)
        graph.output(_labels(model, graph, number), _new("label", columns, str.__eq__))
    name = "probabilities" if isinstance(model, TabularClassifier) else "variable"
    graph.output(Y, _new(name, columns, str.__eq__))
    return _model(graph)


def _new(name: str, names: Sequence[str], clashes: Callable[[str, str], bool]) -> str:
    """Return a name, with as many underscores as it takes to clash with none of others."""
    while any(clashes(other, name) for other in names):
        name += "_"
    return name


def _model(graph: Graph) -> Any:
    """Return a graph in ONNX's own form."""
    from onnx import helper

    inputs, outputs = (
        [
            helper.make_tensor_value_info(
                symbol.name, helper.np_dtype_to_tensor_dtype(symbol.dtype), ["N", *symbol.shape[1:]]
            )
            for symbol in symbols
        ]
        for symbols in (graph.inputs, graph.outputs)
    )
    made = helper.make_graph(_nodes(graph), "vecprop", inputs, outputs, _constants(graph))
    operations = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(made, producer_name="vecprop", opset_imports=operations, ir_version=8)


def _nodes(graph: Graph) -> list[Any]:
    from onnx import helper

    return [helper.make_node(kind, inputs, [output], **to) for kind, inputs, output, to in graph.nodes]


def _constants(graph: Graph) -> list[Any]:
    from onnx import numpy_helper

    return [numpy_helper.from_array(array, name) for name, array in graph.constants.items()]


def _of_estimator(model: Any, X: Any, dtype: Any) -> Any:
    """Return the graph of an estimator or a pipeline."""
    import skl2onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    register()
    check_is_fitted(model)
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    options = {id(last): {"zipmap": False}} if isinstance(last, MLPClassifier) else None
    rows: dict[str, Any]
    if X is not None:
        # One row tells the types; floating columns take the type that the graph computes in.
        rows = {"X": _in_type(X[:1], dtype)}
    else:
        kind = FloatTensorType if np.dtype(dtype) == np.float32 else DoubleTensorType
        rows = {"initial_types": [("X", kind([None, model.n_features_in_]))]}
    return skl2onnx.to_onnx(model, **rows, options=options, target_opset=OPSET)


def _in_type(X: Any, dtype: Any) -> Any:
    """Return rows with their floating columns in a type."""
    if not hasattr(X, "dtypes"):
        return np.asarray(X).astype(dtype)
    return X.astype({name: dtype for name, kind in X.dtypes.items() if getattr(kind, "kind", "") == "f"})


def _of_rows(network: Network, theta: np.ndarray, X: Symbol) -> Symbol:
    """Return the symbol of a network's predictions, of which all operations are written down."""
    outputs, _ = network.forward(theta.astype(X.dtype), X)
    return network.loss_function.predict(outputs[-1])


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write a classifier's labels and probabilities into skl2onnx's container."""
    model = operator.raw_operator
    graph, Y = _traced(scope, operator, container)
    classes = _classes(model)
    if model._targets.multilabel:
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
        label = _labels(model, graph, number)
    _pour(graph, container, zip((label, Y), operator.outputs, strict=True))


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    """Write a regressor's predictions into skl2onnx's container."""
    graph, Y = _traced(scope, operator, container)
    numbers = operator.raw_operator._targets
    _pour(graph, container, [(Y * numbers.scale + numbers.shift, operator.outputs[0])])


def _traced(scope: Any, operator: Any, container: Any) -> tuple[Graph, Symbol]:
    """Return a graph with all operations of an estimator's network, and the symbol of its predictions."""
    from skl2onnx.common.data_types import DoubleTensorType

    model, given = operator.raw_operator, operator.inputs[0]
    dtype = np.float64 if isinstance(given.type, DoubleTensorType) else np.float32
    graph = Graph(dtype, container.target_opset, scope.get_unique_operator_name("vecprop") + "_")
    X = graph.cast(graph.input(given.full_name, model.n_features_in_), dtype)
    return graph, _of_rows(model.network_, model.theta_, X)


def _pour(graph: Graph, container: Any, outputs: Any) -> None:
    """Hand operations and constants over to skl2onnx, with the names that it gives to the outputs."""
    for symbol, output in outputs:
        graph.output(symbol, output.full_name)
    for tensor in _constants(graph):
        content = list(tensor.string_data) or tensor
        container.add_initializer(tensor.name, tensor.data_type, list(tensor.dims), content)
    for kind, inputs, output, to in graph.nodes:
        container.add_node(kind, inputs, [output], name=f"{graph.prefix}{output}", **to)


def _labels(model: MLPClassifier | TabularClassifier, graph: Graph, number: Symbol) -> Symbol:
    """Return the symbol of the labels of classes whose numbers are given."""
    classes = _classes(model)
    return graph.node("Gather", [graph.constant(classes, classes.dtype), number], (1,), classes.dtype)


def _classes(model: MLPClassifier | TabularClassifier) -> np.ndarray:
    """Return the labels in a type that ONNX has: whole numbers or text."""
    labels = model.classes_.tolist()
    if all(isinstance(label, str) for label in labels):
        return np.array(labels, object)
    if all(isinstance(label, bool | int | float) and int(label) == label and abs(label) < 2**63 for label in labels):
        return np.array([int(label) for label in labels])
    raise FileError(f"Labels in ONNX are whole numbers or text, but these are {labels[:5]}.")


def _classifier_shapes(operator: Any) -> None:
    """Say of which types and shapes a classifier's outputs are."""
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    model, rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    count = len(model.classes_)
    label = Int64TensorType if _classes(model).dtype == np.int64 else StringTensorType
    operator.outputs[0].set_type(label([rows, count] if model._targets.multilabel else [rows]))
    operator.outputs[1].type.shape = [rows, max(count, 2)]


def _regressor_shapes(operator: Any) -> None:
    """Say of which shape a regressor's output is."""
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [rows, operator.raw_operator.n_outputs_]

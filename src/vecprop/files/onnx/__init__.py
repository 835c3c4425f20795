"""Export networks, estimators and pipelines as ONNX graphs."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ...system.extras import imported
from ...tables.classifier import TabularClassifier
from ...tables.regressor import TabularRegressor
from .. import FileError
from ..atomic import written_at_once
from ..networks import CLASSIFIERS, TrainedNetwork, require_intervals, theta_of_one
from .estimator_graph import IMPUTERS, decided, encoded, interval, labels, predictions, register, traced
from .tracing import Graph, Symbol

OPSET = 17
"""The opset version of graphs of networks, and the maximum one for pipelines."""


def to_onnx(
    model: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    X: Any = None,
    dtype: Any = np.float32,
    coverage: float | None = None,
) -> Any:
    """Export a model as an ONNX graph.

    The graph of a network has the input ``X``, (N, I), and the output ``Y``, (N, O). As in skl2onnx, a classifier has
    the outputs ``label`` and ``probabilities``, and a regressor has the output ``variable``. A pipeline has the outputs
    of its last step. Custom layers and losses can be exported if they consist of NumPy's elementwise functions, matrix
    products, and slices and reductions of columns.

    The graph of a tabular model has one input, (N, 1), for each used column, with the name of the column. Numbers have
    the dtype ``dtype``, and nan means that a number is missing. Dates are days since 1970 in float64. Categories are
    text, and empty text means that the category is missing. The graph has the outputs of a classifier or a regressor. A
    graph cannot encode columns of free text, or categorical columns with more than 64 rare categories. The inputs of
    these columns are the K numbers per row that ``model.encoder_`` computes.

    Parameters
    ----------
    model : TrainedNetwork, MLPClassifier, MLPRegressor, their ensembles, TabularClassifier, -Regressor or Pipeline
        The model. A pipeline may contain any step that skl2onnx supports.
    path : path, optional
        A file for the graph. An existing file is replaced atomically.
    X : data frame or array, optional
        Training rows, for pipelines whose columns have several types. Each column of a data frame becomes an input with
        its name.
    dtype : dtype, default float32
        The dtype of numbers in the graph, float32 or float64. Integers beyond 2²⁴ are rounded in float32.
    coverage : float, optional
        For a `TabularRegressor`, the coverage of intervals. The graph then has the outputs ``low`` and ``high``; see
        ``predict_interval``.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ImportError
        If onnx is not installed, or, for an estimator or a pipeline, skl2onnx.
    FileError
        If the model has another type, labels are neither integers nor text, a network has several members, theta does
        not fit its network, a model has no intervals, or a custom part uses other operations.
    ValueError
        If dtype is not float32 or float64, or coverage is not in [0.5, 1).
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    Warns
    -----
    UserWarning
        If an input contains the encoder's numbers instead of a column of the table.

    Examples
    --------
    >>> network = Network(2, [Dense(3), Tanh(), Dense(1)], SquaredError())
    >>> graph = to_onnx(TrainedNetwork(network, network.init(seed=0))).graph
    >>> [node.op_type for node in graph.node]
    ['MatMul', 'Add', 'Tanh', 'MatMul', 'Add', 'Mul', 'ReduceSum', 'Add', 'Identity']
    """
    imported("onnx", "to_onnx", "onnx")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype is {np.dtype(dtype)}, expected float32 or float64.")
    if coverage is not None:
        require_intervals(model, coverage)
    if isinstance(model, TrainedNetwork):
        network, theta, graph = model.network, theta_of_one(model, "a graph"), Graph(dtype, OPSET)
        graph.output(traced(network, theta, graph.input("X", network.inputs)), "Y")
        made = _model(graph)
    elif isinstance(model, TabularClassifier | TabularRegressor):
        made = _of_table(model, dtype, coverage)
    elif isinstance(model, type) or not hasattr(model, "fit"):
        models = "a TrainedNetwork(network, theta), a fitted estimator or tabular model, or a pipeline"
        raise FileError(f"A {type(model).__name__} cannot be exported as an ONNX graph: give {models}.")
    else:
        made = _of_estimator(model, X, dtype)
    if path is not None:
        with written_at_once(path) as file:
            file.write(made.SerializeToString())
    return made


def _of_table(model: TabularClassifier | TabularRegressor, dtype: Any, coverage: float | None) -> Any:
    check_is_fitted(model)

    def apart(name: str, clashes: Callable[[str, str], bool] = str.__eq__) -> str:
        """Append underscores to a name until it differs from all column names."""
        while any(clashes(column, name) for column in model.encoder_.names):
            name += "_"
        return name

    graph = Graph(dtype, OPSET, prefix=apart("vecprop_", str.startswith))
    inputs = graph.cast(encoded(model.encoder_, graph), graph.dtype)
    Y = predictions(model, inputs)
    if isinstance(model, TabularClassifier):
        graph.output(labels(model, graph, decided(model, Y)), apart("label"))
    graph.output(Y, apart("probabilities" if isinstance(model, TabularClassifier) else "variable"))
    if coverage is not None and isinstance(model, TabularRegressor):
        for end, name in zip(interval(model, inputs, Y, coverage), ("low", "high"), strict=True):
            graph.output(end, apart(name))
    return _model(graph)


def _model(graph: Graph) -> Any:
    """Convert a graph to an ONNX model."""
    from onnx import helper

    def described(symbol: Symbol) -> Any:
        dtype = helper.np_dtype_to_tensor_dtype(symbol.dtype)
        return helper.make_tensor_value_info(symbol.name, dtype, ["N", *symbol.shape[1:]])

    nodes = [helper.make_node(kind, inputs, outputs, **to) for kind, inputs, outputs, to in graph.nodes]
    inputs, outputs = (list(map(described, symbols)) for symbols in (graph.inputs, graph.outputs))
    made = helper.make_graph(nodes, "vecprop", inputs, outputs, graph.tensors())
    domains = sorted({node.domain for node in nodes})
    versions = [helper.make_opsetid(domain, {"": OPSET, "ai.onnx.ml": 3}[domain]) for domain in domains]
    return helper.make_model(made, producer_name="vecprop", opset_imports=versions, ir_version=8)


def _of_estimator(model: Any, X: Any, dtype: Any) -> Any:
    imported("skl2onnx", "to_onnx of an estimator", "onnx")
    from skl2onnx import convert_sklearn
    from skl2onnx.algebra.type_helper import guess_initial_types

    register()
    check_is_fitted(model)
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    options = {id(last): {"zipmap": False}} if isinstance(last, CLASSIFIERS) else None
    # One row determines the input types; floating-point columns get the graph's dtype.
    row: Any = np.zeros((1, model.n_features_in_)) if X is None else X[:1]
    types = dtype
    if hasattr(row, "dtypes"):
        types = {name: dtype for name, kind in row.dtypes.items() if getattr(kind, "kind", "") == "f"}
    else:
        row = np.asarray(row)
    kinds = guess_initial_types(row.astype(types), None)
    return convert_sklearn(model, initial_types=kinds, options=options, target_opset=OPSET, **IMPUTERS)

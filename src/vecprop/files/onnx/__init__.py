"""Export networks, estimators and pipelines as ONNX graphs."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ...system.extras import imported
from ...tables.classifier import TabularClassifier
from ...tables.regressor import TabularRegressor
from .. import FileError
from ..atomic import FilePath, written_at_once
from ..networks import CLASSIFIERS, TrainedNetwork, require_intervals, theta_of_one
from .estimator_graph import (
    IMPUTERS,
    encoded,
    interval,
    labels,
    predicted_class,
    predictions,
    register,
    traced,
)
from .graph import Graph, TracedArray

OPSET = 17
"""The opset version of graphs of networks, and the maximum one for pipelines."""


def to_onnx(
    model: Any,
    path: FilePath | None = None,
    *,
    X: Any = None,
    dtype: Any = np.float32,
    coverage: float | None = None,
) -> Any:
    """Export a model as an ONNX graph.

    The graph of a network has the input ``X``, (N, I), and the output ``Y``, (N, O). As
    in skl2onnx, a classifier has the outputs ``label`` and ``probabilities``, and a
    regressor has the output ``variable``. A pipeline has the outputs of its last step.
    Custom layers and losses can be exported if they consist of NumPy's elementwise
    functions, matrix products, and slices and reductions of columns.

    The graph of a tabular model has one input, (N, 1), for each used column, with the
    name of the column. Numbers have the dtype ``dtype``, and nan means that a number is
    missing. Dates are days since 1970 in float64. Categories are text, and empty text
    means that the category is missing. The graph has the outputs of a classifier or a
    regressor. A graph cannot encode columns of free text, or categorical columns with
    more than 64 rare categories. The inputs of these columns are the K numbers per row
    that ``model.encoder_`` computes.

    Parameters
    ----------
    model : TrainedNetwork, MLPClassifier, MLPRegressor, their ensembles,
    TabularClassifier, -Regressor or Pipeline
        The model. A pipeline may contain any step that skl2onnx supports.
    path : path, optional
        A file for the graph. An existing file is replaced atomically.
    X : data frame or array, optional
        Training rows, for pipelines whose columns have several types. Each column of a
        data frame becomes an input with its name.
    dtype : dtype, default float32
        The dtype of numbers in the graph, float32 or float64. Integers beyond 2²⁴ are
        rounded in float32.
    coverage : float, optional
        For a `TabularRegressor`, the coverage of intervals. The graph then has the
        outputs ``low`` and ``high``; see ``predict_interval``.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ImportError
        If onnx is not installed, or, for an estimator or a pipeline, skl2onnx.
    FileError
        If the model has another type, labels are neither integers nor text, a network
        has several members, theta does not fit its network, a model has no intervals,
        or a custom part uses other operations.
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
    if isinstance(model, TabularClassifier | TabularRegressor):
        model._require_one_target("be exported")
    if coverage is not None:
        require_intervals(model, coverage)
    if isinstance(model, TrainedNetwork):
        theta = theta_of_one(model, "a graph")
        graph = Graph(dtype, OPSET)
        graph.output(
            traced(model.network, theta, graph.input("X", model.network.inputs)), "Y"
        )
        exported = _onnx_model(graph)
    elif isinstance(model, TabularClassifier | TabularRegressor):
        exported = _table_graph(model, dtype, coverage)
    elif isinstance(model, type) or not hasattr(model, "fit"):
        raise FileError(
            f"A {type(model).__name__} cannot be exported as an ONNX graph: give a"
            " TrainedNetwork(network, theta), a fitted estimator or tabular model, or"
            " a pipeline."
        )
    else:
        exported = _estimator_graph(model, X, dtype)
    if path is not None:
        with written_at_once(path) as file:
            file.write(exported.SerializeToString())
    return exported


def _table_graph(
    model: TabularClassifier | TabularRegressor, dtype, coverage: float | None
):
    check_is_fitted(model)
    if model._exposure_column is not None:
        raise FileError(
            "ONNX graphs cannot contain predictions for an exposure: use `save`."
        )
    columns = model.encoder_.names
    prefix = "vecprop_"
    while any(column.startswith(prefix) for column in columns):
        prefix += "_"
    graph = Graph(dtype, OPSET, prefix)

    def add_output(symbol: TracedArray, name: str):
        """Add an output whose name differs from all columns."""
        while name in columns:
            name += "_"
        graph.output(symbol, name)

    inputs = graph.cast(encoded(model.encoder_, graph), graph.dtype)
    Y = predictions(model, inputs)
    if isinstance(model, TabularClassifier):
        add_output(labels(model, graph, predicted_class(model, Y)), "label")
        add_output(Y, "probabilities")
        return _onnx_model(graph)
    add_output(Y, "variable")
    if coverage is not None:
        low, high = interval(model, inputs, Y, coverage)
        add_output(low, "low")
        add_output(high, "high")
    return _onnx_model(graph)


def _onnx_model(graph: Graph):
    from onnx import helper

    def declared(symbol: TracedArray):
        dtype = helper.np_dtype_to_tensor_dtype(symbol.dtype)
        shape = ["N", *symbol.shape[1:]]
        return helper.make_tensor_value_info(symbol.name, dtype, shape)

    nodes = []
    for kind, inputs, outputs, attributes in graph.nodes:
        nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
    onnx_graph = helper.make_graph(
        nodes,
        "vecprop",
        inputs=list(map(declared, graph.inputs)),
        outputs=list(map(declared, graph.outputs)),
        initializer=graph.tensors(),
    )
    opsets = {"": OPSET, "ai.onnx.ml": 3}
    domains = sorted({node.domain for node in nodes})
    return helper.make_model(
        onnx_graph,
        producer_name="vecprop",
        opset_imports=[helper.make_opsetid(name, opsets[name]) for name in domains],
        ir_version=8,
    )


def _estimator_graph(model, X, dtype) -> Any:
    imported("skl2onnx", "to_onnx of an estimator", "onnx")
    from skl2onnx import convert_sklearn
    from skl2onnx.algebra.type_helper import guess_initial_types

    register()
    check_is_fitted(model)
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    options = None
    if isinstance(last, CLASSIFIERS):
        options = {id(last): {"zipmap": False}}
    # One row determines the input types; floating-point columns get the graph's dtype.
    if X is None:
        X = np.zeros((1, model.n_features_in_))
    row: Any = X[:1]
    dtypes = dtype
    if hasattr(row, "dtypes"):
        dtypes = {}
        for name, column_dtype in row.dtypes.items():
            if getattr(column_dtype, "kind", "") == "f":
                dtypes[name] = dtype
    else:
        row = np.asarray(row)
    types = guess_initial_types(row.astype(dtypes), None)
    return convert_sklearn(
        model, initial_types=types, options=options, target_opset=OPSET, **IMPUTERS
    )

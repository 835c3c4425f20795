"""Converters from estimators to ONNX graphs, registered with skl2onnx, so that pipelines are supported too.

SimpleImputer is registered as well: skl2onnx's converter does not support float64 in
onnxruntime, or indicators.
"""

import warnings
from collections.abc import Mapping
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
from numpy import ndarray
from sklearn.impute import SimpleImputer

from ...core.elementary import clip, sqrt, where
from ...core.network import Network
from ...tables.classifier import TabularClassifier
from ...tables.encoding.columns import (
    LARGEST_SCALED,
    LIMIT,
    MAX_DEVIATIONS,
    Categories,
    Dates,
    NumberInputs,
)
from ...tables.encoding.encoder import Encoder
from ...tables.ensemble.calibration import level_for, place_of, positive_of
from ...tables.ensemble.ensemble import MIN_PROBABILITY, Ensemble, Networks
from ...tables.regressor import TabularRegressor
from .. import FileError
from ..networks import CLASSIFIERS, REGRESSORS, averaged
from .graph import Graph, TracedArray


def register() -> None:
    """Register converters for vecprop's estimators with skl2onnx.

    This is needed only to call skl2onnx directly; `to_onnx` does it automatically.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    """
    from skl2onnx import update_registered_converter

    for cls in CLASSIFIERS:
        update_registered_converter(
            cls,
            f"Vecprop{cls.__name__}",
            _classifier_shapes,
            convert_fct=_convert_classifier,
            options={
                "zipmap": [True, False, "columns"],
                "output_class_labels": [False, True],
                "nocl": [False],
            },
        )
    for cls in REGRESSORS:
        update_registered_converter(
            cls,
            f"Vecprop{cls.__name__}",
            _regressor_shapes,
            convert_fct=_convert_regressor,
        )


def traced(network: Network, theta: ndarray, X: TracedArray) -> TracedArray:
    """Return the symbol of a network's predictions, which are NaN for nonfinite inputs."""
    # A graph cannot raise errors, and ReLU would turn NaN into 0.
    outputs, _ = network.forward(theta.astype(X.dtype), X)
    zero_or_nan = X.graph.over_columns("ReduceSum", X * 0)
    return network.loss_function.predict(outputs[-1]) + zero_or_nan


def _convert_classifier(scope, operator, container):
    model = operator.raw_operator
    graph, Y = _mean_prediction(scope, operator, container)
    if model.targets_.multilabel:
        label = graph.cast(Y > 0.5, np.int64)
    elif Y.shape[-1] == 1:
        index = _class_indices(Y > 0.5)
        # 0 if there is a single class
        last_class = graph.constant(len(model.classes_) - 1, np.int64)
        index = graph.node("Min", [index, last_class], (1,), dtype=np.int64)
        Y = graph.concatenate([1 - Y, Y])
        label = labels(model, graph, index)
    else:
        label = labels(model, graph, graph.argmax(Y))
    _fill(container, graph, [label, Y], operator=operator)


def _convert_regressor(scope, operator, container):
    graph, Y = _mean_prediction(scope, operator, container)
    targets = operator.raw_operator.targets_
    _fill(container, graph, [Y * targets.scale + targets.shift], operator=operator)


def _mean_prediction(scope, operator, container):
    """Return a graph with an estimator's networks, and their mean predictions."""
    from skl2onnx.common.data_types import guess_numpy_type

    model = operator.raw_operator
    table = operator.inputs[0]
    dtype = np.float64 if guess_numpy_type(table.type) == np.float64 else np.float32
    graph = _operator_graph(scope, container, dtype)
    X = graph.cast(graph.input(table.full_name, model.n_features_in_), dtype)
    network, thetas, columns = averaged(model)
    inputs = [X] * len(thetas)
    if columns is not None:
        inputs = [X[:, member_columns] for member_columns in columns]
    total = traced(network, thetas[0], inputs[0])
    for theta, member_inputs in zip(thetas[1:], inputs[1:], strict=True):
        total = total + traced(network, theta, member_inputs)
    if len(thetas) > 1:
        return graph, total / len(thetas)
    return graph, total


def _operator_graph(scope, container, dtype):
    """Return an empty graph for an operator of skl2onnx."""
    return Graph(
        dtype, container.target_opset, scope.get_unique_operator_name("vecprop") + "_"
    )


def _fill(container, graph: Graph, results: list[TracedArray], operator):
    """Add a graph to skl2onnx's container, with the names of the operator's outputs."""
    for symbol, output in zip(results, operator.outputs, strict=True):
        graph.output(symbol, output.full_name)
    for tensor in graph.tensors():
        content = list(tensor.string_data) or tensor
        container.add_initializer(
            tensor.name, tensor.data_type, list(tensor.dims), content
        )
    for kind, inputs, outputs, attributes in graph.nodes:
        container.add_node(
            kind, inputs, outputs, name=f"{graph.prefix}{outputs[0]}", **attributes
        )


def labels(model, graph: Graph, indices: TracedArray) -> TracedArray:
    """Return the symbol of the labels for the given class indices."""
    classes = _onnx_labels(model)
    symbol = graph.constant(classes, classes.dtype)
    return graph.node("Gather", [symbol, indices], (1,), dtype=classes.dtype)


def _onnx_labels(model):
    """Return the labels in a dtype that ONNX supports: integers or text."""
    labels = model.classes_.tolist()
    if all(isinstance(label, str) for label in labels):
        return np.array(labels, object)
    if all(map(_is_integer, labels)):
        return np.array(list(map(int, labels)))
    raise FileError(f"Labels in ONNX must be integers or text, got {labels[:5]}.")


def _is_integer(label):
    """Return whether a label is a number that int64 can represent."""
    if not isinstance(label, int | float) or int(label) != label:
        return False
    return abs(label) < 2**63


def _classifier_shapes(operator):
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    model = operator.raw_operator
    rows = operator.inputs[0].get_first_dimension()
    count = len(model.classes_)
    label_type = StringTensorType
    if _onnx_labels(model).dtype == np.int64:
        label_type = Int64TensorType
    label_shape = [rows, count] if model.targets_.multilabel else [rows]
    operator.outputs[0].set_type(label_type(label_shape))
    operator.outputs[1].type.shape = [rows, max(count, 2)]


def _regressor_shapes(operator):
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [rows, operator.raw_operator.n_outputs_]


def _imputer_shape(operator):
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
    from skl2onnx.shape_calculators.imputer import (
        calculate_sklearn_imputer_output_shapes,
    )

    dtype = _imputed_dtype(operator)
    if dtype is None:
        calculate_sklearn_imputer_output_shapes(operator)
        return
    tensor_type = DoubleTensorType if dtype == np.float64 else FloatTensorType
    imputed, marked = _imputer_columns(operator.raw_operator)
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].set_type(tensor_type([rows, len(imputed) + len(marked)]))


def _convert_imputer(scope, operator, container):
    """Add imputation and missing indicators to skl2onnx's container."""
    from skl2onnx.operator_converters.imputer_op import convert_sklearn_imputer

    dtype = _imputed_dtype(operator)
    if dtype is None:
        convert_sklearn_imputer(scope, operator, container)
        return
    graph = _operator_graph(scope, container, dtype)
    columns = [
        graph.input(column.full_name, column.get_second_dimension())
        for column in operator.inputs
    ]
    x = graph.concatenate([graph.cast(column, dtype) for column in columns])
    is_missing = graph.elementwise("IsNaN", x, dtype=bool)
    imputed, marked = _imputer_columns(operator.raw_operator)
    blocks = [where(is_missing, operator.raw_operator.statistics_, x)[:, imputed]]
    if marked:
        blocks.append(graph.cast(is_missing[:, marked], dtype))
    _fill(container, graph, [graph.concatenate(blocks)], operator=operator)


def _imputed_dtype(operator):
    """Return the floating dtype of an imputer that replaces nan, else None."""
    from skl2onnx.common.data_types import guess_numpy_type

    missing = operator.raw_operator.missing_values
    if not isinstance(missing, float) or not np.isnan(missing):
        return None
    dtypes = {guess_numpy_type(column.type) for column in operator.inputs}
    if dtypes <= {np.float64, np.float32, np.int64}:
        for dtype in (np.float64, np.float32):
            if dtype in dtypes:
                return dtype
    return None


def _imputer_columns(step):
    """Return the imputed columns, and the columns with a missing indicator."""
    imputed = np.flatnonzero(~np.isnan(step.statistics_.astype(float))).tolist()
    marked = step.indicator_.features_.tolist() if step.add_indicator else []
    return imputed, marked


IMPUTERS = {
    "custom_conversion_functions": {SimpleImputer: _convert_imputer},
    "custom_shape_calculators": {SimpleImputer: _imputer_shape},
}
"""The registration of imputers with skl2onnx."""

Model = TabularClassifier | TabularRegressor


def predictions(model: Model, X: TracedArray) -> TracedArray:
    """Return the symbol of a tabular model's predictions, given its inputs.

    These are class probabilities, (N, C), or numbers in the units of the target, (N,
    1). The networks compute in the graph's dtype. As in the model, all later operations
    use float64.
    """
    folds = _fold_predictions(model, model.ensemble_, X)
    return X.graph.cast(reduce(add, folds) / len(folds), X.graph.dtype)


def predicted_class(model: TabularClassifier, Y: TracedArray) -> TracedArray:
    """Add the decision between classes; return the symbol of each row's class index."""
    if not hasattr(model, "threshold_"):
        return Y.graph.argmax(Y)
    positive = positive_of(model)
    probability = Y[:, [positive]]
    if positive == 1:
        return _class_indices(probability > model.threshold_)
    return _class_indices(probability <= model.threshold_)


def _class_indices(is_second: TracedArray):
    """Convert a Boolean column, (N, 1), to class indices 0 and 1, (N,)."""
    graph = is_second.graph
    inputs = [graph.cast(is_second, np.int64), graph.constant([1], np.int64)]
    return graph.node("Squeeze", inputs, (1,), dtype=np.int64)


def interval(
    model: TabularRegressor, X: TracedArray, Y: TracedArray, coverage: float
) -> tuple[TracedArray, TracedArray]:
    """Return the symbols of both bounds of ``predict_interval``, (N, 1) each."""
    graph = X.graph
    residuals = model.residuals_
    level = level_for(coverage, residuals.groups)
    ensembles = model._ensembles[1:] or [model.ensemble_]
    below = _fold_predictions(model, ensembles[0], X)
    above = below
    if len(ensembles) > 1:
        above = _fold_predictions(model, ensembles[1], X)
    if residuals.power != 1:
        raise FileError(
            "ONNX graphs cannot contain intervals of counts: leave out coverage"
            " (--interval), or export NumPy source."
        )
    low = _quantile(below, -residuals.sizes, 1 - level)
    high = _quantile(above, residuals.sizes, level)
    return graph.elementwise("Min", low, Y), graph.elementwise("Max", high, Y)


def _quantile(folds: list[TracedArray], residuals: ndarray, level: float):
    """Return the symbol of a quantile over all sums of predictions and residuals (M, R)."""
    graph = folds[0].graph
    sums = graph.concatenate(list(map(add, folds, residuals)))
    # TopK returns the smallest or the largest sums up to the quantile, which is the last.
    index = place_of(level, residuals.size)
    from_largest = level >= 0.5
    count = residuals.size - index if from_largest else index + 1
    inputs = [sums, graph.constant([count], np.int64)]
    sorted_sums = graph.node(
        "TopK", inputs, (1, count), unused=1, largest=int(from_largest)
    )
    return graph.cast(sorted_sums[:, [count - 1]], graph.dtype)


def _fold_predictions(model: Model, ensemble: Ensemble, X: TracedArray):
    """Return the symbol of each fold's prediction, in the range of the target."""
    folds = _view_terms(ensemble.views[0], X)
    for view in ensemble.views[1:]:
        folds = list(map(add, folds, _view_terms(view, X)))
    if isinstance(model, TabularClassifier):
        return [_temperature_scaled(P, model.inverse_temperature_) for P in folds]
    low, high = model.range_
    return [
        clip(Y * model.targets_.scale + model.targets_.shift, low, high) for Y in folds
    ]


def _view_terms(view: Networks, X: TracedArray):
    """Return the symbol of each network's weighted prediction in a view."""
    graph = X.graph
    inputs = X[:, view.inputs.tolist()]
    terms = []
    for theta in view.thetas:
        outputs, _ = view.network.forward(theta.astype(graph.dtype), inputs)
        Y = graph.cast(view.network.loss_function.predict(outputs[-1]), np.float64)
        if view.inverse_temperature is not None:
            Y = _temperature_scaled(Y, view.inverse_temperature)
        terms.append(Y * view.share)
    return terms


def _temperature_scaled(P: TracedArray, inverse_temperature: float) -> TracedArray:
    powers = where(P < MIN_PROBABILITY, MIN_PROBABILITY, P) ** inverse_temperature
    return powers / P.graph.over_columns("ReduceSum", powers)


class _Inputs:
    """Blocks of inputs in any order, and the position of each input: its column and its index in the column."""

    def __init__(self):
        self.blocks: list[TracedArray] = []
        self.positions: list[tuple[int, int]] = []

    def add(self, block: TracedArray, positions: list[tuple[int, int]]):
        self.blocks.append(block)
        self.positions += positions

    def sorted(self):
        """Return the symbol of all inputs in the order of their positions."""
        order = sorted(range(len(self.positions)), key=self.positions.__getitem__)
        return self.blocks[0].graph.concatenate(self.blocks)[:, order]


def encoded(encoder: Encoder, graph: Graph) -> TracedArray:
    """Return the symbol of the networks' inputs, in float64, for a table's columns.

    Numeric columns become inputs in the graph's dtype, with nan for missing values.
    Dates become days since 1970 in float64, with fractions for the time. Categories
    become text without surrounding spaces, empty for missing values. If a graph cannot
    read a column, the input is the encoder's output for it; this gives a warning.
    """
    columns = _table_columns(encoder, graph)
    inputs = _Inputs()
    numbers = {}
    days = {}
    for index, (part, column) in enumerate(zip(encoder.parts, columns, strict=True)):
        if isinstance(part, NumberInputs):
            numbers[index] = part
            continue
        if isinstance(part, Dates):
            days[index] = part.days
        if part.onnx_type is not None:
            column = part.to_onnx(column)
        # the inputs for the days of a date come first, and are added below
        first = part.width - column.shape[1]
        positions = [(index, number) for number in range(first, part.width)]
        inputs.add(graph.cast(column, np.float64), positions)
    for parts in (numbers, days):
        if parts:
            x = graph.concatenate([columns[index] for index in parts])
            _encode_numbers(parts, graph.cast(x, np.float64), inputs)
    return inputs.sorted()


def _table_columns(encoder: Encoder, graph: Graph):
    """Add an input for each column, and warn about columns that a graph cannot read."""
    columns = []
    unread = []
    for name, part in zip(encoder.names, encoder.parts, strict=True):
        if not name:
            raise FileError(
                "A column has no name, but each input of a graph needs one: name it"
                " before training."
            )
        if isinstance(part, NumberInputs):
            columns.append(graph.input(name, 1))
        elif part.onnx_type is not None:
            columns.append(graph.input(name, 1, part.onnx_type))
        else:
            columns.append(graph.input(name, part.width))
            reason = (
                "too many categories" if isinstance(part, Categories) else part.kind
            )
            unread.append(f"{name!r} ({reason})")
    if unread:
        shown = ", ".join(unread[:5])
        if len(unread) > 5:
            shown += f" and {len(unread) - 5} more"
        warnings.warn(
            f"A graph cannot read the column(s) {shown}: the inputs with these "
            "names take the numbers that model.encoder_ computes.",
            stacklevel=5,
        )
    return columns


def _encode_numbers(parts: Mapping[int, NumberInputs], x: TracedArray, inputs: _Inputs):
    """Add the inputs of numeric columns x, (N, K), whose indices in the table are the keys of parts.

    The inputs of a column are its squashed value, its pieces, a mark for a missing
    value, its standardized value and its normal score; see `NumberInputs`.
    """
    graph = x.graph
    values = [(part.centre, part.scale, *part.standard) for part in parts.values()]
    centre, scale, mean, deviation = np.array(values).T
    is_missing = graph.elementwise("IsNaN", x, dtype=bool)
    filled = where(is_missing, centre, x)
    z = clip((filled - centre) / scale, -LARGEST_SCALED, LARGEST_SCALED)
    inputs.add(z / sqrt(1 + (z / LIMIT) ** 2), [(index, 0) for index in parts])
    _encode_pieces(parts, filled, inputs)
    marked_columns = []
    marks = []
    standardized = []
    for column, (index, part) in enumerate(parts.items()):
        number = part.bends
        if part.marks_missing:
            marked_columns.append(column)
            marks.append((index, number))
            number += 1
        standardized.append((index, number))
    if marked_columns:
        inputs.add(graph.cast(is_missing[:, marked_columns], np.float64), marks)
    z = clip((filled - mean) / deviation, -MAX_DEVIATIONS, MAX_DEVIATIONS)
    inputs.add(z, standardized)


def _encode_pieces(
    parts: Mapping[int, NumberInputs], filled: TracedArray, inputs: _Inputs
):
    """Add the piecewise linear encodings and normal scores of numeric columns."""
    column_of_piece = []
    edges = []
    positions = []
    for column, (index, part) in enumerate(parts.items()):
        for number, edges_of_piece in enumerate(pairwise(part.edges), 1):
            column_of_piece.append(column)
            edges.append(edges_of_piece)
            positions.append((index, number))
    if not positions:
        return
    low, high = np.array(edges).T
    shares = clip((filled[:, column_of_piece] - low) / (high - low), 0, 1)
    inputs.add(shares - 0.5, positions)
    _encode_scores(parts, shares, column_of_piece, inputs=inputs)


def _encode_scores(
    parts: Mapping[int, NumberInputs],
    shares: TracedArray,
    column_of_piece: list[int],
    *,
    inputs: _Inputs,
):
    """Add normal scores, given the share of each piece below a value, (N, pieces).

    A score is linear in each piece: it is the score at the first edge, plus the sum of
    shares times differences over the pieces of the column.
    """
    first_scores = []
    differences = []
    positions = []
    for column, (index, part) in enumerate(parts.items()):
        if part.scores is None:
            continue
        differences_by_piece = np.zeros(len(column_of_piece))
        differences_by_piece[np.equal(column_of_piece, column)] = np.diff(part.scores)
        differences.append(differences_by_piece)
        first_scores.append(part.scores[0])
        positions.append((index, part.width - 1))
    if positions:
        scores = shares @ np.stack(differences, axis=1) + np.array(first_scores)
        inputs.add(scores, positions)

"""Converters from estimators to ONNX graphs, registered with skl2onnx, so that pipelines are supported too.

SimpleImputer is registered as well: skl2onnx's converter does not support float64 in onnxruntime, or indicators.
"""

import warnings
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer

from ...core.elementary import clip, sqrt, where
from ...core.network import Network
from ...tables.classifier import TabularClassifier
from ...tables.encoding.columns import LARGEST_SCALED, LIMIT, MAX_DEVIATIONS, Categories, Dates, NumberInputs
from ...tables.encoding.encoder import Encoder
from ...tables.ensemble.calibration import level_for, place_of, positive_of
from ...tables.ensemble.ensemble import MIN_PROBABILITY, Ensemble, Networks
from ...tables.regressor import TabularRegressor
from .. import FileError
from ..networks import CLASSIFIERS, REGRESSORS, averaged
from .tracing import Graph, Symbol


def register() -> None:
    """Register converters for vecprop's estimators with skl2onnx.

    This is needed only to call skl2onnx directly; `to_onnx` does it automatically.

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
    """Add a network's operations; return the symbol of its predictions, which are NaN for nonfinite inputs."""
    # A graph cannot raise errors, and ReLU would turn NaN into 0.
    outputs, _ = network.forward(theta.astype(X.dtype), X)
    zero_or_nan = X.graph.over_columns("ReduceSum", X * 0)
    return network.loss_function.predict(outputs[-1]) + zero_or_nan


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    graph, Y = _predicted(scope, operator, container)
    classes = _classes(model)
    if model.targets_.multilabel:
        label = graph.cast(Y > 0.5, np.int64)
    else:
        if Y.shape[-1] == 1:
            # With a single class, always predict it.
            number = _as_numbers(Y > 0.5)
            number = graph.node("Min", [number, graph.constant(len(classes) - 1, np.int64)], (1,), np.int64)
            Y = graph.node("Concat", [1 - Y, Y], (1, 2), axis=1)
        else:
            number = graph.argmax(Y)
        label = labels(model, graph, number)
    _pour(graph, container, zip((label, Y), operator.outputs, strict=True))


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph, Y = _predicted(scope, operator, container)
    numbers = operator.raw_operator.targets_
    _pour(graph, container, [(Y * numbers.scale + numbers.shift, operator.outputs[0])])


def _predicted(scope: Any, operator: Any, container: Any) -> tuple[Graph, Symbol]:
    """Return a graph with an estimator's networks, and the symbol of their mean predictions."""
    from skl2onnx.common.data_types import DoubleTensorType

    model, given = operator.raw_operator, operator.inputs[0]
    dtype = np.float64 if isinstance(given.type, DoubleTensorType) else np.float32
    graph = Graph(dtype, container.target_opset, scope.get_unique_operator_name("vecprop") + "_")
    X = graph.cast(graph.input(given.full_name, model.n_features_in_), dtype)
    network, thetas, columns = averaged(model)
    each = [X] * len(thetas) if columns is None else [X[:, own] for own in columns]
    Y = reduce(add, (traced(network, theta, own) for theta, own in zip(thetas, each, strict=True)))
    return graph, Y / len(thetas) if len(thetas) > 1 else Y


def _pour(graph: Graph, container: Any, outputs: Any) -> None:
    """Add a graph's operations and constants to skl2onnx's container, with its output names."""
    for symbol, output in outputs:
        graph.output(symbol, output.full_name)
    for tensor in graph.tensors():
        content = list(tensor.string_data) or tensor
        container.add_initializer(tensor.name, tensor.data_type, list(tensor.dims), content)
    for kind, inputs, outputs, to in graph.nodes:
        container.add_node(kind, inputs, outputs, name=f"{graph.prefix}{outputs[0]}", **to)


def labels(model: Any, graph: Graph, number: Symbol) -> Symbol:
    """Return the symbol of the labels for the given class indices."""
    classes = _classes(model)
    return graph.node("Gather", [graph.constant(classes, classes.dtype), number], (1,), classes.dtype)


def _classes(model: Any) -> np.ndarray:
    """Return the labels in a dtype that ONNX supports: integers or text."""
    labels = model.classes_.tolist()
    if all(isinstance(label, str) for label in labels):
        return np.array(labels, object)
    if all(isinstance(label, bool | int | float) and int(label) == label and abs(label) < 2**63 for label in labels):
        return np.array([int(label) for label in labels])
    raise FileError(f"Labels in ONNX must be integers or text, got {labels[:5]}.")


def _classifier_shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    model, rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    count = len(model.classes_)
    label = Int64TensorType if _classes(model).dtype == np.int64 else StringTensorType
    operator.outputs[0].set_type(label([rows, count] if model.targets_.multilabel else [rows]))
    operator.outputs[1].type.shape = [rows, max(count, 2)]


def _regressor_shapes(operator: Any) -> None:
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [rows, operator.raw_operator.n_outputs_]


def _imputer_shape(operator: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
    from skl2onnx.shape_calculators.imputer import calculate_sklearn_imputer_output_shapes

    dtype = _filled_in(operator)
    if dtype is None:
        calculate_sklearn_imputer_output_shapes(operator)
        return
    kind = DoubleTensorType if dtype == np.float64 else FloatTensorType
    kept, marked = _columns(operator.raw_operator)
    operator.outputs[0].set_type(kind([operator.inputs[0].get_first_dimension(), len(kept) + len(marked)]))


def _convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """Add the operations for imputation and missing indicators to skl2onnx's container."""
    from skl2onnx.operator_converters.imputer_op import convert_sklearn_imputer

    dtype = _filled_in(operator)
    if dtype is None:
        convert_sklearn_imputer(scope, operator, container)
        return
    graph = Graph(dtype, container.target_opset, scope.get_unique_operator_name("vecprop") + "_")
    given = [graph.input(column.full_name, column.get_second_dimension()) for column in operator.inputs]
    x = graph.concatenate([graph.cast(column, dtype) for column in given])
    is_missing = graph.elementwise("IsNaN", x, dtype=bool)
    kept, marked = _columns(operator.raw_operator)
    blocks = [where(is_missing, operator.raw_operator.statistics_, x)[:, kept]]
    if marked:
        blocks.append(graph.cast(is_missing[:, marked], dtype))
    _pour(graph, container, [(graph.concatenate(blocks), operator.outputs[0])])


def _filled_in(operator: Any) -> Any:
    """Return the floating dtype of an imputer that replaces nan, or None for other imputers."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType

    missing, kinds = operator.raw_operator.missing_values, {type(column.type) for column in operator.inputs}
    is_nan = isinstance(missing, float) and np.isnan(missing)
    if not is_nan or kinds == {Int64TensorType} or not kinds <= {DoubleTensorType, FloatTensorType, Int64TensorType}:
        return None
    return np.float64 if DoubleTensorType in kinds else np.float32


def _columns(step: Any) -> tuple[list[int], list[int]]:
    """Return the imputed columns (others are dropped), and the columns with a missing indicator."""
    kept = np.flatnonzero(~np.isnan(step.statistics_.astype(float))).tolist()
    return kept, step.indicator_.features_.tolist() if step.add_indicator else []


IMPUTERS = {
    "custom_conversion_functions": {SimpleImputer: _convert_imputer},
    "custom_shape_calculators": {SimpleImputer: _imputer_shape},
}
"""The registration of imputers with skl2onnx."""

Model = TabularClassifier | TabularRegressor


def predictions(model: Model, X: Symbol) -> Symbol:
    """Add the operations of a tabular model, given its inputs; return the symbol of its predictions.

    These are class probabilities, (N, C), or numbers in the units of the target, (N, 1). The networks compute in the
    graph's dtype. As in the model, all later operations use float64.
    """
    members = _each(model, model.ensemble_, X)
    return X.graph.cast(reduce(add, members) / len(members), X.graph.dtype)


def decided(model: TabularClassifier, Y: Symbol) -> Symbol:
    """Add the decision between classes; return the symbol of each row's class index."""
    graph, threshold = Y.graph, getattr(model, "threshold_", None)
    if threshold is None:
        return graph.argmax(Y)
    positive = positive_of(model)
    share = Y[:, [positive]]
    return _as_numbers(share > threshold if positive == 1 else share <= threshold)


def _as_numbers(is_second: Symbol) -> Symbol:
    """Convert a Boolean column, (N, 1), to class indices 0 and 1, (N,)."""
    graph = is_second.graph
    return graph.node("Squeeze", [graph.cast(is_second, np.int64), graph.constant([1], np.int64)], (1,), np.int64)


def interval(model: TabularRegressor, X: Symbol, Y: Symbol, coverage: float) -> tuple[Symbol, Symbol]:
    """Add the operations of ``predict_interval``; return the symbols of both bounds, (N, 1) each."""
    graph, sizes, level = X.graph, model.residuals_.sizes, level_for(coverage, model.residuals_.groups)
    below, above = [_each(model, outer, X) for outer in model._ensembles[1:]] or [_each(model, model.ensemble_, X)] * 2
    low, high = _quantile(below, -sizes, 1 - level), _quantile(above, sizes, level)
    return graph.elementwise("Min", low, Y), graph.elementwise("Max", high, Y)


def _quantile(each: list[Symbol], moves: np.ndarray, level: float) -> Symbol:
    """Return the symbol of a quantile over all sums of a member's prediction and its moves (M, R)."""
    moved = each[0].graph.concatenate([Y + own for Y, own in zip(each, moves, strict=True)])
    graph, place = moved.graph, place_of(level, moves.size)
    taken = place + 1 if level < 0.5 else moves.size - place
    count = graph.constant([taken], np.int64)
    found = graph.node("TopK", [moved, count], (1, taken), unused=1, largest=int(level >= 0.5))
    return graph.cast(found[:, [taken - 1]], graph.dtype)


def _each(model: Model, ensemble: Ensemble, X: Symbol) -> list[Symbol]:
    """Return the symbol of each fold's prediction."""
    # These are temperature-scaled probabilities, or numbers in the target's units and range.
    folds = [reduce(add, parts) for parts in zip(*(_of_view(view, X) for view in ensemble.views), strict=True)]
    if isinstance(model, TabularClassifier):
        return [_temperature_scaled(Y, model.inverse_temperature_) for Y in folds]
    return [clip(Y * model.targets_.scale + model.targets_.shift, *model.range_) for Y in folds]


def _of_view(view: Networks, X: Symbol) -> list[Symbol]:
    """Return the symbol of each network's weighted contribution in a view."""
    own, parts = X[:, view.inputs.tolist()], []
    for theta in view.thetas:
        outputs, _ = view.network.forward(theta.astype(X.graph.dtype), own)
        Y = X.graph.cast(view.network.loss_function.predict(outputs[-1]), np.float64)
        scale = view.inverse_temperature
        parts.append((Y if scale is None else _temperature_scaled(Y, scale)) * view.share)
    return parts


def _temperature_scaled(P: Symbol, inverse_temperature: float) -> Symbol:
    powers = where(P < MIN_PROBABILITY, MIN_PROBABILITY, P) ** inverse_temperature
    return powers / P.graph.over_columns("ReduceSum", powers)


def encoded(encoder: Encoder, graph: Graph) -> Symbol:
    """Add the operations that encode a table's columns; return the symbol of the networks' inputs, in float64.

    Numeric columns become inputs in the graph's dtype, with nan for missing values. Dates become days since 1970 in
    float64, with fractions for the time. Categories become text without surrounding spaces, empty for missing values.
    If a graph cannot read a column, the input is the encoder's output for it; this gives a warning.
    """
    columns, unread = [], []
    for name, part in zip(encoder.names, encoder.parts, strict=True):
        if not name:
            raise FileError("A column has no name, but each input of a graph needs one: name it before training.")
        if part.onnx_type is None:
            unread.append(f"{name!r} ({'too many categories' if isinstance(part, Categories) else part.kind})")
            columns.append(graph.input(name, part.width))
        else:
            columns.append(graph.input(name, 1, None if isinstance(part, NumberInputs) else part.onnx_type))
    if unread:
        more = f" and {len(unread) - 5} more" if len(unread) > 5 else ""
        instead = "the inputs with these names take the numbers that model.encoder_ computes."
        warnings.warn(f"A graph cannot read the column(s) {', '.join(unread[:5])}{more}: {instead}", stacklevel=4)
    blocks: list[Symbol] = []
    homes: list[tuple[int, int]] = []  # the index of each input's column, and its index among that column's inputs
    numbers = {place: part for place, part in enumerate(encoder.parts) if isinstance(part, NumberInputs)}
    days = {place: part.days for place, part in enumerate(encoder.parts) if isinstance(part, Dates)}
    for group in (numbers, days):
        if group:
            x = graph.cast(graph.concatenate([columns[place] for place in group]), np.float64)
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
    return graph.concatenate(blocks)[:, sorted(range(len(homes)), key=homes.__getitem__)]


def _of_numbers(parts: Sequence[NumberInputs], x: Symbol) -> tuple[Symbol, list[tuple[int, int]]]:
    """Return the symbol of the inputs (N, K) of all numeric columns and their positions; see `NumberInputs`."""
    graph = x.graph
    centre, scale = (np.array([getattr(part, name) for part in parts]) for name in ("centre", "scale"))
    is_missing = graph.elementwise("IsNaN", x, dtype=bool)
    filled = where(is_missing, centre, x)
    z = clip((filled - centre) / scale, -LARGEST_SCALED, LARGEST_SCALED)
    blocks, homes = [z / sqrt(1 + (z / LIMIT) ** 2)], [(column, 0) for column in range(len(parts))]
    pieces = [(column, piece) for column, part in enumerate(parts) for piece in range(len(part.edges) - 1)]
    if pieces:
        low, high = (np.array([parts[column].edges[piece + end] for column, piece in pieces]) for end in (0, 1))
        x = filled[:, [column for column, _ in pieces]]
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
        blocks.append(graph.cast(is_missing[:, marked], np.float64))
        homes += [(column, parts[column].bends) for column in marked]
    mean, deviation = np.array([part.standard for part in parts]).T
    blocks.append(clip((filled - mean) / deviation, -MAX_DEVIATIONS, MAX_DEVIATIONS))
    homes += [(column, part.bends + part.marks_missing) for column, part in enumerate(parts)]
    return graph.concatenate(blocks), homes

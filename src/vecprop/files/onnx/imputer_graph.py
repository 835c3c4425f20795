"""SimpleImputer in ONNX: skl2onnx's converter makes no float64 that onnxruntime runs, and no indicator."""

from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer

from ...core.elementary import where
from .estimator_graph import graph_among, pour


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

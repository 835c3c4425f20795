"""A model as a Python file that needs NumPy alone, and that a person can read."""

import os
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import __version__
from ..estimators.classifier import MLPClassifier
from ..estimators.regressor import MLPRegressor
from ..tables.classifier import TabularClassifier
from ..tables.regressor import TabularRegressor
from .atomic import written_at_once
from .error import FileError
from .network_source import layers
from .preprocessing_source import prepared
from .source import Source
from .table_source import table_functions
from .trained import TrainedNetwork


def to_numpy(model: Any, path: str | os.PathLike[str] | None = None) -> str:
    """Return a model as Python source that needs NumPy only, and write it to a file if a path is given.

    The source has the functions ``predict(X)`` and, of a classifier, ``predict_proba(X)``. The formulas are the
    library's own, the parameters exact; predictions agree to rounding. That of a model of tables takes a data frame or
    a dict of columns, in which None and nan are missing.

    Parameters
    ----------
    model : TrainedNetwork, MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor or Pipeline
        What to write. Columns of a model of tables may be numbers and categories, not dates or text. Steps of a
        pipeline before the network may be StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, SimpleImputer and
        OneHotEncoder in their plain forms, FunctionTransformer without a function, and ColumnTransformer and pipelines
        of them.
    path : path, optional
        Where to write it; an older file is replaced at once.

    Returns
    -------
    str
        The source.

    Raises
    ------
    FileError
        Where a part is of the user's own, or a step or a column cannot be written so.

    Examples
    --------
    >>> network = Network(1, [Dense(1), ReLU()], SquaredError())
    >>> source = to_numpy(TrainedNetwork(network, np.array([2.0, 1.0])))
    >>> names = {}
    >>> exec(source, names)
    >>> names["predict"]([[3.0], [-3.0]])
    array([[7.],
           [0.]])
    """
    source = Source()
    if isinstance(model, TabularClassifier | TabularRegressor):
        check_is_fitted(model)
        table_functions(model, source)
        title = _title(type(model).__name__, "A table has", model.encoder_.names)
    else:
        title = _network_functions(model, source)
    text = source.text(title)
    if path is not None:
        with written_at_once(path) as file:
            file.write(text.encode())
    return text


def _network_functions(model: Any, source: Source) -> str:
    """Write down the functions of a network, an estimator or a pipeline; return what the file says of them."""
    steps, last = _steps(model)
    if isinstance(last, TrainedNetwork):
        network, theta = last.network, last.theta
    else:
        check_is_fitted(last)
        network, theta = last.network_, last.theta_
    if np.ndim(theta) != 1:
        raise FileError(f"theta has the members {np.shape(theta)[:-1]}, but source is of one network: give one row.")
    lines = [*prepared(steps, source), *layers(network, np.asarray(theta), source)]
    source.function("outputs", '"""Return the network\'s outputs, (N, O), for rows of inputs."""', *lines, "return X")
    if isinstance(last, MLPClassifier):
        _classifier(last, source)
    else:
        _regressor(last, source)
    kind = type(network if isinstance(last, TrainedNetwork) else last).__name__
    inputs = getattr(model, "n_features_in_", network.inputs)
    return _title(kind, "Rows have", getattr(model, "feature_names_in_", inputs))


def _steps(model: Any) -> tuple[list[Any], Any]:
    """Return the steps before a network, and the network."""
    *steps, last = [step for _, step in model.steps] if hasattr(model, "steps") else [model]
    if not isinstance(last, TrainedNetwork | MLPClassifier | MLPRegressor):
        raise FileError(
            f"A {type(last).__name__} cannot be written as NumPy source: give a TrainedNetwork(network, theta), an "
            "MLPClassifier or MLPRegressor, a pipeline that ends with one, or a TabularClassifier or TabularRegressor."
        )
    return steps, last


def _title(kind: str, have: str, columns: Any) -> str:
    """Return what stands at the top: whose predictions these are, and of which columns."""
    named = f"{columns} columns" if isinstance(columns, int) else f"the columns {', '.join(map(str, columns))}"
    return f"The predictions of a {kind}, written by vecprop {__version__}. {have} {named}. It needs NumPy only."


def _classifier(model: MLPClassifier, source: Source) -> None:
    """Write down how outputs become labels and probabilities."""
    one_output, multilabel = model.n_outputs_ == 1, model._targets.multilabel
    if hasattr(model, "predict_proba"):
        lines = ["return outputs(X)"]
        if one_output and not multilabel:
            lines = ["Y = outputs(X)", "return np.hstack([1 - Y, Y])"]
        source.function("predict_proba", '"""Return the probability of each class, (N, C)."""', *lines)
    if multilabel:
        said = '"""Return 1 for each label that a row has, else 0."""'
        source.function("predict", said, "return (outputs(X) > 0.5).astype(int)")
        return
    classes = source.constant("CLASSES", model.classes_)
    number = "(outputs(X)[:, 0] > 0.5).astype(int)" if one_output else "outputs(X).argmax(axis=1)"
    found = f"{classes}[{number}]" if len(model.classes_) > 1 else f"np.repeat({classes}, len(X))"
    source.function("predict", '"""Return the label of each row."""', f"return {found}")


def _regressor(model: TrainedNetwork | MLPRegressor, source: Source) -> None:
    """Write down how outputs become numbers in the units of training."""
    found = "outputs(X)"
    if isinstance(model, MLPRegressor):
        numbers = model._targets
        if model.scale_target:
            scale, shift = (source.constant(f"Y_{name.upper()}", getattr(numbers, name)) for name in ("scale", "shift"))
            found = f"{found} * {scale} + {shift}"
        if model.n_outputs_ == 1:
            found = f"({found}).ravel()"
    source.function("predict", '"""Return the prediction for each row."""', f"return {found}")

"""A model as a Python file that needs NumPy alone, and that a person can read."""

import os
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import __version__
from ..core.layers import Activation, Dense, Dropout, LayerNorm
from ..core.network import Network
from ..estimators.classifier import MLPClassifier
from ..estimators.regressor import MLPRegressor
from .atomic import written_at_once
from .error import FileError
from .preprocessing_source import prepared
from .source import Source
from .trained import TrainedNetwork

_LAYER_NORM = '''\
def layer_norm(X, g, b, epsilon):
    """Return rows of mean 0 and variance 1, times g plus b."""
    centred = X - X.mean(axis=1, keepdims=True)
    return g * centred / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + epsilon) + b
'''


def to_numpy(model: Any, path: str | os.PathLike[str] | None = None) -> str:
    """Return a model as Python source that needs NumPy only, and write it to a file if a path is given.

    The source has the functions ``predict(X)`` and, of a classifier, ``predict_proba(X)``. The formulas are the
    library's own, the parameters exact; predictions agree to rounding.

    Parameters
    ----------
    model : TrainedNetwork, MLPClassifier, MLPRegressor or Pipeline
        What to write. Steps of a pipeline before the network may be StandardScaler, MinMaxScaler, MaxAbsScaler,
        RobustScaler, SimpleImputer and OneHotEncoder in their plain forms, FunctionTransformer without a function, and
        ColumnTransformer and pipelines of them.
    path : path, optional
        Where to write it; an older file is replaced at once.

    Returns
    -------
    str
        The source.

    Raises
    ------
    FileError
        Where a part is of the user's own, or a step cannot be written so.

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
    steps, last = _steps(model)
    if isinstance(last, TrainedNetwork):
        network, theta = last.network, last.theta
    else:
        check_is_fitted(last)
        network, theta = last.network_, last.theta_
    if np.ndim(theta) != 1:
        raise FileError(f"theta has the members {np.shape(theta)[:-1]}, but source is of one network: give one row.")
    lines = [*prepared(steps, source), *_layers(network, np.asarray(theta), source)]
    source.function("outputs", '"""Return the network\'s outputs, (N, O), for rows of inputs."""', *lines, "return X")
    if isinstance(last, MLPClassifier):
        _classifier(last, source)
    else:
        _regressor(last, source)
    text = source.text(_title(model, last, network))
    if path is not None:
        with written_at_once(path) as file:
            file.write(text.encode())
    return text


def _steps(model: Any) -> tuple[list[Any], Any]:
    """Return the steps before a network, and the network."""
    *steps, last = [step for _, step in model.steps] if hasattr(model, "steps") else [model]
    if not isinstance(last, TrainedNetwork | MLPClassifier | MLPRegressor):
        raise FileError(
            f"A {type(last).__name__} cannot be written as NumPy source: give a TrainedNetwork(network, theta), an "
            "MLPClassifier or MLPRegressor, or a pipeline that ends with one."
        )
    return steps, last


def _title(model: Any, last: Any, network: Network) -> str:
    names = getattr(model, "feature_names_in_", None)
    inputs = getattr(model, "n_features_in_", network.inputs)
    columns = f"{inputs} columns" if names is None else f"the columns {', '.join(map(str, names))}"
    kind = type(network if isinstance(last, TrainedNetwork) else last).__name__
    return f"The predictions of a {kind}, written by vecprop {__version__}. Rows have {columns}. It needs NumPy only."


def _layers(network: Network, theta: np.ndarray, source: Source) -> list[str]:
    """Return the lines that turn inputs into outputs."""
    lines = [f"X = np.asarray(X, np.{theta.dtype})"]
    for number, (layer, p) in enumerate(zip(network.layers, network.layout.views(theta), strict=True)):
        named = {name: source.constant(f"{name}{number}", values) for name, values in p.items()}
        match layer:
            case Dense() if type(layer) is Dense:
                lines.append(f"X = X @ {named['W']} + {named['b']}")
            case LayerNorm() if type(layer) is LayerNorm:
                source.helper("layer_norm", _LAYER_NORM)
                lines.append(f"X = layer_norm(X, {named['g']}, {named['b']}, {layer.epsilon!r})")
            case Activation():
                lines += _applied(source.formulas.method(layer, "value"))
            case Dropout() if type(layer) is Dropout:
                pass
            case _:
                raise FileError(f"Layer {number}, {layer!r}, is not one of vecprop's own, which alone become source.")
    return lines + _applied(source.formulas.method(network.loss_function, "predict"))


def _applied(function: str | None) -> list[str]:
    return [] if function is None else [f"X = {function}(X)"]


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

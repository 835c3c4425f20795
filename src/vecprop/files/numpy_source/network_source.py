"""NumPy source for a network's layers and for scikit-learn's preprocessing steps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import preprocessing
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

from ...core import Activation, Dense, Dropout, LayerNorm, Network
from ...core.joints import Add, Branch, Concatenate, Fork, Select
from ...estimators.sklearn_compat import places_of_transformers
from .. import FileError
from .python_file import Source

_LAYER_NORM = '''\
def layer_norm(X, g, b, epsilon):
    """Standardize each row to mean 0 and variance 1, then scale by g and shift by b."""
    centred = X - X.mean(axis=1, keepdims=True)
    return g * centred / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + epsilon) + b
'''


def layers(
    network: Network, theta: np.ndarray, source: Source
) -> tuple[list[str], str]:
    """Return the lines that compute outputs from inputs X, and the names of the parameter constants.

    Parameters may have leading member axes. Custom layers raise an error.
    """
    lines = [
        f"X = np.asarray(X, np.{theta.dtype})",
        "if not np.isfinite(X).all():",
        (
            '    raise ValueError("X is not finite: fill or drop missing and infinite'
            ' values.")'
        ),
    ]
    names = []
    views = network.layout.views(theta)
    for number, (layer, p) in enumerate(zip(network.layers, views, strict=True)):
        constants = []
        for name, values in p.items():
            constants.append(source.constant(f"{name}{number}", values))
        names += constants
        output = _output(layer, _inputs(network, number), constants, source)
        if output is None:
            raise FileError(
                f"Layer {number}, {layer!r}, cannot be exported: only vecprop's"
                " built-in layers can."
            )
        if output != "X":
            lines.append(f"X = {output}")
        if _is_used_later(network, number):
            lines.append(f"X{number} = X")
    lines += _applied(source.formulas.method(network.loss_function, "predict"))
    return lines, ", ".join(names)


def _inputs(network: Network, number: int) -> list[str]:
    """Return the names of a layer's inputs: X, the output of the preceding layer, or an output that is used later."""
    names = []
    for source in network._sources[number]:
        names.append("X" if source == number - 1 else f"X{source}")
    return names


def _is_used_later(network: Network, number: int) -> bool:
    """Return whether another layer than the next takes the output of a layer."""
    return any(number in sources for sources in network._sources[number + 2 :])


def _output(
    layer, inputs: list[str], constants: list[str], source: Source
) -> str | None:
    """Return an expression for the output of a layer, or None if the layer has no NumPy source."""
    X = inputs[0]
    if isinstance(layer, Activation):
        function = source.formulas.method(layer, "value")
        return X if function is None else f"{function}({X})"
    if type(layer) is Dense:
        W, b = constants
        return f"{X} @ {W} + {b}"
    if type(layer) is LayerNorm:
        g, b = constants
        source.helper("layer_norm", _LAYER_NORM)
        return f"layer_norm({X}, {g}, {b}, {layer.epsilon!r})"
    if type(layer) is Select:
        return f"{X}[:, {list(layer.columns)}]"
    if type(layer) is Add:
        return " + ".join(inputs)
    if type(layer) is Concatenate:
        return f"np.hstack([{', '.join(inputs)}])"
    if type(layer) in (Dropout, Fork, Branch):
        return X
    return None


def network_function(
    name: str, network: Network, thetas: np.ndarray, source: Source
) -> str:
    """Add a function for one of M networks with parameters (M, P); return the parameter names."""
    lines, parameters = layers(network, thetas, source)
    lines = ['"""Return the outputs of one network, (N, O)."""', *lines, "return X"]
    source.function(name, *lines, arguments=f"X, {parameters}")
    return parameters


def _applied(function: str | None):
    """Return the lines that apply a function to X; None is the identity."""
    return [] if function is None else [f"X = {function}(X)"]


_ONE_HOT = '''\
def one_hot(X, categories, strict):
    """Return a column of zeros and ones for each category of each column."""
    blocks = [X[:, [column]] == known for column, known in enumerate(categories)]
    if strict and not all(block.any(axis=1).all() for block in blocks):
        raise ValueError("X has a category that did not occur in training.")
    return np.hstack(blocks).astype(float)
'''

_IMPUTED = '''\
def imputed(X, values):
    """Return X with missing values replaced by the value of their column."""
    return np.where(np.isnan(X), values, X)
'''


def prepared(steps: Sequence[Any], source: Source) -> list[str]:
    """Return the lines that compute the network's inputs from rows X."""
    lines = []
    for step in steps:
        expression = _expression(step, "X", source)
        if expression != "X":
            lines.append(f"X = {expression}")
    if not lines:
        return []
    # Only object arrays can mix numbers and text.
    dtype = "object" if "one_hot" in "".join(lines) else "float"
    return [f"X = np.asarray(X, {dtype})", *lines]


def _expression(step, X: str, source: Source):
    """Return an expression for the output of a fitted step whose input is the expression X."""
    match step:
        case None | "passthrough":
            return X
        case preprocessing.FunctionTransformer(func=None):
            return X
        case Pipeline():
            for _, inner in step.steps:
                X = _expression(inner, X, source)
            return X
        case ColumnTransformer() if not step.transformer_weights:
            return _columns(step, X, source)
        case preprocessing.OneHotEncoder():
            return _one_hot(step, X, source)
        case SimpleImputer() if _is_plain(step):
            source.helper("imputed", _IMPUTED)
            return (
                f"imputed({_numbers(X)}, {source.constant('FILL', step.statistics_)})"
            )
        case preprocessing.StandardScaler():
            return _scaled(
                X, step.with_mean and step.mean_, step.with_std and step.scale_, source
            )
        case preprocessing.RobustScaler():
            return _scaled(
                X,
                step.with_centering and step.center_,
                step.with_scaling and step.scale_,
                source,
            )
        case preprocessing.MaxAbsScaler() if not getattr(step, "clip", False):
            return _scaled(X, False, step.scale_, source)
        case preprocessing.MinMaxScaler():
            scale = source.constant("SCALE", step.scale_)
            scaled = f"{_numbers(X)} * {scale} + {source.constant('SHIFT', step.min_)}"
            if step.clip:
                return (
                    f"np.clip({scaled}, {step.feature_range[0]},"
                    f" {step.feature_range[1]})"
                )
            return scaled
    raise FileError(
        f"{step!r} cannot be written as NumPy source: use `save`, or `to_onnx`."
    )


def _numbers(X: str):
    """Return an expression for X as floats, since mixed columns are stored as objects."""
    return X if X.startswith(("imputed", "(")) else f"{X}.astype(float)"


def _scaled(X: str, shift, scale, source: Source):
    """Return an expression for (X - shift) / scale; pass False to omit shift or scale."""
    X = _numbers(X)
    if shift is not False:
        X = f"({X} - {source.constant('SHIFT', shift)})"
    if scale is not False:
        X = f"{X} / {source.constant('SCALE', scale)}"
    return X


def _one_hot(step: preprocessing.OneHotEncoder, X: str, source: Source):
    """Return an expression for a one-hot encoding."""
    is_supported = (
        step.handle_unknown in ("error", "ignore")
        and step.drop is None
        and not getattr(step, "_infrequent_enabled", False)
    )
    for categories in step.categories_:
        # NaN differs from itself
        if None in categories.tolist() or (categories != categories).any():
            is_supported = False
    if not is_supported:
        raise FileError(
            f"{step!r} cannot be written as NumPy source, which does not support"
            " missing, dropped or infrequent categories: use `save`, or `to_onnx`."
        )
    source.helper("one_hot", _ONE_HOT)
    names = []
    for categories in step.categories_:
        names.append(source.constant("CATEGORIES", categories))
    is_strict = step.handle_unknown == "error"
    return f"one_hot({X}, [{', '.join(names)}], {is_strict})"


def _is_plain(step: SimpleImputer):
    """Return whether an imputer only replaces NaN by numbers."""
    missing = step.missing_values
    if not isinstance(missing, float) or not np.isnan(missing) or step.add_indicator:
        return False
    values = np.asarray(step.statistics_)
    return values.dtype.kind == "f" and bool(np.isfinite(values).all())


def _columns(step: ColumnTransformer, X: str, source: Source):
    """Return an expression for the blocks of columns that the transformers of a step return."""
    blocks = []
    columns = places_of_transformers(step)
    for name, transformer, _ in step.transformers_:
        is_dropped = isinstance(transformer, str) and transformer == "drop"
        if is_dropped or not columns[name]:
            continue
        block = _expression(transformer, f"{X}[:, {columns[name]}]", source)
        # columns that pass through may be a part of an object array
        if block.startswith(f"{X}[") and "one_hot" not in block:
            block = _numbers(block)
        blocks.append(block)
    return f"np.hstack([{', '.join(blocks)}])"

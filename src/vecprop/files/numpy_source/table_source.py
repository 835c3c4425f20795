"""NumPy source for tabular models: columns, networks and predictions."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ...tables.classifier import TabularClassifier
from ...tables.ensemble.calibration import Residuals, positive_of
from ...tables.ensemble.ensemble import temperature_scaled
from ...tables.regressor import TabularRegressor
from .. import FileError
from .network_source import network_function
from .python_file import Source

_IS_MISSING = '''\
def is_missing(value):
    """Return whether a value is None, nan, or a data frame's missing value."""
    return type(value).__name__ in ("NoneType", "NAType", "NaTType") or value != value
'''


def table_functions(model: TabularClassifier | TabularRegressor, source: Source, coverage: float | None) -> None:
    """Add the functions of a fitted tabular model, with intervals if coverage is given."""
    check_is_fitted(model)
    _inputs(model, source)
    _together(model, source)
    if isinstance(model, TabularClassifier):
        _classifier(model, source)
        return
    _regressor(model, source)
    if coverage is not None:
        _intervals(model, source, coverage)


def _inputs(model: TabularClassifier | TabularRegressor, source: Source) -> None:
    """Add the function that computes the networks' inputs from a table's columns."""
    encoder, calls = model.encoder_, []
    source.helper("is_missing", _IS_MISSING)
    for name, part in zip(encoder.names, encoder.parts, strict=True):
        if (call := part.to_source(name, source)) is None:
            taken = "NumPy source supports only numbers, categories and dates: train without it, or use `save`."
            raise FileError(f"Column {name!r} has the kind {part.kind!r}, but {taken}")
        calls.append(f"    {call},")
    lines = ["blocks = [", *calls, "]", "return np.hstack(blocks)"]
    if not hasattr(model, "feature_names_in_"):
        lines.insert(0, 'table = {f"x{number}": column for number, column in enumerate(np.asarray(table, object).T)}')
    elif any(name.isdigit() for name in encoder.names):  # a frame may have integers as column names
        lines.insert(0, "table = {str(name): table[name] for name in table}")
    source.function("inputs", '"""Return the networks\' inputs for a table, (N, I)."""', *lines, arguments="table")


def _together(model: TabularClassifier | TabularRegressor, source: Source) -> None:
    """Add the function that combines the predictions of each fold's networks."""
    ensembles, folds = model._ensembles, model.ensemble_.folds
    shares = source.constant("SHARES", [[view.share for view in ensemble.views] for ensemble in ensembles])
    names, lines = [], []
    for place, view in enumerate(model.ensemble_.views):
        thetas = np.concatenate([ensemble.views[place].thetas for ensemble in ensembles])
        name = view.view if view.stage == 1 else f"{view.view}_{view.stage}"
        parameters = network_function(f"network_of_{name}", view.network, thetas, source).split(", ")
        Y = f"network_of_{name}(X[:, {source.constant(name.upper(), view.inputs)}], *theta).astype(float)"
        if view.inverse_temperature is not None:
            Y = f"{source.formulas.function(temperature_scaled)}({Y}, {view.inverse_temperature!r})"
        own = ", ".join(f"{name}[folds]" for name in parameters)
        names.append(name)
        lines.append(f"{name} = {shares}[ensemble, {place}] * np.stack([{Y} for theta in zip({own})])")
    said = '"""Return the combined prediction of each fold\'s networks, (M, N, O), for inputs (N, I)."""'
    chosen = f"folds = slice({folds} * ensemble, {folds} * (ensemble + 1))"
    source.function("together", said, chosen, *lines, f"return {' + '.join(names)}", arguments="X, ensemble=0")


def _classifier(model: TabularClassifier, source: Source) -> None:
    """Add the functions that convert the networks' outputs to probabilities and classes."""
    scaled = source.formulas.function(temperature_scaled)
    said = '"""Return the probability of each class, (N, C), for a data frame or a dict of columns."""'
    each = f"{scaled}(P, {model.inverse_temperature_!r}) for P in together(inputs(table))"
    source.function("predict_proba", said, f"return np.mean([{each}], axis=0)", arguments="table")
    classes, threshold = source.constant("CLASSES", model.classes_), getattr(model, "threshold_", None)
    positive = positive_of(model)
    said, number = "the most probable class of each row", "predict_proba(table).argmax(axis=1)"
    if threshold is not None:
        rows = f"rows whose probability of it is above {threshold:.4g}, else the other class"
        said = f"the positive class (index {positive}) for {rows}"
        number = f"np.where(predict_proba(table)[:, {positive}] > {threshold!r}, {positive}, {1 - positive})"
    source.function("predict", f'"""Return {said}."""', f"return {classes}[{number}]", arguments="table")


def _regressor(model: TabularRegressor, source: Source) -> None:
    """Add the functions that convert the networks' outputs to predictions in the units of the target."""
    scale, shift = (np.asarray(value).item() for value in (model.targets_.scale, model.targets_.shift))
    low, high = model.range_
    said = '"""Return the prediction of each fold\'s networks in the units of the target, (M, N)."""'
    each = f"np.clip(together(X, ensemble)[:, :, 0] * {scale!r} + {shift!r}, {low!r}, {high!r})"
    source.function("each", said, f"return {each}", arguments="X, ensemble=0")
    said = '"""Return the prediction for each row of a data frame or a dict of columns."""'
    source.function("predict", said, "return each(inputs(table)).mean(axis=0)", arguments="table")


def _intervals(model: TabularRegressor, source: Source, coverage: float) -> None:
    """Add the function that returns prediction intervals."""
    residuals = model.residuals_
    distances = f"{source.constant('DISTANCES', residuals.sizes)}, float({str(residuals.groups)!r})"
    ends = "each(X, 1), each(X, 2)" if model._ensembles[1:] else "middle, middle"
    interval = source.formulas.function(Residuals.interval, attributes=["sizes", "groups"])
    said = '"""Return intervals, (N, 2), that contain about this share of the targets, at least 0.5."""'
    lines = ["X = inputs(table)", "middle = each(X)", f"low, high = {interval}({ends}, coverage, {distances}).T"]
    lines += ["predicted = middle.mean(axis=0)"]
    lines += ["return np.stack([np.minimum(low, predicted), np.maximum(high, predicted)], axis=1)"]
    source.function("predict_interval", said, *lines, arguments=f"table, coverage={float(coverage)!r}")

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


def table_functions(
    model: TabularClassifier | TabularRegressor, source: Source, coverage: float | None
):
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


def _inputs(model: TabularClassifier | TabularRegressor, source: Source):
    """Add the function that computes the networks' inputs from a table's columns."""
    names = model.encoder_.names
    source.helper("is_missing", _IS_MISSING)
    lines = []
    if not hasattr(model, "feature_names_in_"):
        lines.append(
            'table = {f"x{number}": column for number, column in'
            " enumerate(np.asarray(table, object).T)}"
        )
    elif any(map(str.isdigit, names)):  # a frame may have integers as column names
        lines.append("table = {str(name): table[name] for name in table}")
    lines.append("blocks = [")
    for name, part in zip(names, model.encoder_.parts, strict=True):
        block = part.to_source(name, source)
        if block is None:
            raise FileError(
                f"Column {name!r} has the kind {part.kind!r}, but NumPy source supports"
                " only numbers, categories and dates: train without it, or use `save`."
            )
        lines.append(f"    {block},")
    source.function(
        "inputs",
        '"""Return the networks\' inputs for a table, (N, I)."""',
        *lines,
        "]",
        "return np.hstack(blocks)",
        arguments="table",
    )


def _together(model: TabularClassifier | TabularRegressor, source: Source):
    """Add the function that combines the predictions of each fold's networks."""
    ensembles = model._ensembles
    folds = model.ensemble_.folds
    shares_of_views = []
    for ensemble in ensembles:
        shares_of_views.append([view.share for view in ensemble.views])
    shares = source.constant("SHARES", shares_of_views)
    names = []
    lines = [
        (
            '"""Return the combined prediction of each fold\'s networks, (M, N, O), for'
            ' inputs (N, I)."""'
        ),
        f"folds = slice({folds} * ensemble, {folds} * (ensemble + 1))",
    ]
    for index, view in enumerate(model.ensemble_.views):
        thetas = np.concatenate(
            [ensemble.views[index].thetas for ensemble in ensembles]
        )
        name = view.view
        if view.stage > 1:
            name = f"{name}_{view.stage}"
        parameters = network_function(
            f"network_of_{name}", view.network, thetas, source
        )
        Y = (
            f"network_of_{name}(X[:, {source.constant(name.upper(), view.inputs)}],"
            " *theta).astype(float)"
        )
        if view.inverse_temperature is not None:
            Y = (
                f"{source.formulas.function(temperature_scaled)}({Y},"
                f" {view.inverse_temperature!r})"
            )
        fold_parameters = parameters.replace(",", "[folds],") + "[folds]"
        names.append(name)
        lines.append(
            f"{name} = {shares}[ensemble, {index}] * np.stack([{Y} for theta in"
            f" zip({fold_parameters})])"
        )
    source.function(
        "together", *lines, f"return {' + '.join(names)}", arguments="X, ensemble=0"
    )


def _classifier(model: TabularClassifier, source: Source):
    """Add the functions that convert the networks' outputs to probabilities and classes."""
    scaled = source.formulas.function(temperature_scaled)
    source.function(
        "predict_proba",
        '"""Return the probability of each class, (N, C), for a data frame or a dict of'
        ' columns."""',
        f"return np.mean([{scaled}(P, {model.inverse_temperature_!r}) for P in"
        " together(inputs(table))], axis=0)",
        arguments="table",
    )
    description = "the most probable class of each row"
    class_index = "predict_proba(table).argmax(axis=1)"
    threshold = getattr(model, "threshold_", None)
    if threshold is not None:
        positive = positive_of(model)
        negative = 1 - positive
        description = (
            f"the positive class (index {positive}) for rows whose probability of it is"
            f" above {threshold:.4g}, else the other class"
        )
        is_positive = f"predict_proba(table)[:, {positive}] > {threshold!r}"
        class_index = f"np.where({is_positive}, {positive}, {negative})"
    classes = source.constant("CLASSES", model.classes_)
    source.function(
        "predict",
        f'"""Return {description}."""',
        f"return {classes}[{class_index}]",
        arguments="table",
    )


def _regressor(model: TabularRegressor, source: Source):
    """Add the functions that convert the networks' outputs to predictions in the units of the target."""
    scale = np.asarray(model.targets_.scale).item()
    shift = np.asarray(model.targets_.shift).item()
    low, high = model.range_
    if model._exposure_column is not None:
        raise FileError(
            "NumPy source cannot contain predictions for an exposure: use `save`."
        )
    source.function(
        "each",
        '"""Return the prediction of each fold\'s networks in the units of the target,'
        ' (M, N)."""',
        f"return np.clip(together(X, ensemble)[:, :, 0] * {scale!r} + {shift!r},"
        f" {low!r}, {high!r})",
        arguments="X, ensemble=0",
    )
    source.function(
        "predict",
        '"""Return the prediction for each row of a data frame or a dict of'
        ' columns."""',
        "return each(inputs(table)).mean(axis=0)",
        arguments="table",
    )


def _intervals(model: TabularRegressor, source: Source, coverage: float):
    """Add the function that returns prediction intervals."""
    residuals = model.residuals_
    sizes = source.constant("DISTANCES", residuals.sizes)
    groups = f"float({str(residuals.groups)!r})"
    # Networks for quantiles predict the ends, else both ends are the prediction.
    ends = "middle, middle"
    if len(model._ensembles) > 1:
        ends = "each(X, 1), each(X, 2)"
    attributes = ["sizes", "groups", "power", "is_count"]
    interval = source.formulas.function(Residuals.interval, attributes=attributes)
    source.function(
        "predict_interval",
        '"""Return intervals, (N, 2), that contain about this share of the targets, at'
        ' least 0.5."""',
        "X = inputs(table)",
        "middle = each(X)",
        f"low, high = {interval}({ends}, coverage, {sizes}, {groups},"
        f" {residuals.power!r}, {residuals.is_count!r}).T",
        "predicted = middle.mean(axis=0)",
        "return np.stack([np.minimum(low, predicted), np.maximum(high, predicted)],"
        " axis=1)",
        arguments=f"table, coverage={float(coverage)!r}",
    )

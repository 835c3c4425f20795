"""Models of tables as NumPy source: columns, networks, and predictions."""

from dataclasses import astuple

import numpy as np

from ...tables.classifier import TabularClassifier
from ...tables.encoding.columns import Categories, Dates, NumberInputs, calendar_inputs
from ...tables.encoding.encoder import Inputs
from ...tables.encoding.target_means import TargetMeans
from ...tables.ensemble.ensemble import temperature_scaled
from ...tables.ensemble.intervals import Residuals
from ...tables.ensemble.threshold import positive_of
from ...tables.kinds.dates import FORMS, MONTHS, ONE_MEANING, TIME, DateReading, days_of
from ...tables.kinds.number_formats import NumberReading, number_of
from ...tables.kinds.values import MISSING, category_name
from ...tables.regressor import TabularRegressor
from .. import FileError
from .network_source import network_function
from .python_file import Source

_IS_MISSING = '''\
def is_missing(value):
    """Return whether a value is None, nan, or a data frame's missing value."""
    return type(value).__name__ in ("NoneType", "NAType", "NaTType") or value != value
'''
_NUMBERS = '''\
def number(value, signs):
    """Return a number, of a number, a truth value, or text of them; empty text is missing."""
    if is_missing(value) or value == "":
        return np.nan
    x = number_of(value, *signs) if isinstance(value, str) else float(value)
    if x is None:
        raise ValueError(f"{value!r} is no number as training read them, with the signs {signs}.")
    return x


def numbers(column, centre, scale, edges, marks_missing, standard, scores, signs=(".", "", "")):
    """Return the inputs of a column of numbers; signs are those of text: decimal, between thousands, and the unit."""
    x = np.asarray(column)
    if x.dtype.kind in "mM":
        raise TypeError("This column holds times, not numbers.")
    if x.dtype.kind not in "biuf":
        x = [number(value, signs) for value in x.astype(object)]
    return number_inputs(np.asarray(x, float), centre, scale, np.array(edges), marks_missing, standard, scores)
'''
_DATES = '''\
def day(value, forms, format):
    """Return the days since 1970 of a date, a time, or text as in training; empty text is missing."""
    if is_missing(value) or value == "":
        return np.nan
    if hasattr(value, "isoformat") or isinstance(value, np.datetime64):
        return np.datetime64(value, "ms").astype(float) / 86_400_000
    days = days_of(str(value), forms, format)
    if days is None:
        raise ValueError(f"{value!r} is no date that is written as {format or ' or '.join([*forms, *ONE_MEANING])} is.")
    return days


def dates(column, centre, scale, edges, marks_missing, standard, scores, day_waves, forms=(), format=None):
    """Return the inputs of a column of dates."""
    times = np.asarray(column)
    if times.dtype.kind == "M":
        days = np.where(np.isnat(times), np.nan, times.astype("datetime64[ms]").astype(float) / 86_400_000)
    else:
        days = np.array([day(value, forms, format) for value in times.astype(object)], float)
    numbers = number_inputs(days, centre, scale, np.array(edges), marks_missing, standard, scores)
    return np.hstack([numbers, calendar_inputs(days, day_waves)])
'''
_CATEGORIES = '''\
MISSING = "\\0missing"


def categories(column, names, buckets, others=(), means=None):
    """Return an input of 0 or 1 for each name, and inputs that other names share by checksum; empty text is a name.

    Then come mean targets by name, if there are any, and those of all others.
    """
    known = {name: place for place, name in enumerate(names)}
    values = np.asarray(column, object)
    column = [MISSING if is_missing(value) else category_name(value) for value in values]
    places = [known.get(name, len(names) + zlib.crc32(name.encode()) % buckets) for name in column]
    told = np.reshape([(means or {}).get(name, others) for name in column], (len(column), len(others)))
    return np.hstack([np.equal.outer(places, np.arange(len(names) + buckets)), told])
'''


def table_functions(model: TabularClassifier | TabularRegressor, source: Source, coverage: float | None) -> None:
    """Add the functions of a fitted model of tables; that of intervals if coverage is given.

    Raises
    ------
    FileError
        If a column is text, or a layer is the user's own.
    """
    _inputs(model, source)
    _together(model, source)
    if isinstance(model, TabularClassifier):
        _classifier(model, source)
    else:
        _regressor(model, source)
        if coverage is not None:
            _intervals(model, source, coverage)


def _inputs(model: TabularClassifier | TabularRegressor, source: Source) -> None:
    """Add the function from a table's columns to the networks' inputs."""
    encoder = model.encoder_
    calls = [f"    {_call(name, part)}," for name, part in zip(encoder.names, encoder.parts, strict=True)]
    kinds = {type(part) for part in encoder.parts}
    source.helper("is_missing", _IS_MISSING)
    if kinds & {NumberInputs, Dates}:
        attributes = ["centre", "scale", "edges", "marks_missing", "standard", "scores"]
        source.formulas.function(NumberInputs.of_values, "number_inputs", attributes)
    if NumberInputs in kinds:
        source.helper("WORDS", 'WORDS = {"true": 1.0, "false": 0.0, "none": np.nan}\n')
        source.helper("numbers", _NUMBERS)
        source.formulas.function(number_of)
    if Dates in kinds:
        forms = {form for part in encoder.parts if isinstance(part, Dates) for form in _reading(part).forms}
        source.helper("FORMS", _forms(forms), module="re")
        source.helper("dates", _DATES, module="datetime")
        source.formulas.function(calendar_inputs)
        source.formulas.function(days_of)
    if Categories in kinds:
        source.helper("categories", _CATEGORIES, module="zlib")
        source.formulas.function(category_name)
    lines = ["blocks = [", *calls, "]", "return np.hstack(blocks)"]
    if not hasattr(model, "feature_names_in_"):
        lines.insert(0, 'table = {f"x{number}": column for number, column in enumerate(np.asarray(table, object).T)}')
    elif any(name.isdigit() for name in encoder.names):  # which may be numbers in a frame
        lines.insert(0, "table = {str(name): table[name] for name in table}")
    source.function("inputs", '"""Return the networks\' inputs for a table, (N, I)."""', *lines, arguments="table")


def _forms(forms: set[str]) -> str:
    """Return the constants that say how dates are written: these forms, and those that have one meaning."""
    patterns = {form: pattern for form, pattern in FORMS.items() if form in {*forms, *ONE_MEANING}}
    lines = ["FORMS = {", *(f"    {form!r}: {pattern!r}," for form, pattern in patterns.items()), "}"]
    lines += [f"ONE_MEANING = {list(ONE_MEANING)!r}", f"TIME = {TIME!r}", f"MONTHS = {MONTHS!r}"]
    return "\n".join(lines) + "\n"


def _reading(part: Dates) -> DateReading:
    """Return how text of dates is read, also in models of earlier versions."""
    return part.reading or DateReading.guessing(part.day_first)


def _call(name: str, part: Inputs) -> str:
    """Return an expression for the inputs of a column."""
    if isinstance(part, NumberInputs):
        signs = "" if part.reading in (None, NumberReading()) else f", {astuple(part.reading)!r}"
        return f"numbers(table[{name!r}], {_settings(part)}{signs})"
    if isinstance(part, Dates):
        reading = _reading(part)
        how = "" if reading == DateReading() else f", {list(reading.forms)!r}, {reading.format!r}"
        return f"dates(table[{name!r}], {_settings(part.days)}, {part.day_waves}{how})"
    if isinstance(part, Categories):
        names = ", ".join("MISSING" if known == MISSING else repr(known) for known in part.names.tolist())
        means = "" if part.means is None else f", {_means(part.means)}"
        return f"categories(table[{name!r}], [{names}], {part.buckets}{means})"
    raise FileError(
        f"Column {name!r} is of {part.kind}, but NumPy source takes numbers, categories and dates only: train without "
        "it, or use `save`."
    )


def _means(means: TargetMeans) -> str:
    """Return the mean targets of other names and of each name as arguments."""
    by_name = dict(zip(means.names.tolist(), means.means.tolist(), strict=True))
    return f"{[0.0] * means.width}, {by_name}"


def _settings(part: NumberInputs) -> str:
    """Return the fields of `NumberInputs` as arguments."""
    standard = None if part.standard is None else tuple(map(float, part.standard))
    scores = None if part.scores is None else part.scores.tolist()
    of_pieces = f"{float(part.centre)!r}, {float(part.scale)!r}, {part.edges.tolist()}"
    return f"{of_pieces}, {part.marks_missing}, {standard!r}, {scores}"


def _together(model: TabularClassifier | TabularRegressor, source: Source) -> None:
    """Add the function of what the networks of each fold predict together."""
    ensembles, folds = model.ensembles, model.ensemble_.folds
    shares = source.constant("SHARES", [[view.share for view in ensemble.views] for ensemble in ensembles])
    names, lines = [], []
    for place, view in enumerate(model.ensemble_.views):
        thetas = np.concatenate([ensemble.views[place].thetas for ensemble in ensembles])
        name = view.view if view.stage == 1 else f"{view.view}_{view.stage}"
        parameters = network_function(f"network_of_{name}", view.network, thetas, source).split(", ")
        own = source.constant(name.upper(), view.inputs)
        Y = f"network_of_{name}(X[:, {own}], *theta).astype(float)"
        if view.inverse_temperature is not None:
            Y = f"{source.formulas.function(temperature_scaled)}({Y}, {view.inverse_temperature!r})"
        own = ", ".join(f"{name}[folds]" for name in parameters)
        names.append(name)
        lines.append(f"{name} = {shares}[ensemble, {place}] * np.stack([{Y} for theta in zip({own})])")
    source.function(
        "together",
        '"""Return what the networks of each fold predict together, (M, N, O), for inputs (N, I)."""',
        f"folds = slice({folds} * ensemble, {folds} * (ensemble + 1))",
        *lines,
        f"return {' + '.join(names)}",
        arguments="X, ensemble=0",
    )


def _classifier(model: TabularClassifier, source: Source) -> None:
    """Add the functions from the networks' outputs to probabilities and classes."""
    scaled = source.formulas.function(temperature_scaled)
    source.function(
        "predict_proba",
        '"""Return the probability of each class, (N, C), for a table: a data frame, or a dict of columns."""',
        f"return np.mean([{scaled}(P, {model.inverse_temperature_!r}) for P in together(inputs(table))], axis=0)",
        arguments="table",
    )
    classes, threshold = source.constant("CLASSES", model.classes_), getattr(model, "threshold_", None)
    positive = positive_of(model)
    said, number = "the most probable class of each row of a table", "predict_proba(table).argmax(axis=1)"
    if threshold is not None:
        said = (
            f"the positive class, number {positive}, for each row of a table whose probability of it is above "
            f"{threshold:.4g}, else the other one"
        )
        number = f"np.where(predict_proba(table)[:, {positive}] > {threshold!r}, {positive}, {1 - positive})"
    source.function(
        "predict",
        f'"""Return {said}."""',
        f"return {classes}[{number}]",
        arguments="table",
    )


def _regressor(model: TabularRegressor, source: Source) -> None:
    """Add the functions from the networks' outputs to predictions in the units of the target."""
    scale, shift = (np.asarray(value).item() for value in (model._targets.scale, model._targets.shift))
    low, high = model.range_
    source.function(
        "each",
        '"""Return the prediction of the networks of each fold in the units of the target, (M, N)."""',
        f"return np.clip(together(X, ensemble)[:, :, 0] * {scale!r} + {shift!r}, {low!r}, {high!r})",
        arguments="X, ensemble=0",
    )
    source.function(
        "predict",
        '"""Return the prediction for each row of a table: a data frame, or a dict of columns."""',
        "return each(inputs(table)).mean(axis=0)",
        arguments="table",
    )


def _intervals(model: TabularRegressor, source: Source, coverage: float) -> None:
    """Add the function of intervals around the predictions."""
    residuals = model.residuals_
    distances = f"{source.constant('DISTANCES', residuals.sizes)}, float({str(residuals.groups)!r})"
    ends = "each(X, 1), each(X, 2)" if model.ensembles[1:] else "middle, middle"
    interval = source.formulas.function(Residuals.interval, attributes=["sizes", "groups"])
    source.function(
        "predict_interval",
        '"""Return intervals, (N, 2), that contain the targets of about this share of rows, from 0.5 to 1."""',
        "X = inputs(table)",
        "middle = each(X)",
        f"low, high = {interval}({ends}, coverage, {distances}).T",
        "predicted = middle.mean(axis=0)",
        "return np.stack([np.minimum(low, predicted), np.maximum(high, predicted)], axis=1)",
        arguments=f"table, coverage={float(coverage)!r}",
    )

"""Export a model as readable Python source that depends only on NumPy."""

from typing import Any

import numpy as np

from ... import __version__
from ...tables.classifier import TabularClassifier
from ...tables.regressor import TabularRegressor
from .. import FileError
from ..atomic import FilePath, written_at_once
from ..networks import (
    CLASSIFIERS,
    REGRESSORS,
    Averaged,
    TrainedNetwork,
    averaged,
    require_intervals,
    theta_of_one,
)
from .network_source import layers, network_function, prepared
from .python_file import Source
from .table_source import table_functions


def to_numpy(
    model: Any, path: FilePath | None = None, *, coverage: float | None = None
) -> str:
    """Export a model as Python source that depends only on NumPy.

    The source defines ``predict(X)`` and, for classifiers, ``predict_proba(X)``. The
    formulas are copied from the library, and the parameters are exact. Predictions
    agree with the model up to rounding. For a tabular model, the functions accept a
    data frame or a dict of columns, with None and nan for missing values.

    Parameters
    ----------
    model : TrainedNetwork, MLPClassifier, MLPRegressor, their ensembles,
    TabularClassifier, -Regressor or Pipeline
        The model. A tabular model may have numeric, categorical and date columns, but
        no text. The supported pipeline steps are StandardScaler, MinMaxScaler,
        MaxAbsScaler, RobustScaler, SimpleImputer and OneHotEncoder with basic options,
        FunctionTransformer without a function, and ColumnTransformer and pipelines of
        these.
    path : path, optional
        A file for the source. An existing file is replaced atomically.
    coverage : float, optional
        For a `TabularRegressor`, the default coverage of the function
        ``predict_interval(table, coverage)``, which the source then defines.

    Returns
    -------
    str
        The source.

    Raises
    ------
    FileError
        If a custom part, a step or a column cannot be written as source, a model has no
        intervals, or theta does not fit its network.
    ValueError
        If coverage is not in [0.5, 1).
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

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
    if isinstance(model, TabularClassifier | TabularRegressor):
        model._require_one_target("be exported")
    if coverage is not None:
        require_intervals(model, coverage)
    source = Source()
    if isinstance(model, TabularClassifier | TabularRegressor):
        table_functions(model, source, coverage)
        title = _title(type(model).__name__, "A table has", model.encoder_.names)
    else:
        title = _network_functions(model, source)
    text = source.text(title)
    if path is not None:
        with written_at_once(path) as file:
            file.write(text.encode())
    return text


def _network_functions(model, source: Source):
    """Add the functions for a network, an estimator or a pipeline; return the title of the file."""
    steps = [model]
    if hasattr(model, "steps"):
        steps = [step for _, step in model.steps]
    *preprocessing, last = steps
    kind = type(last).__name__
    if isinstance(last, TrainedNetwork):
        networks = Averaged(last.network, theta_of_one(last, "source")[None])
        kind = type(last.network).__name__
    elif isinstance(last, (*CLASSIFIERS, *REGRESSORS)):
        networks = averaged(last)
    else:
        raise FileError(
            f"A {kind} cannot be written as NumPy source: give a"
            " TrainedNetwork(network, theta), an MLPClassifier or MLPRegressor, an"
            " ensemble of them, a pipeline that ends with one of these, or a"
            " TabularClassifier or TabularRegressor."
        )
    _outputs(prepared(preprocessing, source), networks, source)
    if isinstance(last, CLASSIFIERS):
        _classifier(last, source)
    else:
        _regressor(last, source)
    inputs = getattr(model, "n_features_in_", networks.network.inputs)
    return _title(kind, "Rows have", getattr(model, "feature_names_in_", inputs))


def _outputs(preprocessing: list[str], networks: Averaged, source: Source):
    """Add the function `outputs`: lines of preprocessing, then a network or the mean of several networks."""
    network, thetas, columns = networks
    if len(thetas) == 1 and columns is None:
        network_lines, _ = layers(network, thetas[0], source)
        source.function(
            "outputs",
            '"""Return the network\'s outputs, (N, O), for rows of inputs."""',
            *preprocessing,
            *network_lines,
            "return X",
        )
        return
    parameters = network_function("network", network, thetas, source=source)
    outputs = f"network(X, *theta) for theta in zip({parameters})"
    if columns is not None:
        columns_by_member = source.constant("COLUMNS", columns)
        outputs = (
            "network(X[:, columns], *theta) for columns, *theta in"
            f" zip({columns_by_member}, {parameters})"
        )
    source.function(
        "outputs",
        '"""Return the mean of the networks\' outputs, (N, O), for rows of inputs."""',
        *(preprocessing or ["X = np.asarray(X)"]),
        f"return np.mean([{outputs}], axis=0)",
    )


def _title(kind: str, have: str, columns):
    """Return the title of the file, which names the model's class and columns."""
    text = f"{columns} columns"
    if not isinstance(columns, int):
        text = f"the columns {', '.join(map(str, columns))}"
    return (
        f"The predictions of a {kind}, exported by vecprop {__version__}. {have}"
        f" {text}. It needs only NumPy."
    )


def _classifier(model, source: Source):
    """Add the functions that convert outputs to labels and probabilities."""
    has_one_output = model.n_outputs_ == 1
    is_multilabel = model.targets_.multilabel
    if hasattr(model, "predict_proba"):
        lines = ["return outputs(X)"]
        if has_one_output and not is_multilabel:
            lines = ["Y = outputs(X)", "return np.hstack([1 - Y, Y])"]
        source.function(
            "predict_proba",
            '"""Return the probability of each class, (N, C)."""',
            *lines,
        )
    if is_multilabel:
        source.function(
            "predict",
            '"""Return 1 for each predicted label of a row, and 0 for the others."""',
            "return (outputs(X) > 0.5).astype(int)",
        )
        return
    classes = source.constant("CLASSES", model.classes_)
    if len(model.classes_) == 1:
        labels = f"np.repeat({classes}, len(X))"
    elif has_one_output:
        labels = f"{classes}[(outputs(X)[:, 0] > 0.5).astype(int)]"
    else:
        labels = f"{classes}[outputs(X).argmax(axis=1)]"
    source.function(
        "predict", '"""Return the label of each row."""', f"return {labels}"
    )


def _regressor(model, source: Source):
    """Add the function that converts outputs to predictions in the units of the targets."""
    Y = "outputs(X)"
    if not isinstance(model, TrainedNetwork):
        targets = model.targets_
        if np.any(targets.scale != 1) or np.any(targets.shift != 0):
            Y = (
                f"{Y} * {source.constant('Y_SCALE', targets.scale)} +"
                f" {source.constant('Y_SHIFT', targets.shift)}"
            )
        if model.n_outputs_ == 1:
            Y = f"({Y}).ravel()"
    source.function(
        "predict", '"""Return the prediction for each row."""', f"return {Y}"
    )

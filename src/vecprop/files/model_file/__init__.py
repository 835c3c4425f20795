"""`save` and `load`: store a model as one file of arrays and JSON, which contains no executable code.

``container`` reads and writes arrays and a JSON document; ``json_values`` converts
objects to JSON and back; ``registry`` lists the allowed classes of vecprop and
scikit-learn.
"""

import hashlib
import json
import platform
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import sklearn
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ... import __version__
from ...system.threads import shield_from_signals
from .. import OTHER_MODELS, FileError
from ..atomic import FilePath, require_path
from ..networks import TrainedNetwork
from . import container
from .container import Arrays, Document
from .json_values import Reader, Writer
from .registry import BY_CLASS, BY_NAME, MODELS


def save(
    model: Any,
    path: FilePath,
    *,
    columns: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
) -> None:
    """Save a model to a file, including its training state; `load` restores it bit-identically.

    The result is an .npz file that ``numpy.load(path, allow_pickle=False)`` can open.
    All content except arrays is JSON. The new file replaces an older file atomically;
    see docs/model-files.md. Callbacks are not saved. A callback may call `save`, and
    training can continue exactly from this file.

    Parameters
    ----------
    model : TrainedNetwork, MLPClassifier, MLPRegressor, their ensembles,
    TabularClassifier, -Regressor or Pipeline
        The model. A pipeline ends with a vecprop estimator. The other steps may be
        scikit-learn's StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler,
        QuantileTransformer, PowerTransformer, SimpleImputer, MissingIndicator,
        OneHotEncoder, OrdinalEncoder, ColumnTransformer, FunctionTransformer without a
        function, or pipelines of them.
    path : path
        The file, such as model.npz. No extension is added. An existing file is
        replaced.
    columns : mapping of str to anything, optional
        The names and types of the training columns, such as ``dict(frame.dtypes)``, as
        information for users of the file. By default, the file contains the feature
        names of the model.
    metrics : mapping of str to float, optional
        Metrics of the model, as information for users of the file.

    Raises
    ------
    FileError
        If a part of the model is custom code, a function or an unsupported class. If
        the file would have more than 65,534 arrays or 64 MiB of JSON. If the path has
        the extension of another format, such as .pkl. Nothing is written.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    OSError
        If the file cannot be written. An existing file is unchanged.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from vecprop import MLPClassifier, load, save
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), MLPClassifier(solver="lbfgs", random_state=0)).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "iris.npz")
    ...     save(model, path, metrics={"accuracy": model.score(X, y)})
    ...     again = load(path)
    >>> bool((again.predict_proba(X) == model.predict_proba(X)).all())
    True
    """
    name = require_path(path)
    if name.suffix.lower() in OTHER_MODELS:
        raise FileError(
            f"{path} has the extension of another format: name the model file"
            f" {name.stem}.npz."
        )
    shield_from_signals(lambda: save_with_notes(model, path, columns, metrics))


def save_with_notes(
    model,
    path: FilePath,
    columns: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    memory=None,
    **notes,
):
    """Save a model like `save`, with additional values, and notes for `information`."""
    _require_model(model)
    writer = Writer(BY_CLASS)
    described = writer.plain(model, "")
    if memory is not None:
        notes["memory"] = writer.plain(memory, "memory")
    # check that the model can be loaded
    _restored(described, writer.arrays, "The model cannot be saved")
    plain_metrics = {}
    for name, value in (metrics or {}).items():
        plain_metrics[str(name)] = writer.plain(float(value), "metrics")
    document = {
        "written by": {
            "vecprop": __version__,
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "python": platform.python_version(),
        },
        "columns": None,
        "fingerprint": None,
        "metrics": plain_metrics,
        "model": described,
    }
    if columns is None and hasattr(model, "feature_names_in_"):
        columns = dict.fromkeys(model.feature_names_in_, "")  # the types are unknown
    if columns is not None:
        types = {str(name): str(kind) for name, kind in columns.items()}
        document["columns"] = list(types.items())
        document["fingerprint"] = fingerprint(types)
    container.write(path, document | notes, writer.arrays)


def load(path: FilePath) -> Any:
    """Load a model from a file that was written by `save`.

    `load` does not execute code from the file. The file does not contain pickles.
    `load` creates only objects of classes on a fixed list, from validated numbers, text
    and arrays. The checksum detects damage, but not manipulation. Anyone who can change
    the file can change the predictions of the model.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    TrainedNetwork, MLPClassifier, MLPRegressor, their ensembles, TabularClassifier,
    TabularRegressor or Pipeline
        The model. On the same machine and with the same library versions, predictions
        and continued training are bit-identical to the saved model.

    Raises
    ------
    FileError
        If the file is not a model file, is damaged or truncated, was written by a newer
        vecprop, or has no model.
    OSError
        If the file does not exist or is not readable.

    Warns
    -----
    sklearn.exceptions.InconsistentVersionWarning
        If a pipeline was written with another release of scikit-learn.

    Examples
    --------
    >>> import os, tempfile
    >>> X, y = np.linspace(-1, 1, 40)[:, None], np.repeat(["low", "high"], 20)
    >>> model = MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.npz")
    ...     save(model, path)
    ...     again = load(path)
    >>> bool((again.predict_proba(X) == model.predict_proba(X)).all())
    True
    """
    return _loaded(path)[0]


def load_with_memory(path: FilePath) -> tuple[Any, Any]:
    """Load a model and the additional values from `save_with_notes`, which are None if the file has none."""
    model, document, arrays = _loaded(path)
    return model, _restored(
        document.get("memory"),
        arrays,
        f"{path} has a memory that cannot be read",
        is_model=False,
    )


def _loaded(path: FilePath):
    """Return the model, the document and the arrays of a file."""
    document, arrays = container.read(path)
    complaint = f"{path} has no model that this version of vecprop supports"
    model = _restored(document.get("model"), arrays, complaint)
    written_by = str(document.get("written by", {}).get("scikit-learn"))
    release = written_by.split(".")[:2]
    if type(model) is Pipeline and release != sklearn.__version__.split(".")[:2]:
        warning = InconsistentVersionWarning(
            estimator_name="Pipeline",
            current_sklearn_version=sklearn.__version__,
            original_sklearn_version=written_by,
        )
        warnings.warn(warning, stacklevel=3)
    return model, document, arrays


def information(path: FilePath) -> Document:
    """Return a file's versions, columns, fingerprint, metrics and arrays, without loading the model.

    Raises
    ------
    FileError, OSError
        Under the same conditions as `load`.
    """
    return container.read_document(path)


def fingerprint(columns: Mapping[str, str]) -> str:
    """Return a hash of the names and types of columns; the order of the columns matters.

    Examples
    --------
    >>> fingerprint({"age": "int64"})[:16], fingerprint({"age": "float64"})[:16]
    ('cc74433a0a73f0fe', 'abfcd47af3a3ccea')
    """
    return hashlib.sha256(json.dumps(list(columns.items())).encode()).hexdigest()


def _restored(described, arrays: Arrays, complaint: str, is_model: bool = True):
    try:
        value = Reader(BY_NAME, arrays).value(described)
        if is_model:
            _require_model(value)
    except Exception as error:  # a description may be wrong in any way
        reason = f"{error} is not known" if isinstance(error, KeyError) else str(error)
        raise FileError(f"{complaint}: {reason.rstrip('.')}.") from error
    return value


def _require_model(model):
    """Raise an error for objects of allowed classes that are not models."""
    last = model
    if type(model) is Pipeline:
        _, last = model.steps[-1]
    if type(last) not in MODELS:
        _, *others = MODELS
        names = ", ".join(f"a fitted {cls.__name__}" for cls in others)
        raise FileError(
            f"A {type(last).__name__} cannot be saved as a model: give a"
            f" TrainedNetwork(network, theta), {names}, or a pipeline that ends with"
            " one."
        )
    if type(last) is not TrainedNetwork:
        check_is_fitted(last)

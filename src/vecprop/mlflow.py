"""MLflow: fits of estimators are logged as runs, with the losses of each epoch."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from sklearn.pipeline import Pipeline

from .estimators.base import MultilayerPerceptron
from .estimators.classifier import MLPClassifier
from .estimators.many.ensemble import MLPEnsemble, MLPEnsembleClassifier, MLPEnsembleRegressor
from .estimators.many.search import MLPSearchCV
from .estimators.regressor import MLPRegressor
from .tables.classifier import TabularClassifier
from .tables.regressor import TabularRegressor
from .tables.table_model import TableModel

ESTIMATORS = [MLPClassifier, MLPRegressor, MLPEnsembleClassifier, MLPEnsembleRegressor, MLPSearchCV]
ESTIMATORS += [TabularClassifier, TabularRegressor]


def autolog(**settings: Any) -> None:
    """Log every fit of an estimator as a run of MLflow: settings, scores, losses of each epoch, and the model.

    This is ``mlflow.sklearn.autolog``, which by itself knows scikit-learn's own classes only, for vecprop's estimators
    and scikit-learn's: call it instead. A fit within that of a pipeline, search or ensemble has no run of its own.

    When a fit has ended, its run gets the metrics ``loss``, ``validation_loss``, ``validation_score`` and ``score`` of
    each epoch, as far as the model has measured them; their step is the number of epochs so far. Networks that are
    averaged have ``loss/0``, ``loss/1`` and so on; a pipeline has the metrics of its last step, and a search those of
    its best estimator. Training itself is neither slower nor other.

    Parameters
    ----------
    **settings
        The arguments of ``mlflow.sklearn.autolog``, such as ``log_models=False`` or ``disable=True``.

    Raises
    ------
    ImportError
        If MLflow is not installed, or is a version without what this needs.

    Examples
    --------
    >>> import mlflow, vecprop.mlflow  # doctest: +SKIP
    >>> vecprop.mlflow.autolog()  # doctest: +SKIP
    >>> model = MLPClassifier().fit(X, y)  # doctest: +SKIP
    >>> run = mlflow.last_active_run().info.run_id  # doctest: +SKIP
    >>> mlflow.MlflowClient().get_metric_history(run, "loss")  # doctest: +SKIP
    """
    try:
        from mlflow import __version__, sklearn  # pyright: ignore[reportMissingImports]
        from mlflow.sklearn import utils  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError('vecprop.mlflow needs MLflow: pip install "vecprop[mlflow]".') from None
    try:
        classes, is_search = sklearn._gen_estimators_to_patch, utils._is_parameter_search_estimator
        log_scores = utils._log_estimator_content
    except AttributeError:
        unknown = "logs fits in a way that vecprop does not know: install another version of it"
        raise ImportError(f"MLflow {__version__} {unknown}.") from None

    def log_epochs_and_scores(*, autologging_client: Any, estimator: Any, run_id: str, **more: Any) -> Any:
        for name, first, values in _curves(estimator):
            for step, value in enumerate(values, first):
                autologging_client.log_metrics(run_id, {name: value}, step=step, model_id=more.get("model_id"))
        if isinstance(estimator, TableModel):
            more["X"], more["y_true"] = estimator.target_of(more["X"], more["y_true"])
        return log_scores(autologging_client=autologging_client, estimator=estimator, run_id=run_id, **more)

    # MLflow has no public place for other estimators and metrics. It reads these three in the call, and keeps them.
    with (
        patch.object(sklearn, "_gen_estimators_to_patch", lambda: [*classes(), *ESTIMATORS]),
        patch.object(utils, "_is_parameter_search_estimator", lambda e: isinstance(e, MLPSearchCV) or is_search(e)),
        patch.object(utils, "_log_estimator_content", log_epochs_and_scores),
    ):
        sklearn.autolog(**settings)


def _curves(model: Any, member: str = "") -> Iterator[tuple[str, int, list[float]]]:
    """Yield the measurements of a fitted model's epochs: a name, the step of the first value, the values."""
    if isinstance(model, MultilayerPerceptron):
        curves = {"loss": model.loss_curve_, "validation_loss": model.validation_loss_curve_}
        curves |= {"validation_score": model.validation_scores_, "score": model.score_curve_}
        for name, values in curves.items():
            yield f"{name}{member}", 1, values or []
    elif isinstance(model, TableModel):
        for number, losses in enumerate(model.loss_curves_):
            yield f"loss/{number}", 1, losses
        for number, losses in enumerate(model.validation_loss_curves_):
            yield f"validation_loss/{number}", 0, losses
    elif isinstance(model, MLPEnsemble):
        for number, network in enumerate(model.estimators_):
            yield from _curves(network, f"/{number}")
    elif isinstance(model, Pipeline):
        yield from _curves(model.steps[-1][1])
    elif hasattr(model, "best_estimator_"):
        yield from _curves(model.best_estimator_)

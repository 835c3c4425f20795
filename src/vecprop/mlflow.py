"""Log fits of estimators as MLflow runs, with the losses of each epoch."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any
from unittest.mock import patch

from sklearn.pipeline import Pipeline

from .estimators.base import MultilayerPerceptron
from .estimators.classifier import MLPClassifier
from .estimators.many.ensemble import (
    MLPEnsemble,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
)
from .estimators.many.search import MLPSearchCV
from .estimators.regressor import MLPRegressor
from .tables.classifier import TabularClassifier
from .tables.regressor import TabularRegressor
from .tables.table_model import TableModel

ESTIMATORS = [
    MLPClassifier,
    MLPRegressor,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
    MLPSearchCV,
    TabularClassifier,
    TabularRegressor,
]


def autolog(**settings: Any) -> None:
    """Log every fit of an estimator as an MLflow run: settings, scores, losses of each epoch, and the model.

    Call this function instead of ``mlflow.sklearn.autolog``. This function also
    supports the estimators of vecprop. Fits inside a pipeline, search or ensemble are
    not logged separately.

    After a fit, the metrics ``loss``, ``validation_loss``, ``validation_score`` and
    ``score`` of each epoch are logged, if the model has measured them. The step of a
    metric is the number of epochs. An ensemble logs the losses of its networks as
    ``loss/0``, ``loss/1`` and so on. A pipeline logs the metrics of its last step, and
    a search logs the metrics of its best estimator. Logging does not slow down or
    change training.

    Parameters
    ----------
    **settings
        Arguments of ``mlflow.sklearn.autolog``, such as ``log_models=False`` or
        ``disable=True``.

    Raises
    ------
    ImportError
        If MLflow is not installed, or its version is not supported.

    Examples
    --------
    >>> import mlflow, vecprop.mlflow  # doctest: +SKIP
    >>> vecprop.mlflow.autolog()  # doctest: +SKIP
    >>> model = MLPClassifier().fit(X, y)  # doctest: +SKIP
    >>> run = mlflow.last_active_run().info.run_id  # doctest: +SKIP
    >>> mlflow.MlflowClient().get_metric_history(run, "loss")  # doctest: +SKIP
    """
    try:
        from mlflow import __version__  # pyright: ignore[reportMissingImports]

        # `from mlflow import sklearn` may return a lazy loader instead
        sklearn = import_module("mlflow.sklearn")
        utils = import_module("mlflow.sklearn.utils")
    except ImportError:
        raise ImportError(
            'vecprop.mlflow needs MLflow: pip install "vecprop[mlflow]".'
        ) from None
    try:
        classes = sklearn._gen_estimators_to_patch
        is_search = utils._is_parameter_search_estimator
        log_scores = utils._log_estimator_content
    except AttributeError:
        raise ImportError(
            f"vecprop does not support MLflow {__version__}: install another version of"
            " MLflow."
        ) from None

    def log_epochs_and_scores(*, autologging_client, estimator, run_id: str, **options):
        for name, first, values in _curves(estimator):
            for step, value in enumerate(values, first):
                autologging_client.log_metrics(
                    run_id, {name: value}, step=step, model_id=options.get("model_id")
                )
        if isinstance(estimator, TableModel) and options["y_true"] is None:
            options["X"], options["y_true"] = estimator._split_target(options["X"])
        return log_scores(
            autologging_client=autologging_client,
            estimator=estimator,
            run_id=run_id,
            **options,
        )

    # MLflow has no public interface for other estimators and metrics. It reads these
    # three functions in this call.
    with (
        patch.object(
            sklearn, "_gen_estimators_to_patch", lambda: [*classes(), *ESTIMATORS]
        ),
        patch.object(
            utils,
            "_is_parameter_search_estimator",
            lambda e: isinstance(e, MLPSearchCV) or is_search(e),
        ),
        patch.object(utils, "_log_estimator_content", log_epochs_and_scores),
    ):
        sklearn.autolog(**settings)


def _curves(model, member: str = "") -> Iterator[tuple[str, int, list[float]]]:
    """Yield the curves of a fitted model: the name, the step of the first value, and the values."""
    if isinstance(model, MultilayerPerceptron):
        curves = {
            "loss": model.loss_curve_,
            "validation_loss": model.validation_loss_curve_,
        }
        curves |= {
            "validation_score": model.validation_scores_,
            "score": model.score_curve_,
        }
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

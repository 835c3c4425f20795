"""The classifier."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy import ndarray
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import unique_labels

from ..core import suggests_keywords
from ..core.losses import (
    BinaryCrossEntropy,
    Loss,
    Poisson,
    RegressionLoss,
    SoftmaxCrossEntropy,
)
from .base import MultilayerPerceptron, has_partial_fit
from .data import Labels, Rows
from .settings import CONSTRAINTS, documented
from .sklearn_compat import StrOptions, available_if, fit_context


def _has_probabilities(model: "MLPClassifier") -> bool:
    if isinstance(model.loss, RegressionLoss | Poisson):
        raise AttributeError(
            f"{type(model.loss).__name__} has no probabilities: use a loss such as"
            " 'log_loss'."
        )
    return True


class LogProbabilities:
    """A mixin that adds `predict_log_proba` to classifiers with `predict_proba`."""

    @available_if(lambda model: model.predict_proba)
    def predict_log_proba(self: Any, X: Any) -> ndarray:
        """Return the logarithm of each class's probability; minus infinity for probability 0.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.

        Returns
        -------
        ndarray (N, C)
            The columns are in the order of ``classes_``.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))


@documented
@dataclass(eq=False, repr=False)
class MLPClassifier(LogProbabilities, ClassifierMixin, MultilayerPerceptron):
    """A dense neural network for classification, with scikit-learn's interface.

    To replace scikit-learn's class, change ``from sklearn.neural_network import
    MLPClassifier`` to ``from vecprop import MLPClassifier``. Settings, attributes,
    warnings and errors are the same. For the same ``random_state``, the initial
    parameters are the same.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (100,)
        The width of each hidden layer.
    activation : str, Activation or list, default "relu"
        The activation of the hidden layers, or a list with one for each layer:
        {activations},
        or a custom `Activation`.
    {settings}
    loss : "log_loss" or Loss, default "log_loss"
        The loss function. "log_loss" is the cross-entropy, with a logistic output for
        two classes or for independent labels, and with softmax for more classes. A
        `Loss` gets targets of 0 and 1. It has one output for two classes, and otherwise
        one output for each class.
    class_weight : dict, "balanced" or None, default None
        The factor of the row weights for each class. "balanced" gives all classes the
        same total weight.

    Attributes
    ----------
    classes_ : ndarray (C,)
        The classes, sorted.
    {attributes}

    Notes
    -----
    {notes}

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from vecprop import MLPClassifier
    >>> X, y = make_classification(random_state=0)
    >>> model = MLPClassifier(random_state=0, solver="lbfgs").fit(X[:80], y[:80])
    >>> model.score(X[80:], y[80:]) > 0.8
    True
    """

    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    loss: str | Loss = "log_loss"
    class_weight: Any = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "loss": [StrOptions({"log_loss"}), Loss],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    @available_if(has_partial_fit)
    @suggests_keywords
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> Self:
        """Train for one epoch on these rows, exactly continuing earlier training.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.
        y : array (N,) or (N, C)
            The labels.
        sample_weight : array (N,), optional
            The weight of each row, at least 0. By default, all weights are 1.
        classes : array (C,), optional
            All labels that later calls may contain. The first call needs this argument.

        Returns
        -------
        self
            The model.

        Raises
        ------
        ValueError
            If data or settings are invalid, labels are unknown, or training diverges.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows, but partial_fit gets only some"
                " of them: give a dict of weights."
            )
        fitted_classes = getattr(self, "classes_", None)
        if fitted_classes is None:
            if classes is None:
                raise ValueError(
                    "classes must be passed on the first call to partial_fit."
                )
            self.classes_ = unique_labels(classes)
        elif classes is not None and not np.array_equal(
            fitted_classes, unique_labels(classes)
        ):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit,"
                f" was: {fitted_classes!r}"
            )
        return self._partial_fit(X, y, sample_weight)

    @suggests_keywords
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy: the share of rows with the correct label, or with all labels correct.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.
        y : array (N,) or (N, C)
            The labels.
        sample_weight : array (N,), optional
            The weight of each row; 1 by default.

        Returns
        -------
        float
            scikit-learn's ``accuracy_score``.
        """
        predicted = self.predict(X)
        is_plain = (
            type(y) is ndarray and y.dtype == predicted.dtype and y.dtype.kind in "biuU"
        )
        if (
            is_plain
            and y.shape == predicted.shape
            and y.ndim == 1
            and len(y)
            and sample_weight is None
        ):
            # faster than scikit-learn's function, with the same result
            return float((y == predicted).mean())
        from sklearn.metrics import accuracy_score

        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    @available_if(_has_probabilities)
    @suggests_keywords
    def predict_proba(self, X: Any) -> ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.

        Returns
        -------
        ndarray (N, C)
            The columns are in the order of ``classes_``. In multilabel problems, each
            label has its own probability.
        """
        Y = self._network_outputs(X)  # raises an error if the model is not fitted
        return self.targets_.probabilities(Y)

    def _network_loss(self) -> Loss:
        """Return the loss of the network."""
        if isinstance(self.loss, Loss):
            return self.loss
        if self.targets_.outputs > 1 and not self.targets_.multilabel:
            return SoftmaxCrossEntropy()
        return BinaryCrossEntropy()

    def _own_score(self, rows: Rows) -> str | None:
        """Return the score that equals the accuracy, unless a subclass defines its own."""
        cls = type(self)
        is_overridden = (
            cls.score is not MLPClassifier.score
            or cls.predict is not MultilayerPerceptron.predict
        )
        has_one_class = len(self.classes_) == 1  # it is always predicted
        if is_overridden or has_one_class:
            return None
        return "subset_accuracy" if self.targets_.multilabel else "accuracy"

    def _read_targets(
        self, y, weight: ndarray | None, new: bool, trains: bool = False
    ) -> tuple[Any, ndarray]:
        """Return the labels and their encoding. If `new`, set the classes; otherwise check the labels."""
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        # a custom loss such as softmax cross-entropy has two outputs for two classes
        has_output_each = getattr(self.loss, "takes_classes", False)
        if new or not hasattr(self, "classes_"):
            self.targets_ = Labels.from_labels(y, always_one_each=has_output_each)
            self.classes_ = self.targets_.classes
        else:
            # `partial_fit` has set the classes before the first call
            if "targets_" not in vars(self):
                self.targets_ = Labels.from_labels(y, self.classes_, has_output_each)
            self._require_known(y, trains)
        takes_classes = getattr(self._network_loss(), "takes_classes", False)
        return y, self.targets_.encode(y, as_classes=takes_classes)

    def _require_known(self, y, trains: bool):
        """Raise an error if y contains labels that were not fitted, or training rows lack some with warm_start."""
        classes = unique_labels(y)
        if (y.ndim == 2) != self.targets_.multilabel:
            raise ValueError(
                "y is multilabel in one call and single-label in another: pass y as in"
                " the first call."
            )
        if trains and self.warm_start and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the"
                f" previous call to fit. Previously got {self.classes_}, `y` has"
                f" {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. `self.classes_` has"
                f" {self.classes_}. 'y' has {classes}."
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

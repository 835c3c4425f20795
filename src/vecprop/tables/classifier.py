"""The classifier for tables."""

import warnings
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets

from ..core import suggests_keywords
from ..core.losses import SoftmaxCrossEntropy
from ..estimators.data import class_weights
from ..estimators.sklearn_compat import Interval, StrOptions
from .encoding.encoder import View
from .ensemble.calibration import (
    MetricRule,
    ThresholdRule,
    best_inverse_temperature,
    decided,
    likeliest_shares,
    positive_index,
    positive_of,
    scaled_of_classes,
    score_of,
)
from .ensemble.ensemble import (
    MIN_PROBABILITY,
    Calibration,
    Ensemble,
    TrainingRows,
    out_of_fold,
    temperature_scaled,
)
from .error import TableError, first_line, pandas
from .kinds.formats import DateReading
from .kinds.kinds import DATES
from .reading.frames import Frame, as_frame
from .reading.reading import as_classes
from .settings import CONSTRAINTS, documented
from .several_targets import true_targets
from .table_model import TableModel

MAX_RARE = 1000
"""A target with more than this number of classes is an identifier if most classes
occur only once.
"""
MOST_ONCE = ", and most occur only once"
"""These words identify the warning about a target with many classes."""
MAX_ENTRIES = 500_000_000
"""Maximum number of stored probabilities, to bound the memory: 2 GB in float32."""

MAX_FINAL_INVERSE = 1.5
"""Maximum inverse temperature of the averaged probabilities, because each view is
already calibrated.
"""


@documented(
    activation=(
        '"relu" for networks with a piecewise\n    linear encoding, "elu" for the'
        " others"
    ),
    deeper=" Networks without a piecewise linear encoding repeat the last layer.",
    weight_decay="10",
    epochs="60",
    steps="1,500",
)
@dataclass(eq=False, repr=False)
class TabularClassifier(ClassifierMixin, TableModel):
    """A classifier for raw tables with numbers, categories, dates, text and missing values.

    The model is an ensemble of dense networks. All networks receive standardized
    numbers. Half of the networks also receive a piecewise linear encoding of numbers.
    The default settings were chosen for accuracy on many small tables; see
    docs/tables.md.

    Parameters
    ----------
    {settings}
    label_smoothing : float, default 0.1
        The fraction of each target, below 0.5, that is spread over all classes in
        proportion to their frequencies.
    class_weight : dict, "balanced" or None, default None
        The factor of the sample weights for each class in training. A dict contains the
        factors, and missing classes have the factor 1. "balanced" gives all classes the
        same total weight. With class weights, predicted probabilities refer to the
        weighted class frequencies.
    threshold : float, str or None, default None
        The positive class is predicted if its probability is above the threshold. None
        predicts the more probable class. A rule chooses the threshold on out-of-fold
        predictions. "f1" chooses the highest F1. "recall:0.9" chooses the highest
        threshold with a recall of 0.9. "cost:5,1" chooses the lowest cost if a false
        negative costs 5 and a false positive costs 1.
    positive : class or None, default None
        The positive class of a binary target, for the threshold and for metrics such as
        F1. None selects the class 1, True, "yes" or "y" (case-insensitive). If there is
        no such class, None selects the class with fewer rows.

    Attributes
    ----------
    classes_ : ndarray (C,)
        The classes, sorted.
    temperature_ : float
        The divisor of the logits before softmax, which calibrates the averaged
        probabilities of the views. In addition, each view has a separate temperature.
    inverse_temperature_ : float
        The inverse of ``temperature_``.
    positive_ : class
        The positive class, if there are two classes.
    threshold_ : float
        The threshold on the probability of the positive class, if ``threshold`` is set.
    out_of_fold_ : ndarray (N, C)
        The probabilities of the training rows. The networks that predict a row used
        this row neither for training nor for early stopping. Rows without a prediction
        have nan. Model files do not contain this array.
    validation_loss_ : float
        The log loss of ``out_of_fold_``.
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from vecprop import TabularClassifier
    >>> table = load_wine(as_frame=True).frame
    >>> model = TabularClassifier(target="target", n_estimators=3, random_state=0).fit(table[::2])
    >>> model.score(table[1::2]) > 0.9
    True
    """

    inverse_temperature_: ClassVar[float]

    _: KW_ONLY
    weight_decay: float = 10.0
    label_smoothing: float = 0.1
    class_weight: Any = None
    threshold: float | str | None = None
    positive: Any = None

    _auto_activations: ClassVar[dict[View, str]] = {
        "pieces": "relu",
        "standardised": "elu",
    }
    _deeper_views: ClassVar[set[View]] = {"standardised"}
    _auto_epochs: ClassVar[int] = 60
    _fewest_steps: ClassVar[int] = 1500

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "label_smoothing": [Interval(Real, 0, 0.5, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "threshold": [Real, str, None],
        "positive": [Real, str, "boolean", None],
    }

    def _validate_params(self):
        super()._validate_params()
        if self.threshold is not None:
            ThresholdRule.of(self.threshold)

    @property
    def temperature_(self) -> float:
        """The divisor of the logits before softmax."""
        return 1 / self.inverse_temperature_

    @property
    def positive_(self) -> Any:
        """The positive class of a binary target."""
        if len(self.classes_) != 2:
            raise AttributeError(
                "A positive class exists only for two classes, but the model has"
                f" {len(self.classes_)}."
            )
        return self.classes_[positive_of(self)]

    @suggests_keywords
    def predict(self, X: Any) -> ndarray:
        """Return the class of each row: the most probable class, or the class that the threshold selects.

        Parameters
        ----------
        X : DataFrame, Table, Dataset, array, path or paths
            A table with the training columns, in any order. Other columns are ignored.

        Returns
        -------
        ndarray (N,)
        """
        P = self.predict_proba(X)  # validates X
        if self._has_heads:
            classes = {}
            for number, single in enumerate(self.models_):
                p = P[:, number]
                classes[number] = single._decided(np.stack([1 - p, p], axis=1))
            return pandas().DataFrame(classes).to_numpy()
        return self._decided(P)

    def _decided(self, P: ndarray) -> ndarray:
        """Return the predicted classes, given their probabilities."""
        return self.classes_[decided(P, getattr(self, "threshold_", None), self)]

    @suggests_keywords
    def predict_proba(self, X: Any) -> ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : DataFrame, Table, Dataset, array, path or paths
            A table, see `predict`.

        Returns
        -------
        ndarray (N, C)
            The probabilities, in the order of ``classes_``.
        """
        return self._by_blocks(X, self._of_inputs)

    def _combined(self, predictions):
        stacked = np.stack(list(predictions))
        return temperature_scaled(stacked, self.inverse_temperature_).mean(axis=0)

    @suggests_keywords
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy.

        Parameters
        ----------
        X : DataFrame, Table, Dataset, array, path or paths
            A table, see `predict`.
        y : array (N,), optional
            The true classes. By default, the target column of the table contains the
            classes. Rows with a missing class are not scored.
        sample_weight : array (N,), optional
            The sample weights.
        """
        if self._has_heads:
            return self._score_of_labels(as_frame(X, self), y, sample_weight)
        rows = self._scored(X, y, sample_weight)
        y = rows.y
        if np.ndim(y) == 1:
            y = self._values(pandas().Series(y))
        return float(accuracy_score(y, rows.predicted, sample_weight=rows.weight))

    def _score_of_labels(self, frame: Frame, y: Any, sample_weight: Any) -> float:
        """Return the share of the rows whose classes are right for all targets."""
        Y = true_targets(self, frame, y)
        has_targets = Y.notna().all(axis=1).to_numpy()
        predicted = self.predict(frame)
        is_right = np.full(len(frame), True)
        for number, single in enumerate(self.models_):
            is_right &= single._values(Y.iloc[:, number]) == predicted[:, number]
        weight = None
        if sample_weight is not None:
            weight = np.asarray(sample_weight)[has_targets]
        return float(np.average(is_right[has_targets], weights=weight))

    def _values(self, y):
        return as_classes(y).to_numpy()

    def _losses(self):
        """Return the loss of the networks."""
        return [SoftmaxCrossEntropy()]

    def _read_target(self, y, weight, ends=None):
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise TableError(
                f"{self._named_target} contains infinity, which is not a class: fix it."
            )
        self._require_labels(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        self._require_classes(len(self.classes_), len(y))
        if len(self.classes_) == 2:
            self._positive = positive_index(
                self.classes_,
                np.bincount(numbers).tolist(),
                self.positive,
                self._named_target,
            )
        counts = np.bincount(numbers, weight)
        smoothing = self.label_smoothing
        smoothed = smoothing * (counts / counts.sum())
        T = np.tile(smoothed.astype(np.float32), (len(y), 1))
        T[np.arange(len(y)), numbers] = smoothed[numbers] + (1 - smoothing)
        return T

    def _encoding(self, target, T, factor):
        """Return a function that encodes the targets of other rows."""
        # all rows of a class have the same target and the same factor
        _, first_rows = np.unique(target, return_index=True)
        if factor is not None:
            factor = factor[first_rows]
        return partial(
            self._encoded,
            classes=pandas().Index(self.classes_),
            T=T[first_rows],
            factor=factor,
        )

    def _encoded(
        self, target, frame, *, classes, T: ndarray, factor: ndarray | None
    ) -> tuple[ndarray, ndarray | None]:
        y = self._values(target)
        numbers = classes.get_indexer(y)
        if (numbers < 0).any():
            raise TableError(
                f"{self._named_target} has the class {y[numbers < 0].tolist()[0]!r},"
                " which is missing in the sample of rows: merge rare classes."
            )
        if factor is not None:
            factor = factor[numbers]
        return T[numbers], factor

    def _require_labels(self, y: ndarray):
        """Raise an error for numbers with decimals and for objects that cannot be classes."""
        try:
            # a later note reports many classes
            with warnings.catch_warnings(action="ignore", category=UserWarning):
                check_classification_targets(y)
        except (ValueError, TypeError) as error:
            if y.dtype.kind == "f":
                raise TableError(
                    f"{self._named_target} has numbers such as {y[y % 1 != 0][0]:g},"
                    " not classes (Unknown label type: continuous): use"
                    " TabularRegressor (--task regression)."
                ) from error
            values = y.tolist()
            types = " and ".join(
                dict.fromkeys(type(value).__name__ for value in values)
            )
            advice = "convert all of them to text, integers or Booleans"
            if DateReading.from_texts(map(str, values)):
                advice = DATES
            raise TableError(
                f"{self._named_target} has values of type {types}, such as"
                f" {values[0]!r} (Unknown label type): {advice}."
            ) from error

    def _require_classes(self, classes: int, rows: int):
        """Raise an error for a single class, identifiers, or more classes than fit into memory."""
        has_names = self.classes_.dtype.kind not in "iuf"
        problem = self._problem_with_classes(classes, rows, has_names)
        if problem:
            raise TableError(f"{self._named_target} has {problem}.")
        if 2 * classes > rows > 20:
            advice = "if they are amounts, use TabularRegressor (--task regression)"
            if has_names:
                advice = "merge rare classes, or choose another column"
            note = (
                f"{self._named_target} has {classes} classes in {rows} rows{MOST_ONCE}:"
                f" {advice}."
            )
            self.notes_.append(note)
            warnings.warn(note, UserWarning, stacklevel=2)

    def _problem_with_classes(self, classes: int, rows: int, has_names: bool) -> str:
        """Return why the classes of a number of rows cannot be learned, or ""."""
        if classes < 2:
            return (
                f"only one class, {self.classes_.tolist()[0]!r}: a classifier needs two"
            )
        if classes > 2 and self.threshold is not None:
            return f"{classes} classes, but a threshold needs two: leave threshold out"
        if classes > 2 and self.positive is not None:
            return (
                f"{classes} classes, but a positive class needs two: leave positive out"
            )
        if (2 * classes > rows and classes > MAX_RARE) or (
            has_names and classes > 0.9 * rows > 18
        ):
            if has_names and DateReading.from_texts(map(str, self.classes_)):
                return (
                    f"{classes} distinct dates in {rows} rows: {DATES}, and use"
                    " TabularRegressor (--task regression)"
                )
            return (
                f"{classes} distinct values in {rows} rows and looks like an"
                " identifier, which cannot be learned: choose another column"
            )
        if rows * classes > MAX_ENTRIES:
            return (
                f"{classes} classes in {rows} rows, which is too much for memory: merge"
                " rare classes"
            )
        return ""

    def _weighted(self, target, weight):
        if self.class_weight is None:
            return weight
        try:
            factors = factors_of_classes(self, target, weight)
            invalid = factors[~((factors >= 0) & np.isfinite(factors))]
            if len(invalid):
                raise ValueError(
                    f"weights must be finite and at least 0, got {invalid[0]}"
                )
        except ValueError as error:
            raise TableError(
                f"class_weight does not fit {self._named_target.lower()}:"
                f" {first_line(error)}."
            ) from error
        self.notes_.append(
            "Classes are weighted in training, so probabilities refer to the weighted"
            " frequencies."
        )
        if weight is not None:
            factors = factors * weight
        return factors

    def _calibrated(self, ensembles, unseen, rows):
        """Choose the weights and temperatures of views, and the final temperature, on out-of-fold predictions."""
        (ensemble,) = ensembles
        # By view: (N, J, C) for N rows, J stopping epochs and C classes.
        predictions = []
        while unseen[0]:  # frees memory
            predictions.append(out_of_fold(unseen[0].pop(0), len(rows.T)))
        predicted_rows = np.flatnonzero(~np.isnan(predictions[0][:, 0, 0]))
        P = np.full((len(rows.T), predictions[0].shape[2]), np.nan)
        # Each half of the folds is calibrated on the other half.
        half = rows.fold[predicted_rows] % 2
        for number in np.unique(half):
            indices = predicted_rows[half == number]
            other_half = predicted_rows[half != number]
            if not len(other_half):
                other_half = indices
            calibrated, inverse_temperature = _calibrated_on(
                other_half, ensemble, predictions, rows
            )
            average = calibrated.average([Y[indices] for Y in predictions])
            P[indices] = temperature_scaled(average, inverse_temperature).mean(axis=1)
        calibrated, inverse_temperature = _calibrated_on(
            predicted_rows, ensemble, predictions, rows
        )
        classes = rows.T[predicted_rows].argmax(axis=1)
        losses = -np.log(np.maximum(P[predicted_rows, classes], MIN_PROBABILITY))
        loss = np.average(losses, weights=rows.weights(predicted_rows))
        attributes = {
            "ensemble_": calibrated,
            "inverse_temperature_": inverse_temperature,
        }
        return Calibration(attributes, P, float(loss))

    @property
    def _threshold_rule(self) -> ThresholdRule | None:
        """The criterion that selects the threshold, if any."""
        if self.threshold is not None:
            return ThresholdRule.of(self.threshold)
        if self.metric is not None and len(self.classes_) == 2:
            return MetricRule("metric", model=self)
        return None

    def _score(self, y, outputs, weight, exposure):
        return score_of(self, y, outputs, weight)

    def _decide(self, unseen, rows):
        vars(self).pop("threshold_", None)  # set by an earlier fit
        rule = self._threshold_rule
        if rule is None:
            return
        is_predicted = ~np.isnan(unseen[:, 0])
        weight = np.ones(len(unseen))
        if rows.sample_weight is not None:
            weight = rows.sample_weight
        classes = rows.T[is_predicted].argmax(axis=1)
        is_positive = classes == self._positive
        p = unseen[is_predicted, self._positive]
        self.threshold_ = rule.best(p, is_positive, weight[is_predicted])
        if np.isnan(self.threshold_) and self.threshold is None:
            del self.threshold_  # the metric does not depend on decisions
        elif np.isnan(self.threshold_):
            self.threshold_ = 0.5
            only_class = self.classes_.tolist()[classes[0]]
            self.notes_.append(
                f"The threshold is 0.5 instead of {self.threshold!r}, because all"
                f" {len(is_positive)} validation rows have the class {only_class!r}."
            )


def _calibrated_on(
    indices: ndarray,
    ensemble: Ensemble,
    predictions: Sequence[ndarray],
    rows: TrainingRows,
) -> tuple[Ensemble, float]:
    """Calibrate views on some rows; return the ensemble and the inverse temperature of its average."""
    classes = rows.T[indices].argmax(axis=1)
    weight = rows.weights(indices)
    probabilities = predictions
    if len(indices) < len(rows.T):
        probabilities = [P[indices] for P in predictions]
    inverse_temperatures = []
    p_of_classes = []
    for P in probabilities:
        inverse_temperature = best_inverse_temperature(P, classes, weight)
        inverse_temperatures.append(inverse_temperature)
        p_of_classes.append(scaled_of_classes(P, classes, inverse_temperature))
    calibrated = ensemble.with_shares(
        likeliest_shares(p_of_classes, weight, len(ensemble.nonlinear)),
        inverse_temperatures,
    )
    average = calibrated.average(probabilities)
    return calibrated, best_inverse_temperature(
        average, classes, weight, MAX_FINAL_INVERSE
    )


def factors_of_classes(model: Any, y: ndarray, weight: ndarray | None) -> ndarray:
    """Return the class weight of each training row, which is 1 if the model has no class weights.

    Examples
    --------
    >>> factors_of_classes(TabularClassifier(class_weight="balanced"), np.array(["a", "b", "a", "a"]), None).round(2)
    array([0.67, 2.  , 0.67, 0.67])
    """
    class_weight = getattr(model, "class_weight", None)
    if class_weight is None:
        return np.ones(len(y))
    return class_weights(class_weight, y, weight)

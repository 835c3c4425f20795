"""The classifier of tables."""

import warnings
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets

from ..core.losses import Loss, SoftmaxCrossEntropy
from .base import TableModel
from .calibration import best_sharpness, log_loss, tempered
from .ensemble import Ensemble, Rows, out_of_fold
from .error import TableError
from .settings import Settings, documented


@documented(activation='"relu"', weight_decay="10", epochs="60", n_iter_no_change="10")
@dataclass(eq=False, repr=False)
class TabularClassifier(ClassifierMixin, TableModel):
    """A classifier that takes a table as it is: numbers, categories, dates, text, and missing values everywhere.

    It is an ensemble of dense networks, with settings that were chosen for accuracy on many small tables; see
    docs/tables.md.

    Parameters
    ----------
    {settings}
    label_smoothing : float, default 0.1
        How much of each row's target is not its class, but the shares of all classes; less than ½.

    Attributes
    ----------
    classes_ : ndarray (C,)
        The classes, sorted.
    sharpness_ : float
        What the networks' logits are multiplied by, so that probabilities are as sure as they should be on rows that
        the networks have not seen.
    validation_loss_ : float
        The log loss of the rows of training, each by the network that has not seen it.
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from vecprop import TabularClassifier
    >>> table = load_wine(as_frame=True).frame
    >>> model = TabularClassifier(target="target", n_members=3, random_state=0).fit(table[::2])
    >>> model.score(table[1::2]) > 0.9
    True
    """

    target: str | None = None
    _: KW_ONLY
    activation: Any = "relu"
    weight_decay: float = 10.0
    n_iter_no_change: int = 10
    label_smoothing: float = 0.1

    auto_epochs: ClassVar[int] = 60

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Settings._parameter_constraints,
        "label_smoothing": [Interval(Real, 0, 0.5, closed="left")],
    }

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : DataFrame, Table, array, or path
            A table with the columns of training, in any order; others are ignored.

        Returns
        -------
        ndarray (N,)
        """
        P = self.predict_proba(X)  # says so where there is nothing to predict with
        return self.classes_[P.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : DataFrame, Table, array, or path
            A table, see `predict`.

        Returns
        -------
        ndarray (N, C)
            In the order of ``classes_``.
        """
        inputs = self._inputs(X)
        return np.mean([tempered(P, self.sharpness_) for P in self.ensemble_.each(inputs)], axis=0)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the share of rows whose class is predicted right.

        Parameters
        ----------
        X : DataFrame, Table, array, or path
            A table, see `predict`.
        y : array (N,), optional
            The classes; by default the column of the table that ``target`` names.
        sample_weight : array (N,), optional
            The rows' weights.
        """
        X, y = self._target_of(X, y)
        return float(accuracy_score(y, self.predict(X), sample_weight=sample_weight))

    def _losses(self) -> list[Loss]:
        return [SoftmaxCrossEntropy()]

    def _read_target(self, y: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, int]:
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise TableError(f"{self._named_target} contains infinity, which is no class: mend it.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of many classes, which are noted below
            check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise TableError(
                f"{self._named_target} has one class only, {self.classes_.tolist()[0]!r}: a classifier needs two."
            )
        if 2 * len(self.classes_) > len(y) > 20:
            self.notes_.append(
                f"{self._named_target} has {len(self.classes_)} classes in {len(y)} rows: most are seen once."
            )
        counts = np.bincount(numbers, weight)
        shares = counts / counts.sum()
        T = self.label_smoothing * shares + (1 - self.label_smoothing) * np.eye(len(shares))[numbers]
        return T.astype(np.float32), len(self.classes_)

    def _calibrate(self, others: list[Ensemble], folds: np.ndarray, rows: Rows) -> None:
        known = np.isin(rows.fold, folds)
        P, classes = out_of_fold(self.ensemble_, folds, rows)[known], rows.T[known].argmax(axis=1)
        weight = None if rows.weight is None else rows.weight[known]
        self.sharpness_ = best_sharpness(P, classes, weight)
        self.validation_loss_ = log_loss(tempered(P, self.sharpness_), classes, weight)

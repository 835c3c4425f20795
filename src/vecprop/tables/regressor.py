"""The regressor of tables."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from ..core.losses import Loss, SquaredError
from ..estimators.targets import Numbers as Targets
from .base import TableModel
from .calibration import Residuals
from .ensemble import out_of_fold
from .error import TableError, pandas
from .numbers import as_numbers
from .settings import Settings, documented


@documented(activation='"silu"', weight_decay="1", epochs="100", n_iter_no_change="20")
@dataclass(eq=False, repr=False)
class TabularRegressor(RegressorMixin, TableModel):
    """A regressor that takes a table as it is: numbers, categories, dates, text, and missing values everywhere.

    It is an ensemble of dense networks, with settings that were chosen for accuracy on many small tables; see
    docs/tables.md. Targets are scaled to mean 0 and standard deviation 1 for training, and predictions stay between the
    smallest and the largest of them.

    Parameters
    ----------
    {settings}

    Attributes
    ----------
    residuals_ : Residuals
        How far off each network was on the rows that it had not seen.
    validation_loss_ : float
        The root of the mean squared residual of the rows of training, each by the network that has not seen it.
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from vecprop import TabularRegressor
    >>> table = load_diabetes(as_frame=True).frame
    >>> model = TabularRegressor(target="target", n_members=3, random_state=0).fit(table[::2])
    >>> model.score(table[1::2]) > 0.4
    True
    >>> low, high = model.predict_interval(table[1::2], coverage=0.8).T
    >>> bool(0.7 < ((low <= table.target[1::2]) & (table.target[1::2] <= high)).mean() < 0.9)
    True
    """

    target: str | None = None
    _: KW_ONLY
    activation: Any = "silu"
    weight_decay: float = 1.0
    n_iter_no_change: int = 20

    auto_epochs: ClassVar[int] = 100

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = Settings._parameter_constraints

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions of rows.

        Parameters
        ----------
        X : DataFrame, Table, array, or path
            A table with the columns of training, in any order; others are ignored.

        Returns
        -------
        ndarray (N,)
            In the units of the target.
        """
        return self._each_in_units(X).mean(axis=0)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Return intervals in which the targets of rows lie in about this share of cases.

        They are made of what the networks predict and of how far off each was on rows that it had not seen (CV+, Barber
        et al., 2021), and need no assumption on the distribution, except that new rows are of the same kind.

        Parameters
        ----------
        X : DataFrame, Table, array, or path
            A table, see `predict`.
        coverage : float, default 0.9
            The share, between ½ and 1.

        Returns
        -------
        ndarray (N, 2)
            The ends, in the units of the target.
        """
        if not 0.5 <= coverage < 1:
            raise ValueError(f"coverage={coverage!r} is not a share of at least ½ and less than 1.")
        return self.residuals_.interval(self._each_in_units(X), coverage)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return R², the share of the targets' variance that is explained.

        Parameters
        ----------
        X : DataFrame, Table, array, or path
            A table, see `predict`.
        y : array (N,), optional
            The targets; by default the column of the table that ``target`` names.
        sample_weight : array (N,), optional
            The rows' weights.
        """
        X, y = self._target_of(X, y)
        return float(r2_score(self._numbers(y), self.predict(X), sample_weight=sample_weight))

    def _each_in_units(self, X: Any) -> np.ndarray:
        """Return each member's predictions in the units of the target, (M, N)."""
        return self._in_units(self._each(X)[..., 0])

    def _in_units(self, Y: np.ndarray) -> np.ndarray:
        return np.clip(Y * self._targets.scale + self._targets.shift, *self.range_)

    def _loss(self) -> Loss:
        return SquaredError()

    def _read_target(self, y: np.ndarray) -> tuple[np.ndarray, int]:
        y = self._numbers(y)
        self._targets = Targets.standard(y[:, None], None)
        self.range_ = (float(y.min()), float(y.max()))
        return self._targets.encode(y[:, None]).astype(np.float32), 1

    def _numbers(self, y: np.ndarray) -> np.ndarray:
        """Return targets as numbers, or say which are none."""
        numbers, unread = as_numbers(pandas().Series(y))
        wrong = np.flatnonzero(~np.isfinite(numbers))
        if len(wrong):
            what = f"Unknown label type: {unread} value(s) are not numbers" if unread else "some value(s) are infinite"
            raise TableError(
                f"{self._named_target} is to be numbers, but {what}, such as {y[wrong[0]]!r} in row {wrong[0]}: mend "
                "them, or use TabularClassifier for classes."
            )
        return numbers

    def _calibrate(self, folds: np.ndarray, X: np.ndarray, T: np.ndarray, fold: np.ndarray) -> None:
        Y, known = out_of_fold(self.ensemble_, folds, X, fold)
        residuals = self._in_units(T[:, 0]) - self._in_units(Y[:, 0])
        self.residuals_ = Residuals.of([residuals[fold == number] for number in folds])
        self.validation_loss_ = float(np.sqrt(np.mean(residuals[known] ** 2)))

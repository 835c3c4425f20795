"""The regressor for tables."""

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray
from scipy.stats import iqr
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_consistent_length

from ..core import suggests_keywords
from ..core.losses import Loss, Quantile
from ..estimators.data import Numbers
from ..estimators.sklearn_compat import Interval, StrOptions
from .encoding.column import first_of
from .ensemble.calibration import (
    Residuals,
    best_shares,
    extended,
    score_of,
    stabilized,
    union,
    with_linear,
)
from .ensemble.ensemble import Calibration, Ensemble, TrainingRows, Unseen, out_of_fold
from .error import Note, TableError, pandas
from .kinds.formats import DateReading, NumberReading
from .kinds.kinds import DATES, target_reading
from .kinds.values import read_numbers, texts_of
from .objectives import (
    ALIASES,
    LOSSES,
    MIN_PROBABILITY,
    SQUARED,
    Objective,
    are_counts,
    before_link,
    has_log_link,
    levels_of,
)
from .reading.frames import as_frame
from .settings import CONSTRAINTS, documented
from .several_targets import true_targets
from .table_model import TableModel

MAX_SPREAD = 1e150
"""The range of targets must lie between this number and its inverse, so that squares
do not overflow or underflow.
"""


@documented(
    activation='"silu"', deeper="", weight_decay="1", epochs="100", steps="2,000"
)
@dataclass(eq=False, repr=False)
class TabularRegressor(RegressorMixin, TableModel):
    """A regressor for raw tables with numbers, categories, dates, text and missing values.

    The model is an ensemble of dense networks. All networks receive standardized
    numbers. Half of the networks also receive a piecewise linear encoding of numbers.
    The default settings were chosen for accuracy on many small tables; see
    docs/tables.md. Targets are standardized for training, and predictions are clipped
    to the range of the targets, or a wider range if linear models extrapolate well.

    Parameters
    ----------
    {settings}
    loss : str or Loss, default "squared"
        The loss. "squared" predicts the mean, and "absolute" the median. "huber" is
        quadratic for small errors and linear for errors above a standard deviation, so
        outliers count less. The standard deviation is estimated from the quartiles of
        the targets. "poisson" predicts the mean of counts or rates, and "quantile" a
        quantile. A `Loss` can be one of vecprop, such as ``Huber(threshold=3)`` in the
        units of the target, or your own; see docs/tables.md. "squared_error" and
        "absolute_error" mean "squared" and "absolute".
    exposure : str or None, default None
        The column with the exposure of each row, such as years or kilometers, for
        counts. The networks then predict rates, which are multiplied by the exposure.
        The column is not used as an input, and `predict` needs it. The loss must be
        "poisson", or another one with predictions exp(z).
    quantile : float or sequence of three, default 0.5
        The level of the quantile, between 0 and 1. The level is the share of targets
        below the prediction. Three levels, such as (0.05, 0.5, 0.95), are the lower end
        of intervals, the prediction and the upper end. The model then has one ensemble
        for each level, and intervals are wider for rows with uncertain targets.

    Attributes
    ----------
    outer_ : list of Ensemble
        With three levels, the ensembles of the lower and upper levels.
    target_reading_ : NumberReading
        The number format of a text target.
    range_, targets_ : tuple of float and object
        The bounds of predictions, and the standardization of the targets. The bounds
        are the smallest and the largest target, or wider if linear models extrapolate
        well.
    residuals_ : Residuals
        The residuals of each network's out-of-fold predictions.
    out_of_fold_ : ndarray (N,) or (N, L)
        The predictions of the training rows, or the quantiles at L levels. The networks
        that predict a row used this row neither for training nor for early stopping.
        Rows without a prediction have nan. Model files do not contain this array.
    validation_loss_ : float
        The root mean squared error of ``out_of_fold_`` for the squared loss, and
        otherwise the mean loss over rows and levels. For "poisson", this is the mean
        deviance.
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from vecprop import TabularRegressor
    >>> table = load_diabetes(as_frame=True).frame
    >>> model = TabularRegressor(target="target", n_estimators=3, random_state=0).fit(table[::2])
    >>> model.score(table[1::2]) > 0.4
    True
    >>> low, high = model.predict_interval(table[1::2], coverage=0.8).T
    >>> bool(0.7 < ((low <= table.target[1::2]) & (table.target[1::2] <= high)).mean() < 0.9)
    True
    """

    outer_: ClassVar[list[Ensemble]]
    residuals_: ClassVar[Any]

    _: KW_ONLY
    loss: Any = "squared"
    exposure: str | None = None
    quantile: Any = 0.5

    _auto_activations: ClassVar[dict[Any, str]] = {
        "pieces": "silu",
        "standardised": "silu",
    }
    _auto_epochs: ClassVar[int] = 100
    _fewest_steps: ClassVar[int] = 2000

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "loss": [StrOptions({*LOSSES, *ALIASES}), Loss],
        "exposure": [str, None],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
    }

    def _validate_params(self):
        super()._validate_params()
        levels = np.atleast_1d(self.quantile).tolist()
        is_valid = len(levels) == 1
        if len(levels) == 3 and all(isinstance(level, Real) for level in levels):
            low, middle, high = levels
            is_valid = 0 < low < middle < high < 1 and high - low >= 0.5
        if not is_valid:
            raise ValueError(
                "The 'quantile' parameter of TabularRegressor must be one level"
                " between 0 and 1, or three increasing levels, the outer ones at least"
                f" 0.5 apart, such as (0.05, 0.5, 0.95). Got {self.quantile!r} instead."
            )
        has_log_link(self._objective.loss)  # raises an error for other links
        if self.loss != "quantile" and levels != [0.5]:
            raise ValueError(
                f'quantile={self.quantile!r} needs loss="quantile": pass both.'
            )

    @property
    def _levels(self) -> list[float]:
        """The quantile levels in increasing order, or an empty list for other losses."""
        return levels_of(self)

    @property
    def _objectives(self) -> list[Objective]:
        """The objective of the main ensemble, followed by the objectives of the outer levels."""
        if not self._levels:
            return [Objective.of(self.loss, self._scale)]
        outer = [level for level in self._levels if level != self._level]
        return [Objective(Quantile(level)) for level in (self._level, *outer)]

    @property
    def _scale(self) -> float:
        """The unit of the scaled targets, which is 1 before the fit."""
        targets: Any = getattr(self, "targets_", Numbers)
        return np.asarray(targets.scale).item()

    @property
    def _objective(self) -> Objective:
        """The objective of predictions."""
        return self._objectives[0]

    @suggests_keywords
    def predict(self, X: Any) -> ndarray:
        """Return the predictions of rows.

        Parameters
        ----------
        X : DataFrame, Table, Dataset, array, path or paths
            A table with the training columns, in any order. Other columns are ignored.

        Returns
        -------
        ndarray (N,)
            The predictions, in the units of the target.
        """
        return self._by_blocks(X, self._of_inputs)

    def _combined(self, predictions):
        return self._each_in_units(predictions).mean(axis=0)

    def _of_inputs(self, inputs, exposure=1.0):
        return (super()._of_inputs(inputs).T * exposure).T

    @suggests_keywords
    def predict_interval(self, X: Any, coverage: float = 0.9) -> ndarray:
        """Return prediction intervals, which contain about the given share of the targets.

        Intervals combine the predictions of the networks with their out-of-fold
        residuals (CV+, Barber et al., 2021; with three quantiles, Romano et al., 2019).
        The new rows must come from the distribution of the training rows. With N
        training rows, the share can be at most N / (N + 1).

        Parameters
        ----------
        X : DataFrame, Table, Dataset, array, path or paths
            A table, see `predict`.
        coverage : float, default 0.9
            The share of targets inside the intervals, between 0.5 and 1.

        Returns
        -------
        ndarray (N, 2)
            The lower and upper ends, in the units of the target.
        """
        return self._by_blocks(X, partial(self._interval_of_inputs, coverage=coverage))

    def _interval_of_inputs(self, inputs, exposure, coverage: float) -> ndarray:
        if self._has_heads:
            intervals = [
                single._interval_of_inputs(inputs, exposure, coverage)
                for single in self.models_
            ]
            return np.stack(intervals, axis=1)
        middle, *outer = [
            self._each_in_units(ensemble.predictions(inputs)) * exposure
            for ensemble in self._ensembles
        ]
        low, high = outer or (middle, middle)
        lower_end, upper_end = self.residuals_.interval(low, high, coverage).T
        predicted = middle.mean(axis=0)  # is inside the interval
        return np.stack(
            [np.minimum(lower_end, predicted), np.maximum(upper_end, predicted)], axis=1
        )

    @suggests_keywords
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return R², the explained share of the variance, or, for other losses, D², the explained share of the loss.

        Parameters
        ----------
        X : DataFrame, Table, Dataset, array, path or paths
            A table, see `predict`.
        y : array (N,), optional
            The true targets. By default, they are read from the target column of the
            table. Rows with a missing value are not scored.
        sample_weight : array (N,), optional
            The sample weights.
        """
        if self._has_heads:
            frame = as_frame(X, self)
            Y = true_targets(self, frame, y)
            scores = []
            for number, single in enumerate(self.models_):
                scores.append(single.score(frame, Y.iloc[:, number], sample_weight))
            return float(np.mean(scores))
        rows = self._scored(X, y, sample_weight)
        y = self._values(rows.y)
        if self._objective == SQUARED:
            return float(r2_score(y, rows.predicted, sample_weight=rows.weight))
        check_consistent_length(y, rows.predicted, rows.weight)
        return self._objective.d2(y, rows.predicted, rows.weight)

    def _in_units(self, Y: ndarray) -> ndarray:
        return np.clip(Y * self.targets_.scale + self.targets_.shift, *self.range_)

    def _score(self, y, outputs, weight, exposure):
        return score_of(self, y, self._in_units(outputs[:, 0]) * exposure, weight)

    def _each_in_units(self, predictions: Iterable[ndarray]) -> ndarray:
        """Return the predictions of M members in the units of the target, (M, N)."""
        return self._in_units(np.stack([Y[:, 0] for Y in predictions]))

    def _shared(
        self,
        ensemble: Ensemble,
        loss: Loss,
        unseen: Sequence[Unseen],
        rows: TrainingRows,
    ) -> tuple[Ensemble, Unseen]:
        """Return an ensemble with the best weights of views, and its out-of-fold predictions in target units."""
        means_by_view = []
        predictions = []
        for unseen_of_view in unseen:
            means = [(indices, Y.mean(axis=1)) for indices, Y in unseen_of_view]
            means_by_view.append(means)
            predictions.append(out_of_fold(means, len(rows.T)))
        is_predicted = ~np.isnan(predictions[0][:, 0])
        T = rows.T[is_predicted]
        weight = rows.weights(is_predicted)

        def mean_loss(Y: ndarray) -> float:
            losses = loss.value(before_link(loss, Y), T)
            return float(np.average(losses, weights=weight))

        by_view = [Y[is_predicted] for Y in predictions]
        shares = best_shares(by_view[: len(ensemble.nonlinear)], mean_loss)
        shares = with_linear(shares, by_view, mean_loss)
        ensemble = ensemble.with_shares(shares, [None] * len(shares))
        averages = []
        for means_of_fold in zip(*means_by_view, strict=True):
            indices, _ = means_of_fold[0]
            average = ensemble.average([means for _, means in means_of_fold])
            averages.append((indices, average[:, 0]))
        linear_share = sum(shares[len(ensemble.nonlinear) :])
        self.range_ = extended(
            self.range_,
            rows.T[:, 0],
            averages,
            rows.weight,
            margin=linear_share * (self.range_[1] - self.range_[0]) / 2,
        )
        unseen_in_units = []
        for indices, average in averages:
            predicted = self._in_units(average) * rows.exposure[indices]
            unseen_in_units.append((indices, predicted))
        return ensemble, unseen_in_units

    def _copy_calibration(self, original: Any, outcome, learner):
        super()._copy_calibration(original, outcome, learner)
        if not self._has_heads:
            self.range_ = union(self.range_, original.range_)

    @property
    def _level(self) -> float:
        """The level of the predicted quantile."""
        if not self._levels:  # scikit-learn's notebook view reads every property
            raise AttributeError(
                'TabularRegressor has a level only with loss="quantile".'
            )
        return self._levels[len(self._levels) // 2]

    def _losses(self):
        """Return the loss of the main ensemble, followed by the losses of the outer levels."""
        return [
            objective.loss_of_networks(self._scale) for objective in self._objectives
        ]

    def _learned(self, y, frame):
        y = pandas().Series(y.to_numpy(), frame.index)
        self.target_reading_, note = target_reading(
            y, self.target or "", frame, self._column_options
        )
        if note:
            self.notes_.append(f"{self._named_target} {note}.")
        target = self._values(y)
        if self._objective == SQUARED and are_counts(target):
            self.notes_.append(
                Note(
                    f"{self._named_target} contains counts:"
                    ' loss="poisson" (--loss poisson) often predicts counts better.',
                    "reading",
                    self.target,
                )
            )
        with np.errstate(over="ignore"):  # checked below
            spread = float(np.ptp(target))
        if target.min() == target.max():
            self.notes_.append(
                f"{self._named_target} is {target[0]:.6g} in all rows, so there is"
                " nothing to learn."
            )
        elif spread < 1 / MAX_SPREAD or spread > MAX_SPREAD:
            raise TableError(
                f"{self._named_target} ranges from {target.min():g} to"
                f" {target.max():g}, and the squares overflow or underflow: multiply it"
                " by a constant."
            )
        return target / self._exposure_of(frame)

    def _read_target(self, y, weight, ends=None):
        if ends is None or self.exposure is not None:  # the ends are counts
            ends = float(y.min()), float(y.max())
        low, high = ends
        if has_log_link(self._objective.loss):
            low = max(low, MIN_PROBABILITY)
            mean = float(np.average(y, weights=weight))
            self.targets_ = Numbers(1, scale=mean or 1.0)
        elif self.loss == "huber" and iqr(y) > 0:
            # outliers change the quartiles less than the standard deviation
            self.targets_ = Numbers(1, np.median(y), iqr(y, scale=1.349))
        else:
            self.targets_ = Numbers.standard(y[:, None], weight)
        self.range_ = low, high
        return self.targets_.encode(y[:, None]).astype(np.float32)

    def _encoding(self, target, T, factor):
        """Return a function that encodes the targets of other rows."""
        return partial(self._encoded, factor is not None)

    def _encoded(self, is_weighted: bool, y, frame) -> tuple[ndarray, ndarray | None]:
        exposure = self._exposure_of(frame)
        rates = self._values(y) / exposure
        T = self.targets_.encode(rates[:, None]).astype(np.float32)
        return T, exposure if is_weighted else None

    def _values(self, y):
        """Return targets as numbers, or raise an error."""
        series = pandas().Series(y)
        reading = getattr(
            self, "target_reading_", NumberReading.from_texts(texts_of(series))
        )
        numbers, is_unread = read_numbers(series, reading)
        is_invalid = ~np.isfinite(numbers)
        problem = "must be numeric, but some value(s) are infinite"
        advice = "fix them, or use TabularClassifier for classes"
        if not is_invalid.any():
            wrong = self._objective.loss.wrong_targets(numbers[:, None])
            if wrong is None or not wrong[0].any():
                return numbers
            is_invalid, advice = wrong
            is_invalid = is_invalid[:, 0]
            problem = f"has {is_invalid.sum()} value(s) that do not fit the loss"
        if is_unread.any():
            problem = (
                f"must be numeric, but {is_unread.sum()} value(s) are not {reading}"
            )
            if DateReading.from_texts(series.dropna().astype(str)):
                advice = DATES
        raise TableError(
            f"{self._named_target} {problem}, such as {first_of(series, is_invalid)}:"
            f" {advice}."
        )

    def _calibrated(self, ensembles, unseen, rows):
        """Choose the weights of views, and compute residuals, on out-of-fold predictions."""
        y = self._in_units(rows.T[:, 0]) * rows.exposure
        weight = rows.sample_weight
        if weight is None:
            weight = np.ones(len(y))
        calibrated = []
        unseen_by_level = []
        predictions = []
        losses = []
        levels = zip(ensembles, self._losses(), unseen, self._objectives, strict=True)
        for ensemble, loss, unseen_by_view, objective in levels:
            shared, averages = self._shared(ensemble, loss, unseen_by_view, rows)
            calibrated.append(shared)
            unseen_by_level.append(averages)
            predicted = out_of_fold(averages, len(y))
            predictions.append(predicted)
            losses.append(objective.row_losses(y, predicted))
        attributes = {
            "ensemble_": calibrated[0],
            "outer_": calibrated[1:],
            "residuals_": self._residuals(unseen_by_level, y, weight, rows.groups),
        }
        is_predicted = ~np.isnan(predictions[0])
        mean_losses = np.mean(losses, axis=0)[is_predicted]
        loss = np.average(mean_losses, weights=weight[is_predicted])
        if self._objective == SQUARED:
            loss = np.sqrt(loss)
        if not self._levels:
            return Calibration(attributes, predictions[0], float(loss))
        middle, *outer = predictions
        quantiles = np.stack([*outer[:1], middle, *outer[1:]], axis=1)
        return Calibration(attributes, quantiles, float(loss))

    def _residuals(
        self, unseen: Sequence[Unseen], y: ndarray, weight: ndarray, groups: float
    ) -> Residuals:
        """Return the distances of targets from the out-of-fold predictions of each network, negative between them."""
        middle, *outer = unseen
        low, high = outer or (middle, middle)
        power = 0.5 if has_log_link(self._objective.loss) else 1.0
        distances = []
        weights = []
        for low_of_fold, high_of_fold in zip(low, high, strict=True):
            indices, low_predictions = low_of_fold
            _, high_predictions = high_of_fold
            below = stabilized(low_predictions, power)
            above = stabilized(high_predictions, power)
            targets = stabilized(y[indices], power)
            distances.append(np.maximum(below - targets, targets - above))
            weights.append(weight[indices])
        is_count = power != 1 and np.allclose(y, np.round(y))
        return Residuals.of(distances, weights, groups, power=power, is_count=is_count)

"""The regressor of tables."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score, r2_score

from ..core.losses import Loss, Quantile, SquaredError
from ..estimators.data import Numbers as Targets
from ..estimators.sklearn_compat import Interval, StrOptions
from .encoding.column import first_of
from .encoding.encoder import View
from .ensemble.calibration import Residuals, best_shares
from .ensemble.ensemble import Ensemble, TrainingRows, Unseen, out_of_fold
from .ensemble.stages import Calibrated, Stage
from .error import TableError, pandas
from .kinds.formats import NumberReading
from .kinds.kinds import target_reading
from .kinds.values import read_numbers, texts_of
from .settings import CONSTRAINTS, documented
from .table_model import TableModel

LARGEST_SPREAD = 1e150
"""The largest difference between two targets, and its inverse the least one, so that squares are ordinary numbers."""


@documented(activation='"silu"', deeper="", weight_decay="1", epochs="100", steps="2,000")
@dataclass(eq=False, repr=False)
class TabularRegressor(RegressorMixin, TableModel):
    """A regressor that takes a table as it is: numbers, categories, dates, text, and missing values everywhere.

    It is an ensemble of dense networks, which see standardised numbers, and one half of them also numbers in pieces,
    with settings that were chosen for accuracy on many small tables; see docs/tables.md. Targets are scaled to mean 0
    and standard deviation 1 for training, and predictions stay between the smallest and the largest of them.

    Parameters
    ----------
    {settings}
    loss : "squared_error" or "quantile", default "squared_error"
        The loss: the squared error, to predict a mean, or the quantile loss, to predict a quantile.
    quantile : float or sequence of three, default 0.5
        The level of "quantile", between 0 and 1: the share of targets below the prediction. Three levels, such as
        (0.05, 0.5, 0.95), are those of the lower end of intervals, of the prediction, and of the upper end, each with
        an ensemble of its own. The width of intervals then follows the spread of the targets of similar rows.

    Attributes
    ----------
    outer_ : list of Ensemble
        With three levels, the networks of the lower and of the upper one.
    target_reading_ : NumberReading
        How a target that is text is read.
    residuals_ : Residuals
        The residuals of each network's out-of-fold predictions.
    out_of_fold_ : ndarray (N,) or (N, L)
        The predictions of the training rows, or their quantile of each of L levels, each by networks that were neither
        trained on the row nor stopped by it; nan where there are none. Model files do not contain it.
    validation_loss_ : float
        The root mean squared error of these predictions; for quantiles, their mean quantile loss over rows and levels.
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

    _: KW_ONLY
    loss: str = "squared_error"
    quantile: Any = 0.5

    auto_activations: ClassVar[dict[View, str]] = {"pieces": "silu", "standardised": "silu"}
    first_stage: ClassVar[list[Stage]] = [Stage("pieces"), Stage("standardised")]
    instead: ClassVar[list[Stage]] = []
    auto_epochs: ClassVar[int] = 100
    fewest_steps: ClassVar[int] = 2000

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "loss": [StrOptions({"squared_error", "quantile"})],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
    }

    def _validate_params(self) -> None:
        super()._validate_params()
        levels = np.atleast_1d(self.quantile).tolist()
        rise = len(levels) == 3 and 0 < levels[0] < levels[1] < levels[2] < 1 and levels[2] - levels[0] >= 0.5
        if len(levels) != 1 and not rise:
            raise ValueError(
                f"The 'quantile' parameter of TabularRegressor must be one level between 0 and 1, or three that rise, "
                f"the outer ones ½ apart at least, such as (0.05, 0.5, 0.95). Got {self.quantile!r} instead."
            )

    @property
    def levels(self) -> list[float]:
        """The levels of the quantiles that are learned, in rising order: one, three, or none for a mean."""
        return np.atleast_1d(self.quantile).tolist() if self.loss == "quantile" else []

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions of rows.

        Parameters
        ----------
        X : DataFrame, Table, Dataset, array, path or paths
            A table with the columns of training, in any order; others are ignored.

        Returns
        -------
        ndarray (N,)
            In the units of the target.
        """
        return self._by_blocks(X, self.of_inputs)

    def of_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Return the predictions of rows by the inputs of the networks."""
        return self._each_in_units(self.ensemble_, inputs).mean(axis=0)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Return intervals that contain the targets of about this share of rows.

        They combine the networks' predictions with the residuals of each network on rows that it has not seen (CV+,
        Barber et al., 2021; around two quantiles, Romano et al., 2019). They assume nothing of the distribution, except
        that it is the same for new rows.

        Parameters
        ----------
        X : DataFrame, Table, Dataset, array, path or paths
            A table, see `predict`.
        coverage : float, default 0.9
            The share, between ½ and 1.

        Returns
        -------
        ndarray (N, 2)
            The ends, in the units of the target.
        """
        return self._by_blocks(X, lambda inputs: self._interval_of_inputs(inputs, coverage))

    def _interval_of_inputs(self, inputs: np.ndarray, coverage: float) -> np.ndarray:
        middle, *outer = (self._each_in_units(ensemble, inputs) for ensemble in self.ensembles)
        low, high = outer or (middle, middle)
        low, high = self.residuals_.interval(low, high, coverage).T
        predicted = middle.mean(axis=0)
        return np.stack([np.minimum(low, predicted), np.maximum(high, predicted)], axis=1)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return R², the explained share of the targets' variance; for quantiles D², the share of the quantile loss.

        Parameters
        ----------
        X : DataFrame, Table, Dataset, array, path or paths
            A table, see `predict`.
        y : array (N,), optional
            The targets; by default the column of the table that ``target`` names.
        sample_weight : array (N,), optional
            The rows' weights.
        """
        y, Y, sample_weight = self._scored(X, y, sample_weight)
        score = partial(d2_pinball_score, alpha=self.level) if self.levels else r2_score
        return float(score(self._values(y), Y, sample_weight=sample_weight))

    def _in_units(self, Y: np.ndarray) -> np.ndarray:
        return np.clip(Y * self.targets_.scale + self.targets_.shift, *self.range_)

    def _each_in_units(self, ensemble: Ensemble, inputs: np.ndarray) -> np.ndarray:
        """Return each member's predictions in the units of the target, (M, N)."""
        return self._in_units(np.stack([Y[:, 0] for Y in ensemble.each(inputs)]))

    def _shared(
        self, ensemble: Ensemble, loss: Loss, of_views: Sequence[Unseen], rows: TrainingRows
    ) -> tuple[Ensemble, Unseen]:
        """Return an ensemble with the best share of each view.

        Beside it are, for each fold, the rows that its networks have not seen and their prediction in the target's
        units.
        """
        of_views = [[(own, Y.mean(axis=1)) for own, Y in of_view] for of_view in of_views]
        each = [out_of_fold(of_view, len(rows.T)) for of_view in of_views]
        known = ~np.isnan(each[0][:, 0])
        T, weight = rows.T[known], None if rows.weight is None else rows.weight[known]
        shares = best_shares([Y[known] for Y in each], lambda Y: float(np.average(loss.value(Y, T), weights=weight)))
        ensemble = ensemble.with_shares(shares, [None] * len(shares))
        by_fold = [(of_fold[0][0], [Y for _, Y in of_fold]) for of_fold in zip(*of_views, strict=True)]
        return ensemble, [(own, self._in_units(ensemble.together(Y)[:, 0])) for own, Y in by_fold]

    @property
    def level(self) -> float:
        """The level of the quantile that is predicted; there is none for a mean."""
        if not self.levels:  # `dir`, and so scikit-learn's view in a notebook, reads every property
            raise AttributeError('TabularRegressor predicts a mean: only with loss="quantile" it has a level.')
        return self.levels[len(self.levels) // 2]

    def losses(self) -> list[Loss]:
        """Return the loss of the networks that predict, and those of the outer levels."""
        if not self.levels:
            return [SquaredError()]
        return [Quantile(self.level), *(Quantile(level) for level in self.levels if level != self.level)]

    def _learned(self, y: Any, frame: Any) -> np.ndarray:
        y = pandas().Series(y.to_numpy(), frame.index)
        self.target_reading_, note = target_reading(y, self.target or "", frame, self.column_options)
        self.notes_ += [f"{self._named_target} {note}."] if note else []
        target = self._values(y)
        with np.errstate(over="ignore"):  # which the check is of
            spread = float(np.ptp(target))
        if spread > 0 and not 1 / LARGEST_SPREAD <= spread <= LARGEST_SPREAD:
            ends = f"{self._named_target} is from {target.min():g} to {target.max():g}"
            raise TableError(f"{ends}, whose squares are beyond floating-point numbers: multiply it by a constant.")
        if target.min() == target.max():
            self.notes_ += [f"{self._named_target} is {target[0]:.6g} in all rows: there is nothing to learn."]
        return target

    def _read_target(
        self, y: np.ndarray, weight: np.ndarray | None, ends: tuple[float, float] | None = None
    ) -> np.ndarray:
        self.targets_, self.range_ = Targets.standard(y[:, None], weight), ends or (float(y.min()), float(y.max()))
        return self.targets_.encode(y[:, None]).astype(np.float32)

    def encoding(self, target: np.ndarray, T: np.ndarray, factor: np.ndarray | None) -> Any:
        """Return a function that encodes targets of other rows."""
        return partial(self._encoded, factor is not None)

    def _encoded(self, is_weighted: bool, y: Any) -> tuple[np.ndarray, np.ndarray | None]:
        T = self.targets_.encode(self._values(y)[:, None]).astype(np.float32)
        return T, np.ones(len(T)) if is_weighted else None

    def _values(self, y: Any) -> np.ndarray:
        """Return targets as numbers, or refuse those that are none."""
        series = pandas().Series(y)
        reading = getattr(self, "target_reading_", NumberReading.of(texts_of(series)))
        numbers, is_unread = read_numbers(series, reading)
        wrong, unread = ~np.isfinite(numbers), int(is_unread.sum())
        if wrong.any():
            unknown = f"Unknown label type: {unread} value(s) are not {reading}"
            what = f"{unknown if unread else 'some value(s) are infinite'}, such as {first_of(series, wrong)}"
            advice = "fix them, or use TabularClassifier for classes"
            raise TableError(f"{self._named_target} is to be numbers, but {what}: {advice}.")
        return numbers

    def calibrated(self, ensembles: list[Ensemble], unseen: list[list[Unseen]], rows: TrainingRows) -> Calibrated:
        """Choose the views' shares, and keep residuals, by rows that networks have not seen."""
        y = self._in_units(rows.T[:, 0])
        weight = np.ones(len(y)) if rows.weight is None else rows.weight
        of_all = zip(ensembles, self.losses(), unseen, strict=True)
        shared, each = zip(*(self._shared(*of_ensemble, rows) for of_ensemble in of_all), strict=True)
        ends = each[1:] or each * 2
        distances = [np.maximum(low - y[own], y[own] - high) for (own, low), (_, high) in zip(*ends, strict=True)]
        residuals = Residuals.of(distances, [weight[own] for own, _ in each[0]], rows.groups)
        learned = {"ensemble_": shared[0], "outer_": list(shared[1:]), "residuals_": residuals}
        Y, *outer = (out_of_fold(of_members, len(y)) for of_members in each)
        known = ~np.isnan(Y)
        if not self.levels:
            loss = float(np.sqrt(np.average((Y - y)[known] ** 2, weights=weight[known])))
            return Calibrated(learned, Y, loss)
        Y = np.stack([outer[0], Y, outer[1]] if outer else [Y], axis=1)
        losses = np.mean([Quantile(level).element(of, y) for of, level in zip(Y.T, self.levels, strict=True)], axis=0)
        return Calibrated(learned, Y, float(np.average(losses[known], weights=weight[known])))

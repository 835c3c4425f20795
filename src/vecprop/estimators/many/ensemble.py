"""Ensembles: networks with different seeds, rows or features, trained together and averaged."""

import copy
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy import ndarray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    clone,
    is_classifier,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from ...core import SuggestsKeywords, suggests_keywords
from ...pictures.loss import side_by_side
from ...system.suggestions import SuggestsSettings
from ...system.versions import Versioned
from ...train.progress import progress_bar
from ...train.run import held
from ..base import MultilayerPerceptron, require_inherited_fit
from ..classifier import LogProbabilities, MLPClassifier
from ..data import Rows, inputs_as_numpy, types_of_inputs
from ..fit import FitSpec
from ..inspection import LossPlots, curves_of
from ..regressor import MLPRegressor
from ..settings import (
    CHECKPOINT,
    COUNT,
    documented,
    require_no_checkpoint,
    require_repeatable,
)
from ..sklearn_compat import HasMethods, Interval, RealNotInt, available_if, fit_context
from .fits import fit_many

SHARE = Interval(RealNotInt, 0, 1, closed="right")


@dataclass(eq=False, repr=False)
class MLPEnsemble(
    SuggestsSettings, SuggestsKeywords, MetaEstimatorMixin, Versioned, BaseEstimator
):
    """The base class of `MLPEnsembleClassifier` and `MLPEnsembleRegressor`.

    Parameters
    ----------
    n_estimators : int, default 10
        The number of networks.
    bootstrap : bool, default False
        Whether to draw the rows of each member with replacement. By default, members
        differ only in their seeds.
    max_samples : int or float, default 1.0
        The number or the share of rows for each member, drawn without replacement
        unless ``bootstrap=True``.
    max_features : int or float, default 1.0
        The number or the share of features for each member, drawn without replacement.
    oob_score : bool, default False
        Whether to compute the out-of-bag score. For this score, each row is predicted
        by the members that were not trained on this row.
    n_jobs : int or None, default None
        The maximum number of threads. None means the number of processors.
    workers : DaskWorkers or None, default None
        The cluster to train on, with bit-identical results. In a block of
        ``joblib.parallel_config("dask")``, the default is the cluster of this block.
    random_state : int, RandomState or None, default None
        The seed of the initial parameters, rows and features of all members. The random
        state of ``estimator`` is ignored.
    checkpoint : Checkpoint or None, default None
        The folder for finished members, ``Checkpoint("folder")``. If the program is
        killed, the same call of `fit` resumes with the remaining members, with
        bit-identical results. The random_state must be an integer.

    Attributes
    ----------
    estimators_ : list
        The fitted members. All members use the classes, class weights and target
        scaling of the full data.
    estimators_samples_, estimators_features_ : list of ndarray
        The row indices and the feature indices of each member.
    n_features_in_, feature_names_in_ : int and ndarray
        The number of columns of X, and their names if all are strings.
    oob_score_ : float
        The out-of-bag score, if ``oob_score=True``.
    oob_decision_function_, oob_prediction_ : ndarray
        With ``oob_score=True``, the mean probabilities of a classifier, or the mean
        predictions of a regressor. Only members that were not trained on a row predict
        this row. If all members were trained on a row, the value is NaN.
    plot : LossPlots
        Plots of the ensemble: ``plot()`` or ``plot.loss()`` draws the losses of all
        members.
    n_outputs_ : int
        The number of outputs.
    targets_ : object
        Converts labels or numbers to the targets of the networks, and their outputs to
        predictions.
    """

    _member_class: ClassVar[Any]
    targets_: ClassVar[Any]  # the same as in all members
    n_features_in_: ClassVar[int]
    feature_names_in_: ClassVar[ndarray]  # if all are strings
    n_outputs_: ClassVar[int]

    estimator: Any = None
    n_estimators: int = 10
    _: KW_ONLY
    bootstrap: bool = False
    max_samples: float = 1.0
    max_features: float = 1.0
    oob_score: bool = False
    n_jobs: int | None = None
    workers: Any = None
    random_state: Any = None
    checkpoint: Any = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "n_estimators": [COUNT],
        "bootstrap": ["boolean"],
        "max_samples": [COUNT, SHARE],
        "max_features": [COUNT, SHARE],
        "oob_score": ["boolean"],
        "n_jobs": [Integral, None],
        "workers": [HasMethods("run"), None],
        "random_state": ["random_state"],
        "checkpoint": CHECKPOINT,
    }

    @suggests_keywords
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit all members at once.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.
        y : array (N,) or (N, O)
            The labels or the numeric targets.
        sample_weight : array (N,), optional
            The weight of each row, at least 0. By default, all weights are 1.

        Returns
        -------
        self
            The fitted ensemble.

        Raises
        ------
        TypeError
            If the estimator has the wrong class.
        ValueError
            If data or settings are invalid, or a member's training diverges.
        """
        template = self._template()
        rows, _ = template._accept(X, y, sample_weight)
        # checked by the ensemble; members get plain arrays
        names = vars(template).pop("feature_names_in_", None)
        random = check_random_state(self.random_state)
        draws = [self._draw(template, rows, random) for _ in range(self.n_estimators)]
        specs = [draw.spec for draw in draws]
        with held(self.checkpoint):
            with progress_bar("training", quiet=template.verbose != "bar") as show:
                attempts = fit_many(
                    specs, self.n_jobs, self.checkpoint, self.workers, progress=show
                )
            if any(getattr(attempt, "interrupted", False) for attempt in attempts):
                warnings.warn("Training interrupted by user.", stacklevel=4)
        trained = []
        for draw, attempt in zip(draws, attempts, strict=True):
            if isinstance(attempt, Exception):
                raise attempt
            if attempt is not None:
                draw.member._learn(draw.spec, attempt)
                trained.append((draw, attempt))
        self._copy_attributes(template, names)
        self.estimators_ = [draw.member for draw in draws]
        self.estimators_samples_ = [draw.samples for draw in draws]
        self.estimators_features_ = [draw.features for draw in draws]
        for draw, attempt in trained:
            if text := draw.member._convergence_warning(draw.spec, attempt):
                warnings.warn(text, ConvergenceWarning, stacklevel=4)
                break  # one warning for all members
        if self.oob_score:
            self._score_out_of_bag(rows)
        return self

    def _template(self):
        """Return a copy of the estimator, whose settings are valid for members of an ensemble."""
        template: Any = clone(
            self._member_class() if self.estimator is None else self.estimator
        )
        if not isinstance(template, self._member_class):
            raise TypeError(
                f"estimator is a {type(template).__name__}, but {type(self).__name__}"
                f" needs vecprop's {self._member_class.__name__}: use scikit-learn's"
                " Bagging for other estimators."
            )
        require_inherited_fit(template)
        require_no_checkpoint(template, f"give it to {type(self).__name__} instead")
        require_repeatable(self)
        template._validate_params()
        return template

    def _copy_attributes(self, template, names: ndarray | None):
        """Copy the fitted attributes that all members share, and delete out-of-bag results of an earlier fit."""
        for name in ("oob_score_", "oob_decision_function_", "oob_prediction_"):
            vars(self).pop(name, None)
        fitted = vars(template)
        if names is not None:
            fitted = fitted | {"feature_names_in_": names}
        for name in (
            "n_features_in_",
            "feature_names_in_",
            "classes_",
            "n_outputs_",
            "targets_",
        ):
            vars(self).pop(name, None)
            if name in fitted:
                setattr(self, name, fitted[name])

    @property
    def plot(self) -> LossPlots:
        """Plots of the ensemble: ``plot()`` or ``plot.loss()`` draws the losses of all members."""
        return LossPlots(self)

    def _loss_history(self) -> tuple[Any, int]:
        """Return the losses of all members as a history, and the epoch of the first loss."""
        trained = [
            curves_of(member)
            for member in self.estimators_
            if hasattr(member, "loss_curve_")
        ]
        return side_by_side(trained), 1

    def _draw(
        self, template: MultilayerPerceptron, rows: Rows, random: np.random.RandomState
    ) -> "Draw":
        """Draw the rows and features of a new member, and prepare its fit."""
        row_count = len(rows)
        feature_count = rows.table.X.shape[1]
        drawn_rows = _number("max_samples", self.max_samples, row_count)
        drawn_features = _number("max_features", self.max_features, feature_count)
        if self.oob_score and not self.bootstrap and drawn_rows == row_count:
            raise ValueError(
                "oob_score needs out-of-bag rows: set bootstrap=True, or max_samples"
                " below 1."
            )
        member = copy.copy(template)
        member.random_state = int(random.randint(2**31 - 1))
        samples = np.arange(row_count)
        features = np.arange(feature_count)
        if drawn_features < feature_count:
            features = np.sort(random.permutation(feature_count)[:drawn_features])
            rows = rows.columns(features)
            member.n_features_in_ = drawn_features
        if self.bootstrap:
            samples = random.randint(row_count, size=drawn_rows)
        elif drawn_rows < row_count:
            samples = random.permutation(row_count)[:drawn_rows]
        if self.bootstrap or drawn_rows < row_count:
            rows = rows.take(samples)
        spec = member._begin(rows, None, check_random_state(member.random_state))
        return Draw(member, samples, features, spec)

    def _outputs_of_members(self, X: Any) -> Iterator[ndarray]:
        """Validate X and yield each member's outputs, (N, O)."""
        check_is_fitted(self)
        X = inputs_as_numpy(X)
        X = validate_data(
            self, X, accept_sparse=["csr", "csc"], dtype=types_of_inputs(X), reset=False
        )
        for member, features in zip(
            self.estimators_, self.estimators_features_, strict=True
        ):
            yield member._network_outputs(
                X if len(features) == self.n_features_in_ else X[:, features]
            )

    def _score_out_of_bag(self, rows: Rows):
        """Compute the out-of-bag score."""
        row_count = len(rows)
        total = np.zeros((row_count, self.n_outputs_))
        votes = np.zeros((row_count, 1))
        drawn = zip(
            self.estimators_,
            self.estimators_samples_,
            self.estimators_features_,
            strict=True,
        )
        for member, samples, features in drawn:
            out_of_bag = np.setdiff1d(np.arange(row_count), samples)
            if len(out_of_bag):
                total[out_of_bag] += member._network_outputs(
                    rows.table.X[out_of_bag][:, features]
                )
                votes[out_of_bag] += 1
        has_votes = votes[:, 0] > 0
        if not has_votes.any():
            wrong = (
                f"oob_score has no out-of-bag rows with n_samples={row_count} and"
                f" {self.n_estimators} members"
            )
            raise ValueError(f"{wrong}: use more rows or more members.")
        if not has_votes.all():
            wrong = (
                f"{np.sum(~has_votes)} of {row_count} rows have no out-of-bag"
                " prediction"
            )
            warnings.warn(
                f"{wrong}, since every member was trained on them: use more members.",
                stacklevel=5,
            )
        with np.errstate(invalid="ignore"):
            Y = total / votes
            score = r2_score
            if is_classifier(self):
                score = accuracy_score
                self.oob_decision_function_ = self.targets_.probabilities(Y)
            else:
                self.oob_prediction_ = self.targets_.decode(Y)
            self.oob_score_ = float(
                score(rows.table.y[has_votes], self.targets_.decode(Y[has_votes]))
            )

    def __sklearn_is_fitted__(self) -> bool:
        return "estimators_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        member_tags = get_tags(self._member_class())
        tags.input_tags.sparse = member_tags.input_tags.sparse
        tags.target_tags.multi_output = member_tags.target_tags.multi_output
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_label = True
        return tags


class Draw(NamedTuple):
    """A member of an ensemble, the indices of its rows and features, and the spec of its fit."""

    member: MultilayerPerceptron
    samples: ndarray
    features: ndarray
    spec: FitSpec


def _number(name: str, value: float, count: int) -> int:
    """Return a number of rows or features that is given as an integer or as a share of the count."""
    number = max(int(value * count), 1) if isinstance(value, float) else value
    if number > count:
        raise ValueError(
            f"{name} is {value}, expected at most {count}, or a share such as 0.5."
        )
    return number


@documented
class MLPEnsembleClassifier(LogProbabilities, ClassifierMixin, MLPEnsemble):
    """An ensemble of networks for classification, which averages their probabilities.

    Parameters
    ----------
    estimator : MLPClassifier, optional
        The settings of all members. The default is ``MLPClassifier()``.
    {settings}

    Attributes
    ----------
    classes_ : ndarray (C,)
        The sorted classes, which are the same for all members.
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from vecprop import MLPClassifier, MLPEnsembleClassifier
    >>> X, y = make_moons(100, noise=0.1, random_state=0)
    >>> network = MLPClassifier((8,), solver="lbfgs")
    >>> ensemble = MLPEnsembleClassifier(network, 5, bootstrap=True, random_state=0).fit(X, y)
    >>> P, spread = ensemble.predict_proba([[0.5, 0.25], [-1.0, 0.5]], return_std=True)
    >>> bool(spread[0, 0] > spread[1, 0])  # they disagree between the moons
    True
    """

    _member_class = MLPClassifier
    classes_: ndarray

    def predict(self, X: Any) -> Any:
        """Predict the labels of rows from the mean of the members' outputs.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.

        Returns
        -------
        ndarray (N,), or (N, C) of 0 and 1 for multilabel targets
        """
        # raises an error if not fitted
        Y, _ = mean_and_deviation(self._outputs_of_members(X))
        return self.targets_.decode(Y)

    def _has_probabilities(self) -> bool:
        return self.estimator is None or hasattr(self.estimator, "predict_proba")

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any, return_std: bool = False) -> Any:
        """Return the mean probability of each class, and optionally the standard deviation.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.
        return_std : bool, default False
            Whether to also return the standard deviation over the members. If the
            deviation is large, the probability depends strongly on the seed, or on the
            rows and features of a member.

        Returns
        -------
        ndarray (N, C), or a pair of ndarrays
            The columns are in the order of ``classes_``.
        """
        Y, deviation = mean_and_deviation(self._outputs_of_members(X))
        P = self.targets_.probabilities(Y)
        if not return_std:
            return P
        return P, (
            deviation if deviation.shape == P.shape else np.repeat(deviation, 2, axis=1)
        )


@documented
class MLPEnsembleRegressor(RegressorMixin, MLPEnsemble):
    """An ensemble of networks for regression, which averages their predictions.

    Parameters
    ----------
    estimator : MLPRegressor, optional
        The settings of all members. The default is ``MLPRegressor()``.
    {settings}

    Attributes
    ----------
    {attributes}

    Examples
    --------
    >>> from vecprop import MLPEnsembleRegressor, MLPRegressor
    >>> X = np.linspace(-1, 1, 30)[:, None]
    >>> network = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=500)
    >>> ensemble = MLPEnsembleRegressor(network, 5, random_state=0).fit(X, np.sin(3 * X[:, 0]))
    >>> mean, spread = ensemble.predict([[0.0], [4.0]], return_std=True)
    >>> bool(spread[0] < spread[1])  # they disagree far from the rows
    True
    """

    _member_class = MLPRegressor

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the mean prediction, and optionally the standard deviation over the members.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.
        return_std : bool, default False
            Whether to also return the standard deviation over the members. The
            deviation shows how much a prediction depends on the seed, and on the rows
            and features of a member. The standard deviation does not measure the noise
            of y.

        Returns
        -------
        ndarray (N,) or (N, O), or a pair of ndarrays
            In the units of y.
        """
        mean, deviation = mean_and_deviation(
            self.targets_.decode(Y) for Y in self._outputs_of_members(X)
        )
        return (mean, deviation) if return_std else mean


def mean_and_deviation(values: Iterable[ndarray]) -> tuple[ndarray, ndarray]:
    """Return the mean and standard deviation of arrays, with one in memory at a time (Welford, 1962).

    Examples
    --------
    >>> mean_and_deviation([np.array([1.0, 5.0]), np.array([3.0, 5.0])])
    (array([2., 5.]), array([1., 0.]))
    """
    mean: Any = 0.0  # a Python float does not change the arrays' dtype
    squares: Any = 0.0
    count = 0
    for value in values:
        count += 1
        step = value - mean
        mean = mean + step / count
        squares = squares + step * (value - mean)
    return mean, np.sqrt(squares / count)

"""The base class of the classifier and the regressor: data validation, training and prediction."""

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from inspect import signature, unwrap
from math import ulp
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy import ndarray
from numpy.random import RandomState
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ..core import AS_READ, Loss, Selection, is_converted_as_read, suggests_keywords
from ..optimize.schedules import has_horizon
from ..system.suggestions import SuggestsSettings
from ..system.versions import Versioned
from ..train.run import held
from ..train.state import TrainingState
from . import parts
from .data import (
    Rows,
    Table,
    as_numpy,
    class_weights,
    inputs_as_numpy,
    row_weights,
    types_of_inputs,
)
from .fit import ATTRIBUTES, FitOutcome, FitRun, FitSpec
from .inspection import Inspection, Predictions
from .settings import Constructor, require_no_checkpoint, require_repeatable
from .sklearn_compat import CallbackSupport, EpochTasks, available_if, fit_context

if TYPE_CHECKING:
    from .diagnosis import Diagnosis


LBFGS_WARNINGS = {
    "epochs": "it reached max_iter or max_fun: increase them, or scale the data",
    "stalled": (
        "its last line search found no lower loss: scale the data, or increase tol"
    ),
}
"""The explanation of each stop reason for which L-BFGS has not converged."""


def has_partial_fit(model: "MultilayerPerceptron") -> bool:
    """Return True, or raise an error if the solver does not support partial_fit."""
    if not parts.has_steps(model):
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers, and"
            f" {model.solver} is not one."
        )
    return True


class MultilayerPerceptron(
    SuggestsSettings,
    CallbackSupport,
    Inspection,
    Constructor,
    Versioned,
    BaseEstimator,
    ABC,
):
    """The base class of `MLPClassifier` and `MLPRegressor`.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        The weights (inputs, outputs) and biases (outputs,) of each dense layer. The
        arrays are views of ``theta_``. You can change their entries or assign new
        arrays. `partial_fit` starts from these parameters.
    theta_ : ndarray (P,)
        All parameters, layer by layer.
    network_ : Network
        The network, for use with vecprop's other functions.
    n_iter_ : int
        The number of epochs in the last call.
    t_ : int
        The number of rows processed in all epochs of training. For "lbfgs", the number
        is 0.
    loss_, best_loss_ : float
        The loss of the last epoch, and the lowest loss. With early stopping, best_loss_
        is None.
    loss_curve_ : list of float
        The mean loss of the batches of each epoch. The loss of a batch is measured
        before the step. For "lbfgs", the curve contains the loss of all rows after each
        iteration.
    validation_loss_curve_ : list of float or None
        The validation loss after each epoch, if there are validation rows.
    validation_scores_, best_validation_score_ : list of float and float, or None
        The validation score after each epoch if there are validation rows, and the best
        score with early stopping.
    score_curve_ : list of float or None
        The score on the training rows after each epoch, if ``scoring`` is given.
    restart_losses_, best_restart_ : ndarray (n_restarts,) and int, or None
        With several restarts, the final loss of each restart, and the index of the best
        restart. The loss of a diverged restart is infinite.
    n_features_in_, feature_names_in_ : int and ndarray
        The number of columns of X, and their names if all are strings.
    plot : Plots
        Plots of the model, such as ``plot.loss()`` and ``plot.decision_boundary(X,
        y)``.
    targets_ : object
        Converts labels or numbers to the targets of the network, and its outputs to
        predictions.
    n_layers_, n_outputs_, out_activation_ : int, int and str
        The number of layers including the input layer, the number of outputs, and the
        name of the output activation.

    Notes
    -----
    With ``warm_start=True`` or `partial_fit`, training continues exactly where the last
    call stopped. The optimizer, the schedule, shuffling and dropout continue, too. One
    call with 50 epochs and 50 calls with one epoch give bit-identical results, even if
    the model is pickled between two calls. There are two exceptions: with "lbfgs", and
    with schedules that depend on ``max_iter``, training restarts from the current
    parameters. `partial_fit` supports neither case. With early stopping, ``warm_start``
    continues from the last parameters, not from the best parameters. The loss is the
    sum over all outputs. In scikit-learn, the squared error of `MLPRegressor` is the
    mean over the outputs.

    With scikit-learn 1.9 or newer, ``set_callbacks`` accepts callbacks such as a
    progress bar.
    """

    targets_: Any  # Labels of a classifier, Numbers of a regressor
    _ending: Any = None
    _y_is: ClassVar[dict[str, bool]] = {}

    @classmethod
    @cache  # scikit-learn would inspect the signature for every clone
    def _get_param_names(cls):  # pyright: ignore[reportIncompatibleMethodOverride]
        return super()._get_param_names()

    @abstractmethod
    def _network_loss(self) -> Loss:
        """Return the loss function specified by the settings."""

    @abstractmethod
    def _read_targets(
        self, y: Any, weight: ndarray | None, new: bool, trains: bool = False
    ) -> tuple[Any, ndarray]:
        """Return y in canonical shape and the network's targets. If ``new`` is true, set ``targets_``."""

    @abstractmethod
    def _own_score(self, rows: Rows) -> str | None:
        """Return the name of the function in `core.scores` that equals `score` on these rows, if there is one."""

    @suggests_keywords
    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.
        y : array (N,) or (N, O)
            The labels or the numeric targets.
        sample_weight : array (N,), optional
            The weight of each row, at least 0. By default, all weights are 1. A row
            with a weight of 2 counts as two rows.
        X_val, y_val, sample_weight_val : array, optional
            Validation rows. Their loss and score are measured after each epoch. With
            ``early_stopping=True``, these rows replace the rows that would be held out
            from X.

        Returns
        -------
        self
            The fitted model.

        Raises
        ------
        ValueError
            If data or settings are invalid, or if training diverges. If training
            diverges, the model keeps the last parameters with a finite loss.
        """
        random = check_random_state(self.random_state)
        first = not (self.warm_start and hasattr(self, "coefs_"))
        checkpoint = self.checkpoint
        if checkpoint is not None:
            require_repeatable(self)
            if not first:
                require_no_checkpoint(
                    self, "leave it out when warm_start continues an earlier fit"
                )
        rows, validation = self._accept(
            X, y, sample_weight, X_val, y_val, sample_weight_val, first=first
        )
        spec = self._begin(rows, validation, random, first)
        spec.checkpoint = checkpoint
        with held(checkpoint, is_folder=self.n_restarts > 1):
            if spec.starts:
                from .many.fits import run_fit

                outcome = run_fit(spec)
            else:
                outcome = FitRun(spec).train()
        if outcome.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        self._learn(spec, outcome)
        if text := self._convergence_warning(spec, outcome):
            warnings.warn(text, ConvergenceWarning, stacklevel=4)
        return self

    @available_if(has_partial_fit)
    @suggests_keywords
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on these rows, exactly continuing earlier training.

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
            The model.

        Raises
        ------
        ValueError
            If data or settings are invalid, or training diverges.
        """
        return self._partial_fit(X, y, sample_weight)

    def _partial_fit(self, X, y, sample_weight) -> Self:
        """Train for one epoch; see `partial_fit`."""
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        require_no_checkpoint(
            self, "leave it out for partial_fit, and save the model between calls"
        )
        random = check_random_state(self.random_state)
        first = not hasattr(self, "coefs_")
        rows, _ = self._accept(X, y, sample_weight, first=first, incremental=True)
        if has_horizon(parts.schedule(self, len(rows))):
            raise ValueError(
                f"{self.learning_rate!r} needs the total number of epochs, which"
                " partial_fit does not know: use fit, or another learning_rate."
            )
        spec = self._begin(rows, None, random, first, is_partial=True)
        outcome = FitRun(spec).train(epochs=1)
        if outcome.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=5)
        self._learn(spec, outcome)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def initialize(self, X: Any, y: Any) -> Self:
        """Create the network for these data and draw its initial parameters, without training.

        `fit` and the first `partial_fit` start from the same parameters.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            Inputs.
        y : array (N,) or (N, O)
            The labels or the numeric targets.

        Returns
        -------
        self
            The model, ready for prediction, inspection and `partial_fit`.
        """
        random = check_random_state(self.random_state)
        for name in ("network_", "_given"):
            self.__dict__.pop(name, None)
        rows, _ = self._accept(X, y)
        self._prepare(rows, random, first=True)
        self._seed = int(random.randint(2**31 - 1))
        self._rows = Predictions(self.network_, self.theta_)
        return self

    def diagnose(self, X: Any, y: Any) -> "Diagnosis":
        """Diagnose problems of the model's training on these rows.

        A diagnosis can report these problems: training has diverged, inputs or targets
        have an unsuitable scale, the learning rate is too high or too low, many hidden
        units are dead or saturated, or a class is never predicted. See
        docs/estimators.md for the conditions. `fit` adds the same sentences to its
        ``ConvergenceWarning``, or to the error if training diverges.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs, preferably the training rows.
        y : array (N,) or (N, O)
            The labels or the numeric targets.

        Returns
        -------
        Diagnosis
            A tuple with a sentence for each problem and its remedy. The tuple is empty
            if no problem was found. ``print`` shows one sentence per line.

        Examples
        --------
        >>> X, y = np.array([[0.0, 1000.0], [1.0, 2000.0], [2.0, 3000.0]]), [0, 1, 1]
        >>> MLPClassifier(activation="leaky_relu").initialize(X, y).diagnose(X, y)
        Inputs are unscaled, far from 1 in magnitude: column 1 (2.16e+03); put a StandardScaler before the network.
        """
        check_is_fitted(self)
        return self._diagnosis(self._read(X, y, None))

    def _diagnosis(self, rows: Rows, of_sample: bool = False) -> "Diagnosis":
        """Return the diagnosis on these rows, or on a sample, which is fast compared with training."""
        from .diagnosis import FEW, SAMPLE, Case, diagnosis_of, sample_of

        if of_sample:
            return diagnosis_of(Case(self, self._ending, sample_of(rows, SAMPLE), FEW))
        return diagnosis_of(Case(self, self._ending, rows))

    def _accept(
        self,
        X,
        y,
        sample_weight=None,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        *,
        first: bool = True,
        incremental: bool = False,
    ) -> tuple[Rows, Rows | None]:
        """Return the training rows, which define inputs and targets, and any validation rows."""
        rows = self._read(X, y, sample_weight, first, incremental, weighted=True)
        if (X_val is None) != (y_val is None):
            raise ValueError(
                "Only one of X_val and y_val is given: give both or neither."
            )
        if X_val is not None:
            return rows, self._read(X_val, y_val, sample_weight_val)
        if sample_weight_val is not None:
            raise ValueError(
                "sample_weight_val needs X_val and y_val, which are not given."
            )
        return rows, None

    def _read(
        self,
        X,
        y,
        sample_weight=None,
        first: bool = False,
        incremental: bool = False,
        weighted: bool = False,
    ) -> Rows:
        """Return checked rows, weighted by class if `weighted`."""
        X = inputs_as_numpy(X)
        try:
            checked: Any = validate_data(
                self,
                X,
                as_numpy(y),
                dtype=types_of_inputs(X),
                accept_sparse=["csr", "csc"],
                multi_output=True,
                reset=first,
                **self._y_is,
            )
        # perhaps because an object array contains text, which NumPy tries to parse
        except ValueError:
            if self._y_is:
                for value in np.ravel(np.asarray(y, object)):
                    if isinstance(value, str):
                        raise ValueError(
                            f"y has the text {value!r}, but a regressor predicts numbers:"
                            " use MLPClassifier for class names."
                        ) from None
            raise
        X, y = checked
        weight = sample_weight
        if weight is not None:
            weight = row_weights(weight, X.shape[0])
        y, T = self._read_targets(
            y, weight, new=first and not incremental, trains=weighted
        )
        self.n_outputs_ = self.targets_.outputs
        # only classifiers have class weights
        class_weight = getattr(self, "class_weight", None)
        if weighted and class_weight is not None:
            factors = class_weights(class_weight, y, weight)
            weight = factors if weight is None else weight * factors
        return Rows(Table(X, y, T, weight))

    def _begin(
        self,
        rows: Rows,
        validation: Rows | None,
        random: RandomState,
        first: bool = True,
        is_partial: bool = False,
    ) -> FitSpec:
        """Return the spec of the next fit: a new network with its restarts, or the current one."""
        self._prepare(rows, random, first)
        attributes = vars(self)
        before = FitOutcome(self.theta_)
        for name, attribute in ATTRIBUTES.items():
            if attribute in attributes:
                setattr(before, name, attributes[attribute])
        trained_rows = rows
        if self.early_stopping and validation is None and parts.has_steps(self):
            trained_rows, validation = self._set_aside(rows, before, random)
        if before.seed is None:  # drawn once, also for continued training
            before.seed = int(random.randint(2**31 - 1))
        restarts = []
        if first and not is_partial and self.n_restarts > 1:
            restarts = self._restarts(before)
        score = None
        if validation is not None and self.scoring is None:
            score = self._own_score(validation)
        tasks = None
        if "_skl_callbacks" in attributes and not is_partial:
            tasks = EpochTasks(self, rows)
        return FitSpec(
            self,
            self.network_,
            before,
            trained_rows,
            validation,
            optimizer=parts.optimizer(self),
            score=score,
            tasks=tasks,
            starts=restarts,
        )

    def _set_aside(
        self, rows: Rows, before: FitOutcome, random: RandomState
    ) -> tuple[Rows, Rows]:
        """Hold out validation rows.

        Continued fits hold out the same rows, since the other rows were used in training.
        """
        if self.warm_start:
            if before.split is None:
                before.split = copy.deepcopy(random)
            else:
                random = copy.deepcopy(before.split)
        has_two_classes = self.n_outputs_ == 1 and hasattr(self, "classes_")
        return rows.set_aside(random, self.validation_fraction, has_two_classes)

    def _restarts(self, before: FitOutcome) -> list[FitOutcome]:
        """Return the initial parameters of further restarts."""
        from .many.fits import random_states

        restarts = []
        _, *states = random_states(self.random_state, self.n_restarts)
        for state in states:
            random = check_random_state(state)
            dtype = before.theta.dtype
            theta = parts.initial_theta(self, self.network_, random, dtype)
            seed = int(random.randint(2**31 - 1))
            restarts.append(FitOutcome(theta, seed, before.split))
        return restarts

    def _learn(self, spec: FitSpec, outcome: FitOutcome):
        """Store the outcome of a fit in the model; then raise an error if training diverged."""
        self._publish(outcome)
        self._rows = Predictions(self.network_, self.theta_)
        if outcome.diverged:
            message = (
                "Solver produced non-finite parameter weights. The input data may"
                " contain large values and need to be preprocessed."
            )
            raise ValueError(
                " ".join([message, *self._diagnosis(spec.rows, of_sample=True)])
            ) from outcome.error

    def _convergence_warning(self, spec: FitSpec, outcome: FitOutcome) -> str:
        """Return scikit-learn's convergence warning with the diagnosis, or "" if training converged.

        The diagnosis is skipped if such warnings are ignored, because it can take as
        long as several epochs.
        """
        reason = outcome.ending.reason if outcome.ending else None
        has_stalled = reason in ("callback", "converged") and not spec.by_score
        if spec.is_lbfgs and reason in LBFGS_WARNINGS:
            message = (
                f"lbfgs failed to converge after {outcome.n_iter} iteration(s):"
                f" {LBFGS_WARNINGS[reason]}."
            )
        elif reason == "epochs":
            message = (
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached"
                " and the optimization hasn't converged yet."
            )
        elif has_stalled and 0 < self.tol < ulp(outcome.loss):
            message = (
                f"The loss, {outcome.loss:.3g}, is so large that progress of"
                f" tol={self.tol:g} is lost in rounding: training ended, perhaps"
                " without convergence."
            )
        else:
            return ""
        if _ignores_convergence_warnings():
            return message
        return " ".join([message, *self._diagnosis(spec.rows, of_sample=True)])

    def _publish(self, outcome: FitOutcome):
        """Store the training results so far in the model's attributes."""
        for name, attribute in ATTRIBUTES.items():
            self.__dict__[attribute] = getattr(outcome, name)

    def _prepare(self, rows: Rows, random: RandomState, first: bool):
        """Create the network for validated rows, and new parameters unless training continues."""
        X = rows.table.X
        loss = self._network_loss()
        network = parts.network(self, X.shape[1], self.n_outputs_, loss)
        is_new = first or "network_" not in vars(self)
        if not is_new and network.layout != self.network_.layout:
            raise ValueError(
                f"The settings now describe {network.layout}, but the trained network"
                f" is {self.network_.layout}: refit with warm_start=False."
            )
        self.network_ = network
        if not is_new:
            return
        dtype = X.dtype if X.dtype.kind == "f" else np.dtype(float)
        theta = parts.initial_theta(self, network, random, dtype)
        self._publish(FitOutcome(theta))
        # coefficients that the user has set before the first `partial_fit`
        assigned = self.__dict__.pop("_given", {})
        if not first:
            for name, values in assigned.items():
                setattr(self, name, values)
        self.n_layers_ = 1 + sum("W" in views for views in network.layout.views(theta))
        self.out_activation_ = type(loss).__name__  # of a custom loss
        for cls, link in parts.LINKS.items():
            if isinstance(loss, cls):
                self.out_activation_ = link
                break

    def _loss_constant(self, rows: Rows) -> float:
        """Return the parameter-independent constant that scikit-learn adds to the loss."""
        return 0.0

    @suggests_keywords
    def predict(self, X: Any) -> Any:
        """Predict the labels or the numeric targets of rows.

        Parameters
        ----------
        X : array or sparse matrix (N, I)
            The inputs.

        Returns
        -------
        ndarray (N,), or (N, O) for several outputs
            Regression predictions are in the units of y. Multilabel predictions are
            columns of 0 and 1.
        """
        outputs = self._network_outputs(X)  # raises an error if the model is not fitted
        return self.targets_.decode(outputs)

    def _network_outputs(self, X) -> ndarray:
        """Validate X and return the network's outputs, (N, O)."""
        attributes = vars(self)
        predictions = attributes.get("_rows")
        if predictions is None:
            check_is_fitted(self)
        theta = self.theta_
        network = self.network_
        if (
            predictions is None
            or predictions.theta is not theta
            or predictions.network is not network
        ):
            predictions = self._rows = Predictions(network, theta)
        # scikit-learn's validation takes longer than a small prediction
        is_valid = (
            type(X) is ndarray
            and X.dtype == theta.dtype
            and X.ndim == 2
            and X.shape[1] == self.n_features_in_
            and len(X) > 0
            and "feature_names_in_" not in attributes
            and X.size < AS_READ  # isfinite needs memory
            and np.isfinite(X).all()
        )
        if not is_valid:
            X = self._checked_inputs(X)
        return predictions(X)

    def _checked_inputs(self, X: Any) -> Any:
        """Return X, validated by scikit-learn and converted to theta's dtype."""
        check_is_fitted(self)
        if isinstance(X, Selection):  # the rows have been validated
            return X
        X = inputs_as_numpy(X)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        dtype = self.theta_.dtype
        if is_converted_as_read(X, dtype):
            return Selection(X)
        return X.astype(dtype, copy=False)

    def _scorer(self, rows: Rows, scoring) -> Callable[[TrainingState], float]:
        """Return a function that scores the parameters of a training state on these rows."""
        scorer: Any = check_scoring(self, scoring=scoring)
        # a copy without feature names, since the rows are plain arrays
        model = copy.copy(self)
        model.__dict__.pop("feature_names_in_", None)
        table = rows.chosen
        options = {}
        if table.weight is not None and _accepts_weights(scorer):
            options["sample_weight"] = table.weight

        def score(state: TrainingState) -> float:
            model.theta_ = state.theta
            return float(scorer(model, table.X, table.y, **options))

        return score

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _accepts_weights(scorer) -> bool:
    """Return whether a function has a parameter for sample weights, or arbitrary keywords."""
    for parameter in signature(scorer).parameters.values():
        is_named = parameter.name == "sample_weight"
        if is_named or parameter.kind == parameter.VAR_KEYWORD:
            return True
    return False


def _ignores_convergence_warnings() -> bool:
    """Return whether the first filter for these warnings ignores them, with any text, module and line.

    Other filters for them may or may not match.
    """
    for action, text, category, module, line in warnings.filters:
        if issubclass(ConvergenceWarning, category):
            if action != "ignore":
                return False
            if text is None and module is None and line == 0:
                return True
    return False


def require_inherited_fit(model: MultilayerPerceptron):
    """Raise an error if the model's class overrides `fit`, which simultaneous fits would not call."""
    cls = type(model)
    # MLflow's autologging wraps it
    if unwrap(cls.fit) is not unwrap(MultilayerPerceptron.fit):
        raise TypeError(
            f"{cls.__name__} overrides fit, which is not called when many models are"
            " fitted at once: use scikit-learn's GridSearchCV or Bagging for it."
        )

"""Fitting: one call of `fit` or `partial_fit` prepares, trains and records the result in the model."""

import copy
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ulp
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from ..core.network import Network
from ..core.selection import Selection
from ..core.sparse import SparseNetwork
from ..optimize.lbfgs import LBFGS
from ..optimize.schedules import Constant, Schedule, has_horizon
from ..optimize.stopping import Stagnation, observed
from ..system.threads import at_most_jobs
from ..train.engines import engine_for
from ..train.members import Member
from ..train.progress import ProgressBar
from ..train.state import DivergenceError, History, Reason, TrainingResult, TrainingState
from ..train.trainer import train
from . import parts
from .data import Rows
from .diagnosis import Ending, diagnosis_of_sample
from .inspection import Predictions
from .keeping import callbacks_of
from .parts import Cuts
from .sklearn_compat import EpochTasks

if TYPE_CHECKING:
    from .base import MultilayerPerceptron


LBFGS_SHORTFALLS: dict[Reason | None, str] = {
    "epochs": "it has used up max_iter or max_fun: increase them, or scale the data",
    "stalled": "no lower loss was found along its last direction: scale the data, or increase tol",
}
"""Why L-BFGS has not converged, by the reason why it ended."""


CURVES = ("loss_curve_", "validation_loss_curve_", "validation_scores_", "score_curve_")
COUNTED = (*CURVES, "n_iter_", "t_", "loss_", "best_loss_", "best_validation_score_", "_no_improvement_count")
"""What a model knows of its epochs."""
LEARNED = (*COUNTED, "theta_", "_state", "_seed", "_ending", "restart_losses_", "best_restart_")
"""All that training teaches a model."""


class Fitting:
    """One call of training."""

    def __init__(
        self, model: "MultilayerPerceptron", rows: Rows, validation: Rows | None, random: np.random.RandomState
    ) -> None:
        self.model, self.all_rows, self.rows, self.validation = model, rows, rows, validation
        self.dtype = model.theta_.dtype
        self.optimizer = parts.optimizer(model)
        self.is_lbfgs = isinstance(self.optimizer, LBFGS)
        if model.early_stopping and validation is None and not self.is_lbfgs:
            self.set_aside(random)
        self.seed = model._draw_seed(random)
        self.score = None if self.validation is None or model.scoring is not None else model._own_score(self.validation)
        self.schedule: Schedule = parts.schedule(model, len(self.rows))
        self.by_score = model.early_stopping and self.validation is not None
        self.state = self.kept_state()
        # After early stopping the model has the best parameters, but training goes on from the last ones.
        best = None if self.state is None else self.state.early_stopping.get("theta")
        is_as_left = best is not None and np.array_equal(model.theta_, best)
        self.theta = self.state.theta if self.state is not None and is_as_left else model.theta_
        best = model.theta_ if best is None else best
        watched = "loss" if not self.by_score else "validation_score" if self.score else "validation_loss"
        self.rule = Stagnation(model.n_iter_no_change + 1, model.tol, watched)
        # Without Python after each epoch, `train` applies the rule itself, if it can end training before max_iter.
        self.early_stopping = self.rule if self.by_score or self.rule.patience <= model.max_iter else None
        self.reason: Reason | None = None
        self.interrupted = False
        self.seconds = 0.0
        self.checkpoint: Any = None
        # The lists and best values that this call continues.
        model.n_iter_ = 0
        model.best_loss_ = None if self.by_score else np.inf if model.best_loss_ is None else model.best_loss_
        if self.by_score and model.best_validation_score_ is None:
            model.best_validation_score_ = -np.inf
        lists = ["validation_loss_curve_", "validation_scores_"] if self.validation is not None else []
        lists += [] if model.scoring in (None, "loss") else ["score_curve_"]
        for name in lists:
            if getattr(model, name) is None:
                setattr(model, name, [])
        self.record = Record(
            model,
            0 if self.is_lbfgs else len(self.rows),
            self.scores(),
            self.rule,
            ends=self.by_score or not self.is_lbfgs,
            rate=getattr(self.optimizer, "learning_rate", 0.0),
            constant=model._loss_constant(self.rows),
            constant_val=0.0 if self.validation is None else model._loss_constant(self.validation),
            goes_on=not (self.is_lbfgs or has_horizon(self.schedule)),
            best_theta=best.copy() if self.by_score else None,
        )

    def kept_state(self) -> TrainingState | None:
        """Return the state of an earlier call if this one continues it, with its optimizer and schedule."""
        state, theta = self.model._state, self.model.theta_
        if state is None or isinstance(self.optimizer, LBFGS):
            return None
        fits = state.optimizer.keys() == self.optimizer.init(theta).keys()
        return state if fits and state.schedule.keys() == self.schedule.init().keys() else None

    def set_aside(self, random: np.random.RandomState) -> None:
        """Set rows aside for validation; if there are two classes, the same share of each.

        Calls that continue each other set the same rows aside: others would have been trained on.
        """
        if self.model.warm_start:
            if self.model._split is None:
                self.model._split = copy.deepcopy(random)
            else:
                random = copy.deepcopy(self.model._split)
        two_classes = self.model.n_outputs_ == 1 and hasattr(self.model, "classes_")
        strata = self.rows.T[:, 0].astype(bool) if two_classes else None
        if strata is not None and np.bincount(strata, minlength=2).min() < 2:
            strata = strata.astype(str)  # scikit-learn's error names them so
        self.rows, self.validation = self.rows.split(random, self.model.validation_fraction, strata)
        if len(self.validation) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )

    def run(self) -> None:
        """Train for max_iter epochs, or until something ends it."""
        started, tasks = time.perf_counter(), None
        if getattr(self.model, "_skl_callbacks", None):
            given = self.all_rows.chosen
            metadata = {} if given.weight is None else {"sample_weight": given.weight}
            tasks = EpochTasks(self.model, given.X, given.y, metadata)
        self.train(self.model.max_iter, self.needs_python(), tasks)
        if tasks is not None:
            tasks.end()
        self.seconds = time.perf_counter() - started

    def needs_python(self) -> bool:
        """Return whether Python has to run after each epoch, or decides when training ends."""
        model = self.model
        return bool(
            self.is_lbfgs
            or self.record.scores
            or (model.callbacks and callbacks_of(model))
            or model.verbose
            or getattr(model, "_skl_callbacks", None)
            or isinstance(self.schedule, Cuts)
            or model.loss_curve_  # the rule counts epochs of earlier calls
            or (not self.by_score and self.record.constant)  # the loss with the constant rounds differently
        )

    def member(self) -> Member | None:
        """Return the member of a population that trains what `run` would train, or None if Python is needed."""
        table, validation, model = self.rows.table, self.validation, self.model
        elsewhere = validation is not None and validation.table is not table
        if self.needs_python() or elsewhere:
            return None
        if engine_for(model.network_, model.theta_, (), self.optimizer, silent=True).cohort is None:
            return None
        return Member(
            self.network(table.X),
            model.theta_,
            self.optimizer,
            rows=self.rows.numbers,
            validation_rows=None if validation is None else validation.numbers,
            X=table.inputs,
            T=table.T,
            sample_weight=table.weight,
            epochs=model.max_iter,
            early_stopping=self.early_stopping,
            **self.steps(),
        )

    def train(self, epochs: int, by_python: bool, tasks: EpochTasks | None = None) -> None:
        """Train, with or without Python after each epoch, and store the result in the model."""
        model, theta = self.model, self.theta
        # A line search needs more digits than float32 has, as in scikit-learn.
        dtype = np.float64 if self.is_lbfgs else theta.dtype
        data: list[tuple[Any, ...]] = []
        for part in (self.rows, self.validation):
            if part is None:
                continue
            table = part.table
            if sparse.issparse(table.X) or (table.X.dtype != dtype and table.X.dtype.kind == "f"):
                table = part.chosen
                X = table.X
            elif part.numbers is None and table.scaling is None:
                X = table.X
            else:
                X = Selection(table.X, part.numbers, table.scaling)  # which `train` reads without a copy of the rows
            data.append((X, table.T, table.weight))
        (X, T, weight), *validation = data
        settings: dict[str, Any] = {"optimizer": self.optimizer, "sample_weight": weight, "epochs": epochs}
        settings |= {"callbacks": self.callbacks(tasks)} if by_python else {"early_stopping": self.early_stopping}
        if self.checkpoint is not None:
            settings["checkpoint"] = self.checkpoint.recording(self.record) if by_python else self.checkpoint
        if validation:
            settings["validation"] = validation[0]
        if self.is_lbfgs:
            settings["validation_score"] = self.score
        else:
            settings |= {**self.steps(), "state": self.state}
        error = None
        try:
            with at_most_jobs(model.n_jobs):
                result = train(self.network(X), theta.astype(dtype), X, T, **settings)
        except DivergenceError as caught:
            error, result = caught, caught.result
        self.take(result, by_python, error)
        if self.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=5)

    def network(self, X: Any) -> Network:
        """Return the model's network, for dense or sparse rows."""
        return SparseNetwork(self.model.network_) if sparse.issparse(X) else self.model.network_

    def steps(self) -> dict[str, Any]:
        """Return the settings of `train` that only optimizers with steps take."""
        wished, rows = self.model.batch_size, len(self.rows)
        size = min(200, rows) if isinstance(wished, str) else min(int(wished), rows)
        if not isinstance(wished, str) and wished > rows:
            message = "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
            warnings.warn(message, stacklevel=6)
        return {
            "batch_size": size,
            "shuffle": self.model.shuffle,
            "seed": self.seed,
            "validation_score": self.score,
            "training_loss": "running",
            "schedule": None if isinstance(self.schedule, Constant) else self.schedule,
        }

    def scores(self) -> dict[str, Callable[[TrainingState], float]]:
        """Return the scorers that are called after each epoch, by the attributes that list their scores."""
        model, scores = self.model, {}
        if self.validation is not None and model.scoring != "loss" and self.score is None:
            scores["validation_scores_"] = model._scorer(self.validation, model.scoring)
        if model.scoring not in (None, "loss"):
            scores["score_curve_"] = model._scorer(self.rows, model.scoring)
        return scores

    def callbacks(self, tasks: EpochTasks | None) -> list[Any]:
        """Return the callbacks of an epoch; the record is first, so that others see a model that is up to date."""
        model = self.model
        others: list[Any] = [self.record, *(callbacks_of(model) if model.callbacks else ())]
        if model.verbose == "bar":
            others.append(ProgressBar(type(model).__name__))
        elif model.verbose:
            others.insert(1, print_epoch(model))
        return others if tasks is None else [tasks.watching(others)]

    def take(self, result: TrainingResult, by_python: bool = False, error: DivergenceError | None = None) -> None:
        """Store parameters and the state of training in the model; without Python, record the epochs first."""
        model, history, theta, reason = self.model, result.history, result.theta, result.reason
        if by_python and self.record.best_theta is not None and reason != "diverged":
            theta = self.record.best_theta
        if not by_python:
            # Validation is measured before the first epoch too; scikit-learn's lists begin after it.
            on_validation = history.validation_loss[1:], history.validation_score[1:]
            self.record.epochs(result.state, history.loss, *on_validation)
            reason = "callback" if reason == "early stopping" else reason
        if reason == "converged" and not result.state.epoch:  # L-BFGS at its start, whose loss is all it knows
            model.loss_ = float(history.loss[0]) + self.record.constant
        model.theta_ = theta.astype(self.dtype, copy=False)
        model._rows = Predictions(model.network_, model.theta_)
        model._ending = Ending(reason, result.state.step)
        if reason == "diverged":
            message = (
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )
            raise ValueError(" ".join([message, *diagnosis_of_sample(model, self.rows)])) from error
        self.reason, self.interrupted = reason, reason == "interrupted"
        self.record.keep(result.state, theta)

    def identity(self) -> dict[str, Any]:
        """Return what the bits of this fit depend on, by name; arrays as they are."""
        settings, rows = self.model.get_params(deep=False), {"": self.rows, "validation ": self.validation}
        for name in ("callbacks", "verbose", "n_jobs", "n_restarts", "warm_start", "random_state"):
            settings.pop(name)
        known = {"estimator": type(self.model).__name__, **settings, "seed": self.seed, "start": self.theta}
        for prefix, part in rows.items():
            if part is not None:
                table = part.table
                known |= {f"{prefix}X": table.inputs, f"{prefix}rows": part.numbers}
                known |= {f"{prefix}T": table.T, f"{prefix}sample_weight": table.weight}
        return known

    def learned(self) -> dict[str, Any]:
        """Return what the fit has taught the model, as values that a model file holds."""
        known = {name: vars(self.model)[name] for name in LEARNED if name in vars(self.model)}
        return {"model": known, "reason": self.reason, "seconds": self.seconds}

    def take_learned(self, learned: dict[str, Any]) -> None:
        """Take what the same fit has learned before."""
        model = self.model
        model.__dict__.update(learned["model"])
        model._rows = Predictions(model.network_, model.theta_)
        self.reason, self.seconds = learned["reason"], learned["seconds"]

    def shortfall(self) -> str:
        """Return scikit-learn's sentence that training has not converged, and the diagnosis; "" if it has.

        The diagnosis takes as long as some epochs of a small network, so it is left out if such warnings are ignored.
        """
        message = ""
        if self.is_lbfgs and self.reason in LBFGS_SHORTFALLS:
            iterations = f"{self.model.n_iter_} iteration(s)"
            message = f"lbfgs failed to converge after {iterations}: {LBFGS_SHORTFALLS[self.reason]}."
        elif not self.is_lbfgs and self.reason == "epochs":
            message = (
                f"Stochastic Optimizer: Maximum iterations ({self.model.max_iter}) reached and the optimization hasn't "
                "converged yet."
            )
        if (
            self.reason in ("callback", "converged")
            and not self.by_score
            and 0 < self.model.tol < ulp(self.model.loss_)
        ):
            message = (
                f"The loss, {self.model.loss_:.3g}, is so large that progress of tol={self.model.tol:g} is lost in "
                "rounding: training ended, and need not have converged."
            )
        if not message or _is_ignored(ConvergenceWarning):
            return message
        return " ".join([message, *diagnosis_of_sample(self.model, self.rows)])


def _is_ignored(category: type[Warning]) -> bool:
    """Return whether all warnings of a category are ignored, whatever they say and wherever they come from."""
    for action, message, of, module, line in warnings.filters:
        if issubclass(category, of):
            if action != "ignore":
                return False
            if message is None and module is None and line == 0:
                return True
    return False


@dataclass(eq=False)
class Record:
    """Records each epoch in a model's attributes, and says when training is to end.

    The rule continues from the counts of earlier calls in the model's attributes. An adaptive learning rate is divided
    by 5 before training ends, as long as it is above 1e-6.

    Attributes
    ----------
    best_theta : ndarray (P,) or None
        The parameters with the best score: those at the start if no epoch was better than those of earlier calls. None
        if the rule watches the training loss.
    """

    model: "MultilayerPerceptron"
    rows: int
    scores: dict[str, Callable[[TrainingState], float]]
    rule: Stagnation
    ends: bool
    rate: float
    constant: float
    constant_val: float
    goes_on: bool
    best_theta: np.ndarray | None = None

    def memory(self, epoch: int) -> dict[str, Any] | None:
        """Return all that it needs to go on from an epoch; None if it has not recorded that, as after an error."""
        if self.model.n_iter_ != epoch:
            return None
        known = {name: getattr(self.model, name) for name in COUNTED}
        return {"counted": known, "best": self.best_theta}

    def remember(self, memory: dict[str, Any]) -> None:
        """Go on from what was remembered."""
        for name, value in memory["counted"].items():
            setattr(self.model, name, value)
        self.best_theta = memory["best"]

    @property
    def interval(self) -> float:
        """The number of epochs that may run as one: a rule on the training loss cannot end training before."""
        if self.scores or self.rule.restores:
            return 1
        return max(self.rule.patience - self.model._no_improvement_count, 1)

    def __call__(self, state: TrainingState) -> bool:
        """Record the epochs since the last call; return whether training is to end."""
        self.model.theta_ = state.theta
        for name, measure in self.scores.items():
            getattr(self.model, name).append(measure(state))
        history = state.history
        over = self.epochs(
            state, history.latest_losses, history.latest_validation_losses, history.latest_validation_scores
        )
        self.keep(state, self.best_theta)  # for callbacks that save the model
        return over

    def keep(self, state: TrainingState, best: np.ndarray | None) -> None:
        """Keep in the model what continues its training, if that is possible."""
        known = {"theta": best} if self.rule.restores else {}
        self.model._state = (
            replace(state, history=History(), early_stopping=known, network=None, optimizer_class="")
            if self.goes_on
            else None
        )

    def epochs(
        self, state: TrainingState, losses: np.ndarray, validation_losses: np.ndarray, scores: np.ndarray
    ) -> bool:
        """Record epochs with these losses and scores, as far as there are any; return whether training is to end."""
        model, over = self.model, False
        if model.scoring == "loss":
            scores = -validation_losses
        validation_losses, scores = validation_losses.tolist(), scores.tolist()
        for epoch, loss in enumerate(losses.tolist()):
            if validation_losses:
                model.validation_loss_curve_.append(validation_losses[epoch] + self.constant_val)
            if scores:
                model.validation_scores_.append(scores[epoch])
            model.n_iter_ += 1
            model.t_ += self.rows
            model.loss_ = loss + self.constant
            model.loss_curve_.append(model.loss_)
            over = self.has_stalled(state) and self.ends and not self.adapts(state)
        return over

    def has_stalled(self, state: TrainingState) -> bool:
        """Compare the epoch with the best so far, keep the best, and return whether too many brought no progress."""
        model, rule, by_score = self.model, self.rule, self.rule.restores
        loss = -model.validation_scores_[-1] if by_score else model.loss_
        lowest = -model.best_validation_score_ if by_score else model.best_loss_
        count = model._no_improvement_count
        best, _, count = observed(loss, lowest, lowest, count, rule.tolerance, rule.from_lowest)
        model._no_improvement_count = int(count)
        if not by_score:
            model.best_loss_ = best
        elif best < lowest:
            model.best_validation_score_, self.best_theta = -best, state.theta.copy()
        return count >= rule.patience

    def adapts(self, state: TrainingState) -> bool:
        """Return whether the learning rate is divided instead of ending training."""
        model = self.model
        what = "Validation score" if self.rule.restores else "Training loss"
        message = f"{what} did not improve more than tol={model.tol:f} for {model.n_iter_no_change} consecutive epochs."
        factor = state.schedule.get("factor") if model.learning_rate == "adaptive" else None
        if factor is not None and self.rate * factor > 1e-6:
            Cuts().cut(state.schedule)
            model._no_improvement_count = 0
            self.say(f"{message} Setting learning rate to {self.rate * state.schedule['factor']:f}")
            return True
        self.say(f"{message} Stopping.")
        return False

    def say(self, message: str) -> None:
        """Print a message if the model is verbose."""
        if self.model.verbose and self.model.verbose != "bar":
            print(message)


def print_epoch(model: "MultilayerPerceptron") -> Callable[[TrainingState], None]:
    """Return a callback that prints an epoch as scikit-learn does."""

    def after_epoch(state: TrainingState) -> None:
        print(f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}")
        if model.validation_scores_:
            print(f"Validation score: {model.validation_scores_[-1]:f}")

    return after_epoch

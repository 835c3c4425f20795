"""Fitting: a spec describes a fit of a model, a run trains it, and an outcome holds its results."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import ndarray
from scipy import sparse

from ..core import Selection, SparseNetwork
from ..optimize import LBFGS, Constant, has_horizon
from ..optimize.settings import EarlyStopping
from ..system.threads import limit_jobs
from ..train.state import (
    DivergenceError,
    History,
    Reason,
    TrainingResult,
    TrainingState,
)
from ..train.trainer import engine_for, train
from . import parts
from .data import Rows
from .sklearn_compat import EpochTasks

if TYPE_CHECKING:
    from ..train.members import Member


class Ending(NamedTuple):
    """The stop reason and the number of steps of the last training run."""

    reason: Reason
    step: int


@dataclass(eq=False)
class FitOutcome:
    """The result of training a model; its curves grow during training."""

    theta: ndarray
    seed: int | None = None
    split: np.random.RandomState | None = None
    state: TrainingState | None = None
    ending: Ending | None = None
    no_improvement_count: int = 0
    n_iter: int = 0
    t: int = 0
    loss: float = np.inf
    loss_curve: list[float] = field(default_factory=list)
    validation_loss_curve: list[float] | None = None
    validation_scores: list[float] | None = None
    score_curve: list[float] | None = None
    best_loss: float | None = None
    best_validation_score: float | None = None
    restart_losses: ndarray | None = None
    best_restart: int | None = None
    seconds: float = 0.0
    interrupted: bool = False
    diverged: bool = False
    error: DivergenceError | None = None


COUNTED = (
    "n_iter",
    "t",
    "loss",
    "loss_curve",
    "validation_loss_curve",
    "validation_scores",
    "score_curve",
    "best_loss",
    "best_validation_score",
    "no_improvement_count",
)
"""The fields that are updated after each epoch."""
_PRIVATE = ("seed", "split", "state", "ending", "no_improvement_count")
_PASSING = ("seconds", "interrupted", "diverged", "error")

ATTRIBUTES = {}
"""Model attributes, by field name of `FitOutcome`."""
for _name in FitOutcome.__dataclass_fields__:
    if _name in _PRIVATE:
        ATTRIBUTES[_name] = f"_{_name}"
    elif _name not in _PASSING:
        ATTRIBUTES[_name] = f"{_name}_"


@dataclass(eq=False)
class FitSpec:
    """A description of one training run."""

    model: Any  # its settings, and functions of rows and outcomes
    network: Any
    # the outcome of earlier calls to continue from, or the initial parameters
    before: FitOutcome
    rows: Rows
    validation: Rows | None
    optimizer: Any
    score: str | None  # the validation score that `train` itself can measure
    tasks: EpochTasks | None = None
    publishes: bool = True  # to the model, after each epoch that runs Python code
    starts: Sequence[FitOutcome] = ()  # the initial parameters of further restarts
    checkpoint: Any = None

    def __post_init__(self):
        """Derive the network, the schedule, the stopping rule and the scores from the settings."""
        settings = self.model
        self.is_lbfgs = isinstance(self.optimizer, LBFGS)
        self.shows_bar = settings.verbose == "bar"
        self.prints_epochs = settings.verbose and not self.shows_bar
        self.trained_network = self.network
        if sparse.issparse(self.rows.table.X):
            self.trained_network = SparseNetwork(self.network)
        schedule = parts.schedule(settings, len(self.rows))
        self.schedule = None if isinstance(schedule, Constant) else schedule
        self.by_score = settings.early_stopping and self.validation is not None
        monitor = "loss"
        if self.by_score:
            monitor = "validation_score" if self.score else "validation_loss"
        self.rule = EarlyStopping(
            monitor,
            min_delta=settings.tol,
            patience=settings.n_iter_no_change + 1,
            restore_best=self.by_score,
            compare_to="best",
        )
        # If no Python code runs after each epoch, `train` applies the rule, provided
        # that it can act before max_iter.
        self.early_stopping = None
        if self.by_score or self.rule.patience <= settings.max_iter:
            self.early_stopping = self.rule
        # rows to score after each epoch, by field of `FitOutcome`
        self.scored = {}
        if settings.scoring != "loss":
            if self.validation is not None and self.score is None:
                self.scored["validation_scores"] = self.validation
            if settings.scoring is not None:
                self.scored["score_curve"] = self.rows
        self.needs_python = self._needs_python()

    def _needs_python(self) -> bool:
        """Return whether Python code must run after each epoch: a user's code, or a rule that only `FitRun` has."""
        settings = self.model
        if self.scored or self.prints_epochs or self.tasks or settings.callbacks:
            return True
        if self.is_lbfgs or isinstance(self.schedule, parts.Cuts):
            return True
        if self.before.loss_curve:  # the rule continues the count of earlier calls
            return True
        # adding the constant changes the loss's rounding
        return not self.by_score and self.model._loss_constant(self.rows) != 0

    @property
    def steps(self) -> dict:
        """The settings of `train` that apply only to optimizers with batches."""
        settings = self.model
        rows = len(self.rows)
        size = 200
        if not isinstance(settings.batch_size, str):
            size = int(settings.batch_size)
            if size > rows:
                warnings.warn(
                    "Got `batch_size` less than 1 or larger than sample size. It is going"
                    " to be clipped",
                    stacklevel=6,
                )
        return {
            "batch_size": min(size, rows),
            "shuffle": settings.shuffle,
            "seed": self.before.seed,
            "validation_score": self.score,
            "training_loss": "running",
            "schedule": self.schedule,
        }

    def member(self) -> "Member | None":
        """Return an equivalent member for `train_population`, or None if epochs need Python code."""
        from ..train.members import Member

        table = self.rows.table
        if self.needs_python or self.starts:
            return None
        validation_rows = None
        if self.validation is not None:
            if self.validation.table is not table:
                return None
            validation_rows = self.validation.indices
        theta = self.before.theta
        engine = engine_for(self.network, theta, (), self.optimizer, silent=True)
        if engine.group_class is None:
            return None
        return Member(
            self.trained_network,
            theta,
            self.optimizer,
            rows=self.rows.indices,
            validation_rows=validation_rows,
            X=table.inputs,
            T=table.T,
            sample_weight=table.weight,
            epochs=self.model.max_iter,
            early_stopping=self.early_stopping,
            **self.steps,
        )

    def identity(self) -> dict:
        """Return everything that determines the bits of this fit, by name."""
        estimator = self.model
        identity = {
            "estimator": type(estimator).__name__,
            **estimator.get_params(deep=False),
            "seed": self.before.seed,
            "start": self.before.theta,
        }
        for name in (
            "callbacks",
            "checkpoint",
            "verbose",
            "n_jobs",
            "n_restarts",
            "warm_start",
            "random_state",
        ):
            del identity[name]
        if self.starts:
            identity["seed"] = [start.seed for start in (self.before, *self.starts)]
        for prefix, rows in {"": self.rows, "validation ": self.validation}.items():
            if rows is not None:
                table = rows.table
                identity[f"{prefix}X"] = table.inputs
                identity[f"{prefix}rows"] = rows.indices
                identity[f"{prefix}T"] = table.T
                identity[f"{prefix}sample_weight"] = table.weight
        return identity


def _data(rows: Rows, dtype: np.dtype) -> tuple[Any, ndarray, ndarray | None]:
    """Return rows for `train`: X, T and weights. X is selected and scaled lazily unless that would change the dtype."""
    table = rows.table
    changes_dtype = table.X.dtype.kind == "f" and table.X.dtype != dtype
    if changes_dtype or sparse.issparse(table.X):
        chosen = rows.chosen
        return chosen.X, chosen.T, chosen.weight
    if rows.indices is None and table.scaling is None:
        return table.X, table.T, table.weight
    return Selection(table.X, rows.indices, table.scaling), table.T, table.weight


SMALLEST_RATE = 1e-6
"""An adaptive learning rate is not divided further, as in scikit-learn."""


class FitRun:
    """Trains a fit, records each epoch in its outcome, and applies the stopping rule.

    The rule continues from the counts of earlier calls. Instead of ending training, the
    rule divides an adaptive learning rate by 5. If the rule monitors a
    score, ``best_theta`` holds the parameters with the best score: the initial
    parameters if no epoch improved on the best score of earlier calls.
    """

    def __init__(self, spec: FitSpec):
        """Prepare to train a fit, which may continue an earlier one."""
        self.spec = spec
        # the initial parameters, and the best ones so far
        self.theta = spec.before.theta
        best_theta = self.theta
        self.resumed = self.state_to_resume()
        if self.resumed is not None and "theta" in self.resumed.early_stopping:
            # After early stopping the model has the best parameters, but training
            # continues from the last parameters.
            best_theta = self.resumed.early_stopping["theta"]
            if np.array_equal(self.theta, best_theta):
                self.theta = self.resumed.theta
        self.best_theta = best_theta.copy() if spec.by_score else None
        # what scikit-learn adds to the losses
        self.constant = spec.model._loss_constant(spec.rows)
        self.validation_constant = 0.0
        if spec.validation is not None:
            self.validation_constant = spec.model._loss_constant(spec.validation)
        knows_horizon = spec.schedule is not None and has_horizon(spec.schedule)
        self.can_continue = not spec.is_lbfgs and not knows_horizon
        self.outcome = self.initial_outcome()
        # functions that score a state, by field of the outcome
        self.scores = {}
        for name, rows in spec.scored.items():
            self.scores[name] = spec.model._scorer(rows, spec.model.scoring)

    def initial_outcome(self) -> FitOutcome:
        """Return the outcome before training, with the lists and best values of earlier calls."""
        spec = self.spec
        outcome = FitOutcome(**vars(spec.before))
        outcome.n_iter = 0
        if spec.by_score:
            outcome.best_loss = None
            if outcome.best_validation_score is None:
                outcome.best_validation_score = -np.inf
        elif outcome.best_loss is None:
            outcome.best_loss = np.inf
        if spec.validation is not None:
            outcome.validation_loss_curve = outcome.validation_loss_curve or []
            outcome.validation_scores = outcome.validation_scores or []
        if "score_curve" in spec.scored:
            outcome.score_curve = outcome.score_curve or []
        return outcome

    def state_to_resume(self) -> TrainingState | None:
        """Return the state of earlier training, unless it belongs to another optimizer or schedule."""
        spec = self.spec
        state = spec.before.state
        if state is None or spec.is_lbfgs:
            return None
        moments = spec.optimizer.init(spec.before.theta)
        schedule = {} if spec.schedule is None else spec.schedule.init()
        if (
            moments.keys() != state.optimizer.keys()
            or schedule.keys() != state.schedule.keys()
        ):
            return None
        return state

    def train(self, epochs: int | None = None) -> FitOutcome:
        """Train until max_iter or a stopping rule, or for exactly the given number of epochs."""
        started = time.perf_counter()
        spec = self.spec
        runs_python = spec.needs_python or spec.shows_bar or epochs is not None
        # As in scikit-learn: a line search needs more precision than float32.
        dtype = np.dtype(float) if spec.is_lbfgs else self.theta.dtype
        X, T, weight = _data(spec.rows, dtype)
        arguments: dict = {"validation_score": spec.score}
        if not spec.is_lbfgs:
            arguments = spec.steps
            arguments["state"] = self.resumed
        if spec.validation is not None:
            arguments["validation"] = _data(spec.validation, dtype)
        checkpoint = spec.checkpoint
        if runs_python:
            arguments["callbacks"] = self.callbacks()
            if checkpoint is not None:
                checkpoint = checkpoint._recording(self)
        else:
            arguments["early_stopping"] = spec.early_stopping
        error = None
        try:
            with limit_jobs(spec.model.n_jobs):
                result = train(
                    spec.trained_network,
                    self.theta.astype(dtype),
                    X,
                    T,
                    optimizer=spec.optimizer,
                    sample_weight=weight,
                    epochs=spec.model.max_iter if epochs is None else epochs,
                    checkpoint=checkpoint,
                    **arguments,
                )
        except DivergenceError as divergence:
            error = divergence
            result = error.result
        outcome = self.finished(result, runs_python)
        if spec.tasks is not None and error is None:
            spec.model._publish(outcome)
            spec.tasks.end()
        outcome.error = error
        outcome.seconds = time.perf_counter() - started
        return outcome

    def callbacks(self) -> list:
        """Return the callbacks; the run comes first, so that the others see an updated model."""
        spec = self.spec
        settings = spec.model
        callbacks: list = [self]
        if spec.prints_epochs:
            callbacks.append(self.print_epoch)
        callbacks.extend(settings.callbacks or ())
        if spec.shows_bar:
            from ..train.progress import ProgressBar

            callbacks.append(ProgressBar(type(settings).__name__))
        if spec.tasks is None:
            return callbacks
        return [spec.tasks.watching(callbacks, settings.max_iter)]

    def memory(self, epoch: int) -> dict | None:
        """Return the state to resume from after an epoch, or None if an error prevented the recording of the epoch."""
        if self.outcome.n_iter != epoch:
            return None
        return {
            "counted": {name: getattr(self.outcome, name) for name in COUNTED},
            "best": self.best_theta,
        }

    def remember(self, memory: dict):
        """Restore the state that `memory` returned."""
        vars(self.outcome).update(memory["counted"])
        self.best_theta = memory["best"]

    @property
    def interval(self) -> float:
        """The number of epochs before the training loss can stop training; 1 if scores are measured."""
        if self.scores or self.spec.by_score:
            return 1
        return max(self.spec.rule.patience - self.outcome.no_improvement_count, 1)

    def __call__(self, state: TrainingState) -> bool:
        """Record the epochs since the last call; return whether to stop training."""
        outcome = self.outcome
        outcome.theta = state.theta
        for name, measure in self.scores.items():
            getattr(outcome, name).append(measure(state))
        history = state.history
        is_over = self.record(
            state,
            history._latest("loss"),
            validation_losses=history._latest("validation_loss"),
            scores=history._latest("validation_score"),
        )
        # Other callbacks may save the model or read its attributes.
        self.keep(state, self.best_theta)
        if self.spec.publishes:
            self.spec.model._publish(outcome)
        return is_over

    def keep(self, state: TrainingState, best: ndarray | None):
        """Store the state for continued training if the optimizer and the schedule support continuation."""
        self.outcome.state = None
        if not self.can_continue:
            return
        early_stopping = {}
        if self.spec.by_score and best is not None:
            # Store a copy, so that assigned coefficients do not change it.
            early_stopping["theta"] = best.copy()
        self.outcome.state = replace(
            state,
            history=History(),
            network=None,
            optimizer_class="",
            early_stopping=early_stopping,
        )

    def record(
        self,
        state: TrainingState,
        losses: ndarray,
        validation_losses: ndarray,
        scores: ndarray,
    ) -> bool:
        """Record epochs with their losses and any scores; return whether to stop training."""
        spec = self.spec
        outcome: Any = self.outcome
        count = len(losses)
        if not count:
            return False
        if spec.model.scoring == "loss":
            scores = -validation_losses
        if len(validation_losses):
            curve = validation_losses.astype(float) + self.validation_constant
            outcome.validation_loss_curve.extend(curve.tolist())
        if len(scores):
            outcome.validation_scores.extend(scores.astype(float).tolist())
        outcome.loss_curve.extend((losses.astype(float) + self.constant).tolist())
        outcome.loss = outcome.loss_curve[-1]
        outcome.n_iter += count
        if not spec.is_lbfgs:
            outcome.t += count * len(spec.rows)
        return self.stalls(state, count) and not self.cut_rate(state)

    def stalls(self, state: TrainingState, count: int) -> bool:
        """Compare the latest epochs with the best one; return whether the rule ends training."""
        spec = self.spec
        outcome: Any = self.outcome
        if spec.by_score:
            losses = [-score for score in outcome.validation_scores[-count:]]
            lowest = -outcome.best_validation_score
        else:
            losses = outcome.loss_curve[-count:]
            lowest = outcome.best_loss
        memory = lowest, lowest, outcome.no_improvement_count
        for loss in losses:
            memory = spec.rule._observed(loss, memory)
        best, _, stalled = memory
        outcome.no_improvement_count = int(stalled)
        if not spec.by_score:
            outcome.best_loss = best
            # SciPy ends the search of L-BFGS
            return stalled >= spec.rule.patience and not spec.is_lbfgs
        outcome.best_validation_score = -best
        if best < lowest:
            self.best_theta = state.theta.copy()
        return stalled >= spec.rule.patience

    def cut_rate(self, state: TrainingState) -> bool:
        """Divide an adaptive learning rate instead of stopping; return whether this was possible."""
        spec = self.spec
        settings = spec.model
        rate = getattr(spec.optimizer, "learning_rate", 0.0)
        current_rate = rate * state.schedule.get("factor", 0.0)
        can_cut = settings.learning_rate == "adaptive" and current_rate > SMALLEST_RATE
        consequence = "Stopping."
        if can_cut:
            parts.Cuts().cut(state.schedule)
            self.outcome.no_improvement_count = 0
            new_rate = rate * state.schedule["factor"]
            consequence = f"Setting learning rate to {new_rate:f}"
        if spec.prints_epochs:
            curve = "Validation score" if spec.by_score else "Training loss"
            print(
                f"{curve} did not improve more than tol={settings.tol:f} for"
                f" {settings.n_iter_no_change} consecutive epochs. {consequence}"
            )
        return can_cut

    def print_epoch(self, state: TrainingState):
        """Print an epoch as scikit-learn does."""
        print(f"Iteration {self.outcome.n_iter}, loss = {self.outcome.loss:.8f}")
        if self.outcome.validation_scores:
            print(f"Validation score: {self.outcome.validation_scores[-1]:f}")

    def finished(self, result: TrainingResult, by_python: bool = False) -> FitOutcome:
        """Return the outcome for the result of `train`, whose epochs have been recorded if `by_python`."""
        outcome = self.outcome
        history = result.history
        state = result.state
        theta = result.theta
        reason = result.reason
        outcome.interrupted = reason == "interrupted"
        outcome.diverged = reason == "diverged"
        if not by_python:
            # `train` also measures validation before the first epoch; scikit-learn's
            # lists begin after the first epoch.
            self.record(
                state,
                history.loss,
                history.validation_loss[1:],
                history.validation_score[1:],
            )
            if reason == "early stopping":
                reason = "callback"
        elif self.best_theta is not None and not outcome.diverged:
            theta = self.best_theta
        if reason == "converged" and state.epoch == 0:
            # L-BFGS has recorded no epoch.
            outcome.loss = float(history.loss[0]) + self.constant
        outcome.theta = theta.astype(self.spec.before.theta.dtype, copy=False)
        outcome.ending = Ending(reason, state.step)
        if not outcome.diverged:
            self.keep(state, theta)
        return outcome

"""Fitting: a spec describes a training run, and an outcome holds its results; neither refers to a model."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import ulp
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from ..core import Selection, SparseNetwork
from ..optimize import LBFGS, Constant, has_horizon, observed
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
from .settings import Constructor
from .sklearn_compat import EpochTasks

if TYPE_CHECKING:
    from ..train.members import Member

LBFGS_WARNINGS: dict[Reason, str] = {
    "epochs": "it reached max_iter or max_fun: increase them, or scale the data",
    "stalled": (
        "its last line search found no lower loss: scale the data, or increase tol"
    ),
}
"""The explanation of each stop reason for which L-BFGS has not converged."""


class Ending(NamedTuple):
    """The stop reason and the number of steps of the last training run."""

    reason: Reason
    step: int


@dataclass(eq=False)
class FitOutcome:
    """The result of training a model; its curves grow during training."""

    theta: np.ndarray
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
    restart_losses: np.ndarray | None = None
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
)
COUNTED += ("best_loss", "best_validation_score", "no_improvement_count")
"""The fields that are updated after each epoch."""
_PUBLIC = {name for name in COUNTED if name != "no_improvement_count"} | {
    "theta",
    "restart_losses",
    "best_restart",
}
_PASSING = ("seconds", "interrupted", "diverged", "error")
_KEPT = [name for name in FitOutcome.__dataclass_fields__ if name not in _PASSING]
ATTRIBUTES = {name: f"{name}_" if name in _PUBLIC else f"_{name}" for name in _KEPT}
"""Model attributes, by field name of `FitOutcome`."""


@dataclass(eq=False)
class FitSpec:
    """A description of one training run."""

    settings: Constructor
    network: Any
    # the outcome of earlier calls to continue from, or the initial parameters
    before: FitOutcome
    rows: Rows
    validation: Rows | None
    optimizer: Any
    score: str | None  # the validation score that `train` itself can measure
    # makes a score function, given ``scoring``
    scorer: Callable[[Rows, Any], Callable[[TrainingState], float]]
    # the constant that scikit-learn adds to the loss on some rows
    constant: Callable[[Rows], float]
    # called after each epoch that runs Python code
    publish: Callable[[FitOutcome], object]
    tasks: EpochTasks | None = None
    starts: Sequence[FitOutcome] = ()  # the initial parameters of further restarts
    checkpoint: Any = None

    def __post_init__(self) -> None:
        settings, scoring = self.settings, self.settings.scoring
        self.is_lbfgs, self.shows_bar = (
            isinstance(self.optimizer, LBFGS),
            settings.verbose == "bar",
        )
        schedule = parts.schedule(settings, len(self.rows))
        self.schedule = None if isinstance(schedule, Constant) else schedule
        self.by_score = settings.early_stopping and self.validation is not None
        watched = (
            "loss"
            if not self.by_score
            else "validation_score"
            if self.score
            else "validation_loss"
        )
        self.rule = EarlyStopping(
            watched, settings.tol, settings.n_iter_no_change + 1, self.by_score, "best"
        )
        # If no Python code runs after each epoch, `train` applies the rule, provided
        # that it can act before max_iter.
        self.early_stopping = (
            self.rule
            if self.by_score or self.rule.patience <= settings.max_iter
            else None
        )
        # rows to score after each epoch, by field of `FitOutcome`
        self.scored: dict[str, Rows] = {}
        if self.validation is not None and scoring != "loss" and self.score is None:
            self.scored["validation_scores"] = self.validation
        if scoring not in (None, "loss"):
            self.scored["score_curve"] = self.rows
        self.needs_python = bool(
            self.is_lbfgs
            or self.scored
            # one bar shows the progress of many fits
            or (settings.verbose and not self.shows_bar)
            or self.tasks
            or isinstance(self.schedule, parts.Cuts)
            or self.before.loss_curve  # the rule continues the count of earlier calls
            or settings.callbacks
            # adding the constant changes the loss's rounding
            or (not self.by_score and self.constant(self.rows))
        )

    @property
    def steps(self) -> dict[str, Any]:
        """The settings of `train` that apply only to optimizers with batches."""
        wished, rows = self.settings.batch_size, len(self.rows)
        size = 200 if isinstance(wished, str) else int(wished)
        if wished == size > rows:
            message = (
                "Got `batch_size` less than 1 or larger than sample size. It is going"
                " to be clipped"
            )
            warnings.warn(message, stacklevel=6)
        order = {
            "batch_size": min(size, rows),
            "shuffle": self.settings.shuffle,
            "seed": self.before.seed,
        }
        return order | {
            "validation_score": self.score,
            "training_loss": "running",
            "schedule": self.schedule,
        }

    def member(self) -> "Member | None":
        """Return an equivalent member for `train_population`, or None if epochs need Python code."""
        from ..train.members import Member

        table, validation = self.rows.table, self.validation
        is_separate = validation is not None and validation.table is not table
        if self.needs_python or self.starts or is_separate:
            return None
        if (
            engine_for(
                self.network, self.before.theta, (), self.optimizer, silent=True
            ).group_class
            is None
        ):
            return None
        network = (
            SparseNetwork(self.network) if sparse.issparse(table.X) else self.network
        )
        return Member(
            network,
            self.before.theta,
            self.optimizer,
            rows=self.rows.indices,
            validation_rows=None if validation is None else validation.indices,
            X=table.inputs,
            T=table.T,
            sample_weight=table.weight,
            epochs=self.settings.max_iter,
            early_stopping=self.early_stopping,
            **self.steps,
        )

    def train(self, epochs: int | None = None) -> FitOutcome:
        """Train until max_iter or a stopping rule, or for exactly the given number of epochs."""
        started = time.perf_counter()
        recorder = Recorder(self)
        settings = self.settings
        by_python = self.needs_python or self.shows_bar or epochs is not None
        # As in scikit-learn: a line search needs more precision than float32.
        dtype = np.dtype(float) if self.is_lbfgs else recorder.theta.dtype
        (X, T, weight), *validation = (
            _data(part, dtype)
            for part in (self.rows, self.validation)
            if part is not None
        )
        arguments: dict[str, Any] = {
            "optimizer": self.optimizer,
            "sample_weight": weight,
        }
        arguments["epochs"] = settings.max_iter if epochs is None else epochs
        if by_python:
            arguments["callbacks"] = self.callbacks(recorder)
        else:
            arguments["early_stopping"] = self.early_stopping
        if self.checkpoint is not None:
            arguments["checkpoint"] = (
                self.checkpoint._recording(recorder) if by_python else self.checkpoint
            )
        if validation:
            arguments["validation"] = validation[0]
        if self.is_lbfgs:
            arguments["validation_score"] = self.score
        else:
            arguments |= self.steps
            arguments["state"] = recorder.resumed
        network = SparseNetwork(self.network) if sparse.issparse(X) else self.network
        error = None
        try:
            with limit_jobs(settings.n_jobs):
                result = train(network, recorder.theta.astype(dtype), X, T, **arguments)
        except DivergenceError as caught:
            error = caught
            result = caught.result
        outcome = recorder.finished(result, by_python)
        if self.tasks is not None and error is None:
            self.publish(outcome)
            self.tasks.end()
        outcome.error = error
        outcome.seconds = time.perf_counter() - started
        return outcome

    def callbacks(self, recorder: "Recorder") -> list[Any]:
        """Return the callbacks; the recorder comes first, so that the others see an updated model."""
        settings = self.settings
        callbacks: list[Any] = [recorder, *(settings.callbacks or ())]
        if self.shows_bar:
            from ..train.progress import ProgressBar

            callbacks.append(ProgressBar(type(settings).__name__))
        elif settings.verbose:
            callbacks.insert(1, recorder.print_epoch)
        if self.tasks is None:
            return callbacks
        return [self.tasks.watching(callbacks, settings.max_iter)]

    def identity(self) -> dict[str, Any]:
        """Return everything that determines the bits of this fit, by name."""
        estimator: Any = self.settings
        settings = estimator.get_params(deep=False)
        for name in (
            "callbacks",
            "checkpoint",
            "verbose",
            "n_jobs",
            "n_restarts",
            "warm_start",
            "random_state",
        ):
            settings.pop(name)
        seeds = [start.seed for start in (self.before, *self.starts)]
        identity = {"estimator": type(self.settings).__name__, **settings}
        identity["seed"] = seeds if self.starts else seeds[0]
        identity["start"] = self.before.theta
        for prefix, part in {"": self.rows, "validation ": self.validation}.items():
            if part is not None:
                table = part.table
                identity[f"{prefix}X"] = table.inputs
                identity[f"{prefix}rows"] = part.indices
                identity[f"{prefix}T"] = table.T
                identity[f"{prefix}sample_weight"] = table.weight
        return identity

    def convergence_warning(self, outcome: FitOutcome) -> str:
        """Return scikit-learn's convergence warning, or "" if training converged."""
        settings, reason, loss = (
            self.settings,
            outcome.ending and outcome.ending.reason,
            outcome.loss,
        )
        if self.is_lbfgs and reason in LBFGS_WARNINGS:
            return (
                f"lbfgs failed to converge after {outcome.n_iter} iteration(s):"
                f" {LBFGS_WARNINGS[reason]}."
            )
        if not self.is_lbfgs and reason == "epochs":
            return (
                f"Stochastic Optimizer: Maximum iterations ({settings.max_iter})"
                " reached and the optimization hasn't converged yet."
            )
        if (
            reason in ("callback", "converged")
            and not self.by_score
            and 0 < settings.tol < ulp(loss)
        ):
            return (
                f"The loss, {loss:.3g}, is so large that progress of"
                f" tol={settings.tol:g} is lost in rounding: training ended, perhaps"
                " without convergence."
            )
        return ""


def _data(rows: Rows, dtype: np.dtype) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """Return rows for `train`, selected and scaled lazily unless that would change the dtype."""
    table = rows.table
    if sparse.issparse(table.X) or (
        table.X.dtype != dtype and table.X.dtype.kind == "f"
    ):
        return rows.chosen.X, rows.chosen.T, rows.chosen.weight
    if rows.indices is None and table.scaling is None:
        return table.X, table.T, table.weight
    return Selection(table.X, rows.indices, table.scaling), table.T, table.weight


class Recorder:
    """Records each epoch in the outcome of a fit and applies the stopping rule.

    The rule continues from the counts of earlier calls. Instead of ending training, the
    rule divides an adaptive learning rate above 1e-6 by 5. If the rule monitors a
    score, ``best_theta`` holds the parameters with the best score: the initial
    parameters if no epoch improved on the best score of earlier calls.
    """

    def __init__(self, spec: FitSpec) -> None:
        self.spec, before, validation = spec, spec.before, spec.validation
        state = None if spec.is_lbfgs else before.state
        if state is not None and (
            state.optimizer.keys() != spec.optimizer.init(before.theta).keys()
            or [*state.schedule]
            != ([] if spec.schedule is None else [*spec.schedule.init()])
        ):
            state = None  # the state belongs to another optimizer or schedule
        # After early stopping the model has the best parameters, but training continues
        # from the last parameters.
        best = None if state is None else state.early_stopping.get("theta")
        is_restored = best is not None and np.array_equal(before.theta, best)
        self.resumed = state
        self.theta = state.theta if state is not None and is_restored else before.theta
        self.best_theta = (
            (before.theta if best is None else best).copy() if spec.by_score else None
        )
        self.constant = spec.constant(spec.rows)
        self.constant_val = 0.0 if validation is None else spec.constant(validation)
        self.can_continue = not spec.is_lbfgs and (
            spec.schedule is None or not has_horizon(spec.schedule)
        )
        # This call extends the lists and best values of earlier calls.
        self.outcome = outcome = FitOutcome(**vars(before))
        outcome.n_iter = 0
        if spec.by_score:
            outcome.best_loss = None
            if outcome.best_validation_score is None:
                outcome.best_validation_score = -np.inf
        elif outcome.best_loss is None:
            outcome.best_loss = np.inf
        if validation is not None:
            outcome.validation_loss_curve = outcome.validation_loss_curve or []
            outcome.validation_scores = outcome.validation_scores or []
        if "score_curve" in spec.scored:
            outcome.score_curve = outcome.score_curve or []
        self.scores = {
            name: spec.scorer(rows, spec.settings.scoring)
            for name, rows in spec.scored.items()
        }

    def memory(self, epoch: int) -> dict[str, Any] | None:
        """Return the state to resume from after an epoch, or None if an error prevented the recording of the epoch."""
        if self.outcome.n_iter != epoch:
            return None
        return {
            "counted": {name: getattr(self.outcome, name) for name in COUNTED},
            "best": self.best_theta,
        }

    def remember(self, memory: dict[str, Any]) -> None:
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
        outcome, history = self.outcome, state.history
        outcome.theta = state.theta
        for name, measure in self.scores.items():
            getattr(outcome, name).append(measure(state))
        validated = history._latest_validation_losses, history._latest_validation_scores
        over = self.epochs(state, history._latest_losses, *validated)
        self.keep(state, self.best_theta)  # for callbacks that save the model
        self.spec.publish(outcome)
        return over

    def keep(self, state: TrainingState, best: np.ndarray | None) -> None:
        """Store the state for continued training if the optimizer and the schedule support continuation."""
        # Store a copy, so that assigned coefficients do not change it.
        stopping: Any = (
            {"theta": best.copy()} if self.spec.by_score and best is not None else {}
        )
        resumable = replace(
            state,
            history=History(),
            network=None,
            optimizer_class="",
            early_stopping=stopping,
        )
        self.outcome.state = resumable if self.can_continue else None

    def epochs(
        self,
        state: TrainingState,
        losses: np.ndarray,
        validation_losses: np.ndarray,
        scores: np.ndarray,
    ) -> bool:
        """Record epochs with their losses and any scores; return whether to stop training."""
        outcome: Any = self.outcome
        spec, over = self.spec, False
        rule, by_score = spec.rule, spec.by_score
        if spec.settings.scoring == "loss":
            scores = -validation_losses
        validation_losses, scores = validation_losses.tolist(), scores.tolist()
        rows = 0 if spec.is_lbfgs else len(spec.rows)
        for epoch, loss in enumerate(losses.tolist()):
            if validation_losses:
                outcome.validation_loss_curve.append(
                    validation_losses[epoch] + self.constant_val
                )
            if scores:
                outcome.validation_scores.append(scores[epoch])
            outcome.n_iter += 1
            outcome.t += rows
            outcome.loss = loss + self.constant
            outcome.loss_curve.append(outcome.loss)
            # Compare the epoch with the best one so far.
            watched = -outcome.validation_scores[-1] if by_score else outcome.loss
            lowest = -outcome.best_validation_score if by_score else outcome.best_loss
            count = outcome.no_improvement_count
            best, _, count = observed(
                watched,
                lowest,
                lowest,
                count,
                rule.min_delta,
                rule.compare_to == "best",
            )
            outcome.no_improvement_count = int(count)
            if not by_score:
                outcome.best_loss = best
            elif best < lowest:
                outcome.best_validation_score, self.best_theta = (
                    -best,
                    state.theta.copy(),
                )
            has_stalled = count >= rule.patience and (by_score or not spec.is_lbfgs)
            over = has_stalled and not self.adapts(state)
        return over

    def adapts(self, state: TrainingState) -> bool:
        """Divide an adaptive learning rate instead of stopping; return whether this was possible."""
        settings = self.spec.settings
        rate = getattr(self.spec.optimizer, "learning_rate", 0.0)
        curve = "Validation score" if self.spec.by_score else "Training loss"
        message = (
            f"{curve} did not improve more than tol={settings.tol:f} "
            f"for {settings.n_iter_no_change} consecutive epochs."
        )
        factor = (
            state.schedule.get("factor")
            if settings.learning_rate == "adaptive"
            else None
        )
        adapts = factor is not None and rate * factor > 1e-6
        if adapts:
            parts.Cuts().cut(state.schedule)
            self.outcome.no_improvement_count = 0
        if settings.verbose and settings.verbose != "bar":
            consequence = (
                f"Setting learning rate to {rate * state.schedule['factor']:f}"
                if adapts
                else "Stopping."
            )
            print(f"{message} {consequence}")
        return adapts

    def print_epoch(self, state: TrainingState) -> None:
        """Print an epoch as scikit-learn does."""
        print(f"Iteration {self.outcome.n_iter}, loss = {self.outcome.loss:.8f}")
        if self.outcome.validation_scores:
            print(f"Validation score: {self.outcome.validation_scores[-1]:f}")

    def finished(self, result: TrainingResult, by_python: bool = False) -> FitOutcome:
        """Return the outcome for the result of `train`, recording epochs not recorded yet."""
        outcome, history, state = self.outcome, result.history, result.state
        theta, reason = result.theta, result.reason
        if by_python and self.best_theta is not None and reason != "diverged":
            theta = self.best_theta
        if not by_python:
            # `train` also measures validation before the first epoch; scikit-learn's
            # lists begin after the first epoch.
            self.epochs(
                state,
                history.loss,
                history.validation_loss[1:],
                history.validation_score[1:],
            )
            reason = "callback" if reason == "early stopping" else reason
        # L-BFGS converged at the initial parameters
        if reason == "converged" and not state.epoch:
            outcome.loss = float(history.loss[0]) + self.constant
        outcome.theta = theta.astype(self.spec.before.theta.dtype, copy=False)
        outcome.ending = Ending(reason, state.step)
        outcome.interrupted, outcome.diverged = (
            reason == "interrupted",
            reason == "diverged",
        )
        if not outcome.diverged:
            self.keep(state, theta)
        return outcome

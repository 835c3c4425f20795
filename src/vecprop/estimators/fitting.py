"""Fitting: one call of `fit` or `partial_fit`, which prepares, trains and records what came of it in the model."""

import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from ..optimize.lbfgs import LBFGS
from ..optimize.schedules import Constant, Schedule, has_horizon
from ..optimize.stopping import Stagnation
from ..train.engine import engine_for
from ..train.history import History
from ..train.members import Member
from ..train.progress import ProgressBar
from ..train.state import DivergenceError, TrainingResult
from ..train.trainer import train
from . import parts
from .diagnosis import diagnosis_of_sample
from .prediction import Predictions
from .record import Record, print_epoch
from .rows import Rows
from .schedules import Cuts
from .sparse import SparseNetwork
from .symptoms import Ending
from .tasks import EpochTasks

if TYPE_CHECKING:
    from .base import MultilayerPerceptron


class Fitting:
    """One call of training.

    Parameters
    ----------
    model : MultilayerPerceptron
        The model, whose network and parameters are ready.
    rows, validation : Rows
        The rows of training, and those of validation, if any are given.
    random : RandomState
        Where the split and the seed come from.
    """

    def __init__(
        self, model: "MultilayerPerceptron", rows: Rows, validation: Rows | None, random: np.random.RandomState
    ) -> None:
        self.model, self.all_rows, self.rows, self.validation = model, rows, rows, validation
        self.dtype = model.theta_.dtype
        self.optimizer = parts.optimizer(model)
        self.by_search = isinstance(self.optimizer, LBFGS)
        if model.early_stopping and validation is None and not self.by_search:
            self.set_aside(random)
        self.seed = model._draw_seed(random)
        self.score = None if self.validation is None or model.scoring is not None else model._own_score(self.validation)
        self.schedule: Schedule = parts.schedule(model, len(self.rows))
        self.by_score = model.early_stopping and self.validation is not None
        watched = "loss" if not self.by_score else "validation_score" if self.score else "validation_loss"
        self.rule = Stagnation(model.n_iter_no_change + 1, model.tol, watched)
        self.result: TrainingResult | None = None
        self.seconds = 0.0
        self.prepare()

    def set_aside(self, random: np.random.RandomState) -> None:
        """Set rows aside for validation; where there are two classes, the same share of each."""
        T = self.rows.T
        two_classes = self.model.n_outputs_ == 1 and hasattr(self.model, "classes_")
        strata = T.astype(bool) if two_classes else None
        self.rows, self.validation = self.rows.split(random, self.model.validation_fraction, strata)
        if len(self.validation) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )

    def prepare(self) -> None:
        """Have the lists and bests that this call goes on with."""
        model = self.model
        model.n_iter_ = 0
        model.best_loss_ = None if self.by_score else np.inf if model.best_loss_ is None else model.best_loss_
        if self.by_score and model.best_validation_score_ is None:
            model.best_validation_score_ = -np.inf
        lists = {"validation_loss_curve_": self.validation, "validation_scores_": self.validation}
        lists["score_curve_"] = None if model.scoring in (None, "loss") else self.rows
        for name, measured in lists.items():
            if measured is not None and getattr(model, name) is None:
                setattr(model, name, [])

    def fit(self) -> None:
        """Train for max_iter epochs, or until something ends it."""
        self.run()
        self.warn_of_shortfall()

    def run(self) -> None:
        """Train so, and say nothing if more epochs were needed."""
        started, tasks = time.perf_counter(), None
        if getattr(self.model, "_skl_callbacks", None):
            metadata = {} if self.all_rows.weight is None else {"sample_weight": self.all_rows.weight}
            tasks = EpochTasks(self.model, self.all_rows.X, self.all_rows.y, metadata)
        self.train(self.model.max_iter, tasks, by_python=self.needs_python())
        if tasks is not None:
            tasks.end()
        self.seconds = time.perf_counter() - started

    def fit_an_epoch(self) -> None:
        """Train for one epoch."""
        if has_horizon(self.schedule):
            raise ValueError(
                f"{self.model.learning_rate!r} needs to know how many epochs there are, which partial_fit cannot tell: "
                "use fit, or another learning_rate."
            )
        self.train(1, None, by_python=True)

    def needs_python(self) -> bool:
        """Return whether Python has a part in each epoch, or in when training ends."""
        model = self.model
        return bool(
            self.by_search
            or self.scores()
            or model.callbacks
            or model.verbose
            or getattr(model, "_skl_callbacks", None)
            or isinstance(self.schedule, Cuts)
            or model.loss_curve_  # earlier calls count
            or (not self.by_score and model._loss_constant(self.rows))  # which rounds otherwise than the loss alone
        )

    def train(self, epochs: int, tasks: EpochTasks | None, by_python: bool) -> None:
        """Train, with Python after each epoch or without, and leave in the model what was learned."""
        record, error = self.record(), None
        watchers = {"callbacks": self.callbacks(record, tasks)} if by_python else {"early_stopping": self.ending()}
        try:
            with self.threads():
                result = self.move(epochs, **watchers)
        except DivergenceError as caught:
            error, result = caught, caught.result
        if by_python:
            self.leave(result, record.best_theta, error)
        else:
            self.take(result, error)
        if self.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=6)

    def ending(self) -> Stagnation | None:
        """Return what ends training, where Python does not: the rule, unless the epochs are used up before."""
        return self.rule if self.by_score or self.rule.patience <= self.model.max_iter else None

    def member(self) -> Member | None:
        """Return what a population may train in the place of `run`, if it can."""
        table, validation, model = self.rows.table, self.validation, self.model
        elsewhere = validation is not None and validation.table is not table
        if self.needs_python() or elsewhere or sparse.issparse(table.X):
            return None
        if engine_for(model.network_, model.theta_, (), self.optimizer, silent=True).cohort is None:
            return None
        return Member(
            model.network_,
            model.theta_,
            self.optimizer,
            rows=self.rows.numbers,
            validation_rows=None if validation is None else validation.numbers,
            X=table.X,
            T=table.T,
            sample_weight=table.weight,
            epochs=model.max_iter,
            early_stopping=self.ending(),
            **self.steps(),
        )

    def move(self, epochs: int, **watchers: Any) -> TrainingResult:
        """Return what the epochs have made of the model's parameters."""
        model, theta = self.model, self.model.theta_
        is_sparse = sparse.issparse(self.rows.X)
        # A line search needs more digits than float32 has, as in scikit-learn.
        dtype = np.float64 if self.by_search else theta.dtype
        X, *validation_X = (
            (rows.X.tocsr() if is_sparse else rows.X).astype(dtype, copy=False)
            for rows in (self.rows, self.validation)
            if rows is not None
        )
        settings: dict[str, Any] = {"sample_weight": self.rows.weight, "epochs": epochs, **watchers}
        if self.validation is not None:
            settings["validation"] = (*validation_X, self.validation.T, self.validation.weight)
        if self.by_search:
            settings["validation_score"] = self.score
        else:
            continues = model._state is not None and _fits(model._state, theta, self.optimizer, self.schedule)
            settings |= {**self.steps(), "state": model._state if continues else None}
        network = SparseNetwork(model.network_) if is_sparse else model.network_
        return train(network, theta.astype(dtype), X, self.rows.T, optimizer=self.optimizer, **settings)

    def steps(self) -> dict[str, Any]:
        """Return what the steps of an epoch are like."""
        wished, rows = self.model.batch_size, len(self.rows)
        size = min(200, rows) if isinstance(wished, str) else min(int(wished), rows)
        if not isinstance(wished, str) and wished > rows:
            message = "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
            warnings.warn(message, stacklevel=8)
        return {
            "batch_size": size,
            "shuffle": self.model.shuffle,
            "seed": self.seed,
            "validation_score": self.score,
            "training_loss": "running",
            "schedule": None if isinstance(self.schedule, Constant) else self.schedule,
        }

    def threads(self) -> AbstractContextManager[Any]:
        """Return what limits the threads to n_jobs."""
        if self.model.n_jobs is None:
            return nullcontext()
        from joblib import effective_n_jobs

        from ..system.threads import at_most_threads

        return at_most_threads(effective_n_jobs(self.model.n_jobs))

    def scores(self) -> dict[str, Any]:
        """Return what has to measure the model after each epoch, by the attributes that list it."""
        model, scores = self.model, {}
        if self.validation is not None and model.scoring != "loss" and self.score is None:
            scores["validation_scores_"] = model._scorer(self.validation, model.scoring)
        if model.scoring not in (None, "loss"):
            scores["score_curve_"] = model._scorer(self.rows, model.scoring)
        return scores

    def callbacks(self, record: Record, tasks: EpochTasks | None) -> list[Any]:
        """Return what is called after each epoch; the record is first, so that others see the model as it is."""
        model = self.model
        others: list[Any] = [record, *(model.callbacks or ())]
        if model.verbose == "bar":
            others.append(ProgressBar(type(model).__name__))
        elif model.verbose:
            others.insert(1, print_epoch(model))
        return others if tasks is None else [tasks.watching(others)]

    def record(self) -> Record:
        """Return what records each epoch in the model."""
        return Record(
            self.model,
            0 if self.by_search else len(self.rows),
            self.scores(),
            self.rule,
            ends=self.by_score or not self.by_search,
            rate=getattr(self.optimizer, "learning_rate", 0.0),
            constant=self.model._loss_constant(self.rows),
            constant_val=0.0 if self.validation is None else self.model._loss_constant(self.validation),
        )

    def take(self, result: TrainingResult, error: DivergenceError | None = None) -> None:
        """Record the epochs of a training without Python, and leave in the model what was learned."""
        history = result.history
        losses = history.loss
        if len(losses):
            on_validation = history.validation_loss[1:], history.validation_score[1:]  # from the first epoch on
            self.record().epochs(result.state, losses, *on_validation)
            self.seconds = float(history.time[-1])
        ended = replace(result, reason="callback") if result.reason == "early stopping" else result
        self.leave(ended, None, error)

    def leave(self, result: TrainingResult, best: np.ndarray | None, error: DivergenceError | None) -> None:
        """Leave in the model what was learned, and where training stands; raise an error where it diverged."""
        model, diverged = self.model, result.reason == "diverged"
        theta = result.theta if diverged or best is None else best
        model.theta_ = theta.astype(self.dtype, copy=False)
        model._rows = Predictions(model.network_, model.theta_)
        model._ending = Ending(result.reason, result.state.step)
        if diverged:
            message = (
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )
            raise ValueError(diagnosis_of_sample(model, self.rows).after(message)) from error
        self.result = result
        goes_on = not (self.by_search or self.by_score or has_horizon(self.schedule))
        model._state = replace(result.state, history=History()) if goes_on else None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C has ended training."""
        return self.result is not None and self.result.reason == "interrupted"

    def warn_of_shortfall(self) -> bool:
        """Warn where training has not converged; return whether it has not."""
        shortfall = "" if self.result is None else self.shortfall(self.result)
        if shortfall:
            message = diagnosis_of_sample(self.model, self.rows).after(shortfall)
            warnings.warn(message, ConvergenceWarning, stacklevel=5)
        return bool(shortfall)

    def shortfall(self, result: TrainingResult) -> str:
        """Return in scikit-learn's words that training has not converged; "" where it has, or where it was ended."""
        if self.by_search:
            why = {
                "epochs": "it has used up max_iter or max_fun: increase them, or scale the data",
                "stalled": "no lower loss was found along its last direction: scale the data, or increase tol",
            }.get(result.reason)
            return f"lbfgs failed to converge after {self.model.n_iter_} iteration(s): {why}." if why else ""
        if result.reason != "epochs":
            return ""
        return (
            f"Stochastic Optimizer: Maximum iterations ({self.model.max_iter}) reached and the optimization hasn't "
            "converged yet."
        )


def _fits(state: Any, theta: np.ndarray, optimizer: Any, schedule: Any) -> bool:
    """Return whether a state belongs to such an optimizer and schedule."""
    return state.optimizer.keys() == optimizer.init(theta).keys() and state.schedule.keys() == schedule.init().keys()

"""Fitting: one call of `fit` or `partial_fit`, from rows to trained parameters."""

import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from ..optimize.lbfgs import LBFGS
from ..optimize.schedules import Constant, Schedule
from ..train.history import History
from ..train.progress import ProgressBar
from ..train.state import DivergenceError, TrainingResult
from ..train.trainer import train
from . import parts
from .diagnosis import diagnosis_of_sample
from .prediction import Predictions
from .schedules import has_horizon
from .sparse import SparseNetwork
from .stopping import Watch, print_epoch
from .symptoms import Ending
from .tasks import EpochTasks
from .unattended import Unattended


class Fitting(Unattended):
    """One call of training.

    Parameters
    ----------
    model : MultilayerPerceptron
        The model, whose network and parameters are ready.
    rows, held_out : Rows
        The rows of training, and those of validation, if any are given.
    random : RandomState
        Where the split and the seed come from.
    """

    def __init__(self, model: Any, rows: Any, held_out: Any, random: np.random.RandomState) -> None:
        self.model, self.all_rows, self.rows, self.held_out = model, rows, rows, held_out
        self.dtype = model.theta_.dtype
        self.optimizer = parts.optimizer(model)
        self.by_search = isinstance(self.optimizer, LBFGS)
        if model.early_stopping and held_out is None and not self.by_search:
            self.set_aside(random)
        self.seed = model._draw_seed(random)
        self.by_score = model.early_stopping and self.held_out is not None
        self.score = None if self.held_out is None or model.scoring is not None else model._own_score(self.held_out)
        self.schedule: Schedule = parts.schedule(model, len(self.rows))
        self.result: TrainingResult | None = None
        self.seconds = 0.0
        self.prepare()

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C has ended training."""
        return self.result is not None and self.result.reason == "interrupted"

    def set_aside(self, random: np.random.RandomState) -> None:
        """Set rows aside for validation; where there are two classes, the same share of each."""
        T = self.rows.T
        two_classes = self.model.n_outputs_ == 1 and hasattr(self.model, "classes_")
        strata = T.astype(bool) if two_classes else None
        self.rows, self.held_out = self.rows.split(random, self.model.validation_fraction, strata)
        if len(self.held_out) < 2:
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
        lists = {"validation_loss_curve_": self.held_out, "validation_scores_": self.held_out}
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
        started, tasks = time.perf_counter(), self.tasks()
        if self.needs_python():
            self.train(self.model.max_iter, tasks)
        else:
            self.train_by_itself()
        self.warn_of_interrupt()
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
        self.train(1, None)
        self.warn_of_interrupt()

    def tasks(self) -> EpochTasks | None:
        """Return the tasks of scikit-learn's callbacks, where that release has any."""
        if not hasattr(self.model, "_init_callback_context"):
            return None
        rows = self.all_rows
        metadata = {} if rows.weight is None else {"sample_weight": rows.weight}
        return EpochTasks(self.model, rows.X, rows.y, metadata)

    def train(self, epochs: int, tasks: EpochTasks | None) -> None:
        """Train with Python after each epoch, and leave in the model what was learned."""
        watch = self.watch()
        try:
            with self.threads():
                result = self.move(epochs, callbacks=self.callbacks(watch, tasks))
        except DivergenceError as error:
            raise self.divergence(error.result) from error
        self.leave(result, result.theta if watch.best_theta is None else watch.best_theta)

    def watch(self) -> Watch:
        """Return what records each epoch in the model."""
        return Watch(
            self.model,
            0 if self.by_search else len(self.rows),
            self.scores(),
            by_score=self.by_score,
            by_loss=not (self.by_search or self.by_score),
            rate=getattr(self.optimizer, "learning_rate", 0.0),
            constant=self.model._loss_constant(self.rows),
            constant_val=0.0 if self.held_out is None else self.model._loss_constant(self.held_out),
        )

    def leave(self, result: TrainingResult, theta: np.ndarray) -> None:
        """Leave in the model what was learned, and where training stands."""
        self.result = result
        self.keep(theta)
        self.model._ending = Ending(result.reason, result.state.step)
        goes_on = not (self.by_search or self.by_score or has_horizon(self.schedule))
        self.model._state = replace(result.state, history=History()) if goes_on else None

    def divergence(self, result: TrainingResult) -> ValueError:
        """Return the error that says that training diverged, and leave the last finite parameters in the model."""
        self.keep(result.theta)
        self.model._ending = Ending("diverged", result.state.step)
        message = (
            "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
            "preprocessed."
        )
        return ValueError(diagnosis_of_sample(self.model, self.rows).after(message))

    def move(self, epochs: int, **watchers: Any) -> TrainingResult:
        """Return what the epochs have made of the model's parameters."""
        model, theta = self.model, self.model.theta_
        is_sparse = sparse.issparse(self.rows.X)
        # A line search needs more digits than float32 has, as in scikit-learn.
        dtype = np.float64 if self.by_search else theta.dtype
        X, *held_X = (
            (rows.X.tocsr() if is_sparse else rows.X).astype(dtype, copy=False)
            for rows in (self.rows, self.held_out)
            if rows is not None
        )
        settings: dict[str, Any] = {"sample_weight": self.rows.weight, "epochs": epochs, **watchers}
        if self.held_out is not None:
            settings["validation"] = (*held_X, self.held_out.T, self.held_out.weight)
        if self.by_search:
            settings["validation_score"] = self.score
        else:
            continues = model._state is not None and _fits(model._state, theta, self.optimizer, self.schedule)
            settings |= {**self.steps(), "state": model._state if continues else None}
        network = SparseNetwork(model.network_) if is_sparse else model.network_
        return train(network, theta.astype(dtype), X, self.rows.T, optimizer=self.optimizer, **settings)

    def steps(self) -> dict[str, Any]:
        """Return what the steps of an epoch are like."""
        return {
            "batch_size": self.batch_size(),
            "shuffle": self.model.shuffle,
            "seed": self.seed,
            "validation_score": self.score,
            "training_loss": "running",
            "schedule": None if isinstance(self.schedule, Constant) else self.schedule,
        }

    def batch_size(self) -> int:
        """Return how many rows a step sees."""
        wished, rows = self.model.batch_size, len(self.rows)
        if wished == "auto":
            return min(200, rows)
        if wished > rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=9
            )
        return min(int(wished), rows)

    def scores(self) -> dict[str, Any]:
        """Return what has to measure the model after each epoch, by the attributes that list it."""
        model, scores = self.model, {}
        if self.held_out is not None and model.scoring != "loss" and self.score is None:
            scores["validation_scores_"] = model._scorer(self.held_out, model.scoring)
        if model.scoring not in (None, "loss"):
            scores["score_curve_"] = model._scorer(self.rows, model.scoring)
        return scores

    def callbacks(self, watch: Watch, tasks: EpochTasks | None) -> list[Any]:
        """Return what is called after each epoch; the watch is first, so that others see the model as it is."""
        model = self.model
        others: list[Any] = [watch, *(model.callbacks or ())]
        if model.verbose == "bar":
            others.append(ProgressBar(type(model).__name__))
        elif model.verbose:
            others.insert(1, print_epoch(model))
        if tasks is not None and tasks.has_callbacks:
            return [tasks.watching(others)]
        return others

    def threads(self) -> AbstractContextManager[Any]:
        """Return what limits the threads to n_jobs."""
        if self.model.n_jobs is None:
            return nullcontext()
        from joblib import effective_n_jobs

        from ..core.processors import at_most_threads

        return at_most_threads(effective_n_jobs(self.model.n_jobs))

    def keep(self, theta: np.ndarray) -> None:
        """Leave parameters in the model."""
        model = self.model
        model.theta_ = theta.astype(self.dtype, copy=False)
        model._rows = Predictions(model.network_, model.theta_)

    def warn_of_interrupt(self) -> None:
        """Warn where Ctrl-C has ended training."""
        if self.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=6)

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

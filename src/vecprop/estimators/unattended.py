"""Fits that need no Python between epochs: the rule that ends them, what a population trains, and what comes of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from scipy import sparse

from ..train.early_stopping import Stagnation
from ..train.engine import engine_for
from ..train.history import History
from ..train.population import Member
from ..train.state import DivergenceError, TrainingResult
from .schedules import Cuts


class Unattended:
    """The part of a `Fitting` that trains without Python after each epoch."""

    model: Any
    rows: Any
    held_out: Any
    optimizer: Any
    schedule: Any
    score: Any
    by_search: bool
    by_score: bool
    seconds: float
    move: Callable[..., TrainingResult]
    scores: Callable[[], dict[str, Any]]
    steps: Callable[[], dict[str, Any]]
    watch: Callable[[], Any]
    leave: Callable[..., None]
    divergence: Callable[[TrainingResult], ValueError]
    threads: Callable[[], AbstractContextManager[Any]]

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

    def rule(self) -> Stagnation | None:
        """Return what ends training, where nothing needs Python; see `Watch`."""
        model = self.model
        most = min(model.n_iter_no_change, model.max_iter)
        on = "loss" if not self.by_score else "validation_score" if self.score else "validation_loss"
        return Stagnation(int(most) + 1, model.tol, on) if self.by_score or most < model.max_iter else None

    def member(self) -> Member | None:
        """Return what a population may train in the place of `run`, if it can."""
        table, held_out = self.rows.table, self.held_out
        elsewhere = held_out is not None and held_out.table is not table
        if self.needs_python() or elsewhere or sparse.issparse(table.X):
            return None
        engine = engine_for(self.model.network_, self.model.theta_, (), self.optimizer, silent=True)
        if engine.cohort is None:
            return None
        return Member(
            self.model.network_,
            self.model.theta_,
            self.optimizer,
            rows=self.rows.numbers,
            validation_rows=None if held_out is None else held_out.numbers,
            X=table.X,
            T=table.T,
            sample_weight=table.weight,
            epochs=self.model.max_iter,
            early_stopping=self.rule(),
            **self.steps(),
        )

    def train_by_itself(self) -> None:
        """Train without Python after each epoch, as a population would, and leave in the model what was learned."""
        error = None
        try:
            with self.threads():
                result = self.move(self.model.max_iter, early_stopping=self.rule())
        except DivergenceError as caught:
            error, result = caught, caught.result
        self.take(result, error)

    def take(self, result: TrainingResult, error: DivergenceError | None = None) -> None:
        """Leave in the model what was trained without Python."""
        watch, measured = self.watch(), result.history
        if len(measured.loss):
            history = History()  # that begins with the first epoch
            history.extend(
                measured.loss, measured.validation_loss[1:], measured.time[-1:], measured.validation_score[1:]
            )
            watch(replace(result.state, history=history))
            self.seconds = float(measured.time[-1])
        if result.reason == "diverged":
            raise self.divergence(result) from error
        ended = replace(result, reason="callback") if result.reason == "early stopping" else result
        self.leave(ended, result.theta)

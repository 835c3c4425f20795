"""Fit a model with restarts, or many models. Fits without Python code after epochs form one population."""

import copy
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn import config_context, get_config
from sklearn.utils import check_random_state

from ...system.threads import (
    cancellable,
    interruptible,
    limit_jobs,
    limit_threads,
    usable_threads,
)
from ...train.members import Member
from ...train.population import train_population, workers_or_joblibs
from ...train.progress import Progress, progress_bar
from ...train.state import TrainingResult
from ..fit import FitOutcome, FitRun, FitSpec

Show = Callable[[Progress], object]
"""A function that shows the progress of fits."""

Attempt = FitOutcome | Exception | None
"""The outcome of a fit, the error that it raised, or None if it was not started."""


def random_states(random_state, count: int) -> list:
    """Return the given random state, and integers drawn from a copy of it for further fits."""
    if count == 1:
        return [random_state]
    random = check_random_state(copy.deepcopy(random_state))
    return [random_state, *random.randint(2**31 - 1, size=count - 1).tolist()]


def run_fit(spec: FitSpec) -> FitOutcome:
    """Run a fit with its restarts; return the outcome with the best validation score or, without one, the best loss."""
    if not spec.starts:
        return FitRun(spec).train()
    attempts = _run_restarts(spec)
    losses = np.full(len(attempts), np.inf)
    outcomes = {}
    for number, attempt in enumerate(attempts):
        if isinstance(attempt, FitOutcome) and not attempt.diverged:
            outcomes[number] = attempt
            losses[number] = attempt.loss
    if not outcomes:
        first = attempts[0]
        if isinstance(first, FitOutcome):
            return first
        raise first or AssertionError
    best = max(outcomes, key=lambda number: _quality(spec, outcomes[number]))
    return replace(
        outcomes[best],
        restart_losses=losses,
        best_restart=best,
        seconds=sum(getattr(attempt, "seconds", 0.0) for attempt in attempts),
        interrupted=any(outcome.interrupted for outcome in outcomes.values()),
    )


def _run_restarts(spec: FitSpec) -> "list[Attempt]":
    """Run a fit from each of its starts. Only the first one updates the model and scikit-learn's callbacks."""
    first = replace(spec, starts=(), checkpoint=None)
    specs = [first]
    for start in spec.starts:
        specs.append(replace(first, before=start, tasks=None, publishes=False))
    settings = spec.model
    with progress_bar(type(settings).__name__, quiet=not spec.shows_bar) as show:
        return fit_many(specs, settings.n_jobs, spec.checkpoint, progress=show)


def _quality(spec: FitSpec, outcome: FitOutcome) -> Any:
    """Return the score of a restart; larger is better."""
    if spec.by_score:
        return outcome.best_validation_score
    if spec.validation is None:
        return -outcome.loss
    if not outcome.validation_scores:  # stopped before an epoch
        return -np.inf
    return outcome.validation_scores[-1]


def fit_many(
    specs: Sequence[FitSpec],
    n_jobs: int | None,
    checkpoint=None,
    workers=None,
    moments: bool = True,
    progress: Show | None = None,
) -> list[Attempt]:
    """Fit many models, with results bit-identical to separate fits; Ctrl-C prevents further fits."""
    attempts: list[Attempt] = [None] * len(specs)
    members = {}
    for number, spec in enumerate(specs):
        member = spec.member()
        if member is not None:
            members[number] = member
    with limit_jobs(n_jobs):
        results = train_members(
            members,
            progress=progress,
            checkpoint=_part(checkpoint, "members"),
            workers=workers_or_joblibs(workers),
            moments=moments,
        )
        for number, result in results.items():
            outcome = FitRun(specs[number]).finished(result)
            times = result.history.time
            if len(times):
                outcome.seconds = float(times[-1])
            attempts[number] = outcome
        if all(result.reason != "interrupted" for result in results.values()):
            SeparateFits(specs, attempts, checkpoint).run(progress)
    return attempts


def _part(checkpoint, name: str) -> Any:
    """Return the part of any checkpoint with this name."""
    return checkpoint and checkpoint._part(name, checkpoint._takes_others)


def train_members(members: dict[int, Member], **settings) -> dict[int, TrainingResult]:
    """Train members as one population and return their results by index. Invalid members have no result."""
    numbers = list(members)
    while numbers:
        # Each member has its own rows, so the rows of the population are not used.
        population: list = [members[number] for number in numbers]
        first = population[0]
        try:
            results = train_population(population, first.X, first.T, **settings)
        except (TypeError, ValueError) as error:
            invalid = getattr(error, "member", None)
            if invalid is None:
                raise
            # The others are trained again if a custom part has failed in training.
            del numbers[invalid]
        else:
            return dict(zip(numbers, results, strict=True))
    return {}


class SeparateFits:
    """Fits that are not members of a population: all of a list without an outcome."""

    def __init__(self, specs: Sequence[FitSpec], attempts: list[Attempt], checkpoint):
        """Prepare the fits, and read the saved outcomes. The outcomes are stored in `attempts`."""
        self.specs = specs
        self.attempts = attempts
        # the fits without an outcome that are not saved yet, by their numbers in the store
        self.unsaved = dict(enumerate(self.unfinished()))
        self.store: Any = None
        self.config = get_config()  # scikit-learn's configuration is thread-local
        self.threads_per_fit = 1
        self.stop_requests = []  # not empty after a request to stop
        folder = _part(checkpoint, "alone")
        if folder is not None and self.unsaved:
            self.store = folder._fits(
                [specs[number].identity() for number in self.unsaved.values()]
            )
            for index, fields in self.store.known.items():
                attempts[self.unsaved.pop(index)] = FitOutcome(**fields)

    def unfinished(self) -> list[int]:
        """Return the indices of the fits without an outcome."""
        attempts = enumerate(self.attempts)
        return [number for number, attempt in attempts if attempt is None]

    def run(self, progress: Show | None):
        """Run the fits, in parallel if there are several threads. Ctrl-C stops them."""
        unfinished = self.unfinished()
        if not unfinished:
            return
        threads = usable_threads()
        jobs = min(threads, len(unfinished))
        self.threads_per_fit = threads // jobs
        report = partial(self.report, progress)
        try:
            if jobs > 1:
                interruptible(
                    partial(self.fit_in_threads, unfinished, jobs),
                    report,
                    partial(self.stop_requests.append, True),
                )
                report()
                return
            for number in unfinished:
                self.fit(number)
                report()
                if getattr(self.attempts[number], "interrupted", False):
                    return
        finally:
            if self.store is not None:
                self.save()
                self.store.write()

    def fit_in_threads(self, numbers: list[int], jobs: int):
        """Run the fits with these indices in parallel."""
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(self.fit, numbers))

    def fit(self, number: int):
        """Run a fit in this thread, unless the fits are stopped."""
        with (
            config_context(**self.config),
            limit_threads(self.threads_per_fit),
            cancellable(self.stop_requests),
        ):
            if self.stop_requests:
                return
            try:
                self.attempts[number] = outcome = run_fit(self.specs[number])
                if outcome.interrupted:
                    warnings.warn("Training interrupted by user.", stacklevel=4)
            except Exception as error:
                # an outcome, if the warning is raised as an error
                self.attempts[number] = self.attempts[number] or error

    def save(self):
        """Save the outcomes of the fits that have ended since the last call."""
        for index, number in list(self.unsaved.items()):
            outcome = self.attempts[number]
            if not isinstance(outcome, FitOutcome):
                continue
            del self.unsaved[index]
            if not outcome.interrupted and not outcome.diverged:
                fields = {**vars(outcome)}
                del fields["error"]
                self.store.ended(index, fields)

    def report(self, progress: Show | None):
        """Save the fits that have ended, and report their number."""
        if self.store is not None:
            self.save()
        if progress is not None:
            total = len(self.attempts)
            ended = total - len(self.unfinished())
            progress(Progress(ended, total, ended / total))

"""Fit a model with restarts, or many models. Fits without Python code after epochs form one population."""

import copy
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Lock
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
from ..fit import FitOutcome, FitSpec, Recorder

Show = Callable[[Progress], object]
"""A function that shows the progress of fits."""

Attempt = FitOutcome | Exception | None
"""The outcome of a fit, the error that it raised, or None if it was not started."""


def random_states(random_state, count: int) -> list[Any]:
    """Return the given random state, and integers drawn from a copy of it for further fits."""
    if count == 1:
        return [random_state]
    random = check_random_state(copy.deepcopy(random_state))
    return [random_state, *random.randint(2**31 - 1, size=count - 1).tolist()]


def run_fit(spec: FitSpec) -> FitOutcome:
    """Run a fit with its restarts; return the outcome with the best validation score or, without one, the best loss."""
    if not spec.starts:
        return spec.train()
    first = replace(spec, starts=(), checkpoint=None)
    # Only the first restart updates scikit-learn's callbacks and the attributes of the
    # model.
    restarts = [
        replace(first, before=start, tasks=None, publish=lambda outcome: None)
        for start in spec.starts
    ]
    settings = spec.settings
    with progress_bar(type(settings).__name__, quiet=not spec.shows_bar) as show:
        attempts = fit_many(
            [first, *restarts], settings.n_jobs, spec.checkpoint, progress=show
        )
    outcomes: dict[int, FitOutcome] = {}
    losses = np.full(len(attempts), np.inf)
    seconds = 0.0
    for number, attempt in enumerate(attempts):
        if isinstance(attempt, FitOutcome):
            seconds += attempt.seconds
            if not attempt.diverged:
                outcomes[number] = attempt
                losses[number] = attempt.loss
    if not outcomes:
        if isinstance(attempts[0], FitOutcome):
            return attempts[0]
        raise attempts[0] or AssertionError
    best = max(outcomes, key=lambda number: _quality(spec, outcomes[number]))
    return replace(
        outcomes[best],
        restart_losses=losses,
        best_restart=best,
        seconds=seconds,
        interrupted=any(outcome.interrupted for outcome in outcomes.values()),
    )


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
        is_interrupted = False
        for number, result in results.items():
            attempts[number] = outcome = Recorder(specs[number]).finished(result)
            times = result.history.time
            if len(times):
                outcome.seconds = float(times[-1])
            is_interrupted |= outcome.interrupted
        if not is_interrupted:
            fit_separately(specs, attempts, checkpoint, progress)
    return attempts


def _part(checkpoint, name: str) -> Any:
    """Return the part of any checkpoint with this name."""
    return checkpoint and checkpoint._part(name, checkpoint._takes_others)


def train_members(members: dict[int, Member], **settings) -> dict[int, TrainingResult]:
    """Train members as one population and return their results by index. Invalid members have no result."""
    while members:
        numbers = list(members)
        population: list[Any] = list(members.values())  # each member has its own rows
        try:
            results = train_population(
                population, population[0].X, population[0].T, **settings
            )
        except (TypeError, ValueError) as error:
            invalid = getattr(error, "member", None)
            if invalid is None:
                raise
            # a custom part may also fail in training, which is then repeated
            del members[numbers[invalid]]
        else:
            return dict(zip(numbers, results, strict=True))
    return {}


def fit_separately(
    specs: Sequence[FitSpec], attempts: list[Attempt], checkpoint, progress: Show | None
):
    """Fit the models that have no outcome, in parallel threads, and store the outcomes in `attempts`."""
    numbers = [number for number, attempt in enumerate(attempts) if attempt is None]
    if not numbers:
        return
    store: Any = None
    folder = _part(checkpoint, "alone")
    if folder is not None:
        store = folder._fits([specs[number].identity() for number in numbers])
        for index, fields in store.known.items():
            attempts[numbers[index]] = FitOutcome(**fields)
    unfinished = [number for number in numbers if attempts[number] is None]
    threads = usable_threads()
    jobs = min(threads, len(unfinished))
    lock = Lock()
    config = get_config()  # scikit-learn's configuration is thread-local
    stop_requests: list[bool] = []  # not empty after a request to stop
    # an error when saving, such as a full disk, which stops all fits
    save_errors: list[Exception] = []

    def fit(number: int):
        with (
            config_context(**config),
            limit_threads(max(threads // jobs, 1)),
            cancellable(stop_requests),
        ):
            if stop_requests or save_errors:
                return
            try:
                attempts[number] = outcome = run_fit(specs[number])
                if outcome.interrupted:
                    warnings.warn("Training interrupted by user.", stacklevel=4)
            except Exception as error:
                attempts[number] = attempts[number] or error
                return
            if store is None or outcome.interrupted or outcome.diverged:
                return
            fields = {**vars(outcome)}
            del fields["error"]
            try:
                with lock:
                    store.ended(numbers.index(number), fields)
            except Exception as error:
                save_errors.append(error)

    def report():
        if progress is not None:
            ended = sum(attempt is not None for attempt in attempts)
            progress(Progress(ended, len(specs), ended / len(specs)))

    def fit_in_threads():
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(fit, unfinished))

    try:
        if jobs > 1:
            interruptible(fit_in_threads, report, partial(stop_requests.append, True))
            report()
        else:
            for number in unfinished:
                fit(number)
                report()
                if getattr(attempts[number], "interrupted", False):
                    break
        if save_errors:
            raise save_errors[0]
    finally:
        if store is not None and not save_errors:
            store.write()

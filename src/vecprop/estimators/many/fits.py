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

from ...system.threads import cancellable, interruptible, limit_jobs, limit_threads, usable_threads
from ...train.members import Member
from ...train.population import train_population, workers_or_joblibs
from ...train.progress import Progress, progress_bar
from ...train.state import TrainingResult
from ..fit import FitOutcome, FitSpec, Recorder

Show = Callable[[Progress], object]
"""A function that shows the progress of fits."""

Attempt = FitOutcome | Exception | None
"""The outcome of a fit, the error that it raised, or None if it was not started."""


def random_states(random_state: Any, count: int) -> list[Any]:
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
    # Only the first restart updates scikit-learn's callbacks and the attributes of the model.
    others = [replace(first, before=start, tasks=None, publish=lambda outcome: None) for start in spec.starts]
    with progress_bar(type(spec.settings).__name__, quiet=not spec.shows_bar) as show:
        attempts = fit_many([first, *others], spec.settings.n_jobs, spec.checkpoint, progress=show)
    ended = {number: own for number, own in enumerate(attempts) if isinstance(own, FitOutcome)}
    outcomes = {number: own for number, own in ended.items() if not own.diverged}
    if not outcomes:
        if 0 in ended:
            return ended[0]
        raise attempts[0] or AssertionError  # pyright: ignore[reportGeneralTypeIssues]

    def quality(number: int) -> Any:
        own = outcomes[number]
        if spec.by_score:
            return own.best_validation_score
        if spec.validation is None:
            return -own.loss
        return own.validation_scores[-1] if own.validation_scores else -np.inf  # empty if stopped before an epoch

    best = max(outcomes, key=quality)
    losses = [outcomes[number].loss if number in outcomes else np.inf for number in range(len(attempts))]
    return replace(
        outcomes[best],
        restart_losses=np.array(losses),
        best_restart=best,
        seconds=sum(own.seconds for own in ended.values()),
        interrupted=any(own.interrupted for own in outcomes.values()),
    )


def fit_many(
    specs: Sequence[FitSpec],
    n_jobs: int | None,
    checkpoint: Any = None,
    workers: Any = None,
    moments: bool = True,
    progress: Show | None = None,
) -> list[Attempt]:
    """Fit many models, with results bit-identical to separate fits; Ctrl-C prevents further fits."""
    attempts: list[Attempt] = [None] * len(specs)
    members, workers = [spec.member() for spec in specs], workers_or_joblibs(workers)
    with limit_jobs(n_jobs):
        several = {number: member for number, member in enumerate(members) if member is not None}
        trained = _trained(several, checkpoint, workers, moments, progress)
        for number, result in trained.items():
            attempts[number] = outcome = Recorder(specs[number]).finished(result)
            outcome.seconds = float(result.history.time[-1]) if len(result.history.time) else 0.0
        if any(result.reason == "interrupted" for result in trained.values()):
            return attempts
        threads = usable_threads()

    separate, store = [number for number in range(len(specs)) if number not in trained], None
    if checkpoint is not None and separate:
        store = checkpoint._part("alone", checkpoint._takes_others)._fits(
            [specs[number].identity() for number in separate]
        )
        for place, fields in store.known.items():
            attempts[separate[place]] = FitOutcome(**fields)
    left = [(place, number) for place, number in enumerate(separate) if attempts[number] is None]
    lock, jobs = Lock(), min(threads, len(left))
    config = get_config()  # scikit-learn's configuration is thread-local
    stop_requests: list[bool] = []  # not empty after a request to stop
    save_errors: list[Exception] = []  # an error when saving, such as a full disk, which stops all fits

    def run(place: int, number: int) -> None:
        with config_context(**config), limit_threads(max(threads // jobs, 1)), cancellable(stop_requests):
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
            try:
                with lock:
                    store.ended(place, {name: value for name, value in vars(outcome).items() if name != "error"})
            except Exception as error:
                save_errors.append(error)

    def report() -> None:
        if progress is not None:
            ended = sum(attempt is not None for attempt in attempts)
            progress(Progress(ended, len(specs), ended / len(specs)))

    def run_all() -> None:
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(run, *zip(*left, strict=True)))

    try:
        if jobs > 1:
            interruptible(run_all, report, partial(stop_requests.append, True))
            report()
        else:
            for place, number in left:
                run(place, number)
                report()
                if getattr(attempts[number], "interrupted", False):
                    break
        if save_errors:
            raise save_errors[0]
    finally:
        if store is not None and not save_errors:
            store.write()
    return attempts


def _trained(
    members: dict[int, Member],
    checkpoint: Any,
    workers: Any,
    moments: bool,
    progress: Show | None,
    takes_others: bool = False,
) -> dict[int, TrainingResult]:
    """Train members and return their results by index. Members with invalid settings have no result."""
    population: list[Any] = list(members.values())  # each member has its own rows
    if not population:
        return {}
    own = checkpoint and checkpoint._part("members", takes_others or checkpoint._takes_others)
    try:
        X, T = population[0].X, population[0].T
        given: Any = {"moments": moments, "checkpoint": own, "workers": workers, "progress": progress}
        results = train_population(population, X, T, **given)
    except (TypeError, ValueError) as error:
        if own is not None and not hasattr(error, "member"):
            raise  # the checkpoint belongs to another run
        # One member was rejected before training started: find this member by bisection.
        indices, trained = list(members), {}
        half = len(indices) // 2
        for some in (indices[:half], indices[half:]) if half else ():
            if all(result.reason != "interrupted" for result in trained.values()):
                half_of = {number: members[number] for number in some}
                trained |= _trained(half_of, checkpoint, workers, moments, progress, takes_others=True)
        return trained
    return dict(zip(members, results, strict=True))

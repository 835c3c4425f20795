"""Many fits at once: the restarts of a model, and models that one population trains if none needs Python."""

import copy
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from sklearn import config_context, get_config
from sklearn.utils import check_random_state

from ..system.threads import at_most_jobs, at_most_threads, heeding, stoppable, usable_threads
from ..train.members import Member
from ..train.population import train_population, workers_or_joblibs
from ..train.state import TrainingResult
from .data import Rows
from .fitting import LEARNED, Fitting

if TYPE_CHECKING:
    from .base import MultilayerPerceptron


def random_states(random_state: Any, count: int) -> list[Any]:
    """Return a random state for each of several fits: the given one for the first, and integers drawn from its copy.

    Examples
    --------
    >>> random_states(7, 3)
    [7, 327741615, 976413892]
    """
    if count == 1:
        return [random_state]
    random = check_random_state(copy.deepcopy(random_state))
    return [random_state, *random.randint(2**31 - 1, size=count - 1).tolist()]


class Restarts:
    """One call of training with restarts; it has the methods of a `Fitting`.

    The first start is that of a fit without restarts. All are trained on the same rows. The model keeps the start with
    the best validation score, or without validation rows the one with the lowest loss.
    """

    def __init__(
        self, model: "MultilayerPerceptron", rows: Rows, validation: Rows | None, random: np.random.RandomState
    ) -> None:
        self.model = model
        first = Fitting(model, rows, validation, random)
        self.fittings = [first]
        for state in random_states(model.random_state, model.n_restarts)[1:]:
            other, random = copy.copy(model), check_random_state(state)
            other.random_state = state
            other.__dict__.pop("_skl_callbacks", None)  # callbacks follow one fit
            other._prepare(rows, random, first=True)
            self.fittings.append(Fitting(other, first.rows, first.validation, random))
        self.kept, self.seconds = first, 0.0
        self.checkpoint: Any = None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C has ended training."""
        return any(fitting.interrupted for fitting in self.fittings)

    def shortfall(self) -> str:
        """Return that the training that was kept has not converged; "" if it has."""
        return self.kept.shortfall()

    def member(self) -> None:
        """Return None: a member of a population has one start."""

    def identity(self) -> dict[str, Any]:
        """Return what the bits of these fits depend on, see `Fitting.identity`."""
        return self.fittings[0].identity() | {"seed": [fitting.seed for fitting in self.fittings]}

    def learned(self) -> dict[str, Any]:
        """Return what the fits have taught the model, see `Fitting.learned`."""
        known = {name: vars(self.model)[name] for name in LEARNED if name in vars(self.model)}
        return {"model": known, "reason": self.kept.reason, "seconds": self.seconds}

    def take_learned(self, learned: dict[str, Any]) -> None:
        """Take what the same fits have learned before."""
        self.kept = self.fittings[learned["model"]["best_restart_"]]
        self.kept.take_learned(learned)
        self.seconds, random_state = learned["seconds"], self.model.random_state
        self.model.__dict__.update(vars(self.kept.model) | {"random_state": random_state})

    def run(self) -> None:
        """Train from each start, and keep the best."""
        errors = fit_together(self.fittings, self.model.n_jobs, self.checkpoint)
        good = [fitting for fitting, error in zip(self.fittings, errors, strict=True) if error is None]
        if not good:
            raise errors[0] or AssertionError
        self.kept = max(good, key=_quality)
        losses = [fitting.model.loss_ if fitting in good else np.inf for fitting in self.fittings]
        self.seconds = sum(fitting.seconds for fitting in self.fittings)
        self.model.__dict__.update(vars(self.kept.model) | {"random_state": self.model.random_state})
        self.model.restart_losses_ = np.array(losses)
        self.model.best_restart_ = self.fittings.index(self.kept)
        if self.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=4)


AnyFitting: TypeAlias = Fitting | Restarts


def fit_together(
    fittings: Sequence[AnyFitting],
    n_jobs: int | None,
    checkpoint: Any = None,
    workers: Any = None,
    moments: bool = True,
) -> list[Exception | None]:
    """Fit many models, each as it would be fitted alone, bit for bit. After Ctrl-C no other is begun."""
    errors: list[Exception | None] = [None] * len(fittings)

    def attempt(number: int, action: Callable[..., Any], *arguments: Any) -> None:
        try:
            action(*arguments)
        except Exception as error:
            errors[number] = error

    members, workers = [fitting.member() for fitting in fittings], workers_or_joblibs(workers)
    with at_most_jobs(n_jobs):
        several = {number: member for number, member in enumerate(members) if member is not None}
        trained = _trained(several, checkpoint, workers, moments)
        for number, result in trained.items():
            fitting = fittings[number]
            assert isinstance(fitting, Fitting)  # which alone is a population's member
            fitting.seconds = float(result.history.time[-1]) if len(result.history.time) else 0.0
            attempt(number, fitting.take, result)
        if any(fittings[number].interrupted for number in trained):
            return errors
        threads = usable_threads()

    alone = [number for number in range(len(fittings)) if number not in trained]
    kept = None
    if checkpoint is not None and alone:
        kept = checkpoint.part("alone", checkpoint.takes_others).fits([fittings[number].identity() for number in alone])
        for place, learned in kept.known.items():
            fittings[alone[place]].take_learned(learned)
    places = {number: place for place, number in enumerate(alone)}
    alone = [number for number in alone if kept is None or places[number] not in kept.known]
    lock, full = Lock(), []

    def keep(number: int) -> None:
        if kept is not None and errors[number] is None and not fittings[number].interrupted:
            with lock:
                kept.ended(places[number], fittings[number].learned())

    jobs = min(threads, len(alone))
    config = get_config()  # scikit-learn keeps it for each thread

    asked: list[bool] = []  # not empty if the others are to stop

    def run(number: int) -> None:
        with config_context(**config), at_most_threads(max(threads // jobs, 1)), heeding(asked):
            if not asked and not full:
                attempt(number, fittings[number].run)
                try:
                    keep(number)
                except Exception as error:  # of a full disk, which ends all
                    full.append(error)

    def run_all() -> None:
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(run, alone))

    try:
        if jobs > 1:
            stoppable(run_all, lambda: False, partial(asked.append, True))
        else:
            for number in alone:
                run(number)
                if fittings[number].interrupted:
                    break
        if full:
            raise full[0]
    finally:
        if kept is not None and not full:
            kept.write()
    return errors


def _trained(
    members: dict[int, Member], checkpoint: Any, workers: Any, moments: bool, takes_others: bool = False
) -> dict[int, TrainingResult]:
    """Return the results of training members, by number, without members whose settings are refused."""
    population: list[Any] = list(members.values())  # each with rows of its own
    if not population:
        return {}
    own = checkpoint and checkpoint.part("members", takes_others or checkpoint.takes_others)
    try:
        X, T = population[0].X, population[0].T
        results = train_population(population, X, T, moments=moments, checkpoint=own, workers=workers)
    except (TypeError, ValueError) as error:
        if own is not None and not hasattr(error, "member"):
            raise  # the checkpoint is another run's
        # One member was refused before any was trained: find it by halving.
        numbers, trained = list(members), {}
        half = len(numbers) // 2
        for some in (numbers[:half], numbers[half:]) if half else ():
            if all(result.reason != "interrupted" for result in trained.values()):
                half_of = {number: members[number] for number in some}
                trained |= _trained(half_of, checkpoint, workers, moments, takes_others=True)
        return trained
    return dict(zip(members, results, strict=True))


def _quality(fitting: Fitting) -> Any:
    """Return the validation score, or the negative loss; larger is better."""
    model = fitting.model
    if fitting.by_score:
        return model.best_validation_score_
    if fitting.validation is None:
        return -model.loss_
    return model.validation_scores_[-1] if model.validation_scores_ else -np.inf  # it may have ended before an epoch

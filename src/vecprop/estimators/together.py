"""Many models fitted at once: as one population where the rules allow it, the others one by one in threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from copy import deepcopy
from typing import Any

from joblib import effective_n_jobs
from sklearn import config_context, get_config
from sklearn.utils import check_random_state

from ..train.population import train_population
from ..train.state import TrainingResult
from .fitting import Fitting


def random_states(random_state: Any, count: int) -> list[Any]:
    """Return a random state for each of several fits: the given one for the first, and integers drawn from its copy.

    Examples
    --------
    >>> random_states(7, 3)
    [7, 327741615, 976413892]
    """
    if count == 1:
        return [random_state]
    random = check_random_state(deepcopy(random_state))
    return [random_state, *random.randint(2**31 - 1, size=count - 1).tolist()]


def fit_together(fittings: Sequence[Fitting], n_jobs: int | None) -> list[Exception | None]:
    """Fit many models, each as it would be fitted alone, bit for bit. After Ctrl-C no other is begun.

    Parameters
    ----------
    fittings : sequence of Fitting
        The fits that are to be done.
    n_jobs : int or None
        How many threads to use at most; None for as many as there are processors.

    Returns
    -------
    list of Exception or None
        For each what went wrong with it, if anything did.
    """
    from ..core.processors import at_most_threads, usable_threads

    errors: list[Exception | None] = [None] * len(fittings)

    def attempt(number: int, action: Callable[..., Any], *arguments: Any) -> None:
        try:
            action(*arguments)
        except Exception as error:
            errors[number] = error

    members = [fitting.member() for fitting in fittings]
    with ExitStack() as stack:
        if n_jobs is not None:
            stack.enter_context(at_most_threads(effective_n_jobs(n_jobs)))
        trained = _trained({number: member for number, member in enumerate(members) if member is not None})
        for number, result in trained.items():
            attempt(number, fittings[number].take, result)
        if any(fittings[number].interrupted for number in trained):
            return errors
        threads = usable_threads()

    alone = [number for number in range(len(fittings)) if number not in trained]
    workers = min(threads, len(alone))
    config = get_config()  # of this thread, and of no other

    def run(number: int) -> None:
        with config_context(**config), at_most_threads(max(threads // workers, 1)):
            attempt(number, fittings[number].run)

    if workers > 1:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(run, alone))
    else:
        for number in alone:
            run(number)
            if fittings[number].interrupted:
                break
    return errors


def _trained(members: dict[int, Any]) -> dict[int, TrainingResult]:
    """Return the results of training members, by number, without those with which something is wrong."""
    population = list(members.values())
    if not population:
        return {}
    try:
        results = train_population(population, population[0].X, population[0].T)
    except (TypeError, ValueError):  # before anything was trained: which of them is it?
        numbers, trained = list(members), {}
        half = len(numbers) // 2
        for some in (numbers[:half], numbers[half:]) if half else ():
            if all(result.reason != "interrupted" for result in trained.values()):
                trained |= _trained({number: members[number] for number in some})
        return trained
    return dict(zip(members, results, strict=True))

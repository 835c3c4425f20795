"""Train many networks at once, with the same results as separate calls of `train`."""

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from itertools import chain
from typing import Any

from numpy import ndarray

from ...core.elementary import suggests_keywords
from ...core.rows.selection import Selection
from ...optimize.settings import EngineName
from ..members import Data, Member, PartialResults, TrainingResults
from ..progress import Progress
from ..run import saved_on_failure
from .bundles import Workers, bundles_of, results_of, train_bundle
from .local import Monitor, Population

GIVE = {
    "workers": (
        "DaskWorkers(client), or an object whose run(function, bundles, data) trains"
        " bundles"
    ),
    "checkpoint": 'a Checkpoint, such as Checkpoint("folder")',
}
"""The expected objects, by the name of the argument."""


@suggests_keywords
def train_population(
    members: Sequence[Member],
    X: ndarray | Selection,
    T: ndarray,
    *,
    sample_weight: ndarray | None = None,
    progress: Callable[[Progress], object] | None = None,
    engine: EngineName = "auto",
    moments: bool = True,
    checkpoint: Any = None,
    workers: Workers | None = None,
) -> TrainingResults:
    """Train many networks, each with separate settings and rows.

    Parameters
    ----------
    members : sequence of Member
        The networks and their settings.
    X : ndarray (N, I)
        The inputs from which members select their rows.
    T : ndarray (N, O) or (N,)
        The targets, in the form that the members' losses expect.
    sample_weight : ndarray (N,), optional
        The weights of the rows.
    progress : callable, optional
        A function that is called several times a second with a `Progress`, which
        contains the number of finished members, the rows seen and the losses. If the
        function returns True, the remaining members stop immediately, as after Ctrl-C.
    engine : {"auto", "compiled", "reference"}, default "auto"
        See `train`. The compiled engine trains members in parallel threads, without
        Python code between their steps. Members that the compiled engine does not
        support are trained afterwards, one after the other. For these members,
        `progress` is called after each member.
    moments : bool, default True
        Whether results contain the moments of the optimizers. Continued training needs
        the moments. Without the moments of Adam, results are a third as large.
    checkpoint : Checkpoint, optional
        The folder for finished members, which are saved even if an exception ends
        training. The same call, or a call with additional members, then trains only the
        remaining members.
    workers : object, optional
        An object that trains the members in other processes, with bit-identical
        results, such as `DaskWorkers`. ``workers.run(function, bundles, data)`` yields
        ``place, function(bundles[place], data)`` for each bundle, in any order. A
        bundle is about one second of work.

    Returns
    -------
    TrainingResults
        A sequence with the result of each member, bit-identical to `train`. Results do
        not depend on the other members, their order or the number of threads. If a
        member diverges, its result contains the last parameters with a finite loss and
        the reason "diverged", and the other members continue. After Ctrl-C, unfinished
        members have the result of their last complete epoch and the reason
        "interrupted". If all members are finished, or if you press Ctrl-C again,
        KeyboardInterrupt is raised.

    Raises
    ------
    ValueError, TypeError
        If a member or the data are invalid. The message contains the index of the
        member.

    Examples
    --------
    >>> network = Network(1, [Dense(1)], SquaredError())
    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> members = [Member(network, np.zeros(2), GradientDescent(rate), epochs=100) for rate in (0.1, 0.5)]
    >>> [float(result.history.loss[-1].round(4)) for result in train_population(members, X, 3 * X + 1)]
    [0.0009, 0.0]
    """
    if not isinstance(members, Iterable):
        raise TypeError(
            "members must be a list of Member objects, got one"
            f" {type(members).__name__}: pass [member], such as [Member(network, theta,"
            " optimizer, epochs=100)]."
        )
    members = list(members)
    population = Population(members, Data(X, T, sample_weight), engine)
    groups = population.groups()
    if workers is not None:
        require_method("workers", workers, "run")
    if checkpoint is not None:
        require_method("checkpoint", checkpoint, "_members")
    if workers is not None or checkpoint is not None:
        population.check(groups)
    joint = PartialResults([], {})
    with ExitStack() as stack:
        store = None
        if checkpoint is not None:
            stack.enter_context(checkpoint._held())
            store = checkpoint._members(population, groups, moments)
            joint.add(store.part)
        monitor = Monitor(len(members), progress, store, moments)
        if monitor.saved:
            groups = without_saved(groups, monitor.saved)
        stack.enter_context(saved_on_failure(monitor.save))
        if workers is None:
            part = population.train(groups, monitor)
            joint.add(part if moments else part.without_moments())
        else:
            joint.add(train_remote(workers, population, groups, monitor))
        monitor.end()
    results = TrainingResults(joint.groups, joint.others)
    if monitor.error is not None and all(
        result.reason != "interrupted" for result in results
    ):
        # it arrived after the last member finished, so no result records it
        raise monitor.error
    return results


def without_saved(groups: list[list[int]], saved: set[int]) -> list[list[int]]:
    """Return the groups without the saved members, and without groups that are then empty."""
    unsaved_groups = []
    for numbers in groups:
        unsaved = [number for number in numbers if number not in saved]
        if unsaved:
            unsaved_groups.append(unsaved)
    return unsaved_groups


def require_method(name: str, value, method: str):
    """Raise TypeError if a value does not have a method."""
    is_client = hasattr(value, "submit")  # a Dask client has a different method run()
    if (
        is_client
        or isinstance(value, type)
        or not callable(getattr(value, method, None))
    ):
        raise TypeError(f"{name} must be {GIVE[name]}, got {value!r}.")


def train_remote(
    workers: Workers,
    population: Population,
    groups: list[list[int]],
    monitor: Monitor,
) -> PartialResults:
    """Train bundles of members on workers, and return the results."""
    bundles, shared = bundles_of(population, groups, monitor.moments)
    joint = PartialResults([], {})
    arriving = results_of(workers, train_bundle, bundles, shared)
    with monitor, closing(arriving):
        for _, part in arriving:
            part.restore_networks(population.members)
            joint.add(part)
            if monitor.on_results(part):
                break
    missing = set(chain.from_iterable(bundle.starts for bundle in bundles))
    missing.difference_update(joint.numbers)
    if missing and not monitor.is_stopped:
        raise RuntimeError(
            f"The workers returned no results for {len(missing)} members, such as"
            f" member {min(missing)}."
        )
    for number in missing:
        joint.others[number] = population.not_started(number)
    return joint


def workers_or_joblibs(workers):
    """Return the given workers, or else the Dask cluster if it is joblib's active backend, or else None.

    A Dask task trains in its own process, because many tasks already run at once.
    """
    if workers is not None:
        require_method("workers", workers, "run")
        return workers
    if "joblib._dask" not in sys.modules:
        return None
    from joblib.parallel import get_active_backend

    backend: Any
    backend, _ = get_active_backend()
    if type(backend).__name__ != "DaskDistributedBackend" or is_in_a_task():
        return None
    vecprop = sys.modules["vecprop"]  # this package is below vecprop.cluster
    return vecprop.cluster.DaskWorkers(backend.client)


def is_in_a_task() -> bool:
    """Return whether this thread runs a task of a Dask worker."""
    utils = sys.modules.get("distributed.utils")
    return hasattr(getattr(utils, "thread_state", None), "execution_state")

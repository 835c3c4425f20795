"""Many networks at once: each is trained as `train` would train it alone."""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from ...core.rows.selection import Selection
from ...optimize.settings import EngineName
from ..members import Data, Member, PartialResults, TrainingResults, joined
from ..progress import Progress
from ..run import watched
from .bundles import Bundle, SharedData, Workers, bundles_of, train_bundle
from .local import Monitor, SaveMembers, ShowProgress, check_groups, engine_of, groups_of, not_started, train_local

GIVE = {
    "workers": "DaskWorkers(client), or an object whose run(function, bundles, data) trains bundles",
    "checkpoint": 'one such as Checkpoint("folder")',
}
"""What is to be given in place of something wrong."""


def train_population(
    members: Sequence[Member],
    X: np.ndarray | Selection,
    T: np.ndarray,
    *,
    sample_weight: np.ndarray | None = None,
    progress: Callable[[Progress], object] | None = None,
    engine: EngineName = "auto",
    moments: bool = True,
    checkpoint: Any = None,
    workers: Workers | None = None,
) -> TrainingResults:
    """Train many networks, each with settings and rows of its own.

    Parameters
    ----------
    members : sequence of Member
        The networks and their settings.
    X : ndarray (N, I)
        The inputs that members choose their rows from.
    T : ndarray (N, O) or (N,)
        The targets, as the members' losses take them.
    sample_weight : ndarray (N,), optional
        The rows' weights.
    progress : callable, optional
        Called several times a second with a `Progress`: the number of members that have ended, the rows trained on, the
        losses. If it returns True, the others are stopped at once, as by Ctrl-C.
    engine : {"auto", "compiled", "reference"}, default "auto"
        See `train`. The compiled engine trains members in threads, one member after the other, without Python between
        their steps. Members that it cannot train are trained one by one after that, and `progress` is called when each
        has ended.
    moments : bool, default True
        Whether results keep the optimizers' moments, from which training continues. Without those of Adam they are a
        third as large.
    checkpoint : Checkpoint, optional
        Keeps the members that have ended in a folder, also if an exception ends training. The same call goes on with
        the others, and so does one with further members.
    workers : object, optional
        Trains the members in other processes, with the same bits: its ``run(function, bundles, data)`` yields
        ``place, function(bundles[place], data)`` for all bundles, each about a second's work, as they come.

    Returns
    -------
    TrainingResults
        A sequence: for each member what `train` returns for it alone, bit for bit, whatever the other members, the
        order and the number of threads; and `last_loss`, the latest training loss of each. A member that diverges is
        stopped at its last parameters with a finite loss, its result's reason is "diverged", and the others go on.
        After Ctrl-C the reason of those that were not done is "interrupted", at the end of their last whole epoch; it
        is raised if all were done, or if it is pressed again.

    Raises
    ------
    ValueError, TypeError
        If a member or the data are out of range or do not fit, with the number of such a member.

    Examples
    --------
    >>> network = Network(1, [Dense(1)], SquaredError())
    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> members = [Member(network, np.zeros(2), GradientDescent(rate), epochs=100) for rate in (0.1, 0.5)]
    >>> [float(result.history.loss[-1].round(4)) for result in train_population(members, X, 3 * X + 1)]
    [0.0009, 0.0]
    """
    members, data = list(members), Data(X, T, sample_weight)
    groups, known, hooks = groups_of(members, data, engine), PartialResults([], {}), []
    for name, value, method in (("workers", workers, "run"), ("checkpoint", checkpoint, "members")):
        if value is not None:
            require_method(name, value, method)
    if workers is not None or checkpoint is not None:
        check_groups(groups, members, data, engine)
    with ExitStack() as stack:
        if checkpoint is not None:
            stack.enter_context(checkpoint.held())
            engines = [engine_of(members[numbers[0]], data, engine).name for numbers in groups]
            store = checkpoint.members(members, groups, engines, data, moments)
            hooks, known = [SaveMembers(store, moments)], store.part
            done = set(known.numbers)
            left = [[number for number in numbers if number not in done] for numbers in groups]
            groups = [numbers for numbers in left if numbers]
        monitor = Monitor(len(members), hooks if progress is None else [*hooks, ShowProgress(progress)])
        if known.numbers:
            monitor.preload(known)
        stack.enter_context(watched(monitor))
        if workers is None:
            part = train_local(groups, members, data, engine, monitor)
            part = part if moments else part.without_moments()
        else:
            part = train_remote(workers, *bundles_of(groups, members, data, engine, moments), members, monitor)
        for hook in monitor.hooks:
            hook.end(monitor, part)
    results = TrainingResults(*joined([known, part]))
    if monitor.interrupted and all(result.reason != "interrupted" for result in results):
        raise KeyboardInterrupt  # it came when all were done, so that no result tells of it
    return results


def require_method(name: str, value: Any, method: str) -> None:
    """Refuse a value that has no such method."""
    is_client = hasattr(value, "submit")  # of Dask, whose run is another
    if is_client or isinstance(value, type) or not callable(getattr(value, method, None)):
        raise TypeError(f"{name} is {value!r}: give {GIVE[name]}.")


def train_remote(
    workers: Workers, bundles: Sequence[Bundle], shared: SharedData, members: Sequence[Member], monitor: Monitor
) -> PartialResults:
    """Let workers train bundles of members, and return the results; see `train_local`."""
    parts: dict[int, PartialResults] = {}
    coming = workers.run(train_bundle, bundles, shared)
    try:
        for place, part in coming:
            parts[place] = part.of(members)
            if monitor.on_results(parts[place]):
                break
    except KeyboardInterrupt:
        monitor.stopped = monitor.interrupted = True
    finally:
        getattr(coming, "close", lambda: None)()
    left = [number for place, bundle in enumerate(bundles) if place not in parts for number in bundle.numbers]
    if left and not monitor.stopped:
        raise RuntimeError(f"The workers have returned no result of {len(left)} members, such as member {left[0]}.")
    others = PartialResults([], {number: not_started(members[number], shared.data) for number in left})
    return joined([*parts.values(), others])


def workers_or_joblibs(workers: Any) -> Any:
    """Return the workers that are given, or those of the Dask cluster whose block of joblib this is in, or None.

    A task of Dask trains where it is: it is one of many already.
    """
    if workers is not None or "joblib._dask" not in sys.modules:
        return workers
    from joblib.parallel import get_active_backend

    backend: Any = get_active_backend()[0]
    if type(backend).__name__ != "DaskDistributedBackend" or is_in_a_task():
        return None
    library: Any = sys.modules[__name__.partition(".")[0]]  # by its public name, since it lies above what trains
    return library.DaskWorkers(backend.client)


def is_in_a_task() -> bool:
    """Return whether this is a thread of a Dask worker, which runs a task."""
    utils = sys.modules.get("distributed.utils")
    return hasattr(getattr(utils, "thread_state", None), "execution_state")

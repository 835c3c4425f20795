"""Many networks at once: each is trained as `train` would train it alone."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ..core.inputs import checked_theta
from .engine import Cohort, EngineName
from .members import Alike, Data, Member
from .monitor import Monitor
from .progress import Progress
from .results import TrainingResults


def train_population(
    members: Sequence[Member],
    X: np.ndarray,
    T: np.ndarray,
    *,
    sample_weight: np.ndarray | None = None,
    progress: Callable[[Progress], object] | None = None,
    engine: EngineName = "auto",
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
    cohorts, alone = [], []
    for numbers in _groups(members, data, engine):
        cohort = _cohort(numbers, members, data, engine)
        cohorts += [cohort] if cohort else []
        alone += [] if cohort else numbers
    monitor = Monitor(cohorts, len(members), progress)
    for cls in dict.fromkeys(map(type, cohorts)):
        cls.run([cohort for cohort in cohorts if type(cohort) is cls], monitor)
    others = {}
    for number in sorted(alone):
        if monitor.stopped:
            others[number] = data.not_begun(members[number])
            continue
        try:
            others[number] = data.train(members[number], engine)
        except (TypeError, ValueError) as error:
            raise _in_member(number, error) from error  # which may come from a part of the user's own
        monitor.ended(others[number])
    results = TrainingResults(cohorts, others)
    if monitor.interrupted and all(result.reason != "interrupted" for result in results):
        raise KeyboardInterrupt  # it came when all were done, so that no result tells of it
    return results


def _groups(members: Sequence[Member], data: Data, engine: EngineName) -> Iterable[list[int]]:
    """Return the numbers of members in groups that differ in their initial parameters and seeds alone."""
    together, alike = defaultdict(list), Alike()
    for number, member in enumerate(members):
        if not isinstance(member, Member):
            raise TypeError(f"Member {number} is {member!r}: give a Member(network, theta, optimizer).")
        if not isinstance(member.seed, int | np.integer):
            raise TypeError(f"In member {number}: seed is {member.seed!r}, but a whole number is needed.")
        try:
            together[member.key(alike)].append(number)
        except TypeError as error:  # a setting without a hash: most of them are refused
            _cohort([number], members, data, engine)
            raise _in_member(number, error) from None
    return together.values()


def _cohort(numbers: list[int], members: Sequence[Member], data: Data, engine: EngineName) -> Cohort | None:
    """Return the cohort of members that are alike, or None if each is trained by itself."""
    own = [members[number] for number in numbers]
    try:
        data.check(own[0], engine)
        cls = data.cohort(own[0], engine)
        if cls is not None:
            return cls(numbers, own, data)
        for member in own:
            checked_theta(member.network, member.theta)
        return None
    except (TypeError, ValueError) as error:
        if len(numbers) > 1:  # which of them is it?
            for number in numbers:
                _cohort([number], members, data, engine)
        raise _in_member(numbers[0], error) from None


def _in_member(number: int, error: TypeError | ValueError) -> TypeError | ValueError:
    cls = TypeError if isinstance(error, TypeError) else ValueError
    return cls(f"In member {number}: {error}")

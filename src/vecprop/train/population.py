"""Many networks at once: each is trained as `train` would train it alone."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from .cohorts import Cohort, run_cohorts
from .engine import Engine
from .members import Data, Member
from .progress import Headway
from .state import TrainingResult


def train_population(
    members: Sequence[Member],
    X: np.ndarray,
    T: np.ndarray,
    *,
    sample_weight: np.ndarray | None = None,
    progress: Callable[[Headway], object] | None = None,
    engine: Engine = "auto",
) -> list[TrainingResult]:
    """Train many networks, each with settings and rows of its own.

    Parameters
    ----------
    members : sequence of Member
        What to train.
    X : ndarray (N, I)
        The inputs that members choose their rows from.
    T : ndarray (N, O) or (N,)
        The targets, as the members' losses take them.
    sample_weight : ndarray (N,), optional
        The rows' weights.
    progress : callable, optional
        Called several times a second with a `Headway`: how many members have ended, the rows trained on, the losses.
        Where it returns True, the others are stopped where they are, as by Ctrl-C.
    engine : {"auto", "compiled", "reference"}, default "auto"
        See `train`. On the compiled engine threads take members, one after the other, and nothing of Python is between
        their steps; members that it cannot train are trained by themselves.

    Returns
    -------
    list of TrainingResult
        For each member what `train` returns for it alone, bit for bit, whatever the company, the order and the number
        of threads. A member that diverges is stopped at its last parameters with a finite loss, its result's reason is
        "diverged", and no other takes notice. After Ctrl-C the reason of those that were not done is "interrupted".

    Raises
    ------
    ValueError, TypeError
        Where a member or the data are out of range or do not fit, with the number of the first such member.

    Examples
    --------
    >>> network = Network(1, [Dense(1)], SquaredError())
    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> members = [Member(network, np.zeros(2), GradientDescent(rate), epochs=100) for rate in (0.1, 0.5)]
    >>> [float(result.history.loss[-1].round(4)) for result in train_population(members, X, 3 * X + 1)]
    [0.0009, 0.0]
    """
    data, together = Data(X, T, sample_weight), defaultdict(list)
    for number, member in enumerate(members):
        if not isinstance(member, Member):
            raise TypeError(f"Member {number} is {member!r}: give a Member(network, theta, optimizer).")
        together[member.kind].append(number)
    cohorts: list[Cohort] = []
    for numbers in together.values():
        try:
            own = [members[number] for number in numbers]
            cohorts += [Cohort(numbers, own, data)] if data.compiles(own[0], engine) else []
        except (TypeError, ValueError) as error:
            raise type(error)(f"In member {numbers[0]}: {error}") from None
    results = dict(run_cohorts(cohorts, len(members), progress))
    for number, member in enumerate(members):
        if number not in results:
            results[number] = data.train(member, engine)
    return [results[number] for number in range(len(members))]

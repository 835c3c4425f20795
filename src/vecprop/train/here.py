"""The members of a population that are trained by this process."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..core.inputs import checked_theta
from .cohort_results import Part
from .engine import Cohort, EngineName
from .members import Alike, Data, Member
from .monitor import Monitor

Members = Sequence[Member] | Mapping[int, Member]
"""Members by their numbers in the population."""


def groups_of(members: Sequence[Member], data: Data, engine: EngineName) -> list[list[int]]:
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
            raise in_member(number, error) from None
    return list(together.values())


def check_groups(groups: Iterable[list[int]], members: Members, data: Data, engine: EngineName) -> None:
    """Refuse members that are out of range or do not fit their data, before any is trained."""
    for numbers in groups:
        first = numbers[0]
        _cohort([first], members, data, engine)
        for number in numbers[1:]:
            try:
                checked_theta(members[first].network, members[number].theta)
            except (TypeError, ValueError) as error:
                raise in_member(number, error) from None


def train_here(groups: Iterable[list[int]], members: Members, data: Data, engine: EngineName, monitor: Monitor) -> Part:
    """Train members, given by their numbers in groups that are alike; return their results.

    Parameters
    ----------
    groups : iterable of list of int
        The members' numbers.
    members : sequence or mapping of Member
        The members by number.
    data, engine
        See `train_population`.
    monitor : Monitor
        Is told how far training has come, and stops it.
    """
    cohorts, alone = [], []
    for numbers in groups:
        cohort = _cohort(numbers, members, data, engine)
        cohorts += [cohort] if cohort else []
        alone += [] if cohort else numbers
    monitor.cohorts = [*monitor.cohorts, *cohorts]
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
            raise in_member(number, error) from error  # which may come from a part of the user's own
        monitor.ended(number, others[number])
    return Part([cohort.results() for cohort in cohorts], others)


def _cohort(numbers: list[int], members: Members, data: Data, engine: EngineName) -> Cohort | None:
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
        raise in_member(numbers[0], error) from None


def in_member(number: int, error: TypeError | ValueError) -> TypeError | ValueError:
    """Return an error that says in which member it is."""
    cls = TypeError if isinstance(error, TypeError) else ValueError
    return cls(f"In member {number}: {error}")

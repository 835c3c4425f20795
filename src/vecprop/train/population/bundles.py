"""Bundles: parts of a population that take about one second each, trained one by one in other processes."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..members import Data, Member, PartialResults
from ..run import assumed_seconds
from .local import Monitor, Population

SECONDS = 1.0
"""The target duration of a bundle in seconds; sending a bundle and its results takes
some milliseconds.
"""

MOST = 256
"""The maximum number of members in a bundle, which limits the work that is lost if a
worker dies.
"""

SECONDS_PER_MEMBER = 1e-4
"""The assumed duration of a member that takes almost no steps."""

OPERATIONS_PER_WEIGHT = 6
"""Three products in the gradient of a row: forward, to the inputs, and to the weights."""

OPERATIONS_PER_UNIT = 40
"""The assumed cost of an activation and its derivative."""


class Start(NamedTuple):
    """The group of a member, and its initial parameters and seed."""

    group: int
    theta: Any
    seed: int


@dataclass(eq=False)
class Bundle:
    """Members for one process: what distinguishes them from the others of their groups."""

    engine: Any
    moments: bool
    seconds: float = 0.0
    groups: list[list[int]] = field(default_factory=list)
    starts: dict[int, Start] = field(default_factory=dict)

    def has_room(self, count: int, seconds: float) -> bool:
        """Return whether this many members fit, which take these seconds. An empty bundle always has room."""
        is_short = self.seconds + seconds <= SECONDS
        return not self.starts or (is_short and len(self.starts) + count <= MOST)

    @property
    def numbers(self) -> list[int]:
        """The indices of the members in the population."""
        return list(self.starts)


class SharedData(NamedTuple):
    """The data of a population, and a member of each group. They are sent to each process once."""

    data: Data
    members: list[Member]


class Workers(Protocol):
    """The interface of objects that train bundles in other processes."""

    def run(
        self, function: Any, bundles: Sequence[Bundle], data: SharedData
    ) -> Iterator[tuple[int, PartialResults]]:
        """Yield the index of each bundle and ``function(bundle, data)``, in any order.

        A generator's ``close`` cancels the remaining bundles; it is called after an
        error, Ctrl-C, or an early stop.
        """
        ...


def results_of(
    workers, function: Any, bundles: Sequence, data: Any
) -> Generator[tuple[int, Any]]:
    """Yield the index and the result of each bundle as it arrives. Closing the generator cancels the others."""
    arriving = workers.run(function, bundles, data)
    try:
        yield from arriving
    finally:
        getattr(arriving, "close", lambda: None)()


def bundles_of(
    population: Population, groups: Iterable[list[int]], moments: bool
) -> tuple[list[Bundle], SharedData]:
    """Return the bundles, largest first, and the data that they need.

    Groups are members' indices. Large groups are divided, and small parts share a
    bundle.
    """
    members = population.members
    data = population.data
    shared = SharedData(data, [])
    bundle = Bundle(population.engine, moments)
    bundles = [bundle]
    for group, numbers in enumerate(groups):
        first = members[numbers[0]]
        shared.members.append(replace(first, theta=0))
        seconds_per_member = _seconds_of(first, data)
        largest = int(min(max(SECONDS / seconds_per_member, 1), MOST))
        for part in np.array_split(numbers, ceil(len(numbers) / largest)):
            seconds = len(part) * seconds_per_member
            if not bundle.has_room(len(part), seconds):
                bundle = Bundle(population.engine, moments)
                bundles.append(bundle)
            bundle.seconds += seconds
            bundle.groups.append(part.tolist())
            for number in part.tolist():
                member = members[number]
                bundle.starts[number] = Start(group, member.theta, member.seed)
    bundles.sort(key=attrgetter("seconds"), reverse=True)
    return [bundle for bundle in bundles if bundle.starts], shared


def _seconds_of(member: Member, data: Data) -> float:
    """Estimate the seconds that one core needs to train a member without early stopping."""
    network = member.network
    rows = data.row_count(member)
    steps = 1
    if member.batch_size is not None:
        steps = ceil(rows / member.batch_size)
    operations_per_row = OPERATIONS_PER_WEIGHT * network.layout.size
    operations_per_row += OPERATIONS_PER_UNIT * sum(network.widths)
    seconds_per_epoch = assumed_seconds(rows * operations_per_row, steps)
    return int(member.epochs) * seconds_per_epoch + SECONDS_PER_MEMBER


def train_bundle(bundle: Bundle, shared: SharedData) -> PartialResults:
    """Train the members of a bundle and return their results, stacked by group."""
    members = {}
    for number, start in bundle.starts.items():
        members[number] = replace(
            shared.members[start.group], theta=start.theta, seed=start.seed
        )
    population = Population(members, shared.data, bundle.engine)
    part = population.train(bundle.groups, Monitor(len(members)))
    return part.compact(bundle.moments)

"""Bundles: a population cut into parts of about a second's work, which other processes train one by one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..members import Data, Member, PartialResults
from ..run import assumed_seconds
from .local import Monitor, train_local

SECONDS = 1.0
"""The work of a bundle: handing it over and back takes some milliseconds."""

MOST = 256
"""The most members of a bundle, which bounds what is lost with its worker."""

MEMBERS_A_SECOND = 1e4
"""The assumed speed of a core of members with next to no steps."""

ARRAYS = ("rows", "validation_rows", "X", "T", "sample_weight")
"""The arrays of a member that others may share."""


class Bundle(NamedTuple):
    """Members that one process trains. In place of arrays they have the places of these in `SharedData.arrays`."""

    groups: list[list[int]]
    members: dict[int, Member]
    engine: Any
    moments: bool

    @property
    def numbers(self) -> list[int]:
        """The numbers of its members in the population."""
        return list(self.members)


@dataclass(eq=False)
class SharedData:
    """The arrays of a population, which each process that trains bundles needs once."""

    X: Any
    T: Any
    sample_weight: Any
    arrays: list[Any]

    def __post_init__(self) -> None:
        self.data = Data(self.X, self.T, self.sample_weight)  # which keeps what it has checked for the next bundle

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arrays alone."""
        return type(self), (self.X, self.T, self.sample_weight, self.arrays)


class Workers(Protocol):
    """What trains bundles elsewhere."""

    def run(self, function: Any, bundles: Sequence[Bundle], data: SharedData) -> Iterator[tuple[int, PartialResults]]:
        """Yield the place of each bundle and ``function(bundle, data)``, as they come.

        A generator's ``close`` calls off what still runs: after an error, Ctrl-C, or when no more is wanted.
        """
        ...


def bundles_of(
    groups: Iterable[list[int]], members: Sequence[Member], data: Data, engine: Any, moments: bool
) -> tuple[list[Bundle], SharedData]:
    """Return bundles, those with the most work first, and the arrays that they need."""
    shared, places = SharedData(data.X, data.T, data.sample_weight, []), {}
    bundles: list[Bundle] = []
    work: list[float] = []  # the seconds of each bundle
    for numbers in groups:
        first = members[numbers[0]]
        bare: dict[str, Any] = dict.fromkeys(ARRAYS)
        for name in ARRAYS:
            array = getattr(first, name)
            if array is not None and id(array) not in places:
                places[id(array)] = len(shared.arrays)
                shared.arrays.append(array)
            bare[name] = None if array is None else places[id(array)]
        seconds = _seconds_of(first, data)
        most = int(min(max(SECONDS / seconds, 1), MOST))
        for some in np.array_split(numbers, ceil(len(numbers) / most)):
            count, own = len(some), len(some) * seconds
            if not bundles or work[-1] + own > SECONDS or len(bundles[-1].members) + count > MOST:
                bundles.append(Bundle([], {}, engine, moments))
                work.append(0.0)
            bundles[-1].groups.append(some.tolist())
            for number in some.tolist():  # whose equal parts are pickled once
                own_start = {"theta": members[number].theta, "seed": members[number].seed}
                bundles[-1].members[number] = replace(first, **own_start, **bare)
            work[-1] += own
    order = sorted(range(len(bundles)), key=lambda place: -work[place])
    return [bundles[place] for place in order], shared


def _seconds_of(member: Member, data: Data) -> float:
    """Return the seconds that a member takes one core, about; early stopping may end it sooner."""
    rows, network = data.rows(member), member.network
    steps = 1 if member.batch_size is None else ceil(rows / member.batch_size)
    # The operations of a row's gradient: three products for each weight, and activations.
    operations = 6 * network.layout.size + 40 * sum(network.widths)
    return int(member.epochs) * assumed_seconds(rows * operations, steps) + 1 / MEMBERS_A_SECOND


def train_bundle(bundle: Bundle, data: SharedData) -> PartialResults:
    """Train the members of a bundle, and return their results as they are stacked."""
    members = {}
    for number, member in bundle.members.items():
        places = {name: getattr(member, name) for name in ARRAYS}
        own = {name: data.arrays[place] for name, place in places.items() if place is not None}
        members[number] = replace(member, **own)
    part = train_local(bundle.groups, members, data.data, bundle.engine, Monitor(len(members)))
    return part.compact(bundle.moments)

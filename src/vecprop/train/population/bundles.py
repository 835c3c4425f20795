"""Bundles: parts of a population that take about one second each, trained one by one in other processes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..members import Data, Member, PartialResults
from ..run import assumed_seconds
from .local import Monitor, train_local

SECONDS = 1.0
"""The target duration of a bundle in seconds; sending a bundle and its results takes some milliseconds."""

MOST = 256
"""The maximum number of members in a bundle, which limits the work that is lost if a worker dies."""

MEMBERS_A_SECOND = 1e4
"""The assumed number of members that a core trains per second if they take almost no steps."""

ARRAYS = ("rows", "validation_rows", "X", "T", "sample_weight")
"""The attributes of a member that are arrays and may be shared."""


class Bundle(NamedTuple):
    """Members for one process. Their arrays are replaced by indices into `SharedData.arrays`."""

    groups: list[list[int]]
    members: dict[int, Member]
    engine: Any
    moments: bool

    @property
    def numbers(self) -> list[int]:
        """The indices of the members in the population."""
        return list(self.members)


@dataclass(eq=False)
class SharedData:
    """The arrays of a population, which are sent to each process once."""

    X: Any
    T: Any
    sample_weight: Any
    arrays: list[Any]

    def __post_init__(self) -> None:
        self.data = Data(self.X, self.T, self.sample_weight)  # caches checked batches for the next bundle

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle only the arrays."""
        return type(self), (self.X, self.T, self.sample_weight, self.arrays)


class Workers(Protocol):
    """The interface of objects that train bundles in other processes."""

    def run(self, function: Any, bundles: Sequence[Bundle], data: SharedData) -> Iterator[tuple[int, PartialResults]]:
        """Yield the index of each bundle and ``function(bundle, data)``, in any order.

        A generator's ``close`` cancels the remaining bundles; it is called after an error, Ctrl-C, or an early stop.
        """
        ...


def bundles_of(
    groups: Iterable[list[int]], members: Sequence[Member], data: Data, engine, moments: bool
) -> tuple[list[Bundle], SharedData]:
    """Return the bundles, largest first, and the arrays that they need."""
    shared, places = SharedData(data.X, data.T, data.sample_weight, []), {}
    bundles: list[Bundle] = []
    work: list[float] = []  # the estimated seconds of each bundle
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
            for number in some.tolist():  # shared parts are pickled once
                own_start = {"theta": members[number].theta, "seed": members[number].seed}
                bundles[-1].members[number] = replace(first, **own_start, **bare)
            work[-1] += own
    order = sorted(range(len(bundles)), key=lambda place: -work[place])
    return [bundles[place] for place in order], shared


def _seconds_of(member: Member, data: Data) -> float:
    """Estimate the seconds that one core needs to train a member without early stopping."""
    rows, network = data.rows(member), member.network
    steps = 1 if member.batch_size is None else ceil(rows / member.batch_size)
    # The operations of the gradient for one row: three products per weight, plus the activations.
    operations = 6 * network.layout.size + 40 * sum(network.widths)
    return int(member.epochs) * assumed_seconds(rows * operations, steps) + 1 / MEMBERS_A_SECOND


def train_bundle(bundle: Bundle, data: SharedData) -> PartialResults:
    """Train the members of a bundle and return their results, stacked by group."""
    members = {}
    for number, member in bundle.members.items():
        places = {name: getattr(member, name) for name in ARRAYS}
        own = {name: data.arrays[place] for name, place in places.items() if place is not None}
        members[number] = replace(member, **own)
    part = train_local(bundle.groups, members, data.data, bundle.engine, Monitor(len(members)))
    return part.compact(bundle.moments)

"""Bundles: a population cut into parts of about a second's work, which other processes train one by one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, NamedTuple, Protocol

from ...core.network import Network
from ..members import Data, Member
from ..results import Part
from .local import Monitor, train_here

SECONDS = 1.0
"""The work of a bundle: handing it over and back takes some milliseconds."""

MOST = 256
"""The most members of a bundle, which bounds what is lost with its worker."""

OPERATIONS_A_SECOND, STEPS_A_SECOND, MEMBERS_A_SECOND = 5e10, 1e6, 1e4
"""The assumed speed of a core: of arithmetic, of steps with next to none, and of members with next to no steps.

They decide how a population is cut, which is the same everywhere, and never a bit of a result.
"""


class Group(NamedTuple):
    """Members that differ in their initial parameters and seeds alone, without the arrays that others may share."""

    numbers: list[int]
    member: Member
    arrays: tuple[int | None, ...]
    thetas: list[Any]
    seeds: list[int]

    def members(self, data: "SharedData") -> list[Member]:
        """Return the members, with their arrays."""
        own = {name: None if k is None else data.arrays[k] for name, k in zip(ARRAYS, self.arrays, strict=True)}
        each = zip(self.thetas, self.seeds, strict=True)
        return [replace(self.member, theta=theta, seed=seed, **own) for theta, seed in each]


ARRAYS = ("rows", "validation_rows", "X", "T", "sample_weight")
"""The arrays of a member that others may share."""


class Bundle(NamedTuple):
    """Members that one process trains, as small as it can be sent there."""

    groups: list[Group]
    engine: Any
    moments: bool

    @property
    def numbers(self) -> list[int]:
        """The numbers of its members in the population."""
        return [number for group in self.groups for number in group.numbers]


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

    def run(self, function: Any, bundles: Sequence[Bundle], data: SharedData) -> Iterator[tuple[int, Part]]:
        """Yield the place of each bundle and ``function(bundle, data)``, as they come.

        A generator's ``close`` calls off what still runs: after an error, Ctrl-C, or when no more is wanted.
        """
        ...


def bundles_of(
    groups: Iterable[list[int]], members: Sequence[Member], data: Data, engine: Any, moments: bool
) -> tuple[list[Bundle], SharedData]:
    """Return bundles, those with the most work first, and the arrays that they need."""
    shared = SharedData(data.X, data.T, data.sample_weight, [])
    places: dict[int, int] = {}
    bundles: list[tuple[float, Bundle]] = []
    work, own = 0.0, []

    def close() -> None:
        nonlocal work, own
        if own:
            bundles.append((work, Bundle(own, engine, moments)))
        work, own = 0.0, []

    for numbers in groups:
        first = members[numbers[0]]
        of_member = seconds_of(first, data)
        for some in _cut(numbers, of_member):
            count = len(some) + sum(len(group.numbers) for group in own)
            if work + len(some) * of_member > SECONDS or count > MOST:
                close()
            own.append(_group(some, members, shared, places))
            work += len(some) * of_member
    close()
    return [bundle for _, bundle in sorted(bundles, key=lambda each: -each[0])], shared


def _cut(numbers: list[int], seconds: float) -> list[list[int]]:
    """Return a group's members in the fewest equal parts that bundles can take, by the seconds of a member."""
    most = int(min(max(SECONDS / seconds, 1), MOST))
    parts = ceil(len(numbers) / most)
    ends = [len(numbers) * k // parts for k in range(parts + 1)]
    return [numbers[ends[k] : ends[k + 1]] for k in range(parts)]


def _group(numbers: list[int], members: Sequence[Member], shared: SharedData, places: dict[int, int]) -> Group:
    """Return members as a group, whose arrays are put among the shared ones."""
    own, first, kept = [members[number] for number in numbers], members[numbers[0]], []
    for name in ARRAYS:
        array = getattr(first, name)
        if array is not None and id(array) not in places:
            places[id(array)] = len(shared.arrays)
            shared.arrays.append(array)
        kept.append(None if array is None else places[id(array)])
    bare = replace(first, theta=None, **dict.fromkeys(ARRAYS))
    return Group(numbers, bare, tuple(kept), [member.theta for member in own], [member.seed for member in own])


def seconds_of(member: Member, data: Data) -> float:
    """Return the seconds that a member takes one core, about; early stopping may end it sooner."""
    rows = data.rows(member)
    steps = 1 if member.batch_size is None else ceil(rows / member.batch_size)
    an_epoch = rows * operations_of(member.network) / OPERATIONS_A_SECOND + steps / STEPS_A_SECOND
    return int(member.epochs) * an_epoch + 1 / MEMBERS_A_SECOND


def operations_of(network: Network) -> int:
    """Return the number of operations of a row's gradient, about: three products for each weight, and activations."""
    return 6 * network.layout.size + 40 * sum(network.widths)


def train_bundle(bundle: Bundle, data: SharedData) -> Part:
    """Train the members of a bundle, and return their results as they are stacked."""
    groups = bundle.groups
    members = {
        number: member for group in groups for number, member in zip(group.numbers, group.members(data), strict=True)
    }
    monitor = Monitor(len(members))
    part = train_here([group.numbers for group in groups], members, data.data, bundle.engine, monitor)
    return part.taken(bundle.moments)

"""Stores in a folder for finished members of a population and finished fits of estimators."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ...train.members import ARRAYS, Data, GroupResults, Member, PartialResults
from ...train.state import TrainingResult
from .. import FileError
from ..model_file.json_values import Reader, Writer
from ..model_file.registry import BY_CLASS, BY_NAME
from .identity import RunIdentity, bits_of, in_common, of_all, require_savable
from .store import Store, Throttle

PARTS = ("network", "optimizer", "schedule", "early_stopping")
PLAN = ("epochs", "batch_size", "shuffle", "validation_score", "training_loss", "clip_norm", "keeps_predictions")
DATA = ("X", "T", "sample_weight")
ROWS = ("rows", "validation_rows")

MOST_ALONE = 2_000
"""The maximum number of ungrouped members in one file, with about ten arrays each."""

MOST_FITS = 1_000
"""The maximum number of fits in one file, with about twenty arrays each."""

Place = tuple[Path, float, bool]
"""The folder of a checkpoint, the seconds between writes, and whether results of other runs are allowed."""

Groups = Sequence[list[int]]
"""Groups of member indices; members of a group differ only in their initial parameters."""

NUMBERS = ("epochs", "rows", "per_epoch", "running")
CURVES = ("loss", "validation_loss", "validation_score", "validation_predictions", "gradient_norm", "step_size")


class _ResultStore:
    """Results in a folder, each under a key that identifies its inputs."""

    def __init__(self, place: Place, run: Mapping[str, Any], keys: Sequence[str]) -> None:
        path, every, takes_others = place
        self.store, self.throttle = Store(path, run, keys, takes_others), Throttle(every)
        self._first: dict[str, Any] = {}

    def _new(self, key: str, result: Any) -> list[int]:
        """Return the indices in this run for a key, or [] if the key is unknown or already has a result."""
        if not (numbers := self.store.numbers.get(key, [])):
            return []
        first = self._first.setdefault(key, result)
        if first is not result and _bits(first) != _bits(result):
            two = f"{self.store.path} has two results of member {numbers[0]} with different bits"
            raise FileError(f"{two}: remove the folder.")
        return numbers if first is result else []

    def _begun(self) -> None:
        """Release the arrays read from files, and start timing."""
        self._first.clear()
        self.throttle.written = time.perf_counter()


class MemberStore(_ResultStore):
    def __init__(
        self, place: Place, members: Sequence[Member], groups: Groups, engines: Sequence[str], data: Data, moments: bool
    ) -> None:
        super().__init__(place, *_identity(members, groups, engines, data, moments))
        self.members = members
        self.part = PartialResults([], {})
        for keys, document, arrays in self.store.begin():
            self._take(keys, document, arrays)
        self._begun()

    def _take(self, keys: list[str], document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Load the results of this run's members from a file. This is the inverse of `_plain`."""
        others, starts = Reader(BY_NAME, arrays).value(document["others"]), dict[str, int]()
        left = iter(keys)
        for each, key in zip(others.values(), left, strict=False):
            if numbers := self.store.numbers.get(key):
                state = each["state"]
                if state.optimizer_class:  # L-BFGS has no optimizer state
                    state = replace(state, network=self.members[numbers[0]].network)
                result = TrainingResult(each["theta"], state.history, state, each["reason"])
                self.part.others.update(dict.fromkeys(self._new(key, result), result))
        for plain in document["cohorts"]:
            own = dict(_split(plain["shapes"], arrays, starts))
            of_cohort = enumerate(islice(left, len(plain["numbers"])))
            ours = [(place, key) for place, key in of_cohort if key in self.store.numbers]
            if not ours:
                continue
            group = _member_group(plain, own, self.members[self.store.numbers[ours[0][1]][0]])
            new = [(place, number) for place, key in ours for number in self._new(key, (group, place))]
            if new:
                places, numbers = map(list, zip(*new, strict=True))
                self.part.groups.append(replace(group.compact(places), numbers=numbers))

    @property
    def is_due(self) -> bool:
        return self.throttle.is_due

    def keep(self, part: PartialResults) -> None:
        began = time.perf_counter()
        alone = list(part.others.items())
        for first in range(0, max(len(alone), 1), MOST_ALONE):
            some = PartialResults([] if first else part.groups, dict(alone[first : first + MOST_ALONE]))
            document, arrays = _plain(some)
            self.store.write(some.numbers, document, arrays)
        self.throttle.wrote(began)


class FitStore(_ResultStore):
    """Saves the outcomes of fits, given the inputs of each fit; see `RunIdentity`."""

    def __init__(self, place: Place, each: Sequence[Mapping[str, Any]]) -> None:
        known = list(map(RunIdentity(), each))
        super().__init__(place, in_common(known), [of_all([of]) for of in known])
        self.known: dict[int, Any] = {}
        self.waiting: dict[int, Any] = {}
        for keys, document, arrays in self.store.begin():
            for key, learned in zip(keys, Reader(BY_NAME, arrays).value(document["fits"]), strict=True):
                self.known.update(dict.fromkeys(self._new(key, learned), learned))
        self._begun()

    def ended(self, number: int, learned: Any) -> None:
        """Add the outcome of a finished fit; write all waiting outcomes if a write is due."""
        self.waiting[number] = learned
        if self.throttle.is_due:
            self.write()

    def write(self) -> None:
        began, numbers = time.perf_counter(), list(self.waiting)
        for first in range(0, len(numbers), MOST_FITS):
            some, writer = numbers[first : first + MOST_FITS], Writer(BY_CLASS)
            fits = writer.plain([self.waiting[number] for number in some], "fits")
            self.store.write(some, {"fits": fits}, writer.arrays)
        self.waiting = {}
        self.throttle.wrote(began)


def _bits(result: Any) -> str:
    """Return a digest of a result, or of a position in a group of results, without times."""
    if isinstance(result, dict):
        return bits_of(result | {"seconds": 0.0})
    result = result[0].result(result[1]) if isinstance(result, tuple) else result
    state, curves = result.state, [getattr(result.history, name) for name in CURVES]
    kept = (state.theta, state.optimizer, state.schedule, state.early_stopping, state.epoch, state.step)
    return bits_of([result.theta, result.reason, *kept, *curves])


def _identity(
    members: Sequence[Member], groups: Groups, engines: Sequence[str], data: Data, moments: bool
) -> tuple[dict[str, Any], list[str]]:
    """Return the description of a population, and a digest of each member's inputs."""
    identity, each, keys, starts = RunIdentity(), [], [""] * len(members), []
    for numbers, engine in zip(groups, engines, strict=True):
        first = members[numbers[0]]
        try:
            of = identity({name: getattr(first, name) for name in (*PARTS, *PLAN)})
            arrays = (first.rows, first.validation_rows, *data.of(first))
            of |= {name: identity.digest(array) for name, array in zip((*ROWS, *DATA), arrays, strict=True)}
            for number in numbers:
                require_savable(members[number].theta)
        except FileError as error:
            raise FileError(f"In member {numbers[0]}: {error}") from None
        each.append({"engine": engine, **of, "moments": moments})
        shared = of_all([each[-1]])
        for number in numbers:
            starts.append({"seed": int(members[number].seed), "start": identity.digest(members[number].theta)})
            keys[number] = of_all([shared, starts[-1]])
    return in_common(each) | in_common(starts), keys


def _plain(part: PartialResults) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Encode results as JSON values and a few arrays, which concatenate all groups."""
    joint: dict[str, list[np.ndarray]] = {}
    groups = []
    for group in part.groups:
        shapes = {}
        for name, array in _arrays(group).items():
            shapes[name] = [array.dtype.str.lstrip("<|="), *array.shape]
            joint.setdefault(f"{name} {shapes[name][0]}", []).append(array.reshape(-1))
        plain = {name: getattr(group, name) for name in NUMBERS}
        groups.append({"numbers": [int(number) for number in group.numbers], "shapes": shapes, **plain})
    writer = Writer(BY_CLASS)
    alone = {}
    for number, each in part.others.items():
        alone[number] = {"theta": each.theta, "state": replace(each.state, network=None), "reason": each.reason}
    document = {"cohorts": groups, "others": writer.plain(alone, "others")}
    return document, writer.arrays | {name: np.concatenate(arrays) for name, arrays in joint.items()}


def _arrays(group: GroupResults) -> dict[str, np.ndarray]:
    """Return the arrays of compact results that cannot be derived from others."""
    follow = {"last_finite"} | ({"best", "memory"} if group.stopping is None else set())
    arrays = {name: getattr(group, name) for name in ARRAYS if name not in follow}
    return arrays | {f"moment {name}": moment for name, moment in group.moments.items()}


def _member_group(plain: Mapping[str, Any], own: dict[str, Any], member: Member) -> GroupResults:
    """Decode the compact results of a group of members similar to `member`."""
    own["last_finite"] = own["thetas"]
    if member.early_stopping is None:
        own |= {"best": own["thetas"], "memory": np.empty((len(own["thetas"]), 0))}
    moments = {name.partition(" ")[2]: own.pop(name) for name in [*own] if name.startswith("moment ")}
    about = {"network": member.network, "stopping": member.early_stopping, "moments": moments}
    about |= {name: plain[name] for name in ("numbers", *NUMBERS)}
    return GroupResults(optimizer_class=type(member.optimizer).__name__, **about, **own)


def _split(
    shapes: Mapping[str, list[Any]], arrays: Mapping[str, np.ndarray], starts: dict[str, int]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of the next group, advancing `starts`."""
    for name, (kind, *shape) in shapes.items():
        joint = f"{name} {kind}"
        start, size = starts.get(joint, 0), int(np.prod(shape))
        starts[joint] = start + size
        yield name, arrays[joint][start : start + size].reshape(shape)

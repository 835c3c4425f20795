"""Stores in a folder for members of a population and fits of estimators."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...train.members import ARRAYS, Data, GroupResults, Member, PartialResults
from ...train.state import TrainingResult
from .. import FileError
from ..model_file.container import Arrays, Document
from ..model_file.json_values import Reader, Writer
from ..model_file.registry import BY_CLASS, BY_NAME
from .identity import RunIdentity, bits_of, in_common, joint_digest, require_savable
from .store import Store, Throttle

PARTS = ("network", "optimizer", "schedule", "early_stopping")
PLAN = (
    "epochs",
    "batch_size",
    "shuffle",
    "validation_score",
    "training_loss",
    "clip_norm",
    "keeps_predictions",
)
DATA = ("X", "T", "sample_weight")

MOST_MEMBERS = 2_000
"""The maximum number of ungrouped members in one file, with about ten arrays each."""

MOST_FITS = 1_000
"""The maximum number of fits in one file, with about twenty arrays each."""

Groups = Sequence[list[int]]
"""Groups of member indices; members of a group differ only in their initial
parameters.
"""

NUMBERS = ("epochs", "rows", "per_epoch", "running")
STATE = ("theta", "optimizer", "schedule", "early_stopping", "epoch", "step")
CURVES = (
    "loss",
    "validation_loss",
    "validation_score",
    "validation_predictions",
    "gradient_norm",
    "step_size",
)


class _ResultStore:
    """Results in the folder of a checkpoint, under digests of their inputs."""

    def __init__(self, checkpoint, run: Document, keys: Sequence[str]):
        self.store = Store(checkpoint.path, run, keys, checkpoint._takes_others)
        self.throttle = Throttle(checkpoint.every)
        self._results = {}
        for file_keys, document, arrays in self.store.begin():
            self._read(file_keys, document, Reader(BY_NAME, arrays))
        self._results.clear()  # releases the arrays read from files
        self.throttle.written = time.perf_counter()

    def _read(self, keys: list[str], document: Document, reader: Reader):
        """Load the results of this run from a file."""
        raise NotImplementedError

    def _new(self, key: str, result) -> list[int]:
        """Return the indices for a key that is in this run and has no result yet, else []."""
        numbers = self.store.numbers.get(key, [])
        if key not in self._results:
            self._results[key] = result
            return numbers
        if numbers and _digest(self._results[key]) != _digest(result):
            raise FileError(
                f"{self.store.path} has two results of member {numbers[0]} with"
                " different bits: remove the folder."
            )
        return []


class MemberStore(_ResultStore):
    """Saves the results of members, with the concatenated arrays of all groups."""

    def __init__(
        self,
        checkpoint,
        members: Sequence[Member],
        groups: Groups,
        engines: Sequence[str],
        data: Data,
        moments: bool,
    ):
        self.members = members
        self.part = PartialResults([], {})
        super().__init__(
            checkpoint, *_identity(members, groups, engines, data, moments)
        )

    def _read(self, keys, document, reader):
        others = reader.value(document["others"]).values()
        for key, plain in zip(keys, others, strict=False):
            if key in self.store.numbers:
                result = self._member_result(plain, self.store.numbers[key][0])
                self.part.others.update(dict.fromkeys(self._new(key, result), result))
        first = len(others)
        starts = {}
        for plain in document["cohorts"]:
            arrays = dict(_split(plain["shapes"], reader.arrays, starts))
            end = first + len(plain["numbers"])
            self._read_group(keys[first:end], plain, arrays)
            first = end

    def _member_result(self, plain: Document, number: int) -> TrainingResult:
        state = plain["state"]
        if state.optimizer_class:  # L-BFGS has no optimizer state
            state = replace(state, network=self.members[number].network)
        return TrainingResult(plain["theta"], state.history, state, plain["reason"])

    def _read_group(self, keys: list[str], plain: Document, arrays: Arrays):
        """Load the compact results of those members of a group that this run contains."""
        shared_keys = [key for key in keys if key in self.store.numbers]
        if not shared_keys:
            return
        number = self.store.numbers[shared_keys[0]][0]
        group = _member_group(plain, arrays, self.members[number])
        positions = []
        numbers = []
        for position, key in enumerate(keys):
            for number in self._new(key, (group, position)):
                positions.append(position)
                numbers.append(number)
        if numbers:
            self.part.groups.append(replace(group.compact(positions), numbers=numbers))

    def keep(self, part: PartialResults) -> None:
        start = time.perf_counter()
        others = list(part.others.items())
        groups = part.groups
        for first in range(0, max(len(others), 1), MOST_MEMBERS):
            file_part = PartialResults(
                groups, dict(others[first : first + MOST_MEMBERS])
            )
            self.store.write(file_part.numbers, *_plain(file_part))
            groups = []  # all groups are in the first file
        self.throttle.wrote(start)


class FitStore(_ResultStore):
    """Saves the outcomes of fits, given the inputs of each fit; see `RunIdentity`."""

    def __init__(self, checkpoint, inputs: Sequence[Mapping[str, Any]]):
        identities = list(map(RunIdentity(), inputs))
        keys = [joint_digest([identity]) for identity in identities]
        self.known: dict[int, Any] = {}
        self.waiting: dict[int, Any] = {}
        super().__init__(checkpoint, in_common(identities), keys)

    def _read(self, keys, document, reader):
        for key, outcome in zip(keys, reader.value(document["fits"]), strict=True):
            self.known.update(dict.fromkeys(self._new(key, outcome), outcome))

    def ended(self, number: int, outcome) -> None:
        """Add the outcome of a finished fit; write all outcomes if a write is due."""
        self.waiting[number] = outcome
        if self.throttle.is_due:
            self.write()

    def write(self) -> None:
        start = time.perf_counter()
        numbers = list(self.waiting)
        for first in range(0, len(numbers), MOST_FITS):
            file_numbers = numbers[first : first + MOST_FITS]
            writer = Writer(BY_CLASS)
            fits = writer.plain(
                [self.waiting[number] for number in file_numbers], "fits"
            )
            self.store.write(file_numbers, {"fits": fits}, writer.arrays)
        self.waiting = {}
        self.throttle.wrote(start)


def _digest(result) -> str:
    """Return a digest of a result, or of a position in a group, without times."""
    if isinstance(result, dict):
        return bits_of(result | {"seconds": 0.0})
    if isinstance(result, tuple):
        group, position = result
        result = group.result(position)
    values = [result.theta, result.reason]
    values += [getattr(result.state, name) for name in STATE]
    values += [getattr(result.history, name) for name in CURVES]
    return bits_of(values)


def _identity(
    members: Sequence[Member],
    groups: Groups,
    engines: Sequence[str],
    data: Data,
    moments: bool,
) -> tuple[Document, list[str]]:
    """Return the description of a population, and a digest of each member's inputs."""
    identity = RunIdentity()
    inputs = []
    starts = []
    keys = [""] * len(members)
    for numbers, engine in zip(groups, engines, strict=True):
        member = members[numbers[0]]
        group_inputs = {"engine": engine}
        try:
            group_inputs |= identity(
                {name: getattr(member, name) for name in (*PARTS, *PLAN)}
            )
            for number in numbers:
                require_savable(members[number].theta)
        except FileError as error:
            raise FileError(f"In member {numbers[0]}: {error}") from None
        arrays = {"rows": member.rows, "validation_rows": member.validation_rows}
        arrays |= dict(zip(DATA, data.arrays(member), strict=True))
        group_inputs |= {name: identity.digest(array) for name, array in arrays.items()}
        inputs.append({**group_inputs, "moments": moments})
        group_key = joint_digest([inputs[-1]])
        for number in numbers:
            start = {
                "seed": int(members[number].seed),
                "start": identity.digest(members[number].theta),
            }
            starts.append(start)
            keys[number] = joint_digest([group_key, start])
    return in_common(inputs) | in_common(starts), keys


def _plain(part: PartialResults) -> tuple[Document, Arrays]:
    """Encode results as JSON values and a few arrays, which concatenate all groups."""
    pieces = {}
    groups = []
    for group in part.groups:
        shapes = {}
        for name, array in _arrays(group).items():
            kind = array.dtype.str.lstrip("<|=")
            shapes[name] = [kind, *array.shape]
            pieces.setdefault(f"{name} {kind}", []).append(array.reshape(-1))
        numbers = {name: getattr(group, name) for name in NUMBERS}
        groups.append(
            {"numbers": list(map(int, group.numbers)), "shapes": shapes, **numbers}
        )
    others = {}
    for number, result in part.others.items():
        state = replace(result.state, network=None)
        others[number] = {
            "theta": result.theta,
            "state": state,
            "reason": result.reason,
        }
    writer = Writer(BY_CLASS)
    document = {"cohorts": groups, "others": writer.plain(others, "others")}
    return document, writer.arrays | {
        name: np.concatenate(arrays) for name, arrays in pieces.items()
    }


def _arrays(group: GroupResults) -> Arrays:
    """Return the arrays of compact results that cannot be derived from others."""
    derived = {"last_finite"}
    if group.stopping is None:
        derived |= {"best", "memory"}
    arrays = {name: getattr(group, name) for name in ARRAYS if name not in derived}
    return arrays | {f"moment {name}": moment for name, moment in group.moments.items()}


def _member_group(plain: Document, arrays: Arrays, member: Member) -> GroupResults:
    """Decode the compact results of a group of members similar to `member`."""
    fields: dict[str, Any] = {name: plain[name] for name in ("numbers", *NUMBERS)}
    moments = {}
    for name, array in arrays.items():
        kind, _, moment = name.partition(" ")
        if kind == "moment":
            moments[moment] = array
        else:
            fields[name] = array
    thetas = arrays["thetas"]
    fields["last_finite"] = thetas
    if member.early_stopping is None:
        fields |= {"best": thetas, "memory": np.empty((len(thetas), 0))}
    return GroupResults(
        network=member.network,
        optimizer_class=type(member.optimizer).__name__,
        stopping=member.early_stopping,
        moments=moments,
        **fields,
    )


def _split(
    shapes: Mapping[str, list[Any]], arrays: Arrays, starts: dict[str, int]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of the next group, advancing `starts`."""
    for name, (kind, *shape) in shapes.items():
        joint = f"{name} {kind}"
        start = starts.get(joint, 0)
        starts[joint] = start + int(np.prod(shape))
        yield name, arrays[joint][start : starts[joint]].reshape(shape)

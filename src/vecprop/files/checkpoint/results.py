"""Stores in a folder for members of a population and fits of estimators."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
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
    "metric",
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
"""Attributes of a group of results that are stored as JSON."""

STATE = ("theta", "optimizer", "schedule", "early_stopping", "epoch", "step")
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
        # functions that compute the digest of a loaded result, by key
        self._digests: dict[str, Callable[[], str]] = {}
        for file_keys, document, arrays in self.store.begin():
            self._read(file_keys, document, Reader(BY_NAME, arrays))
        self._digests.clear()  # releases the arrays read from files
        self.throttle.written = time.perf_counter()

    def _read(self, keys: list[str], document: Document, reader: Reader):
        """Load the results of this run from a file."""
        raise NotImplementedError

    def _new_numbers(self, key: str, digest: Callable[[], str]):
        """Return the indices of the results with a key if it is in this run and has no result yet, else [].

        ``digest`` computes a digest of the result that has just been loaded.
        """
        numbers = self.store.numbers.get(key, [])
        if key not in self._digests:
            self._digests[key] = digest
            return numbers
        if numbers and self._digests[key]() != digest():
            raise FileError(
                f"{self.store.path} has two results of member {numbers[0]} with"
                " different bits: remove the folder."
            )
        return []


class MemberStore(_ResultStore):
    """Saves the results of members, with the concatenated arrays of all groups."""

    def __init__(self, checkpoint, population: Any, groups: Groups, moments: bool):
        self.members = population.members
        self.part = PartialResults([], {})
        run, keys = _identity(population, groups, moments)
        super().__init__(checkpoint, run, keys)

    def _read(self, keys, document, reader):
        others = reader.value(document["others"]).values()
        for key, plain in zip(keys, others, strict=False):
            if key not in self.store.numbers:
                continue
            result = self._member_result(plain, self.store.numbers[key][0])
            for number in self._new_numbers(key, partial(_digest_of_result, result)):
                self.part.others[number] = result
        joint_arrays = _JointArrays(reader.arrays)
        first = len(others)
        for plain in document["cohorts"]:
            arrays = joint_arrays.next_group(plain["shapes"])
            end = first + len(plain["numbers"])
            self._read_group(keys[first:end], plain, arrays)
            first = end

    def _member_result(self, plain: Document, number: int):
        """Return the result of a member that belongs to no group."""
        state = plain["state"]
        if state.optimizer_class:  # L-BFGS has no optimizer state
            state = replace(state, network=self.members[number].network)
        return TrainingResult(plain["theta"], state.history, state, plain["reason"])

    def _read_group(self, keys: list[str], plain: Document, arrays: Arrays):
        """Load the compact results of those members of a group that this run contains."""
        members = []
        for key in keys:
            for number in self.store.numbers.get(key, []):
                members.append(self.members[number])
        if not members:
            return
        group = _member_group(plain, arrays, members[0])
        positions = []
        numbers = []
        for position, key in enumerate(keys):
            digest = partial(_digest_in_group, group, position)
            for number in self._new_numbers(key, digest):
                positions.append(position)
                numbers.append(number)
        if numbers:
            self.part.groups.append(replace(group.compact(positions), numbers=numbers))

    def keep(self, part: PartialResults):
        start = time.perf_counter()
        others = list(part.others.items())
        groups = part.groups
        for first in range(0, max(len(others), 1), MOST_MEMBERS):
            file_others = dict(others[first : first + MOST_MEMBERS])
            file_part = PartialResults(groups, file_others)
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
            for number in self._new_numbers(key, partial(_digest_of_fit, outcome)):
                self.known[number] = outcome

    def ended(self, number: int, outcome):
        """Add the outcome of a finished fit; write all outcomes if a write is due."""
        self.waiting[number] = outcome
        if self.throttle.is_due:
            self.write()

    def write(self):
        start = time.perf_counter()
        numbers = list(self.waiting)
        for first in range(0, len(numbers), MOST_FITS):
            file_numbers = numbers[first : first + MOST_FITS]
            outcomes = [self.waiting[number] for number in file_numbers]
            writer = Writer(BY_CLASS)
            document = {"fits": writer.plain(outcomes, "fits")}
            self.store.write(file_numbers, document, writer.arrays)
        self.waiting = {}
        self.throttle.wrote(start)


def _digest_of_fit(outcome: Document):
    """Return a digest of the outcome of a fit, without its time."""
    return bits_of(outcome | {"seconds": 0.0})


def _digest_in_group(group: GroupResults, position: int):
    return _digest_of_result(group.result(position))


def _digest_of_result(result: TrainingResult):
    """Return a digest of a result of training, without times."""
    values = [result.theta, result.reason]
    values += [getattr(result.state, name) for name in STATE]
    values += [getattr(result.history, name) for name in CURVES]
    return bits_of(values)


def _identity(population: Any, groups: Groups, moments: bool):
    """Return the description of a population, and a digest of each member's inputs."""
    members = population.members
    identity = RunIdentity()
    inputs_of_groups = []
    starts = []
    keys = [""] * len(members)
    for numbers in groups:
        group = [members[number] for number in numbers]
        engine = population.engine_of(group[0]).name
        try:
            shared_inputs = _shared_inputs(identity, group, population.data)
        except FileError as error:
            raise FileError(f"In member {numbers[0]}: {error}") from None
        # the order of the names determines the digest
        inputs = {"engine": engine, **shared_inputs, "moments": moments}
        inputs_of_groups.append(inputs)
        group_key = joint_digest([inputs])
        for number, member in zip(numbers, group, strict=True):
            start = {"seed": int(member.seed), "start": identity.digest(member.theta)}
            starts.append(start)
            keys[number] = joint_digest([group_key, start])
    return in_common(inputs_of_groups) | in_common(starts), keys


def _shared_inputs(identity: RunIdentity, group: list[Member], data: Data):
    """Return the inputs that the members of a group share, as JSON values."""
    member = group[0]
    inputs = identity({name: getattr(member, name) for name in (*PARTS, *PLAN)})
    for other_member in group:
        require_savable(other_member.theta)
    arrays = {"rows": member.rows, "validation_rows": member.validation_rows}
    arrays |= dict(zip(DATA, data.arrays(member), strict=True))
    for name, array in arrays.items():
        inputs[name] = identity.digest(array)
    return inputs


def _plain(part: PartialResults):
    """Encode results as JSON values and a few arrays, which concatenate all groups."""
    pieces = {}
    groups = []
    for group in part.groups:
        shapes = {}
        for name, array in _arrays(group).items():
            dtype = array.dtype.str.lstrip("<|=")
            shapes[name] = [dtype, *array.shape]
            pieces.setdefault(f"{name} {dtype}", []).append(array.reshape(-1))
        attributes = {name: getattr(group, name) for name in NUMBERS}
        numbers = list(map(int, group.numbers))
        groups.append({"numbers": numbers, "shapes": shapes, **attributes})
    others = {}
    for number, result in part.others.items():
        others[number] = {
            "theta": result.theta,
            "state": replace(result.state, network=None),
            "reason": result.reason,
        }
    writer = Writer(BY_CLASS)
    document = {"cohorts": groups, "others": writer.plain(others, "others")}
    arrays = dict(writer.arrays)
    for name, arrays_of_groups in pieces.items():
        arrays[name] = np.concatenate(arrays_of_groups)
    return document, arrays


def _arrays(group: GroupResults):
    """Return the arrays of compact results that cannot be derived from others."""
    derived = {"last_finite"}
    if group.stopping is None:
        derived |= {"best", "memory"}
    arrays = {name: getattr(group, name) for name in ARRAYS if name not in derived}
    return arrays | {f"moment {name}": moment for name, moment in group.moments.items()}


def _member_group(plain: Document, arrays: Arrays, member: Member):
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


class _JointArrays:
    """Arrays that concatenate the arrays of several groups, and how many entries have been read."""

    def __init__(self, arrays: Arrays):
        self._arrays = arrays
        self._ends: dict[str, int] = {}

    def next_group(self, shapes: Mapping[str, list[Any]]):
        """Return the arrays of the next group, given the dtype and the shape of each."""
        arrays = {}
        for name, (dtype, *shape) in shapes.items():
            joint_name = f"{name} {dtype}"
            start = self._ends.get(joint_name, 0)
            end = start + int(np.prod(shape))
            self._ends[joint_name] = end
            arrays[name] = self._arrays[joint_name][start:end].reshape(shape)
        return arrays

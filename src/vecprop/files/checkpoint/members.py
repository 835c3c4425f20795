"""The members of a population in a folder: those that have ended are kept, the others begin anew."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...core.sparse import SparseNetwork
from ...train.members import Data, Member
from ...train.results import ARRAYS, CohortResults, Part, joined
from ...train.state import TrainingResult
from .. import FileError
from ..model_file.registry import BY_CLASS, BY_NAME
from ..model_file.values import Reader, Writer
from .digests import COUNT, digest, of_all, require_savable
from .folder import Folder
from .pace import Pace

PARTS = ("network", "optimizer", "schedule", "early_stopping")
PLAN = ("epochs", "batch_size", "shuffle", "validation_score", "training_loss", "clip", "keeps_predictions")
DATA = ("X", "T", "sample_weight")
ROWS = ("rows", "validation_rows")

MOST_ALONE = 2_000
"""The most results of members that were trained by themselves in one file, of about ten arrays each."""

NUMBERS = ("epochs", "rows", "per_epoch", "running")


class KeptMembers:
    """Keeps the results of a population's members."""

    def __init__(
        self,
        path: Path,
        every: float,
        members: Sequence[Member],
        groups: Sequence[list[int]],
        engines: Sequence[str],
        data: Data,
        moments: bool,
    ) -> None:
        self.folder = Folder(path, _identity(members, groups, engines, data) | {"moments": moments})
        kept = [(document["seconds"], _restored(document, arrays, members)) for document, arrays in self.folder.begin()]
        self.part, self.seconds = joined(part for _, part in kept), sum(seconds for seconds, _ in kept)
        if len(self.part.numbers) > len(set(self.part.numbers)):
            raise FileError(f"{path} has two results of one member: remove the folder.")
        self.pace = Pace(every)

    @property
    def is_due(self) -> bool:
        """Whether it is time to keep those that have ended."""
        return self.pace.is_due

    def keep(self, part: Part) -> None:
        """Keep results."""
        began, since = time.perf_counter(), self.pace.written
        alone = list(part.others.items())
        for first in range(0, max(len(alone), 1), MOST_ALONE):
            cohorts = [] if first else part.cohorts
            document, arrays = _plain(Part(cohorts, dict(alone[first : first + MOST_ALONE])))
            self.folder.write({"seconds": 0.0 if first else began - since, **document}, arrays)
        self.pace.wrote(began)


def _identity(
    members: Sequence[Member], groups: Sequence[list[int]], engines: Sequence[str], data: Data
) -> dict[str, Any]:
    """Return what a population is, as JSON's values: what members have of each setting, as one digest."""
    known: dict[int, Any] = {}
    group_of = np.empty(len(members), int)
    for place, numbers in enumerate(groups):
        group_of[numbers] = place

    def of_array(array: Any) -> Any:
        if id(array) not in known:
            known[id(array)] = digest(array), array  # which is kept, so that no other has its address
        return known[id(array)][0]

    def of_part(value: Any, number: int, name: str) -> Any:
        try:
            value = value.dense if isinstance(value, SparseNetwork) else value
            return Writer(BY_CLASS).plain(value.item() if isinstance(value, np.generic) else value, name)
        except FileError as error:
            raise FileError(f"In member {number}: {error}") from None

    def of_members(each: Sequence[Any]) -> str:
        """Return one digest of a value for each group."""
        own = [of_all([value]) for value in each]
        return of_all([own[place] for place in group_of])

    first = [members[numbers[0]] for numbers in groups]
    run: dict[str, Any] = {COUNT: len(members), "engine": of_members(engines)}
    for name in (*PARTS, *PLAN):
        run[name] = of_members(
            [of_part(getattr(own, name), numbers[0], name) for own, numbers in zip(first, groups, strict=True)]
        )
    for name in ROWS:
        run[name] = of_members([of_array(getattr(own, name)) for own in first])
    for place, name in enumerate(DATA):
        run[name] = of_members([of_array(data.of(own)[place]) for own in first])
    for number, member in enumerate(members):
        try:
            require_savable(member.theta)
        except FileError as error:
            raise FileError(f"In member {number}: {error}") from None
    run["seed"] = of_all([int(member.seed) for member in members])
    run["start"] = of_all([digest(member.theta) for member in members])
    return run


def _plain(part: Part) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return results as JSON's values and arrays: those of all cohorts lie one after the other in a few."""
    joint: dict[str, list[np.ndarray]] = {}
    cohorts = []
    for cohort in part.cohorts:
        shapes = {}
        for name, array in _arrays(cohort).items():
            shapes[name] = [array.dtype.str.lstrip("<|="), *array.shape]
            joint.setdefault(f"{name} {shapes[name][0]}", []).append(array.reshape(-1))
        plain = {name: getattr(cohort, name) for name in NUMBERS}
        cohorts.append({"numbers": [int(number) for number in cohort.numbers], "shapes": shapes, **plain})
    writer = Writer(BY_CLASS)
    alone = {
        number: {
            "theta": result.theta,
            "state": replace(result.state, network=None),
            "reason": result.reason,
        }
        for number, result in part.others.items()
    }
    document = {"cohorts": cohorts, "others": writer.plain(alone, "others")}
    return document, writer.arrays | {name: np.concatenate(arrays) for name, arrays in joint.items()}


def _arrays(cohort: CohortResults) -> dict[str, np.ndarray]:
    """Return the arrays of compact results that do not follow from the others."""
    follow = {"last_finite"} | ({"best", "memory"} if cohort.stopping is None else set())
    arrays = {name: getattr(cohort, name) for name in ARRAYS if name not in follow}
    return arrays | {f"moment {name}": moment for name, moment in cohort.moments.items()}


def _restored(document: Mapping[str, Any], arrays: Mapping[str, np.ndarray], members: Sequence[Member]) -> Part:
    """Return the results of which `_plain` has made these."""
    starts: dict[str, int] = {}
    cohorts = [_cohort(plain, arrays, starts, members) for plain in document["cohorts"]]
    others = {}
    for number, known in Reader(BY_NAME, arrays).value(document["others"]).items():
        state = known["state"]
        if state.optimizer_class:  # L-BFGS has no state, and no network in it
            state = replace(state, network=members[number].network)
        others[number] = TrainingResult(known["theta"], state.history, state, known["reason"])
    return Part(cohorts, others)


def _cohort(
    plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray], starts: dict[str, int], members: Sequence[Member]
) -> CohortResults:
    member = members[plain["numbers"][0]]
    own: dict[str, Any] = dict(_split(plain["shapes"], arrays, starts))
    own["last_finite"] = own["thetas"]
    if member.early_stopping is None:
        own |= {"best": own["thetas"], "memory": np.empty((len(own["thetas"]), 0))}
    moments = {name.partition(" ")[2]: own.pop(name) for name in [*own] if name.startswith("moment ")}
    return CohortResults(
        numbers=plain["numbers"],
        network=member.network,
        optimizer_class=type(member.optimizer).__name__,
        stopping=member.early_stopping,
        moments=moments,
        **{name: plain[name] for name in NUMBERS} | own,
    )


def _split(
    shapes: Mapping[str, list[Any]], arrays: Mapping[str, np.ndarray], starts: dict[str, int]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of a cohort, which lie behind those of the cohorts before."""
    for name, (kind, *shape) in shapes.items():
        joint = f"{name} {kind}"
        start, size = starts.get(joint, 0), int(np.prod(shape))
        starts[joint] = start + size
        yield name, arrays[joint][start : start + size].reshape(shape)

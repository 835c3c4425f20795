"""The members of a population that have ended are kept, so that a run that is killed goes on with the others."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from ..members import Data, Member
from ..results import REASONS, CohortResults, Part, joined
from ..run import Hook


class MembersKeeper(Protocol):
    """The contract of what keeps members, see `vecprop.Checkpoint`."""

    part: Part

    @property
    def is_due(self) -> bool:
        """Whether it is time to keep those that have ended."""
        ...

    def keep(self, part: Part) -> None:
        """Keep results."""
        ...


class PopulationKeeper(Protocol):
    """The contract of a checkpoint of a population, see `vecprop.Checkpoint`."""

    def held(self) -> AbstractContextManager[None]:
        """Return a block in which no other program uses it."""
        ...

    def members(
        self,
        members: Sequence[Member],
        groups: Sequence[list[int]],
        engines: Sequence[str],
        data: Data,
        moments: bool,
    ) -> MembersKeeper:
        """Return what keeps members, and knows those that were kept before."""
        ...


class Keeping(Hook):
    """Hands members that have ended to their keeper, when it is time."""

    def __init__(self, keeper: MembersKeeper, moments: bool) -> None:
        self.keeper, self.moments = keeper, moments
        self._waiting: list[Part] = []
        self._kept: dict[int, Any] = {}  # which members of a cohort are kept, by the cohort's address

    def after_members(self, part: Part) -> None:
        """Take results that are known; members that were interrupted begin again in the next run."""
        ended = part.ended()
        self._waiting.append(ended if self.moments else ended.without_moments())

    def look(self, monitor: Any) -> None:
        """Keep all members that have ended, if it is time."""
        if self.keeper.is_due:
            self.end(monitor)

    def end(self, training: Any, result: Any = None) -> None:
        """Keep all members that have ended."""
        cohorts, ended = [], []
        for cohort in training.cohorts:
            if isinstance(cohort, CohortResults):
                continue
            results = cohort.results()
            kept = self._kept.setdefault(id(cohort), np.zeros(len(results.numbers), bool))
            new = np.flatnonzero((results.seconds > 0) & (results.reasons != REASONS.index("interrupted")) & ~kept)
            if len(new):
                ended.append((kept, new))
                cohorts.append(results.taken(new, self.moments))
        part = joined([*self._waiting, Part(cohorts, {})])
        if part.cohorts or part.others:
            self.keeper.keep(part)
        self._waiting = []
        for kept, new in ended:
            kept[new] = True

    def failed(self, training: Any, error: BaseException) -> None:
        """Keep all members that have ended."""
        self.end(training)

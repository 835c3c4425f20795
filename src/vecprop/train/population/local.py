"""Training of the members of a population in this process."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...core import Network, checked_theta, namespace
from ...optimize import LBFGS, EngineName
from ..engine import Engine
from ..members import Data, Interner, Member, PartialResults, row_count, row_indices
from ..progress import MemberProgress, Progress, progress_of
from ..run import Interruption, is_true
from ..state import DivergenceError, TrainingResult, new_state
from ..trainer import ArrayRows, engine_for, train_on


@dataclass(eq=False)
class Monitor(Interruption):
    """The progress of a population. The callback `progress` and Ctrl-C stop the remaining members.

    If there is a store, members are saved when they have ended.
    """

    total: int
    progress: Callable[[Progress], object] | None = None
    store: Any = None
    moments: bool = True
    """Whether the store saves the moments."""

    def __post_init__(self):
        self.is_stopped = False
        self.reported = 0  # the number of ended members in the latest report
        self.groups = []
        self.unsaved = {}
        self.saved = set()
        # members outside groups
        self.single_members = []
        self.passes = {}  # the epochs of passes over rows that do not fit into memory
        if self.store is not None:
            self.saved.update(self.store.part.numbers)
            self.count(self.store.part)

    def count(self, part: PartialResults):
        """Count members with known results."""
        self.groups += part.groups
        for result in part.others.values():
            member = MemberProgress.from_state(result.state, has_ended=True)
            self.single_members.append(member)
            self.is_stopped |= result.reason == "interrupted"

    def __exit__(self, *error) -> bool:
        """Stop the remaining members after Ctrl-C."""
        is_interrupted = super().__exit__(*error)
        self.is_stopped |= is_interrupted
        return is_interrupted

    def on_results(self, part: PartialResults) -> bool:
        """Count and save new results; return whether to stop the remaining members."""
        self.count(part)
        self.unsaved |= part.others
        return self.poll()

    def poll(self) -> bool:
        """Save results if a save is due, and report the progress; return whether to stop the remaining members."""
        if self.store is not None and self.store.throttle.is_due:
            self.save()
        if self.progress is not None and not self.is_stopped:
            latest = self.latest()
            self.reported = latest.ended
            self.is_stopped |= is_true(self.progress(latest))
        return self.is_stopped

    def save(self):
        """Save the members that have ended since the last save."""
        if self.store is None:
            return
        part = PartialResults([group.results() for group in self.groups], self.unsaved)
        if not self.moments:
            part = part.without_moments()
        part = part.ended(self.saved)
        if part.numbers:
            self.store.keep(part)
        self.unsaved = {}
        self.saved.update(part.numbers)

    def end(self):
        """Save all finished members, and report the progress if members have ended since the last report."""
        self.save()
        is_reported = self.is_stopped or self.reported == self.total
        if self.progress is not None and not is_reported:
            self.progress(self.latest())

    def latest(self) -> Progress:
        """Return the progress of training."""
        parts = [group.results().progress() for group in self.groups]
        parts.extend(self.single_members)
        return progress_of(parts, self.total, **self.passes)


@dataclass(frozen=True, eq=False)
class Population:
    """Members by their indices, their data, and the engine that trains them."""

    members: Sequence[Member] | Mapping[int, Member]
    data: Data
    engine: EngineName

    def groups(self) -> list[list[int]]:
        """Group the indices of members that differ only in their initial parameters and seeds."""
        groups = defaultdict(list)
        intern = Interner()
        for number, member in enumerate(self.members):
            if not isinstance(member, Member):
                raise TypeError(f"members[{number}] must be a Member, got {member!r}.")
            if not isinstance(member.seed, int | np.integer):
                error = TypeError(f"seed must be an integer, got {member.seed!r}.")
                raise in_member(number, error)
            try:
                groups[member._key(intern)].append(number)
            # a setting that cannot be hashed is usually invalid
            except TypeError as error:
                self.trained_at_once([number])
                raise in_member(number, error) from None
        return list(groups.values())

    def check(self, groups: Iterable[list[int]]):
        """Raise an error if a member is invalid or does not fit its data, before training starts."""
        for numbers in groups:
            self.trained_at_once(numbers[:1])
            for number in numbers[1:]:
                member = self.members[number]
                try:
                    if not isinstance(member.theta, int | np.integer):
                        checked_theta(member.network, member.theta)
                except (TypeError, ValueError) as error:
                    raise in_member(number, error) from None

    def train(self, groups: Iterable[list[int]], monitor: Monitor) -> PartialResults:
        """Train the members of some groups; return their results."""
        compiled_groups = []
        single_numbers = []
        for numbers in groups:
            group = self.trained_at_once(numbers)
            if group is None:
                single_numbers.extend(numbers)
            else:
                compiled_groups.append(group)
        monitor.groups.extend(compiled_groups)
        results = {}
        with monitor:
            if compiled_groups:
                type(compiled_groups[0]).run(compiled_groups, monitor.poll)
            for number in sorted(single_numbers):
                if monitor.is_stopped:
                    break
                try:
                    results[number] = self.train_single(self.members[number])
                except (TypeError, ValueError) as error:
                    # may be raised by a custom part
                    raise in_member(number, error) from error
                monitor.on_results(PartialResults([], {number: results[number]}))
        for number in single_numbers:
            if number not in results:
                results[number] = self.not_started(number)
        return PartialResults([group.results() for group in compiled_groups], results)

    def trained_at_once(self, numbers: list[int]) -> Any:
        """Return an object that trains a group of members, or None if they must be trained one by one.

        Raises
        ------
        TypeError, ValueError
            If a member is invalid. The message contains the index of the member.
        """
        try:
            return self._checked_group(numbers)
        except (TypeError, ValueError) as error:
            if len(numbers) > 1:
                # one of them raises the error with its index
                for number in numbers:
                    self.trained_at_once([number])
            raise in_member(numbers[0], error) from None

    def _checked_group(self, numbers: list[int]) -> Any:
        """Return an object that trains a group, or None; raise an error if a member is invalid."""
        network = self.members[numbers[0]].network
        if not isinstance(network, Network):
            raise TypeError(f"network must be a Network, got {network!r}.")
        group = [self.data.with_theta(self.members[number]) for number in numbers]
        # the others have the same settings and rows
        first = group[0]
        theta = checked_theta(network, first.theta)
        validates = first.validation_rows is not None
        settings = replace(first._settings, engine=self.engine)
        settings.check(network, theta, validates)
        for rows in (first.rows, first.validation_rows):
            if rows is not None:
                X, _, _ = self.data.arrays(first)
                row_indices(rows, row_count(X))
        is_vector = isinstance(first.theta, np.ndarray) and first.theta.ndim == 1
        needs_python = isinstance(first.optimizer, LBFGS) or first.metric
        if first.schedule is not None and first.schedule.init():  # it watches the loss
            needs_python = True
        if is_vector and not needs_python:
            group_class = self.engine_of(first).group_class
            if group_class is not None:
                return group_class(numbers, group, self.data)
        for member in group:
            checked_theta(member.network, member.theta)
        return None

    def engine_of(self, member: Member) -> Engine:
        """Return the engine for a member; "auto" selects the fastest engine."""
        member = self.data.with_theta(member)
        # lazy: created only if an engine inspects it
        batches = map(self.data.batch, [member])
        return engine_for(
            member.network,
            member.theta,
            batches,
            member.optimizer,
            self.engine,
            score=member.validation_score,
        )

    def train_single(self, member: Member) -> TrainingResult:
        """Train a member in a run. If training diverges, return the last finite result."""
        data = self.data
        member = data.with_theta(member)
        settings = replace(member._settings, engine=self.engine)
        validation: Any = None
        if member.validation_rows is not None:
            validation = data.selected(member, member.validation_rows)
        arrays = data.selected(member, member.rows)
        rows = ArrayRows(member.network, member.theta, settings, arrays, validation)
        try:
            return train_on(
                rows,
                member.network,
                settings,
                keeps_predictions=member.keeps_predictions and validation is not None,
                metric=member.metric,
            )
        except DivergenceError as error:
            return error.result

    def not_started(self, number: int) -> TrainingResult:
        """Return the result of a member that was interrupted before its training started."""
        member = self.data.with_theta(self.members[number])
        theta = namespace(member.theta).asarray(member.theta, copy=True)
        rows = self.data.row_count(member)
        state = new_state(member.network, theta, member._settings, rows)
        return TrainingResult(theta, state.history, state, "interrupted")


def in_member(number: int, error: TypeError | ValueError) -> TypeError | ValueError:
    """Return the error with the index of the member in its message."""
    cls = TypeError if isinstance(error, TypeError) else ValueError
    named: Any = cls(f"In member {number}: {error}")
    named.member = number
    return named

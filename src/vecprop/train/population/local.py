"""Training of the members of a population in this process."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...core import Array, Network, checked_theta, namespace, on_host
from ...optimize import LBFGS, EngineName
from ..engine import Engine
from ..members import REASONS, Data, GroupResults, Interner, Member, PartialResults, joined, row_count, row_indices
from ..progress import Progress
from ..run import interruption_of, is_true, new_state
from ..state import DivergenceError, TrainingResult
from ..trainer import engine_for, train


class Monitor:
    """The progress of a population. The callback `progress` and Ctrl-C stop the remaining members."""

    def __init__(
        self, total: int, progress: Callable[[Progress], object] | None = None, saved: "SavedMembers | None" = None
    ) -> None:
        self.groups: Sequence[Any] = []
        self.total, self.progress, self.saved = total, progress, saved
        self.is_stopped = self.is_interrupted = False
        self.reported = 0  # the number of ended members in the latest report
        self._alone: list[list[float]] = []

    def preload(self, part: PartialResults) -> None:
        """Count members with known results."""
        self.groups = [*self.groups, *part.groups]
        for result in part.others.values():
            losses = (result.history.last_loss, result.history.last_validation_loss)
            rows = result.state.epoch * result.state.rows
            self._alone.append([1, 1, rows, *(np.nan if loss is None else float(np.mean(loss)) for loss in losses)])
            self.is_stopped |= result.reason == "interrupted"

    def train(self, work: Callable[[], object]) -> None:
        """Call work(); after Ctrl-C, stop the remaining members."""
        if interruption_of(work) is not None:
            self.is_stopped = self.is_interrupted = True

    def on_results(self, part: PartialResults) -> bool:
        """Count and save new results; return whether to stop the remaining members."""
        self.preload(part)
        if self.saved is not None:
            self.saved.wait(part)
        return self.poll()

    def poll(self) -> bool:
        """Save results if a save is due, and report the progress; return whether to stop the remaining members."""
        if self.saved is not None and self.saved.store.throttle.is_due:
            self.save()
        if self.progress is not None:
            latest = self.latest()
            self.reported = latest.ended
            self.is_stopped |= is_true(self.progress(latest))
        return self.is_stopped

    def save(self, error: BaseException | None = None) -> None:
        """Save all finished members."""
        if self.saved is not None:
            self.saved.write(self.groups)

    def end(self) -> None:
        """Save all finished members, and report the progress if members have ended since the last report."""
        self.save()
        if self.progress is not None and not self.is_stopped and self.reported < self.total:
            self.progress(self.latest())

    def latest(self) -> Progress:
        """Return the progress of training."""
        each = [*(group.progress() for group in self.groups), np.array(self._alone).reshape(-1, 5).T]
        ended, share, rows, *losses = np.concatenate(each, axis=1)
        known = [of[~np.isnan(of)] for of in losses]
        loss, validation_loss = (float(np.median(of)) if len(of) else float("nan") for of in known)
        return Progress(int(ended.sum()), self.total, share.sum() / self.total, int(rows.sum()), loss, validation_loss)


Members = Sequence[Member] | Mapping[int, Member]
"""Members by their indices in the population."""


def groups_of(members: Sequence[Member], data: Data, engine: EngineName) -> list[list[int]]:
    """Group the indices of members that differ only in their initial parameters and seeds."""
    together, intern = defaultdict(list), Interner()
    for number, member in enumerate(members):
        if not isinstance(member, Member):
            raise TypeError(f"members[{number}] must be a Member, got {member!r}.")
        if not isinstance(member.seed, int | np.integer):
            raise in_member(number, TypeError(f"seed must be an integer, got {member.seed!r}."))
        try:
            together[member._key(intern)].append(number)
        except TypeError as error:  # a setting that cannot be hashed is usually invalid
            _member_group([number], members, data, engine)
            raise in_member(number, error) from None
    return list(together.values())


def check_groups(groups: Iterable[list[int]], members: Members, data: Data, engine: EngineName) -> None:
    """Raise an error if a member is invalid or does not fit its data, before training starts."""
    for numbers in groups:
        first = numbers[0]
        _member_group([first], members, data, engine)
        for number in numbers[1:]:
            try:
                if not isinstance(members[number].theta, int | np.integer):
                    checked_theta(members[first].network, members[number].theta)
            except (TypeError, ValueError) as error:
                raise in_member(number, error) from None


def train_local(
    groups: Iterable[list[int]], members: Members, data: Data, engine: EngineName, monitor: Monitor
) -> PartialResults:
    """Train members, given as indices grouped by `groups_of`; return their results."""
    joint, alone = [], []
    for numbers in groups:
        group = _member_group(numbers, members, data, engine)
        joint += [group] if group else []
        alone += [] if group else numbers
    monitor.groups = [*monitor.groups, *joint]
    if joint:  # all belong to the compiled engine
        monitor.train(lambda: type(joint[0]).run(joint, monitor))
    others = {}
    for number in sorted(alone):
        if monitor.is_stopped:
            others[number] = not_started(members[number], data)
            continue
        try:
            others[number] = _train_alone(members[number], data, engine)
        except (TypeError, ValueError) as error:
            raise in_member(number, error) from error  # may be raised by a custom part
        monitor.on_results(PartialResults([], {number: others[number]}))
    return PartialResults([group.results() for group in joint], others)


def _member_group(numbers: list[int], members: Members, data: Data, engine: EngineName):
    """Return an object that trains a group of members, or None if they must be trained one by one."""
    try:
        if not isinstance(members[numbers[0]].network, Network):
            raise TypeError(f"network must be a Network, got {members[numbers[0]].network!r}.")
        own = [data.begun(members[number]) for number in numbers]
        first = own[0]
        theta, validates = checked_theta(first.network, first.theta), first.validation_rows is not None
        replace(first._settings, engine=engine).check(first.network, theta, validates)
        for rows in (first.rows, first.validation_rows):
            if rows is not None:
                row_indices(rows, row_count(data.of(first)[0]))
        watches_the_loss = first.schedule is not None and first.schedule.init()
        is_one = isinstance(first.theta, np.ndarray) and first.theta.ndim == 1
        if is_one and not (isinstance(first.optimizer, LBFGS) or watches_the_loss):
            cls = engine_of(first, data, engine).group_class
            if cls is not None:
                return cls(numbers, own, data)
        for member in own:
            checked_theta(member.network, member.theta)
        return None
    except (TypeError, ValueError) as error:
        if len(numbers) > 1:  # find the member that raises
            for number in numbers:
                _member_group([number], members, data, engine)
        raise in_member(numbers[0], error) from None


def engine_of(member: Member, data: Data, name: EngineName) -> Engine:
    """Return the engine of this name for a member; "auto" selects the fastest engine."""
    member = data.begun(member)
    batches = map(data.batch, [member])  # lazy: created only if an engine inspects it
    score = member.validation_score
    return engine_for(member.network, member.theta, batches, member.optimizer, name, score=score)


def not_started(member: Member, data: Data) -> TrainingResult:
    """Return the result of a member that was interrupted before its training started."""
    member = data.begun(member)
    theta = namespace(member.theta).asarray(member.theta, copy=True)
    state = new_state(member.network, theta, member._settings, data.rows(member))
    return TrainingResult(theta, state.history, state, "interrupted")


def _train_alone(member: Member, data: Data, engine: EngineName) -> TrainingResult:
    member = data.begun(member)
    X, T, weight = data.chosen(member, member.rows)
    validation_batch = None if member.validation_rows is None else data.chosen(member, member.validation_rows)
    kept: list[Array] = []

    def keep(theta: Array) -> None:
        if validation_batch is not None:
            kept.append(on_host(member.network.predict(theta, validation_batch[0])))

    if member.keeps_predictions:
        keep(member.theta)
    given: dict[str, Any] = {**vars(member._settings), "engine": engine, "sample_weight": weight}
    given |= {"validation": validation_batch, "callbacks": [lambda state: keep(state.theta)] if kept else ()}
    try:
        result = train(member.network, member.theta, X, T, **given)
    except DivergenceError as error:
        result = error.result
    result.history._extend(validation_predictions=np.stack(kept) if kept else None)
    return result


def in_member(number: int, error: TypeError | ValueError) -> TypeError | ValueError:
    """Return the error with the index of the member in its message."""
    cls = TypeError if isinstance(error, TypeError) else ValueError
    named: Any = cls(f"In member {number}: {error}")
    named.member = number
    return named


class SavedMembers:
    """Saves finished members to a store. Interrupted members are not saved: the next run retrains them."""

    def __init__(self, store, moments: bool) -> None:
        self.store, self.moments = store, moments
        self._waiting: list[PartialResults] = []
        self._are_saved: dict[int, np.ndarray] = {}  # whether each member of a group is saved, by the group's address

    def wait(self, part: PartialResults) -> None:
        """Add members that were trained one by one or in another process; they wait until the next write."""
        ended = part.ended()
        self._waiting.append(ended if self.moments else ended.without_moments())

    def write(self, groups: Sequence[Any]) -> None:
        """Save the waiting members, and the members of running groups that have ended since the last write."""
        newly_saved, finished = [], []
        for group in groups:
            if isinstance(group, GroupResults):
                continue
            results = group.results()
            are_saved = self._are_saved.setdefault(id(group), np.zeros(len(results.numbers), bool))
            has_ended = (results.seconds > 0) & (results.reasons != REASONS.index("interrupted"))
            places = np.flatnonzero(has_ended & ~are_saved)
            if len(places):
                newly_saved.append((are_saved, places))
                finished.append(results.compact(places, self.moments))
        part = joined([*self._waiting, PartialResults(finished, {})])
        if part.groups or part.others:
            self.store.keep(part)
        self._waiting = []
        for are_saved, places in newly_saved:
            are_saved[places] = True

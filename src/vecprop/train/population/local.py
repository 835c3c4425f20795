"""The training of members of a population by this process."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...core import Array, Network, checked_theta, namespace, on_host
from ...optimize import LBFGS, EngineName
from ..engine import Engine
from ..members import (
    REASONS,
    Data,
    GroupResults,
    Interner,
    Member,
    PartialResults,
    checked_row_indices,
    joined,
    row_count,
)
from ..progress import Progress
from ..run import Hook, is_true, new_state
from ..state import DivergenceError, Reason, TrainingResult
from ..trainer import engine_for, train


class Monitor:
    """What the hooks of a population see: how far it has come, and whether the rest of it is to be stopped."""

    def __init__(self, total: int, hooks: Sequence[Hook] = ()) -> None:
        self.groups: Sequence[Any] = []
        self.total, self.hooks = total, hooks
        self.stopped = self.interrupted = False
        self._alone: list[list[float]] = []

    def preload(self, part: PartialResults) -> None:
        """Count members whose results are known."""
        self.groups = [*self.groups, *part.groups]
        for result in part.others.values():
            losses = (result.history.last_loss, result.history.last_validation_loss)
            rows = result.state.epoch * result.state.rows
            self._alone.append([1, 1, rows, *(np.nan if loss is None else float(np.mean(loss)) for loss in losses)])
            self.stopped |= result.reason == "interrupted"

    def on_results(self, part: PartialResults) -> bool:
        """Count members that were trained by themselves or elsewhere; return whether the rest is to be stopped."""
        self.preload(part)
        for hook in self.hooks:
            hook.after_members(part)
        return self.poll()

    def poll(self) -> bool:
        """Let hooks look at the population; return whether the rest is to be stopped."""
        for hook in self.hooks:
            self.stopped |= hook.poll(self) is not None
        return self.stopped

    def latest(self) -> Progress:
        """Return the progress of training."""
        each = [*(group.progress() for group in self.groups), np.array(self._alone).reshape(-1, 5).T]
        ended, share, rows, *losses = np.concatenate(each, axis=1)
        known = [of[~np.isnan(of)] for of in losses]
        loss, validation_loss = (float(np.median(of)) if len(of) else float("nan") for of in known)
        return Progress(int(ended.sum()), self.total, share.sum() / self.total, int(rows.sum()), loss, validation_loss)


class ShowProgress(Hook):
    """Shows the progress of a population by a function, whose answer may stop it."""

    def __init__(self, progress: Callable[[Progress], object]) -> None:
        self.progress = progress

    def poll(self, monitor: Monitor) -> Reason | None:
        """Show the progress."""
        return "callback" if is_true(self.progress(monitor.latest())) else None


Members = Sequence[Member] | Mapping[int, Member]
"""Members by their numbers in the population."""


def groups_of(members: Sequence[Member], data: Data, engine: EngineName) -> list[list[int]]:
    """Return the numbers of members in groups that differ in their initial parameters and seeds alone."""
    together, intern = defaultdict(list), Interner()
    for number, member in enumerate(members):
        if not isinstance(member, Member):
            raise TypeError(f"Member {number} is {member!r}: give a Member(network, theta, optimizer).")
        if not isinstance(member.seed, int | np.integer):
            raise TypeError(f"In member {number}: seed is {member.seed!r}, but a whole number is needed.")
        try:
            together[member.key(intern)].append(number)
        except TypeError as error:  # a setting without a hash: most of them are refused
            _member_group([number], members, data, engine)
            raise in_member(number, error) from None
    return list(together.values())


def check_groups(groups: Iterable[list[int]], members: Members, data: Data, engine: EngineName) -> None:
    """Refuse members that are out of range or do not fit their data, before any is trained."""
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
    """Train members, given by their numbers in groups that are alike; return their results."""
    joint, alone = [], []
    for numbers in groups:
        group = _member_group(numbers, members, data, engine)
        joint += [group] if group else []
        alone += [] if group else numbers
    monitor.groups = [*monitor.groups, *joint]
    if joint:  # all of one engine: the other has none
        type(joint[0]).run(joint, monitor)
    others = {}
    for number in sorted(alone):
        if monitor.stopped:
            others[number] = not_started(members[number], data)
            continue
        try:
            others[number] = _train_alone(members[number], data, engine)
        except (TypeError, ValueError) as error:
            raise in_member(number, error) from error  # which may come from a part of the user's own
        monitor.on_results(PartialResults([], {number: others[number]}))
    return PartialResults([group.results() for group in joint], others)


def _member_group(numbers: list[int], members: Members, data: Data, engine: EngineName) -> Any:
    """Return the group of members that are alike, or None if each is trained by itself."""
    try:
        if not isinstance(members[numbers[0]].network, Network):
            raise TypeError(f"network is {members[numbers[0]].network!r}, but a Network is needed.")
        own = [data.begun(members[number]) for number in numbers]
        first = own[0]
        theta, validates = checked_theta(first.network, first.theta), first.validation_rows is not None
        replace(first.settings, engine=engine).check(first.network, theta, validates)
        for rows in (first.rows, first.validation_rows):
            if rows is not None:
                checked_row_indices(rows, row_count(data.of(first)[0]))
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
        if len(numbers) > 1:  # which of them is it?
            for number in numbers:
                _member_group([number], members, data, engine)
        raise in_member(numbers[0], error) from None


def engine_of(member: Member, data: Data, name: EngineName) -> Engine:
    """Return the engine of this name, or the fastest, that trains a member."""
    member = data.begun(member)
    batches = map(data.batch, [member])  # checked only if the engine looks at them
    score = member.validation_score
    return engine_for(member.network, member.theta, batches, member.optimizer, name, score=score)


def not_started(member: Member, data: Data) -> TrainingResult:
    """Return the result of a member that was interrupted before it began."""
    member = data.begun(member)
    theta = namespace(member.theta).asarray(member.theta, copy=True)
    state = new_state(member.network, theta, member.settings, data.rows(member))
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
    given: dict[str, Any] = {**vars(member.settings), "engine": engine, "sample_weight": weight}
    given |= {"validation": validation_batch, "callbacks": [lambda state: keep(state.theta)] if kept else ()}
    try:
        result = train(member.network, member.theta, X, T, **given)
    except DivergenceError as error:
        result = error.result
    result.history.extend(validation_predictions=np.stack(kept) if kept else None)
    return result


def in_member(number: int, error: TypeError | ValueError) -> TypeError | ValueError:
    """Return an error that says in which member it is."""
    cls = TypeError if isinstance(error, TypeError) else ValueError
    told: Any = cls(f"In member {number}: {error}")
    told.member = number
    return told


class SaveMembers(Hook):
    """Hands members that have ended to their store, when it is time."""

    def __init__(self, store: Any, moments: bool) -> None:
        self.store, self.moments = store, moments
        self._waiting: list[PartialResults] = []
        self._kept: dict[int, Any] = {}  # which members of a group are kept, by the group's address

    def after_members(self, part: PartialResults) -> None:
        """Take results that are known; members that were interrupted begin again in the next run."""
        ended = part.ended()
        self._waiting.append(ended if self.moments else ended.without_moments())

    def poll(self, monitor: Any) -> None:
        """Keep all members that have ended, if it is time."""
        if self.store.is_due:
            self.end(monitor)

    def end(self, training: Any, result: Any = None) -> None:
        """Keep all members that have ended."""
        groups, ended = [], []
        for group in training.groups:
            if isinstance(group, GroupResults):
                continue
            results = group.results()
            kept = self._kept.setdefault(id(group), np.zeros(len(results.numbers), bool))
            new = np.flatnonzero((results.seconds > 0) & (results.reasons != REASONS.index("interrupted")) & ~kept)
            if len(new):
                ended.append((kept, new))
                groups.append(results.compact(new, self.moments))
        part = joined([*self._waiting, PartialResults(groups, {})])
        if part.groups or part.others:
            self.store.keep(part)
        self._waiting = []
        for kept, new in ended:
            kept[new] = True

    def failed(self, training: Any, error: BaseException) -> None:
        """Keep all members that have ended."""
        self.end(training)

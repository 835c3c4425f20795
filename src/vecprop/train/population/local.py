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
from ..run import Hook, is_true, new_state
from ..state import DivergenceError, Reason, TrainingResult
from ..trainer import engine_for, train


class Monitor:
    """The progress of a population for its hooks, which can stop the remaining members."""

    def __init__(self, total: int, hooks: Sequence[Hook] = ()) -> None:
        self.groups: Sequence[Any] = []
        self.total, self.hooks = total, hooks
        self.stopped = self.interrupted = False
        self._alone: list[list[float]] = []

    def preload(self, part: PartialResults) -> None:
        """Count members with known results."""
        self.groups = [*self.groups, *part.groups]
        for result in part.others.values():
            losses = (result.history.last_loss, result.history.last_validation_loss)
            rows = result.state.epoch * result.state.rows
            self._alone.append([1, 1, rows, *(np.nan if loss is None else float(np.mean(loss)) for loss in losses)])
            self.stopped |= result.reason == "interrupted"

    def on_results(self, part: PartialResults) -> bool:
        """Pass new results to the hooks; return whether to stop the remaining members."""
        self.preload(part)
        for hook in self.hooks:
            hook.after_members(part)
        return self.poll()

    def poll(self) -> bool:
        """Poll the hooks; return whether to stop the remaining members."""
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
    """Call a function with the progress of a population; stop training if it returns True."""

    def __init__(self, progress: Callable[[Progress], object]) -> None:
        self.progress, self.ended = progress, 0

    def poll(self, monitor: Monitor) -> Reason | None:
        """Call the function; return the reason "callback" if it returns True."""
        now = monitor.latest()
        self.ended = now.ended
        return "callback" if is_true(self.progress(now)) else None

    def end(self, training: Monitor, result: PartialResults) -> None:
        """Call the function once more if members have ended since the last call."""
        if not training.stopped and self.ended < training.total:
            self.progress(training.latest())


Members = Sequence[Member] | Mapping[int, Member]
"""Members by their indices in the population."""


def groups_of(members: Sequence[Member], data: Data, engine: EngineName) -> list[list[int]]:
    """Group the indices of members that differ only in their initial parameters and seeds."""
    together, intern = defaultdict(list), Interner()
    for number, member in enumerate(members):
        if not isinstance(member, Member):
            raise TypeError(f"members[{number}] must be a Member, got {member!r}.")
        if not isinstance(member.seed, int | np.integer):
            raise TypeError(f"In member {number}: seed must be an integer, got {member.seed!r}.")
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
        type(joint[0]).run(joint, monitor)
    others = {}
    for number in sorted(alone):
        if monitor.stopped:
            others[number] = not_started(members[number], data)
            continue
        try:
            others[number] = _train_alone(members[number], data, engine)
        except (TypeError, ValueError) as error:
            raise in_member(number, error) from error  # may be raised by a custom part
        monitor.on_results(PartialResults([], {number: others[number]}))
    return PartialResults([group.results() for group in joint], others)


def _member_group(numbers: list[int], members: Members, data: Data, engine: EngineName) -> Any:
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


class SaveMembers(Hook):
    """Save finished members to a store at intervals."""

    def __init__(self, store: Any, moments: bool) -> None:
        self.store, self.moments = store, moments
        self._waiting: list[PartialResults] = []
        self._saved: dict[int, Any] = {}  # mask of the saved members of each group, by the group's address

    def after_members(self, part: PartialResults) -> None:
        """Queue the results of finished members; interrupted members are retrained in the next run."""
        ended = part.ended()
        self._waiting.append(ended if self.moments else ended.without_moments())

    def poll(self, monitor: Any) -> None:
        """Save all finished members if a save is due."""
        if self.store.is_due:
            self.end(monitor)

    def end(self, training: Any, result: Any = None) -> None:
        """Save all finished members."""
        groups, ended = [], []
        for group in training.groups:
            if isinstance(group, GroupResults):
                continue
            results = group.results()
            saved = self._saved.setdefault(id(group), np.zeros(len(results.numbers), bool))
            new = np.flatnonzero((results.seconds > 0) & (results.reasons != REASONS.index("interrupted")) & ~saved)
            if len(new):
                ended.append((saved, new))
                groups.append(results.compact(new, self.moments))
        part = joined([*self._waiting, PartialResults(groups, {})])
        if part.groups or part.others:
            self.store.keep(part)
        self._waiting = []
        for saved, new in ended:
            saved[new] = True

    def failed(self, training: Any, error: BaseException) -> None:
        """Save all finished members."""
        self.end(training)

"""Train ensembles on rows that do not fit into memory. Each pass over the rows trains all members."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...core.rows.inputs import Batch
from ...system.threads import SecondInterrupt
from ...train.blocks.windows import Window, Windows
from ...train.members import Member
from ...train.population import require_method
from ...train.progress import Progress
from ...train.run import Run, is_true, watched
from ...train.state import DivergenceError, TrainingResult
from ..encoding.encoder import View
from .streamed import StreamedRows

if TYPE_CHECKING:
    from ...train.compiled.window_steps import WindowSteps


Report = Callable[[Progress], object] | None
"""A progress callback, or None."""


class _Trainer:
    """Trains one member on consecutive windows of rows."""

    def __init__(self, member: Member, fold: int, rows: StreamedRows, checkpoint: Any, more: dict[str, Any]) -> None:
        self.member, self.fold, self.folds = member, fold, rows.folds
        self.rows, self.seen, self.validation = rows.rows_of(fold), 0, None
        if member.validation_rows is not None:
            data: Any = member.X, member.T, member.sample_weight
            self.validation = Batch(*data, chosen=member.validation_rows)
        parts = (member.network, np.array(member.theta), member._settings, self.rows)
        batches, more = [None, self.validation], {"fold": fold, **more}
        self.run = Run(*parts, checkpoint=checkpoint, batches=batches, more=more)
        self.result, state = self.run.ended, self.run.state
        self.run.is_whole = self.result is None
        self.done = state.epoch, state.under_way.get("windows", 0)
        self.steps: WindowSteps | None = None

    def end(self, result: TrainingResult) -> None:
        """Store the result and call the hooks."""
        self.result, self.run.is_whole = result, False  # a later error must not save it as interrupted
        for hook in self.run.hooks:
            hook.end(self.run, result)

    def take(self, window: Window, fold: np.ndarray | None, view: int, front: int) -> None:
        """Train on the rows of a window outside the member's fold, unless training has ended."""
        from ...train.compiled.window_steps import WindowSteps

        if self.result is not None:
            return
        before = self.seen if window.number else 0
        if fold is None or self.folds is None:
            self.seen = before + len(window.order)
        else:
            is_own = fold < self.fold if self.folds.is_time else fold != self.fold
            self.seen = before + int(is_own.sum())
            window = window.only(is_own, self.seen)
        try:
            reason = None
            if self.steps is None:
                self.steps = WindowSteps(self.run, window.batches[view], self.validation, view, front)
                reason = self.steps.start()
            if (window.epoch, window.number) < self.done:
                self.steps.skip(window)
                return
            reason = reason or self.steps.take(window)
        except DivergenceError as error:
            self.end(error.result)
            return
        if reason is None and self.run.state.epoch == self.member.epochs:
            reason = "epochs"
        if reason is not None:
            self.end(self.run.result(reason))

    @property
    def epochs_done(self) -> float:
        """The number of completed epochs, with a fraction."""
        state = self.run.state
        return state.epoch + state.under_way.get("rows", 0) / self.rows


def trained_in_windows(
    rows: StreamedRows,
    networks: Sequence[tuple[Member, int, View]],
    seed: int,
    progress: Report = None,
    saved: Any = None,
    workers: Any = None,
) -> list[TrainingResult]:
    """Train members with given folds and views in passes over all rows.

    Members are not trained on rows of their fold. Each worker trains some of the members in separate passes. Ctrl-C
    ends training.
    """
    if saved is not None:
        saved.path.mkdir(parents=True, exist_ok=True)
    views: list[View] = list(dict.fromkeys(view for _, _, view in networks))
    room = max(int(member.batch_size or 0) for member, _, _ in networks)
    windows = Windows(
        rows.sizes,
        lambda number: rows.batches(number, views),
        window=max(rows.window, int(rows.sizes.max())),
        shuffle=True,
        seed=seed,
        room=room * len(networks),
    )
    trainers = []
    for number, (member, fold, _) in enumerate(networks):
        checkpoint = saved and saved._part(f"network-{number}.npz")
        trainers.append(_Trainer(member, fold, rows, checkpoint, windows.identity()))
    epochs = max(member.epochs for member, _, _ in networks)
    first = min((trainer.run.state.epoch for trainer in trainers if trainer.result is None), default=epochs)

    def train() -> Generator[int]:
        with closing(windows.passes(range(first, epochs))) as coming:
            for window in coming:
                fold = None if rows.folds is None else rows.folds.of(window.numbers[window.order])
                for number, trainer in enumerate(trainers):
                    trainer.take(window, fold, views.index(networks[number][2]), number * room)
                yield window.epoch + 1

    def train_on_workers() -> Generator[int]:
        left = [number for number, trainer in enumerate(trainers) if trainer.result is None]
        for results in _shares(workers, rows, networks, sorted(left, key=lambda number: networks[number][2]), seed):
            for number, result in results.items():
                trainers[number].run.state = replace(result.state, network=networks[number][0].network)
                trainers[number].end(replace(result, state=trainers[number].run.state))
            yield epochs

    with ExitStack() as stack:
        for trainer in trainers:
            stack.enter_context(watched(trainer.run))
        try:
            with closing(train() if workers is None else train_on_workers()) as coming:
                for epoch in coming:
                    answer = None if progress is None else progress(_progress(trainers, epoch, epochs))
                    if is_true(answer) or all(trainer.result is not None for trainer in trainers):
                        break
        except SecondInterrupt:
            raise
        except KeyboardInterrupt:
            if all(trainer.steps is None and trainer.result is None for trainer in trainers):
                raise
    for trainer in trainers:
        if trainer.result is None:
            trainer.end(trainer.run.result("interrupted"))
    return [trainer.result for trainer in trainers if trainer.result is not None]


class Share(NamedTuple):
    """The indices of the networks for one worker."""

    numbers: list[int]


def _shares(workers: Any, rows: StreamedRows, networks: Any, left: list[int], seed: int) -> Iterator[Any]:
    """Yield the results of each share of the networks as they arrive."""
    require_method("workers", workers, "run")
    count = min(workers.processes() if hasattr(workers, "processes") else len(left), len(left))
    shares = [Share(left[len(left) * k // count : len(left) * (k + 1) // count]) for k in range(count)]
    coming = workers.run(_trained_share, shares, (rows.without_sample(), networks, seed))
    try:
        for _, results in coming:
            yield results
    finally:
        getattr(coming, "close", lambda: None)()


def _trained_share(share: Share, data: tuple[StreamedRows, Any, int]) -> dict[int, TrainingResult]:
    """Train a share of the networks on a worker."""
    rows, networks, seed = data
    own = [networks[number] for number in share.numbers]
    results = trained_in_windows(replace(rows), own, seed)  # copied because other threads read other row groups
    return dict(zip(share.numbers, results, strict=True))


def _progress(trainers: Sequence[_Trainer], epoch: int, epochs: int) -> Progress:
    share = float(np.mean([1 if of.result else of.epochs_done / of.member.epochs for of in trainers]))
    rows, ended = sum(of.epochs_done * of.rows for of in trainers), sum(of.result is not None for of in trainers)
    last = [(of.run.state.history.last_loss, of.run.state.history.last_validation_loss) for of in trainers]
    known = ([loss for loss in losses if loss is not None] for losses in zip(*last, strict=True))
    loss, validation_loss = (float(np.median(losses)) if losses else float("nan") for losses in known)
    return Progress(ended, len(trainers), share, int(rows), loss, validation_loss, epoch=epoch, epochs=epochs)

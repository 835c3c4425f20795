"""The training of ensembles on rows that do not fit into memory: each pass over the blocks feeds all members."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.rows.inputs import Batch
from ...system.threads import PressedAgain
from ...train.blocks.windows import Window, Windows
from ...train.members import Member
from ...train.progress import Progress
from ...train.run import Run, is_true, watched
from ...train.state import DivergenceError, TrainingResult
from ..encoding.encoder import VIEWS, Encoder, View
from ..error import TableError
from ..reading.frames import Frame
from .memory_plan import PROGRAM, SHARE_OF_WINDOWS, slices_of
from .streamed import Streamed, StreamedFolds

if TYPE_CHECKING:
    from ...train.compiled.window_steps import WindowSteps

AT_ONCE = 2**20
"""The rows whose folds are counted at once."""


@dataclass(frozen=True, eq=False)
class StreamedRows:
    """All rows that an ensemble is trained on, which are encoded block by block.

    Parameters
    ----------
    targets : callable
        Returns the networks' targets, (n, O), and the rows' weights, (n,), or None if all are equal, of a part of the
        table.
    """

    table: Streamed
    encoder: Encoder
    targets: Callable[[Frame], tuple[np.ndarray, np.ndarray | None]]
    outputs: int
    folds: StreamedFolds | None

    @cached_property
    def window(self) -> int:
        """The most rows of a window, of which two are in memory."""
        width = sum(len(self.encoder.of_view(view)) for view in VIEWS)
        row = 4 * (width + len(VIEWS) * (self.outputs + 1)) + 8 + 24
        return max(int(SHARE_OF_WINDOWS * (self.table.memory - PROGRAM) / (2 * row)), 4096)

    @cached_property
    def slices(self) -> list[tuple[int, int, int]]:
        """The blocks that have rows: the part, the first row in it, and the end."""
        slices = slices_of(self.table.parts, self.window)
        return [each for each in slices if self._used(*each).any()]

    @cached_property
    def sizes(self) -> np.ndarray:
        """The number of rows of each block."""
        return np.array([int(self._used(*each).sum()) for each in self.slices])

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.sizes.sum())

    def _used(self, part: int, first: int, end: int) -> np.ndarray:
        return self.table.used_of(part)[first:end]

    @cached_property
    def _rows_of_folds(self) -> np.ndarray:
        """The number of rows of each fold, after that of the rows before all of them."""
        assert self.folds is not None
        counts = np.zeros(self.folds.count + 1, np.int64)
        for first in range(0, self.rows, AT_ONCE):
            fold = self.folds.of(np.arange(first, min(first + AT_ONCE, self.rows)))
            counts += np.bincount(fold + 1, minlength=len(counts))
        return counts

    def rows_of(self, fold: int) -> int:
        """Return the number of rows that the member of a fold is trained on."""
        if self.folds is None:
            return self.rows
        counts = self._rows_of_folds
        return int(counts[: fold + 1].sum() if self.folds.is_time else counts.sum() - counts[fold + 1])

    def batches(self, number: int, views: Sequence[View]) -> list[Batch]:
        """Return the rows of a block as views see them."""
        part, first, end = self.slices[number]
        place = self.table.parts.parts[part].place
        try:
            frame = self._frame(part).iloc[first:end]
            frame = frame[self._used(part, first, end)]
            T, weight = self.targets(frame)
            encoded = dict(zip(VIEWS, self.encoder.of_views(frame, as_arrays=True), strict=True))
        except TableError as error:
            raise TableError(f"In {place}: {error}") from None
        weight = None if weight is None else weight.astype(np.float32)
        return [Batch(encoded[view], T, weight) for view in views]

    def _frame(self, part: int) -> Frame:
        """Return a part, of which the last is kept, since its slices are read one after the other."""
        known = vars(self).get("_last")
        if known is None or known[0] != part:
            vars(self)["_last"] = None  # before the next is in memory
            frame = self.table.parts.parts[part].frame()
            if len(frame) != self.table.parts.parts[part].rows:
                raise TableError("its rows have changed while it was trained on.")
            vars(self)["_last"] = known = part, frame
        return known[1]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_last"}


class _Trainer:
    """One member, on its way along the windows."""

    def __init__(self, member: Member, fold: int, rows: StreamedRows, view: int, front: int, checkpoint: Any) -> None:
        self.member, self.fold, self.folds = member, fold, rows.folds
        self.rows, self.seen, validation = rows.rows_of(fold), 0, None
        if member.validation_rows is not None:
            validation = Batch(member.X, member.T, member.sample_weight, chosen=member.validation_rows)  # type: ignore[arg-type]
        division = sha256(str(rows.sizes.tolist()).encode()).hexdigest()
        more = {"fold": fold, "window": rows.window, "division into blocks": division}
        parts = (member.network, np.array(member.theta), member.settings, self.rows)
        self.run = Run(*parts, checkpoint=checkpoint, batches=[None, validation], more=more)
        self.result, state = self.run.ended, self.run.state
        self.run.is_whole = self.result is None
        self.done = state.epoch, state.under_way.get("windows", 0)
        self.validation, self.view, self.front = validation, view, front
        self.steps: WindowSteps | None = None

    def end(self, result: TrainingResult) -> None:
        """Keep what training has come to."""
        self.result, self.run.is_whole = result, False  # an error that follows must not keep it as interrupted
        for hook in self.run.hooks:
            hook.end(self.run, result)

    def take(self, window: Window, fold: np.ndarray | None) -> None:
        """Train on the rows of a window that are not of the member's fold, unless training has ended."""
        from ...train.compiled.window_steps import WindowSteps

        if self.result is not None:
            return
        own = len(window.order)
        is_own = None
        if fold is not None and self.folds is not None:
            is_own = fold < self.fold if self.folds.is_time else fold != self.fold
            own = int(is_own.sum())
        self.seen = own + (self.seen if window.number else 0)
        if is_own is not None:
            window = window.only(is_own, self.seen)
        try:
            reason = None
            if self.steps is None:
                self.steps = WindowSteps(self.run, window.batches[self.view], self.validation, self.view, self.front)
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
        """The number of epochs that are done."""
        state = self.run.state
        return state.epoch + state.under_way.get("rows", 0) / self.rows


def trained_in_windows(
    rows: StreamedRows,
    members: Sequence[Member],
    folds: Sequence[int],
    views: Sequence[View],
    of_views: Sequence[int],
    seed: int,
    progress: Callable[[Progress], object] | None,
    checkpoint: Any = None,
) -> list[TrainingResult]:
    """Train members on all rows, each without those of its fold, in passes that feed all of them."""
    if checkpoint is not None:
        checkpoint.path.mkdir(parents=True, exist_ok=True)
    room = max(int(member.batch_size or 0) for member in members)
    trainers = [
        _Trainer(member, fold, rows, view, number * room, checkpoint and checkpoint.part(f"network-{number}.npz"))
        for number, (member, fold, view) in enumerate(zip(members, folds, of_views, strict=True))
    ]
    windows = Windows(
        rows.sizes,
        lambda number: rows.batches(number, views),
        window=max(rows.window, int(rows.sizes.max())),
        shuffle=True,
        seed=seed,
        room=room * len(members),
    )
    epochs = max(member.epochs for member in members)
    with ExitStack() as stack:
        for trainer in trainers:
            stack.enter_context(watched(trainer.run))
        _train_all(trainers, windows, rows, progress, epochs)
    for trainer in trainers:
        if trainer.result is None:
            trainer.end(trainer.run.result("interrupted"))
    return [trainer.result for trainer in trainers if trainer.result is not None]


def _train_all(
    trainers: Sequence[_Trainer],
    windows: Windows,
    rows: StreamedRows,
    progress: Callable[[Progress], object] | None,
    epochs: int,
) -> None:
    """Feed all windows to all trainers, until they have ended or Ctrl-C comes."""
    try:
        going = [trainer for trainer in trainers if trainer.result is None]
        begun = min((trainer.run.state.epoch for trainer in going), default=epochs)
        with closing(windows.passes(range(begun, epochs))) as coming:
            for window in coming:
                fold = None if rows.folds is None else rows.folds.of(window.numbers[window.order])
                for trainer in trainers:
                    trainer.take(window, fold)
                going = [trainer for trainer in trainers if trainer.result is None]
                answer = None if progress is None else progress(_progress(trainers, window.epoch + 1, epochs))
                if is_true(answer):
                    break
                if not going:
                    break
    except PressedAgain:
        raise
    except KeyboardInterrupt:
        if all(trainer.steps is None and trainer.result is None for trainer in trainers):
            raise


def _progress(trainers: Sequence[_Trainer], epoch: int, epochs: int) -> Progress:
    done = [1 if of.result else of.epochs_done / of.member.epochs for of in trainers]
    last = [(of.run.state.history.last_loss, of.run.state.history.last_validation_loss) for of in trainers]
    known = [[float(loss) for loss in losses if loss is not None] for losses in zip(*last, strict=True)]
    middle = [float(np.median(losses)) if losses else float("nan") for losses in known]
    rows = int(sum(of.epochs_done * of.rows for of in trainers))
    ended = sum(of.result is not None for of in trainers)
    loss, validation_loss = middle
    share = float(np.mean(done))
    return Progress(ended, len(trainers), share, rows, loss, validation_loss, epoch=epoch, epochs=epochs)

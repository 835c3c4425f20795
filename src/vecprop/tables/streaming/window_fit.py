"""Train ensembles on rows that do not fit into memory. Each pass over the rows trains all members."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...core.rows.inputs import Batch
from ...train.blocks.windows import Window, Windows
from ...train.compiled.window_steps import WindowSteps
from ...train.members import Member
from ...train.population import require_method
from ...train.progress import Progress
from ...train.run import Run, is_true, train_runs, watched
from ...train.state import DivergenceError, TrainingResult
from ..encoding.encoder import View
from .streamed import StreamedRows

Report = Callable[[Progress], object] | None
"""A progress callback, or None."""


class StreamedNetwork(NamedTuple):
    """A network of an ensemble: it is trained on the rows outside its fold, as inputs of a view."""

    member: Member
    fold: int
    view: View


class StreamedRun(Run):
    """A run of one network of an ensemble, which ends without an error if training diverges."""

    def __init__(self, network: StreamedNetwork, rows: StreamedRows, checkpoint, division: dict[str, Any]) -> None:
        member = network.member
        validation_batch: Batch | None = None
        if member.validation_rows is not None:
            data: Any = member.X, member.T, member.sample_weight
            validation_batch = Batch(*data, chosen=member.validation_rows)
        super().__init__(
            member.network,
            np.array(member.theta),
            member._settings,
            rows.rows_of(network.fold),
            validates=validation_batch is not None,
            checkpoint=checkpoint,
            batches=[None, validation_batch],
            source={"fold": network.fold, **division},
        )
        self.steps = WindowSteps(self, validation_batch)

    def take(self, window: Window) -> None:
        """Train on a window of rows, unless training has ended."""
        try:
            super().take(window)
        except DivergenceError as error:
            self.end(error.result)

    @property
    def epochs_done(self) -> float:
        """The number of completed epochs, with a fraction."""
        return self.state.epoch + self.state.under_way.get("rows", 0) / self.state.rows


def trained_in_windows(
    rows: StreamedRows,
    networks: Sequence[StreamedNetwork],
    seed: int,
    progress: Report = None,
    saved=None,
    workers=None,
) -> list[TrainingResult]:
    """Train the networks of an ensemble in passes over all rows. Ctrl-C ends training.

    Each worker trains some of the networks in separate passes.
    """
    if saved is not None:
        saved.path.mkdir(parents=True, exist_ok=True)
    views: list[View] = list(dict.fromkeys(network.view for network in networks))
    room = max(int(network.member.batch_size or 0) for network in networks)
    windows = Windows(
        rows.sizes,
        lambda number: rows.batches(number, views),
        window=max(rows.window, int(rows.sizes.max())),
        shuffle=True,
        seed=seed,
        room=room * len(networks),
    )
    runs = []
    for number, network in enumerate(networks):
        checkpoint = saved and saved._part(f"network-{number}.npz")
        runs.append(StreamedRun(network, rows, checkpoint, windows.identity()))
    is_stopped = partial(_is_stopped, runs, progress)
    if workers is None:
        return train_runs(runs, _windows_of_runs(runs, networks, windows, rows, is_stopped))
    return watched(runs, lambda: _train_on_workers(runs, networks, workers, rows, seed, is_stopped))


def _windows_of_runs(
    runs: Sequence[StreamedRun],
    networks: Sequence[StreamedNetwork],
    windows: Windows,
    rows: StreamedRows,
    is_stopped: Callable[[int], bool],
) -> Generator[list[Window]]:
    """Yield the part of each window that each run is trained on, until all runs have ended."""
    views = list(dict.fromkeys(network.view for network in networks))
    seen = [0] * len(runs)
    unfinished = [run for run in runs if run.result is None]
    last = max(run.state.epochs for run in runs)
    first = min((run.state.epoch for run in unfinished), default=last)
    with closing(windows.passes(range(first, last))) as passes:
        for window in passes:
            folds = None if rows.folds is None else rows.folds.of(window.numbers[window.order])
            parts = []
            for number, network in enumerate(networks):
                batch = window.batches[views.index(network.view)]
                part = replace(window, batches=[batch], front=number * windows.room // len(networks))
                if rows.folds is not None and folds is not None:
                    order = window.order[rows.folds.trains(folds, network.fold)]
                    seen[number] = len(order) + (seen[number] if window.number else 0)
                    part = replace(part, seen=seen[number], own=np.sort(order), order=order)
                parts.append(part)
            yield parts
            if is_stopped(window.epoch + 1):
                return


def _is_stopped(runs: Sequence[StreamedRun], progress: Report, epoch: int) -> bool:
    """Report the progress in this epoch; return whether training ends."""
    is_answered = progress is not None and is_true(progress(_progress(runs, epoch)))
    return is_answered or all(run.result is not None for run in runs)


def _train_on_workers(
    runs: Sequence[StreamedRun],
    networks: Sequence[StreamedNetwork],
    workers,
    rows: StreamedRows,
    seed: int,
    is_stopped: Callable[[int], bool],
) -> None:
    """Train the networks of all unfinished runs on workers."""
    unfinished = [number for number, run in enumerate(runs) if run.result is None]
    unfinished.sort(key=lambda number: networks[number].view)
    with closing(_shares(workers, rows, networks, unfinished, seed)) as shares:
        for results in shares:
            for number, result in results.items():
                run = runs[number]
                run.state = replace(result.state, network=run.network)
                run.end(replace(result, state=run.state))
            if is_stopped(max(run.state.epochs for run in runs)):
                return


class Share(NamedTuple):
    """The indices of the networks for one worker."""

    numbers: list[int]


def _shares(workers, rows: StreamedRows, networks, left: list[int], seed: int) -> Generator[Any]:
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


def _progress(runs: Sequence[StreamedRun], epoch: int) -> Progress:
    """Return the progress of all runs."""
    losses, validation_losses, shares = [], [], []
    for run in runs:
        history = run.state.history
        losses.append(history.last_loss)
        validation_losses.append(history.last_validation_loss)
        shares.append(1 if run.result else run.epochs_done / run.state.epochs)
    return Progress(
        ended=sum(run.result is not None for run in runs),
        members=len(runs),
        share=float(np.mean(shares)),
        rows=int(sum(run.epochs_done * run.state.rows for run in runs)),
        loss=_median(losses),
        validation_loss=_median(validation_losses),
        epoch=epoch,
        epochs=max(run.state.epochs for run in runs),
    )


def _median(losses: Sequence[np.ndarray | None]) -> float:
    """Return the median of the losses that are known, or NaN."""
    known_losses = [loss for loss in losses if loss is not None]
    return float(np.median(known_losses)) if known_losses else float("nan")

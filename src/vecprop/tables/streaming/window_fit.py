"""Train all members of ensembles in passes over rows that do not fit into memory."""

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
from ...train.population.bundles import results_of
from ...train.progress import MemberProgress, Progress, progress_of
from ...train.run import Run, is_true, train_runs, watched
from ...train.state import DivergenceError, TrainingResult
from ..encoding.encoder import View
from .streamed import StreamedFolds, StreamedRows

Report = Callable[[Progress], object] | None
"""A progress callback, or None."""


class StreamedNetwork(NamedTuple):
    """A network of an ensemble, trained on a view of the rows outside a fold."""

    member: Member
    fold: int
    view: View


class StreamedRun(Run):
    """A run of one network, which ends without an error if training diverges."""

    seen = 0
    """The number of rows of the epoch that the run has seen."""

    def __init__(
        self,
        network: StreamedNetwork,
        rows: StreamedRows,
        checkpoint,
        division: dict[str, Any],
    ):
        member = network.member
        self.fold = network.fold
        self.view: View = network.view
        validation_batch = None
        if member.validation_rows is not None:
            data: Any = member.X, member.T, member.sample_weight
            validation_batch = Batch(*data, chosen=member.validation_rows)
        super().__init__(
            member.network,
            np.array(member.theta),
            member._settings,
            rows.rows_of(network.fold),
            checkpoint=checkpoint,
            batches=(None, validation_batch),
            source={"fold": network.fold, **division},
        )
        self.steps = WindowSteps(self, validation_batch)

    def take(self, window: Window):
        """Train on a window of rows, unless training has ended."""
        try:
            super().take(window)
        except DivergenceError as error:
            self.end(error.result)


def trained_in_windows(
    rows: StreamedRows,
    networks: Sequence[StreamedNetwork],
    seed: int,
    progress: Report = None,
    saved: Any = None,
    workers: Any = None,
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
    if workers is None:
        parts = _windows_of_runs(runs, views, windows, rows=rows, progress=progress)
        return train_runs(runs, parts)
    train = partial(
        _train_on_workers,
        runs,
        networks,
        workers,
        rows=rows,
        seed=seed,
        progress=progress,
    )
    return watched(runs, train)


def _windows_of_runs(
    runs: Sequence[StreamedRun],
    views: list[View],
    windows: Windows,
    rows: StreamedRows,
    progress: Report,
) -> Generator[list[Window]]:
    """Yield the part of each window for each run, until all runs have ended."""
    end = max(run.state.epochs for run in runs)
    epochs = [run.state.epoch for run in runs if run.result is None]
    with closing(windows.passes(range(min(epochs, default=end), end))) as passes:
        for window in passes:
            parts = []
            for number, run in enumerate(runs):
                batch = window.batches[views.index(run.view)]
                # Each run keeps its left-over rows in its part of the room.
                front = number * windows.room // len(runs)
                parts.append(replace(window, batches=[batch], front=front))
            if rows.folds is not None:
                parts = _without_folds(runs, parts, rows.folds)
            yield parts
            if _is_stopped(runs, progress, window.epoch + 1):
                return


def _without_folds(
    runs: Sequence[StreamedRun], parts: Sequence[Window], folds: StreamedFolds
) -> list[Window]:
    """Return the windows without the rows that validate each run, and count the rows that each run has seen."""
    window = parts[0]
    fold_of_rows = folds.of(window.numbers[window.order])
    training_parts = []
    for run, part in zip(runs, parts, strict=True):
        order = window.order[folds.trains(fold_of_rows, run.fold)]
        if window.number == 0:
            run.seen = 0
        run.seen += len(order)
        training_parts.append(
            replace(part, seen=run.seen, positions=np.sort(order), order=order)
        )
    return training_parts


def _is_stopped(runs: Sequence[StreamedRun], progress: Report, epoch: int) -> bool:
    """Report the progress in this epoch; return whether training ends."""
    if progress is not None:
        members = []
        for run in runs:
            has_ended = run.result is not None
            members.append(MemberProgress.from_state(run.state, has_ended))
        progress_of_members = MemberProgress(*np.transpose(members))
        epochs = max(run.state.epochs for run in runs)
        report = progress_of(progress_of_members, len(runs), epoch=epoch, epochs=epochs)
        if is_true(progress(report)):
            return True
    return all(run.result is not None for run in runs)


def _train_on_workers(
    runs: Sequence[StreamedRun],
    networks: Sequence[StreamedNetwork],
    workers: Any,
    rows: StreamedRows,
    seed: int,
    progress: Report,
):
    """Train the networks of all unfinished runs on workers."""
    unfinished = [number for number, run in enumerate(runs) if run.result is None]
    unfinished.sort(key=lambda number: networks[number].view)
    if not unfinished:
        return
    count = len(unfinished)
    if hasattr(workers, "processes"):
        count = min(workers.processes(), count)
    shares = [part.tolist() for part in np.array_split(unfinished, count)]
    data = rows.without_sample(), networks, seed
    with closing(results_of(workers, _trained_share, shares, data)) as arriving:
        for _, results in arriving:
            for number, result in results.items():
                run = runs[number]
                run.state = replace(result.state, network=run.network)
                run.end(replace(result, state=run.state))
            if _is_stopped(runs, progress, max(run.state.epochs for run in runs)):
                return


def _trained_share(
    numbers: list[int], data: tuple[StreamedRows, Sequence[StreamedNetwork], int]
) -> dict[int, TrainingResult]:
    """Train the networks with some indices on a worker, and return their results by index."""
    rows, networks, seed = data
    shared_networks = [networks[number] for number in numbers]
    # The rows are copied because other threads read other row groups.
    results = trained_in_windows(replace(rows), shared_networks, seed)
    return dict(zip(numbers, results, strict=True))

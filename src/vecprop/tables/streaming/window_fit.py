"""Train all members of ensembles in passes over rows that do not fit into memory."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ...core.rows.inputs import Batch
from ...train.blocks.windows import Window, Windows
from ...train.compiled.window_steps import WindowSteps
from ...train.members import Member
from ...train.population.bundles import results_of
from ...train.population.local import Monitor
from ...train.progress import MemberProgress, Progress
from ...train.run import RowSource, Run, train_runs
from ...train.state import DivergenceError, TrainingResult
from ..encoding.encoder import View
from .streamed import StreamedRows

Report = Callable[[Progress], object] | None
"""A progress callback, or None."""


class StreamedNetwork(NamedTuple):
    """A network of an ensemble, trained on a view of the rows outside a fold."""

    member: Member
    fold: int
    view: View


@dataclass(eq=False)
class FoldRows(RowSource):
    """The rows of one network. All networks of an ensemble share the passes over the table."""

    network: StreamedNetwork
    table: StreamedRows
    views: Sequence[View]
    reader: Windows
    monitor: Monitor

    def __post_init__(self):
        member, fold, _ = self.network
        self.theta = np.array(member.theta)
        self.rows = self.table.rows_of(fold)
        self.identity = {"fold": fold, **self.reader.identity()}
        if member.validation_rows is not None:
            data: Any = member.X, member.T, member.sample_weight
            self.validation_batch = Batch(*data, chosen=member.validation_rows)

    def steps(self, run: Run) -> WindowSteps:
        """Return the steps of a run on its part of each window."""
        return WindowSteps(run)

    def windows(self, runs: Sequence[Run]) -> Generator[list[Window | None]]:
        """Yield the part of each window for each run, until all runs have ended."""
        end = max(run.state.epochs for run in runs)
        epochs = [run.state.epoch for run in runs if run.result is None]
        seen = [0] * len(runs)  # the rows of the epoch so far, by run
        with closing(
            self.reader.passes(range(min(epochs, default=end), end))
        ) as passes:
            for window in passes:
                if window.number == 0:
                    seen = [0] * len(runs)
                yield self._parts(window, runs, seen)
                if _is_stopped(runs, self.monitor, window.epoch + 1):
                    return
        yield [None] * len(runs)  # without epochs, only validation losses are measured

    def _parts(
        self, window: Window, runs: Sequence[Run], seen: list[int]
    ) -> list[Window | None]:
        """Return the part of a window for each run, and count the rows that each run has seen."""
        fold_of_rows = None
        if self.table.folds is not None:
            fold_of_rows = self.table.folds.of(window.numbers[window.order])
        parts = []
        for number, run in enumerate(runs):
            source: Any = run.source
            part = source.part_of(window, fold_of_rows)
            seen[number] += len(part.order)
            # Each run keeps its left-over rows in its part of the room.
            front = number * self.reader.room // len(runs)
            parts.append(replace(part, seen=seen[number], front=front))
        return parts

    def part_of(self, window: Window, fold_of_rows: ndarray | None) -> Window:
        """Return a window without the rows that validate the network."""
        batch = window.batches[self.views.index(self.network.view)]
        part = replace(window, batches=[batch])
        if fold_of_rows is None:
            return part
        folds: Any = self.table.folds
        order = window.order[folds.trains(fold_of_rows, self.network.fold)]
        return replace(part, positions=np.sort(order), order=order)


class StreamedRun(Run):
    """A run of one network, which ends without an error if training diverges."""

    def take(self, window: Window | None):
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
    monitor = Monitor(len(networks), progress)
    runs = []
    for number, network in enumerate(networks):
        member = network.member
        run = StreamedRun(
            member.network,
            member._settings,
            FoldRows(network, rows, views, windows, monitor),
            checkpoint=saved and saved._part(f"network-{number}.npz"),
        )
        runs.append(run)
    if workers is None:
        return train_runs(runs, runs[0].source.windows(runs))
    return train_runs(runs, _trained_on_workers(runs, workers, seed))


def _is_stopped(runs: Sequence[Run], monitor: Monitor, epoch: int) -> bool:
    """Report the progress in this epoch; return whether training ends."""
    monitor.single_members = [
        MemberProgress.from_state(run.state, run.result is not None) for run in runs
    ]
    epochs = max(run.state.epochs for run in runs)
    monitor.passes = {"epoch": epoch, "epochs": epochs}
    return monitor.poll() or all(run.result is not None for run in runs)


def _trained_on_workers(
    runs: Sequence[StreamedRun], workers: Any, seed: int
) -> Generator[list]:
    """End all unfinished runs by results from workers; yield no windows after each share of the runs."""
    sources: list[Any] = [run.source for run in runs]
    networks = [source.network for source in sources]
    unfinished = [number for number, run in enumerate(runs) if run.result is None]
    unfinished.sort(key=lambda number: networks[number].view)
    if not unfinished:
        return
    count = len(unfinished)
    if hasattr(workers, "processes"):
        count = min(workers.processes(), count)
    shares = [part.tolist() for part in np.array_split(unfinished, count)]
    data = sources[0].table.without_sample(), networks, seed
    with closing(results_of(workers, _trained_share, shares, data)) as arriving:
        for _, results in arriving:
            for number, result in results.items():
                run = runs[number]
                run.state = replace(result.state, network=run.network)
                run.end(replace(result, state=run.state))
            yield []
            if _is_stopped(
                runs, sources[0].monitor, max(run.state.epochs for run in runs)
            ):
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

"""Training on data larger than memory: `train_blocks`."""

import logging
import warnings
from collections.abc import Generator, Sequence
from contextlib import closing
from math import floor
from typing import Any

import numpy as np
from numpy import ndarray

from ...core import Network, Score, checked_theta, suggests_keywords
from ...optimize import LBFGS, EarlyStopping, Optimizer, Schedule, TrainingSettings
from ...system.memory import available_memory
from ..compiled.window_steps import WindowSteps
from ..run import Callback, RowSource, Run
from ..state import TrainingResult, TrainingState
from ..trainer import check_callbacks, checked_validation, engine_for, train_on
from .sources import Blocks, digest_of
from .windows import CURE, CheckedBlocks, Window, Windows

FEW_BLOCKS = 16
"""The minimum number of blocks per window for a good shuffle: with fewer, the order
on disk matters.
"""


@suggests_keywords
def train_blocks(
    network: Network,
    theta: ndarray,
    blocks: Blocks,
    *,
    optimizer: Optimizer,
    epochs: int = 1,
    batch_size: int = 256,
    window: int = 2**20,
    shuffle: bool = True,
    seed: int = 0,
    validation: tuple[ndarray, ...] | None = None,
    validation_score: Score | None = None,
    schedule: Schedule | None = None,
    early_stopping: EarlyStopping | None = None,
    clip_norm: float | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: Any = None,
    state: TrainingState | None = None,
) -> TrainingResult:
    """Train a network on rows that are read block by block and need not fit into memory.

    In each epoch, the blocks are read in a random order. Several blocks form a window,
    and the rows of a window are shuffled. The next window is read while the network is
    trained on the current window. If one window contains all rows, the result is
    bit-identical to `train` with ``training_loss="running"``. The result depends only
    on the rows, the block sizes, the window and the seed.

    Parameters
    ----------
    network : Network
        The network. The compiled engine must support all parts of the network.
    theta : ndarray (P,)
        The initial parameters. This array is not changed.
    blocks : ArrayBlocks, ParquetBlocks or another object of `Blocks`
        The rows.
    optimizer : Optimizer
        The optimizer.
    epochs : int, default 1
        The number of passes over the rows.
    batch_size : int, default 256
        The number of rows in a step. A batch may contain rows of two windows. The last
        batch of an epoch may be smaller.
    window : int, default 1048576
        The maximum number of rows in a window. Two windows and a block are in memory at
        a time. Larger windows shuffle the rows better. A window should contain at least
        16 blocks.
    shuffle : bool, default True
        Whether to shuffle blocks and rows before each epoch.
    seed : int, default 0
        The random seed of the row order and of the dropout masks.
    validation : tuple (X, T) or (X, T, sample_weight), optional
        Validation rows in memory. Their loss is measured before the first epoch and
        after each epoch.
    validation_score : str, optional
        A score to measure on the validation rows in addition to their loss, see
        `train`.
    schedule, early_stopping, clip_norm
        See `train`.
    callbacks : sequence of callable
        Functions that are called with the `TrainingState` after each window; see
        `train`. At the end of an epoch, ``under_way`` is empty.
    checkpoint : Checkpoint, optional
        The file for the training state, which is saved between windows. If the process
        is killed, the same call resumes from this file.
    state : TrainingState, optional
        ``result.state`` of an earlier call, to continue from. The state may come from
        the middle of an epoch.

    Returns
    -------
    TrainingResult
        The trained theta, the history, the state, and the reason why training ended.
        After Ctrl-C, `train_blocks` returns the result of the last complete window. If
        you continue from this result, the outcome is bit-identical to an uninterrupted
        run.

    Raises
    ------
    DivergenceError
        If a loss or gradient is not finite. The attribute ``result`` of the error
        contains the parameters before the window.
    ValueError, TypeError
        If an argument is out of range or does not fit the network, or if a block is
        invalid.
    MemoryError
        If two windows and a block do not fit into the available memory.

    Notes
    -----
    The memory use of the windows is logged to the logger "vecprop" before training
    starts. A warning is issued if the rows are poorly shuffled, because windows have
    few blocks or because the rows are sorted by their targets.

    Examples
    --------
    >>> network = Network(1, [Dense(1)], SquaredError())
    >>> X = np.random.default_rng(0).uniform(-1, 1, (4000, 1))
    >>> blocks = ArrayBlocks(X, 3 * X + 1, rows=50)
    >>> result = train_blocks(network, np.zeros(2), blocks, optimizer=Momentum(0.1), epochs=20, window=1000)
    >>> result.theta.round(3)
    array([3., 1.])
    >>> len(result.history.loss)
    20
    """
    if isinstance(optimizer, LBFGS):
        raise ValueError(
            "LBFGS uses all rows in each step: use a mini-batch optimizer for blocks,"
            " such as Adam()."
        )
    theta = checked_theta(network, theta)
    settings = TrainingSettings(
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_score=validation_score,
        training_loss="running",
        schedule=schedule,
        early_stopping=early_stopping,
        clip_norm=clip_norm,
        engine="compiled",
    )
    settings.check(network, theta, validation is not None)
    check_callbacks(callbacks, state, checkpoint)
    _check_window(window, batch_size)
    engine_for(
        network, theta, (), optimizer, settings.engine, score=settings.validation_score
    )
    source = BlockRows(network, theta, settings, blocks, int(window))
    if validation is not None:
        source.validation_batch = checked_validation(
            network, theta, validation, settings
        )
    if checkpoint is not None:
        source.identity["rows"] = digest_of(blocks)
    return train_on(
        source,
        network,
        settings,
        callbacks=callbacks,
        state=state,
        checkpoint=checkpoint,
    )


class BlockRows(RowSource):
    """Rows that are read block by block, for one run."""

    def __init__(
        self,
        network: Network,
        theta: ndarray,
        settings: TrainingSettings,
        blocks: Blocks,
        window: int,
    ):
        """Check the blocks, and divide them into windows."""
        self.blocks = CheckedBlocks(network, theta, blocks)
        self.theta = np.array(theta)
        self.rows = self.blocks.rows
        self.batch_size = settings.plan(self.rows).batch_size
        self.reader = Windows(
            self.blocks.sizes,
            self.blocks.read,
            window=window,
            shuffle=bool(settings.shuffle) and self.batch_size < self.rows,
            seed=int(settings.seed),
            room=self.batch_size,
            prefetch=getattr(blocks, "prefetch", None),
        )
        self.identity = self.reader.identity()

    def steps(self, run: Run) -> WindowSteps:
        """Find the first window, and check the memory that windows need."""
        self.first = self._first_window(run.state)
        self._announce()
        return WindowSteps(run)

    def windows(self, runs: Sequence[Run]) -> Generator[list[Window | None]]:
        """Yield the windows, from the first one of the current epoch, until the run has ended."""
        (run,) = runs
        epochs = range(run.state.epoch, run.state.epochs)
        with closing(self.reader.passes(epochs, self.first)) as passes:
            for window in passes:
                if not run.steps.has_taken(window):
                    self.blocks.warn_if_sorted(self.reader)
                yield [window]
                if run.result is not None:
                    return
        yield [None]  # without epochs, only validation losses are measured

    def _first_window(self, state: TrainingState) -> int:
        """Return the index of the window to start from in the current epoch.

        The last rows before the state may not fill a batch. They are read again, from
        the window that contains the first of them.
        """
        progress = state.under_way
        if not progress:
            return 0
        sizes = []
        for blocks in self.reader.of_epoch(state.epoch):
            sizes.append(int(self.reader.sizes[blocks].sum()))
        window = progress["windows"]
        rows = progress["rows"]
        if sum(sizes[:window]) != rows:
            raise ValueError(
                "The state comes from the middle of an epoch of other windows: pass the"
                " same blocks."
            )
        rows_to_read = rows % self.batch_size
        while rows_to_read > 0:
            window -= 1
            rows_to_read -= sizes[window]
        return window

    def _announce(self):
        """Log the memory use, raise MemoryError if it is too large, and warn if windows have few blocks."""
        windows = self.reader
        window_count = len(windows.of_epoch(0))
        windows_in_memory = min(window_count, 2)  # one is read while another is used
        needed = self._bytes_of(windows_in_memory)
        subject = "one window" if windows_in_memory == 1 else "two windows"
        memory_use = (
            f"{subject} of {windows.window:,} rows x {self.blocks.network.inputs} inputs"
            f" and a block take {needed / 1e6:,.0f} MB"
        )
        available = available_memory()
        if available is not None and needed > available:
            raise MemoryError(
                f"{memory_use}, but only {available / 1e6:,.0f} MB are available: use a"
                " smaller window."
            )
        logging.getLogger("vecprop").info("%s.", memory_use)
        block_count = len(windows.sizes)
        has_few_blocks = block_count < FEW_BLOCKS * window_count
        if windows.shuffle and window_count > 1 and has_few_blocks:
            blocks_per_window = floor(10 * block_count / window_count) / 10
            warnings.warn(
                f"A window has only {blocks_per_window:g} blocks, so that rows are poorly shuffled:"
                f" with at least {FEW_BLOCKS}, the order on disk does not matter. Use a"
                f" larger window or smaller blocks; {CURE}.",
                stacklevel=7,
            )

    def _bytes_of(self, window_count: int) -> int:
        """Return the bytes of some windows, of sorting a window, and of a block and its copy."""
        network = self.blocks.network
        numbers = network.inputs + network.outputs + 1  # X, T, weight
        data_bytes = self.theta.itemsize * numbers
        index_bytes = 16  # the number and the position of a row
        sort_bytes = 24  # keys and positions
        row_bytes = window_count * (data_bytes + index_bytes) + sort_bytes
        window_rows = self.reader.window + self.batch_size
        block_rows = int(self.reader.sizes.max())
        return window_rows * row_bytes + 2 * block_rows * data_bytes


def _check_window(window, batch_size: int | None):
    """Raise an error unless a window has at least the rows of a batch."""
    if batch_size is None:
        raise TypeError("batch_size must be an integer, got None.")
    if not isinstance(window, int | np.integer) or window < batch_size:
        raise ValueError(
            f"window must be an integer of at least batch_size={batch_size} rows, got"
            f" {window!r}."
        )

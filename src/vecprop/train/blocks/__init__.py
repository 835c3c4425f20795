"""Training on rows that are larger than memory: `train_blocks`."""

import logging
import warnings
from collections.abc import Sequence
from contextlib import closing, nullcontext
from typing import Any

import numpy as np

from ...core import Batch, Network, Score, checked_theta
from ...optimize import LBFGS, EarlyStopping, Optimizer, Schedule, TrainingSettings
from ...system.memory import available_memory
from ..run import Callback, Run
from ..state import Reason, TrainingResult, TrainingState
from ..trainer import ENGINE_CLASSES, check_callbacks, checked_validation
from .sources import Blocks, digest_of
from .windows import CURE, CheckedBlocks, Windows

FEW_BLOCKS = 16
"""The least blocks of a window whose rows are mixed as well as those of all: fewer repeat the order on disk."""


def train_blocks(
    network: Network,
    theta: np.ndarray,
    blocks: Blocks,
    *,
    optimizer: Optimizer,
    epochs: int = 1,
    batch_size: int = 256,
    window: int = 2**20,
    shuffle: bool = True,
    seed: int = 0,
    validation: tuple[np.ndarray, ...] | None = None,
    validation_score: Score | None = None,
    schedule: Schedule | None = None,
    early_stopping: EarlyStopping | None = None,
    clip_norm: float | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: Any = None,
    state: TrainingState | None = None,
) -> TrainingResult:
    """Train a network on rows that are read block by block, so that they need not fit into memory.

    Blocks come in a random order, are gathered into windows, and the rows of a window in a random order; while a window
    is trained on, the next is read. If one window holds all rows, the result has the bits of `train` with
    ``training_loss="running"``. For the same rows, sizes of blocks, window and seed, bits do not depend on threads, nor
    on where the rows are read from, nor on interruptions.

    Parameters
    ----------
    network : Network
        The network, of parts that have kernels.
    theta : ndarray (P,)
        The parameters to start from; they are not changed.
    blocks : ArrayBlocks, ParquetBlocks or another object of `Blocks`
        The rows.
    optimizer : Optimizer
        The optimizer.
    epochs : int, default 1
        The number of passes over the rows.
    batch_size : int, default 256
        The number of rows of a step. Batches are cut from the whole sequence of an epoch's rows, across windows; the
        last may be smaller.
    window : int, default 1048576
        The most rows of a window; two of them are in memory, and a block. The larger, the better rows are mixed: it
        should hold 16 blocks.
    shuffle : bool, default True
        Whether each epoch takes blocks and rows in a new order; otherwise they are taken as they lie.
    seed : int, default 0
        Fixes the order of rows and the masks of dropout.
    validation : tuple (X, T) or (X, T, sample_weight), optional
        Rows in memory that are not trained on, whose loss is measured before the first epoch and after each.
    validation_score : str, optional
        The score of these rows that is measured beside their loss, see `train`.
    schedule, early_stopping, clip_norm
        See `train`.
    callbacks : sequence of callable
        Called with the `TrainingState` after each window, see `train`; at the end of an epoch its ``under_way`` is
        empty. Callbacks may end training there.
    checkpoint : Checkpoint, optional
        Keeps training in a file, after windows, from which the same call goes on if its program was killed.
    state : TrainingState, optional
        ``result.state`` of an earlier call, to continue from, also from the middle of an epoch.

    Returns
    -------
    TrainingResult
        With theta, history, state and the reason why training ended. Ctrl-C ends training between two batches and
        returns the result at the end of the last whole window, from which training continues to the bit.

    Raises
    ------
    DivergenceError
        If a loss or gradient is not finite; its ``result`` has the parameters before that window.
    ValueError, TypeError
        If an argument is out of range or does not fit the network, or a block is not as it should be.
    MemoryError
        If the machine has less memory than two windows and a block take.

    Notes
    -----
    Before the first block is trained on, the logger "vecprop" is told how much memory windows take. There is a warning
    if rows are badly mixed: if windows have few blocks, or if rows lie sorted by their targets.

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
        raise ValueError("LBFGS takes all rows in each step: blocks need an optimizer of batches, such as Adam().")
    theta = checked_theta(network, theta)
    own = (batch_size, shuffle, seed, validation_score, "running", schedule, early_stopping, clip_norm, "compiled")
    settings = TrainingSettings(optimizer, epochs, *own)
    settings.check(network, theta, validation is not None)
    check_callbacks(callbacks, state, checkpoint)
    if not isinstance(window, int | np.integer) or not batch_size <= window:
        rule = f"it is a whole number of rows, at least the {batch_size} of a batch"
        raise ValueError(f"window is {window!r}, but {rule}.")
    unsupported = ENGINE_CLASSES["compiled"].unsupported_reason(network, theta, (), optimizer, score=validation_score)
    if unsupported is not None:
        raise ValueError(
            f"Blocks are trained on by the compiled engine, which cannot train this: {unsupported.reason}."
        )
    theta = np.array(theta)
    validation_batch = None if validation is None else checked_validation(network, theta, validation, settings)
    source = CheckedBlocks(network, theta, blocks)
    rows, size = source.rows, settings.plan(source.rows).batch_size
    how: dict[str, Any] = {"window": int(window), "seed": int(seed), "room": size}
    how |= {"shuffle": bool(shuffle) and size < rows, "prefetch": getattr(blocks, "prefetch", None)}
    windows = Windows(source.sizes, source.read, **how)
    more = {} if checkpoint is None else {**windows.identity(), "rows": digest_of(blocks)}
    with nullcontext() if checkpoint is None else checkpoint.held(is_folder=False):
        run = Run(network, theta, settings, rows, callbacks, state, checkpoint, [None, validation_batch], more)
        if run.ended is not None:
            return run.ended
        first = _first_window(run.state, windows, size)
        _announce(windows, blocks.inputs, network.outputs, theta.dtype.itemsize)
        return run.train(lambda: _descend(run, validation_batch, windows, first, source))


def _descend(run: Run, validation_batch: Batch | None, windows: Windows, first: int, source: CheckedBlocks) -> Reason:
    """Move theta until the epochs are done or something ends them; return the reason."""
    from ..compiled.window_steps import WindowSteps

    state, steps, reason = run.state, None, None
    done = state.epoch, state.under_way.get("windows", 0)
    with closing(windows.passes(range(state.epoch, state.epochs), first)) as coming:
        for window in coming:
            if steps is None:
                steps = WindowSteps(run, window.batches[0], validation_batch)
                reason = steps.start()
            if reason is None and (window.epoch, window.number) < done:
                steps.skip(window)
            elif reason is None:
                source.warn_if_sorted(windows)
                reason = steps.take(window)
            if reason is not None:
                return reason
    if steps is None and validation_batch is not None:
        reason = WindowSteps(run, validation_batch, validation_batch).start()
    elif steps is None:
        reason = run.start(None, None, None)
    return reason or "epochs"


def _first_window(state: TrainingState, windows: Windows, batch_size: int) -> int:
    """Return the window of the epoch to begin with: the first whose rows are not in a batch that is done."""
    way = state.under_way
    if not way:
        return 0
    sizes = [int(windows.sizes[blocks].sum()) for blocks in windows.of_epoch(state.epoch)]
    if sum(sizes[: way["windows"]]) != way["rows"]:
        raise ValueError("The state comes from the middle of an epoch of other windows: continue with the same blocks.")
    first, left = way["windows"], way["rows"] % batch_size
    while left > 0:
        first -= 1
        left -= sizes[first]
    return first


def _announce(windows: Windows, inputs: int, outputs: int, itemsize: int) -> None:
    """Tell how much memory is taken, refuse what the machine does not have, and warn of few blocks."""
    count, row, block = len(windows.of_epoch(0)), itemsize * (inputs + outputs + 1), int(windows.sizes.max())
    what, several = ("one window", 1) if count == 1 else ("two windows", 2)
    numbers_and_order, keys_and_places = 16, 24  # bytes
    places = windows.window + windows.room
    needed = places * (several * (row + numbers_and_order) + keys_and_places) + 2 * block * row
    what = f"{what} of {windows.window:,} rows x {inputs} inputs and a block take {needed / 1e6:,.0f} MB"
    available = available_memory()
    if available is not None and needed > available:
        raise MemoryError(f"{what}, but this process can have {available / 1e6:,.0f} MB: give a smaller window.")
    logging.getLogger("vecprop").info("%s.", what)
    if windows.shuffle and count > 1 and len(windows.sizes) < FEW_BLOCKS * count:
        blocks = f"A window has {len(windows.sizes) / count:.2g} blocks, whose rows are mixed"
        needed = f"with at least {FEW_BLOCKS} the order on disk does not matter"
        warnings.warn(f"{blocks}: {needed}. Give a larger window, or smaller blocks; {CURE}.", stacklevel=3)

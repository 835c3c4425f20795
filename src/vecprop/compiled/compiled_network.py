"""Losses, gradients and predictions of a network, computed by kernels."""

import ctypes
import math
import os
import threading
from functools import partial
from typing import Any

import numpy as np
from numpy import ndarray

from ..core import (
    Array,
    Batch,
    Identity,
    Network,
    RandomKey,
    Selection,
    checked_rows,
    checked_theta,
    is_converted_as_read,
)
from ..optimize import Momentum, Plan
from ..system import threads
from ..system.suggestions import SuggestsNames
from .fits import Epochs, batch_fields
from .jit.fit_record import OFFSETS, address_of_array, as_word
from .lower.callbacks import run_with_callbacks
from .lower.loops import map_address
from .program import program_of, require_kernels
from .run.tiles import gradient_address, predict_address

_WORD = ctypes.c_int64
_GRADIENT = ctypes.CFUNCTYPE(
    ctypes.c_double, *[_WORD] * 5, ctypes.c_double, _WORD, _WORD
)

THREADED = 20_000_000
"""The minimum number of operations of a call that uses several threads; waking them
takes about 0.1 ms.
"""

LONG = 10**9
"""Ctrl-C does not wait for losses with more operations. They take at least some
hundredths of a second.
"""


class BatchLoss:
    """The loss of one batch as a function of the parameters, for one network."""

    def __init__(
        self, network: Network, F: type, batch: Batch, noise: RandomKey | None = None
    ):
        """Prepare kernels of type F for a network and a batch, with the noise of a training step if it is given."""
        self.network = network
        self.F = F
        self.batch = batch
        program = program_of(network, F)
        N = batch.rows
        operations = N * program.operations
        self.uses_blas = program.uses_blas
        self.is_long = operations > LONG
        self.rows = np.arange(N)
        self.shards = program.shards(N)
        self.workers = 1
        if operations > THREADED:
            self.workers = min(threads.usable_threads(), self.shards)
        self.scale = 1.0
        if network.reduction == "mean":
            weights = batch.weight
            self.scale = 1 / float(N if weights is None else weights.sum(dtype=float))
        self.context = program.training_context(self.workers)
        self.context.clear("tile_contents")
        self.context.set(all_rows=self.rows, training=batch_fields(batch, F))
        self.step = -1  # without noise
        if noise:
            self.step = noise.step
            self.context.set(seed=as_word(noise.seed))
        self.gradient_of_rows = _GRADIENT(gradient_address(F))
        if program.calls_python:
            self.gradient_of_rows = partial(
                run_with_callbacks, self.gradient_of_rows, None
            )

    def loss(self, theta: ndarray) -> ndarray:
        """Return the loss."""
        return self.F(self.evaluate(theta, np.empty(0, self.F)))

    def loss_and_gradient(self, theta: ndarray) -> tuple[ndarray, ndarray]:
        """Return the loss and its gradient, (P,)."""
        gradient = np.empty(theta.size, self.F)
        return self.F(self.evaluate(theta, gradient)), gradient

    def evaluate(self, theta: ndarray, gradient: ndarray) -> float:
        """Return the loss, and write its gradient to a nonempty array. The number of threads does not affect bits."""
        gradients = np.empty((self.shards, gradient.size), self.F)
        losses = np.empty(self.shards)
        self.context.set(theta=theta)
        work = partial(self._compute_shards, losses, gradients)
        in_parallel = partial(threads.run_in_parallel, work, self.workers)
        all_work = partial(
            threads.with_single_threaded_blas, in_parallel, self.uses_blas
        )
        if self.is_long:
            threads.run_in_thread(all_work)  # Ctrl-C does not wait for the result
            threads.check_cancelled()
        else:
            threads.defer_sigint(lambda received: all_work())
        if gradient.size:
            gradient[...] = gradients[0]
            for shard_gradient in gradients[1:]:
                gradient += shard_gradient
            self.network._add_penalty_gradient(theta, gradient, self.batch)
        return float(sum(losses) + self.network._penalty(theta, self.batch))

    def _compute_shards(self, losses: ndarray, gradients: ndarray, worker: int):
        """Compute the losses and gradients of a worker's shards of rows; see `tiles.gradient_of_rows`."""
        is_validation = 0
        for shard in range(worker, self.shards, self.workers):
            low = shard * len(self.rows) // self.shards
            high = (shard + 1) * len(self.rows) // self.shards
            losses[shard] = self.gradient_of_rows(
                self.context.address,
                worker,
                is_validation,
                self.rows[low:high].ctypes.data,
                high - low,
                self.scale,
                self.step,
                gradients[shard].ctypes.data if gradients.size else 0,
            )


_OPTIMIZER = Momentum(learning_rate=1.0, momentum=0.0)
"""Its moment is -J after the first step."""


def gradient_of_a_step(
    network: Network, theta: ndarray, batch: Batch, noise: RandomKey | None = None
) -> tuple[Any, ndarray]:
    """Return the loss and the unclipped gradient of a training step on a full batch, bit-identical to a fit.

    A training step splits wide layers between threads, sums shards and adds penalties
    block by block, unlike `BatchLoss`. The gradient J is read from the optimizer's
    moment, which equals -J with momentum 0 and learning rate
    1. The sign of -0 is lost.
    """
    moment = np.zeros_like(theta)
    seed = step = 0
    if noise:
        seed = int(noise.seed)
        step = noise.step
    # equals the step's loss
    plan = Plan(batch.rows, shuffle=False, seed=seed, clip_norm=None, running=True)
    epochs = Epochs(
        network,
        np.array(theta),
        batch,
        validation_batch=None,
        optimizer=_OPTIMIZER,
        moments=[moment],
        last_finite=np.array(theta),
        plan=plan,
    )
    epochs.context.set(noisy=network._random and noise is not None)
    threads.defer_sigint(
        lambda received: epochs.run(
            count=1, first_epoch=0, first_step=step, steps_before=0, rates=np.ones(1)
        )
    )
    record = epochs.context.record[0]
    # The recorded loss is this sum, but no loss is recorded if the gradient is not
    # finite.
    losses = _doubles_at(record["partial_losses"], record["shards"])
    penalties = _doubles_at(record["penalties"], record["block_count"])
    return theta.dtype.type(sum(losses) + sum(penalties)), 0 - moment


def _doubles_at(address, count):
    return (ctypes.c_double * int(count)).from_address(int(address))


_PREDICT = ctypes.CFUNCTYPE(None, _WORD, _WORD, _WORD)

AT_ONCE = 10**8
"""The approximate number of operations per prediction call: some milliseconds, about
1,000 times the call overhead.
"""


def compile(network: Network) -> "CompiledNetwork":
    """Compile a network's loss, gradient and predictions to machine code.

    Parameters
    ----------
    network : Network
        A network of built-in parts and custom formulas. A custom formula is a frozen
        dataclass with numeric fields, derived from `Activation` or `ElementwiseLoss`.
        Its methods consist of assignments and a return, and may use + - * / **,
        comparisons, functions of their module, and elementary functions of NumPy and
        ``scipy.special``.

    Returns
    -------
    CompiledNetwork
        An object with ``loss``, ``loss_and_gradient`` and ``predict``. The results
        agree with the network up to rounding.

    Raises
    ------
    ValueError
        If a part cannot be compiled. The message contains the reason.
    TypeError
        If network is not a `Network`.

    Examples
    --------
    >>> network = Network(2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy())
    >>> theta, X, t = network.init(seed=0), np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
    >>> loss, gradient = compile(network).loss_and_gradient(theta, X, t)
    >>> bool(np.allclose(gradient, network.loss_and_gradient(theta, X, t)[1]))
    True
    """
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, got {type(network).__name__}.")
    for F in (np.float64, np.float32):
        require_kernels(network, F)
    return CompiledNetwork(network)


class CompiledNetwork(SuggestsNames):
    """A network compiled to machine code; see `compile`. Arguments, results and errors are the same as in `Network`.

    Kernels compute in float32 or float64 on NumPy arrays. For other types, and for
    noise with row indices, the reference formulas are used. The methods are
    thread-safe.

    Parameters
    ----------
    network : Network
        The network.

    Examples
    --------
    >>> network = Network(2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy())
    >>> theta, X = network.init(seed=0), np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> compiled = compile(network)
    >>> bool(np.allclose(compiled.predict(theta, X), network.predict(theta, X)))
    True
    """

    def __init__(self, network: Network):
        self.network = network

    def loss(
        self,
        theta: Array,
        X: Array,
        T: Array,
        sample_weight: Array | None = None,
        noise: RandomKey | int | None = None,
    ) -> Array:
        """Return the loss, (*M,); see `Network.loss`."""
        theta = checked_theta(self.network, theta)
        return self._batch_loss(
            theta, self.network._batch(theta, X, T, sample_weight), RandomKey._of(noise)
        )

    def loss_and_gradient(
        self,
        theta: Array,
        X: Array,
        T: Array,
        sample_weight: Array | None = None,
        noise: RandomKey | int | None = None,
    ) -> tuple[Array, Array]:
        """Return the loss, (*M,), and its gradient, (*M, P); see `Network.loss_and_gradient`."""
        theta = checked_theta(self.network, theta)
        return self._batch_loss_and_gradient(
            theta, self.network._batch(theta, X, T, sample_weight), RandomKey._of(noise)
        )

    def predict(self, theta: Array, X: Array) -> Array:
        """Return the predictions, (*M, N, O); see `Network.predict`."""
        theta = checked_theta(self.network, theta)
        if (
            _has_kernels(theta)
            and theta.ndim == 1
            and is_converted_as_read(X, theta.dtype)
        ):
            return Predictor(self.network, theta)(X)
        X = checked_rows(self.network, theta, X)
        if not _has_kernels(theta, X):
            return self.network.predict(theta, X)
        members = np.broadcast_shapes(theta.shape[:-1], X.shape[:-2])
        thetas = _by_member(theta, members, axes=1)
        rows = _by_member(X, members, axes=2)
        Y = np.empty((*members, X.shape[-2], self.network.outputs), theta.dtype)
        for member in np.ndindex(members):
            Y[member] = Predictor(self.network, np.array(thetas[member]))(rows[member])
        return Y

    def predictor(self, theta: Array, copy: bool = True) -> "Predictor":
        """Return a fast function that predicts rows.

        Parameters
        ----------
        theta : ndarray (P,)
            The parameters of one network.
        copy : bool, default True
            Whether to copy the parameters. Without a copy, the predictor sees later
            changes to a contiguous theta.
        """
        theta = checked_theta(self.network, theta)
        if theta.ndim > 1 or not _has_kernels(theta):
            raise ValueError(
                f"theta must have shape (P,) in float32 or float64, got {theta.shape}"
                f" in {theta.dtype}."
            )
        return Predictor(
            self.network, np.array(theta) if copy else np.ascontiguousarray(theta)
        )

    def _batch_loss(
        self, theta: Array, batch: Batch, noise: RandomKey | None = None
    ) -> Array:
        """Return the loss on a checked batch; see `Network._batch_loss`."""
        if not _has_kernels(theta, batch.X, noise=noise):
            return self.network._batch_loss(theta, batch, noise)
        return self._each_member(theta, batch, noise, with_gradient=False)[0]

    def _batch_loss_and_gradient(
        self, theta: Array, batch: Batch, noise: RandomKey | None = None
    ) -> tuple[Array, Array]:
        """Return the loss and gradient on a checked batch; see `Network._batch_loss_and_gradient`."""
        if not _has_kernels(theta, batch.X, noise=noise):
            return self.network._batch_loss_and_gradient(theta, batch, noise)
        return self._each_member(theta, batch, noise, with_gradient=True)

    def _each_member(
        self,
        theta: ndarray,
        batch: Batch,
        noise: RandomKey | None,
        with_gradient: bool,
    ) -> tuple[ndarray, ndarray]:
        """Return the loss and gradient of each member, computed sequentially."""
        members = np.broadcast_shapes(theta.shape[:-1], batch.members)
        thetas = _by_member(theta, members, axes=1)
        X = _by_member(batch.X, members, axes=2)
        T = _by_member(batch.T, members, axes=1 if batch.of_classes else 2)
        weights = None
        if batch.weight is not None:
            weights = _by_member(batch.weight, members, axes=1)
        loss = np.empty(members, theta.dtype)
        size = theta.shape[-1] if with_gradient else 0
        gradient = np.empty((*members, size), theta.dtype)
        for member in np.ndindex(members):
            weight = None if weights is None else weights[member]
            member_batch = Batch(X[member], T[member], weight)
            batch_loss = BatchLoss(self.network, theta.dtype.type, member_batch, noise)
            member_theta = np.ascontiguousarray(thetas[member])
            loss[member] = batch_loss.evaluate(member_theta, gradient[member])
        return loss[()], gradient


def _by_member(array: Array, members: tuple[int, ...], axes: int) -> Array:
    """Broadcast an array, whose last axes belong to a member, to all members."""
    return np.broadcast_to(array, members + array.shape[-axes:])


class Predictor:
    """Predict rows with fixed parameters; see `CompiledNetwork.predictor`."""

    def __init__(self, network: Network, theta: ndarray):
        """Prepare the kernels for contiguous parameters, which are not copied."""
        self.network = network
        self._theta = theta
        self._type = theta.dtype
        program = program_of(network, theta.dtype.type)
        self._context = program.context(workers=1)
        self._uses_blas = program.uses_blas
        self._tile = program.tile
        self._loss = None
        link = program.link
        if program.called_loss is not None:  # it is called for all rows at once
            self._loss = network.loss_function
            link = map_address(Identity(), program.F)
        self._context.set(link=link, theta=self._theta)
        self._predict = _PREDICT(predict_address(program.F))
        if program.calls_python:
            self._predict = partial(run_with_callbacks, self._predict, None)
        # the rows of a call: whole tiles, with about AT_ONCE operations
        tiles = AT_ONCE // (program.tile * program.operations) + 1
        self._at_once = program.tile * tiles
        self._numbers = np.arange(1)
        self._guard = threading.Lock()
        self._process = os.getpid()

    def __reduce__(self) -> tuple[type, tuple[Network, ndarray]]:
        """Pickle the network and the parameters, because machine code belongs to this process."""
        return type(self), (self.network, self._theta)

    def __call__(self, X: Array) -> ndarray:
        """Return the predictions, (N, O), of rows X, (N, I). A large X of another dtype is converted in chunks."""
        if is_converted_as_read(X, self._type):
            return self._by_parts(np.asarray(X))
        if (
            type(X) is not ndarray
            or X.dtype != self._type
            or X.ndim != 2
            or not X.flags.c_contiguous
            or not len(X)
        ):
            X = np.ascontiguousarray(checked_rows(self.network, self._theta, X))
            if X.ndim != 2 or X.dtype != self._type:
                raise ValueError(
                    f"X has shape {X.shape} and dtype {X.dtype}, but a predictor takes"
                    f" real rows of shape (N, {self.network.inputs}): use predict."
                )
        if X.shape[1] != self.network.inputs:
            checked_rows(self.network, self._theta, X)
        # after a fork, a thread of the parent may still hold the lock
        if self._process != os.getpid():
            self._guard = threading.Lock()
            self._process = os.getpid()
        N = len(X)
        words = self._context.words
        Y = np.empty((N, self.network.outputs), self._type)
        with self._guard:
            if len(self._numbers) < N:
                self._numbers = np.arange(N)
            words[_X] = address_of_array(X)
            words[_PREDICTIONS] = address_of_array(Y)
            words[_DATA_ROWS] = words[_ROWS] = N
            if self._uses_blas:
                rows = self._numbers[:1] if N == 1 else whole_tiles(N, self._tile)
                threads.with_single_threaded_blas(lambda: self._predict_rows(rows))
            elif self._at_once < N:
                self._predict_rows(self._numbers[:N])
            else:
                self._predict(self._context.address, address_of_array(self._numbers), N)
        if not math.isfinite(np.vdot(Y, Y)):
            checked_rows(self.network, self._theta, X)  # the error names the row
        return Y if self._loss is None else self._loss.predict(Y)

    def _by_parts(self, X: ndarray) -> ndarray:
        """Convert the rows in chunks, and return their predictions."""
        predictions = []
        try:
            for part in Selection(X).parts():
                predictions.append(self(np.ascontiguousarray(part, self._type)))
            return np.concatenate(predictions)
        except ValueError:
            # the error has the index among all rows
            Batch(X, None, converted=self._type).require_finite_inputs()
            raise

    def _predict_rows(self, rows: ndarray):
        """Predict the rows with these indices in several calls, so that Python can handle signals in between.

        Each call starts at a multiple of the tile size and has at least two rows, so
        that the predictions are bit-identical to a single call.
        """
        first = address_of_array(rows)
        N = len(rows)
        while N:
            n = self._at_once if self._at_once + 1 < N else N
            self._predict(self._context.address, first, n)
            first = first + 8 * n
            N = N - n


def whole_tiles(N: int, tile: int) -> ndarray:
    """Return the indices of N rows, padded with the last index to a multiple of the tile size.

    BLAS uses different kernels for small products, with different rounding. Without
    padding, a prediction would depend on the number of rows.
    """
    return np.minimum(np.arange(-(-N // tile) * tile), N - 1)


_X = OFFSETS["training"]["x"]
_PREDICTIONS = OFFSETS["predictions"]
_DATA_ROWS = OFFSETS["training"]["data_rows"]
_ROWS = OFFSETS["training"]["rows"]


def _has_kernels(theta: Array, *arrays: Array, noise: RandomKey | None = None) -> bool:
    """Return whether the kernels support these arguments."""
    has_seed = noise is None or isinstance(noise.seed, int)
    if not has_seed or (noise is not None and noise.rows is not None):
        return False
    for array in (theta, *arrays):
        if not isinstance(array, ndarray) or array.dtype != theta.dtype:
            return False
    return theta.dtype in (np.float32, np.float64)

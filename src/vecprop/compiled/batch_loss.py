"""The loss and gradient of one batch by the kernels, at any parameters."""

import ctypes
from typing import Any

import numpy as np

from ..core.counter_rng import RandomKey
from ..core.inputs import Batch
from ..core.network import Network
from ..system.threads import holding_back_interrupts, run_together, usable_threads, with_single_threaded_blas
from .jit.fit_record import as_word
from .program import batch_fields, program_of
from .run.tiles import gradient_address

_WORD = ctypes.c_int64
_ROWS = ctypes.CFUNCTYPE(ctypes.c_double, _WORD, _WORD, _WORD, _WORD, _WORD, ctypes.c_double, _WORD, _WORD)

THREADED = 20_000_000
"""The operations above which a call uses several threads: waking them takes about a tenth of a millisecond."""


class BatchLoss:
    """The loss of one batch as a function of the parameters, for one network."""

    def __init__(self, network: Network, F: type, batch: Batch, noise: RandomKey | None = None) -> None:
        self.network, self.F, self.batch = network, F, batch
        self.step = noise.step if noise else -1
        program, N = program_of(network, F), batch.rows
        self.shards = program.shards(N)
        self.workers = min(usable_threads(), self.shards) if N * program.operations > THREADED else 1
        self.uses_blas = program.uses_blas
        self.rows, self.cuts = np.arange(N), [shard * N // self.shards for shard in range(self.shards + 1)]
        self.scale = 1.0
        if network.reduction == "mean":
            self.scale = 1 / float(N if batch.weight is None else batch.weight.sum(dtype=float))
        self.context = program.training_context(self.workers)
        self.context.clear("tile_contents")
        self.context.set(all_rows=self.rows, seed=as_word(noise.seed if noise else 0), training=batch_fields(batch, F))
        self.gradient_of_rows = _ROWS(gradient_address(F))

    def loss(self, theta: np.ndarray) -> np.ndarray:
        """Return the loss."""
        return self.F(self.evaluate(theta, np.empty(0, self.F)))

    def loss_and_gradient(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss and its gradient, (P,)."""
        gradient = np.empty(theta.size, self.F)
        return self.F(self.evaluate(theta, gradient)), gradient

    def evaluate(self, theta: np.ndarray, gradient: np.ndarray) -> float:
        """Return the loss, and write its gradient unless that is empty. The bits do not depend on the threads."""
        gradients, partial = np.empty((self.shards, gradient.size), self.F), np.empty(self.shards)
        self.context.set(theta=theta)

        def work(worker: int) -> None:
            for shard in range(worker, self.shards, self.workers):
                some, own = self.rows[self.cuts[shard] : self.cuts[shard + 1]], gradients[shard]
                partial[shard] = self.gradient_of_rows(
                    self.context.address,
                    worker,
                    0,
                    some.ctypes.data,
                    some.size,
                    self.scale,
                    self.step,
                    own.ctypes.data if gradient.size else 0,
                )

        def all_work(received: list[Any]) -> None:
            with_single_threaded_blas(lambda: run_together(work, self.workers), self.uses_blas)

        holding_back_interrupts(all_work)
        if gradient.size:
            gradient[...] = gradients[0]
            for own in gradients[1:]:
                gradient += own
            self.network.add_penalty_gradient(theta, gradient, self.batch)
        return float(sum(partial) + self.network.penalty(theta, self.batch))

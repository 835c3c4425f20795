"""Encode a network as a table for the kernels, and choose the sizes of its tiles and shards."""

from functools import lru_cache, partial
from typing import Any

import numpy as np

from .. import catalog
from ..core import (
    Activation,
    Add,
    Branch,
    Concatenate,
    Dense,
    Dropout,
    ElementwiseLoss,
    LayerNorm,
    Network,
    Select,
    SparseDense,
)
from .gemm.packed import packing_size
from .jit import trial
from .jit.fit_record import Context
from .lower import loops
from .lower.callbacks import CalledLayer, CalledLoss, CalledPenalties, address
from .lower.formulas import H_SIZE, hyperparameters, of_formulas
from .lower.own_parts import reason_against, reason_against_calls
from .lower.row_loops import LOOPS
from .run.batches import batch_address, split_addresses
from .run.dense import SPARSE_ROW_WORDS, Algorithm, dense_addresses, product_address
from .run.epochs import epochs_address
from .run.joints import joint_addresses
from .run.parallelism import (
    QUARTERS,
    SplitLayer,
    WeightSplit,
    algorithm_of,
    blocks_of,
    quarters_address,
    split_of,
    with_whole,
)
from .run.tiles import LAYER, TILE_CONTENTS, gather_of, gradient_address

JOINTS = {part.cls for part in catalog.JOINTS}

TILE = 128
LARGEST_TILE = 512
TILE_BYTES = 2**16
"""The maximum rows of a tile, the maximum for small networks, and the maximum bytes of
a small network's workspace.

The workspace of a small network then fits into the cache, and a small full batch stays
in its tile between steps.
"""

VECTOR_BYTES = 64
"""The size of the longest vectors; tiles padded to this size also suit shorter
vectors.
"""

LARGE_TILE = 256
"""The maximum rows of a tile for large products; more rows reuse each packed or
loaded weight more often.
"""

SHARD_OPERATIONS = 1_000_000
"""The minimum number of operations of a shard. These take 7 to 30 microseconds, and
a barrier takes 1 to 5.
"""

SHARD_ROWS = 64
"""The minimum number of rows of a shard; products of fewer rows are slower per row."""

MOST_SHARDS = 4
"""The maximum number of shards of a batch; each has a separate gradient, and the
gradients must be summed.
"""


def is_dense(layer) -> bool:
    """Return whether a layer is the library's dense layer. A subclass counts as a different part."""
    return type(layer) in (Dense, SparseDense)


def is_custom(part) -> bool:
    """Return whether a part does not belong to the library."""
    return not is_dense(part) and type(part) not in catalog.BY_CLASS


def without_kernel(part, F: type) -> str | None:
    """Return the reason why a part has no kernel of type F, if any."""
    if is_custom(part):
        return reason_against(part, F)
    if is_dense(part) or catalog.BY_CLASS[type(part)].kernel:
        return None
    return f"{type(part).__name__} has no kernel"


def parts_of(network: Network) -> list[tuple[Any, int]]:
    """Return the layers with their numbers of inputs, and the loss and the penalties with the number of outputs."""
    widths = (network.inputs, *network.widths)
    parts = list(zip(network.layers, widths, strict=False))
    for part in (network.loss_function, *network.penalties):
        parts.append((part, network.outputs))
    return parts


def called_formulas(network: Network, F: type) -> list[str]:
    """Return the reasons why formulas of the network's activations and losses are called in Python."""
    reasons = []
    for part, _ in parts_of(network):
        if isinstance(part, Activation | ElementwiseLoss):
            reason = without_kernel(part, F)
            if reason and reason not in reasons:
                reasons.append(reason)
    return reasons


def unsupported(
    network: Network, F: type, optimizer=None, score: str | None = None
) -> str | None:
    """Return the reason why compiled loops cannot train these parts in type F, if any.

    They call the formulas of custom layers, losses and penalties that have no kernels.
    """
    for part, width in parts_of(network):
        reason = without_kernel(part, F)
        if reason and is_custom(part):
            reason = reason_against_calls(part, width)
        if reason:
            return reason
    if optimizer is not None and (reason := without_kernel(optimizer, F)):
        return reason
    if score is None:
        return None
    if score not in LOOPS:
        return f"the score {score!r} has no kernel"
    loss = network.loss_function
    if without_kernel(loss, F):
        predictions = loss.predict(np.zeros((1, network.outputs)))
        if predictions.shape != (1, network.outputs):
            return (
                f"{type(loss).__name__} predicts {predictions.shape[-1]} numbers, and"
                f" the score {score!r} needs {network.outputs}"
            )
    return None


_tried: dict[Any, str | None] = {}
"""The results of `failure`, by the types of the parts."""


def failure(network: Network, F: type, optimizer) -> str | None:
    """Return the reason why the network's kernels cannot be compiled, if any, as the end of a sentence."""
    parts = (*network.layers, network.loss_function, optimizer)
    key = (F, *map(type, parts))
    if key not in _tried:
        _tried[key] = trial.failure(partial(_compile, network, F, optimizer))
    return _tried[key]


def _compile(network: Network, F: type, optimizer):
    """Compile the kernels of a fit, or load them from the cache."""
    if optimizer is not None:
        epochs_address(F)
        loops.update_of(optimizer, F)
    program_of(network, F)


def require_kernels(network: Network, F: type):
    """Raise ValueError if a part of a network lacks kernels of type F."""
    reasons = [trial.missing()]
    for part, _ in parts_of(network):
        reasons.append(without_kernel(part, F))
    if reason := next(filter(None, reasons), None):
        raise ValueError(
            f"This network cannot be compiled, because {reason}: use the network"
            " itself."
        )


@of_formulas
@lru_cache(maxsize=64)
def program_of(network: Network, F: type, batch: int = 0) -> "Program":
    """Return the program of a network. Programs are immutable and cached."""
    return Program(network, F, batch)


class Program:
    """A network encoded for the kernels, for one floating-point type."""

    def __init__(self, network: Network, F: type, batch: int = 0):
        # custom formulas may have changed since the network was compiled
        if reason := trial.missing() or unsupported(network, F):
            raise ValueError(f"This network cannot be compiled, because {reason}.")
        self.network, self.F, self.batch = network, F, batch
        self.split_layers: list[SplitLayer] = []
        self.called_layers: list[CalledLayer] = []
        self.called_loss: CalledLoss | None = None
        if without_kernel(network.loss_function, F):
            self.called_loss = CalledLoss(network.loss_function, F)
        self.called_penalties: CalledPenalties | None = None
        if any(without_kernel(penalty, F) for penalty in network.penalties):
            self.called_penalties = CalledPenalties(network, F)
        self.table = np.zeros(len(network.layers), LAYER)
        self.h = np.zeros((len(network.layers), H_SIZE))
        self.table["inputs"] = (network.inputs, *network.widths[:-1])
        self.table["outputs"] = network.widths
        self.dense_sizes: list[tuple[int, int, bool]] = []
        for row, layer in zip(self.table, network.layers, strict=True):
            if is_dense(layer):
                self.dense_sizes.append(
                    (
                        int(row["inputs"]),
                        int(row["outputs"]),
                        isinstance(layer, SparseDense),
                    )
                )
        # Three products per weight, each a multiplication and an addition, and about 40
        # operations per activation.
        self.operations = 6 * sum(I * O for I, O, _ in self.dense_sizes) + 40 * sum(
            network.widths
        )
        algorithms = [
            algorithm_of(I, O, batch, is_sparse) for I, O, is_sparse in self.dense_sizes
        ]
        self.uses_blas = Algorithm.BLAS in algorithms
        self.number = np.dtype(F).itemsize
        self.by_rows = is_dense(network.layers[0]) and algorithms[0] is Algorithm.BLAS
        self.large = self.by_rows or Algorithm.PACKED in algorithms
        self.workspace_size = 0  # per row, until the number of rows of a tile is known
        self.packing_at = 0
        if Algorithm.PACKED in algorithms:
            self.packing_at = self._reserve(-(-packing_size(F) // LARGE_TILE))
        self.table["by_rows"][0] = self.by_rows
        for tensor in reversed(network.layout.tensors):
            self.table["start"][tensor.layer] = tensor.start
        self.words: list[np.ndarray] = []  # arrays that the table refers to
        for number, layer in enumerate(network.layers):
            row = self.table[number]
            if type(layer) in JOINTS:
                self._describe_joint(layer, number)
                continue
            # dense layers append ones
            row["output_at"] = self._reserve(int(row["outputs"]) + 1)
            if not (is_dense(layer) or without_kernel(layer, F)):
                self.h[number] = hyperparameters(layer)
            self._describe(layer, row)
        self.uses_blas |= bool(self.called_layers)  # NumPy uses BLAS
        self.tile = self._rows_of_tile()
        # offsets and sizes in bytes from here on
        column = self.tile * self.number
        self.workspace_size *= column
        self.table["output_at"] *= column
        self.table["extra_at"] *= column
        self.table["start"] *= self.number
        for number, layer in enumerate(network.layers):
            if isinstance(layer, Concatenate):
                self._connect_branches(number)
        self.width = max(network.inputs, *network.widths)
        self.tile_size = (network.inputs + 1) * column
        # tiles of sparse rows do not hold all columns
        if algorithms[:1] == [Algorithm.SPARSE]:
            self.width = max(network.widths)
            self.tile_size = SPARSE_ROW_WORDS * 8 * self.tile

    def _describe_dense(self, row, is_sparse: bool):
        """Set the addresses of a dense layer's kernels in the table, and reserve its memory in the workspace."""
        I = int(row["inputs"])
        O = int(row["outputs"])
        algorithm = algorithm_of(I, O, self.batch, is_sparse)
        split = split_of(I, O, self.batch, is_sparse)
        row["is_dense"] = True
        row["extra_at"] = self.packing_at
        row["split"] = split
        row["product"] = product_address(algorithm, self.F)
        row["forward"], row["backward"] = dense_addresses(algorithm, self.F)
        if algorithm is Algorithm.SPARSE:
            row["extra_at"] = self._reserve(O)
        if split is WeightSplit.INPUTS:
            row["forward"] = quarters_address(self.F)
            row["extra_at"] = self._reserve(QUARTERS * O)
        if split is not WeightSplit.NONE:
            self.split_layers.append(SplitLayer(int(row["start"]), I, O))
            forward, backward = split_addresses(split, self.F)
            row["forward_of_all"] = forward
            row["backward_of_all"] = backward

    def _describe(self, layer, row):
        """Set the addresses of a layer's kernels in its row of the table, and reserve its memory in the workspace."""
        if is_dense(layer):
            self._describe_dense(row, isinstance(layer, SparseDense))
        elif without_kernel(layer, self.F):
            called = CalledLayer(layer, int(row["inputs"]), self.F)
            self.called_layers.append(called)
            row["forward"] = address(called.forward)
            row["backward"] = address(called.backward)
        elif isinstance(layer, LayerNorm):
            row["extra_at"] = self._reserve(int(row["inputs"]) + 3)
            row["forward"], row["backward"] = loops.norm_addresses(self.F)
        elif isinstance(layer, Dropout):
            row["extra_at"] = self._reserve(int(row["inputs"]))
            row["forward"], row["backward"] = loops.drop_addresses(self.F)
        else:
            row["forward"] = loops.map_address(layer, self.F)
            row["backward"] = loops.derivative_address(layer, self.F)

    def _describe_joint(self, layer, number: int):
        """Set the addresses of a joint's kernels in the table, and reserve its memory in the workspace."""
        row = self.table[number]
        outputs = int(row["outputs"])
        source = self.network._sources[number][0]
        row["forward"], row["backward"] = joint_addresses(type(layer).__name__, self.F)
        if isinstance(layer, Branch):
            row["output_at"] = self.table["output_at"][source]
            return
        row["output_at"] = self._reserve(outputs + 1)
        if isinstance(layer, Add):
            row["extra_at"] = self.table["output_at"][source]
            return
        row["extra_at"] = self._reserve(outputs)
        if isinstance(layer, Select):
            inputs = int(row["inputs"])
            columns = [column % inputs for column in layer.columns]
            row["product"] = self._address_of_words(columns)

    def _connect_branches(self, number: int):
        """Tell a Concatenate and its Branches where to find the outputs and the deltas of the branches."""
        output_at = self.table["output_at"]
        words = []
        first_feature = 0
        for end in self.network._sources[number]:
            features = self.network.widths[end]
            words += [output_at[end] - output_at[number], features]
            if end != number - 1:
                branch = self.table[end + 1]
                branch["extra_at"] = self.table["extra_at"][number]
                is_last = end == self.network._sources[number][-2]
                branch["product"] = self._address_of_words([first_feature, is_last])
            first_feature += features
        self.table["product"][number] = self._address_of_words(words)

    def _address_of_words(self, numbers: list[int]) -> int:
        """Return the address of an array of integers, which lives as long as the program."""
        self.words.append(np.array(numbers, np.int64))
        return self.words[-1].ctypes.data

    def _reserve(self, features: int) -> int:
        """Reserve features in the workspace; return their offset for a tile of one row."""
        self.workspace_size += features
        return self.workspace_size - features

    def _rows_of_tile(self) -> int:
        """Return the maximum number of rows of a tile, given the workspace per row."""
        tile = LARGE_TILE
        if not self.large:
            tile = TILE
            row_bytes = self.workspace_size * self.number
            while tile < LARGEST_TILE and 2 * tile * row_bytes <= TILE_BYTES:
                tile *= 2
        if self.calls_per_tile:  # a call takes as long as the arithmetic of many rows
            tile = max(tile, LARGEST_TILE)
        if self.batch:  # a shard is one tile
            rows_of_shard = -(-self.batch // self.shards(self.batch))
            tile = max(tile, rows_of_shard)
        return tile

    @property
    def calls_per_tile(self) -> int:
        """The number of calls of Python formulas for each tile."""
        return 2 * len(self.called_layers) + (self.called_loss is not None)

    @property
    def calls_python(self) -> bool:
        """Whether the kernels call Python formulas; see `callbacks.run_with_callbacks`."""
        return self.calls_per_tile > 0 or self.called_penalties is not None

    def shards(self, rows: int) -> int:
        """Return the number of shards of a batch, which does not depend on the number of threads.

        The number is a power of two, so that two or four threads have equal work: with
        two threads, three shards would take as long as four.
        """
        by_operations = rows * self.operations // SHARD_OPERATIONS
        most = min(MOST_SHARDS, by_operations, rows // SHARD_ROWS)
        return 1 << max(most, 1).bit_length() - 1

    @lru_cache(maxsize=256)  # noqa: B019 (there are few programs, and they are cached anyway)
    def for_batches(self, rows: int) -> "Program":
        """Return the program for batches of this size; threads may split layers, see `parallelism`."""
        if rows * self.operations >= 2 * SHARD_OPERATIONS:
            for I, O, is_sparse in self.dense_sizes:
                if split_of(I, O, rows, is_sparse) is not WeightSplit.NONE:
                    return program_of(self.network, self.F, rows)
        return self

    def workers(self, rows: int) -> int:
        """Return the maximum number of workers for a batch with this number of rows."""
        return QUARTERS if self.split_layers else self.shards(rows)

    # Compiled kernels are cached by lru_cache. In Python 3.11, cached_property holds a
    # lock, which would stay locked in a child that is forked while another thread
    # compiles.

    @property
    @lru_cache(maxsize=256)  # noqa: B019
    def link(self) -> int:
        """The address of the loss's link function, which maps the last layer's outputs to predictions."""
        if self.called_loss is not None:
            return address(self.called_loss.link)
        return loops.link_address(self.network.loss_function, self.F)

    @lru_cache(maxsize=256)  # noqa: B019
    def _prediction_template(self) -> Context:
        """Return the template context of all predictions."""
        network = self.network
        loss_h = np.zeros(H_SIZE)
        if self.called_loss is None:
            loss_h = hyperparameters(network.loss_function)
        context = Context(
            table=self.table,
            layers=len(self.table),
            h=self.h,
            by_rows=self.by_rows,
            loss_h=loss_h,
            p=network.layout.size,
            inputs=network.inputs,
            outputs=network.outputs,
            workspace_size=self.workspace_size,
            tile_size=self.tile_size,
            tile_rows=self.tile,
        )
        context.keep_alive(self.called_layers, self.called_loss, self.called_penalties)
        if not isinstance(network.layers[0], SparseDense):
            context.set(gather=gather_of(network.inputs, self.F, self.by_rows))
        return context

    @lru_cache(maxsize=256)  # noqa: B019
    def _training_template(self) -> Context:
        """Return the template context of all losses and gradients."""
        network = self.network
        penalized = [
            t for t in network.layout.tensors if t.penalized and network.penalties
        ]
        spans = np.array([(t.start, t.start + t.size) for t in penalized], np.int64)
        strengths: dict[str, float] = dict.fromkeys(
            ("l2", "l2_averaged", "l1", "l1_averaged"), 0.0
        )
        built_in_penalties = () if self.called_penalties else network.penalties
        for penalty in built_in_penalties:
            name = type(penalty).__name__.lower()  # only L1 and L2 have kernels
            if penalty.averaged:
                name += "_averaged"
            strengths[name] += penalty.strength
        if self.called_loss is None:
            loss = loops.loss_address(network.loss_function, self.F)
        else:
            loss = address(self.called_loss.value)
        # Small tiles are padded to whole vectors, unless the padding would need masks.
        is_padded = self.tile > TILE and not (
            self.large or self.batch or network._random
        )
        context = Context(
            self._prediction_template(),
            spans=spans,
            weight_spans=len(spans),
            loss=loss,
            mean=network.reduction == "mean",
            noisy=network._random,
            row_multiple=VECTOR_BYTES // self.number if is_padded else 1,
            # the softmax loss needs three additional features
            delta_size=(self.width + 3) * self.tile * self.number,
            blocks=self.blocks,
            block_count=len(self.blocks),
            **strengths,
        )
        if self.split_layers:
            context.set(gradient_of_batch=batch_address(self.F))
        else:  # otherwise a fit may not need it
            context.set(gradient_of_rows=gradient_address(self.F))
        return context

    @property
    @lru_cache(maxsize=256)  # noqa: B019
    def blocks(self) -> np.ndarray:
        """The blocks in which gradients are summed and parameters are updated; see `parallelism.blocks_of`."""
        blocks = blocks_of(self.network.layout.size, self.split_layers)
        if self.called_penalties is None:
            return blocks
        return with_whole(blocks, self.called_penalties.spans)

    def context(self, workers: int) -> Context:
        """Return a context for predictions, with one tile of memory per worker."""
        context = Context(self._prediction_template(), workers=workers)
        context.reserve(**self._tile_memory(workers))
        return context

    def training_context(self, workers: int, **memory: int) -> Context:
        """Return a context for losses and gradients, with memory per worker or shard and for additional fields."""
        context = Context(self._training_template(), workers=workers)
        tiles = workers
        if self.split_layers:
            tiles = max(self.shards(self.batch), workers)
        rows = tiles * self.tile * self.number
        memory |= {
            "row_weights": rows,
            "row_losses": rows,
            "transposed": rows * (self.width + 3),
            "deltas": 2 * rows * (self.width + 3),
            "tile_contents": workers * TILE_CONTENTS,
            "tile_places": workers * self.tile * 8,
        }
        context.reserve(**self._tile_memory(tiles), **memory)
        return context

    def _tile_memory(self, tiles: int) -> dict[str, int]:
        return {
            "tile": tiles * self.tile_size,
            "targets": tiles * self.tile * self.number * self.network.outputs,
            "workspace": tiles * self.workspace_size,
        }

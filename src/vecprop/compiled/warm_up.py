"""Compile all kernels ahead of time, so that fits do not have to wait."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from .. import catalog
from .gemm.products import gather_address, uses_blocks
from .jit import trial
from .lower import loops
from .lower.conversion import convert_address
from .lower.row_loops import LOOPS, scale_address, score_address, shuffle_address
from .run.batches import batch_address, split_addresses
from .run.dense import Algorithm, dense_addresses, product_address, sparse_rows_address
from .run.epochs import epochs_address, members_address
from .run.joints import joint_addresses
from .run.measures import judge_address, measure_address, weigh_address
from .run.parallelism import WeightSplit, quarters_address
from .run.steps import penalize_address, sum_shards_address
from .run.tiles import gather_of, gradient_address, predict_address, store_address


def kernels() -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the name of each kernel and a function that compiles it or loads it from the cache."""
    if reason := trial.missing():
        raise RuntimeError(f"No kernels can be compiled: {reason}.")
    yield "shuffle", shuffle_address
    addresses: dict[str, Any] = {
        "gradient": gradient_address,
        "gradient of split layers": batch_address,
        "epochs": epochs_address,
        "measures": measure_address,
        "weights of rows": weigh_address,
        "penalties": penalize_address,
        "the L2 penalty": partial(penalize_address, has_l1=False),
        "predictions of validation rows": store_address,
        "sums of shards": sum_shards_address,
        "early stopping": judge_address,
        "populations": members_address,
        "gather": gather_address,
        "gather of few features": partial(gather_of, 1),
        "gather of sparse rows": sparse_rows_address,
        "Dense by quarters": quarters_address,
        "predictions": predict_address,
        "LayerNorm": loops.norm_addresses,
        "Dropout": loops.drop_addresses,
        **{
            part.cls.__name__: partial(joint_addresses, part.cls.__name__)
            for part in catalog.JOINTS
        },
        **{score: partial(score_address, score) for score in LOOPS},
    }
    for F in (np.float32, np.float64):
        name = F.__name__
        for kind, address in addresses.items():
            yield f"{name} {kind}", partial(address, F)
        algorithms = [Algorithm.LOOPS, Algorithm.BLAS, Algorithm.SPARSE]
        if uses_blocks():
            algorithms = [Algorithm.BLOCKS, Algorithm.PACKED, Algorithm.SPARSE]
        for algorithm in algorithms:
            by = f"by {algorithm.value}"
            yield f"{name} Dense {by}", partial(dense_addresses, algorithm, F)
            yield f"{name} product {by}", partial(product_address, algorithm, F)
        for split in WeightSplit:
            if split is not WeightSplit.NONE:
                yield (
                    f"{name} layers split by {split.name.lower()}",
                    partial(split_addresses, split, F),
                )
        for scaling in {F, np.float64}:
            scales = f"{name} scaling by {scaling.__name__}"
            yield f"{scales} factors", partial(scale_address, F, scaling, True)
            yield f"{scales} divisors", partial(scale_address, F, scaling, False)
        for dtype in map(np.dtype, (np.float32, np.float64, np.int64, np.uint8)):
            yield f"{name} conversion of {dtype}", partial(convert_address, F, dtype)
        for activation in catalog.compiled(catalog.ACTIVATIONS):
            yield (
                f"{name} {activation.__name__}",
                partial(loops.map_address, activation(), F),
            )
            yield (
                f"{name} derivative of {activation.__name__}",
                partial(loops.derivative_address, activation(), F),
            )
        for loss in catalog.compiled(catalog.LOSSES):
            yield f"{name} {loss.__name__}", partial(loops.loss_address, loss(), F)
            yield (
                f"{name} link of {loss.__name__}",
                partial(loops.link_address, loss(), F),
            )
        for optimizer in catalog.compiled(catalog.OPTIMIZERS):
            yield (
                f"{name} {optimizer.__name__}",
                partial(loops.update_address, optimizer(), F),
            )

"""Which engine computes and trains a network.

Set ``VECPROP_ENGINE=reference`` to step through a fit in a debugger: engines that are chosen automatically are then
plain Python.
"""

import os
import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any

from ..core.elementary import Array
from ..core.network import Network
from ..core.rows.inputs import Batch
from ..optimize.settings import NAMES, EngineName
from .engine import Engine


def engine_for(
    network: Network,
    theta: Array,
    batches: Iterable[Batch] = (),
    optimizer: Any = None,
    name: EngineName = "auto",
    *,
    score: str | None = None,
    silent: bool = False,
) -> Engine:
    """Return the fastest engine that takes a network with such parameters, rows, optimizer and score, or a named one.

    If a part of the user's own needs a slower engine, there is a notice, unless `silent` is set.
    """
    chosen = os.environ.get("VECPROP_ENGINE") or "auto"
    if chosen not in ("auto", "reference"):
        raise ValueError(f'VECPROP_ENGINE is {chosen!r}, but it is "auto" or "reference".')
    name = "reference" if name == "auto" and chosen == "reference" else name
    for own in NAMES[:-1] if name == "auto" else (name,):
        refusal = engine_class(own).refusal(network, theta, batches, optimizer, score=score)
        if refusal is None:
            return engine_class(own)(network)
        if name != "auto":
            raise ValueError(f'The {own} engine cannot train this: {refusal.reason}; use engine="auto".')
        if refusal.warns and not silent:
            warnings.warn(f"Training on the reference engine, which is slower: {refusal.reason}.", stacklevel=3)
    return engine_class(NAMES[-1])(network)


def can_compile() -> bool:
    """Return whether kernels may run here: the reference engine is not asked for, and nothing that they need misses."""
    if os.environ.get("VECPROP_ENGINE") == "reference":
        return False
    from ..compiled.program import missing

    return missing() is None


@cache
def engine_class(name: str) -> type[Engine]:
    """Return the class of the engine of this name."""
    if name == "compiled":
        from .compiled import Compiled

        return Compiled
    from .reference import Reference

    return Reference

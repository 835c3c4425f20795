"""Which engine trains: the compiled one where it can, else the reference.

Set ``VECPROP_ENGINE=reference`` to step through a fit in a debugger: all that chooses by itself is then plain Python.
"""

import os
import warnings
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

from ..core.elementary import Array
from ..core.inputs import Batch
from ..core.network import Network

Engine = Literal["auto", "compiled", "reference"]


def engine_of(engine: Engine = "auto") -> Engine:
    """Return the engine of an argument; the environment's VECPROP_ENGINE may decide in the place of "auto"."""
    chosen = os.environ.get("VECPROP_ENGINE") or "auto"
    if chosen not in ("auto", "reference"):
        raise ValueError(f'VECPROP_ENGINE is {chosen!r}, but it is "auto" or "reference".')
    return "reference" if engine == "auto" and chosen == "reference" else engine


def compiles(
    engine: Engine, network: Network, theta: Array, batch: Batch, held_out: Batch | None, optimizer: Any = None
) -> bool:
    """Return whether the compiled engine is to train; with "compiled" it has to, or the reason is raised.

    With "auto" there is one notice where a part of the user's own, or a missing Numba, leaves it to the reference.
    """
    engine = engine_of(engine)
    if engine == "reference":
        return False
    reason = _unsuitable(theta, batch, held_out, optimizer)
    notice = None if reason else _missing() or _own_part(network, optimizer)
    if engine == "compiled" and (reason or notice):
        raise ValueError(f'The compiled engine cannot train this: {reason or notice}; use engine="auto".')
    if notice:
        warnings.warn(f"Training on the reference engine, which is slower: {notice}.", stacklevel=3)
    return not (reason or notice)


def _unsuitable(theta: Array, batch: Batch, held_out: Batch | None, optimizer: Any) -> str | None:
    """Return what the compiled engine does not take, or None."""
    batches = [batch] if held_out is None else [batch, held_out]
    if not all(isinstance(array, np.ndarray) for array in (theta, *(b.X for b in batches))):
        return "it takes NumPy arrays"
    if theta.dtype not in (np.float32, np.float64):
        return f"it takes float32 and float64, not {theta.dtype}"
    several = theta.ndim > 1 or any(batch.members for batch in batches)
    if several or isinstance(getattr(optimizer, "learning_rate", None), tuple):
        return "it trains one network at a time"
    return None


@lru_cache(maxsize=1)
def _missing() -> str | None:
    return None if find_spec("numba") else "Numba is not installed (pip install numba)"


def has_kernels(network: Network, optimizer: Any) -> bool:
    """Return whether the compiled engine has all parts of a network and its optimizer, and is not turned off."""
    return engine_of() != "reference" and not (_missing() or _own_part(network, optimizer))


def _own_part(network: Network, optimizer: Any) -> str | None:
    from ..compiled.program import unsupported

    part = unsupported(network, optimizer)
    return f"{part} is not one of the library's own parts" if part else None

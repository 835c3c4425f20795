"""The inputs of rows that are kept as bytes, by the kernel that computes them in tiles."""

import ctypes

import numpy as np

from ..core.expansion import Expansion
from .jit.fit_record import address_of_array
from .lower.expansion import expand_address

EXPAND = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 11)
"""The type of the kernel, see `addresses.call_expand`."""


def expanded(expansion: Expansion, X: np.ndarray) -> np.ndarray:
    """Return the inputs of rows, (N, I) in float32, from what is kept of them, (N, bytes)."""
    X, places, columns = np.ascontiguousarray(X), np.arange(len(X)), expansion.columns
    inputs = np.empty((len(X), expansion.inputs), np.float32)
    EXPAND(expand_address(np.float32))(
        address_of_array(X),
        X.shape[1],
        address_of_array(places),
        len(X),
        columns.ctypes.data,
        len(columns),
        address_of_array(expansion.edges),
        0,
        inputs.shape[1],
        1,
        address_of_array(inputs),
    )
    return inputs

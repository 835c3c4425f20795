"""The products of a layer whose inputs are shared: those of each quarter of the inputs by themselves, then their sum.

The quarters are summed in one order, so that the bits do not depend on who computed them; see `sharing`.
"""

import numpy as np
from numba import njit

from ..jit.calls import call_product
from ..jit.options import INNER
from .sharing import QUARTERS


@njit(**INNER)
def inputs_of(quarter, I):
    """Return the first input of a quarter; after the inputs comes the one that is always 1."""
    return quarter * (I + 1) // QUARTERS


@njit(**INNER)
def multiply_quarter(product, quarter, sizes, p, A, products, one):
    """Put [W; b]ᵀ [A; 1] of a quarter's inputs behind those of the quarters before it; a number has so many bytes."""
    I, O, S = sizes
    low, high = inputs_of(quarter, I), inputs_of(quarter + 1, I)
    out = products + quarter * O * S * one
    operands = p + low * O * one, np.int64(one), O * one, A + low * S * one, S * one, out, S * one
    call_product(product, (O, S, high - low, *operands, np.int64(0)))


@njit(**INNER)
def sum_quarters(products, Z):
    """Put the sum of the quarters' products into Z."""
    n = Z.size
    for i in range(n):
        Z[i] = (products[i] + products[n + i]) + (products[2 * n + i] + products[3 * n + i])

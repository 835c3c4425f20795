"""The same networks as fused machine code: formulas of core and optimize, compiled by Numba for this processor.

The modules here are called from outside: the losses, gradients and predictions of a network (`compiled_network`), a fit
and many fits (`fits`), and all kernels compiled in advance (`warm_up`). `program` is a network as the
numbers that kernels read. Below them are four packages::

    run             the loops over layers, tiles, steps and epochs, by one thread or several
    gemm   lower    products of matrices, which know no network; formulas turned into kernels
    jit             Numba's side: options, machine code and its cache, arrays and calls by address, the record of a fit
"""

import importlib

from ..system.threads import fork_lock, run_in_thread
from ..system.versions import numba_fails

_OF_ANOTHER_NUMBA = (
    *(ImportError, NameError, AttributeError, LookupError, TypeError, ValueError),
    *(AssertionError, OSError, RuntimeError, SystemError),
)

with fork_lock:
    try:
        run_in_thread(
            lambda: importlib.import_module("numba")
        )  # which cannot be imported again after Ctrl-C in the middle

        from . import compiled_network, fits  # noqa: F401
    except _OF_ANOTHER_NUMBA as error:
        if isinstance(error, TimeoutError):  # which a signal's handler raises
            raise
        raise ImportError(numba_fails(error)) from error

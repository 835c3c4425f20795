"""The compiled engine: the formulas of core and optimize as fused machine code, compiled by Numba for this processor.

The interface consists of losses, gradients and predictions of a network
(`compiled_network`), single and multiple fits (`fits`), and ahead-of-time compilation
of all kernels (`warm_up`). `program` encodes a network as a table for kernels. Below
them are four packages::

    run             the loops over layers, tiles, steps and epochs, in one thread or several
    gemm   lower    general matrix products; translation of formulas into kernels
    jit             the Numba backend: options, machine code and its cache, arrays and calls by address, fit records
"""

import importlib

from ..system.threads import fork_lock, run_in_thread
from ..system.versions import numba_fails

_IMPORT_ERRORS = (
    ImportError,
    NameError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    AssertionError,
    OSError,
    RuntimeError,
    SystemError,
)
"""The errors that an unsupported release of Numba raises."""

with fork_lock:
    try:
        # An import of Numba that was interrupted by Ctrl-C cannot be repeated.
        run_in_thread(lambda: importlib.import_module("numba"))
        from . import compiled_network, fits  # noqa: F401
    except _IMPORT_ERRORS as error:
        if isinstance(error, TimeoutError):  # raised by a signal handler
            raise
        raise ImportError(numba_fails(error)) from error

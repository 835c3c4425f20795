"""The same networks as fused machine code: formulas of core and optimize, compiled by Numba for this processor.

The modules here are its faces: a network's losses and predictions (`network`), one batch (`evaluation`), a step
(`step`), a fit (`fit`), many fits (`population`), what kernels read of a network (`program`), and all kernels compiled
ahead (`warm_up`). Below them are four rooms::

    run             the loops over layers, tiles, steps, epochs and shards
    gemm   lower    products of matrices, which know no network; formulas turned into kernels
    jit             what Numba needs: options, machine code and where it is kept, arrays and calls by address
"""

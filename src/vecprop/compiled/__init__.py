"""The same networks as fused machine code: formulas of core and optimize, compiled by Numba for this processor."""

"""Compile formulas to kernels.

`formulas` compiles the formulas of core and optimize, with `scalar_functions` instead
of NumPy's functions. `loops` and `row_loops` apply the formulas to tiles and to rows of
data. `own_parts` decides which custom parts are compiled.
"""

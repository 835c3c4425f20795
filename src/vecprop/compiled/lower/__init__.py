"""Formulas turned into kernels.

`formulas` compiles those of core and optimize, with `scalar_functions` in place of NumPy's. `loops` and `row_loops` run
them over tiles and over rows of data. `own_parts` decides which parts of a user's own are compiled.
"""

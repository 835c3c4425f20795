"""Formulas as kernels: their source rewritten for scalars, the functions that they call, and the loops around both."""

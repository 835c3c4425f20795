"""What turns formulas into kernels: their source rewritten for scalars, elementary functions, and loops around both."""

"""Rows of a batch: validation, lazy selections and sparse matrices."""

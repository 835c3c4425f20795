"""Trace all values of a forward and backward pass."""

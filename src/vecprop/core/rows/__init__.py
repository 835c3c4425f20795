"""The rows of a batch: their checks, the choice of some of them, and sparse rows."""

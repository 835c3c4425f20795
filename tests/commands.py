"""Settings of commands that tests share."""

FAST = ("--max-iter", 2, "--ensemble", 2, "--hidden-layer-sizes", 4)

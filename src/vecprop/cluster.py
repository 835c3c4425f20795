"""Training on the machines of a cluster."""

from .system.suggestions import attach

# The names stand in cluster.pyi, and vecprop's in __init__.pyi.
__getattr__, __dir__, __all__ = attach(__name__, "vecprop", __file__)

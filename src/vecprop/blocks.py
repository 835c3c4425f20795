"""Training on blocks of rows, for data larger than memory."""

from .system.suggestions import attach

# The names stand in blocks.pyi, and vecprop's in __init__.pyi.
__getattr__, __dir__, __all__ = attach(__name__, "vecprop", __file__)

"""Base classes and helpers for custom layers, activations, losses, penalties, optimizers, schedules and callbacks."""

from .system.suggestions import attach

# The public names are listed in extend.pyi, and those of vecprop in __init__.pyi.
__getattr__, __dir__, __all__ = attach(__name__, "vecprop", __file__)

"""What your own layers, activations, losses, penalties, initializers, optimizers, schedules and callbacks build on."""

from .system.suggestions import attach

# The names stand in extend.pyi, and vecprop's in __init__.pyi.
__getattr__, __dir__, __all__ = attach(__name__, "vecprop", __file__)

"""What your own layers, activations, losses, penalties, initializers, optimizers, schedules and callbacks build on."""

import lazy_loader

# The names stand in extend.pyi, and vecprop's in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub("vecprop", __file__)

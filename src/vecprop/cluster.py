"""Training on the machines of a cluster."""

import lazy_loader

# The names stand in cluster.pyi, and vecprop's in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub("vecprop", __file__)

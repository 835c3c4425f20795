"""Train on the machines of a Dask cluster."""

from .system.suggestions import attach

# The public names are listed in cluster.pyi, and those of vecprop in __init__.pyi.
__getattr__, __dir__, __all__ = attach(__name__, "vecprop", __file__)

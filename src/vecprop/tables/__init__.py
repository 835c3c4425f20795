"""A table in, a model out: reading tables, their columns as numbers, and estimators that take them as they are."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

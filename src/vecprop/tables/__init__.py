"""A table in, a model out: reading tables, their columns as numbers, and estimators that take them as they are."""

from ..system.suggestions import attach

__getattr__, __dir__, __all__ = attach(__name__, __name__, __file__)

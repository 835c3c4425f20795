"""Tabular data: reading tables, encoding columns, and estimators that accept raw tables."""

from ..system.suggestions import attach

__getattr__, __dir__, __all__ = attach(__name__, __name__, __file__)

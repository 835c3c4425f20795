"""Figures of data, training, searches, ensembles and columns. Matplotlib is imported when a figure is drawn."""

from ..system.suggestions import attach

__getattr__, __dir__, __all__ = attach(__name__, __name__, __file__)

"""Trained networks outside of vecprop: NumPy source, ONNX, and networks of scikit-learn."""

from .system.suggestions import attach

# The names stand in export.pyi, and vecprop's in __init__.pyi.
__getattr__, __dir__, __all__ = attach(__name__, "vecprop", __file__)

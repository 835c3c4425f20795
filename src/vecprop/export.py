"""Export trained networks to NumPy source code and ONNX, and import networks from scikit-learn."""

from .system.suggestions import attach

# The public names are listed in export.pyi, and those of vecprop in __init__.pyi.
__getattr__, __dir__, __all__ = attach(__name__, "vecprop", __file__)

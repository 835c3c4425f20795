"""Trained networks outside of vecprop: NumPy source, ONNX, and networks of scikit-learn."""

import lazy_loader

# The names stand in export.pyi, and vecprop's in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub("vecprop", __file__)

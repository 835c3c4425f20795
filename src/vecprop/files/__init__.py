"""Save and load models, export them to ONNX or NumPy source, and import them from scikit-learn."""

from ..tables.error import one_line

OTHER_MODELS = frozenset(
    (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".h5", ".keras", ".onnx", ".py")
)
"""The extensions of other formats for models, which a model file may not have."""


class FileError(ValueError):
    """Raised when a model cannot be written to a file, or a file cannot be read as a model.

    Examples
    --------
    >>> issubclass(FileError, ValueError)
    True
    """

    def __init__(self, message: str = ""):
        super().__init__(one_line(message))

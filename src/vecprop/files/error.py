"""The error of everything in this folder."""


class FileError(ValueError):
    """A model cannot be written to a file, or a file cannot be read as a model.

    Examples
    --------
    >>> issubclass(FileError, ValueError)
    True
    """

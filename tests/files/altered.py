"""Helpers that modify model files, and check that they are rejected."""

import pytest

from vecprop import FileError, load, save
from vecprop.files.model_file import container


def rewritten(model, path, change=lambda document, arrays: None):
    """Write a file with a modified document and arrays, and valid checksums."""
    save(model, path)
    document, arrays = container.read(path)
    change(document, arrays)
    container.write(
        path, {name: document[name] for name in document if name != "arrays"}, arrays
    )


def refused(path, message):
    """Assert that loading a file raises an error that matches; return the message."""
    with pytest.raises(FileError, match=message) as caught:
        load(path)
    return str(caught.value)

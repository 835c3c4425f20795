"""Model files that are changed with intent, and their refusal."""

import pytest

from vecprop import FileError, load, save
from vecprop.files.model_file import container


def rewritten(model, path, change=lambda document, arrays: None):
    """Write a file whose document and arrays are changed, with checksums that are right: no accident, but intent."""
    save(model, path)
    document, arrays = container.read(path)
    change(document, arrays)
    container.write(path, {name: document[name] for name in document if name != "arrays"}, arrays)


def refused(path, message):
    """Assert that a file is refused with a message; return it."""
    with pytest.raises(FileError, match=message) as caught:
        load(path)
    return str(caught.value)

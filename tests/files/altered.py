"""Helpers that modify model files, and check that they are rejected."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest

from vecprop import FileError, load, save


def listed(array):
    """Return the entry of an array in the document of a model file."""
    digest = hashlib.sha256(array.tobytes()).hexdigest()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": digest}


def rewritten(model, path, change=lambda document, arrays: None):
    """Write a file with a modified document and arrays, and valid checksums."""
    save(model, path)
    rewrite(path, change)


def rewrite(path, change):
    """Modify the document and the arrays of a file, and write valid checksums."""
    with np.load(path) as file:
        arrays = dict(file)
    document: dict[str, Any] = json.loads(arrays.pop("document").tobytes())
    del arrays["checksum"]
    change(document, arrays)
    document["arrays"] = {name: listed(array) for name, array in arrays.items()}
    text = json.dumps(document).encode()
    arrays["document"] = np.frombuffer(text, np.uint8)
    arrays["checksum"] = np.frombuffer(hashlib.sha256(text).digest(), np.uint8)
    with open(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def refused(path, message):
    """Assert that loading a file raises an error that matches; return the message."""
    with pytest.raises(FileError, match=message) as caught:
        load(path)
    return str(caught.value)

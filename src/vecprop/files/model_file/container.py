"""The container format: an .npz file with arrays and one JSON document, protected by a checksum.

The entries are uncompressed .npy files, so that no array is larger than the file.
``document`` is UTF-8 text as bytes; it lists every other array with its dtype, shape
and SHA-256. ``checksum`` is the SHA-256 of the document. Before an array is created,
the archive, the document and the array's header must agree.
"""

import hashlib
import json
import os
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from math import prod
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.lib import format as npy

from ...system.suggestions import missing_file
from ...tables.error import first_line
from .. import FileError
from ..atomic import FilePath, require_path, written_at_once

FORMAT = "vecprop model"
NOT_A_MODEL = (
    "is not a model file: give a file written by vecprop.save or `vecprop train`"
)
VERSION = 1
"""The format version, which is increased whenever an older vecprop could misread a
newer file.
"""

Document = dict[str, Any]
Arrays = dict[str, ndarray]

_TYPES = re.compile(r"\|[biu]1|<[iu][248]|<f[248]|<U[0-9]{1,7}")
_LARGEST_DOCUMENT = 2**26
"""The maximum size of a document in bytes, which bounds memory and time for
malicious files.
"""
_HEADER = 128
"""The size of the .npy header of the document in bytes."""
_MOST_ENTRIES = 2**16
"""The maximum number of archive entries."""
_WRONG_VALUES = (
    AttributeError,
    KeyError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)
_DAMAGE = (zipfile.BadZipFile, struct.error, EOFError, OSError, *_WRONG_VALUES)
"""The errors that zipfile, NumPy and json raise for damaged bytes."""


def write(path: FilePath, document: Document, arrays: Arrays):
    """Write a document and arrays, replacing an old file atomically."""
    stored = {}
    listed = {}
    for name, array in arrays.items():
        stored[name] = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        listed[name] = _listed(stored[name])
    document = {"format": FORMAT, "version": VERSION, **document, "arrays": listed}
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    data = text.encode("utf-8", "surrogatepass")
    entries = {
        "document": np.frombuffer(data, np.uint8),
        "checksum": np.frombuffer(hashlib.sha256(data).digest(), np.uint8),
        **stored,
    }
    _require_loadable(path, len(entries), _MOST_ENTRIES, "arrays")
    _require_loadable(path, len(data), _LARGEST_DOCUMENT, "bytes of JSON")
    with (
        written_at_once(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        for name, array in entries.items():
            information = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(information, "w", force_zip64=True) as entry:
                npy.write_array(entry, array, version=(1, 0), allow_pickle=False)


def _require_loadable(path: FilePath, count: int, most: int, unit: str):
    """Raise an error before writing a file that `read` would reject for its size."""
    if count > most:
        raise FileError(
            f"{path} is not written: it would have {count} {unit}, more than the {most}"
            " that `load` accepts; save the model's parts in separate files."
        )


def _require(path: FilePath, is_right, wrong: str):
    if not is_right:
        raise FileError(f"{path} {wrong}.")


def read(path: FilePath) -> tuple[Document, Arrays]:
    """Return the document and the arrays of a file, after all checks."""
    arrays = {}
    with _opened(path) as (archive, sizes):
        document = _document(path, archive, sizes)
        is_listed = set(sizes) == {"document", "checksum", *document["arrays"]}
        _require(path, is_listed, "is damaged: its arrays differ from the listed ones")
        for name, listed in document["arrays"].items():
            is_valid = set(listed) == {"dtype", "shape", "sha256"}
            wrong = f"is damaged: the array {name!r} has an invalid entry"
            _require(path, is_valid, wrong)
            dtype = listed["dtype"]
            wrong = f"has the array {name!r} of the unsupported type {dtype!r}"
            _require(path, _TYPES.fullmatch(dtype), wrong)
            arrays[name] = _content(archive, name, dtype)
            wrong = f"is damaged: the array {name!r} has a wrong checksum"
            _require(path, _listed(arrays[name]) == listed, wrong)
    return document, arrays


def read_document(path: FilePath) -> Document:
    """Return only the document, with the same errors as `read`."""
    with _opened(path) as (archive, sizes):
        return _document(path, archive, sizes)


@contextmanager
def _opened(path: FilePath) -> Iterator[tuple[zipfile.ZipFile, dict[str, int]]]:
    """Open a file as an archive; yield the archive and the sizes of its entries, at most the file size in total."""
    existing = require_path(path)
    if not existing.exists():
        raise FileNotFoundError(missing_file(existing))
    _require(path, not existing.is_dir(), "is a folder: give the model file in it")
    with open(path, "rb") as file:
        start = file.read(4)
        _require(path, start, "is empty, not a model file")
        _require(path, start == b"PK\x03\x04", NOT_A_MODEL)
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive, _sizes(path, archive, os.fstat(file.fileno()).st_size)
        except FileError:
            raise
        except _DAMAGE as error:
            raise FileError(
                f"{path} is damaged or truncated: {first_line(error)}."
            ) from error


def _sizes(path: FilePath, archive: zipfile.ZipFile, available: int):
    """Return the size of each entry, or raise an error if the entries need more than the available bytes."""
    entries = archive.infolist()
    most = f"has {len(entries)} entries, but a model file has at most {_MOST_ENTRIES}"
    _require(path, len(entries) <= _MOST_ENTRIES, most)
    sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in entries}
    _require(path, {"document", "checksum"} <= sizes.keys(), NOT_A_MODEL)
    for entry in entries:
        is_plain = (
            entry.compress_type == zipfile.ZIP_STORED
            and entry.compress_size == entry.file_size
        )
        wrong = (
            f"has the compressed entry {entry.filename!r}, but model files must be"
            " uncompressed"
        )
        _require(path, is_plain, wrong)
    have_unique_names = len(sizes) == len(entries)
    are_separate = have_unique_names and sum(sizes.values()) <= available
    _require(path, are_separate, "has overlapping entries")
    return sizes


def _document(path: FilePath, archive: zipfile.ZipFile, sizes: dict[str, int]):
    """Return the document, or raise an error if it is damaged or has an unknown version."""
    size = sizes["document"]
    too_large = (
        f"has a document of {size} bytes, more than the maximum of {_LARGEST_DOCUMENT}"
    )
    _require(path, size <= _LARGEST_DOCUMENT + _HEADER, too_large)
    text = _content(archive, "document", "|u1").tobytes()
    checksum = _content(archive, "checksum", "|u1").tobytes()
    is_same = hashlib.sha256(text).digest() == checksum
    _require(path, is_same, "is damaged: its document has a wrong checksum")
    document = json.loads(text.decode("utf-8", "surrogatepass"))
    is_model = isinstance(document, dict) and document.get("format") == FORMAT
    _require(path, is_model, NOT_A_MODEL)
    version: Any = document.get("version")
    is_version = type(version) is int and version >= 1
    _require(path, is_version, f"has the invalid format version {version!r}")
    too_new = (
        f"has format version {version}, but this vecprop supports versions up to"
        f" {VERSION}: update vecprop"
    )
    _require(path, version <= VERSION, too_new)
    return document


def _content(archive: zipfile.ZipFile, name: str, dtype: str):
    """Return an entry as an array, or raise an error if its header and size disagree."""
    # bounded by the file size, with a verified CRC-32
    data = archive.read(f"{name}.npy")
    entry = BytesIO(data)
    if npy.read_magic(entry) != (1, 0):
        raise ValueError(f"the array {name!r} has an unknown header")
    shape, is_fortran, stored_dtype = npy.read_array_header_1_0(entry)
    if stored_dtype.str != dtype or is_fortran:
        raise ValueError(
            f"the array {name!r} has the type {stored_dtype.str}, expected {dtype}"
        )
    if prod(shape) * stored_dtype.itemsize != len(data) - entry.tell():
        raise ValueError(
            f"the size of the array {name!r} differs from its shape {shape}"
        )
    return np.frombuffer(data, stored_dtype, offset=entry.tell()).reshape(shape).copy()


def _listed(array: ndarray):
    """Return an array's entry in the document."""
    digest = hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": digest}

"""The container format: an .npz file with arrays and one JSON document, protected by a checksum.

The entries are uncompressed .npy files, so that no array is larger than the file. ``document`` is UTF-8 text as bytes;
it lists every other array with its dtype, shape and SHA-256. ``checksum`` is the SHA-256 of the document. Before an
array is created, the archive, the document and the array's header must agree.
"""

import hashlib
import json
import os
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from math import prod
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ...system.suggestions import missing_file
from ...tables.error import first_line
from .. import FileError
from ..atomic import require_path, written_at_once

FORMAT = "vecprop model"
NOT_A_MODEL = "is not a model file: give a file written by vecprop.save or `vecprop train`"
VERSION = 1
"""The format version, which is increased whenever an older vecprop could misread a newer file."""

_TYPES = re.compile(r"\|[biu]1|<[iu][248]|<f[248]|<U[0-9]{1,7}")
_LARGEST_DOCUMENT = 2**26
"""The maximum size of a document in bytes, which bounds memory and time for malicious files."""
_LISTED = {"dtype", "shape", "sha256"}
"""The keys of each array's entry in the document."""
_HEADER = 128
"""The size of the .npy header of the document in bytes."""
_MOST_ENTRIES = 2**16
"""The maximum number of archive entries."""
_WRONG_VALUES = (AttributeError, KeyError, OverflowError, RuntimeError, TypeError, ValueError)
_DAMAGE = (zipfile.BadZipFile, struct.error, EOFError, OSError, *_WRONG_VALUES)
"""The errors that zipfile, NumPy and json raise for damaged bytes."""


def write(path: str | os.PathLike[str], document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a document and arrays, replacing an old file atomically."""
    # Raise an error first if `read` would reject the file for its size.
    little = {name: np.asarray(array, array.dtype.newbyteorder("<"), order="C") for name, array in arrays.items()}
    listed = {}
    for name, array in little.items():
        listed[name] = {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": _digest(array)}
    whole = {"format": FORMAT, "version": VERSION, **document, "arrays": listed}
    text = json.dumps(whole, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
    own = {"document": text, "checksum": hashlib.sha256(text).digest()}
    entries = {name: np.frombuffer(content, np.uint8) for name, content in own.items()} | little
    for count, most, of in ((len(entries), _MOST_ENTRIES, "arrays"), (len(text), _LARGEST_DOCUMENT, "bytes of JSON")):
        if count > most:
            why = f"it would have {count} {of}, more than the {most} that `load` accepts"
            raise FileError(f"{path} is not written: {why}; save the model's parts in separate files.")
    with written_at_once(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in entries.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                npy.write_array(entry, array, version=(1, 0), allow_pickle=False)


def _require(path: str | os.PathLike[str], is_right: Any, wrong: str) -> None:
    if not is_right:
        raise FileError(f"{path} {wrong}.")


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the document and the arrays of a file, after all checks."""
    with _opened(path) as (archive, sizes):
        document, arrays = _document(path, archive, sizes), {}
        is_listed = set(sizes) == {"document", "checksum", *document["arrays"]}
        _require(path, is_listed, "is damaged: its arrays differ from the listed ones")
        for name, said in document["arrays"].items():
            _require(path, set(said) == _LISTED, f"is damaged: the array {name!r} has an invalid entry")
            dtype = said["dtype"]
            is_held = _TYPES.fullmatch(dtype)
            _require(path, is_held, f"has the array {name!r} of the unsupported type {dtype!r}")
            array = arrays[name] = _content(archive, name, sizes[name], dtype)
            is_same = (list(array.shape), _digest(array)) == (said["shape"], said["sha256"])
            _require(path, is_same, f"is damaged: the array {name!r} has a wrong checksum")
        return document, arrays


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return only the document, with the same errors as `read`."""
    with _opened(path) as (archive, sizes):
        return _document(path, archive, sizes)


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[zipfile.ZipFile, dict[str, int]]]:
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
            raise FileError(f"{path} is damaged or truncated: {first_line(error)}.") from error


def _sizes(path: str | os.PathLike[str], archive: zipfile.ZipFile, available: int) -> dict[str, int]:
    entries, most = archive.infolist(), _MOST_ENTRIES
    _require(path, len(entries) <= most, f"has {len(entries)} entries, but a model file has at most {most}")
    sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in entries}
    is_ours = {"document", "checksum"} <= sizes.keys()
    _require(path, is_ours, NOT_A_MODEL)
    for entry in entries:
        is_plain = entry.compress_type == zipfile.ZIP_STORED and entry.compress_size == entry.file_size
        wrong = f"has the compressed entry {entry.filename!r}, but model files must be uncompressed"
        _require(path, is_plain, wrong)
    is_apart = len(sizes) == len(entries) and sum(sizes.values()) <= available
    _require(path, is_apart, "has overlapping entries")
    return sizes


def _document(path: str | os.PathLike[str], archive: zipfile.ZipFile, sizes: dict[str, int]) -> dict[str, Any]:
    """Return the document, or raise an error if it is damaged or has an unknown version."""
    size, most = sizes["document"], _LARGEST_DOCUMENT
    _require(path, size <= most + _HEADER, f"has a document of {size} bytes, more than the maximum of {most}")
    text, checksum = (_content(archive, name, sizes[name], "|u1").tobytes() for name in ("document", "checksum"))
    is_whole = hashlib.sha256(text).digest() == checksum
    _require(path, is_whole, "is damaged: its document has a wrong checksum")
    document = json.loads(text.decode("utf-8", "surrogatepass"))
    is_ours = isinstance(document, dict) and document.get("format") == FORMAT
    _require(path, is_ours, "is not a vecprop model file: its document has another format")
    version: Any = document.get("version")
    _require(path, type(version) is int and version >= 1, f"has the invalid format version {version!r}")
    too_new = f"has format version {version}, but this vecprop supports versions up to {VERSION}: update vecprop"
    _require(path, version <= VERSION, too_new)
    return document


def _content(archive: zipfile.ZipFile, name: str, size: int, dtype: str) -> np.ndarray:
    """Return an entry as an array, or raise an error if its header and size disagree."""
    data = archive.read(f"{name}.npy")  # bounded by the file size, with a verified CRC-32
    entry = BytesIO(data)
    if npy.read_magic(entry) != (1, 0):
        raise ValueError(f"the array {name!r} has an unknown header")
    shape, is_fortran, found = npy.read_array_header_1_0(entry)
    if found.str != dtype or is_fortran:
        raise ValueError(f"the array {name!r} has the type {found.str}, expected {dtype}")
    if prod(shape) * found.itemsize != size - entry.tell():
        raise ValueError(f"the size of the array {name!r} differs from its shape {shape}")
    return np.frombuffer(data, found, offset=entry.tell()).reshape(shape).copy()


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest()

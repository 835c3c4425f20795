"""The container: an .npz file of arrays and one JSON document, with a checksum over all of it.

The entries are .npy files, stored without compression, so that no array is larger than the file. ``document`` is UTF-8
text as bytes; it lists every other array with its type, shape and SHA-256. ``checksum`` is the SHA-256 of the document.
Before an array is made, the archive, the document and the header of the array must agree.
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
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ...tables.error import first_line
from .. import FileError
from ..atomic import written_at_once

FORMAT = "vecprop model"
VERSION = 1
"""The version of the format, which rises if an older vecprop could misread a newer file."""

_TYPES = re.compile(r"\|[biu]1|<[iu][248]|<f[248]|<U[0-9]{1,7}")
_LARGEST_DOCUMENT = 2**26
"""The largest size of a document in bytes, far above any real one, which bounds the memory and time of a bad file."""
_HEADER = 128
"""The size of the header of the document's entry in bytes."""
_MOST_ENTRIES = 2**16
"""The largest number of arrays, for the same reason."""
_DAMAGE = (
    zipfile.BadZipFile,
    struct.error,
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    OverflowError,
)
"""The errors of zipfile, NumPy and json for damaged bytes."""


def write(path: str | os.PathLike[str], document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a document and arrays; an old file stays until the new one is complete.

    Nothing is written if `read` would refuse the file for its size.
    """
    little = {name: np.asarray(array, array.dtype.newbyteorder("<"), order="C") for name, array in arrays.items()}
    listed = {
        name: {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": _digest(array)}
        for name, array in little.items()
    }
    whole = {"format": FORMAT, "version": VERSION, **document, "arrays": listed}
    text = json.dumps(whole, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
    own = {"document": text, "checksum": hashlib.sha256(text).digest()}
    entries = {name: np.frombuffer(content, np.uint8) for name, content in own.items()} | little
    for count, most, of in ((len(entries), _MOST_ENTRIES, "arrays"), (len(text), _LARGEST_DOCUMENT, "bytes of JSON")):
        if count > most:
            raise FileError(
                f"{path} is not written: it would have {count} {of}, but a model file has at most {most}, so that it "
                "could not be loaded; save the model's parts in files of their own."
            )
    with written_at_once(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in entries.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                npy.write_array(entry, array, version=(1, 0), allow_pickle=False)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the document and the arrays of a file, after every check."""
    with _opened(path) as (archive, sizes):
        document = _document(path, archive, sizes)
        listed = document["arrays"]
        if set(sizes) != {"document", "checksum", *listed}:
            raise FileError(f"{path} is damaged: it does not hold the arrays that it lists.")
        return document, {name: _array(path, archive, name, sizes[name], **listed[name]) for name in listed}


def read_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the document alone, with the errors of `read`."""
    with _opened(path) as (archive, sizes):
        return _document(path, archive, sizes)


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[zipfile.ZipFile, dict[str, int]]]:
    """Open a file as an archive; give it and the sizes of its entries, which are together no larger than the file."""
    if Path(path).is_dir():
        raise FileError(f"{path} is a folder, not a model file.")
    with open(path, "rb") as file:
        start = file.read(4)
        if not start:
            raise FileError(f"{path} is empty, not a model file.")
        if start != b"PK\x03\x04":
            raise FileError(f"{path} is not a model file: it does not begin as an .npz file does.")
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive, _sizes(path, archive, os.fstat(file.fileno()).st_size)
        except FileError:
            raise
        except _DAMAGE as error:
            raise FileError(f"{path} is damaged or cut off: {first_line(error)}.") from error


def _sizes(path: str | os.PathLike[str], archive: zipfile.ZipFile, available: int) -> dict[str, int]:
    """Return the sizes of the entries by name; together they are no larger than the file."""
    entries = archive.infolist()
    if len(entries) > _MOST_ENTRIES:
        raise FileError(f"{path} has {len(entries)} entries, but a model file has at most {_MOST_ENTRIES}.")
    names = [entry.filename.removesuffix(".npy") for entry in entries]
    if not {"document", "checksum"} <= set(names):
        raise FileError(f"{path} is not a vecprop model file: it is an archive without a document and a checksum.")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise FileError(f"{path} has the compressed entry {entry.filename!r}, but model files are not compressed.")
    if len(set(names)) < len(names) or sum(entry.file_size for entry in entries) > available:
        raise FileError(f"{path} has entries that overlap.")
    return {name: entry.file_size for name, entry in zip(names, entries, strict=True)}


def _document(path: str | os.PathLike[str], archive: zipfile.ZipFile, sizes: dict[str, int]) -> dict[str, Any]:
    """Return the document, or refuse one that is damaged or of an unknown version."""
    if sizes["document"] > _LARGEST_DOCUMENT + _HEADER:
        raise FileError(f"{path} has a document of {sizes['document']} bytes, but {_LARGEST_DOCUMENT} are the most.")
    text, checksum = (_content(archive, name, sizes[name], "|u1").tobytes() for name in ("document", "checksum"))
    if hashlib.sha256(text).digest() != checksum:
        raise FileError(f"{path} is damaged: its document does not have the checksum that it should have.")
    document = json.loads(text.decode("utf-8", "surrogatepass"))
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise FileError(f"{path} is not a vecprop model file: its document says nothing of the kind.")
    version = document.get("version")
    if type(version) is not int or version < 1:
        raise FileError(f"{path} has the format version {version!r}, which there is not.")
    if version > VERSION:
        raise FileError(
            f"{path} has format version {version}, but this vecprop reads versions up to {VERSION}: update vecprop."
        )
    return document


def _array(
    path: str | os.PathLike[str],
    archive: zipfile.ZipFile,
    name: str,
    size: int,
    dtype: str,
    shape: list[int],
    sha256: str,
) -> np.ndarray:
    """Return an array, or refuse it if it differs from the entry of the document."""
    if not _TYPES.fullmatch(dtype):
        raise FileError(f"{path} has the array {name!r} of type {dtype!r}, which model files do not hold.")
    content = _content(archive, name, size, dtype)
    if list(content.shape) != shape or _digest(content) != sha256:
        raise FileError(f"{path} is damaged: the array {name!r} is not the one that was written.")
    return content


def _content(archive: zipfile.ZipFile, name: str, size: int, dtype: str) -> np.ndarray:
    """Return an entry as an array, or refuse it if its header and its size do not agree."""
    data = archive.read(f"{name}.npy")  # as many bytes as the file has for it, with the right CRC-32
    entry = BytesIO(data)
    if npy.read_magic(entry) != (1, 0):
        raise ValueError(f"the array {name!r} has an unknown header")
    shape, is_fortran, found = npy.read_array_header_1_0(entry)
    if found.str != dtype or is_fortran:
        raise ValueError(f"the array {name!r} has the type {found.str}, not {dtype}")
    if prod(shape) * found.itemsize != size - entry.tell():
        raise ValueError(f"the array {name!r} has another size than its shape {shape} says")
    return np.frombuffer(data, found, offset=entry.tell()).reshape(shape).copy()


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest()

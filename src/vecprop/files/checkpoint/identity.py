"""The identity of a run as JSON values, with digests of arrays and files."""

import hashlib
import inspect
import json
import platform
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from ... import __version__
from ...core import Batch, Selection, SparseNetwork
from ...system.versions import processor_name, version_of
from .. import FileError
from ..model_file.container import Document
from ..model_file.json_values import Writer
from ..model_file.registry import BY_CLASS

BLOCK = 2**20
"""The number of entries that are hashed at a time, which bounds copies of arrays in
another memory order.
"""


class RunIdentity:
    """Converts the inputs of a run to JSON values, with one digest per array.

    Functions become names; arrays, selections of rows and files become digests. Other
    values are encoded as in model files.
    """

    def __init__(self):
        # by `id`; holds the arrays, so that ids are not reused
        self._digests: dict[int, Any] = {}

    def __call__(self, values: Mapping[str, Any]) -> Document:
        return {name: self.plain(value, name) for name, value in values.items()}

    def plain(self, value, name: str):
        """Convert a value to a name, a digest, or JSON values as in a model file."""
        if callable(value) and hasattr(value, "__qualname__"):
            return f"{value.__module__}.{value.__qualname__}"
        if isinstance(value, Path):
            return digest_of_file(value)
        if isinstance(value, dict):
            return {key: self.plain(value[key], f"{name} {key}") for key in value}
        if isinstance(value, np.generic):
            value = value.item()
        is_array = hasattr(value, "shape")
        selects_rows = hasattr(value, "scaling")
        if is_array or selects_rows:
            return self.digest(value)
        if isinstance(value, SparseNetwork):
            value = value.dense
        return Writer(BY_CLASS).plain(value, name)

    def digest(self, value) -> str | None:
        """Return the digest of an array, a list of numbers or a selection of rows."""
        if id(value) not in self._digests:
            self._digests[id(value)] = (digest(value), value)
        value_digest, _ = self._digests[id(value)]
        return value_digest


def digest(value) -> str | None:
    """Return a digest of an array, sparse matrix, selection or batch; None for None.

    Examples
    --------
    >>> digest(np.zeros(3)) == digest([0.0, 0.0, 0.0]), digest(np.zeros(3)) == digest(np.zeros(3, np.float32))
    (True, False)
    """
    if value is None:
        return None
    if isinstance(value, Selection | Batch):
        return _digest_of_rows(value)
    if sparse.issparse(value):
        X: Any = value.tocsr()
        arrays = (X.data, X.indices, X.indptr)
        return joint_digest([str(X.shape), *map(digest, arrays)])
    array = np.asarray(value)
    sha256 = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    if array.ndim == 0 or array.dtype.hasobject:
        sha256.update(repr(array.tolist()).encode("utf-8", "surrogatepass"))
        return sha256.hexdigest()
    step = max(1, BLOCK * len(array) // max(array.size, 1))
    for first in range(0, len(array), step):
        block = np.ascontiguousarray(array[first : first + step])
        sha256.update(block.reshape(-1).view(np.uint8).data)
    return sha256.hexdigest()


def _digest_of_rows(source: Selection | Batch):
    """Return a digest of rows and of the transformations that apply when they are read."""
    rows = source.rows if isinstance(source, Selection) else source.chosen
    scaling = source.scaling
    expansion = source.expansion
    if rows is None and scaling is None and expansion is None:
        return digest(source.X)
    values: list[Any] = [digest(source.X), digest(rows)]
    if scaling is None:
        values.append(None)
    else:
        values += [digest(scaling.shift), digest(scaling.scale)]
        values.append(bool(scaling.multiplies))
    if expansion is not None:
        values += [digest(expansion.columns), digest(expansion.edges)]
    return joint_digest(values)


def joint_digest(values: list[Any]) -> str:
    """Return one digest of a list of JSON values.

    Examples
    --------
    >>> joint_digest(["a", None]) == joint_digest(["a", None]), joint_digest(["a", None]) == joint_digest([None, "a"])
    (True, False)
    """
    text = json.dumps(values).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()


def bits_of(value) -> str:
    """Return a digest of any value that a model file can hold, such as a result."""
    writer = Writer(BY_CLASS)
    return joint_digest([writer.plain(value, ""), *map(digest, writer.arrays.values())])


def digest_of_file(path: Path) -> str:
    """Return a digest of a file, or of the names and bytes of all files in a folder.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "a").write_bytes(b"hello")
    ...     digest_of_file(pathlib.Path(folder, "a"))[:16], digest_of_file(pathlib.Path(folder))[:16]
    ('2cf24dba5fb0a30e', '3213aa9907e55963')
    """
    if path.is_dir():
        sha256 = hashlib.sha256()
        for file in sorted(path.rglob("*")):
            if file.is_file():
                line = f"{file.relative_to(path)}\0{digest_of_file(file)}\n"
                sha256.update(line.encode("utf-8", "surrogateescape"))
        return sha256.hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def in_common(identities: Iterable[Document]) -> dict[str, str]:
    """Return a digest per name, which covers its distinct values in several mappings.

    Examples
    --------
    >>> in_common([{"seed": 1}, {"seed": 2}]) == in_common([{"seed": 2}, {"seed": 1}, {"seed": 1}])
    True
    """
    digests = {}
    for identity in identities:
        for name, value in identity.items():
            digests.setdefault(name, set()).add(joint_digest([value]))
    return {name: joint_digest(sorted(values)) for name, values in digests.items()}


def differing(run: Document, saved_run: Document) -> str:
    """Return a clause that names the differences between two runs, or "".

    Examples
    --------
    >>> differing({"X": "1", "clip_norm": None}, {"X": "2", "clip_norm": 0.5})
    'its X and its clip_norm differ'
    """
    names = []
    for name in run | saved_run:
        if run.get(name) != saved_run.get(name):
            names.append(f"its {name}")
    if not names:
        return ""
    verb = "differs" if len(names) == 1 else "differ"
    return f"{' and '.join(names)} {verb}"


def require_savable(theta):
    """Raise an error for parameters that a model file cannot store."""
    if isinstance(theta, int | np.integer):
        return
    kind = f"the type {type(theta).__name__}"
    if isinstance(theta, np.ndarray):
        if theta.dtype in (np.float32, np.float64):
            return
        kind = f"dtype {theta.dtype}"
    raise FileError(
        f"theta has {kind}, but a model file needs a NumPy array of float32 or"
        " float64: convert it."
    )


@cache  # reading versions of packages takes milliseconds
def made_with() -> dict[str, str]:
    versions = {"vecprop": __version__, "Python": platform.python_version()}
    for name in ("numpy", "scipy", "numba"):
        versions[name] = version_of(name)
    return versions | {"processor": f"{platform.machine()} {processor_name()}"}


def warn_of_others(path: Path, saved: Mapping[str, str]):
    """Warn if a checkpoint was written with other versions or another processor."""
    changes = []
    for name, value in made_with().items():
        if saved.get(name, value) != value:
            changes.append(f"{name} {saved[name]}, now {value}")
    if changes:
        warnings.warn(
            f"{path} was written with {', and '.join(changes)}: the bits may differ"
            " from an uninterrupted run.",
            stacklevel=_level_of_user(),
        )


def _level_of_user():
    """Return the stack level of the first caller outside the library, for a warning."""
    level = 0
    frame = inspect.currentframe()
    library, _, _ = __name__.partition(".")
    while frame:
        module, _, _ = str(frame.f_globals.get("__name__")).partition(".")
        if module != library:
            break
        level += 1
        frame = frame.f_back
    return level

"""The fits of estimators in a folder: those that have ended are kept, the others begin anew."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..model_file.registry import BY_CLASS, BY_NAME
from ..model_file.values import Reader, Writer
from .digests import digest, of_all
from .folder import Folder
from .pace import Pace

MOST = 1_000
"""The most fits in one file, of about twenty arrays each."""


class KeptFits:
    """Keeps what fits have learned.

    Parameters
    ----------
    each : sequence of mapping
        What each fit is: by name, values that a model file holds, functions, or arrays, of which digests are compared.
    """

    def __init__(self, path: Path, every: float, each: Sequence[Mapping[str, Any]]) -> None:
        digests: dict[int, Any] = {}
        names = dict.fromkeys(name for of in each for name in of)
        run = {name: of_all([_identity(of.get(name), name, digests) for of in each]) for name in names}
        self.folder = Folder(path, {"number of members": len(each), **run})
        self.known: dict[int, Any] = {}
        for document, arrays in self.folder.begin():
            self.known |= Reader(BY_NAME, arrays).value(document["fits"])
        self.waiting: dict[int, Any] = {}
        self.pace = Pace(every)

    def ended(self, number: int, learned: Any) -> None:
        """Take what a fit has learned, and write it with others, if it is time."""
        self.waiting[number] = learned
        if self.pace.is_due:
            self.write()

    def write(self) -> None:
        """Write what fits have learned since the last time."""
        began = time.perf_counter()
        for some in _parts(list(self.waiting.items())):
            writer = Writer(BY_CLASS)
            document = {"fits": writer.plain(dict(some), "fits")}
            self.folder.write(document, writer.arrays)
        self.waiting = {}
        self.pace.wrote(began)


def _parts(items: list[Any]) -> Iterable[list[Any]]:
    return (items[first : first + MOST] for first in range(0, len(items), MOST))


def _identity(value: Any, name: str, digests: dict[int, Any]) -> Any:
    """Return a value as JSON's value: a function by its name, and an array or rows as their digest."""
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, dict):
        return {key: _identity(of, f"{name} {key}", digests) for key, of in value.items()}
    if hasattr(value, "shape") or hasattr(value, "scaling"):
        if id(value) not in digests:
            digests[id(value)] = digest(value), value  # which is kept, so that no other has its address
        return digests[id(value)][0]
    return Writer(BY_CLASS).plain(value, name)

"""Values as JSON and arrays: how settings and fitted state are written and read back.

None, truth values, numbers, text and lists are written as they are. Any other value is an object with one key, its
type: ``{"tuple": […]}``, ``{"dict": {…}}`` or ``{"dict": [[key, value], …]}``, ``{"float": "nan"}``,
``{"scalar": [dtype, value]}``, ``{"array": name}``, ``{"objects": [shape, values]}``, ``{"dtype": …}``,
``{"type": …}``, ``{"slice": […]}``, or the name of a class of the registry, as in ``{"Dense": {"outputs": 3, …}}``.
Nothing else is written or read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from ..error import FileError
from .stored import StoredClass

TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (bool, int, float, str, object, np.number, np.float64, np.float32, np.int64, np.int32, np.bool_)
}
"""The types that may be values of settings."""


@dataclass
class Writer:
    """Turns values into JSON's values, and collects arrays.

    Attributes
    ----------
    arrays : dict of ndarray
        The arrays by name. An array that occurs twice is written once, and is one array again when it is read.

    Examples
    --------
    >>> writer = Writer({})
    >>> writer.plain((1, np.zeros(2)), "pair")
    {'tuple': [1, {'array': 'pair.1'}]}
    >>> writer.arrays
    {'pair.1': array([0., 0.])}
    """

    classes: Mapping[type, StoredClass]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)  # by identity, which holds as long as `arrays` keeps the array

    def plain(self, value: Any, path: str) -> Any:
        """Return a value as JSON's values; path is its place in the model, by which its arrays are named."""
        match value:
            case None | bool() | str() | int() if type(value) in (type(None), bool, str, int):
                return value
            case float() if type(value) is float:
                return value if isfinite(value) else {"float": repr(value)}
            case np.ndarray():
                return self._array(value, path)
            case np.generic() if _is_plain(value.dtype):
                return {"scalar": [value.dtype.str, self.plain(value.item(), path)]}
            case np.dtype():
                return {"dtype": value.str}
            case slice():
                return {"slice": [self.plain(end, path) for end in (value.start, value.stop, value.step)]}
            case type() if TYPES.get(value.__name__) is value:
                return {"type": value.__name__}
            case list() if type(value) is list:
                return [self.plain(entry, f"{path}.{number}") for number, entry in enumerate(value)]
            case tuple() if type(value) is tuple:
                return {"tuple": self.plain(list(value), path)}
            case dict() if type(value) is dict:
                parts = [(key, self.plain(of, f"{path}.{key}")) for key, of in value.items()]
                if all(type(key) is str for key in value):
                    return {"dict": dict(parts)}
                return {"dict": [[self.plain(key, path), of] for key, of in parts]}
        stored = self.classes.get(type(value))
        if stored is None:
            raise FileError(
                f"{path} is {_shown(value)}, which a model file cannot hold: it holds numbers, text and parts of "
                "vecprop and scikit-learn that are on a fixed list, and no code; pickle or joblib keep the model for "
                "programs that have your code, and np.save keeps theta."
            )
        state = {name: self.plain(part, _below(path, name)) for name, part in stored.state(value).items()}
        return {stored.name: state}

    def _array(self, array: np.ndarray, path: str) -> Any:
        """Return a reference to an array, which is collected; an array of objects is written entry by entry."""
        if array.dtype == object:
            return {"objects": [list(array.shape), [self.plain(entry, path) for entry in array.ravel().tolist()]]}
        if not _is_plain(array.dtype):
            raise FileError(f"{path} is an array of type {array.dtype}, which a model file cannot hold.")
        name = self._names.setdefault(id(array), path)
        self.arrays[name] = array
        return {"array": name}


@dataclass
class Reader:
    """Turns JSON's values and arrays that `Writer` has made back into values.

    Examples
    --------
    >>> Reader({}, {"pair.1": np.zeros(2)}).value({"tuple": [1, {"array": "pair.1"}]})
    (1, array([0., 0.]))
    """

    classes: Mapping[str, StoredClass]
    arrays: Mapping[str, np.ndarray]

    def value(self, plain: Any) -> Any:
        """Return the value of which `Writer` has made this JSON value."""
        if isinstance(plain, list):
            return [self.value(entry) for entry in plain]
        if not isinstance(plain, dict):
            return plain
        ((kind, of),) = plain.items()
        match kind, of:
            case "tuple", list():
                return tuple(self.value(of))
            case "dict", dict():
                return {key: self.value(entry) for key, entry in of.items()}
            case "dict", list():
                return {self.value(key): self.value(entry) for key, entry in of}
            case "float", "nan" | "inf" | "-inf":
                return float(of)
            case "scalar", [str(dtype), entry]:
                return _checked_dtype(dtype).type(self.value(entry))
            case "array", str():
                return self.arrays[of]
            case "objects", [list(shape), list(entries)]:
                return _objects([self.value(entry) for entry in entries], shape)
            case "dtype", str():
                return _checked_dtype(of)
            case "type", str():
                return TYPES[of]
            case "slice", [start, stop, step]:
                return slice(start, stop, step)
            case _, dict() if kind in self.classes:
                return self.classes[kind].restore({name: self.value(entry) for name, entry in of.items()})
        raise ValueError(f"{kind!r} is no class and no kind of value that it knows")


def _objects(entries: list[Any], shape: list[int]) -> np.ndarray:
    array = np.empty(len(entries), object)
    array[:] = entries
    return array.reshape(shape)


def _checked_dtype(text: str) -> np.dtype[Any]:
    dtype = np.dtype(text)
    if not (_is_plain(dtype) or dtype.kind == "O"):
        raise ValueError(f"{text!r} is not a type of numbers or text")
    return dtype


def _is_plain(dtype: np.dtype[Any]) -> bool:
    """Return whether a type holds truth values, real numbers of at most 64 bits, or text."""
    return dtype.kind == "U" or (dtype.kind in "biuf" and dtype.itemsize <= 8)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    """Return a short name for a value that cannot be written."""
    if callable(value) and hasattr(value, "__name__"):
        return f"the {'class' if isinstance(value, type) else 'function'} {value.__name__}"
    return f"of the class {type(value).__module__.partition('.')[0]}.{type(value).__name__}"

"""Encode settings and fitted state as JSON and arrays, and validate them when decoding.

None, Booleans, numbers, text and lists are written directly. Any other value is an
object with one key, its type: ``{"tuple": […]}``, ``{"dict": {…}}`` or ``{"dict":
[[key, value], …]}``, ``{"float": "nan"}``, ``{"scalar": [dtype, value]}``, ``{"array":
name}``, ``{"objects": [shape, values]}``, ``{"dtype": …}``, ``{"type": …}``,
``{"slice": […]}``, or the name of a class of the registry, as in ``{"Dense":
{"outputs": 3, …}}``. Other values are not supported.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from inspect import signature
from math import isfinite
from types import FunctionType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy import ndarray

from ...estimators.sklearn_compat import require_valid_settings
from ...tables.encoding.encoder import COLUMNS
from .. import FileError

Check = Any
"""The type of a value, or a function of the value and of a model that already has
all earlier attributes.
"""
Checks = Mapping[str, Check]
Conditions = Iterable[bool]
"""What must be true of a restored object; the first condition that is false ends the
check.
"""
State = dict[str, Any]
"""The values of an object's attributes by name."""


class StoredClass(NamedTuple):
    """A class that model files may contain."""

    name: str
    cls: type
    state: Callable[[Any], State]
    restore: Callable[[State], Any]


def stored_fields(
    cls: type, conditions: Callable[[Any], Conditions] | None = None
) -> StoredClass:
    """Return the entry of a class with annotated fields; the types of fields are checked when loading.

    Examples
    --------
    >>> leaky_relu = stored_fields(LeakyReLU)
    >>> leaky_relu.state(LeakyReLU(0.1)), leaky_relu.restore({"leak": 0.2})
    ({'leak': 0.1}, LeakyReLU(leak=0.2))
    >>> leaky_relu.restore({"leak": "steep"})
    Traceback (most recent call last):
        ...
    ValueError: LeakyReLU has the invalid value leak='steep'
    """
    hints = get_type_hints(cls)
    names = [field.name for field in fields(cls)] if is_dataclass(cls) else list(hints)

    def state(part) -> State:
        return {name: getattr(part, name) for name in names}

    def restore(state: State):
        for name, value in state.items():
            if not fits(value, hints[name]):
                raise ValueError(
                    f"{cls.__name__} has the invalid value {name}={value!r}"
                )
        part = cls(**state)
        if conditions is not None and not all(conditions(part)):
            raise ValueError(f"the values of {cls.__name__} are inconsistent")
        return part

    return StoredClass(cls.__name__, cls, state, restore)


def _column_class(key: type | str):
    """Return the entry of a kind of column, given its class or the name of the class."""
    for cls in COLUMNS.values():
        if key in (cls, cls.__name__):
            return stored_fields(cls, lambda column: [column.is_consistent()])
    return None


_PROCESS_SETTINGS = ("callbacks", "checkpoint", "workers")
"""Settings that belong to the process, not to the model."""


def stored_estimator(
    cls: type,
    checks: Checks,
    conditions: Callable[[Any], Conditions] | None = None,
    ignored: Sequence[str] = (),
) -> StoredClass:
    """Return the entry of an estimator with scikit-learn's interface. Ignored attributes are neither saved nor read."""
    checks = {**COMMON, **checks}

    def state(model) -> State:
        settings = model.get_params(deep=False)
        excluded = {*settings, *ignored}
        state = {}
        for name, value in settings.items():
            if name not in _PROCESS_SETTINGS:
                state[name] = value
        for name, value in vars(model).items():
            if name in excluded:
                continue
            if name not in checks:
                raise FileError(
                    f"{cls.__name__} has the attribute {name!r}, which a model file"
                    " cannot store."
                )
            state[name] = value
        return state

    def restore(state: State):
        names = state.keys() - ignored
        settings = names & signature(cls).parameters.keys()
        unknown = names - settings - checks.keys()
        if unknown:
            raise ValueError(f"{cls.__name__} in this version has no {min(unknown)!r}")
        model = cls(**{name: state[name] for name in settings})
        require_valid_settings(model)
        for name, check in checks.items():
            if name not in names:
                continue
            if not passes(state[name], check, model):
                raise ValueError(f"{cls.__name__} has an invalid value for {name!r}")
            setattr(model, name, state[name])
        if conditions is not None and not all(conditions(model)):
            raise ValueError(f"the attributes of {cls.__name__} are inconsistent")
        return model

    return StoredClass(cls.__name__, cls, state, restore)


def passes(value, check: Check, model) -> bool:
    """Return whether an attribute of a model is valid."""
    if isinstance(check, FunctionType):
        return check(value, model)
    return fits(value, check)


def fits(value, hint) -> bool:
    """Return whether a value has an annotated type; an int is also a float, but a bool is neither.

    Examples
    --------
    >>> fits(1, float), fits(True, float), fits((0.1, 0.2), float | Sequence[float]), fits("low", float)
    (True, False, True, False)
    """
    if hint is Any:
        return True
    if hint in (int, float) and isinstance(value, bool):
        return False
    if hint is int:
        return isinstance(value, int | np.integer)
    if hint is float:
        return isinstance(value, float | int | np.floating | np.integer)
    origin = get_origin(hint)
    arguments = get_args(hint)
    if origin is None:
        return isinstance(value, hint)
    if origin in (Union, UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if origin in (list, tuple, Sequence):
        return isinstance(value, list | tuple) and _all_fit(value, arguments[0])
    if origin in (dict, Mapping):
        return isinstance(value, dict) and _all_fit(value.values(), arguments[1])
    return isinstance(value, origin)


def _all_fit(values: Iterable[Any], hint):
    return all(fits(value, hint) for value in values)


def array(kinds: str, *lengths: str) -> Check:
    """Return the check for an array of these dtype kinds, whose lengths are attributes of the model."""

    def is_valid(value, model):
        shape = [getattr(model, name) for name in lengths]
        return is_array(value, kinds, *shape)

    return is_valid


def is_array(value, kinds: str, *shape: int | None) -> bool:
    """Return whether a value is an array of these dtype kinds and this shape, with None for any length."""
    if not isinstance(value, ndarray) or value.dtype.kind not in kinds:
        return False
    if value.ndim != len(shape):
        return False
    lengths = zip(shape, value.shape, strict=True)
    return all(expected in (None, length) for expected, length in lengths)


def optional(check: Check) -> Check:
    return lambda value, model: value is None or check(value, model)


def is_count(value, model) -> bool:
    return fits(value, int) and value >= 0


NUMBERS = "iuf"
per_column = array("OUb" + NUMBERS, "n_features_in_")
"""The check for an array with a value for each input column."""


def _are_names(value, model):
    return per_column(value, model) and fits(value.tolist(), list[str])


COMMON: Checks = {
    "n_features_in_": is_count,
    "feature_names_in_": _are_names,
    "_sklearn_output_config": dict[str, str],
}
"""The attributes common to all estimators."""


_NUMBERS = (np.number, np.float64, np.float32, np.int64, np.int32, np.bool_)
TYPES: dict[str, type] = {
    cls.__name__: cls for cls in (bool, int, float, str, object, *_NUMBERS)
}
"""The types that are allowed as values of settings."""


class Writer:
    """Encodes values as JSON values, and collects arrays by name.

    An array that occurs twice is stored once, and is shared again after loading.

    Examples
    --------
    >>> writer = Writer({})
    >>> writer.plain((1, np.zeros(2)), "pair")
    {'tuple': [1, {'array': 'pair.1'}]}
    >>> writer.arrays
    {'pair.1': array([0., 0.])}
    """

    def __init__(self, classes: Mapping[type, StoredClass]):
        self.classes = classes
        self.arrays: dict[str, ndarray] = {}
        # by `id`, valid while `arrays` holds the array
        self._names: dict[int, str] = {}

    def plain(self, value, path: str):
        """Encode a value as JSON values. Arrays are named after `path`, the path of the value in the model."""
        kind = type(value)
        if kind in (type(None), bool, str, int):
            return value
        if kind is float:
            return value if isfinite(value) else {"float": repr(value)}
        if kind is list:
            entries = enumerate(value)
            return [self.plain(entry, f"{path}.{number}") for number, entry in entries]
        if kind is tuple:
            return {"tuple": self.plain(list(value), path)}
        if kind is dict:
            return {"dict": self._dict(value, path)}
        if kind is slice:
            return {"slice": self.plain([value.start, value.stop, value.step], path)}
        if isinstance(value, ndarray):
            return self._array(value, path)
        if isinstance(value, np.generic) and _is_plain(value.dtype):
            return {"scalar": [value.dtype.str, self.plain(value.item(), path)]}
        if isinstance(value, np.dtype):
            return {"dtype": value.str}
        if isinstance(value, type) and TYPES.get(value.__name__) is value:
            return {"type": value.__name__}
        stored = self.classes.get(kind) or _column_class(kind)
        if stored is None:
            raise FileError(
                f"{path} is {_shown(value)}, but a model file can hold only numbers,"
                " text and known parts of vecprop and scikit-learn, never code; use"
                " pickle or joblib for the model, or np.save for theta."
            )
        prefix = f"{path}." if path else ""
        fields = {}
        for name, part in stored.state(value).items():
            fields[name] = self.plain(part, f"{prefix}{name}")
        return {stored.name: fields}

    def _dict(self, value: dict[Any, Any], path: str):
        """Encode a dict as an object, or as pairs if a key is not text."""
        entries = {key: self.plain(value[key], f"{path}.{key}") for key in value}
        if all(type(key) is str for key in value):
            return entries
        return [[self.plain(key, path), entry] for key, entry in entries.items()]

    def _array(self, array: ndarray, path: str):
        """Collect an array and return a reference to it; encode an object array entry by entry."""
        if array.dtype == object:
            values = [self.plain(entry, path) for entry in array.ravel().tolist()]
            return {"objects": [list(array.shape), values]}
        if not _is_plain(array.dtype):
            raise FileError(
                f"{path} is an array of type {array.dtype}, which a model file cannot"
                " hold."
            )
        name = self._names.setdefault(id(array), path)
        self.arrays[name] = array
        return {"array": name}


@dataclass
class Reader:
    """Decodes the JSON values and arrays of a `Writer`.

    Examples
    --------
    >>> Reader({}, {"pair.1": np.zeros(2)}).value({"tuple": [1, {"array": "pair.1"}]})
    (1, array([0., 0.]))
    """

    classes: Mapping[str, StoredClass]
    arrays: dict[str, ndarray]

    def value(self, plain) -> Any:
        """Decode a JSON value written by `Writer`."""
        if isinstance(plain, list):
            return [self.value(entry) for entry in plain]
        if not isinstance(plain, dict):
            return plain
        ((kind, content),) = plain.items()
        match kind, content:
            case "tuple", list():
                return tuple(self.value(content))
            case "dict", dict():
                return {key: self.value(entry) for key, entry in content.items()}
            case "dict", list():
                return dict(self.value(content))
            case "float", "nan" | "inf" | "-inf":
                return float(content)
            case "scalar", [str(dtype), entry]:
                return _checked_dtype(dtype).type(self.value(entry))
            case "array", str():
                return self.arrays[content]
            case "objects", [list(shape), list(entries)]:
                array = np.empty(len(entries), object)
                array[:] = self.value(entries)
                return array.reshape(shape)
            case "dtype", str():
                return _checked_dtype(content)
            case "type", str():
                return TYPES[content]
            case "slice", [start, stop, step]:
                return slice(start, stop, step)
            case _, dict() if stored := self.classes.get(kind) or _column_class(kind):
                return stored.restore(self.value({"dict": content}))
        raise ValueError(f"{kind!r} is not a known class or kind of value")


def _checked_dtype(text: str) -> np.dtype[Any]:
    dtype = np.dtype(text)
    if not (_is_plain(dtype) or dtype.kind == "O"):
        raise ValueError(f"{text!r} is not a numeric, Boolean or text dtype")
    return dtype


def _is_plain(dtype: np.dtype[Any]):
    """Return whether a dtype is Boolean, real with at most 64 bits, or text."""
    return dtype.kind == "U" or (dtype.kind in "biuf" and dtype.itemsize <= 8)


def _shown(value):
    """Return a short description of a value that cannot be written."""
    cls = type(value)
    if callable(value) and hasattr(value, "__name__"):
        kind = "class" if isinstance(value, type) else "function"
        return f"the {kind} {value.__name__}"
    return f"of the class {cls.__module__.partition('.')[0]}.{cls.__name__}"

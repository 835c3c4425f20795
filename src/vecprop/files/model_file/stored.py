"""Classes that model files may hold: what is written of an object, and the checks with which it is read back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from types import MappingProxyType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from ...estimators.sklearn_compat import require_valid_settings
from ..error import FileError

Check = Callable[[Any, Any], bool]
"""Returns whether a model, whose earlier attributes are already set, can have a value as an attribute."""
Checks = Mapping[str, Check]


@dataclass(frozen=True)
class StoredClass:
    """A class that model files may hold."""

    name: str
    cls: type
    state: Callable[[Any], dict[str, Any]]
    restore: Callable[[dict[str, Any]], Any]


def stored_fields(cls: type, check: Callable[[Any], bool] = lambda part: True) -> StoredClass:
    """Return the entry of a class whose named fields are written, and read back if they have the annotated types.

    Examples
    --------
    >>> leaky_relu = stored_fields(LeakyReLU)
    >>> leaky_relu.state(LeakyReLU(0.1)), leaky_relu.restore({"leak": 0.2})
    ({'leak': 0.1}, LeakyReLU(leak=0.2))
    >>> leaky_relu.restore({"leak": "steep"})
    Traceback (most recent call last):
        ...
    ValueError: LeakyReLU cannot have leak='steep'
    """
    hints = get_type_hints(cls)
    names = [field.name for field in fields(cls)] if is_dataclass(cls) else list(hints)

    def state(part: Any) -> dict[str, Any]:
        return {name: getattr(part, name) for name in names}

    def restore(state: dict[str, Any]) -> Any:
        for name, value in state.items():
            if not fits(value, hints[name]):
                raise ValueError(f"{cls.__name__} cannot have {name}={value!r}")
        part = cls(**state)
        if not check(part):
            raise ValueError(f"the values of {cls.__name__} do not belong together")
        return part

    return StoredClass(cls.__name__, cls, state, restore)


def stored_estimator(
    cls: type,
    fitted: Checks,
    check: Callable[[Any], bool] = lambda model: True,
    made_anew: tuple[str, ...] = (),
    renamed: Mapping[str, str] = MappingProxyType({}),
) -> StoredClass:
    """Return the entry of an estimator with scikit-learn's interface."""

    def state(model: Any) -> dict[str, Any]:
        settings = model.get_params(deep=False)
        learned = {name: value for name, value in vars(model).items() if name not in (*settings, *made_anew)}
        for name in ("callbacks", "checkpoint", "workers"):  # who watches, keeps and does training is no part of it
            settings.pop(name, None)
        for name in learned:
            if name not in fitted:
                raise FileError(f"{cls.__name__} has the attribute {name!r}, for which a model file has no place.")
        return settings | learned

    def restore(state: dict[str, Any]) -> Any:
        state = {renamed.get(name, name): value for name, value in state.items()}
        settings = {name: state.pop(name) for name in state.keys() & set(cls._get_param_names())}  # type: ignore[attr-defined]
        unknown = state.keys() - fitted.keys()
        if unknown:
            raise ValueError(f"{cls.__name__} of this version knows no {min(unknown)!r}")
        model: Any = cls(**settings)
        require_valid_settings(model)
        for name, is_right in fitted.items():
            if name in state:
                if not is_right(state[name], model):
                    raise ValueError(f"{cls.__name__} cannot have such a value for {name!r}")
                setattr(model, name, state[name])
        if not check(model):
            raise ValueError(f"the attributes of {cls.__name__} do not belong together")
        return model

    return StoredClass(cls.__name__, cls, state, restore)


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value has an annotated type; an int is also a float, and a bool is neither.

    Examples
    --------
    >>> fits(1, float), fits(True, float), fits((0.1, 0.2), float | Sequence[float]), fits("low", float)
    (True, False, True, False)
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if origin is np.ndarray:
        return isinstance(value, np.ndarray)
    if origin in (list, tuple, Sequence):
        return isinstance(value, list | tuple) and all(fits(entry, arguments[0]) for entry in value)
    if origin in (dict, Mapping):
        return isinstance(value, dict) and all(fits(entry, arguments[1]) for entry in value.values())
    if hint is float:
        return isinstance(value, float | int | np.floating | np.integer) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    return isinstance(value, hint)


def is_a(hint: Any) -> Check:
    """Return the check for an annotated type.

    Examples
    --------
    >>> is_a(list[float])([1.0, 2.0], None)
    True
    """
    return lambda value, model: fits(value, hint)


def optional(check: Check) -> Check:
    """Return a check that None passes too."""
    return lambda value, model: value is None or check(value, model)


def is_count(value: Any, model: Any) -> bool:
    """Return whether a value is a whole number of at least 0."""
    return fits(value, int) and value >= 0


def is_per_column(value: Any, model: Any) -> bool:
    """Return whether a value is an array with an entry for each column of the input."""
    return isinstance(value, np.ndarray) and value.shape == (model.n_features_in_,)


def is_numeric_per_column(value: Any, model: Any) -> bool:
    """Return whether a value is an array with a number for each column of the input."""
    return is_per_column(value, model) and value.dtype.kind in "iuf"


def are_names(value: Any, model: Any) -> bool:
    """Return whether a value names each column of the input."""
    return is_per_column(value, model) and all(isinstance(name, str) for name in value.tolist())


COMMON: Checks = {
    "n_features_in_": is_count,
    "feature_names_in_": are_names,
    "_sklearn_output_config": is_a(dict[str, str]),
}
"""The attributes that any estimator may have."""

"""What the registry says of a class: its name in files, what is written of an object, and how that is read back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np


@dataclass(frozen=True)
class Kind:
    """A class that model files may hold.

    Parameters
    ----------
    name : str
        Its name in files.
    cls : type
        The class itself; a class derived from it is another one.
    state : callable
        Returns what is written of an object: values by name.
    restore : callable
        Returns an object from such values, after a look at each of them, or raises an error.
    """

    name: str
    cls: type
    state: Callable[[Any], dict[str, Any]]
    restore: Callable[[dict[str, Any]], Any]


def described(cls: type, check: Callable[[Any], bool] = lambda part: True) -> Kind:
    """Return the kind of a class of named fields: they are written, and read back if they are of the annotated types.

    Parameters
    ----------
    cls : type
        A dataclass or a NamedTuple; its own checks run as whenever it is made.
    check : callable, optional
        Says of a new object whether its fields belong together.

    Examples
    --------
    >>> kind = described(LeakyReLU)
    >>> kind.state(LeakyReLU(0.1)), kind.restore({"leak": 0.2})
    ({'leak': 0.1}, LeakyReLU(leak=0.2))
    >>> kind.restore({"leak": "steep"})
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

    return Kind(cls.__name__, cls, state, restore)


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value is of an annotated type; whole numbers are numbers, and truth values are neither.

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

"""Estimators as settings and fitted state, each attribute declared by name with a check of its value."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from .error import FileError
from .kinds import Kind, fits

Check = Callable[[Any, Any], bool]
"""Says whether a value can be an attribute of a model, of which the attributes before it stand already."""
Checks = Mapping[str, Check]


def estimator(
    cls: type,
    fitted: Checks,
    check: Callable[[Any], bool] = lambda model: True,
    made_anew: tuple[str, ...] = (),
    renamed: Mapping[str, str] = MappingProxyType({}),
) -> Kind:
    """Return the kind of an estimator with scikit-learn's interface.

    Parameters
    ----------
    cls : type
        The class. Its settings are those of its constructor, checked by its own ``_validate_params``.
    fitted : mapping of str to check
        Every attribute that fitting may leave, in the order in which they are set.
    check : callable, optional
        Says of a new object whether its attributes belong together.
    made_anew : tuple of str
        Attributes that need not be kept.
    renamed : mapping of str to str
        The present names of attributes that files of earlier versions have under other names.
    """

    def state(model: Any) -> dict[str, Any]:
        settings = model.get_params(deep=False)
        learned = {name: value for name, value in vars(model).items() if name not in (*settings, *made_anew)}
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
        model._validate_params()
        for name, is_right in fitted.items():
            if name in state:
                if not is_right(state[name], model):
                    raise ValueError(f"{cls.__name__} cannot have such a value for {name!r}")
                setattr(model, name, state[name])
        if not check(model):
            raise ValueError(f"the attributes of {cls.__name__} do not belong together")
        return model

    return Kind(cls.__name__, cls, state, restore)


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
"""What any estimator may have."""

"""The candidates of a search."""

from functools import cached_property
from typing import Any

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from .base import MultilayerPerceptron, require_inherited_fit
from .scaling import scaler_of
from .together import random_states


class Candidate:
    """An estimator with one choice of parameters.

    Raises
    ------
    TypeError
        If the estimator is of another class.
    """

    def __init__(self, estimator: Any, params: dict[str, Any], seeds: int) -> None:
        self.params = params
        values: Any = clone(params, safe=False)  # which may be estimators
        self.estimator: Any = clone(estimator)
        self.estimator.set_params(**values)
        self.model = self.estimator
        self.name = None
        if isinstance(self.estimator, Pipeline):
            self.name, self.model = self.estimator.steps[-1]
        if not isinstance(self.model, MultilayerPerceptron):
            raise TypeError(
                f"MLPSearchCV searches an MLPClassifier or MLPRegressor of vecprop, alone or as the last step of a "
                f"Pipeline, but this is {type(self.model).__name__}: use scikit-learn's GridSearchCV."
            )
        require_inherited_fit(self.model)
        self.random_states = random_states(self.model.random_state, seeds)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The model's settings, validated."""
        self.model._validate_params()
        return self.model.get_params(deep=False)

    @cached_property
    def preprocessing(self) -> tuple[Any, ...]:
        """A key that is equal for candidates with the same preprocessing."""
        if self.name is None:
            return ()
        own = (self.name, f"{self.name}__")
        return tuple((key, _identity(self.params[key])) for key in sorted(self.params) if not key.startswith(own))

    def only_scales(self, params: dict[str, Any]) -> bool:
        """Return whether a scaler is all that is before the model, and arguments of `fit` are all for the model."""
        if self.name is None:
            return True
        return scaler_of(self.estimator) is not None and all(name.startswith(f"{self.name}__") for name in params)

    def of_the_model(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return arguments of `fit` that are all for the model, by its own names for them."""
        prefix = "" if self.name is None else f"{self.name}__"
        return {name.removeprefix(prefix): value for name, value in params.items()}

    @cached_property
    def targets(self) -> tuple[Any, ...]:
        """A key that is equal for candidates that read targets in the same way."""
        shared = [_identity(self.settings.get(name)) for name in ("loss", "class_weight", "scale_target")]
        return type(self.model), *shared


def _identity(value: Any) -> Any:
    """Return a key of a value: a number or string itself, and the address of any other object."""
    plain = value is None or isinstance(value, bool | int | float | str)
    return (type(value), value) if plain else id(value)

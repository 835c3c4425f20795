"""Intervals of models that go elsewhere: which models have them, and of which share."""

from typing import Any

from ..tables.intervals import require_share
from ..tables.regressor import TabularRegressor
from .error import FileError


def require_intervals(model: Any, coverage: float) -> None:
    """Refuse a model that knows no intervals, and a share of targets that none hold."""
    if not isinstance(model, TabularRegressor):
        raise FileError(f"A {type(model).__name__} knows no intervals, which are of a TabularRegressor: no coverage.")
    require_share(coverage)

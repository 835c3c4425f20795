"""scikit-learn's decorator of methods that a model has with some of its settings, typed, so that editors show them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Method = TypeVar("Method", bound=Callable[..., Any])

    def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]: ...  # noqa: D103
else:
    from sklearn.utils.metaestimators import available_if as available_if

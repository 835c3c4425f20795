"""scikit-learn's callbacks (from release 1.9 on): each epoch is a task of the fit."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..train.state import TrainingState

if TYPE_CHECKING:
    from .base import MultilayerPerceptron


def _support() -> Any:
    try:
        from sklearn.callback import CallbackSupportMixin
    except ImportError:  # an older scikit-learn
        return type("CallbackSupportMixin", (), {})
    return CallbackSupportMixin


CallbackSupport: Any = _support()
"""The base of a model that takes scikit-learn's callbacks, if scikit-learn has them."""


class EpochTasks:
    """Reports a fit and each of its epochs to scikit-learn's callbacks."""

    def __init__(self, model: "MultilayerPerceptron", X: Any, y: Any, metadata: dict[str, Any]) -> None:
        self.model, self.arguments = model, {"X": X, "y": y, "metadata": metadata}
        self.fit = model._init_callback_context(max_subtasks=model.max_iter)
        self.fit.call_on_fit_task_begin(estimator=model, **self.arguments)
        self.epoch: Any = None

    def begin(self) -> None:
        """Begin an epoch."""
        self.epoch = self.fit.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.model, **self.arguments)

    def watching(self, others: list[Callable[[TrainingState], Any]]) -> Callable[[TrainingState], bool]:
        """Return one callback that calls others, ends the epoch's task, and begins the next if there is one."""
        self.begin()

        def after_epoch(state: TrainingState) -> bool:
            over = True in [other(state) for other in others]
            over |= self.epoch.call_on_fit_task_end(
                estimator=self.model, reconstruction_attributes=lambda: {"theta_": state.theta.copy()}, **self.arguments
            )
            if not over and state.epoch < state.epochs:
                self.begin()
            return over

        return after_epoch

    def end(self) -> None:
        """End the fit's task."""
        self.fit.call_on_fit_task_end(estimator=self.model, reconstruction_attributes=dict, **self.arguments)

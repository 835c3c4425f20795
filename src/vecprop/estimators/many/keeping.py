"""Checkpoints of estimators: among the callbacks of one fit, and as a setting of estimators that have many."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ..settings import Constructor
from ..sklearn_compat import HasMethods

CHECKPOINT = [HasMethods(["members", "fits", "part"]), None]
"""The constraint of the setting."""


def held(checkpoint: Any) -> AbstractContextManager[None]:
    """Return a block in which no other program uses a checkpoint, if there is one, and SIGTERM acts as Ctrl-C."""
    return nullcontext() if checkpoint is None else checkpoint.held()


def is_checkpoint(callback: Any) -> bool:
    """Return whether one of a model's callbacks is a checkpoint."""
    return callable(getattr(callback, "recording", None))


def callbacks_of(model: Constructor) -> list[Any]:
    """Return the callbacks of a model that are called after each epoch."""
    return [callback for callback in model.callbacks or () if not is_checkpoint(callback)]


def checkpoint_of(model: Constructor) -> Any:
    """Return the checkpoint among a model's callbacks, or None."""
    found = [callback for callback in model.callbacks or () if is_checkpoint(callback)]
    if len(found) > 1:
        raise ValueError("callbacks has two checkpoints, but one training is kept in one place: leave out one.")
    require_repeatable(model, found[0] if found else None)
    return found[0] if found else None


def require_repeatable(model: Any, checkpoint: Any = None) -> None:
    """Refuse a checkpoint, by default that of the setting, if the same fit would not be the same again."""
    if (checkpoint or getattr(model, "checkpoint", None)) is not None and model.random_state is None:
        raise ValueError(
            "random_state is None, so that each call of fit trains other networks, but a checkpoint goes on with the "
            "same: give random_state=0, or another integer."
        )


def require_no_checkpoint(model: Any, instead: str) -> None:
    """Refuse a checkpoint among the callbacks of a model of which there are many fits."""
    if any(map(is_checkpoint, getattr(model, "callbacks", None) or ())):
        raise ValueError(f"callbacks has a checkpoint, which keeps one fit, but here are many: {instead}.")

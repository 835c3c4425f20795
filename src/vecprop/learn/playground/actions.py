"""What is done in a session: the actions that its log keeps, so that a script can do them again."""

from dataclasses import dataclass

from .settings import Settings


@dataclass(frozen=True)
class Epochs:
    """Training for a number of epochs."""

    count: int


@dataclass(frozen=True)
class Steps:
    """A number of training steps within an epoch, from the batch of this number on."""

    first: int
    count: int


@dataclass(frozen=True)
class SetWeight:
    """A parameter of this index in theta was set."""

    index: int
    value: float


@dataclass(frozen=True)
class AddPoint:
    """A point was added to the training."""

    x: float
    y: float
    target: float


@dataclass(frozen=True)
class MovePoint:
    """The point of this index was moved."""

    index: int
    x: float
    y: float


@dataclass(frozen=True)
class RemovePoint:
    """The point of this index was removed."""

    index: int


@dataclass(frozen=True)
class Change:
    """The settings were changed to these; the optimizer's state was kept, or begun anew."""

    settings: Settings
    keeps_state: bool


Edit = AddPoint | MovePoint | RemovePoint
Action = Epochs | Steps | SetWeight | Edit | Change


class Log:
    """The actions since the last start, in their order; those of one kind that go on are kept as one.

    Examples
    --------
    >>> log = Log()
    >>> log.add(Epochs(10))
    >>> log.add(Epochs(5))
    >>> log.actions
    [Epochs(count=15)]
    """

    def __init__(self) -> None:
        self.actions: list[Action] = []

    def add(self, action: Action) -> None:
        """Add an action, or let it go on the last one."""
        joined = _joined(self.actions[-1], action) if self.actions else None
        if joined is None:
            self.actions.append(action)
        else:
            self.actions[-1] = joined


def _joined(last: Action, action: Action) -> Action | None:
    """Return one action that is as two, or None."""
    match last, action:
        case Epochs(before), Epochs(count):
            return Epochs(before + count)
        case Steps(first, before), Steps(second, count) if second == first + before:
            return Steps(first, before + count)
        case SetWeight(index), SetWeight(same) if index == same:
            return action
        case MovePoint(index), MovePoint(same) if index == same:
            return action
    return None

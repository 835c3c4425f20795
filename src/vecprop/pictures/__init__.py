"""The pictures: classes, loss, decision boundary, hidden space, momentum, random starts; matplotlib only when drawn."""

from .classes import plot_classes
from .decision_boundary import plot_decision_boundary
from .hidden_space import plot_hidden_space
from .loss import plot_loss
from .momentum import plot_momentum
from .random_starts import plot_random_starts

__all__ = [
    "plot_classes",
    "plot_decision_boundary",
    "plot_hidden_space",
    "plot_loss",
    "plot_momentum",
    "plot_random_starts",
]

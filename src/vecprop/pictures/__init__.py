"""The pictures: classes, loss, decision boundary, hidden space, momentum, random starts; matplotlib only when drawn."""

from .classes import plot_classes
from .decision_boundary import plot_decision_boundary
from .gradient_report import plot_gradient_report, plot_taylor_remainder
from .hidden_space import plot_hidden_space
from .loss import plot_loss
from .momentum import plot_momentum
from .random_starts import plot_random_starts

__all__ = [
    "plot_classes",
    "plot_decision_boundary",
    "plot_gradient_report",
    "plot_hidden_space",
    "plot_loss",
    "plot_momentum",
    "plot_random_starts",
    "plot_taylor_remainder",
]

"""Figures of data, training, searches, ensembles and columns. Matplotlib is imported when a figure is drawn."""

from .dependence import plot_dependence
from .disagreement import plot_disagreement
from .gradient_report import plot_gradient_report, plot_taylor_remainder
from .hidden_space import plot_hidden_space
from .loss import plot_loss, plot_restarts
from .plane import plot_classes, plot_decision_boundary
from .search_scores import plot_search, plot_search_each

__all__ = [
    "plot_classes",
    "plot_decision_boundary",
    "plot_dependence",
    "plot_disagreement",
    "plot_gradient_report",
    "plot_hidden_space",
    "plot_loss",
    "plot_restarts",
    "plot_search",
    "plot_search_each",
    "plot_taylor_remainder",
]

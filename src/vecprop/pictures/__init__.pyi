from .dependence import plot_dependence as plot_dependence
from .disagreement import plot_disagreement as plot_disagreement
from .gradient_report import plot_gradient_report as plot_gradient_report
from .gradient_report import plot_taylor_remainder as plot_taylor_remainder
from .hidden_space import plot_hidden_space as plot_hidden_space
from .loss import plot_loss as plot_loss
from .loss import plot_restarts as plot_restarts
from .plane import plot_classes as plot_classes
from .plane import plot_decision_boundary as plot_decision_boundary
from .search_scores import plot_search as plot_search
from .search_scores import plot_search_each as plot_search_each

__all__: list[str]

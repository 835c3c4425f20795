"""The evaluation of models of tables: metrics with intervals, baselines to beat, the verdict, and a page."""

from .evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]

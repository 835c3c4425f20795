"""Evaluation of tabular models: metrics with intervals, baselines, a verdict and an HTML report."""

from .evaluation import Evaluation, evaluate
from .several_targets import EvaluationOfTargets

__all__ = ["Evaluation", "EvaluationOfTargets", "evaluate"]

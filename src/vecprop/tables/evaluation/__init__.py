"""Evaluation of tabular models: metrics with intervals, baselines, a verdict and an HTML report."""

from .evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]

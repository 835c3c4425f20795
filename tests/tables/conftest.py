"""Baselines have a few trees only."""

from shared_commands import few_trees

__all__ = ["few_trees"]

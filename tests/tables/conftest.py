"""Baselines of a few trees."""

from shared_commands import few_trees

__all__ = ["few_trees"]

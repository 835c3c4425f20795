"""Baselines of a few trees."""

from commands import few_trees

__all__ = ["few_trees"]

"""Baselines of a few trees, and memory that is little."""

import pytest

from shared_commands import few_trees
from vecprop.tables.streaming import memory_plan

__all__ = ["few_trees"]


@pytest.fixture
def little(monkeypatch):
    """Return the memory in which no table fits, so that small ones are read in parts if little is added to it."""
    monkeypatch.setattr(memory_plan, "MIN_MEMORY", 0)
    monkeypatch.setattr(memory_plan, "MIN_SAMPLED", 10)
    return memory_plan.PROGRAM

"""Baselines have a few trees only."""

from shared_commands import small_baselines

__all__ = ["small_baselines"]

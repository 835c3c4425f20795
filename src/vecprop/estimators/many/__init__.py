"""Searches, ensembles and restarts, which fit many networks at once."""

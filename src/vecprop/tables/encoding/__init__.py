"""Encode columns as inputs of networks, and assign rows to folds."""

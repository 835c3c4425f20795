"""Columns as inputs of networks, and the folds of rows."""

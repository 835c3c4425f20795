"""Infer the kind of each column and the format of its text."""

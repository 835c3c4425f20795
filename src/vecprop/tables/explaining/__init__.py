"""Explanations of tabular models, such as importance, worst rows, drift and leaks."""

"""Explanations of tabular models: column importance, partial dependence, worst rows, drift and leaks."""

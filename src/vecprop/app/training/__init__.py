"""From a table to a model and its test: the division of the rows, the fit, and the outcome."""

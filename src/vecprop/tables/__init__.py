"""A table in, a model out: reading tables, their columns as numbers, and estimators that take them as they are."""

"""Estimators with scikit-learn's interface: a classifier, a regressor, a search and ensembles."""

"""Many networks of estimators: searches, ensembles and restarts, and the rows of their folds."""

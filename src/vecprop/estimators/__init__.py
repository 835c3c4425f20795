"""scikit-learn's face: a classifier and a regressor with its interface, and with what it lacks."""

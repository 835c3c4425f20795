"""
Classes
=======

The rows of two features, with a colour and a marker for each class.
"""

from sklearn.datasets import make_circles

from vecprop.pictures import plot_classes

X, t = make_circles(n_samples=100, factor=0.3, noise=0.1, random_state=0)
plot_classes(X, t, class_names=["outer", "inner"])

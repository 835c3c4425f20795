"""
Classes
=======

The picture shows the rows in two features. Each class has a color and a marker.
"""

from sklearn.datasets import make_circles

from vecprop.pictures import plot_classes

X, t = make_circles(n_samples=100, factor=0.3, noise=0.1, random_state=0)
plot_classes(X, t, class_names=["outer", "inner"])

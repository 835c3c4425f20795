"""
Restarts
========

The picture shows the losses of all restarts of a model. The model keeps the best
restart.
"""

from sklearn.datasets import make_moons

from vecprop import MLPClassifier
from vecprop.pictures import plot_restarts

X, t = make_moons(200, noise=0.2, random_state=0)
model = MLPClassifier(
    (4,), solver="lbfgs", n_restarts=30, max_iter=1000, random_state=0
).fit(X, t)
plot_restarts(model)

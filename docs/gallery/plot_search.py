"""
Search
======

The picture shows the scores of a search over two settings.
"""

from sklearn.datasets import make_moons

from vecprop import MLPClassifier, MLPSearchCV
from vecprop.pictures import plot_search

X, t = make_moons(300, noise=0.25, random_state=0)
grid = {
    "learning_rate_init": [0.001, 0.003, 0.01, 0.03, 0.1],
    "alpha": [1e-4, 1e-2, 1.0],
}
model = MLPClassifier((16,), early_stopping=True, max_iter=500, random_state=0)
plot_search(MLPSearchCV(model, grid, cv=3).fit(X, t))

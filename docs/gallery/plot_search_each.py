"""
Search, each setting
====================

Each picture shows the scores of a search over one setting.
"""

from scipy.stats import loguniform
from sklearn.datasets import make_moons

from vecprop import MLPClassifier, MLPSearchCV
from vecprop.pictures import plot_search_each

X, t = make_moons(300, noise=0.25, random_state=0)
settings = {"learning_rate_init": loguniform(1e-4, 0.3), "alpha": loguniform(1e-5, 10)}
model = MLPClassifier((16,), early_stopping=True, max_iter=500, random_state=0)
plot_search_each(
    MLPSearchCV(
        model, param_distributions=settings, n_iter=40, cv=3, random_state=0
    ).fit(X, t)
)

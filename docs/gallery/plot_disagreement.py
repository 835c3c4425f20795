"""
Disagreement
============

In the gray regions, the members of an ensemble disagree, so the predictions are
uncertain.
"""

from sklearn.datasets import make_moons

from vecprop import MLPClassifier, MLPEnsembleClassifier
from vecprop.pictures import plot_disagreement

X, t = make_moons(300, noise=0.25, random_state=0)
member = MLPClassifier((32,), learning_rate_init=0.01, tol=1e-3, max_iter=1000)
plot_disagreement(
    MLPEnsembleClassifier(member, n_estimators=16, bootstrap=True, random_state=0).fit(
        X, t
    ),
    X,
    t,
)

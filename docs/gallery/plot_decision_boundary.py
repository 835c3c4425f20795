"""
Decision boundary
=================

The colors show the predicted class at each point of two features.
"""

from sklearn.datasets import make_circles

from vecprop import Dense, Logistic, Momentum, Network, SoftmaxCrossEntropy, train
from vecprop.pictures import plot_decision_boundary

X, t = make_circles(n_samples=100, factor=0.3, noise=0.1, random_state=0)
network = Network(2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy())
result = train(
    network, network.init(seed=1), X, t, optimizer=Momentum(1.0, 0.9), epochs=300
)
plot_decision_boundary(network, result.theta, X, t)

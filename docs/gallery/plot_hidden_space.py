"""
Hidden space
============

The picture shows the rows in the space of three hidden units. On the plane, both
classes are equally probable.
"""

from sklearn.datasets import make_circles

from vecprop import Dense, Logistic, Momentum, Network, SoftmaxCrossEntropy, train
from vecprop.pictures import plot_hidden_space

X, t = make_circles(n_samples=100, factor=0.3, noise=0.1, random_state=0)
network = Network(2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy())
result = train(
    network, network.init(seed=1), X, t, optimizer=Momentum(1.0, 0.9), epochs=300
)
plot_hidden_space(network, result.theta, X, t)

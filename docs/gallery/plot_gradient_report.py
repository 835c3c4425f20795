"""
Gradient report
===============

The bars show the largest error of each parameter array, relative to the tolerance. One
layer has a wrong gradient.
"""

from dataclasses import dataclass

import numpy as np

from vecprop import Dense, Network, SoftmaxCrossEntropy, check_gradients
from vecprop.extend import Activation
from vecprop.pictures import plot_gradient_report


@dataclass(frozen=True)
class MyTanh(Activation):
    def value(self, z):
        return np.tanh(z)

    def derivative(self, z, y):
        return y * (1 - y)  # the derivative of the logistic function


rng = np.random.default_rng(0)
network = Network(2, [Dense(3), MyTanh(), Dense(2)], SoftmaxCrossEntropy())
report = check_gradients(
    network, network.init(seed=0), rng.normal(size=(12, 2)), rng.integers(0, 2, 12)
)
plot_gradient_report(report)

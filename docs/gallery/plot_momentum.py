"""
Momentum
========

Gradient descent and momentum move through a narrow valley with the same learning rate.
"""

from vecprop.learn import plot_momentum

plot_momentum()

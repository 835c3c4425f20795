"""
Taylor remainder
================

A second opinion on a gradient from values of the loss alone: slope 2 if it is right, 1 if it is wrong.
"""

import numpy as np

from vecprop import check_gradients
from vecprop.pictures import plot_taylor_remainder

report = check_gradients(lambda x: (np.sin(x).sum(), np.cos(x)), np.linspace(0.1, 2, 5))
plot_taylor_remainder(report)

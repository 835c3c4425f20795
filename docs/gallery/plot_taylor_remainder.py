"""
Taylor remainder
================

The slope of the Taylor remainder is 2 for a correct gradient, and 1 for a wrong
gradient.
"""

import numpy as np

from vecprop import check_gradients
from vecprop.pictures import plot_taylor_remainder

report = check_gradients(lambda x: (np.sin(x).sum(), np.cos(x)), np.linspace(0.1, 2, 5))
plot_taylor_remainder(report)

"""
Dependence
==========

The thin curves show how the prediction of single rows changes with one column. The
thick curve is their mean.
"""

from types import SimpleNamespace

import numpy as np
from sklearn.datasets import load_diabetes

from vecprop import TabularRegressor
from vecprop.pictures import plot_dependence

table = load_diabetes(as_frame=True, scaled=False).frame
model = TabularRegressor(target="target", random_state=0).fit(table)
values, rows = np.quantile(table["bmi"], np.linspace(0.05, 0.95, 12)), table[::10]
curves = np.stack([model.predict(rows.assign(bmi=value)) for value in values], axis=1)
plot_dependence(
    SimpleNamespace(column="bmi", values=values, curves=curves, output="target")
)

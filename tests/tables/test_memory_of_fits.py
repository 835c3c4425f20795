"""The memory of fits, in bytes per byte of the table."""

import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vecprop import TabularClassifier, TabularRegressor

FEW: dict[str, Any] = {
    "n_estimators": 2,
    "hidden_layer_sizes": (4,),
    "max_iter": 1,
    "random_state": 0,
    "n_jobs": 1,
}
ROWS = 30_000  # more inputs than are stored


@pytest.mark.parametrize("estimator", [TabularClassifier, TabularRegressor])
def test_a_fit_takes_a_few_times_the_memory_of_the_table(estimator):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(ROWS, 16))).add_prefix("x")
    y = (X.x0 + X.x1).round()
    if estimator is TabularClassifier:
        y = y > 0
    model = estimator(**FEW).fit(X[:100], y[:100])  # loads modules and kernels
    tracemalloc.start()
    try:
        model.fit(X, y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Stored inputs of both views would take 9.5 times the memory of the table.
    assert peak < 8 * X.memory_usage().sum()

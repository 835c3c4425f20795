"""Settings of commands that tests share."""

from functools import partial

import pytest
from threadpoolctl import threadpool_limits

from vecprop.tables.evaluation import baselines

FAST = ("--max-iter", 2, "--n-estimators", 2, "--hidden-layer-sizes", 4)


@pytest.fixture(scope="session", autouse=True)
def few_trees():
    """Gradient boosting takes a few steps only, in one thread."""
    for name in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"):
        setattr(baselines, name, partial(getattr(baselines, name), max_iter=3))
    with threadpool_limits(1, user_api="openmp"):
        yield

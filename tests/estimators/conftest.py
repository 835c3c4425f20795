"""Short trainings are meant, so warnings of convergence are ignored."""

import warnings
from collections.abc import Iterator

import pytest
from sklearn.exceptions import ConvergenceWarning


@pytest.fixture(autouse=True)
def _short_trainings_are_meant() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield

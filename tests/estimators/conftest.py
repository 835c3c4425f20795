import warnings
from collections.abc import Iterator

import pytest
from sklearn.exceptions import ConvergenceWarning

from vecprop.estimators.many import fits


@pytest.fixture(autouse=True)
def _short_trainings_are_meant() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@pytest.fixture
def populations(monkeypatch):
    """Return a list of the members of each trained population."""
    trained, train_population = [], fits.train_population

    def watched(members, X, T, **settings):
        trained.append(members)
        return train_population(members, X, T, **settings)

    monkeypatch.setattr(fits, "train_population", watched)
    return trained

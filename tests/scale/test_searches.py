"""Searches on workers return the same scores as local searches."""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vecprop as vp
from scale.fake_client import FakeClient

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)


class Watched(FakeClient):
    """A client that counts the networks that its workers have trained."""

    trained = 0

    def gather(self, futures, errors):
        results = super().gather(futures, errors)
        self.trained += sum(
            len(part.numbers) for part in results.values() if part is not None
        )
        return results


def fitted(client: Any, grid: dict[str, Any], **settings: Any):
    model = make_pipeline(
        StandardScaler(), vp.MLPClassifier((4,), max_iter=3, random_state=0)
    )
    grid = {f"mlpclassifier__{name}": values for name, values in grid.items()}
    workers = None if client is None else vp.cluster.DaskWorkers(client)
    settings = {"refit": False, **settings}
    return vp.MLPSearchCV(
        model, grid, cv=2, n_seeds=2, workers=workers, **settings
    ).fit(X, y)


def assert_same(one, other):
    assert one.cv_results_.keys() == other.cv_results_.keys()
    for name, values in one.cv_results_.items():
        if "time" not in name:
            np.testing.assert_equal(other.cv_results_[name], values)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "settings",
    [{}, {"scoring": ["accuracy", "roc_auc"], "refit": "accuracy", "halving": 2}],
)
def test_workers_return_the_scores_of_a_local_search(settings, limit):
    limit("bundle: members", 3)
    client, grid = (
        Watched("done", "lost", "gone"),
        {"alpha": [1e-4, 1.0], "early_stopping": [True, False]},
    )
    here, there = (
        fitted(of, grid, return_train_score=True, **settings) for of in (None, client)
    )
    assert_same(here, there)
    candidates = 4 + 2 + 1 if settings else 4  # in all rounds of halving
    assert client.trained == candidates * 2 * 2  # folds and seeds


@pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.FitFailedWarning",
    "ignore:One or more of the test scores",
)
def test_failing_diverging_and_python_fits_equal_local_ones():
    grid = {
        "solver": ["adam", "lbfgs", "sgd"],
        "learning_rate_init": [1e-3, 1e30, "much"],
    }
    client = Watched()
    here, there = (fitted(of, grid) for of in (None, client))
    assert_same(here, there)
    # not the fits of L-BFGS, nor those with an invalid setting
    assert client.trained == 4 * 4
    with pytest.raises(ValueError, match="learning_rate_init"):
        fitted(FakeClient(), {"learning_rate_init": ["much"]}, error_score="raise")


def failing(estimator, X, y):
    raise ZeroDivisionError


def test_warnings_of_workers_are_issued_locally():
    said = []
    for client in (None, FakeClient()):
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            fitted(client, {"alpha": [1.0]}, scoring=failing)
        said.append({str(each.message).partition("Traceback")[0] for each in warned})
    assert said[0] == said[1]
    assert any("Scoring failed" in text for text in said[1])


def test_callbacks_and_checkpoints_run_locally(tmp_path):
    seen: list[int] = []
    fitted(FakeClient(), {"callbacks": [[lambda state: seen.append(state.epoch)]]})
    assert len(seen) == 4 * 3
    client, kept = Watched(), vp.Checkpoint(tmp_path / "kept")
    assert_same(
        fitted(None, {"alpha": [1.0]}),
        fitted(client, {"alpha": [1.0]}, checkpoint=kept),
    )
    assert_same(
        fitted(None, {"alpha": [1.0]}), fitted(None, {"alpha": [1.0]}, checkpoint=kept)
    )
    assert client.trained == 4


@pytest.mark.parametrize(
    "model",
    [vp.MLPSearchCV(vp.MLPClassifier(), {"alpha": [1.0]}), vp.MLPEnsembleClassifier()],
)
def test_a_client_is_refused_as_workers(model):
    with pytest.raises(TypeError, match=r"workers must be DaskWorkers\(client\)"):
        model.set_params(workers=FakeClient()).fit(X, y)

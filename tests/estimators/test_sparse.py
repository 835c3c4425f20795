"""Test that sparse rows give the same results as dense rows, without being converted."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_multilabel_classification

from models import restart_states
from sampled import sampled
from vecprop import MLPClassifier, MLPEnsembleClassifier, MLPRegressor

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 12)) * (rng.uniform(size=(90, 12)) < 0.2)
y = (X.sum(axis=1) > 0).astype(int) + (X[:, 0] > 0)
weight = rng.uniform(0.5, 2, 90)
KINDS = [MLPClassifier, MLPRegressor]
FORMS = [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix]


@pytest.fixture(autouse=True)
def _nothing_is_made_dense(monkeypatch):
    def refuse(self, *arguments, **named):
        raise AssertionError("A sparse matrix was made dense.")

    for form in (
        sparse.csr_matrix,
        sparse.csr_array,
        sparse.csc_matrix,
        sparse.csc_array,
    ):
        for method in ("toarray", "todense"):
            monkeypatch.setattr(form, method, refuse)


SOLVERS = [
    {"solver": "adam", "batch_size": 20, "dropout": 0.2, "layer_norm": True},
    {"solver": "sgd"},
    {"solver": "lbfgs", "max_iter": 8},
    {"solver": "adam", "early_stopping": True, "batch_size": 20},
]


@pytest.mark.parametrize(
    ("kind", "settings", "form"),
    sampled(
        (
            (*case, FORMS[(n + m) % 3])
            for n, case in enumerate(product(KINDS, SOLVERS))
            for m in range(3)
        ),
        every=3,
    ),
)
def test_sparse_rows_equal_dense_rows(kind, settings, form):
    settings = {
        "hidden_layer_sizes": (6,),
        "max_iter": 12,
        "random_state": 0,
    } | settings
    on_sparse = kind(**settings).fit(
        form(X), y, weight, X_val=form(X[:30]), y_val=y[:30]
    )
    on_dense = kind(**settings).fit(X, y, weight, X_val=X[:30], y_val=y[:30])
    tolerance: dict[str, Any] = (
        {"rtol": 1e-6, "atol": 1e-6}
        if settings["solver"] == "lbfgs"
        else {"rtol": 1e-9, "atol": 1e-9}
    )
    np.testing.assert_allclose(on_sparse.theta_, on_dense.theta_, **tolerance)
    np.testing.assert_allclose(on_sparse.loss_curve_, on_dense.loss_curve_, **tolerance)
    np.testing.assert_allclose(
        on_sparse.validation_loss_curve_, on_dense.validation_loss_curve_, **tolerance
    )
    np.testing.assert_allclose(
        on_sparse.validation_scores_, on_dense.validation_scores_, **tolerance
    )
    np.testing.assert_allclose(
        on_dense.predict(form(X)), on_dense.predict(X), rtol=1e-12
    )


@pytest.mark.long
def test_sparse_float32_and_partial_fit():
    model = MLPClassifier((6,), random_state=0).partial_fit(
        sparse.csr_matrix(X, dtype=np.float32), y, classes=[0, 1, 2]
    )
    assert model.theta_.dtype == np.float32
    dense = MLPClassifier((6,), random_state=0).partial_fit(
        X.astype(np.float32), y, classes=[0, 1, 2]
    )
    np.testing.assert_allclose(model.theta_, dense.theta_, atol=1e-6)


def test_sparse_restarts_equal_separate_fits():
    settings: dict[str, Any] = {
        "hidden_layer_sizes": (6,),
        "max_iter": 5,
        "batch_size": 20,
    }
    together = MLPClassifier(**settings, n_restarts=2, random_state=0).fit(
        sparse.csc_matrix(X), y
    )
    assert together.best_restart_ is not None
    alone = MLPClassifier(
        **settings, random_state=restart_states(0, 2)[together.best_restart_]
    )
    np.testing.assert_array_equal(
        together.theta_, alone.fit(sparse.csr_matrix(X), y).theta_
    )


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array])
def test_invalid_sparse_indices_raise_an_error(form):
    damaged, ensemble = (
        form(X),
        MLPEnsembleClassifier(MLPClassifier((3,), max_iter=1), n_estimators=2),
    )
    models = MLPClassifier((3,), max_iter=1).fit(X, y), ensemble.fit(X, y)
    damaged.indices[5] = 10**6
    for model in models:
        for call in (
            lambda model=model: model.predict(damaged),
            lambda model=model: model.fit(damaged, y),
        ):
            with pytest.raises(
                ValueError,
                match=(
                    r"^X has .* but an entry in .* 1000000: rebuild the sparse matrix"
                ),
            ):
                call()
    with pytest.raises(ValueError, match="at least 0"):
        MLPClassifier().fit(sparse.csr_matrix(X), y, -weight)


def test_sparse_labels_come_back_sparse(monkeypatch):
    monkeypatch.undo()
    rows, labels = map(np.asarray, make_multilabel_classification(40, random_state=0))
    settings = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0}
    given_sparse = (
        MLPClassifier(**settings).fit(rows, sparse.csr_matrix(labels)).predict(rows)
    )
    given_dense = MLPClassifier(**settings).fit(rows, labels).predict(rows)
    assert sparse.issparse(given_sparse)
    np.testing.assert_array_equal(given_sparse.toarray(), given_dense)

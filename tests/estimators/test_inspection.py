"""Test the inspection of initial parameters, hidden layers and gradients."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError

from vecprop import MLPClassifier, MLPRegressor, Network

X, y = map(
    np.asarray,
    make_classification(
        30, 5, n_classes=3, n_informative=4, n_redundant=0, random_state=1
    ),
)


def relu(z):
    return np.maximum(z, 0)


def test_initialize_draws_what_fit_starts_from():
    model = MLPClassifier((4,), random_state=3).initialize(X, y)
    assert model.predict_proba(X).shape == (30, 3)
    assert model.loss_curve_ == []
    fresh = MLPClassifier((4,), random_state=3).partial_fit(X, y, classes=[0, 1, 2])
    np.testing.assert_array_equal(model.partial_fit(X, y).theta_, fresh.theta_)
    again = model.initialize(X, y)
    np.testing.assert_array_equal(
        again.theta_, MLPClassifier((4,), random_state=3).initialize(X, y).theta_
    )


def test_hidden_activations_are_the_layers_outputs():
    model = MLPClassifier((4, 3), dropout=0.5, random_state=0).initialize(X, y)
    W, b = model.coefs_, model.intercepts_
    H = relu(X @ W[0] + b[0])
    np.testing.assert_allclose(model.hidden_activations(X, layer=0), H)
    np.testing.assert_allclose(model.hidden_activations(X), relu(H @ W[1] + b[1]))
    np.testing.assert_allclose(
        model.hidden_activations(sparse.csr_matrix(X), layer=-2), H
    )
    with pytest.raises(
        IndexError, match="Hidden layer 2 does not exist: the model has 2"
    ):
        model.hidden_activations(X, layer=2)


@pytest.mark.parametrize("name", ["classifier", "regressor"])
def test_per_sample_gradients_add_up_to_the_gradient(name):
    kind = MLPClassifier if name == "classifier" else MLPRegressor
    model = kind(hidden_layer_sizes=(4,), alpha=9, random_state=0).initialize(X, y)
    # without the penalty
    network = Network(5, model.network_.layers, model.network_.loss_function)
    G = model.per_sample_gradients(X, y)
    assert G.shape == (30, model.theta_.size)
    T = y if name == "classifier" else y.astype(float)
    np.testing.assert_allclose(
        G.mean(axis=0), network.loss_and_gradient(model.theta_, X, T)[1], atol=1e-12
    )
    np.testing.assert_allclose(
        G[7], model.per_sample_gradients(X[7:8], y[7:8])[0], atol=1e-12
    )


def test_check_gradients_passes():
    report = (
        MLPClassifier((4,), "tanh", layer_norm=True, random_state=0)
        .initialize(X, y)
        .check_gradients(X, y)
    )
    assert report.passed


@pytest.mark.parametrize(
    "look", ["hidden_activations", "per_sample_gradients", "check_gradients"]
)
def test_inspection_needs_a_fitted_model(look):
    with pytest.raises(NotFittedError):
        getattr(MLPClassifier(), look)(
            *((X,) if look == "hidden_activations" else (X, y))
        )

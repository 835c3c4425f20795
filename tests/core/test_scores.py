"""Scores equal scikit-learn's scores, also for several members."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, r2_score

import registry
import vecprop as vp


def score(name, Y, T, weight=None, loss=None):
    """Return the score of predictions Y, as of a network that returns its inputs."""
    outputs = Y.shape[-1]
    network = vp.Network(outputs, [vp.Dense(outputs)], loss or vp.SquaredError())
    theta = np.append(np.eye(outputs).ravel(), np.zeros(outputs)).astype(Y.dtype)
    validation = (Y, T) if weight is None else (Y, T, weight)
    result = vp.train(
        network,
        np.broadcast_to(theta, (*Y.shape[:-2], theta.size)),
        Y,
        T,
        optimizer=vp.Adam(),
        epochs=0,
        validation=validation,
        validation_score=name,
        engine="reference",
    )
    (scores,) = result.history.validation_score
    return scores


def test_the_documentation_explains_each_score():
    for name in registry.SCORES:
        assert f'"{name}" is the ' in " ".join(str(vp.train.__doc__).split())


@st.composite
def predictions(draw):
    """Draw predictions, classes and weights."""
    rows, outputs = draw(st.integers(2, 30)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    # with ties
    Y = rng.uniform(size=(rows, outputs)).round(draw(st.sampled_from([1, 9])))
    Y = Y.astype(draw(st.sampled_from([np.float32, np.float64])))
    weight = rng.integers(0, 3, rows) + 0.1 if draw(st.booleans()) else None
    return Y, rng, None if weight is None else weight.astype(Y.dtype)


@given(predictions())
@settings(max_examples=30)
def test_scores_equal_scikit_learn(drawn):
    Y, rng, weight = drawn
    rows, outputs = Y.shape
    classes = rng.integers(0, outputs, rows)
    named = {"sample_weight": weight}
    if outputs > 1:
        expected = accuracy_score(classes, Y.argmax(axis=1), **named)
        one_hot = np.eye(outputs)[classes]
        cross_entropy = vp.SoftmaxCrossEntropy()
        for found in (
            score("accuracy", Y, one_hot, weight),
            score("accuracy", Y, classes, weight, cross_entropy),
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
    labels = rng.integers(0, 2, (rows, outputs)).astype(float)
    expected = accuracy_score(labels > 0.5, Y > 0.5, **named)
    found = score("subset_accuracy", Y, labels, weight)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    if outputs == 1:
        found = score("accuracy", Y, labels, weight)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    T = rng.normal(3, 1, (rows, outputs))
    expected = r2_score(T.astype(Y.dtype), Y.astype(float), **named)
    np.testing.assert_allclose(score("r2", Y, T, weight), expected, rtol=1e-9)


@pytest.mark.parametrize("name", registry.SCORES)
def test_each_member_has_a_score(name):
    rng = np.random.default_rng(0)
    Y, T = rng.uniform(size=(2, 3, 8, 2)), rng.uniform(size=(8, 2))
    weight = rng.uniform(size=8)
    found = score(name, Y, T, weight)
    assert found.shape == (2, 3)
    for place in np.ndindex(2, 3):
        expected = score(name, Y[place], T, weight)
        np.testing.assert_allclose(found[place], expected, rtol=1e-12)


def test_r2_of_constant_targets():
    T = np.full((10, 1), 0.1)  # the rounded mean is not 0.1
    assert score("r2", T, T) == 1
    assert score("r2", T + 0.01, T) == 0
    assert score("r2", np.c_[T + 0.01, T], np.c_[T, T]) == 0.5

"""Scores equal scikit-learn's scores, also for several members."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, r2_score

from vecprop.core.scores import SCORES, accuracy, meanings, r2, subset_accuracy


def test_the_documentation_explains_each_score():
    assert [meaning.split()[0] for meaning in meanings()] == [
        '"accuracy"',
        '"subset_accuracy"',
        '"r2"',
    ]
    assert all(" is the " in meaning for meaning in meanings())


@st.composite
def predictions(draw):
    """Draw predictions, classes and weights."""
    rows, outputs = draw(st.integers(2, 30)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    # with ties
    Y = rng.uniform(size=(rows, outputs)).round(draw(st.sampled_from([1, 9])))
    weight = rng.integers(0, 3, rows) + 0.1 if draw(st.booleans()) else None
    return Y.astype(draw(st.sampled_from([np.float32, np.float64]))), rng, weight


@given(predictions())
@settings(max_examples=30)
def test_scores_equal_scikit_learn(drawn):
    Y, rng, weight = drawn
    rows, outputs = Y.shape
    classes = rng.integers(0, outputs, rows)
    named = {"sample_weight": weight}
    if outputs > 1:
        expected = accuracy_score(classes, Y.argmax(axis=1), **named)
        for T in (classes, np.eye(outputs)[classes]):
            np.testing.assert_allclose(accuracy(Y, T, weight), expected, rtol=1e-12)
    labels = rng.integers(0, 2, (rows, outputs)).astype(float)
    expected = accuracy_score(labels > 0.5, Y > 0.5, **named)
    np.testing.assert_allclose(subset_accuracy(Y, labels, weight), expected, rtol=1e-12)
    if outputs == 1:
        np.testing.assert_allclose(accuracy(Y, labels, weight), expected, rtol=1e-12)
    T = rng.normal(3, 1, (rows, outputs))
    expected = r2_score(T.astype(Y.dtype), Y.astype(float), **named)
    np.testing.assert_allclose(r2(Y, T, weight), expected, rtol=1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_each_member_has_a_score(name):
    rng = np.random.default_rng(0)
    Y, T = rng.uniform(size=(2, 3, 8, 2)), rng.uniform(size=(3, 8, 2))
    weight = rng.uniform(size=(2, 1, 8))
    found = SCORES[name](Y, T, weight)
    assert found.shape == (2, 3)
    for m, n in np.ndindex(2, 3):
        np.testing.assert_allclose(
            found[m, n], SCORES[name](Y[m, n], T[n], weight[m, 0]), rtol=1e-12
        )


def test_r2_of_constant_targets():
    T = np.full((10, 1), 0.1)  # the rounded mean is not 0.1
    assert r2(T, T) == 1
    assert r2(T + 0.01, T) == 0
    assert r2(np.c_[T + 0.01, T], np.c_[T, T]) == 0.5

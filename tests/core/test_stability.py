"""Losses and activations are finite for finite logits; pytest turns warnings into errors."""

import numpy as np
import pytest

import registry
import vecprop as vp

LARGE = [1000.0, 1e300, 1.7e308]
CROSS_ENTROPIES = [vp.SoftmaxCrossEntropy(), vp.BinaryCrossEntropy()]


@pytest.mark.parametrize("z", LARGE)
@pytest.mark.parametrize("loss", CROSS_ENTROPIES, ids=registry.name)
def test_cross_entropies_are_finite_for_any_logits(loss, z):
    Z = np.array([[z, -z], [-z, z], [z, z]])
    for T in ([[1.0, 0.0]], [[0.0, 1.0]], [[0.5, 0.5]]):
        T = np.broadcast_to(T, (3, 2))
        if z < 1e308:
            assert np.isfinite(loss.value(Z, T)).all()
        assert np.isfinite(loss.predict(Z)).all()
        assert np.abs(loss.delta(Z, T)).max() <= 1


def test_cross_entropies_of_large_logits_by_hand():
    Z = np.array([[1000.0, -1000.0]])
    assert vp.SoftmaxCrossEntropy().value(Z, np.array([[1.0, 0.0]])) == 0
    assert vp.SoftmaxCrossEntropy().value(Z, np.array([[0.0, 1.0]])) == 2000
    assert vp.BinaryCrossEntropy().value(Z, np.array([[1.0, 0.0]])) == 0
    assert vp.BinaryCrossEntropy().value(Z, np.array([[0.0, 1.0]])) == 2000
    assert (
        vp.SoftmaxCrossEntropy().value(np.array([[1e300, -1e300]]), np.array([1]))
        == 2e300
    )


def test_small_probabilities_are_accurate():
    np.testing.assert_allclose(
        vp.SoftmaxCrossEntropy().predict(np.array([[0.0, 100.0]]))[0, 0], np.exp(-100)
    )
    np.testing.assert_allclose(vp.Logistic().value(np.array(-100.0)), np.exp(-100))
    np.testing.assert_allclose(
        vp.BinaryCrossEntropy().value(np.array([[50.0]]), np.array([[1.0]])),
        np.exp(-50),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", CROSS_ENTROPIES, ids=registry.name)
def test_the_largest_logits_of_a_dtype(loss, dtype):
    largest = np.finfo(dtype).max
    Z = np.array([[largest, -largest, 0]], dtype)
    assert np.abs(loss.delta(Z, np.array([[0, 1, 0]], dtype))).max() <= 1
    assert not np.isnan(vp.SoftmaxCrossEntropy().value(Z, np.array([1]))).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", registry.ACTIVATIONS, ids=registry.name)
def test_activations_are_finite_for_any_input(activation, dtype):
    Z = np.minimum([LARGE], float(np.finfo(dtype).max) / 4).astype(dtype) * np.array(
        [[-1], [1]], dtype
    )
    y = activation.value(Z)
    derivative = activation.derivative(Z, y)
    assert np.isfinite(y).all()
    assert np.isfinite(derivative).all()
    assert y.dtype == derivative.dtype == dtype


def test_a_loss_that_truly_overflows_is_infinite():
    with np.errstate(over="ignore"):
        assert vp.SquaredError().value(np.array([[1e300]]), np.array([[0.0]])) == np.inf
        assert vp.Poisson().value(np.array([[1e4]]), np.array([[0.0]])) == np.inf
    assert vp.Huber().value(np.array([[1e300]]), np.array([[0.0]])) == 1e300


def test_a_constant_row_is_normalized_to_zero():
    Y, _ = vp.LayerNorm().forward(
        {"g": np.ones(3), "b": np.zeros(3)}, np.full((1, 3), 7.0)
    )
    np.testing.assert_array_equal(Y, 0)

"""Results on other array libraries equal NumPy's."""

import array_api_strict
import numpy as np
import pytest

import registry
import vecprop as vp

TORCH = pytest.param("torch", marks=pytest.mark.long)


@pytest.fixture(params=["array_api_strict", TORCH])
def xp(request):
    return (
        array_api_strict
        if request.param == "array_api_strict"
        else pytest.importorskip("torch")
    )


CASES = [(layer, vp.SoftmaxCrossEntropy()) for layer in registry.LAYERS] + [
    (vp.Tanh(), loss) for loss in registry.LOSSES
]


@pytest.mark.parametrize(("layer", "loss"), CASES, ids=registry.name)
def test_same_numbers(xp, layer, loss):
    p = registry.problem(layer, loss, (2,))
    theta, X, T, w = (xp.asarray(array) for array in (p.theta, p.X, p.T, p.weight))
    value, gradient = p.network.loss_and_gradient(theta, X, T, w, p.noise)
    expected = p.network.loss_and_gradient(p.theta, p.X, p.T, p.weight, p.noise)
    assert type(gradient) is type(theta)
    assert gradient.dtype == theta.dtype
    np.testing.assert_allclose(np.asarray(value), expected[0], rtol=1e-13)
    np.testing.assert_allclose(
        np.asarray(gradient), expected[1], rtol=1e-11, atol=1e-14
    )
    np.testing.assert_allclose(
        np.asarray(p.network.predict(theta, X)),
        p.network.predict(p.theta, p.X),
        rtol=1e-13,
    )


@pytest.mark.parametrize(("layer", "loss"), CASES, ids=registry.name)
def test_complex_step(xp, layer, loss):
    p = registry.problem(layer, loss)
    v = np.random.default_rng(1).normal(size=p.theta.shape)
    loss_beside = p.network.loss(
        xp.asarray(p.theta + 1e-20j * v), xp.asarray(p.X), xp.asarray(p.T)
    )
    derivative = np.imag(np.asarray(loss_beside)) / 1e-20
    np.testing.assert_allclose(
        derivative, p.network.loss_and_gradient(p.theta, p.X, p.T)[1] @ v, rtol=1e-11
    )


def test_float32_and_integer_classes(xp):
    p = registry.problem(vp.GELU(), vp.SoftmaxCrossEntropy())
    theta, t = xp.asarray(p.theta.astype(np.float32)), np.array([0, 1, 2, 2, 1, 0])
    value, gradient = p.network.loss_and_gradient(theta, p.X, xp.asarray(t))
    assert gradient.dtype == xp.float32
    assert abs(float(value) - p.network.loss(p.theta, p.X, t)) < 1e-5


@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS, ids=registry.name)
def test_training(xp, optimizer):
    p = registry.problem(vp.Dropout(0.2), vp.SoftmaxCrossEntropy(), members=(2,))
    arguments = {
        "optimizer": optimizer,
        "epochs": 3,
        "batch_size": 4,
        "clip_norm": 1.0,
        "schedule": vp.Cosine(),
    }
    arguments["early_stopping"] = vp.EarlyStopping()
    expected = vp.train(p.network, p.theta, p.X, p.T, **arguments)
    theta = xp.asarray(p.theta)
    result = vp.train(p.network, theta, xp.asarray(p.X), xp.asarray(p.T), **arguments)
    assert type(result.theta) is type(theta)
    np.testing.assert_allclose(
        np.asarray(result.theta), expected.theta, rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(result.history.loss, expected.history.loss, rtol=1e-10)


@pytest.mark.parametrize("score", registry.SCORES)
def test_scores_may_stop_training(xp, score):
    p = registry.problem(vp.Tanh(), vp.SoftmaxCrossEntropy(), members=(2,))
    arguments = {"optimizer": vp.Adam(0.1), "epochs": 6, "validation_score": score}
    arguments["early_stopping"] = vp.EarlyStopping("validation_score", patience=2)
    expected = vp.train(
        p.network, p.theta, p.X, p.T, validation=(p.X, p.T, p.weight), **arguments
    )
    X, T, w = (xp.asarray(array) for array in (p.X, p.T, p.weight))
    result = vp.train(
        p.network, xp.asarray(p.theta), X, T, validation=(X, T, w), **arguments
    )
    assert result.history.validation_score.shape == (len(expected.history.loss), 2)
    np.testing.assert_allclose(
        result.history.validation_score, expected.history.validation_score, rtol=1e-9
    )
    np.testing.assert_allclose(
        np.asarray(result.theta), expected.theta, rtol=1e-9, atol=1e-12
    )


def test_views_are_views(xp):
    network = vp.Network(
        2, [vp.Dense(3), vp.LayerNorm(), vp.Dense(2)], vp.SquaredError()
    )
    theta = xp.zeros((4, network.layout.size))
    network.layout.views(theta)[2]["W"][...] = xp.ones(())
    assert float(theta.sum() if xp is not array_api_strict else xp.sum(theta)) == 4 * 6


def test_lbfgs(xp):
    p = registry.problem(vp.Tanh(), vp.SquaredError())
    result = vp.train(
        p.network, xp.asarray(p.theta), p.X, p.T, optimizer=vp.LBFGS(), epochs=5
    )
    expected = vp.train(p.network, p.theta, p.X, p.T, optimizer=vp.LBFGS(), epochs=5)
    np.testing.assert_allclose(result.history.loss, expected.history.loss, rtol=1e-9)


def test_gradients_and_training_reject_immutable_arrays(monkeypatch):
    """Arrays of JAX are immutable."""
    p = registry.problem(vp.Tanh(), vp.SoftmaxCrossEntropy(), ())
    theta, X, T = (array_api_strict.asarray(array) for array in (p.theta, p.X, p.T))
    monkeypatch.setattr("array_api_compat.is_writeable_array", lambda array: False)
    assert p.network.loss(theta, X, T).shape == ()
    for change in (
        lambda: p.network.loss_and_gradient(theta, X, T),
        lambda: vp.train(p.network, theta, X, T, optimizer=vp.Adam(), epochs=1),
    ):
        with pytest.raises(
            TypeError,
            match=r"immutable array of array_api_strict, .*: pass np\.asarray\(theta\)",
        ):
            change()

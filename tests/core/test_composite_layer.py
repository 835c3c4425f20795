"""In a composite layer, matrices are penalized and random layers have different masks, as in a network."""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest

import vecprop as vp


@dataclass(frozen=True)
class Residual(vp.extend.Layer):
    """Return Y = X + f(X), where f applies the layers."""

    layers: tuple[vp.extend.Layer, ...]

    @property
    def random(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return any(layer.random for layer in self.layers)

    def parameters(self, inputs):
        shapes, width = {}, inputs
        for number, layer in enumerate(self.layers):
            own, width = layer.parameters(width)
            shapes |= {f"{number}{name}": shape for name, shape in own.items()}
        assert width == inputs
        return shapes, inputs

    def init(self, p, generator):
        for number, layer in enumerate(self.layers):
            layer.init(own(p, number), generator)

    def forward(self, p, X, noise=None):
        Y, saved = X, []
        for number, layer in enumerate(self.layers):
            Y, kept = layer.forward(own(p, number), Y, noise and noise.split(number))
            saved.append(kept)
        return X + Y, saved

    def backward(self, p, saved, delta, J):
        own_delta = delta
        for number, layer in reversed([*enumerate(self.layers)]):
            own_delta = layer.backward(
                own(p, number), saved[number], own_delta, own(J, number)
            )
        return delta + own_delta


def own(p, number):
    return {
        name.removeprefix(str(number)): values
        for name, values in p.items()
        if name.startswith(str(number))
    }


INSIDE = (vp.Dense(5), vp.Tanh(), vp.Dropout(0.5), vp.Dropout(0.5), vp.Dense(3))
RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(12, 3)), RNG.normal(size=(12, 2))


def network(penalty=None):
    return vp.Network(3, [Residual(INSIDE), vp.Dense(2)], vp.SquaredError(), penalty)


@pytest.mark.parametrize("noise", [None, 7])
def test_composite_gradient_with_penalties_is_correct(noise):
    net = network((vp.L2(0.1), vp.L1(0.05)))
    theta = net.init(1)
    named = {str(tensor) for tensor in net.layout.tensors if tensor.penalized}
    assert named == {
        "layer 0 (Residual) 0W",
        "layer 0 (Residual) 4W",
        "layer 1 (Dense) W",
    }
    squares = sum((theta[t.span] ** 2).sum() for t in net.layout.tensors if t.penalized)
    sums = sum(abs(theta[t.span]).sum() for t in net.layout.tensors if t.penalized)
    penalty = net.loss(theta, X, T, noise=noise) - network().loss(
        theta, X, T, noise=noise
    )
    assert penalty == pytest.approx(0.05 * squares + 0.05 * sums)
    vp.assert_gradients(net, theta, X, T, noise=noise)


def test_nested_random_layers_have_different_masks():
    twice = Residual((vp.Dropout(0.5), vp.Dropout(0.5)))
    ones = np.ones((200, 100))
    Y, masks = twice.forward({}, ones, vp.extend.RandomKey(3))
    kept = (Y - ones) != 0
    assert abs(kept.mean() - 0.25) < 0.01  # one mask for both layers would give 0.5
    assert abs(np.corrcoef(masks[0].ravel(), masks[1].ravel())[0, 1]) < 0.02
    for other in (
        vp.extend.RandomKey(3, step=1),
        vp.extend.RandomKey(3, layer=1),
        vp.extend.RandomKey(4),
    ):
        assert (
            abs(
                ((twice.forward({}, ones, other)[0] - ones != 0) & kept).mean() - 0.0625
            )
            < 0.01
        )


def test_penalty_shrinks_nested_weights_in_training():
    norms = []
    for strength in (0.0, 1.0):
        net = network(vp.L2(strength))
        settings = {
            "optimizer": vp.GradientDescent(0.05),
            "epochs": 100,
            "engine": "reference",
        }
        theta = vp.train(net, net.init(0), X, T, **settings).theta
        norms.append(np.linalg.norm(net.layout.views(theta)[0]["0W"]))
    assert norms[1] < 0.1 * norms[0]


def test_penalized_shape_decides_not_the_name():
    @dataclass(frozen=True)
    class Renamed(vp.Dense):
        def parameters(self, inputs):
            return {
                "V": vp.extend.Penalized((inputs, self.outputs)),
                "W": (self.outputs,),
            }, self.outputs

        def forward(self, p, X, noise=None):
            return X @ p["V"] + p["W"], X

    net = vp.Network(2, [Renamed(1)], vp.SquaredError(), vp.L2(2.0))
    assert (
        net.loss(np.array([1.0, 2.0, 5.0]), np.zeros((1, 2)), np.array([[5.0]])) == 5.0
    )


def test_a_vector_cannot_be_penalized():
    with pytest.raises(
        ValueError,
        match=(
            r"layer 0 \(layer\) g has shape \(3,\), but only matrices can have"
            r" penalties"
        ),
    ):
        vp.extend.Layout([{"g": vp.extend.Penalized((3,))}])


def test_older_pickles_without_penalized_shapes():
    net = vp.Network(
        2, [vp.Dense(2), vp.Tanh(), vp.Dense(1)], vp.SquaredError(), vp.L2(1.0)
    )
    for tensor in net.layout.tensors:
        del vars(tensor)["penalized"]
    again = pickle.loads(pickle.dumps(net))
    assert [tensor.penalized for tensor in again.layout.tensors] == [
        True,
        False,
        True,
        False,
    ]
    assert again == net

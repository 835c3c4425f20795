"""Composite layers: all results of a network equal the results of layers that are composed by hand."""

import numpy as np
import pytest

import vecprop as vp
from core.test_gradients import H, assert_close
from exports import functions, run
from learn.test_tracing import assert_equations_hold
from random_layers import random_network
from sampled import sampled
from vecprop.export import TrainedNetwork, to_onnx

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(150, 4)), RNG.normal(size=(150, 2))
NETWORKS = {seed: random_network(np.random.default_rng(seed)) for seed in range(8)}
SEEDS = pytest.mark.parametrize("seed", NETWORKS)


def parameters(network, members=()):
    size = (*members, network.layout.size)
    return np.random.default_rng(1).normal(scale=0.5, size=size)


def trained(network, theta, **settings):
    settings = {"batch_size": 64, "epochs": 2, "seed": 3} | settings
    return vp.train(network, theta, X, T, optimizer=vp.Adam(0.01), **settings).theta


def test_random_networks_nest_all_joints():
    kinds = {type(layer).__name__ for net in NETWORKS.values() for layer in net.layers}
    assert {"Fork", "Branch", "Add", "Concatenate", "Select"} <= kinds


def test_by_hand():
    branches = vp.Parallel(
        vp.Columns([1, -1], vp.Dense(2)), vp.Residual(vp.Dense(4), vp.Tanh())
    )
    network = vp.Network(4, [branches, vp.Sequential(vp.Dense(2))], vp.SquaredError())
    theta = parameters(network)
    select, residual, last = (p for p in network.layout.views(theta) if p)
    left = X[:, [1, 3]] @ select["W"] + select["b"]
    right = X + np.tanh(X @ residual["W"] + residual["b"])
    expected = np.hstack([left, right]) @ last["W"] + last["b"]
    np.testing.assert_allclose(network.predict(theta, X), expected, rtol=1e-14)


@SEEDS
def test_gradient(seed):
    network = NETWORKS[seed]
    theta = parameters(network)
    noise = vp.extend.RandomKey(seed=2)
    rows = X[:5], T[:5]
    _, gradient = network.loss_and_gradient(theta, *rows, noise=noise)
    steps = theta + 1j * H * np.eye(theta.size)  # one member for each parameter
    assert_close(gradient, network.loss(steps, *rows, noise=noise).imag / H)
    thetas = parameters(network, (2,))
    _, gradients = network.loss_and_gradient(thetas, *rows, noise=noise)
    _, gradient = network.loss_and_gradient(thetas[1], *rows, noise=noise)
    assert_close(gradients[1], gradient)


@SEEDS
def test_compiled_equals_reference(seed):
    network = NETWORKS[seed]
    theta = parameters(network)
    loss, gradient = vp.compile(network).loss_and_gradient(theta, X, T, noise=5)
    expected_loss, expected = network.loss_and_gradient(theta, X, T, noise=5)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-13)
    assert_close(gradient, expected, 1e-12)
    assert_close(vp.compile(network).predict(theta, X), network.predict(theta, X))
    found = trained(network, theta, engine="compiled")
    assert_close(found, trained(network, theta, engine="reference"), 1e-10)


def test_same_bits_with_threads_and_as_members(monkeypatch):
    for network in NETWORKS.values():
        thetas = network.init([0, 1])
        monkeypatch.setenv("VECPROP_NUM_THREADS", "1")
        expected = trained(network, thetas[0]).tobytes()
        monkeypatch.setenv("VECPROP_NUM_THREADS", "4")
        assert trained(network, thetas[0]).tobytes() == expected
        settings = {"batch_size": 64, "epochs": 2, "seed": 3}
        members = [
            vp.Member(network, theta, vp.Adam(0.01), **settings) for theta in thetas
        ]
        results = vp.train_population(members, X, T)
        assert results[0].theta.tobytes() == expected


def test_same_bits_with_threads_that_split_layers(monkeypatch):
    """Layers with many weights are split between threads."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(256, 300)), rng.normal(size=(256, 1))
    wide = vp.Parallel(
        vp.Columns(range(200), vp.Dense(1000)), vp.Residual(vp.Dense(300))
    )
    network = vp.Network(300, [wide, vp.Tanh(), vp.Dense(1)], vp.SquaredError())
    thetas = []
    for threads in ("1", "4"):
        monkeypatch.setenv("VECPROP_NUM_THREADS", threads)
        settings = {"optimizer": vp.Momentum(0.001), "epochs": 1}
        result = vp.train(network, network.init(0), *rows, **settings)
        thetas.append(result.theta)
    assert thetas[0].tobytes() == thetas[1].tobytes()
    expected = vp.train(network, network.init(0), *rows, **settings, engine="reference")
    assert_close(thetas[0], expected.theta, 1e-12)


@SEEDS
def test_exports_and_files(seed, tmp_path):
    network = NETWORKS[seed]
    model = TrainedNetwork(network, parameters(network))
    expected = network.predict(model.theta, X)
    (found,) = run(to_onnx(model, dtype=np.float64), X=X).values()
    assert_close(found, expected, 1e-13)
    assert_close(functions(model)["predict"](X), expected, 1e-13)
    vp.save(model, tmp_path / "model.npz")
    assert vp.load(tmp_path / "model.npz").network == network


@pytest.mark.parametrize("seed", sampled(NETWORKS, 3))
def test_checks_and_traces(seed):
    network = NETWORKS[seed]
    theta = parameters(network)
    report = vp.check_gradients(network, theta, X[:9], T[:9], noise=4)
    assert report.verdict != "FAIL"
    assert_equations_hold(vp.learn.trace(network, theta, X[:3], T[:3]))


class WrongTanh(vp.Tanh):
    """A layer whose derivative is wrong."""

    def derivative(self, z, y):
        return 1 - y


def test_wrong_layer_in_a_branch_is_located():
    branches = vp.Parallel(vp.Dense(3), vp.Residual(vp.Dense(4), WrongTanh()))
    network = vp.Network(4, [branches, vp.Dense(2)], vp.SquaredError())
    report = vp.check_gradients(network, parameters(network), X[:20], T[:20])
    assert report.verdict == "FAIL"
    assert "layer 5 (WrongTanh)" in str(report)


def test_summary_counts_the_operations_of_additions_only():
    network = vp.Network(4, [vp.Residual(vp.Dense(4))], vp.SquaredError())
    lines = network.summary().splitlines()
    assert lines[2].split() == ["0", "Fork()", "(N,", "4)", "0"]
    assert lines[4].split() == ["2", "Add()", "(N,", "4)", "4"]


SQUARED = vp.SquaredError()
WRONG = {
    "Layer 2 (Add) ends a Residual whose layers have 4 inputs and 3 outputs: their"
    " last layer must have 4 outputs.": lambda: vp.Network(
        4, [vp.Residual(vp.Dense(3))], SQUARED
    ),
    "Layer 1 (Select) selects column 4, but it has 4 inputs.": lambda: vp.Network(
        4, [vp.Tanh(), vp.Columns(4)], SQUARED
    ),
    "Residual needs at least one layer, for example Dense(3).": vp.Residual,
    "The columns of Columns must be at least one integer, for example [0, 2] or"
    " range(3, 16), got [].": lambda: vp.Columns([]),
    "The columns of Columns must be at least one integer, for example [0, 2] or"
    " range(3, 16), got 'age'.": lambda: vp.Columns("age"),
    "The layers of Sequential are separate arguments, not a list: write"
    " Sequential(Dense(3), ReLU()).": lambda: vp.Sequential([vp.Dense(3)]),
    "Layer 1 of Parallel is a class: pass an instance, Tanh().": lambda: vp.Parallel(
        vp.Tanh(), vp.Tanh
    ),
    "layers must be a list, got one Residual: write [Residual(Tanh())].": lambda: (
        vp.Network(4, vp.Residual(vp.Tanh()), SQUARED)
    ),
    "Layer 0 belongs to a composite layer that is not complete: use all of its layers,"
    " from Fork to Add or Concatenate.": lambda: vp.Network(
        4, vp.Network(4, [vp.Residual(vp.Tanh())], SQUARED).layers[:2], SQUARED
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_composites(message):
    with pytest.raises((TypeError, ValueError)) as error:
        WRONG[message]()
    assert str(error.value) == message

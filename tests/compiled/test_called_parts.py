"""Compiled loops call the Python formulas of custom layers, losses and penalties."""

import os
import signal
import traceback
import warnings
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

import vecprop as vp
from sampled import sampled
from vecprop.extend import (
    Activation,
    ElementwiseLoss,
    Layer,
    Loss,
    Optimizer,
    Penalized,
    Penalty,
)

TYPES = [np.float64, np.float32]
RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(150, 4)), RNG.normal(size=(150, 3))
CLASSES = RNG.integers(0, 3, 150)
WEIGHTS = RNG.uniform(0, 2, 150)


@dataclass(frozen=True)
class Root(Layer):
    """Divide rows by their root mean square."""

    def parameters(self, inputs):
        return {"g": (inputs,)}, inputs

    def init(self, p, generator):
        p["g"][...] = 1

    def forward(self, p, X, noise=None):
        r = np.sqrt((X * X).mean(axis=-1, keepdims=True) + 1e-6)
        return p["g"][..., None, :] * X / r, (X / r, r)

    def backward(self, p, saved, delta, J):
        N, r = saved
        J["g"][...] = (delta * N).sum(axis=-2)
        d = p["g"][..., None, :] * delta
        return (d - N * (d * N).mean(axis=-1, keepdims=True)) / r


@dataclass(frozen=True)
class Wide(Layer):
    """Tanh of two products, side by side; the settings are not numbers."""

    widths: tuple[int, ...] = (2, 3)

    def parameters(self, inputs):
        shapes: dict[str, Any] = {}
        for number, width in enumerate(self.widths):
            shapes[f"W{number}"] = Penalized((inputs, width))
        return shapes, sum(self.widths)

    def forward(self, p, X, noise=None):
        Y = np.tanh(np.concatenate([X @ W for W in p.values()], axis=-1))
        return Y, (X, Y)

    def backward(self, p, saved, delta, J):
        X, Y = saved
        inner = delta * (1 - Y * Y)
        total = 0 * X
        start = 0
        for name, W in p.items():
            part = inner[..., start : start + W.shape[-1]]
            J[name][...] = X.mT @ part
            total = total + part @ W.mT
            start += W.shape[-1]
        return total


@dataclass(frozen=True)
class Noisy(Layer):
    """Add noise in training."""

    random: ClassVar[bool] = True

    def forward(self, p, X, noise=None):
        if noise is None:
            return X, None
        return X + 0.1 * noise.uniform(*X.shape[-2:]), None

    def backward(self, p, saved, delta, J):
        return delta


class MyDense(vp.Dense):
    """A layer that inherits from a layer of the library."""

    def forward(self, p, X, noise=None):
        return 2 * (X @ p["W"] + p["b"][..., None, :]), X

    def backward(self, p, saved, delta, J):
        return super().backward(p, saved, 2 * delta, J)


class Cosh(Activation):
    """NumPy's cosh has no kernel."""

    def value(self, z):
        return np.cosh(z)

    def derivative(self, z, y):
        return np.sinh(z)


@dataclass(frozen=True)
class Distance(Loss):
    def predict(self, Z):
        return Z

    def value(self, Z, T):
        return np.sqrt(1 + ((Z - T) ** 2).sum(axis=-1))

    def delta(self, Z, T):
        return (Z - T) / self.value(Z, T)[..., None]


@dataclass(frozen=True)
class Focal(Loss):
    """The focal loss of integer classes."""

    gamma: float = 2.0
    takes_classes: ClassVar[bool] = True

    def predict(self, Z):
        E = np.exp(Z - np.real(Z).max(axis=-1, keepdims=True))
        return E / E.sum(axis=-1, keepdims=True)

    def _likelihood(self, Z, T):
        return np.take_along_axis(self.predict(Z), T[..., None], axis=-1)

    def value(self, Z, T):
        p = self._likelihood(Z, T)
        return -((1 - p) ** self.gamma * np.log(p))[..., 0]

    def delta(self, Z, T):
        p = self._likelihood(Z, T)
        one_hot = T[..., None] == np.arange(Z.shape[-1])
        slope = self.gamma * (1 - p) ** (self.gamma - 1) * p * np.log(p)
        return (slope - (1 - p) ** self.gamma) * (one_hot - self.predict(Z))


@dataclass(frozen=True)
class Mean(Distance):
    """A loss whose predictions have another width than the outputs."""

    def predict(self, Z):
        return Z[..., :1]


class Hyperbolic(ElementwiseLoss):
    def predict(self, Z):
        return np.sinh(Z)

    def element(self, Z, T):
        return np.cosh(Z - T)

    def delta(self, Z, T):
        return np.sinh(Z - T)


@dataclass(frozen=True)
class Group(Penalty):
    """The sum of the norms of the rows."""

    def value(self, W):
        return self.strength * np.sqrt((W * W).sum(axis=-1) + 1e-3).sum(axis=-1)

    def gradient(self, W):
        return self.strength * W / np.sqrt((W * W).sum(axis=-1, keepdims=True) + 1e-3)


@dataclass(frozen=True)
class AMSGrad(vp.Adam):
    moments = ("m", "v", "top")

    def update(self, theta, J, rate, t, *moments):
        m, v, top = moments
        _, m, v = super().update(theta, J, rate, t, m, v)
        top = np.maximum(top, v)
        return theta - rate * m / (np.sqrt(top) + self.epsilon), m, v, top


@dataclass(frozen=True)
class Five(Optimizer):
    learning_rate: Any = 0.01
    moments = ("a", "b", "c", "d", "e")

    def update(self, theta, J, rate, t, a, b, c, d, e):  # pyright: ignore[reportIncompatibleMethodOverride]
        a = 0.9 * a + J
        b = 0.8 * b + a
        c = 0.7 * c + b
        d = 0.6 * d + c
        e = 0.5 * e + d
        return theta - rate * 0.01 * e, a, b, c, d, e


def network(*layers, loss=None, penalty=None):
    layers = [vp.Dense(6), *layers, vp.Dense(3)]
    return vp.Network(4, layers, loss or vp.SquaredError(), penalty)


NETWORKS = {
    "layers": network(Root(), vp.Tanh(), Wide(), Root()),
    "first layer": vp.Network(4, [Wide(), vp.Dense(3)], vp.SquaredError()),
    "last layer": vp.Network(4, [vp.Dense(3), Root()], vp.SquaredError()),
    "in composites": network(
        vp.Residual(Root(), vp.Tanh()),
        vp.Parallel(Wide(), vp.Residual(vp.Dense(6), Wide((6,)))),
    ),
    "random layer": network(vp.Tanh(), Noisy(), vp.Dropout(0.2)),
    "derived layer": network(vp.Tanh(), MyDense(4)),
    "activation": network(Cosh()),
    "row loss": network(vp.Tanh(), loss=Distance()),
    "row loss, sum": network(vp.Tanh(), loss=Distance(reduction="sum")),
    "focal loss": network(vp.Tanh(), loss=Focal()),
    "derived loss": network(vp.Tanh(), loss=Mean()),
    "elementwise loss": network(vp.Tanh(), loss=Hyperbolic()),
    "penalty": network(Wide(), penalty=[Group(0.1), vp.L2(0.1)]),
    "averaged penalty": network(vp.Tanh(), penalty=Group(0.1, averaged=True)),
}


def targets(net, F: Any = np.float64):
    return CLASSES if isinstance(net.loss_function, Focal) else T.astype(F)


def trained(net, engine, F: Any = np.float64, **settings):
    settings = {"optimizer": vp.Momentum(0.02), "epochs": 3, **settings}
    theta = net.init(0, F)
    if "state" in settings:
        theta = settings["state"].theta
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Training calls a formula in Python")
        return vp.train(
            net,
            theta,
            X.astype(F),
            targets(net, F),
            engine=engine,
            **settings,
        )


@pytest.mark.parametrize("F", sampled(TYPES))
@pytest.mark.parametrize("batch_size", [None, 40])
@pytest.mark.parametrize("name", NETWORKS)
def test_training_equals_the_reference_engine(name, batch_size, F):
    net = NETWORKS[name]
    validation = (X[:30].astype(F), targets(net, F)[:30])
    settings: dict[str, Any] = {
        "batch_size": batch_size,
        "validation": validation,
        "sample_weight": WEIGHTS.astype(F),
        "clip_norm": 2.0,
    }
    found = trained(net, "compiled", F, **settings)
    expected = trained(net, "reference", F, **settings)
    tolerance = {"rtol": 0, "atol": 2000 * np.finfo(F).eps}
    np.testing.assert_allclose(found.theta, expected.theta, **tolerance)
    for curve in ("loss", "validation_loss", "gradient_norm"):
        np.testing.assert_allclose(
            getattr(found.history, curve),
            getattr(expected.history, curve),
            rtol=1e4 * np.finfo(F).eps,
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_the_check_covers_both_engines(name):
    net = NETWORKS[name]
    theta = net.init(1)
    report = vp.check_gradients(net, theta, X[:20], targets(net)[:20])
    assert report.verdict == "PASS"
    assert {row.engine for row in report.rows} == {"both"}


@pytest.mark.parametrize(
    "name", ["layers", "random layer", "row loss", "penalty", "focal loss"]
)
def test_bits_are_equal_on_all_threads_and_for_members(name, monkeypatch):
    small = NETWORKS[name]
    layers = [vp.Dense(300), vp.Tanh(), *small.layers[1:]]
    net = vp.Network(4, layers, small.loss_function, small.penalties)
    data = np.tile(X, (8, 1)), np.tile(targets(net).T, 8).T
    settings: dict[str, Any] = {
        "optimizer": AMSGrad(),
        "epochs": 2,
        "batch_size": 400,
    }
    thetas = []
    for threads in (1, 2, 4):
        monkeypatch.setenv("VECPROP_NUM_THREADS", str(threads))
        result = vp.train(net, net.init(3), *data, **settings, engine="compiled")
        thetas.append(result.theta)
    members = [vp.Member(net, net.init(seed), **settings) for seed in (2, 3)]
    thetas.append(vp.train_population(members, *data)[1].theta)
    if not net._random:
        together = vp.train(net, net.init([2, 3]), *data, **settings)
        thetas.append(together.theta[1])
    for theta in thetas[1:]:
        np.testing.assert_array_equal(theta, thetas[0])


@pytest.mark.parametrize("optimizer", [AMSGrad(), Five()], ids=["three", "five"])
@pytest.mark.parametrize("batch_size", [None, 40])
def test_optimizers_with_many_moments(optimizer, batch_size):
    net = network(vp.Tanh())
    settings = {"optimizer": optimizer, "batch_size": batch_size, "epochs": 6}
    found = trained(net, "compiled", **settings)
    expected = trained(net, "reference", **settings)
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-10)
    for name in optimizer.moments:
        moment = found.state.optimizer[name]
        np.testing.assert_allclose(
            moment, expected.state.optimizer[name], rtol=1e-8, atol=1e-15
        )
    settings["epochs"] = 3
    half = trained(net, "compiled", **settings)
    continued = trained(net, "compiled", **settings, state=half.state)
    np.testing.assert_array_equal(continued.theta, found.theta)


def test_early_stopping_scores_and_lbfgs():
    net = NETWORKS["row loss"]
    settings: dict[str, Any] = {
        "epochs": 30,
        "validation": (X[:40], T[:40]),
        "validation_score": "r2",
        "early_stopping": vp.EarlyStopping("validation_score", patience=2),
    }
    found = trained(net, "compiled", **settings)
    expected = trained(net, "reference", **settings)
    assert found.state.epoch == expected.state.epoch
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-9)
    found = trained(net, "compiled", optimizer=vp.LBFGS(), epochs=5)
    expected = trained(net, "reference", optimizer=vp.LBFGS(), epochs=5)
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-6)


def test_predictions_of_another_width():
    net = NETWORKS["derived loss"]
    with pytest.raises(ValueError, match="Mean predicts 1 numbers, and the score 'r2'"):
        trained(net, "compiled", validation=(X, T), validation_score="r2")


def test_estimators_predict():
    model = vp.MLPRegressor(
        hidden_layer_sizes=6,
        activation=Cosh(),
        loss=Distance(),
        random_state=0,
        max_iter=5,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, T)
        model.partial_fit(X, T)
    net = network(Cosh(), loss=Distance())
    expected = net.predict(model.theta_, X)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)


@dataclass(frozen=True)
class Fails(Root):
    """Call a function in a later step of training."""

    act: Any = None
    calls: ClassVar[list] = []

    def forward(self, p, X, noise=None):
        self.calls.append(len(X))
        if len(self.calls) == 30:
            self.act()
        return super().forward(p, X)


@dataclass(frozen=True)
class FailingLoss(Distance):
    act: Any = None

    def delta(self, Z, T):
        Fails.calls.append(len(Z))
        if len(Fails.calls) == 30:
            self.act()
        return super().delta(Z, T)


@dataclass(frozen=True)
class FailingPenalty(Group):
    act: Any = None

    def gradient(self, W):
        Fails.calls.append(len(W))
        if len(Fails.calls) == 30:
            self.act()
        return super().gradient(W)


def misspelled():
    raise ZeroDivisionError("in the user's formula")


def failing(kind, act):
    Fails.calls.clear()
    if kind == "layer":
        return network(Fails(act=act))
    if kind == "loss":
        return network(vp.Tanh(), loss=FailingLoss(act=act))
    return network(vp.Tanh(), penalty=FailingPenalty(0.1, act=act))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch_size", [None, 40])
@pytest.mark.parametrize("kind", ["layer", "loss", "penalty"])
def test_an_exception_ends_the_fit_with_its_traceback(
    kind, batch_size, threads, monkeypatch
):
    monkeypatch.setenv("VECPROP_NUM_THREADS", str(threads))
    net = failing(kind, misspelled)
    settings: dict[str, Any] = {"epochs": 1000, "batch_size": batch_size}
    with pytest.raises(ZeroDivisionError, match="in the user's formula") as caught:
        trained(net, "compiled", **settings)
    names = [frame.name for frame in traceback.extract_tb(caught.tb)]
    assert names[-1] == "misspelled"
    # the kernels have stopped, and the next fit works
    assert len(Fails.calls) < 40
    assert trained(net, "compiled", **settings | {"epochs": 2}).state.epoch == 2


def test_an_exception_in_a_population():
    net = failing("layer", misspelled)
    members = []
    for seed in range(3):
        members.append(vp.Member(net, seed, vp.Momentum(0.01), batch_size=40))
    with pytest.raises(ZeroDivisionError):
        vp.train_population(members, X, T)


@pytest.mark.parametrize("batch_size", [None, 40])
def test_an_interrupted_fit_continues_with_the_same_bits(batch_size):
    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    net = failing("loss", interrupt)
    settings: dict[str, Any] = {"batch_size": batch_size, "epochs": 100_000}
    part = trained(net, "compiled", **settings)
    assert part.reason == "interrupted"
    done = part.state.epoch
    assert done < 100_000
    more = trained(net, "compiled", **settings | {"epochs": 2}, state=part.state)
    whole = trained(net, "compiled", **settings | {"epochs": done + 2})
    np.testing.assert_array_equal(more.theta, whole.theta)


def test_a_keyboard_interrupt_of_a_formula_keeps_the_last_state():
    def interrupt():
        raise KeyboardInterrupt

    net = failing("layer", interrupt)
    settings: dict[str, Any] = {"batch_size": None, "epochs": 1000}
    part = trained(net, "compiled", **settings)
    assert part.reason == "interrupted"
    again = trained(net, "compiled", epochs=part.state.epoch)
    np.testing.assert_array_equal(part.theta, again.theta)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_trains():
    net = NETWORKS["layers"]
    expected = trained(net, "compiled", batch_size=40).theta
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads exist
        child = os.fork()
    if not child:
        is_same = False
        try:
            found = trained(net, "compiled", batch_size=40).theta
            is_same = bool((found == expected).all())
        finally:
            os._exit(not is_same)
    _, status = os.waitpid(child, 0)
    assert status == 0


class Centered(Root):
    """A layer that mixes the rows of a batch."""

    def forward(self, p, X, noise=None):
        return super().forward(p, X - X.mean(axis=-2, keepdims=True))


@dataclass(frozen=True)
class Hidden(Root):
    factor: float = field(default=1.0, compare=False)


@dataclass(frozen=True)
class Table(Root):
    values: Any = None


class Shared(Distance):
    """A loss that divides by the number of rows."""

    def value(self, Z, T):
        return super().value(Z, T) / Z.shape[-2]


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (network(Centered()), "Centered is a custom part that does not compute each"),
        (network(Hidden()), "whose field 'factor' has compare=False"),
        (network(Table(np.ones(2))), "Table is a custom part that cannot be hashed"),
        (network(loss=Shared()), "Shared is a custom part that does not compute each"),
    ],
    ids=["rows", "compare", "hash", "loss"],
)
def test_other_parts_train_on_the_reference_engine(net, reason):
    with pytest.warns(UserWarning, match=f"reference engine.*{reason}"):
        vp.train(net, net.init(0), X, T, optimizer=vp.Adam(), epochs=1)


def test_a_warning_names_formulas_that_could_be_compiled():
    net = network(Cosh())
    message = "Training calls a formula in Python, which is slower: .*Cosh.value cannot"
    with pytest.warns(UserWarning, match=message):
        vp.train(net, net.init(0), X, T, optimizer=vp.Adam(), epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = network(Root())
        vp.train(net, net.init(0), X, T, optimizer=vp.Adam(), epochs=1)

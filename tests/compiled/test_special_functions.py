"""Formulas that call functions of scipy.special and math are compiled, checked and exported."""

import math
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np
import pytest
import scipy.special
from scipy import special
from scipy.special import digamma, erf, expit, gammaln, log_expit

import vecprop as vp
from sampled import sampled
from vecprop.extend import Activation, ElementwiseLoss

TYPES = [np.float64, np.float32]
RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(60, 3)), RNG.poisson(2, size=(60, 2)).astype(float)


@dataclass(frozen=True)
class ExactGELU(Activation):
    def value(self, z):
        return z / 2 * (1 + erf(z / math.sqrt(2)))

    def derivative(self, z, y):
        density = np.exp(-z * z / 2) / sqrt(2 * math.pi)
        return (1 + special.erf(z / sqrt(2))) / 2 + z * density


@dataclass(frozen=True)
class Gated(Activation):
    """All functions, under all names by which modules can be called."""

    a: float = 0.5

    def value(self, z):
        soft = np.logaddexp(z, self.a) + log_expit(z) + math.log(self.a) * z
        return soft * scipy.special.expit(z)

    def derivative(self, z, y):
        s = expit(z)
        soft = np.logaddexp(z, self.a) + log_expit(z) + math.log(self.a) * z
        slope = expit(z - self.a) + expit(-z) + math.log(self.a)
        return slope * s + soft * s * (1 - s)


@dataclass(frozen=True)
class GammaPoisson(ElementwiseLoss):
    """The negative log-likelihood of counts, without terms that only depend on parameters."""

    r: float = 2.0

    def predict(self, Z):
        return np.exp(Z)

    def element(self, Z, T):
        known = gammaln(T + self.r) - gammaln(T + 1) - gammaln(self.r + 0 * T)
        return -known - T * log_expit(Z) - self.r * log_expit(-Z)

    def delta(self, Z, T):
        return self.r * expit(Z) - T * expit(-Z)


def network(activation, loss=None):
    layers = [vp.Dense(5), activation, vp.Dense(2)]
    return vp.Network(3, layers, loss or vp.SquaredError())


@dataclass(frozen=True)
class Erf(Activation):
    factor: float = 1.0

    def value(self, z):
        return special.erf(z)

    def derivative(self, z, y):
        return self.factor * 2 / math.sqrt(math.pi) * np.exp(-z * z)


class Expit(Erf):
    def value(self, z):
        return special.expit(z)

    def derivative(self, z, y):
        return self.factor * y * expit(-z)


class LogExpit(Erf):
    def value(self, z):
        return special.log_expit(z)

    def derivative(self, z, y):
        return self.factor * expit(-z)


class GammaLn(Erf):
    def value(self, z):
        return special.gammaln(1 + z * z)

    def derivative(self, z, y):
        return self.factor * 2 * z * digamma(1 + z * z)


class GammaLnOfAll(Erf):
    """The derivative is not used."""

    def value(self, z):
        return gammaln(z)


class LogAddExp(Erf):
    def value(self, z):
        return np.logaddexp(z, -0.5 * z)

    def derivative(self, z, y):
        return self.factor * (expit(1.5 * z) - 0.5 * expit(-1.5 * z))


FUNCTIONS = [Erf(), Expit(), LogExpit(), GammaLn(), LogAddExp()]


@pytest.mark.parametrize("F", TYPES)
@pytest.mark.parametrize(
    "part",
    [Erf(), Expit(), LogExpit(), GammaLnOfAll(), LogAddExp()],
    ids=lambda part: type(part).__name__,
)
def test_kernels_are_accurate_and_handle_special_numbers(part, F):
    ends = [0.0, -1.0, -2.0, 1e30, -1e30]
    z = np.concatenate([np.linspace(-9, 9, 2000), 10 ** np.linspace(-20, 8, 500), ends])
    z = z.astype(F)[:, None]
    predicted = vp.compile(vp.Network(1, [part], vp.SquaredError())).predict(
        np.empty(0, F), z
    )
    exact = part.value(z.astype(float))
    exact[exact > np.finfo(F).max] = np.inf
    is_same = predicted == exact
    error = np.abs(predicted[~is_same] - exact[~is_same])
    exact = exact[~is_same]
    assert (error <= 64 * np.finfo(F).eps * (1 + np.abs(exact))).all()


@pytest.mark.parametrize("F", sampled(TYPES))
@pytest.mark.parametrize(
    ("activation", "loss"),
    [(ExactGELU(), None), (Gated(), None), (vp.Tanh(), GammaPoisson())],
    ids=["erf", "gated", "gammaln"],
)
def test_formulas_train_as_on_the_reference_engine(activation, loss, F):
    net = network(activation, loss)
    settings: dict[str, Any] = {"optimizer": vp.Momentum(0.01), "epochs": 3}
    data = net.init(0, F), X.astype(F), T.astype(F)
    thetas = []
    for engine in ("compiled", "reference"):
        thetas.append(vp.train(net, *data, **settings, engine=engine).theta)
    np.testing.assert_allclose(*thetas, rtol=0, atol=2000 * np.finfo(F).eps)
    report = vp.check_gradients(net, *data)
    assert report.verdict == "PASS"
    assert {row.engine for row in report.rows} == {"both"}


def test_a_wrong_derivative_fails():
    class Wrong(ExactGELU):
        def derivative(self, z, y):
            return (1 + special.erf(z / sqrt(2))) / 2

    net = network(Wrong())
    assert vp.check_gradients(net, net.init(0), X, T).verdict == "FAIL"


@pytest.mark.parametrize("F", sampled(TYPES))
@pytest.mark.parametrize("part", FUNCTIONS, ids=lambda part: type(part).__name__)
def test_the_check_accepts_correct_derivatives_and_finds_small_errors(part, F):
    """In each precision, and also where |z| is large."""
    for scale in (1, 20):
        net = network(part)
        data = scale * X.astype(F), T.astype(F)
        report = vp.check_gradients(net, net.init(0, F), *data)
        assert report.verdict == "PASS", report
    wrong = network(replace(part, factor=1 + 1000 * float(np.finfo(F).eps ** 0.8)))
    assert vp.check_gradients(wrong, net.init(0, F), X, T).verdict == "FAIL"


@pytest.mark.parametrize("activation", [ExactGELU(), Gated()], ids=["erf", "gated"])
def test_onnx(activation):
    runtime = pytest.importorskip("onnxruntime")
    net = network(activation)
    theta = net.init(1)
    graph = vp.export.to_onnx(vp.export.TrainedNetwork(net, theta)).SerializeToString()
    [output, *_] = runtime.InferenceSession(graph).run(None, {"X": X.astype("f")})
    np.testing.assert_allclose(output, net.predict(theta, X), rtol=1e-5, atol=1e-6)


def test_onnx_of_gammaln_is_refused():
    net = network(GammaLn())
    with pytest.raises(ValueError, match="A formula has `gammaln`, which vecprop"):
        vp.export.to_onnx(vp.export.TrainedNetwork(net, net.init(0)))


class NumberOfArray(Erf):
    def value(self, z):
        return math.erf(z)


class ArrayOfNumber(Erf):
    def value(self, z):
        return z * np.sqrt(2)


class TooFew(Erf):
    def value(self, z):
        return np.logaddexp(z)


class Unknown(Erf):
    def value(self, z):
        return digamma(z)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (NumberOfArray(), "takes only numbers: call NumPy's function"),
        (ArrayOfNumber(), "call the function of `math`"),
        (TooFew(), "must pass 2 positional argument"),
        (Unknown(), "scipy.special with a kernel are abs, .*erf.*gammaln, .*where"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_other_calls_are_refused(part, reason):
    with pytest.raises(ValueError, match=reason):
        vp.compile(network(part))

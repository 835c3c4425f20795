from dataclasses import dataclass

import numpy as np
import pytest

from vecprop import (
    L1,
    L2,
    AbsoluteError,
    Dense,
    Dropout,
    Identity,
    LayerNorm,
    LeakyReLU,
    Logistic,
    Network,
    ReLU,
    SoftmaxCrossEntropy,
    SquaredError,
    Tanh,
)
from vecprop.check import GradientError, Verdict, assert_gradients, check_gradients
from vecprop.check.points.network import NetworkPoint
from vecprop.extend import Activation, Layer, Loss, RandomKey

rng = np.random.default_rng(0)
X, T = rng.standard_normal((12, 2)), rng.integers(0, 2, 12)
NETWORK = Network(
    2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy(), penalty=L2(0.01)
)
THETA = NETWORK.init(1)
METHODS = ("auto", "complex step", "central differences", "directions", "ridders")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_passes_a_right_gradient_and_fails_a_wrong_one(method):
    report = check_gradients(NETWORK, THETA, X, T, method=method)
    assert report.verdict is Verdict.PASS
    assert "No gradient errors found" in str(report)
    assert [row.name for row in report.rows] == [
        str(tensor) for tensor in NETWORK.layout.tensors
    ]
    assert report.taylor is not None
    assert report.taylor.noise == pytest.approx(
        200 * np.finfo(float).eps * NETWORK.loss(THETA, X, T), abs=0
    )
    wrong = NETWORK.loss_and_gradient(THETA, X, T)[1]
    wrong[7] += 1e-4
    report = check_gradients(NETWORK, THETA, X, T, gradient=wrong, method=method)
    assert [row.verdict for row in report.rows] == ["PASS", "FAIL", "PASS", "PASS"]
    assert report.rows[1].index == (1,)
    assert report.rows[1].given == pytest.approx(wrong[7])
    assert report.rows[1].expected == pytest.approx(wrong[7] - 1e-4)


def test_weights_random_layers_and_penalties_are_checked():
    layers = [Dense(5), Dropout(0.4), LayerNorm(), Tanh(), Dense(2)]
    network = Network(2, layers, SoftmaxCrossEntropy(), [L1(0.1), L2(0.2)])
    weight = rng.uniform(0, 2, 12)
    # supported only by the reference engine
    of_chosen_rows = RandomKey(seed=2, step=5, rows=np.arange(12) + 7)
    for noise, engine in ((None, "both"), (3, "both"), (of_chosen_rows, "reference")):
        report = check_gradients(network, network.init(0), X, T, weight, noise)
        assert report.passed
        assert {row.engine for row in report.rows} == {engine}
    report = check_gradients(network, network.init(0), X, T)
    assert (
        "Random layers were checked with fixed random numbers (noise=0)" in report.notes
    )


def test_checks_along_directions_compute_the_rounding_bound_only_if_needed(monkeypatch):
    asked = []
    bound = NetworkPoint.bound
    monkeypatch.setattr(
        NetworkPoint,
        "bound",
        property(lambda point: asked.append(1) or bound.func(point)),
    )
    assert check_gradients(NETWORK, THETA, X, T, method="directions").passed
    assert not asked
    wrong = NETWORK.loss_and_gradient(THETA, X, T)[1]
    wrong[0] *= 1 + 1e-12
    check_gradients(NETWORK, THETA, X, T, gradient=wrong, method="directions")
    assert asked


@pytest.mark.parametrize("method", ["complex step", "directions"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_averaged_penalties(method, reduction):
    weight = None if method == "directions" else rng.uniform(0, 2, 12)
    layers, loss = NETWORK.layers, SoftmaxCrossEntropy(reduction=reduction)
    averaged = Network(
        2, layers, loss, [L1(0.1, averaged=True), L2(0.2, averaged=True), L2(0.3)]
    )
    assert check_gradients(averaged, THETA, X, T, weight, method=method).passed
    added = Network(2, layers, loss, [L1(0.1), L2(0.2), L2(0.3)]).loss_and_gradient(
        THETA, X, T, weight
    )[1]
    report = check_gradients(
        averaged, THETA, X, T, weight, gradient=added, method=method
    )
    assert report.verdict is (Verdict.FAIL if reduction == "mean" else Verdict.PASS)


def test_an_averaged_penalty_on_biases_is_diagnosed():
    network, theta = (
        Network(2, NETWORK.layers, SoftmaxCrossEntropy(), L2(0.12, averaged=True)),
        THETA + 0.1,
    )

    def gradient(at):
        J = network.loss_and_gradient(at, X, T)[1]
        _on_biases(network.layout.views(J), at)
        return J

    assert check_gradients(network, theta, X, T, gradient=gradient).diagnoses == (
        "the penalty is also applied to biases",
    )


def test_float32_gradients_have_a_float32_tolerance():
    theta = THETA.astype(np.float32)
    assert check_gradients(NETWORK, theta, X, T, engine="reference").passed
    wrong = NETWORK.loss_and_gradient(theta, X, T)[1].copy()
    wrong[3] += 2e-3 * np.abs(wrong[:6]).max()
    assert check_gradients(NETWORK, theta, X, T, gradient=wrong).verdict is Verdict.FAIL


def test_large_networks_are_checked_along_directions():
    network = Network(200, [Dense(300), ReLU(), Dense(10)], SoftmaxCrossEntropy())
    theta = network.init(0)
    inputs, classes = rng.standard_normal((20, 200)), rng.integers(0, 10, 20)
    report = check_gradients(network, theta, inputs, classes, engine="reference")
    assert report.passed
    assert "3 random directions" in str(report)
    wrong = network.loss_and_gradient(theta, inputs, classes)[1]
    wrong[network.layout.tensors[0].start + 123 * 300 + 45] += (
        1e-6 * np.abs(wrong[:60000]).max()
    )
    report = check_gradients(
        network, theta, inputs, classes, gradient=wrong, engine="reference"
    )
    assert report.rows[0].index == (123, 45)
    assert report.diagnoses == ("one entry of 60000 is wrong",)


def test_cancellation_of_rows_neither_fails_nor_hides_errors():
    """In a fitted logistic regression, the contributions of the rows cancel to far less than eps times their size."""
    from scipy.optimize import minimize

    network = Network(3, [Dense(2)], SoftmaxCrossEntropy())
    inputs = 100 * rng.standard_normal((200, 3)) + 50
    classes = (inputs[:, 0] + 100 * rng.standard_normal(200) > 50).astype(int)
    loss = lambda at: tuple(network.loss_and_gradient(at, inputs, classes))  # noqa: E731
    found = minimize(loss, network.init(0), jac=True, method="BFGS")
    assert check_gradients(network, found.x, inputs, classes).passed
    assert check_gradients(
        network, found.x, inputs, classes, method="directions"
    ).passed

    def wrong(theta):
        J = network.loss_and_gradient(theta, inputs, classes)[1]
        J[2] += 1e-6 * np.abs(J[:6]).max()
        return J

    assert (
        check_gradients(network, found.x, inputs, classes, gradient=wrong).verdict
        is Verdict.FAIL
    )


def test_hidden_errors_are_inconclusive_if_the_gradient_is_a_constant_array():
    network = Network(2, [Dense(1)], SquaredError())
    theta = np.array([1.0, 1.0, 0.0])
    inputs = np.array([[1e8, 1.0], [1e8, -1.0]]) / 3
    target = inputs @ theta[:2]
    wrong = network.loss_and_gradient(theta, inputs, target + 1e-9)[1]
    assert (
        check_gradients(network, theta, inputs, target + 1e-9, gradient=wrong).verdict
        is Verdict.INCONCLUSIVE
    )
    report = check_gradients(network, theta, inputs, target + 1e-9)
    assert report.passed
    assert report.nearby


@pytest.mark.parametrize("network", [
    Network(2, [Dense(3), ReLU(), Dense(1)], SquaredError()),
    Network(2, [Dense(3), LeakyReLU(), Dense(1)], SquaredError()),
    Network(2, [Dense(1)], AbsoluteError()),
])  # fmt: skip
@pytest.mark.parametrize("method", ["complex step", "directions"])
def test_kink(network, method):
    theta = np.round(2 * network.init(1))
    for tensor in network.layout.tensors:
        if tensor.name == "b":
            theta[tensor.span] = 0
    inputs = np.vstack([np.zeros(2), X[:3]])
    target = np.array([0.0, 1.0, 2.0, 3.0]) if len(network.layers) == 1 else np.ones(4)
    report = check_gradients(network, theta, inputs, target, method=method)
    assert report.verdict is Verdict.KINK
    assert not report.passed
    wrong = network.loss_and_gradient(theta, inputs, target)[1]
    place = network.layout.tensors[1].start
    wrong[place] += 100
    assert (
        check_gradients(
            network, theta, inputs, target, gradient=wrong, method=method
        ).verdict
        is Verdict.FAIL
    )


def test_points_near_a_kink_pass():
    network = Network(1, [Dense(1), ReLU(), Dense(1)], SquaredError())
    for offset in (1e-5, 1e-9, -1e-9, 1e-14):
        theta = np.array([1.0, offset, 1.0, 0.0])
        assert (
            check_gradients(network, theta, np.zeros((1, 1)), np.ones(1)).verdict
            is Verdict.PASS
        )
    smooth = Network(2, [Dense(3), Tanh(), Dense(1)], SquaredError())
    ties = np.zeros(smooth.layout.size)
    assert (
        check_gradients(smooth, ties, np.zeros((2, 2)), np.ones(2)).verdict
        is Verdict.PASS
    )


def test_a_gradient_must_use_the_same_side_of_a_kink_in_all_rows():
    """The slopes of the rows at relu(0) are [0, -1/2] and [0, 1/2], so their sum is 0 on each side."""
    network, inputs, target = (
        Network(1, [Dense(1), ReLU()], SquaredError()),
        np.ones((2, 1)),
        np.array([1.0, -1.0]),
    )
    for slope, expected in ((0.0, Verdict.KINK), (0.25, Verdict.FAIL)):
        report = check_gradients(
            network, np.zeros(2), inputs, target, gradient=np.array([slope, 0.0])
        )
        assert report.rows[0].verdict is expected


class Doubled(Layer):
    """A layer that computes in place, so it supports error bounds but not tangents."""

    def forward(self, p, X, noise=None):
        Y = X.copy()
        Y *= 2.0
        return Y, None

    def backward(self, p, saved, delta, J):
        return np.multiply(delta, 2.0, out=delta)


def test_in_place_arithmetic_does_not_create_a_kink_near_an_optimum():
    network, inputs = (
        Network(1, [Dense(1), Doubled()], SquaredError()),
        np.array([[1.0], [2.0]]),
    )
    report = check_gradients(network, np.array([0.5, 1e-10]), inputs, inputs)
    assert report.passed
    assert (report.rows[0].given, report.rows[0].expected) == pytest.approx(
        (6e-10, 6e-10)
    )


@dataclass(frozen=True)
class Noisy(Activation):
    def value(self, z):
        return z * np.random.default_rng().uniform(0.9, 1.1)

    def derivative(self, z, y):
        return np.ones_like(z)


def test_randomness_without_a_fixed_seed():
    network = Network(2, [Dense(3), Noisy(), Dense(2)], SoftmaxCrossEntropy())
    assert (
        check_gradients(network, network.init(0), X, T).verdict
        is Verdict.NONDETERMINISTIC
    )


@dataclass(frozen=True)
class SlopeOf(Activation):
    right: Activation
    taken: Activation

    def value(self, z):
        return self.right.value(z)

    def derivative(self, z, y):
        return self.taken.derivative(z, y)


class Steeper(Tanh):
    def derivative(self, z, y):
        return (1 + 1.5e-6) * super().derivative(z, y)


class SwappedTranspose(Dense):
    def backward(self, p, saved, delta, J):
        super().backward(p, saved, delta, J)
        J["W"][...] = (delta.T @ saved).reshape(J["W"].shape)
        return delta @ p["W"].T


class Softmax(Layer):
    """A hidden softmax layer with a backward pass that lacks the off-diagonal terms."""

    def forward(self, p, X, noise=None):
        E = np.exp(X - np.max(np.real(X), axis=-1, keepdims=True))
        Y = E / np.sum(E, axis=-1, keepdims=True)
        return Y, Y

    def backward(self, p, saved, delta, J):
        return saved * (1 - saved) * delta


@dataclass(frozen=True)
class BrokenSoftmax(Loss):
    inner = SoftmaxCrossEntropy()
    takes_classes = True

    def predict(self, Z):
        return self.inner.predict(Z)

    def value(self, Z, T):
        return self.inner.value(Z, T)

    def delta(self, Z, T):
        E = np.exp(Z)
        return E / np.sum(E, axis=0, keepdims=True) - (
            T[..., None] == np.arange(Z.shape[-1])
        )


@dataclass(frozen=True)
class Averaged(BrokenSoftmax):
    def delta(self, Z, T):
        return self.inner.delta(Z, T) / len(Z)


class ClassOfLargest(BrokenSoftmax):
    """Predictions are classes, and delta lacks the targets."""

    def predict(self, Z):
        return Z.argmax(axis=-1)

    def delta(self, Z, T):
        return self.inner.predict(Z)


@pytest.mark.parametrize(("layers", "loss", "words"), [
    ([Dense(3), Tanh(), Dense(2)], ClassOfLargest(), "the targets T are missing"),
    ([Dense(3), Tanh(), Dense(2)], Averaged(), f"it is 1/N = 1/{len(X)} of the derivative: a sum over rows is divided"),
    ([Dense(3), SlopeOf(Tanh(), Identity()), Dense(2)], SoftmaxCrossEntropy(), "its derivative is missing"),
    ([Dense(3), SlopeOf(Tanh(), Logistic()), Dense(2)], SoftmaxCrossEntropy(), "it has the derivative of Logistic"),
    ([Dense(3), Steeper(), Dense(2)], SoftmaxCrossEntropy(), "layer 1 (Steeper) passes back a wrong delta"),
    ([Dense(3), Tanh(), SwappedTranspose(2)], SoftmaxCrossEntropy(), "layer 2 (SwappedTranspose) computes a wrong"),
    ([SwappedTranspose(2), Tanh(), Dense(2)], SoftmaxCrossEntropy(), "layer 0 (SwappedTranspose) computes a wrong"),
    ([Dense(3), Softmax(), Dense(2)], SoftmaxCrossEntropy(), "only the diagonal of its Jacobian is right"),
    ([Dense(3), Tanh(), Dense(2)], BrokenSoftmax(), "the softmax is computed over the rows instead of the classes"),
])  # fmt: skip
def test_mistakes_in_custom_layers_are_diagnosed(layers, loss, words):
    network = Network(2, layers, loss)
    report = check_gradients(network, network.init(0), X, T)
    assert report.verdict is Verdict.FAIL
    assert any(words in diagnosis for diagnosis in report.diagnoses), report.text()


def test_layers_that_hide_their_arithmetic_are_checked():
    class Opaque(Tanh):
        def value(self, z):
            return np.tanh(np.asarray(z))

    network = Network(2, [Dense(3), Opaque(), Dense(2)], SoftmaxCrossEntropy())
    assert check_gradients(network, network.init(0), X, T).passed

    class Wrong(Opaque):
        def derivative(self, z, y):
            return 1 - y

    wrong = Network(2, [Dense(3), Wrong(), Dense(2)], SoftmaxCrossEntropy())
    assert check_gradients(wrong, THETA, X, T).verdict is Verdict.FAIL


def given(change):
    def gradient(theta):
        J = NETWORK.loss_and_gradient(theta, X, T)[1]
        change(NETWORK.layout.views(J), theta)
        return J

    return gradient


def _on_biases(J, theta):
    for views, p in zip(J, NETWORK.layout.views(theta), strict=True):
        if "b" in views:
            views["b"] += 0.01 * p["b"]


def _swap(J, theta):
    J[2]["W"].flat[[0, 3]] = J[2]["W"].flat[[3, 0]]


def times(factor, *names):
    def change(J, theta):
        for name in names:
            J[0][name] *= factor

    return change


@pytest.mark.parametrize(("change", "words"), [
    (times(-1, "W"), "its sign is wrong"),
    (_on_biases, "the penalty is also applied to biases"),
    (times(12, "b"), "times the expected one: the sum over rows is not divided by N; only this bias is wrong"),
    (_swap, "the entries [0, 0] and [1, 1] are swapped"),
    (times(0.5, "W", "b"), "right down to layer 2 (Dense) and wrong from layer 1 (Logistic) on"),
])  # fmt: skip
def test_mistakes_in_a_given_gradient_are_diagnosed(change, words):
    theta = THETA + 0.1
    for method in ("complex step", "directions"):
        report = check_gradients(
            NETWORK, theta, X, T, gradient=given(change), method=method
        )
        assert any(words in diagnosis for diagnosis in report.diagnoses), report.text()


@pytest.mark.parametrize(("layers", "loss", "words"), [
    (NETWORK.layers, SoftmaxCrossEntropy(reduction="sum"), "the sum over rows is not divided by N = 12"),
    ([Dense(3), SlopeOf(Logistic(), Tanh()), Dense(2)], SoftmaxCrossEntropy(),
     "layer 1 (Logistic) has the derivative of Tanh (as a function of the output)"),
    (NETWORK.layers, BrokenSoftmax(),
     "the softmax is computed over the rows instead of the classes (delta, the error at the output)"),
])  # fmt: skip
def test_mistakes_in_the_network_behind_a_given_gradient_are_diagnosed(
    layers, loss, words
):
    faulty = Network(2, layers, loss, NETWORK.penalties)
    report = check_gradients(
        NETWORK, THETA, X, T, gradient=lambda at: faulty.loss_and_gradient(at, X, T)[1]
    )
    assert report.diagnoses == (words,)


class Quartic(SquaredError):
    def element(self, Z, T):
        return (Z - T) ** 4


def test_a_wrong_delta_of_an_identity_link_is_not_called_a_missing_link():
    network = Network(2, [Dense(3), Tanh(), Dense(2)], Quartic())
    report = check_gradients(network, THETA, X, np.sin(np.arange(24.0)).reshape(12, 2))
    assert report.diagnoses == (
        "the delta of Quartic at the output is not the derivative of its value",
    )


class Raising(Tanh):
    def derivative(self, z, y):
        raise KeyError("slope")


RAISING = Network(2, [Dense(3), Raising(), Dense(2)], SoftmaxCrossEntropy())


@pytest.mark.parametrize(("arguments", "options", "error", "message"), [
    ((RAISING, THETA, X, T), {}, ValueError, "The network raised KeyError at theta: 'slope'"),
    ((NETWORK, THETA, X), {}, TypeError, "T is None: pass an array"),
    ((NETWORK, THETA[None], X, T), {}, ValueError, "check one member at a time"),
    ((NETWORK, THETA + 0j, X, T), {}, TypeError, "parameters must be real numbers"),
    ((NETWORK, THETA, X, T), {"method": "guess"}, ValueError, "method must be one of auto, .*, got 'guess'"),
    ((NETWORK, THETA, X, T), {"args": (1,)}, TypeError, "args applies only to functions"),
    ((NETWORK, THETA, X, T), {"gradient": THETA[:3]}, ValueError, r"The gradient has shape \(3,\), expected \(17,\)"),
    ((NETWORK, THETA, X, T), {"gradient": THETA * np.nan}, ValueError, r"The gradient of layer 0 \(Dense\) W\[0, 0\]"),
    ((3, THETA), {}, TypeError, "takes a network or a function, not int"),
    ((lambda w: (w @ w, 2 * w), THETA, X), {}, TypeError, "apply only to networks"),
])  # fmt: skip
def test_errors(arguments, options, error, message):
    with pytest.raises(error, match=message):
        check_gradients(*arguments, **options)


def test_assertion():
    assert assert_gradients(NETWORK, THETA, X, T).passed
    with pytest.raises(GradientError, match="FAIL: The gradient is wrong"):
        assert_gradients(NETWORK, THETA, X, T, gradient=THETA)

"""The check covers both engines and names the wrong one; `test_engine_faults` plants faults in kernels."""

from dataclasses import dataclass

import numpy as np
import pytest

from fits import Own
from sampled import sampled
from vecprop import (
    L2,
    Dense,
    Dropout,
    LayerNorm,
    MLPClassifier,
    Network,
    ReLU,
    SoftmaxCrossEntropy,
    SquaredError,
    Tanh,
    compile,
)
from vecprop.check import Verdict, assert_gradients, check_gradients
from vecprop.compiled import compiled_network as step
from vecprop.extend import Activation, Layer, RandomKey

rng = np.random.default_rng(0)
X, T = rng.standard_normal((12, 2)), rng.integers(0, 2, 12)
NETWORK = Network(
    2,
    [Dense(3), LayerNorm(), Tanh(), Dropout(0.3), Dense(2)],
    SoftmaxCrossEntropy(),
    L2(0.1),
)
THETA = NETWORK.init(1)


@dataclass(frozen=True)
class ArcTan(Activation):
    """A custom activation that has a kernel but no rule for its rounding error."""

    def value(self, z):
        return np.arctan(z)

    def derivative(self, z, y):
        return 1 / (1 + np.square(z))


OWN = Network(2, [Dense(3), Own(), Dense(2)], SoftmaxCrossEntropy())


def engines(report):
    return {row.engine for row in report.rows}


def altered(monkeypatch, change):
    """Change the loss and the gradient that a training step of the compiled engine returns."""
    right = step.gradient_of_a_step

    def wrong(*arguments):
        loss, gradient = right(*arguments)
        return change(loss, gradient.copy())

    monkeypatch.setattr(step, "gradient_of_a_step", wrong)


@pytest.mark.parametrize("dtype", sampled([np.float64, np.float32]))
@pytest.mark.parametrize("method", ["complex step", "directions", "ridders"])
def test_both_engines_by_default(dtype, method):
    report = check_gradients(NETWORK, THETA.astype(dtype), X, T, method=method)
    assert report.passed, report.text()
    assert engines(report) == {"both"}
    assert report.method.endswith("reference and compiled engines")
    assert report.to_dict()["rows"][0]["engine"] == "both"


@pytest.mark.parametrize(
    ("noise", "weight"),
    [(None, None), (3, rng.uniform(0, 2, 12)), (RandomKey(2, step=5), None)],
)
def test_one_engine(noise, weight):
    for engine in ("reference", "compiled"):
        report = assert_gradients(NETWORK, THETA, X, T, weight, noise, engine=engine)
        assert engines(report) == {engine}
        assert f"{engine} engine" in report.text()


INPUTS = rng.standard_normal((20, 5))
NORMALIZED = {
    "first": [LayerNorm(), Dense(4), Tanh(), Dense(2)],
    "twice": [
        LayerNorm(),
        LayerNorm(1e-8),
        Dense(4),
        LayerNorm(1e-12),
        Tanh(),
        Dense(2),
    ],
    "before a kink": [LayerNorm(1e-3), ReLU(), Dense(2)],
}


@pytest.mark.parametrize("name", sampled(NORMALIZED, 3))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("inputs", [
    2000 + INPUTS,
    1e6 + INPUTS,
    1 + 1e-6 * INPUTS,
    1e-8 * INPUTS,
    1e8 * INPUTS,
    1e22 * INPUTS,
    INPUTS * 10.0 ** np.arange(-4, 6, 2) + 1e3,
    np.repeat(INPUTS[:, :1], 5, axis=1),
    np.ones((20, 5)),
], ids=["2000", "1e6", "1 ± 1e-6", "1e-8", "1e8", "1e22", "mixed", "equal columns", "ones"])  # fmt: skip
@pytest.mark.parametrize("seed", sampled(range(2)))
def test_layer_normalization_of_any_inputs(name, dtype, inputs, seed):
    """What both engines compute from the inputs alone, such as means, has rounding errors that differ."""
    network = Network(5, NORMALIZED[name], SoftmaxCrossEntropy())
    classes = np.arange(20) % 3 // 2
    theta = network.init(seed, dtype)
    report = check_gradients(network, theta, inputs, classes)
    possible = (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.KINK)
    assert report.verdict in possible, report.text()
    with np.errstate(over="ignore"):
        wrong = network.loss_and_gradient(theta, inputs, classes)[1]
    wrong[-1] += 0.01 * np.abs(wrong).max()
    report = check_gradients(network, theta, inputs, classes, gradient=wrong)
    assert report.verdict is not Verdict.PASS


def test_compiled_networks_are_accepted():
    assert engines(assert_gradients(compile(NETWORK), THETA, X, T)) == {"compiled"}


def test_only_the_reference_engine_is_checked_without_kernels():
    assert engines(assert_gradients(OWN, OWN.init(0), X, T)) == {"reference"}
    assert engines(
        assert_gradients(NETWORK, THETA, X, T, noise=RandomKey(1, rows=np.arange(12)))
    ) == {"reference"}
    with pytest.raises(ValueError, match="Own is a custom part"):
        check_gradients(OWN, OWN.init(0), X, T, engine="compiled")
    with pytest.raises(
        ValueError, match="engine must be one of both, reference, compiled, got 'fast'"
    ):
        check_gradients(NETWORK, THETA, X, T, engine="fast")  # pyright: ignore[reportArgumentType]


def test_a_given_gradient_has_no_engine():
    report = check_gradients(
        NETWORK, THETA, X, T, gradient=lambda at: NETWORK.loss_and_gradient(at, X, T)[1]
    )
    assert report.passed
    assert engines(report) == {""}
    assert "engine" not in report.text()


@pytest.mark.parametrize("method", ["complex step", "directions"])
def test_the_wrong_engine_is_named(monkeypatch, method):
    def change(loss, gradient):
        gradient[7] += 1e-4
        return loss, gradient

    altered(monkeypatch, change)
    report = check_gradients(NETWORK, THETA, X, T, method=method)
    assert [row.verdict for row in report.rows] == ["PASS", "FAIL", *["PASS"] * 4]
    row = report.rows[1]
    assert (row.engine, row.index) == ("compiled", (1,))
    assert "only in the compiled engine, in a step of training" in row.diagnosis
    assert check_gradients(NETWORK, THETA, X, T, engine="reference").passed


def test_a_wrong_loss_is_found(monkeypatch):
    altered(monkeypatch, lambda loss, gradient: (1.001 * loss, gradient))
    report = check_gradients(NETWORK, THETA, X, T)
    assert report.verdict is Verdict.FAIL
    assert [row.name for row in report.rows if row.verdict != "PASS"] == [
        "the loss of a step of training"
    ]
    assert report.diagnoses == ("the compiled loss differs from the reference loss",)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_in_one_engine_fails(monkeypatch, value):
    def change(loss, gradient):
        gradient[7] = value
        return loss, gradient

    altered(monkeypatch, change)
    for method in ("complex step", "directions"):
        report = check_gradients(NETWORK, THETA, X, T, method=method)
        assert report.rows[1].verdict is Verdict.FAIL, report.text()
        assert report.rows[1].engine == "compiled"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", sampled([np.float64, np.float32]))
def test_estimators_check_the_engine_that_trained_them(monkeypatch, dtype):
    rows = rng.normal(size=(60, 4)).astype(dtype)
    labels = (rows[:, 0] > 0).astype(int)
    model = MLPClassifier((5,), layer_norm=True, max_iter=5, random_state=0, tol=0).fit(
        rows, labels
    )
    assert model.theta_.dtype == dtype
    assert engines(model.check_gradients(rows, labels)) == {"both"}
    altered(monkeypatch, lambda loss, gradient: (loss, 1.01 * gradient))
    report = model.check_gradients(rows, labels)
    assert report.verdict is Verdict.FAIL
    assert engines(report) == {"compiled"}


@pytest.mark.parametrize("dtype", sampled([np.float64, np.float32]))
def test_losses_that_differ_by_rounding_pass(monkeypatch, dtype):
    network = Network(2, [Dense(3), ArcTan(), Dense(2)], SoftmaxCrossEntropy())
    theta, unit = network.init(0, dtype=dtype), np.finfo(dtype).eps
    for change, expected in (
        (1 + 4 * unit, Verdict.PASS),
        (1 - 4 * unit, Verdict.PASS),
        (1.001, Verdict.FAIL),
    ):
        with monkeypatch.context() as patch:
            altered(
                patch, lambda loss, gradient, change=change: (loss * change, gradient)
            )
            assert check_gradients(network, theta, X, T).verdict is expected


def test_a_loss_has_a_bound_even_if_the_gradient_is_0(monkeypatch):
    """If rounding errors are measured, errors up to 3e-13 pass, which are typical of special functions."""
    network = Network(2, [Dense(3), ArcTan(), Dense(2)], SoftmaxCrossEntropy())
    altered(monkeypatch, lambda loss, gradient: (loss * (1 + 2e-13), gradient))
    report = check_gradients(network, network.init(0), X * [0, 1], T)
    assert report.passed
    assert report.rows[0].name == "layer 0 (Dense) W"


class Relative(SquaredError):
    """A squared error that is divided by the mean over the rows."""

    def value(self, Z, T):
        e = np.sum(np.square(Z - T), axis=-1)
        return e / (1 + e.mean(axis=-1, keepdims=True))

    def delta(self, Z, T):
        e = np.sum(np.square(Z - T), axis=-1, keepdims=True)
        m = 1 + e.mean(axis=-2, keepdims=True)
        return 2 * (Z - T) * (1 / m - e.mean(axis=-2, keepdims=True) / m**2)


@dataclass(frozen=True)
class Centered(Layer):
    """A layer that subtracts the mean over the rows."""

    def parameters(self, inputs):
        return {}, inputs

    def forward(self, p, X, noise=None):
        return X - X.mean(axis=-2, keepdims=True), None

    def backward(self, p, saved, delta, J):
        return delta - delta.mean(axis=-2, keepdims=True)


@pytest.mark.parametrize("weight", sampled([None, np.linspace(0.5, 2, 12)]))
@pytest.mark.parametrize(("layers", "loss", "name"), [
    ([Dense(3), Tanh(), Dense(1)], Relative(), "Relative"),
    ([Dense(3), Centered(), Tanh(), Dense(1)], SquaredError(), "Layer 1 (Centered)"),
])  # fmt: skip
def test_rows_that_are_not_independent_are_reported(layers, loss, name, weight):
    network = Network(2, layers, loss)
    report = check_gradients(
        network, network.init(0), X, X[:, :1], sample_weight=weight
    )
    assert any(
        note.startswith(f"{name} computes outputs that depend on several rows")
        for note in report.notes
    )
    assert "rows must be independent" in report.text()


def test_custom_parts_with_independent_rows_have_no_note():
    network = Network(2, [Dense(3), ArcTan(), Dense(2)], SoftmaxCrossEntropy())
    assert check_gradients(network, network.init(0), X, T).notes == ()

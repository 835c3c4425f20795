"""Both engines are judged, and the one that is wrong is named; `test_engine_faults` plants faults in the kernels."""

import numpy as np
import pytest

from vecprop import MLPClassifier, compile
from vecprop.check import Verdict, assert_gradients, check_gradients
from vecprop.compiled import step
from vecprop.core.activations import Tanh
from vecprop.core.counter_rng import RandomKey
from vecprop.core.layers import Dense, Dropout, LayerNorm
from vecprop.core.losses import SoftmaxCrossEntropy
from vecprop.core.network import Network
from vecprop.core.penalties import L2

rng = np.random.default_rng(0)
X, T = rng.standard_normal((12, 2)), rng.integers(0, 2, 12)
NETWORK = Network(2, [Dense(3), LayerNorm(), Tanh(), Dropout(0.3), Dense(2)], SoftmaxCrossEntropy(), L2(0.1))
THETA = NETWORK.init(1)


class Own(Tanh):
    """A user's own activation, without a kernel."""

    def forward(self, p, X, noise=None):
        return super().forward(p, X, noise)


OWN = Network(2, [Dense(3), Own(), Dense(2)], SoftmaxCrossEntropy())


def engines(report):
    return {row.engine for row in report.rows}


def altered(monkeypatch, change):
    """Make a training step of the compiled engine return another loss and gradient."""
    right = step.gradient_of_a_step

    def wrong(*arguments):
        loss, gradient = right(*arguments)
        return change(loss, gradient.copy())

    monkeypatch.setattr(step, "gradient_of_a_step", wrong)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["complex step", "directions", "ridders"])
def test_both_engines_by_default(dtype, method):
    report = check_gradients(NETWORK, THETA.astype(dtype), X, T, method=method)
    assert report.passed, report.text()
    assert engines(report) == {"both"}
    assert report.method.endswith("reference and compiled engines")
    assert report.to_dict()["rows"][0]["engine"] == "both"


@pytest.mark.parametrize("noise", [None, 3, RandomKey(seed=2, step=5)])
@pytest.mark.parametrize("weight", [None, rng.uniform(0, 2, 12)])
def test_one_engine(noise, weight):
    for engine in ("reference", "compiled"):
        report = assert_gradients(NETWORK, THETA, X, T, weight, noise, engine=engine)
        assert engines(report) == {engine}
        assert f"{engine} engine" in report.text()


def test_a_compiled_network_may_be_given_itself():
    assert engines(assert_gradients(compile(NETWORK), THETA, X, T)) == {"compiled"}


def test_the_reference_alone_is_checked_if_there_are_no_kernels():
    assert engines(assert_gradients(OWN, OWN.init(0), X, T)) == {"reference"}
    assert engines(assert_gradients(NETWORK, THETA, X, T, noise=RandomKey(1, rows=np.arange(12)))) == {"reference"}
    for network, noise, reason in (
        (OWN, None, "Own is a part of your own"),
        (NETWORK, RandomKey(1, rows=np.arange(12)), "noise"),
    ):
        with pytest.raises(ValueError, match=reason):
            check_gradients(network, network.init(0), X, T, noise=noise, engine="compiled")
    with pytest.raises(ValueError, match="There is no engine 'fast'"):
        check_gradients(NETWORK, THETA, X, T, engine="fast")  # pyright: ignore[reportArgumentType]


def test_a_gradient_that_is_given_belongs_to_no_engine():
    report = check_gradients(NETWORK, THETA, X, T, gradient=lambda at: NETWORK.loss_and_gradient(at, X, T)[1])
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
    assert "in the compiled engine alone, and there in a step of training" in row.diagnosis
    assert check_gradients(NETWORK, THETA, X, T, engine="reference").passed


def test_a_wrong_loss_is_found(monkeypatch):
    altered(monkeypatch, lambda loss, gradient: (1.001 * loss, gradient))
    report = check_gradients(NETWORK, THETA, X, T)
    assert report.verdict is Verdict.FAIL
    assert [row.name for row in report.rows if row.verdict != "PASS"] == ["the loss of a step of training"]
    assert report.diagnoses == ("the compiled engine's loss is not the reference's",)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_in_one_engine_alone_is_wrong(monkeypatch, value):
    def change(loss, gradient):
        gradient[7] = value
        return loss, gradient

    altered(monkeypatch, change)
    for method in ("complex step", "directions"):
        report = check_gradients(NETWORK, THETA, X, T, method=method)
        assert report.rows[1].verdict is Verdict.FAIL, report.text()
        assert report.rows[1].engine == "compiled"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_estimators_prove_the_engine_that_trained_them(monkeypatch, dtype):
    rows = rng.normal(size=(60, 4)).astype(dtype)
    labels = (rows[:, 0] > 0).astype(int)
    model = MLPClassifier((5,), layer_norm=True, max_iter=5, random_state=0, tol=0).fit(rows, labels)
    assert model.theta_.dtype == dtype
    assert engines(model.check_gradients(rows, labels)) == {"both"}
    altered(monkeypatch, lambda loss, gradient: (loss, 1.01 * gradient))
    report = model.check_gradients(rows, labels)
    assert report.verdict is Verdict.FAIL
    assert engines(report) == {"compiled"}

"""The first wrong line of a gradient."""

import io
from functools import partial

import numpy as np
import pytest

from vecprop.check import GradientError, assert_gradients, check_gradients

draw = np.random.default_rng(0)
X, t = draw.normal(size=(6, 3)), draw.normal(size=6)
theta = {"W": draw.normal(size=(3, 4)), "b": draw.normal(size=4)}
theta["v"] = draw.normal(size=4)


def dropped_square(w, X, t):
    n = len(X)
    z = X @ w["W"] + w["b"]
    h = np.tanh(z)
    e = (h @ w["v"] - t) / n
    loss = 0.5 * n * np.sum(e**2)
    dh = np.outer(e, w["v"])
    dz = dh * (1 - h)
    return loss, {"W": X.T @ dz, "b": dz.sum(axis=0), "v": h.T @ e}


def forgotten_penalty(w, X, t):
    e = X @ w - t
    loss = 0.5 * e @ e + 0.3 * np.sum(w**4)
    return loss, X.T @ e


def forgotten_path(w, X, t):
    h = X @ w
    y = np.sin(h) + h**2
    dy = y - t
    dh = dy * np.cos(h)
    return 0.5 * np.sum((y - t) ** 2), X.T @ dh


def loops(W, X, t):
    loss, dW = 0.0, np.zeros_like(W)
    for x, target in zip(X, t, strict=True):
        e = np.tanh(W @ x) - target
        loss += 0.5 * e @ e
        dW = np.outer(e * (1 - np.tanh(W @ x) ** 2), x)
    return loss, dW


def affine_backward(d, x, w):
    return d @ w.T, x.T @ d


def helper(theta, X, T):
    A, B = theta
    h = np.sin(X @ A)
    e = h @ B - T
    dh, dB = affine_backward(e, h, B)
    dz = dh * np.cos(h)
    _, dA = affine_backward(dz, X, A)
    return 0.5 * np.sum(e**2), [dA, dB]


class Model:
    def value(self, w):
        self.e = X @ w - t
        return np.sum(self.e**3)

    def gradient(self, w):
        return X.T @ self.e**2

    def __call__(self, w):
        return self.value(w), 3 * self.gradient(w)

    def both(self, w):
        return self.value(w), self.gradient(w)


def swapped(theta):
    a, b = theta["a"], theta["b"]
    da = 2 * a
    db = 3 * b**2
    return np.sum(a**2) + np.sum(b**3), {"a": db, "b": da}


def unscaled(w, X, t):
    n = len(X)
    e = X @ w - t
    loss = 0.5 * np.mean(e**2)
    dw = X.T @ e
    db = e.sum() / n
    return loss + 0 * db, dw


CASES = {
    "dropped square": (dropped_square, theta, (X, t), "dz = dh * (1 - h)", "h ** 2"),
    "penalty": (forgotten_penalty, theta["W"][:, 0], (X, t), "return", "w ** 4"),
    "path": (forgotten_path, theta["W"][:, 0], (X, t), "dh = ", "h ** 2"),
    "loops": (loops, theta["W"].T, (X, draw.normal(size=(6, 4))), "dW = np", "+="),
    "helper": (
        helper,
        [theta["W"], draw.normal(size=(4, 2))],
        (X, draw.normal(size=(6, 2))),
        "dz = dh * np.cos(h)",
        "",
    ),
    "method": (Model().both, theta["W"][:, 0], (), "return X.T @ self.e**2", ""),
    "swapped": (
        swapped,
        {"a": np.arange(1.0, 4), "b": np.arange(2.0, 5)},
        (),
        'return np.sum(a**2) + np.sum(b**3), {"a": db, "b": da}',
        "not the gradient of a",
    ),
    "1/N": (unscaled, theta["W"][:, 0], (X, t), "dw = X.T @ e", "/ n"),
}


@pytest.mark.parametrize("name", CASES)
def test_statement_and_explanation(name):
    f, point, args, statement, explanation = CASES[name]
    report = check_gradients(f, point, args=args)
    assert report.verdict == "FAIL"
    assert report.wrong_line.statement.startswith(statement)
    assert explanation in report.wrong_line.explanation
    assert report.wrong_line.file == __file__
    with open(__file__) as file:
        line = file.read().splitlines()[report.wrong_line.line - 1]
    assert line.strip() == report.wrong_line.statement
    assert len(str(report.wrong_line).splitlines()) <= 4


def test_right_functions_are_not_analyzed():
    assert check_gradients(Model(), theta["W"][:, 0]).wrong_line is None
    assert check_gradients(lambda w: (w @ w, 2 * w), np.ones(3)).wrong_line is None


def test_gradient_as_a_function_closures_and_lambdas():
    scale = 3.0

    def f(w):
        return scale * np.sum(np.sin(w))

    def gradient(w):
        slope = np.cos(w)
        return scale * slope**2

    w = np.arange(1.0, 4)
    line = check_gradients(f, w, gradient=gradient).wrong_line
    assert line.statement == "return scale * slope**2"
    line = check_gradients(lambda w: (w @ w, 3 * w), w).wrong_line
    assert "2 * w" in line.explanation
    line = check_gradients(partial(forgotten_penalty, X=X, t=t), w).wrong_line
    assert line.statement == "return loss, X.T @ e"


def test_differences_instead_of_the_complex_step():
    def f(w):
        z = X @ w
        h = np.abs(z)
        dz = 2 * h * np.sign(h)
        return np.sum(h**2), X.T @ dz

    report = check_gradients(f, np.array([0.3, -0.7, 1.1]))
    assert "Ridders" in report.method
    assert report.wrong_line.statement.startswith("dz = 2 * h * np.sign(h)")


def test_report_shows_the_line():
    with pytest.raises(
        GradientError, match=r"First wrong line.*\n.*dz = dh \* \(1 - h"
    ):
        assert_gradients(dropped_square, theta, args=(X, t))
    report = check_gradients(dropped_square, theta, args=(X, t))
    assert report.to_dict()["wrong_line"]["statement"] == "dz = dh * (1 - h)"
    assert "<u><code>dz = dh * (1 - h)</code></u>" in report._repr_html_()
    console = pytest.importorskip("rich.console").Console(
        file=io.StringIO(), force_terminal=True, width=200
    )
    console.print(report)
    assert "\x1b[4mdz = dh * (1 - h)" in console.file.getvalue()


def test_analysis_survives_any_code():
    calls = []

    def effects(w):
        calls.append(w)
        global state
        state = len(calls)
        return w @ w, 3 * w

    assert check_gradients(effects, np.ones(3)).verdict == "FAIL"
    assert "state" not in globals() or state < len(calls) + 1
    names = {"np": np}
    exec("def f(w):\n    return w @ w, 3 * w", names)
    report = check_gradients(names["f"], np.ones(3))
    assert report.verdict == "FAIL"
    assert report.wrong_line is None

    def raises(w):
        if w.dtype == complex or (w != 1).any():
            raise RuntimeError
        return w @ w, 3 * w

    report = check_gradients(
        lambda w: (np.array([w @ w, 1]), np.ones((2, 3))), np.ones(3)
    )
    assert report.verdict == "FAIL"
    assert report.wrong_line is None


def test_budget_of_runs():
    calls = []

    def f(w):
        calls.append(None)
        a = np.sin(w)
        b = np.cos(a) * a
        c = b**2 + a
        db = 2 * b * c
        return c @ c, db

    w = np.arange(1.0, 4)
    report = check_gradients(f, w, method="central differences")
    count = len(calls)
    calls.clear()
    check_gradients(f, w, method="central differences")
    assert report.verdict == "FAIL"
    assert len(calls) == count
    assert count < 200 + 200

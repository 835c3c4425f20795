"""Right gradients of functions whose code is hard to check: own layers, buffers, types, edges."""

import functools
import math
import warnings
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import scipy.sparse
from scipy.special import expit

from function_case import Case, draw
from functions_numpy import deep
from vecprop import Dense, Logistic, Network, SoftmaxCrossEntropy, SquaredError, Tanh
from vecprop.extend import Activation, Layer

Pair = namedtuple("Pair", "W b")


@dataclass(frozen=True)
class OwnNorm(Layer):
    """A layer normalization by NumPy's variance, which is real for complex numbers."""

    fault: str = ""

    def forward(self, p, X, noise=None):
        s = np.sqrt(X.var(axis=-1, keepdims=True) + 1e-5)
        Y = (X - X.mean(axis=-1, keepdims=True)) / s
        return Y, (Y, s)

    def backward(self, p, saved, delta, J):
        Y, s = saved
        if self.fault == "no variance term":
            return (delta - delta.mean(axis=-1, keepdims=True)) / s
        if self.fault:
            return delta / s
        return (
            delta
            - delta.mean(axis=-1, keepdims=True)
            - Y * (delta * Y).mean(axis=-1, keepdims=True)
        ) / s


@dataclass(frozen=True)
class OwnLength(Layer):
    """Rows of length 1: NumPy's norm of complex numbers is real."""

    right: bool = True

    def forward(self, p, X, noise=None):
        s = np.linalg.norm(X, axis=-1, keepdims=True)
        return X / s, (X / s, s)

    def backward(self, p, saved, delta, J):
        Y, s = saved
        return (delta - self.right * Y * (delta * Y).sum(axis=-1, keepdims=True)) / s


@dataclass(frozen=True)
class OwnSoftsign(Activation):
    right: bool = True

    def value(self, z):
        return z / (1 + np.abs(z))

    def derivative(self, z, y):
        return (1 - np.abs(y)) ** 2 if self.right else 1 - np.abs(y)


@dataclass(frozen=True)
class OwnSine(Activation):
    """It makes real numbers of complex ones, in silence."""

    right: bool = True

    def value(self, z):
        return np.sin(np.asarray(z, dtype=float))

    def derivative(self, z, y):
        return (
            np.cos(np.asarray(z, dtype=float))
            if self.right
            else -np.cos(np.asarray(z, dtype=float))
        )


@dataclass(frozen=True)
class OwnExpit(Activation):
    """SciPy's logistic takes no complex numbers."""

    right: bool = True

    def value(self, z):
        return expit(z)

    def derivative(self, z, y):
        return y * (1 - y) if self.right else y


@dataclass(frozen=True)
class OwnScale(Layer):
    """A parameter of its own, and its backward pass in place."""

    right: bool = True

    def parameters(self, inputs):
        return {"g": (inputs,)}, inputs

    def init(self, p, generator):
        p["g"][...] = 1

    def forward(self, p, X, noise=None):
        return X * p["g"], (X, p["g"])

    def backward(self, p, saved, delta, J):
        X, g = saved
        J["g"][...] = np.einsum("nk,nk->k", X, delta) / (1 if self.right else len(X))
        return delta * g


def in_another_order(p, slip=""):
    W, V = p["W"], p["V"]
    return W @ W + V @ V / 2, {
        "V": V,
        "W": W if slip == "a factor 2 is missing" else 2 * W,
    }


def asserted(s):
    assert (s.real > 0).all(), "sigma must be positive"
    return np.sum(np.log(s)), 1 / s


def cholesky_domain(a, C):
    """C + diag(a) is hardly positive definite: a step of a tenth raises LinAlgError."""
    A = C + np.diag(a)
    L = np.linalg.cholesky(A)
    return np.log(np.diag(L)).sum(), np.diag(np.linalg.inv(A)) / 2


def strict_log(w):
    if np.any(w.real <= 0):
        raise ValueError("math domain error")
    return sum(math.log(x) for x in w), [1 / float(x) for x in w]


def nan_outside(w):
    return np.sum(np.sqrt(1 - w**2)), -w / np.sqrt(1 - w**2)


def infinite_outside(w):
    return (np.sum(np.log(w)) if np.all(w > 0) else -np.inf), 1 / w


def raised_on_overflow(w):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        return np.sum(np.exp(w)), np.exp(w)


def strict_type(w):
    assert w.dtype == np.float64
    assert w.flags.c_contiguous
    return float(w @ w), 2.0 * w


def overwritten(w):
    w *= 2.0
    return w @ w, 4 * w


def overwritten_tree(p):
    p["a"] += 1
    p["b"] = p["b"] * p["a"].sum()
    return np.sum(p["b"] ** 2) / 2, {
        "a": np.full(2, p["b"] @ p["b"] / p["a"].sum()),
        "b": p["b"] * p["a"].sum(),
    }


class Buffered:
    """It returns the same arrays each time."""

    def __init__(self):
        self.buffers = {}

    def __call__(self, w):
        a, J = self.buffers.setdefault(
            w.dtype, (np.empty_like(w), np.empty((3, 3), w.dtype))
        )
        np.multiply([1.0, 2.0, 3.0], w, out=a)
        J[...] = np.diag([1.0, 2.0, 3.0])
        return a, J


class BufferedGradient:
    def __init__(self):
        self.J = np.zeros(4)

    def __call__(self, w):
        self.J[:] = np.cos(w.real)
        return np.sin(w).sum(), self.J


def itself(w):
    """Value and gradient are views of the parameters."""
    return w[:], np.eye(len(w))


def half_square(w):
    return 0.5 * np.sum(w * w), w


class Cached:
    """It remembers values by the real parts of the parameters."""

    def __init__(self):
        self.known = {}

    def __call__(self, w):
        key = np.real(w).tobytes()
        if key not in self.known:
            w = np.real(w)
            self.known[key] = float(np.sum(np.sin(w) * w)), np.cos(w) * w + np.sin(w)
        return self.known[key]


class Remembered:
    """The gradient uses the cache of the last value if the parameters are the same, as in many classes."""

    def __init__(self):
        self.at, self.h = None, np.empty(0)

    def __call__(self, w, X):
        if self.at is None or not np.array_equal(self.at, w):
            self.at, self.h = w.copy(), np.tanh(X @ w)
        return self.h @ self.h / 2, X.T @ (self.h * (1 - self.h**2))


def seeded(w):
    """A deterministic sample."""
    e = np.random.default_rng(0).standard_normal((500, len(w)))
    s = np.exp(w)
    return np.mean(np.cos(e * s)), np.mean(-np.sin(e * s) * e * s, axis=0) / len(w)


def inverse_jacobian(A):
    B = np.linalg.inv(A)
    return B, -np.einsum("ia,bj->ijab", B, B)


def one_value(w):
    return np.array([w @ w]), 2 * w[None]


def one_value_flat(w):
    return np.array([w @ w]), 2 * w


def listed_gradient(w):
    return w @ w, [2 * x for x in w]


def array_for_list(x):
    x = np.asarray(x)
    return np.sum(np.exp(x)), np.exp(x)


def whole_numbers(w):
    return np.sum(3 * w), np.full(len(w), 3)


def sparse_squares(w, S, slip=""):
    e = S @ w
    return 0.5 * e @ e, S.T @ (2 * e if slip == "a factor 2 too many" else e)


def ragged(w, rows):
    value, J = 0.0, np.zeros(len(w))
    for row in map(np.array, rows):
        h = np.tanh(w[: len(row)] @ row)
        value, J[: len(row)] = value + h, J[: len(row)] + (1 - h**2) * row
    return value, J


def pair(p):
    return np.sum(np.sin(p.W @ p.b)), Pair(
        np.outer(np.cos(p.W @ p.b), p.b), p.W.T @ np.cos(p.W @ p.b)
    )


def empty_leaf(p):
    return p["a"] @ p["a"], {"a": 2 * p["a"], "none": np.zeros((0, 3))}


def half_square_of_whole(w):
    return np.sum(w**2) / 2, w * 1.0


def half_norm(W):
    return np.sum(W**2) / 2, W.copy()


def nested(p, X, Y):
    value, J = deep(p["layers"], X, Y)
    return p["scale"] ** 2 * value, {
        "scale": 2 * p["scale"] * value,
        "layers": [(p["scale"] ** 2 * W, p["scale"] ** 2 * b) for W, b in J],
    }


def norm(w):
    return np.linalg.norm(w), w / np.linalg.norm(w)


def square_root_at_0(w):
    """It has no derivative at 0, and theta is near it."""
    return np.sqrt(w).sum(), 0.5 / np.sqrt(w)


def _frozen(array):
    array.flags.writeable = False
    return array


def column(W, X, y):
    """Everything is a matrix: the value has the shape (1, 1), and the gradient is a column."""
    e = X @ W - y[:, None]
    return e.T @ e / 2, X.T @ e


def table_of_lists(W):
    A = np.array(W)
    return np.sum(A**3), 3 * A**2


def framed(w, data, names, target, options):
    """A table, a tuple of names, a name and a dict as arguments."""
    X, y = data[list(names)].to_numpy(), data[target]
    e = X @ w - y
    return options["scale"] * (e**2).sum(), 2 * options["scale"] * X.T @ e.to_numpy()


def masked_rows(w, X, y):
    """Data with a mask of their own."""
    e = np.ma.dot(X, w) - y
    return np.ma.sum(e**2) / 2, np.ma.dot(X.T, e).filled(0)


@functools.cache
def remembered_tuple(w):
    return sum(x**3 for x in w), tuple(3 * x**2 for x in w)


def typed(w):
    if not isinstance(w, np.ndarray) or w.dtype.kind != "f":
        raise TypeError(f"an array of floats is needed, not {type(w).__name__}")
    return np.sum(np.exp(w)), np.exp(w)


def strict_warnings(w):
    """Warnings are errors here, that of a discarded imaginary part too."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = np.empty(len(w))
        out[:] = np.sin(w)
        return out.sum(), np.cos(w)


def tied(p, X):
    """Two leaves that are the same array at first."""
    H = np.tanh(X @ p["a"])
    e = H @ p["b"].T - X
    return np.sum(e**2) / 2, {"a": X.T @ ((e @ p["b"]) * (1 - H**2)), "b": e.T @ H}


def many_leaves(p):
    return sum(np.sin(q) * k for k, q in enumerate(p.values())), {
        n: k * np.cos(q) for k, (n, q) in enumerate(p.items())
    }


class Model:
    """A class as many people write it."""

    def __init__(self, X, y):
        self.X, self.y, self.history = X, y, []

    def loss_and_gradient(self, w):
        e = self.X @ w - self.y
        self.history.append(0.5 * np.mean(e**2))
        return self.history[-1], self.X.T @ e / len(e)


def rounded_gradient(w):
    """A gradient in float32 of a function in float64."""
    return float(np.sum(np.sin(w))), np.cos(w).astype(np.float32)


def in_random_order(w, X):
    """Rows are added in another order each time: the last bits differ."""
    order = np.random.default_rng().permutation(len(X))
    return np.sum(np.tanh(X[order] @ w)), X[order].T @ (1 - np.tanh(X[order] @ w) ** 2)


class WarmStart:
    """A root is found to 1e-12, from the last one as a start."""

    def __init__(self):
        self.x = 1.0

    def __call__(self, w):
        a, b = float(w[0]), float(w[1])
        for _ in range(100):
            step = (self.x**3 + a * self.x - b) / (3 * self.x**2 + a)
            self.x -= step
            if abs(step) < 1e-12:
                break
        d = 3 * self.x**2 + a
        return self.x, np.array([-self.x / d, 1 / d])


def _networks(case, seed):
    r = draw(0, seed)
    X, t = r.normal(size=(8, 3)), np.arange(8) % 2
    for name, right, *wrong in (
        (
            "own norm by X.var",
            OwnNorm(),
            OwnNorm("no variance term"),
            OwnNorm("neither term"),
        ),
        ("own rows of length 1", OwnLength(), OwnLength(False)),
        ("own softsign by np.abs", OwnSoftsign(), OwnSoftsign(False)),
        ("own sine by np.asarray", OwnSine(), OwnSine(False)),
        ("own logistic by expit", OwnExpit(), OwnExpit(False)),
        ("own scale", OwnScale(), OwnScale(False)),
    ):
        for loss, T in ((SoftmaxCrossEntropy(), t), (SquaredError(), X[:, :2])):
            made = [
                Network(3, [Dense(4), layer, Dense(2)], loss)
                for layer in (right, *wrong)
            ]
            theta = made[0].init(seed=seed + 2) + 0.1
            yield case(
                f"{name}, {type(loss).__name__}",
                made[0],
                theta,
                X,
                T,
                slips=tuple(made[1:]),
            )
    soft = draw(1, seed).dirichlet([1, 1], 8).astype("f4")
    net = Network(3, [Dense(4), Tanh(), Dense(2)], SoftmaxCrossEntropy())
    # Their rows sum to 1 in float32 alone.
    yield case("float32 soft labels", net, net.init(seed=seed + 5), X, soft)
    net = Network(3, [Dense(4), Logistic(), Dense(2)], SoftmaxCrossEntropy())
    theta = net.init(seed=seed + 3)
    yield case(
        "float32 network, two classes",
        net,
        theta.astype("f4"),
        X,
        t,
        smallest=1e-2,
        precision=1e-4,
    )
    yield case("two classes", net, theta, X, t)


def cases(there, seed=0):
    return list(_cases(seed))


def _cases(seed):
    def case(name, f, theta, *args, **more):
        return Case(name, f, theta, args, kind="hard", **more)

    yield from _networks(case, seed)
    r = draw(31, seed)
    n = r.standard_normal
    X, y, w = n((40, 4)), n(40), n(4)
    yield case(
        "dict in another order",
        in_another_order,
        {"W": w[:2], "V": w[2:]},
        slips=("a factor 2 is missing",),
    )
    # A difference method must not use complex numbers: their norm is real.
    yield case(
        "norm by central differences",
        norm,
        w,
        options={"method": "central differences"},
        smallest=1e-5,
    )
    yield case("norm by Ridders", norm, w, options={"method": "ridders"})
    # Functions with an edge near theta: they raise, or return NaN or an infinity,
    # beyond it.
    yield case("AssertionError outside", asserted, np.array([2.0, 0.01, 50.0]))
    L = n((4, 6))
    yield case("LinAlgError outside", cholesky_domain, np.array([1e-3, 2e-3, 0.1, 1.0]), L[:, :3] @ L[:, :3].T,
               smallest=1e-4)  # fmt: skip
    yield case("ValueError outside", strict_log, np.array([1e-4, 3.0]))
    yield case(
        "NaN outside", nan_outside, np.array([0.999, -0.5, 0.9999]), smallest=1e-5
    )
    yield case("infinite outside", infinite_outside, np.array([1e-6, 3.0]))
    yield case("square root beside 0", square_root_at_0, np.array([1e-12, 1.0]))
    yield case("FloatingPointError outside", raised_on_overflow, np.array([709.0, 1.0]))
    # Functions that look at types, or make errors of warnings.
    yield case("strict about types", strict_type, w)
    yield case("strict about kinds", typed, w)
    yield case("strict about warnings", strict_warnings, w)
    # Functions that change their arguments and their results.
    yield case("theta overwritten", overwritten, w)
    yield case("dict overwritten", overwritten_tree, {"a": np.ones(2), "b": n(3)})
    yield case("buffers returned", Buffered(), np.ones(3))
    yield case("gradient's buffer returned", BufferedGradient(), w)
    yield case("a view as value", itself, w)
    yield case("theta as gradient", half_square, w)
    yield case("cached", Cached(), w)
    yield case("cached by tuple", remembered_tuple, (0.5, 1.0, 2.0), apart=False)
    yield case("remembered, gradient apart", Remembered(), w, X, apart=True)
    yield case("seeded inside", seeded, 0.3 * n(3))
    yield case("a warm start", WarmStart(), np.array([1.0, 2.0]), smallest=1e-4)
    yield case("summed in random order", in_random_order, w, X, smallest=1e-5)
    yield case("a model's method", Model(X, y).loss_and_gradient, w)
    # Shapes and types of values, gradients, parameters and arguments.
    yield case("inverse, Jacobian", inverse_jacobian, n((3, 3)) + 3 * np.eye(3))
    yield case("value of shape (1,)", one_value, w)
    yield case("value of shape (1,), plain gradient", one_value_flat, w)
    yield case("value of shape (1, 1), plain gradient", column, w[:, None], X, y)
    yield case("list of floats as gradient", listed_gradient, w)
    yield case("array as gradient of a list", array_for_list, [0.3, -1.2, 0.5])
    yield case("array as gradient of a tuple", array_for_list, (0.3, -1.2, 0.5))
    yield case("array as gradient of lists", table_of_lists, [[0.3, -1.2], [0.5, 2.0]])
    yield case("gradient given as an array", half_square, w, apart="array")
    yield case("float32 gradient", rounded_gradient, w, smallest=1e-4, precision=1e-6)
    yield case("whole numbers as gradient", whole_numbers, w)
    yield case("whole numbers as theta", half_square_of_whole, np.array([1, 2, 3]))
    yield case("long double theta", half_square, w.astype(np.longdouble))
    yield case("a number", lambda x: (x**3, 3 * x**2), 1.7)
    yield case("a number of NumPy's", lambda x: (np.exp(x), np.exp(x)), np.float64(1.7))
    yield case("array of no dimension", lambda x: (np.sin(x), np.cos(x)), np.array(0.7))
    yield case(
        "read-only theta in columns", half_norm, _frozen(np.asfortranarray(n((3, 4))))
    )
    yield case("every other entry of an array", half_norm, n((6, 8))[::2, ::2])
    S = scipy.sparse.random(30, 4, 0.5, random_state=0, format="csr")  # pyright: ignore[reportCallIssue] (rng later)
    yield case("sparse argument", sparse_squares, w, S, slips=("a factor 2 too many",))
    yield case("ragged argument", ragged, w, [[1.0], [2.0, 3.0], [0.1, 0.2, 0.3, 0.4]])
    if find_spec("pandas"):
        import pandas as pd

        data = pd.DataFrame(np.column_stack([X, y]), columns=[*"abcdy"])
        yield case(
            "table as argument",
            framed,
            w,
            data,
            ("a", "b", "c", "d"),
            "y",
            {"scale": 0.5},
        )
    masked = np.ma.masked_array(X, r.random(X.shape) < 0.2)
    yield case("masked argument", masked_rows, w, masked, y)
    yield case("named tuple", pair, Pair(n((3, 2)), n(2)))
    yield case(
        "ordered dict with an empty leaf",
        empty_leaf,
        OrderedDict(a=w, none=np.zeros((0, 3))),
    )
    yield case(
        "nested",
        nested,
        {"layers": [(n((4, 3)), n(3)), (n((3, 3)), n(3))], "scale": 0.5},
        X,
        n((40, 3)),
    )
    W = n((4, 3))
    yield case("one array in two leaves", tied, {"a": W, "b": W}, X)
    yield case(
        "a hundred leaves",
        many_leaves,
        {f"p{k}": float(x) for k, x in enumerate(n(100))},
    )

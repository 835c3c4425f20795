"""Matrices, special functions, and ordinary code that was not written for complex numbers."""

import math

import numpy as np
import scipy.linalg
from scipy.special import (
    betainc,
    erfinv,
    expi,
    gammainc,
    gammaln,
    jv,
    kv,
    ndtri,
    spence,
    zeta,
)

from function_case import Case, draw


def determinant(A):
    return np.linalg.det(A), np.linalg.det(A) * np.linalg.inv(A).T


def log_cholesky(A):
    """NumPy's factor of a complex matrix takes its conjugate."""
    S = A @ A.T + np.eye(len(A))
    return 2 * np.log(np.diag(np.linalg.cholesky(S))).sum(), 2 * np.linalg.solve(S, A)


def inverse_trace(A, slip=""):
    B = np.linalg.inv(A)
    return np.trace(B), -(B @ B).T if slip == "" else -B @ B


def eigenvalues(A, c):
    S = (A + A.T) / 2
    values, Q = np.linalg.eigh(S)
    return c @ values, (Q * c) @ Q.T


def nuclear(A):
    U, s, V = np.linalg.svd(A, full_matrices=False)
    return s.sum(), U @ V


def spectral_norm(A):
    U, s, V = np.linalg.svd(A)
    return s[0], np.outer(U[:, 0], V[0])


def exponential(A, B):
    return np.sum(B * scipy.linalg.expm(A)), scipy.linalg.expm_frechet(
        A.T, B, compute_expm=False
    )


def fitted(X, y):
    """The squared error of a least squares fit, as a function of its inputs."""
    w = np.linalg.lstsq(X, y)[0]
    e = X @ w - y
    return e @ e, 2 * np.outer(e, w)


def projection(X, y):
    Q = np.linalg.qr(X)[0]
    e = y - Q @ (Q.T @ y)
    w = np.linalg.pinv(X) @ y
    return e @ y, -2 * np.outer(e, w)


def sylvester(A, B, C):
    X = scipy.linalg.solve_sylvester(A, B, C)
    L = scipy.linalg.solve_sylvester(A.T, B.T, np.ones_like(C))
    return X.sum(), -L @ X.T


def orthogonality(W):
    G = W.T @ W - np.eye(W.shape[1])
    return np.linalg.norm(G) ** 2, 4 * W @ G


def row_norms(W, slip=""):
    s = np.linalg.norm(W, axis=1, keepdims=True)
    return float(np.sum(s)), W if slip == "not divided by the norm" else W / s


def deviation(w):
    return np.std(w), (w - w.mean()) / (len(w) * np.std(w))


def correlation(w, y):
    a, b = w - w.mean(), y - y.mean()
    r = np.corrcoef(w, y)[0, 1]
    return r, b / (np.linalg.norm(a) * np.linalg.norm(b)) - r * a / (a @ a)


def covariance(X):
    C = np.cov(X, rowvar=False)
    return np.sum(C**2), 4 / (len(X) - 1) * (X - X.mean(axis=0)) @ C


def angles(p):
    x, y = p
    return np.sum(np.arctan2(y, x)), (-y / (x**2 + y**2), x / (x**2 + y**2))


def distances(p, X):
    d = np.hypot(X[:, 0] - p[0], X[:, 1] - p[1])
    return d.sum(), np.array(
        [np.sum((p[0] - X[:, 0]) / d), np.sum((p[1] - X[:, 1]) / d)]
    )


def inner(w, v):
    return np.vdot(w, w) * np.vdot(v, w), 2 * w * (v @ w) + (w @ w) * v


def correlated(k, x, target):
    e = np.correlate(x, k, mode="valid") - target
    return e @ e / 2, np.correlate(x, e, mode="valid")


def products(w):
    P = np.cumprod(w)
    return P.sum(), np.array([P[k:].sum() / w[k] for k in range(len(w))])


def wrapped(w):
    """Angles are compared modulo a turn."""
    d = (w + np.pi) % (2 * np.pi) - np.pi
    return np.sum(d**2) / 2, d


def powers(w):
    return np.sum(np.abs(w) ** 1.5), 1.5 * np.sign(w) * np.sqrt(np.abs(w))


def signed_roots(w):
    return np.sum(np.sign(w) * np.sqrt(np.abs(w))), 0.5 / np.sqrt(np.abs(w))


def cube_roots(w):
    return np.cbrt(w).sum(), 1 / (3 * np.cbrt(w) ** 2)


def scalar_loop(w):
    """Python's math module, which takes only floats."""
    total, J = 0.0, []
    for x in w:
        total += math.exp(-(x**2)) + math.atan(x)
        J.append(-2 * x * math.exp(-(x**2)) + 1 / (1 + x**2))
    return total, np.array(J)


def running_maximum(w):
    m, J = -np.inf, np.zeros(len(w))
    for k, x in enumerate(w):
        if x > m:
            m, J = x, np.eye(len(w))[k]
    return m**2, 2 * m * J


def in_place(w, X):
    Z = X @ w
    Z -= Z.mean()
    Z *= Z
    return Z.sum() / 2, X.T @ (X @ w - np.mean(X @ w))


def filled(w):
    """Values are put into an array of floats, which drops imaginary parts."""
    out = np.zeros(len(w))
    for k in range(len(w)):
        out[k] = w[k] ** 2 if k % 2 else np.exp(w[k])
    return out.sum(), np.where(np.arange(len(w)) % 2, 2 * w, np.exp(w))


def table(w):
    """A matrix built entry by entry."""
    A = np.array([[1.0, w[0], 0.0], [0.0, 2.0, w[1]], [w[2], 0.0, 3.0]])
    C = np.linalg.inv(A).T * np.linalg.det(A)
    return np.linalg.det(A), [C[0, 1], C[1, 2], C[2, 0]]


SPECIAL = {
    "gammainc": (
        lambda x: gammainc(2.5, x),
        lambda x: np.exp(1.5 * np.log(x) - x - gammaln(2.5)),
    ),
    "betainc": (
        lambda x: betainc(2.0, 3.0, x / 10),
        lambda x: (
            (x / 10)
            * (1 - x / 10) ** 2
            * np.exp(gammaln(5) - gammaln(2) - gammaln(3))
            / 10
        ),
    ),
    "erfinv": (
        lambda x: erfinv(x / 5),
        lambda x: np.sqrt(np.pi) / 2 * np.exp(erfinv(x / 5) ** 2) / 5,
    ),
    "ndtri": (
        lambda x: ndtri(x / 5),
        lambda x: np.sqrt(2 * np.pi) * np.exp(ndtri(x / 5) ** 2 / 2) / 5,
    ),
    "expi": (expi, lambda x: np.exp(x) / x),
    "Bessel J": (lambda x: jv(1, x), lambda x: (jv(0, x) - jv(2, x)) / 2),
    "Bessel K": (lambda x: kv(1, x), lambda x: -(kv(0, x) + kv(2, x)) / 2),
    "spence": (spence, lambda x: np.log(x) / (1 - x)),
    "zeta": (lambda x: zeta(3.0, x), lambda x: -3 * zeta(4.0, x)),
}


def special(w, name):
    value, slope = SPECIAL[name]
    return value(w).sum(), slope(w)


def cases(there, seed=0):
    return list(_cases(seed))


def _cases(seed):
    def case(name, f, theta, *args, **more):
        return Case(name, f, theta, args, backend="scipy", **more)

    r = draw(60, seed)
    n = r.standard_normal
    A, w, X = n((4, 4)), n(6), n((12, 3))
    yield case("determinant", determinant, A)
    yield case("log-determinant by Cholesky", log_cholesky, A)
    yield case(
        "trace of the inverse",
        inverse_trace,
        A + 3 * np.eye(4),
        slips=("not transposed",),
    )
    yield case("sum of eigenvalues", eigenvalues, A, np.array([1.0, -1.0, 2.0, 0.5]))
    yield case("nuclear norm", nuclear, n((4, 3)))
    yield case("spectral norm", spectral_norm, n((4, 3)))
    yield case("exponential of a matrix", exponential, 0.5 * A, n((4, 4)))
    yield case("error of a fit", fitted, X, n(12))
    yield case("error of a projection", projection, X, n(12))
    yield case(
        "Sylvester's equation",
        sylvester,
        A + 4 * np.eye(4),
        n((3, 3)) + 4 * np.eye(3),
        n((4, 3)),
    )
    yield case("orthogonality", orthogonality, n((5, 3)))
    yield case(
        "norms of rows", row_norms, n((5, 3)), slips=("not divided by the norm",)
    )
    yield case("standard deviation", deviation, w)
    yield case("correlation", correlation, w, n(6))
    yield case("covariance", covariance, X)
    yield case("angles", angles, (n(4), n(4)))
    yield case("distances", distances, np.array([0.1, 0.2]), n((9, 2)))
    yield case("vdot", inner, w, n(6))
    yield case("correlate", correlated, n(3), n(12), n(10))
    yield case("cumulative product", products, r.uniform(0.5, 2, 6))
    yield case("angles modulo a turn", wrapped, 3 * w)
    yield case("powers of absolute values", powers, w)
    yield case("signed roots", signed_roots, w)
    yield case("cube roots", cube_roots, w)
    yield case("scalar loop", scalar_loop, w)
    yield case("running maximum", running_maximum, w)
    yield case("in place", in_place, n(3), X)
    yield case("filled array", filled, w)
    yield case("determinant of a table", table, w[:3])
    for name in SPECIAL:
        yield case(name, special, r.uniform(0.5, 4, 4), name)

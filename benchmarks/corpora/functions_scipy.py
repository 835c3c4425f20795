"""Regressions and likelihoods, with gradients derived by hand."""

from collections import namedtuple
from typing import Any

import numpy as np
from scipy import special
from scipy.linalg import solve_triangular
from scipy.special import (
    betaln,
    digamma,
    erf,
    expit,
    gammaln,
    i0e,
    i1e,
    log_ndtr,
    ndtr,
    softmax,
    xlogy,
)

from function_case import Case, draw

logsumexp: Any = special.logsumexp  # whose result is a pair where a sign is asked for

Curve = namedtuple("Curve", "height rate start")


def least_squares(w, X, y, slip=""):
    e = X @ w - y
    sign = -1 if slip == "sign of the residual" else 1
    return np.mean(e**2), sign * 2 * X.T @ e / (
        1 if slip == "not divided by N" else len(y)
    )


def ridge(w, X, y, slip=""):
    e = X @ w - y
    return 0.5 * e @ e + 0.3 * w @ w, X.T @ e + (slip != "no ridge term") * 0.6 * w


def weighted(w, X, y, weight, slip=""):
    e = X @ w - y
    s = weight / weight.sum()
    return float(np.sum(s * e**2) / 2), X.T @ (
        e if slip == "weights forgotten" else s * e
    )


def horner(c, x, y):
    z = np.zeros_like(x)
    for coefficient in c:
        z = z * x + coefficient
    e = z - y
    return e @ e / 2, np.array([e @ x**k for k in range(len(c) - 1, -1, -1)])


def logistic(w, X, y, slip=""):
    z = X @ w
    slope = expit(z) - y
    if slip == "slope twice":
        slope = slope * expit(z) * (1 - expit(z))
    return np.mean(np.log1p(np.exp(z)) - y * z), X.T @ slope / len(y)


def signed_logistic(w, X, y):
    margin = y * (X @ w)
    return (
        np.sum(np.logaddexp(0, -margin)) + 0.05 * w @ w,
        -X.T @ (y * expit(-margin)) + 0.1 * w,
    )


def clipped_logistic(p, X, y):
    q = np.clip(expit(X @ p["w"] + p["b"]), 1e-12, 1 - 1e-12)
    loss = -np.mean(xlogy(y, q) + xlogy(1 - y, 1 - q))
    return float(loss), {"w": X.T @ (q - y) / len(y), "b": np.mean(q - y)}


def softmax_regression(W, X, t, slip=""):
    Z = X @ W
    P = np.exp(Z - logsumexp(Z, axis=1, keepdims=True))
    T = np.eye(W.shape[1])[t]
    D = P - (0 if slip == "targets forgotten" else T)
    if slip == "diagonal Jacobian only":
        D = -T / P * P * (1 - P)
    return -np.mean(np.log(P[np.arange(len(t)), t])), X.T @ D / len(t)


def poisson(w, X, y):
    mu = np.exp(X @ w)
    return np.sum(mu - y * (X @ w) + gammaln(y + 1)), X.T @ (mu - y)


def negative_binomial(p, X, y):
    r, eta = np.exp(p["log_r"]), X @ p["w"]
    mu = np.exp(eta)
    value = (
        gammaln(y + r)
        - gammaln(r)
        - gammaln(y + 1)
        + r * np.log(r / (r + mu))
        + y * np.log(mu / (r + mu))
    )
    slope_eta = y - (y + r) * mu / (r + mu)
    slope_r = (
        digamma(y + r) - digamma(r) + np.log(r / (r + mu)) + 1 - (r + y) / (r + mu)
    )
    return -value.sum(), {"w": -X.T @ slope_eta, "log_r": -r * slope_r.sum()}


def gamma_regression(p, X, y):
    w, log_k = p
    k, eta = np.exp(log_k), X @ w
    scaled = y * np.exp(-eta)
    value = k * np.log(k) - gammaln(k) - k * eta + (k - 1) * np.log(y) - k * scaled
    slope_k = np.log(k) + 1 - digamma(k) - eta + np.log(y) - scaled
    return -np.mean(value), (-X.T @ (k * (scaled - 1)) / len(y), -k * np.mean(slope_k))


def probit(w, X, y):
    z = (2 * y - 1) * (X @ w)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return -np.sum(log_ndtr(z)), -X.T @ ((2 * y - 1) * density / ndtr(z))


def huber(w, X, y, d=1.0):
    e = X @ w - y
    return np.where(
        np.abs(e) <= d, e**2 / 2, d * (np.abs(e) - d / 2)
    ).mean(), X.T @ np.clip(e, -d, d) / len(y)


def pseudo_huber(w, X, y):
    e = X @ w - y
    return np.sum(np.sqrt(1 + e**2) - 1), X.T @ (e / np.sqrt(1 + e**2))


def log_cosh(w, X, y):
    e = X @ w - y
    return np.mean(np.logaddexp(e, -e) - np.log(2)), X.T @ np.tanh(e) / len(y)


def pinball(w, X, y, tau):
    e = y - X @ w
    return np.mean(np.maximum(tau * e, (tau - 1) * e)), -X.T @ np.where(
        e > 0, tau, tau - 1
    ) / len(y)


def absolute(w, X, y, slip=""):
    e = X @ w - y
    return (
        np.abs(e).sum() + w @ w / 2,
        (slip != "slope of |x| forgotten") * X.T @ np.sign(e) + w,
    )


def hinge(w, X, y):
    margin = 1 - y * (X @ w)
    return (
        np.mean(np.maximum(margin, 0)) + 0.01 * w @ w,
        -X.T @ (y * (margin > 0)) / len(y) + 0.02 * w,
    )


def squared_hinge(w, X, y):
    margin = np.maximum(0, 1 - y * (X @ w))
    return margin @ margin, -2 * X.T @ (y * margin)


def elastic_net(w, X, y, slip=""):
    e = y - X @ w
    penalty = 0.1 * np.abs(w).sum() + 0.05 * np.sum(w**2)
    return (
        e @ e / (2 * len(y)) + penalty,
        -X.T @ e / len(y) + (slip != "no l1 slope") * 0.1 * np.sign(w) + 0.1 * w,
    )


def group_lasso(W, X, Y):
    E = X @ W - Y
    norms = np.linalg.norm(W, axis=1)
    return 0.5 * np.sum(E**2) + norms.sum(), X.T @ E + W / norms[:, None]


def decay(p, t, y):
    a, k, c = p
    model = a * np.exp(-k * t) + c
    e = model - y
    return e @ e, (
        2 * e @ np.exp(-k * t),
        -2 * a * e @ (t * np.exp(-k * t)),
        2 * e.sum(),
    )


def michaelis_menten(p, s, v):
    top, half = p
    e = top * s / (half + s) - v
    return np.sum(e**2) / 2, [
        np.sum(e * s / (half + s)),
        -np.sum(e * top * s / (half + s) ** 2),
    ]


def growth(p, t, y):
    s = expit(p.rate * (t - p.start))
    e = p.height * s - y
    slope = e * p.height * s * (1 - s)
    return np.mean(e**2), Curve(
        *(2 / len(t) * g for g in (e @ s, slope @ (t - p.start), -p.rate * slope.sum()))
    )


def peaks(p, x, y):
    centre, width, height = p["centre"], p["width"], p["height"]
    u = (x[:, None] - centre) / width
    G = np.exp(-(u**2) / 2)
    e = G @ height - y
    return e @ e, {
        "height": 2 * G.T @ e,
        "centre": 2 * e @ (G * height * u / width),
        "width": 2 * e @ (G * height * u**2 / width),
    }


def tobit(p, X, y):
    s = np.exp(p["log_s"])
    z = (y - X @ p["w"]) / s
    zero = y <= 0
    mills = np.exp(-(z**2) / 2 - log_ndtr(z)) / np.sqrt(2 * np.pi)
    value = np.where(zero, log_ndtr(z), -np.log(s) - z**2 / 2)
    slope = np.where(zero, mills, -z)
    return -value.sum(), {
        "w": X.T @ slope / s,
        "log_s": np.sum(slope * z) + np.sum(~zero),
    }


def ordinal(p, X, t):
    cuts = np.concatenate(
        [
            [-np.inf],
            np.cumsum(np.concatenate([p["c"][:1], np.exp(p["c"][1:])])),
            [np.inf],
        ]
    )
    eta = X @ p["w"]
    high, low = expit(cuts[t + 1] - eta), expit(cuts[t] - eta)
    dh, dl = high * (1 - high), low * (1 - low)
    q = high - low
    slope = np.zeros(len(cuts))
    np.add.at(slope, t + 1, -dh / q)
    np.add.at(slope, t, dl / q)
    tail = np.cumsum(slope[1:-1][::-1])[::-1].copy()
    tail[1:] *= np.exp(p["c"][1:])
    return -np.log(q).sum(), {"w": X.T @ ((dh - dl) / q), "c": tail}


def heteroscedastic(p, X, y, slip=""):
    mu, log_s = X @ p["mean"], X @ p["scale"]
    z = (y - mu) * np.exp(-log_s)
    one = 0 if slip == "no log-scale term" else 1
    return np.mean(log_s + z**2 / 2), {
        "mean": -X.T @ (z * np.exp(-log_s)) / len(y),
        "scale": X.T @ (one - z**2) / len(y),
    }


def student(p, y):
    mu, log_s, log_nu = p
    s, nu = np.exp(log_s), np.exp(log_nu)
    z = (y - mu) / s
    q = 1 + z**2 / nu
    value = (
        gammaln((nu + 1) / 2)
        - gammaln(nu / 2)
        - 0.5 * np.log(np.pi * nu)
        - log_s
        - (nu + 1) / 2 * np.log(q)
    )
    slope_z = -(nu + 1) * z / nu / q
    slope_nu = (
        digamma((nu + 1) / 2) / 2
        - digamma(nu / 2) / 2
        - 0.5 / nu
        - np.log(q) / 2
        + (nu + 1) / 2 * z**2 / nu**2 / q
    )
    return -value.sum(), np.array(
        [np.sum(slope_z) / s, np.sum(1 + slope_z * z), -nu * slope_nu.sum()]
    )


def beta_regression(p, X, y):
    mu, phi = expit(X @ p["w"]), np.exp(p["log_phi"])
    a, b = mu * phi, (1 - mu) * phi
    value = (a - 1) * np.log(y) + (b - 1) * np.log1p(-y) - betaln(a, b)
    da = np.log(y) - digamma(a) + digamma(phi)
    db = np.log1p(-y) - digamma(b) + digamma(phi)
    return -value.mean(), {
        "w": -X.T @ ((da - db) * phi * mu * (1 - mu)) / len(y),
        "log_phi": -phi * np.mean(da * mu + db * (1 - mu)),
    }


def beta_binomial(log_ab, k, n):
    a, b = np.exp(log_ab)
    value = betaln(k + a, n - k + b) - betaln(a, b)
    common = digamma(a + b) - digamma(n + a + b)
    slopes = [
        digamma(k + a) - digamma(a) + common,
        digamma(n - k + b) - digamma(b) + common,
    ]
    return -np.sum(value), -np.exp(log_ab) * np.array([s.sum() for s in slopes])


def dirichlet_multinomial(a, C):
    A, n = a.sum(), C.sum(axis=1)
    value = gammaln(A) - gammaln(A + n) + np.sum(gammaln(C + a) - gammaln(a), axis=1)
    return -value.sum(), -np.sum(
        digamma(A) - digamma(A + n)[:, None] + digamma(C + a) - digamma(a), axis=0
    )


def mixture(p, x, slip=""):
    log_pi = p["logits"] - logsumexp(p["logits"])
    s = np.exp(p["log_s"])
    z = (x[:, None] - p["mean"]) / s
    joint = log_pi - p["log_s"] - z**2 / 2
    total = logsumexp(joint, axis=1)
    R = np.exp(joint - total[:, None])
    share = 0 if slip == "no normalizer" else len(x) * np.exp(log_pi)
    return -total.sum(), {
        "logits": share - R.sum(axis=0),
        "mean": -np.sum(R * z, axis=0) / s,
        "log_s": np.sum(R * (1 - z**2), axis=0),
    }


def normal_cholesky(p, X, slip=""):
    L, E = np.tril(p["L"]), X - p["mean"]
    A = solve_triangular(L, E.T, lower=True)
    B = solve_triangular(L, A, lower=True, trans=1)
    logdet = np.diag(1 / np.diag(L)) * (slip != "no log-det term")
    value = 0.5 * np.sum(A**2) + len(X) * np.log(np.diag(L)).sum()
    return value, {"mean": -B.sum(axis=1), "L": len(X) * logdet - np.tril(B @ A.T)}


def normal_slogdet(A, S, slip=""):
    C = A @ A.T + np.eye(len(A))
    inverse = np.linalg.inv(C)
    G = inverse * (slip != "no log-det term") - inverse @ S @ inverse
    return 0.5 * (np.linalg.slogdet(C)[1] + np.trace(np.linalg.solve(C, S))), G @ A


def factor_analysis(p, S):
    C = p["W"] @ p["W"].T + np.diag(np.exp(p["log_psi"]))
    inverse = np.linalg.inv(C)
    G = 0.5 * (inverse - inverse @ S @ inverse)
    return 0.5 * (np.linalg.slogdet(C)[1] + np.sum(inverse * S)), {
        "W": 2 * G @ p["W"],
        "log_psi": np.diag(G) * np.exp(p["log_psi"]),
    }


def sharpe(w, mean, C):
    s = np.sqrt(w @ C @ w)
    return -(w @ mean) / s, -mean / s + (w @ mean) * (C @ w) / s**3


def black_scholes(p, strikes, price):
    spot, vol = p["spot"], np.exp(p["log_vol"])
    d1 = np.log(spot / strikes) / vol + vol / 2
    e = spot * ndtr(d1) - strikes * ndtr(d1 - vol) - price
    vega = spot * np.exp(-(d1**2) / 2) / np.sqrt(2 * np.pi)
    return e @ e, {"spot": 2 * e @ ndtr(d1), "log_vol": 2 * vol * e @ vega}


def rosenbrock(x):
    J = np.zeros_like(x)
    J[:-1] = -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
    J[1:] += 200 * (x[1:] - x[:-1] ** 2)
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), J


def barrier(x, A, b):
    s = b - A @ x
    return x @ x / 2 - np.log(s).sum(), x + A.T @ (1 / s)


def rayleigh(x, A):
    q = x @ A @ x / (x @ x)
    return q, 2 * (A @ x - q * x) / (x @ x)


def divergence(p, m, S):
    """From one normal distribution to another, with a factor L."""
    d = p["mean"] - m
    C = p["L"] @ p["L"].T
    A = np.linalg.inv(S)
    value = 0.5 * (np.trace(A @ C) + d @ A @ d - np.linalg.slogdet(C)[1])
    return value, {"mean": A @ d, "L": A @ p["L"] - np.linalg.inv(p["L"]).T}


def evidence_bound(p, X, y, noise):
    s = np.exp(p["log_s"])
    w = p["mean"] + noise * s
    D = expit(w @ X.T) - y
    G = D @ X / len(noise)
    value = np.mean(np.sum(np.logaddexp(0, w @ X.T) - y * (w @ X.T), axis=1))
    value += np.sum(s**2 + p["mean"] ** 2 - 1 - 2 * p["log_s"]) / 2
    return value, {
        "mean": G.sum(axis=0) + p["mean"],
        "log_s": s * np.sum(G * noise, axis=0) + s**2 - 1,
    }


def planar_flow(p, Z):
    w, u, b = p["w"], p["u"], p["b"]
    h = np.tanh(Z @ w + b)
    d = 1 - h**2
    inner = 1 + d * (u @ w)
    X = Z + np.outer(h, u)
    value = np.mean(np.sum(X**2, axis=1) / 2 - np.log(np.abs(inner)))
    along = d * (X @ u) + 2 * h * d * (u @ w) / inner
    return value, {
        "w": (along @ Z - np.sum(d / inner) * u) / len(Z),
        "u": (h @ X - np.sum(d / inner) * w) / len(Z),
        "b": np.mean(along),
    }


def von_mises(p, x):
    mu, k = p[0], np.exp(p[1])
    value = np.log(i0e(k)) + k - k * np.mean(np.cos(x - mu))
    return value, np.array(
        [-k * np.mean(np.sin(x - mu)), k * (i1e(k) / i0e(k) - np.mean(np.cos(x - mu)))]
    )


def skew_normal(p, x):
    z = (x - p[0]) / np.exp(p[1])
    q = np.exp(-((p[2] * z) ** 2) / 2 - log_ndtr(p[2] * z)) / np.sqrt(2 * np.pi)
    slope = z - p[2] * q
    value = p[1] + z**2 / 2 - log_ndtr(p[2] * z)
    return np.sum(value), np.array(
        [-np.sum(slope) * np.exp(-p[1]), len(x) - slope @ z, -q @ z]
    )


def gelu_units(w, X, y):
    z = X @ w
    a = z * (1 + erf(z / np.sqrt(2))) / 2
    slope = (1 + erf(z / np.sqrt(2))) / 2 + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return np.mean((a - y) ** 2), 2 * X.T @ ((a - y) * slope) / len(y)


def entropy(z):
    p = softmax(z)
    H = -np.sum(xlogy(p, p))
    return H, -p * (np.log(p) + H)


def zero_inflated(p, y):
    q, mu = expit(p["logit"]), np.exp(p["log_mu"])
    zero = y == 0
    at_zero = q + (1 - q) * np.exp(-mu)
    value = np.where(
        zero, np.log(at_zero), np.log1p(-q) + y * np.log(mu) - mu - gammaln(y + 1)
    )
    dq = np.where(zero, (1 - np.exp(-mu)) / at_zero, -1 / (1 - q)).sum()
    dmu = np.where(zero, -(1 - q) * np.exp(-mu) / at_zero, y / mu - 1).sum()
    return -value.sum(), {"logit": -q * (1 - q) * dq, "log_mu": -mu * dmu}


def pareto_tail(p, x):
    """A generalized Pareto distribution."""
    s, xi = np.exp(p["log_s"]), p["xi"]
    u = 1 + xi * x / s
    value = len(x) * p["log_s"] + (1 + 1 / xi) * np.sum(np.log(u))
    return value, {
        "log_s": len(x) - (1 + 1 / xi) * np.sum((u - 1) / u),
        "xi": -np.sum(np.log(u)) / xi**2 + (1 + 1 / xi) * np.sum(x / s / u),
    }


def cases(there, seed=0):
    return list(_cases(seed))


def _rows(place, seed, N, D, scale=1.0):
    r = draw(place, seed)
    X = r.standard_normal((N, D))
    w = scale * r.standard_normal(D)
    return r, X, w, X @ r.standard_normal(D) + 0.5 * r.standard_normal(N)


def _cases(seed):
    def case(name, f, theta, *args, **more):
        return Case(name, f, theta, args, backend="scipy", **more)

    for place, (N, D, scale) in enumerate(
        [(30, 4, 1.0), (500, 8, 1.0), (12, 3, 1e3), (2000, 5, 1e-3)]
    ):
        r, X, w, y = _rows(place, seed, N, D, scale)
        tag = f"{N} rows, scale {scale:g}"
        slips = ("sign of the residual", "not divided by N")
        yield case(f"least squares, {tag}", least_squares, w, X, y, slips=slips)
        yield case(
            f"ridge, {tag}", ridge, w, X, y, slips=("no ridge term",), smallest=1e-5
        )
        yield case(f"Huber, {tag}", huber, w, X, y)
        if scale == 1:
            t = (y > 0).astype(float)
            yield case(
                f"logistic regression, {tag}", logistic, w, X, t, slips=("slope twice",)
            )
            yield case(
                f"signed logistic regression, {tag}", signed_logistic, w, X, 2 * t - 1
            )
            yield case(f"probit regression, {tag}", probit, w / 4, X, t)
            yield case(
                f"Poisson regression, {tag}", poisson, w / 4, X, r.poisson(2.0, N)
            )
            yield case(f"softmax regression, {tag}", softmax_regression, r.standard_normal((D, 3)), X,
                       r.integers(0, 3, N), slips=("targets forgotten", "diagonal Jacobian only"))  # fmt: skip
            yield case(f"log-cosh regression, {tag}", log_cosh, w, X, y)
    r, X, w, y = _rows(10, seed, 40, 4)
    t = (y > 0).astype(float)
    weight = r.uniform(0.1, 3, 40)
    yield case(
        "weighted least squares",
        weighted,
        w,
        X,
        y,
        weight,
        slips=("weights forgotten",),
    )
    yield case("weighted least squares, float32 theta", weighted, w.astype("f4"), X, y, weight, smallest=1e-4,
               precision=1e-6)  # fmt: skip
    yield case(
        "polynomial by Horner",
        horner,
        r.standard_normal(5),
        r.uniform(-1, 1, 30),
        r.standard_normal(30),
    )
    yield case(
        "polynomial from 0",
        horner,
        np.zeros(3),
        r.uniform(-1, 1, 30),
        r.standard_normal(30),
    )
    yield case(
        "clipped logistic regression", clipped_logistic, {"w": w, "b": 0.2}, X, t
    )
    yield case(
        "negative binomial regression",
        negative_binomial,
        {"w": w / 3, "log_r": 0.7},
        X,
        r.poisson(3.0, 40),
    )
    yield case(
        "gamma regression", gamma_regression, (w / 3, 0.4), X, r.gamma(2.0, 1.0, 40)
    )
    yield case("pseudo-Huber", pseudo_huber, w, X, y)
    yield case("quantile regression, 40 rows", pinball, w, X, y, 0.3)
    yield case(
        "least absolute deviations with ridge, 40 rows",
        absolute,
        w,
        X,
        y,
        slips=("slope of |x| forgotten",),
    )
    yield case("support vectors, 40 rows", hinge, w, X, 2 * t - 1)
    yield case("squared hinge", squared_hinge, w, X, 2 * t - 1)
    yield case("elastic net", elastic_net, w, X, y, slips=("no l1 slope",))
    yield case(
        "group lasso",
        group_lasso,
        r.standard_normal((4, 2)),
        X,
        r.standard_normal((40, 2)),
    )
    s = np.linspace(0.1, 5, 25)
    yield case(
        "exponential decay",
        decay,
        (2.0, 0.7, 0.1),
        s,
        3 * np.exp(-s) + 0.1 * r.standard_normal(25),
    )
    yield case(
        "Michaelis-Menten",
        michaelis_menten,
        [1.3, 0.8],
        s,
        2 * s / (1 + s) + 0.1 * r.standard_normal(25),
    )
    yield case(
        "logistic growth",
        growth,
        Curve(2.0, 1.1, 1.5),
        s,
        3 * expit(s - 2) + 0.1 * r.standard_normal(25),
    )
    yield case("peaks", peaks, {"centre": np.array([1.0, 3.0]), "width": np.array([0.5, 0.9]), "height": np.ones(2)},
               s, r.standard_normal(25))  # fmt: skip
    yield case(
        "Tobit regression", tobit, {"w": w / 2, "log_s": 0.1}, X, np.maximum(y, 0)
    )
    yield case(
        "ordinal regression",
        ordinal,
        {"w": w / 2, "c": np.array([-1.0, 0.1, 0.2])},
        X,
        r.integers(0, 4, 40),
    )
    p = {"mean": w, "scale": 0.2 * r.standard_normal(4)}
    yield case(
        "heteroscedastic regression",
        heteroscedastic,
        p,
        X,
        y,
        slips=("no log-scale term",),
    )
    yield case("Student's t", student, np.array([0.2, 0.1, 1.2]), y)
    yield case(
        "beta regression",
        beta_regression,
        {"w": w / 3, "log_phi": 1.0},
        X,
        r.uniform(0.05, 0.95, 40),
    )
    n = r.integers(5, 20, 30)
    yield case(
        "beta-binomial", beta_binomial, np.array([0.3, -0.2]), r.binomial(n, 0.4), n
    )
    yield case(
        "Dirichlet-multinomial",
        dirichlet_multinomial,
        r.uniform(0.5, 3, 5),
        r.poisson(3.0, (20, 5)),
    )
    p = {
        "logits": r.standard_normal(3),
        "mean": np.array([-2.0, 0.0, 2.0]),
        "log_s": 0.2 * r.standard_normal(3),
    }
    yield case(
        "Gaussian mixture",
        mixture,
        p,
        2 * r.standard_normal(60),
        slips=("no normalizer",),
    )
    for D, N in ((2, 20), (4, 50)):
        L = np.tril(r.standard_normal((D, D)), -1) + np.diag(r.uniform(0.5, 2, D))
        p = {"mean": r.standard_normal(D), "L": L}
        yield case(f"normal by its Cholesky factor, {D}", normal_cholesky, p, r.standard_normal((N, D)),
                   slips=("no log-det term",))  # fmt: skip
        S = np.cov(r.standard_normal((N, D)).T)
        yield case(
            f"normal by slogdet, {D}",
            normal_slogdet,
            r.standard_normal((D, D)),
            S,
            slips=("no log-det term",),
        )
        yield case(f"factor analysis, {D}", factor_analysis,
                   {"W": r.standard_normal((D, 2)), "log_psi": 0.3 * r.standard_normal(D)}, S)  # fmt: skip
        yield case(
            f"divergence of normals, {D}",
            divergence,
            p,
            r.standard_normal(D),
            S + np.eye(D),
        )
    C = np.cov(r.standard_normal((4, 30)))
    yield case("Sharpe ratio", sharpe, r.uniform(0.1, 1, 4), r.standard_normal(4), C)
    yield case("Black-Scholes", black_scholes, {"spot": 101.0, "log_vol": -1.5}, np.array([80.0, 100.0, 120.0]),
               np.array([25.0, 9.0, 2.0]))  # fmt: skip
    for n in (2, 10):
        yield case(f"Rosenbrock, {n}", rosenbrock, r.standard_normal(n))
        yield case(
            f"Rayleigh quotient, {n}",
            rayleigh,
            r.standard_normal(n),
            np.cov(r.standard_normal((n, 30))),
        )
    yield case("barrier", barrier, 0.1 * r.standard_normal(4), X, r.uniform(1, 2, 40))
    p = {"mean": w / 2, "log_s": 0.3 * r.standard_normal(4)}
    yield case(
        "evidence lower bound", evidence_bound, p, X, t, r.standard_normal((5, 4))
    )
    p = {"w": np.array([0.5, 0.2]), "u": np.array([0.7, -0.1]), "b": 0.1}
    yield case("planar flow", planar_flow, p, r.standard_normal((30, 2)))
    yield case("von Mises", von_mises, np.array([0.3, 0.5]), r.vonmises(0.0, 1.0, 40))
    yield case(
        "skew normal", skew_normal, np.array([0.1, 0.2, 1.5]), r.standard_normal(40)
    )
    yield case("GELU units", gelu_units, w, X, y)
    yield case("entropy", entropy, r.standard_normal(6))
    yield case("zero-inflated Poisson", zero_inflated, {"logit": -0.5, "log_mu": 0.4},
               r.poisson(2.0, 50) * (r.random(50) < 0.7))  # fmt: skip
    yield case(
        "generalized Pareto", pareto_tail, {"log_s": 0.2, "xi": 0.3}, r.pareto(3.0, 40)
    )

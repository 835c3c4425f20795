"""Regressions, likelihoods, Gaussian processes, survival and factorization, with gradients derived by hand."""

from collections import namedtuple

import numpy as np
from function_case import Case, draw
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import betaln, digamma, erf, expit, gammaln, i0e, i1e, log_ndtr, logsumexp, ndtr, softmax, xlogy

Curve = namedtuple("Curve", "height rate start")


def least_squares(w, X, y, slip=""):
    e = X @ w - y
    sign = -1 if slip == "sign of the residual" else 1
    return np.mean(e**2), sign * 2 * X.T @ e / (1 if slip == "not divided by N" else len(y))


def ridge(w, X, y, slip=""):
    e = X @ w - y
    return 0.5 * e @ e + 0.3 * w @ w, X.T @ e + (slip != "no ridge term") * 0.6 * w


def weighted(w, X, y, weight, slip=""):
    e = X @ w - y
    s = weight / weight.sum()
    return float(np.sum(s * e**2) / 2), X.T @ (e if slip == "weights forgotten" else s * e)


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
    return np.sum(np.logaddexp(0, -margin)) + 0.05 * w @ w, -X.T @ (y * expit(-margin)) + 0.1 * w


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
    value = gammaln(y + r) - gammaln(r) - gammaln(y + 1) + r * np.log(r / (r + mu)) + y * np.log(mu / (r + mu))
    slope_eta = y - (y + r) * mu / (r + mu)
    slope_r = digamma(y + r) - digamma(r) + np.log(r / (r + mu)) + 1 - (r + y) / (r + mu)
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
    return np.where(np.abs(e) <= d, e**2 / 2, d * (np.abs(e) - d / 2)).mean(), X.T @ np.clip(e, -d, d) / len(y)


def pseudo_huber(w, X, y):
    e = X @ w - y
    return np.sum(np.sqrt(1 + e**2) - 1), X.T @ (e / np.sqrt(1 + e**2))


def log_cosh(w, X, y):
    e = X @ w - y
    return np.mean(np.logaddexp(e, -e) - np.log(2)), X.T @ np.tanh(e) / len(y)


def pinball(w, X, y, tau):
    e = y - X @ w
    return np.mean(np.maximum(tau * e, (tau - 1) * e)), -X.T @ np.where(e > 0, tau, tau - 1) / len(y)


def absolute(w, X, y, slip=""):
    e = X @ w - y
    return np.abs(e).sum() + w @ w / 2, (slip != "slope of |x| forgotten") * X.T @ np.sign(e) + w


def hinge(w, X, y):
    margin = 1 - y * (X @ w)
    return np.mean(np.maximum(margin, 0)) + 0.01 * w @ w, -X.T @ (y * (margin > 0)) / len(y) + 0.02 * w


def squared_hinge(w, X, y):
    margin = np.maximum(0, 1 - y * (X @ w))
    return margin @ margin, -2 * X.T @ (y * margin)


def elastic_net(w, X, y, slip=""):
    e = y - X @ w
    penalty = 0.1 * np.abs(w).sum() + 0.05 * np.sum(w**2)
    return e @ e / (2 * len(y)) + penalty, -X.T @ e / len(y) + (slip != "no l1 slope") * 0.1 * np.sign(w) + 0.1 * w


def group_lasso(W, X, Y):
    E = X @ W - Y
    norms = np.linalg.norm(W, axis=1)
    return 0.5 * np.sum(E**2) + norms.sum(), X.T @ E + W / norms[:, None]


def decay(p, t, y):
    a, k, c = p
    model = a * np.exp(-k * t) + c
    e = model - y
    return e @ e, (2 * e @ np.exp(-k * t), -2 * a * e @ (t * np.exp(-k * t)), 2 * e.sum())


def michaelis_menten(p, s, v):
    top, half = p
    e = top * s / (half + s) - v
    return np.sum(e**2) / 2, [np.sum(e * s / (half + s)), -np.sum(e * top * s / (half + s) ** 2)]


def growth(p, t, y):
    s = expit(p.rate * (t - p.start))
    e = p.height * s - y
    slope = e * p.height * s * (1 - s)
    return np.mean(e**2), Curve(*(2 / len(t) * g for g in (e @ s, slope @ (t - p.start), -p.rate * slope.sum())))


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
    return -value.sum(), {"w": X.T @ slope / s, "log_s": np.sum(slope * z) + np.sum(~zero)}


def ordinal(p, X, t):
    cuts = np.concatenate([[-np.inf], np.cumsum(np.concatenate([p["c"][:1], np.exp(p["c"][1:])])), [np.inf]])
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
    value = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(np.pi * nu) - log_s - (nu + 1) / 2 * np.log(q)
    slope_z = -(nu + 1) * z / nu / q
    slope_nu = (
        digamma((nu + 1) / 2) / 2 - digamma(nu / 2) / 2 - 0.5 / nu - np.log(q) / 2 + (nu + 1) / 2 * z**2 / nu**2 / q
    )
    return -value.sum(), np.array([np.sum(slope_z) / s, np.sum(1 + slope_z * z), -nu * slope_nu.sum()])


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
    slopes = [digamma(k + a) - digamma(a) + common, digamma(n - k + b) - digamma(b) + common]
    return -np.sum(value), -np.exp(log_ab) * np.array([s.sum() for s in slopes])


def dirichlet_multinomial(a, C):
    A, n = a.sum(), C.sum(axis=1)
    value = gammaln(A) - gammaln(A + n) + np.sum(gammaln(C + a) - gammaln(a), axis=1)
    return -value.sum(), -np.sum(digamma(A) - digamma(A + n)[:, None] + digamma(C + a) - digamma(a), axis=0)


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
    B = solve_triangular(L, A, lower=True, trans="T")
    logdet = np.diag(1 / np.diag(L)) * (slip != "no log-det term")
    value = 0.5 * np.sum(A**2) + len(X) * np.log(np.diag(L)).sum()
    return value, {"mean": -B.sum(axis=1), "L": len(X) * logdet - np.tril(B @ A.T)}


def normal_slogdet(A, S, slip=""):
    C = A @ A.T + np.eye(len(A))
    inverse = np.linalg.inv(C)
    G = inverse * (slip != "no log-det term") - inverse @ S @ inverse
    return 0.5 * (np.linalg.slogdet(C)[1] + np.trace(np.linalg.solve(C, S))), G @ A


def gaussian_process(p, X, y, slip=""):
    scale, height, noise = np.exp(p)
    D = np.sum((X[:, None] - X) ** 2, axis=-1)
    K = height * np.exp(-D / (2 * scale**2))
    factor = cho_factor(K + noise * np.eye(len(y)), lower=True)
    alpha = cho_solve(factor, y)
    value = 0.5 * y @ alpha + np.log(np.diag(factor[0])).sum()
    G = cho_solve(factor, np.eye(len(y))) * (slip != "no log-det term") - np.outer(alpha, alpha)
    return value, 0.5 * np.array([np.sum(G * K * D) / scale**2, np.sum(G * K), noise * np.trace(G)])


def matern_process(p, x, y):
    scale, height = np.exp(p["log_scale"]), np.exp(p["log_height"])
    u = np.sqrt(3) * np.abs(x[:, None] - x) / scale
    K = height * (1 + u) * np.exp(-u)
    C = K + 0.1 * np.eye(len(x))
    alpha = np.linalg.solve(C, y)
    G = np.linalg.inv(C) - np.outer(alpha, alpha)
    value = 0.5 * y @ alpha + 0.5 * np.linalg.slogdet(C)[1]
    return value, {"log_scale": 0.5 * np.sum(G * height * u**2 * np.exp(-u)), "log_height": 0.5 * np.sum(G * K)}


def kernel_ridge(a, K, y):
    e = K @ a - y
    return e @ e / 2 + 0.1 * a @ K @ a, K @ e + 0.2 * K @ a


def evidence(p, X, y):
    alpha, beta = np.exp(p)
    A = alpha * np.eye(X.shape[1]) + beta * X.T @ X
    m = beta * np.linalg.solve(A, X.T @ y)
    e = y - X @ m
    value = X.shape[1] * p[0] / 2 + len(y) * p[1] / 2 - beta * e @ e / 2 - alpha * m @ m / 2
    value -= np.linalg.slogdet(A)[1] / 2
    inverse = np.linalg.inv(A)
    slope_a = X.shape[1] / alpha - m @ m - np.trace(inverse)
    slope_b = len(y) / beta - e @ e - np.trace(inverse @ X.T @ X)
    return -value, -0.5 * np.array([alpha * slope_a, beta * slope_b])


def factor_analysis(p, S):
    C = p["W"] @ p["W"].T + np.diag(np.exp(p["log_psi"]))
    inverse = np.linalg.inv(C)
    G = 0.5 * (inverse - inverse @ S @ inverse)
    return 0.5 * (np.linalg.slogdet(C)[1] + np.sum(inverse * S)), {
        "W": 2 * G @ p["W"],
        "log_psi": np.diag(G) * np.exp(p["log_psi"]),
    }


def weibull(p, X, t, seen):
    w, log_k = p["w"], p["log_k"]
    k, eta = np.exp(log_k), X @ p["w"]
    z = k * (np.log(t) - eta)
    value = seen * (np.log(k) - np.log(t) + z) - np.exp(z)
    slope_z = seen - np.exp(z)
    assert len(w) == X.shape[1]
    return -np.sum(value), {"w": k * X.T @ slope_z, "log_k": -np.sum(seen + slope_z * z)}


def exponential_survival(w, X, t, seen):
    rate = np.exp(X @ w)
    return np.mean(rate * t - seen * (X @ w)), X.T @ (rate * t - seen) / len(t)


def cox(w, X, seen, slip=""):
    """Rows in descending order of time."""
    eta = X @ w
    risk = np.cumsum(np.exp(eta))
    weighted_rows = np.cumsum(np.exp(eta)[:, None] * X, axis=0)
    mean = weighted_rows / (len(X) if slip == "not divided by the risk set" else risk[:, None])
    return -np.sum(seen * (eta - np.log(risk))), -(seen @ (X - mean))


def log_normal_times(p, X, t, seen):
    s = np.exp(p[-1])
    z = (np.log(t) - X @ p[:-1]) / s
    hazard = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) / ndtr(-z)
    value = np.where(seen, -(z**2) / 2 - p[-1], log_ndtr(-z))
    slope = np.where(seen, -z, -hazard)
    return -value.sum(), np.append(X.T @ slope / s, np.sum(slope * z) + seen.sum())


def gompertz(p, t, seen):
    a, b = np.exp(p[0]), p[1]
    H = a * np.expm1(b * t) / b
    value = seen * (p[0] + b * t) - H
    return -np.sum(value), [-np.sum(seen - H), -np.sum(seen * t - a * t * np.exp(b * t) / b + H / b)]


def matrix_factorization(p, R, M, slip=""):
    E = (p["U"] @ p["V"].T - R) * M
    B = p["U"] @ p["V"].T - R if slip == "mask forgotten" else E
    lam = 0.0 if slip == "no ridge term" else 0.2
    value = np.sum(E**2) / 2 + 0.1 * (np.sum(p["U"] ** 2) + np.sum(p["V"] ** 2))
    return value, {"U": B @ p["V"] + lam * p["U"], "V": B.T @ p["U"] + lam * p["V"]}


def biased_factorization(p, users, items, r):
    U, V, bu, bv, mu = p
    e = np.einsum("nk,nk->n", U[users], V[items]) + bu[users] + bv[items] + mu - r
    J = [np.zeros_like(q) for q in p[:-1]]
    np.add.at(J[0], users, e[:, None] * V[items])
    np.add.at(J[1], items, e[:, None] * U[users])
    np.add.at(J[2], users, e)
    np.add.at(J[3], items, e)
    return np.sum(e * e) / 2, [*J, np.sum(e)]


def nonnegative_kl(p, X):
    Y = p["W"] @ p["H"]
    G = 1 - X / Y
    return np.sum(Y - X * np.log(Y)), {"W": G @ p["H"].T, "H": p["W"].T @ G}


def poisson_factors(p, X):
    U, V = np.exp(p[0]), np.exp(p[1])
    Y = U @ V
    return np.sum(Y) - np.sum(X * np.log(Y)), [U * ((1 - X / Y) @ V.T), V * (U.T @ (1 - X / Y))]


def tensor_factors(p, T):
    A, B, C = p
    E = np.einsum("ir,jr,kr->ijk", A, B, C) - T
    J = (
        np.einsum("ijk,jr,kr->ir", E, B, C),
        np.einsum("ijk,ir,kr->jr", E, A, C),
        np.einsum("ijk,ir,jr->kr", E, A, B),
    )
    return 0.5 * np.sum(E**2), J


def reconstruction(W, X):
    E = X @ W @ W.T - X
    return np.mean(E**2), 2 / E.size * (X.T @ E @ W + E.T @ X @ W)


def neighbours(A, X, t):
    """Neighbourhood components analysis."""
    Z = X @ A
    D = np.sum((Z[:, None] - Z) ** 2, axis=-1)
    np.fill_diagonal(D, np.inf)
    P = np.exp(-D - logsumexp(-D, axis=1, keepdims=True))
    same = t[:, None] == t
    p = np.sum(P * same, axis=1)
    W = P * (p[:, None] - same)
    S = W + W.T
    return -p.sum(), -2 * X.T @ (np.diag(S.sum(axis=1)) - S) @ Z


def triplets(A, X, a, b, c):
    u, v = (X[a] - X[b]) @ A, (X[a] - X[c]) @ A
    margin = 1 + np.sum(u**2, axis=1) - np.sum(v**2, axis=1)
    on = (margin > 0)[:, None]
    G = (X[a] - X[b]).T @ (on * u) - (X[a] - X[c]).T @ (on * v)
    return np.maximum(margin, 0).sum(), 2 * G


def embedding(Y, P, slip=""):
    """t-SNE."""
    D = Y[:, None] - Y
    W = 1 / (1 + np.sum(D**2, axis=-1))
    np.fill_diagonal(W, 0)
    Q = W / W.sum()
    off = ~np.eye(len(Y), dtype=bool)
    factor = 2 if slip == "a factor 2 is missing" else 4
    return np.sum(P[off] * np.log(P[off] / Q[off])), factor * np.einsum("ij,ijk->ik", (P - Q) * W, D)


def stress(Y, D):
    E = Y[:, None] - Y
    i, j = np.triu_indices(len(Y), 1)
    d = np.linalg.norm(E[i, j], axis=1)
    G = np.zeros_like(Y)
    pull = (2 * (d - D[i, j]) / d)[:, None] * E[i, j]
    np.add.at(G, i, pull)
    np.subtract.at(G, j, pull)
    return np.sum((d - D[i, j]) ** 2), G


def negative_sampling(p, centre, context, others, slip=""):
    V, U = p["in"], p["out"]
    plus = np.sum(V[centre] * U[context], axis=1)
    minus = np.einsum("nd,nkd->nk", V[centre], U[others])
    J = {"in": np.zeros_like(V), "out": np.zeros_like(U)}
    a, b = expit(plus) - 1, expit(minus) * (slip != "no negative samples")
    np.add.at(J["in"], centre, a[:, None] * U[context] + np.einsum("nk,nkd->nd", b, U[others]))
    np.add.at(J["out"], context, a[:, None] * V[centre])
    np.add.at(J["out"], others, b[..., None] * V[centre][:, None])
    return np.sum(np.logaddexp(0, -plus)) + np.sum(np.logaddexp(0, minus)), J


def glove(p, C):
    W, U, b, c = p["W"], p["U"], p["b"], p["c"]
    f = np.minimum((C / 10) ** 0.75, 1)
    E = W @ U.T + b[:, None] + c - np.log1p(C)
    G = f * E
    return np.sum(f * E**2) / 2, {"W": G @ U, "U": G.T @ W, "b": G.sum(axis=1), "c": G.sum(axis=0)}


def bradley_terry(s, won, lost):
    q = expit(s[lost] - s[won])
    return np.sum(np.log1p(np.exp(s[lost] - s[won]))) + 0.05 * s @ s, (
        np.bincount(lost, q, len(s)) - np.bincount(won, q, len(s)) + 0.1 * s
    )


def item_response(p, Y):
    ability, a, b = p["ability"], p["a"], p["b"]
    Z = a * (ability[:, None] - b)
    D = expit(Z) - Y
    return np.sum(np.logaddexp(0, Z) - Y * Z), {
        "ability": D @ a,
        "a": np.sum(D * (ability[:, None] - b), axis=0),
        "b": -a * D.sum(axis=0),
    }


def garch(p, r):
    omega, alpha, beta = np.exp(p)
    h, dh = np.var(r), np.zeros(3)
    value, J = 0.0, np.zeros(3)
    for x in r:
        value += 0.5 * (np.log(h) + x * x / h)
        J += 0.5 * (1 / h - x * x / h**2) * dh
        dh = np.array([omega, alpha * x * x, beta * h]) + beta * dh
        h = omega + alpha * x * x + beta * h
    return value, J


def moving_average(p, y):
    """ARMA(1, 1), conditional on a first error of 0."""
    phi, psi = p
    e, de, last, value, J = 0.0, np.zeros(2), 0.0, 0.0, np.zeros(2)
    for x in y:
        de = -np.array([last, e]) - psi * de
        e = x - phi * last - psi * e
        value, J, last = value + 0.5 * e**2, J + e * de, x
    return value, J


def kalman(p, y):
    """The likelihood of a local level; its gradient by forward sensitivities."""
    q, r = np.exp(p)
    m, P, dm, dP, value, J = 0.0, 10.0, np.zeros(2), np.zeros(2), 0.0, np.zeros(2)
    for x in y:
        P, dP = P + q, dP + np.array([q, 0])
        S, dS, v, dv = P + r, dP + np.array([0, r]), x - m, -dm
        value += 0.5 * (np.log(S) + v**2 / S)
        J += 0.5 * (dS / S + 2 * v * dv / S - v**2 * dS / S**2)
        K, dK = P / S, dP / S - P * dS / S**2
        m, dm = m + K * v, dm + dK * v + K * dv
        P, dP = (1 - K) * P, (1 - K) * dP - dK * P
    return float(value), J


def hidden_markov(p, x):
    A = p["A"] - logsumexp(p["A"], axis=1, keepdims=True)
    B = p["B"] - logsumexp(p["B"], axis=1, keepdims=True)
    f = np.zeros((len(x), len(A)))
    f[0] = B[:, x[0]] - np.log(len(A))
    for t in range(1, len(x)):
        f[t] = logsumexp(f[t - 1][:, None] + A, axis=0) + B[:, x[t]]
    b = np.zeros_like(f)
    for t in range(len(x) - 2, -1, -1):
        b[t] = logsumexp(A + B[:, x[t + 1]] + b[t + 1], axis=1)
    total = logsumexp(f[-1])
    steps = sum(np.exp(f[t][:, None] + A + B[:, x[t + 1]] + b[t + 1] - total) for t in range(len(x) - 1))
    shown = np.exp(f + b - total).T @ np.eye(B.shape[1])[x]
    return -total, {
        "A": -(steps - steps.sum(axis=1, keepdims=True) * np.exp(A)),
        "B": -(shown - shown.sum(axis=1, keepdims=True) * np.exp(B)),
    }


def chain_field(p, E, t, slip=""):
    """A conditional random field of a chain."""
    T, W = p["T"], p["W"]
    S = E @ W
    f, b = [S[0]], [np.zeros(len(T))]
    for s in S[1:]:
        f.append(logsumexp(f[-1][:, None] + T, axis=0) + s)
    for s in S[:0:-1]:
        b.append(logsumexp(T + s + b[-1], axis=1))
    f, b = np.array(f), np.array(b[::-1])
    Z = logsumexp(f[-1])
    unary = np.exp(f + b - Z)
    pairs = sum(np.exp(f[n][:, None] + T + S[n + 1] + b[n + 1] - Z) for n in range(len(S) - 1))
    np.subtract.at(pairs, (t[:-1], t[1:]), slip != "observed pairs forgotten")
    score = S[np.arange(len(t)), t].sum() + T[t[:-1], t[1:]].sum()
    return Z - score, {"T": pairs, "W": E.T @ (unary - np.eye(len(T))[t])}


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
    return value, {"mean": G.sum(axis=0) + p["mean"], "log_s": s * np.sum(G * noise, axis=0) + s**2 - 1}


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
    return value, np.array([-k * np.mean(np.sin(x - mu)), k * (i1e(k) / i0e(k) - np.mean(np.cos(x - mu)))])


def skew_normal(p, x):
    z = (x - p[0]) / np.exp(p[1])
    q = np.exp(-((p[2] * z) ** 2) / 2 - log_ndtr(p[2] * z)) / np.sqrt(2 * np.pi)
    slope = z - p[2] * q
    value = p[1] + z**2 / 2 - log_ndtr(p[2] * z)
    return np.sum(value), np.array([-np.sum(slope) * np.exp(-p[1]), len(x) - slope @ z, -q @ z])


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
    value = np.where(zero, np.log(at_zero), np.log1p(-q) + y * np.log(mu) - mu - gammaln(y + 1))
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

    for place, (N, D, scale) in enumerate([(30, 4, 1.0), (500, 8, 1.0), (12, 3, 1e3), (2000, 5, 1e-3)]):
        r, X, w, y = _rows(place, seed, N, D, scale)
        tag = f"{N} rows, scale {scale:g}"
        slips = ("sign of the residual", "not divided by N")
        yield case(f"least squares, {tag}", least_squares, w, X, y, slips=slips)
        yield case(f"ridge, {tag}", ridge, w, X, y, slips=("no ridge term",), smallest=1e-5)
        yield case(f"Huber, {tag}", huber, w, X, y)
        if scale == 1:
            t = (y > 0).astype(float)
            yield case(f"logistic regression, {tag}", logistic, w, X, t, slips=("slope twice",))
            yield case(f"signed logistic regression, {tag}", signed_logistic, w, X, 2 * t - 1)
            yield case(f"probit regression, {tag}", probit, w / 4, X, t)
            yield case(f"Poisson regression, {tag}", poisson, w / 4, X, r.poisson(2.0, N))
            yield case(f"softmax regression, {tag}", softmax_regression, r.standard_normal((D, 3)), X,
                       r.integers(0, 3, N), slips=("targets forgotten", "diagonal Jacobian only"))  # fmt: skip
            yield case(f"log-cosh regression, {tag}", log_cosh, w, X, y)
    r, X, w, y = _rows(10, seed, 40, 4)
    t = (y > 0).astype(float)
    weight = r.uniform(0.1, 3, 40)
    yield case("weighted least squares", weighted, w, X, y, weight, slips=("weights forgotten",))
    yield case("weighted least squares, float32 theta", weighted, w.astype("f4"), X, y, weight, smallest=1e-4,
               precision=1e-6)  # fmt: skip
    yield case("polynomial by Horner", horner, r.standard_normal(5), r.uniform(-1, 1, 30), r.standard_normal(30))
    yield case("polynomial from 0", horner, np.zeros(3), r.uniform(-1, 1, 30), r.standard_normal(30))
    yield case("clipped logistic regression", clipped_logistic, {"w": w, "b": 0.2}, X, t)
    yield case("negative binomial regression", negative_binomial, {"w": w / 3, "log_r": 0.7}, X, r.poisson(3.0, 40))
    yield case("gamma regression", gamma_regression, (w / 3, 0.4), X, r.gamma(2.0, 1.0, 40))
    yield case("pseudo-Huber", pseudo_huber, w, X, y)
    yield case("quantile regression, 40 rows", pinball, w, X, y, 0.3)
    yield case("least absolute deviations with ridge, 40 rows", absolute, w, X, y, slips=("slope of |x| forgotten",))
    yield case("support vectors, 40 rows", hinge, w, X, 2 * t - 1)
    yield case("squared hinge", squared_hinge, w, X, 2 * t - 1)
    yield case("elastic net", elastic_net, w, X, y, slips=("no l1 slope",))
    yield case("group lasso", group_lasso, r.standard_normal((4, 2)), X, r.standard_normal((40, 2)))
    s = np.linspace(0.1, 5, 25)
    yield case("exponential decay", decay, (2.0, 0.7, 0.1), s, 3 * np.exp(-s) + 0.1 * r.standard_normal(25))
    yield case("Michaelis-Menten", michaelis_menten, [1.3, 0.8], s, 2 * s / (1 + s) + 0.1 * r.standard_normal(25))
    yield case("logistic growth", growth, Curve(2.0, 1.1, 1.5), s, 3 * expit(s - 2) + 0.1 * r.standard_normal(25))
    yield case("peaks", peaks, {"centre": np.array([1.0, 3.0]), "width": np.array([0.5, 0.9]), "height": np.ones(2)},
               s, r.standard_normal(25))  # fmt: skip
    yield case("Tobit regression", tobit, {"w": w / 2, "log_s": 0.1}, X, np.maximum(y, 0))
    yield case("ordinal regression", ordinal, {"w": w / 2, "c": np.array([-1.0, 0.1, 0.2])}, X, r.integers(0, 4, 40))
    p = {"mean": w, "scale": 0.2 * r.standard_normal(4)}
    yield case("heteroscedastic regression", heteroscedastic, p, X, y, slips=("no log-scale term",))
    yield case("Student's t", student, np.array([0.2, 0.1, 1.2]), y)
    yield case("beta regression", beta_regression, {"w": w / 3, "log_phi": 1.0}, X, r.uniform(0.05, 0.95, 40))
    n = r.integers(5, 20, 30)
    yield case("beta-binomial", beta_binomial, np.array([0.3, -0.2]), r.binomial(n, 0.4), n)
    yield case("Dirichlet-multinomial", dirichlet_multinomial, r.uniform(0.5, 3, 5), r.poisson(3.0, (20, 5)))
    p = {"logits": r.standard_normal(3), "mean": np.array([-2.0, 0.0, 2.0]), "log_s": 0.2 * r.standard_normal(3)}
    yield case("Gaussian mixture", mixture, p, 2 * r.standard_normal(60), slips=("no normalizer",))
    for D, N in ((2, 20), (4, 50)):
        L = np.tril(r.standard_normal((D, D)), -1) + np.diag(r.uniform(0.5, 2, D))
        p = {"mean": r.standard_normal(D), "L": L}
        yield case(f"normal by its Cholesky factor, {D}", normal_cholesky, p, r.standard_normal((N, D)),
                   slips=("no log-det term",))  # fmt: skip
        S = np.cov(r.standard_normal((N, D)).T)
        yield case(f"normal by slogdet, {D}", normal_slogdet, r.standard_normal((D, D)), S, slips=("no log-det term",))
        yield case(f"factor analysis, {D}", factor_analysis,
                   {"W": r.standard_normal((D, 2)), "log_psi": 0.3 * r.standard_normal(D)}, S)  # fmt: skip
        yield case(f"divergence of normals, {D}", divergence, p, r.standard_normal(D), S + np.eye(D))
    for N in (8, 30):
        x = r.uniform(-3, 3, (N, 2))
        target = np.sin(x).sum(axis=1)
        yield case(f"Gaussian process, {N} points", gaussian_process, np.array([0.1, 0.2, -2.0]), x, target,
                   slips=("no log-det term",))  # fmt: skip
        yield case(f"Matérn process, {N} points", matern_process, {"log_scale": 0.3, "log_height": 0.1}, x[:, 0],
                   target)  # fmt: skip
        K = np.exp(-np.sum((x[:, None] - x) ** 2, axis=-1))
        yield case(f"kernel ridge, {N} points", kernel_ridge, r.standard_normal(N), K, target)
    yield case("evidence", evidence, np.array([0.3, 1.0]), X, y)
    time, seen = r.exponential(2.0, 40) + 0.05, (r.random(40) < 0.7).astype(float)
    yield case("Weibull survival", weibull, {"w": w / 3, "log_k": 0.2}, X, time, seen)
    yield case("exponential survival", exponential_survival, w / 2, X, time, seen)
    yield case("exponential survival from 0", exponential_survival, np.zeros(4), X, time, seen)
    yield case("Cox, 40 rows", cox, w / 2, X, seen, slips=("not divided by the risk set",))
    big = r.standard_normal((400, 3))
    yield case("Cox, 400 rows", cox, np.array([0.5, -0.3, 0.1]), big, (r.random(400) < 0.5) * 1.0)
    yield case("log-normal survival", log_normal_times, np.append(w / 3, 0.1), X, time, seen.astype(bool))
    yield case("Gompertz survival", gompertz, [-1.0, 0.3], time, seen)
    for k in (1, 3):
        R, M = r.standard_normal((9, 7)), r.random((9, 7)) < 0.6
        p = {"U": r.standard_normal((9, k)), "V": r.standard_normal((7, k))}
        slips = ("mask forgotten", "no ridge term")
        yield case(f"matrix factorization, rank {k}", matrix_factorization, p, R, M, slips=slips, rows=9)
        p = tuple(r.standard_normal((n, k)) for n in (3, 4, 5))
        yield case(f"tensor factorization, rank {k}", tensor_factors, p, r.standard_normal((3, 4, 5)))
        p = {"W": r.uniform(0.2, 1, (6, k)), "H": r.uniform(0.2, 1, (k, 8))}
        counts = r.poisson(2.0, (6, 8))
        yield case(f"nonnegative factorization, rank {k}", nonnegative_kl, p, counts)
        yield case(f"Poisson factorization, rank {k}", poisson_factors,
                   [r.standard_normal((6, k)), r.standard_normal((k, 8))], counts)  # fmt: skip
    users, items = r.integers(0, 6, 30), r.integers(0, 5, 30)
    p = [r.standard_normal((6, 2)), r.standard_normal((5, 2)), r.standard_normal(6), r.standard_normal(5), 0.3]
    yield case("factorization with biases", biased_factorization, p, users, items, r.standard_normal(30))
    yield case("reconstruction", reconstruction, r.standard_normal((4, 2)), X)
    yield case("neighbourhood components", neighbours, 0.5 * r.standard_normal((4, 2)), X[:15], t[:15])
    i, j, k = r.permuted(np.tile(np.arange(12), (20, 1)), axis=1)[:, :3].T
    yield case("triplets", triplets, r.standard_normal((4, 2)), X, i, j, k, rows=20)
    P = r.random((10, 10))
    np.fill_diagonal(P, 0)
    P = (P + P.T) / (P + P.T).sum()
    yield case("t-SNE", embedding, r.standard_normal((10, 2)), P, slips=("a factor 2 is missing",))
    yield case("multidimensional scaling", stress, r.standard_normal((8, 2)), np.abs(r.standard_normal((8, 8))) + 0.5)
    p = {"in": 0.5 * r.standard_normal((8, 4)), "out": 0.5 * r.standard_normal((8, 4))}
    words = r.integers(0, 8, 40), r.integers(0, 8, 40), r.integers(0, 8, (40, 3))
    yield case("word vectors", negative_sampling, p, *words, slips=("no negative samples",))
    p = {"W": r.standard_normal((6, 3)), "U": r.standard_normal((6, 3)), "b": np.zeros(6), "c": np.zeros(6)}
    yield case("GloVe", glove, p, r.poisson(4.0, (6, 6)) * 1.0)
    pairs = np.array([r.choice(6, 2, replace=False) for _ in range(40)])
    yield case("Bradley-Terry", bradley_terry, r.standard_normal(6), pairs[:, 0], pairs[:, 1])
    yield case("Bradley-Terry from 0", bradley_terry, np.zeros(6), pairs[:, 0], pairs[:, 1])
    p = {"ability": r.standard_normal(10), "a": r.uniform(0.5, 2, 6), "b": r.standard_normal(6)}
    yield case("item response", item_response, p, (r.random((10, 6)) < 0.5) * 1.0)
    series = np.cumsum(r.standard_normal(60)) / 3
    yield case("GARCH", garch, np.array([-2.0, -2.0, -0.5]), np.diff(series))
    yield case("ARMA", moving_average, np.array([0.5, 0.3]), series)
    yield case("Kalman filter", kalman, np.array([-1.0, -0.5]), series)
    p = {"A": r.standard_normal((3, 3)), "B": r.standard_normal((3, 4))}
    yield case("hidden Markov model", hidden_markov, p, r.integers(0, 4, 12))
    p = {"T": r.standard_normal((3, 3)), "W": r.standard_normal((4, 3))}
    yield case("chain field", chain_field, p, X[:12], r.integers(0, 3, 12), slips=("observed pairs forgotten",))
    C = np.cov(r.standard_normal((4, 30)))
    yield case("Sharpe ratio", sharpe, r.uniform(0.1, 1, 4), r.standard_normal(4), C)
    yield case("Black-Scholes", black_scholes, {"spot": 101.0, "log_vol": -1.5}, np.array([80.0, 100.0, 120.0]),
               np.array([25.0, 9.0, 2.0]))  # fmt: skip
    for n in (2, 10):
        yield case(f"Rosenbrock, {n}", rosenbrock, r.standard_normal(n))
        yield case(f"Rayleigh quotient, {n}", rayleigh, r.standard_normal(n), np.cov(r.standard_normal((n, 30))))
    yield case("barrier", barrier, 0.1 * r.standard_normal(4), X, r.uniform(1, 2, 40))
    p = {"mean": w / 2, "log_s": 0.3 * r.standard_normal(4)}
    yield case("evidence lower bound", evidence_bound, p, X, t, r.standard_normal((5, 4)))
    p = {"w": np.array([0.5, 0.2]), "u": np.array([0.7, -0.1]), "b": 0.1}
    yield case("planar flow", planar_flow, p, r.standard_normal((30, 2)))
    yield case("von Mises", von_mises, np.array([0.3, 0.5]), r.vonmises(0.0, 1.0, 40))
    yield case("skew normal", skew_normal, np.array([0.1, 0.2, 1.5]), r.standard_normal(40))
    yield case("GELU units", gelu_units, w, X, y)
    yield case("entropy", entropy, r.standard_normal(6))
    yield case("zero-inflated Poisson", zero_inflated, {"logit": -0.5, "log_mu": 0.4},
               r.poisson(2.0, 50) * (r.random(50) < 0.7))  # fmt: skip
    yield case("generalized Pareto", pareto_tail, {"log_s": 0.2, "xi": 0.3}, r.pareto(3.0, 40))

"""Gaussian processes, survival, factorization, embeddings and series, with gradients derived by hand."""

from typing import Any

import numpy as np
from scipy import special
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, log_ndtr, ndtr

from function_case import Case, draw

logsumexp: Any = special.logsumexp  # whose result is a pair where a sign is asked for


def gaussian_process(p, X, y, slip=""):
    scale, height, noise = np.exp(p)
    D = np.sum((X[:, None] - X) ** 2, axis=-1)
    K = height * np.exp(-D / (2 * scale**2))
    factor = cho_factor(K + noise * np.eye(len(y)), lower=True)
    alpha = cho_solve(factor, y)
    value = 0.5 * y @ alpha + np.log(np.diag(factor[0])).sum()
    G = cho_solve(factor, np.eye(len(y))) * (slip != "no log-det term") - np.outer(
        alpha, alpha
    )
    return value, 0.5 * np.array(
        [np.sum(G * K * D) / scale**2, np.sum(G * K), noise * np.trace(G)]
    )


def matern_process(p, x, y):
    scale, height = np.exp(p["log_scale"]), np.exp(p["log_height"])
    u = np.sqrt(3) * np.abs(x[:, None] - x) / scale
    K = height * (1 + u) * np.exp(-u)
    C = K + 0.1 * np.eye(len(x))
    alpha = np.linalg.solve(C, y)
    G = np.linalg.inv(C) - np.outer(alpha, alpha)
    value = 0.5 * y @ alpha + 0.5 * np.linalg.slogdet(C)[1]
    return value, {
        "log_scale": 0.5 * np.sum(G * height * u**2 * np.exp(-u)),
        "log_height": 0.5 * np.sum(G * K),
    }


def kernel_ridge(a, K, y):
    e = K @ a - y
    return e @ e / 2 + 0.1 * a @ K @ a, K @ e + 0.2 * K @ a


def evidence(p, X, y):
    alpha, beta = np.exp(p)
    A = alpha * np.eye(X.shape[1]) + beta * X.T @ X
    m = beta * np.linalg.solve(A, X.T @ y)
    e = y - X @ m
    value = (
        X.shape[1] * p[0] / 2 + len(y) * p[1] / 2 - beta * e @ e / 2 - alpha * m @ m / 2
    )
    value -= np.linalg.slogdet(A)[1] / 2
    inverse = np.linalg.inv(A)
    slope_a = X.shape[1] / alpha - m @ m - np.trace(inverse)
    slope_b = len(y) / beta - e @ e - np.trace(inverse @ X.T @ X)
    return -value, -0.5 * np.array([alpha * slope_a, beta * slope_b])


def weibull(p, X, t, seen):
    w, log_k = p["w"], p["log_k"]
    k, eta = np.exp(log_k), X @ p["w"]
    z = k * (np.log(t) - eta)
    value = seen * (np.log(k) - np.log(t) + z) - np.exp(z)
    slope_z = seen - np.exp(z)
    assert len(w) == X.shape[1]
    return -np.sum(value), {
        "w": k * X.T @ slope_z,
        "log_k": -np.sum(seen + slope_z * z),
    }


def exponential_survival(w, X, t, seen):
    rate = np.exp(X @ w)
    return np.mean(rate * t - seen * (X @ w)), X.T @ (rate * t - seen) / len(t)


def cox(w, X, seen, slip=""):
    """Rows in descending order of time."""
    eta = X @ w
    risk = np.cumsum(np.exp(eta))
    weighted_rows = np.cumsum(np.exp(eta)[:, None] * X, axis=0)
    mean = weighted_rows / (
        len(X) if slip == "not divided by the risk set" else risk[:, None]
    )
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
    return -np.sum(value), [
        -np.sum(seen - H),
        -np.sum(seen * t - a * t * np.exp(b * t) / b + H / b),
    ]


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
    return np.sum(Y) - np.sum(X * np.log(Y)), [
        U * ((1 - X / Y) @ V.T),
        V * (U.T @ (1 - X / Y)),
    ]


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
    return np.sum(P[off] * np.log(P[off] / Q[off])), factor * np.einsum(
        "ij,ijk->ik", (P - Q) * W, D
    )


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
    np.add.at(
        J["in"], centre, a[:, None] * U[context] + np.einsum("nk,nkd->nd", b, U[others])
    )
    np.add.at(J["out"], context, a[:, None] * V[centre])
    np.add.at(J["out"], others, b[..., None] * V[centre][:, None])
    return np.sum(np.logaddexp(0, -plus)) + np.sum(np.logaddexp(0, minus)), J


def glove(p, C):
    W, U, b, c = p["W"], p["U"], p["b"], p["c"]
    f = np.minimum((C / 10) ** 0.75, 1)
    E = W @ U.T + b[:, None] + c - np.log1p(C)
    G = f * E
    return np.sum(f * E**2) / 2, {
        "W": G @ U,
        "U": G.T @ W,
        "b": G.sum(axis=1),
        "c": G.sum(axis=0),
    }


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
    steps: Any = sum(
        np.exp(f[t][:, None] + A + B[:, x[t + 1]] + b[t + 1] - total)
        for t in range(len(x) - 1)
    )
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
    pairs: Any = sum(
        np.exp(f[n][:, None] + T + S[n + 1] + b[n + 1] - Z) for n in range(len(S) - 1)
    )
    np.subtract.at(pairs, (t[:-1], t[1:]), slip != "observed pairs forgotten")
    score = S[np.arange(len(t)), t].sum() + T[t[:-1], t[1:]].sum()
    return Z - score, {"T": pairs, "W": E.T @ (unary - np.eye(len(T))[t])}


def cases(there, seed=0):
    return list(_cases(seed))


def _cases(seed):
    def case(name, f, theta, *args, **more):
        return Case(name, f, theta, args, backend="scipy", **more)

    r = draw(11, seed)
    X, w = r.standard_normal((40, 4)), r.standard_normal(4)
    y = X @ r.standard_normal(4) + 0.5 * r.standard_normal(40)
    t = (y > 0).astype(float)
    for N in (8, 30):
        x = r.uniform(-3, 3, (N, 2))
        target = np.sin(x).sum(axis=1)
        yield case(f"Gaussian process, {N} points", gaussian_process, np.array([0.1, 0.2, -2.0]), x, target,
                   slips=("no log-det term",))  # fmt: skip
        yield case(f"Matérn process, {N} points", matern_process, {"log_scale": 0.3, "log_height": 0.1}, x[:, 0],
                   target)  # fmt: skip
        K = np.exp(-np.sum((x[:, None] - x) ** 2, axis=-1))
        yield case(
            f"kernel ridge, {N} points", kernel_ridge, r.standard_normal(N), K, target
        )
    yield case("evidence", evidence, np.array([0.3, 1.0]), X, y)
    time, seen = r.exponential(2.0, 40) + 0.05, (r.random(40) < 0.7).astype(float)
    yield case("Weibull survival", weibull, {"w": w / 3, "log_k": 0.2}, X, time, seen)
    yield case("exponential survival", exponential_survival, w / 2, X, time, seen)
    yield case(
        "exponential survival from 0", exponential_survival, np.zeros(4), X, time, seen
    )
    yield case(
        "Cox, 40 rows", cox, w / 2, X, seen, slips=("not divided by the risk set",)
    )
    big = r.standard_normal((400, 3))
    yield case(
        "Cox, 400 rows",
        cox,
        np.array([0.5, -0.3, 0.1]),
        big,
        (r.random(400) < 0.5) * 1.0,
    )
    yield case(
        "log-normal survival",
        log_normal_times,
        np.append(w / 3, 0.1),
        X,
        time,
        seen.astype(bool),
    )
    yield case("Gompertz survival", gompertz, [-1.0, 0.3], time, seen)
    for k in (1, 3):
        R, M = r.standard_normal((9, 7)), r.random((9, 7)) < 0.6
        p = {"U": r.standard_normal((9, k)), "V": r.standard_normal((7, k))}
        slips = ("mask forgotten", "no ridge term")
        yield case(
            f"matrix factorization, rank {k}",
            matrix_factorization,
            p,
            R,
            M,
            slips=slips,
            rows=9,
        )
        p = tuple(r.standard_normal((n, k)) for n in (3, 4, 5))
        yield case(
            f"tensor factorization, rank {k}",
            tensor_factors,
            p,
            r.standard_normal((3, 4, 5)),
        )
        p = {"W": r.uniform(0.2, 1, (6, k)), "H": r.uniform(0.2, 1, (k, 8))}
        counts = r.poisson(2.0, (6, 8))
        yield case(f"nonnegative factorization, rank {k}", nonnegative_kl, p, counts)
        yield case(f"Poisson factorization, rank {k}", poisson_factors,
                   [r.standard_normal((6, k)), r.standard_normal((k, 8))], counts)  # fmt: skip
    users, items = r.integers(0, 6, 30), r.integers(0, 5, 30)
    p = [
        r.standard_normal((6, 2)),
        r.standard_normal((5, 2)),
        r.standard_normal(6),
        r.standard_normal(5),
        0.3,
    ]
    yield case(
        "factorization with biases",
        biased_factorization,
        p,
        users,
        items,
        r.standard_normal(30),
    )
    yield case("reconstruction", reconstruction, r.standard_normal((4, 2)), X)
    yield case(
        "neighbourhood components",
        neighbours,
        0.5 * r.standard_normal((4, 2)),
        X[:15],
        t[:15],
    )
    i, j, k = r.permuted(np.tile(np.arange(12), (20, 1)), axis=1)[:, :3].T
    yield case("triplets", triplets, r.standard_normal((4, 2)), X, i, j, k, rows=20)
    P = r.random((10, 10))
    np.fill_diagonal(P, 0)
    P = (P + P.T) / (P + P.T).sum()
    yield case(
        "t-SNE",
        embedding,
        r.standard_normal((10, 2)),
        P,
        slips=("a factor 2 is missing",),
    )
    yield case(
        "multidimensional scaling",
        stress,
        r.standard_normal((8, 2)),
        np.abs(r.standard_normal((8, 8))) + 0.5,
    )
    p = {"in": 0.5 * r.standard_normal((8, 4)), "out": 0.5 * r.standard_normal((8, 4))}
    words = r.integers(0, 8, 40), r.integers(0, 8, 40), r.integers(0, 8, (40, 3))
    yield case(
        "word vectors", negative_sampling, p, *words, slips=("no negative samples",)
    )
    p = {
        "W": r.standard_normal((6, 3)),
        "U": r.standard_normal((6, 3)),
        "b": np.zeros(6),
        "c": np.zeros(6),
    }
    yield case("GloVe", glove, p, r.poisson(4.0, (6, 6)) * 1.0)
    pairs = np.array([r.choice(6, 2, replace=False) for _ in range(40)])
    yield case(
        "Bradley-Terry", bradley_terry, r.standard_normal(6), pairs[:, 0], pairs[:, 1]
    )
    yield case(
        "Bradley-Terry from 0", bradley_terry, np.zeros(6), pairs[:, 0], pairs[:, 1]
    )
    p = {
        "ability": r.standard_normal(10),
        "a": r.uniform(0.5, 2, 6),
        "b": r.standard_normal(6),
    }
    yield case("item response", item_response, p, (r.random((10, 6)) < 0.5) * 1.0)
    series = np.cumsum(r.standard_normal(60)) / 3
    yield case("GARCH", garch, np.array([-2.0, -2.0, -0.5]), np.diff(series))
    yield case("ARMA", moving_average, np.array([0.5, 0.3]), series)
    yield case("Kalman filter", kalman, np.array([-1.0, -0.5]), series)
    p = {"A": r.standard_normal((3, 3)), "B": r.standard_normal((3, 4))}
    yield case("hidden Markov model", hidden_markov, p, r.integers(0, 4, 12))
    p = {"T": r.standard_normal((3, 3)), "W": r.standard_normal((4, 3))}
    yield case(
        "chain field",
        chain_field,
        p,
        X[:12],
        r.integers(0, 3, 12),
        slips=("observed pairs forgotten",),
    )

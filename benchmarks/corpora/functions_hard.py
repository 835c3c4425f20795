"""Right gradients at places that are hard to check; each says why."""

import math
from typing import Any

import numpy as np
from scipy import special
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq
from scipy.special import expit, lambertw

from function_case import Case, draw
from functions_models import cox, gaussian_process
from functions_numpy import network, sigmoid, softmax, softmax_back
from functions_scipy import absolute, hinge, huber, logistic, pinball, squared_hinge

logsumexp: Any = special.logsumexp  # whose result is a pair where a sign is asked for


def float32_inside(w, A, b, dtype="f4", slip=""):
    e = A @ np.asarray(w, dtype) - b
    return 0.5 * e @ e, A.T @ (
        A @ np.asarray(w, dtype) if slip == "targets forgotten" else e
    )


def float32_network(p, X, t, as_float):
    p = {name: np.asarray(q, "f4") for name, q in p.items()}
    value, J = network(p, X, t, "tanh")
    return (
        (float(value), {name: np.asarray(g, "f8") for name, g in J.items()})
        if as_float
        else (value, J)
    )


def float32_logistic(w, X, y):
    z = X @ w.astype(np.float32)
    return np.mean(np.logaddexp(0, z) - y * z), (
        X.T @ (expit(z) - y) / np.float32(len(y))
    ).astype(float)


def float32_sum(w, X):
    total, J = np.float32(0), np.zeros(len(w), np.float32)
    for x in X:
        a = np.tanh(x @ w.astype("f4"))
        total += a
        J += (1 - a * a) * x
    return total, J


def rounded_inputs(w, X, y):
    """Only the data are float32; parameters keep their float64."""
    e = X @ w - y
    return e @ e / len(y), 2 * X.T @ e / np.float32(len(y))


def tanh_sum(w):
    return np.sum(np.tanh(w)), 1 - np.tanh(w) ** 2


def logistic_sum(w):
    y = expit(w)
    return y.sum(), y * (1 - y)


def saturated_unit(p, X):
    y = sigmoid(X @ p["w"] + p["b"])
    d = y * (1 - y)
    return np.mean(y), {"w": X.T @ d / len(X), "b": np.mean(d)}


def one_minus(w):
    return np.sum(np.log(1 - expit(w))), -expit(w)


def einsum_quadratic(W, A, B):
    return (
        np.einsum("ij,jk,ik->", W, A, W) / 2 + np.einsum("ij,ij->", W, B),
        W @ (A + A.T) / 2 + B,
    )


def solve(b, A):
    x = np.linalg.solve(A, b)
    return x @ x / 2, np.linalg.solve(A.T, x)


def solve_in_matrix(A, b):
    x = np.linalg.solve(A, b)
    return x @ x / 2, -np.outer(np.linalg.solve(A.T, x), x)


def poles(w):
    return np.sum(np.log((w - 1) ** 2)) / 2, 1 / (w - 1)


def pole(w):
    return np.sum(1 / (w - 1)), -1 / (w - 1) ** 2


def log_det(A):
    return np.linalg.slogdet(A)[1], np.linalg.inv(A).T


def masked_attention(S, C, mask, slip=""):
    A = softmax(np.where(mask, -np.inf, S))
    return np.sum(C * A), (
        A * C if slip == "terms between outputs missing" else softmax_back(A, C)
    )


def masked_scores(p, X, Y, mask):
    Q, K = X @ p["Q"], X @ p["K"]
    A = softmax(Q @ K.T + np.where(mask, -np.inf, 0.0))
    E = A @ X - Y
    S = softmax_back(A, E @ X.T)
    return np.sum(E**2) / 2, {"Q": X.T @ S @ K, "K": X.T @ S.T @ Q}


def masked_log_sum(z, mask):
    z = np.where(mask, z, -np.inf)
    top = z.max()
    return top + np.log(np.sum(np.exp(z - top))), np.exp(z - top) / np.sum(
        np.exp(z - top)
    )


def absolute_sum(w):
    return np.abs(w).sum(), np.sign(w)


def positive_part(w):
    return np.sum(np.maximum(w, 0) * np.arange(1, len(w) + 1)), (w > 0) * np.arange(
        1.0, len(w) + 1
    )


def largest(w):
    return np.max(w), np.eye(len(w))[np.argmax(w)]


def median(w):
    J = np.zeros(len(w))
    order = np.argsort(w)
    J[order[len(w) // 2]] = 1
    return np.median(w), J


def sorted_weights(w):
    J = np.empty(len(w))
    J[np.argsort(w)] = 1 / np.arange(1, len(w) + 1)
    return np.sort(w) @ (1 / np.arange(1, len(w) + 1)), J


def trimmed(w, X, y):
    e = (X @ w - y) ** 2
    kept = e <= np.sort(e)[len(e) // 2]
    return e[kept].sum() / 2, X.T @ (kept * (X @ w - y))


def clipped(w):
    return np.sum(np.clip(w, -1, 1) ** 2), 2 * w * (np.abs(w) <= 1)


def interpolated(w, x, y):
    """Linear between knots."""
    k = np.clip(np.searchsorted(x, w) - 1, 0, len(x) - 2)
    return np.interp(w, x, y).sum(), (y[k + 1] - y[k]) / (x[k + 1] - x[k])


def floored(w):
    """Constant between whole numbers, but for one parameter."""
    return np.floor(w[:-1]).sum() + w[-1] ** 2, np.append(
        np.zeros(len(w) - 1), 2 * w[-1]
    )


def oscillating(w, k):
    return np.sum(np.sin(k * w)) / k, np.cos(k * w)


def huge(w):
    return w @ w, 2 * w


def offset(w, centre):
    return np.sum((w - centre) ** 2), 2 * (w - centre)


def constant(w):
    return 3.0, np.zeros_like(w)


def without(p, slip=""):
    """One of its leaves does nothing."""
    return np.sum(np.sin(p["a"])), {
        "a": np.cos(p["a"]),
        "b": np.zeros(3) + (slip == "a leaf that does nothing"),
    }


def total_probability(z):
    """Always 1: the differences are rounding."""
    return softmax(z).sum(), np.zeros(len(z))


def shifted(p, X, Y):
    """A bias before a batch normalization: its gradient is 0, but for rounding."""
    Z = X @ p["W"] + p["b"]
    s = np.sqrt(np.mean((Z - Z.mean(axis=0)) ** 2, axis=0) + 1e-5)
    H = (Z - Z.mean(axis=0)) / s
    E = H - Y
    D = (E - E.mean(axis=0) - H * np.mean(E * H, axis=0)) / s
    return 0.5 * np.sum(E**2), {"W": X.T @ D, "b": D.sum(axis=0)}


def nearly_linear(w, e):
    return w.sum() + e * w @ w, 1 + 2 * e * w


def linear(w, X):
    return np.sum(X @ w), X.sum(axis=0)


def newton(w):
    """Square roots by Newton's iteration."""
    x = np.maximum(w, 1.0)
    for _ in range(60):
        x = (x + w / x) / 2
    return x.sum(), 1 / (2 * x)


def fixed_point(w, tolerance):
    """x = cos(w x), iterated until it hardly moves: the value has an error of its own."""
    x = np.full(len(w), 0.5)
    for _ in range(1000):
        last, x = x, np.cos(w * x)
        if np.abs(x - last).max() < tolerance:
            break
    return x.sum(), -np.sin(w * x) * x / (1 + w * np.sin(w * x))


def root(w):
    """x³ + x = w by Brent's method."""
    x = np.array([brentq(lambda x, a=a: x**3 + x - a, -10, 10, xtol=1e-13) for a in w])
    return np.sum(x**2), 2 * x / (3 * x**2 + 1)


def integral(p):
    """A quadrature to 1e-8."""
    a, b = float(p[0]), float(p[1])
    value = quad(lambda x: math.exp(-a * x) * math.sin(b * x), 0, 2)[0]
    da = quad(lambda x: -x * math.exp(-a * x) * math.sin(b * x), 0, 2)[0]
    db = quad(lambda x: x * math.exp(-a * x) * math.cos(b * x), 0, 2)[0]
    return value, np.array([da, db])


def adaptive_orbit(k):
    """An oscillator by an adaptive solver with its own error; the gradient is the exact one."""
    k = np.asarray(k, dtype=float)
    x = solve_ivp(
        lambda t, x: [x[1], -k[0] * x[0] - k[1] * x[1]],
        (0, 2),
        [1.0, 0.0],
        rtol=1e-9,
        atol=1e-11,
    ).y[0, -1]
    c, s = k[1] / 2, np.sqrt(k[0] - k[1] ** 2 / 4)
    e, a = np.exp(-2 * c), 2 * s
    slope_c = -2 * e * (np.cos(a) + c / s * np.sin(a)) + e * np.sin(a) / s
    slope_s = e * (-2 * np.sin(a) + 2 * c / s * np.cos(a) - c / s**2 * np.sin(a))
    return x, np.array([slope_s / (2 * s), slope_c / 2 - slope_s * k[1] / (4 * s)])


def runge_kutta(k, steps):
    """A pendulum, with forward sensitivities of the steps themselves."""
    h = 3 / steps

    def slope(u):
        x, v, dx, dv = u[0], u[1], u[2:4], u[4:]
        acceleration = -k[0] * np.sin(x) - k[1] * v
        d = -k[0] * np.cos(x) * dx - k[1] * dv - np.array([np.sin(x), v])
        return np.concatenate([[v, acceleration], dv, d])

    u = np.array([1.0, 0, 0, 0, 0, 0]) + 0 * k[0]
    for _ in range(steps):
        a = slope(u)
        b = slope(u + h / 2 * a)
        c = slope(u + h / 2 * b)
        u = u + h / 6 * (a + 2 * b + 2 * c + slope(u + h * c))
    return u[0] ** 2, 2 * u[0] * u[2:4]


def spectrum(x, target):
    F = np.fft.rfft(x)
    e = np.abs(F) ** 2 - target
    G = np.zeros(len(x), dtype=complex)
    G[: len(F)] = e * F
    return np.sum(e**2) / 2, 2 * np.real(np.fft.fft(np.conj(G)))


def phases(a):
    """The power of a sum of waves, in complex numbers."""
    z = np.sum(np.exp(1j * a))
    return np.abs(z) ** 2, 2 * np.imag(np.conj(np.exp(1j * a)) * z)


def many(w, c):
    e = w - c
    return np.sum(np.log(np.cosh(e))), np.tanh(e)


def smallest_eigenvalue(a, A):
    values, vectors = np.linalg.eigh(A + np.diag(a))
    return values[0], vectors[:, 0] ** 2


def product(w):
    """A product with a factor 0."""
    return np.prod(w), np.array([np.prod(np.delete(w, k)) for k in range(len(w))])


def lambert(w):
    x = lambertw(w).real
    return x.sum(), x / (w * (1 + x))


def cancelled(w):
    """(1 - cos w) / w² near 0, with a gradient that keeps its digits."""
    return np.sum((1 - np.cos(w)) / w**2), -w / 12 + w**3 / 180 - w**5 / 6720


def balanced(w, X, y):
    """Sums over rows that cancel."""
    return float(np.sum(np.tanh(X @ w) * y)), X.T @ ((1 - np.tanh(X @ w) ** 2) * y)


def safe_log(w, y):
    """Logarithms of 0 in a branch that is not taken."""
    p = expit(w)
    return -np.sum(np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / p), 0)), y * (
        1 - p
    )


def branch(w):
    """A different formula on each side; the value is continuous, the derivative is not."""
    if w[0] > w[1]:
        return w[0] ** 2 + w[1], np.array([2 * w[0], 1.0])
    return w[0] * w[1] + w[0], np.array([w[1] + 1, w[0]])


def half_squares(w, X, y):
    e = X @ w - y
    return e @ e / 2, X.T @ e


def rounded_value(w, X, y, digits):
    """The value is rounded for printing, the gradient is not."""
    e = X @ w - y
    return round(float(e @ e / 2), digits), X.T @ e


def float32_value(w, X, y):
    """All is float64 but the value returned."""
    e = X @ w - y
    return np.float32(e @ e / 2), X.T @ e


def on_top(w, base):
    return base + w @ w, 2 * w


def naive_variance(w, X):
    """E[x²] - E[x]², of numbers far from 0."""
    z = X @ w + 1e4
    return np.mean(z**2) - np.mean(z) ** 2, 2 * X.T @ (z - np.mean(z)) / len(z)


def smoothed_length(w, e):
    s = np.sqrt(w @ w + e)
    return s, w / s


def sharp_softmax(z, c, temperature):
    a = softmax(z / temperature)
    return a @ c, softmax_back(a, c) / temperature


def sharp_maximum(z, b):
    return logsumexp(b * z) / b, softmax(b * z)


def steep(w, k):
    return np.sum(np.tanh(k * (w - 1))), k * (1 - np.tanh(k * (w - 1)) ** 2)


def flat(w):
    """All its derivatives vanish at 0."""
    return np.sum(np.exp(-1 / w)), np.exp(-1 / w) / w**2


def signed_square(w):
    """A continuous derivative, a curvature with a jump."""
    return np.sum(w * np.abs(w)), 2 * np.abs(w)


def remainder(w):
    """It jumps at whole numbers."""
    return np.sum((w - np.floor(w)) ** 2), 2 * (w - np.floor(w))


def spectral_radius(A):
    values, R = np.linalg.eig(A)
    k = np.argmax(np.abs(values))
    L = np.linalg.inv(R)[k]
    slope = np.outer(L, R[:, k])
    return np.abs(values[k]), np.real(np.conj(values[k]) / np.abs(values[k]) * slope)


def best_path(p, E):
    """Viterbi's score of the best path, and the path as its gradient."""
    T, W = p["T"], p["W"]
    S = E @ W
    f, back = S[0], []
    for s in S[1:]:
        A = f[:, None] + T
        back.append(A.argmax(axis=0))
        f = A.max(axis=0) + s
    path = [int(f.argmax())]
    for b in back[::-1]:
        path.append(int(b[path[-1]]))
    path = path[::-1]
    J = {"T": np.zeros_like(T), "W": E.T @ np.eye(len(T))[path]}
    np.add.at(J["T"], (path[:-1], path[1:]), 1)
    return f.max(), J


def transport(w, X, target):
    """A distance of sorted numbers from others."""
    z = X @ w
    order = np.argsort(z)
    e = z[order] - target
    return np.mean(np.abs(e)), X[order].T @ np.sign(e) / len(e)


def sinkhorn(C, steps, e=0.5):
    """Regularized transport; its gradient is the plan, as exactly as the steps have converged."""
    m, n = C.shape
    f: Any = np.zeros(m)
    g: Any = np.zeros(n)
    for _ in range(steps):
        f = -e * logsumexp((g - C) / e, axis=1) - e * np.log(m)
        g = -e * logsumexp((f[:, None] - C) / e, axis=0) - e * np.log(n)
    return f.mean() + g.mean(), np.exp((f[:, None] + g - C) / e)


def twice_exponential(w):
    return np.sum(np.exp(np.exp(w))), np.exp(w + np.exp(w))


def weighted_evidence(w, X, y):
    """Far from all data: most terms underflow."""
    d = np.sum((X - w) ** 2, axis=1)
    p = np.exp(-d / 2)
    return np.sum(p * y), -(p * y) @ (w - X)


def cases(there, seed=0):
    return list(_cases(seed))


def _cases(seed):
    def case(name, f, theta, *args, **more):
        return Case(name, f, theta, args, kind="hard", **more)

    r = draw(30, seed)
    n = r.standard_normal
    X, y = n((40, 4)), n(40)
    w = n(4)
    # Sums of absolute values: many kinks near theta, none at it; the more rows, the
    # nearer.
    for rows in (50, 1000, 10_000, 50_000):
        Z = n((rows, 5))
        z = Z.sum(axis=1) + n(rows)
        v = 1 + 0.1 * n(5)
        yield case(f"least absolute deviations, {rows} rows", absolute, v, Z, z, slips=("slope of |x| forgotten",),
                   smallest=1e-4)  # fmt: skip
        yield case(
            f"quantile regression, {rows} rows", pinball, v, Z, z, 0.9, smallest=1e-4
        )
        yield case(f"hinge, {rows} rows", hinge, v, Z, np.sign(z), smallest=1e-4)
    # It computes in float32, or less, whatever it is given.
    A = n((50, 4)).astype("f4")
    low = {"smallest": 1e-2, "precision": 1e-4}
    yield case(
        "float32 inside",
        float32_inside,
        w,
        A,
        A.sum(axis=1),
        slips=("targets forgotten",),
        **low,
    )
    yield case("float32 inside, 20,000 rows", float32_inside, w, n((20_000, 4)).astype("f4"), n(20_000).astype("f4"),
               **low)  # fmt: skip
    half = n((20, 3)).astype("f2")
    yield case(
        "float16 inside",
        float32_inside,
        w[:3],
        half,
        half.sum(axis=1),
        "f2",
        smallest=0.1,
        precision=1e-2,
    )
    yield case("float16 theta", tanh_sum, w.astype("f2"), smallest=0.1, precision=1e-2)
    t = r.integers(0, 3, 40)
    p = {"W": n((4, 5)), "b": n(5), "V": n((5, 3)), "c": n(3)}
    for as_float in (False, True):
        yield case(f"float32 network inside, {'float' if as_float else 'np.float32'} out", float32_network, p,
                   X.astype("f4"), t, as_float, **low)  # fmt: skip
    yield case(
        "float32 logistic inside",
        float32_logistic,
        w,
        X.astype("f4"),
        (y > 0).astype("f4"),
        **low,
    )
    yield case("float32 sum inside", float32_sum, w, n((500, 4)).astype("f4"), **low)
    yield case(
        "float32 data", rounded_inputs, w, X.astype("f4"), y.astype("f4"), smallest=1e-5
    )
    # y (1 - y) has lost its digits where a unit is saturated.
    yield case("tanh at 5", tanh_sum, np.array([5.1]), smallest=1e-5)
    yield case("tanh at 8 and -9", tanh_sum, np.array([8.3, -9.1]), smallest=1e-3)
    yield case("logistic at 8", logistic_sum, np.array([8.3, 2.2]))
    yield case(
        "logistic at 15 and -20", logistic_sum, np.array([15.0, -20.0]), smallest=1e-4
    )
    yield case(
        "saturated unit",
        saturated_unit,
        {"w": 2 + w, "b": 12.0},
        np.abs(X),
        smallest=1e-2,
    )
    yield case("logarithm of 1 - y", one_minus, np.array([3.0, 12.0, -20.0]))
    # At 0, where a relative move is 0; many rows; rows that cancel.
    Z, s = n((20_000, 5)), np.sign(n(20_000))
    yield case(
        "logistic from 0, 20,000 rows",
        logistic,
        np.zeros(5),
        Z,
        (s + 1) / 2,
        slips=("slope twice",),
    )
    yield case("balanced rows", balanced, 0.1 * n(5), np.concatenate([Z[:10_000], Z[:10_000] + 1e-9]),
               np.repeat([1.0, -1.0], 10_000), smallest=1e-2)  # fmt: skip
    yield case(
        "einsum from 0", einsum_quadratic, np.zeros((4, 4)), n((4, 4)), n((4, 4))
    )
    yield case(
        "einsum, large", einsum_quadratic, 1e4 * n((30, 30)), n((30, 30)), n((30, 30))
    )
    # Linear systems of condition 1e4 to 1e10.
    U, V = (np.linalg.qr(n((6, 6)))[0] for _ in range(2))
    for digits in (4, 7, 10):
        M, smallest = U @ np.diag(np.logspace(0, -digits, 6)) @ V, 10.0 ** (digits - 11)
        yield case(f"solve, condition 1e{digits}", solve, n(6), M, smallest=smallest)
        yield case(
            f"solve in the matrix, condition 1e{digits}",
            solve_in_matrix,
            M,
            n(6),
            smallest=smallest,
        )
    # Fine structure: the function changes within a millionth of theta.
    yield case(
        "logarithms, a pole 1e-6 away", poles, np.array([1.000001, 2.0]), smallest=1e-4
    )
    yield case("a pole 1e-3 away", pole, np.array([1.001, 3.0]), smallest=1e-4)
    yield case("a pole 1e-6 away", pole, np.array([1 + 2.0**-20, 3.0]), smallest=1e-4)
    yield case(
        "log-determinant near singular",
        log_det,
        U @ np.diag([1, 1, 1, 0.5, 0.1, 1e-6]) @ V,
        smallest=1e-4,
    )
    # Masks of -inf.
    C = np.arange(9.0).reshape(3, 3)
    mask = np.triu(np.ones((3, 3), bool), 1)
    yield case(
        "-inf mask",
        masked_attention,
        C / 10,
        C,
        mask,
        slips=("terms between outputs missing",),
    )
    mask = np.triu(np.ones((6, 6), bool), 1)
    yield case("-inf mask on attention", masked_scores, {"Q": 0.5 * n((4, 3)), "K": 0.5 * n((4, 3))}, X[:6], n((6, 4)),
               mask)  # fmt: skip
    yield case(
        "-inf mask on a sum",
        masked_log_sum,
        n(5),
        np.array([True, True, False, True, True]),
    )
    # Kinks that are met, and kinks near.
    zero = np.array([0.0, 1.0, -2.0])
    for name, f in (
        ("absolute values", absolute_sum),
        ("positive parts", positive_part),
    ):
        yield case(f"{name} at a kink", f, zero, kinked=True)
        for away in (1e-3, 1e-6, 1e-9):
            yield case(f"{name} {away:g} from a kink", f, zero + away)
    yield case("maximum at a tie", largest, np.array([1.0, 1.0, 0.5]), kinked=True)
    yield case("maximum 1e-7 from a tie", largest, np.array([1.0, 1 + 1e-7, 0.5]))
    yield case("median", median, n(9))
    yield case("median of 1,001", median, n(1001), smallest=1e-5)
    yield case("sorted", sorted_weights, n(30))
    yield case("transport of sorted numbers", transport, w, X, np.sort(y))
    yield case("the best path", best_path, {"T": n((3, 3)), "W": n((4, 3))}, X[:15])
    yield case("spectral radius", spectral_radius, n((5, 5)))
    yield case("trimmed squares", trimmed, w, X, y)
    yield case("clipped", clipped, np.array([0.5, 1 - 1e-6, 3.0]))
    yield case(
        "interpolated",
        interpolated,
        np.array([0.5, 1.49999, 2.7]),
        np.arange(5.0),
        n(5),
    )
    yield case(
        "hinge at a kink",
        hinge,
        np.array([1.0, 0.0, 0.0, 0.0]),
        np.sign(X),
        np.sign(X[:, 0]),
        kinked=True,
    )
    yield case(
        "zero weights and residuals",
        absolute,
        np.zeros(4),
        X,
        np.where(y > 0, y, 0),
        kinked=True,
    )
    yield case("branch", branch, np.array([1.0, 1 - 1e-6]))
    p = {"W": n((4, 5)), "b": np.zeros(5), "V": n((5, 3)), "c": np.zeros(3)}
    yield case(
        "network, a row of zeros on relu",
        network,
        p,
        X * (np.arange(40) > 0)[:, None],
        t,
        "relu",
        kinked=True,
    )
    # Steps of a tenth or of a millionth see another function.
    for k in (1e3, 1e6):
        yield case(f"sine of {k:g} w", oscillating, w, k, smallest=1e-4)
    yield case(
        "a step of width 1e-4", steep, np.array([1.00002, 0.9]), 1e4, smallest=1e-4
    )
    yield case("softmax of temperature 1e-3", sharp_softmax, np.array([0.1, 0.1003, 0.099]), np.array([1.0, -2.0, 3.0]),
               1e-3, smallest=1e-4)  # fmt: skip
    yield case(
        "maximum, smoothed by 1e-4",
        sharp_maximum,
        np.array([0.1, 0.10002, -1.0]),
        1e4,
        smallest=1e-4,
    )
    for e in (1e-6, 1e-12):
        yield case(
            f"length with {e:g} within, at 0", smoothed_length, np.zeros(3), e, size=1.0
        )
        yield case(
            f"length with {e:g} within",
            smoothed_length,
            np.array([1e-6, -2e-6]),
            e,
            smallest=1e-4,
        )
    yield case("flat", flat, np.array([0.01, 0.05, 1.0]))
    yield case("flat to the last", flat, np.array([0.002, 0.003]), smallest=1e-4)
    # Continuous derivatives, curvatures with a jump, exactly there.
    yield case(
        "signed square at 0", signed_square, np.array([0.0, 1.0, -2.0]), smallest=1e-5
    )
    yield case("squared hinge at its margin", squared_hinge, np.array([1.0, 0.0, 0.0, 0.0]), np.sign(X), np.sign(y),
               smallest=1e-5)  # fmt: skip
    yield case(
        "Huber at its limit",
        huber,
        np.array([1.0, 0.0, 0.0, 0.0]),
        np.sign(X),
        np.zeros(40),
        smallest=1e-5,
    )
    # A jump, near.
    yield case("a jump 1e-6 away", remainder, np.array([1.5, 2 - 1e-6]), smallest=1e-4)
    # Scales.
    for scale in (1e150, 1e-150, 1e8, 1e-8):
        yield case(f"squares at {scale:g}", huge, scale * w)
        yield case(f"log-cosh at {scale:g}", many, min(scale, 1) * w, np.zeros(4))
    yield case("squares around 1e8", offset, 1e8 + w, 1e8, smallest=1e-5)
    yield case("on top of 1e10", on_top, w, 1e10, smallest=1e-2)
    yield case("naive variance", naive_variance, w, X, smallest=1e-3)
    yield case(
        "exponential of an exponential", twice_exponential, np.array([5.0, 1.0, -3.0])
    )
    yield case(
        "far from the data", weighted_evidence, np.array([9.0, 9.0, 9.0, 9.0]), X, y
    )
    yield case("value rounded to 6 digits", rounded_value, w, X, y, 6, smallest=1e-3)
    yield case("float32 value", float32_value, w, X, y, smallest=1e-2)
    yield case(
        "parameters of all sizes",
        huge,
        np.array([1e-12, 1.0, 1e5, 1e-3]),
        smallest=1e-5,
    )
    # Gradients that are 0, or nothing but rounding.
    yield case("constant", constant, w)
    yield case(
        "a leaf that does nothing",
        without,
        {"a": w, "b": n(3)},
        slips=("a leaf that does nothing",),
    )
    yield case("total probability", total_probability, w)
    yield case(
        "bias before batch normalization",
        shifted,
        {"W": n((4, 3)), "b": n(3)},
        X,
        n((40, 3)),
    )
    yield case("floored", floored, np.array([0.5, 1.3, 2.0]) + 0.1)
    solution = np.linalg.lstsq(X, y)[0]
    yield case(
        "least squares at its minimum",
        half_squares,
        solution,
        X,
        y,
        size=1.0,
        smallest=1e-2,
    )
    yield case("perfect fit", half_squares, w, X, X @ w)
    yield case("nearly linear", nearly_linear, w, 1e-12)
    yield case("linear", linear, w, X)
    # Iterations, solvers and quadratures within.
    yield case("Newton's iteration", newton, np.array([0.3, 2.0, 900.0]))
    yield case("fixed point to 1e-14", fixed_point, np.array([0.3, 0.7]), 1e-14)
    yield case(
        "fixed point to 1e-10", fixed_point, np.array([0.3, 0.7]), 1e-10, smallest=1e-3
    )
    yield case("Sinkhorn's steps, converged", sinkhorn, n((4, 5)), 80)
    yield case(
        "Sinkhorn's steps, nearly", sinkhorn, np.abs(n((4, 5))), 40, smallest=1e-2
    )
    yield case("Brent's roots", root, np.array([0.3, -2.0, 5.0]), smallest=1e-4)
    yield case("quadrature", integral, np.array([0.7, 1.3]), smallest=1e-4)
    yield case("adaptive solver", adaptive_orbit, np.array([2.0, 0.3]), smallest=1e-2)
    yield case("Runge and Kutta's steps", runge_kutta, np.array([2.0, 0.3]), 60)
    # Complex numbers within.
    x = n(16)
    yield case("spectrum", spectrum, x, np.abs(np.fft.rfft(n(16))) ** 2)
    yield case("phases", phases, n(5))
    yield case("Lambert's function", lambert, np.array([0.5, 2.0]))
    # Many parameters.
    for size in (2_000, 10_000):
        yield case(f"{size:,} parameters", many, n(size), n(size))
    p = {
        "W": 0.3 * n((50, 40)),
        "b": 0.1 * n(40),
        "V": 0.3 * n((40, 3)),
        "c": np.zeros(3),
    }
    yield case("network of 2,163 parameters", network, p, n((20, 50)), t[:20], "tanh")
    # Near points that are not smooth, or with lost digits.
    B = n((5, 5))
    yield case("smallest eigenvalue", smallest_eigenvalue, n(5), B + B.T)
    yield case("eigenvalues 1e-6 apart", smallest_eigenvalue, np.array([1.0, 1 + 1e-6, 3.0]),
               1e-7 * (B + B.T)[:3, :3], smallest=1e-4)  # fmt: skip
    yield case("product with a 0", product, np.array([0.0, 2.0, 3.0]))
    yield case(
        "digits lost near 0", cancelled, 1e-3 * np.array([1.3, -0.7]), smallest=1e-2
    )
    yield case(
        "logarithms of 0 not taken", safe_log, n(4), np.array([0.0, 1.0, 0.5, 0.0])
    )
    points = np.sort(r.uniform(-1, 1, 20))[:, None]
    yield case("Gaussian process, little noise", gaussian_process, np.array([0.5, 0.1, np.log(1e-8)]), points,
               np.sin(points[:, 0]), smallest=1e-2)  # fmt: skip
    yield case(
        "Cox, 5,000 rows",
        cox,
        0.3 * n(3),
        n((5000, 3)),
        (r.random(5000) < 0.5) * 1.0,
        smallest=1e-5,
    )

"""Networks, attention and recurrences in plain NumPy, with gradients derived by hand."""

import numpy as np

from function_case import Case, draw


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(Z):
    E = np.exp(Z - Z.max(axis=-1, keepdims=True))
    return E / E.sum(axis=-1, keepdims=True)


def softmax_back(A, D, slip=""):
    """From the gradient of a softmax's output to that of its input."""
    return (
        A * (1 - A) * D
        if slip == "diagonal softmax Jacobian"
        else A * (D - np.sum(A * D, axis=-1, keepdims=True))
    )


UNITS = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "logistic": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "relu": (lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0)),
    "leaky": (lambda z: np.where(z > 0, z, 0.1 * z), lambda z: np.where(z > 0, 1, 0.1)),
    "elu": (
        lambda z: np.where(z > 0, z, np.exp(z) - 1),
        lambda z: np.where(z > 0, 1, np.exp(z)),
    ),
    "softplus": (lambda z: np.log1p(np.exp(z)), sigmoid),
    "silu": (
        lambda z: z * sigmoid(z),
        lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z))),
    ),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda z: 1 / (1 + np.abs(z)) ** 2),
    "sine": (np.sin, np.cos),
    "swish tanh": (
        lambda z: 0.5 * z * (1 + np.tanh(0.8 * z)),
        lambda z: 0.5 * (1 + np.tanh(0.8 * z)) + 0.4 * z * (1 - np.tanh(0.8 * z) ** 2),
    ),
}


def network(p, X, t, unit, slip=""):
    """One hidden layer and a softmax, in a dict."""
    value, slope = UNITS[unit]
    Z = X @ p["W"] + p["b"]
    H = value(Z)
    P = softmax(H @ p["V"] + p["c"])
    D = P - np.eye(P.shape[1])[t]
    E = (D @ p["V"].T) * (
        1 if slip == "no slope" else slope(H if slip == "slope at the output" else Z)
    )
    J = {"W": X.T @ E, "b": E.sum(axis=0), "V": H.T @ D, "c": D.sum(axis=0)}
    return -np.mean(np.log(P[np.arange(len(t)), t])), {
        name: g / len(t) for name, g in J.items()
    }


def deep(p, X, Y):
    """Any number of layers (W, b) in a list."""
    outputs = [X]
    for W, b in p:
        outputs.append(np.tanh(outputs[-1] @ W + b))
    D, J = outputs[-1] - Y, []
    for (W, _), H, A in zip(p[::-1], outputs[-2::-1], outputs[:0:-1], strict=True):
        D = D * (1 - A**2)
        J.insert(0, (H.T @ D, D.sum(axis=0)))
        D = D @ W.T
    return 0.5 * np.sum((outputs[-1] - Y) ** 2), J


def rectified(p, X, Y):
    W1, b1, W2, b2, W3 = p
    A = np.maximum(0, X @ W1 + b1)
    B = np.maximum(0, A @ W2 + b2)
    E = B @ W3 - Y
    D = 2 * E / E.size
    D2 = (D @ W3.T) * (B > 0)
    D1 = (D2 @ W2.T) * (A > 0)
    return np.mean(E**2), [X.T @ D1, D1.sum(0), A.T @ D2, D2.sum(0), B.T @ D]


def unrolled(w, X, y):
    """A vector of parameters that a person takes apart."""
    n = X.shape[1]
    W, b, v = w[: 3 * n].reshape(n, 3), w[3 * n : 3 * n + 3], w[3 * n + 3 :]
    H = np.tanh(X @ W + b)
    e = H @ v - y
    D = np.outer(e, v) * (1 - H**2)
    return np.sum(e**2) / 2, np.concatenate([(X.T @ D).ravel(), D.sum(axis=0), H.T @ e])


def autoencoder(W, X, slip=""):
    H = sigmoid(X @ W)
    E = H @ W.T - X
    D = (E @ W) * H * (1 - H)
    return (
        np.sum(E**2) / 2,
        X.T @ D + (slip != "the decoder's share is missing") * E.T @ H,
    )


def batch_norm(p, X, Y, slip=""):
    m, s = X @ p["W"], None
    centred = m - m.mean(axis=0)
    s = np.sqrt(np.mean(centred**2, axis=0) + 1e-5)
    H = centred / s
    E = H * p["g"] + p["b"] - Y
    D = E * p["g"]
    back = D - D.mean(axis=0) * (slip != "no mean term")
    if slip != "no variance term":
        back = back - H * np.mean(D * H, axis=0)
    return 0.5 * np.sum(E**2), {
        "W": X.T @ (back / s),
        "g": np.sum(E * H, axis=0),
        "b": E.sum(axis=0),
    }


def layer_norm(p, X, T, slip=""):
    Z = X @ p["W"]
    s = np.sqrt(Z.var(axis=1, keepdims=True) + 1e-5)
    H = (Z - Z.mean(axis=1, keepdims=True)) / s
    P = softmax(H * p["g"] + p["b"])
    E = (P - T) / len(X)
    D = E * p["g"]
    back = (
        D
        - D.mean(axis=1, keepdims=True)
        - (slip != "no variance term") * H * np.mean(D * H, axis=1, keepdims=True)
    )
    return -np.sum(T * np.log(P)) / len(X), {
        "W": X.T @ (back / s),
        "g": np.sum(E * H, 0),
        "b": np.sum(E, 0),
    }


def rms_norm(p, X, Y):
    Z = X @ p["W"]
    s = np.sqrt(np.mean(Z**2, axis=1, keepdims=True) + 1e-6)
    H = Z / s
    E = H * p["g"] - Y
    D = E * p["g"]
    return np.sum(E**2) / 2, {
        "W": X.T @ ((D - H * np.mean(D * H, axis=1, keepdims=True)) / s),
        "g": np.sum(E * H, 0),
    }


def weight_norm(p, X, y):
    length = np.linalg.norm(p["v"])
    u = p["v"] / length
    e = p["g"] * X @ u - y
    D = p["g"] * X.T @ e
    return e @ e / 2, {"v": (D - u * (u @ D)) / length, "g": e @ (X @ u)}


def dropped(p, X, Y, mask, slip=""):
    H = np.tanh(X @ p[0]) * mask / 0.7
    E = H @ p[1] - Y
    D = (
        E
        @ p[1].T
        * (1 if slip == "mask forgotten" else mask / 0.7)
        * (1 - np.tanh(X @ p[0]) ** 2)
    )
    return np.mean(np.sum(E**2, axis=1)) / 2, [X.T @ D / len(X), H.T @ E / len(X)]


def bag_of_words(p, words, t):
    E = p["E"][words]
    P = softmax(E.mean(axis=1) @ p["W"])
    D = P - np.eye(P.shape[1])[t]
    J = np.zeros_like(p["E"])
    np.add.at(J, words, (D @ p["W"].T / words.shape[1])[:, None, :])
    return -np.sum(np.log(P[range(len(t)), t])), {"E": J, "W": E.mean(axis=1).T @ D}


def residual(p, X, Y, slip=""):
    outputs = [X]
    for W in p:
        outputs.append(outputs[-1] + np.tanh(outputs[-1] @ W))
    D, J = (outputs[-1] - Y) / len(X), []
    for W, H in zip(reversed(p), outputs[-2::-1], strict=True):
        E = D * (1 - np.tanh(H @ W) ** 2)
        J.append(H.T @ E)
        D = (slip != "skip forgotten") * D + E @ W.T
    return np.sum((outputs[-1] - Y) ** 2) / (2 * len(X)), J[::-1]


def highway(p, X, Y):
    G, H = sigmoid(X @ p["G"] - 1), np.tanh(X @ p["H"])
    E = G * H + (1 - G) * X - Y
    return np.sum(E**2) / 2, {
        "G": X.T @ (E * (H - X) * G * (1 - G)),
        "H": X.T @ (E * G * (1 - H**2)),
    }


def attention(p, X, Y, slip=""):
    d = p["Q"].shape[1]
    Q, K, V = X @ p["Q"], X @ p["K"], X @ p["V"]
    A = softmax(Q @ K.T / np.sqrt(d))
    E = A @ V - Y
    S = softmax_back(A, E @ V.T, slip) / (1 if slip == "no scale" else np.sqrt(d))
    return np.sum(E**2) / 2, {
        "Q": X.T @ (S @ K),
        "K": X.T @ (S.T @ Q),
        "V": X.T @ (A.T @ E),
    }


def causal(p, X, Y, slip=""):
    Q, K, V = X @ p["Q"], X @ p["K"], X @ p["V"]
    future = np.triu(np.ones((len(X), len(X)), dtype=bool), 1)
    S = Q @ K.T / np.sqrt(Q.shape[1])
    A = softmax(np.where(future, -1e9, S))
    E = A @ V - Y
    value = np.mean(E**2)
    if slip == "mask forgotten":
        A = softmax(S)
    D = softmax_back(A, E @ V.T) / np.sqrt(Q.shape[1])
    D, E = 2 / E.size * D, 2 / E.size * E
    return value, {"Q": X.T @ D @ K, "K": X.T @ D.T @ Q, "V": X.T @ A.T @ E}


def heads(p, X, Y, h):
    N, D = X.shape
    Q, K, V = (np.einsum("nd,dhk->hnk", X, p[name].reshape(D, h, -1)) for name in "QKV")
    A = softmax(np.einsum("hnk,hmk->hnm", Q, K) / np.sqrt(Q.shape[2]))
    O = np.einsum("hnm,hmk->nhk", A, V).reshape(N, -1)
    E = O @ p["O"] - Y
    G = (E @ p["O"].T).reshape(N, h, -1)
    S = softmax_back(A, np.einsum("nhk,hmk->hnm", G, V)) / np.sqrt(Q.shape[2])
    J = {
        "Q": np.einsum("nd,hnm,hmk->dhk", X, S, K),
        "K": np.einsum("md,hnm,hnk->dhk", X, S, Q),
        "V": np.einsum("md,hnm,nhk->dhk", X, A, G),
    }
    return np.sum(E**2) / 2, {name: g.reshape(D, -1) for name, g in J.items()} | {
        "O": O.T @ E
    }


def additive_attention(p, H, q, y):
    U = np.tanh(H @ p["W"] + q @ p["U"])
    a = softmax(U @ p["v"])
    e = a @ H - y
    s = softmax_back(a, H @ e)
    D = np.outer(s, p["v"]) * (1 - U**2)
    return e @ e / 2, {"W": H.T @ D, "U": np.outer(q, D.sum(axis=0)), "v": U.T @ s}


def block(p, X, Y):
    """A block of a transformer: attention, a layer normalization, two dense layers, with skips."""
    Q, K, V = X @ p["Q"], X @ p["K"], X @ p["V"]
    A = softmax(Q @ K.T)
    R = X + A @ V
    s = np.sqrt(R.var(axis=1, keepdims=True) + 1e-5)
    N = (R - R.mean(axis=1, keepdims=True)) / s
    H = np.maximum(N @ p["F"], 0)
    E = R + H @ p["G"] - Y
    D = (E @ p["G"].T) * (H > 0)
    B = D @ p["F"].T
    dR = (
        E
        + (
            B
            - B.mean(axis=1, keepdims=True)
            - N * np.mean(B * N, axis=1, keepdims=True)
        )
        / s
    )
    S = softmax_back(A, dR @ V.T)
    J = {
        "Q": X.T @ S @ K,
        "K": X.T @ S.T @ Q,
        "V": X.T @ A.T @ dR,
        "F": N.T @ D,
        "G": H.T @ E,
    }
    return np.sum(E**2) / 2, J


def recurrent(p, X, y, slip=""):
    W, U, v = p["W"], p["U"], p["v"]
    h, seen = np.zeros(len(U)), []
    for x in X:
        seen.append(h)
        h = np.tanh(x @ W + h @ U)
    e = h @ v - y
    J, D = {"W": np.zeros_like(W), "U": np.zeros_like(U), "v": e * h}, e * v
    for x, last in zip(X[::-1], seen[::-1], strict=True):
        D = D * (1 - h**2)
        J["W"] += np.outer(x, D)
        J["U"] += np.outer(last, D)
        D, h = U @ D, last
        if slip == "only the last step":
            break
    return 0.5 * e**2, J


def gru(p, X, y):
    def step(x, h):
        z, r = sigmoid(x @ p["Wz"] + h @ p["Uz"]), sigmoid(x @ p["Wr"] + h @ p["Ur"])
        c = np.tanh(x @ p["Wc"] + (r * h) @ p["Uc"])
        return (1 - z) * h + z * c, z, r, c

    states = [np.zeros(len(p["Uz"]))]
    for x in X:
        states.append(step(x, states[-1])[0])
    D, J = states[-1] - y, {name: np.zeros_like(q) for name, q in p.items()}
    for x, h in zip(X[::-1], states[-2::-1], strict=True):
        _, z, r, c = step(x, h)
        dz, dc = D * (c - h) * z * (1 - z), D * z * (1 - c**2)
        back = p["Uc"] @ dc
        dr = back * h * r * (1 - r)
        for gate, d, into in (("z", dz, h), ("r", dr, h), ("c", dc, r * h)):
            J["W" + gate] += np.outer(x, d)
            J["U" + gate] += np.outer(into, d)
        D = D * (1 - z) + back * r + p["Uz"] @ dz + p["Ur"] @ dr
    return np.sum((states[-1] - y) ** 2) / 2, J


def lstm(W, X, y, slip=""):
    """All four gates in one matrix."""
    n = W.shape[1] // 4
    h, c, seen = np.zeros(n), np.zeros(n), []
    for x in X:
        v = np.concatenate([x, h, [1.0]])
        i, f, o, g = np.split(v @ W, 4)
        i, f, o, g = sigmoid(i), sigmoid(f + 1), sigmoid(o), np.tanh(g)
        seen.append((v, c, i, f, o, g))
        c = f * c + i * g
        h = o * np.tanh(c)
    value, J = 0.5 * np.sum((h - y) ** 2), np.zeros_like(W)
    dh, dc = h - y, np.zeros(n)
    for v, last, i, f, o, g in reversed(seen):
        t = np.tanh(c)
        dc = (slip != "the cell's own path forgotten") * dc + dh * o * (1 - t**2)
        D = np.concatenate(
            [
                dc * g * i * (1 - i),
                dc * last * f * (1 - f),
                dh * t * o * (1 - o),
                dc * i * (1 - g**2),
            ]
        )
        J += np.outer(v, D)
        dh, dc, c = (W @ D)[len(X[0]) : -1], dc * f, last
    return value, J


def convolution(p, X, y):
    k = len(p["k"])
    S = np.lib.stride_tricks.sliding_window_view(X, k, axis=1)
    Z = np.tanh(S @ p["k"] + p["b"])
    e = Z @ p["v"] - y
    D = np.outer(e, p["v"]) * (1 - Z**2)
    return np.sum(e**2) / 2, {
        "k": np.einsum("nt,ntk->k", D, S),
        "b": D.sum(),
        "v": Z.T @ e,
    }


def images(K, X, T, slip=""):
    """Two-dimensional convolution and mean pooling, in loops."""
    n, (a, b) = X.shape[1], K.shape
    Z = np.zeros((len(X), n - a + 1, n - b + 1))
    for i in range(a):
        for j in range(b):
            Z += K[i, j] * X[:, i : i + n - a + 1, j : j + n - b + 1]
    e = sigmoid(Z).mean(axis=(1, 2)) - T
    D = e[:, None, None] * sigmoid(Z) * (1 - sigmoid(Z)) / Z[0].size
    J = np.empty_like(K)
    for i in range(a):
        for j in range(b):
            J[i, j] = np.sum(D * X[:, i : i + n - a + 1, j : j + n - b + 1])
    return 0.5 * e @ e, J[::-1, ::-1] if slip == "kernel flipped" else J


def max_pooling(k, X, y):
    Z = np.lib.stride_tricks.sliding_window_view(X, len(k), axis=1) @ k
    P = Z.reshape(len(X), -1, 2)
    e = P.max(axis=2).sum(axis=1) - y
    best = np.arange(P.shape[1]) * 2 + P.argmax(axis=2)
    windows = np.lib.stride_tricks.sliding_window_view(X, len(k), axis=1)[
        np.arange(len(X))[:, None], best
    ]
    return e @ e / 2, np.einsum("n,npk->k", e, windows)


def contrastive(p, X, Y):
    A, B = X @ p[0], Y @ p[1]
    S = A @ B.T / 0.5
    P = softmax(S)
    D = (P - np.eye(len(X))) / len(X) / 0.5
    return -np.mean(np.log(np.diag(P))), [X.T @ D @ B, Y.T @ D.T @ A]


def focal(w, X, y, g=2.0):
    q = sigmoid((2 * y - 1) * (X @ w))
    slope = g * (1 - q) ** g * q * np.log(q) - (1 - q) ** (g + 1)
    return np.mean(-((1 - q) ** g) * np.log(q)), X.T @ ((2 * y - 1) * slope) / len(y)


def cosine(p, X):
    a, b = X @ p["a"], X @ p["b"]
    na, nb = np.linalg.norm(a), np.linalg.norm(b)
    c = a @ b / (na * nb)
    return 1 - c, {
        "a": -X.T @ (b / na / nb - c * a / na**2),
        "b": -X.T @ (a / na / nb - c * b / nb**2),
    }


def dice(w, X, y):
    q = sigmoid(X @ w)
    up, down = 2 * q @ y + 1, q.sum() + y.sum() + 1
    return 1 - up / down, -X.T @ ((2 * y / down - up / down**2) * q * (1 - q))


def graph(p, A, X, T):
    H = np.maximum(A @ X @ p["W"], 0)
    P = softmax(A @ H @ p["V"])
    D = A.T @ (P - T)
    return -np.sum(T * np.log(P)), {
        "W": (A @ X).T @ ((D @ p["V"].T) * (H > 0)),
        "V": H.T @ D,
    }


def radial(p, X, y):
    d = X[:, None] - p["c"]
    G = np.exp(-p["s"] * np.sum(d**2, axis=2))
    e = G @ p["w"] - y
    B = e[:, None] * G * p["w"]
    return e @ e / 2, {
        "c": 2 * p["s"][:, None] * np.einsum("nk,nkd->kd", B, d),
        "s": -np.sum(B * np.sum(d**2, axis=2), axis=0),
        "w": G.T @ e,
    }


def experts(p, X, y):
    A, Z = softmax(X @ p["gate"]), X @ p["W"]
    e = np.sum(A * Z, axis=1) - y
    D = softmax_back(A, e[:, None] * Z)
    return np.mean(e**2) / 2, {
        "gate": X.T @ D / len(y),
        "W": X.T @ (e[:, None] * A) / len(y),
    }


def mixture_density(p, X, y):
    pi, mu, log_s = softmax(X @ p["pi"]), X @ p["mu"], X @ p["s"]
    z = (y[:, None] - mu) * np.exp(-log_s)
    q = pi * np.exp(-(z**2) / 2 - log_s)
    R = q / q.sum(axis=1, keepdims=True)
    return -np.sum(np.log(q.sum(axis=1))), {
        "pi": X.T @ (pi - R),
        "mu": -X.T @ (R * z * np.exp(-log_s)),
        "s": X.T @ (R * (1 - z**2)),
    }


def boltzmann(W, S, states):
    """The likelihood of states under an energy, by counting all states."""
    E = np.einsum("ni,ij,nj->n", states, W, states)
    p = np.exp(E - E.max())
    log_Z, p = np.log(p.sum()) + E.max(), p / p.sum()
    value = log_Z - np.mean(np.einsum("ni,ij,nj->n", S, W, S))
    return value, np.einsum("n,ni,nj->ij", p, states, states) - S.T @ S / len(S)


def free_energy(p, V, W):
    """A restricted Boltzmann machine: contrast of two sets of states."""

    def energy(v):
        return -(v @ p["a"]) - np.logaddexp(0, v @ p["W"] + p["b"]).sum(axis=1)

    H, K = sigmoid(V @ p["W"] + p["b"]), sigmoid(W @ p["W"] + p["b"])
    J = {
        "a": W.mean(0) - V.mean(0),
        "b": K.mean(0) - H.mean(0),
        "W": W.T @ K / len(W) - V.T @ H / len(V),
    }
    return energy(V).mean() - energy(W).mean(), J


def surrogate(W, S, a, advantage, old, slip=""):
    """Proximal policy optimization, with its clipped ratio."""
    P = softmax(S @ W)
    chosen = P[np.arange(len(a)), a]
    ratio = chosen / old
    clipped = np.clip(ratio, 0.8, 1.2)
    use = ratio * advantage <= clipped * advantage
    D = ((1 if slip == "clipping forgotten" else use) * ratio * advantage)[:, None] * (
        np.eye(P.shape[1])[a] - P
    )
    return -np.mean(np.minimum(ratio * advantage, clipped * advantage)), -S.T @ D / len(
        a
    )


def maxout(p, X, y):
    Z = np.einsum("nd,dku->nku", X, p["W"])
    H = Z.max(axis=1)
    e = H @ p["v"] - y
    on = H[:, None] == Z
    return e @ e / 2, {
        "W": np.einsum("nd,nku,nu->dku", X, on, np.outer(e, p["v"])),
        "v": H.T @ e,
    }


def softmax_jacobian(z, slip=""):
    y = softmax(z)
    return y, np.diag(y) - np.outer(y, y) * (slip != "terms between outputs missing")


def log_softmax_jacobian(z):
    s = z - np.max(z)
    return s - np.log(np.sum(np.exp(s))), np.eye(len(z)) - softmax(z)


def layer_jacobian(p, x):
    h = np.tanh(p["W"] @ x + p["b"])
    d = np.diag(1 - h**2)
    return h, {"W": np.einsum("ij,k->ijk", d, x), "b": d}


def unit_vector(w):
    n = np.linalg.norm(w)
    return w / n, (np.eye(len(w)) - np.outer(w, w) / n**2) / n


def kinematics(q):
    """The end of a planar arm of several joints."""
    a = np.cumsum(q)
    J = np.array(
        [
            [-np.sum(np.sin(a[k:])) for k in range(len(q))],
            [np.sum(np.cos(a[k:])) for k in range(len(q))],
        ]
    )
    return np.array([np.cos(a).sum(), np.sin(a).sum()]), J


def orbit(p, steps, h):
    """Predator and prey by Euler's steps, with forward sensitivities."""
    a, b, c, d = p
    x, y = 1.0, 0.5
    dx, dy = np.zeros(4), np.zeros(4)
    for _ in range(steps):
        fx, fy = a * x - b * x * y, c * x * y - d * y
        dfx = (a - b * y) * dx - b * x * dy + np.array([x, -x * y, 0, 0])
        dfy = c * y * dx + (c * x - d) * dy + np.array([0, 0, x * y, -y])
        x, y, dx, dy = x + h * fx, y + h * fy, dx + h * dfx, dy + h * dfy
    return x + y**2, dx + 2 * y * dy


def matrix_power(A, n):
    powers = [np.eye(len(A))]
    for _ in range(n):
        powers.append(powers[-1] @ A)
    return np.trace(powers[n]) / n, powers[n - 1].T


def smoothness(Y, X):
    """Total variation, smoothed, and a fit to a picture."""
    a, b = np.diff(Y, axis=0)[:, :-1], np.diff(Y, axis=1)[:-1]
    s = np.sqrt(a**2 + b**2 + 0.01)
    J = Y - X
    J[1:, :-1] += a / s
    J[:-1, :-1] -= (a + b) / s
    J[:-1, 1:] += b / s
    return np.sum((Y - X) ** 2) / 2 + s.sum(), J


def cases(there, seed=0):
    return list(_cases(seed))


def _cases(seed):
    def case(name, f, theta, *args, **more):
        return Case(name, f, theta, args, backend="numpy", **more)

    r = draw(20, seed)
    n = r.standard_normal
    X, y = n((30, 4)), n(30)
    t = r.integers(0, 3, 30)
    T, Y = np.eye(3)[t], n((30, 3))
    for unit in UNITS:
        p = {"W": n((4, 5)), "b": 0.3 * n(5), "V": n((5, 3)), "c": 0.3 * n(3)}
        slips = ("no slope", "slope at the output")
        yield case(f"network, {unit}", network, p, X, t, unit, slips=slips)
    for scale in (1e-2, 3):
        p = {
            "W": scale * n((4, 5)),
            "b": np.zeros(5),
            "V": scale * n((5, 3)),
            "c": np.zeros(3),
        }
        yield case(f"network, weights × {scale:g}", network, p, X, t, "tanh")
    big = n((1500, 4)), r.integers(0, 3, 1500)
    yield case(
        "network, 1,500 rows",
        network,
        {**p, "W": n((4, 5)), "V": n((5, 3))},
        *big,
        "logistic",
    )
    p32 = {name: 0.3 * q.astype("f4") for name, q in p.items()}
    yield case(
        "network, float32 theta",
        network,
        p32,
        X,
        t,
        "tanh",
        smallest=1e-3,
        precision=1e-5,
    )
    for depth in (1, 4):
        p = [(n((4 if k == 0 else 3, 3)), 0.2 * n(3)) for k in range(depth)]
        yield case(f"deep, {depth} layers", deep, p, X, np.tanh(Y))
        yield case(f"residual, {depth} layers", residual, [0.5 * n((4, 4)) for _ in range(depth)], X, n((30, 4)),
                   slips=("skip forgotten",))  # fmt: skip
        yield case(f"recurrent, {3 * depth} steps", recurrent, {"W": n((4, 5)), "U": 0.5 * n((5, 5)), "v": n(5)},
                   X[: 3 * depth], 0.3, slips=("only the last step",))  # fmt: skip
        names = [a + b for a in "WU" for b in "zrc"]
        p = {name: 0.5 * n((4 if name[0] == "W" else 3, 3)) for name in names}
        yield case(f"GRU, {3 * depth} steps", gru, p, X[: 3 * depth], n(3))
        yield case(f"LSTM, {3 * depth} steps", lstm, 0.5 * n((4 + 3 + 1, 12)), X[: 3 * depth], n(3),
                   slips=("the cell's own path forgotten",))  # fmt: skip
    yield case(
        "rectified",
        rectified,
        [n((4, 6)), 0.1 * n(6), n((6, 5)), 0.1 * n(5), n((5, 3))],
        X,
        Y,
    )
    yield case("unrolled", unrolled, n(18), X, y)
    yield case(
        "unrolled, float32 theta",
        unrolled,
        n(18).astype("f4"),
        X,
        y,
        smallest=1e-3,
        precision=1e-5,
    )
    yield case(
        "autoencoder",
        autoencoder,
        0.5 * n((4, 2)),
        X,
        slips=("the decoder's share is missing",),
    )
    for N in (5, 30):
        p = {"W": n((4, 3)), "g": n(3), "b": n(3)}
        yield case(f"batch normalization, {N} rows", batch_norm, p, X[:N], Y[:N],
                   slips=("no mean term", "no variance term"))  # fmt: skip
        yield case(
            f"layer normalization, {N} rows",
            layer_norm,
            p,
            X[:N],
            T[:N],
            slips=("no variance term",),
        )
        yield case(
            f"RMS normalization, {N} rows",
            rms_norm,
            {"W": n((4, 3)), "g": n(3)},
            X[:N],
            Y[:N],
        )
        yield case(f"attention, {N} rows", attention, {name: 0.5 * n((4, 3)) for name in "QKV"}, X[:N], Y[:N],
                   slips=("diagonal softmax Jacobian", "no scale"))  # fmt: skip
        yield case(f"causal attention, {N} rows", causal, {name: 0.5 * n((4, 3)) for name in "QKV"}, X[:N], Y[:N],
                   slips=("mask forgotten",))  # fmt: skip
        yield case(f"attention with 2 heads, {N} rows", heads, {name: 0.5 * n((4, 4)) for name in "QKVO"}, X[:N],
                   n((N, 4)), 2)  # fmt: skip
        p = {name: 0.5 * n((4, 4)) for name in "QKV"} | {"F": n((4, 6)), "G": n((6, 4))}
        yield case(f"transformer block, {N} rows", block, p, X[:N], n((N, 4)))
    yield case("weight normalization", weight_norm, {"v": n(4), "g": 1.3}, X, y)
    yield case("dropout with a fixed mask", dropped, [n((4, 6)), n((6, 3))], X, Y, r.random((30, 6)) < 0.7,
               slips=("mask forgotten",))  # fmt: skip
    yield case(
        "bag of words",
        bag_of_words,
        {"E": n((12, 4)), "W": n((4, 3))},
        r.integers(0, 12, (30, 6)),
        t,
    )
    yield case("highway", highway, {"G": n((4, 4)), "H": n((4, 4))}, X, n((30, 4)))
    yield case(
        "additive attention",
        additive_attention,
        {"W": n((4, 3)), "U": n((2, 3)), "v": n(3)},
        X[:7],
        n(2),
        n(4),
    )
    yield case(
        "convolution", convolution, {"k": n(3), "b": 0.1, "v": n(8)}, n((12, 10)), n(12)
    )
    yield case(
        "images",
        images,
        n((3, 3)),
        n((6, 8, 8)),
        r.random(6),
        slips=("kernel flipped",),
    )
    yield case("max-pooling", max_pooling, n(3), n((12, 10)), n(12))
    yield case("contrastive", contrastive, [n((4, 3)), n((5, 3))], X[:12], n((12, 5)))
    yield case("focal loss", focal, n(4), X, (y > 0) * 1.0)
    yield case("cosine similarity", cosine, {"a": n(4), "b": n(4)}, X)
    yield case("Dice loss", dice, n(4), X, (y > 0) * 1.0)
    A = (r.random((30, 30)) < 0.1) + np.eye(30)
    yield case(
        "graph network",
        graph,
        {"W": n((4, 5)), "V": n((5, 3))},
        A / A.sum(axis=1, keepdims=True),
        X,
        T,
    )
    yield case(
        "radial basis",
        radial,
        {"c": n((5, 4)), "s": r.uniform(0.1, 0.4, 5), "w": n(5)},
        X,
        y,
    )
    yield case("mixture of experts", experts, {"gate": n((4, 3)), "W": n((4, 3))}, X, y)
    yield case(
        "mixture density",
        mixture_density,
        {name: 0.4 * n((4, 2)) for name in ("pi", "mu", "s")},
        X,
        y,
    )
    states = np.array(np.meshgrid(*[[0, 1]] * 5)).reshape(5, -1).T
    yield case(
        "Boltzmann machine", boltzmann, n((5, 5)), r.integers(0, 2, (40, 5)), states
    )
    V, W = (r.random((20, 6)) < 0.5) * 1.0, (r.random((25, 6)) < 0.4) * 1.0
    yield case(
        "restricted Boltzmann machine",
        free_energy,
        {"a": n(6), "b": n(3), "W": n((6, 3))},
        V,
        W,
    )
    yield case(
        "clipped policy",
        surrogate,
        n((4, 3)),
        X,
        t,
        y,
        r.uniform(0.2, 0.6, 30),
        slips=("clipping forgotten",),
    )
    yield case("maxout", maxout, {"W": n((4, 3, 2)), "v": n(2)}, X, y)
    for size in (3, 8):
        yield case(
            f"softmax Jacobian, {size}",
            softmax_jacobian,
            n(size),
            slips=("terms between outputs missing",),
        )
        yield case(f"log-softmax Jacobian, {size}", log_softmax_jacobian, n(size))
        yield case(f"unit vector Jacobian, {size}", unit_vector, n(size))
        yield case(f"arm of {size} joints", kinematics, n(size))
    yield case("layer Jacobian", layer_jacobian, {"W": n((3, 4)), "b": n(3)}, n(4))
    yield case(
        "orbit by Euler's steps", orbit, np.array([1.1, 0.4, 0.1, 0.4]), 100, 0.05
    )
    yield case("trace of a power", matrix_power, n((4, 4)), 5)
    yield case("smoothness", smoothness, n((6, 7)), n((6, 7)))

"""Right losses with gradients, written by hand in many styles, and points where to check them.

`SLIPS` are realistic mistakes in them: a line, and what a user wrote instead.
"""

import numpy as np


def rnn(theta, X, T):
    Wx, Wh, Wy = theta["Wx"], theta["Wh"], theta["Wy"]
    steps = len(X)
    h = {-1: np.zeros(Wh.shape[0])}
    y = {}
    loss = 0
    for t in range(steps):
        h[t] = np.tanh(Wx @ X[t] + Wh @ h[t - 1])
        y[t] = Wy @ h[t]
        loss += 0.5 * np.sum((y[t] - T[t]) ** 2)
    dWx, dWh, dWy = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(Wy)
    dhnext = np.zeros(Wh.shape[0])
    for t in reversed(range(steps)):
        dy = y[t] - T[t]
        dWy += np.outer(dy, h[t])
        dh = Wy.T @ dy + dhnext
        dhraw = (1 - h[t] * h[t]) * dh
        dWx += np.outer(dhraw, X[t])
        dWh += np.outer(dhraw, h[t - 1])
        dhnext = Wh.T @ dhraw
    return loss, {"Wx": dWx, "Wh": dWh, "Wy": dWy}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(theta, xs, target):
    W, U, b, v = theta["W"], theta["U"], theta["b"], theta["v"]
    H = v.size
    h, c = np.zeros(H), np.zeros(H)
    tape = []
    for x in xs:
        a = W @ x + U @ h + b
        i, f, o = sigmoid(a[:H]), sigmoid(a[H : 2 * H]), sigmoid(a[2 * H : 3 * H])
        g = np.tanh(a[3 * H :])
        c_new = f * c + i * g
        tc = np.tanh(c_new)
        h_new = o * tc
        tape.append((x, h, c, i, f, o, g, tc))
        h, c = h_new, c_new
    e = v @ h - target
    loss = 0.5 * e**2
    dv = e * h
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    dh = e * v
    dc = np.zeros(H)
    for x, h, c, i, f, o, g, tc in tape[::-1]:
        do = dh * tc
        dc = dc + dh * o * (1 - tc**2)
        di = dc * g
        df = dc * c
        dg = dc * i
        da = np.concatenate(
            [di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)]
        )
        dW += np.outer(da, x)
        dU += np.outer(da, h)
        db += da
        dh = U.T @ da
        dc = dc * f
    return loss, {"W": dW, "U": dU, "b": db, "v": dv}


def attention(theta, X, T):
    Q = X @ theta["Wq"]
    K = X @ theta["Wk"]
    V = X @ theta["Wv"]
    scale = 1 / np.sqrt(Q.shape[1])
    S = Q @ K.T * scale
    E = np.exp(S - S.max(axis=1, keepdims=True))
    A = E / E.sum(axis=1, keepdims=True)
    Y = A @ V
    loss = np.mean((Y - T) ** 2)
    dY = 2 * (Y - T) / Y.size
    dA = dY @ V.T
    dV = A.T @ dY
    dS = A * (dA - np.sum(dA * A, axis=1, keepdims=True))
    dQ = dS @ K * scale
    dK = dS.T @ Q * scale
    return loss, {"Wq": X.T @ dQ, "Wk": X.T @ dK, "Wv": X.T @ dV}


def batchnorm(p, X, R):
    N = X.shape[0]
    mu = X @ p["W"]
    u = mu
    mean = u.mean(axis=0)
    var = ((u - mean) ** 2).mean(axis=0)
    ivar = 1 / np.sqrt(var + 1e-5)
    xhat = (u - mean) * ivar
    out = p["gamma"] * xhat + p["beta"]
    loss = np.sum(R * out**2)
    dout = 2 * R * out
    dbeta = dout.sum(axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * p["gamma"]
    dvar = np.sum(dxhat * (u - mean), axis=0) * -0.5 * ivar**3
    dmean = -np.sum(dxhat * ivar, axis=0)
    du = dxhat * ivar + dvar * 2 * (u - mean) / N + dmean / N
    dW = X.T @ du
    return loss, {"W": dW, "gamma": dgamma, "beta": dbeta}


def layernorm(theta, X, t):
    W, g, b = theta
    z = X @ W
    D = z.shape[1]
    mu = z.sum(axis=1, keepdims=True) / D
    zc = z - mu
    sd = np.sqrt((zc**2).sum(axis=1, keepdims=True) / D + 1e-6)
    n = zc / sd
    y = n * g + b
    loss = 0.5 * np.sum((y - t) ** 2)
    y_grad = y - t
    g_grad = (y_grad * n).sum(axis=0)
    b_grad = y_grad.sum(axis=0)
    n_grad = y_grad * g
    z_grad = (
        n_grad
        - n_grad.mean(axis=1, keepdims=True)
        - n * (n_grad * n).mean(axis=1, keepdims=True)
    ) / sd
    W_grad = X.T @ z_grad
    return loss, (W_grad, g_grad, b_grad)


def conv(theta, x, target):
    k, b, w = theta["k"], theta["b"], theta["w"]
    m = len(k)
    L = len(x) - m + 1
    z = np.zeros(L)
    for i in range(L):
        z[i] = np.sum(k * x[i : i + m]) + b
    a = np.maximum(z, 0)
    y = a @ w
    loss = (y - target) ** 2
    dy = 2 * (y - target)
    dw = dy * a
    da = dy * w
    dz = da * (z > 0)
    dk = np.zeros(m)
    for i in range(L):
        dk += dz[i] * x[i : i + m]
    db = np.sum(dz)
    return loss, {"k": dk, "b": db, "w": dw}


def embedding(theta, tokens, labels):
    E, W = theta["E"], theta["W"]
    N = len(tokens)
    x = E[tokens].mean(axis=1)
    logits = x @ W
    logits = logits - logits.max(axis=1, keepdims=True)
    p = np.exp(logits)
    p /= p.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(N), labels]).mean()
    dlogits = p.copy()
    dlogits[np.arange(N), labels] -= 1
    dlogits /= N
    dW = x.T @ dlogits
    dx = dlogits @ W.T
    dE = np.zeros_like(E)
    L = tokens.shape[1]
    for i in range(N):
        for j in range(L):
            dE[tokens[i, j]] += dx[i] / L
    return loss, {"E": dE, "W": dW}


def softmax_regression(W, X, y, reg):
    num_train = X.shape[0]
    scores = X.dot(W)
    scores -= np.max(scores, axis=1, keepdims=True)
    exp_scores = np.exp(scores)
    probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)
    loss = -np.sum(np.log(probs[np.arange(num_train), y])) / num_train
    loss += reg * np.sum(W * W)
    dscores = probs.copy()
    dscores[range(num_train), y] -= 1
    dscores /= num_train
    dW = X.T.dot(dscores)
    dW += 2 * reg * W
    return loss, dW


def svm_naive(W, X, y, reg):
    dW = np.zeros(W.shape)
    num_classes = W.shape[1]
    num_train = X.shape[0]
    loss = 0.0
    for i in range(num_train):
        scores = X[i].dot(W)
        correct = scores[y[i]]
        for j in range(num_classes):
            if j == y[i]:
                continue
            margin = scores[j] - correct + 1
            if margin > 0:
                loss += margin
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    loss /= num_train
    dW /= num_train
    loss += reg * np.sum(W * W)
    dW += 2 * reg * W
    return loss, dW


def svm_vectorized(W, X, y, reg):
    num_train = X.shape[0]
    scores = X.dot(W)
    correct = scores[np.arange(num_train), y].reshape(-1, 1)
    margins = np.maximum(0, scores - correct + 1)
    margins[np.arange(num_train), y] = 0
    loss = margins.sum() / num_train + reg * np.sum(W * W)
    mask = (margins > 0).astype(float)
    mask[np.arange(num_train), y] = -mask.sum(axis=1)
    dW = X.T.dot(mask) / num_train
    dW = dW + 2 * reg * W
    return loss, dW


def vae(theta, X, eps):
    n = len(X)
    h = np.tanh(X @ theta["We"])
    mu = h @ theta["Wm"]
    logvar = h @ theta["Wl"]
    sigma = np.exp(0.5 * logvar)
    z = mu + sigma * eps
    R = z @ theta["Wd"]
    rec = 0.5 * np.sum((R - X) ** 2) / n
    kl = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar)) / n
    loss = rec + kl
    dR = (R - X) / n
    dWd = z.T @ dR
    dz = dR @ theta["Wd"].T
    dmu = dz + mu / n
    dlogvar = dz * eps * 0.5 * sigma - 0.5 * (1 - np.exp(logvar)) / n
    dWm = h.T @ dmu
    dWl = h.T @ dlogvar
    dh = dmu @ theta["Wm"].T + dlogvar @ theta["Wl"].T
    dpre = dh * (1 - h**2)
    dWe = X.T @ dpre
    return loss, {"We": dWe, "Wm": dWm, "Wl": dWl, "Wd": dWd}


def triplet(W, A, P, N):
    a, p, n = A @ W, P @ W, N @ W
    dp, dn = a - p, a - n
    loss_i = np.sum(dp**2, axis=1) - np.sum(dn**2, axis=1) + 1.0
    active = (loss_i > 0)[:, None]
    loss = np.sum(np.maximum(loss_i, 0))
    ga = 2 * (dp - dn) * active
    gp = -2 * dp * active
    gn = 2 * dn * active
    return loss, A.T @ ga + P.T @ gp + N.T @ gn


def infonce(W, X, Y, tau):
    n = len(X)
    u = X @ W
    v = Y @ W
    S = u @ v.T / tau
    P = np.exp(S)
    P = P / P.sum(axis=1, keepdims=True)
    loss = -np.mean(np.log(np.diag(P)))
    dS = (P - np.eye(n)) / n
    du = dS @ v / tau
    dv = dS.T @ u / tau
    dW = X.T @ du + Y.T @ dv
    return loss, dW


def gcn(theta, A, X, T):
    AX = A @ X
    Z = AX @ theta["W0"]
    H = np.maximum(Z, 0)
    AH = A @ H
    Y = AH @ theta["W1"]
    loss = ((Y - T) ** 2).sum()
    dY = 2 * (Y - T)
    dW1 = AH.T @ dY
    dAH = dY @ theta["W1"].T
    dH = A.T @ dAH
    dZ = np.where(Z > 0, dH, 0)
    dW0 = AX.T @ dZ
    return loss, {"W0": dW0, "W1": dW1}


def factorization(theta, R, mask, lam):
    U, V = theta["U"], theta["V"]
    E = mask * (U @ V.T - R)
    loss = 0.5 * np.sum(E**2) + 0.5 * lam * (np.sum(U**2) + np.sum(V**2))
    gU = E @ V + lam * U
    gV = E.T @ U + lam * V
    return loss, {"U": gU, "V": gV}


def mixture(theta, x):
    w, mu, s = theta["w"], theta["mu"], theta["s"]
    pi = np.exp(w) / np.exp(w).sum()
    d = x[:, None] - mu
    var = np.exp(2 * s)
    dens = np.exp(-0.5 * d**2 / var) / np.sqrt(2 * np.pi * var)
    joint = pi * dens
    total = joint.sum(axis=1, keepdims=True)
    nll = -np.log(total).sum()
    r = joint / total
    dw = len(x) * pi - r.sum(axis=0)
    dmu = -(r * d / var).sum(axis=0)
    ds = -(r * (d**2 / var - 1)).sum(axis=0)
    return nll, {"w": dw, "mu": dmu, "s": ds}


def logistic_regression(w, X, y, C):
    m = X.shape[0]
    z = X @ w
    p = 1 / (1 + np.exp(-z))
    J = -(y @ np.log(p) + (1 - y) @ np.log(1 - p)) / m + C / 2 * w @ w
    error = p - y
    grad = X.T @ error / m
    grad = grad + C * w
    return J, grad


def ridge(w, X, y, alpha):
    r = X @ w - y
    return 0.5 * r @ r + 0.5 * alpha * w @ w, X.T @ r + alpha * w


def huber(w, X, y, delta):
    r = X @ w[:-1] + w[-1] - y
    small = np.abs(r) <= delta
    loss = np.sum(np.where(small, 0.5 * r**2, delta * (np.abs(r) - 0.5 * delta)))
    g = np.where(small, r, delta * np.sign(r))
    grad = np.empty_like(w)
    grad[:-1] = X.T @ g
    grad[-1] = g.sum()
    return loss, grad


def cox(beta, X, event):
    eta = X @ beta
    theta = np.exp(eta)
    nll = 0.0
    grad = np.zeros_like(beta)
    for i in range(len(X)):
        if event[i]:
            risk = theta[i:].sum()
            nll -= eta[i] - np.log(risk)
            weighted = theta[i:] @ X[i:]
            grad -= X[i] - weighted / risk
    return nll, grad


def heteroscedastic(theta, X, y):
    a, b = theta["a"], theta["b"]
    mean = X @ a
    logs = X @ b
    res = y - mean
    prec = np.exp(-2 * logs)
    loss = np.sum(logs + 0.5 * res**2 * prec)
    d_mean = -res * prec
    d_logs = 1 - res**2 * prec
    return loss, {"a": X.T @ d_mean, "b": X.T @ d_logs}


def tied_autoencoder(theta, X):
    W, b, c = theta["W"], theta["b"], theta["c"]
    h = sigmoid(X @ W + b)
    r = h @ W.T + c
    loss = 0.5 * np.sum((r - X) ** 2) / len(X)
    dr = (r - X) / len(X)
    dc = dr.sum(0)
    dh = dr @ W
    dz = dh * h * (1 - h)
    db = dz.sum(0)
    dW = X.T @ dz + dr.T @ h
    return loss, {"W": dW, "b": db, "c": dc}


def residual(theta, X, T):
    z = X @ theta["A"]
    h = np.tanh(z)
    y = X + h @ theta["B"]
    u = np.tanh(y @ theta["C"])
    out = y + u
    loss = 0.5 * np.sum((out - T) ** 2)
    d_out = out - T
    d_u = d_out
    d_s = d_u * (1 - u**2)
    d_C = y.T @ d_s
    d_y = d_out + d_s @ theta["C"].T
    d_B = h.T @ d_y
    d_h = d_y @ theta["B"].T
    d_z = d_h * (1 - h**2)
    d_A = X.T @ d_z
    return loss, {"A": d_A, "B": d_B, "C": d_C}


def gated(theta, X, T):
    a = X @ theta["A"]
    g = sigmoid(X @ theta["G"])
    h = a * g
    y = h @ theta["V"]
    E = y - T
    loss = (E * E).mean()
    Ey = 2 * E / E.size
    gV = h.T @ Ey
    gh = Ey @ theta["V"].T
    ga = gh * g
    gg = gh * a
    gpre = gg * g * (1 - g)
    return loss, {"A": X.T @ ga, "G": X.T @ gpre, "V": gV}


def rbf(theta, X, t):
    C, v = theta["C"], theta["v"]
    D = X[:, None, :] - C[None, :, :]
    d2 = (D**2).sum(axis=2)
    phi = np.exp(-d2)
    y = phi @ v
    e = y - t
    loss = 0.5 * e @ e
    gv = phi.T @ e
    gphi = np.outer(e, v)
    gd2 = -gphi * phi
    gC = np.sum(gd2[:, :, None] * -2 * D, axis=0)
    return loss, {"C": gC, "v": gv}


def autoregression(theta, y):
    phi, c, logs = theta
    s2 = np.exp(logs)
    n = len(y)
    loss = 0.0
    dphi = dc = dlogs = 0.0
    for t in range(1, n):
        e = y[t] - c - phi * y[t - 1]
        loss += 0.5 * e**2 / s2 + 0.5 * logs
        de = e / s2
        dphi += -de * y[t - 1]
        dc += -de
        dlogs += 0.5 - 0.5 * e**2 / s2
    return loss, np.array([dphi, dc, dlogs])


def smoothing(theta, y):
    alpha, beta = 1 / (1 + np.exp(-theta[0])), theta[1]
    level = y[0]
    levels = [level]
    errors = []
    for value in y[1:]:
        e = value - beta * level
        errors.append(e)
        level = level + alpha * e
        levels.append(level)
    loss = 0.5 * sum(e**2 for e in errors)
    dalpha = dbeta = 0.0
    dlevel = 0.0
    for t in range(len(errors) - 1, -1, -1):
        de = errors[t] + dlevel * alpha
        dalpha += dlevel * errors[t]
        dbeta -= de * levels[t]
        dlevel = dlevel - de * beta
    return loss, [dalpha * alpha * (1 - alpha), dbeta]


def word2vec(theta, center, context, negatives):
    V, U = theta["V"], theta["U"]
    v = V[center]
    s_pos = sigmoid(U[context] @ v)
    s_neg = sigmoid(-U[negatives] @ v)
    loss = -np.log(s_pos) - np.sum(np.log(s_neg))
    gV = np.zeros_like(V)
    gU = np.zeros_like(U)
    gV[center] += (s_pos - 1) * U[context]
    gV[center] += (1 - s_neg) @ U[negatives]
    gU[context] += (s_pos - 1) * v
    np.add.at(gU, negatives, np.outer(1 - s_neg, v))
    return loss, {"V": gV, "U": gU}


def factorization_machine(theta, X, y):
    w, V = theta["w"], theta["V"]
    XV = X @ V
    X2V2 = (X**2) @ (V**2)
    pred = X @ w + 0.5 * np.sum(XV**2 - X2V2, axis=1)
    err = pred - y
    loss = 0.5 * np.mean(err**2)
    delta = err / len(y)
    gw = X.T @ delta
    gXV = delta[:, None] * XV
    gX2V2 = -0.5 * delta[:, None] * np.ones((1, V.shape[1]))
    gV = X.T @ gXV + 2 * V * ((X**2).T @ gX2V2)
    return loss, {"w": gw, "V": gV}


def pooled(theta, X, t):
    N = len(X)
    z = X @ theta["W"]
    pairs = z.reshape(N, -1, 2)
    winners = pairs.argmax(axis=2)
    m = pairs.max(axis=2)
    y = m @ theta["v"]
    loss = 0.5 * np.sum((y - t) ** 2) / N
    dy = (y - t) / N
    dv = m.T @ dy
    dm = dy[:, None] * theta["v"]
    dpairs = np.zeros(pairs.shape)
    for k in range(2):
        dpairs[:, :, k] = dm * (winners == k)
    dz = dpairs.reshape(z.shape)
    dW = X.T @ dz
    return loss, {"W": dW, "v": dv}


def forward_algorithm(theta, obs):
    A = theta["A"] - np.log(np.exp(theta["A"]).sum(axis=1, keepdims=True))
    B = theta["B"]
    T = len(obs)
    alpha = np.zeros((T, len(A)))
    alpha[0] = B[:, obs[0]]
    for t in range(1, T):
        M = alpha[t - 1][:, None] + A
        alpha[t] = np.log(np.exp(M).sum(axis=0)) + B[:, obs[t]]
    total = np.log(np.exp(alpha[-1]).sum())
    loss = -total
    dA = np.zeros_like(A)
    dB = np.zeros_like(B)
    dalpha = -np.exp(alpha[-1] - total)
    for t in range(T - 1, 0, -1):
        M = alpha[t - 1][:, None] + A
        share = np.exp(M) / np.exp(M).sum(axis=0)
        dB[:, obs[t]] += dalpha
        dM = share * dalpha
        dA += dM
        dalpha = dM.sum(axis=1)
    dB[:, obs[0]] += dalpha
    P = np.exp(A)
    dlogits = dA - P * dA.sum(axis=1, keepdims=True)
    return loss, {"A": dlogits, "B": dB}


def make_objective(X, y, lam):
    def forward(w):
        z = X @ w["U"]
        return z, np.tanh(z)

    def objective(w):
        z, h = forward(w)
        res = h @ w["v"] - y
        value = 0.5 * np.dot(res, res) + lam * np.abs(w["v"]).sum()

        def backward():
            gv = h.T @ res + lam * np.sign(w["v"])
            gh = np.outer(res, w["v"])
            gz = gh * (1 - np.tanh(z) ** 2)
            return {"U": X.T @ gz, "v": gv}

        return value, backward()

    return objective


def closure(theta, X, y):
    return make_objective(X, y, 0.2)(theta)


class Perceptron:
    def __init__(self, slope=0.1):
        self.slope = slope

    def leaky(self, z):
        return np.where(z > 0, z, self.slope * z)

    def leaky_prime(self, z):
        return np.where(z > 0, 1.0, self.slope)

    def cost(self, theta, X, Y):
        self.Z1 = theta["W1"] @ X.T + theta["b1"]
        self.A1 = self.leaky(self.Z1)
        self.Z2 = theta["W2"] @ self.A1 + theta["b2"]
        self.A2 = 1 / (1 + np.exp(-self.Z2))
        m = X.shape[0]
        return -np.sum(Y.T * np.log(self.A2) + (1 - Y.T) * np.log(1 - self.A2)) / m

    def gradients(self, theta, X, Y):
        m = X.shape[0]
        dZ2 = self.A2 - Y.T
        dW2 = dZ2 @ self.A1.T / m
        db2 = np.sum(dZ2, axis=1, keepdims=True) / m
        dA1 = theta["W2"].T @ dZ2
        dZ1 = dA1 * self.leaky_prime(self.Z1)
        dW1 = dZ1 @ X / m
        db1 = np.sum(dZ1, axis=1, keepdims=True) / m
        return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

    def __call__(self, theta, X, Y):
        return self.cost(theta, X, Y), self.gradients(theta, X, Y)


perceptron = Perceptron()


def normalized(theta, X, t):
    u = X @ theta["W"]
    norm = np.sqrt(np.sum(u**2, axis=1, keepdims=True))
    n = u / norm
    s = n @ theta["v"]
    loss = np.sum((s - t) ** 2)
    ds = 2 * (s - t)
    dv = n.T @ ds
    dn = np.outer(ds, theta["v"])
    du = (dn - n * np.sum(dn * n, axis=1, keepdims=True)) / norm
    dW = X.T @ du
    return loss, {"W": dW, "v": dv}


def quadratic_form(w, A, b):
    value = 0.5 * w @ A @ w - b @ w
    g = 0.5 * (A + A.T) @ w - b
    return value, g


def log_determinant(L, S):
    Sigma = L @ L.T + np.eye(len(L))
    P = np.linalg.inv(Sigma)
    value = np.log(np.linalg.det(Sigma)) + np.trace(P @ S)
    dSigma = P - P @ S @ P
    dL = 2 * dSigma @ L
    return value, dL


def points():
    """Return the points: the function's name, its kind, theta and further arguments."""
    draw = np.random.default_rng(0)

    def r(*shape):
        return 0.7 * draw.normal(size=shape)

    def p(**shapes):
        return {name: r(*shape) for name, shape in shapes.items()}

    X, Y3, Y2, y = r(6, 3), r(6, 3), r(6, 2), r(6)
    labels = draw.integers(0, 3, 6)
    A = (draw.uniform(size=(6, 6)) < 0.5) * 0.5
    bits = draw.integers(0, 2, 6)
    series = r(8) + 1
    M = r(3, 3)
    return {
        "rnn": ("loops", p(Wx=(3, 3), Wh=(3, 3), Wy=(3, 3)), (r(4, 3), r(4, 3))),
        "lstm": ("loops", p(W=(12, 2), U=(12, 3), b=(12,), v=(3,)), (r(4, 2), 0.3)),
        "attention": ("straight", p(Wq=(3, 3), Wk=(3, 3), Wv=(3, 3)), (X, Y3)),
        "batchnorm": ("straight", p(W=(3, 3), gamma=(3,), beta=(3,)), (X, Y3)),
        "layernorm": ("straight", [r(3, 4), r(4), r(4)], (X, r(6, 4))),
        "conv": ("loops", p(k=(3,), b=(), w=(7,)), (r(9), 0.5)),
        "embedding": (
            "loops",
            p(E=(5, 3), W=(3, 3)),
            (draw.integers(0, 5, (6, 2)), labels),
        ),
        "softmax_regression": ("straight", r(3, 3), (X, labels, 0.1)),
        "svm_naive": ("loops", r(3, 3), (X, labels, 0.1)),
        "svm_vectorized": ("straight", r(3, 3), (X, labels, 0.1)),
        "vae": ("straight", p(We=(3, 4), Wm=(4, 2), Wl=(4, 2), Wd=(2, 3)), (X, Y2)),
        "triplet": ("straight", r(3, 2), (X, Y3, r(6, 3))),
        "infonce": ("straight", r(3, 2), (X, Y3, 0.5)),
        "gcn": ("straight", p(W0=(3, 3), W1=(3, 2)), (A, X, Y2)),
        "factorization": (
            "straight",
            p(U=(5, 2), V=(4, 2)),
            (r(5, 4), draw.uniform(size=(5, 4)) < 0.7, 0.3),
        ),
        "mixture": ("straight", p(w=(3,), mu=(3,), s=(3,)), (r(9),)),
        "logistic_regression": ("straight", r(3), (X, bits, 0.2)),
        "ridge": ("straight", r(3), (X, y, 0.5)),
        "huber": ("flat", r(4), (X, y, 0.6)),
        "cox": ("loops", r(3), (X, bits)),
        "heteroscedastic": ("straight", p(a=(3,), b=(3,)), (X, y)),
        "tied_autoencoder": ("helpers", p(W=(3, 2), b=(2,), c=(3,)), (X,)),
        "residual": ("straight", p(A=(3, 3), B=(3, 3), C=(3, 3)), (X, Y3)),
        "gated": ("helpers", p(A=(3, 4), G=(3, 4), V=(4, 2)), (X, Y2)),
        "rbf": ("straight", p(C=(4, 3), v=(4,)), (X, y)),
        "autoregression": ("scalars", r(3), (series,)),
        "smoothing": ("scalars", [0.3, 0.8], (series,)),
        "word2vec": ("helpers", p(V=(5, 3), U=(5, 3)), (1, 2, np.array([0, 3, 4]))),
        "factorization_machine": ("straight", p(w=(3,), V=(3, 2)), (X, y)),
        "pooled": ("loops", p(W=(3, 6), v=(3,)), (X, y)),
        "forward_algorithm": (
            "loops",
            p(A=(3, 3), B=(3, 4)),
            (draw.integers(0, 4, 5),),
        ),
        "closure": ("closures", p(U=(3, 3), v=(3,)), (X, y)),
        "perceptron": (
            "classes",
            p(W1=(4, 3), b1=(4, 1), W2=(1, 4), b2=(1, 1)),
            (X, bits[:, None]),
        ),
        "normalized": ("straight", p(W=(3, 4), v=(4,)), (X, y)),
        "quadratic_form": ("straight", r(3), (M, r(3))),
        "log_determinant": ("straight", r(3, 3), (M @ M.T,)),
    }


SLIPS = {
    "rnn": (
        ("dh = Wy.T @ dy + dhnext", "dh = Wy.T @ dy"),
        ("dhraw = (1 - h[t] * h[t]) * dh", "dhraw = (1 - h[t]) * dh"),
        ("dWh += np.outer(dhraw, h[t - 1])", "dWh += np.outer(dhraw, h[t])"),
        ("dWx += np.outer(dhraw, X[t])", "dWx = np.outer(dhraw, X[t])"),
        ("dhnext = Wh.T @ dhraw", "dhnext = Wh @ dhraw"),
        ("dhnext = Wh.T @ dhraw", "dhnext = Wh.T @ dh"),
        ("for t in reversed(range(steps)):", "for t in reversed(range(1, steps)):"),
    ),
    "lstm": (
        ("dc = dc + dh * o * (1 - tc**2)", "dc = dh * o * (1 - tc**2)"),
        ("dc = dc * f", "dc = dc * i"),
        ("df = dc * c", "df = dc * g"),
        ("dc = dc + dh * o * (1 - tc**2)", "dc = dc + dh * o * (1 - tc)"),
        ("dh = U.T @ da", "dh = dh + U.T @ da"),
        ("do = dh * tc", "do = dh * g"),
    ),
    "attention": (
        (
            "dS = A * (dA - np.sum(dA * A, axis=1, keepdims=True))",
            "dS = A * (dA - np.sum(dA * A, axis=0, keepdims=True))",
        ),
        (
            "dS = A * (dA - np.sum(dA * A, axis=1, keepdims=True))",
            "dS = A * (1 - A) * dA",
        ),
        ("dK = dS.T @ Q * scale", "dK = dS.T @ Q"),
        ("dK = dS.T @ Q * scale", "dK = dS @ Q * scale"),
        ("dY = 2 * (Y - T) / Y.size", "dY = 2 * (Y - T) / len(Y)"),
        ("dA = dY @ V.T", "dA = dY @ V"),
        ("dV = A.T @ dY", "dV = A @ dY"),
    ),
    "batchnorm": (
        (
            "du = dxhat * ivar + dvar * 2 * (u - mean) / N + dmean / N",
            "du = dxhat * ivar",
        ),
        (
            "du = dxhat * ivar + dvar * 2 * (u - mean) / N + dmean / N",
            "du = dxhat * ivar + dvar * 2 * (u - mean) + dmean / N",
        ),
        (
            "dvar = np.sum(dxhat * (u - mean), axis=0) * -0.5 * ivar**3",
            "dvar = np.sum(dxhat * (u - mean), axis=0) * -0.5 * ivar**2",
        ),
        (
            "dmean = -np.sum(dxhat * ivar, axis=0)",
            "dmean = np.sum(dxhat * ivar, axis=0)",
        ),
        ("dgamma = np.sum(dout * xhat, axis=0)", "dgamma = np.sum(dout * u, axis=0)"),
    ),
    "layernorm": (
        ("n_grad = y_grad * g", "n_grad = y_grad"),
        ("g_grad = (y_grad * n).sum(axis=0)", "g_grad = (y_grad * z).sum(axis=0)"),
        ("W_grad = X.T @ z_grad", "W_grad = X.T @ n_grad"),
    ),
    "embedding": (
        ("dE[tokens[i, j]] += dx[i] / L", "dE[tokens[i, j]] = dx[i] / L"),
        ("dE[tokens[i, j]] += dx[i] / L", "dE[tokens[i, j]] += dx[i]"),
        ("dlogits /= N", "dlogits /= 1"),
        ("dlogits[np.arange(N), labels] -= 1", "dlogits[np.arange(N), labels] -= 2"),
    ),
    "softmax_regression": (
        ("dscores /= num_train", "pass"),
        ("dW += 2 * reg * W", "dW += reg * W"),
        ("dW += 2 * reg * W", "pass"),
        ("dscores[range(num_train), y] -= 1", "dscores[range(num_train), y] = -1"),
    ),
    "svm_naive": (
        ("dW[:, y[i]] -= X[i]", "pass"),
        ("dW[:, j] += X[i]", "dW[:, j] = X[i]"),
        ("dW /= num_train", "pass"),
        ("dW += 2 * reg * W", "dW += reg * W"),
    ),
    "svm_vectorized": (
        (
            "mask[np.arange(num_train), y] = -mask.sum(axis=1)",
            "mask[np.arange(num_train), y] = -1",
        ),
        ("dW = X.T.dot(mask) / num_train", "dW = X.T.dot(mask)"),
    ),
    "vae": (
        ("dmu = dz + mu / n", "dmu = dz"),
        ("dmu = dz + mu / n", "dmu = dz + mu"),
        (
            "dlogvar = dz * eps * 0.5 * sigma - 0.5 * (1 - np.exp(logvar)) / n",
            "dlogvar = dz * eps * sigma - 0.5 * (1 - np.exp(logvar)) / n",
        ),
        (
            "dlogvar = dz * eps * 0.5 * sigma - 0.5 * (1 - np.exp(logvar)) / n",
            "dlogvar = dz * 0.5 * sigma - 0.5 * (1 - np.exp(logvar)) / n",
        ),
        (
            "dh = dmu @ theta['Wm'].T + dlogvar @ theta['Wl'].T",
            "dh = dmu @ theta['Wm'].T",
        ),
    ),
    "infonce": (
        ("dv = dS.T @ u / tau", "dv = dS @ u / tau"),
        ("dS = (P - np.eye(n)) / n", "dS = P - np.eye(n)"),
    ),
    "gcn": (
        ("dH = A.T @ dAH", "dH = A @ dAH"),
        ("dW0 = AX.T @ dZ", "dW0 = X.T @ dZ"),
        ("dZ = np.where(Z > 0, dH, 0)", "dZ = dH"),
    ),
    "tied_autoencoder": (
        ("dW = X.T @ dz + dr.T @ h", "dW = X.T @ dz"),
        ("dz = dh * h * (1 - h)", "dz = dh * (1 - h)"),
    ),
    "residual": (
        ("d_y = d_out + d_s @ theta['C'].T", "d_y = d_s @ theta['C'].T"),
        ("d_C = y.T @ d_s", "d_C = X.T @ d_s"),
    ),
    "gated": (
        ("gg = gh * a", "gg = gh * g"),
        ("gpre = gg * g * (1 - g)", "gpre = gg * g"),
    ),
    "logistic_regression": (
        ("grad = grad + C * w", "pass"),
        ("error = p - y", "error = y - p"),
        ("grad = X.T @ error / m", "grad = X.T @ error"),
    ),
    "perceptron": (
        ("dZ1 = dA1 * self.leaky_prime(self.Z1)", "dZ1 = dA1 * self.leaky(self.Z1)"),
        ("dW1 = dZ1 @ X / m", "dW1 = dZ1 @ X"),
        ("db1 = np.sum(dZ1, axis=1, keepdims=True) / m", "db1 = np.sum(dZ1) / m"),
        ("dZ1 = dA1 * self.leaky_prime(self.Z1)", "dZ1 = dA1"),
    ),
    "huber": (
        ("grad[-1] = g.sum()", "grad[-1] = g.mean()"),
        ("g = np.where(small, r, delta * np.sign(r))", "g = np.where(small, r, delta)"),
    ),
    "forward_algorithm": (
        ("dB[:, obs[0]] += dalpha", "pass"),
        ("dalpha = dM.sum(axis=1)", "dalpha = dM.sum(axis=0)"),
        ("dlogits = dA - P * dA.sum(axis=1, keepdims=True)", "dlogits = dA"),
    ),
    "closure": (
        ("gz = gh * (1 - np.tanh(z) ** 2)", "gz = gh * (1 - np.tanh(z))"),
        ("gv = h.T @ res + lam * np.sign(w['v'])", "gv = h.T @ res"),
    ),
    "word2vec": (
        (
            "gV[center] += (1 - s_neg) @ U[negatives]",
            "gV[center] = (1 - s_neg) @ U[negatives]",
        ),
        ("gU[context] += (s_pos - 1) * v", "gU[context] += s_pos * v"),
    ),
    "normalized": (
        (
            "du = (dn - n * np.sum(dn * n, axis=1, keepdims=True)) / norm",
            "du = dn / norm",
        ),
    ),
    "smoothing": (
        ("dlevel = dlevel - de * beta", "dlevel = -de * beta"),
        ("de = errors[t] + dlevel * alpha", "de = errors[t]"),
    ),
    "rbf": (
        (
            "gC = np.sum(gd2[:, :, None] * -2 * D, axis=0)",
            "gC = np.sum(gd2[:, :, None] * 2 * D, axis=0)",
        ),
        ("gd2 = -gphi * phi", "gd2 = gphi * phi"),
    ),
    "pooled": (
        ("dpairs[:, :, k] = dm * (winners == k)", "dpairs[:, :, k] = dm"),
        ("dy = (y - t) / N", "dy = y - t"),
    ),
    "factorization_machine": (
        (
            "gX2V2 = -0.5 * delta[:, None] * np.ones((1, V.shape[1]))",
            "gX2V2 = -delta[:, None] * np.ones((1, V.shape[1]))",
        ),
    ),
    "heteroscedastic": (
        ("d_logs = 1 - res**2 * prec", "d_logs = -(res**2) * prec"),
        ("d_mean = -res * prec", "d_mean = res * prec"),
    ),
}

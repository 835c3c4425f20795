"""Source code of right losses with gradients: the same networks in ten styles of programming."""

from itertools import product

import numpy as np

ACTIVATIONS = {
    "tanh": ("np.tanh({z})", "(1 - {h}**2)"),
    "logistic": ("1 / (1 + np.exp(-{z}))", "{h} * (1 - {h})"),
    "relu": ("np.maximum({z}, 0)", "({z} > 0)"),
    "softplus": ("np.log1p(np.exp({z}))", "(1 / (1 + np.exp(-{z})))"),
    "sine": ("np.sin({z})", "np.cos({z})"),
    "arctan": ("np.arctan({z})", "1 / (1 + {z}**2)"),
    "elu": (
        "np.where({z} > 0, {z}, np.exp({z}) - 1)",
        "np.where({z} > 0, 1.0, {h} + 1)",
    ),
}

LOSSES = {
    "squares": ("0.5 * np.sum(({y} - t) ** 2) / n", "({y} - t) / n"),
    "logcosh": ("np.sum(np.log(np.cosh({y} - t))) / n", "np.tanh({y} - t) / n"),
    "binary": (
        "np.sum(np.log1p(np.exp({y})) - t * {y}) / n",
        "(1 / (1 + np.exp(-{y})) - t) / n",
    ),
    "poisson": ("np.sum(np.exp({y}) - t * {y}) / n", "(np.exp({y}) - t) / n"),
    "charbonnier": (
        "np.sum(np.sqrt(1 + ({y} - t) ** 2)) / n",
        "({y} - t) / np.sqrt(1 + ({y} - t) ** 2) / n",
    ),
}


def parts(activation, loss):
    """Return functions that write the activation, its derivative, the loss and its derivative."""
    value, slope = ACTIVATIONS[activation]
    cost, delta = LOSSES[loss]
    return (
        lambda z: value.format(z=z),
        lambda z, h: slope.format(z=z, h=h),
        lambda y: cost.format(y=y),
        lambda y: delta.format(y=y),
    )


def straight(activation, loss):
    f, df, cost, delta = parts(activation, loss)
    return f"""
def loss_and_gradient(w, X, t):
    n = len(X)
    lam = 0.1
    z1 = X @ w["W1"] + w["b1"]
    h1 = {f("z1")}
    z2 = h1 @ w["W2"] + w["b2"]
    h2 = {f("z2")}
    y = h2 @ w["v"] + w["c"]
    loss = {cost("y")}
    loss = loss + 0.5 * lam * np.sum(w["W1"] ** 2)
    dy = {delta("y")}
    dv = h2.T @ dy
    dc = dy.sum(axis=0)
    dh2 = dy @ w["v"].T
    dz2 = dh2 * {df("z2", "h2")}
    dW2 = h1.T @ dz2
    db2 = dz2.sum(axis=0)
    dh1 = dz2 @ w["W2"].T
    dz1 = dh1 * {df("z1", "h1")}
    dW1 = X.T @ dz1 + lam * w["W1"]
    db1 = dz1.sum(axis=0)
    return loss, {{"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "v": dv, "c": dc}}
"""


def layers_in_lists(activation, loss):
    f, df, cost, delta = parts(activation, loss)
    return f"""
def backprop(params, X, t):
    Ws, bs = params["W"], params["b"]
    n = X.shape[0]
    activations = [X]
    zs = []
    for i in range(len(Ws)):
        z = activations[-1] @ Ws[i] + bs[i]
        zs.append(z)
        if i < len(Ws) - 1:
            a = {f("z")}
        else:
            a = z
        activations.append(a)
    out = activations[-1]
    cost = {cost("out")}
    nabla_w = [np.zeros(W.shape) for W in Ws]
    nabla_b = [np.zeros(b.shape) for b in bs]
    delta = {delta("out")}
    nabla_w[-1] = activations[-2].T @ delta
    nabla_b[-1] = delta.sum(axis=0)
    for l in range(2, len(Ws) + 1):
        z = zs[-l]
        h = activations[-l]
        slope = {df("z", "h")}
        delta = (delta @ Ws[-l + 1].T) * slope
        nabla_w[-l] = activations[-l - 1].T @ delta
        nabla_b[-l] = delta.sum(axis=0)
    return cost, {{"W": nabla_w, "b": nabla_b}}
"""


def model_class(activation, loss):
    f, df, cost, delta = parts(activation, loss)
    return f"""
class Model:
    def __init__(self, weight_decay):
        self.weight_decay = weight_decay

    def forward(self, theta, X):
        self.X = X
        self.Z = X @ theta["W"] + theta["b"]
        self.H = {f("self.Z")}
        self.Y = self.H @ theta["V"] + theta["d"]
        return self.Y

    def loss(self, theta, t):
        n = len(t)
        decay = self.weight_decay * (np.sum(theta["W"] ** 2) + np.sum(theta["V"] ** 2))
        return {cost("self.Y")} + decay

    def backward(self, theta, t):
        n = len(t)
        grads = {{}}
        g_Y = {delta("self.Y")}
        grads["V"] = self.H.T @ g_Y
        grads["V"] += 2 * self.weight_decay * theta["V"]
        grads["d"] = np.sum(g_Y, axis=0)
        g_H = g_Y @ theta["V"].T
        g_Z = g_H * {df("self.Z", "self.H")}
        grads["W"] = self.X.T @ g_Z
        grads["W"] += 2 * self.weight_decay * theta["W"]
        grads["b"] = np.sum(g_Z, axis=0)
        return grads

    def loss_and_grads(self, theta, X, t):
        self.forward(theta, X)
        return self.loss(theta, t), self.backward(theta, t)


f = Model(0.01).loss_and_grads
"""


def einsum(activation, loss):
    f, df, cost, delta = parts(activation, loss)
    return f"""
def energy(p, X, t):
    n = len(X)
    pre = np.einsum("ni,ih->nh", X, p["A"])
    hid = {f("pre")}
    out = np.einsum("nh,ho->no", hid, p["B"]) + np.einsum("ni,io->no", X, p["S"])
    value = {cost("out")}
    out_bar = {delta("out")}
    B_bar = np.einsum("nh,no->ho", hid, out_bar)
    S_bar = np.einsum("ni,no->io", X, out_bar)
    hid_bar = np.einsum("no,ho->nh", out_bar, p["B"])
    pre_bar = hid_bar * {df("pre", "hid")}
    A_bar = np.einsum("ni,nh->ih", X, pre_bar)
    return value, {{"A": A_bar, "B": B_bar, "S": S_bar}}
"""


def flat_vector(activation, loss):
    f, df, cost, delta = parts(activation, loss)
    return f"""
def objective(theta, X, t):
    n, d = X.shape
    o = t.shape[1]
    k = (theta.size - o) // (d + 1 + o)
    W = theta[: d * k].reshape(d, k)
    b = theta[d * k : d * k + k]
    V = theta[d * k + k : d * k + k + k * o].reshape(k, o)
    c = theta[-o:]
    a = X @ W + b
    s = {f("a")}
    y = s @ V + c
    J = {cost("y")} + 0.05 * np.sum(V**2)
    grad_y = {delta("y")}
    grad_V = s.T @ grad_y + 0.1 * V
    grad_c = np.sum(grad_y, 0)
    grad_s = grad_y.dot(V.T)
    grad_a = grad_s * {df("a", "s")}
    grad_W = X.T.dot(grad_a)
    grad_b = np.sum(grad_a, 0)
    return J, np.concatenate([grad_W.ravel(), grad_b, grad_V.ravel(), grad_c])
"""


def helpers(activation, loss):
    f, df, cost, delta = parts(activation, loss)
    return f"""
def affine_forward(x, w, b):
    out = x @ w + b
    cache = (x, w)
    return out, cache


def affine_backward(dout, cache):
    x, w = cache
    dx = dout @ w.T
    dw = x.T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db


def act_forward(x):
    out = {f("x")}
    return out, (x, out)


def act_backward(dout, cache):
    x, out = cache
    return dout * {df("x", "out")}


def two_layer_net(params, X, t):
    n = X.shape[0]
    a1, cache1 = affine_forward(X, params["W1"], params["b1"])
    r1, cache_r1 = act_forward(a1)
    a2, cache2 = affine_forward(r1, params["W2"], params["b2"])
    r2, cache_r2 = act_forward(a2)
    scores, cache3 = affine_forward(r2, params["W3"], params["b3"])
    loss = {cost("scores")}
    dscores = {delta("scores")}
    grads = {{}}
    dr2, grads["W3"], grads["b3"] = affine_backward(dscores, cache3)
    da2 = act_backward(dr2, cache_r2)
    dr1, grads["W2"], grads["b2"] = affine_backward(da2, cache2)
    da1 = act_backward(dr1, cache_r1)
    dX, grads["W1"], grads["b1"] = affine_backward(da1, cache1)
    return loss, grads
"""


def sample_loops(activation, loss):
    f, df, cost, delta = parts(activation, loss)
    return f"""
def loss_grad(W, v, X, T):
    n = len(X)
    total = 0.0
    dW = np.zeros_like(W)
    dv = np.zeros_like(v)
    for i in range(n):
        x, t = X[i], T[i]
        z = W @ x
        h = {f("z")}
        y = v @ h
        total += {cost("y")}
        d_y = {delta("y")}
        dv += np.outer(d_y, h)
        d_h = v.T @ d_y
        d_z = d_h * {df("z", "h")}
        dW += np.outer(d_z, x)
    return total, dW, dv


def f(theta, X, T):
    W, v = theta
    value, dW, dv = loss_grad(W, v, X, T)
    return value, [dW, dv]
"""


def scalars(activation, loss):
    f, df, cost, delta = parts(activation, loss)
    return f"""
def neuron(theta, x, t):
    w1, b1, w2, b2, v1, v2 = theta
    n = 2
    u1 = w1 * x + b1
    u2 = w2 * x + b2
    h1 = {f("u1")}
    h2 = {f("u2")}
    y = v1 * h1 + v2 * h2
    L = {cost("y")}
    dL_dy = {delta("y")}
    dL_dv1 = dL_dy * h1
    dL_dv2 = dL_dy * h2
    dL_dh1 = dL_dy * v1
    dL_dh2 = dL_dy * v2
    dL_du1 = dL_dh1 * {df("u1", "h1")}
    dL_du2 = dL_dh2 * {df("u2", "h2")}
    dL_dw1 = dL_du1 * x
    dL_db1 = dL_du1
    dL_dw2 = dL_du2 * x
    dL_db2 = dL_du2
    return L, np.array([dL_dw1, dL_db1, dL_dw2, dL_db2, dL_dv1, dL_dv2])
"""


def layer_objects(activation, loss):
    f, df, cost, delta = parts(activation, loss)
    return f"""
class Linear:
    def __init__(self, key):
        self.key = key

    def forward(self, theta, x):
        self.x = x
        return x @ theta[self.key]

    def backward(self, theta, grad, grads):
        grads[self.key] = self.x.T @ grad
        return grad @ theta[self.key].T


class Act:
    def forward(self, theta, x):
        self.x = x
        self.out = {f("x")}
        return self.out

    def backward(self, theta, grad, grads):
        return grad * {df("self.x", "self.out")}


LAYERS = [Linear("A"), Act(), Linear("B"), Act(), Linear("C")]


def run(theta, X, t):
    n = len(X)
    out = X
    for layer in LAYERS:
        out = layer.forward(theta, out)
    loss = {cost("out")}
    grad = {delta("out")}
    grads = {{}}
    for layer in reversed(LAYERS):
        grad = layer.backward(theta, grad, grads)
    return loss, grads
"""


def compact(activation, loss):
    f, df, cost, delta = parts(activation, loss)
    return f"""
def fg(theta, X, t):
    n = len(X)
    W, V = theta["W"], theta["V"]
    H = {f("(X @ W)")}
    E = {delta("(H @ V)")}
    G = (E @ V.T) * {df("(X @ W)", "H")}
    return {cost("(H @ V)")} + np.sum(V**2), {{"W": X.T @ G, "V": H.T @ E + 2 * V}}
"""


def arrays(draw, **shapes):
    return {name: 0.6 * draw.normal(size=shape) for name, shape in shapes.items()}


def point(style, number):
    """Return theta and the further arguments for a style; every other point has square matrices."""
    draw = np.random.default_rng(number)
    n, i, h, o = (7, 3, 4, 2) if number % 2 else (5, 3, 3, 3)
    args = (draw.normal(size=(n, i)), draw.uniform(0.1, 0.9, (n, o)))
    if style is straight:
        theta = arrays(draw, W1=(i, h), b1=h, W2=(h, h), b2=h, v=(h, o), c=o)
    elif style is layers_in_lists:
        theta = {
            "W": list(arrays(draw, a=(i, h), b=(h, h), c=(h, o)).values()),
            "b": list(arrays(draw, a=h, b=h, c=o).values()),
        }
    elif style is model_class:
        theta = arrays(draw, W=(i, h), b=h, V=(h, o), d=o)
    elif style is einsum:
        theta = arrays(draw, A=(i, h), B=(h, o), S=(i, o))
    elif style is flat_vector:
        theta = 0.6 * draw.normal(size=i * h + h + h * o + o)
    elif style is helpers:
        theta = arrays(draw, W1=(i, h), b1=h, W2=(h, h), b2=h, W3=(h, o), b3=o)
    elif style is sample_loops:
        theta = list(arrays(draw, W=(h, i), v=(o, h)).values())
    elif style is scalars:
        theta = draw.normal(size=6)
        args = (0.7, 0.4)
    elif style is layer_objects:
        theta = arrays(draw, A=(i, h), B=(h, h), C=(h, o))
    else:
        theta = arrays(draw, W=(i, h), V=(h, o))
    return theta, args


STYLES = (
    straight,
    layers_in_lists,
    model_class,
    einsum,
    flat_vector,
    helpers,
    sample_loops,
    scalars,
    layer_objects,
    compact,
)


def sources(each=12):
    """Yield (style, name, source, theta, args) of the right functions."""
    combinations = list(product(ACTIVATIONS, LOSSES))
    for number, style in enumerate(STYLES):
        draw = np.random.default_rng(number)
        for index in draw.permutation(len(combinations))[:each]:
            activation, loss = combinations[index]
            name = f"{style.__name__}_{activation}_{loss}"
            theta, args = point(style, int(index))
            yield style.__name__, name, style(activation, loss), theta, args

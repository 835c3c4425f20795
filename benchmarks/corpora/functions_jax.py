"""Functions in JAX, whose gradient is JAX's, or that of a rule of their own."""

from functools import partial

import numpy as np

from function_case import Case, draw
from vecprop.check import jax_function


class Adapted:
    """A JAX function as a function of NumPy parameters, with or without a slip."""

    def __init__(self, f):
        self.jax, self.__name__, self.made = f, getattr(f, "__name__", "module"), {}

    def adapted(self, slip=None):
        """Return the function that is checked."""
        if slip not in self.made:
            self.made[slip] = jax_function(
                self.jax if slip is None else partial(self.jax, slip=slip)
            )
        return self.made[slip]

    def __call__(self, theta, *args, slip=None):
        return self.adapted(slip)(theta, *args)


def cases(there, seed=0):
    return list(_cases(seed)) if "jax" in there else []


def _cases(seed):
    import jax  # pyright: ignore[reportMissingImports] (in the benchmarks' environment)
    from jax import nn  # pyright: ignore[reportMissingImports]
    from jax import numpy as jnp  # pyright: ignore[reportMissingImports]

    r = draw(50, seed)
    n = r.standard_normal
    X, y, t, Y = n((20, 4)), n(20), r.integers(0, 3, 20), n((20, 3))

    def case(name, f, theta, *args, **more):
        return Case(
            f"jax, {name}",
            Adapted(f),
            theta,
            args,
            backend="jax",
            **{"rows": 20, **more},
        )

    @partial(jax.custom_vjp, nondiff_argnums=(1,))
    def cube(x, slip):
        return x**3

    cube.defvjp(  # pyright: ignore[reportFunctionMemberAccess]
        lambda x, slip: (x**3, x), lambda slip, x, d: (d * (2 if slip else 3) * x**2,)
    )

    @partial(jax.custom_vjp, nondiff_argnums=(1,))
    def own_softmax(Z, slip):
        return nn.softmax(Z)

    def softmax_back(slip, A, D):
        return (
            A * ((1 - A) * D if slip else D - jnp.sum(A * D, axis=-1, keepdims=True)),
        )

    own_softmax.defvjp(  # pyright: ignore[reportFunctionMemberAccess]
        lambda Z, slip: (nn.softmax(Z), nn.softmax(Z)), softmax_back
    )

    @partial(jax.custom_vjp, nondiff_argnums=(1,))
    def own_norm(X, slip):
        return own_norm_forward(X, slip)[0]

    def own_norm_forward(X, slip):
        s = jnp.sqrt(jnp.var(X, axis=-1, keepdims=True) + 1e-5)
        Y = (X - jnp.mean(X, axis=-1, keepdims=True)) / s
        return Y, (Y, s)

    def own_norm_back(slip, saved, D):
        Y, s = saved
        back = D - jnp.mean(D, axis=-1, keepdims=True)
        return (
            (back if slip else back - Y * jnp.mean(D * Y, axis=-1, keepdims=True)) / s,
        )

    own_norm.defvjp(  # pyright: ignore[reportFunctionMemberAccess]
        own_norm_forward, own_norm_back
    )

    @jax.jit
    def logistic_loss(w):
        return jnp.mean(nn.softplus(X @ w) - (y > 0) * (X @ w))

    @jax.jit
    def classifier(p, X, t):
        Z = jnp.tanh(X @ p["W"] + p["b"]) @ p["V"] + p["c"]
        return -jnp.mean(nn.log_softmax(Z)[jnp.arange(len(t)), t])

    @jax.jit
    def attention(p, mask):
        Q, K, V = (X @ p[name] for name in "QKV")
        S = jnp.where(mask, -jnp.inf, Q @ K.T / 3**0.5)
        return jnp.sum((nn.softmax(S) @ V - Y) ** 2) / 2

    @jax.jit
    def recurrent(p):
        def step(h, x):
            h = jnp.tanh(x @ p["W"] + h @ p["U"])
            return h, h

        return jnp.sum(jax.lax.scan(step, jnp.zeros(3), X[:6])[1] ** 2)

    @jax.jit
    def gru(p):
        h = jnp.zeros(3)
        for x in X[:5]:
            z, q = jnp.split(nn.sigmoid(x @ p["W"][:, :6] + h @ p["U"][:, :6]), 2)
            h = (1 - z) * h + z * jnp.tanh(x @ p["W"][:, 6:] + (q * h) @ p["U"][:, 6:])
        return h @ h

    @jax.jit
    def process(p):
        D = jnp.sum((X[:, None] - X) ** 2, axis=-1)
        K = jnp.exp(p[1] - D / jnp.exp(p[0])) + jnp.exp(p[2]) * jnp.eye(20)
        L = jnp.linalg.cholesky(K)
        a = jax.scipy.linalg.cho_solve((L, True), y)
        return 0.5 * y @ a + jnp.sum(jnp.log(jnp.diag(L)))

    @jax.jit
    def layer_norm(p):
        Z = X @ p["W"]
        H = (Z - Z.mean(axis=1, keepdims=True)) / jnp.sqrt(
            Z.var(axis=1, keepdims=True) + 1e-5
        )
        return jnp.mean((H * p["g"] + p["b"] - Y) ** 2)

    @jax.jit
    def negative_binomial(p):
        size, mu = jnp.exp(p["log_r"]), jnp.exp(X @ p["w"])
        k = jnp.arange(20) % 5
        value = jax.scipy.special.gammaln(k + size) - jax.scipy.special.gammaln(size)
        return -jnp.sum(
            value + size * jnp.log(size / (size + mu)) + k * jnp.log(mu / (size + mu))
        )

    p = {"W": n((4, 5)), "b": n(5), "V": n((5, 3)), "c": n(3)}
    open_, causal = np.zeros((20, 20), bool), np.triu(np.ones((20, 20), bool), 1)
    T3, A4 = n((3, 4, 5)), n((4, 4))
    yield case("logistic regression", logistic_loss, n(4), apart=False)
    yield case("classifier", classifier, p, X, t)
    yield case("attention", attention, {name: 0.5 * n((4, 3)) for name in "QKV"}, open_)
    yield case("recurrent by scan", recurrent, {"W": n((4, 3)), "U": 0.5 * n((3, 3))})
    yield case("GRU", gru, {"W": 0.5 * n((4, 9)), "U": 0.5 * n((3, 9))})
    yield case("Gaussian process", process, np.array([0.5, 0.1, -1.0]))
    yield case(
        "layer normalization", layer_norm, {"W": n((4, 3)), "g": n(3), "b": n(3)}
    )
    yield case("negative binomial", negative_binomial, {"w": n(4) / 3, "log_r": 0.5})
    yield case(
        "cube",
        lambda w, slip="": jnp.sum(cube(w, slip)),
        n(4),
        slips=("2 instead of 3",),
    )
    yield case("softmax of its own", lambda S, slip="": jnp.mean((own_softmax(S, slip) @ Y[:6]) ** 2), n((6, 6)),
               slips=("diagonal only",))  # fmt: skip
    yield case("normalization of its own", lambda W, slip="": jnp.mean((own_norm(X @ W, slip) - Y) ** 2), n((4, 3)),
               slips=("no variance term",))  # fmt: skip
    for name in ("gelu", "swish", "elu", "softplus"):
        yield case(
            name,
            jax.jit(lambda w, name=name: jnp.mean(getattr(nn, name)(X @ w) ** 2)),
            n(4),
        )
    yield case("Huber", jax.jit(lambda w: jnp.sum(jnp.where(jnp.abs(X @ w - y) < 1, (X @ w - y) ** 2 / 2,
               jnp.abs(X @ w - y) - 0.5))), n(4))  # fmt: skip
    yield case("softmax Jacobian", jax.jit(nn.softmax), n(4), apart=False)
    yield case("tensor factorization", jax.jit(lambda p: jnp.sum((jnp.einsum("ir,jr,kr->ijk", *p) - T3) ** 2)),
               [n((k, 2)) for k in (3, 4, 5)])  # fmt: skip
    yield case("normal by slogdet", jax.jit(lambda A: jnp.linalg.slogdet(A @ A.T + jnp.eye(4))[1] + jnp.trace(
        jnp.linalg.inv(A @ A.T + jnp.eye(4)) @ A4 @ A4.T)), n((4, 4)))  # fmt: skip
    yield case("mixture", jax.jit(lambda p: -jnp.sum(jax.scipy.special.logsumexp(
        nn.log_softmax(p[0]) - (y[:, None] - p[1]) ** 2, axis=1))), (n(3), n(3)))  # fmt: skip
    yield case("convolution", jax.jit(lambda k: jnp.mean(jnp.tanh(jax.vmap(
        lambda x: jnp.convolve(x, k, mode="valid"))(X)) ** 2)), n(3))  # fmt: skip
    yield case(
        "mapped",
        jax.jit(lambda w: jnp.sum(jax.vmap(lambda x: jnp.sin(x @ w) * x[0])(X))),
        n(4),
    )

    def hard(name, f, theta, *args, **more):
        return case(name, f, theta, *args, kind="hard", **more)

    yield hard("float32 inside", lambda w: jnp.sum(jnp.tanh(X.astype("f4") @ w.astype("f4"))), n(4), smallest=1e-2,
               precision=1e-4)  # fmt: skip
    yield hard(
        "causal attention, masked by -inf",
        attention,
        {name: 0.5 * n((4, 3)) for name in "QKV"},
        causal,
    )
    yield hard(
        "relu at 0",
        lambda w: jnp.sum(nn.relu(w)),
        np.array([0.0, 1.0, -1.0]),
        kinked=True,
    )
    yield hard(
        "absolute deviations", jax.jit(lambda w: jnp.sum(jnp.abs(X @ w - y))), n(4)
    )
    yield hard(
        "variance and norm", jax.jit(lambda w: jnp.var(w) + jnp.linalg.norm(w)), n(4)
    )
    yield hard(
        "saturated", jax.jit(lambda w: jnp.sum(nn.sigmoid(w))), np.array([8.3, 2.2])
    )
    yield hard(
        "a parameter not used",
        jax.jit(lambda p: jnp.sum(p["a"] ** 2)),
        {"a": n(3), "b": n(2)},
    )
    yield hard("float32 theta", classifier, {name: q.astype("f4") for name, q in p.items()}, X.astype("f4"), t,
               smallest=1e-2, precision=1e-4)  # fmt: skip

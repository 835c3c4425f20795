"""Functions in PyTorch, whose gradient is autograd's, or that of a Function with a backward pass of its own."""

from functools import partial
from typing import Any

import numpy as np

from function_case import Case, draw
from vecprop.check import torch_function


class Adapted:
    """A PyTorch function as a function of NumPy parameters, with or without a slip."""

    def __init__(self, f):
        self.torch, self.__name__, self.made = f, getattr(f, "__name__", "module"), {}

    def adapted(self, slip=None):
        """Return the function that is checked."""
        if slip not in self.made:
            self.made[slip] = torch_function(
                self.torch if slip is None else partial(self.torch, slip=slip)
            )
        return self.made[slip]

    def __call__(self, theta, *args, slip=None):
        return self.adapted(slip)(theta, *args)


def cases(there, seed=0):
    return list(_cases(seed)) if "torch" in there else []


def _cases(seed):
    import torch
    from torch import nn
    from torch.func import functional_call
    from torch.nn import functional as F

    torch.set_num_threads(1)
    r = draw(40, seed)
    n = r.standard_normal
    X, y, t = (
        torch.tensor(n((20, 4))),
        torch.tensor(n(20)),
        torch.tensor(r.integers(0, 3, 20)),
    )
    Y = torch.tensor(n((20, 3)))

    def case(name, f, theta, *args, **more):
        return Case(
            f"torch, {name}",
            Adapted(f),
            theta,
            args,
            backend="torch",
            **{"rows": 20, **more},
        )

    def module_case(name, module, loss, dtype="f8", **more):
        torch.manual_seed(seed)
        module = module()
        theta = {
            key: q.detach().numpy().astype(dtype)
            for key, q in module.named_parameters()
        }
        return case(
            name,
            lambda p: loss(lambda *inputs: functional_call(module, p, inputs)),
            theta,
            **more,
        )

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, slip=""):
            ctx.save_for_backward(x)
            ctx.slip = slip
            return x**3

        @staticmethod
        def backward(ctx: Any, delta: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            return delta * (2 if ctx.slip else 3) * ctx.saved_tensors[0] ** 2, None

    class Normalized(torch.autograd.Function):
        @staticmethod
        def forward(ctx, X, slip=""):
            s = torch.sqrt(X.var(dim=-1, keepdim=True, unbiased=False) + 1e-5)
            Y = (X - X.mean(dim=-1, keepdim=True)) / s
            ctx.save_for_backward(Y, s)
            ctx.slip = slip
            return Y

        @staticmethod
        def backward(ctx: Any, D: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            Y, s = ctx.saved_tensors
            back = D - D.mean(dim=-1, keepdim=True)
            if ctx.slip != "no variance term":
                back = back - Y * (D * Y).mean(dim=-1, keepdim=True)
            return back / s, None

    class Softmax(torch.autograd.Function):
        @staticmethod
        def forward(ctx, Z, slip=""):
            A = torch.exp(Z - Z.amax(dim=-1, keepdim=True))
            A = A / A.sum(dim=-1, keepdim=True)
            ctx.save_for_backward(A)
            ctx.slip = slip
            return A

        @staticmethod
        def backward(ctx: Any, D: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            [A] = ctx.saved_tensors
            return (
                A
                * ((1 - A) * D if ctx.slip else D - (A * D).sum(dim=-1, keepdim=True)),
                None,
            )

    def logistic_loss(w):
        return F.binary_cross_entropy_with_logits(X @ w, (y > 0).to(w.dtype))

    def classifier(p, X, t):
        return F.cross_entropy(torch.tanh(X @ p["W"] + p["b"]) @ p["V"] + p["c"], t)

    def attention(p, causal):
        Q, K, V = (X @ p[name] for name in "QKV")
        S = Q @ K.T / 3**0.5
        if causal:
            S = S.masked_fill(torch.ones(20, 20).triu(1).bool(), float("-inf"))
        return ((torch.softmax(S, dim=-1) @ V - Y) ** 2).sum() / 2

    def own_attention(S, slip=""):
        return ((Softmax.apply(S, slip) @ Y) ** 2).mean()

    def own_norm(W, slip=""):
        return F.mse_loss(Normalized.apply(X @ W, slip), Y)

    def cube(w, slip=""):
        return Cube.apply(w, slip).sum()

    def gru_by_hand(p):
        h = torch.zeros(3, dtype=p["W"].dtype)
        for x in X[:6]:
            z, r_, _ = torch.chunk(
                x @ p["W"] + torch.cat([h @ p["U"][:, :6], h.new_zeros(3)]), 3
            )
            z, r_ = torch.sigmoid(z), torch.sigmoid(r_)
            c = torch.tanh(x @ p["W"][:, 6:] + (r_ * h) @ p["U"][:, 6:])
            h = (1 - z) * h + z * c
        return (h**2).sum()

    def process(p):
        D = torch.cdist(X[:, None, :2].transpose(0, 1), X[None, :, :2])[0] ** 2
        K = torch.exp(p[1] - D / torch.exp(p[0])) + torch.exp(p[2]) * torch.eye(
            20, dtype=torch.float64
        )
        L = torch.linalg.cholesky(K)
        return (
            0.5 * y @ torch.cholesky_solve(y[:, None], L)[:, 0]
            + torch.log(torch.diagonal(L)).sum()
        )

    def normal(p):
        L = torch.tril(p["L"], -1) + torch.diag(F.softplus(torch.diagonal(p["L"])))
        return (
            -torch.distributions.MultivariateNormal(p["m"], scale_tril=L)
            .log_prob(X)
            .mean()
        )

    def cox(w):
        eta = X @ w
        return (torch.logcumsumexp(eta, dim=0) - eta)[y > 0].sum()

    def images(p):
        I = F.conv2d(torch.tensor(r_images), p["K"], p["b"])
        return (F.max_pool2d(torch.relu(I), 2) ** 2).mean()

    r_images = n((3, 1, 8, 8))
    words = torch.tensor(r.integers(0, 9, (20, 5)))
    T3 = torch.tensor(n((3, 4, 5)))
    p = {"W": n((4, 5)), "b": n(5), "V": n((5, 3)), "c": n(3)}
    yield case("logistic regression", logistic_loss, n(4), apart=False)
    yield case("classifier, data as arguments", classifier, p, X, t)
    p32, low = (
        {name: q.astype("f4") for name, q in p.items()},
        {"smallest": 1e-2, "precision": 1e-4},
    )
    yield case(
        "classifier, float32",
        lambda p: classifier(p, X.to(p["W"].dtype), t),
        p32,
        **low,
    )
    for name in ("gelu", "silu", "softplus", "elu", "mish", "leaky_relu"):
        yield case(
            name, lambda w, name=name: getattr(F, name)(X @ w).pow(2).mean(), n(4)
        )
    yield case(
        "attention",
        partial(attention, causal=False),
        {name: 0.5 * n((4, 3)) for name in "QKV"},
    )
    yield case("fused causal attention", lambda p: F.scaled_dot_product_attention(
        *((X @ p[name])[None, None] for name in "QKV"), is_causal=True).pow(2).sum(),
        {name: 0.5 * n((4, 3)) for name in "QKV"})  # fmt: skip
    yield case(
        "softmax of its own", own_attention, n((20, 20)), slips=("diagonal only",)
    )
    yield case(
        "normalization of its own", own_norm, n((4, 3)), slips=("no variance term",)
    )
    yield case("cube", cube, n(5), slips=("2 instead of 3",))
    yield case(
        "GRU by hand",
        gru_by_hand,
        {"W": 0.5 * n((4, 9)), "U": 0.5 * n((3, 9))},
        apart=False,
    )
    yield case("Gaussian process", process, np.array([0.3, 0.1, -1.0]))
    yield case("normal distribution", normal, {"m": n(4), "L": n((4, 4))})
    yield case("Cox", cox, n(4), apart=False)
    yield case("mixture", lambda p: -torch.logsumexp(F.log_softmax(p[0], 0) - (y[:, None] - p[1]) ** 2, dim=1).sum(),
               [n(3), n(3)])  # fmt: skip
    yield case("images", images, {"K": n((2, 1, 3, 3)), "b": n(2)})
    yield case("embeddings", lambda p: F.cross_entropy(p["E"][words].mean(dim=1) @ p["W"], t),
               {"E": n((9, 4)), "W": n((4, 3))})  # fmt: skip
    yield case("tensor factorization", lambda p: ((torch.einsum("ir,jr,kr->ijk", *p) - T3) ** 2).sum(),
               [n((k, 2)) for k in (3, 4, 5)])  # fmt: skip
    yield case("softmax Jacobian", lambda z: torch.softmax(z, 0), n(4), apart=False)
    yield case(
        "Gaussian likelihood",
        lambda p: F.gaussian_nll_loss(X @ p[0], y, torch.exp(X @ p[1])),
        (n(4), n(4) / 3),
    )
    yield case("Student's t", lambda p: -torch.distributions.StudentT(p[0].exp(), p[1], p[2].exp()).log_prob(y).sum(),
               [np.array(q) for q in (0.8, 0.1, 0.2)])  # fmt: skip
    yield case(
        "matrix exponential",
        lambda A: torch.linalg.matrix_exp(A).sum(),
        0.5 * n((3, 3)),
    )
    yield case(
        "linear solve",
        lambda A: (torch.linalg.solve(A + 3 * torch.eye(3), Y[0]) ** 2).sum(),
        n((3, 3)),
    )
    yield case("contrastive", lambda W: F.cross_entropy(F.normalize(X @ W) @ F.normalize(Y).T, torch.arange(20)),
               n((4, 3)))  # fmt: skip
    yield module_case("module", lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)),
                      lambda m: F.cross_entropy(m(X), t))  # fmt: skip
    yield module_case("module with normalization", lambda: nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.GELU(),
                      nn.Linear(5, 3)), lambda m: F.mse_loss(m(X), Y))  # fmt: skip
    yield module_case("convolution", lambda: nn.Sequential(nn.Conv1d(1, 2, 3), nn.SiLU(), nn.Flatten(),
                      nn.Linear(4, 3)), lambda m: F.mse_loss(m(X[:, None]), Y))  # fmt: skip
    yield module_case(
        "recurrent module", lambda: nn.GRU(4, 3), lambda m: (m(X[:6])[0] ** 2).sum()
    )
    yield module_case(
        "long short-term memory", lambda: nn.LSTM(4, 2), lambda m: m(X[:5])[0].sum()
    )
    yield module_case("encoder", lambda: nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True),
                      lambda m: (m(X[None, :5]) ** 2 * torch.arange(4)).sum())  # fmt: skip

    def hard(name, f, theta, *args, **more):
        return case(name, f, theta, *args, kind="hard", **more)

    yield hard("float32 inside", lambda w: ((X.float() @ w.float() - y.float()) ** 2).sum(), n(4), smallest=1e-2,
               precision=1e-4)  # fmt: skip
    yield hard("float32 inside, float64 out", lambda w: torch.tanh(X.float() @ w.float()).double().sum(), n(4),
               smallest=1e-2, precision=1e-4)  # fmt: skip
    yield hard(
        "float32 parameters and data", lambda p: classifier(p, X.float(), t), p32, **low
    )
    yield hard("saturated", lambda w: torch.sigmoid(w).sum(), np.array([8.3, 2.2]))
    yield hard("causal attention, masked by -inf", partial(attention, causal=True),
               {name: 0.5 * n((4, 3)) for name in "QKV"})  # fmt: skip
    yield hard(
        "relu at 0",
        lambda w: torch.relu(w).sum(),
        np.array([0.0, 1.0, -1.0]),
        kinked=True,
    )
    yield hard(
        "absolute deviations", lambda w: F.l1_loss(X @ w, y, reduction="sum"), n(4)
    )
    yield hard("in place", lambda w: w.clone().mul_(2).add_(1).pow(2).sum(), n(4))
    yield hard("variance", lambda w: torch.var(w) + torch.linalg.norm(w), n(4))
    yield hard(
        "spectrum",
        lambda w: (torch.fft.rfft(w).abs() ** 2).mul(torch.arange(5)).sum(),
        n(8),
    )
    yield hard("gradient within", lambda w: torch.autograd.grad(
        torch.tanh(X @ w).pow(2).sum(), w, create_graph=True)[0].pow(2).sum(), n(4))  # fmt: skip
    yield hard(
        "a parameter not used", lambda p: (p["a"] ** 2).sum(), {"a": n(3), "b": n(2)}
    )
    yield hard(
        "sorted",
        lambda w: (torch.sort(w)[0] * torch.arange(5)).sum() + torch.median(w),
        n(5),
    )
    yield module_case("batch normalization in training", lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)),
                      lambda m: F.mse_loss(m(X.float()), Y.float()), kind="hard", dtype="f4", smallest=1e-2,
                      precision=1e-4)  # fmt: skip

    def dropped(w):
        torch.manual_seed(0)
        return F.dropout(torch.tanh(X @ w), 0.5).pow(2).sum()

    yield hard("dropout, seeded", dropped, n(4))

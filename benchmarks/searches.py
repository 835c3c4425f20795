"""Many networks that PyTorch and JAX train together: a search of all settings with all folds, and restarts.

`populations.py` times these programs. In the search, PyTorch trains all members by a
step, eager or compiled; JAX by one program that scans over the steps, or by a compiled
step in a Python loop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

HIDDEN = 32
SCALE = 0.2
"""The standard deviation of initial weights."""


@dataclass(frozen=True)
class Members:
    """The table, the settings of M members, their training rows (M, rows) in whole batches, and their test rows."""

    X: np.ndarray
    t: np.ndarray
    rates: np.ndarray
    alphas: np.ndarray
    train: np.ndarray
    tests: list[np.ndarray]
    folds: int
    batch: int
    epochs: int
    threads: int

    def best_score(self, predicted: np.ndarray) -> float:
        """Return the best mean accuracy of a setting, from the members' predictions of all rows (M, N)."""
        scores = []
        for classes, test in zip(predicted, self.tests, strict=True):
            scores.append(np.mean(classes[test] == self.t[test]))
        return float(np.mean(np.reshape(scores, (-1, self.folds)), axis=1).max())


def members_of(
    X: np.ndarray,
    t: np.ndarray,
    rates: list[float],
    alphas: list[float],
    folds: Any,
    batch: int,
    epochs: int,
    threads: int,
) -> Members:
    """Return the members of a search: each setting with each fold."""
    splits = list(folds.split(X, t))
    rows = min(len(train) for train, _ in splits) // batch * batch
    settings = list(product(rates, alphas, splits))
    return Members(
        X=X,
        t=t,
        rates=np.array([rate for rate, _, _ in settings], X.dtype),
        alphas=np.array([alpha for _, alpha, _ in settings], X.dtype),
        train=np.stack([train[:rows] for _, _, (train, _) in settings]),
        tests=[test for _, _, (_, test) in settings],
        folds=len(splits),
        batch=batch,
        epochs=epochs,
        threads=threads,
    )


def by_pytorch(members: Members, is_compiled: bool) -> Callable[[], float]:
    """Return the search by a step of all members, whose matrices are multiplied in one call."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    torch.set_num_threads(members.threads)
    count, inputs = len(members.rates), members.X.shape[1]
    X = torch.from_numpy(members.X)
    t = torch.from_numpy(members.t.astype(members.X.dtype))
    train = torch.from_numpy(members.train)
    rates = torch.from_numpy(members.rates).reshape(-1, 1, 1)
    alphas = torch.from_numpy(members.alphas)

    def logits(parameters: tuple, x: Any) -> Any:
        W1, b1, W2, b2 = parameters
        return torch.baddbmm(b2, torch.relu(torch.baddbmm(b1, x, W1)), W2)[:, :, 0]

    def loss(parameters: tuple, x: Any, y: Any) -> Any:
        """Return the sum of the members' losses. The gradient of a member depends only on the loss of this member."""
        W1, _, W2, _ = parameters
        penalty = (
            alphas / (2 * members.batch) * ((W1**2).sum((1, 2)) + (W2**2).sum((1, 2)))
        )
        losses = binary_cross_entropy_with_logits(
            logits(parameters, x), y, reduction="none"
        )
        return (losses.mean(1) + penalty).sum()

    gradient = torch.func.grad(loss)

    def step(
        parameters: tuple, means: tuple, squares: tuple, number: Any, rows: Any
    ) -> tuple:
        gradients = gradient(parameters, X[rows], t[rows])
        number = number + 1
        means = tuple(0.9 * M + 0.1 * J for M, J in zip(means, gradients, strict=True))
        squares = tuple(
            0.999 * V + 0.001 * J * J for V, J in zip(squares, gradients, strict=True)
        )
        rate = rates / (1 - 0.9**number)
        scale = torch.sqrt(1 - 0.999**number)
        moments = zip(parameters, means, squares, strict=True)
        parameters = tuple(
            P - rate * M / (torch.sqrt(V) / scale + 1e-8) for P, M, V in moments
        )
        return parameters, means, squares, number

    if is_compiled:
        step = torch.compile(
            step, fullgraph=True, dynamic=False, options={"cpp_wrapper": True}
        )

    @torch.no_grad()
    def search() -> float:
        parameters = (
            SCALE * torch.randn(count, inputs, HIDDEN),
            torch.zeros(count, 1, HIDDEN),
            SCALE * torch.randn(count, HIDDEN, 1),
            torch.zeros(count, 1, 1),
        )
        zeros = tuple(torch.zeros_like(P) for P in parameters)
        state = (parameters, zeros, zeros, torch.zeros(()))
        for _ in range(members.epochs):
            order = train.gather(1, torch.rand(train.shape).argsort(1))
            for rows in order.split(members.batch, dim=1):
                state = step(*state, rows)
        predicted = logits(state[0], X.expand(count, -1, -1)) > 0
        return members.best_score(predicted.numpy())

    return search


def by_jax(members: Members, is_one_program: bool) -> Callable[[], float]:
    """Return the search by JAX, with members under vmap: as one program, or by a step in a Python loop."""
    import jax
    import jax.numpy as jnp
    import optax

    count, inputs = len(members.rates), members.X.shape[1]
    X = jnp.asarray(members.X)
    t = jnp.asarray(members.t, members.X.dtype)
    train = jnp.asarray(members.train)
    rates = jnp.asarray(members.rates)
    alphas = jnp.asarray(members.alphas)
    scaling = optax.scale_by_adam()

    def logits(parameters: tuple, x: Any) -> Any:
        W1, b1, W2, b2 = parameters
        return (jax.nn.relu(x @ W1 + b1) @ W2 + b2)[:, 0]

    def loss(parameters: tuple, x: Any, y: Any, alpha: Any) -> Any:
        W1, _, W2, _ = parameters
        penalty = alpha / (2 * members.batch) * ((W1**2).sum() + (W2**2).sum())
        return (
            optax.sigmoid_binary_cross_entropy(logits(parameters, x), y).mean()
            + penalty
        )

    def start(key: Any) -> tuple:
        first, second = jax.random.split(key)
        W1 = SCALE * jax.random.normal(first, (inputs, HIDDEN))
        W2 = SCALE * jax.random.normal(second, (HIDDEN, 1))
        parameters = (W1, jnp.zeros(HIDDEN), W2, jnp.zeros(1))
        return parameters, scaling.init(parameters)

    def step(carry: tuple, rows: Any, rate: Any, alpha: Any) -> tuple:
        parameters, state = carry
        gradient = jax.grad(loss)(parameters, X[rows], t[rows], alpha)
        updates, state = scaling.update(gradient, state)
        return jax.tree.map(lambda P, U: P - rate * U, parameters, updates), state

    def shuffled(rows: Any, key: Any) -> Any:
        return rows[jax.random.permutation(key, len(rows))].reshape(-1, members.batch)

    def fit(rate: Any, alpha: Any, rows: Any, key: Any) -> Any:
        def epoch(carry: tuple, key: Any) -> tuple[tuple, None]:
            batches = shuffled(rows, key)
            return (
                jax.lax.scan(
                    lambda carry, batch: (step(carry, batch, rate, alpha), None),
                    carry,
                    batches,
                )[0],
                None,
            )

        keys = jax.random.split(key, members.epochs + 1)
        carry, _ = jax.lax.scan(epoch, start(keys[0]), keys[1:])
        return logits(carry[0], X) > 0

    key = jax.random.PRNGKey(0)
    keys = jax.random.split(key, count)
    fit_all = jax.jit(jax.vmap(fit))
    start_all = jax.jit(jax.vmap(start))
    shuffle_all = jax.jit(jax.vmap(shuffled))
    step_all = jax.jit(jax.vmap(step), donate_argnums=0)
    predict_all = jax.jit(jax.vmap(lambda parameters: logits(parameters, X) > 0))

    def search_by_program() -> float:
        return members.best_score(np.asarray(fit_all(rates, alphas, train, keys)))

    def search_by_steps() -> float:
        carry = start_all(keys)
        for number in range(members.epochs):
            epoch_key = jax.random.fold_in(key, number)
            batches = shuffle_all(train, jax.random.split(epoch_key, count))
            for position in range(batches.shape[1]):
                carry = step_all(carry, batches[:, position], rates, alphas)
        return members.best_score(np.asarray(predict_all(carry[0])))

    return search_by_program if is_one_program else search_by_steps


def restarts_by_jax(
    network: Any, draws: np.ndarray, X: np.ndarray, t: np.ndarray, steps: int
) -> Callable[[], float]:
    """Return the training of the tutorial's network from each draw, under vmap and scan; it returns the lowest loss."""
    import jax
    import jax.numpy as jnp
    import optax

    hidden, _, output = network.layout.views(draws)
    start = tuple(
        jnp.asarray(layer[name]) for layer in (hidden, output) for name in ("W", "b")
    )
    rows = jnp.asarray(X)
    classes = jnp.asarray(t)
    optimizer = optax.sgd(0.02, momentum=0.9)

    def loss(parameters: tuple) -> Any:
        W1, b1, W2, b2 = parameters
        logits = jax.nn.sigmoid(rows @ W1 + b1) @ W2 + b2
        return optax.softmax_cross_entropy_with_integer_labels(logits, classes).sum()

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        parameters, state = carry
        updates, state = optimizer.update(jax.grad(loss)(parameters), state)
        return (optax.apply_updates(parameters, updates), state), None

    def fit(parameters: tuple) -> Any:
        carry = (parameters, optimizer.init(parameters))
        carry, _ = jax.lax.scan(step, carry, None, length=steps)
        return loss(carry[0])

    fit_all = jax.jit(jax.vmap(fit))
    return lambda: float(fit_all(start).min())

"""JAX's forms of training: one compiled program, and a compiled step in a Python loop.

The program scans over steps and epochs. The step is called with batches of NumPy
arrays, and its parameters and state are donated, so that their memory is reused.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from contenders import Contest, Workload


def optimizer_of(work: Workload) -> Any:
    import optax

    if work.optimizer == "momentum":
        return optax.sgd(work.learning_rate, momentum=0.9)
    return optax.adam(work.learning_rate)


def loss_function(work: Workload) -> Callable:
    """Return the loss as a function of the parameters, a list of W and b, the rows and their classes."""
    import jax
    import optax

    activation = jax.nn.sigmoid if work.logistic else jax.nn.relu

    def loss(parameters: list, x: Any, y: Any) -> Any:
        for W, b in parameters[:-1]:
            x = activation(x @ W + b)
        W, b = parameters[-1]
        losses = optax.softmax_cross_entropy_with_integer_labels(x @ W + b, y)
        return losses.sum() if work.logistic else losses.mean()

    return loss


def step_function(work: Workload) -> Callable:
    """Return a step as a function of parameters and state, and of a batch."""
    import jax
    import optax

    optimizer = optimizer_of(work)
    gradient = jax.grad(loss_function(work))

    def step(carry: tuple, batch: tuple) -> tuple[tuple, None]:
        parameters, state = carry
        updates, state = optimizer.update(
            gradient(parameters, *batch), state, parameters
        )
        return (optax.apply_updates(parameters, updates), state), None

    return step


def initial_parameters(work: Workload) -> list:
    import jax.numpy as jnp

    return [(jnp.array(W), jnp.array(b)) for W, b in work.layers(work.theta())]


def jax_scan(work: Workload, X: np.ndarray, t: np.ndarray) -> Contest:
    """Train by one compiled scan over batches and epochs; a batch that is not full is left out."""
    import jax

    jax.config.update("jax_enable_x64", work.dtype == "float64")
    rows, classes = jax.numpy.asarray(X), jax.numpy.asarray(t)
    optimizer, loss, step = optimizer_of(work), loss_function(work), step_function(work)
    batches = work.rows // work.batch

    def epoch(carry: tuple, key: Any) -> tuple[tuple, None]:
        if work.batch == work.rows:
            return step(carry, (rows, classes))
        order = jax.random.permutation(key, work.rows)[: batches * work.batch]
        x = rows[order].reshape(batches, work.batch, -1)
        return (
            jax.lax.scan(step, carry, (x, classes[order].reshape(batches, work.batch)))[
                0
            ],
            None,
        )

    @jax.jit
    def train(parameters: list, keys: Any) -> list:
        return jax.lax.scan(epoch, (parameters, optimizer.init(parameters)), keys)[0][0]

    start = initial_parameters(work)
    keys = jax.random.split(jax.random.PRNGKey(0), work.epochs)
    return Contest(
        lambda: jax.block_until_ready(train(start, keys)),
        lambda parameters: float(loss(parameters, rows, classes)),
    )


def jax_step(work: Workload, X: np.ndarray, t: np.ndarray) -> Contest:
    """Train by a compiled step in a Python loop; a batch that is not full is left out."""
    import jax

    jax.config.update("jax_enable_x64", work.dtype == "float64")
    optimizer, loss = optimizer_of(work), loss_function(work)
    step = jax.jit(step_function(work), donate_argnums=0)
    full_batch = (jax.numpy.asarray(X), jax.numpy.asarray(t))
    rng = np.random.default_rng(0)

    def train() -> list:
        parameters = initial_parameters(work)
        carry = (parameters, optimizer.init(parameters))
        for _ in range(work.epochs):
            if work.batch == work.rows:
                carry, _ = step(carry, full_batch)
                continue
            order = rng.permutation(work.rows)
            x, y = X[order], t[order]
            for start in range(0, work.rows - work.batch + 1, work.batch):
                batch = slice(start, start + work.batch)
                carry, _ = step(carry, (x[batch], y[batch]))
        return jax.block_until_ready(carry[0])

    return Contest(train, lambda parameters: float(loss(parameters, *full_batch)))


def predictor_of_jax(work: Workload, X: np.ndarray) -> Callable[[], Any]:
    """Return a function that predicts the probabilities of rows, and waits for them."""
    import jax

    parameters = initial_parameters(work)

    @jax.jit
    def predict(x: Any) -> Any:
        for W, b in parameters[:-1]:
            x = jax.nn.relu(x @ W + b)
        W, b = parameters[-1]
        return jax.nn.softmax(x @ W + b)

    return lambda: predict(X).block_until_ready()

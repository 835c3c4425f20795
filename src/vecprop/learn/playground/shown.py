"""Compute the predictions, weights, checks and losses that the page shows."""

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...check import Report, check_gradients
from ...core.elementary import Array, is_within
from ...train.members import Member
from ...train.population import train_population
from ..tracing.trace import Trace, trace
from .building import engine_of, features, optimizer_of
from .session import Session
from .session_settings import SettingsError

MOST_STARTS, MOST_EPOCHS_OF_STARTS = 200, 2_000
"""The maximum numbers of starts and of epochs."""

MOST_CHECKED = 200
"""The maximum number of rows used for the gradient check and the loss surface, to
keep them fast.
"""

TOGETHER = 64
"""The number of surface points computed together."""

LONGEST = 10.0
"""The time limit in seconds for training many starts."""


def _on_grid(session, size):
    """Compute the network's inputs on a grid, row by row, with y increasing."""
    (x0, x1), (y0, y1) = session.points.limits
    XY = _grid(np.linspace(x0, x1, size), np.linspace(y0, y1, size))
    return features(session.settings.features, XY)


def _grid(x, y):
    """Return all pairs of x and y, (size², 2)."""
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def map_of(session: Session, size: int) -> Array:
    """Predict on a grid over the plane, (size, size, outputs)."""
    return session.predict(_on_grid(session, size)).reshape(size, size, -1)


def units_of(session: Session, size: int) -> list[Array]:
    """Compute all units' outputs on a grid: a list of (units, size, size)."""
    network = session.network
    X = _on_grid(session, size)
    outputs, _ = network.forward(session.theta, X)
    layers = [X]
    layers += [outputs[number] for number in network._activations]
    layers.append(network.loss_function.predict(outputs[-1]))
    return [values.T.reshape(-1, size, size) for values in layers]


def hidden(session: Session) -> Array:
    """Compute the last hidden layer's outputs, (N, units); without hidden layers, return the inputs."""
    X = features(session.settings.features, session.points.XY)
    layers = session.network._activations
    return session.network.hidden(session.theta, X, layers[-1]) if layers else X


@dataclass(frozen=True, slots=True)
class Edge:
    """A weight, or a bias if source is None."""

    layer: int
    source: int | None
    target: int
    index: int
    value: float
    name: str


def edges(session: Session) -> list[Edge]:
    """Return the weights and biases of the dense layers, in the order of theta."""
    edges = []
    layer = -1
    for tensor in session.network.layout.tensors:
        if tensor.kind != "Dense":
            continue
        if tensor.name == "W":
            layer += 1
        for index, entry in enumerate(np.ndindex(tensor.shape), tensor.start):
            # (source, target) for weights, (target,) for biases
            *sources, target = entry
            edge = Edge(
                layer=layer,
                source=sources[0] if sources else None,
                target=target,
                index=index,
                value=float(session.theta[index]),
                name=f"{tensor}{[*entry]}",
            )
            edges.append(edge)
    return edges


def row(session: Session, index: int) -> Trace:
    """Trace the forward and backward pass of a single point."""
    return trace(
        session.network, session.theta, *session.pairs([session.points.index(index)])
    )


def check(session: Session) -> Report:
    """Check the gradient used for training, including a deliberate mistake."""
    X, T = (rows[:MOST_CHECKED] for rows in session.rows)
    noise = session.settings.start if session.network._random else None
    _, gradient = session.trained.loss_and_gradient(session.theta, X, T, noise=noise)
    return check_gradients(
        session.network, session.theta, X, T, noise=noise, gradient=gradient
    )


class Surface(NamedTuple):
    """The loss, (size, size), in a plane through theta, and the path of training."""

    loss: Array
    first: Array
    second: Array
    path: Array


def loss_surface(session: Session, size: int) -> Surface:
    """Compute the loss around theta in the path's two main orthonormal directions.

    If the path spans fewer than two dimensions, fixed random directions complete the
    plane.
    """
    X, T = (rows[:MOST_CHECKED] for rows in session.rows)
    moves = np.array(session.path) - session.theta
    axes = _main_directions(moves)
    path = moves @ axes.T  # theta is at (0, 0)
    half_widths = 1.3 * np.abs(path).max(axis=0)
    half_widths = np.maximum(half_widths, max(0.3 * half_widths.max(), 0.1))
    first, second = (np.linspace(-width, width, size) for width in half_widths)
    thetas = session.theta + _grid(first, second) @ axes
    with np.errstate(over="ignore", invalid="ignore"):
        losses = [
            session.network.loss(part, X, T)
            for part in np.array_split(thetas, len(thetas) // TOGETHER + 1)
        ]
    return Surface(np.concatenate(losses).reshape(size, size), first, second, path=path)


def _main_directions(moves):
    """Return two orthonormal rows: the main directions of moves, or random directions."""
    _, s, Vt = np.linalg.svd(moves, full_matrices=False)
    is_significant = s[:2] > 1e-9 * max(s.max(), 1e-300)
    random = np.random.default_rng(0).standard_normal((2, moves.shape[1]))
    directions = np.concatenate([Vt[:2][is_significant], random])[:2]
    Q, _ = np.linalg.qr(directions.T)
    return Q.T


def losses_of_starts(session: Session, count: int, epochs: int) -> Array:
    """Train from many initial weights, starting with the session's, and return the losses.

    Returns
    -------
    ndarray (count, epochs + 1)
        The training loss per epoch, from before the first epoch; NaN after divergence
        or the time limit.
    """
    for noun, value, most in (
        ("starts", count, MOST_STARTS),
        ("epochs", epochs, MOST_EPOCHS_OF_STARTS),
    ):
        if not isinstance(value, int) or not is_within(value, 1, most, ends="[]"):
            raise SettingsError(
                f"The number of {noun} must be between 1 and {most:,}, got {value!r}."
            )
    settings = session.settings
    members = []
    for seed in range(settings.start, settings.start + count):
        member = Member(
            session.trained,
            session.trained.init(seed),
            optimizer_of(settings),
            epochs=epochs,
            batch_size=settings.batch or None,
            shuffle=False,
            training_loss="exact",
            seed=seed,
        )
        members.append(member)
    X, T = session.rows
    end = time.monotonic() + LONGEST
    results = train_population(
        members,
        X,
        T,
        progress=lambda _: time.monotonic() > end,
        engine=engine_of(settings),
    )
    losses = np.full((count, epochs + 1), np.nan)
    for curve, result in zip(losses, results, strict=True):
        curve[: len(result.history.loss)] = result.history.loss
    return losses

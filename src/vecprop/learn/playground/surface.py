"""The loss around the parameters in two directions, with the path that training has taken, like a ball's."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from ...core.network import Network

LONGEST_PATH = 100
"""The number of places that a path keeps."""

TOGETHER = 64
"""The number of places whose loss is computed together."""

MOST_ROWS = 200
"""The number of rows whose loss makes the surface."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The loss in a plane through the parameters."""

    loss: np.ndarray
    first: np.ndarray
    second: np.ndarray
    path: np.ndarray
    heights: np.ndarray


class Path:
    """The last places of theta, as many as are worth drawing."""

    def __init__(self, theta: np.ndarray) -> None:
        self._thetas = deque([theta], LONGEST_PATH)

    def add(self, theta: np.ndarray) -> None:
        """Add a place."""
        self._thetas.append(theta)

    @property
    def thetas(self) -> np.ndarray:
        """The places, (K, P)."""
        return np.array(self._thetas)


def directions(moves: np.ndarray) -> np.ndarray:
    """Return two orthonormal directions, (2, P), in which moves, (K, P), are largest.

    Moves along a line, or none, leave directions open; the same arbitrary ones are taken then.

    Examples
    --------
    >>> abs(directions(np.array([[0.0, 0.0, 3.0], [0.0, 1.0, 0.0]]))).round(6) + 0.0
    array([[0., 0., 1.],
           [0., 1., 0.]])
    """
    _, s, Vt = np.linalg.svd(moves, full_matrices=False)
    known = Vt[:2][s[:2] > 1e-9 * max(s.max(), 1e-300)]
    others = np.random.default_rng(0).standard_normal((2, moves.shape[1]))
    return np.linalg.qr(np.concatenate([known, others])[:2].T)[0].T


def loss_surface(network: Network, theta: np.ndarray, X: np.ndarray, T: np.ndarray, path: Path, size: int) -> Surface:
    """Return the loss around theta in the two directions of the path's largest moves."""
    X, T = X[:MOST_ROWS], T[:MOST_ROWS]
    moves = path.thetas - theta
    axes = directions(moves)
    places = moves @ axes.T
    reach = 1.3 * np.abs(places).max(axis=0)
    reach = np.maximum(reach, max(0.3 * reach.max(), 0.1))
    first, second = (np.linspace(-most, most, size) for most in reach)
    corners = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)

    def loss(at: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            parts = np.array_split(theta + at @ axes, len(at) // TOGETHER + 1)
            return np.concatenate([network.loss(thetas, X, T) for thetas in parts])

    return Surface(loss(corners).reshape(size, size), first, second, places, loss(places))

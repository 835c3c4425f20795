"""The sets of points to play with: each is a function of a seed, a number of rows and noise.

A set returns the points XY, (N, 2), and each point's target t, (N,): a class, or a number. Each function needs NumPy
alone, since a script that repeats a session holds its source.
"""

from collections.abc import Callable

import numpy as np


def circles(seed: int, rows: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a disc in a ring; the noise moves points."""
    generator = np.random.default_rng(seed)
    t = np.arange(rows) % 2
    angle = 2 * np.pi * generator.random(rows)
    radius = 2.5 * np.where(t == 0, generator.uniform(0.85, 1.15, rows), np.sqrt(generator.uniform(0, 0.25, rows)))
    XY = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return XY + noise * generator.standard_normal(XY.shape), t


def moons(seed: int, rows: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return two half rings, each of which reaches into the other; the noise moves points."""
    generator = np.random.default_rng(seed)
    t = np.arange(rows) % 2
    angle = np.pi * generator.random(rows)
    sign = 1 - 2 * t
    XY = 1.8 * np.stack([sign * np.cos(angle) + t - 0.5, sign * np.sin(angle) + 0.5 * t - 0.25], axis=1)
    return XY + noise * generator.standard_normal(XY.shape), t


def spirals(seed: int, rows: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return two arms that wind around each other; the noise moves points."""
    generator = np.random.default_rng(seed)
    t = np.arange(rows) % 2
    along = np.sqrt(generator.random(rows))
    angle = 3.5 * np.pi * along + np.pi * t
    XY = 3 * along[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return XY + noise * generator.standard_normal(XY.shape), t


def xor(seed: int, rows: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a square's four quarters, of which opposite ones are of one class; the noise moves points."""
    generator = np.random.default_rng(seed)
    XY = generator.uniform(0.2, 3, (rows, 2)) * generator.choice([-1, 1], (rows, 2))
    t = (XY[:, 0] * XY[:, 1] < 0).astype(int)
    return XY + noise * generator.standard_normal(XY.shape), t


def blobs(seed: int, rows: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return three clouds, each a class; the noise widens them."""
    generator = np.random.default_rng(seed)
    t = np.arange(rows) % 3
    angle = np.pi / 2 + 2 * np.pi * t / 3
    centre = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return centre + (0.4 + noise) * generator.standard_normal(centre.shape), t


def plane(seed: int, rows: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers on a tilted plane; the noise moves the numbers."""
    generator = np.random.default_rng(seed)
    XY = generator.uniform(-3, 3, (rows, 2))
    return XY, (XY[:, 0] + XY[:, 1]) / 6 + noise * generator.standard_normal(rows)


def wave(seed: int, rows: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers on hills and hollows; the noise moves the numbers."""
    generator = np.random.default_rng(seed)
    XY = generator.uniform(-3, 3, (rows, 2))
    return XY, np.sin(1.5 * XY[:, 0]) * np.cos(XY[:, 1]) + noise * generator.standard_normal(rows)


def tutorial(seed: int, rows: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the founding tutorial's circles, which with 100 rows, noise 0.1 and seed 1 are its own points."""
    generator = np.random.RandomState(seed)  # whose stream the tutorial drew from
    outer = rows // 2
    angle = np.concatenate([np.linspace(0, 2 * np.pi, n, endpoint=False) for n in (outer, rows - outer)])
    t = (np.arange(rows) >= outer).astype(int)
    XY = np.where(t == 0, 1, 0.3)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return XY + generator.normal(scale=noise, size=XY.shape), t


SETS: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    make.__name__: make for make in (circles, moons, spirals, xor, blobs, wave, plane, tutorial)
}
"""The sets by their names."""

CLASSES = {"circles": 2, "moons": 2, "spirals": 2, "xor": 2, "blobs": 3, "wave": 0, "plane": 0, "tutorial": 2}
"""The number of classes of each set; 0 of those whose targets are numbers."""

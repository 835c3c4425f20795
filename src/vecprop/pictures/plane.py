"""The plane of two features: a grid of rows over it, with the other features at fixed values."""

from collections.abc import Mapping

import numpy as np


def plane(
    X: np.ndarray, drawn: tuple[int, ...], held: Mapping[int, float], resolution: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the grid's lines along both axes, and a row for each of its points, (resolution², I), line by line.

    Raises
    ------
    ValueError
        If a column of held does not exist, or is drawn.
    """
    x, y = (_grid_lines(X[:, number], resolution) for number in drawn)
    grid = np.tile(_held_row(X, held, drawn), (resolution * resolution, 1))
    grid[:, drawn] = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    return x, y, grid


def _held_row(X: np.ndarray, held: Mapping[int, float], drawn: tuple[int, ...]) -> np.ndarray:
    """Return the row of medians, with the values of held in place of some, or raise an error."""
    row = np.median(X, axis=0)
    for number, value in held.items():
        if number in drawn or number not in range(len(row)):
            raise ValueError(
                f"held names feature {number!r}, but X has shape {X.shape} and features {drawn[0]} and {drawn[1]} are "
                "drawn: hold others."
            )
        row[number] = value
    return row


def _grid_lines(column: np.ndarray, resolution: int) -> np.ndarray:
    """Return numbers from a tenth of the column's range below it to a tenth above."""
    margin = 0.1 * np.ptp(column) or 1.0
    return np.linspace(column.min() - margin, column.max() + margin, resolution)

"""The checks of the pictures' arguments, and labels. An error is one sentence."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.elementary import Array


def checked_rows(X: Array) -> np.ndarray:
    """Return X as a matrix of rows, or raise an error."""
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[0] == 0 or X.dtype.kind not in "biuf":
        raise ValueError(
            f"X has shape {X.shape} and dtype {X.dtype}, but a picture takes numbers (N, I), N at least 1."
        )
    finite = np.isfinite(X)
    if not finite.all():
        row, column = np.argwhere(~finite)[0].tolist()
        raise ValueError(f"X is not finite: row {row}, column {column} is {X[row, column]}; fill or drop it.")
    return X.astype(float, copy=False)


def checked_classes(t: Array, X: np.ndarray, count: int | None = None) -> np.ndarray:
    """Return each row's class as an integer, (N,), less than count if that is given, or raise an error."""
    given = np.asarray(t)
    takes = "give one class a row, as integers (N,) or one-hot rows (N, C)"
    if given.dtype.kind not in "biuf":
        raise TypeError(f"t has dtype {given.dtype}, but classes are the numbers 0, 1, …: encode names first.")
    if given.ndim not in (1, 2) or given.shape[0] != X.shape[0]:
        raise ValueError(f"t has shape {given.shape}, but X has shape {X.shape}: {takes}.")
    if given.ndim == 1 or given.shape[1] == 1:
        classes = given.reshape(-1)
        wrong = ~((classes >= 0) & (classes == np.floor(classes)) & np.isfinite(classes))
    else:
        classes = given.argmax(axis=1)
        wrong = (given < 0).any(axis=1) | ~np.isclose(given.sum(axis=1), 1, rtol=0, atol=1e-5)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"t names no class in row {row}, which is {given[row].tolist()}: {takes}.")
    if count is not None and classes.max() >= count:
        row = int(classes.argmax())
        raise ValueError(f"t has class {int(classes[row])} in row {row}, but the network has {count} classes, from 0.")
    return classes.astype(int)


def checked_theta(theta: Array) -> Array:
    """Return theta if it is of one network, or raise an error."""
    shape = tuple(np.shape(theta))
    if len(shape) != 1:
        raise ValueError(f"theta has shape {shape}, but a picture shows one network, (P,): choose one, as theta[0].")
    return theta


def checked_numbers(numbers: Any, name: str, lengths: tuple[int, ...], width: int, of: str) -> tuple[int, ...]:
    """Return different numbers of columns, if their number is one of the lengths, or raise an error."""
    try:
        chosen = tuple(int(number) for number in numbers if number == int(number))
        good = len(chosen) == len(numbers) == len(set(chosen)) and len(chosen) in lengths
    except (TypeError, ValueError):
        chosen, good = (), False
    if not good or not all(0 <= number < width for number in chosen):
        count = " or ".join(str(length) for length in lengths)
        raise ValueError(f"{name}={numbers!r} should be {count} different numbers from 0 to {width - 1}, as {of}.")
    return chosen


def feature_labels(names: Sequence[str] | None, features: Sequence[int], inputs: int) -> list[str]:
    """Return the labels of the axes of these features: their names, or else x₁, x₂, …."""
    if names is None:
        return [symbol("x", number) for number in features]
    if len(names) != inputs:
        raise ValueError(f"feature_names has {len(names)} names, but X has {inputs} features: name each.")
    return [names[number] for number in features]


def class_labels(names: Sequence[str] | None, classes: np.ndarray) -> dict[int, str]:
    """Return the labels of these classes: their names, or else "class 0", "class 1", …."""
    numbers: list[int] = np.unique(classes).tolist()
    if names is None:
        return {number: f"class {number}" for number in numbers}
    if len(names) <= numbers[-1]:
        raise ValueError(f"class_names has {len(names)} names, but there are classes 0 to {numbers[-1]}: name each.")
    return {number: names[number] for number in numbers}


def symbol(letter: str, number: int) -> str:
    """Return the symbol of a feature or unit; the field counts from 1."""
    return f"${letter}_{{{number + 1}}}$"

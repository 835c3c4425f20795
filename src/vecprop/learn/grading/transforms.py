"""Mistakes that are the right function of changed arguments."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from .mistakes import Mistake, logistic, slope, softmax
from .tasks import TASKS, Task, functions


def _unit(A: Any, axis: int | None = None) -> Any:
    return A / np.linalg.norm(A, axis=axis, keepdims=True)


def _kept(A: Any, *place: Any) -> Any:
    """Return an array with 0 everywhere but in a place."""
    changed = np.zeros_like(A)
    changed[place] = A[place]
    return changed


_OF_ARGUMENTS: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("the absolute values of {} are taken", "sign", np.abs),
    ("the sign of {} is wrong", "sign", np.negative),
    ("{} is squared", "function", np.square),
    ("the square root of {} is taken", "function", np.sqrt),
    ("only the signs of {} are used", "sign", np.sign),
    ("1 - {0} is taken instead of {0}", "sign", lambda A: 1 - A),
    ("1 / {0} is taken instead of {0}", "function", lambda A: 1 / A),
    ("{} is doubled, or what it is multiplied by", "size", lambda A: 2 * A),
    ("{} is halved, or what it is multiplied by", "size", lambda A: A / 2),
    ("{} is divided by 10, or what it is multiplied by", "size", lambda A: A / 10),
    ("{} is multiplied by 10, or what it is multiplied by", "size", lambda A: A * 10),
    ("{} is divided by its number of rows", "size", lambda A: A / len(A)),
    ("{} goes through the logistic function", "function", logistic),
    ("{} goes through the softmax", "function", softmax),
    ("{} goes through the hyperbolic tangent", "function", np.tanh),
    ("the exponential of {} is taken", "function", np.exp),
    ("the logarithm of {} is taken", "function", np.log),
    ("negative numbers in {} are set to 0", "function", lambda A: np.maximum(A, 0)),
    ("the slope {0} (1 - {0}) is taken instead of {0}", "factors", slope),
    ("{} is rounded to whole numbers", "numbers", np.round),
    ("{} is cut to whole numbers", "numbers", np.trunc),
    ("the means of its columns are subtracted from {}", "argument", lambda A: A - A.mean(axis=0)),
    ("the columns of {} are standardized", "argument", lambda A: (A - A.mean(axis=0)) / A.std(axis=0)),
    ("the means of its rows are subtracted from {}", "argument", lambda A: A - A.mean(axis=1, keepdims=True)),
    (
        "the rows of {} are standardized",
        "argument",
        lambda A: _unit(A - A.mean(axis=1)[:, None], 1) * A.shape[1] ** 0.5,
    ),
    ("{} is divided by its largest absolute value", "size", lambda A: A / np.abs(A).max()),
    ("{} is divided by its Euclidean norm", "size", _unit),
    ("the columns of {} are divided by their norms", "size", lambda A: _unit(A, 0)),
    ("the rows of {} are divided by their norms", "size", lambda A: _unit(A, 1)),
    ("{} is divided by the sums of its rows", "size", lambda A: A / A.sum(axis=1, keepdims=True)),
    ("{} is replaced by the mean of each column", "axis", lambda A: 0 * A + A.mean(axis=0)),
    ("{} is replaced by the sum of each column", "axis", lambda A: 0 * A + A.sum(axis=0)),
    ("{} is replaced by the mean of each row", "axis", lambda A: 0 * A + A.mean(axis=1, keepdims=True)),
    ("{} is replaced by the sum of each row", "axis", lambda A: 0 * A + A.sum(axis=1, keepdims=True)),
    ("{} is replaced by its mean", "axis", lambda A: 0 * A + A.mean()),
    ("{} is replaced by its sum", "axis", lambda A: 0 * A + A.sum()),
    ("the first entry of {} stands for all", "argument", lambda A: 0 * A + A.flat[0]),
    ("the last entry of {} stands for all", "argument", lambda A: 0 * A + A.flat[-1]),
    ("the first row of {} stands for all", "argument", lambda A: 0 * A + A[0]),
    ("the last row of {} stands for all", "argument", lambda A: 0 * A + A[-1]),
    ("{} is left out: 1 is in its place", "factors", np.ones_like),
    ("{} is left out: 0 is in its place", "factors", np.zeros_like),
    ("only the first row of {} is used", "axis", lambda A: _kept(A, 0)),
    ("only the last row of {} is used", "axis", lambda A: _kept(A, -1)),
    ("the first row of {} is left out", "axis", lambda A: A - _kept(A, 0)),
    ("the last row of {} is left out", "axis", lambda A: A - _kept(A, -1)),
    ("only the first column of {} is used", "axis", lambda A: _kept(A, slice(None), 0)),
    ("only the last column of {} is used", "axis", lambda A: _kept(A, slice(None), -1)),
    ("the first column of {} is left out", "axis", lambda A: A - _kept(A, slice(None), 0)),
    ("the last column of {} is left out", "axis", lambda A: A - _kept(A, slice(None), -1)),
    ("the rows of {} are in reverse order", "order", lambda A: A[::-1]),
    ("the columns of {} are in reverse order", "order", lambda A: A[:, ::-1]),
    ("the rows of {} are moved by one", "order", lambda A: np.roll(A, 1, axis=0)),
    ("the rows of {} are moved by one", "order", lambda A: np.roll(A, -1, axis=0)),
    ("the columns of {} are sorted", "order", lambda A: np.sort(A, axis=0)),
    ("the rows of {} are sorted", "order", lambda A: np.sort(A, axis=1)),
    ("{} is transposed", "shape", np.transpose),
    ("the transpose of {} is reshaped", "shape", lambda A: A.T.reshape(A.shape)),
    ("{} is reshaped where it should be transposed", "shape", lambda A: A.reshape(A.shape[::-1]).T),
    ("the numbers of the classes are taken instead of {}", "argument", lambda A: A.argmax(axis=1)[:, None]),
    (
        "the largest entries of {} count as 1, the others as 0",
        "numbers",
        lambda A: np.eye(A.shape[1])[A.argmax(axis=1)],
    ),
]
_OF_NUMBERS: list[tuple[str, str, Callable[[Any], Any]]] = [
    *(
        (f"{{}} is always {c:g}", "argument", lambda A, c=c: c)
        for c in (0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.5, 0.9, 0.99, 1)
    ),
    *_OF_ARGUMENTS[1:6],
]


def transformed(task: Task) -> Iterator[Mistake]:
    """Yield mistakes that apply the right function to a changed argument, also in the functions that it calls.

    Examples
    --------
    >>> next(transformed(TASKS["error_output"])).name
    'the absolute values of Y are taken'
    """
    right = functions()[task.name]
    for place, name in enumerate(task.arguments):
        numbers = name in ("momentum_term", "learning_rate")
        for words, look, change in _OF_NUMBERS if numbers else _OF_ARGUMENTS:

            def made(*args: Any, place: int = place, change: Callable[[Any], Any] = change) -> Any:
                old = args[place]
                new = [change(part) for part in old] if isinstance(old, list) else change(old)
                return right(*args[:place], new, *args[place + 1 :])

            yield Mistake(words.format(name), look, made)
    if {"momentum_term", "learning_rate"} <= set(task.arguments):
        numbers = (0.001, 0.01, 0.02, 0.05, 0.1, 0.5, 0.9, 0.99)
        for m, r in product(numbers, numbers):
            words = f"momentum_term is always {m:g}, and learning_rate {r:g}"
            yield Mistake(words, "argument", lambda *args, m=m, r=r: right(*args[:-2], m, r))
    for called in task.calls:
        for mistake in transformed(TASKS[called]):
            wrong = functions({called: mistake.made})
            yield Mistake(f"{called}: {mistake.name}", mistake.look, wrong[task.name])

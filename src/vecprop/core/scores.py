"""Scores of predictions Y of shape (*M, N, O), with scikit-learn's definitions."""

from typing import Literal, get_args

from .elementary import namespace, where
from .losses import one_hot
from .rows.inputs import Batch

Score = Literal["accuracy", "subset_accuracy", "r2"]
"""The names of the scores; their functions in this module and their loops in
``compiled`` have the same names.
"""


def accuracy(Y, T, weight=None):
    """Return the weighted share of correctly classified rows; a single output has the threshold ½."""
    if Y.shape[-1] == 1:
        return subset_accuracy(Y, T, weight)
    xp = namespace(Y)
    return _share(xp.argmax(Y, axis=-1) == xp.argmax(one_hot(T, Y), axis=-1), weight)


def subset_accuracy(Y, T, weight=None):
    """Return the weighted share of rows whose outputs are all on the same side of ½ as the targets."""
    return _share(namespace(Y).all((Y > 0.5) == (one_hot(T, Y) > 0.5), axis=-1), weight)


def r2(Y, T, weight=None):
    """Return the coefficient of determination, 1 - Σ w (t - y)² / Σ w (t - t̄)², averaged over outputs.

    If all targets of an output are equal, its score is 1 for exact predictions and 0
    otherwise.
    """
    xp = namespace(Y)
    T = xp.astype(one_hot(T, Y), xp.float64)
    Y = xp.astype(Y, xp.float64)
    w = xp.ones_like(T[..., :1])
    if weight is not None:
        w = xp.astype(weight, xp.float64)[..., None]
    # If all targets are equal, differences from the first one are exactly 0.
    t = T - T[..., :1, :]
    mean = xp.sum(w * t, axis=-2, keepdims=True) / xp.sum(w, axis=-2, keepdims=True)
    residual = xp.sum(w * (T - Y) ** 2, axis=-2)
    spread = xp.sum(w * (t - mean) ** 2, axis=-2)
    score = 1 - residual / where(spread > 0, spread, xp.inf)
    score = where(spread > 0, score, xp.zeros_like(score))
    score = where(residual == 0, xp.ones_like(score), score)
    return xp.mean(score, axis=-1)


def _share(right, weight):
    """Return the weighted share of true entries."""
    xp = namespace(right)
    right = xp.astype(right, xp.float64)
    if weight is None:
        return xp.mean(right, axis=-1)
    weight = xp.astype(weight, xp.float64)
    return xp.sum(weight * right, axis=-1) / xp.sum(weight, axis=-1)


SCORES = {name: globals()[name] for name in get_args(Score)}
"""The score functions by name."""


def meanings() -> list[str]:
    """Describe each score in one sentence, from the docstring of its function."""
    sentences = []
    for name, function in SCORES.items():
        line, _, _ = (function.__doc__ or "").partition("\n")
        sentences.append(f'"{name}" is {line.removeprefix("Return ").rstrip(".")}')
    return sentences


def score(name: Score, network, theta, batch: Batch):
    """Return the score of a network's predictions for a batch."""
    return SCORES[name](network.predict(theta, batch.X), batch.T, batch.weight)

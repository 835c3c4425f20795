"""How each function is often wrong: the mistake in words, what to look at, and a function that makes it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from .tasks import TASKS, Task, functions

LOOK = {
    "sign": "Look at the signs.",
    "size": "Look at how large the result is: what is summed, and is it divided by something?",
    "axis": "Look at what is summed, and along which axis.",
    "factors": "Look at the factors: compare them one by one with the derivation.",
    "terms": "Look at the terms of the sum: compare them one by one with the derivation.",
    "function": "Look at the function that is applied to the numbers.",
    "argument": "Look at what each function is applied to.",
    "order": "Look at the order of the operations, and at the parentheses.",
    "shape": "Look at the shapes of the factors, and at that of the result.",
    "list": "Look at the list that is returned: what it holds, and in which order.",
    "numbers": "Look at the type of the numbers, and at whether they are rounded or cut.",
    "kept": "Look at what the function keeps between calls: global names, default arguments and their contents.",
    "cases": "Look at the assumptions of the function: shapes, rows, classes, bounds of numbers.",
    "point": "Look at which parameters and moments each part is computed from.",
}


@dataclass(frozen=True)
class Mistake:
    """A known mistake.

    Parameters
    ----------
    name : str
        The mistake in words.
    look : str
        The key in `LOOK` of what to look at.
    made : callable
        A function of the arguments that makes it.
    """

    name: str
    look: str
    made: Callable[..., Any]


def softmax(z: Any, axis: int | None = 1) -> Any:
    """Return the plain softmax along an axis."""
    return np.exp(z) / np.sum(np.exp(z), axis=axis, keepdims=True)


def logistic(z: Any) -> Any:
    """Return the plain logistic function."""
    return 1 / (1 + np.exp(-z))


def slope(y: Any) -> Any:
    """Return the logistic function's slope where its value is y."""
    return y * (1 - y)


M = Mistake
KNOWN: dict[str, list[Mistake]] = {
    "logistic": [
        M("the sign in the exponent is wrong", "sign", lambda z: 1 / (1 + np.exp(z))),
        M("the 1 in the denominator is missing", "terms", lambda z: 1 / np.exp(-z)),
        M("the exponential has the wrong sign in the denominator", "sign", lambda z: 1 / (1 - np.exp(-z))),
        M("the parentheses of the denominator are missing", "order", lambda z: 1 / 1 + np.exp(-z)),
        M("the parentheses of the denominator are missing", "order", lambda z: 1 / np.exp(-z) + 1),
        M("// rounds down to whole numbers", "numbers", lambda z: 1 // (1 + np.exp(-z))),
        M("the hyperbolic tangent is taken instead", "function", lambda z: np.tanh(z)),
        M("the derivative is returned instead of the function", "function", lambda z: slope(logistic(z))),
        M("the softmax is taken instead", "function", softmax),
        M("the power of 2 is taken instead of the exponential", "function", lambda z: 1 / (1 + 2.0**-z)),
        M("max(z, 0) is taken instead", "function", lambda z: np.maximum(z, 0)),
        M("the step function is taken instead", "function", lambda z: np.round(logistic(z))),
        M("the inverse is taken: the division is missing", "order", lambda z: 1 + np.exp(-z)),
        M("log(1 + exp(z)) is taken instead", "function", lambda z: np.log1p(np.exp(z))),
        M("a line that is cut off at 0 and 1 is taken instead", "function", lambda z: np.clip(0.2 * z + 0.5, 0, 1)),
        M("a line that is cut off at 0 and 1 is taken instead", "function", lambda z: np.clip(z / 6 + 0.5, 0, 1)),
        M("a line that is cut off at 0 and 1 is taken instead", "function", lambda z: np.clip(z / 4 + 0.5, 0, 1)),
        M("a line that is cut off at 0 and 1 is taken instead", "function", lambda z: np.clip((z + 1) / 2, 0, 1)),
        M("the arctangent is taken instead", "function", lambda z: 0.5 + np.arctan(z) / np.pi),
        M("the arctangent is taken instead", "function", np.arctan),
        M("z / (1 + |z|) is taken instead", "function", lambda z: z / (1 + np.abs(z))),
        M("the first terms of a series are taken instead", "function", lambda z: 0.5 + z / 4 - z**3 / 48),
        M("the first terms of a series are taken instead", "function", lambda z: 0.5 + z / 4),
        M("the first terms of a series are taken instead", "function", lambda z: 1 / (2 - z + z**2 / 2)),
        M("the first terms of a series are taken instead", "function", lambda z: 1 / (2 - z)),
    ],
    "softmax": [
        M("the sum is along the wrong axis, over the rows", "axis", lambda z: softmax(z, 0)),
        M("the sum is over all entries instead of those of each row", "axis", lambda z: softmax(z, None)),
        M("the exponential is missing", "function", lambda z: z / np.sum(z, axis=1, keepdims=True)),
        M("the exponential is missing in the denominator", "terms", lambda z: np.exp(z) / z.sum(1, keepdims=True)),
        M("the exponential is missing in the numerator", "terms", lambda z: z / np.exp(z).sum(1, keepdims=True)),
        M("the division by the sum is missing", "factors", np.exp),
        M("keepdims is missing: the sums stand for columns", "shape", lambda z: np.exp(z) / np.exp(z).sum(axis=1)),
        M("keepdims is missing: the largest entries stand for columns", "shape", lambda z: softmax(z - z.max(axis=1))),
        M("the logistic function is taken instead", "function", logistic),
        M("the logarithm of the softmax is returned", "function", lambda z: np.log(softmax(z))),
        M("the sign in the exponent is wrong", "sign", lambda z: softmax(-z)),
        M("the largest entry is taken instead of the softmax", "function", lambda z: np.eye(z.shape[1])[z.argmax(1)]),
        M("it is divided by the largest entry, not by the sum", "axis", lambda z: softmax_by(np.max, z)),
        M("it is divided by the mean, not by the sum", "size", lambda z: softmax_by(np.mean, z)),
        M(
            "the exponential of the sum is taken, not the sum of exponentials",
            "order",
            lambda z: np.exp(z) / np.exp(z.sum(1, keepdims=True)),
        ),
        M("it is divided by the Euclidean norm, not by the sum", "axis", lambda z: softmax_by(np.linalg.norm, z)),
        M("the largest entry is subtracted in the numerator only", "terms", lambda z: softmax(z) / _top(z)),
        M("the largest entry is subtracted in the denominator only", "terms", lambda z: softmax(z) * _top(z)),
        M("the largest entry of each column is subtracted, not of each row", "axis", lambda z: softmax(z - z.max(0))),
        M("the powers of 2 are taken instead of the exponential", "function", lambda z: softmax(z * np.log(2))),
        M("the sum leaves out the entry itself", "terms", lambda z: 1 / (1 / softmax(z) - 1)),
        M(
            "the sum is not set back to 0 for each row",
            "order",
            lambda z: np.exp(z) / np.cumsum(np.exp(z).sum(axis=1))[:, None],
        ),
        *(
            M(f"{small:g} is added to the sum", "terms", lambda z, s=small: np.exp(z) / (np.exp(z).sum(1)[:, None] + s))
            for small in (1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)
        ),
    ],
    "hidden_activations": [
        M("the bias is forgotten", "terms", lambda X, W, b: logistic(X @ W)),
        M("the logistic function is missing", "function", lambda X, W, b: X @ W + b),
        M("the bias is added after the logistic function", "order", lambda X, W, b: logistic(X @ W) + b),
        M("the bias is subtracted", "sign", lambda X, W, b: logistic(X @ W - b)),
        M(
            "the hyperbolic tangent is taken instead of the logistic function",
            "function",
            lambda X, W, b: np.tanh(X @ W + b),
        ),
        M("max(z, 0) is taken instead of the logistic function", "function", lambda X, W, b: np.maximum(X @ W + b, 0)),
        M("the softmax is taken instead of the logistic function", "function", lambda X, W, b: softmax(X @ W + b)),
        M("the weights are transposed", "shape", lambda X, W, b: logistic(X @ W.T + b)),
        M("the factors are in the wrong order", "shape", lambda X, W, b: logistic(W @ X + b)),
        M("the result is transposed", "shape", lambda X, W, b: logistic(W.T @ X.T + b.T)),
        M("the product is one of entries, not of matrices", "shape", lambda X, W, b: logistic(X * W + b)),
        M("the logistic function is applied twice", "function", lambda X, W, b: logistic(logistic(X @ W + b))),
        M("the bias is multiplied instead of added", "order", lambda X, W, b: logistic((X @ W) * b)),
        M("the logistic function is applied before the product", "order", lambda X, W, b: logistic(X) @ W + b),
        M("the bias is added before the product", "order", lambda X, W, b: logistic((X + b) @ W)),
    ],
    "output_activations": [
        M("the bias is forgotten", "terms", lambda H, W, b: softmax(H @ W)),
        M("the softmax is missing", "function", lambda H, W, b: H @ W + b),
        M("the bias is added after the softmax", "order", lambda H, W, b: softmax(H @ W) + b),
        M("the bias is subtracted", "sign", lambda H, W, b: softmax(H @ W - b)),
        M("the logistic function is taken instead of the softmax", "function", lambda H, W, b: logistic(H @ W + b)),
        M(
            "the hidden activations go through the logistic function again",
            "argument",
            lambda H, W, b: softmax(logistic(H) @ W + b),
        ),
        M("the weights are transposed", "shape", lambda H, W, b: softmax(H @ W.T + b)),
        M("the factors are in the wrong order", "shape", lambda H, W, b: softmax(W @ H + b)),
        M("the product is one of entries, not of matrices", "shape", lambda H, W, b: softmax(H * W + b)),
        M("the softmax is applied twice", "function", lambda H, W, b: softmax(softmax(H @ W + b))),
        M("the bias is added before the product", "order", lambda H, W, b: softmax((H + b) @ W)),
        M("the softmax is applied before the product", "order", lambda H, W, b: softmax(H) @ W + b),
    ],
    "loss": [
        M("it is divided by N, the number of rows", "size", lambda Y, T: -(T * np.log(Y)).sum() / len(Y)),
        M("it is the mean over all entries instead of the sum", "size", lambda Y, T: -(T * np.log(Y)).mean()),
        M("the sign is wrong", "sign", lambda Y, T: (T * np.log(Y)).sum()),
        M("a product of matrices is taken instead of one of entries", "shape", lambda Y, T: -(T @ np.log(Y)).sum()),
        M("a product of matrices is taken instead of one of entries", "shape", lambda Y, T: -(T @ np.log(Y).T).sum()),
        M("the parentheses around the product are missing", "order", lambda Y, T: -T * np.log(Y).sum()),
        M("it is averaged over the classes", "size", lambda Y, T: -(T * np.log(Y)).sum() / Y.shape[1]),
        M("the logarithm is missing", "function", lambda Y, T: -(T * Y).sum()),
        M("T and Y are swapped", "argument", lambda Y, T: -(Y * np.log(T)).sum()),
        M("T and Y are swapped", "argument", lambda Y, T: -(Y * np.log(np.clip(T, 1e-12, 1))).sum()),
        M("T is left out", "terms", lambda Y, T: -np.log(Y).sum()),
        M("it is not summed over the rows", "axis", lambda Y, T: -(T * np.log(Y)).sum(axis=1)),
        M("it is summed over the rows only, not over the classes", "axis", lambda Y, T: -(T * np.log(Y)).sum(axis=0)),
        M("it is not summed", "axis", lambda Y, T: -(T * np.log(Y))),
        M("the squared error is taken instead", "function", lambda Y, T: ((Y - T) ** 2).sum()),
        M("the squared error is taken instead", "function", lambda Y, T: ((Y - T) ** 2).sum() / 2),
        M("the squared error is taken instead", "function", lambda Y, T: ((Y - T) ** 2).mean()),
        M("the squared error is taken instead", "function", lambda Y, T: ((Y - T) ** 2).sum() ** 0.5),
        M(
            "the terms of the other classes, (1 - T) log(1 - Y), are added",
            "terms",
            lambda Y, T: -(T * np.log(Y) + (1 - T) * np.log(1 - Y)).sum(),
        ),
        M("log(1 - Y) is taken instead of log(Y)", "argument", lambda Y, T: -(T * np.log(1 - Y)).sum()),
        M("the logarithm is to the base 10", "function", lambda Y, T: -(T * np.log10(Y)).sum()),
        M("the logarithm is to the base 2", "function", lambda Y, T: -(T * np.log2(Y)).sum()),
        M("the logarithm is taken of the sum, not of each probability", "order", lambda Y, T: -np.log((T * Y).sum())),
        M("the absolute error is taken instead", "function", lambda Y, T: np.abs(Y - T).sum()),
        M(
            "the number of wrong classes is returned instead",
            "function",
            lambda Y, T: (Y.argmax(1) != T.argmax(1)).sum(),
        ),
        M("1 - Y is taken instead of the logarithm", "function", lambda Y, T: (T * (1 - Y)).sum()),
        *(
            M(f"{small:g} is added in the logarithm", "argument", lambda Y, T, s=small: -(T * np.log(Y + s)).sum())
            for small in (1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5)
        ),
        *(
            M(
                f"the probabilities are cut off at {low:g}",
                "argument",
                lambda Y, T, low=low: -(T * np.log(np.clip(Y, low, 1 - low))).sum(),
            )
            for low in (0.2, 0.1, 0.05, 0.01, 1e-3, 1e-4)
        ),
        M("the exponential of the loss is returned", "function", lambda Y, T: np.exp(-(T * np.log(Y)).sum())),
        M("the logarithms are squared", "function", lambda Y, T: (T * np.log(Y) ** 2).sum()),
        M("the logarithm is taken of the product", "order", lambda Y, T: -np.log(T * Y).sum()),
        M("the share of right classes is returned", "function", lambda Y, T: (Y.argmax(1) == T.argmax(1)).mean()),
        M("the number of right classes is returned", "function", lambda Y, T: (Y.argmax(1) == T.argmax(1)).sum()),
        M("the entropy of Y is taken instead", "terms", lambda Y, T: -(Y * np.log(Y)).sum()),
        M(
            "the largest probability is taken, not the one that T picks",
            "argument",
            lambda Y, T: -np.log(Y.max(axis=1)).sum(),
        ),
        M("the largest loss of a row is returned", "axis", lambda Y, T: -(T * np.log(Y)).sum(axis=1).min()),
        M("it is divided by the number of entries and by N", "size", lambda Y, T: -(T * np.log(Y)).mean() / len(Y)),
    ],
    "error_output": [
        M("the sign is wrong", "sign", lambda Y, T: T - Y),
        M("T is left out", "terms", lambda Y, T: Y),
        M("it is divided by N, the number of rows", "size", lambda Y, T: (Y - T) / len(Y)),
        M("the slope Y (1 - Y) is multiplied although it has cancelled", "factors", lambda Y, T: (Y - T) * slope(Y)),
        M("it is the derivative with respect to Y, not to Z_o", "argument", lambda Y, T: -T / Y),
        M("it is the derivative with respect to Y, not to Z_o", "argument", lambda Y, T: (Y - T) / slope(Y)),
        M("it is squared", "function", lambda Y, T: (Y - T) ** 2),
        M("it is squared", "function", lambda Y, T: (Y - T) ** 2 / 2),
        M("the absolute value is taken", "sign", lambda Y, T: np.abs(Y - T)),
        M("a factor 2 is too many", "size", lambda Y, T: 2 * (Y - T)),
        M("it is summed over the rows", "axis", lambda Y, T: (Y - T).sum(axis=0)),
        M("it is averaged over the rows", "axis", lambda Y, T: (Y - T).mean(axis=0)),
        M("the probabilities are rounded to classes", "numbers", lambda Y, T: np.round(Y) - T),
        M("only the true classes are kept", "terms", lambda Y, T: T * (Y - T)),
        M("the softmax is applied again", "function", lambda Y, T: softmax(Y) - T),
        M("it is divided by the number of entries", "size", lambda Y, T: (Y - T) / Y.size),
        M("it is divided by the number of classes", "size", lambda Y, T: (Y - T) / Y.shape[1]),
        M("the terms of the loss are returned", "function", lambda Y, T: -T * np.log(Y)),
        M("the sum is taken instead of the difference", "sign", lambda Y, T: Y + T),
        M("the product is taken instead of the difference", "function", lambda Y, T: Y * T),
        M("only the targets are returned", "terms", lambda Y, T: T),
    ],
    "error_hidden": [
        M("the slope of the logistic function is missing", "factors", lambda H, W, E: E @ W.T),
        M("the slope is taken at H instead of Z_h", "argument", lambda H, W, E: slope(logistic(H)) * (E @ W.T)),
        M("the slope is that of the hyperbolic tangent", "factors", lambda H, W, E: (1 - H**2) * (E @ W.T)),
        M("the slope lacks its factor 1 - H", "factors", lambda H, W, E: H * (E @ W.T)),
        M("the slope lacks its factor H", "factors", lambda H, W, E: (1 - H) * (E @ W.T)),
        M("the slope is applied twice", "factors", lambda H, W, E: slope(H) ** 2 * (E @ W.T)),
        M("the parentheses around 1 - H are missing", "order", lambda H, W, E: (H * 1 - H) * (E @ W.T)),
        M("the parentheses around 1 - H are missing", "order", lambda H, W, E: H * 1 - H * (E @ W.T)),
        M("the parentheses around the product of matrices are missing", "order", lambda H, W, E: slope(H) * E @ W.T),
        M("the slope is added instead of multiplied", "order", lambda H, W, E: slope(H) + E @ W.T),
        M("the sign of the slope is wrong", "sign", lambda H, W, E: H * (H - 1) * (E @ W.T)),
        M("the error Eo is left out", "factors", lambda H, W, E: slope(H) * W.sum(axis=1)),
        M("the weights Wo are left out", "factors", lambda H, W, E: slope(H) * E.sum(axis=1, keepdims=True)),
        M("only the slope is returned", "factors", lambda H, W, E: slope(H)),
        M("Wo is not transposed", "shape", lambda H, W, E: slope(H) * (E @ W)),
        M("the factors Wo and Eo are in the wrong order", "shape", lambda H, W, E: slope(H) * (W @ E)),
        M("the factors Wo and Eo are in the wrong order", "shape", lambda H, W, E: slope(H) * (W.T @ E)),
        M(
            "the error is multiplied entry by entry instead of by a product of matrices",
            "shape",
            lambda H, W, E: slope(H) * (E * W.T),
        ),
        M(
            "the slope is multiplied by a product of matrices instead of entry by entry",
            "shape",
            lambda H, W, E: slope(H) @ (E @ W.T),
        ),
        M("the slope is 2 H - 1", "factors", lambda H, W, E: (1 - 2 * H) * (E @ W.T)),
        M("the step function's slope is taken, as of max(z, 0)", "factors", lambda H, W, E: (H > 0) * (E @ W.T)),
        M("it is summed over the rows", "axis", lambda H, W, E: (slope(H) * (E @ W.T)).sum(axis=0)),
        M("the slope H (1 - H) is averaged over the rows", "axis", lambda H, W, E: slope(H).mean(axis=0) * (E @ W.T)),
        M("the slope has the factor 1 + H instead of 1 - H", "sign", lambda H, W, E: H * (1 + H) * (E @ W.T)),
        M("the square root of the slope is taken", "factors", lambda H, W, E: np.sqrt(slope(H)) * (E @ W.T)),
        M("the slope is 1/4 everywhere", "factors", lambda H, W, E: 0.25 * (E @ W.T)),
        M("the result is divided by the slope", "factors", lambda H, W, E: (E @ W.T) / slope(H)),
        M(
            "it is summed over the hidden units",
            "axis",
            lambda H, W, E: np.ones_like(H) * (slope(H) * (E @ W.T)).sum(1, keepdims=True),
        ),
        *(
            M("Wo has been moved before", "point", lambda H, W, E, r=rate: slope(H) * (E @ (W - r * H.T @ E).T))
            for rate in (0.001, 0.01, 0.02, 0.1, 1.0)
        ),
    ],
    "update_params": [
        M("the moments are subtracted", "sign", lambda P, Ms: [p - m for p, m in zip(P, Ms, strict=True)]),
        M("the moments are returned without the parameters", "terms", lambda P, Ms: list(Ms)),
        M("the parameters do not move", "terms", lambda P, Ms: list(P)),
        M(
            "the parameters are multiplied by the moments",
            "order",
            lambda P, Ms: [p * m for p, m in zip(P, Ms, strict=True)],
        ),
        M("the two lists are joined instead of added", "list", lambda P, Ms: [*P, *Ms]),
        M("the parameters move twice as far", "size", lambda P, Ms: [p + 2 * m for p, m in zip(P, Ms, strict=True)]),
        M(
            "the moments are multiplied by the learning rate again",
            "size",
            lambda P, Ms: [p + 0.02 * m for p, m in zip(P, Ms, strict=True)],
        ),
        M("only the first parameter moves", "list", lambda P, Ms: [P[0] + Ms[0], *P[1:]]),
        M(
            "only the weights move, not the biases",
            "list",
            lambda P, Ms: [p + m if len(p) > 1 else p for p, m in zip(P, Ms, strict=True)],
        ),
    ],
}


def _top(z: Any) -> Any:
    return np.exp(z.max(axis=1, keepdims=True))


def softmax_by(divisor: Callable[..., Any], z: Any) -> Any:
    """Return exp(z), divided by another number of each row than the sum."""
    return np.exp(z) / divisor(np.exp(z), axis=1, keepdims=True)


def _of_weight_gradient(left: str) -> list[Mistake]:
    """Return the mistakes in A.T @ E, with A the input of the layer."""
    used = {"H": "the slope H (1 - H) is multiplied, which belongs to the error", "X": ""}[left]
    return [
        M("it is divided by N, the number of rows", "size", lambda A, E: A.T @ E / len(A)),
        M("the result is transposed", "shape", lambda A, E: E.T @ A),
        M(f"{left} is not transposed", "shape", lambda A, E: A @ E),
        M("the error is transposed instead", "shape", lambda A, E: A @ E.T),
        M("the factors are in the wrong order", "shape", lambda A, E: E @ A),
        M("the factors are in the wrong order", "shape", lambda A, E: E @ A.T),
        M("it is not summed over the rows", "axis", lambda A, E: A[:, :, None] * E[:, None, :]),
        M("the factors are multiplied entry by entry", "shape", lambda A, E: A * E),
        M("the factors are multiplied entry by entry", "shape", lambda A, E: A.T * E),
        M("only the first row is used", "axis", lambda A, E: np.outer(A[0], E[0])),
        M("only the last row is used", "axis", lambda A, E: np.outer(A[-1], E[-1])),
        M("the last row is left out", "axis", lambda A, E: A[:-1].T @ E[:-1]),
        M("the first row is left out", "axis", lambda A, E: A[1:].T @ E[1:]),
        M(
            "factors are summed over the rows before they are multiplied",
            "order",
            lambda A, E: np.outer(A.sum(0), E.sum(0)),
        ),
        M(
            "factors are averaged over the rows before they are multiplied",
            "order",
            lambda A, E: np.outer(A.mean(0), E.mean(0)),
        ),
        *([M(used, "factors", lambda A, E: slope(A).T @ E)] if used else []),
        M(f"{left} is left out: the errors are those of the bias", "factors", lambda A, E: np.ones(A.shape).T @ E),
        M("the sum over rows is multiplied by N", "size", lambda A, E: len(A) * A.T @ E),
    ]


OF_BIAS = [
    M("it is divided by N, the number of rows", "size", lambda E: E.mean(axis=0)),
    M("it is not summed over the rows", "axis", lambda E: E),
    M("it is summed along the wrong axis", "axis", lambda E: E.sum(axis=1)),
    M("it is summed along the wrong axis", "axis", lambda E: E.sum(axis=1, keepdims=True)),
    M("it is averaged along the wrong axis", "axis", lambda E: E.mean(axis=1)),
    M("it is summed over everything, not only over the rows", "axis", lambda E: E.sum()),
    M("it is averaged over everything", "axis", lambda E: E.mean()),
    M("only the first row is used", "axis", lambda E: E[0]),
    M("only the last row is used", "axis", lambda E: E[-1]),
    M("the last row is left out", "axis", lambda E: E[:-1].sum(axis=0)),
    M("the first row is left out", "axis", lambda E: E[1:].sum(axis=0)),
    M("the result is transposed", "shape", lambda E: E.sum(axis=0)[:, None]),
    M("the largest entry is taken, not the sum", "function", lambda E: E.max(axis=0)),
    M("the smallest entry is taken, not the sum", "function", lambda E: E.min(axis=0)),
    M("the product is taken, not the sum", "function", lambda E: E.prod(axis=0)),
    M("the Euclidean norm is taken, not the sum", "function", lambda E: np.linalg.norm(E, axis=0)),
    M("the rows are added up step by step: the sum is the last one", "axis", lambda E: E.cumsum(axis=0)),
    M("the error is squared", "function", lambda E: (E**2).sum(axis=0)),
    M("absolute values are summed", "sign", lambda E: np.abs(E).sum(axis=0)),
]
KNOWN["gradient_weight_out"] = _of_weight_gradient("H")
KNOWN["gradient_weight_hidden"] = _of_weight_gradient("X")
KNOWN["gradient_bias_out"] = KNOWN["gradient_bias_hidden"] = OF_BIAS

_BACKPROP = functions()["backprop_gradients"]


def _momentum(new: Callable[..., Any], where: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Return an update of moments by new(M, J, momentum, rate, N), at other parameters if they are given."""

    def update(X: Any, T: Any, params: Any, Ms: Any, momentum: Any, rate: Any) -> list[Any]:
        Js = _BACKPROP(X, T, *(where(params, Ms, momentum) if where else params))
        return [new(M, J, momentum, rate, len(X)) for M, J in zip(Ms, Js, strict=True)]

    return update


def _one_after_the_other(X: Any, T: Any, params: Any, Ms: Any, momentum: Any, rate: Any) -> list[Any]:
    """Return the moments if each parameter moves before the gradient of the next is taken."""
    params, moments = list(params), []
    for k in range(4):
        moments.append(momentum * Ms[k] - rate * _BACKPROP(X, T, *params)[k])
        params[k] = params[k] + moments[k]
    return moments


def _from_moved_output_weights(rate: float, X: Any, T: Any, Wh: Any, bh: Any, Wo: Any, bo: Any) -> list[Any]:
    """Return the gradients if the error comes back through output weights that have been moved already."""
    right = functions()
    J = right["backprop_gradients"](X, T, Wh, bh, Wo, bo)
    H = right["hidden_activations"](X, Wh, bh)
    Eh = right["error_hidden"](H, Wo - rate * J[2], right["output_activations"](H, Wo, bo) - T)
    return [X.T @ Eh, Eh.sum(axis=0, keepdims=True), *J[2:]]


def _moved(M: Any, J: Any, momentum: Any, rate: Any, N: int) -> Any:
    return momentum * M - rate * J


def _parameters_after(X: Any, T: Any, params: Any, Ms: Any, momentum: Any, rate: Any) -> list[Any]:
    return [P + M for P, M in zip(params, _momentum(_moved)(X, T, params, Ms, momentum, rate), strict=True)]


def _descended(X: Any, T: Any, params: Any, Ms: Any, momentum: Any, rate: Any) -> list[Any]:
    return [P - rate * J for P, J in zip(params, _BACKPROP(X, T, *params), strict=True)]


_AHEAD = "updated parameters are used: the gradient is taken ahead, after the old moments"
KNOWN["update_momentum"] = [
    M("the sign of the gradient is wrong", "sign", _momentum(lambda M, J, m, r, N: m * M + r * J)),
    M("the sign of the momentum is wrong", "sign", _momentum(lambda M, J, m, r, N: -m * M - r * J)),
    M("all signs are wrong: the moments point uphill", "sign", _momentum(lambda M, J, m, r, N: r * J - m * M)),
    M("the momentum is forgotten", "terms", _momentum(lambda M, J, m, r, N: -r * J)),
    M("the gradient is left out", "terms", _momentum(lambda M, J, m, r, N: m * M)),
    M("the learning rate is forgotten", "factors", _momentum(lambda M, J, m, r, N: m * M - J)),
    M("the momentum's factor is forgotten", "factors", _momentum(lambda M, J, m, r, N: M - r * J)),
    M("momentum and learning rate are swapped", "argument", _momentum(lambda M, J, m, r, N: r * M - m * J)),
    M("the gradient has the factor 1 - momentum", "factors", _momentum(lambda M, J, m, r, N: m * M - (1 - m) * r * J)),
    M("the gradient has the factor 1 - momentum", "factors", _momentum(lambda M, J, m, r, N: m * M + (1 - m) * J)),
    M("the learning rate multiplies the old moment too", "order", _momentum(lambda M, J, m, r, N: r * (m * M - J))),
    M("the momentum multiplies the gradient too", "order", _momentum(lambda M, J, m, r, N: m * (M - r * J))),
    M("the gradient is divided by N, the number of rows", "size", _momentum(lambda M, J, m, r, N: m * M - r * J / N)),
    M(
        "the parameters are in the place of the old moments",
        "argument",
        lambda *args: _momentum(_moved)(*args[:3], *args[2:3], *args[4:]),
    ),
    M("the gradient is squared", "function", _momentum(lambda M, J, m, r, N: m * M - r * J**2)),
    M("only the sign of the gradient is used", "sign", _momentum(lambda M, J, m, r, N: m * M - r * np.sign(J))),
    M("the gradients are returned, not the moments", "list", _momentum(lambda M, J, m, r, N: J)),
    M("the old moments are returned", "list", _momentum(lambda M, J, m, r, N: M)),
    M(_AHEAD, "point", _momentum(_moved, lambda P, Ms, m: [p + m * q for p, q in zip(P, Ms, strict=True)])),
    M(_AHEAD, "point", _momentum(_moved, lambda P, Ms, m: [p + q for p, q in zip(P, Ms, strict=True)])),
    M("updated parameters are used: each moves before the next gradient is taken", "point", _one_after_the_other),
    M("the gradient is taken at the moments, not at the parameters", "point", _momentum(_moved, lambda P, Ms, m: Ms)),
    M("the parameters after the step are returned, not the moments", "list", _parameters_after),
    M("the new parameters are those of plain gradient descent", "list", _descended),
]


def mistakes_of(task: Task) -> Iterator[Mistake]:
    """Yield the known mistakes of a function, and then those of the functions that it calls.

    Examples
    --------
    >>> [mistake.name for mistake in mistakes_of(TASKS["hidden_activations"])][-1]
    'logistic: the first terms of a series are taken instead'
    """
    yield from KNOWN.get(task.name, ())
    if task.name == "backprop_gradients":
        yield from _of_lists()
    for called in task.calls:
        for mistake in mistakes_of(TASKS[called]):
            wrong = functions({called: mistake.made})
            yield Mistake(f"{called}: {mistake.name}", mistake.look, wrong[task.name])


def _with_inputs(part: int, X: Any, T: Any, Wh: Any, bh: Any, Wo: Any, bo: Any) -> list[Any]:
    """Return the gradients if one of the weights is computed from the other layer's inputs."""
    Js = list(_BACKPROP(X, T, Wh, bh, Wo, bo))
    right = functions()
    H = right["hidden_activations"](X, Wh, bh)
    Eo = right["output_activations"](H, Wo, bo) - T
    Js[part] = X.T @ Eo if part == 2 else H.T @ right["error_hidden"](H, Wo, Eo)
    return Js


def _pairs_of_weight_gradients() -> Iterator[tuple[Mistake, Mistake]]:
    of_hidden = {mistake.name: mistake for mistake in KNOWN["gradient_weight_hidden"]}
    for mistake in KNOWN["gradient_weight_out"]:
        if mistake.name in of_hidden:
            yield mistake, of_hidden[mistake.name]


def _of_lists() -> Iterator[Mistake]:
    names = TASKS["backprop_gradients"].shape.partition("]")[0].strip("[").split(", ")
    for order in permutations(range(4)):
        if order != (0, 1, 2, 3):
            shown = ", ".join(names[k] for k in order)
            yield M(f"the order is [{shown}]", "list", lambda *args, order=order: [_BACKPROP(*args)[k] for k in order])
    for names, pairs in (
        ("gradient_bias_out and gradient_bias_hidden", zip(OF_BIAS, OF_BIAS, strict=True)),
        ("gradient_weight_out and gradient_weight_hidden", _pairs_of_weight_gradients()),
    ):
        for one, other in pairs:
            made = dict(zip(names.split(" and "), (one.made, other.made), strict=True))
            yield M(f"{names}: {one.name}", one.look, functions(made)["backprop_gradients"])
    yield M("only the gradients of the weights are returned", "list", lambda *args: _BACKPROP(*args)[::2])
    yield M("only the gradients of the output layer are returned", "list", lambda *args: _BACKPROP(*args)[2:])
    yield M("only the gradients of the hidden layer are returned", "list", lambda *args: _BACKPROP(*args)[:2])
    yield M("JWo is computed from X, not from H", "argument", lambda *args: _with_inputs(2, *args))
    yield M("JWh is computed from H, not from X", "argument", lambda *args: _with_inputs(0, *args))
    words = "updated weights are used: δ_o comes back through output weights that have moved"
    for rate in (0.001, 0.01, 0.02, 0.1, 1.0):
        yield M(words, "point", partial(_from_moved_output_weights, rate))
    yield M(
        "the new parameters are returned, not the gradients",
        "list",
        lambda *args: [P - 0.02 * J for P, J in zip(args[2:], _BACKPROP(*args), strict=True)],
    )

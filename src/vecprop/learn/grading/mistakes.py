"""Common mistakes in each function, as words and formulas.

Each line contains where to look, the mistake and the wrong formula. `mutations`
contains mistakes of any formula.
"""

import re
from dataclasses import dataclass
from functools import cache
from itertools import islice, permutations

import numpy as np

from ...core.elementary import Array
from .tasks import TASKS, Function, Task, functions

LOOK = {
    "sign": "Look at the signs.",
    "size": (
        "Look at the size of the result: what is summed, and is it divided by a number?"
    ),
    "axis": "Look at what is summed, and along which axis.",
    "factors": "Look at the factors: compare each of them with the derivation.",
    "terms": "Look at the terms of the sum: compare each of them with the derivation.",
    "function": "Look at the function that is applied to the numbers.",
    "argument": "Look at the arguments of each function call.",
    "order": "Look at the order of the operations, and at the parentheses.",
    "shape": "Look at the shapes of the factors and of the result.",
    "list": "Look at the returned list: what it contains, and in which order.",
    "numbers": "Look at the type of the numbers and at rounding.",
    "kept": (
        "Look at the state that the function keeps between calls: global names and"
        " mutable default arguments."
    ),
    "cases": (
        "Look at the assumptions of the function: shapes, rows, classes, ranges of"
        " numbers."
    ),
    "numerical": (
        "Look at how the gradient is computed: are parameters moved, or is the error"
        " propagated backward?"
    ),
    "point": "Look at which parameters and moments each part is computed from.",
}


NUMERICAL = "it is a numerical derivative, not the result of backpropagation"


@dataclass(frozen=True)
class Mistake:
    """A mistake, the topic of `LOOK` to look at, and the wrong function if it is known."""

    name: str
    look: str
    function: Function | None = None
    family: str = ""


def softmax(z, axis: int | None = 1):
    exponentials = np.exp(z)
    return exponentials / np.sum(exponentials, axis=axis, keepdims=True)


def slope(y):
    """Return the derivative of the logistic function from its value y."""
    return y * (1 - y)


_WEIGHT_GRADIENT = """
size | it is divided by N, the number of rows | A.T @ E / len(A)
shape | the result is transposed | E.T @ A
shape | A is not transposed | A @ E
shape | the error is transposed instead | A @ E.T
shape | the factors are in the wrong order | E @ A
shape | the factors are in the wrong order | E @ A.T
axis | it is not summed over the rows | A[:, :, None] * E[:, None, :]
shape | the factors are multiplied elementwise | A * E
shape | the factors are multiplied elementwise | A.T * E
order | factors are averaged over the rows before they are multiplied | np.outer(A.mean(0), E.mean(0))
factors | there is an extra factor A (1 - A), which belongs to the error | slope(A).T @ E
"""
_BIAS_GRADIENT = """
size | it is divided by N, the number of rows | E.mean(axis=0)
axis | it is not summed over the rows | E
axis | it is summed along the wrong axis | E.sum(axis=1)
axis | it is summed over all entries, not only over the rows | E.sum()
shape | the result is transposed | E.sum(axis=0)[:, None]
axis | the rows are accumulated: only the last row is the sum | E.cumsum(axis=0)
axis | the result is repeated for each row | E.sum(axis=0) + 0 * E
"""
_STEP = "[momentum_term * M - learning_rate * J for M, J in zip(Ms, Js)]"
_AHEAD = "updated parameters are used: the gradient is"
_EACH = (
    "updated parameters are used: each is updated before the next gradient is computed"
)


def _step_at(P):
    """Return the formula of the moments with gradients at the parameters P."""
    return _STEP.replace(
        "Js",
        f"backprop_gradients(X, T, *({P} for P, M, J in zip(ls_of_params, Ms, Js)))",
    )


def one_by_one(X, T, params, Ms, momentum: float, learning_rate: float) -> list[Array]:
    """Compute each moment after the previous parameters have been updated."""
    params = list(params)
    backprop_gradients = functions()["backprop_gradients"]
    moments = []
    for k in range(4):
        gradient = backprop_gradients(X, T, *params)[k]
        moments.append(momentum * Ms[k] - learning_rate * gradient)
        params[k] = params[k] + moments[k]
    return moments


def with_activation(
    activation: Function, derivative: Function, *arguments
) -> list[Array]:
    """Compute the gradients of a network with another activation in the hidden layer."""

    def error_hidden(H, Wo, Eo):
        return derivative(H) * (Eo @ Wo.T)

    replaced = {"logistic": activation, "error_hidden": error_hidden}
    return functions(replaced)["backprop_gradients"](*arguments)


def difference_quotients(
    f, theta, eps, low=-1, high=1, divisor=2, low_drift=0, high_drift=0
) -> Array:
    """Return (f(θ + high ε) - f(θ + low ε)) / (divisor ε) for each parameter.

    The drifts are the numbers of steps that earlier parameters remain moved.
    """
    differences = []
    earlier = np.zeros(len(theta))
    for step in eps * np.eye(len(theta)):
        high_point = theta + high * step + high_drift * earlier
        low_point = theta + low * step + low_drift * earlier
        differences.append(f(high_point) - f(low_point))
        earlier += step
    return np.array(differences) / (divisor * eps)


def numerical(X, T, *parameters, eps: float, low: int) -> list[Array]:
    """Return the gradients of the loss as difference quotients."""
    scope = functions()
    ends = np.cumsum(list(map(np.size, parameters)))[:-1]

    def in_shapes(theta):
        arrays = []
        for part, P in zip(np.split(theta, ends), parameters, strict=True):
            arrays.append(part.reshape(P.shape))
        return arrays

    def f(theta):
        return scope["loss"](scope["nn"](X, *in_shapes(theta)), T)

    theta = np.concatenate(list(map(np.ravel, parameters)))
    return in_shapes(difference_quotients(f, theta, eps, low=low, divisor=1 - low))


def trained(X, T, params, momentum, rate, iterations, Ms=None, is_late=False):
    """Return the parameters and the losses of a training.

    If it is late, the parameters are updated by the moments of the iteration before.
    """
    scope = functions()
    Ms = Ms or [0 * P for P in params]
    losses = [scope["loss"](scope["nn"](X, *params), T)]
    for _ in range(iterations):
        late_moments = Ms
        Ms = scope["update_momentum"](
            X,
            T,
            ls_of_params=params,
            Ms=Ms,
            momentum_term=momentum,
            learning_rate=rate,
        )
        params = scope["update_params"](params, late_moments if is_late else Ms)
        losses.append(scope["loss"](scope["nn"](X, *params), T))
    return params, np.array(losses)


NAMED = {
    "one_hot": """
list | the classes are returned without columns | t
shape | the result is transposed | np.eye(2)[t].T
order | the columns are in the wrong order | np.eye(2)[1 - t]
shape | the classes are one column | t[:, None]
list | only the column of class 1 is filled | np.eye(2)[t] * [0, 1]
list | only the column of class 0 is filled | np.eye(2)[t] * [1, 0]
terms | the other column contains -1, not 0 | 2 * np.eye(2)[t] - 1
size | there is a column too many | np.eye(3)[t]
size | the classes are counted from 1 | np.eye(3)[t + 1]
size | there is a column for each row | np.eye(len(t))[t]
axis | the columns of all classes that occur are filled | np.ones((len(t), 2)) * np.isin([0, 1], t)
axis | the rows with the numbers of the classes are filled | np.isin(np.arange(len(t)), t)[:, None] * np.ones(2)
argument | a row has the index of its class, not the number of the row | np.eye(len(t), 2)
""",
    "nn": """
list | H is returned | hidden_activations(X, Wh, bh)
function | Y is rounded | np.around(nn(X, Wh, bh, Wo, bo))
function | the index of the predicted class is returned | nn(X, Wh, bh, Wo, bo).argmax(axis=1)
function | the logarithm of Y is returned | np.log(nn(X, Wh, bh, Wo, bo))
list | only the probabilities of class 1 are returned | nn(X, Wh, bh, Wo, bo)[:, 1]
list | only the probabilities of class 0 are returned | nn(X, Wh, bh, Wo, bo)[:, 0]
order | the columns of the result are in reverse order | nn(X, Wh, bh, Wo, bo)[:, ::-1]
function | the softmax is applied twice | softmax(nn(X, Wh, bh, Wo, bo))
function | the hyperbolic tangent is used instead of logistic(z) | output_activations(np.tanh(X @ Wh + bh), Wo, bo)
function | max(z, 0) is used instead of logistic(z) | output_activations(np.maximum(X @ Wh + bh, 0), Wo, bo)
""",
    "nn_predict": """
function | the probabilities are not rounded | OUTPUT
function | the index of the predicted class is returned | OUTPUT.argmax(axis=1)
shape | the index of the predicted class is returned | OUTPUT.argmax(axis=1)[:, None]
list | only the prediction of class 1 is returned | np.around(OUTPUT)[:, 1]
list | only the prediction of class 0 is returned | np.around(OUTPUT)[:, 0]
sign | the classes that are not predicted are marked | 1 - np.around(OUTPUT)
order | the columns of the result are in reverse order | np.around(OUTPUT)[:, ::-1]
function | the largest probabilities are returned | OUTPUT.max(axis=1)
function | the probabilities are rounded down | np.floor(OUTPUT)
function | the probabilities are rounded up | np.ceil(OUTPUT)
function | the probabilities are truncated to integers | np.trunc(OUTPUT)
axis | the largest entry of each column is marked, not of each row | (OUTPUT == OUTPUT.max(axis=0)) * 1.0
axis | only the largest entry of all is marked | (OUTPUT == OUTPUT.max()) * 1.0
function | a threshold other than 1/2 is used | (OUTPUT > 0.9) * 1.0
""".replace("OUTPUT", "nn(X, Wh, bh, Wo, bo)"),
    "numerical_gradient": """
terms | the difference is forward, not central | difference_quotients(f, theta, eps, 0, 1, 1)
terms | the difference is backward, not central | difference_quotients(f, theta, eps, -1, 0, 1)
size | the difference of two steps is divided by one step | difference_quotients(f, theta, eps, -1, 1, 1)
size | the difference of one step is divided by two steps | difference_quotients(f, theta, eps, 0, 1, 2)
size | the difference of one step is divided by two steps | difference_quotients(f, theta, eps, -1, 0, 2)
size | the difference is not divided by the distance of the points | difference_quotients(f, theta, eps) * 2 * eps
size | the difference is divided by 2, but not by eps | difference_quotients(f, theta, eps) * eps
order | the parentheses around 2 * eps are missing | difference_quotients(f, theta, eps) * eps**2
order | the difference has no parentheses | np.array([f(theta + s) - f(theta - s) / (2 * eps) for s in STEPS])
argument | eps is not used, but another number | difference_quotients(f, theta, 1e-4)
argument | the step is half of eps | difference_quotients(f, theta, eps / 2)
argument | the step is twice eps | difference_quotients(f, theta, eps * 2)
argument | the step is relative to the parameter | difference_quotients(f, theta, eps, -theta, theta)
argument | the step is relative to the parameter | difference_quotients(f, theta, eps, -theta, theta, 2 * theta)
point | earlier parameters are not restored | difference_quotients(f, theta, eps, -1, 1, 2, 1, 1)
point | earlier parameters are not restored | difference_quotients(f, theta, eps, -1, 1, 2, -1, -1)
point | earlier parameters are not restored | difference_quotients(f, theta, eps, -1, 1, 2, -1, 1)
point | earlier parameters are not restored | difference_quotients(f, theta, eps, 0, 1, 2, 1, 1)
point | earlier parameters are not restored | difference_quotients(f, theta, eps, 0, 1, 1, 1, 1)
point | all parameters are moved at once | (f(theta + eps) - f(theta - eps)) / (2 * eps) + 0 * theta
point | all parameters are moved at once | np.array((f(theta + eps) - f(theta - eps)) / (2 * eps))
list | only the derivative by the last parameter is returned | difference_quotients(f, theta, eps)[-1:]
list | only the derivative by the first parameter is returned | difference_quotients(f, theta, eps)[:1]
axis | the derivatives are summed | difference_quotients(f, theta, eps).sum()
terms | it is the second derivative | np.array([(f(theta + s) - 2 * f(theta) + f(theta - s)) / eps**2 for s in STEPS])
sign | f(θ - ε) is added, not subtracted | np.array([(f(theta + step) + f(theta - step)) / (2 * eps) for step in STEPS])
terms | f(θ - ε) is left out | np.array([f(theta + step) / (2 * eps) for step in STEPS])
terms | the values of f are returned | np.array([f(theta + step) for step in STEPS])
""".replace("STEPS", "eps * np.eye(len(theta))"),
    "train": """
list | the loss before the first iteration is missing | train(ARGUMENTS)[1:]
list | the loss after the last iteration is missing | train(ARGUMENTS)[:-1]
list | only the last loss is returned | train(ARGUMENTS)[-1:]
list | the first loss occurs twice | np.append(train(ARGUMENTS)[0], train(ARGUMENTS))
list | the first loss is repeated, and the last is missing | np.append(train(ARGUMENTS)[0], train(ARGUMENTS)[:-1])
list | the losses are in reverse order | train(ARGUMENTS)[::-1]
list | the new parameters are returned, not the losses | trained(ARGUMENTS)[0]
list | the gradients are returned, not the losses | backprop_gradients(X, T, *ls_of_params)
point | the parameters are not updated | train(START, 0, 0, count)
point | the moments of earlier iterations are lost | train(START, 0, learning_rate, count)
point | the parameters are updated by the old moments | trained(ARGUMENTS, is_late=True)[1]
point | the moments start at the parameters, not at 0 | trained(ARGUMENTS, Ms=ls_of_params)[1]
sign | the parameters move uphill | train(START, momentum_term, -learning_rate, count)
argument | momentum_term and learning_rate are swapped | train(START, learning_rate, momentum_term, count)
size | there is an iteration too many | train(START, momentum_term, learning_rate, count + 1)
size | an iteration is missing | train(START, momentum_term, learning_rate, count - 1)
size | there is only one iteration | train(START, momentum_term, learning_rate, 1)
size | the loss is divided by N, the number of rows | train(ARGUMENTS) / len(X)
size | the gradient is divided by N | train(START, momentum_term, learning_rate / len(X), count)
size | gradients have the factor 1 - momentum | train(START, momentum_term, (1 - momentum_term) * learning_rate, count)
""".replace("ARGUMENTS", "START, momentum_term, learning_rate, count")
    .replace("START", "X, T, ls_of_params")
    .replace("count", "nb_of_iterations"),
    "logistic": """
sign | the sign in the exponent is wrong | 1 / (1 + np.exp(z))
terms | the 1 in the denominator is missing | 1 / np.exp(-z)
order | the parentheses of the denominator are missing | 1 / 1 + np.exp(-z)
order | the parentheses of the denominator are missing | 1 / np.exp(-z) + 1
numbers | // rounds down to integers | 1 // (1 + np.exp(-z))
function | the hyperbolic tangent is used instead | np.tanh(z)
function | the derivative is returned instead of the function | slope(logistic(z))
function | the step function is used instead | np.round(logistic(z))
function | a clipped line is used instead | np.clip(z / 4 + 0.5, 0, 1)
function | a clipped line is used instead | np.clip(z / 5 + 0.5, 0, 1)
function | a clipped line is used instead | np.clip(z / 6 + 0.5, 0, 1)
function | the arctangent is used instead | 0.5 + np.arctan(z) / np.pi
function | z / (1 + abs(z)) is used instead | z / (1 + np.abs(z))
function | the first terms of a series are used instead | 0.5 + z / 4 - z**3 / 48
function | the first terms of a series are used instead | 0.5 + z / 4
""",
    "softmax": """
axis | the sum is along the wrong axis, over the rows | softmax(z, 0)
axis | the sum is over all entries instead of each row | softmax(z, None)
function | the exponential is missing | z / z.sum(1, keepdims=True)
terms | the exponential is missing in the denominator | np.exp(z) / z.sum(1, keepdims=True)
factors | the division by the sum is missing | np.exp(z)
shape | keepdims is missing: the sums are applied to columns | np.exp(z) / np.exp(z).sum(axis=1)
shape | keepdims is missing: the largest entries are applied to columns | softmax(z - z.max(axis=1))
axis | the largest entry of each column is subtracted, not of each row | softmax(z - z.max(axis=0))
function | the logistic function is used instead | logistic(z)
sign | the sign in the exponent is wrong | softmax(-z)
order | the exponential of the sum is taken, not the sum of exponentials | np.exp(z) / np.exp(z.sum(1, keepdims=True))
terms | the largest entry is subtracted in the numerator only | softmax(z) / np.exp(z.max(1, keepdims=True))
terms | the largest entry is subtracted in the denominator only | softmax(z) * np.exp(z.max(1, keepdims=True))
terms | the sum omits the entry itself | 1 / (1 / softmax(z) - 1)
""",
    "hidden_activations": """
terms | the bias is forgotten | logistic(X @ Wh)
function | the logistic function is missing | X @ Wh + bh
order | the bias is added after the logistic function | logistic(X @ Wh) + bh
sign | the bias is subtracted | logistic(X @ Wh - bh)
function | the hyperbolic tangent is used instead of the logistic function | np.tanh(X @ Wh + bh)
shape | the weights are transposed | logistic(X @ Wh.T + bh)
shape | the factors are in the wrong order | logistic(Wh @ X + bh)
shape | the product is elementwise, not a matrix product | logistic(X * Wh + bh)
order | the logistic function is applied before the product | logistic(X) @ Wh + bh
order | the bias is added before the product | logistic((X + bh) @ Wh)
order | the bias is added to the exponential | 1 / (1 + np.exp(-X @ Wh) + bh)
""",
    "output_activations": """
terms | the bias is forgotten | softmax(H @ Wo)
function | the softmax is missing | H @ Wo + bo
order | the bias is added after the softmax | softmax(H @ Wo) + bo
sign | the bias is subtracted | softmax(H @ Wo - bo)
function | the logistic function is used instead of the softmax | logistic(H @ Wo + bo)
shape | the weights are transposed | softmax(H @ Wo.T + bo)
shape | the factors are in the wrong order | softmax(Wo @ H + bo)
shape | the product is elementwise, not a matrix product | softmax(H * Wo + bo)
order | the bias is added before the product | softmax((H + bo) @ Wo)
""",
    "loss": """
size | it is the mean over all entries instead of the sum | -(T * np.log(Y)).mean()
size | it is averaged over the classes | -(T * np.log(Y)).sum() / Y.shape[1]
shape | a matrix product is used instead of an elementwise product | -(T @ np.log(Y)).sum()
shape | a matrix product is used instead of an elementwise product | -(T @ np.log(Y.T)).sum()
order | the parentheses around the product are missing | -T * np.log(Y).sum()
function | the logarithm is missing | -(T * Y).sum()
argument | T and Y are swapped | -(Y * np.log(T)).sum()
argument | T and Y are swapped | -(Y * np.log(np.clip(T, 1e-12, 1))).sum()
terms | T is left out | -np.log(Y).sum()
terms | the logarithm of Y is left out: only T is summed | T.sum()
axis | it is not summed over the rows | -(T * np.log(Y)).sum(axis=1)
axis | it is summed over the rows only, not over the classes | -(T * np.log(Y)).sum(axis=0)
axis | it is not summed | -(T * np.log(Y))
function | the squared error is used instead | ((Y - T) ** 2).sum()
function | the squared error is used instead | ((Y - T) ** 2).mean()
function | the squared error is used instead | ((Y - T) ** 2).sum() ** 0.5
function | the absolute error is used instead | np.abs(Y - T).sum()
terms | the terms of the other classes, (1 - T) log(1 - Y), are added | -(T * np.log(Y) + (1 - T) * np.log(1 - Y)).sum()
terms | only the terms of the other classes, (1 - T) log(1 - Y), are used | -((1 - T) * np.log(1 - Y)).sum()
function | the logarithm is to the base 10 | -(T * np.log10(Y)).sum()
function | the logarithm is to the base 2 | -(T * np.log2(Y)).sum()
function | 1 - Y is used instead of the logarithm | (T * (1 - Y)).sum()
order | the logarithm of the sum is used, not the sum of logarithms | -np.log((T * Y).sum())
order | the logarithm of the mean is used, not the mean of logarithms | -len(Y) * np.log((T * Y).sum() / len(Y))
order | the logarithm of the product is used | -np.log(T * Y).sum()
function | the number of wrong classes is returned instead | (Y.argmax(1) != T.argmax(1)).sum()
function | the share of correct classes is returned | (Y.argmax(1) == T.argmax(1)).mean()
function | the number of correct classes is returned | (Y.argmax(1) == T.argmax(1)).sum()
function | the exponential of the mean loss is returned | np.exp(-(T * np.log(Y)).sum() / len(Y))
axis | the median of the rows is used, not the sum | np.median(-(T * np.log(Y)).sum(axis=1))
factors | each term has the factor (1 - Y)², as in the focal loss | -(T * (1 - Y) ** 2 * np.log(Y)).sum()
""",
    "error_output": """
sign | the sign is wrong | T - Y
size | it is divided by N, the number of rows | (Y - T) / len(Y)
terms | T is left out | Y
factors | there is an extra factor Y (1 - Y), which should cancel out | (Y - T) * slope(Y)
argument | it is the derivative with respect to Y, not to Z_o | -T / Y
argument | it is the derivative with respect to Y, not to Z_o | (Y - T) / slope(Y)
numbers | Y is truncated to integers | np.trunc(Y) - T
numbers | the probabilities are rounded to classes | np.round(Y) - T
terms | only the true classes are kept | T * (Y - T)
terms | only the classes that are not true are kept | (1 - T) * Y
function | the terms of the loss are returned | -T * np.log(Y)
axis | it is summed over the rows | (Y - T).sum(axis=0)
""",
    "gradient_weight_out": _WEIGHT_GRADIENT.replace("A", "H").replace("E", "Eo"),
    "gradient_bias_out": _BIAS_GRADIENT.replace("E", "Eo"),
    "error_hidden": """
factors | the derivative of the logistic function is missing | Eo @ Wo.T
argument | the derivative is evaluated at H instead of Z_h | slope(logistic(H)) * (Eo @ Wo.T)
factors | the derivative of the hyperbolic tangent is used | (1 - H**2) * (Eo @ Wo.T)
factors | the derivative of the hyperbolic tangent is used, evaluated at H | (1 - np.tanh(H) ** 2) * (Eo @ Wo.T)
argument | the derivative is evaluated at Z_h as if it were H | slope(np.log(H / (1 - H))) * (Eo @ Wo.T)
factors | the derivative lacks the factor 1 - H | H * (Eo @ Wo.T)
factors | the derivative lacks the factor H | (1 - H) * (Eo @ Wo.T)
order | the parentheses around 1 - H are missing | (H * 1 - H) * (Eo @ Wo.T)
order | the parentheses around 1 - H are missing | H * 1 - H * (Eo @ Wo.T)
order | the parentheses around the matrix product are missing | slope(H) * Eo @ Wo.T
factors | only the derivative is returned | slope(H)
shape | the factors Wo and Eo are in the wrong order | slope(H) * (Wo @ Eo)
shape | the factors Wo and Eo are in the wrong order | slope(H) * (Wo.T @ Eo)
shape | the derivative is multiplied by a matrix product, not elementwise | slope(H) @ (Eo @ Wo.T)
factors | the derivative of max(z, 0) is used | (H > 0.5) * (Eo @ Wo.T)
argument | the derivative is evaluated at the backpropagated error | (Eo @ Wo.T) * slope(Eo @ Wo.T)
point | updated weights are used: the output weights have moved | slope(H) * (Eo @ (Wo - 0.001 * H.T @ Eo).T)
point | updated weights are used: the output weights have moved | slope(H) * (Eo @ (Wo - 0.01 * H.T @ Eo).T)
point | updated weights are used: the output weights have moved | slope(H) * (Eo @ (Wo - 0.02 * H.T @ Eo).T)
point | updated weights are used: the output weights have moved | slope(H) * (Eo @ (Wo - 0.05 * H.T @ Eo).T)
point | updated weights are used: the output weights have moved | slope(H) * (Eo @ (Wo - 0.1 * H.T @ Eo).T)
point | updated weights are used: the output weights have moved | slope(H) * (Eo @ (Wo - 0.5 * H.T @ Eo).T)
point | updated weights are used: the output weights have moved | slope(H) * (Eo @ (Wo - 1 * H.T @ Eo).T)
axis | it is summed over the rows | (slope(H) * (Eo @ Wo.T)).sum(axis=0)
""",
    "gradient_weight_hidden": (
        _WEIGHT_GRADIENT.rpartition("factors |")[0].replace("A", "X").replace("E", "Eh")
    ),
    "gradient_bias_hidden": _BIAS_GRADIENT.replace("E", "Eh"),
    "backprop_gradients": (
        """
list | only the gradients of the weights are returned | JS[::2]
list | only the gradients of the output layer are returned | JS[2:]
list | only the gradients of the hidden layer are returned | JS[:2]
list | the new parameters are returned, not the gradients | [P - 0.02 * J for P, J in zip([Wh, bh, Wo, bo], JS)]
function | the hyperbolic tangent is used WITH_DERIVATIVE | with_activation(np.tanh, lambda H: 1 - H**2, ARGUMENTS)
function | max(z, 0) is used WITH_DERIVATIVE | with_activation(lambda Z: np.maximum(Z, 0), lambda H: H > 0, ARGUMENTS)
function | z itself is used WITH_DERIVATIVE | with_activation(lambda Z: Z, np.ones_like, ARGUMENTS)
numerical | NUMERICAL | numerical(ARGUMENTS, eps=1e-2, low=-1)
numerical | NUMERICAL | numerical(ARGUMENTS, eps=1e-3, low=-1)
numerical | NUMERICAL | numerical(ARGUMENTS, eps=1e-2, low=0)
numerical | NUMERICAL | numerical(ARGUMENTS, eps=1e-3, low=0)
numerical | NUMERICAL | numerical(ARGUMENTS, eps=1e-4, low=0)
numerical | NUMERICAL | numerical(ARGUMENTS, eps=1e-5, low=0)
""".replace("JS", "backprop_gradients(ARGUMENTS)")
        .replace("ARGUMENTS", "X, T, Wh, bh, Wo, bo")
        .replace("NUMERICAL", NUMERICAL)
        .replace(
            "WITH_DERIVATIVE", "instead of the logistic function, with its derivative"
        )
    ),
    "update_momentum": f"""
sign | the sign of the gradient is wrong | {_STEP.replace("- l", "+ l")}
sign | the sign of the momentum is wrong | {_STEP.replace("m", "-m", 1)}
terms | the momentum is forgotten | {_STEP.replace("momentum_term * M ", "")}
factors | the learning rate is forgotten | {_STEP.replace("learning_rate * ", "")}
argument | momentum and learning rate are swapped | [learning_rate * M - momentum_term * J for M, J in zip(Ms, Js)]
factors | the gradient has the factor 1 - momentum | {_STEP.replace("* J", "* (1 - momentum_term) * J")}
factors | the gradient has the factor 1 - momentum | {_STEP.replace("- learning_rate", "+ (1 - momentum_term)")}
size | the gradient is divided by N, the number of rows | {_STEP.replace("* J", "* J / len(X)")}
list | the parameters after the step are returned, not the moments | update_params(ls_of_params, {_STEP})
list | the new parameters are returned | [P - learning_rate * J for P, J in zip(ls_of_params, Js)]
point | {_AHEAD} evaluated after adding the old moments | {_step_at("P + momentum_term * M")}
point | {_AHEAD} evaluated after adding the old moments | {_step_at("P + M")}
point | the gradient is evaluated at the parameters before the old moments | {_step_at("P - momentum_term * M")}
point | {_AHEAD} evaluated after a step | {_step_at("P + 0 * M - learning_rate * J")}
point | {_AHEAD} evaluated after a step | {_step_at("P + momentum_term * M - learning_rate * J")}
point | {_EACH} | one_by_one(X, T, ls_of_params, Ms, momentum_term, learning_rate)
""".replace("Js", "backprop_gradients(X, T, *ls_of_params)"),
    "update_params": """
sign | the moments are subtracted | [P - M for P, M in zip(ls_of_params, Ms)]
terms | the moments are returned without the parameters | Ms
terms | the parameters do not change | ls_of_params
list | the two lists are concatenated instead of added | [*ls_of_params, *Ms]
""",
}

_SCOPE = functions(
    {
        "softmax": softmax,
        "slope": slope,
        "with_activation": with_activation,
        "one_by_one": one_by_one,
        "difference_quotients": difference_quotients,
        "numerical": numerical,
        "trained": trained,
    }
)


@cache
def named(task: Task) -> list[Mistake]:
    """Return the common mistakes in a function."""
    arguments = ", ".join(task.arguments)
    mistakes = []
    for line in NAMED[task.name].strip().splitlines():
        look, name, formula = line.split(" | ")
        # the formulas of `NAMED` are part of this file
        function = eval(f"lambda {arguments}: {formula}", _SCOPE)
        mistakes.append(Mistake(name, look, function))
    if task.name == "backprop_gradients":
        mistakes.extend(_other_orders(task))
        mistakes.extend(_same_mistake_in_both_layers())
    return mistakes


def _other_orders(task):
    """Yield lists of gradients in a wrong order."""
    names = re.findall(r"J\w+", task.shape)
    exact = functions()[task.name]
    for order in islice(permutations(range(4)), 1, None):

        def reordered(*arguments, order=order):
            gradients = exact(*arguments)
            return [gradients[k] for k in order]

        names_in_order = ", ".join(names[k] for k in order)
        yield Mistake(f"the order is [{names_in_order}]", "list", reordered)


def _same_mistake_in_both_layers():
    for gradient in ("gradient_bias", "gradient_weight"):
        out = f"{gradient}_out"
        hidden = f"{gradient}_hidden"
        for mistake, same_mistake in zip(
            named(TASKS[out]), named(TASKS[hidden]), strict=False
        ):
            wrong = functions({out: mistake.function, hidden: same_mistake.function})
            yield Mistake(
                f"{out} and {hidden}: {mistake.name}",
                mistake.look,
                wrong["backprop_gradients"],
            )

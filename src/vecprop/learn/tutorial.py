"""The functions of Peter Roelants' tutorial on a 2-3-2 network.

The functions have the same names, arguments and results as in "How to implement a
neural network (4/5) - vectorization of operations". They use the library's numerically
stable formulas, so they do not overflow. They also accept leading axes, other layer
sizes and lists of numbers.

Notation: X (*M, N, 2) inputs, or a single point (2,); Wh (*M, 2, 3), bh (*M, 1, 3) or
(3,), Wo (*M, 3, 2), bo (*M, 1, 2) or (2,) parameters; H (*M, N, 3) hidden activations;
Y and T (*M, N, 2) outputs and targets; Eo and Eh the errors δ of the output layer and
the hidden layer.
"""

from collections.abc import Iterable, Sequence
from functools import wraps
from inspect import signature

import numpy as np

from ..core import activations, layers
from ..core.elementary import Array, clip, log, namespace
from ..core.losses import SoftmaxCrossEntropy
from ..optimize.optimizers import next_moment

__all__ = [
    "backprop_gradients",
    "error_hidden",
    "error_output",
    "gradient_bias_hidden",
    "gradient_bias_out",
    "gradient_weight_hidden",
    "gradient_weight_out",
    "hidden_activations",
    "logistic",
    "loss",
    "nn",
    "nn_predict",
    "output_activations",
    "softmax",
    "update_momentum",
    "update_params",
]

_AXES = {
    "X": ("rows", "inputs"),
    "Wh": ("inputs", "hidden units"),
    "bh": ("1", "hidden units"),
    "H": ("rows", "hidden units"),
    "Eh": ("rows", "hidden units"),
    "Wo": ("hidden units", "outputs"),
    "bo": ("1", "outputs"),
    "Y": ("rows", "outputs"),
    "T": ("rows", "outputs"),
    "Eo": ("rows", "outputs"),
}
"""The last axes of each argument. A single row may omit its axis. Biases follow
NumPy's broadcasting.
"""


def _as_array(values, name):
    """Convert lists, data frames and matrices to NumPy arrays; keep other arrays."""
    is_array = hasattr(values, "__array_namespace__") or type(values).__module__.split(
        "."
    )[0] in ("torch", "cupy")
    if is_array and not isinstance(values, np.ndarray):
        return values
    try:
        if values is None:
            raise TypeError
        return np.asarray(values) if is_array else np.asarray(values, float)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} must be a numeric array with rows of equal length, got {values!r}."
        ) from None


def _takes_arrays(function):
    """Decorate a function to validate its arguments with `_AXES` and to accept lists."""
    parameters = signature(function)

    @wraps(function)
    def checked(*arguments, **options):
        bound = parameters.bind(*arguments, **options)
        lengths = {}  # filled by `_check_lengths`
        for name, value in bound.arguments.items():
            if name in _AXES or name == "z":
                array = _as_array(value, name)
                _check_lengths(name, array, lengths)
                bound.arguments[name] = array
        return function(*bound.args, **bound.kwargs)

    return checked  # type: ignore[return-value]


def _check_lengths(name, array, lengths):
    """Raise a ValueError if an axis has another length than in an earlier argument.

    `lengths` maps each axis to the first argument with this axis: its name, its array
    and the length.
    """
    axes = _AXES.get(name, ())
    shape = tuple(array.shape)
    # a single row may omit its axis, and biases may be numbers
    fewest_axes = {"W": 2, "b": 0, "z": 0}.get(name[0], 1)
    if len(shape) < fewest_axes:
        raise ValueError(f"{name} must have shape ({', '.join(axes)}), got {shape}.")
    for axis, length in zip(reversed(axes), reversed(shape), strict=False):
        if name.startswith("b") and length == 1:
            continue  # it is broadcast
        if axis == "1":
            axis = "rows"  # a bias for each row
        # the first argument with this axis, perhaps this one
        earlier, other_array, expected = lengths.setdefault(axis, (name, array, length))
        is_broadcast = axis == "rows" and 1 in (length, expected)
        if length != expected and not is_broadcast:
            raise ValueError(
                f"{name} has shape {shape} and {earlier} has shape"
                f" {tuple(other_array.shape)}, but expected {name} ({', '.join(axes)})"
                f" and {earlier} ({', '.join(_AXES[earlier])}) with equal {axis}, got"
                f" {length} and {expected}."
            )


logistic = _takes_arrays(activations.logistic)


@_takes_arrays
def softmax(z: Array) -> Array:
    """Return exp(z) / Σ exp(z) along the last axis.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0], [1000.0, -1000.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    return SoftmaxCrossEntropy().predict(1.0 * z)  # converts integers


@_takes_arrays
def hidden_activations(X: Array, Wh: Array, bh: Array) -> Array:
    """Return H = logistic(X Wh + bh), (*M, N, 3).

    Examples
    --------
    >>> hidden_activations(np.zeros(2), np.ones((2, 3)), np.zeros((1, 3)))
    array([[0.5, 0.5, 0.5]])
    """
    return logistic(_affine(X, Wh, bh))


@_takes_arrays
def output_activations(H: Array, Wo: Array, bo: Array) -> Array:
    """Return Y = softmax(H Wo + bo), (*M, N, 2).

    Examples
    --------
    >>> output_activations(np.zeros((1, 3)), np.ones((3, 2)), np.zeros((1, 2)))
    array([[0.5, 0.5]])
    """
    return softmax(_affine(H, Wo, bo))


@_takes_arrays
def nn(X: Array, Wh: Array, bh: Array, Wo: Array, bo: Array) -> Array:
    """Return the network's output Y, (*M, N, 2).

    Examples
    --------
    >>> nn(np.zeros(2), np.ones((2, 3)), np.zeros((1, 3)), np.ones((3, 2)), np.zeros((1, 2)))
    array([[0.5, 0.5]])
    """
    return output_activations(hidden_activations(X, Wh, bh), Wo, bo)


@_takes_arrays
def nn_predict(X: Array, Wh: Array, bh: Array, Wo: Array, bo: Array) -> Array:
    """Return the output rounded to 0 or 1, (*M, N, 2).

    Examples
    --------
    >>> nn_predict(np.zeros(2), np.ones((2, 3)), np.zeros((1, 3)), np.ones((3, 2)), np.array([[1.0, 0.0]]))
    array([[1., 0.]])
    """
    Y = nn(X, Wh, bh, Wo, bo)
    return namespace(Y).round(Y)


@_takes_arrays
def loss(Y: Array, T: Array) -> Array:
    """Return the cross-entropy -Σ T log(Y), summed over rows, (*M,).

    Probabilities of 0 are replaced by the smallest positive number to avoid log(0).

    Examples
    --------
    >>> round(float(loss(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]]))), 6)
    0.693147
    """
    xp = namespace(Y)
    Y = 1.0 * _rows(Y)
    smallest = float(xp.finfo(Y.dtype).smallest_normal)
    return -xp.sum(T * log(clip(Y, smallest, 1.0)), axis=(-2, -1))


@_takes_arrays
def error_output(Y: Array, T: Array) -> Array:
    """Return the error of the output layer, Eo = Y - T, (*M, N, 2).

    Examples
    --------
    >>> error_output(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]]))
    array([[-0.5,  0.5]])
    """
    return Y - T


@_takes_arrays
def gradient_weight_out(H: Array, Eo: Array) -> Array:
    """Return the gradient of the output weights, JWo = Hᵀ Eo, (*M, 3, 2).

    Examples
    --------
    >>> gradient_weight_out(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, -1.0]]))
    array([[ 1., -1.],
           [ 2., -2.],
           [ 3., -3.]])
    """
    return layers.weight_gradient(_rows(H), _rows(Eo))


@_takes_arrays
def gradient_bias_out(Eo: Array) -> Array:
    """Return the gradient of the output bias, Jbo = Σ Eo over the rows, (*M, 1, 2).

    Examples
    --------
    >>> gradient_bias_out(np.array([[1.0, -1.0], [2.0, 0.0]]))
    array([[ 3., -1.]])
    """
    return layers.bias_gradient(_rows(Eo))[..., None, :]


@_takes_arrays
def error_hidden(H: Array, Wo: Array, Eo: Array) -> Array:
    """Return the error of the hidden layer, Eh = H (1 - H) (Eo Woᵀ), (*M, N, 3).

    Examples
    --------
    >>> error_hidden(np.array([[0.5, 0.5, 1.0]]), np.ones((3, 2)), np.array([[1.0, 1.0]]))
    array([[0.5, 0.5, 0. ]])
    """
    return activations.Logistic().derivative(None, H) * layers.input_gradient(Eo, Wo)


@_takes_arrays
def gradient_weight_hidden(X: Array, Eh: Array) -> Array:
    """Return the gradient of the hidden weights, JWh = Xᵀ Eh, (*M, 2, 3).

    Examples
    --------
    >>> gradient_weight_hidden(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0, -1.0]]))
    array([[ 1.,  0., -1.],
           [ 2.,  0., -2.]])
    """
    return layers.weight_gradient(_rows(X), _rows(Eh))


@_takes_arrays
def gradient_bias_hidden(Eh: Array) -> Array:
    """Return the gradient of the hidden bias, Jbh = Σ Eh over the rows, (*M, 1, 3).

    Examples
    --------
    >>> gradient_bias_hidden(np.array([[1.0, 0.0, -1.0]]))
    array([[ 1.,  0., -1.]])
    """
    return layers.bias_gradient(_rows(Eh))[..., None, :]


@_takes_arrays
def backprop_gradients(
    X: Array, T: Array, Wh: Array, bh: Array, Wo: Array, bo: Array
) -> list[Array]:
    """Return the gradients [JWh, Jbh, JWo, Jbo] of the loss.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> parameters = [rng.normal(size=shape) for shape in [(2, 3), (1, 3), (3, 2), (1, 2)]]
    >>> gradients = backprop_gradients(np.ones((4, 2)), np.array([[1.0, 0.0]] * 4), *parameters)
    >>> [gradient.shape for gradient in gradients]
    [(2, 3), (1, 3), (3, 2), (1, 2)]
    """
    H = hidden_activations(X, Wh, bh)
    Y = output_activations(H, Wo, bo)
    Eo = error_output(Y, T)
    Eh = error_hidden(H, Wo, Eo)
    return [
        gradient_weight_hidden(X, Eh),
        gradient_bias_hidden(Eh),
        gradient_weight_out(H, Eo),
        gradient_bias_out(Eo),
    ]


@_takes_arrays
def update_momentum(
    X: Array,
    T: Array,
    ls_of_params: Sequence[Array],
    Ms: Sequence[Array],
    momentum_term: float,
    learning_rate: float,
) -> list[Array]:
    """Return the new moments, momentum_term M - learning_rate J for each parameter.

    Examples
    --------
    >>> parameters = [np.zeros(shape) for shape in [(2, 3), (1, 3), (3, 2), (1, 2)]]
    >>> Ms = update_momentum(np.ones((4, 2)), np.array([[1.0, 0.0]] * 4), parameters, parameters, 0.9, 0.1)
    >>> Ms[3]
    array([[ 0.2, -0.2]])
    """
    parameters, moments = _checked_lists(ls_of_params, Ms)
    if len(parameters) != 4:
        raise ValueError(
            "ls_of_params must contain 4 arrays, [Wh, bh, Wo, bo], got"
            f" {len(parameters)}."
        )
    Js = backprop_gradients(X, T, *parameters)
    return [
        next_moment(M, J, momentum_term, learning_rate)
        for M, J in zip(moments, Js, strict=True)
    ]


def update_params(ls_of_params: Sequence[Array], Ms: Sequence[Array]) -> list[Array]:
    """Return the updated parameters, P + M for each.

    Examples
    --------
    >>> update_params([np.array([[1.0, 2.0]])], [np.array([[0.5, -0.5]])])
    [array([[1.5, 1.5]])]
    """
    parameters, moments = _checked_lists(ls_of_params, Ms)
    return [P + M for P, M in zip(parameters, moments, strict=True)]


def _rows(X):
    """Convert a single point to an array with one row."""
    return X[None, :] if X.ndim == 1 else X


def _affine(X, W, b):
    """Return X W + b; b has the shape (1, 3), (3,), () or one row per row of X."""
    X = _rows(X)
    if b.ndim > 1 and b.shape[-2] > 1:
        # one network per row: X (N, 1, I), b (N, O)
        Z = layers.affine(X[..., None, :], W, b)
        return Z[..., 0, :]
    if b.ndim == 0:
        b = b[None]
    elif b.ndim > 1:
        b = b[..., 0, :]
    return layers.affine(X, W, b)


def _checked_lists(ls_of_params, Ms):
    """Convert parameters and moments to lists of arrays and compare their shapes."""
    parameters = _as_arrays(ls_of_params, "ls_of_params")
    moments = _as_arrays(Ms, "Ms")
    if len(moments) != len(parameters):
        raise ValueError(
            f"Ms must contain one array per parameter, {len(parameters)}, got"
            f" {len(moments)}."
        )
    for k, (P, M) in enumerate(zip(parameters, moments, strict=True)):
        if any(
            p != m and 1 not in (p, m)
            for p, m in zip(reversed(P.shape), reversed(M.shape), strict=False)
        ):
            raise ValueError(
                f"Ms[{k}] must have the shape of ls_of_params[{k}], {tuple(P.shape)},"
                f" got {tuple(M.shape)}."
            )
    return parameters, moments


def _as_arrays(values, name):
    if not isinstance(values, Iterable):
        raise TypeError(
            f"{name} must be a list of arrays, such as [Wh, bh, Wo, bo], got"
            f" {type(values).__name__}."
        )
    return [_as_array(value, f"{name}[{k}]") for k, value in enumerate(values)]

"""The parts that names stand for: what an estimator's settings say, as layers, losses, optimizers and schedules."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.activations import ELU, GELU, Identity, LeakyReLU, Logistic, ReLU, SiLU, Softplus, Tanh
from ..core.initializers import Glorot, He, Initializer
from ..core.layers import Activation, Dense, Dropout, Layer, LayerNorm
from ..core.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    Huber,
    Loss,
    Poisson,
    Quantile,
    RegressionLoss,
    SoftmaxCrossEntropy,
    SquaredError,
)
from ..optimize.adam_hat import AdamHat
from ..optimize.lbfgs import LBFGS
from ..optimize.optimizers import AdamW, Momentum, Nesterov, Optimizer, RMSProp
from ..optimize.schedules import Constant, Cosine, OneCycle, Schedule
from .constructor import Constructor
from .schedules import Cuts, SampleScaling

ACTIVATIONS: dict[str, Activation] = {
    "identity": Identity(),
    "logistic": Logistic(),
    "tanh": Tanh(),
    "relu": ReLU(),
    "leaky_relu": LeakyReLU(),
    "elu": ELU(),
    "gelu": GELU(),
    "silu": SiLU(),
    "softplus": Softplus(),
}

INITIALIZERS: dict[str, Initializer] = {"glorot": Glorot(), "he": He()}

LINKS: dict[type, str] = {
    SoftmaxCrossEntropy: "softmax",
    BinaryCrossEntropy: "logistic",
    Poisson: "exp",
    RegressionLoss: "identity",
}


def hidden_layer_sizes(settings: Constructor) -> list[int]:
    """Return the widths of the hidden layers.

    Raises
    ------
    ValueError
        Where one is not positive.
    """
    sizes = settings.hidden_layer_sizes
    sizes = list(sizes) if np.iterable(sizes) else [sizes]
    if not all(size > 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return sizes


def activations(settings: Constructor) -> list[Activation]:
    """Return the activation of each hidden layer."""
    named = _each("activation", settings.activation, len(hidden_layer_sizes(settings)))
    found: list[Any] = [ACTIVATIONS.get(name) if isinstance(name, str) else name for name in named]
    for layer, (name, activation) in enumerate(zip(named, found, strict=True)):
        if not isinstance(activation, Activation):
            raise ValueError(
                f"The activation of hidden layer {layer} is {name!r}: give an Activation, or one of "
                f"{', '.join(ACTIVATIONS)}."
            )
    return found


def layers(settings: Constructor, outputs: int) -> list[Layer]:
    """Return the layers: for each hidden one Dense, LayerNorm if wished, its activation and Dropout if wished."""
    sizes, initializer = hidden_layer_sizes(settings), settings.initializer
    if isinstance(initializer, str):
        initializer = INITIALIZERS[initializer]
    drawn = {} if initializer is None else {"initializer": initializer}
    stack: list[Layer] = []
    for size, activation, rate in zip(
        sizes, activations(settings), _each("dropout", settings.dropout, len(sizes)), strict=True
    ):
        stack.append(Dense(size, **drawn))
        stack.extend([LayerNorm()] if settings.layer_norm else [])
        stack.append(activation)
        stack.extend([Dropout(rate)] if rate else [])
    return [*stack, Dense(outputs, **drawn)]


def glorot_factors(settings: Constructor) -> list[float]:
    """Return scikit-learn's factor for the initial bound of each dense layer: 2 where it feeds a logistic, else 6."""
    hidden = activations(settings)
    factors = [2.0 if isinstance(activation, Logistic) else 6.0 for activation in hidden]
    return [*factors, factors[-1] if factors else 6.0]


def regression_loss(loss: str | Loss, quantile: float) -> Loss:
    """Return the loss that a regressor's settings name."""
    if isinstance(loss, Loss):
        return loss
    named = {
        "squared_error": SquaredError(),
        "absolute_error": AbsoluteError(),
        "huber": Huber(),
        "quantile": Quantile(quantile),
        "poisson": Poisson(),
    }
    return named[loss]


def link_of(loss: Loss) -> str:
    """Return the name of a loss's link; a loss of the user's own has its class's name."""
    return next((link for kind, link in LINKS.items() if isinstance(loss, kind)), type(loss).__name__)


def optimizer(settings: Constructor) -> Optimizer | LBFGS:
    """Return the optimizer that the solver names."""
    if not isinstance(settings.solver, str):
        return settings.solver
    rate = settings.learning_rate_init
    momentum = min(settings.momentum, float(np.nextafter(1, 0)))  # scikit-learn allows 1
    betas = {"beta1": settings.beta_1, "beta2": settings.beta_2, "epsilon": settings.epsilon}
    match settings.solver:
        case "sgd":
            return (Nesterov if settings.nesterovs_momentum else Momentum)(rate, momentum)
        case "nesterov":
            return Nesterov(rate, momentum)
        case "rmsprop":
            return RMSProp(rate, epsilon=settings.epsilon)
        case "adamw":
            return AdamW(rate, **betas)
        case "lbfgs":
            return LBFGS(tolerance=max(settings.tol, np.finfo(float).tiny), max_evaluations=settings.max_fun)
        case _:
            return AdamHat(rate, **betas)


def schedule(settings: Constructor, rows: int) -> Schedule:
    """Return the schedule that the learning rate names; adam and adamw have rates of their own, as in scikit-learn."""
    if isinstance(settings.learning_rate, Schedule):
        return settings.learning_rate
    own_rates = isinstance(settings.solver, str) and settings.solver in ("adam", "adamw")
    match settings.learning_rate:
        case "cosine":
            return Cosine()
        case "one_cycle":
            return OneCycle()
        case "invscaling" if not own_rates:
            return SampleScaling(rows, settings.power_t)
        case "adaptive" if not own_rates:
            return Cuts()
        case _:
            return Constant()


def _each(name: str, value: Any, count: int) -> Sequence[Any]:
    """Return a setting of each hidden layer: one for all, or a list of as many."""
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} entries, but there are {count} hidden layers: give one for each.")
    return list(value)

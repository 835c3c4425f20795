"""Create the layers, loss, optimizer and schedule from an estimator's settings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import catalog
from ..core import (
    L2,
    Activation,
    Dense,
    Dropout,
    Initializer,
    LayerNorm,
    Logistic,
    Network,
)
from ..core.losses import (
    BinaryCrossEntropy,
    Loss,
    Poisson,
    RegressionLoss,
    SoftmaxCrossEntropy,
)
from ..optimize import LBFGS, AdamHat, Momentum, Nesterov, Optimizer
from ..optimize.schedules import Adaptive, Constant, InverseScaling, Schedule, State
from .settings import Constructor


@dataclass(frozen=True)
class SampleScaling(Schedule):
    """A learning rate of 1 / (1 + rows)^power, given the number of rows seen before the epoch."""

    rows: int
    power: float

    def init(self) -> State:
        """Return a state with zero rows seen."""
        return {"seen": 0}

    def observe(self, loss, state: State):
        """Add the rows of the epoch."""
        state["seen"] += self.rows

    def factor(self, step: int, steps: int, state: State) -> float:
        """Return 1 / (1 + rows)^power."""
        return (1 + state["seen"]) ** -self.power


@dataclass(frozen=True)
class Cuts(Schedule):
    """A learning rate that is reduced by a callback."""

    def init(self) -> State:
        """Return the initial state, before any reduction."""
        return {"factor": 1.0}

    def cut(self, state: State):
        """Divide the learning rate by 5."""
        state["factor"] /= 5

    def factor(self, step: int, steps: int, state: State) -> float:
        """Return the product of all reductions so far."""
        return state["factor"]


ACTIVATIONS: dict[str, Activation] = {
    name: cls() for name, cls in catalog.named(catalog.ACTIVATIONS).items()
}
INITIALIZERS: dict[str, Initializer] = {
    name: cls() for name, cls in catalog.named(catalog.INITIALIZERS).items()
}
LOSSES, OPTIMIZERS, SCHEDULES = map(
    catalog.named, (catalog.LOSSES, catalog.OPTIMIZERS, catalog.SCHEDULES)
)

LINKS: dict[type, str] = {
    SoftmaxCrossEntropy: "softmax",
    BinaryCrossEntropy: "logistic",
    Poisson: "exp",
    RegressionLoss: "identity",
}


def network(settings: Constructor, inputs: int, outputs: int, loss: Loss) -> Network:
    """Return the network. Each hidden layer consists of Dense, LayerNorm if set, its activation, and Dropout if set."""
    sizes = settings.hidden_layer_sizes
    sizes = list(sizes) if np.iterable(sizes) else [sizes]
    for size in sizes:
        if not isinstance(size, int | float | np.number) or not size > 0:
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    initializer = settings.initializer
    if isinstance(initializer, str):
        initializer = INITIALIZERS[initializer]
    options = {} if initializer is None else {"initializer": initializer}
    activations = _per_layer("activation", settings.activation, len(sizes))
    rates = _per_layer("dropout", settings.dropout, len(sizes))
    layers = []
    for number, size in enumerate(sizes):
        activation = activations[number]
        if isinstance(activation, str):
            activation = ACTIVATIONS.get(activation)
        if not isinstance(activation, Activation):
            raise ValueError(
                f"The activation of hidden layer {number} is {activations[number]!r},"
                f" expected an Activation, or one of {', '.join(ACTIVATIONS)}."
            )
        layers.append(Dense(size, **options))
        if settings.layer_norm:
            layers.append(LayerNorm())
        layers.append(activation)
        if rates[number]:
            layers.append(Dropout(rates[number]))
    layers.append(Dense(outputs, **options))
    return Network(inputs, layers, loss, L2(settings.alpha, averaged=True))


def initial_theta(
    settings: Constructor, network: Network, random: np.random.RandomState, dtype
) -> np.ndarray:
    """Draw initial parameters, (P,), by the initializer or as scikit-learn does (Glorot and Bengio, 2010).

    scikit-learn draws each dense layer's W and b uniformly from [-a, a] with a = √(f /
    (I + O)), where f is 2 if the layer feeds a logistic activation and 6 otherwise; the
    last layer uses the f of the layer before it. They are drawn in float64 and rounded.
    Other layers use their own initialization.
    """
    if settings.initializer is not None:
        return network.init(random.randint(2**31 - 1), dtype)
    factors = []
    for layer in network.layers:
        if isinstance(layer, Activation):
            factors.append(2.0 if isinstance(layer, Logistic) else 6.0)
    output_factor = factors[-1] if factors else 6.0
    factors.append(output_factor)
    theta = np.empty(network.layout.size)
    if any(tensor.kind != "Dense" for tensor in network.layout.tensors):
        theta = network.init(seed=0)
    dense_layers = [p for p in network.layout.views(theta) if "W" in p]
    for p, factor in zip(dense_layers, factors, strict=True):
        inputs, outputs = p["W"].shape
        bound = np.sqrt(factor / (inputs + outputs))
        for name in ("W", "b"):
            p[name][...] = random.uniform(-bound, bound, p[name].shape)
    return theta.astype(dtype)


def optimizer(settings: Constructor) -> Optimizer | LBFGS:
    """Return the optimizer for the setting `solver`."""
    if not isinstance(settings.solver, str):
        return settings.solver
    cls = OPTIMIZERS.get(settings.solver, AdamHat)  # an unknown name is rejected later
    if cls is Momentum and settings.nesterovs_momentum:
        cls = Nesterov
    values = {
        "learning_rate": settings.learning_rate_init,
        # scikit-learn allows 1
        "momentum": min(settings.momentum, float(np.nextafter(1, 0))),
        "beta1": settings.beta_1,
        "beta2": settings.beta_2,
        "epsilon": settings.epsilon,
        "tolerance": max(settings.tol, np.finfo(float).tiny),
        "max_evaluations": settings.max_fun,
    }
    names = values.keys() & cls.__dataclass_fields__
    return cls(**{name: values[name] for name in names})


def has_steps(settings: Constructor) -> bool:
    """Return whether the optimizer trains on batches; all except L-BFGS do."""
    return not isinstance(optimizer(settings), LBFGS)


def schedule(settings: Constructor, rows: int) -> Schedule:
    """Return the schedule for the setting `learning_rate`.

    As in scikit-learn, adam and adamw ignore "invscaling" and "adaptive".
    """
    if isinstance(settings.learning_rate, Schedule):
        return settings.learning_rate
    cls = SCHEDULES[settings.learning_rate]
    if cls not in (InverseScaling, Adaptive):
        return cls()
    if isinstance(settings.solver, str) and settings.solver in ("adam", "adamw"):
        return Constant()
    if cls is InverseScaling:
        return SampleScaling(rows, settings.power_t)
    return Cuts()


def _per_layer(name: str, value, count: int) -> Sequence:
    """Return a list with the setting of each hidden layer, given a list or a common value."""
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise ValueError(
            f"{name} has {len(value)} entries, expected {count}, one for each hidden"
            " layer."
        )
    return list(value)

"""From settings to parts: the layers, loss, optimizer and schedule that an estimator's settings describe."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .. import catalog
from ..core import L2, Activation, Dense, Dropout, Initializer, Layer, LayerNorm, Logistic, Network
from ..core.losses import BinaryCrossEntropy, Loss, Poisson, RegressionLoss, SoftmaxCrossEntropy
from ..optimize import LBFGS, AdamHat, Momentum, Nesterov, Optimizer
from ..optimize.schedules import Adaptive, Constant, InverseScaling, Schedule, State
from .settings import Constructor


@dataclass(frozen=True)
class SampleScaling(Schedule):
    """A learning rate that falls as a power of the number of rows seen before the epoch, 1 / (1 + rows)^power."""

    rows: int
    power: float

    def init(self) -> State:
        """Return a state that has seen no row."""
        return {"seen": 0}

    def observe(self, loss: Any, state: State) -> None:
        """Count the epoch's rows."""
        state["seen"] += self.rows

    def factor(self, step: int, steps: int, state: State) -> float:
        """Return 1 / (1 + rows)^power."""
        return (1 + state["seen"]) ** -self.power


@dataclass(frozen=True)
class Cuts(Schedule):
    """A learning rate that is cut from outside, by a callback."""

    def init(self) -> State:
        """Return a state without cuts."""
        return {"factor": 1.0}

    def cut(self, state: State) -> None:
        """Divide the learning rate by 5."""
        state["factor"] /= 5

    def factor(self, step: int, steps: int, state: State) -> float:
        """Return the product of the cuts so far."""
        return state["factor"]


ACTIVATIONS: dict[str, Activation] = {name: cls() for name, cls in catalog.named(catalog.ACTIVATIONS).items()}
INITIALIZERS: dict[str, Initializer] = {name: cls() for name, cls in catalog.named(catalog.INITIALIZERS).items()}
LOSSES, OPTIMIZERS, SCHEDULES = map(catalog.named, (catalog.LOSSES, catalog.OPTIMIZERS, catalog.SCHEDULES))

LINKS: dict[type, str] = {
    SoftmaxCrossEntropy: "softmax",
    BinaryCrossEntropy: "logistic",
    Poisson: "exp",
    RegressionLoss: "identity",
}


def network(settings: Constructor, inputs: int, outputs: int, loss: Loss) -> Network:
    """Return the network: for each hidden layer Dense, LayerNorm if set, its activation, and Dropout if set."""
    given, initializer = settings.hidden_layer_sizes, settings.initializer
    sizes = list(given) if np.iterable(given) else [given]
    if not all(size > 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    if isinstance(initializer, str):
        initializer = INITIALIZERS[initializer]
    drawn = {} if initializer is None else {"initializer": initializer}
    activations = _each("activation", settings.activation, len(sizes))
    rates = _each("dropout", settings.dropout, len(sizes))
    stack: list[Layer] = []
    for number, (size, name, rate) in enumerate(zip(sizes, activations, rates, strict=True)):
        activation: Any = ACTIVATIONS.get(name) if isinstance(name, str) else name
        if not isinstance(activation, Activation):
            advice = f"give an Activation, or one of {', '.join(ACTIVATIONS)}"
            raise ValueError(f"The activation of hidden layer {number} is {name!r}: {advice}.")
        stack.append(Dense(size, **drawn))
        stack.extend([LayerNorm()] if settings.layer_norm else [])
        stack.append(activation)
        stack.extend([Dropout(rate)] if rate else [])
    stack.append(Dense(outputs, **drawn))
    return Network(inputs, stack, loss, L2(settings.alpha, averaged=True))


def initial_theta(settings: Constructor, network: Network, random: np.random.RandomState, dtype: Any) -> np.ndarray:
    """Return initial parameters, (P,): the initializer's, or as scikit-learn draws them (Glorot and Bengio, 2010).

    Each dense layer's W and b are then uniform in [-a, a] with a = √(f / (I + O)), where f is 2 if the layer feeds a
    logistic, and else 6; the last layer has the f of the one before it. They are drawn in float64 and rounded. Other
    layers are initialized as in any network.
    """
    if settings.initializer is not None:
        return network.init(random.randint(2**31 - 1), dtype)
    factors = [2.0 if isinstance(layer, Logistic) else 6.0 for layer in network.layers if isinstance(layer, Activation)]
    only_dense = all(tensor.kind == "Dense" for tensor in network.layout.tensors)
    theta = np.empty(network.layout.size) if only_dense else network.init(seed=0)
    dense = [p for p in network.layout.views(theta) if "W" in p]
    for p, factor in zip(dense, [*factors, factors[-1] if factors else 6.0], strict=True):
        bound = np.sqrt(factor / sum(p["W"].shape))
        for name in ("W", "b"):
            p[name][...] = random.uniform(-bound, bound, p[name].shape)
    return theta.astype(dtype)


def optimizer(settings: Constructor) -> Optimizer | LBFGS:
    """Return the optimizer that the solver names."""
    if not isinstance(settings.solver, str):
        return settings.solver
    cls = OPTIMIZERS.get(settings.solver, AdamHat)  # asked for before a wrong name is refused
    if cls is Momentum and settings.nesterovs_momentum:
        cls = Nesterov
    settings_of = {
        "learning_rate": settings.learning_rate_init,
        "momentum": min(settings.momentum, float(np.nextafter(1, 0))),  # scikit-learn allows 1
        "beta1": settings.beta_1,
        "beta2": settings.beta_2,
        "epsilon": settings.epsilon,
        "tolerance": max(settings.tol, np.finfo(float).tiny),
        "max_evaluations": settings.max_fun,
    }
    return cls(**{field.name: settings_of[field.name] for field in fields(cls) if field.name in settings_of})


def has_steps(settings: Constructor) -> bool:
    """Return whether the optimizer takes steps on batches, as all but L-BFGS do."""
    return not isinstance(optimizer(settings), LBFGS)


def schedule(settings: Constructor, rows: int) -> Schedule:
    """Return the schedule that the learning rate names; adam and adamw have rates of their own, as in scikit-learn."""
    if isinstance(settings.learning_rate, Schedule):
        return settings.learning_rate
    cls = SCHEDULES[settings.learning_rate]
    if cls not in (InverseScaling, Adaptive):
        return cls()
    if isinstance(settings.solver, str) and settings.solver in ("adam", "adamw"):
        return Constant()
    return SampleScaling(rows, settings.power_t) if cls is InverseScaling else Cuts()


def _each(name: str, value: Any, count: int) -> Sequence[Any]:
    """Return a setting of each hidden layer: one for all, or a list of as many."""
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} entries, but there are {count} hidden layers: give one for each.")
    return list(value)

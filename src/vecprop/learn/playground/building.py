"""Build networks and optimizers, optionally with a mistake in the backward pass.

Classes with mistakes use only public names of the library, because exported scripts
contain their source.
"""

from dataclasses import dataclass, field, fields
from typing import Any, cast

import numpy as np

from ... import catalog
from ...core import (
    L1,
    L2,
    Activation,
    Array,
    Dense,
    Dropout,
    LayerNorm,
    Loss,
    Network,
    SoftmaxCrossEntropy,
    Tanh,
)
from ...optimize import Adam, EngineName, GradientDescent, Momentum, Optimizer
from .session_settings import Settings, SettingsError


def features(names: tuple[str, ...], XY) -> Array:
    """Compute the network's inputs, (N, I), at points XY, (N, 2)."""
    x, y = XY.T
    values = {
        "x": x,
        "y": y,
        "x*x": x * x,
        "y*y": y * y,
        "x*y": x * y,
        "sin(x)": np.sin(x),
        "sin(y)": np.sin(y),
    }
    return np.stack([values[name] for name in names], axis=1)


def network_of(settings: Settings, classes: int) -> Network:
    """Build the correct network for a number of classes, or for regression if it is 0."""
    layers = []
    for units in settings.layers:
        layers.append(Dense(units))
        if settings.normalization:
            layers.append(LayerNorm())
        layers.append(catalog.named(catalog.ACTIVATIONS)[settings.activation]())
        if settings.dropout:
            layers.append(Dropout(settings.dropout))
    layers.append(Dense(classes or 1))
    return Network(
        len(settings.features),
        layers,
        _loss_of(settings, classes),
        _penalty_of(settings),
    )


def _loss_of(settings, classes):
    name = settings.loss
    if name == "auto":
        name = "cross_entropy" if classes else "squared_error"
    if name != "cross_entropy":
        return catalog.named(catalog.LOSSES)[name]()
    if not classes:
        raise SettingsError(
            "The cross-entropy needs classes, but the targets are numeric: choose auto"
            " or squared error."
        )
    return SoftmaxCrossEntropy()


def _penalty_of(settings):
    if settings.penalty == "none":
        return None
    return L2(settings.strength) if settings.penalty == "L2" else L1(settings.strength)


def engine_of(settings: Settings) -> EngineName:
    """Return the engine; a backward pass with a mistake needs the reference engine."""
    return "auto" if settings.mistake == "none" else "reference"


def optimizer_of(settings: Settings) -> Optimizer:
    """Build the optimizer; its parameters have the same names as the settings."""
    optimizers = catalog.named(catalog.OPTIMIZERS)
    # The catalog's "adam" is scikit-learn's.
    optimizers |= {"descent": GradientDescent, "momentum": Momentum, "adam": Adam}
    kind: Any = optimizers[settings.optimizer]
    arguments = {}
    for parameter in fields(kind):
        if hasattr(settings, parameter.name):
            arguments[parameter.name] = getattr(settings, parameter.name)
    return kind(**arguments)


@dataclass(frozen=True)
class WithoutSlope(Activation):
    """An activation whose backward pass omits the derivative."""

    activation: Activation = field(default_factory=Tanh)

    def value(self, z):
        """Return the activation's value."""
        return self.activation.value(z)

    def derivative(self, z, y):
        """Return 1 instead of the derivative."""
        return 0 * y + 1


@dataclass(frozen=True)
class NotTransposed(Dense):
    """A dense layer whose gradient of W is transposed and then reshaped."""

    def backward(self, p, saved, delta, J):
        """Fill J_W with the entries of deltaᵀ X instead of Xᵀ delta."""
        delta_X = super().backward(p, saved, delta, J)
        J["W"][...] = (delta.mT @ saved).reshape(J["W"].shape)
        return delta_X


@dataclass(frozen=True)
class SumForMean(Loss):
    """A mean loss whose backward pass does not divide by the number of rows."""

    loss: Loss = field(default_factory=SoftmaxCrossEntropy)

    def predict(self, Z):
        """Return the loss's predictions."""
        return self.loss.predict(Z)

    def value(self, Z, T):
        """Return each row's loss."""
        return self.loss.value(Z, T)

    def delta(self, Z, T):
        """Return delta times the number of rows, which cancels the division by the mean."""
        return Z.shape[-2] * self.loss.delta(Z, T)


PLANTED = {
    "slope_forgotten": WithoutSlope,
    "no_transpose": NotTransposed,
    "sum_for_mean": SumForMean,
}
"""The class that replaces a library class for each mistake."""


def with_mistake(network: Network, mistake: str) -> Network:
    """Return a copy of a network with a mistake; "none" returns the network itself."""
    if mistake == "none":
        return network
    layers = list(network.layers)
    loss = network.loss_function
    if mistake == "slope_forgotten":
        last_activation = network._activations[-1]
        activation = cast(Activation, layers[last_activation])
        layers[last_activation] = WithoutSlope(activation)
    elif mistake == "no_transpose":
        for number, layer in enumerate(layers):
            if isinstance(layer, Dense):
                layers[number] = NotTransposed(layer.outputs)
    else:
        loss = SumForMean(loss)
    return Network(network.inputs, layers, loss, network.penalties)

"""Build networks and optimizers, optionally with a mistake in the backward pass.

Classes with mistakes use only public names of the library, because exported scripts contain their source.
"""

from dataclasses import dataclass, field, fields
from typing import Any, cast

import numpy as np

from ... import catalog
from ...core import L1, L2, Activation, Dense, Dropout, Layer, LayerNorm, Loss, Network, SoftmaxCrossEntropy, Tanh
from ...optimize import Adam, EngineName, GradientDescent, Momentum, Optimizer
from .settings import Settings, SettingsError


def features(names: tuple[str, ...], XY: np.ndarray) -> np.ndarray:
    """Compute the network's inputs, (N, I), at points XY, (N, 2)."""
    x, y = XY[:, 0], XY[:, 1]
    made = {"x": x, "y": y, "x*x": x * x, "y*y": y * y, "x*y": x * y, "sin(x)": np.sin(x), "sin(y)": np.sin(y)}
    return np.stack([made[name] for name in names], axis=1)


def network_of(settings: Settings, classes: int) -> Network:
    """Build the correct network for a number of classes, or for regression if it is 0."""
    layers: list[Layer] = []
    for units in settings.layers:
        layers.append(Dense(units))
        if settings.normalization:
            layers.append(LayerNorm())
        layers.append(catalog.named(catalog.ACTIVATIONS)[settings.activation]())
        if settings.dropout:
            layers.append(Dropout(settings.dropout))
    layers.append(Dense(classes or 1))
    if settings.loss == "cross_entropy" and not classes:
        advice = "choose auto or squared error."
        raise SettingsError(f"The cross-entropy needs classes, but the targets are numeric: {advice}")
    if settings.loss == "cross_entropy" or (settings.loss == "auto" and classes):
        loss = SoftmaxCrossEntropy()
    else:
        loss = catalog.named(catalog.LOSSES)["squared_error" if settings.loss == "auto" else settings.loss]()
    penalty = None if settings.penalty == "none" else {"L2": L2, "L1": L1}[settings.penalty](settings.strength)
    return Network(len(settings.features), layers, loss, penalty)


def engine_of(settings: Settings) -> EngineName:
    """Return the engine; a backward pass with a mistake needs the reference engine."""
    return "auto" if settings.mistake == "none" else "reference"


def optimizer_of(settings: Settings) -> Optimizer:
    """Build the optimizer; its parameters have the same names as the settings."""
    own = {"descent": GradientDescent, "momentum": Momentum, "adam": Adam}  # the catalog contains scikit-learn's Adam
    kind: Any = (catalog.named(catalog.OPTIMIZERS) | own)[settings.optimizer]
    names = [each.name for each in fields(kind) if hasattr(settings, each.name)]
    return kind(**{name: getattr(settings, name) for name in names})


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


PLANTED = {"slope_forgotten": WithoutSlope, "no_transpose": NotTransposed, "sum_for_mean": SumForMean}
"""The class that replaces a library class for each mistake."""


def with_mistake(network: Network, mistake: str) -> Network:
    """Return a copy of a network with a mistake; "none" returns the network itself."""
    layers, loss = list(network.layers), network.loss_function
    match mistake:
        case "slope_forgotten":
            last = network._activations[-1]
            layers[last] = WithoutSlope(cast(Activation, layers[last]))
        case "no_transpose":
            layers = [NotTransposed(layer.outputs) if isinstance(layer, Dense) else layer for layer in layers]
        case "sum_for_mean":
            loss = SumForMean(loss)
        case _:
            return network
    return Network(network.inputs, layers, loss, network.penalties)

"""Mistakes that are often made in backward passes, to be planted in a network: what it predicts stays right.

Each is written with the library's public names, since a script that repeats a session holds its source.
"""

from dataclasses import dataclass, field
from typing import cast

from ... import Activation, Dense, Loss, Network, SoftmaxCrossEntropy, Tanh


@dataclass(frozen=True)
class WithoutSlope(Activation):
    """An activation whose slope is forgotten in the backward pass: 1 stands in its place."""

    activation: Activation = field(default_factory=Tanh)

    def value(self, z):
        """Return the activation's value."""
        return self.activation.value(z)

    def derivative(self, z, y):
        """Return 1 instead of the slope."""
        return 0 * y + 1


@dataclass(frozen=True)
class NotTransposed(Dense):
    """A dense layer whose gradient of W is that of its transpose, cut into the shape of W."""

    def backward(self, p, saved, delta, J):
        """Fill J_W with deltaᵀ X, entry by entry, instead of Xᵀ delta."""
        delta_X = super().backward(p, saved, delta, J)
        J["W"][...] = (delta.mT @ saved).reshape(J["W"].shape)
        return delta_X


@dataclass(frozen=True)
class SumForMean(Loss):
    """A mean loss whose backward pass forgets to divide by the number of rows."""

    loss: Loss = field(default_factory=SoftmaxCrossEntropy)

    def predict(self, Z):
        """Return the loss's predictions."""
        return self.loss.predict(Z)

    def value(self, Z, T):
        """Return each row's loss."""
        return self.loss.value(Z, T)

    def delta(self, Z, T):
        """Return the loss's delta times the number of rows, by which the mean divides it."""
        return Z.shape[-2] * self.loss.delta(Z, T)


MISTAKES: dict[str, tuple[type, ...]] = {
    "none": (),
    "slope_forgotten": (WithoutSlope,),
    "no_transpose": (NotTransposed,),
    "sum_for_mean": (SumForMean,),
}
"""The mistakes by their names, with the parts that they are made of."""


def with_mistake(network: Network, mistake: str) -> Network:
    """Return a network with a mistake planted; "none" returns the network itself.

    Examples
    --------
    >>> network = Network(2, [Dense(3), Tanh(), Dense(1)], SquaredError())
    >>> with_mistake(network, "slope_forgotten").layers[1]
    WithoutSlope(activation=Tanh())
    """
    layers, loss = list(network.layers), network.loss_function
    match mistake:
        case "slope_forgotten":
            last = network.activations[-1]
            layers[last] = WithoutSlope(cast(Activation, layers[last]))
        case "no_transpose":
            layers = [NotTransposed(layer.outputs) if isinstance(layer, Dense) else layer for layer in layers]
        case "sum_for_mean":
            loss = SumForMean(loss)
        case _:
            return network
    return Network(network.inputs, layers, loss, network.penalties)

"""The network and the optimizer that settings describe."""

import numpy as np

from ... import catalog
from ...core.layers import Activation, Dense, Dropout, Layer, LayerNorm
from ...core.losses import AbsoluteError, Huber, Loss, SoftmaxCrossEntropy, SquaredError
from ...core.network import Network
from ...core.penalties import L1, L2, Penalty
from ...optimize.optimizers import Adam, AdamW, GradientDescent, Momentum, Nesterov, Optimizer, RMSProp
from ...optimize.settings import EngineName
from .settings import Settings, SettingsError


def features(names: tuple[str, ...], XY: np.ndarray) -> np.ndarray:
    """Return the network's inputs, (N, I), at points XY, (N, 2)."""
    x, y = XY[:, 0], XY[:, 1]
    made = {"x": x, "y": y, "x*x": x * x, "y*y": y * y, "x*y": x * y, "sin(x)": np.sin(x), "sin(y)": np.sin(y)}
    return np.stack([made[name] for name in names], axis=1)


def targets(t: np.ndarray, classes: int) -> np.ndarray:
    """Return the targets as the losses take them: a one-hot row for each class, or the numbers."""
    return np.eye(classes)[t] if classes else t


def network_of(settings: Settings, classes: int) -> Network:
    """Return the network for a number of classes, without a mistake; 0 is for numbers."""
    layers: list[Layer] = []
    for units in settings.layers:
        layers.append(Dense(units))
        if settings.normalization:
            layers.append(LayerNorm())
        layers.append(_activation(settings.activation))
        if settings.dropout:
            layers.append(Dropout(settings.dropout))
    layers.append(Dense(classes or 1))
    return Network(len(settings.features), layers, _loss(settings.loss, classes), _penalty(settings))


def engine_of(settings: Settings) -> EngineName:
    """Return the engine: a wrong backward pass is computed as it is written."""
    return "auto" if settings.mistake == "none" else "reference"


def _activation(name: str) -> Activation:
    return catalog.named(catalog.ACTIVATIONS)[name]()


def _loss(name: str, classes: int) -> Loss:
    if name == "cross_entropy" and not classes:
        raise SettingsError(
            "The cross-entropy is a loss for classes, but the targets are numbers: choose auto or squared error."
        )
    if name == "auto":
        name = "cross_entropy" if classes else "squared_error"
    losses = {
        "cross_entropy": SoftmaxCrossEntropy,
        "squared_error": SquaredError,
        "absolute_error": AbsoluteError,
        "huber": Huber,
    }
    return losses[name]()


def _penalty(settings: Settings) -> Penalty | None:
    return None if settings.penalty == "none" else {"L2": L2, "L1": L1}[settings.penalty](settings.strength)


def optimizer_of(settings: Settings) -> Optimizer:
    """Return the optimizer."""
    rate, betas = settings.learning_rate, (settings.beta1, settings.beta2)
    match settings.optimizer:
        case "descent":
            return GradientDescent(rate)
        case "momentum":
            return Momentum(rate, settings.momentum)
        case "nesterov":
            return Nesterov(rate, settings.momentum)
        case "rmsprop":
            return RMSProp(rate, settings.decay)
        case "adam":
            return Adam(rate, *betas)
        case _:
            return AdamW(rate, *betas, weight_decay=settings.weight_decay)

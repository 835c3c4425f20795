"""The catalog of the library's own parts, with their classes, their names in settings and their kernels.

The names that estimators take and list in their docstrings, the kernels of the compiled engine and the parts that model
files may hold are derived from it. A part that is not in the catalog is one of the user's own; it works in networks and
in training too, and is compiled if it is a formula, see `compiled/lower/own_parts.py`. The scores are in
`core.scores.SCORES`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .core import L1, L2, Dense, Dropout, Glorot, He, LayerNorm, Normal, losses
from .core.activations import ELU, GELU, Identity, LeakyReLU, Logistic, ReLU, SiLU, Softplus, Tanh
from .optimize import LBFGS, Adaptive, Constant, Cosine, InverseScaling, OneCycle, WarmUp
from .optimize.optimizers import Adam, AdamHat, AdamW, GradientDescent, Momentum, Nesterov, RMSProp


@dataclass(frozen=True)
class Part:
    """One of the library's own parts."""

    cls: type
    name: str | None = None
    kernel: bool = False
    savable: bool = True


ACTIVATIONS = (
    Part(Identity, "identity", kernel=True),
    Part(Logistic, "logistic", kernel=True),
    Part(Tanh, "tanh", kernel=True),
    Part(ReLU, "relu", kernel=True),
    Part(LeakyReLU, "leaky_relu", kernel=True),
    Part(ELU, "elu", kernel=True),
    Part(GELU, "gelu", kernel=True),
    Part(SiLU, "silu", kernel=True),
    Part(Softplus, "softplus", kernel=True),
)
LAYERS = (Part(Dense, kernel=True), Part(Dropout, kernel=True), Part(LayerNorm, kernel=True), *ACTIVATIONS)
LOSSES = (
    Part(losses.SoftmaxCrossEntropy, kernel=True),
    Part(losses.BinaryCrossEntropy, kernel=True),
    Part(losses.SquaredError, "squared_error", kernel=True),
    Part(losses.AbsoluteError, "absolute_error", kernel=True),
    Part(losses.Huber, "huber", kernel=True),
    Part(losses.Quantile, "quantile", kernel=True),
    Part(losses.Poisson, "poisson", kernel=True),
)
"""The losses; those with a name are losses of the regressor."""

PENALTIES = (Part(L2, kernel=True), Part(L1, kernel=True))
INITIALIZERS = (Part(Glorot, "glorot"), Part(He, "he"), Part(Normal))
OPTIMIZERS = (
    Part(GradientDescent, kernel=True),
    Part(Momentum, "sgd", kernel=True),
    Part(Nesterov, "nesterov", kernel=True),
    Part(RMSProp, "rmsprop", kernel=True),
    Part(Adam, kernel=True),
    Part(AdamHat, "adam", kernel=True, savable=False),
    Part(AdamW, "adamw", kernel=True),
    Part(LBFGS, "lbfgs"),
)
SCHEDULES = (
    Part(Constant, "constant"),
    Part(InverseScaling, "invscaling"),
    Part(Adaptive, "adaptive"),
    Part(Cosine, "cosine"),
    Part(OneCycle, "one_cycle"),
    Part(WarmUp),
)
"""The schedules. For the names "invscaling" and "adaptive" the estimators use scikit-learn's schedules, which count
rows and epochs in another way."""

PARTS = (*LAYERS, *LOSSES, *PENALTIES, *INITIALIZERS, *OPTIMIZERS, *SCHEDULES)
BY_CLASS = {part.cls: part for part in PARTS}


def named(parts: Iterable[Part]) -> dict[str, type]:
    """Return the classes of those parts that have a name, by name.

    Examples
    --------
    >>> named(INITIALIZERS)
    {'glorot': <class 'vecprop.core.layers.Glorot'>, 'he': <class 'vecprop.core.layers.He'>}
    """
    return {part.name: part.cls for part in parts if part.name is not None}


def compiled(parts: Iterable[Part]) -> tuple[type, ...]:
    """Return the classes of those parts that have a kernel.

    Examples
    --------
    >>> [cls.__name__ for cls in compiled(PENALTIES)]
    ['L2', 'L1']
    """
    return tuple(part.cls for part in parts if part.kernel)

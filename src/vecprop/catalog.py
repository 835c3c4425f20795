"""The catalog of built-in parts: their classes, their names in settings, and whether they have kernels.

The catalog determines the names that estimators accept and document, the parts that the
compiled engine supports, and the parts that model files may contain. Parts that are not
in the catalog are custom parts. They work in networks and in training, and are compiled
if they are formulas, see `compiled/lower/own_parts.py`. The scores are in
`core.scores.SCORES`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .core import L1, L2, Dense, Dropout, Glorot, He, LayerNorm, Normal, joints, losses
from .core.activations import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    Logistic,
    ReLU,
    SiLU,
    Softplus,
    Tanh,
)
from .optimize import (
    LBFGS,
    Adaptive,
    Constant,
    Cosine,
    InverseScaling,
    OneCycle,
    WarmUp,
)
from .optimize.optimizers import (
    Adam,
    AdamHat,
    AdamW,
    GradientDescent,
    Momentum,
    Nesterov,
    RMSProp,
)


@dataclass(frozen=True)
class Part:
    """A built-in part: its class, its name in settings, and whether it can be compiled and saved.

    Only layers, losses, penalties and optimizers have kernels.
    """

    cls: type
    name: str | None = None
    kernel: bool = True
    savable: bool = True


ACTIVATIONS = (
    Part(Identity, "identity"),
    Part(Logistic, "logistic"),
    Part(Tanh, "tanh"),
    Part(ReLU, "relu"),
    Part(LeakyReLU, "leaky_relu"),
    Part(ELU, "elu"),
    Part(GELU, "gelu"),
    Part(SiLU, "silu"),
    Part(Softplus, "softplus"),
)
JOINTS = (
    Part(joints.Fork),
    Part(joints.Branch),
    Part(joints.Add),
    Part(joints.Concatenate),
    Part(joints.Select),
)
"""The internal layers that composite layers are expanded to, in addition to other layers."""

LAYERS = (Part(Dense), Part(Dropout), Part(LayerNorm), *ACTIVATIONS)
LOSSES = (
    Part(losses.SoftmaxCrossEntropy),
    Part(losses.BinaryCrossEntropy),
    Part(losses.SquaredError, "squared_error"),
    Part(losses.AbsoluteError, "absolute_error"),
    Part(losses.Huber, "huber"),
    Part(losses.Quantile, "quantile"),
    Part(losses.Poisson, "poisson"),
)
"""The losses; the regressor accepts the named ones."""

PENALTIES = (Part(L2), Part(L1))
INITIALIZERS = (Part(Glorot, "glorot"), Part(He, "he"), Part(Normal))
OPTIMIZERS = (
    Part(GradientDescent),
    Part(Momentum, "sgd"),
    Part(Nesterov, "nesterov"),
    Part(RMSProp, "rmsprop"),
    Part(Adam),
    Part(AdamHat, "adam", savable=False),
    Part(AdamW, "adamw"),
    Part(LBFGS, "lbfgs", kernel=False),
)
SCHEDULES = (
    Part(Constant, "constant"),
    Part(InverseScaling, "invscaling"),
    Part(Adaptive, "adaptive"),
    Part(Cosine, "cosine"),
    Part(OneCycle, "one_cycle"),
    Part(WarmUp),
)
"""The schedules. Under the names "invscaling" and "adaptive", the estimators use
scikit-learn's variants of them, which count rows and epochs differently.
"""

PARTS = (*LAYERS, *LOSSES, *PENALTIES, *INITIALIZERS, *OPTIMIZERS, *SCHEDULES)
BY_CLASS = {part.cls: part for part in (*PARTS, *JOINTS)}


def named(parts: Iterable[Part]) -> dict[str, type]:
    """Return the classes of the named parts, by name.

    Examples
    --------
    >>> named(INITIALIZERS)
    {'glorot': <class 'vecprop.core.layers.Glorot'>, 'he': <class 'vecprop.core.layers.He'>}
    """
    return {part.name: part.cls for part in parts if part.name is not None}


def compiled(parts: Iterable[Part]) -> tuple[type, ...]:
    """Return the classes of the parts that have a kernel.

    Examples
    --------
    >>> [cls.__name__ for cls in compiled(PENALTIES)]
    ['L2', 'L1']
    """
    return tuple(part.cls for part in parts if part.kernel)

"""The initializers: distributions of the initial weights of a layer."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np


class Initializer(ABC):
    """A distribution of initial weights. Derive from it and draw a matrix in ``__call__`` to make your own.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Signs(Initializer):
    ...     def __call__(self, generator, inputs, outputs):
    ...         return generator.choice([-1.0, 1.0], (inputs, outputs))
    >>> network = Network(2, [Dense(3, Signs())], SquaredError())
    >>> W = network.layout.views(network.init(seed=0))[0]["W"]
    >>> bool((abs(W) == 1).all())
    True
    """

    @abstractmethod
    def __call__(self, generator: "np.random.Generator", inputs: int, outputs: int) -> np.ndarray:
        """Return an (inputs, outputs) matrix of weights, drawn by the generator."""


@dataclass(frozen=True)
class Normal(Initializer):
    r"""Independent normal weights.

    .. math:: W \sim N(0, σ^2)

    Parameters
    ----------
    scale : float, default 1.0
        The standard deviation σ.

    Examples
    --------
    >>> Normal(0.1)(np.random.default_rng(0), 2, 3).shape
    (2, 3)
    """

    scale: float = 1.0

    def __call__(self, generator: "np.random.Generator", inputs: int, outputs: int) -> np.ndarray:
        """Return scale times an (inputs, outputs) matrix of standard normal numbers."""
        return self.scale * generator.standard_normal((inputs, outputs))


@dataclass(frozen=True)
class Glorot(Initializer):
    r"""Uniform weights, for logistic, tanh and linear layers.

    .. math:: W \sim U(-a, a), \quad a = \sqrt{6 / (I + O)}

    Forward and backward signals keep about their variance from layer to layer (Glorot and Bengio, 2010).

    Examples
    --------
    >>> W = Glorot()(np.random.default_rng(0), 2, 4)
    >>> W.shape, bool(abs(W).max() <= 1)
    ((2, 4), True)
    """

    def __call__(self, generator: "np.random.Generator", inputs: int, outputs: int) -> np.ndarray:
        """Return an (inputs, outputs) matrix drawn from U(-a, a)."""
        bound = (6 / (inputs + outputs)) ** 0.5
        return generator.uniform(-bound, bound, (inputs, outputs))


@dataclass(frozen=True)
class He(Initializer):
    r"""Normal weights, for rectifiers, which pass on half the variance (He et al., 2015).

    .. math:: W \sim N(0, 2 / I)

    Examples
    --------
    >>> He()(np.random.default_rng(0), 2, 3).shape
    (2, 3)
    """

    def __call__(self, generator: "np.random.Generator", inputs: int, outputs: int) -> np.ndarray:
        """Return an (inputs, outputs) matrix drawn from N(0, 2 / inputs)."""
        return (2 / inputs) ** 0.5 * generator.standard_normal((inputs, outputs))


def fill(p: dict[str, np.ndarray], generator: "np.random.Generator", initializer: Initializer | None = None) -> None:
    """Fill a layer's parameters in place: matrices are drawn by the initializer, everything else is 0."""
    draw = initializer or Glorot()
    for values in p.values():
        values[...] = draw(generator, *values.shape) if values.ndim == 2 else 0

"""Penalties on large weights. They apply to matrices with a `Penalized` shape, not to biases."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import inf
from typing import ClassVar

from .elementary import Array, Range, Ranged, absolute, namespace, sign


@dataclass(frozen=True)
class Penalty(Ranged, ABC):
    """The base class of penalties. A custom penalty is a frozen dataclass that inherits from this class.

    Parameters
    ----------
    strength : float
        The factor λ, at least 0.
    averaged : bool, default False
        Whether to divide the penalty by the batch's sum of weights, (Σ w ℓ + penalty) /
        Σ w, like scikit-learn's ``alpha``. This has no effect if the reduction of the
        loss is "sum".

    Raises
    ------
    ValueError
        If strength is negative or not a number.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class FourthPower(Penalty):
    ...     def value(self, W):
    ...         return self.strength / 4 * (W**4).sum(axis=(-2, -1))
    ...
    ...     def gradient(self, W):
    ...         return self.strength * W**3
    >>> network = Network(2, [Dense(3), Tanh(), Dense(1)], SquaredError(), penalty=FourthPower(0.1))
    >>> X, T = np.array([[1.0, -2.0], [0.5, 1.5]]), np.array([[1.0], [2.0]])
    >>> print(check_gradients(network, network.init(seed=0), X, T).verdict)
    PASS
    """

    strength: float
    averaged: bool = field(default=False, kw_only=True)
    _ranges: ClassVar[dict[str, Range]] = {
        "strength": ("a finite {} of at least 0", 0, inf, "[)")
    }

    @abstractmethod
    def value(self, W: Array) -> Array:
        """Return the penalty of the weights, (*M,) for W of shape (*M, I, O)."""

    @abstractmethod
    def gradient(self, W: Array) -> Array:
        """Return the gradient with respect to W."""


@dataclass(frozen=True)
class L2(Penalty):
    r"""The squared penalty (ridge, weight decay), which shrinks weights.

    .. math:: \tfrac{1}{2} λ \sum W^2

    Parameters
    ----------
    strength : float
        The factor λ, at least 0.
    averaged : bool, default False
        Whether to divide the penalty by the batch's sum of weights, see `Penalty`.

    Examples
    --------
    >>> import numpy as np
    >>> float(L2(0.1).value(np.array([[1.0, 2.0]])))
    0.25
    """

    def value(self, W):
        """Return ½ λ Σ W²."""
        return self.strength / 2 * namespace(W).sum(W * W, axis=(-2, -1))

    def gradient(self, W):
        """Return λ W."""
        return self.strength * W


@dataclass(frozen=True)
class L1(Penalty):
    r"""The absolute penalty (lasso), which drives weights to 0.

    .. math:: λ \sum |W|

    The derivative at 0 is defined as 0.

    Parameters
    ----------
    strength : float
        The factor λ, at least 0.
    averaged : bool, default False
        Whether to divide the penalty by the batch's sum of weights, see `Penalty`.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(L1(0.1).value(np.array([[1.0, -2.0]]))), 6)
    0.3
    """

    def value(self, W):
        """Return λ Σ |W|."""
        return self.strength * namespace(W).sum(absolute(W), axis=(-2, -1))

    def gradient(self, W):
        """Return λ sign(W)."""
        return self.strength * sign(W)

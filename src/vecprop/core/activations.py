"""Activations: ``value(z)`` is the function, and ``derivative(z, y)`` is its derivative, with y = value(z)."""

from dataclasses import dataclass
from math import inf, pi
from typing import ClassVar

from .elementary import (
    FINITE,
    Array,
    Range,
    absolute,
    clip,
    exp,
    expm1,
    log1p,
    one,
    real,
    tanh,
    where,
)
from .layers import Activation


def logistic(z):
    """Return 1 / (1 + exp(-z)), without overflow for any finite z."""
    e = exp(-absolute(z))
    return where(real(z) < 0, e, 1) / (1 + e)


def softplus(z):
    """Return log(1 + exp(z)), without overflow for any finite z."""
    # Both terms treat z = 0 as positive, so that their derivatives there, 1 and -1/2,
    # add up to the correct 1/2.
    return where(real(z) < 0, 0, z) + log1p(exp(-absolute(z)))


@dataclass(frozen=True)
class Identity(Activation):
    """The identity.

    .. math:: y = z

    Examples
    --------
    >>> float(Identity().value(2.0))
    2.0
    """

    def value(self, z):
        """Return z."""
        return z

    def derivative(self, z, y):
        """Return 1."""
        return one(z)


@dataclass(frozen=True)
class Logistic(Activation):
    r"""The logistic function, between 0 and 1. `Sigmoid` is a second name of this class.

    .. math:: y = \frac{1}{1 + e^{-z}}

    Examples
    --------
    >>> float(Logistic().value(0.0)), float(Logistic().derivative(0.0, 0.5))
    (0.5, 0.25)
    """

    def value(self, z):
        """Return 1 / (1 + exp(-z))."""
        return logistic(z)

    def derivative(self, z, y):
        """Return y (1 - y)."""
        return y * (1 - y)


Sigmoid = Logistic


@dataclass(frozen=True)
class Tanh(Activation):
    r"""The hyperbolic tangent, between -1 and 1.

    .. math:: y = \tanh z

    Examples
    --------
    >>> float(Tanh().value(0.0)), float(Tanh().derivative(0.0, 0.0))
    (0.0, 1.0)
    """

    def value(self, z):
        """Return tanh(z)."""
        return tanh(z)

    def derivative(self, z, y):
        """Return 1 - y²."""
        return 1 - y * y


@dataclass(frozen=True)
class ReLU(Activation):
    r"""The rectified linear unit.

    .. math:: y = \max(z, 0)

    The derivative at the kink z = 0 is defined as 0.

    Examples
    --------
    >>> float(ReLU().value(-2.0)), float(ReLU().value(2.0))
    (0.0, 2.0)
    """

    def value(self, z):
        """Return max(z, 0)."""
        return where(real(z) > 0, z, 0)

    def derivative(self, z, y):
        """Return 1 where z > 0, else 0."""
        return where(real(z) > 0, one(z), 0)


@dataclass(frozen=True)
class LeakyReLU(Activation):
    r"""The leaky rectified linear unit (Maas et al., 2013).

    .. math:: y = \begin{cases} z & z > 0 \\ a z & z ≤ 0 \end{cases}

    Parameters
    ----------
    leak : float, default 0.01
        The derivative a for z <= 0.

    Examples
    --------
    >>> float(LeakyReLU(0.1).value(-2.0))
    -0.2
    """

    leak: float = 0.01
    _ranges: ClassVar[dict[str, Range]] = {"leak": FINITE}

    def value(self, z):
        """Return z where z > 0, else leak z."""
        return where(real(z) > 0, z, self.leak * z)

    def derivative(self, z, y):
        """Return 1 where z > 0, else leak."""
        return where(real(z) > 0, one(z), self.leak)


@dataclass(frozen=True)
class ELU(Activation):
    r"""The exponential linear unit (Clevert et al., 2015).

    .. math:: y = \begin{cases} z & z > 0 \\ α (e^z - 1) & z ≤ 0 \end{cases}

    Parameters
    ----------
    alpha : float, default 1.0
        The factor α; the asymptote is y = -α.

    Examples
    --------
    >>> float(ELU().value(-1000.0)), float(ELU().value(1000.0))
    (-1.0, 1000.0)
    """

    alpha: float = 1.0
    _ranges: ClassVar[dict[str, Range]] = {"alpha": FINITE}

    def value(self, z):
        """Return z where z > 0, else alpha (exp(z) - 1)."""
        return where(real(z) > 0, z, self.alpha * expm1(clip(z, -inf, 0.0)))

    def derivative(self, z, y):
        """Return 1 where z > 0, else alpha exp(z) = y + alpha."""
        return where(real(z) > 0, one(z), y + self.alpha)


@dataclass(frozen=True)
class GELU(Activation):
    r"""The Gaussian error linear unit in its tanh form (Hendrycks and Gimpel, 2016).

    .. math:: y = \frac{z}{2} (1 + \tanh u), \quad u = \sqrt{2 / π} \; (z + 0.044715 z^3)

    It is computed as y = z logistic(2 u), which is mathematically equal, and accurate
    for large negative z.

    Examples
    --------
    >>> float(GELU().value(0.0)), float(GELU().value(1000.0))
    (0.0, 1000.0)
    """

    def value(self, z):
        """Return z logistic(2 u)."""
        u, _ = _gelu_u(z)
        return z * logistic(2 * u)

    def derivative(self, z, y):
        """Return s + 2 y (1 - s) u' with s = logistic(2 u)."""
        u, u_derivative = _gelu_u(z)
        s = logistic(2 * u)
        return s + 2 * y * (1 - s) * u_derivative


def _gelu_u(z) -> tuple[Array, Array]:
    """Return u and du/dz. Clipping z to ±25 avoids overflow of z³ and changes no bit of the logistic function."""
    c = clip(z, -25.0, 25.0)
    return (2 / pi) ** 0.5 * (c + 0.044715 * c * c * c), (2 / pi) ** 0.5 * (
        1 + 3 * 0.044715 * c * c
    )


@dataclass(frozen=True)
class SiLU(Activation):
    r"""The sigmoid linear unit, also called swish (Elfwing et al., 2017).

    .. math:: y = \frac{z}{1 + e^{-z}}

    Examples
    --------
    >>> float(SiLU().value(0.0)), float(SiLU().value(1000.0))
    (0.0, 1000.0)
    """

    def value(self, z):
        """Return z logistic(z)."""
        return z * logistic(z)

    def derivative(self, z, y):
        """Return s + y (1 - s) with s = logistic(z)."""
        s = logistic(z)
        return s + y * (1 - s)


@dataclass(frozen=True)
class Softplus(Activation):
    r"""The softplus, a smooth rectifier (Dugas et al., 2001).

    .. math:: y = \log(1 + e^z)

    Examples
    --------
    >>> round(float(Softplus().value(0.0)), 6)
    0.693147
    """

    def value(self, z):
        """Return log(1 + exp(z))."""
        return softplus(z)

    def derivative(self, z, y):
        """Return logistic(z)."""
        return logistic(z)

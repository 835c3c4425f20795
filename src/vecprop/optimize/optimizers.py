"""Optimizers: frozen dataclasses of hyperparameters with an elementwise ``update``."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

import numpy as np

from ..core.elementary import (
    AT_LEAST_0,
    SHARE,
    Array,
    Range,
    Ranged,
    namespace,
    real,
    sqrt,
)

State = dict[str, Any]
_FINITE_POSITIVE: Range = ("a finite positive {}", 0, inf, "()")


@dataclass(frozen=True)
class Optimizer(Ranged, ABC):
    """The base class of optimizers. A custom optimizer is a frozen dataclass that inherits from this class.

    Parameters
    ----------
    learning_rate : float or array_like of float (*M,)
        The learning rate μ, at least 0: one value, or one per member.

    Attributes
    ----------
    moments : tuple of str
        The names of the state vectors, which have the shape of theta and start at 0; a
        class variable.
    shares : tuple of str
        The names of the hyperparameters that must be at least 0 and less than 1; a
        class variable.
    positive : tuple of str
        The names of the hyperparameters that must be positive; a class variable.

    Raises
    ------
    ValueError
        If a learning rate is negative or not finite, or another hyperparameter is out
        of range.

    Examples
    --------
    This optimizer steps against a running mean of the signs of the gradient:

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class MeanSign(Optimizer):
    ...     moments = ("m",)
    ...
    ...     def update(self, theta, J, rate, t, m):
    ...         m = 0.9 * m + 0.1 * np.sign(J)
    ...         return theta - rate * m, m
    >>> theta, optimizer = np.array([1.0, 2.0]), MeanSign(0.1)
    >>> optimizer.step(theta, np.array([3.0, -0.5]), optimizer.init(theta))
    >>> theta
    array([0.99, 2.01])
    """

    learning_rate: float | Sequence[float]

    moments: ClassVar[tuple[str, ...]] = ()
    shares: ClassVar[tuple[str, ...]] = ()
    positive: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self):
        """Validate the hyperparameters, and convert learning rates to tuples."""
        rates = np.asarray(self.learning_rate)
        is_real = rates.dtype.kind in "iuf"
        if not is_real or not np.all((rates >= 0) & np.isfinite(rates)):
            raise ValueError(
                f"{type(self).__name__} needs a finite learning_rate of at least 0, not"
                f" {self.learning_rate!r}."
            )
        ranges = dict.fromkeys(self.shares, SHARE)
        ranges |= dict.fromkeys(self.positive, _FINITE_POSITIVE)
        super().__post_init__(ranges | self._ranges)
        # tuples are hashable
        object.__setattr__(self, "learning_rate", _tuples(rates.tolist()))

    @abstractmethod
    def update(
        self, theta: Array, J: Array, rate: Array | float, t: int, *moments: Array
    ) -> tuple[Array, ...]:
        """Return theta and the moments after step t."""

    def init(self, theta: Array) -> State:
        """Return the initial state: the step count t = 0 and zero moments.

        Parameters
        ----------
        theta : array (*M, P)
            The parameters.
        """
        xp = namespace(theta)
        like = {"dtype": theta.dtype, "device": theta.device}
        return {
            "t": 0,
            **{name: xp.zeros(theta.shape, **like) for name in self.moments},
        }

    def step(self, theta: Array, gradient: Array, state: State) -> None:
        """Update theta and the state by one step, in place.

        Parameters
        ----------
        theta : array (*M, P)
            The parameters.
        gradient : array (*M, P)
            The gradient of the loss at theta.
        state : dict
            The state from `init`, updated by earlier steps.
        """
        state["t"] += 1
        moments = [state[name] for name in self.moments]
        moved = self.update(theta, gradient, self._rate(theta), state["t"], *moments)
        for old, new in zip((theta, *moments), moved, strict=True):
            old[...] = new

    def _rate(self, theta: Array) -> Array | float:
        """Return the learning rate, or a column with the rate of each member."""
        if isinstance(self.learning_rate, float | int):
            return self.learning_rate
        xp = namespace(theta)
        rate = xp.asarray(
            self.learning_rate, dtype=real(theta).dtype, device=theta.device
        )
        if tuple(rate.shape) != tuple(theta.shape[:-1]):
            raise ValueError(
                f"learning_rate has shape {tuple(rate.shape)}, but theta has the"
                f" leading axes {tuple(theta.shape[:-1])}: pass one rate, or one per"
                " member."
            )
        return rate[..., None]


def _tuples(rates):
    if isinstance(rates, list):
        return tuple(map(_tuples, rates))
    return rates


@dataclass(frozen=True)
class GradientDescent(Optimizer):
    """Gradient descent; on mini-batches it is stochastic gradient descent. `SGD` is a second name of this class.

    .. math:: θ ← θ - μ J

    Parameters
    ----------
    learning_rate : float or array_like of float (*M,), default 0.01
        The learning rate μ. Pass one value, or one value for each member.

    Examples
    --------
    >>> theta = np.array([1.0, 2.0])
    >>> optimizer = GradientDescent(learning_rate=0.1)
    >>> optimizer.step(theta, np.array([1.0, -1.0]), optimizer.init(theta))
    >>> theta
    array([0.9, 2.1])
    """

    learning_rate: float | Sequence[float] = 0.01

    def update(self, theta, J, rate, t, *moments) -> tuple[Array, ...]:
        """Return theta - μ J."""
        return (theta - rate * J,)


SGD = GradientDescent


def next_moment(M: Array, J: Array, momentum: float, rate: Array | float) -> Array:
    """Return the updated moment, λ M - μ J."""
    return momentum * M - rate * J


@dataclass(frozen=True)
class Momentum(Optimizer):
    r"""Gradient descent with momentum (Polyak, 1964).

    .. math:: M ← λ M - μ J, \quad θ ← θ + M

    Theta moves like a ball that rolls down the loss surface. In each step, friction
    multiplies the speed of the ball by λ.

    Parameters
    ----------
    learning_rate : float or array_like of float (*M,), default 0.01
        The learning rate μ. Pass one value, or one value for each member.
    momentum : float, default 0.9
        The factor λ, at least 0 and less than 1.

    Examples
    --------
    >>> theta, optimizer = np.array([1.0]), Momentum(learning_rate=0.1, momentum=0.5)
    >>> state = optimizer.init(theta)
    >>> optimizer.step(theta, np.array([1.0]), state)
    >>> optimizer.step(theta, np.array([1.0]), state)
    >>> theta.round(6), state["M"].round(6)
    (array([0.75]), array([-0.15]))
    """

    learning_rate: float | Sequence[float] = 0.01
    momentum: float = 0.9

    moments: ClassVar[tuple[str, ...]] = ("M",)
    shares: ClassVar[tuple[str, ...]] = ("momentum",)

    def update(self, theta, J, rate, t, *moments) -> tuple[Array, ...]:
        """Return theta + M and M = λ M - μ J."""
        (M,) = moments
        M = next_moment(M, J, self.momentum, rate)
        return theta + M, M


@dataclass(frozen=True)
class Nesterov(Momentum):
    r"""Nesterov's momentum (Nesterov, 1983).

    .. math:: M ← λ M - μ J, \quad θ ← θ + λ M - μ J

    Theta stores the look-ahead point along the momentum, where the gradient is
    evaluated (Sutskever et al., 2013).

    Parameters
    ----------
    learning_rate : float or array_like of float (*M,), default 0.01
        The learning rate μ. Pass one value, or one value for each member.
    momentum : float, default 0.9
        The factor λ, at least 0 and less than 1.

    Examples
    --------
    >>> theta, optimizer = np.array([1.0]), Nesterov(learning_rate=0.1, momentum=0.5)
    >>> optimizer.step(theta, np.array([1.0]), optimizer.init(theta))
    >>> theta
    array([0.85])
    """

    def update(self, theta, J, rate, t, *moments) -> tuple[Array, ...]:
        """Return theta + λ M - μ J and M = λ M - μ J."""
        (M,) = moments
        M = next_moment(M, J, self.momentum, rate)
        return theta + self.momentum * M - rate * J, M


@dataclass(frozen=True)
class RMSProp(Optimizer):
    r"""RMSProp (Tieleman and Hinton, 2012).

    .. math:: v ← ρ v + (1 - ρ) J^2, \quad θ ← θ - μ \frac{J}{\sqrt{v} + ε}

    Parameters
    ----------
    learning_rate : float or array_like of float (*M,), default 0.001
        The learning rate μ. Pass one value, or one value for each member.
    decay : float, default 0.9
        The decay rate ρ of the mean of squared gradients, at least 0 and less than 1.
    epsilon : float, default 1e-8
        The positive number ε that prevents division by 0.

    Examples
    --------
    >>> theta, optimizer = np.array([1.0]), RMSProp(learning_rate=0.1, decay=0.75)
    >>> optimizer.step(theta, np.array([4.0]), optimizer.init(theta))
    >>> theta.round(6)
    array([0.8])
    """

    learning_rate: float | Sequence[float] = 0.001
    decay: float = 0.9
    epsilon: float = 1e-8

    moments: ClassVar[tuple[str, ...]] = ("v",)
    shares: ClassVar[tuple[str, ...]] = ("decay",)
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    def update(self, theta, J, rate, t, *moments) -> tuple[Array, ...]:
        """Return theta - μ J / (√v + ε) and v = ρ v + (1 - ρ) J²."""
        (v,) = moments
        v = self.decay * v + (1 - self.decay) * J * J
        return theta - rate * J / (sqrt(v) + self.epsilon), v


@dataclass(frozen=True)
class Adam(Optimizer):
    r"""Adam (Kingma and Ba, 2015).

    .. math::

        m ← β_1 m + (1 - β_1) J, \quad v ← β_2 v + (1 - β_2) J^2, \quad
        θ ← θ - μ \frac{\hat{m}}{\sqrt{\hat{v}} + ε}

    Both moving averages start at 0, so their bias is corrected:

    .. math:: \hat{m} = \frac{m}{1 - β_1^t}, \quad \hat{v} = \frac{v}{1 - β_2^t}

    Parameters
    ----------
    learning_rate : float or array_like of float (*M,), default 0.001
        The learning rate μ. Pass one value, or one value for each member.
    beta1, beta2 : float, default 0.9 and 0.999
        The decay rates β₁ and β₂ of the two moving averages, at least 0 and less than
        1.
    epsilon : float, default 1e-8
        The positive number ε that prevents division by 0.

    Examples
    --------
    >>> theta, optimizer = np.array([1.0]), Adam(learning_rate=0.1)
    >>> optimizer.step(theta, np.array([4.0]), optimizer.init(theta))
    >>> theta.round(6)
    array([0.9])
    """

    learning_rate: float | Sequence[float] = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    moments: ClassVar[tuple[str, ...]] = ("m", "v")
    shares: ClassVar[tuple[str, ...]] = ("beta1", "beta2")
    positive: ClassVar[tuple[str, ...]] = ("epsilon",)

    def update(self, theta, J, rate, t, *moments) -> tuple[Array, ...]:
        """Return theta - μ m̂ / (√v̂ + ε), m and v."""
        m, v = moments
        m = self.beta1 * m + (1 - self.beta1) * J
        v = self.beta2 * v + (1 - self.beta2) * J * J
        m_hat = m / (1 - self.beta1**t)
        v_hat = v / (1 - self.beta2**t)
        return theta - rate * m_hat / (sqrt(v_hat) + self.epsilon), m, v


@dataclass(frozen=True)
class AdamW(Adam):
    r"""Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    Before each step of `Adam`, the parameters shrink:

    .. math:: θ ← (1 - μ d) θ

    The decay applies to all parameters, including biases. An `L2` penalty, in contrast,
    applies only to weights.

    Parameters
    ----------
    learning_rate : float or array_like of float (*M,), default 0.001
        The learning rate μ. Pass one value, or one value for each member.
    beta1, beta2 : float, default 0.9 and 0.999
        The decay rates β₁ and β₂ of the two moving averages, at least 0 and less than
        1.
    epsilon : float, default 1e-8
        The positive number ε that prevents division by 0.
    weight_decay : float, default 0.01
        The decay rate d, at least 0.

    Examples
    --------
    >>> theta, optimizer = np.array([1.0]), AdamW(learning_rate=0.1, weight_decay=0.5)
    >>> optimizer.step(theta, np.array([4.0]), optimizer.init(theta))
    >>> theta.round(6)
    array([0.85])
    """

    weight_decay: float = 0.01
    _ranges: ClassVar[dict[str, Range]] = {"weight_decay": AT_LEAST_0}

    def update(self, theta, J, rate, t, *moments) -> tuple[Array, ...]:
        """Return Adam's step from (1 - μ d) theta."""
        return super().update(
            (1 - rate * self.weight_decay) * theta, J, rate, t, *moments
        )


@dataclass(frozen=True)
class AdamHat(Adam):
    """Adam with ε added before the bias correction (Kingma and Ba, 2015, end of section 2).

    The first steps are smaller than in `Adam` if gradients are about as small as ε.
    """

    def update(self, theta, J, rate, t, *moments) -> tuple[Array, ...]:
        """Return theta - μ_t m / (√v + ε̂), m and v."""
        _, m, v = super().update(theta, J, rate, t, *moments)
        rate = rate * (1 - self.beta2**t) ** 0.5 / (1 - self.beta1**t)
        return theta - rate * m / (sqrt(v) + self.epsilon), m, v

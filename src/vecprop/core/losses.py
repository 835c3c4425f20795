"""Losses. Each loss includes its link function, which makes the gradient simple, and finite for all logits."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from .activations import logistic, softplus
from .elementary import (
    POSITIVE,
    Array,
    Range,
    Ranged,
    absolute,
    clip,
    exp,
    is_of,
    log,
    namespace,
    real,
    sign,
    where,
)


@dataclass(frozen=True)
class Loss(Ranged, ABC):
    """The base class of losses. A custom loss is a frozen dataclass that inherits from this class.

    Parameters
    ----------
    reduction : {"mean", "sum"}, default "mean"
        The reduction of the rows' losses ℓ with weights w: "mean" is Σ wℓ / Σ w, "sum"
        is Σ wℓ.

    Attributes
    ----------
    takes_classes : bool
        Whether targets may be integer classes, one per row; a class variable, False by
        default.

    Raises
    ------
    ValueError
        If reduction is not "mean" or "sum".

    Examples
    --------
    This loss is the Euclidean distance between predictions and targets with several
    outputs:

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Distance(Loss):
    ...     def predict(self, Z):
    ...         return Z
    ...
    ...     def value(self, Z, T):
    ...         return np.sqrt(((Z - T) ** 2).sum(axis=-1))
    ...
    ...     def delta(self, Z, T):
    ...         return (Z - T) / self.value(Z, T)[..., None]
    >>> network = Network(2, [Dense(3), Tanh(), Dense(2)], Distance())
    >>> X, T = np.array([[1.0, -2.0], [0.5, 1.5]]), np.array([[1.0, 0.0], [2.0, 1.0]])
    >>> print(check_gradients(network, network.init(seed=0), X, T).verdict)
    PASS
    """

    reduction: Literal["mean", "sum"] = field(default="mean", kw_only=True)
    takes_classes: ClassVar[bool] = False
    _choices: ClassVar[dict[str, tuple[str, ...]]] = {"reduction": ("mean", "sum")}

    @abstractmethod
    def predict(self, Z: Array) -> Array:
        """Return the predictions Y, the link function applied to Z."""

    @abstractmethod
    def value(self, Z: Array, T: Array) -> Array:
        """Return each row's loss, (*M, N)."""

    @abstractmethod
    def delta(self, Z: Array, T: Array) -> Array:
        """Return the gradient of each row's loss with respect to Z, (*M, N, O)."""

    def wrong_targets(self, T: Array) -> tuple[Array, str] | None:
        """Return a mask of invalid targets and the requirement as text, or None if the loss accepts any targets.

        T has the shape (*M, N, O), or contains integer classes.
        """
        return None

    def exact_targets(self, T: Array) -> Array:
        """Return valid targets, (*M, N, O), corrected for earlier rounding."""
        return T


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    r"""The cross-entropy of softmax outputs, for one class out of C.

    .. math:: y_c = \frac{e^{z_c}}{\sum_d e^{z_d}}, \quad ℓ = -\sum_c t_c \log y_c, \quad δ_c = y_c - t_c

    Targets are integer classes 0 to C - 1 of shape (*M, N), or rows of shape (*M, N, C)
    that sum to 1. The largest logit of each row is subtracted first, which avoids
    overflow and logarithms of 0.

    Parameters
    ----------
    reduction : {"mean", "sum"}, default "mean"
        The reduction of the rows' losses.

    Examples
    --------
    >>> loss = SoftmaxCrossEntropy()
    >>> loss.predict(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    >>> loss.value(np.array([[1000.0, -1000.0]]), np.array([1]))
    array([2000.])
    """

    takes_classes: ClassVar[bool] = True

    def predict(self, Z):
        """Return the softmax of each row."""
        E = exp(_shifted(Z))
        return E / namespace(E).sum(E, axis=-1, keepdims=True)

    def value(self, Z, T):
        """Return -Σ t log y of each row."""
        S = _shifted(Z)
        xp = namespace(S)
        minus_log_Y = log(xp.sum(exp(S), axis=-1, keepdims=True)) - S
        return xp.sum(one_hot(T, Z) * minus_log_Y, axis=-1)

    def delta(self, Z, T):
        """Return Y - T."""
        return self.predict(Z) - one_hot(T, Z)

    def wrong_targets(self, T):
        """Return a mask of the rows that are not distributions over the classes."""
        xp = namespace(T)
        sums = xp.sum(T, axis=-1, keepdims=True)
        wrong = (T < 0) | (absolute(sums - 1) > 1e-5)
        return (
            wrong,
            (
                "SoftmaxCrossEntropy needs rows of probabilities that sum to 1, or"
                " integer classes"
            ),
        )

    def exact_targets(self, T):
        """Normalize rows to sum to 1 in the dtype of T. Otherwise, Y - T is not the derivative.

        Labels that were rounded to float32 sum to 1 within 1e-7. A float64 gradient
        would have an error of this size.
        """
        xp = namespace(T)
        sums = xp.sum(T, axis=-1, keepdims=True)
        off = absolute(sums - 1) > 2 * T.shape[-1] * float(xp.finfo(T.dtype).eps)
        return xp.where(off, T / sums, T) if bool(xp.any(off)) else T


def _shifted(Z):
    """Subtract each row's largest entry from Z, which does not change the softmax; clip to avoid overflow."""
    xp = namespace(Z)
    half = float(xp.finfo(Z.dtype).max) / 2
    Z = clip(Z, -half, half)
    return Z - xp.max(real(Z), axis=-1, keepdims=True)


def one_hot(T, Z):
    """Return the targets as rows of probabilities in Z's real dtype; integer classes become one-hot rows."""
    xp = namespace(Z)
    # Classes have one axis less than Z. Integer one-hot rows were converted to floating
    # point earlier.
    if is_of("integral", T) and T.ndim < Z.ndim and T.shape[-1] == Z.shape[-2]:
        T = T[..., None] == xp.arange(Z.shape[-1], device=Z.device)
    return xp.astype(T, real(Z).dtype, copy=False)


@dataclass(frozen=True)
class ElementwiseLoss(Loss):
    """The base class of losses that are sums over outputs; ``element`` and ``delta`` are elementwise formulas.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class PseudoHuber(ElementwiseLoss):
    ...     def predict(self, Z):
    ...         return Z
    ...
    ...     def element(self, Z, T):
    ...         return np.sqrt(1 + (Z - T) ** 2) - 1
    ...
    ...     def delta(self, Z, T):
    ...         return (Z - T) / np.sqrt(1 + (Z - T) ** 2)
    >>> network = Network(2, [Dense(3), Tanh(), Dense(1)], PseudoHuber())
    >>> X, T = np.array([[1.0, -2.0], [0.5, 1.5]]), np.array([[1.0], [2.0]])
    >>> print(check_gradients(network, network.init(seed=0), X, T).verdict)
    PASS
    """

    @abstractmethod
    def element(self, Z: Array, T: Array) -> Array:
        """Return each output's loss, (*M, N, O)."""

    def value(self, Z, T):
        """Return each row's loss, summed over outputs, (*M, N)."""
        return namespace(Z).sum(self.element(Z, T), axis=-1)


@dataclass(frozen=True)
class BinaryCrossEntropy(ElementwiseLoss):
    r"""The cross-entropy of logistic outputs, for one label or several independent labels (multi-label).

    .. math:: y = \frac{1}{1 + e^{-z}}, \quad ℓ = -t \log y - (1 - t) \log(1 - y), \quad δ = y - t

    The loss is summed over outputs. Targets of shape (*M, N, O) lie between 0 and 1.
    The logarithms are computed as softplus functions of the logit, which are finite for
    all logits.

    Parameters
    ----------
    reduction : {"mean", "sum"}, default "mean"
        The reduction of the rows' losses.

    Examples
    --------
    >>> BinaryCrossEntropy().value(np.array([[1000.0, -1000.0]]), np.array([[1.0, 1.0]]))
    array([1000.])
    """

    def predict(self, Z):
        """Return logistic(z)."""
        return logistic(Z)

    def element(self, Z, T):
        """Return -t log y - (1 - t) log(1 - y), with -log y = softplus(-z) and -log(1 - y) = softplus(z)."""
        return T * softplus(-Z) + (1 - T) * softplus(Z)

    def delta(self, Z, T):
        """Return Y - T."""
        return logistic(Z) - T

    def wrong_targets(self, T):
        """Return a mask of the targets that are not between 0 and 1."""
        return (T < 0) | (T > 1), "BinaryCrossEntropy needs targets between 0 and 1"


@dataclass(frozen=True)
class RegressionLoss(ElementwiseLoss):
    """The base class of losses with the identity link, y = z."""

    def predict(self, Z):
        """Return Z."""
        return Z


@dataclass(frozen=True)
class SquaredError(RegressionLoss):
    r"""The squared error, summed over outputs.

    .. math:: ℓ = \tfrac{1}{2} (y - t)^2

    Parameters
    ----------
    reduction : {"mean", "sum"}, default "mean"
        The reduction of the rows' losses.

    Examples
    --------
    >>> SquaredError().value(np.array([[3.0]]), np.array([[1.0]]))
    array([2.])
    """

    def element(self, Z, T):
        """Return ½ (y - t)²."""
        return (Z - T) * (Z - T) / 2

    def delta(self, Z, T):
        """Return y - t."""
        return Z - T


@dataclass(frozen=True)
class AbsoluteError(RegressionLoss):
    """The absolute error, summed over outputs. The optimal prediction is the median.

    .. math:: ℓ = |y - t|

    The derivative at y = t is defined as 0.

    Parameters
    ----------
    reduction : {"mean", "sum"}, default "mean"
        The reduction of the rows' losses.

    Examples
    --------
    >>> AbsoluteError().value(np.array([[3.0]]), np.array([[1.0]]))
    array([2.])
    """

    def element(self, Z, T):
        """Return |y - t|."""
        return absolute(Z - T)

    def delta(self, Z, T):
        """Return the sign of y - t."""
        return sign(Z - T)


@dataclass(frozen=True)
class Huber(RegressionLoss):
    r"""Huber's loss: squared near the target, absolute far from it (Huber, 1964), summed over outputs.

    .. math:: ℓ = \begin{cases} \tfrac{1}{2} d^2 & |d| ≤ k \\ k (|d| - \tfrac{1}{2} k) & |d| > k \end{cases}

    Here d = y - t. With c = d clipped to [-k, k], both cases equal c (d - ½ c).

    Parameters
    ----------
    threshold : float, default 1.0
        The distance k from the target where the loss becomes linear, in units of the
        targets.
    reduction : {"mean", "sum"}, default "mean"
        The reduction of the rows' losses.

    Raises
    ------
    ValueError
        If threshold is not positive.

    Examples
    --------
    >>> Huber(1.0).value(np.array([[0.5], [3.0]]), np.array([[0.0], [0.0]]))
    array([0.125, 2.5  ])
    """

    threshold: float = 1.0
    _ranges: ClassVar[dict[str, Range]] = {"threshold": POSITIVE}

    def element(self, Z, T):
        """Return c (d - ½ c)."""
        c = self.delta(Z, T)
        return c * (Z - T - c / 2)

    def delta(self, Z, T):
        """Return d, clipped to [-k, k]."""
        return clip(Z - T, -self.threshold, self.threshold)


@dataclass(frozen=True)
class Quantile(RegressionLoss):
    r"""The quantile (pinball) loss (Koenker and Bassett, 1978), summed over outputs.

    .. math:: ℓ = \begin{cases} q (t - y) & t > y \\ (1 - q) (y - t) & t ≤ y \end{cases}

    The derivative at y = t is defined as 0.

    Parameters
    ----------
    level : float, default 0.5
        The level q of the predicted quantile, between 0 and 1. The level is the share
        of targets below the quantile.
    reduction : {"mean", "sum"}, default "mean"
        The reduction of the rows' losses.

    Raises
    ------
    ValueError
        If level is not between 0 and 1.

    Examples
    --------
    >>> Quantile(0.9).value(np.array([[1.0], [3.0]]), np.array([[2.0], [2.0]])).round(3)
    array([0.9, 0.1])
    """

    level: float = 0.5
    _ranges: ClassVar[dict[str, Range]] = {
        "level": ("a {} between 0 and 1", 0, 1, "()")
    }

    def element(self, Z, T):
        """Return delta (y - t)."""
        return self.delta(Z, T) * (Z - T)

    def delta(self, Z, T):
        """Return -level where t > y, 1 - level where t < y, and 0 where t = y."""
        s = sign(Z - T)
        return where(s > 0, (1 - self.level) * s, self.level * s)


@dataclass(frozen=True)
class Poisson(ElementwiseLoss):
    r"""The Poisson loss, for counts and rates, summed over outputs.

    .. math:: y = e^z, \quad ℓ = y - t z, \quad δ = y - t

    This is the negative log-likelihood without the constant log t!. Targets must be at
    least 0.

    Parameters
    ----------
    reduction : {"mean", "sum"}, default "mean"
        The reduction of the rows' losses.

    Examples
    --------
    >>> Poisson().value(np.array([[0.0]]), np.array([[2.0]]))
    array([1.])
    """

    def predict(self, Z):
        """Return exp(z)."""
        return exp(Z)

    def element(self, Z, T):
        """Return exp(z) - t z."""
        return exp(Z) - T * Z

    def delta(self, Z, T):
        """Return Y - T."""
        return exp(Z) - T

    def wrong_targets(self, T):
        """Return a mask of the negative targets."""
        return T < 0, "Poisson needs targets of at least 0"

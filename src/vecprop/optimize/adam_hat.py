"""Adam in the order of computation of scikit-learn and other libraries."""

from dataclasses import dataclass

from ..core.elementary import Array, sqrt
from .optimizers import Adam


@dataclass(frozen=True)
class AdamHat(Adam):
    """Adam whose ε is added before the bias correction of the means (Kingma and Ba, 2015, end of section 2).

    theta ← theta - μ_t m / (√v + ε̂) with μ_t = μ √(1 - β₂ᵗ) / (1 - β₁ᵗ). It differs from `Adam` if gradients are
    about as small as ε̂: its first steps are then smaller.

    Parameters
    ----------
    learning_rate : float or array_like of float (*M,), default 0.001
        The learning rate μ: one, or one per member.
    beta1, beta2 : float, default 0.9 and 0.999
        The factors β₁ and β₂ of the two means, at least 0 and less than 1.
    epsilon : float, default 1e-8
        The positive number ε̂ that keeps the division finite.

    Examples
    --------
    >>> import numpy as np
    >>> theta, optimizer = np.array([1.0]), AdamHat(learning_rate=0.1)
    >>> optimizer.step(theta, np.array([4.0]), optimizer.init(theta))
    >>> theta.round(6)
    array([0.9])
    """

    def update(self, theta: Array, J: Array, rate: Array | float, t: int, *moments: Array) -> tuple[Array, ...]:
        """Return theta - μ_t m / (√v + ε̂), m and v."""
        _, m, v = super().update(theta, J, rate, t, *moments)
        rate = rate * (1 - self.beta2**t) ** 0.5 / (1 - self.beta1**t)
        return theta - rate * m / (sqrt(v) + self.epsilon), m, v

"""Adam in the order of computation of scikit-learn and other libraries."""

from dataclasses import dataclass

from ..core.elementary import Array, sqrt
from .optimizers import Adam


@dataclass(frozen=True)
class AdamHat(Adam):
    """Adam whose ε is added before the bias correction of the means (Kingma and Ba, 2015, end of section 2).

    theta ← theta - μ_t m / (√v + ε̂) with μ_t = μ √(1 - β₂ᵗ) / (1 - β₁ᵗ). It differs from `Adam` if gradients are
    about as small as ε̂: its first steps are then smaller.

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

"""L-BFGS on the flat parameter vector, using SciPy."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar, Literal

import numpy as np
from numpy import ndarray

from ..core.elementary import Range, Ranged

Outcome = Literal["converged", "epochs", "stalled", "callback"]
# by SciPy's status
_OUTCOMES: dict[int, Outcome] = {
    0: "converged",
    1: "epochs",
    2: "stalled",
    99: "callback",
}


@dataclass(frozen=True)
class LBFGS(Ranged):
    """Limited-memory BFGS for full batches, by SciPy's L-BFGS-B (Liu, Nocedal, 1989).

    L-BFGS needs no learning rate, trains one network at a time, and does not support
    dropout.

    Parameters
    ----------
    memory : int, default 10
        The number of past steps that approximate the curvature.
    tolerance : float, default 1e-5
        The search converges when no entry of the gradient exceeds this tolerance. The
        search also converges when an iteration decreases the loss by at most 1.4e-14,
        relative to the larger of the loss and 1.
    max_evaluations : int, default 15000
        The maximum number of evaluations of the loss and its gradient. The search
        completes the iteration that exceeds this number.

    Raises
    ------
    ValueError
        If a value is not positive, or memory is not an integer.

    Examples
    --------
    >>> theta, ended = LBFGS().minimize(lambda v: (((v - 3) ** 2).sum(), 2 * (v - 3)), np.zeros(2), iterations=10)
    >>> theta.round(6), ended
    (array([3., 3.]), 'converged')
    """

    memory: int = 10
    tolerance: float = 1e-5
    max_evaluations: int = 15_000
    _ranges: ClassVar[dict[str, Range]] = dict.fromkeys(
        ("memory", "tolerance", "max_evaluations"), ("a positive {}", 0, inf, "(]")
    )

    def __post_init__(self):
        """Validate the values."""
        super().__post_init__()
        # SciPy allocates arrays of this length
        if not isinstance(self.memory, int | np.integer):
            raise ValueError(
                f"LBFGS needs an integer as its memory, not {self.memory!r}."
            )

    def minimize(
        self,
        loss_and_gradient: Callable[[ndarray], tuple[float, ndarray]],
        theta: ndarray,
        iterations: int,
        callback: Callable[[ndarray], None] | None = None,
    ) -> tuple[ndarray, Outcome]:
        """Minimize a function of a vector.

        Parameters
        ----------
        loss_and_gradient : callable
            Takes a float64 vector (P,) and returns the loss and the gradient (P,).
        theta : ndarray (P,)
            The initial vector.
        iterations : int
            The maximum number of iterations, at least 1.
        callback : callable, optional
            Called with the vector after each iteration. The callback can raise
            StopIteration to stop the search.

        Returns
        -------
        theta : ndarray (P,)
            The minimizer.
        ended : {"converged", "epochs", "stalled", "callback"}
            Why the search ended: it converged; it reached the maximum number of
            iterations or evaluations; it found no lower value along the last direction,
            usually because of rounding; or the callback stopped it.
        """
        from scipy.optimize import minimize

        options = {
            "maxcor": self.memory,
            "gtol": self.tolerance,
            "ftol": 64 * np.finfo(float).eps,
        }
        options |= {"maxiter": iterations, "maxfun": self.max_evaluations}
        method: Any = {
            "method": "L-BFGS-B",
            "jac": True,
            "options": options,
            "callback": callback,
        }
        found = minimize(loss_and_gradient, theta, **method)
        return found.x, _OUTCOMES[found.status]

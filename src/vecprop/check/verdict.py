"""The five verdicts, from the worst to the best."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

HIDDEN = 1e-3
"""The share of a part's largest entry that rounding may hide before the check is inconclusive."""


class Verdict(StrEnum):
    """What can be said of a gradient.

    FAIL: it is wrong. NONDETERMINISTIC: two runs differ, so nothing can be said. INCONCLUSIVE: rounding alone exceeds
    what could be told apart. KINK: the function has two slopes here and the gradient lies between them. PASS: it is
    right.
    """

    FAIL = "FAIL"
    NONDETERMINISTIC = "NONDETERMINISTIC"
    INCONCLUSIVE = "INCONCLUSIVE"
    KINK = "KINK"
    PASS = "PASS"

    @classmethod
    def worst(cls, verdicts: "list[Verdict]") -> "Verdict":
        """Return the worst of several verdicts."""
        order = list(cls)
        return min(verdicts, key=order.index, default=cls.PASS)


@dataclass(frozen=True)
class Row:
    """What the report says of one part.

    Parameters
    ----------
    name : str
        The part.
    shape : tuple of int
        The shape of its gradient.
    verdict : Verdict
        The verdict.
    error, tolerance : float
        The largest error, as a multiple of its tolerance, and that tolerance.
    index : tuple of int or None
        Where it is; None where a direction was judged.
    given, expected : float
        The two values there.
    hidden : float
        The share of the part's largest entry that the tolerance hides.
    wrong : int or None
        How many entries are wrong; None where only directions were judged.
    diagnosis : str
        What the pattern of the errors shows.
    note : str
        What else there is to say.
    engine : str
        Which engine computed the gradient, where there are engines: "reference" or "compiled".
    largest_error : float
        The largest error of all; ``error`` is that which exceeds its tolerance by the largest factor.
    """

    name: str
    shape: tuple[int, ...]
    verdict: Verdict
    error: float
    tolerance: float
    index: tuple[int, ...] | None
    given: float
    expected: float
    hidden: float
    wrong: int | None = None
    diagnosis: str = ""
    note: str = ""
    engine: str = ""
    largest_error: float = 0.0

    @property
    def conclusive(self) -> bool:
        """Whether an error of a thousandth of the largest entry would be seen."""
        return self.hidden <= HIDDEN

    @property
    def ratio(self) -> float:
        """The error as a multiple of the tolerance."""
        return self.error / self.tolerance if self.tolerance else (np.inf if self.error else 0.0)

"""The five verdicts, from the worst to the best, and the row of a report that holds one."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Verdict(StrEnum):
    """The verdict on a gradient.

    FAIL: it is wrong. NONDETERMINISTIC: two runs differ, so nothing can be said. INCONCLUSIVE: rounding could hide an
    error. KINK: the one-sided derivatives differ here, and the gradient lies between them. PASS: it is right.

    Examples
    --------
    >>> report = check_gradients(lambda x: ((x**2).sum(), 3 * x), np.array([1.0, 2.0]))
    >>> report.verdict is Verdict.FAIL, report.verdict == "FAIL"
    (True, True)
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
    """The result for one part of the gradient.

    Parameters
    ----------
    name : str
        The name of the part.
    shape : tuple of int
        The shape of its gradient.
    verdict : Verdict
        The verdict.
    error, tolerance : float
        The error that is the largest multiple of its tolerance, and that tolerance.
    index : tuple of int or None
        The index of that entry; None if a direction was judged.
    given, expected : float
        The two values of that entry.
    hidden : float
        The share of the part's largest entry that the tolerance hides.
    wrong : int or None
        The number of wrong entries; None if only directions were judged.
    diagnosis : str
        The explanation of the errors, if one was found.
    note : str
        A remark on the verdict.
    engine : str
        The engine that computed the gradient, for networks: "reference", "compiled" or "both".
    largest_error : float
        The largest error, whatever its tolerance.
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
    def ratio(self) -> float:
        """The error as a multiple of the tolerance."""
        return self.error / self.tolerance if self.tolerance else (np.inf if self.error else 0.0)

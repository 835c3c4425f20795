"""The comparison of given derivatives with expected ones, within a tolerance for rounding."""

from dataclasses import dataclass

import numpy as np

from .derivatives import Derivatives, Method
from .noise import EPS
from .parameters import NamedPart
from .point import Point
from .verdict import Verdict

SAFETY = 4
"""The factor on the rounding bound. The bound is of first order and of one gradient, but two are compared, and foreign
code may round more often than vecprop's."""


@dataclass(frozen=True)
class Comparison:
    """Derivatives along K directions, given and expected; all arrays have shape (outputs, K)."""

    given: np.ndarray
    expected: np.ndarray
    tolerance: np.ndarray
    kink: np.ndarray
    wrong: np.ndarray

    @property
    def worst(self) -> tuple[int, int]:
        """The output and the direction of the largest wrong error."""
        errors = np.abs(self.given - self.expected) * self.wrong
        output, direction = np.unravel_index(np.argmax(errors), errors.shape)
        return int(output), int(direction)

    @property
    def unknown(self) -> np.ndarray:
        """Whether no derivative could be found, so that nothing can be said."""
        return ~np.isfinite(self.tolerance) & ~self.wrong

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all."""
        found = ((self.wrong, Verdict.FAIL), (self.unknown, Verdict.INCONCLUSIVE), (self.kink, Verdict.KINK))
        return next((verdict for mask, verdict in found if mask.any()), Verdict.PASS)


@dataclass(frozen=True)
class Limit:
    """The error that the user allows in addition to rounding, atol + rtol |derivative|, as in ``numpy.isclose``."""

    rtol: float = 0.0
    atol: float = 0.0

    def of(self, expected: np.ndarray, U: np.ndarray) -> np.ndarray:
        """Return the error allowed for the derivatives along the rows of U, (outputs, K)."""
        return self.rtol * np.abs(expected) + self.atol * np.abs(U).sum(axis=1)


@dataclass(frozen=True)
class Criteria:
    """How the expected derivatives are computed, and how far a given gradient may be from them.

    Parameters
    ----------
    any_side : bool, default False
        Whether ties may have been broken either way, as by an engine that rounds differently and may not meet them.
    """

    method: Method
    limit: Limit = Limit()
    any_side: bool = False


Given = tuple[np.ndarray, Criteria]
"""A gradient to judge, (outputs, size), and its criteria."""


def _jitter(point: Point, part: NamedPart, U: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the change of complex-step derivatives when parameters move by a few units in the last place, times 16."""
    spread = np.zeros(expected.shape)
    for other in point.jittered:
        spread = np.fmax(spread, np.abs(other.stepped(part, U).T - expected))
    return 16 * spread


def compare(
    point: Point,
    part: NamedPart,
    U: np.ndarray,
    given: np.ndarray,
    tolerance: np.ndarray,
    found: Derivatives,
    criteria: Criteria,
) -> Comparison:
    """Compare the derivatives given along the rows of U with the expected ones, within a tolerance for rounding."""
    expected, error, jump = found
    error = np.where(np.isfinite(expected + error), error, np.inf)
    expected = np.where(np.isfinite(expected), expected, 0)
    tolerance = tolerance + SAFETY * 8 * EPS * np.abs(expected) + error + criteria.limit.of(expected, U)
    low, high = expected - np.abs(jump) / 2, expected + np.abs(jump) / 2
    gap = high - low
    if point.bound.tied and criteria.method == "complex step":
        at = point.one_sided(part, U)
        known = np.isfinite(at.usual + at.low + at.high).T
        tolerance = np.where(known, tolerance, np.inf)
        expected, gap = np.where(known, at.usual.T, 0), np.where(known, (at.largest - at.least).T, 0)
        low, high = (at.least.T, at.largest.T) if criteria.any_side else (at.low.T, at.high.T)
    kink = gap > 2 * tolerance

    def within() -> np.ndarray:
        between = (low - tolerance <= given) & (given <= high + tolerance)
        return (np.abs(given - expected) <= tolerance) | between

    agrees = within()
    if criteria.method == "complex step" and not point.is_followed and not agrees.all():
        tolerance = np.where(kink, tolerance, tolerance + _jitter(point, part, U, expected))
        agrees = within()
    return Comparison(given, expected, tolerance, kink & agrees, ~agrees)


def hidden_share(tolerance: np.ndarray, expected: np.ndarray, sizes: np.ndarray) -> float:
    """Return the share of the largest entry that the tolerance hides; infinite if all entries are 0.

    The share is computed of the entries, and of their products with the parameters' sizes. The larger one counts.
    """
    shares = []
    for unit in (1.0, sizes):
        largest = float(np.abs(expected * unit).max(initial=0))
        shares.append(float(np.max(tolerance * unit, initial=0)) / largest if largest else np.inf)
    return max(shares)

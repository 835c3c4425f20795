"""The judgement of one part of a gradient: what it should be, how far rounding reaches, and so the verdict."""

from dataclasses import dataclass

import numpy as np

from .noise import EPS
from .parameters import Part
from .point import Point
from .slopes import Found, Method, found_slopes
from .verdict import Verdict

SAFETY = 4
"""The bound is that of one gradient to first order; two are compared, and not all code rounds as vecprop's does."""

HIDDEN = 1e-3
"""The share of a part's largest entry that rounding may hide before the check is inconclusive."""


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


@dataclass(frozen=True)
class Compared:
    """Slopes along K directions: as given, as expected, and how far they may be apart; all of shape (outputs, K)."""

    given: np.ndarray
    expected: np.ndarray
    tolerance: np.ndarray
    kink: np.ndarray
    wrong: np.ndarray

    @property
    def worst(self) -> tuple[int, int]:
        """The output and the direction of the largest error among the wrong ones."""
        errors = np.abs(self.given - self.expected) * self.wrong
        output, direction = np.unravel_index(np.argmax(errors), errors.shape)
        return int(output), int(direction)

    @property
    def unknown(self) -> np.ndarray:
        """Where no slope could be found, so that nothing can be said."""
        return ~np.isfinite(self.tolerance) & ~self.wrong

    @property
    def verdict(self) -> Verdict:
        """The verdict of them all."""
        found = ((self.wrong, Verdict.FAIL), (self.unknown, Verdict.INCONCLUSIVE), (self.kink, Verdict.KINK))
        return next((verdict for mask, verdict in found if mask.any()), Verdict.PASS)


@dataclass(frozen=True)
class Limit:
    """The error that a user allows beside that of rounding, as ``numpy.isclose`` has it: atol + rtol |slope|."""

    rtol: float = 0.0
    atol: float = 0.0

    def of(self, expected: np.ndarray, U: np.ndarray) -> np.ndarray:
        """Return the error allowed for slopes, (outputs, K), along the rows of U."""
        return self.rtol * np.abs(expected) + self.atol * np.abs(U).sum(axis=1)


@dataclass(frozen=True)
class How:
    """How slopes are found, and gradients compared with them.

    Parameters
    ----------
    method : str
        How slopes are found.
    limit : Limit
        The error that the user allows.
    any_side : bool, default False
        Whether ties may have been broken either way, as by an engine that rounds differently and does not meet them.
    """

    method: Method
    limit: Limit = Limit()
    any_side: bool = False


Given = tuple[np.ndarray, How]
"""A gradient, (outputs, size), and how it is to be compared."""


def _jitter(point: Point, part: Part, U: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return what moving the parameters by a few units in the last place does to the slopes found by complex step."""
    spread = np.zeros(expected.shape)
    for other in point.jittered:
        spread = np.fmax(spread, np.abs(other.stepped(part, U).T - expected))
    return 16 * spread


def compare(
    point: Point, part: Part, U: np.ndarray, given: np.ndarray, tolerance: np.ndarray, found: Found, how: How
) -> Compared:
    """Compare the slopes given along the rows of U with those found, within a tolerance for rounding."""
    expected, error, jump = found
    error = np.where(np.isfinite(expected), error, np.inf)
    expected = np.where(np.isfinite(expected), expected, 0)
    tolerance = tolerance + SAFETY * 8 * EPS * np.abs(expected) + error + how.limit.of(expected, U)
    low, high = expected - np.abs(jump) / 2, expected + np.abs(jump) / 2
    room = high - low
    if point.bound.tied and how.method == "complex step":
        at = point.slopes(part, U)
        known = np.isfinite(at.usual + at.low + at.high).T
        tolerance = np.where(known, tolerance, np.inf)
        expected, room = np.where(known, at.usual.T, 0), np.where(known, (at.largest - at.least).T, 0)
        low, high = (at.least.T, at.largest.T) if how.any_side else (at.low.T, at.high.T)
    kink = room > 2 * tolerance

    def within() -> np.ndarray:
        between = (low - tolerance <= given) & (given <= high + tolerance)
        return (np.abs(given - expected) <= tolerance) | between

    agrees = within()
    if how.method == "complex step" and not point.is_followed and not agrees.all():
        tolerance = np.where(kink, tolerance, tolerance + _jitter(point, part, U, expected))
        agrees = within()
    return Compared(given, expected, tolerance, kink & agrees, ~agrees)


def entries(point: Point, part: Part, givens: list[Given], chosen: np.ndarray | None = None) -> list[Compared]:
    """Compare every entry of a part, or the chosen ones, one at a time: of each of the gradients given."""
    chosen = np.arange(part.size) if chosen is None else chosen
    tolerance = SAFETY * point.bound.gradient[:, part.span]
    pieces: list[list[Compared]] = [[] for _ in givens]
    for some in np.array_split(chosen, max(1, -(-chosen.size // point.at_once(part)))):
        U = np.zeros((some.size, part.size))
        U[np.arange(some.size), some] = 1
        found = found_slopes(point, part, U, givens[0][1].method)
        for own, (given, how) in zip(pieces, givens, strict=True):
            own.append(compare(point, part, U, given[:, some], tolerance[:, some], found, how))
    return [_joined(own) for own in pieces]


def _joined(pieces: list[Compared]) -> Compared:
    names = Compared.__annotations__
    return Compared(*(np.concatenate([getattr(piece, name) for piece in pieces], axis=1) for name in names))


def judge_entries(point: Point, part: Part, givens: list[Given]) -> list[tuple[Row, Compared]]:
    """Judge a part by every one of its entries, for each of the gradients given."""
    found = entries(point, part, givens)
    return [(_row(point, part, given, own, how), own) for (given, how), own in zip(givens, found, strict=True)]


def _row(point: Point, part: Part, given: np.ndarray, found: Compared, how: How) -> Row:
    error = np.abs(given - found.expected)
    ratio = np.divide(error, found.tolerance, out=np.where(error > 0, np.inf, 0.0), where=found.tolerance > 0)
    # What is wrong comes first, then what is not known, then a kink, then the rest, each by its ratio.
    rank = np.select([found.wrong, found.unknown, found.kink], [3.0, 2.0, 1.0], 0.0)
    worst = np.lexsort((ratio.ravel(), rank.ravel()))[-1]
    output, entry = np.unravel_index(worst, ratio.shape)
    return Row(
        part.name,
        (*point.outputs, *part.shape),
        found.verdict,
        float(error.flat[worst]),
        float(found.tolerance.flat[worst]),
        (*(int(i) for i in np.unravel_index(output, point.outputs)), *part.index(int(entry))),
        float(given.flat[worst]),
        float(found.expected.flat[worst]),
        hidden_share(found.tolerance - how.limit.of(found.expected, np.ones((part.size, 1))), found.expected),
        int(found.wrong.sum()),
        largest_error=float(error.max()),
    )


def hidden_share(tolerance: np.ndarray, expected: np.ndarray) -> float:
    """Return the share of the largest entry that the tolerance hides; infinite where all entries are 0."""
    largest = float(np.abs(expected).max(initial=0))
    return float(np.max(tolerance, initial=0)) / largest if largest else np.inf

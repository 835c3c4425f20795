"""The judgement of one part of a gradient: what it should be, how far rounding reaches, and so the verdict."""

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from .noise import EPS, PLATEAU
from .parameters import Part
from .point import Point, typical_size
from .ridders import Difference, central_differences, ridders
from .verdict import Verdict

Method = Literal["complex step", "ridders", "central differences"]
"""How slopes are found; along which directions is another question."""

SAFETY = 4
"""The bound is that of one gradient to first order; two are compared, and not all code rounds as vecprop's does."""

HIDDEN = 1e-3
"""The share of a part's largest entry that rounding may hide before the check is inconclusive."""

DISTRUST = 10
"""The factor on the error that a difference estimates of itself."""

BELIEVED = 1e-9
"""The share of the largest slope to which differences are believed at most."""


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

Found = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Slopes along directions, their error and the jump from left to right, each (outputs, K)."""


def found_slopes(point: Point, part: Part, U: np.ndarray, method: Method) -> Found:
    """Return the slopes along the rows of U, how far they may be wrong and how far they jump at theta."""
    zero = np.zeros((prod(point.outputs), len(U)))
    if method == "ridders":
        found = differences(point, part, U)
        error = DISTRUST * found.error + BELIEVED * np.abs(found.value).max(axis=0)
        return found.value.T, error.T, found.jump.T
    if method == "central differences":
        value, error = central_differences(lambda steps: _in_pieces(point, part, steps), U, point.noise.near)
        return value.T, error.T, zero
    return exact_slopes(point, [(part, U)])[0], zero, zero


def differences(point: Point, part: Part, U: np.ndarray) -> Difference:
    """Return the slopes along the rows of U by Ridders' differences."""
    theta, reach = point.theta[part.span], np.abs(U).max(axis=1)
    typical = typical_size(theta)
    own = np.max(np.where(U != 0, np.abs(theta), 0), axis=1)
    scale = np.where(own > 0, own, typical) / reach
    others = np.stack([np.full(len(U), other) / reach for other in dict.fromkeys((typical, 1.0))])

    def found(noise: np.ndarray) -> Difference:
        with np.errstate(all="ignore"):
            return ridders(lambda steps: _in_pieces(point, part, steps), U, scale, noise, others)

    near = found(point.noise.near)
    rounding = np.fmax(point.noise.farther, point.value_bound)
    if (rounding <= PLATEAU * point.noise.near).all():
        return near
    # Short steps may see another function than long ones do: where they deny one another, it may be either.
    farther = found(rounding)
    apart = np.abs(near.value - farther.value)
    agree = apart <= DISTRUST * (near.error + farther.error)
    return Difference(near.value, np.where(agree, near.error, np.fmax(apart, near.error)), near.jump)


def _in_pieces(point: Point, part: Part, steps: np.ndarray) -> np.ndarray:
    """Return the values where each row of steps is added to a part, as many at a time as there is room for."""
    pieces = np.array_split(steps, -(-len(steps) // point.at_once(part)))
    return np.concatenate([point.moved(part, piece) for piece in pieces])


def exact_slopes(point: Point, moves: list[tuple[Part, np.ndarray]]) -> tuple[np.ndarray, bool]:
    """Return the slopes along the rows of each part's U, part by part, (outputs, K), and whether there may be ties.

    One part's directions are taken in pieces where they do not fit at once; several parts are known to fit.
    """
    pieces = [moves]
    if len(moves) == 1:
        [(part, U)] = moves
        pieces = [[(part, piece)] for piece in np.array_split(U, -(-len(U) // point.at_once(part)))]
    found = [point.derivatives(piece) for piece in pieces]
    return np.concatenate([slopes for slopes, _ in found]).T, any(tied for _, tied in found)


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

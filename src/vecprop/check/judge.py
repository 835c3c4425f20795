"""The judgement of one part of a gradient: what it should be, how far rounding reaches, and so the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .complex_step import complex_step
from .kinks import Slopes
from .parameters import Part
from .ridders import Difference, central_differences, noise_level, ridders
from .rounding import Bound
from .verdict import Verdict

SAFETY = 4
"""The bound is that of one gradient to first order; two are compared, and not all code rounds as vecprop's does."""

HIDDEN = 1e-3
"""The share of a part's largest entry that rounding may hide before the check is inconclusive."""

DISTRUST = 10
"""The factor on the error that a difference estimates of itself."""


class Point(Protocol):
    """What can be asked of a function at a point: see `NetworkPoint` and `FunctionPoint`."""

    theta: np.ndarray
    parts: tuple[Part, ...]
    outputs: tuple[int, ...]

    @property
    def bound(self) -> Bound:
        """How far rounding can have moved the gradient."""
        ...

    @property
    def jittered(self) -> "tuple[Point, ...]":
        """The function moved by a few units in the last place."""
        ...

    def at(self, theta: np.ndarray) -> "Point":
        """Return the same function at other parameters."""
        ...

    def gradient(self) -> np.ndarray:
        """Return the gradient that is checked, (outputs, P)."""
        ...

    def loss(self) -> np.ndarray:
        """Return the function's values, flattened."""
        ...

    def evaluated(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the values, flattened, and the gradient that is checked."""
        ...

    def at_once(self, part: Part) -> int:
        """Return how many moved points are computed at once."""
        ...

    def moved(self, part: Part, steps: np.ndarray) -> np.ndarray:
        """Return the values, (K, outputs), where each row of steps is added to a part of the parameters."""
        ...

    def derivatives(self, moves: Sequence[tuple[Part, np.ndarray]]) -> tuple[np.ndarray, bool]:
        """Return the slopes along the rows of each part's U, one part after the other, (K, outputs).

        And whether numbers that are compared may be equal, so that there may be other slopes.
        """
        ...

    def slopes(self, part: Part, U: np.ndarray) -> Slopes:
        """Return the slopes along each row of U where ties may make more than one."""
        ...


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


def found_slopes(point: Point, part: Part, U: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the slopes along the rows of U, their error and the jump from left to right, each (outputs, K)."""
    zero = np.zeros((int(np.prod(point.outputs)), len(U)))

    def moved(steps: np.ndarray) -> np.ndarray:
        pieces = np.array_split(steps, -(-len(steps) // point.at_once(part)))
        return np.concatenate([point.moved(part, piece) for piece in pieces])

    if method == "ridders":
        own, typical = _sizes(point, part, U)
        found = ridders(moved, U, 0.1 * own)
        unclear = found.error > 1e-6 * np.abs(found.value)
        if unclear.any() and (own < 0.1 * typical).any():  # a parameter near 0 shows more where it moves farther
            other = ridders(moved, U, 0.1 * typical)
            better = unclear & (other.error < 0.1 * found.error)
            found = Difference(*(np.where(better, b, a) for a, b in zip(found, other, strict=True)))
        return found.value.T, DISTRUST * found.error.T, found.jump.T
    if method == "central differences":
        v = np.random.default_rng(0).uniform(-1, 1, (1, part.size)) * _sizes(point, part, U)[1][0]
        value, error = central_differences(moved, U, noise_level(moved, v))
        return value.T, error.T, zero
    return exact_slopes(point, [(part, U)])[0], zero, zero


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


def _sizes(point: Point, part: Part, U: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest parameter that moves along each direction, and the size of the part's parameters."""
    theta = point.theta[part.span]
    typical = float(np.sqrt(np.mean(theta * theta))) or 1.0
    own = np.max(np.where(U != 0, np.abs(theta), 0), axis=1)
    return np.where(own > 0, own, typical), np.full(len(U), typical)


def _jitter(point: Point, part: Part, U: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return what moving the parameters by a few units in the last place does to the slopes found by complex step."""
    spread = np.zeros(expected.shape)
    for other in point.jittered:
        spread = np.maximum(spread, np.abs(complex_step(lambda steps, at=other: at.moved(part, steps), U).T - expected))
    return 8 * spread


def compare(
    point: Point,
    part: Part,
    U: np.ndarray,
    given: np.ndarray,
    tolerance: np.ndarray,
    found: tuple[np.ndarray, np.ndarray, np.ndarray],
    method: str,
) -> Compared:
    """Compare the slopes given along the rows of U with those found, within a tolerance for rounding."""
    expected, error, jump = found
    tolerance = tolerance + SAFETY * 8 * np.finfo(np.float64).eps * np.abs(expected) + error
    low, high, room = expected - np.abs(jump) / 2, expected + np.abs(jump) / 2, np.abs(jump)
    if point.bound.tied and method != "ridders":
        at = point.slopes(part, U)
        low, high, expected, room = at.low.T, at.high.T, at.usual.T, at.room.T
    kink = room > 2 * tolerance
    if method == "complex step":
        tolerance = np.where(kink, tolerance, tolerance + _jitter(point, part, U, expected))
    between = (low - tolerance <= given) & (given <= high + tolerance)
    agrees = (np.abs(given - expected) <= tolerance) | between
    return Compared(given, expected, tolerance, kink & agrees, ~agrees)


def entries(point: Point, part: Part, given: np.ndarray, method: str, chosen: np.ndarray | None = None) -> Compared:
    """Compare every entry of a part, or the chosen ones, one at a time."""
    chosen = np.arange(part.size) if chosen is None else chosen
    tolerance = SAFETY * point.bound.gradient[:, part.span]
    pieces = []
    for some in np.array_split(chosen, max(1, -(-chosen.size // point.at_once(part)))):
        U = np.zeros((some.size, part.size))
        U[np.arange(some.size), some] = 1
        found = found_slopes(point, part, U, method)
        pieces.append(compare(point, part, U, given[:, some], tolerance[:, some], found, method))
    joined = (np.concatenate([getattr(piece, name) for piece in pieces], axis=1) for name in Compared.__annotations__)
    return Compared(*joined)


def judge_entries(point: Point, part: Part, given: np.ndarray, method: str) -> tuple[Row, Compared]:
    """Judge a part by every one of its entries."""
    found = entries(point, part, given, method)
    error = np.abs(given - found.expected)
    ratio = np.divide(error, found.tolerance, out=np.where(error > 0, np.inf, 0.0), where=found.tolerance > 0)
    # What is wrong comes first, then a kink, then the rest, each by its ratio.
    rank = np.where(found.wrong, 2.0, np.where(found.kink, 1.0, 0.0))
    worst = np.lexsort((ratio.ravel(), rank.ravel()))[-1]
    verdict = Verdict.FAIL if found.wrong.any() else Verdict.KINK if found.kink.any() else Verdict.PASS
    output, entry = np.unravel_index(worst, ratio.shape)
    row = Row(
        part.name,
        (*point.outputs, *part.shape),
        verdict,
        float(error.flat[worst]),
        float(found.tolerance.flat[worst]),
        (*(int(i) for i in np.unravel_index(output, point.outputs)), *part.index(int(entry))),
        float(given.flat[worst]),
        float(found.expected.flat[worst]),
        hidden_share(found.tolerance, found.expected),
        int(found.wrong.sum()),
    )
    return row, found


def hidden_share(tolerance: np.ndarray, expected: np.ndarray) -> float:
    """Return the share of the largest entry that the tolerance hides; infinite where all entries are 0."""
    largest = float(np.abs(expected).max(initial=0))
    return float(np.max(tolerance, initial=0)) / largest if largest else np.inf

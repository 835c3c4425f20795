"""The exact mode: every entry of a part is compared with its derivative."""

import numpy as np

from .comparison import SAFETY, Comparison, Criteria, Given, compare, hidden_share
from .derivatives import derivatives_along
from .parameters import NamedPart
from .point import Point
from .verdict import Row


def entries(point: Point, part: NamedPart, givens: list[Given], chosen: np.ndarray | None = None) -> list[Comparison]:
    """Compare every entry of a part, or the chosen ones, for each of the given gradients."""
    chosen = np.arange(part.size) if chosen is None else chosen
    tolerance = SAFETY * point.bound.gradient[:, part.span]
    pieces: list[list[Comparison]] = [[] for _ in givens]
    for some in np.array_split(chosen, max(1, -(-chosen.size // point.at_once(part)))):
        U = np.zeros((some.size, part.size))
        U[np.arange(some.size), some] = 1
        found = derivatives_along(point, part, U, givens[0][1].method)
        for own, (given, criteria) in zip(pieces, givens, strict=True):
            own.append(compare(point, part, U, given[:, some], tolerance[:, some], found, criteria))
    return [_joined(own) for own in pieces]


def _joined(pieces: list[Comparison]) -> Comparison:
    names = Comparison.__annotations__
    return Comparison(*(np.concatenate([getattr(piece, name) for piece in pieces], axis=1) for name in names))


def judge_entries(point: Point, part: NamedPart, givens: list[Given]) -> list[tuple[Row, Comparison]]:
    """Judge a part by all of its entries, for each of the given gradients."""
    found = entries(point, part, givens)
    return [
        (_row(point, part, given, own, criteria), own) for (given, criteria), own in zip(givens, found, strict=True)
    ]


def _row(point: Point, part: NamedPart, given: np.ndarray, found: Comparison, criteria: Criteria) -> Row:
    error = np.abs(given - found.expected)
    ratio = np.divide(error, found.tolerance, out=np.where(error > 0, np.inf, 0.0), where=found.tolerance > 0)
    # The row shows the entry with the worst verdict, and among those the one with the largest ratio.
    rank = np.select([found.wrong, found.unknown, found.kink], [3.0, 2.0, 1.0], 0.0)
    worst = np.lexsort((ratio.ravel(), rank.ravel()))[-1]
    output, entry = np.unravel_index(worst, ratio.shape)
    rounding = found.tolerance - criteria.limit.of(found.expected, np.ones((part.size, 1)))
    return Row(
        part.name,
        (*point.outputs, *part.shape),
        found.verdict,
        float(error.flat[worst]),
        float(found.tolerance.flat[worst]),
        (*(int(i) for i in np.unravel_index(output, point.outputs)), *part.index(int(entry))),
        float(given.flat[worst]),
        float(found.expected.flat[worst]),
        hidden_share(rounding, found.expected, point.sizes(part)),
        int(found.wrong.sum()),
        largest_error=float(error.max()),
    )

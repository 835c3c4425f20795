"""Whether a complex step is to be believed: real differences, which nothing corrupts, are asked.

NumPy corrupts some functions in silence: the absolute value of a complex number is real, so a derivative is lost, and a
gradient that has forgotten the same terms would pass.
"""

from dataclasses import replace

import numpy as np

from .comparison import Comparison
from .complex_step import STEP
from .derivatives import BELIEVED, DISTRUST, differences, exact_derivatives, is_independent_of
from .finite_differences import Difference
from .parameters import Part
from .point import Point, random_signs, typical_size
from .verdict import Row, Verdict

ROUNDING = 1e-9
"""The change of a value's real part that is thought to be rounding, as a share of the largest value."""

CONFIRMED = 1e-3
"""The share of a slope to which differences have to know it.

Where they know less, what a complex step has lost would not show, so that they judge themselves, and leave open what
they do not know.
"""

ALIKE = 1e3
"""The factor within which the slopes of parts lie that are moved together."""


def unsuited(point: Point) -> str:
    """Return why a function is not to be differentiated by complex step; empty where it is.

    Parts are moved twice: every parameter by about as much as it is large, and all alike, for what is lost of one that
    is nearly 0 shows only where it moves as far as the others. Parts whose slopes are of one size are moved together,
    for beside a large slope a small one that is lost would not show.
    """
    draw = np.random.default_rng(0)
    parts = [part for part in point.parts if part.size]
    typical = np.concatenate([np.full(part.size, typical_size(point.theta[part.span])) for part in parts])
    everything = Part("theta", 0, point.theta.shape)
    for lengths in (point.all_sizes, typical):
        U = lengths * random_signs(draw, point.theta.shape)
        slopes = []
        for part in parts:
            along = point.moved(part, 1j * STEP * U[None, part.span])[0]
            if not np.isfinite(along).all():
                return "it has no value for complex numbers, or raises"
            room = ROUNDING * np.abs(point.value).max() + 100 * point.noise.near + STEP
            if (np.abs(along.real - point.value) > room).any():
                return "its real part changes with complex numbers"
            slopes.append(float(np.abs(point.stepped(part, U[None, part.span])).max()))
        for group in _alike(slopes):
            u = np.zeros((1, point.theta.size))
            for number in group:
                u[0, parts[number].span] = U[parts[number].span]
            part = parts[group[0]] if len(group) == 1 else everything
            reason = unconfirmed(point, part, u[:, part.span], point.stepped(part, u[:, part.span]))
            if reason:
                return reason
    return ""


def _alike(slopes: list[float]) -> list[list[int]]:
    """Return the numbers of slopes in groups that lie within a factor; those that are 0 are a group of their own.

    Examples
    --------
    >>> _alike([1.0, 1e9, 20.0, 0.0])
    [[1], [2, 0], [3]]
    """
    groups: list[list[int]] = []
    for number in np.argsort(slopes)[::-1].tolist():
        first = slopes[groups[-1][0]] if groups else -1.0
        if slopes[number] > first / ALIKE or slopes[number] == first:
            groups[-1:] = [[*groups[-1], number]] if groups else [[number]]
        else:
            groups.append([number])
    return groups


def unconfirmed(point: Point, part: Part, u: np.ndarray, stepped: np.ndarray) -> str:
    """Return why differences do not confirm the slopes by complex step, (1, outputs), along u, (1, size), if so."""
    found = differences(point, part, u)
    return _contradiction(point, part, u, stepped, found) or _ignorance(point, part, u, stepped, found)


def _contradiction(point: Point, part: Part, u: np.ndarray, stepped: np.ndarray, found: Difference) -> str:
    """Return in which way differences along a direction contradict the complex step; empty where they do not.

    Parameters
    ----------
    point : Point
        The function at its parameters.
    part : Part
        The part that moves.
    u : ndarray (1, size)
        The direction.
    stepped : ndarray (1, outputs)
        The slopes by complex step.
    found : Difference
        Those by differences.
    """
    # At a kink the complex step may take either side.
    sides = np.stack([found.value + side * found.jump for side in (-0.5, 0.0, 0.5)])
    apart = np.abs(stepped - sides).min(axis=0)
    if (apart <= _room(found)).all():
        if found.jump.any() and not (stepped + point.stepped(part, -u)).any():
            return f"there is a kink that complex numbers do not see (along a random direction of {part.name})"
        return ""
    lost = "its imaginary part is not the derivative" if stepped.any() else "its imaginary part vanishes"
    return f"{lost} (compared with differences along a random direction of {part.name})"


def _ignorance(point: Point, part: Part, u: np.ndarray, stepped: np.ndarray, found: Difference) -> str:
    """Return that differences know too little of a slope to confirm a complex step; empty where they know enough."""
    known = _room(found) <= CONFIRMED * np.abs(stepped)
    if known.all() or (known | is_independent_of(point, part, u)).all():
        return ""
    return f"differences know too little to confirm it (along a random direction of {part.name})"


def _room(found: Difference) -> np.ndarray:
    """Return how far from the slopes that differences find a right one may be."""
    return 2 * DISTRUST * found.error + BELIEVED * np.abs(found.value)


Judgements = list[tuple[list[Row], dict[str, Comparison]]]
"""For each gradient its rows, and the comparisons of those parts whose entries were compared."""


def confirmed(point: Point, judged: Judgements) -> tuple[Judgements, str]:
    """Return the judgements by complex step, where real differences confirm what fails, or why they are not believed.

    What iterates until its value stands still has a complex step that is not yet right, to fewer digits.
    """
    confirmed = []
    for rows, found in judged:
        own = []
        for row in rows:
            doubt, reason = _doubt(point, row, found.get(row.name)) if row.verdict is Verdict.FAIL else ("", "")
            if reason:
                return judged, reason
            own.append(replace(row, verdict=Verdict.INCONCLUSIVE, note=doubt) if doubt else row)
        confirmed.append((own, found))
    return confirmed, ""


def _doubt(point: Point, row: Row, found: Comparison | None) -> tuple[str, str]:
    """Return why a part that fails by complex step may be right all the same, and why no complex step is believed.

    The entry with the largest error is asked, where entries are known.
    """
    part = next(part for part in point.parts if part.name == row.name)
    if found is not None:
        output, entry = found.worst
        given = found.given[output, entry]
    elif row.index is not None:
        lead = len(point.outputs)
        output, entry = _place(row.index[:lead], point.outputs), _place(row.index[lead:], part.shape)
        given = row.given
    else:
        return "", ""  # of many small errors none shows by itself
    u = np.zeros((1, part.size))
    u[0, entry] = 1
    differing = differences(point, part, u)
    reason = _contradiction(point, part, u, exact_derivatives(point, [(part, u)])[0].T, differing)
    if reason:
        return "", reason
    slope = Difference(*(values[0, output] for values in differing))
    if abs(given - slope.value) <= DISTRUST * slope.error + BELIEVED * abs(slope.value):
        return "differences do not see the error that the complex step shows", ""
    return "", ""


def _place(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(index, shape)) if shape else 0

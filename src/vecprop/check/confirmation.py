"""Whether a complex step can be believed: real differences have to confirm it.

NumPy loses some derivatives in silence: the absolute value of a complex number is real, so its imaginary part is gone,
and a gradient that has forgotten the same terms would pass.
"""

from dataclasses import replace

import numpy as np

from .comparison import Comparison
from .complex_step import STEP
from .derivatives import BELIEVED, DISTRUST, differences, exact_derivatives, is_independent_of
from .finite_differences import Difference
from .parameters import NamedPart
from .point import Point, random_signs, typical_size
from .verdict import Row, Verdict

ROUNDING = 1e-9
"""The largest change of a value's real part under a complex step that passes for rounding, as a share of the largest
value. Beyond it the function computes something else for complex numbers."""

CONFIRMED = 1e-3
"""The relative error up to which differences can confirm a derivative.

If their error is larger, a term that a complex step has lost would not show. The differences then replace the complex
step, and derivatives that they do not find are INCONCLUSIVE.
"""

ALIKE = 1e3
"""The largest ratio between the derivatives of parts that are moved together: a lost derivative would not show beside a
much larger one."""


def unsuited(point: Point) -> str:
    """Return why a function cannot be differentiated by complex step; empty if it can.

    Parts are moved twice: first each parameter by about its own size, then all by the same distance. A lost derivative
    of a parameter near 0 shows only in the second move. Parts are moved together if their derivatives are of similar
    size (see `ALIKE`).
    """
    draw = np.random.default_rng(0)
    parts = [part for part in point.parts if part.size]
    typical = np.concatenate([np.full(part.size, typical_size(point.sizes(part))) for part in parts])
    everything = NamedPart("theta", 0, point.theta.shape)
    for lengths in (point.all_sizes, typical):
        U = lengths * random_signs(draw, point.theta.shape)
        derivatives = []
        for part in parts:
            along = point.moved(part, 1j * STEP * U[None, part.span])[0]
            if not np.isfinite(along).all():
                return "it has no value for complex numbers, or raises"
            rounding = ROUNDING * np.abs(point.value).max() + 100 * point.noise.near + STEP
            if (np.abs(along.real - point.value) > rounding).any():
                return "its real part changes with complex numbers"
            derivatives.append(float(np.abs(point.stepped(part, U[None, part.span])).max()))
        for group in _alike(derivatives):
            u = np.zeros((1, point.theta.size))
            for number in group:
                u[0, parts[number].span] = U[parts[number].span]
            part = parts[group[0]] if len(group) == 1 else everything
            reason = unconfirmed(point, part, u[:, part.span], point.stepped(part, u[:, part.span]))
            if reason:
                return reason
    return ""


def _alike(derivatives: list[float]) -> list[list[int]]:
    """Return the indices of numbers in groups whose ratios are less than `ALIKE`; zeros are a group of their own.

    Examples
    --------
    >>> _alike([1.0, 1e9, 20.0, 0.0])
    [[1], [2, 0], [3]]
    """
    groups: list[list[int]] = []
    for number in np.argsort(derivatives)[::-1].tolist():
        first = derivatives[groups[-1][0]] if groups else -1.0
        if derivatives[number] > first / ALIKE or derivatives[number] == first:
            groups[-1:] = [[*groups[-1], number]] if groups else [[number]]
        else:
            groups.append([number])
    return groups


def unconfirmed(point: Point, part: NamedPart, u: np.ndarray, stepped: np.ndarray) -> str:
    """Return why differences along u, (1, size), do not confirm the complex step, (1, outputs); empty if they do."""
    found = differences(point, part, u)
    return _contradiction(point, part, u, stepped, found) or _ignorance(point, part, u, stepped, found)


def _contradiction(point: Point, part: NamedPart, u: np.ndarray, stepped: np.ndarray, found: Difference) -> str:
    """Return how differences along a direction contradict the complex step; empty if they do not."""
    # At a kink the complex step may take either side.
    sides = np.stack([found.value + side * found.jump for side in (-0.5, 0.0, 0.5)])
    apart = np.abs(stepped - sides).min(axis=0)
    if (apart <= _margin(found)).all():
        if found.jump.any() and not (stepped + point.stepped(part, -u)).any():
            return f"there is a kink that complex numbers do not see (along a random direction of {part.name})"
        return ""
    lost = "its imaginary part is not the derivative" if stepped.any() else "its imaginary part vanishes"
    return f"{lost} (compared with differences along a random direction of {part.name})"


def _ignorance(point: Point, part: NamedPart, u: np.ndarray, stepped: np.ndarray, found: Difference) -> str:
    """Return a reason if differences are too inexact to confirm a complex step; empty if they are not."""
    known = _margin(found) <= CONFIRMED * np.abs(stepped)
    if known.all() or (known | is_independent_of(point, part, u)).all():
        return ""
    return f"differences know too little to confirm it (along a random direction of {part.name})"


def _margin(found: Difference) -> np.ndarray:
    """Return the distance from a difference within which the derivative is believed to lie."""
    return 2 * DISTRUST * found.error + BELIEVED * np.abs(found.value)


Judgements = list[tuple[list[Row], dict[str, Comparison]]]
"""For each gradient, its rows and the comparisons of the parts whose entries were compared."""


def confirmed(point: Point, judged: Judgements) -> tuple[Judgements, str]:
    """Return the judgements by complex step, and why real differences do not confirm the failures, if they do not.

    A function that iterates until its value converges may stop before the complex step has converged.
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
    """Return why a part that fails by complex step may still be right, and why no complex step can be believed.

    Both are empty if differences confirm the failure. They are computed for the entry with the largest error.
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
        return "", ""  # many small errors, none of which shows alone
    u = np.zeros((1, part.size))
    u[0, entry] = 1
    differing = differences(point, part, u)
    reason = _contradiction(point, part, u, exact_derivatives(point, [(part, u)])[0].T, differing)
    if reason:
        return "", reason
    difference = Difference(*(values[0, output] for values in differing))
    if abs(given - difference.value) <= DISTRUST * difference.error + BELIEVED * abs(difference.value):
        return "differences do not see the error that the complex step shows", ""
    return "", ""


def _place(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(index, shape)) if shape else 0

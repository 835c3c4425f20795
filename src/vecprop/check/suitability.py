"""Whether a complex step is to be believed: real differences, which nothing corrupts, are asked.

NumPy corrupts some functions in silence: the absolute value of a complex number is real, so a derivative is lost, and a
gradient that has forgotten the same terms would pass.
"""

from dataclasses import replace

import numpy as np

from .complex_step import STEP
from .judge import BELIEVED, DISTRUST, Compared, Row, differences, exact_slopes
from .parameters import Part
from .point import Point, random_signs, typical_size
from .ridders import Difference
from .verdict import Verdict

ROUNDING = 1e-9
"""The change of a value's real part that is thought to be rounding, as a share of the largest value."""

CONFIRMED, OF_VALUE = 1e-3, 1e-6
"""How near differences have to come to a complex step: a share of its slope, or of the value where that is more.

Where they know less, they judge themselves, and leave open what they do not know.
"""


GROUPS = 12
"""How many groups of parts are moved by themselves: of many parts, neighbours are moved together."""


def unsuited(point: Point) -> str:
    """Return why a function is not to be differentiated by complex step; empty where it is.

    Each group of parts is moved twice: every parameter by about as much as it is large, and all alike, for what is lost
    of one that is nearly 0 shows only where it moves as far as the others.
    """
    draw = np.random.default_rng(0)
    for group in _groups(point.parts):
        signs = random_signs(draw, (2, group.size))
        for u in (point.all_sizes[group.span] * signs[:1], typical_size(point.theta[group.span]) * signs[1:]):
            along = point.moved(group, 1j * STEP * u)[0]
            if not np.isfinite(along).all():
                return "it has no value for complex numbers, or raises"
            room = ROUNDING * np.abs(point.value).max() + 100 * point.noise.near + STEP
            if (np.abs(along.real - point.value) > room).any():
                return "its real part changes with complex numbers"
            reason = contradicted(point, group, u, point.stepped(group, u))
            if reason:
                return reason
    return ""


def _groups(parts: tuple[Part, ...]) -> list[Part]:
    """Return the parts, or of many of them neighbours as one."""
    parts = tuple(part for part in parts if part.size)
    count = -(-len(parts) // GROUPS)
    groups = [parts[first : first + count] for first in range(0, len(parts), count)]
    return [
        group[0] if len(group) == 1 else Part(f"{group[0].name} to {group[-1].name}", group[0].start, (_size(group),))
        for group in groups
    ]


def _size(parts: tuple[Part, ...]) -> int:
    return sum(part.size for part in parts)


def contradicted(point: Point, part: Part, U: np.ndarray, stepped: np.ndarray) -> str:
    """Return in which way real differences along the rows of U contradict the complex step; empty where they do not.

    Parameters
    ----------
    point : Point
        The function at its parameters.
    part : Part
        The part that moves.
    U : ndarray (K, size)
        The directions.
    stepped : ndarray (K, outputs)
        The slopes by complex step.
    """
    found = differences(point, part, U)
    # At a kink the complex step may take either side.
    sides = np.stack([found.value + side * found.jump for side in (-0.5, 0.0, 0.5)])
    apart = np.abs(stepped - sides).min(axis=0)
    most = np.maximum(CONFIRMED * np.abs(stepped), OF_VALUE * np.abs(point.value))
    if not (apart > np.minimum(2 * DISTRUST * found.error, most) + BELIEVED * np.abs(found.value)).any():
        if found.jump.any() and not (stepped + point.stepped(part, -U)).any():
            return f"there is a kink that complex numbers do not see (along a random direction of {part.name})"
        return ""
    lost = "its imaginary part is not the derivative" if stepped.any() else "its imaginary part vanishes"
    return f"{lost} (compared with differences along a random direction of {part.name})"


Judged = list[tuple[list[Row], dict[str, Compared]]]
"""For each gradient its rows, and the comparisons of those parts whose entries were compared."""


def confirmed(point: Point, judged: Judged) -> tuple[Judged, str]:
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


def _doubt(point: Point, row: Row, found: Compared | None) -> tuple[str, str]:
    """Return why a part that fails by complex step may be right all the same, and why no complex step is believed.

    The entry with the largest error is asked, where entries are known.
    """
    part = next(part for part in point.parts if part.name == row.name)
    if found is not None:
        errors = np.abs(found.given - found.expected) * found.wrong
        output, entry = (int(i) for i in np.unravel_index(np.argmax(errors), errors.shape))
        given = found.given[output, entry]
    elif row.index is not None:
        lead = len(point.outputs)
        output, entry = _place(row.index[:lead], point.outputs), _place(row.index[lead:], part.shape)
        given = row.given
    else:
        return "", ""  # of many small errors none shows by itself
    u = np.zeros((1, part.size))
    u[0, entry] = 1
    reason = contradicted(point, part, u, exact_slopes(point, [(part, u)])[0].T)
    if reason:
        return "", reason
    slope = Difference(*(values[0, output] for values in differences(point, part, u)))
    if abs(given - slope.value) <= DISTRUST * slope.error + BELIEVED * abs(slope.value):
        return "differences do not see the error that the complex step shows", ""
    return "", ""


def _place(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(index, shape)) if shape else 0

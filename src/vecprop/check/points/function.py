"""Functions at a point: gradients, bounds on rounding errors, and values at nearby parameters."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property, partial
from math import ceil, prod
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ..adapters import Differentiable
from ..arithmetic.rounding import (
    EPS,
    NOISE_FACTOR,
    SAFETY,
    SAME_NOISE,
    Bound,
    Noise,
    finite_bound,
    noise_along,
    rounding_experiment,
)
from ..arithmetic.running_error import Arithmetic, Bounded
from ..arithmetic.steps import STEP, complex_step
from ..arithmetic.tangents import OneSided
from .parameters import Directions, NamedPart, Structure, flattened, gathered

VALUES_AT_ONCE = 1 << 18
"""The number of values per chunk: 2 MB, so that a chunk stays in the processor
cache.
"""

ABSURD = 2e-4
"""Rounding bounds above this fraction of a part's largest entry are replaced by
measured errors. In a long recurrence, for example, the bound assumes that all errors
add up.
"""

UNITS = 10.0 ** np.arange(-13, 14)
"""Candidate units for parameters that are 0."""

COARSE_NOISE = 1e-5
"""Values with more noise, relative to their size, may be float32 or float16."""

CHANGE = 0.1
"""The relative change of parameters that shows how much the values usually change."""

SLOW = 1e-4
"""Noise below this fraction of the changes over long steps belongs to values that vary
slowly.
"""


class Code(NamedTuple):
    """A function, its gradient (None if the function returns both), and further arguments."""

    function: Callable[..., Any]
    gradient: Any
    args: tuple[Any, ...]


class Point:
    """A function at parameters theta, (P,) in float64, with one or more gradients to judge."""

    code: Code | None = None

    def __init__(
        self,
        value: Callable[[Any], Any],
        gradient: Callable[[Any], Any],
        structure: Structure,
        theta: ndarray,
        outputs: tuple[int, ...],
        dtype,
        rows: tuple[int, ...] = (),
    ):
        self._value = value
        self._gradient = gradient
        self.structure = structure
        self.parts = structure.parts
        self.theta = theta
        self.outputs = outputs
        self.dtype = np.dtype(dtype)
        self.rows = rows
        self.engines: tuple[str, ...] = ("",)
        self.eps = EPS  # the spacing of the gradient's dtype; `evaluated` sets it

    def at(self, theta: ndarray) -> "Point":
        return Point(
            self._value,
            self._gradient,
            self.structure,
            theta=theta,
            outputs=self.outputs,
            dtype=np.float64,
            rows=self.rows,
        )

    def _columns(self, theta: ndarray):
        """Return the gradients of all parts at theta, each (outputs, size)."""
        gradient = self._gradient(self.structure.rebuilt(theta.astype(self.dtype)))
        return [
            _plain(column)
            for column in gathered(gradient, self.structure.tree, self.outputs)
        ]

    def _gradient_at(self, theta: ndarray):
        return _joined(self._columns(theta))

    @cached_property
    def value(self) -> ndarray:
        return self._values(self.theta)

    def evaluated(self):
        """Return the gradients to judge, each (outputs, P), and update the value."""
        self.value = self._values(self.theta)
        columns = self._columns(self.theta)
        spacings = [
            float(np.finfo(column.dtype).eps)
            for column in columns
            if column.dtype.kind == "f"
        ]
        self.eps = max(spacings, default=EPS)
        return [_joined(columns)]

    def _values(self, theta: ndarray):
        # Copy both: a function may overwrite its argument or return the same buffer
        # each time.
        value = np.array(_plain(self._value(self.structure.rebuilt(theta.copy()))))
        if value.shape != self.outputs:
            raise ValueError(
                f"The function's value has shape {value.shape}, but had shape"
                f" {self.outputs} before."
            )
        return value.reshape(-1).astype(complex if value.dtype.kind == "c" else float)

    def values(self, thetas: ndarray):
        """Return the flattened values at each row of thetas, (K, outputs), with NaN where the function raises."""
        return values_at(self._values, thetas, prod(self.outputs))

    def points_at_once(self, part: NamedPart):
        """Return the number of nearby points to evaluate at once."""
        return max(1, min(64, VALUES_AT_ONCE // prod(self.outputs)))

    def pieces(self, part: NamedPart, rows: ndarray):
        """Split rows, one for each nearby point, into pieces that fit into memory."""
        return np.array_split(rows, ceil(len(rows) / self.points_at_once(part)))

    def values_after(self, part: NamedPart, steps: ndarray):
        """Return the values, (K, outputs), after adding each row of steps to a part of the parameters."""
        pieces = self.pieces(part, steps)
        return np.concatenate([self._values_after(part, piece) for piece in pieces])

    def _values_after(self, part: NamedPart, steps: ndarray):
        thetas = np.repeat(self.theta[None].astype(steps.dtype), len(steps), axis=0)
        thetas[:, part.span] += steps
        return self.values(thetas)

    def by_complex_step(self, part: NamedPart, U: ndarray):
        """Return the derivatives along the rows of U by complex step, (K, outputs)."""
        size = typical_size(self.sizes(part))
        step = STEP if 1e-9 < size < 1e9 else STEP * 2.0 ** np.round(np.log2(size))
        return complex_step(partial(self.values_after, part), U, step)

    def derivatives(self, group: Sequence[Directions]) -> tuple[ndarray, bool]:
        """Return the derivatives along the directions of all parts, (outputs, K), and whether there may be ties."""
        # A tie is a comparison of equal numbers. Several one-sided derivatives may
        # result.
        derivatives = [self.by_complex_step(part, U) for part, U in group]
        return np.concatenate(derivatives).T, True

    def one_sided(self, part: NamedPart, U: ndarray):
        """Return the one-sided derivatives along each row of U, (outputs, K).

        At a tie NumPy compares the imaginary parts of complex numbers, so a complex
        step finds the derivative on its side of the tie.
        """
        left = -self.by_complex_step(part, -U).T
        right = self.by_complex_step(part, U).T
        low = np.minimum(left, right)
        high = np.maximum(left, right)
        return OneSided(usual=right, low=low, high=high, least=low, largest=high)

    @cached_property
    def has_tangents(self):
        """Whether derivatives are computed with tangents in real arithmetic, which does not lose terms."""
        return False

    @cached_property
    def may_be_random(self):
        """Whether two runs may differ, because user code may draw random numbers."""
        return True

    @cached_property
    def bound(self):
        """The bound on the rounding error of the gradient: a running error bound if possible, else a measurement."""
        try:
            gradient = self._gradient(self._bounded_theta(self.dtype))
            columns = gathered(gradient, self.structure.tree, self.outputs)
            errors = np.concatenate([column.companion for column in columns], axis=1)
        except Exception:  # user code may raise any exception for an array pair
            return self._measured_bound()
        errors = finite_bound(errors)
        typical_entries = self.largest(self._gradient_at(self.theta))
        is_absurd = errors > ABSURD * typical_entries
        if not is_absurd.any():
            return Bound(errors, tied=True)
        measured = NOISE_FACTOR * self._measured_bound().gradient
        errors = np.where(is_absurd, np.minimum(errors, measured), errors)
        return Bound(errors, tied=True, running=False)

    def _measured_bound(self):
        """Measure the rounding error of the gradient."""

        def gradient(theta):
            try:
                return self._gradient_at(theta)
            except Exception:  # outside the function's domain
                return np.full((prod(self.outputs), theta.size), np.nan)

        is_coarse = self.noise.near > COARSE_NOISE * abs(self.value)
        return rounding_experiment(
            gradient,
            self.theta,
            self.lines,
            scale=self.scale,
            eps=self.eps,
            may_be_coarse=bool(is_coarse.any()),
        )

    def _bounded_theta(self, dtype):
        """Return the parameters in the structure of theta, as numbers with error bounds."""
        return self.structure.rebuilt(
            Bounded(self.theta.copy(), np.zeros(self.theta.shape), Arithmetic(dtype))
        )

    @cached_property
    def value_bound(self):
        """The running error bound of the values, (outputs,), or 0 if the function does not support error bounds."""
        try:
            bound = self._value(self._bounded_theta(np.float64)).companion.reshape(-1)
        except Exception:  # as in `bound`
            return np.zeros(1)
        return np.nan_to_num(bound, nan=0.0, posinf=0.0)

    def roughness(self, part: NamedPart):
        """Return the errors that rounded values cause in slopes over steps of 10 %, (outputs, size).

        For example, (1 - cos w) / w² suffers from cancellation near w = 0, and so does
        its complex step.
        """
        bound = np.fmax(self.value_bound, 4 * self.noise.farther)
        return SAFETY * bound[:, None] / (0.1 * self.sizes(part))

    def part(self, name: str) -> NamedPart:
        return next(part for part in self.parts if part.name == name)

    def sizes(self, part: NamedPart):
        """Return the absolute values of the parameters of a part, with 0 replaced by a typical size."""
        return self.all_sizes[part.span]

    @cached_property
    def all_sizes(self):
        """The sizes of all parameters, (P,)."""
        sizes = abs(self.theta)
        for part in self.parts:
            view = sizes[part.span]
            view[view == 0] = typical_size(view) if view.any() else self._unit(part)
        return sizes

    def _unit(self, part: NamedPart):
        """Return the unit of a part that contains only zeros: 1, unless the values suggest another unit.

        Steps of 0.1 units should change the values as much as changes of other
        parameters by 10 % do.
        """
        signs = random_signs(np.random.default_rng(7), (1, self.theta.size))
        nearby = self.values(self.theta * (1 + CHANGE * signs))
        usual_change = abs(nearby - self.value).max()
        if not usual_change > 0:
            usual_change = abs(self.value).max()
        least = CHANGE * usual_change
        steps = CHANGE * UNITS[:, None] * signs[:, part.span]
        changes = abs(self.values_after(part, steps) - self.value)
        is_enough = (changes >= least).any(axis=1)
        if not least or not is_enough.any():
            return 1.0
        unit = UNITS[np.argmax(is_enough)]
        if 1e-3 <= unit <= 1e3:
            return 1.0
        return unit

    def largest(self, gradient: ndarray):
        """Return, for each entry, the typical size of the entries of its part, (outputs, P).

        The typical size is the largest absolute entry or, near an optimum, the value
        divided by the largest parameter.
        """
        largest = np.zeros(gradient.shape)
        for part in self.parts:
            entries = np.nan_to_num(abs(gradient[:, part.span]))
            by_entries = entries.max(axis=1, initial=0)
            by_value = abs(self.value) / self.sizes(part).max(initial=EPS)
            largest[:, part.span] = np.fmax(by_entries, by_value)[:, None]
        return largest

    def scale(self, gradient: ndarray):
        """Return the largest entry of the gradient, converted to the unit of each entry, (outputs, P)."""
        # Multiplying entries by the sizes of their parameters makes different units
        # comparable.
        entries = np.nan_to_num(abs(gradient))
        largest = np.nan_to_num(entries * self.all_sizes).max(axis=1, keepdims=True)
        return np.minimum(entries.max(axis=1, keepdims=True), largest / self.all_sizes)

    @cached_property
    def noise(self):
        """The rounding errors of the values, (outputs,): the measured errors, or their bound if it is smaller.

        Measured errors are too large for functions that vary rapidly, such as a short
        period of a Unix time.
        """
        if not self.value_bound.any():
            return self.measured_noise
        bound = np.fmax(self.value_bound, EPS * abs(self.value))
        bound = np.where(self.value_bound > 0, bound, np.inf)
        return Noise(*(np.fmin(noise, bound) for noise in self.measured_noise))

    @cached_property
    def measured_noise(self):
        """The measured rounding errors of the values, (outputs,)."""
        lines = [partial(self._values_along, direction) for direction in self.lines]
        measured = noise_along(lines)
        if measured.near.all():
            return measured
        # At theta, a value may consist only of rounding errors, such as log(cosh(w))
        # near 0. Then assume the rounding errors of the values far from theta.
        signs = random_signs(np.random.default_rng(6), (4, 1))
        steps = signs * np.fmax(self.lines[0], 1)
        far_values = self.values(self.theta + steps)
        is_constant = (far_values == self.values(self.theta[None])).all(axis=0)
        far_noise = EPS * np.fmin.reduce(abs(far_values))
        least = np.where(is_constant, 0, far_noise)
        return Noise(*(np.fmax(noise, least) for noise in measured))

    def _values_along(self, direction: ndarray, distances: ndarray):
        return self.values(self.theta + distances[:, None] * direction)

    @cached_property
    def may_vary_rapidly(self):
        """Whether the values may vary too rapidly for long steps.

        Such values look like noise, except over the shortest distances.
        """
        noise = self.measured_noise
        explained = SAME_NOISE * noise.nearest
        if not (noise.near > explained).any():
            return False
        distances = np.linspace(-CHANGE, CHANGE, 6)
        values = self._values_along(self.lines[0], distances)
        changes = np.nan_to_num(np.ptp(values, axis=0))
        explained = np.fmax(explained, SLOW * changes)
        return bool((noise.near > explained).any())

    @property
    def rounding(self):
        """The rounding errors of the values, (outputs,), for the Taylor remainder."""
        return self.noise.farther

    @property
    def lines(self):
        """Two random directions, (2, P), that move each parameter by about its size."""
        draw = np.random.default_rng(5)
        return self.all_sizes * random_signs(draw, (2, self.theta.size))

    @cached_property
    def jittered(self) -> tuple["Point", ...]:
        """The function at three points that differ from theta by a few units in the last place."""
        draw = np.random.default_rng(0)
        points = []
        for _ in range(3):
            units = draw.choice([-4, -2, 2, 4], self.theta.shape)
            points.append(self.at(self.theta + EPS / 2 * self.all_sizes * units))
        return tuple(points)


def typical_size(theta: ndarray):
    """Return the root mean square of parameters, or 1 if all are 0.

    Examples
    --------
    >>> typical_size(np.array([2e200, -2e200])), typical_size(np.zeros(2))
    (2e+200, 1.0)
    """
    largest = float(abs(theta).max(initial=0))
    return largest * float(np.sqrt(np.mean((theta / largest) ** 2))) if largest else 1.0


def random_signs(draw: np.random.Generator, shape: tuple[int, ...]):
    """Draw random numbers ±U(0.5, 1), none of them small or equal.

    Examples
    --------
    >>> U = random_signs(np.random.default_rng(0), (3, 5))
    >>> U.shape, bool((abs(U) >= 0.5).all() and (abs(U) <= 1).all())
    ((3, 5), True)
    """
    u = draw.uniform(-0.5, 0.5, shape)
    return u + np.copysign(0.5, u)


def values_at(f: Callable[[ndarray], Any], thetas: ndarray, count: int):
    """Return the values of user code at each row of thetas, (K, count), with NaN where the code raises."""
    values = np.full((len(thetas), count), np.nan, thetas.dtype)
    for row, theta in zip(values, thetas, strict=True):
        # user code may raise any exception outside its domain
        with suppress(Exception):
            row[...] = f(theta)
    return values


def checked_function(
    f: Callable[..., Any], theta, args: tuple[Any, ...], gradient
) -> Point:
    """Validate the arguments and return a function at a point."""
    vector, structure = flattened(theta)
    name = "The gradient function"
    value_of = f
    result = called(
        f, structure.rebuilt(vector.astype(structure.dtype)), args, "The function"
    )
    is_pair = isinstance(result, tuple) and len(result) == 2
    if gradient is None:
        if not is_pair:
            raise TypeError(
                "The function must return (value, gradient), got"
                f" {type(result).__name__}: return both, or pass the gradient as"
                " gradient=."
            )
        name = "The function"
        result = result[0]
        value_of = f.value if isinstance(f, Differentiable) else partial(_item, f, 0)
        gradient = partial(_item, f, 1)
    elif is_pair:
        raise TypeError(
            "The function returned (value, gradient), but gradient= was passed too: use"
            " only one of them."
        )
    elif callable(gradient):
        called(gradient, structure.rebuilt(vector.astype(structure.dtype)), args, name)

    try:
        first = np.asarray(result)
    except ValueError:  # a ragged list
        raise TypeError(
            "The function's value is not an array of numbers: return a number or an"
            " array."
        ) from None
    if first.dtype.kind not in "fiu":
        raise TypeError(
            f"The function must return real numbers, got dtype {first.dtype}."
        )
    if first.size == 0:
        raise ValueError("The function's value is empty: return at least one number.")

    def value_at(theta):
        return called(value_of, theta, args, "The function")

    def gradient_at(theta):
        return called(gradient, theta, args, name) if callable(gradient) else gradient

    return Point(
        value_at,
        gradient_at,
        structure,
        theta=vector,
        outputs=first.shape,
        dtype=structure.dtype,
        rows=_possible_rows(args),
    )


def _item(f: Callable[..., Any], index: int, *arguments):
    return f(*arguments)[index]


def called(f: Callable[..., Any], theta, args: tuple[Any, ...], what: str):
    """Call a function; convert any exception to a ValueError."""
    try:
        return f(theta, *args)
    except Exception as error:
        words = ""
        with suppress(Exception):  # str() of a user-defined exception may fail
            words = " ".join(str(error).split())
        ending = f": {words}" if words else "."
        if isinstance(theta, list) and not any(map(np.ndim, theta)):
            ending = (
                f"{ending.rstrip('.')}; theta is a list of numbers: pass"
                " np.array(theta) for a vector."
            )
        raise ValueError(
            f"{what} raised {type(error).__name__} at theta{ending}"
        ) from error


def _plain(numbers):
    """Remove error bounds from numbers that a function stored in an earlier call."""
    return numbers.value if isinstance(numbers, Bounded) else numbers


def _joined(columns: list[ndarray]):
    return np.concatenate(columns, axis=1).astype(float)


def _possible_rows(args: tuple[Any, ...]):
    """Return the numbers of rows of the first argument that has rows, and of most arguments."""
    counts = Counter(filter(None, map(_rows, args)))
    first = list(counts)[:1]
    return tuple(
        rows
        for rows, count in counts.items()
        if rows in first or count == max(counts.values())
    )


def _rows(argument):
    """Return the number of rows of an argument, or 0 if it has no rows."""
    shape = getattr(argument, "shape", None)
    if isinstance(argument, list | tuple) and not hasattr(argument, "_fields"):
        shape = (len(argument),)
    if isinstance(shape, tuple):
        return int(shape[0]) if shape else 0
    return 0

"""Any function at a point: its gradient there, how far rounding reaches, and its values at points nearby."""

import warnings
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from .bounded import Arithmetic, Bounded
from .complex_step import STEP, complex_step
from .judge import SAFETY
from .kinks import Slopes
from .parameters import Part, Structure, flattened, gathered
from .ridders import ridders
from .rounding import UNBOUNDED, Bound, jitters, rounding_experiment


class FunctionPoint:
    """A function at parameters theta.

    Parameters
    ----------
    value : callable
        The function's value for parameters as they were given.
    gradient : callable
        The gradient that is checked, or the Jacobian, for parameters as they were given.
    structure : Structure
        How the parameters were given.
    theta : ndarray (P,)
        The parameters, in float64.
    outputs : tuple of int
        The shape of the function's value.
    dtype : dtype
        The type in which the gradient is computed here.
    rows : tuple of int, default ()
        What N may be, for the diagnosis.
    """

    def __init__(
        self,
        value: Callable[[Any], Any],
        gradient: Callable[[Any], Any],
        structure: Structure,
        theta: np.ndarray,
        outputs: tuple[int, ...],
        dtype: Any,
        rows: tuple[int, ...] = (),
    ) -> None:
        self._value, self._gradient, self.structure = value, gradient, structure
        self.theta, self.outputs, self.dtype, self.rows = theta, outputs, np.dtype(dtype), rows
        self.parts = structure.parts

    def at(self, theta: np.ndarray, dtype: Any = np.float64) -> "FunctionPoint":
        """Return the same function at other parameters, in float64 unless it is said otherwise."""
        return FunctionPoint(self._value, self._gradient, self.structure, theta, self.outputs, dtype, self.rows)

    def gradient(self) -> np.ndarray:
        """Return the gradient that is checked, (outputs, P)."""
        theta = self.structure.rebuilt(self.theta.astype(self.dtype))
        columns = gathered(self._gradient(theta), self.structure, self.outputs)
        return np.concatenate(columns, axis=1).astype(np.float64)

    def loss(self) -> np.ndarray:
        """Return the value, flattened."""
        return self._values(self.theta)

    def evaluated(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the value, flattened, and the gradient that is checked."""
        return self.loss(), self.gradient()

    def _values(self, theta: np.ndarray) -> np.ndarray:
        value = np.asarray(self._value(self.structure.rebuilt(theta)))
        return value.reshape(-1)

    def at_once(self, part: Part) -> int:
        """Return how many points are computed before their results are judged."""
        return 64

    def moved(self, part: Part, steps: np.ndarray) -> np.ndarray:
        """Return the values, (K, outputs), where each row of steps is added to a part of the parameters."""
        values = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)  # what it loses is noticed, see `unsuited`
            for step in steps:
                theta = self.theta.astype(steps.dtype)
                theta[part.span] += step
                values.append(self._values(theta))
        return np.stack(values)

    def derivatives(self, moves: Sequence[tuple[Part, np.ndarray]]) -> tuple[np.ndarray, bool]:
        """Return the slopes along the rows of each part's U, part by part, (K, outputs), perhaps at ties."""
        return np.concatenate([complex_step(partial(self.moved, part), U) for part, U in moves]), True

    def slopes(self, part: Part, U: np.ndarray) -> Slopes:
        """Return the slopes along each row of U, (K, outputs), where ties may make more than one.

        At a tie NumPy compares complex numbers by their imaginary parts: the complex step finds the side it steps to.
        """

        def moved(steps: np.ndarray) -> np.ndarray:
            return self.moved(part, steps)

        left, right = -complex_step(moved, -U), complex_step(moved, U)
        return Slopes(np.minimum(left, right), np.maximum(left, right), right, np.abs(right - left))

    @cached_property
    def jittered(self) -> tuple["FunctionPoint", ...]:
        """The function where every parameter is moved by a few units in the last place."""
        return tuple(self.at(theta) for theta in jitters(self.theta, np.float64, 3))

    @cached_property
    def bound(self) -> Bound:
        """How far rounding can have moved the gradient: as in `rounding_bound`, or else by experiment."""
        try:
            return self._running_bound()
        except Exception:  # whatever a stranger's code raises when it is given numbers that are no plain array
            return rounding_experiment(lambda theta: self.at(theta, self.dtype).gradient(), self.theta, self.dtype)

    def _running_bound(self) -> Bound:
        with np.errstate(all="ignore"):
            columns = gathered(self._gradient(self._carried(self.dtype)), self.structure, self.outputs)
        errors = [c.companion if isinstance(c, Bounded) else np.zeros(c.shape) for c in columns]
        bound = np.nan_to_num(np.concatenate(errors, axis=1), nan=UNBOUNDED, posinf=UNBOUNDED)
        return Bound(bound, tied=True)

    def _carried(self, dtype: Any) -> Any:
        """Return the parameters as they were given, as numbers that carry a bound of their error."""
        return self.structure.rebuilt(Bounded(self.theta.copy(), np.zeros(self.theta.shape), Arithmetic(dtype)))

    def sizes(self, part: Part) -> np.ndarray:
        """Return the absolute value of each parameter of a part, or what is typical for the part where it is 0."""
        theta = self.theta[part.span]
        return np.where(theta == 0, np.sqrt(np.mean(theta * theta)) or 1.0, np.abs(theta))

    def roughness(self, part: Part) -> np.ndarray:
        """Return what the rounding of the values does to slopes over a tenth of each parameter, (outputs, size).

        (1 - cos w) / w² has lost its digits near w = 0, and so have its slopes, by complex step too.
        """
        try:
            with np.errstate(all="ignore"):
                bound = self._value(self._carried(np.float64)).companion.reshape(-1, 1)
        except Exception:  # as in `bound`
            bound = np.zeros((1, 1))
        return np.nan_to_num(SAFETY * bound / (0.1 * self.sizes(part)), nan=UNBOUNDED, posinf=UNBOUNDED)


def checked_function(
    f: Callable[..., Any], theta: Any, args: tuple[Any, ...], gradient: Any, method: str
) -> tuple[FunctionPoint, str, str]:
    """Return a function at a point, the method that suits it, and why where it is not the complex step."""
    vector, structure = flattened(theta)
    here = structure.rebuilt(vector.astype(structure.dtype))
    result = _called(f, here, args, "The function")
    if gradient is None:
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(
                f"The function returned {type(result).__name__}, but (value, gradient) is needed: return both, "
                "or give the gradient as gradient=."
            )

        def value(at: Any) -> Any:
            return f(at, *args)[0]

        def slope(at: Any) -> Any:
            return f(at, *args)[1]
    else:

        def value(at: Any) -> Any:
            return f(at, *args)

        def slope(at: Any) -> Any:
            return gradient(at, *args) if callable(gradient) else gradient

        _called(slope, here, (), "The gradient function")
    first = np.asarray(_called(value, here, (), "The function"))
    if first.dtype.kind not in "fiu":
        raise TypeError(f"The function returned {first.dtype} numbers, but real ones are needed.")
    if first.size == 0:
        raise ValueError("The function's value is empty: there is nothing to differentiate.")
    rows = tuple(dict.fromkeys(len(argument) for argument in args if np.ndim(argument) > 0))
    point = FunctionPoint(value, slope, structure, vector, first.shape, structure.dtype, rows)
    if method in ("complex step", "directions", "auto"):
        reason = unsuited(point)
        if reason and method == "auto":
            return point, "ridders", f"The complex step does not suit this function: {reason}"
        if reason:
            raise ValueError(f'method="{method}" does not suit this function: {reason}; take method="ridders".')
    return point, "complex step" if method == "auto" else method, ""


def _called(f: Callable[..., Any], theta: Any, args: tuple[Any, ...], what: str) -> Any:
    try:
        return f(theta, *args)
    except Exception as error:
        raise ValueError(f"{what} raised {type(error).__name__} at theta: {error}") from error


def unsuited(point: FunctionPoint) -> str:
    """Return why a function is not to be differentiated by complex step; empty where it is.

    NumPy corrupts some functions in silence: the absolute value of a complex number is real, so a derivative is lost.
    """
    generator = np.random.default_rng(0)
    here = point.loss()
    for part in point.parts:
        u = (
            point.sizes(part)
            * generator.uniform(0.5, 1, (1, part.size))
            * generator.choice([-1.0, 1.0], (1, part.size))
        )
        try:
            with np.errstate(all="ignore"):
                along = point.moved(part, 1j * STEP * u)[0]
        except Exception as error:  # whatever a stranger's code raises when it is given complex numbers
            return f"it raises {type(error).__name__} for complex numbers"
        if not np.isfinite(along).all() or (np.abs(along.real - here) > 1e-9 * np.abs(here).max() + STEP).any():
            return "its real part changes with complex numbers"
        with np.errstate(all="ignore"):
            found = ridders(lambda steps, part=part: point.moved(part, steps), u, np.array([0.1]))
        # At a kink the complex step may take either side.
        sides = found.value[0] + np.outer([-0.5, 0, 0.5], found.jump[0])
        if (np.abs(along.imag / STEP - sides).min(axis=0) > 20 * found.error[0]).any():
            lost = "its imaginary part is not the derivative" if along.imag.any() else "its imaginary part vanishes"
            return f"{lost} (compared with differences along a random direction of {part.name})"
    return ""

"""Any function at a point: its gradient, the bound on its rounding, and its values nearby."""

from collections.abc import Callable, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from ..adapters import Differentiable
from ..arithmetic.rounding import EPS, Bound, finite_bound, rounding_experiment, tightened
from ..arithmetic.running_error import Arithmetic, Bounded
from ..arithmetic.tangents import OneSided
from ..comparison import SAFETY
from . import Point, random_signs
from .parameters import NamedPart, Structure, flattened, gathered

VALUES_AT_ONCE = 1 << 18
"""The number of values that are kept until they are judged: 2 MB, so that they stay in a processor's cache."""

UNITS = 10.0 ** np.arange(-13, 14)
"""The possible units of parameters of 0."""


class FunctionPoint(Point):
    """A function at parameters theta."""

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
        self.eps = EPS  # the spacing of the gradient's type, once it is known

    def at(self, theta: np.ndarray, dtype: Any = np.float64) -> "FunctionPoint":
        """Return the same function at other parameters, in float64 by default."""
        return FunctionPoint(self._value, self._gradient, self.structure, theta, self.outputs, dtype, self.rows)

    def gradient(self) -> np.ndarray:
        """Return the gradient to judge, (outputs, P)."""
        theta = self.structure.rebuilt(self.theta.astype(self.dtype))
        columns = [_plain(c) for c in gathered(self._gradient(theta), self.structure, self.outputs)]
        self.eps = max(float(np.finfo(c.dtype).eps) if c.dtype.kind == "f" else EPS for c in columns)
        return np.concatenate(columns, axis=1).astype(np.float64)

    @cached_property
    def value(self) -> np.ndarray:
        """The function's value, flattened, (outputs,)."""
        return self._values(self.theta)

    def evaluated(self) -> list[np.ndarray]:
        """Return the gradient to judge, and keep the value."""
        self.value = self._values(self.theta)
        return [self.gradient()]

    def _values(self, theta: np.ndarray) -> np.ndarray:
        # Both are copied: a function may overwrite its argument, and return the same buffer each time.
        value = np.array(_plain(self._value(self.structure.rebuilt(theta.copy()))))
        if value.shape != self.outputs:
            raise ValueError(f"The function's value has shape {value.shape}, and had {self.outputs} before.")
        return value.reshape(-1).astype(complex if value.dtype.kind == "c" else float)

    def values(self, thetas: np.ndarray) -> np.ndarray:
        """Return the values, (K, outputs), at each row of thetas; NaN if the function raises."""
        values = np.full((len(thetas), prod(self.outputs)), np.nan, thetas.dtype)
        for row, theta in zip(values, thetas, strict=True):
            try:
                row[...] = self._values(theta)
            except Exception:  # foreign code may raise anything outside its domain
                continue
        return values

    def at_once(self, part: NamedPart) -> int:
        """Return the number of points whose values are kept until they are judged."""
        return max(1, min(64, VALUES_AT_ONCE // prod(self.outputs)))

    def moved(self, part: NamedPart, steps: np.ndarray) -> np.ndarray:
        """Return the values, (K, outputs), when each row of steps is added to a part of the parameters."""
        thetas = np.repeat(self.theta[None].astype(steps.dtype), len(steps), axis=0)
        thetas[:, part.span] += steps
        return self.values(thetas)

    def derivatives(self, moves: Sequence[tuple[NamedPart, np.ndarray]]) -> tuple[np.ndarray, bool]:
        """Return the derivatives along the rows of each part's U, part by part, (K, outputs); ties may be met."""
        return np.concatenate([self.stepped(part, U) for part, U in moves]), True

    def one_sided(self, part: NamedPart, U: np.ndarray) -> OneSided:
        """Return the derivatives along each row of U, (K, outputs), from both sides of ties.

        At a tie NumPy compares the imaginary parts of complex numbers, so a complex step finds the derivative on the
        side that it steps to.
        """
        left, right = -self.stepped(part, -U), self.stepped(part, U)
        low, high = np.minimum(left, right), np.maximum(left, right)
        return OneSided(right, low, high, low, high)

    @cached_property
    def all_sizes(self) -> np.ndarray:
        """The sizes of all parameters, (P,): of parts of 0 as the values show it."""
        sizes = super().all_sizes
        signs = random_signs(np.random.default_rng(7), (1, self.theta.size))
        for part in self.parts:
            if part.size and not self.theta[part.span].any():
                sizes[part.span] = self._unit(part, signs)
        return sizes

    def _unit(self, part: NamedPart, signs: np.ndarray) -> float:
        """Return the size that parameters of 0 can be expected to have: 1, unless the values show another one.

        Steps of a tenth of it change the values about as much as steps of a tenth of the other parameters.
        """
        with np.errstate(all="ignore"):
            change = np.abs(self.values(self.theta * (1 + 0.1 * signs)) - self.value).max()
            least = 0.1 * (change if change > 0 else np.abs(self.value).max())
            values = self.moved(part, 0.1 * UNITS[:, None] * signs[:, part.span])
            enough = (np.abs(values - self.value) >= least).any(axis=1)
        unit = UNITS[np.argmax(enough)] if least and enough.any() else 1.0
        return 1.0 if 1e-3 <= unit <= 1e3 else unit

    @cached_property
    def is_followed(self) -> bool:
        """Never: foreign code is differentiated by complex step."""
        return False

    @cached_property
    def may_be_random(self) -> bool:
        """Always: foreign code may draw random numbers."""
        return True

    @cached_property
    def bound(self) -> Bound:
        """The bound on the gradient's rounding error: carried through its arithmetic if possible, else measured."""
        try:
            bound = self._running_bound()
        except Exception:  # foreign code may raise anything when its argument is no plain array
            return self._experiment()
        return tightened(bound, self.largest(self.gradient()), self._experiment)

    def _experiment(self) -> Bound:
        def gradient(theta: np.ndarray) -> np.ndarray:
            try:
                return self.at(theta, self.dtype).gradient()
            except Exception:  # outside the function's domain
                return np.full((prod(self.outputs), theta.size), np.nan)

        is_coarse = bool((self.noise.near > 1e-5 * np.abs(self.value)).any())
        return rounding_experiment(gradient, self.theta, self.lines, self.scale, self.eps, is_coarse)

    def _running_bound(self) -> Bound:
        with np.errstate(all="ignore"):
            columns = gathered(self._gradient(self._bounded_theta(self.dtype)), self.structure, self.outputs)
        if not all(isinstance(c, Bounded) for c in columns):
            raise TypeError("A gradient that was not computed from theta tells nothing of its rounding.")
        return Bound(finite_bound(np.concatenate([c.companion for c in columns], axis=1)), tied=True)

    def _bounded_theta(self, dtype: Any) -> Any:
        """Return the parameters in the user's structure, as numbers that carry a bound of their error."""
        return self.structure.rebuilt(Bounded(self.theta.copy(), np.zeros(self.theta.shape), Arithmetic(dtype)))

    @cached_property
    def value_bound(self) -> np.ndarray:
        """The bound on the rounding errors of the values, (outputs,), if their arithmetic can be followed; else 0."""
        try:
            with np.errstate(all="ignore"):
                bound = self._value(self._bounded_theta(np.float64)).companion.reshape(-1)
        except Exception:  # as in `bound`
            return np.zeros(1)
        return np.nan_to_num(bound, nan=0.0, posinf=0.0)

    def roughness(self, part: NamedPart) -> np.ndarray:
        """Return the error of derivatives from the rounding of values over a tenth of each parameter, (outputs, size).

        (1 - cos w) / w² has lost its digits near w = 0, and so has its derivative, by complex step too.
        """
        bound = np.fmax(self.value_bound, 4 * self.noise.farther)
        return SAFETY * bound[:, None] / (0.1 * self.sizes(part))


def checked_function(f: Callable[..., Any], theta: Any, args: tuple[Any, ...], gradient: Any) -> FunctionPoint:
    """Return a function at a point, with all arguments checked."""
    vector, structure = flattened(theta)
    here = structure.rebuilt(vector.astype(structure.dtype))
    result = called(f, here, args, "The function")
    if gradient is None:
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(
                f"The function returned {type(result).__name__}, but (value, gradient) is needed: return both, "
                "or give the gradient as gradient=."
            )

        def value(at: Any) -> Any:
            of = f.value if isinstance(f, Differentiable) else lambda *arguments: f(*arguments)[0]
            return called(of, at, args, "The function")

        def gradient_at(at: Any) -> Any:
            return called(lambda *arguments: f(*arguments)[1], at, args, "The function")

        result = result[0]
    else:
        if isinstance(result, tuple) and len(result) == 2:
            raise TypeError("The function returned (value, gradient), and gradient= is given too: give one of them.")

        def value(at: Any) -> Any:
            return called(f, at, args, "The function")

        def gradient_at(at: Any) -> Any:
            return called(gradient, at, args, "The gradient function") if callable(gradient) else gradient

        gradient_at(structure.rebuilt(vector.astype(structure.dtype)))
    try:
        first = np.asarray(result)
    except ValueError:  # rows of unequal length
        raise TypeError("The function's value is no array of numbers: return a number or an array.") from None
    if first.dtype.kind not in "fiu":
        raise TypeError(f"The function returned {first.dtype} numbers, but real ones are needed.")
    if first.size == 0:
        raise ValueError("The function's value is empty: there is nothing to differentiate.")
    counts = [n for n in map(_rows, args) if n]
    often = [n for n in counts if counts.count(n) == max(map(counts.count, counts))]
    rows = tuple(dict.fromkeys(counts[:1] + often))
    return FunctionPoint(value, gradient_at, structure, vector, first.shape, structure.dtype, rows)


def called(f: Callable[..., Any], theta: Any, args: tuple[Any, ...], what: str) -> Any:
    """Call a function; if it raises, raise a ValueError that says so."""
    try:
        return f(theta, *args)
    except Exception as error:
        words = " ".join(_words(error).split())
        ending = f": {words}" if words else "."
        raise ValueError(f"{what} raised {type(error).__name__} at theta{ending}") from error


def _plain(numbers: Any) -> Any:
    """Return plain numbers in place of those with a bound, which a function may have kept from an earlier call."""
    return numbers.value if isinstance(numbers, Bounded) else numbers


def _words(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # an exception of foreign code may fail to print
        return ""


def _rows(argument: Any) -> int:
    """Return the number of rows of an argument; 0 if it has no rows."""
    shape = getattr(argument, "shape", None)
    if isinstance(shape, tuple):
        return int(shape[0]) if shape else 0
    return len(argument) if isinstance(argument, list | tuple) and not hasattr(argument, "_fields") else 0

"""A function at a point: what every kind of function, and a network too, can be asked there."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Self

import numpy as np

from .arithmetic.kinks import OneSided
from .complex_step import STEP, complex_step
from .noise import EPS, Noise, noise_along
from .parameters import Part
from .rounding import Bound


class Point(ABC):
    """A function at parameters theta, (P,) in float64, with a gradient that is to be judged.

    Attributes
    ----------
    theta : ndarray (P,)
        The parameters.
    parts : tuple of Part
        Their named parts.
    outputs : tuple of int
        The shape of the function's value.
    dtype : dtype
        The type in which the gradient is computed here.
    rows : tuple of int
        What N, the number of rows, may be.
    """

    theta: np.ndarray
    parts: tuple[Part, ...]
    outputs: tuple[int, ...]
    dtype: np.dtype
    rows: tuple[int, ...]

    @cached_property
    @abstractmethod
    def value(self) -> np.ndarray:
        """The function's value, flattened, (outputs,)."""

    @abstractmethod
    def at(self, theta: np.ndarray) -> Self:
        """Return the same function at other parameters, in float64."""

    @abstractmethod
    def values(self, thetas: np.ndarray) -> np.ndarray:
        """Return the function's values, flattened, at each row of thetas, (K, outputs); NaN where it has none."""

    @abstractmethod
    def moved(self, part: Part, steps: np.ndarray) -> np.ndarray:
        """Return the values, (K, outputs), where each row of steps is added to a part of the parameters."""

    @abstractmethod
    def at_once(self, part: Part) -> int:
        """Return how many moved points are computed before their results are judged."""

    @abstractmethod
    def evaluated(self) -> list[np.ndarray]:
        """Return each gradient that is to be judged, (outputs, P), and keep the value."""

    @cached_property
    @abstractmethod
    def may_be_random(self) -> bool:
        """Whether two runs may differ."""

    def breaks_ties_anew(self, number: int) -> bool:
        """Return whether one of the gradients rounds otherwise than the point, so that it may not meet its ties."""
        return False

    @cached_property
    @abstractmethod
    def bound(self) -> Bound:
        """How far rounding can have moved the gradient."""

    @cached_property
    @abstractmethod
    def is_followed(self) -> bool:
        """Whether derivatives are carried through the arithmetic, so that no complex number can corrupt them."""

    @abstractmethod
    def derivatives(self, moves: Sequence[tuple[Part, np.ndarray]]) -> tuple[np.ndarray, bool]:
        """Return the slopes along the rows of each part's U, one part after the other, (K, outputs).

        And whether numbers that are compared may be equal, so that there may be other slopes.
        """

    @abstractmethod
    def one_sided(self, part: Part, U: np.ndarray) -> OneSided:
        """Return the slopes along each row of U, (K, outputs), where ties may make more than one."""

    def sizes(self, part: Part) -> np.ndarray:
        """Return the absolute value of each parameter of a part, or what is typical for the part where it is 0."""
        theta = self.theta[part.span]
        return np.where(theta == 0, typical_size(theta), np.abs(theta))

    def largest(self, gradient: np.ndarray) -> np.ndarray:
        """Return how large the entries of each entry's part may be thought to be, (outputs, P).

        That is their largest absolute value, or, near an optimum, the value divided by the part's largest parameter.
        """
        largest = np.zeros(gradient.shape)
        for part in self.parts:
            own = np.nan_to_num(np.abs(gradient[:, part.span])).max(axis=1, initial=0)
            by_value = np.abs(self.value) / self.sizes(part).max(initial=EPS)
            largest[:, part.span] = np.fmax(own, by_value)[:, None]
        return largest

    @cached_property
    def all_sizes(self) -> np.ndarray:
        """The sizes of all parameters, (P,)."""
        sizes = np.empty(self.theta.shape)
        for part in self.parts:
            sizes[part.span] = self.sizes(part)
        return sizes

    @cached_property
    def noise(self) -> Noise:
        """The rounding errors of the values, (outputs,)."""
        with np.errstate(all="ignore"):
            found = noise_along([lambda t, v=v: self.values(self.theta + t[:, None] * v) for v in self.lines])
            if found.near.all():
                return found
            # A value may be 0 up to rounding, as log(cosh(w)) is near 0: that is seen where it is not.
            far = self.values(self.theta + random_signs(np.random.default_rng(6), (4, 1)) * np.fmax(self.lines[0], 1))
            least = np.where((far == self.values(self.theta[None])).all(axis=0), 0, EPS * np.fmin.reduce(np.abs(far)))
            return Noise(np.fmax(found.near, least), np.fmax(found.farther, least))

    @property
    def rounding(self) -> np.ndarray:
        """What rounding can do to the values, (outputs,), for a look at them."""
        return self.noise.farther

    @cached_property
    def value_bound(self) -> np.ndarray:
        """How far rounding can have moved the values, (outputs,), where their arithmetic can be followed; else 0."""
        return np.zeros(1)

    @property
    def lines(self) -> np.ndarray:
        """Two random directions in which every parameter moves about as far as it is large, (2, P)."""
        return self.all_sizes * random_signs(np.random.default_rng(5), (2, self.theta.size))

    @cached_property
    def jittered(self) -> tuple[Self, ...]:
        """The function where every parameter is moved by a few units in the last place."""
        draw = np.random.default_rng(0)
        unit = float(np.finfo(np.float64).eps) / 2
        moves = [unit * self.all_sizes * draw.choice([-4, -2, 2, 4], self.theta.shape) for _ in range(3)]
        return tuple(self.at(self.theta + move) for move in moves)

    def stepped(self, part: Part, U: np.ndarray) -> np.ndarray:
        """Return the slopes along the rows of U by complex step, (K, outputs)."""
        size = typical_size(self.theta[part.span])
        step = STEP if 1e-9 < size < 1e9 else STEP * 2.0 ** np.round(np.log2(size))
        return complex_step(lambda steps: self.moved(part, steps), U, step)


def typical_size(theta: np.ndarray) -> float:
    """Return the root of the mean square of some parameters, or 1 where all are 0."""
    largest = float(np.abs(theta).max(initial=0))
    return largest * float(np.sqrt(np.mean((theta / largest) ** 2))) if largest else 1.0


def random_signs(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers ±U(0.5, 1): none is small, so that nothing goes unseen, and no two cancel by symmetry.

    Examples
    --------
    >>> U = random_signs(np.random.default_rng(0), (3, 5))
    >>> U.shape, bool((abs(U) >= 0.5).all() and (abs(U) <= 1).all())
    ((3, 5), True)
    """
    u = draw.uniform(-0.5, 0.5, shape)
    return u + np.copysign(0.5, u)

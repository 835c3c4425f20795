"""A function at a point: the interface that networks and other functions share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Self

import numpy as np

from ..arithmetic.rounding import EPS, PLATEAU, Bound, Noise, noise_along
from ..arithmetic.steps import STEP, complex_step
from ..arithmetic.tangents import OneSided
from .parameters import NamedPart


class Point(ABC):
    """A function at parameters theta, (P,) in float64, with one or more gradients to judge."""

    theta: np.ndarray
    parts: tuple[NamedPart, ...]
    outputs: tuple[int, ...]
    dtype: np.dtype
    rows: tuple[int, ...]
    eps: float

    @cached_property
    @abstractmethod
    def value(self) -> np.ndarray:
        """The function's value, flattened, (outputs,)."""

    @abstractmethod
    def at(self, theta: np.ndarray) -> Self:
        """Return the same function at other parameters, in float64."""

    @abstractmethod
    def values(self, thetas: np.ndarray) -> np.ndarray:
        """Return the values, flattened, at each row of thetas, (K, outputs); NaN if the function raises."""

    @abstractmethod
    def moved(self, part: NamedPart, steps: np.ndarray) -> np.ndarray:
        """Return the values, (K, outputs), when each row of steps is added to a part of the parameters."""

    @abstractmethod
    def at_once(self, part: NamedPart) -> int:
        """Return the number of moved points whose values are computed in one call."""

    @abstractmethod
    def evaluated(self) -> list[np.ndarray]:
        """Return each gradient to judge, (outputs, P), and keep the value."""

    @cached_property
    @abstractmethod
    def may_be_random(self) -> bool:
        """Whether two runs may differ."""

    def breaks_ties_anew(self, number: int) -> bool:
        """Return whether a gradient is summed in another order than the value, so that its ties may differ."""
        return False

    @cached_property
    @abstractmethod
    def bound(self) -> Bound:
        """The bound on the gradient's rounding error."""

    @cached_property
    @abstractmethod
    def is_followed(self) -> bool:
        """Whether derivatives are computed by tangents, in real arithmetic, so that none can be lost."""

    @abstractmethod
    def derivatives(self, moves: Sequence[tuple[NamedPart, np.ndarray]]) -> tuple[np.ndarray, bool]:
        """Return the derivatives along the rows of each part's U, (K, outputs), and whether there were ties.

        A tie is a comparison of equal numbers, at which there may be several derivatives.
        """

    @abstractmethod
    def one_sided(self, part: NamedPart, U: np.ndarray) -> OneSided:
        """Return the derivatives along each row of U, (K, outputs), from both sides of ties."""

    def part(self, name: str) -> NamedPart:
        """Return the part with a name."""
        return next(part for part in self.parts if part.name == name)

    def sizes(self, part: NamedPart) -> np.ndarray:
        """Return the absolute value of each parameter of a part; for a 0, the typical size of the part."""
        return self.all_sizes[part.span]

    def largest(self, gradient: np.ndarray) -> np.ndarray:
        """Return for each entry the size that entries of its part can be expected to have, (outputs, P).

        It is their largest absolute value or, if larger, as near an optimum, the value divided by the part's largest
        parameter.
        """
        largest = np.zeros(gradient.shape)
        for part in self.parts:
            own = np.nan_to_num(np.abs(gradient[:, part.span])).max(axis=1, initial=0)
            by_value = np.abs(self.value) / self.sizes(part).max(initial=EPS)
            largest[:, part.span] = np.fmax(own, by_value)[:, None]
        return largest

    def scale(self, gradient: np.ndarray) -> np.ndarray:
        """Return the largest entry of the gradient in the unit of each entry, (outputs, P), to judge rounding.

        Entries of parameters with different units are compared by their products with the sizes of the parameters.
        """
        entries = np.nan_to_num(np.abs(gradient))
        largest = np.nan_to_num(entries * self.all_sizes).max(axis=1, keepdims=True)
        return np.minimum(entries.max(axis=1, keepdims=True), largest / self.all_sizes)

    @cached_property
    def all_sizes(self) -> np.ndarray:
        """The sizes of all parameters, (P,)."""
        sizes = np.abs(self.theta)
        for part in self.parts:
            own = sizes[part.span]
            own[own == 0] = typical_size(own)
        return sizes

    @cached_property
    def noise(self) -> Noise:
        """The rounding errors of the values, (outputs,): the measured ones, or their bound if it is smaller.

        A function that varies within a small share of a parameter, as a short period of a Unix time, looks like noise.
        """
        measured, bound = self.measured_noise, np.fmax(self.value_bound, EPS * np.abs(self.value))
        return Noise(*(np.where(self.value_bound > 0, np.fmin(noise, bound), noise) for noise in measured))

    @cached_property
    def measured_noise(self) -> Noise:
        """The measured rounding errors of the values, (outputs,)."""
        with np.errstate(all="ignore"):
            found = noise_along([lambda t, v=v: self.values(self.theta + t[:, None] * v) for v in self.lines])
            if found.near.all():
                return found
            # A value may be nothing but rounding here, as log(cosh(w)) near 0. Its noise shows farther away.
            far = self.values(self.theta + random_signs(np.random.default_rng(6), (4, 1)) * np.fmax(self.lines[0], 1))
            least = np.where((far == self.values(self.theta[None])).all(axis=0), 0, EPS * np.fmin.reduce(np.abs(far)))
            return Noise(*(np.fmax(noise, least) for noise in found))

    @cached_property
    def may_vary_at_once(self) -> bool:
        """Whether values may vary within a small share of a parameter, so that long steps miss it.

        Then they look like noise over all but the shortest distances, and as large as all of their changes.
        """
        noise = self.measured_noise
        if not (noise.near > PLATEAU * noise.nearest).any():
            return False
        with np.errstate(all="ignore"):
            changes = np.ptp(self.values(self.theta + np.linspace(-0.1, 0.1, 6)[:, None] * self.lines[0]), axis=0)
        return bool((noise.near > np.fmax(PLATEAU * noise.nearest, 1e-4 * np.nan_to_num(changes))).any())

    @property
    def rounding(self) -> np.ndarray:
        """The rounding errors of the values that the Taylor remainder leaves out, (outputs,)."""
        return self.noise.farther

    @cached_property
    def value_bound(self) -> np.ndarray:
        """The bound on the rounding errors of the values, (outputs,), if their arithmetic can be followed; else 0."""
        return np.zeros(1)

    @property
    def lines(self) -> np.ndarray:
        """Two random directions in which every parameter moves by about its own size, (2, P)."""
        return self.all_sizes * random_signs(np.random.default_rng(5), (2, self.theta.size))

    @cached_property
    def jittered(self) -> tuple[Self, ...]:
        """The function at three points where every parameter is moved by a few units in the last place."""
        draw = np.random.default_rng(0)
        unit = float(np.finfo(np.float64).eps) / 2
        moves = [unit * self.all_sizes * draw.choice([-4, -2, 2, 4], self.theta.shape) for _ in range(3)]
        return tuple(self.at(self.theta + move) for move in moves)

    def stepped(self, part: NamedPart, U: np.ndarray) -> np.ndarray:
        """Return the derivatives along the rows of U by complex step, (K, outputs)."""
        size = typical_size(self.sizes(part))
        step = STEP if 1e-9 < size < 1e9 else STEP * 2.0 ** np.round(np.log2(size))
        return complex_step(lambda steps: self.moved(part, steps), U, step)


def typical_size(theta: np.ndarray) -> float:
    """Return the root mean square of parameters, or 1 if all are 0."""
    largest = float(np.abs(theta).max(initial=0))
    return largest * float(np.sqrt(np.mean((theta / largest) ** 2))) if largest else 1.0


def random_signs(draw: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers ±U(0.5, 1): none is small, so that no error is missed, and no two cancel by symmetry.

    Examples
    --------
    >>> U = random_signs(np.random.default_rng(0), (3, 5))
    >>> U.shape, bool((abs(U) >= 0.5).all() and (abs(U) <= 1).all())
    ((3, 5), True)
    """
    u = draw.uniform(-0.5, 0.5, shape)
    return u + np.copysign(0.5, u)

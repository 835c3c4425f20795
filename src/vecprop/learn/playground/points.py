"""The points of a session, with targets, and their split into training and test points."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...core.elementary import Array, is_within
from .session_settings import MOST_ROWS, SettingsError

FARTHEST = 1000
"""The maximum absolute value of coordinates and numeric targets."""


@dataclass(frozen=True)
class Axis:
    """A linear scale between the values of a column and places in the plane."""

    name: str
    centre: float = 0.0
    scale: float = 1.0
    categories: tuple[str, ...] = ()
    has_dates: bool = False

    @classmethod
    def from_values(
        cls,
        name: str,
        values,
        categories: tuple[str, ...] = (),
        has_dates: bool = False,
    ) -> "Axis":
        """Return the axis that standardizes the values: mean 0, standard deviation 1."""
        # avoids overflow in sums of squares
        largest = float(np.abs(values).max()) or 1.0
        centre = float((values / largest).mean() * largest)
        scale = float((values / largest).std() * largest)
        if values.min() == values.max() or not (np.isfinite(centre) and scale > 0):
            raise SettingsError(
                f"All values of {name!r} are equal or nearly equal: choose another"
                " column."
            )
        return cls(name, centre, scale, categories, has_dates)

    def place(self, values) -> Array:
        """Convert values to places."""
        return values / self.scale - self.centre / self.scale

    def value(self, position: float) -> float:
        """Convert a position to a value."""
        return position * self.scale + self.centre

    def text(self, position: float) -> str:
        """Format the value of a position, or the nearest category."""
        value = self.value(position)
        if self.has_dates:
            return str(np.datetime64(round(value), "D"))
        if self.categories:
            return self.categories[min(max(round(value), 0), len(self.categories) - 1)]
        return f"{value:.4g}"


PLAIN_AXES = Axis("x"), Axis("y")


@dataclass(frozen=True, eq=False)
class Points:
    """Points in the plane."""

    XY: Array
    t: Array
    is_test: Array
    class_names: tuple[str, ...]
    axes: tuple[Axis, Axis] = PLAIN_AXES
    target: Axis = Axis("output")

    @classmethod
    def drawn(cls, XY, t, *names, test: float, seed: int) -> "Points":
        """Shuffle and split the points; at least one point remains for training."""
        rows = len(t)
        order = np.random.default_rng(seed).permutation(rows)
        is_test = np.arange(rows) < min(round(test * rows), rows - 1)
        return cls(XY[order], t[order], is_test, *names)

    @property
    def limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The limits of x and y, with a margin around the points."""
        low = self.XY.min(axis=0)
        high = self.XY.max(axis=0)
        margin = 0.1 * np.maximum(high - low, 1)
        x0, y0 = (low - margin).tolist()
        x1, y1 = (high + margin).tolist()
        return (x0, x1), (y0, y1)

    def edited(self, *edit) -> "Points":
        """Return the points after adding, moving or removing one point.

        Raises
        ------
        SettingsError
            If the index, position or target is invalid, or if too many or no training
            points would remain.
        """
        match edit:
            case "add", x, y, target:
                if len(self.t) >= MOST_ROWS:
                    raise SettingsError(
                        f"There are already {MOST_ROWS:,} points, the maximum: remove"
                        " one first."
                    )
                XY = np.concatenate([self.XY, [_place(x, y)]])
                t = np.append(self.t, self._target(target))
                return replace(self, XY=XY, t=t, is_test=np.append(self.is_test, False))
            case "move", index, x, y:
                XY = self.XY.copy()
                XY[self.index(index)] = _place(x, y)
                return replace(self, XY=XY)
            case _, index:  # remove
                remains = np.arange(len(self.t)) != self.index(index)
                is_test = self.is_test[remains]
                if is_test.all():
                    raise SettingsError(
                        "This is the only training point left: add another before you"
                        " remove it."
                    )
                return replace(
                    self, XY=self.XY[remains], t=self.t[remains], is_test=is_test
                )
        raise ValueError(f"Unknown edit {edit!r}.")

    def described(self, index: int) -> str:
        """Describe a point."""
        name = f"point {index} (test)" if self.is_test[index] else f"point {index}"
        texts = [
            f"{axis.name} {axis.text(position)}"
            for axis, position in zip(self.axes, self.XY[index], strict=True)
        ]
        t = self.t[index]
        if self.class_names:
            texts.append(self.class_names[t])
        else:
            texts.append(f"target {self.target.value(t):.4g}")
        return f"{name}: {', '.join(texts)}"

    def index(self, index: int) -> int:
        """Validate the index of a point."""
        if not isinstance(index, int | np.integer) or not is_within(
            index, 0, len(self.t)
        ):
            raise SettingsError(
                f"The point index must be between 0 and {len(self.t) - 1}, got"
                f" {index!r}."
            )
        return int(index)

    def _target(self, target):
        classes = len(self.class_names)
        if classes:
            if not is_within(target, 0, classes) or target != int(target):
                raise SettingsError(
                    f"The target must be a class index between 0 and {classes - 1}, got"
                    f" {target!r}."
                )
            return int(target)
        if not is_within(target, -FARTHEST, FARTHEST, ends="[]"):
            value, low, high = (
                f"{self.target.value(position):g}"
                for position in (target, -FARTHEST, FARTHEST)
            )
            raise SettingsError(
                f"The target must be between {low} and {high}, got {value}."
            )
        return float(target)


def _place(x, y):
    for name, value in (("x", x), ("y", y)):
        if not is_within(value, -FARTHEST, FARTHEST, ends="[]"):
            raise SettingsError(
                f"{name} must be between -{FARTHEST} and {FARTHEST}, got {value!r}."
            )
    return float(x), float(y)


def circles(seed: int, rows: int, noise: float):
    """Sample a disc inside a ring, with noise added to the points."""
    generator = np.random.default_rng(seed)
    t = np.arange(rows) % 2
    angle = 2 * np.pi * generator.random(rows)
    radius = 2.5 * np.where(
        t == 0,
        generator.uniform(0.85, 1.15, rows),
        np.sqrt(generator.uniform(0, 0.25, rows)),
    )
    XY = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return XY + noise * generator.standard_normal(XY.shape), t


def moons(seed: int, rows: int, noise: float):
    """Sample two interleaved half rings, with noise added to the points."""
    generator = np.random.default_rng(seed)
    t = np.arange(rows) % 2
    angle = np.pi * generator.random(rows)
    sign = 1 - 2 * t
    XY = 1.8 * np.stack(
        [sign * np.cos(angle) + t - 0.5, sign * np.sin(angle) + 0.5 * t - 0.25], axis=1
    )
    return XY + noise * generator.standard_normal(XY.shape), t


def spirals(seed: int, rows: int, noise: float):
    """Sample two interleaved spirals, with noise added to the points."""
    generator = np.random.default_rng(seed)
    t = np.arange(rows) % 2
    along = np.sqrt(generator.random(rows))
    angle = 3.5 * np.pi * along + np.pi * t
    XY = 3 * along[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return XY + noise * generator.standard_normal(XY.shape), t


def xor(seed: int, rows: int, noise: float):
    """Sample four squares; diagonally opposite squares have the same class."""
    generator = np.random.default_rng(seed)
    XY = generator.uniform(0.2, 3, (rows, 2)) * generator.choice([-1, 1], (rows, 2))
    t = (XY[:, 0] * XY[:, 1] < 0).astype(int)
    return XY + noise * generator.standard_normal(XY.shape), t


def blobs(seed: int, rows: int, noise: float):
    """Sample three Gaussian clusters, one per class; noise widens them."""
    generator = np.random.default_rng(seed)
    t = np.arange(rows) % 3
    angle = np.pi / 2 + 2 * np.pi * t / 3
    centre = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return centre + (0.4 + noise) * generator.standard_normal(centre.shape), t


def plane(seed: int, rows: int, noise: float):
    """Sample a regression target on a tilted plane, with noise added to the target."""
    generator = np.random.default_rng(seed)
    XY = generator.uniform(-3, 3, (rows, 2))
    return XY, (XY[:, 0] + XY[:, 1]) / 6 + noise * generator.standard_normal(rows)


def wave(seed: int, rows: int, noise: float):
    """Sample a regression target on a wavy surface, with noise added to the target."""
    generator = np.random.default_rng(seed)
    XY = generator.uniform(-3, 3, (rows, 2))
    return XY, np.sin(1.5 * XY[:, 0]) * np.cos(
        XY[:, 1]
    ) + noise * generator.standard_normal(rows)


def tutorial(seed: int, rows: int, noise: float):
    """Sample circles; 100 rows, noise 0.1 and seed 1 reproduce the tutorial's data."""
    generator = np.random.RandomState(seed)  # the tutorial used this legacy generator
    outer = rows // 2
    angle = np.concatenate(
        [np.linspace(0, 2 * np.pi, n, endpoint=False) for n in (outer, rows - outer)]
    )
    t = (np.arange(rows) >= outer).astype(int)
    XY = np.where(t == 0, 1, 0.3)[:, None] * np.stack(
        [np.cos(angle), np.sin(angle)], axis=1
    )
    return XY + generator.normal(scale=noise, size=XY.shape), t


SETS: dict[str, Callable[..., tuple[Array, Array]]] = {
    sample.__name__: sample
    for sample in (circles, moons, spirals, xor, blobs, wave, plane, tutorial)
}
"""The data sets by name."""

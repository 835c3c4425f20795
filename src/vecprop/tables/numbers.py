"""Columns of numbers: scaled by what their middle half spans, limited smoothly, and told apart in pieces."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .error import pandas

PIECES = 4
"""Into how many pieces a column is divided, each with as many rows, where nothing is said."""
LIMIT = 3.0
"""What scaled numbers stay below, however large they are."""

_FAR = 1e6
_DECIMAL_COMMA = r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+"
_THOUSANDS = r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?"


@dataclass(frozen=True, eq=False)
class Numbers:
    """How a column of numbers becomes inputs.

    With z = (x - centre) / scale, the first input is z / √(1 + (z / 3)²), which is z for ordinary values and never
    beyond ±3 (robust scaling with smooth clipping: Holzmüller et al., 2024). The others say how much of each piece
    between two quantiles lies below x, from -½ to ½ (piecewise linear encoding: Gorishniy et al., 2022), so that the
    first layer can bend at each quantile. A missing value has the inputs of the median, and an input of its own where
    some were missing in training.

    Parameters
    ----------
    centre, scale : float
        The median, and the distance of the quartiles in units of a normal distribution's standard deviation.
    edges : ndarray (pieces + 1,)
        The quantiles that divide the pieces, rising; empty where there are fewer than three.
    marks_missing : bool
        Whether an input says that the value is missing.

    Examples
    --------
    >>> pd = pandas()
    >>> numbers = Numbers.of(pd.Series([1.0, 2.0, 3.0, 4.0, None]))
    >>> numbers.centre, numbers(pd.Series([2.5, None]))[:, [0, -1]].tolist()
    (2.5, [[0.0, 0.0], [0.0, 1.0]])
    """

    centre: float
    scale: float
    edges: np.ndarray
    marks_missing: bool

    kind = "numbers"

    @classmethod
    def of(cls, series: Any, pieces: int = PIECES) -> "Numbers":
        """Return the inputs of a column that has a finite number, in so many pieces."""
        return cls.of_array(as_numbers(series)[0], pieces)

    @classmethod
    def of_array(cls, x: np.ndarray, pieces: int) -> "Numbers":
        """Return the inputs of numbers, of which nan is missing."""
        finite = ordinary(x[np.isfinite(x)])
        low, first, centre, third, high = np.quantile(finite, [0, 0.25, 0.5, 0.75, 1]).tolist()
        scale = (third - first) / 1.349 or (high - low) / 2 or 1.0
        edges = np.unique(np.quantile(finite, np.linspace(0, 1, pieces + 1)))
        return cls(centre, scale, edges if len(edges) > 2 else edges[:0], bool(np.isnan(x).any()))

    @property
    def width(self) -> int:
        """How many inputs there are."""
        return 1 + max(len(self.edges) - 1, 0) + self.marks_missing

    def __call__(self, series: Any) -> np.ndarray:
        """Return the inputs of a column, (N, width)."""
        return self.of_values(as_numbers(series)[0])

    def of_values(self, x: np.ndarray) -> np.ndarray:
        """Return the inputs of numbers (N,), of which nan is missing."""
        is_missing = np.isnan(x)
        x = np.where(is_missing, self.centre, ordinary(x))[:, None]
        z = np.clip((x - self.centre) / self.scale, -_FAR, _FAR)
        inputs = [z / np.sqrt(1 + (z / LIMIT) ** 2)]
        if len(self.edges):
            low, high = self.edges[:-1], self.edges[1:]
            inputs.append((np.clip(x, low, high) - low) / (high - low) - 0.5)
        if self.marks_missing:
            inputs.append(is_missing[:, None])
        return np.hstack(inputs)

    def missed(self, series: Any) -> str | None:
        """Return what of a column cannot be taken as it is, and what becomes of it."""
        x, unread = as_numbers(series)
        if unread:
            return f"{unread} value(s) are not numbers and count as missing"
        infinite = int(np.isinf(x).sum())
        return f"{infinite} value(s) are infinite and count as the largest there are" if infinite else None


def ordinary(x: np.ndarray) -> np.ndarray:
    """Return numbers whose differences and quotients are numbers: none beyond 1e100, and 0 below 1e-100."""
    return np.where(np.abs(x) < 1e-100, 0.0, np.clip(x, -1e100, 1e100))


def as_numbers(series: Any) -> tuple[np.ndarray, int]:
    """Return a column as floating-point numbers, nan where they are missing, and how many values are no numbers.

    Text is read as truth values, 1 and 0, or as numbers, with decimal commas (1.234,5) or commas between thousands
    (1,234.5) where most of what is not a number otherwise is written so.

    Examples
    --------
    >>> as_numbers(pandas().Series(["1,5", "2", None, "?"]))
    (array([1.5, 2. , nan, nan]), 1)
    """
    pd = pandas()
    if pd.api.types.is_numeric_dtype(series.dtype):
        return series.to_numpy(dtype=float, na_value=np.nan), 0
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return np.full(len(series), np.nan), int(series.notna().sum())
    try:
        numbers = pd.to_numeric(series.astype(object), errors="coerce")
    except OverflowError:
        numbers = pd.to_numeric(series.astype(object).map(_not_too_large), errors="coerce")
    unread = numbers.isna() & series.notna()
    if unread.any():
        text = series[unread].astype(str).str.strip()
        numbers = numbers.astype(float)
        truth = text.str.lower().map({"true": 1.0, "false": 0.0})
        numbers[unread] = truth.fillna(pd.to_numeric(_without_commas(text), errors="coerce").astype(float))
        unread = numbers.isna() & series.notna()
    return numbers.to_numpy(dtype=float, na_value=np.nan), int(unread.sum())


def _not_too_large(value: Any) -> Any:
    """Return a value, infinite if it is a whole number that is larger than any floating-point number."""
    if isinstance(value, int) and abs(value) >= 2**1023:
        return np.inf if value > 0 else -np.inf
    return value


def _without_commas(text: Any) -> Any:
    """Return text with points for decimal commas, or without commas between thousands: as most of it is written."""
    thousands = text.str.fullmatch(_THOUSANDS).mean()
    if text.str.fullmatch(_DECIMAL_COMMA).mean() > thousands:
        return text.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    return text.str.replace(",", "", regex=False) if thousands > 0.5 else text

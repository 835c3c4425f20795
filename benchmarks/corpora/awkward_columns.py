"""Columns that look like numbers, dates, codes or lists of names, with what a table is to make of them."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

N = 60
RNG = np.random.default_rng(0)
u = RNG.permutation(N)
DAYS = [str(dt.date(2020, 1, 1) + dt.timedelta(int(i))) for i in u]
SECONDS: Any = (u % 24) * 3600 + (u % 60) * 60

TIMES: list[tuple[Any, Any]] = [
    ([dt.time(i % 24, i % 60) for i in u], SECONDS),
    (pd.arrays.ArrowExtensionArray._from_sequence([dt.time(i % 24, i % 60) for i in u]), SECONDS),
    (pd.to_timedelta(u * 37, unit="min"), u * 2220),
    (np.array([dt.timedelta(minutes=int(i)) for i in u], object), u * 60),
    ([f"{i % 24}:{i % 60:02d}" for i in u], SECONDS),
    ([f"{i % 24:02d}:{i % 60:02d}:30" for i in u], SECONDS + 30),
    ([f"{(i % 24) % 12 or 12}:{i % 60:02d} {'pm' if i % 24 > 11 else 'AM'}" for i in u], SECONDS),
    ([f"{i % 24}h {i % 60}min" for i in u], SECONDS),
    ([f"{i % 24} hours and {i % 60} minutes" for i in u], SECONDS),
    ([f"PT{i % 24}H{i % 60}M" for i in u], SECONDS),
    ([f"{i} h" if i % 2 else f"{i} min" for i in u], [3600 * i if i % 2 else 60 * i for i in u]),
    ([f"-{i} days 01:00:00" for i in u + 1], [-86400 * i - 3600 for i in u + 1]),
]
"""Times and durations, and the seconds that they are."""

NOTED: list[tuple[Any, str]] = [
    ([f"20{i % 9 + 10}/{i % 9 + 11}" for i in u], "'2017/18' may be a date"),
    ([f"{i % 7 + 1}/{i % 5 + 8}" for i in u], "may be a fraction"),
    ([f"{i % 7} 1/2" for i in u], "may be a fraction"),
    ([f"{i % 11} of 10" for i in u], "may be a fraction"),
    ([f"{i}-{i + 10}" for i in u], "may be a range"),
    ([f"{i} to {i + 9}" for i in u], "may be a range"),
    (pd.IntervalIndex.from_breaks(np.arange(N + 1.0)), "may be a range"),
    ([f"${i}-${i + 10}" for i in u], "may be a range"),
    ([f"{i}% - {i + 5}%" for i in u], "may be a range"),
    ([f"{'<>~'[i % 3]}{i}" for i in u], "may be a number"),
    ([f"approx. {i}" for i in u], "may be a number"),
    ([f"{i % 9}x{i % 7}" for i in u], "several numbers"),
    ([f"{i / 7:.1f} ± 0.4" for i in u], "with an uncertainty"),
    ([f"{i / 7:.2f}(4)" for i in u], "with an uncertainty"),
    ([f"{i / 7:.1f}×10^3" for i in u], "may be a number"),
    (["I", "II", "III", "IV", "V", "IX"] * 10, "a Roman numeral"),
    (["one", "two", "three"] * 20, "may be a number"),
    ([hex(i) for i in u], "a hexadecimal number"),
    ([f"{i / 3:.4f}, {i / 5:.4f}" for i in u], "several numbers"),
    ([[float(i), 2.0] for i in u], "several numbers"),
    (u + 1j, "a complex number"),
    ([[float(i)] * (i % 4) for i in u], "several numbers"),
    ([(int(i), 2) for i in u], "several numbers"),
    ([{"a": i} for i in u], "an object"),
    ([[("a", int(i))] for i in u], "an object"),
    ([f"{i} years {i % 12} months" for i in u], "may be a number"),
    ([f"{i}°{i}'30\"N" for i in u], "may be a number"),
    ([f"{i} m" for i in u], "may be a number: set columns="),
    (["yes", "Yes", "no"] * 20, "'yes' and 'Yes' differ only in case or spaces"),
    (["a b", "a  b", "c"] * 20, "'a b' and 'a  b' differ only in case or spaces"),
    (np.where(u % 10 == 0, -999.0, u), "-999 in 6 rows may stand for missing values"),
    (np.where(u % 10 == 0, 9999, u), "9999 in 6 rows may stand for missing values"),
    (np.where(u % 10 == 0, -1, u), "-1 in 6 rows may stand for missing values"),
    (np.where(u % 10 == 0, 0, u + 40), "0 in 6 rows may stand for missing values"),
    (u % 24 * 100 + u, "2347 may be a time: write it as 23:47"),
    ([day if i % 10 else "9999-12-31" for i, day in zip(u, DAYS, strict=True)], "9999-12-31 in 6 rows may stand"),
    ([day if i % 10 else "1900-01-01" for i, day in zip(u, DAYS, strict=True)], "1900-01-01 in 6 rows may stand"),
    (np.where(u % 10 == 0, 1e30, u), "1e+30 in 6 rows may stand for missing values"),
    ([f"{i}:12" if i % 2 else f"1:{i:02d}:13" for i in u], "is read as hours and minutes"),
    (1_600_000_000.5 + u * 86_400, "may be seconds since 1970"),
    (1_600_000_000 + u * 86_400, "may be seconds since 1970"),
    (1_600_000_000_000 + u * 86_400_000, "may be milliseconds since 1970"),
    (np.array([101, 205, 333, 417, 502, 998])[u % 6], "may be codes"),
]
"""Columns that are read differently from their looks, with a part of the note on each."""

ORDINARY: list[Any] = [
    u, u * 1.5, u % 5 + 1, 1960 + u, u - 30, np.where(u % 2, 1, -1), 99 - u, u * 7919 % 100_000, DAYS,
    ["red", "Blue", "green"] * 20, ["A+", "A", "A-"] * 20, ["L", "XL", "M"] * 20, ["I", "C", "D"] * 20,
    [f"AB-{i}" for i in u // 2], ["v1.2.3", "v1.2.4"] * 30, ["New York", "Rome"] * 30, 10.0**9 * (1 + u),
]  # fmt: skip
"""Columns without a note."""

NAMES = [sorted(np.array(["red", "green", "blue", "big"])[RNG.random(4) < 0.5]) for _ in range(N)]
TAGS: list[Any] = [
    *([sign.join(map(str, names)) for names in NAMES] for sign in (";", "|", ", ")),
    [[*map(str, names)] for names in NAMES],
    [np.array(names, object) for names in NAMES],
    [{*map(str, names)} for names in NAMES],
    pd.Series([[*map(str, names)] for names in NAMES], dtype=pd.ArrowDtype(pa.list_(pa.string()))),
]
"""Lists of names in several forms."""

G = np.random.default_rng(3)
MANY = 400


def sometimes(share: float, values: Any) -> Any:
    """Return values of which a share is 0."""
    return np.where(np.arange(MANY) * 0.618 % 1 < share, 0, values)


ZEROS_FOR_MISSING: dict[str, Any] = {
    "blood pressure": sometimes(0.05, G.normal(72, 12, MANY).round().clip(24, 122)),
    "BMI": sometimes(0.015, G.normal(32, 6.5, MANY).round(1).clip(18, 67)),
    "glucose": sometimes(0.01, G.normal(121, 30, MANY).round().clip(44, 199)),
    "horsepower": sometimes(0.015, G.lognormal(4.55, 0.35, MANY).round().clip(46, 230)),
    "year": sometimes(0.2, G.integers(1950, 2020, MANY)),
    "founded": sometimes(0.05, G.integers(2015, 2021, MANY)),
    "height": sometimes(0.03, G.normal(170, 9, MANY).round()),
    "pH": sometimes(0.02, G.normal(7, 0.4, MANY).round(2)),
}
"""Columns in which 0 stands for missing values."""

HONEST_ZEROS: dict[str, Any] = {
    "capital gain": sometimes(0.9, G.integers(114, 20000, MANY)),
    "rain": sometimes(0.7, G.gamma(0.8, 6, MANY).round(1)),
    "c1": sometimes(0.2, G.normal(3000, 900, MANY).round(2)),
    "balance": sometimes(0.06, G.normal(3000, 300, MANY).round(2)),
    "c2": sometimes(0.5, G.uniform(1, 9, MANY).round(2)),
    "c3": sometimes(0.1, G.integers(40, 900, MANY)),
    "claims": G.poisson(0.3, MANY),
    "visits": G.poisson(6, MANY),
    "children": G.poisson(1.8, MANY),
    "concavity": sometimes(0.02, G.lognormal(-2.8, 1, MANY).round(5)),
    "concave points": sometimes(0.02, G.normal(0.05, 0.035, MANY).clip(0.002).round(5)),
    "pixel": sometimes(0.3, G.integers(0, 17, MANY)),
    "grey": G.integers(0, 256, MANY),
    "temperature": G.normal(2, 8, MANY).round(),
    "humidity": G.integers(0, 101, MANY),
    "discount": G.choice([0, 5, 10, 20], MANY),
    "delay": sometimes(0.4, G.exponential(20, MANY).round()),
    "insurance paid": sometimes(0.8, G.lognormal(8, 0.5, MANY).round(2)),
    "rent": sometimes(0.08, G.normal(800, 90, MANY).round()),
    "score": G.integers(0, 11, MANY),
    "share": G.beta(2, 5, MANY).round(2),
    "altitude": sometimes(0.05, G.lognormal(5, 1, MANY).round()),
}
"""Columns in which 0 is an ordinary value."""

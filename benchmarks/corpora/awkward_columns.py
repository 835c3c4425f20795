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
    (
        pd.arrays.ArrowExtensionArray._from_sequence(
            [dt.time(i % 24, i % 60) for i in u]
        ),
        SECONDS,
    ),
    (pd.to_timedelta(u * 37, unit="min"), u * 2220),
    (np.array([dt.timedelta(minutes=int(i)) for i in u], object), u * 60),
    ([f"{i % 24}:{i % 60:02d}" for i in u], SECONDS),
    ([f"{i % 24:02d}:{i % 60:02d}:30" for i in u], SECONDS + 30),
    (
        [
            f"{(i % 24) % 12 or 12}:{i % 60:02d} {'pm' if i % 24 > 11 else 'AM'}"
            for i in u
        ],
        SECONDS,
    ),
    ([f"{i % 24}h {i % 60}min" for i in u], SECONDS),
    ([f"{i % 24} hours and {i % 60} minutes" for i in u], SECONDS),
    ([f"PT{i % 24}H{i % 60}M" for i in u], SECONDS),
    (
        [f"{i} h" if i % 2 else f"{i} min" for i in u],
        [3600 * i if i % 2 else 60 * i for i in u],
    ),
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
    ([f"{'<>~'[i % 3]}{i}" for i in u], "most values contain digits"),
    ([f"approx. {i}" for i in u], "most values contain digits"),
    ([f"{i % 9}x{i % 7}" for i in u], "several numbers"),
    ([f"{i / 7:.1f} ± 0.4" for i in u], "with an uncertainty"),
    ([f"{i / 7:.2f}(4)" for i in u], "with an uncertainty"),
    ([f"{i / 7:.1f}×10^3" for i in u], "most values contain digits"),
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
    ([f"{i} years {i % 12} months" for i in u], "most values contain digits"),
    ([f"{i}°{i}'30\"N" for i in u], "most values contain digits"),
    (["yes", "Yes", "no"] * 20, "'yes' and 'Yes' differ only in case or spaces"),
    (
        ["Köln", "Ko\u0308ln", "Bonn"] * 20,
        "differ only in punctuation, zeros or accents",
    ),
    (
        ["1", "1.0", "A"] * 20,
        "'1' and '1.0' differ only in punctuation, zeros or accents",
    ),
    (
        [f"{('mars', 'avril', 'août')[i % 3]} {2010 + i // 3}" for i in u],
        "may be a date",
    ),
    (
        [f"{i % 28 + 1}-{('avr', 'aoû', 'jui')[i % 3]}-2{i % 5}" for i in u],
        "may be a date",
    ),
    ([f"{i % 28 + 1}-{('Jan', 'Mar', 'Aug')[i % 3]}" for i in u], "may be a date"),
    ([f"Q{i % 4 + 1}/{i // 4 + 10}" for i in u], "may be a date"),
    ([f"KW{i % 52 + 1}/20{i // 4 + 10}" for i in u], "may be a date"),
    ([f"/Date({1584835200000 + 86400000 * i})/" for i in u], "may be a date"),
    (
        [f"{i % 28 + 1:02d}-JAN-24 {i % 12 + 1:02d}.30.00.000000 AM" for i in u],
        "may be a date",
    ),
    (
        [202001010000 + int(i) % 28 * 10000 + int(i) for i in u],
        "202001010000 may be a date",
    ),
    ([str(4863719956292522 + 37 * i) for i in u], "more than 15 digits"),
    ([f"No. {i}" for i in u], "most values contain digits"),
    ([f"Ø {i} mm" for i in u], "most values contain digits"),
    ([f"Fr. {i}.50" for i in u], "most values contain digits"),
    (
        [f"c. {1600 + i}" if i % 5 == 0 else f"{1600 + i}" for i in u],
        "most values contain digits",
    ),
    ([f"{i}.{i + 100}° {'NS'[i % 2]}" for i in u], "most values contain digits"),
    (["a b", "a  b", "c"] * 20, "'a b' and 'a  b' differ only in case or spaces"),
    (np.where(u % 10 == 0, -999.0, u), "-999 in 6 rows may stand for missing values"),
    (np.where(u % 10 == 0, 9999, u), "9999 in 6 rows may stand for missing values"),
    (np.where(u % 10 == 0, -1, u), "-1 in 6 rows may stand for missing values"),
    (np.where(u % 10 == 0, 0, u + 40), "0 in 6 rows may stand for missing values"),
    (u % 24 * 100 + u, "2347 may be a time: write it as 23:47"),
    (
        [day if i % 10 else "9999-12-31" for i, day in zip(u, DAYS, strict=True)],
        "9999-12-31 in 6 rows may stand",
    ),
    (
        [day if i % 10 else "1900-01-01" for i, day in zip(u, DAYS, strict=True)],
        "1900-01-01 in 6 rows may stand",
    ),
    (np.where(u % 10 == 0, 1e30, u), "1e+30 in 6 rows may stand for missing values"),
    (
        [f"{i}:12" if i % 2 else f"1:{i:02d}:13" for i in u],
        "is read as hours and minutes",
    ),
    (1_600_000_000.5 + u * 86_400, "may be seconds since 1970"),
    (1_600_000_000 + u * 86_400, "may be seconds since 1970"),
    (1_600_000_000_000 + u * 86_400_000, "may be milliseconds since 1970"),
    (np.array([101, 205, 333, 417, 502, 998])[u % 6], "may be codes"),
]
"""Columns that are read differently from their looks, with a part of the note on
each.
"""

ORDINARY: list[Any] = [
    u, u * 1.5, u % 5 + 1, 1960 + u, u - 30, np.where(u % 2, 1, -1), 99 - u, u * 7919 % 100_000, DAYS,
    ["red", "Blue", "green"] * 20, ["A+", "A", "A-"] * 20, ["L", "XL", "M"] * 20, ["I", "C", "D"] * 20,
    [f"AB-{i}" for i in u // 2], [f"C{i}" for i in u // 2], [f"FR{i}" for i in u // 2],
    ["Windows 2000", "Mac 2001"] * 30, ["v1.2.3", "v1.2.4"] * 30, ["New York", "Rome"] * 30, 10.0**9 * (1 + u),
]  # fmt: skip
"""Columns without a note."""

NAMES = [
    sorted(np.array(["red", "green", "blue", "big"])[RNG.random(4) < 0.5])
    for _ in range(N)
]
TAGS: list[Any] = [
    *([sign.join(map(str, names)) for names in NAMES] for sign in (";", "|", ", ")),
    [[*map(str, names)] for names in NAMES],
    [np.array(names, object) for names in NAMES],
    [{*map(str, names)} for names in NAMES],
    pd.Series(
        [[*map(str, names)] for names in NAMES],
        dtype=pd.ArrowDtype(pa.list_(pa.string())),
    ),
]
"""Lists of names in several forms."""

G = np.random.default_rng(3)
MANY = 400


def sometimes(share: float, values: Any) -> Any:
    """Replace a share of values by 0."""
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
"""Columns that encode missing values as 0."""

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
"""Columns with ordinary zeros."""

ROWS = 160
W = np.random.default_rng(7)
i_ = W.integers(3, 90, ROWS).astype(object)
x_ = W.uniform(1, 60, ROWS)
_ORDINALS = {1: "st", 2: "nd", 3: "rd"}


def _decimal(value: float, point: str = ".", digits: int = 1) -> str:
    return f"{value:.{digits}f}".replace(".", point)


def _thousands(value: float, sign: str, point: str) -> str:
    return f"{1000 * value:,.1f}".translate(str.maketrans(",.", sign + point))


_UNITS_OF_WHOLES = [
    "years", "months", "days", "weeks", "Jahre", "Monate", "Tage", "ans", "años", "anni", "jaar", "лет", "年", "歳",
    "kg", " kg", " km", "km", " cm", " mm", " miles", " ft", " lbs", " sq ft", " m²", " m2", " °C", "°C", "°", " ha",
    " W", " kW", " kWh", " V", " hp", " bhp", " cc", " CC", " mph", " km/h", " mg/dL", " mmol/l", " g/l", " bpm",
    " mmHg", " mm Hg", " µg", " ppm", " MHz", " GHz", " GB", " kB", " points", " pts", " pcs", " Stück", " pieces",
    " employees", " people", " rooms", " beds", " reviews", " votes", " views", " goals", " min", " sec", " hrs",
    " hours", " percent", " pct", " stars", " cal", " kcal", " servings", " pages", " credits", " EUR/m²", " €/kg",
    " USD/t", " $/h", " in", "\"", " inches", " tons", " t", " L", " ml", " mL", " l/100km", " mpg", " db", " dB",
    " lux", " psi", " bar", " Nm", " rpm", "k", "K", "M", "x", "px", " IU", " U/L", " cells", " shares", " acres",
    " copies", " guests", " Std.", " Uhr",
]  # fmt: skip
"""Units as they follow numbers; some without a space."""

UNITS: dict[str, Any] = {
    **{
        f"3{unit}" if unit[:1] == " " else f"3 {unit}": (
            [f"{i} {unit.strip()}" for i in i_],
            i_,
        )
        for unit in _UNITS_OF_WHOLES
    },
    **{
        f"3{unit}": ([f"{i}{unit}" for i in i_], i_)
        for unit in _UNITS_OF_WHOLES
        if unit[:1] != " " and len(unit) < 4
    },
    **{
        f"1.5{unit}": ([f"{_decimal(x)}{unit}" for x in x_], x_.round(1))
        for unit in (" kg", " mg/dL", "kg", " °C", " m²", " h")
    },
    **{
        f"1,5{unit}": ([f"{_decimal(x, ',')}{unit}" for x in x_], x_.round(1))
        for unit in (" km", " Liter", "cm", " °C")
    },
    "1,234.5 kg": ([f"{_thousands(x, ',', '.')} kg" for x in x_], (1000 * x_).round(1)),
    "1.234,5 kg": ([f"{_thousands(x, '.', ',')} kg" for x in x_], (1000 * x_).round(1)),
    "1 234,5 km": ([f"{_thousands(x, ' ', ',')} km" for x in x_], (1000 * x_).round(1)),
    "1'234.5 m": (
        [f"{_thousands(x, chr(39), '.')} m" for x in x_],
        (1000 * x_).round(1),
    ),
    "-5 °C": ([f"{i - 40} °C" for i in i_], i_ - 40),
    "−5 °C": ([f"{i - 40} °C".replace("-", "−") for i in i_], i_ - 40),
    "+5 kg": ([f"{i - 40:+d} kg" for i in i_], i_ - 40),
    "1 year, 2 years": (
        [f"{i % 9 + 1} year{'s' * (i % 9 > 0)}" for i in i_],
        i_ % 9 + 1,
    ),
    "1 Jahr, 2 Jahre": (
        [f"{i % 9 + 1} Jahr{'e' * (i % 9 > 0)}" for i in i_],
        i_ % 9 + 1,
    ),
    "5 kg, 5kg, 5 KG": ([f"{i}{[' kg', 'kg', ' Kg', ' KG'][i % 4]}" for i in i_], i_),
    "5 yrs, 5 yrs.": ([f"{i} yrs{'.' * (i % 2)}" for i in i_], i_),
    "5 kg or -": (
        [f"{i} kg" if i % 12 else "-" for i in i_],
        np.where(i_ % 12 > 0, i_, np.nan),
    ),
    "1.2e3 mg": (
        [f"{1000 * x:.1e} mg" for x in x_],
        [float(f"{1000 * x:.1e}") for x in x_],
    ),
    "$5 per day": ([f"${i} per day" for i in i_], i_),
    "$5/h": ([f"${i}/h" for i in i_], i_),
    "€5.50/kg": ([f"€{_decimal(x, digits=2)}/kg" for x in x_], x_.round(2)),
    "USD 5 million": ([f"USD {i} million" for i in i_], i_),
    "5 million": ([f"{i} million" for i in i_], i_),
    "$1.2M": ([f"${_decimal(x)}M" for x in x_], x_.round(1)),
    "5 %": ([f"{i} %" for i in i_], i_),
    "5,5 %": ([f"{_decimal(x, ',')} %" for x in x_], x_.round(1)),
    "AED 50": ([f"AED {i}" for i in i_], i_),
    "50 RUB": ([f"{i} RUB" for i in i_], i_),
    "5kg to 12kg in three": (
        [f"{[5, 8, 12][i % 3]} kg" for i in i_],
        [[5, 8, 12][i % 3] for i in i_],
    ),
}
"""Columns of numbers with one unit, and the numbers."""

UNCLEAR: dict[str, Any] = {
    "3 years, 8 months": [f"{i} {['years', 'months'][i % 2]}" for i in i_],
    "3 yrs, 8 mos, 5 d": [f"{i} {['yrs', 'mos', 'd'][i % 3]}" for i in i_],
    "5 kg, 5 lb": [f"{i} {['kg', 'lb'][i % 2]}" for i in i_],
    "5 mg, 5 g": [f"{i} {['mg', 'g'][i % 2]}" for i in i_],
    "5 MW, 5 mW": [f"{i} {['MW', 'mW'][i % 2]}" for i in i_],
    "512 MB, 2 GB": [f"{i} {['MB', 'GB'][i % 2]}" for i in i_],
    "$5, €5": [f"{'$€'[i % 2]}{i}" for i in i_],
    "$5k, $5M": [f"${i}{'kM'[i % 2]}" for i in i_],
    "5, 5 kg": [f"{i}{['', ' kg'][i % 2]}" for i in i_],
    "5, 5k": [f"{i}{['', 'k'][i % 2]}" for i in i_],
    "45° N, 45° S": [f"{i}° {'NS'[i % 2]}" for i in i_],
    "10+ years": [f"{i}{'+' * (i > 30)} years" for i in i_],
    "<5 kg": [f"{'<' * (i % 3 == 0)}{i} kg" for i in i_],
    "1st": [f"{i}{_ORDINALS.get(i % 10, 'th')}" for i in i_],
    "1st grade": [f"{i % 12}{_ORDINALS.get(i % 12, 'th')} grade" for i in i_],
    "38+4": [f"{i % 8 + 33}+{i % 7}" for i in i_],
    "12.3 (10.1-14.2)": [f"{x:.1f} ({x - 2:.1f}-{x + 2:.1f})" for x in x_],
    "12.3 [10.1, 14.2]": [f"{x:.1f} [{x - 2:.1f}, {x + 2:.1f}]" for x in x_],
    "12 (34%)": [f"{i} ({i}%)" for i in i_],
    "1m75": [f"1m{i:02d}" for i in i_],
    "1 m 75 cm": [f"1 m {i} cm" for i in i_],
    "5'11\"": [f"{i % 3 + 4}'{i % 12}\"" for i in i_],
    "5 ft 11 in": [f"{i % 3 + 4} ft {i % 12} in" for i in i_],
    "½": [f"{i % 5 or ''}{'½¼¾'[i % 3]}" for i in i_],
    "1/2": [f"{i % 7 + 1}/8" for i in i_],
    "1 1/2": [f"{i % 7} 1/2" for i in i_],
    "4.5 out of 5": [f"{i % 50 / 10} out of 5" for i in i_],
    "4.5/5": [f"{i % 50 / 10}/5" for i in i_],
    "7 of 10": [f"{i % 10} of 10" for i in i_],
    "2^10": [f"2^{i % 12}" for i in i_],
    "10^-3": [f"10^-{i % 9}" for i in i_],
    "1.2 x 10^3": [f"{x:.1f} x 10^{i % 4}" for i, x in zip(i_, x_, strict=True)],
    "Rs. 1,234/-": [f"Rs. {i * 1234:,}/-" for i in i_],
    "5 mars 2021": [
        f"{i % 28 + 1} {['mars', 'mai', 'juin'][i % 3]} {2000 + i % 20}" for i in i_
    ],
    "10-20": [f"{i}-{i + 10}" for i in i_],
    "10 to 20 years": [f"{i} to {i + 10} years" for i in i_],
    "10-20 km": [f"{i}-{i + 10} km" for i in i_],
    "between 5 and 9": [f"between {i} and {i + 4}" for i in i_],
    "up to 5": [f"up to {i}" for i in i_],
    "at least 5": [f"at least {i}" for i in i_],
    "ca. 5": [f"ca. {i}" for i in i_],
    "approx 5 kg": [f"approx {i} kg" for i in i_],
    "~5": [f"~{i}" for i in i_],
    "≈5.5": [f"≈{x:.1f}" for x in x_],
    "5?": [f"{i}{'?' * (i % 2)}" for i in i_],
    "5*": [f"{i}{'*' * (i % 2)}" for i in i_],
    "5 (est.)": [f"{i}{' (est.)' * (i % 2)}" for i in i_],
    "5 [1]": [f"{i} [{i % 3}]" for i in i_],
    "5;5": [f"{i};{i + 3}" for i in i_],
    "5 x 7": [f"{i} x {i % 7 + 1}" for i in i_],
    "5x7x9 cm": [f"{i}x{i % 7 + 1}x9 cm" for i in i_],
    "5 ± 2": [f"{i} ± {i % 3 + 1}" for i in i_],
    "3+1": [f"{i % 5}+{i % 3}" for i in i_],
    "2 adults, 1 child": [f"{i % 4} adults, {i % 3} children" for i in i_],
    "3 bed 2 bath": [f"{i % 4} bed {i % 3} bath" for i in i_],
    "I, II, III": [["I", "II", "III", "IV", "V", "VI"][i % 6] for i in i_],
    "one, two": [["one", "two", "three", "four"][i % 4] for i in i_],
    "0x1f": [hex(i) for i in i_],
    "1_000": [f"{i}_000" for i in i_],
    "5.500.000,5 and 1.5": [f"{i}.500.000,5" if i % 2 else f"{i}.5" for i in i_],
    "1,5 and 1.5": [f"{i}{',.'[i % 2]}5" for i in i_],
    "Q1 2024": [f"Q{i % 4 + 1} {2000 + i % 20}" for i in i_],
    "FY21": [f"FY{i % 20 + 2000}" for i in i_],
    "7 days ago, 2 weeks ago": [f"{i} {['days', 'weeks'][i % 2]} ago" for i in i_],
    "N/A* in a third": [f"{i}" if i % 3 else "n/a*" for i in i_],
    "<0.5 in a third": [
        f"{x:.1f}" if i % 3 else "<0.5" for i, x in zip(i_, x_, strict=True)
    ],
    "nd in a third": [
        f"{x:.1f} mg" if i % 3 else "n.d." for i, x in zip(i_, x_, strict=True)
    ],
    "1.234 in all": [f"{i % 9 + 1}.{i + 100}" for i in i_],
    "1,234 kg in all": [f"{i % 9 + 1},{i + 100} kg" for i in i_],
}
"""Columns that a note must name, unless their numbers are read."""

CODES: dict[str, Any] = {
    "SW1A 1AA": [
        f"{'SNEW'[i % 4]}W{i % 9}{'ABC'[i % 3]} {i % 7}{'AB'[i % 2]}{'XYZ'[i % 3]}"
        for i in i_
    ],
    "AA123": [f"{['AA', 'LH', 'BA'][i % 3]}{i + 100}" for i in i_],
    "iPhone 12": [f"iPhone {i % 15}" for i in i_],
    "Galaxy S21": [f"Galaxy S{i % 20}" for i in i_],
    "192.168.1.1": [f"192.168.{i % 4}.{i}" for i in i_],
    "1.2.3": [f"{i % 3}.{i % 5}.{i % 7}" for i in i_],
    "v1.2": [f"v{i % 3}.{i % 9}" for i in i_],
    "12A": [f"{i}{'ABCDEF'[i % 6]}" for i in i_],
    "12 A": [f"{i} {'ABCDEF'[i % 6]}" for i in i_],
    "12 Main Street": [
        f"{i} {['Main', 'Oak', 'Elm', 'High', 'Park', 'Hill'][i % 6]}"
        f" {['Street', 'Road', 'Lane'][i % 3]}"
        for i in i_
    ],
    "T1": [f"T{i % 2 + 1}" for i in i_],
    "ID-0001": [f"ID-{i:04d}" for i in i_],
    "3f2a": [f"{i * 7919 % 65536:04x}" for i in i_],
    "555-1234": [f"555-{1000 + i * 7}" for i in i_],
    "10001-1234": [f"{10000 + i}-{1000 + i * 7}" for i in i_],
    "7.5N, 7.5S": [f"{i}.5{'NNS'[i % 3]}" for i in i_],
    "+49 30 1234": [f"+49 30 {1000 + i}" for i in i_],
    "(030) 1234": [f"(030) {1000 + i}" for i in i_],
    "B-MW 123": [f"B-{['MW', 'AB', 'XY'][i % 3]} {i}" for i in i_],
    "A1": [f"{'ABC'[i % 3]}{i % 5}" for i in i_],
    "COVID-19": [["COVID-19", "H1N1", "none"][i % 3] for i in i_],
    "2WD, 4WD": [f"{[2, 4][i % 2]}WD" for i in i_],
    "3G": [f"{i % 4 + 2}G" for i in i_],
    "1999/2000": [f"{1990 + i % 20}/{1991 + i % 20}" for i in i_],
    "2009-10": [f"20{i % 9 + 10}-{i % 9 + 11}" for i in i_],
    "2:1": [f"{i % 5}:{i % 3}" for i in i_],
    "Toy Story (1995)": [
        f"{['Toy Story', 'Heat', 'Jumanji', 'Casino'][i % 4]} ({1990 + i % 9})"
        for i in i_
    ],
    "01001": [f"{i + 1000:05d}" for i in i_],
    "E10.9": [f"E{i % 20}.{i % 9}" for i in i_],
    "Boeing 747": [
        f"{['Boeing', 'Airbus'][i % 2]} {[737, 747, 320][i % 3]}" for i in i_
    ],
    "Windows 10": [["Windows 10", "Windows 11", "macOS 14"][i % 3] for i in i_],
    "gpt-4": [["gpt-4", "gpt-3.5", "llama-2"][i % 3] for i in i_],
    "00:1A:2B": [f"00:{i:02X}:{i % 7:02X}" for i in i_],
    "#ff0000": [f"#{i * 7919 % 2**24:06x}" for i in i_],
    "AB12 CDE": [
        f"{['AB', 'KL'][i % 2]}{i} {['CDE', 'FGH', 'XYZ'][i % 3]}" for i in i_
    ],
    "978-3-16": [f"978-3-{i}-{i % 7}" for i in i_],
    "B2B": [["B2B", "B2C", "C2C"][i % 3] for i in i_],
    "Highway 66": [f"{['Highway', 'Route', 'Road'][i % 3]} {i}" for i in i_],
    "5th Avenue": [
        f"{i % 9 + 4}th"
        f" {['Avenue', 'Street', 'Place', 'Court', 'Drive', 'Square', 'Way'][i % 7]}"
        for i in i_
    ],
    "1A, 1B": [f"{i % 4 + 1}{'AB'[i % 2]}" for i in i_],
    "007x": [f"{i:03d}x" for i in i_],
    "W0123": [f"W{i:04d}" for i in i_],
    "ISO 9001": [["ISO 9001", "ISO 14001", "none"][i % 3] for i in i_],
    "a@b1.de": [f"user{i}@b.de" for i in i_],
    "http://a/1": [f"http://a.de/{i}" for i in i_],
    "Pack of 6": [f"Pack of {[6, 12, 24][i % 3]}" for i in i_],
}
"""Codes and names with digits, which are categories."""

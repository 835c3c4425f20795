"""The advice in notes and errors works."""

import datetime
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sampled import sampled
from vecprop import TableError, TabularClassifier, TabularRegressor

FEW: dict[str, Any] = {"n_estimators": 2, "max_iter": 1, "random_state": 0}
ROWS = 60
RNG = np.random.default_rng(0)
DAYS = [
    datetime.date(2021, 1, 1) + datetime.timedelta(int(days))
    for days in RNG.integers(0, 700, ROWS)
]
GERMAN = (
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "Sept",
    "Okt",
    "Nov",
    "Dez",
)


def fitted(values, **settings):
    table = pd.DataFrame(
        {"v": values, "x": np.arange(ROWS) % 7, "y": np.arange(ROWS) % 5 * 1.5}
    )
    return TabularRegressor("y", **FEW, **settings).fit(table)


FORMS = [
    "%d %m %Y",
    "%Y.%d.%m",
    "%d_%m_%Y",
    "%m|%d|%Y",
    "%d of %B %Y",
    "%a %b %d 00:00:00 %Y",
    "%G-W%V-%u",
    "%d-%m-%y",
]
SETTLED = [
    *(([day.strftime(form) for day in DAYS], "dates") for form in (*FORMS, "%y-%m-%d")),
    *(
        ([int(day.strftime(form)) for day in DAYS], "dates")
        for form in ("%Y%m", "%Y%j", "%y%m%d")
    ),
    ([["-", "n.a.", "7", "8", "9"][i % 5] for i in range(ROWS)], "numbers"),
    ([f"1.{i % 12}" if i % 12 else "1.10" for i in range(ROWS)], "categories"),
    ([f"{i % 5}E0{i % 4}" for i in range(ROWS)], "categories"),
    ([9007199254740993 + i % 20 for i in range(ROWS)], "categories"),
    ([f"{i % 12 + 1}/{i % 11 + 1}/2021" for i in range(ROWS)], "dates"),
    ([f"{i % 9 + 1},{100 + i * 7}" for i in range(ROWS)], "numbers"),
]


@pytest.mark.parametrize(
    ("values", "kind"),
    sampled(SETTLED, 3),
    ids=lambda of: str(of[0]) if isinstance(of, list) else "",
)
def test_settings_in_notes_resolve_the_ambiguity(values, kind):
    (note,) = [
        note
        for note in fitted(values).notes_
        if re.search(r"columns=|date_format=|decimal=", note)
    ]
    (setting,) = re.findall(
        r"columns=\{[^}]*\}|date_format='[^']*'|decimal='[^']*'", note
    )
    again = fitted(values, **eval(f"dict({setting})"))
    assert again.encoder_.kinds["v"] == kind
    assert note not in again.notes_
    if kind != "numbers":
        assert not any("treated as missing" in other for other in again.notes_)


def test_notes_on_unreadable_dates_suggest_another_format():
    for values in (
        [f"{day.day}. {GERMAN[day.month - 1]} {day.year}" for day in DAYS],
        [f"{day.year}-Q{(day.month - 1) // 3 + 1}" for day in DAYS],
    ):
        (note,) = [note for note in fitted(values).notes_ if "may be a date" in note]
        assert note.endswith("may be a date: write dates like 2024-01-31.")
    assert fitted([day.isoformat() for day in DAYS]).encoder_.kinds["v"] == "dates"


@pytest.mark.parametrize("every", [2, 5])
def test_notes_on_numbers_with_a_frequent_marker_suggest_numbers(every):
    values = [f"{i}.5" if i % every else "n.a." for i in range(ROWS)]
    (note,) = [note for note in fitted(values).notes_ if "read as text" in note]
    assert (
        "such as 'n.a.', are not: if these are missing values, set columns={'v':"
        " 'number'}" in note
    )
    assert fitted(values, columns={"v": "number"}).encoder_.kinds["v"] == "numbers"


def test_numbers_with_a_unit_can_be_declared():
    values = [f"{i},5 m²" if i % 9 else "k.A." for i in range(ROWS)]
    assert any(
        "such as 'k.A.', are not: if these" in note for note in fitted(values).notes_
    )
    model = fitted(values, columns={"v": "number"})
    assert model.encoder_.readings["v"] == "numbers, decimal separator ',', m²"
    assert not any("not used" in note for note in model.notes_)
    with_unit, without = model.predict(pd.DataFrame({"v": ["7,5 m²", "7,5"], "x": 1}))
    assert with_unit == without


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("y", "abc"),
        ("y", "inf"),
        ("w", "-1"),
        ("w", "x"),
        ("w", "1e35"),
        ("day", "someday"),
    ],
)
def test_errors_name_the_line_of_a_file(column, value, tmp_path):
    lines = ["a,w,day,y"] + [
        f"{i % 7},{1 + i % 3},2024-01-{1 + i % 28:02d},{i % 5}.5" for i in range(ROWS)
    ]
    lines.insert(6, "")
    cells = dict(zip(["a", "w", "day", "y"], lines[19].split(","), strict=True))
    lines[19] = ",".join((cells | {column: value}).values())
    (tmp_path / "table.csv").write_text("\n".join(lines))
    with pytest.raises(TableError, match=r"in line 20\b"):
        TabularRegressor("y", **FEW).fit(
            tmp_path / "table.csv", sample_weight="w", time="day"
        )


def test_advice_for_amounts_that_are_read_as_classes():
    table = pd.DataFrame(
        {"x": np.arange(ROWS) % 7, "salary": 1000 + np.arange(ROWS) * 7}
    )
    with pytest.warns(UserWarning, match="use TabularRegressor"):
        TabularClassifier("salary", **FEW).fit(table)
    assert not any(
        "seen once" in note
        for note in TabularRegressor("salary", **FEW).fit(table).notes_
    )

"""Columns that look like numbers, dates or codes are read as such, or a note says so and names what settles it."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import vecprop as vp
from vecprop.tables.encoding.encoder import Encoder
from vecprop.tables.kinds.ambiguities import Asked
from vecprop.tables.reading.frames import as_frame

N = 60
RNG = np.random.default_rng(0)
u = RNG.permutation(N)
DAYS = [str(dt.date(2020, 1, 1) + dt.timedelta(int(i))) for i in u]


def encoded(values, **columns):
    return Encoder.of(as_frame(pd.DataFrame({"x": values, "other": np.arange(N) * 1.5})), Asked(columns))


SECONDS: Any = (u % 24) * 3600 + (u % 60) * 60


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ([dt.time(i % 24, i % 60) for i in u], SECONDS),
        (pd.arrays.ArrowExtensionArray._from_sequence([dt.time(i % 24, i % 60) for i in u]), SECONDS),
        (pd.to_timedelta(u * 37, unit="min"), u * 2220),
        ([f"{i % 24}:{i % 60:02d}" for i in u], SECONDS),
        ([f"{i % 24:02d}:{i % 60:02d}:30" for i in u], SECONDS + 30),
        ([f"{(i % 24) % 12 or 12}:{i % 60:02d} {'pm' if i % 24 > 11 else 'AM'}" for i in u], SECONDS),
        ([f"{i % 24}h {i % 60}min" for i in u], SECONDS),
        ([f"{i % 24} hours and {i % 60} minutes" for i in u], SECONDS),
        ([f"PT{i % 24}H{i % 60}M" for i in u], SECONDS),
        ([f"{i} h" if i % 2 else f"{i} min" for i in u], [3600 * i if i % 2 else 60 * i for i in u]),
        ([f"-{i} days 01:00:00" for i in u + 1], [-86400 * i - 3600 for i in u + 1]),
    ],
    ids=lambda of: str(of[0]),
)
def test_times_are_read_as_seconds(values, seconds):
    encoder, _ = encoded(values)
    (x, _) = encoder.parts
    np.testing.assert_array_equal(x.read(as_frame(pd.DataFrame({"x": values}))["x"]), seconds)


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ([f"{i % 7 + 1}/{i % 5 + 8}" for i in u], "may be a fraction"),
        ([f"{i % 7} 1/2" for i in u], "may be a fraction"),
        ([f"{i % 11} of 10" for i in u], "may be a fraction"),
        ([f"{i}-{i + 10}" for i in u], "may be a range"),
        ([f"{i} to {i + 9}" for i in u], "may be a range"),
        (pd.IntervalIndex.from_breaks(np.arange(N + 1.0)), "may be a range"),
        ([f"{i / 7:.1f} ± 0.4" for i in u], "with an uncertainty"),
        ([f"{i / 7:.2f}(4)" for i in u], "with an uncertainty"),
        ([f"{i / 7:.1f}×10^3" for i in u], "may be a number"),
        (["I", "II", "III", "IV", "V", "IX"] * 10, "a Roman numeral"),
        (["one", "two", "three"] * 20, "may be a number"),
        ([hex(i) for i in u], "a hexadecimal number"),
        ([f"{i / 3:.4f}, {i / 5:.4f}" for i in u], "several numbers"),
        ([[float(i), 2.0] for i in u], "several numbers"),
        (u + 1j, "a complex number"),
        ([{"a": i} for i in u], "an object"),
        ([f"{i} years {i % 12} months" for i in u], "may be a number"),
        ([f"{i}°{i}'30\"N" for i in u], "may be a number"),
        ([f"{i} m" for i in u], "may be a number: without 'm'"),
        (["yes", "Yes", "no"] * 20, "'yes' and 'Yes' differ only in case or spaces"),
        (["a b", "a  b", "c"] * 20, "'a b' and 'a  b' differ only in case or spaces"),
        (np.where(u % 10 == 0, -999.0, u), "-999 in 6 rows may stand for missing values"),
        (np.where(u % 10 == 0, 9999, u), "9999 in 6 rows may stand for missing values"),
        (np.where(u % 10 == 0, -1, u), "-1 in 6 rows may stand for missing values"),
        ([day if i % 10 else "9999-12-31" for i, day in zip(u, DAYS, strict=True)], "9999-12-31 in 6 rows may stand"),
        ([day if i % 10 else "1900-01-01" for i, day in zip(u, DAYS, strict=True)], "1900-01-01 in 6 rows may stand"),
        (1_600_000_000 + u * 86_400, "may be seconds since 1970"),
        (1_600_000_000_000 + u * 86_400_000, "may be milliseconds since 1970"),
        (np.array([101, 205, 333, 417, 502, 998])[u % 6], "may be names"),
    ],
    ids=lambda of: of if isinstance(of, str) else str(of[0]),
)
def test_what_is_not_read_as_it_looks_is_noted_unless_it_is_settled(values, note):
    _, notes = encoded(values)
    (found,) = [of for of in notes if note in of]
    kind = "number" if "--numbers" in found else "date" if "--dates" in found else "category"
    assert not any(note in of for of in encoded(values, x=kind)[1])


@pytest.mark.parametrize(
    "values",
    [
        u, u * 1.5, u % 5 + 1, 1960 + u, u - 30, np.where(u % 2, 1, -1), 99 - u, u * 7919 % 100_000, DAYS,
        ["red", "Blue", "green"] * 20, ["A+", "A", "A-"] * 20, ["L", "XL", "M"] * 20, ["I", "C", "D"] * 20,
        [f"AB-{i}" for i in u // 2], ["v1.2.3", "v1.2.4"] * 30, ["New York", "Rome"] * 30, 10.0**9 * (1 + u),
    ],
    ids=lambda of: str(of[0]),
)  # fmt: skip
def test_ordinary_columns_have_no_note(values):
    assert not [note for note in encoded(values)[1] if "may" in note or "differ" in note]


NAMES = [sorted(np.array(["red", "green", "blue", "big"])[RNG.random(4) < 0.5]) for _ in range(N)]


@pytest.mark.parametrize(
    "values",
    [
        *([sign.join(map(str, names)) for names in NAMES] for sign in (";", "|", ", ")),
        [[*map(str, names)] for names in NAMES],
        [np.array(names, object) for names in NAMES],
        [{*map(str, names)} for names in NAMES],
        pd.Series([[*map(str, names)] for names in NAMES], dtype=pd.ArrowDtype(pa.list_(pa.string()))),
    ],
    ids=lambda of: str(of[0]),
)
def test_lists_of_names_are_read_as_tags(values):
    encoder, notes = encoded(values)
    tags, _ = encoder.parts
    assert tags.kind == "tags"
    assert any(note.startswith("Read as tags separated by") for note in notes)
    expected = [[name in names for name in ("big", "blue", "green", "red")] + [False] for names in NAMES]
    np.testing.assert_array_equal(tags(as_frame(pd.DataFrame({"x": values}))["x"]), expected)


def test_names_that_training_did_not_have_share_an_input():
    tags = encoded([";".join(names) for names in NAMES])[0].parts[0]
    new = pd.Series(["old;red", "old", None])
    assert tags(new).tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 0, 1], [0] * 5]
    assert "'old'" in str(tags.missed(new))


@pytest.mark.parametrize("sign", [";", ", "])
def test_tags_are_kept_in_files_and_exports(sign, tmp_path):
    table = pd.DataFrame({"tags": [sign.join(names) for names in NAMES], "size": u, "y": ["red" in of for of in NAMES]})
    model = vp.TabularClassifier("y", n_members=2, max_iter=3, random_state=0).fit(table)
    expected = model.predict_proba(table)
    vp.save(model, tmp_path / "model.npz")
    np.testing.assert_array_equal(vp.load(tmp_path / "model.npz").predict_proba(table), expected)
    written: dict[str, Any] = {}
    exec(vp.export.to_numpy(model), written)
    np.testing.assert_allclose(written["predict_proba"](table), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "values",
    [
        [f"{town}, {land}" for town, land in zip(DAYS, "abcdef" * 10, strict=True)],
        ["good, cheap and nice", "cheap, but loud", "nice, good", "loud; bad", "bad, loud, good"] * 12,
        ["a;b", "c;d"] * 30,
    ],
    ids=lambda of: str(of[0]),
)
def test_other_text_has_no_tags(values):
    assert "tags" not in encoded(values)[0].kinds.values()


@pytest.mark.parametrize("name", ["zip", "store_id", "regionCode", "Type"])
def test_names_of_columns_that_hold_codes(name):
    frame = pd.DataFrame({name: 1 + u % 9, "amount": u})
    (note,) = [note for note in Encoder.of(frame)[1] if "may be names" in note]
    assert note.startswith(f"Column {name!r}: whole numbers such as 1 may be names")

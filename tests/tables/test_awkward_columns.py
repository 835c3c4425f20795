"""Columns that look like numbers, dates or codes are read as such, or a note names the setting that changes it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

import vecprop as vp
from awkward_columns import (
    CODES,
    DAYS,
    HONEST_ZEROS,
    NAMES,
    NOTED,
    ORDINARY,
    TAGS,
    TIMES,
    UNCLEAR,
    UNITS,
    ZEROS_FOR_MISSING,
    N,
    u,
)
from sampled import sampled


def learned(frame, columns=None):
    """Return the encoder of a table and the notes on its columns."""
    learned = vp.TableEncoder(columns=columns).fit(frame)
    return learned.encoder_, learned.notes_


def table_of(values):
    return pd.DataFrame({"x": values, "other": np.arange(N) * 1.5})


def encoded(values, **columns):
    return learned(table_of(values), columns)


def begins(case):
    return (
        case
        if isinstance(case, str)
        else str(sorted(case[0]) if isinstance(case[0], set) else case[0])
    )


@pytest.mark.parametrize(("values", "seconds"), TIMES, ids=begins)
def test_times_are_read_as_seconds(values, seconds):
    encode = vp.TableEncoder(columns={"x": "number"}).fit_transform
    of_times = vp.TableEncoder().fit_transform(table_of(values))
    np.testing.assert_array_equal(of_times, encode(table_of(seconds)))


@pytest.mark.parametrize(("values", "note"), NOTED, ids=begins)
def test_ambiguous_columns_are_noted_unless_the_user_sets_their_kind(values, note):
    _, notes = encoded(values)
    (found,) = [of for of in notes if note in of]
    kind = (
        "number"
        if "--numbers" in found
        else "date"
        if "--dates" in found
        else "category"
    )
    assert not any(note in of for of in encoded(values, x=kind)[1])


@pytest.mark.parametrize(
    ("form", "note"),
    [
        ("{0}.{1:02}", "'1.01' may be a day and a month"),
        ("{0},{1:02}", "'1,01' may be a day and a month"),
        ("{2}.{3:02}", "'0.00' may be a time: write times like 14:30"),
        ("{2}.{3:02} Uhr", "'0.00 Uhr' may be a time: write times like 14:30"),
        ("{0}.{4:02}", ""),
        ("{4}.{3:02}", ""),
    ],
)
def test_decimals_may_be_months_or_minutes(form, note):
    values = [
        form.format(k % 31 + 1, k % 12 + 1, k % 24, 7 * k % 60, 3 * k % 97)
        for k in range(N)
    ]
    notes = [text for text in encoded(values)[1] if "may be" in text]
    assert len(notes) == bool(note)
    assert note in "".join(notes)


@pytest.mark.parametrize("values", ORDINARY, ids=begins)
def test_ordinary_columns_have_no_note(values):
    assert not [
        note for note in encoded(values)[1] if "may" in note or "differ" in note
    ]


@pytest.mark.parametrize("name", [*ZEROS_FOR_MISSING, *HONEST_ZEROS])
def test_zeros_are_noted_only_if_they_may_stand_for_missing_values(name):
    frame = pd.DataFrame({name: (ZEROS_FOR_MISSING | HONEST_ZEROS)[name]})
    notes = [
        note
        for note in learned(frame)[1]
        if ": 0 in" in note and "may stand for missing values" in note
    ]
    assert len(notes) == (name in ZEROS_FOR_MISSING)


@pytest.mark.parametrize(
    "load", [load_breast_cancer, load_wine, load_diabetes, load_digits]
)
def test_zeros_of_well_known_tables_are_ordinary(load):
    frame = load(as_frame=True).data
    assert not [note for note in learned(frame)[1] if "missing" in note]


@pytest.mark.parametrize("values", TAGS, ids=begins)
def test_delimited_names_are_tags(values):
    encoder, notes = encoded(values)
    assert encoder.kinds["x"] == "tags"
    assert any(note.startswith("Read as tags separated by") for note in notes)
    expected = [
        [name in names for name in ("big", "blue", "green", "red")] + [False]
        for names in NAMES
    ]
    inputs = vp.TableEncoder(piecewise=False).fit_transform(table_of(values))
    np.testing.assert_array_equal(inputs[:, : len(expected[0])], expected)


def survey(values) -> tuple[str | None, list[str]]:
    """Return the kind of a column, and the notes that name it."""
    encoder, notes = learned(column_of(values))
    return encoder.kinds.get("c"), [note for note in notes if "'c'" in note]


def column_of(values):
    return pd.DataFrame({"c": list(values), "other": np.arange(len(values)) * 1.5})


@pytest.mark.parametrize("name", sampled(UNITS, 4))
def test_columns_with_one_unit_are_numbers(name):
    texts, numbers = UNITS[name]
    kind, notes = survey(texts)
    assert kind == "numbers"
    inputs, expected = (
        vp.TableEncoder().fit_transform(column_of(values))
        for values in (texts, np.asarray(numbers, float))
    )
    np.testing.assert_allclose(inputs, expected, rtol=1e-6)
    assert any(note.startswith("Read as numbers, ") for note in notes)


@pytest.mark.parametrize("name", sampled(UNCLEAR, 4))
def test_quantities_that_are_read_as_names_are_noted(name):
    _, notes = survey(UNCLEAR[name])
    assert [note for note in notes if "read as" in note], name


NOTED_CODES = {"2009-10", "2:1", "007x"}
"""Codes that look like a date, a fraction or a quantity."""


@pytest.mark.parametrize("name", sampled(CODES, 3))
def test_codes_with_digits_are_categories_without_a_note(name):
    kind, notes = survey(CODES[name])
    assert kind in (None, "categories", "text")
    assert name in NOTED_CODES or not [note for note in notes if "read as text" in note]


def test_lists_of_integers_are_tags():
    tags: Any = encoded([[*range(i % 5)] for i in u])[0].parts[0]
    assert tags.kind == "tags"
    assert tags.names.tolist() == ["0", "1", "2", "3"]


def test_unseen_tags_share_an_input():
    tags = encoded([";".join(names) for names in NAMES])[0].parts[0]
    new = pd.Series(["old;red", "old", None])
    assert tags(new).tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 0, 1], [0] * 5]
    assert "'old'" in str(tags.misfit(new))


@pytest.mark.parametrize("sign", [";", ", "])
def test_tags_survive_saving_and_export(sign, tmp_path):
    table = pd.DataFrame(
        {
            "tags": [sign.join(names) for names in NAMES],
            "size": u,
            "y": ["red" in of for of in NAMES],
        }
    )
    model = vp.TabularClassifier("y", n_estimators=2, max_iter=3, random_state=0).fit(
        table
    )
    expected = model.predict_proba(table)
    vp.save(model, tmp_path / "model.npz")
    np.testing.assert_array_equal(
        vp.load(tmp_path / "model.npz").predict_proba(table), expected
    )
    written: dict[str, Any] = {}
    exec(vp.export.to_numpy(model), written)
    np.testing.assert_allclose(written["predict_proba"](table), expected, rtol=1e-5)


@pytest.mark.parametrize("unit", ["years", "mg/dL"])
def test_units_survive_saving_export_and_streaming(unit, tmp_path, monkeypatch):
    table = pd.DataFrame({"c": [f"{i} {unit}" for i in u], "size": u % 7, "y": u * 1.5})
    table.to_parquet(tmp_path / "t.parquet", row_group_size=20)
    table.to_csv(tmp_path / "t.csv", index=False)
    model = vp.TabularRegressor("y", n_estimators=2, max_iter=3, random_state=0).fit(
        tmp_path / "t.csv"
    )
    expected = model.predict(table)
    assert len(np.unique(expected)) > 20
    np.testing.assert_array_equal(model.predict(tmp_path / "t.parquet"), expected)
    vp.save(model, tmp_path / "model.npz")
    loaded = vp.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(loaded.predict(tmp_path / "t.csv"), expected)
    assert loaded.encoder_.readings == model.encoder_.readings
    written: dict[str, Any] = {}
    exec(vp.export.to_numpy(model), written)
    np.testing.assert_allclose(written["predict"](table), expected, rtol=1e-5)
    (note,) = loaded.detect_drift(
        table.assign(c=[f"{i} {'lb' if i == 7 else unit}" for i in u])
    )
    assert "1 value(s), such as '7 lb'" in note
    assert "are not numbers in the training format (numbers, " in note
    with pytest.raises(ValueError, match="'7 lb' is not a number"):
        written["predict"](table.assign(c="7 lb"))


@pytest.mark.parametrize(
    "values",
    [
        [f"{town}, {land}" for town, land in zip(DAYS, "abcdef" * 10, strict=True)],
        [
            "good, cheap and nice",
            "cheap, but loud",
            "nice, good",
            "loud; bad",
            "bad, loud, good",
        ]
        * 12,
        ["a;b", "c;d"] * 30,
    ],
    ids=lambda of: str(of[0]),
)
def test_other_text_is_not_tags(values):
    assert "tags" not in encoded(values)[0].kinds.values()


def test_classes_that_differ_in_case_are_noted():
    y = np.array(["yes", "Yes", "no"])[u % 3]
    model = vp.TabularClassifier("y", n_estimators=2, max_iter=1).fit(
        pd.DataFrame({"x": u, "y": y})
    )
    assert "The target 'y': 'Yes' and 'yes' differ only in case or spaces" in " ".join(
        model.notes_
    )


@pytest.mark.parametrize("name", ["zip", "store_id", "regionCode", "Type"])
def test_column_names_that_suggest_codes(name):
    frame = pd.DataFrame({name: 1 + u % 9, "amount": u})
    (note,) = [note for note in learned(frame)[1] if "may be codes" in note]
    assert note.startswith(f"Column {name!r}: integers such as 1 may be codes")

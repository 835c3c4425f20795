"""Training determines the format of each column, which later tables, chunks, files and exports use."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import vecprop as vp
from column_readings import (
    CLEAR,
    DAYS_OF,
    DOUBTFUL,
    FORMS,
    KINDS,
    MISFITS,
    NO_DATES,
    SIGNS,
)
from sampled import sampled
from vecprop import TabularClassifier, TabularRegressor, read_table
from vecprop.tables import guess_task, read_chunks
from vecprop.tables.encoding.encoder import Encoder
from vecprop.tables.kinds.ambiguities import ColumnOptions
from vecprop.tables.kinds.formats import DateReading, NumberReading
from vecprop.tables.kinds.kinds import kind_of
from vecprop.tables.kinds.values import read_days

N = 120
FEW: dict[str, Any] = {
    "n_estimators": 2,
    "max_iter": 2,
    "hidden_layer_sizes": (4,),
    "random_state": 0,
}
RNG = np.random.default_rng(0)


def german(value, digits):
    return f"{value:.{digits}f}".replace(".", ",")


def kind(values, **said):
    return kind_of(pd.Series(values), "x", ColumnOptions(**said))


def days(values, **said):
    """Parse a column of dates."""
    reading = kind(values, **said).reading
    assert isinstance(reading, DateReading)
    return [reading.days(value) for value in values]


def numbers(values, **said):
    """Parse a column of numbers."""
    reading = kind(values, **said).reading
    assert isinstance(reading, NumberReading)
    return [reading.value(value) for value in values]


def read(encoder: Any, frame):
    """Parse each column."""
    return [
        part.read(frame[name]).tolist()
        for name, part in zip(encoder.names, encoder.parts, strict=True)
    ]


def write(path, **columns):
    pd.DataFrame(columns).to_csv(path, index=False, sep=";")
    return path


@pytest.fixture(scope="module")
def electricity(tmp_path_factory):
    """A file with decimal commas, also in the target, and a model fitted to it."""
    x = RNG.uniform(1, 10, N).round(3)
    path = tmp_path_factory.mktemp("tables") / "eu.csv"
    price = [f"{v:,.2f}".translate(str.maketrans(",.", ".,")) for v in 1000 * x]
    write(
        path,
        strom=[f"{v:g}".replace(".", ",") for v in x],
        preis=price,
        ziel=[german(3 * v, 1) for v in x],
    )
    return path, TabularRegressor(target="ziel", **FEW).fit(path)


@pytest.mark.parametrize(("values", "expected"), SIGNS)
def test_numbers_are_parsed_in_the_format_of_their_column(values, expected):
    assert numbers(values) == expected


@pytest.mark.parametrize(("of_training", "misfit"), MISFITS)
def test_numbers_in_another_format_are_invalid(of_training, misfit):
    encoder, _ = Encoder.of(pd.DataFrame({"x": of_training}))
    (note,) = encoder.notes_on(
        encoder.misfits(pd.DataFrame({"x": [of_training[0], misfit]}))
    )
    assert (
        f"Column 'x': 1 value(s), such as {misfit!r} in row 1, are not numbers" in note
    )
    inputs = encoder(pd.DataFrame({"x": [misfit, None]}))
    np.testing.assert_array_equal(inputs[0], inputs[1])


def test_invalid_numbers_are_reported_once_for_all_chunks():
    frame = pd.DataFrame(
        {
            "x": ["1,5", "2,5"] * 20,
            "sold": ["31.12.2023", "1.2.2024"] * 20,
            "town": list("ab") * 20,
        }
    )
    encoder, _ = Encoder.of(frame)
    new = frame.assign(
        x=["1,5", "?", *["1.5"] * 38],
        sold=["1.1.2024"] * 30 + ["5/31/2024"] * 10,
        town=list("acdefb" * 6 + "bbbb"),
    )
    whole, parts = encoder.misfits(new), None
    for first in range(40):
        parts = encoder.misfits(new.iloc[first : first + 1], parts)
    assert encoder.notes_on(parts or {}) == encoder.notes_on(whole)
    assert [note[:54] for note in encoder.notes_on(whole)] == [
        "Column 'x': 39 value(s), such as '?' in row 1, are not",
        "Column 'sold': 10 value(s), such as '5/31/2024' in row",
        "Column 'town': 'c', 'd', 'e' and others: fewer than 2 ",
    ]


def test_integers_with_many_digits_survive_in_files(tmp_path):
    ids = ["9007199254740993", "9007199254740992", "12"]
    frame = read_table(
        write(tmp_path / "ids.csv", a=[*ids, ""], b=[*ids, "7"], c=["9" * 20, *ids])
    )
    assert frame.a.tolist()[:3] == ids
    assert frame.b.dtype == int
    assert frame.c[0] == "9" * 20


def test_few_distinct_integers_are_dates_if_declared():
    values = [20240131, 20240201] * 5
    assert kind(values).name == "number"
    declared: Any = kind(values, columns={"x": "date"})
    assert read_days(pd.Series(values), declared.reading)[0][:2].tolist() == [
        19753,
        19754,
    ]
    assert kind([45000, 45001], columns={"x": "date"}).reading == DateReading(
        format="excel"
    )


def test_addresses_versions_and_part_numbers_are_not_dates():
    for written, expected in FORMS.items():
        assert days([written]) == pytest.approx([expected]), written
    for pattern in NO_DATES:
        assert (
            kind([pattern.format(*RNG.integers(1, 9, 4)) for _ in range(100)]).name
            == "category"
        ), pattern


@pytest.mark.parametrize(("values", "expected"), KINDS, ids=str)
def test_the_kind_of_a_column_is_inferred(values, expected):
    assert kind(values).name == expected


@pytest.mark.parametrize(("values", "said", "expected"), DAYS_OF, ids=str)
def test_dates_become_days(values, said, expected):
    assert days(values, **said) == expected


@pytest.mark.parametrize(("values", "note"), DOUBTFUL, ids=str)
def test_ambiguous_values_are_noted(values, note):
    assert kind(values).note.startswith(note)
    assert not kind(values, columns={"x": "category"}).note


def test_distinct_numbers_with_and_without_units_are_noted():
    views = [f"{k}{'k' if k % 2 else ''}" for k in range(50)]
    notes = Encoder.of(pd.DataFrame({"views": views, "x": range(50)}))[1]
    (note,) = (note for note in notes if "'views'" in note and "not used" not in note)
    assert "most values contain digits, such as '1k'" in note


@pytest.mark.parametrize("values", CLEAR, ids=str)
def test_unambiguous_values_are_not_noted(values):
    assert not kind(values).note


def test_a_word_among_numbers_does_not_make_them_classes():
    numbers = [str(k / 7) for k in range(60)]
    assert guess_task([*numbers, "[s]"]) == "regression"
    assert guess_task([*numbers, *["low"] * 9]) == "classification"
    assert guess_task(["1", "2", "many"] * 9) == "classification"
    assert guess_task(pd.Series(["01", "02"] * 30)) == "classification"


def test_a_declared_column_without_valid_values_is_dropped():
    frame = pd.DataFrame({"a": list("xyz") * 9, "b": list("xyz") * 9, "c": range(27)})
    encoder, _ = Encoder.of(frame, ColumnOptions({"a": "number", "b": "date %Y"}))
    assert encoder.dropped["a"] == "no value can be read as numbers"
    assert encoder.dropped["b"] == "no value can be read as dates, format '%Y'"
    encoder, _ = Encoder.of(
        pd.DataFrame({"x": [45322, 45323]}), ColumnOptions({"x": "date"})
    )
    # days of Excel
    np.testing.assert_array_equal(
        read(encoder, pd.DataFrame({"x": [45322.0]})), [[19753]]
    )


@pytest.mark.parametrize(
    "form", ["%Y%m", "%d%m%Y", "%m%d%Y", "%y%m%d", "%Y%j", "%Y%m%d%H%M%S"]
)
def test_integers_that_may_be_dates_are_noted(form):
    dates = pd.date_range("2019-10-03 10:00", periods=400, freq="37D")
    texts = [date.strftime(form) for date in dates if date.day > 9 and date.month > 9]
    for values in (texts, list(map(int, texts))):
        assert f"may be a date: set columns={{'x': 'date {form}'}}" in kind(values).note
    assert not np.isnan(
        np.array(days(texts[20:], columns={"x": f"date {form}"}), float)
    ).any()
    assert not kind([*texts, "7"]).note
    assert (
        "may be a date: "
        in kind([date.strftime(form).lstrip("0") for date in dates]).note
    )


def test_notes_on_unused_columns_report_dates_and_numbers():
    frame = pd.DataFrame(
        {
            "t": [f"2023-08-{k + 1:02d}-05:30:35" for k in range(30)],
            "z": np.arange(30) % 3,
        }
    )
    encoder, notes = Encoder.of(frame)
    assert "t" in encoder.dropped
    assert any("'2023-08-01-05:30:35' may be a date" in note for note in notes)
    # equal as numbers
    frame["t"] = [str(123456789012345678 + k % 4) for k in range(30)]
    encoder, notes = Encoder.of(frame)
    assert encoder.dropped["t"] == "all values are the same"
    assert any("if it is a code, set columns={'t': 'code'}" in note for note in notes)


def test_notes_on_ambiguous_columns_contain_the_setting():
    frame = pd.DataFrame(
        {"price": ["1,234", "5,678"] * 9, "sold": ["01/02/2024", "03/04/2024"] * 9}
    )
    _, notes = Encoder.of(frame)
    assert (
        "Column 'price': '1,234' is read as 1234, but may also be 1.234: set"
        " decimal='.'" in notes[2]
    )
    assert "dates such as '01/02/2024' are ambiguous and read month first" in notes[3]
    assert numbers(["1,234", "5,678"], decimal=",") == [1.234, 5.678]
    _, notes = Encoder.of(frame, ColumnOptions(decimal=",", date_format="day first"))
    assert notes == [
        "Read as numbers, decimal separator ',': 'price'.",
        "Read as dates, day/month/year: 'sold'.",
    ]
    assert kind(["01.02.2024"]).reading == DateReading(("day.month.year",))


def test_other_columns_determine_an_ambiguous_decimal_sign():
    frame = pd.DataFrame(
        {"a": ["1,5", "2,5"], "b": ["1,234", "5,678"], "c": ["1.234", "5.678"]}
    )
    encoder, notes = Encoder.of(frame)
    assert read(encoder, frame) == [[1.5, 2.5], [1.234, 5.678], [1234, 5678]]
    assert [note[:10] for note in notes if ": set " in note] == [
        "Column 'b'",
        "Column 'c'",
    ]


def test_users_can_set_kinds():
    columns = {
        "a": np.arange(40),
        "b": ["x", "y"] * 20,
        "c": ["1", "2"] * 20,
        "d": [f"k{k}" for k in range(40)],
    }
    frame = pd.DataFrame(columns)
    said = {"a": "category", "b": "text", "c": "code", "d": "ignore"}
    encoder, notes = Encoder.of(frame, ColumnOptions(said))
    assert encoder.readings == {"a": "categories", "b": "text", "c": "codes"}
    assert notes[0] == "Column 'd' is not used: ignored on request."
    assert (
        TabularClassifier(columns=said, **FEW)
        .fit(frame, np.arange(40) % 2)
        .encoder_.kinds
        == encoder.kinds
    )
    assert kind(["01001", "98101"], columns={"x": "number"}).name == "number"
    assert not kind(["1.1", "1.10"], columns={"x": "number"}).note


def test_invalid_column_options_raise():
    said: dict[str, Any]
    for said, message in (
        (
            {"columns": {"a": "zip"}},
            "has the unknown kind 'zip': use one of number, category, code, date",
        ),
        ({"columns": {"a": "number ;"}}, "has the invalid setting 'number ;'"),
        (
            {"columns": {"b": "number"}},
            "The table has no column 'b', which is set to 'number'",
        ),
        (
            {"columns": {"": "number"}},
            "The table has no column '', which is set to 'number'",
        ),
        ({"columns": {"a": 5}}, "has the unknown kind '5'"),
        ({"date_format": "soon"}, "'soon' is not a date format"),
        ({"decimal": ";"}, "The 'decimal' parameter of TabularRegressor must be"),
    ):
        with pytest.raises(ValueError, match=message):
            TabularRegressor(**FEW, **said).fit(
                pd.DataFrame({"a": np.arange(30)}), np.arange(30)
            )


@pytest.mark.parametrize("rows", sampled([7, 1, N, 2]))
def test_predictions_do_not_depend_on_the_chunk_size(electricity, rows):
    path, model = electricity
    expected = model.predict(path)
    parts = [model.predict(part) for part in read_chunks(path, rows, as_text=True)]
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert np.abs(expected).max() < 31
    (note,) = model.detect_drift(
        pd.DataFrame({"strom": [1.234], "preis": ["1.234,50"]})
    )
    assert "the values are numeric, but training parsed text" in note


def test_a_target_is_parsed_in_the_training_format(electricity, tmp_path):
    path, model = electricity
    assert model.target_reading_ == NumberReading(",")
    assert model.range_[1] < 60
    few = read_table(path, as_text=True)
    few = few[few.ziel.str.endswith(",0")]
    np.testing.assert_array_equal(
        model._values(few.ziel.to_numpy()), few.ziel.str.slice(stop=-2).astype(float)
    )


def test_codes_do_not_depend_on_other_rows(tmp_path):
    code = RNG.choice(["01001", "02002", "03003", "X4"], N, p=[0.3, 0.3, 0.3, 0.1])
    path = write(
        tmp_path / "zip.csv",
        zip=code,
        b=np.arange(N) % 5,
        y=(code == "01001") * 10 + np.arange(N) % 3,
    )
    model = TabularRegressor(target="y", **FEW).fit(path)
    assert model.encoder_.readings["zip"] == "codes"
    assert "Read as codes: 'zip'." in model.notes_
    both = write(tmp_path / "new.csv", zip=["01001", "X4"], b=[1, 1])
    alone = write(tmp_path / "alone.csv", zip=["01001"], b=[1])
    assert model.predict(both)[0] == model.predict(alone)[0]
    assert model.predict(both)[0] != model.predict(both)[1]
    assert read_table(alone).zip.tolist() == ["01001"]


def test_dates_in_another_order_are_reported_with_their_line(tmp_path):
    dates = pd.date_range("2023-01-01", periods=N)
    path = write(tmp_path / "iso.csv", when=dates.strftime("%Y-%m-%d"), y=np.arange(N))
    model = TabularRegressor(target="y", **FEW).fit(path)
    for form in ("%d.%m.%Y", "%m/%d/%Y"):
        new = write(
            tmp_path / "new.csv", when=["2023-03-01", *dates[:5].strftime(form)]
        )
        (note,) = model.detect_drift(new)
        assert (
            f"5 value(s), such as {dates[0].strftime(form)!r} in line 3, are not dates"
            in note
        )
        assert len(np.unique(model.predict(new)[1:])) == 1


def test_line_numbers_count_blank_and_multiline_rows(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('a,b\n1,x\n\n2,"y\nz"\n3,w')
    assert read_table(path, as_text=True).index.tolist() == [2, 5, 6]
    assert [part.index.tolist() for part in read_chunks(path, 2, as_text=True)] == [
        [2, 5],
        [6],
    ]
    assert read_table(path).index.tolist() == [0, 1, 2]


def test_none_is_a_class_and_na_only_if_requested(tmp_path):
    y = np.array(["None", "NA", "mild", "", "null"])[np.arange(100) % 5]
    path = write(tmp_path / "none.csv", x=np.arange(100) % 7, y=y)
    model = TabularClassifier(target="y", **FEW).fit(path)
    assert model.classes_.tolist() == ["None", "mild"]
    assert any(
        "these values of the target 'y' are read as missing: 'NA' (20), 'null' (20)"
        in note
        for note in model.notes_
    )
    assert "Rows without a target are not used: 60 of 100." in model.notes_
    frame = read_table(path, target="y", classes=["NA", "null"])
    assert sorted(frame.y.dropna().unique()) == ["NA", "None", "mild", "null"]
    path = write(
        tmp_path / "padded.csv", x=np.arange(90) % 7, y=["yes", "yes ", "no"] * 30
    )
    assert read_table(path, target="y").y.unique().tolist() == ["yes", "no"]


def test_none_among_numbers_is_missing_and_integer_classes_stay_integers(tmp_path):
    path = write(
        tmp_path / "numbers.csv",
        x=np.arange(90) % 7,
        y=["None", *(np.arange(89) / 7).round(3)],
    )
    assert (
        "Rows without a target are not used: 1 of 90."
        in TabularRegressor(target="y", **FEW).fit(path).notes_
    )
    path = write(
        tmp_path / "classes.csv",
        x=np.arange(90) % 7,
        y=["", *map(str, np.arange(89) % 2)],
    )
    assert TabularClassifier(target="y", **FEW).fit(path).predict(path).dtype == int
    path = write(
        tmp_path / "inputs.csv", x=["None", "1.5", "NA"] * 30, y=np.arange(90) % 2
    )
    assert read_table(path).x.isna().sum() == 60
    assert TabularClassifier(target="y", **FEW).fit(path).encoder_.kinds == {
        "x": "numbers"
    }


def test_formats_survive_saving(electricity, tmp_path):
    path, model = electricity
    vp.save(model, tmp_path / "eu.npz")
    again = vp.load(tmp_path / "eu.npz")
    assert again.encoder_.readings == model.encoder_.readings
    assert again.target_reading_ == model.target_reading_
    np.testing.assert_array_equal(again.predict(path), model.predict(path))


def test_lists_of_equally_many_numbers_are_no_tags():
    for ending in ("", ";"):
        assert (
            kind(
                [f"{a};{b}{ending}" for a in range(1, 6) for b in range(1, 6)] * 4
            ).name
            != "tags"
        )


def test_notes_name_the_clearest_example():
    numbers = pd.DataFrame({"c": ["1.123", "1.1230", "2.5", "3.25"] * 10})
    days = pd.DataFrame({"day": ["01.02.45", "03.04.68", "15.06.50", "28.12.61"] * 10})
    assert "'1.1230' is read as 1.123" in " ".join(Encoder.of(numbers)[1])
    assert "'03.04.68' is read as a date in 2068" in " ".join(Encoder.of(days)[1])

"""Files that other programs export are read, or an error says how to export them."""

import re

import openpyxl
import pandas as pd
import pytest

from awkward_exports import READ, REFUSED
from vecprop import TableError, TabularClassifier, read_table
from vecprop.tables import read_chunks


def plain(values):
    """Return values without missing ones, which differ in type."""
    return [None if pd.isna(value) else value for value in values]


@pytest.mark.parametrize("name", READ)
def test_exports_are_read(name, tmp_path):
    file, content, columns, first, note = READ[name]
    path = tmp_path / file
    path.write_bytes(content)
    frame = read_table(path)
    assert list(frame.columns) == columns
    assert plain(frame.iloc[0]) == first
    notes = " ".join(line for line in frame.attrs["notes"] if "cp1252" not in line)
    assert re.search(note, notes) if note else not notes
    pd.testing.assert_frame_equal(
        pd.concat(read_chunks(path, 2), ignore_index=True).astype(str),
        frame.astype(str),
    )


@pytest.mark.parametrize("name", REFUSED)
def test_other_exports_are_refused_with_advice(name, tmp_path):
    if (
        name == "separators at the ends of rows"
        and int(pd.__version__.split(".")[0]) < 3
    ):
        pytest.skip("this release of pandas ignores empty values at the ends of rows")
    file, content, message = REFUSED[name]
    path = tmp_path / file
    path.write_bytes(content)
    for read in (read_table, lambda path: list(read_chunks(path))):
        with pytest.raises(TableError, match=message) as raised:
            read(path)
        assert str(path) in str(raised.value)


def test_a_list_of_dicts_is_refused():
    with pytest.raises(
        TableError,
        match=(
            r"X is a list of dicts, not a data frame: convert it with pandas.DataFrame"
        ),
    ):
        TabularClassifier().fit([{"a": 1}, {"a": 2}], [0, 1])


TITLES = {
    "title": [["Towns of Europe"]],
    "title and empty row": [["Towns of Europe"], []],
    "title and date": [["Towns of Europe"], ["as of", "2024-05-01"], []],
    "empty rows": [[], []],
}


@pytest.mark.parametrize("name", TITLES)
def test_titles_of_workbooks_are_skipped(name, tmp_path):
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in [
        *TITLES[name],
        ["town", "size", "year"],
        ["Rome", 2.5, 1990],
        ["Oslo", 0.5, 2001],
        ["Total", 3, None],
    ]:
        sheet.append(row)
    if "title" in name:
        sheet.merge_cells("A1:C1")
    book.save(tmp_path / "towns.xlsx")
    frame = read_table(tmp_path / "towns.xlsx", as_text=True)
    count = len(TITLES[name])
    assert frame.columns.tolist() == ["town", "size", "year"]
    assert frame.iloc[0].tolist() == ["Rome", 2.5, 1990]
    assert frame.index.tolist() == [count + 2, count + 3, count + 4]
    assert f"skipped {count} row(s) above the header" in frame.attrs["notes"][0]
    assert ("'Towns of Europe'" in frame.attrs["notes"][0]) == ("title" in name)
    assert f"line {count + 4}: 'Total' looks like a total" in frame.attrs["notes"][1]


def test_the_first_row_of_a_workbook_is_its_header(tmp_path):
    book = openpyxl.Workbook()
    for row in (["town", "size", None], ["Rome", 2.5, None], ["Oslo", None, "x"]):
        book.worksheets[0].append(row)
    book.save(tmp_path / "towns.xlsx")
    frame = read_table(tmp_path / "towns.xlsx")
    assert frame.columns.tolist() == ["town", "size", "column 3"]
    assert frame.attrs["notes"] == []

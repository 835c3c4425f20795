"""Unusual but valid files are read as intended, or a note reports them."""

import gzip

import openpyxl
import pandas as pd
import pytest

from vecprop import TableError, read_table
from vecprop.tables import read_chunks

TABLE = pd.DataFrame({"town": ["Rome", "Oslo", "Bonn"], "size": [2.5, 0.5, 1.5]})
TEXT = "town,size\nRome,2.5\nOslo,0.5\nBonn,1.5\n"


def assert_read(path, line=2, note=""):
    """Compare a file, whole and in chunks, with the table and the line numbers of its rows."""
    read = read_table(path)
    pd.testing.assert_frame_equal(read, TABLE, check_dtype=False)
    assert note in " ".join(read.attrs["notes"])
    parts = [*read_chunks(path, rows=2)]
    pd.testing.assert_frame_equal(
        pd.concat(parts, ignore_index=True), TABLE, check_dtype=False
    )
    assert read_table(path, as_text=True).index.tolist() == [line, line + 1, line + 2]
    assert [
        line for part in read_chunks(path, rows=2, as_text=True) for line in part.index
    ] == [
        line,
        line + 1,
        line + 2,
    ]


@pytest.mark.parametrize(
    ("above", "note"),
    [
        ("sep=,\n", ""),
        ('"sep=,"\r\n', ""),
        ("sep=^\n", ""),
        (
            "# made by hand\n",
            "skipped 1 line(s) above the header, such as '# made by hand'",
        ),
        ("# in 2024, by hand\n#\n\n# all, towns\n", "4 line(s) above"),
    ],
)
def test_lines_above_the_header_are_skipped(tmp_path, above, note):
    path = tmp_path / "towns.csv"
    path.write_text(
        above + (TEXT.replace(",", "^") if "^" in above else TEXT), newline=""
    )
    assert_read(path, 2 + above.count("\n"), note)


@pytest.mark.parametrize(
    "text",
    ["#town,size\nRome,2.5\nOslo,0.5\n", "#town,land\nRome,Italy\nOslo,Norway\n"],
)
def test_a_comment_can_be_the_header(tmp_path, text):
    path = tmp_path / "towns.csv"
    path.write_text(f"## version 4\n{text}")
    read = read_table(path)
    assert read.columns[0] == "#town"
    assert len(read) == 2


def test_a_quotation_mark_can_join_a_comment_with_the_table(tmp_path):
    path = tmp_path / "towns.csv"
    path.write_text('#a,"b\n1,2\n3,4\n5,6"\n')
    assert read_table(path).to_numpy().tolist() == [[3, "4"], [5, '6"']]
    path.write_text('#a,"b\n1,2\n3,4\n5,6\n')
    assert len(read_table(path)) == 2


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("name", ["towns.csv", "towns", "towns.csv.gz"])
def test_encodings_and_compression_under_any_name(tmp_path, name, encoding):
    path, content = tmp_path / name, TEXT.encode(encoding)
    path.write_bytes(content if name == "towns.csv" else gzip.compress(content))
    assert_read(path)


def test_merged_cells_and_hidden_rows_of_a_sheet(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (
        ["land", "town"],
        ["Italy", "Rome"],
        [None, "Bari"],
        ["Norway", "Oslo"],
    ):
        sheet.append(row)
    sheet.merge_cells("A2:A3")
    sheet.row_dimensions[4].hidden = True
    book.save(tmp_path / "towns.xlsx")
    read = read_table(tmp_path / "towns.xlsx")
    assert read["land"].tolist() == ["Italy", "Italy", "Norway"]
    assert read.attrs["notes"] == [
        "towns.xlsx: copied the value of merged cells, such as A2:A3, to each of them.",
        "towns.xlsx, line 4: hidden, but read like other rows.",
    ]


def test_first_lines_longer_than_a_megabyte(tmp_path):
    name = "t" * 1_100_000
    (tmp_path / "t.csv").write_text(f"{name};size\nRome;2,5\nOslo;0,5\n")
    assert read_table(tmp_path / "t.csv", as_text=True).columns.tolist() == [
        name,
        "size",
    ]
    (tmp_path / "j.csv").write_text('[{"town": 1}' + ', {"town": 1}' * 100_000 + "]")
    with pytest.raises(TableError, match="is JSON, not delimited text"):
        read_table(tmp_path / "j.csv")


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "town,size\nRome,2.5\n,\nOslo,0.5\n,\n",
            "lines 3, 5: no values, but read as rows: remove them.",
        ),
        (
            "size,town\n2.5,Rome\n0.5,Oslo\n3,Total\n",
            "line 4: 'Total' looks like a total or a footer",
        ),
        (
            "town,size\nRome,2.5\nOslo,0.5\nItaly Total,3\n",
            "line 4: 'Italy Total' looks like a total or a footer",
        ),
        (
            "town,size\n" + "Rome,2\n" * 9 + "Italy Total,18\nOslo,1\nTotal,19\n",
            "lines 11, 13: 'Total' looks like a total",
        ),
        (
            "town,size\nRome,2.5\nOslo,0.5\nAverage,1.5\n",
            "line 4: 'Average' looks like a total or a footer",
        ),
        (
            "town,size\n“Rome”,2.5\n“Oslo”,0.5\n",
            "values in “, which belong to the text",
        ),
        (
            "town,size\nKÃ¶ln,2.5\nOslo,0.5\n",
            "damaged characters, such as 'Ã¶ln,2.5': export it again as UTF-8.",
        ),
        (
            "town,size\nK\ufffdln,2.5\nOslo,0.5\n",
            "damaged characters, such as '\ufffdln,2.5'",
        ),
    ],
)
def test_notes_report_damaged_characters_and_lines_that_are_no_rows(
    tmp_path, text, note
):
    path = tmp_path / "table.csv"
    path.write_text(text, "utf-8")
    assert note in " ".join(read_table(path).attrs["notes"])


@pytest.mark.parametrize("separator", ["^", "~", "\1"])
def test_rare_separators_are_detected(tmp_path, separator):
    path = tmp_path / "table.txt"
    path.write_text(TEXT.replace(",", separator))
    assert_read(path)


def test_a_pointer_of_git_lfs_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    )
    with pytest.raises(
        TableError,
        match="is a pointer of Git LFS, not delimited text: download the file",
    ):
        read_table(path)


def test_capital_letters_with_tildes_are_ordinary_text(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("town,size\nSÃO PAULO,2.5\nSÃO JOSÉ,0.5\n", "utf-8")
    assert read_table(path).attrs["notes"] == []

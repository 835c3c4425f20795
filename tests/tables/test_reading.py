import csv
import gzip
import os
import threading
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from damaged_tables import BAD
from vecprop import TableError, TabularClassifier, TabularRegressor, read_table
from vecprop.tables import read_chunks

FRAME = pd.DataFrame(
    {
        "name": ["Ada", "Zoë, née X", None],
        "age": [36, 41, 7],
        "height": [1.5, np.nan, 0.25],
    }
)


@pytest.mark.parametrize(("separator", "encoding", "ending"), [
    (",", "utf-8", ".csv"), (";", "utf-8-sig", ".csv"), ("\t", "utf-16", ".csv"), ("|", "utf-32", ".csv"),
    (";", "cp1252", ".csv"), ("\t", "utf-16", ".txt.gz"),
    *(pytest.param(separator, encoding, ending, marks=pytest.mark.long) for separator in ",;\t|"
      for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252") for ending in (".csv", ".txt.gz")),
])  # fmt: skip
def test_text_with_any_separator_and_encoding_is_read(
    tmp_path, separator, encoding, ending
):
    path = tmp_path / f"table{ending}"
    content = FRAME.to_csv(index=False, sep=separator).encode(encoding)
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    whole = read_table(path)
    for frame in (whole, pd.concat(read_chunks(path, rows=2), ignore_index=True)):
        pd.testing.assert_frame_equal(frame, FRAME, check_dtype=False)
    assert any("cp1252" in note for note in whole.attrs["notes"]) == (
        encoding == "cp1252"
    )


@pytest.mark.parametrize(
    ("ending", "write"), [(".parquet", "to_parquet"), (".feather", "to_feather")]
)
def test_binary_tables_are_read(tmp_path, ending, write):
    path = tmp_path / f"table{ending}"
    getattr(FRAME, write)(path)
    pd.testing.assert_frame_equal(read_table(path), FRAME)
    parts = list(read_chunks(path, rows=2))
    assert [len(part) for part in parts] == [2, 1]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), FRAME)


LONG_QUOTE = (
    "a quoted value spans these lines, and each looks like a row: remove stray"
    " quotation marks."
)
SMALL = {
    "decimal commas": (
        "a;b\n1,5;2,25\n3,5;4,75\n",
        {"a": ["1,5", "3,5"], "b": ["2,25", "4,75"]},
        "",
    ),
    "spaces after separators": (
        'a, b\n1, "x, y"\n2, z\n',
        {"a": [1, 2], "b": ["x, y", "z"]},
        "",
    ),
    "one column": ("a\n1\n2\n", {"a": [1, 2]}, ""),
    "spaces": (
        "  a   b    name\n  1   2.5  x\n 10   3    y\n",
        {"a": [1, 10], "b": [2.5, 3], "name": ["x", "y"]},
        "",
    ),
    "sentences": ("said\na word\nno more\n", {"said": ["a word", "no more"]}, ""),
    "lines of spaces": ("a,b\n1,2\n   \n\n3,\n", {"a": [1, 3], "b": [2, None]}, ""),
    "short rows": (
        "a,b,c\n1,2,3\n4,5\n6,7,8\n9\n",
        {"a": [1, 4, 6, 9], "b": [2, 5, 7, None], "c": [3, None, 8, None]},
        (
            "lines 3, 5: fewer values than the 3 columns; the last columns are read as"
            " missing."
        ),
    ),
    "names again": (
        "a,b\n1,x\na,b \n2,a\na,x\n",
        {"a": ["1", "a", "2", "a"], "b": ["x", "b ", "a", "x"]},
        "line 3: repeated header, read as a row: remove it.",
    ),
    "quoted lines": (
        'a,b,c\n1,"two\nlines, no more",3\n4,"x,5\n6,y",7\n',
        {"a": [1, 4], "b": ["two\nlines, no more", "x,5\n6,y"], "c": [3, 7]},
        f"line 4-5: {LONG_QUOTE}",
    ),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    "read", [read_table, lambda path: next(read_chunks(path))], ids=["whole", "chunks"]
)
def test_small_files_are_read(tmp_path, name, read):
    text, columns, note = SMALL[name]
    path = tmp_path / "table.csv"
    path.write_text(text)
    frame = read(path)
    pd.testing.assert_frame_equal(frame, pd.DataFrame(columns), check_dtype=False)
    assert frame.attrs["notes"] == ([f"table.csv, {note}"] if note else [])


def test_values_may_be_long(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(f"a,b\n1,{'x' * 300_000}\n2\n")
    frame = read_table(path)
    assert frame["b"].str.len().tolist()[0] == 300_000
    assert "line 3" in frame.attrs["notes"][0]
    assert csv.field_size_limit() == 131_072


def test_chunks_have_the_notes_of_the_whole_table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("größe,b\n1,2\n3\n5,6\n".encode("cp1252"))
    notes = read_table(path).attrs["notes"]
    assert len(notes) == 2
    assert [part.attrs["notes"] for part in read_chunks(path, rows=1)] == [notes] * 3


@pytest.mark.parametrize(("text", "encoding", "said"), [
    ("a,b\n1,2\n3,購入\n", "shift-jis", "table.csv is neither UTF-8 nor cp1252 (byte 0x8d in line 3): save it"),
    ("a,b\n" + f"1,{'x' * 1000}\n" * 1_100 + "3,ö\n", "cp1252", "later (byte 0xf6 in line 1102): save it as UTF-8."),
])  # fmt: skip
def test_invalid_bytes_are_located(tmp_path, text, encoding, said):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    for read in (read_table, lambda path: list(read_chunks(path))):
        with pytest.raises(TableError) as raised:
            read(path)
        assert said in str(raised.value)
        assert "codec" not in str(raised.value)


def test_errors_about_missing_columns_report_a_guessed_encoding(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("age,город\n1,да\n2,нет\n".encode("cp1251"))
    right = pd.DataFrame(
        {"age": [1, 2, 3], "город": ["да", "нет", "да"], "y": [1.5, 2, 3]}
    )
    model = TabularRegressor("y", n_estimators=2, max_iter=1).fit(right)
    for read in (
        TabularClassifier("город").fit,
        lambda path: TabularClassifier("город").fit(read_table(path)),
        TabularClassifier("ãîðîä", columns={"город": "code"}).fit,
        model.predict,
    ):
        with pytest.raises(
            TableError,
            match=(
                r"no column 'город'.* \(table.csv is not UTF-8, .* cp1252, .*: save it"
            ),
        ):
            read(path)


@pytest.mark.parametrize("rows", range(3))
def test_long_rows_raise_before_the_first_chunk(tmp_path, rows):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n" + "1,2\n" * (20 + rows) + "1,2,3\n")
    with pytest.raises(TableError, match=f"line {22 + rows}: the row has 3 values"):
        next(read_chunks(path, rows=10))


@pytest.mark.parametrize("name", BAD)
def test_files_that_are_not_tables_raise_one_sentence(tmp_path, name):
    content, message = BAD[name]
    path = tmp_path / name
    path.write_bytes(content)
    for read in (read_table, lambda path: list(read_chunks(path))):
        with pytest.raises(TableError) as raised:
            read(path)
        said = str(raised.value)
        assert message in said
        assert str(path) in said
        assert "\n" not in said


def test_folders_and_missing_files(tmp_path):
    (tmp_path / "people.csv").write_text("a\n1\n")
    assert read_table(tmp_path)["a"].tolist() == [1]
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        TableError, match="empty is a folder that contains no table files"
    ):
        read_table(tmp_path / "empty")
    with pytest.raises(
        TableError, match=r"There is no file .*poeple.csv: did you mean 'people.csv'\?"
    ):
        read_table(tmp_path / "poeple.csv")
    with pytest.raises(TableError, match="There is no file"):
        read_table(tmp_path / "nowhere" / "else.csv")


def test_zstandard_files_are_read(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    path = tmp_path / "table.csv.zst"
    with pyarrow.CompressedOutputStream(str(path), "zstd") as file:
        file.write(FRAME.to_csv(index=False).encode())
    for frame in (
        read_table(path),
        pd.concat(read_chunks(path, rows=2), ignore_index=True),
    ):
        pd.testing.assert_frame_equal(frame, FRAME, check_dtype=False)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(
        TableError, match=r"table\.csv\.zst cannot be uncompressed: Truncated"
    ):
        read_table(path)


def test_damaged_archives_and_archives_of_several_files_raise_one_sentence(tmp_path):
    path = tmp_path / "table.zip"
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(
        TableError, match=r"table\.zip cannot be uncompressed: File is not a zip file"
    ):
        read_table(path)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(2000):
            archive.writestr(f"{number}\x1b[31m.csv", "a,b\n1,2\n")
    with pytest.raises(TableError, match="contains 2000 files: extract it") as raised:
        read_table(path)
    assert len(str(raised.value)) <= 500
    assert "\x1b" not in str(raised.value)


def test_workbooks_are_read(tmp_path):
    pytest.importorskip("openpyxl")
    path = tmp_path / "table.xlsx"
    codes = FRAME.assign(code=["01", "2", "03"])
    with pd.ExcelWriter(path) as book:
        codes.to_excel(book, sheet_name="people", index=False)
        FRAME.to_excel(book, sheet_name="others", index=False)
    frame = read_table(path)
    pd.testing.assert_frame_equal(frame, codes, check_dtype=False)
    assert frame.attrs["notes"] == [
        "table.xlsx: read only the first of 2 sheets, 'people'."
    ]
    assert [len(part) for part in read_chunks(path, rows=2)] == [2, 1]
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(
        TableError, match=r"table\.xlsx cannot be read as an Excel file"
    ):
        read_table(path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_stream_is_a_table(tmp_path, standard_input, packed):
    content = FRAME.to_csv(index=False).encode()
    content = gzip.compress(content) if packed else content
    for read in (
        read_table,
        lambda path: pd.concat(read_chunks(path, rows=2), ignore_index=True),
    ):
        standard_input(content)
        pd.testing.assert_frame_equal(read("-"), FRAME, check_dtype=False)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(content))
    writer.start()
    pd.testing.assert_frame_equal(
        read_table(tmp_path / "pipe"), FRAME, check_dtype=False
    )
    writer.join()
    standard_input(b"a,b\n1,2,3\n")
    with pytest.raises(
        TableError, match=r"^Standard input, line 2: the row has 3 values"
    ):
        read_table("-")


def quoted(at):
    """Return the lines of a table with three columns and a stray quotation mark in some rows."""
    return [
        "id,name,value",
        *(f"{k},{'' if k not in at else chr(34)}Name{k},{k}" for k in range(1, 100)),
    ]


@pytest.mark.parametrize(
    "read", [read_table, lambda path: list(read_chunks(path))], ids=["whole", "chunks"]
)
@pytest.mark.parametrize(
    ("at", "lines"), [([10, 30], "lines 11 to 31"), ([50], "lines 51 to 100")]
)
def test_a_stray_quotation_mark_does_not_swallow_rows(tmp_path, read, at, lines):
    path = tmp_path / "q.csv"
    path.write_text("\n".join(quoted(at)) + "\n")
    with pytest.raises(
        TableError, match=f"q.csv, {lines}: a quotation mark at the start of a value"
    ):
        read(path)


def test_a_missing_header_is_noted(tmp_path):
    path = tmp_path / "table.csv"
    for lines, is_noted in (
        (["5.1,3.5,setosa", "4.9,3,setosa"], True),
        (["6,148,72,33.6,50", "1,85,66,26.6,31"], True),
        (["1,male", "2,female", "3,male"], True),
        (["town,2020,2021", "Rome,1.5,2.5"], False),
        (["0,1,2", "5.5,3.5,2.5"], False),
        (["a,b", "1,2"], False),
        (["7,b", "x,2"], False),
    ):
        path.write_text("\n".join(lines) + "\n")
        notes = read_table(path).attrs["notes"]
        assert [("line 1" in note and "looks like data" in note) for note in notes] == [
            True
        ] * is_noted
    path.write_text("1,male\n2,female\n3,male\n")
    assert len(next(read_chunks(path)).attrs["notes"]) == 1


def test_long_integers_stay_distinct_in_columns_with_missing_values(tmp_path):
    large = pa.array([2**64 - 1, 2**64 - 2, None], pa.uint64())
    table = pa.table(
        {"id": [2**53, 2**53 + 1, None], "large": large, "small": [1, 2, None]}
    )
    pq.write_table(table, tmp_path / "ids.parquet")
    frame = read_table(tmp_path / "ids.parquet")
    assert frame["id"].tolist()[:2] == [2**53, 2**53 + 1]
    assert frame["large"].tolist()[:2] == [2**64 - 1, 2**64 - 2]
    assert frame["small"].tolist()[:2] == [1, 2]


def test_a_named_index_is_a_column(tmp_path):
    FRAME.set_index("name").to_parquet(tmp_path / "table.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.parquet"), FRAME)
    FRAME.iloc[::-1].to_parquet(tmp_path / "table.parquet")
    assert list(read_table(tmp_path / "table.parquet")) == list(FRAME)


def test_other_objects_than_paths_and_invalid_chunk_sizes_are_rejected(tmp_path):
    for given, name in (
        (None, "NoneType"),
        (5, "int"),
        ([], "list"),
        (FRAME, "DataFrame"),
        (b"a.csv", "bytes"),
    ):
        with pytest.raises(
            TableError, match=f"a list of at least one path, got a {name}"
        ):
            read_table(given)
    path = tmp_path / "table.parquet"
    FRAME.to_parquet(path)
    for rows in (0, -1, 1.5):
        with pytest.raises(ValueError, match=f"an integer of at least 1, got {rows}"):
            read_chunks(path, rows=rows)  # pyright: ignore[reportArgumentType]

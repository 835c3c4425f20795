import csv
import gzip

import numpy as np
import pandas as pd
import pytest

from vecprop import TableError, read_chunks, read_table

FRAME = pd.DataFrame({"name": ["Ada", "Zoë, née X", None], "age": [36, 41, 7], "height": [1.5, np.nan, 0.25]})


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("ending", [".csv", ".txt.gz"])
def test_text_of_any_separator_and_encoding_is_read(tmp_path, separator, encoding, ending):
    path = tmp_path / f"table{ending}"
    content = FRAME.to_csv(index=False, sep=separator).encode(encoding)
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    for frame in (read_table(path), pd.concat(read_chunks(path, rows=2), ignore_index=True)):
        pd.testing.assert_frame_equal(frame, FRAME, check_dtype=False)
    assert any("cp1252" in note for note in read_table(path).attrs["notes"]) == (encoding == "cp1252")


@pytest.mark.parametrize(("ending", "write"), [(".parquet", "to_parquet"), (".feather", "to_feather")])
def test_binary_tables_are_read(tmp_path, ending, write):
    path = tmp_path / f"table{ending}"
    getattr(FRAME, write)(path)
    pd.testing.assert_frame_equal(read_table(path), FRAME)
    parts = list(read_chunks(path, rows=2))
    assert [len(part) for part in parts] == [2, 1]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), FRAME)


def test_decimal_commas_do_not_separate(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a;b\n1,5;2,25\n3,5;4,75\n")
    assert read_table(path).shape == (2, 2)


def test_spaces_after_separators_do_not_count(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('a, b\n1, "x, y"\n2, z\n')
    assert read_table(path).to_dict("list") == {"a": [1, 2], "b": ["x, y", "z"]}


def test_values_may_be_long(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(f"a,b\n1,{'x' * 300_000}\n2\n")
    frame = read_table(path)
    assert frame["b"].str.len().tolist()[0] == 300_000
    assert "line 3" in frame.attrs["notes"][0]
    assert csv.field_size_limit() == 131_072


def test_one_column_is_a_table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a\n1\n2\n")
    assert read_table(path)["a"].tolist() == [1, 2]


def test_a_short_row_is_filled_and_named(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b,c\n1,2,3\n4,5\n6,7,8\n9\n")
    frame = read_table(path)
    assert frame["c"].isna().tolist() == [False, True, False, True]
    assert frame.attrs["notes"] == [
        "table.csv, line 3 and 1 more: fewer values than the 3 columns; those at the end count as missing."
    ]


def test_parts_have_the_notes_of_the_whole(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("größe,b\n1,2\n3\n5,6\n".encode("cp1252"))
    notes = read_table(path).attrs["notes"]
    assert len(notes) == 2
    assert [part.attrs["notes"] for part in read_chunks(path, rows=1)] == [notes] * 3


@pytest.mark.parametrize("rows", range(3))
def test_a_long_row_is_found_before_the_first_part_wherever_parts_begin(tmp_path, rows):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n" + "1,2\n" * (20 + rows) + "1,2,3\n")
    with pytest.raises(TableError, match=f"line {22 + rows}: the row has 3 values"):
        next(read_chunks(path, rows=10))


BAD = {
    "long.csv": (b"a,b\n1,2\n1,2,3\n", "line 3: the row has 3 values, but the first line names 2 columns"),
    "all_long.csv": (b"a,b\n1,2,3\n1,2,3\n", "line 2: the row has 3 values, but the first line names 2 columns"),
    "twice.csv": (b"a,b,a\n1,2,3\n", "has two columns named 'a', the 1. and the 3."),
    "empty.csv": (b"", "is empty"),
    "blank.csv": (b"\n \n", "is empty"),
    "no_rows.csv": (b"a,b\n", "has 2 columns and 0 rows"),
    "binary.csv": (b"PK\x03\x04\x00\x01" * 9, "is not text: save it as CSV"),
    "late.csv": (b"a\n" + b"x\n" * 600_000 + b"\xff\xfe\n", "save it as UTF-8"),
    "broken.csv.gz": (gzip.compress(b"a,b\n1,2\n" * 999)[:30], "cannot be uncompressed"),
    "foreign.csv.gz": (b"a,b\n1,2\n", "cannot be uncompressed"),
    "broken.parquet": (b"PAR1 and nothing else", "cannot be read as a parquet file"),
    "broken.feather": (b"nothing", "cannot be read as a feather file"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("read", [read_table, lambda path: list(read_chunks(path))], ids=["whole", "chunks"])
def test_what_is_no_table_is_said_in_one_sentence(tmp_path, name, read):
    content, message = BAD[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TableError) as raised:
        read(path)
    said = str(raised.value)
    assert message in said
    assert str(path) in said
    assert "\n" not in said


def test_folders_and_missing_files(tmp_path):
    (tmp_path / "people.csv").write_text("a\n1\n")
    with pytest.raises(TableError, match="is a folder, not a table"):
        read_table(tmp_path)
    with pytest.raises(TableError, match=r"There is no file .*poeple.csv: did you mean 'people.csv'\?"):
        read_table(tmp_path / "poeple.csv")
    with pytest.raises(TableError, match="There is no file"):
        read_table(tmp_path / "nowhere" / "else.csv")

"""Text is read with Arrow only where pandas finds the same values, types, lines, notes and errors."""

import gzip
import random
import signal
import threading

import numpy as np
import pandas as pd
import pytest

from odd_text import odd_text
from sampled import sampled
from vecprop import TableError, read_table
from vecprop.tables import read_chunks
from vecprop.tables.reading import delimited, reading

nan = float("nan")
COLUMNS = {
    "integers": ("1 -2 30", [1, -2, 30]),
    "decimals": ("1.5 -2 3e2", [1.5, -2.0, 300.0]),
    "whole decimals": ("1.0 2.0 3.0", [1.0, 2.0, 3.0]),
    "digits after": ("1 2 3.25", [1.0, 2.0, 3.25]),
    "points": ("1. .5 -.25", [1.0, 0.5, -0.25]),
    "missing integers": ("1 NA 3", [1.0, nan, 3.0]),
    "only missing": ("NA ? N/A", [nan, nan, nan]),
    "None": ("1 None 3", [1.0, nan, 3.0]),
    "text and None": ("a None b", ["a", "None", "b"]),
    "zeros in front": ("007 8 9", ["007", "8", "9"]),
    "zeros in front later": ("7 -08 9", ["7", "-08", "9"]),
    "zeros in front of decimals": ("00.5 1 2", ["00.5", "1", "2"]),
    "zeros": ("0 -0 0.0", [0.0, -0.0, 0.0]),
    "plus signs": ("+1 2 -3", [1, 2, -3]),
    "plus signs of decimals": ("+1.5 2 -3", [1.5, 2.0, -3.0]),
    "hexadecimal": ("0x1F 2 3", ["0x1F", "2", "3"]),
    "hexadecimal later": ("1 2 0x1F", ["1", "2", "0x1F"]),
    "infinities": ("1 inf -Infinity", [1.0, np.inf, -np.inf]),
    "overflow": ("1 1e400 2", [1.0, np.inf, 2.0]),
    "underflow": ("1 1e-400 2", [1.0, 0.0, 2.0]),
    "upper-case nan": ("1 NAN 2", ["1", "NAN", "2"]),
    "large integers": ("1000000000000000 1 2", [10**15, 1, 2]),
    "long integers": ("123456789012345678 1 2", [123456789012345678, 1, 2]),
    "unsigned": ("18446744073709551615 1 2", [2**64 - 1, 1, 2]),
    "long and missing": (
        "123456789012345678 NA 2",
        ["123456789012345678", nan, "2"],
    ),
    "16 digits": ("1234567890123456 NA 2", ["1234567890123456", nan, "2"]),
    "negative 16 digits": ("-1234567890123456 NA 2", ["-1234567890123456", nan, "2"]),
    "long and decimal": ("123456789012345678 .5 2", ["123456789012345678", ".5", "2"]),
    "beyond 64 bits": (
        "123456789012345678901 1 2",
        ["123456789012345678901", "1", "2"],
    ),
    "large floats": ("1e15 2.5e300 1", [1e15, 2.5e300, 1.0]),
    "17 digits": ("0.30000000000000004 .1 1", [0.30000000000000004, 0.1, 1.0]),
    "underscores": ("1_000 2 3", ["1_000", "2", "3"]),
    "decimal commas": ("1,5 2,25 3", ["1,5", "2,25", "3"]),
    "thousands": ("1,000 2.000,5 3'000", ["1,000", "2.000,5", "3'000"]),
    "dates": (
        "2024-01-31 2024-02-01 31.12.2023",
        ["2024-01-31", "2024-02-01", "31.12.2023"],
    ),
    "times": ("12:30 1:05 23:59", ["12:30", "1:05", "23:59"]),
    "Booleans": ("true FALSE True", [True, False, True]),
    "missing Booleans": ("true NA false", ["true", nan, "false"]),
    "nearly Booleans": ("true false yes", ["true", "false", "yes"]),
    "Booleans and None": ("true None false", ["true", "None", "false"]),
    "numbers, then text": ("1 2 x", ["1", "2", "x"]),
    "exponents": ("1e5 1E5 1e+5", [1e5, 1e5, 1e5]),
    "no exponents": ("1e 1 2", ["1e", "1", "2"]),
    "other digits": ("1 ٣ 2", ["1", "٣", "2"]),
}


OF_PANDAS_3 = {"overflow", "17 digits"}
"""The columns that earlier releases of pandas read as other values."""
needs_pandas_3 = pytest.mark.skipif(
    int(pd.__version__.partition(".")[0]) < 3, reason="earlier releases read less"
)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(name, marks=needs_pandas_3) if name in OF_PANDAS_3 else name
        for name in COLUMNS
    ],
)
def test_types_and_values(values, tmp_path):
    texts, expected = COLUMNS[values]
    rows = [f"{text};k" for text in texts.split(" ")]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["x;k", *rows]) + "\n")
    assert repr(read_table(path)["x"].tolist()) == repr(expected)


LAYOUTS = {
    "plain": ("a,b\n1,x\n2,y\n", [(2, "1", "x"), (3, "2", "y")]),
    "no end": ("a,b\n1,x\n2,y", [(2, "1", "x"), (3, "2", "y")]),
    "carriage returns": ("a,b\r\n1,x\r\n2,y\r\n", [(2, "1", "x"), (3, "2", "y")]),
    "old ends": ("a,b\r1,x\r2,y\r", [(2, "1", "x"), (3, "2", "y")]),
    "mixed ends": ("a,b\r\n1,x\n2,y\r3,z\n", [(2, "1", "x"), (3, "2", "y"), (4, "3", "z")]),
    "quotes": ('a,b\n"1","x, y"\n2,"""y"""\n', [(2, "1", "x, y"), (3, "2", '"y"')]),
    "quote at the end": ('a,b\n1,"x"', [(2, "1", "x")]),
    "empty quotes": ('a,b\n"",x\n2,""\n', [(2, nan, "x"), (3, "2", nan)]),
    "quoted words": ('a,b\n"NA",x\n2,"NA "\n', [(2, nan, "x"), (3, "2", "NA ")]),
    "two doubled marks": ('a,b\n1,""""\n"""2""",""""""\n', [(2, "1", '"'), (3, '"2"', '""')]),
    "marks in several rows": ('a,b\n"1,x\n2,y"\n3,z\n', [(3, "1,x\n2,y", nan), (4, "3", "z")]),
    "quotes inside": ('a,b\n1,x"y"z\n2,5"\n', [(2, "1", 'x"y"z'), (3, "2", '5"')]),
    "text after quotes": ('a,b\n1,"x"y\n2,z\n', [(2, "1", "xy"), (3, "2", "z")]),
    "lines in quotes": ('a,b\n1,"x\ny"\n2,z\n', [(3, "1", "x\ny"), (4, "2", "z")]),
    "spaces in front": ("a,b\n1, x\n 2,y\n", [(2, "1", "x"), (3, "2", "y")]),
    "spaces behind": ("a,b\n1 ,x \n2,y\n", [(2, "1 ", "x "), (3, "2", "y")]),
    "space before a quote": ('a,b\n1, "x, y"\n2,z\n', [(2, "1", "x, y"), (3, "2", "z")]),
    "separators in quotes": ('a,b\n1,"x, y"\n"1, 2",z\n', [(2, "1", "x, y"), (3, "1, 2", "z")]),
    "space in quotes": ('a,b\n1," x"\n2,y\n', [(2, "1", " x"), (3, "2", "y")]),
    "tab in front": ("a,b\n\t1,x\n2,\ty\n", [(2, "\t1", "x"), (3, "2", "\ty")]),
    "tabs": ("a\tb\n1\tx y\n\ty\n", [(2, "1", "x y"), (3, nan, "y")]),
    "empty lines": ("a,b\n\n1,x\n  \n2,y\n\n", [(3, "1", "x"), (5, "2", "y")]),
    "lines of tabs": ("a,b\n1,x\n\t\n \t \n2,y\n", [(2, "1", "x"), (5, "2", "y")]),
    "separated by spaces": ("a b\n1 x\n \n2 y\n", [(2, "1", "x"), (3, nan, nan), (4, "2", "y")]),
    "tabs between spaces": ("a b\n1 x\n\t\n2 y\n", [(2, "1", "x"), (4, "2", "y")]),
    "header below an empty line": ("\na,b\n1,x\n", [(3, "1", "x")]),
    "header with spaces": ("a, b\n1,x\n", [(2, "1", "x")]),
    "quoted header": ('"a","b"\n1,x\n', [(2, "1", "x")]),
    "comment": ("# made by hand\na,b\n1,x\n", [(3, "1", "x")]),
    "declared": ("sep=|\na|b\n1|x\n", [(3, "1", "x")]),
    "mark inside": ("a,b\n\ufeff1,x\n", [(2, "\ufeff1", "x")]),
}  # fmt: skip


@pytest.mark.parametrize(
    "encoding", sampled(["utf-8", "utf-8-sig", "utf-16", "utf-32"])
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_and_line_numbers(layout, encoding, tmp_path):
    text, expected = LAYOUTS[layout]
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    frame = read_table(path, as_text=True)
    assert list(frame.columns) == ["a", "b"]
    assert repr([*frame.itertuples(name=None)]) == repr(expected)
    rows = []
    for chunk in read_chunks(path, 1, as_text=True):
        rows.extend(chunk.itertuples(name=None))
    assert repr(rows) == repr(expected)


def test_western_european_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("a,b\n1,é\n2,€\n".encode("cp1252"))
    frame = read_table(path)
    assert frame["b"].tolist() == ["é", "€"]
    assert "cp1252" in frame.attrs["notes"][0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,x\n2,y,z\n", "line 3: the row has 3 values"),
        ('a,b\n1,x\n2,"y\n', "EOF inside string"),
        ("a,a\n1,x\n", "two columns named 'a'"),
        ("a,b\n", "0 rows"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_errors(text, message, encoding, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    for read in (read_table, lambda path: list(read_chunks(path))):
        with pytest.raises(TableError, match=message):
            read(path)


def test_notes(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,x\n2\n,\na,b\nTotal,3\n")
    notes = " ".join(read_table(path).attrs["notes"])
    assert "line 3: fewer values" in notes
    assert "line 4: no values" in notes
    assert "line 5: repeated header" in notes
    path.write_text("a,b\n1,x\n2,y\nTotal,3\n")
    assert "line 4: 'Total' looks like a total" in read_table(path).attrs["notes"][0]


WIDE = "1," + "x" * 4999 + "\n"
"""A line; 300 lines are longer than a block."""


@pytest.mark.parametrize(
    "read", [read_table, lambda path: list(read_chunks(path, 400))]
)
def test_invalid_bytes_after_the_first_block(read, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + WIDE.encode() * 300 + b"2,\xff\n")
    with pytest.raises(TableError, match="byte 0xff in line 302"):
        read(path)


@needs_pandas_3
def test_nul_after_the_first_block(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"a,b\n{WIDE * 300}2,x\0y\n3,z\n")
    assert read_table(path)["b"].tolist()[-2:] == ["x\0y", "z"]


def test_a_doubtful_row_after_the_first_block(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + WIDE * 300 + '2, "y"\n3,"z\n"\n')
    frame = read_table(path, as_text=True)
    assert frame.index[-2:].tolist() == [302, 304]
    assert frame["b"].iloc[-2:].tolist() == ["y", "z\n"]
    last = list(read_chunks(path, 300, as_text=True))[-1]
    assert last.index.tolist() == [302, 304]


def test_long_lines(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"a,b\n1,{'x' * 2_200_000}\n2,y\n")
    frame = read_table(path)
    assert frame["a"].tolist() == [1, 2]
    assert frame["b"].str.len().tolist() == [2_200_000, 1]


def test_chunks_across_blocks(tmp_path):
    path = tmp_path / "t.csv"
    rows = pd.DataFrame({"a": np.arange(700), "b": "a word or two, " * 120})
    rows.to_csv(path, index=False)
    chunks = list(read_chunks(path, 300))
    assert [len(chunk) for chunk in chunks] == [300, 300, 100]
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), rows)
    first = next(read_chunks(path, 300, as_text=True))
    assert (first.index[0], first.index[-1]) == (2, 301)


def test_several_files(tmp_path):
    (tmp_path / "1.csv").write_text("a,b\n1,x\n2,y\n")
    (tmp_path / "2.csv").write_text("b,a\nx, 3\n")
    frame = read_table(tmp_path, as_text=True)
    assert frame.index.tolist() == ["1.csv:2", "1.csv:3", "2.csv:2"]
    assert read_table(tmp_path)["a"].tolist() == [1, 2, 3]


def test_missing_words_of_a_target(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,y\nNA,NA\n2,no\n,\n")
    frame = read_table(path, as_text=True, target="y", classes=["NA"])
    assert repr(frame["y"].tolist()) == repr(["NA", "no", nan])
    assert repr(frame["a"].tolist()) == repr([nan, "2", nan])


@pytest.mark.parametrize("separator", ["§", '"', "x", "7"])
def test_odd_declared_separators(separator, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"sep={separator}\na{separator}b\n1{separator}2\n")
    try:
        frame = read_table(path)
    except TableError:
        return
    assert frame.shape[0] == 1


def test_columns_can_be_changed(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,c,d\n1,1.5,true,x\n2,2.5,false,y\n")
    frame = read_table(path)
    frame.loc[0] = [5, 6.5, False, "z"]
    assert frame.iloc[0].tolist() == [5, 6.5, False, "z"]


@pytest.mark.parametrize("blank", [" ", "\t", " \t"])
def test_blank_lines_of_one_column(blank, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"x\n1\n{blank}\n3\n")
    frame = read_table(path, as_text=True)
    assert [*frame.itertuples(name=None)] == [(2, "1"), (4, "3")]


def test_a_block_that_ends_with_a_carriage_return(tmp_path):
    path = tmp_path / "t.csv"
    # the block ends with the 210th line
    path.write_bytes(f"a,b\n{WIDE * 209}{WIDE[:-1]}\r{WIDE}".encode())
    (chunk,) = read_chunks(path, 300, as_text=True)
    assert chunk.index.tolist() == [*range(2, 213)]


@pytest.mark.skipif(pd.__version__ < "3", reason="text is not in Arrow arrays")
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_plain_files_need_no_second_parser(compress, separator, tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    rows = [["a", "b", "c"], ["1", '"x, y"', "NA"], ["2", "", "0.25"]]
    path.write_bytes(compress("\r\n".join(map(separator.join, rows)).encode()))
    monkeypatch.delattr(pd, "read_csv")
    assert repr(read_table(path)["b"].tolist()) == repr(["x, y", nan])
    assert len(list(read_chunks(path, 1))) == 2


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="for Unix")
def test_ctrl_c_ends_the_reading_of_a_large_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,x\n" * 5_000_000)
    main = threading.get_ident()
    timer = threading.Timer(0.1, signal.pthread_kill, [main, signal.SIGINT])
    handler = signal.getsignal(signal.SIGINT)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        read_table(path)
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.long
@pytest.mark.parametrize("seed", range(40))
def test_odd_files_are_read_as_by_pandas(seed, tmp_path, monkeypatch, limit):
    """`benchmarks/text_readers.py` compares thousands of files in more ways."""
    path = tmp_path / "t.csv"
    path.write_bytes(odd_text(random.Random(seed)))
    limit("reading: bytes of a block", 20)

    def read():
        try:
            frame = read_table(path)
        except TableError as error:
            return str(error)
        return repr(frame.to_dict("list")), frame.dtypes.tolist(), frame.attrs

    result = read()
    monkeypatch.setattr(delimited, "require_plain", in_doubt)
    monkeypatch.setattr(reading, "typed_column", in_doubt)
    assert result == read()


def in_doubt(*arguments):
    raise ValueError

"""Small files that decode to gigabytes raise before they take the memory."""

import gzip
import zipfile
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from vecprop import TableError, TabularRegressor, read_table
from vecprop.tables import read_chunks

LONG = "z" * 100_000


@pytest.fixture
def little(limit):
    """Lower the limits for small files to 2 MB."""
    limit("reading: small file", 2_000_000)
    limit("reading: small file within bounds", 2_000_000)


def lines(path):
    with gzip.GzipFile(path, "wb") as file:
        file.write(b"a,b\n" + b"1,2\n" * 10**6)


def line(path):
    with gzip.GzipFile(path, "wb") as file:
        file.write(b"a" * 4_000_000)


def member(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("t.csv", "a,b\n" + "1,2\n" * 10**6)


def sheet(path, *rows, corner=None):
    book = openpyxl.Workbook()
    cells: Any = book.active
    for row in rows:
        cells.append(row)
    if corner:
        cells[corner] = 1
    book.save(path)


def merged(path):
    sheet(path.with_name("plain.xlsx"), ["a"], [1])
    with (
        zipfile.ZipFile(path.with_name("plain.xlsx")) as plain,
        zipfile.ZipFile(path, "w") as file,
    ):
        for name in plain.namelist():
            cells = (
                b'</sheetData><mergeCells count="1"><mergeCell'
                b' ref="A2:XFD1048576"/></mergeCells>'
            )
            file.writestr(name, plain.read(name).replace(b"</sheetData>", cells))


def names(rows):
    return pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(rows, np.int32)), pa.array([LONG])
    )


def written(path, values):
    parquet.write_table(
        pa.table({"x": values}),
        path,
        compression="zstd",
        dictionary_pagesize_limit=2**30,
    )


def views(rows):
    view = np.frombuffer(
        np.array([len(LONG), int.from_bytes(b"zzzz", "little"), 0, 0], "<i4").tobytes(),
        "V16",
    )
    buffers = [
        None,
        pa.py_buffer(np.repeat(view, rows).tobytes()),
        pa.py_buffer(LONG.encode()),
    ]
    try:
        return pa.Array.from_buffers(pa.string_view(), rows, buffers)
    except ValueError:
        pytest.skip("pyarrow 16 cannot make the file")


def packed(path, values, compression):
    table = pa.table({"x": values})
    with pa.ipc.new_file(
        path, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)
    ) as file:
        file.write(table)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.csv.gz", lines),
        ("t.csv.gz", line),
        ("t.zip", member),
        (
            "t.xlsx",
            lambda path: sheet(
                path, ["a", "b"], *[["y" * 30_000, number] for number in range(200)]
            ),
        ),
        (
            "t.parquet",
            lambda path: written(
                path, pa.array([np.zeros(300_000)], pa.list_(pa.float64()))
            ),
        ),
        ("t.parquet", lambda path: written(path, [LONG] * 50)),
        ("t.parquet", lambda path: written(path, [[LONG]] * 50)),
        ("t.parquet", lambda path: written(path, [["z" * 1000] * 11_000])),
        ("t.parquet", lambda path: written(path, names(50))),
        (
            "t.arrow",
            lambda path: feather.write_feather(pa.table({"x": names(50)}), path),
        ),
        ("t.arrow", lambda path: packed(path, np.zeros(300_000), "zstd")),
        ("t.feather", lambda path: packed(path, np.zeros(300_000), "lz4")),
        ("t.arrow", lambda path: packed(path, ["a" * 4_000_000], "zstd")),
        ("t.arrow", lambda path: packed(path, views(50), "zstd")),
        ("t.arrow", lambda path: packed(path, pa.nulls(300_000), None)),
        (
            "t.arrow",
            lambda path: packed(
                path, pa.StructArray.from_arrays([names(50)], ["part"]), "zstd"
            ),
        ),
        (
            "t.arrow",
            lambda path: packed(
                path,
                pa.ListViewArray.from_arrays([0] * 50, [9000] * 50, [1] * 9000),
                "zstd",
            ),
        ),
    ],
)
@pytest.mark.usefixtures("little")
def test_files_that_decode_to_many_gigabytes_raise(name, write, tmp_path):
    write(tmp_path / name)
    with pytest.raises(
        TableError,
        match=rf"{name} needs more than 0.0\d+ GB of memory, .* times its size: if you",
    ):
        read_table(tmp_path / name)
    with pytest.raises(TableError, match="needs more than"):
        list(read_chunks(tmp_path / name))


@pytest.mark.parametrize(
    "write", [lambda path: sheet(path, ["a"], [1], corner="XFD1048576"), merged]
)
def test_sheets_with_billions_of_cells_raise(write, tmp_path):
    write(tmp_path / "t.xlsx")
    with pytest.raises(TableError, match=r"needs more than 0.54 GB of memory"):
        read_table(tmp_path / "t.xlsx")


@pytest.mark.usefixtures("little")
def test_row_groups_that_fit_only_one_by_one_are_read_in_chunks(tmp_path):
    parquet.write_table(
        pa.table({"x": np.zeros(400_000)}),
        tmp_path / "t.parquet",
        row_group_size=50_000,
    )
    with pytest.raises(TableError, match="needs more than"):
        read_table(tmp_path / "t.parquet")
    assert sum(map(len, read_chunks(tmp_path / "t.parquet"))) == 400_000


@pytest.mark.usefixtures("little")
def test_ordinary_tables_are_read(tmp_path):
    frame = pd.DataFrame(
        {
            "town": [f"town {number % 300}" for number in range(5_000)],
            "x": np.arange(5_000) / 7,
        }
    )
    frame["tags"] = [["a", "b"][: number % 3] for number in range(5_000)]
    frame.to_parquet(tmp_path / "t.parquet")
    assert len(read_table(tmp_path / "t.parquet")) == 5_000
    frame.astype({"town": "category"}).to_feather(tmp_path / "t.feather")
    assert len(read_table(tmp_path / "t.feather")) == 5_000
    frame.drop(columns="tags").to_csv(tmp_path / "t.csv.gz")
    assert len(read_table(tmp_path / "t.csv.gz")) == 5_000
    sheet(
        tmp_path / "t.xlsx",
        ["a", "b"],
        *[[f"n{number}", number] for number in range(50)],
    )
    assert len(read_table(tmp_path / "t.xlsx")) == 50


def test_tables_larger_than_the_free_memory_are_read_in_chunks(tmp_path, limit):
    (tmp_path / "t.csv").write_text("a,b\n" + "1,2\n" * 50_000)
    limit("reading: small file", 100_000)
    limit("reading: small file within bounds", 100_000)
    limit("available memory of readers", lambda: 300_000)
    with pytest.raises(
        TableError,
        match=(
            r"needs more than 0\.0001 GB .* read it in chunks with read_chunks, or fit"
            r" with"
        ),
    ):
        read_table(tmp_path / "t.csv")
    assert sum(map(len, read_chunks(tmp_path / "t.csv"))) == 50_000


@pytest.mark.long
def test_a_streamed_file_that_decodes_to_gigabytes_raises(tmp_path):
    """The first file makes the table too large for the memory, so the second one is read batch by batch."""
    for number, (rows, compression) in enumerate(
        [(30_000_000, None), (100_000_000, "zstd")]
    ):
        packed(tmp_path / f"{number}.arrow", np.zeros(rows), compression)
    with pytest.raises(
        TableError, match=r"1\.arrow needs more than 0\.54 GB of memory"
    ):
        TabularRegressor("x").fit(tmp_path, memory="700MB")

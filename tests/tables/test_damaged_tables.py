"""Unusual columns and damaged files are read or raise one sentence."""

import datetime
import decimal
import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sampled import sampled
from vecprop import TableError, TabularRegressor, read_table
from vecprop.tables import read_chunks
from vecprop.tables.kinds.formats import DateReading
from vecprop.tables.kinds.kinds import as_whole
from vecprop.tables.kinds.values import read_days

N = 60
IS_OLD = int(pd.__version__.partition(".")[0]) < 3  # integers must be below 1e308 there
UNUSUAL = {
    "Int64": (pd.array([1, None, 3] * 20, dtype="Int64"), "numbers"),
    "boolean": (pd.array([True, None, False] * 20, dtype="boolean"), "numbers"),
    "decimal": ([decimal.Decimal("1.5"), decimal.Decimal(2)] * 30, "numbers"),
    "durations": (pd.to_timedelta(np.arange(N), unit="h"), "numbers"),
    "largest": ([1e308, -1e308] * 30, "numbers"),
    "smallest": ([1e-320, 0] * 30, "numbers"),
    **({} if IS_OLD else {"beyond": ([10**400, 1, 2] * 20, "numbers")}),
    "days": ([datetime.date(2020, 1, 1), datetime.date(2021, 2, 3)] * 30, "dates"),
    "far": (["9999-12-31", "1000-01-01"] * 30, "dates"),
    "zoned": (pd.date_range("2020", periods=N, tz="Europe/Berlin"), "dates"),
    "periods": (pd.period_range("2020", periods=N, freq="M"), "dates"),
    "times": ([datetime.time(1), datetime.time(2)] * 30, "numbers"),
    "lists": ([[1, 2], [3]] * 30, "categories"),
    "mixed": ([1, "a", None] * 20, "categories"),
    "bytes": ([b"a", b"b"] * 30, "categories"),
    "intervals": (pd.cut(np.arange(N), 5), "categories"),
    "complex": (np.array([1j, 2j] * 30), "categories"),
}
for name, values, kind in (
    ("times", [datetime.time(1), None, datetime.time(2)], pa.time64("us")),
    ("lists", [[1, 2], None, [3]], pa.list_(pa.int64())),
    ("structs", [{"a": 1}, None, {"a": 2}], pa.struct([("a", pa.int64())])),
    ("bytes", [b"a", None, b"\xff"], pa.binary()),
):
    column = pd.array(values * 20, dtype=pd.ArrowDtype(kind))
    UNUSUAL[f"Arrow's {name}"] = column, "numbers" if name == "times" else "categories"


@pytest.mark.parametrize("name", sampled(UNUSUAL, 3))
def test_unusual_columns_become_inputs(name):
    values, kind = UNUSUAL[name]
    frame = pd.DataFrame({"usual": np.arange(N) % 7, name: values})
    model = TabularRegressor(n_estimators=2, max_iter=1, random_state=0).fit(
        frame, np.arange(N) % 5
    )
    assert model.encoder_.kinds[name] == kind
    for other in (values, "zzz", None, 1.5, pd.Timestamp("2020-01-01")):
        assert np.isfinite(model.predict(frame.assign(**{name: other}))).all()


def test_arrow_targets_may_be_missing():
    y, known = [1.5, None, 3.0] * 20, np.arange(N) % 3 != 1
    frame = pd.DataFrame({"a": np.arange(N) % 7})
    model = TabularRegressor(n_estimators=2, max_iter=1, random_state=0).fit(
        frame, pd.Series(y, dtype="float64[pyarrow]")
    )
    assert model.range_ == (1.5, 3.0)
    assert (~np.isnan(model.out_of_fold_)).tolist() == known.tolist()
    assert as_whole(pd.Series([1.0, 0.0], dtype="float64[pyarrow]")).tolist() == [1, 0]


def test_date_objects_are_converted_together(monkeypatch):
    days = [datetime.date(1970, 1, 1) + datetime.timedelta(day) for day in range(500)]
    calls, to_datetime = [], pd.to_datetime
    monkeypatch.setattr(
        pd,
        "to_datetime",
        lambda *args, **settings: calls.append(1) or to_datetime(*args, **settings),
    )
    x, is_unread = read_days(pd.Series(days, dtype=object), DateReading())
    assert x.tolist() == list(range(500))
    assert not is_unread.any()
    assert len(calls) < 5


@pytest.mark.skipif(
    int(pd.__version__.split(".")[0]) < 3,
    reason="pandas has no dates beyond the year 2262 before 3",
)
def test_incompatible_dates_are_converted_one_by_one():
    mixed = [
        datetime.date(9999, 12, 31),
        pd.Timestamp("1970-01-02 12:00:00.123456789"),
        np.datetime64("1500-01-01"),
    ]
    x, is_unread = read_days(
        pd.Series([*mixed, None, (1,), True, "1970-01-03"], dtype=object),
        DateReading(("year-month-day",)),
    )
    np.testing.assert_allclose(
        x, [2932896, 1.5, -171664, np.nan, np.nan, np.nan, 2], atol=1e-5
    )
    assert is_unread.tolist() == [False] * 4 + [True, True, False]


def test_a_file_and_its_data_frame_are_equivalent(tmp_path):
    frame = pd.DataFrame(
        {
            "wait": pd.to_timedelta(np.arange(N) % 11, unit="h"),
            "list": [["a", "b"], ["c"]] * 30,
        }
    )
    frame.to_parquet(tmp_path / "table.parquet")
    of_frame, of_file = (
        TabularRegressor(n_estimators=2, max_iter=1, random_state=0).fit(
            table, np.arange(N) % 5
        )
        for table in (frame, tmp_path / "table.parquet")
    )
    assert of_file.encoder_.kinds == {"wait": "numbers", "list": "categories"}
    np.testing.assert_array_equal(
        of_file.predict(tmp_path / "table.parquet"), of_frame.predict(frame)
    )


def damaged(content, random):
    """Change, delete, insert or truncate bytes."""
    found = bytearray(content)
    for _ in range(random.randint(1, 4)):
        place, what = random.randrange(len(found)), random.random()
        if what < 0.3:
            found[place] = random.randrange(256)
        elif what < 0.5:
            del found[place : place + random.randint(1, 20)]
        elif what < 0.8:
            found[place:place] = random.choice(
                [b",", b"\n", b'"', b";", b"\0", b"\xff", b"\r"]
            ) * random.randint(1, 3)
        else:
            del found[place + 1 :]
    return bytes(found)


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".feather"])
@pytest.mark.parametrize("count", [6, pytest.param(1000, marks=pytest.mark.long)])
def test_damaged_files_are_read_or_raise_one_sentence(tmp_path, ending, count):
    frame = pd.DataFrame(
        {
            "a": np.arange(N) / 8,
            "b": ["x", "yy, z"] * 30,
            "c": pd.date_range("2020", periods=N),
        }
    )
    path = tmp_path / f"table{ending}"
    write = {".parquet": frame.to_parquet, ".feather": frame.to_feather}.get(ending)
    write(path) if write else frame.to_csv(path, index=False)
    content, chance = path.read_bytes(), random.Random(0)
    for _ in range(count):
        path.write_bytes(damaged(content, chance))
        for read in (read_table, lambda path: list(read_chunks(path, 10))):
            try:
                read(path)
            except TableError as error:
                assert "\n" not in str(error)  # noqa: PT017 (most remain tables)


def flipped(content, random):
    """Flip one bit."""
    place = random.randrange(len(content))
    return (
        content[:place]
        + bytes([content[place] ^ 1 << random.randrange(8)])
        + content[place + 1 :]
    )


@pytest.mark.parametrize("compression", ["snappy", None])
def test_page_checksums_are_verified(tmp_path, compression):
    frame = pd.DataFrame(
        {
            "a": np.random.default_rng(0).normal(size=500),
            "b": ["x", "yy", "zzz", "x"] * 125,
        }
    )
    path, chance = tmp_path / "table.parquet", random.Random(0)
    frame.to_parquet(path, compression=compression, write_page_checksum=True)
    content = path.read_bytes()
    for _ in range(20):
        path.write_bytes(flipped(content, chance))
        for read in (
            read_table,
            lambda path: pd.concat(read_chunks(path, 200), ignore_index=True),
        ):
            try:
                pd.testing.assert_frame_equal(read(path), frame)
            except TableError as error:
                assert "table.parquet cannot be read as a parquet file" in str(error)  # noqa: PT017 (some changes are harmless)


def test_footer_statistics_are_verified(tmp_path):
    path = tmp_path / "table.parquet"
    frame = pd.DataFrame(
        {"a": np.arange(1000.0), "b": ["Aachen", "Bonn", *(["Zürich"] * 998)]}
    )
    frame.to_parquet(path, compression=None, use_dictionary=False)
    content = path.read_bytes()
    for old, new in (
        (np.float64(500).tobytes(), np.float64(5e9).tobytes()),
        (b"Bonn", b"bonn"),
    ):
        assert content.count(old) == 1
        path.write_bytes(content.replace(old, new))
        with pytest.raises(TableError, match="do not match the file's statistics"):
            read_table(path)


def test_column_names_are_verified(tmp_path):
    path = tmp_path / "table.parquet"
    frame = pd.DataFrame({"height": np.arange(9.0), "7": 1, "day": 2}).set_index("day")
    frame.to_parquet(path, write_page_checksum=True)
    assert read_table(path).columns.tolist() == ["day", "height", "7"]
    content = path.read_bytes()
    path.write_bytes(content.replace(b'{"name": "height"', b'{"name": "`eight"'))
    with pytest.raises(
        TableError, match="column 'height' has another name, '`eight', in the file"
    ):
        read_table(path)


def test_statistics_of_all_types_match_the_written_values(tmp_path):
    path = tmp_path / "table.parquet"
    frame = pd.DataFrame(
        {
            name: values
            for name, (values, _) in UNUSUAL.items()
            if name not in ("complex", "mixed")
        }
    )
    # pandas cannot read the types that it writes
    nested = ["Arrow's lists", "Arrow's structs"]
    more = {
        "nan": np.nan,
        "none": None,
        "zero": [-0.0, 0.0] * 30,
        "text": ["é" * 5000] * N,
    }
    frame = frame.drop(
        columns=["beyond", "intervals", "periods", *nested], errors="ignore"
    ).assign(**more)
    frame["category"] = pd.Categorical(["a", "b", None] * 20)
    frame.to_parquet(path, row_group_size=7)
    assert len(read_table(path)) == N
    assert [len(part) for part in read_chunks(path, 5)] == [5, 2] * 8 + [4]

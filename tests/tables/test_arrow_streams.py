"""Arrow streams are tables: readers of pyarrow, lazy frames of Polars, cursors of databases, and other objects."""

import tempfile

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import vecprop as vp
from vecprop.tables import TableError, evaluate, read_chunks, read_table

RNG = np.random.default_rng(0)
ROWS = 200
FRAME = pd.DataFrame(
    {
        "age": RNG.integers(18, 80, ROWS),
        "region": RNG.choice(["north", "south"], ROWS),
        "km": RNG.exponential(10, ROWS),
    }
)
FRAME["price"] = FRAME["age"] + FRAME["km"]
TABLE = pa.Table.from_pandas(FRAME)


class Relation:
    """A query that can be run repeatedly, such as a relation of DuckDB."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class Cursor:
    """The cursor of a database after a query."""

    def fetch_record_batch(self):
        return reader()


def reader(rows=64):
    batches = TABLE.to_batches(max_chunksize=rows)
    return pa.RecordBatchReader.from_batches(TABLE.schema, batches)


def broken_reader():
    def batches():
        yield TABLE.to_batches()[0]
        raise RuntimeError("connection lost\nat port 5432")

    return pa.RecordBatchReader.from_batches(TABLE.schema, batches())


STREAMS = {
    "reader": reader,
    "relation": lambda: Relation(TABLE),
    "lazy frame": lambda: pl.from_pandas(FRAME).lazy(),
    "cursor": Cursor,
}


@pytest.fixture(scope="module")
def model():
    return vp.TabularRegressor("price", max_iter=3, random_state=0).fit(FRAME)


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_stream_is_fitted_and_predicted_as_its_table(stream, model):
    streamed = vp.TabularRegressor("price", max_iter=3, random_state=0).fit(stream())
    expected = model.predict(FRAME)
    np.testing.assert_array_equal(streamed.predict(FRAME), expected)
    np.testing.assert_array_equal(model.predict(stream()), expected)
    assert streamed.notes_ == model.notes_
    assert model.score(stream()) == model.score(FRAME)


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_stream_is_read_whole_and_in_chunks(stream):
    pd.testing.assert_frame_equal(read_table(stream()), FRAME)
    chunks = list(read_chunks(stream(), rows=90))
    assert [len(chunk) for chunk in chunks] == [90, 90, 20]
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), FRAME)


def test_a_stream_is_evaluated_as_its_table(model):
    assert repr(evaluate(model, reader())) == repr(evaluate(model, FRAME))


def test_the_target_may_be_an_array():
    inputs = pl.from_pandas(FRAME).lazy().drop("price")
    model = vp.TabularRegressor(max_iter=3, random_state=0)
    model.fit(inputs, FRAME["price"])
    assert list(model.feature_names_in_) == ["age", "region", "km"]


@pytest.mark.parametrize("read", [read_table, lambda table: list(read_chunks(table))])
def test_errors_of_a_stream_are_one_sentence(read):
    message = "The RecordBatchReader cannot be read: .*connection lost.$"
    with pytest.raises(TableError, match=message):
        read(broken_reader())
    read_once = reader()
    read_once.read_all()
    with pytest.raises(TableError, match="no rows: most streams can be read only once"):
        read(read_once)
    with pytest.raises(TableError, match="no rows"):
        read(TABLE.slice(0, 0).to_reader())


def test_columns_of_a_stream_have_different_names():
    names = ["age", "age", "km", "price"]
    with pytest.raises(TableError, match="age"):
        vp.TabularRegressor("price").fit(Relation(TABLE.rename_columns(names)))


def test_a_stream_larger_than_memory_is_copied_to_a_temporary_file(
    tmp_path, monkeypatch, little
):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    FRAME.to_parquet(tmp_path / "t.parquet", index=False)
    settings = {"n_estimators": 2, "max_iter": 2, "random_state": 0}
    memory = little + 300_000
    model = vp.TabularRegressor("price", **settings).fit(reader(), memory=memory)
    expected = vp.TabularRegressor("price", **settings)
    expected.fit(tmp_path / "t.parquet", memory=memory)
    np.testing.assert_array_equal(model.predict(FRAME), expected.predict(FRAME))
    copies = [note for note in model.notes_ if note not in expected.notes_]
    assert len(copies) == 1
    assert f"copied to a temporary Parquet file of {ROWS} rows" in copies[0]
    assert list(folder.iterdir()) == []
    with pytest.raises(TableError, match=r"connection lost.$"):
        vp.TabularRegressor("price").fit(broken_reader(), memory=memory)
    assert list(folder.iterdir()) == []

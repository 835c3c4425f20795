"""Tables in several files: folders, lists of files and pyarrow data sets."""

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import dataset

from vecprop import TableError, TabularClassifier, TabularRegressor, read_table
from vecprop.tables import read_chunks

FRAME = pd.DataFrame(
    {
        "size": [1.5, 2.0, np.nan, 4.0, 5.0, 6.25],
        "town": ["Oslo", None, "Rome", "Oslo", "Lima", "x7"],
        "id": range(6),
    }
)


def in_parts(frame, folder, ending, cuts=(0, 2, 3, 6)):
    """Write the rows of a table to several files in a folder."""
    folder.mkdir(exist_ok=True)
    for number, (first, end) in enumerate(pairwise(cuts)):
        part = frame.iloc[first:end].reset_index(drop=True)
        write = {".parquet": part.to_parquet, ".arrow": part.to_feather}.get(
            ending, partial(part.to_csv, index=False)
        )
        write(folder / f"part-{number}{ending}")
    return folder


@pytest.mark.parametrize("ending", [".parquet", ".arrow", ".csv", ".csv.gz"])
def test_a_folder_is_one_table(tmp_path, ending):
    folder = in_parts(FRAME, tmp_path / "t", ending)
    (folder / "_SUCCESS").touch()
    (folder / ".part-0.crc").write_text("x")
    pd.testing.assert_frame_equal(read_table(folder), FRAME)
    pd.testing.assert_frame_equal(read_table(sorted(folder.glob("part*"))), FRAME)
    parts = list(read_chunks(folder, rows=2))
    assert [len(part) for part in parts] == [2, 1, 2, 1]
    pd.testing.assert_frame_equal(
        pd.concat(parts, ignore_index=True), FRAME, check_dtype=False
    )


def test_a_data_set_is_a_table(tmp_path):
    for year in (2023, 2024):
        (tmp_path / f"year={year}").mkdir()
        FRAME.to_parquet(tmp_path / f"year={year}" / "a.parquet")
    with pytest.raises(
        TableError, match="'year=2023', whose name is a value of column 'year'"
    ):
        read_table(tmp_path)
    data = dataset.dataset(tmp_path, partitioning="hive")
    assert read_table(data)["year"].tolist() == [2023] * 6 + [2024] * 6
    assert sum(map(len, read_chunks(data, rows=4))) == 12


def test_data_sets_that_are_filtered_or_in_memory_are_tables(tmp_path, little):
    frame = pd.DataFrame(
        {"x": np.tile([1.0, 2.0, 3.0, 4.0], 30), "y": np.tile(["a", "a", "b", "b"], 30)}
    )
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=50)
    filtered = dataset.dataset(tmp_path / "t.parquet").filter(dataset.field("x") > 1)
    settings: Any = {"n_estimators": 2, "max_iter": 2, "random_state": 0}
    for data, rows in (
        (filtered, frame[frame["x"] > 1]),
        (dataset.dataset(pa.table(frame)), frame),
    ):
        model, like = (
            TabularClassifier("y", **settings).fit(table) for table in (data, rows)
        )
        np.testing.assert_array_equal(model.ensemble_.theta, like.ensemble_.theta)
        assert model.score(data) == like.score(rows)
    message = (
        "A fit of the filtered data set of 90 rows needs about 0.1 GB of memory, .*"
        " write"
    )
    with pytest.raises(TableError, match=message):
        TabularClassifier("y", **settings).fit(filtered, memory=little + 1000)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_row_groups_of_a_data_set_are_read_one_by_one(tmp_path, little, is_streamed):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=900), "c": rng.choice(list("abc"), 900)})
    frame["y"] = np.where(frame["x"] > 0, "yes", "no")
    folder = in_parts(frame, tmp_path / "t", ".parquet", (0, 400, 900))
    frame.iloc[400:].to_parquet(
        folder / "part-1.parquet", row_group_size=150, index=False
    )
    memory = little + 500_000 if is_streamed else None
    settings: Any = {"n_estimators": 2, "max_iter": 2, "random_state": 0}
    model, like = (
        TabularClassifier("y", **settings).fit(table, memory=memory)
        for table in (dataset.dataset(folder), folder)
    )
    np.testing.assert_array_equal(model.ensemble_.theta, like.ensemble_.theta)
    assert model.score(dataset.dataset(folder)) == like.score(frame)


def test_a_damaged_file_of_a_data_set_is_reported(tmp_path):
    data = dataset.dataset(in_parts(FRAME, tmp_path / "t", ".parquet"))
    path = tmp_path / "t" / "part-1.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    for read in (TabularRegressor("size").fit, read_table):
        with pytest.raises(
            TableError, match=r"^The data set cannot be read: .*part-1\.parquet"
        ):
            read(data)


@pytest.mark.long
def test_a_dask_data_frame_is_a_table():
    frames = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(
        {
            "x": np.tile([1.0, 2.0, 3.0, 4.0], 30),
            "town": "Oslo",
            "y": ["a", "a", "b", "b"] * 30,
        }
    )
    lazy, settings = (
        frames.from_pandas(frame, npartitions=3),
        {"n_estimators": 2, "max_iter": 2, "random_state": 0},
    )
    model = TabularClassifier("y", **settings).fit(lazy)  # pyright: ignore
    like = TabularClassifier("y", **settings).fit(frame)  # pyright: ignore
    assert model.encoder_.names == like.encoder_.names == ["x"]
    np.testing.assert_array_equal(model.predict_proba(lazy), like.predict_proba(frame))
    rest = TabularClassifier(**settings).fit(lazy.drop(columns="y"), lazy["y"])  # pyright: ignore
    np.testing.assert_array_equal(rest.ensemble_.theta, like.ensemble_.theta)


def test_column_types_suit_all_files(tmp_path):
    frame = pd.DataFrame(
        {"code": ["1", "2", "3", "4", "x", "6"], "n": ["1", "2", "3.5", "4", "5", "6"]}
    )
    folder = in_parts(frame, tmp_path / "t", ".csv")
    assert read_table(folder)["code"].tolist() == frame["code"].tolist()
    assert read_table(folder)["n"].tolist() == [1, 2, 3.5, 4, 5, 6]
    ints = in_parts(pd.DataFrame({"n": range(6)}), tmp_path / "p", ".parquet")
    pd.DataFrame({"n": [0.5]}).to_parquet(ints / "part-9.parquet")
    assert read_table(ints)["n"].tolist() == [0, 1, 2, 3, 4, 5, 0.5]
    assert [part["n"].dtype for part in read_chunks(ints)] == [float] * 4


def test_column_order_may_differ_and_rows_are_labeled_by_file(tmp_path):
    (tmp_path / "a.csv").write_text("x;y\n1;2\n")
    (tmp_path / "b.csv").write_text("y,x\n4,3\n")
    assert read_table(tmp_path).to_dict("list") == {"x": [1, 3], "y": [2, 4]}
    assert read_table(tmp_path, as_text=True).index.tolist() == ["a.csv:2", "b.csv:2"]
    assert [part.columns.tolist() for part in read_chunks(tmp_path)] == [["x", "y"]] * 2
    assert [part.index.tolist() for part in read_chunks(tmp_path, as_text=True)] == [
        ["a.csv:2"],
        ["b.csv:2"],
    ]


def write(folder, name, frame):
    path = folder / name
    (
        frame.to_parquet(path)
        if path.suffix == ".parquet"
        else path.write_text(frame.to_csv(index=False))
    )


MUCH = FRAME.assign(size="much")
FEWER = FRAME[["size", "id"]]
REFUSED = {
    "a column less": (
        {"a.csv": FRAME, "b.csv": FEWER},
        r"b.csv lacks the column 'town' of .*a.csv",
    ),
    "a column more": (
        {"a.parquet": FEWER, "b.parquet": FRAME},
        r"a.parquet lacks the column 'town' of .*b.par",
    ),
    "another type": (
        {"a.parquet": FRAME, "b.parquet": MUCH},
        r"b.parquet: column 'size' has .*string, but doub",
    ),
    "two kinds": (
        {"a.csv": FRAME, "b.parquet": FRAME},
        r"a.csv and .*b.parquet differ in kind .text and Parquet",
    ),
    "no table": ({"a.csv": FRAME, "b.md": FRAME}, r"b.md has no suffix of a table"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize(
    "read", [read_table, lambda path: next(read_chunks(path))], ids=["whole", "chunks"]
)
def test_incompatible_files_are_named(tmp_path, name, read):
    files, message = REFUSED[name]
    for file, frame in files.items():
        write(tmp_path, file, frame)
    with pytest.raises(TableError, match=message):
        read(tmp_path)


def test_some_files_may_be_empty_but_not_all(tmp_path):
    FRAME.to_parquet(tmp_path / "a.parquet")
    FRAME[:0].to_parquet(tmp_path / "b.parquet")
    assert len(read_table(tmp_path)) == len(FRAME)
    assert sum(map(len, read_chunks(tmp_path))) == len(FRAME)
    (tmp_path / "a.parquet").unlink()
    for read in (read_table, lambda path: list(read_chunks(path))):
        with pytest.raises(TableError, match="rows"):
            read(tmp_path)


def test_a_model_takes_folders_lists_and_data_sets(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=90), "c": rng.choice(list("abc"), 90)})
    frame["y"] = np.where(frame["x"] > 0, "yes", "no")
    folder = in_parts(frame, tmp_path / "t", ".parquet", (0, 50, 51, 90))
    settings = {"target": "y", "n_estimators": 2, "max_iter": 2, "random_state": 0}
    model = TabularClassifier(**settings).fit(frame)
    P = model.predict_proba(frame)
    np.testing.assert_array_equal(
        TabularClassifier(**settings).fit(folder).ensemble_.theta, model.ensemble_.theta
    )
    for table in (folder, sorted(folder.iterdir()), dataset.dataset(folder)):
        assert np.array_equal(model.predict_proba(table), P)
        assert model.score(table) == model.score(frame)


def test_dictionaries_may_differ_between_files(tmp_path):
    for name, values in (("a", ["u", "v"]), ("b", ["w", "u"])):
        pq.write_table(
            pa.table({"c": pa.array(values).dictionary_encode()}),
            tmp_path / f"{name}.parquet",
        )
    assert read_table(tmp_path)["c"].astype(str).tolist() == ["u", "v", "w", "u"]


def test_files_are_scored_and_checked_in_chunks(tmp_path, tables_only_in_parts):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=400), "n": rng.integers(0, 9, 400)})
    frame["y"] = pd.Series(np.where(frame["x"] > 0, "yes", "no"), dtype=object).mask(
        rng.random(400) < 0.1, None
    )
    frame["v"] = frame["x"].mask(frame["n"] == 3)
    table = in_parts(frame, tmp_path / "t", ".parquet", cuts=(0, 150, 151, 400))
    other = frame.assign(x=frame["x"] + 3)
    other.to_parquet(tmp_path / "other.parquet", row_group_size=90)
    settings = {
        "n_estimators": 2,
        "max_iter": 2,
        "hidden_layer_sizes": (4,),
        "random_state": 0,
    }
    models = [
        TabularClassifier("y", **settings).fit(frame),
        TabularRegressor("v", **settings).fit(frame),
    ]
    wanted = [
        (model.score(frame), model.detect_drift(other), model.predict(other))
        for model in models
    ]
    assert all(notes for _, notes, _ in wanted)
    tables_only_in_parts()
    for model, (score, notes, predictions) in zip(models, wanted, strict=True):
        assert model.score(table) == score
        assert model.detect_drift(tmp_path / "other.parquet") == notes
        np.testing.assert_array_equal(
            model.predict(tmp_path / "other.parquet"), predictions
        )
    frame.assign(y=None).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(
        TableError, match="The target 'y' has no values, so there is nothing to score"
    ):
        models[0].score(tmp_path / "other.parquet")

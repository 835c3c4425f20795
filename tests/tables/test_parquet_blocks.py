"""Row groups of Parquet files as blocks train the same network as arrays."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import dataset

import vecprop as vp
from anonymous_memory import reads_proc
from vecprop.tables.streaming.parquet_blocks import columns_as_array

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3)).astype(np.float32)
T = RNG.integers(0, 2, 300)
W = RNG.uniform(0.5, 2, 300)
NETWORK = vp.Network(3, [vp.Dense(8), vp.ReLU(), vp.Dense(2)], vp.SoftmaxCrossEntropy())


def frame(**changes):
    return pd.DataFrame(
        {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": T, "w": W} | changes
    )


def write(folder, table, name="part-{}.parquet", files=3, rows=20):
    folder.mkdir(exist_ok=True)
    for number, some in enumerate(np.array_split(np.arange(300), files)):
        table.iloc[some].to_parquet(
            folder / name.format(number), row_group_size=rows, index=False
        )
    return folder


def fit_quietly(blocks, **changes):
    settings: dict[str, Any] = {
        "optimizer": vp.Adam(0.01),
        "epochs": 2,
        "batch_size": 32,
        "window": 110,
    }
    return vp.blocks.train_blocks(
        NETWORK, NETWORK.init(0, dtype=np.float32), blocks, **settings | changes
    )


def fit(blocks, **changes):
    with pytest.warns(UserWarning, match="A window has"):
        return fit_quietly(blocks, **changes)


def test_results_equal_arrays_for_any_files(tmp_path):
    whole = fit(vp.blocks.ArrayBlocks(X, T, rows=20))
    one = vp.blocks.ParquetBlocks(
        write(tmp_path / "one", frame(), files=3), "y", inputs=["a", "b", "c"]
    )
    inputs: Any = pd.Index(["a", "b", "c"])
    other = vp.blocks.ParquetBlocks(
        write(tmp_path / "other", frame(), "{}.pq", files=1), "y", inputs=inputs
    )
    for blocks in (one, other):
        np.testing.assert_array_equal(fit(blocks).theta, whole.theta, strict=True)
    weighted = vp.blocks.ParquetBlocks(
        sorted((tmp_path / "one").iterdir()), "y", weight="w"
    )
    np.testing.assert_array_equal(
        fit(weighted).theta,
        fit(vp.blocks.ArrayBlocks(X, T, W, rows=20)).theta,
        strict=True,
    )
    assert weighted.columns == ["a", "b", "c"]
    assert one.digest() != weighted.digest()


def test_several_targets_and_numeric_types(tmp_path):
    table = pd.DataFrame(
        {
            "i": np.arange(300, dtype="i2"),
            "b": T > 0,
            "f": X[:, 0],
            "u": X[:, 1],
            "v": X[:, 2],
        }
    )
    blocks = vp.blocks.ParquetBlocks(write(tmp_path / "t", table), ["u", "v"])
    inputs, targets = blocks.read(5)
    np.testing.assert_array_equal(
        inputs, np.stack([np.arange(100, 120), T[100:120], X[100:120, 0]], axis=1)
    )
    np.testing.assert_array_equal(targets, X[100:120, 1:], strict=True)
    assert (
        vp.blocks.ParquetBlocks(tmp_path / "t" / "part-0.parquet", "b", inputs=["f"])
        .read(0)[1]
        .dtype
        == np.int64
    )


def test_foreign_files_and_empty_row_groups_are_skipped(tmp_path):
    folder = write(tmp_path / "t", frame())
    (folder / "_metadata.parquet").write_bytes(b"")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "a.parquet").write_bytes(b"")
    (folder / "older").mkdir()
    frame()[:0].to_parquet(folder / "older" / "none.parquet", index=False)
    assert vp.blocks.ParquetBlocks(folder, "y").sizes.sum() == 300


def test_partition_columns_are_included(tmp_path):
    (tmp_path / "year=2024").mkdir()
    frame().to_parquet(tmp_path / "year=2024" / "a.parquet")
    with pytest.raises(
        vp.TableError,
        match="'year=2024', whose name is a value of column 'year': write it into",
    ):
        vp.blocks.ParquetBlocks(tmp_path, "y")
    assert (
        vp.blocks.ParquetBlocks([tmp_path / "year=2024" / "a.parquet"], "y").inputs == 4
    )


def test_a_fit_resumes_from_moved_files_but_not_from_other_rows(tmp_path):
    checkpoint = vp.Checkpoint(tmp_path / "run.npz")
    fit(
        vp.blocks.ParquetBlocks(write(tmp_path / "t", frame()), "y", weight="w"),
        epochs=1,
        checkpoint=checkpoint,
    )
    moved = (tmp_path / "t").rename(tmp_path / "moved")
    blocks = vp.blocks.ParquetBlocks(moved, "y", weight="w")
    np.testing.assert_array_equal(
        fit(blocks, checkpoint=checkpoint).theta, fit(blocks).theta
    )
    for other, named in (
        (
            write(tmp_path / "groups", frame(), rows=25),
            "division into blocks and its rows differ",
        ),
        (write(tmp_path / "rows", frame(c=X[:, 0])), "its rows differs"),
    ):
        with pytest.raises(ValueError, match=named):
            fit_quietly(
                vp.blocks.ParquetBlocks(other, "y", weight="w"), checkpoint=checkpoint
            )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"b": ["x"] * 300},
            (
                r"Column 'b' of .*part-0.parquet has type (large_)?string, which is not"
                r" numeric: leave"
            ),
        ),
        (
            {"b": np.where(np.arange(300) == 125, np.nan, X[:, 0])},
            r"row group 1: column 'b' is missing in row 5",
        ),
        (
            {"b": np.where(np.arange(300) == 125, np.inf, X[:, 0])},
            r"part-1.parquet, row group 1: column 'b' is inf in",
        ),
    ],
    ids=["text", "missing", "infinite"],
)
def test_values_that_are_not_numbers_are_reported(change, message, tmp_path):
    folder = write(tmp_path / "t", frame(**change))
    with pytest.raises(vp.TableError, match=message):
        read_all(folder)


def read_all(folder):
    blocks = vp.blocks.ParquetBlocks(folder, "y")
    return [blocks.read(number) for number in range(len(blocks.sizes))]


def test_files_with_other_columns_are_reported(tmp_path):
    folder = write(tmp_path / "t", frame())
    (tmp_path / "empty").mkdir()
    for source, target, message in (
        (folder, "Y", r"part-0.parquet has no column 'Y': did you mean 'y'"),
        (
            folder,
            "price",
            r"part-0.parquet has no column 'price'; its columns are a, b, c, y, w",
        ),
        ([folder / "other.parquet"], "y", "There is no file other.parquet in "),
        (
            tmp_path / "empty",
            "y",
            r"empty contains no Parquet files \(with names ending in .parquet or .pq\)",
        ),
    ):
        with pytest.raises(vp.TableError, match=message):
            vp.blocks.ParquetBlocks(source, target)
    (folder / "part-3.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(
        vp.TableError, match=r"part-3.parquet cannot be read as a parquet file"
    ):
        vp.blocks.ParquetBlocks(folder, "y")
    pq.write_table(pa.table({"y": [1], "a": [1]}), folder / "part-3.parquet")
    with pytest.raises(vp.TableError, match=r"part-3.parquet has no column 'b'"):
        vp.blocks.ParquetBlocks(folder, "y")


def test_unknown_column_names_are_rejected(tmp_path):
    folder = write(tmp_path / "t", frame())
    for target, name in ((None, "NoneType"), ([], "list"), ([None], "list")):
        with pytest.raises(
            TypeError,
            match=f"target must be a column name or a list of names, got a {name}",
        ):
            vp.blocks.ParquetBlocks(folder, target)  # pyright: ignore[reportArgumentType]
    with pytest.raises(
        vp.TableError, match=r"part-0.parquet has no column 3; its columns are a, b"
    ):
        vp.blocks.ParquetBlocks(folder, 3)  # pyright: ignore[reportArgumentType]
    twice = pa.table([pa.array([1.0])] * 3, names=["a", "a", "y"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(
        vp.TableError, match=r"twice.parquet has 2 columns named 'a': rename them"
    ):
        vp.blocks.ParquetBlocks(tmp_path / "twice.parquet", "y")


def test_a_file_damaged_during_reading_is_reported(tmp_path):
    folder = write(tmp_path / "t", frame())
    blocks = vp.blocks.ParquetBlocks(folder, "y", inputs=["a"])
    path = folder / "part-1.parquet"
    path.write_bytes(path.read_bytes()[:1000])
    network = vp.Network(1, [vp.Dense(2)], vp.SoftmaxCrossEntropy())
    with pytest.raises(
        vp.TableError, match=r"part-1.parquet cannot be read as a parquet file"
    ):
        vp.blocks.train_blocks(network, network.init(0), blocks, optimizer=vp.Adam())


def test_a_shuffled_copy_helps_with_sorted_rows(tmp_path, limit):
    table = frame().sort_values("y")
    blocks = vp.blocks.ParquetBlocks(
        write(tmp_path / "t", table), "y", inputs=["a", "b", "c"]
    )
    with pytest.warns(UserWarning, match="Rows are sorted by the target"):
        fit(blocks)
    limit("blocks: few", 4)
    fit_quietly(vp.blocks.copy_blocks(blocks, tmp_path / "mixed", shuffle=0, rows=10))


def test_the_documentation_is_correct(tmp_path, monkeypatch):
    text = (
        Path(__file__)
        .parents[2]
        .joinpath("docs", "larger-than-memory.md")
        .read_text(encoding="utf-8")
    )
    first, second, third = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    write(tmp_path / "sales", frame().rename(columns={"y": "returned"}))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(first, names)
    assert len(names["result"].history.loss) == 2
    exec(second, names)
    assert names["blocks"].sizes.tolist() == [300]
    assert vp.blocks.ArrayBlocks.open("mixed/").inputs == 4
    exec(third, names)
    assert len(names["returned"]) == 300


@pytest.mark.parametrize("F", [np.float32, np.float64])
def test_unaligned_columns_are_stacked_correctly(F):
    first, second = np.arange(5000, dtype=F), np.arange(5000, 10_000).astype(F)
    wire = np.frombuffer(b"?" + second.tobytes(), np.uint8)[1:].view(F)
    assert not wire.flags.aligned
    np.testing.assert_array_equal(
        columns_as_array([first, wire, first]), np.stack([first, second, first], axis=1)
    )


@pytest.mark.parametrize(
    "source",
    [dataset.dataset(pa.table({"a": [1]})), pd.DataFrame({"a": [1]}), 3, None, []],
)
def test_sources_other_than_paths_are_rejected(source):
    with pytest.raises(
        vp.TableError,
        match=f"Expected a path or a list of .*, got a {type(source).__name__}",
    ):
        vp.blocks.ParquetBlocks(source, "y")


@pytest.fixture
def limited():
    """Limit the memory of this process, and restore the limit and Arrow's memory pool."""
    resource = pytest.importorskip("resource")
    limit, pool = resource.getrlimit(resource.RLIMIT_DATA), pa.default_memory_pool()
    yield lambda size: resource.setrlimit(resource.RLIMIT_DATA, (size, limit[1]))
    resource.setrlimit(resource.RLIMIT_DATA, limit)
    pa.set_memory_pool(pool)


def test_arrow_uses_the_pool_of_the_system_under_a_limit(tmp_path, limited):
    limited(2**45)
    vp.blocks.ParquetBlocks(write(tmp_path / "t", frame()), "y").read(0)
    assert pa.default_memory_pool().backend_name == "system"


@reads_proc
@pytest.mark.long
@pytest.mark.parametrize(
    "read", ["ParquetBlocks('t', 'y').read(0)", "vecprop.read_table('t')"]
)
def test_arrow_reserves_no_memory_under_a_limit(tmp_path, read):
    write(tmp_path / "t", frame())
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_DATA, (2**33, 2**33))
import vecprop
from vecprop.blocks import ParquetBlocks
{read}
print(open("/proc/self/status").read())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert size_of_data(done.stdout) < 2**30


def size_of_data(status):
    """Return the size of a process's data in bytes."""
    return 1024 * int(
        next(line for line in status.splitlines() if line.startswith("VmData")).split()[
            1
        ]
    )


@reads_proc
def test_a_sound_file_is_not_called_damaged_if_memory_is_short(tmp_path, limited):
    pq.write_table(
        pa.table({"a": np.zeros(2**24), "y": np.zeros(2**24)}),
        tmp_path / "zeros.parquet",
        row_group_size=2**24,
    )
    blocks = vp.blocks.ParquetBlocks(tmp_path / "zeros.parquet", "y")
    limited(size_of_data(Path("/proc/self/status").read_text(encoding="utf-8")) + 2**25)
    with pytest.raises(
        vp.TableError,
        match=(
            r"^There is not enough memory to read .*zeros.parquet, unless it is damaged"
        ),
    ):
        blocks.read(0)

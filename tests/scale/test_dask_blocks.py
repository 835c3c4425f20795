"""Blocks of Dask data are loaded by workers and are bit-identical to the same rows in files and in memory."""

import os
import signal
import threading
import time

import numpy as np
import pytest

import vecprop as vp

distributed = pytest.importorskip("distributed")
da, dd = pytest.importorskip("dask.array"), pytest.importorskip("dask.dataframe")
pd = pytest.importorskip("pandas")
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]

RNG = np.random.default_rng(0)
ROWS, PART = 4_000, 250
X = RNG.normal(size=(ROWS, 5))
T = X @ RNG.normal(size=5)
FRAME = pd.DataFrame(X, columns=list("abcde")).assign(
    n=RNG.integers(0, 9, ROWS), y=T, w=RNG.uniform(1, 2, ROWS)
)
NETWORK = vp.Network(
    6, [vp.Dense(8), vp.Tanh(), vp.Dense(1)], vp.SquaredError(reduction="mean")
)


@pytest.fixture(scope="module")
def client():
    settings = {
        "n_workers": 2,
        "threads_per_worker": 1,
        "silence_logs": 50,
        "memory_limit": "1GB",
    }
    settings |= {
        "dashboard_address": "127.0.0.1:0",
        "scheduler_kwargs": {"dashboard": False},
    }
    with (
        distributed.LocalCluster(**settings) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    for first in range(0, ROWS, 4 * PART):
        part = FRAME[first : first + 4 * PART]
        part.to_parquet(
            folder / f"{first:05}.parquet", row_group_size=PART, index=False
        )
    return folder


def fit(blocks, window=1_000, **settings):
    theta = NETWORK.init(0, np.float32)
    return vp.blocks.train_blocks(
        NETWORK,
        theta,
        blocks,
        optimizer=vp.Adam(0.01),
        epochs=3,
        window=window,
        **settings,
    )


def assert_bits(one, other):
    np.testing.assert_array_equal(one.theta, other.theta)
    np.testing.assert_array_equal(one.history.loss, other.history.loss)


def test_a_frame_is_bit_identical_to_parquet_files_and_memory(client, folder):
    local = vp.blocks.ParquetBlocks(folder, "y", weight="w")
    blocks = vp.blocks.DaskBlocks(
        dd.read_parquet(folder, split_row_groups=True), "y", weight="w"
    )
    assert blocks.sizes.tolist() == local.sizes.tolist() == [PART] * (ROWS // PART)
    for number in (0, 7):
        for own, other in zip(blocks.read(number), local.read(number), strict=True):
            np.testing.assert_array_equal(own, other)
            assert own.dtype == other.dtype
    assert_bits(fit(blocks), fit(local))
    whole = fit(blocks, window=ROWS)
    inputs = FRAME[list("abcden")].to_numpy()
    settings = {
        "optimizer": vp.Adam(0.01),
        "epochs": 3,
        "batch_size": 256,
        "training_loss": "running",
    }
    weight = FRAME["w"].to_numpy()
    memory = vp.train(
        NETWORK,
        NETWORK.init(0, np.float32),
        inputs,
        T,
        sample_weight=weight,
        **settings,
    )
    assert_bits(whole, memory)


def test_an_array_is_bit_identical_to_memory(client):
    inputs, targets = (
        da.from_array(FRAME[list("abcden")].to_numpy(), chunks=(PART, 2)),
        da.from_array(T, chunks=999),
    )
    blocks = vp.blocks.DaskBlocks(inputs, targets, client=client)
    assert_bits(
        fit(blocks),
        fit(vp.blocks.ArrayBlocks(FRAME[list("abcden")].to_numpy(), T, rows=PART)),
    )
    # chunks of unknown sizes
    some = vp.blocks.DaskBlocks(inputs[inputs[:, 0] > 0], targets[inputs[:, 0] > 0])
    assert some.sizes.sum() == (X[:, 0] > 0).sum()


def test_a_killed_worker_does_not_change_bits(client, folder):
    frame = dd.read_parquet(folder, split_row_groups=True)
    slow = frame.map_partitions(lambda part: (time.sleep(0.05), part)[1], meta=frame)
    blocks = vp.blocks.DaskBlocks(slow, "y", weight="w")
    pids = list(client.run(os.getpid).values())
    threading.Timer(0.5, os.kill, [pids[0], signal.SIGKILL]).start()
    threading.Timer(1.5, os.kill, [pids[1], signal.SIGKILL]).start()
    assert_bits(fit(blocks), fit(vp.blocks.ParquetBlocks(folder, "y", weight="w")))
    assert not set(pids) & set(client.run(os.getpid).values())


def test_workers_load_several_blocks_at_once(client, folder):
    blocks = vp.blocks.DaskBlocks(
        dd.read_parquet(folder, split_row_groups=True), "y", weight="w"
    )
    blocks.prefetch([4, 2, 9, 11, 3, 7])
    assert sorted(blocks._loading) == [2, 4, 9, 11]  # two per thread
    blocks.read(4)
    assert sorted(blocks._loading) == [2, 3, 9, 11]
    blocks.prefetch([3])
    assert list(blocks._loading) == [3]


@pytest.mark.parametrize(
    ("frame", "target", "sentence"),
    [
        (FRAME, "z", "frame has no column 'z'"),
        (FRAME.assign(a="text"), "y", "Column 'a' must be numeric, but its dtype is"),
        (FRAME[["y"]], "y", "frame has no columns other than 'y': specify inputs"),
        (FRAME[:0], "y", "frame has no rows"),
        (
            FRAME.set_axis(["a", "a", *FRAME.columns[2:]], axis=1),
            "y",
            "frame has 2 columns named 'a'",
        ),
    ],
)
def test_unusable_columns_are_reported(client, frame, target, sentence):
    with pytest.raises(vp.TableError, match=sentence):
        vp.blocks.DaskBlocks(dd.from_pandas(frame, npartitions=2), target)


def test_invalid_values_are_named_with_their_partition(client):
    for value, said in ((np.nan, "has a missing value"), (np.inf, "is inf")):
        frame = FRAME.copy()
        frame.loc[2_100, "c"] = value
        blocks = vp.blocks.DaskBlocks(dd.from_pandas(frame, npartitions=4), "y")
        with pytest.raises(
            vp.TableError,
            match=f"In partition 2: column 'c' {said} in row 100; fill or drop it",
        ):
            blocks.read(2)


def test_columns_may_be_named_by_numbers(client):
    numbered = FRAME.set_axis(range(FRAME.shape[1]), axis=1)
    place = FRAME.columns.get_loc("y")
    named, blocks = (
        vp.blocks.DaskBlocks(dd.from_pandas(frame, npartitions=2), target)
        for frame, target in ((FRAME, "y"), (numbered, place))
    )
    for own, like in zip(blocks.read(1), named.read(1), strict=True):
        np.testing.assert_array_equal(own, like, strict=True)


def test_a_closed_client_is_reported(client):
    with distributed.Client(client.scheduler.address, set_as_default=False) as other:
        blocks = vp.blocks.DaskBlocks(
            dd.from_pandas(FRAME, npartitions=2), "y", client=other
        )
    for use in (lambda: blocks.read(0), lambda: blocks.prefetch([0])):
        with pytest.raises(
            RuntimeError,
            match="The client of the Dask cluster is closed: create a new one",
        ):
            use()


def test_other_data_are_refused(client):
    frame = dd.from_pandas(FRAME, npartitions=2)
    for data, target, said in (
        (
            frame["a"],
            "y",
            "frame must be a Dask data frame or a Dask array, got Series",
        ),
        (
            frame,
            frame["y"],
            "target must be a column name or a list of names, got a Series",
        ),
        (FRAME, "y", "frame must be a Dask data frame or a Dask array, got DataFrame"),
        (
            da.from_array(X),
            T,
            "target must be a Dask array, because frame is one, got ndarray",
        ),
    ):
        with pytest.raises(TypeError, match=said):
            vp.blocks.DaskBlocks(data, target)
    with pytest.raises(
        ValueError, match=r"target must have as many rows as frame \(4000\), got 3000"
    ):
        vp.blocks.DaskBlocks(da.from_array(X), da.from_array(T[:3000]))

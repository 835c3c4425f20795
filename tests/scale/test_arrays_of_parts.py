"""Workers convert a partition of a data frame to the same arrays as a Parquet file."""

import sys

import numpy as np
import pytest

import vecprop as vp
from scale.fake_client import FakeClient, Future, KilledWorker
from vecprop.scale import blocks as module

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

FRAME = pd.DataFrame(
    {
        "a": [1.5, -2.0, 4.0],
        "n": np.array([1, 2, 3], np.int16),
        "b": [True, False, True],
        "f": np.array([0.1, 0.2, 0.3], np.float32),
        "y": [0, 1, 2],
        "w": [1.0, 2.0, 0.5],
    }
)


@pytest.mark.parametrize(
    "types",
    [{}, {"n": "Int16", "a": "Float64", "b": "boolean"}, {"a": "double[pyarrow]"}],
)
@pytest.mark.parametrize("targets", [["y"], ["y", "n"]])
def test_arrays_equal_those_of_parquet_blocks(tmp_path, types, targets):
    FRAME.to_parquet(tmp_path / "rows.parquet", index=False)
    columns = [name for name in "anbf" if name not in targets]
    target = targets[0] if len(targets) == 1 else targets
    expected = vp.blocks.ParquetBlocks(
        tmp_path / "rows.parquet", target, inputs=columns, weight="w"
    ).read(0)
    found = module._arrays(
        FRAME.astype(types), module.Columns(columns, targets, len(targets) == 1, "w")
    )
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(own, other)
        assert own.dtype == other.dtype


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.inf, "is inf"),
        (np.nan, "has a missing value"),
        (None, "has a missing value"),
    ],
)
def test_values_that_are_not_numbers_are_named(value, said):
    frame = FRAME.assign(
        a=pd.array([1.0, value, 2.0], "float64" if value is not None else "Float64")
    )
    with pytest.raises(
        vp.TableError, match=f"column 'a' {said} in row 1; fill or drop it"
    ):
        module._arrays(frame, module.Columns(["a"], ["y"], True, None))


class Loading(FakeClient):
    """A client whose tasks end by the cues, or with a number."""

    def compute(self, task):
        self.calls.append("compute")
        return Future(*self.cues.pop(0)) if self.cues else Future(result=np.ones(2))


class Rows:
    """The parts of a Dask data frame that blocks use."""

    columns, ndim = "ab", 2
    dtypes = dict.fromkeys("ab", np.dtype(float))

    def map_partitions(self, function):
        return self

    def __getitem__(self, names):
        return self

    def to_delayed(self):
        return [1, 2]


@pytest.fixture
def blocks(monkeypatch):
    monkeypatch.setitem(
        sys.modules,
        "dask.delayed",
        type("Module", (), {"delayed": lambda of: lambda *parts: parts}),
    )
    return module.DaskBlocks(Rows(), "b", client=Loading())


def test_blocks_are_reloaded_if_workers_die(blocks):
    client = blocks._client
    assert (blocks.sizes.tolist(), blocks.inputs) == ([1, 1], 1)
    client.cues = [("error", KilledWorker()), ("cancelled",), ("finished", "the rows")]
    assert blocks.read(1) == "the rows"
    client.cues = [("cancelled",)] * 4
    with pytest.raises(
        RuntimeError, match="The workers that loaded partition 1 died repeatedly"
    ):
        blocks.read(1)
    client.cues = [("error", vp.TableError("column 'a' is missing"))]
    with pytest.raises(vp.TableError, match="In partition 0: column 'a' is missing"):
        blocks.read(0)
    client.cues = [("error", ZeroDivisionError())]
    with pytest.raises(ZeroDivisionError):
        blocks.read(0)


def test_prefetched_blocks_are_loaded_once(blocks):
    client = blocks._client
    client.calls.clear()
    blocks.prefetch([1, 0])
    assert client.calls == ["compute"] * 2
    blocks.read(1)
    blocks.read(0)
    assert client.calls == ["compute"] * 2


def test_blocks_of_a_window_are_prefetched_in_reading_order():
    class Watched(vp.blocks.ArrayBlocks):
        def prefetch(self, numbers):
            expected.append(list(numbers))

        def read(self, number):
            read.append(number)
            return super().read(number)

    expected, read = [], []
    X = np.random.default_rng(0).normal(size=(64, 1)).astype(np.float32)
    network = vp.Network(1, [vp.Dense(1)], vp.SquaredError())
    blocks = Watched(X, X, rows=2)
    vp.blocks.train_blocks(
        network,
        np.zeros(2, np.float32),
        blocks,
        optimizer=vp.Momentum(0.1),
        window=32,
        batch_size=8,
    )
    assert [number for numbers in expected for number in numbers] == read[-32:]
    assert len(expected) == 2

"""The memory of a compiled fit, and its record, which kernels read by the names of fields."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numba import njit

import vecprop as vp
from sampled import sampled
from vecprop.compiled.jit import OPTIONS, fit_record
from vecprop.compiled.jit.fit_record import FIT, OFFSETS, ROWS, Context, fit_at

N, I, WIDTH = 20_000, 50, 100
X = np.random.default_rng(0).normal(size=(N, I))
T = (X[:, 0] > 0).astype(int)
NETWORK = vp.Network(
    I, [vp.Dense(WIDTH), vp.ReLU(), vp.Dense(2)], vp.SoftmaxCrossEntropy()
)
DATA = X.nbytes
ROW_NUMBERS = 4 * 8 * N  # the order of rows, its keys and places, and all rows' numbers


def peak(theta, X, **arguments):
    """Return the peak memory of a fit in bytes."""
    arguments = {
        "optimizer": vp.Adam(),
        "epochs": 1,
        "batch_size": 200,
        "engine": "compiled",
        **arguments,
    }
    targets = T[: len(X)]
    # so that nothing is compiled or imported later
    vp.train(NETWORK, theta, X, targets, **arguments)
    fit_record.KeptMemory.spare.clear()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    vp.train(NETWORK, theta, X, targets, **arguments)
    most = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return most


@pytest.mark.parametrize(("engine", "rows"), [("compiled", N), ("reference", 2_000)])
def test_memory_does_not_grow_with_epochs_or_batches(engine, rows):
    theta, X_ = NETWORK.init(0), X[:rows]
    once = peak(theta, X_, engine=engine)
    # what the history holds of an epoch
    assert peak(theta, X_, engine=engine, epochs=3) < once + 10_000
    # a learning rate a step
    assert (
        peak(theta, X_, engine=engine, batch_size=100) < once + 8 * rows // 100 + 10_000
    )


@pytest.mark.parametrize(
    "given", sampled(["as it is wanted", "float32", "integers", "transposed"])
)
def test_data_are_converted_at_most_once(given):
    theta = NETWORK.init(0)
    rows = {
        "float32": X.astype(np.float32),
        "integers": X.astype(int),
        "transposed": np.asfortranarray(X),
    }.get(given, X)
    vectors = 12 * theta.nbytes  # theta, its last finite value, moments, gradients
    tile = 8 * 256 * (4 * I + 6 * WIDTH) * 2  # two threads' tiles
    copies = 0 if given == "as it is wanted" else DATA
    checks = N * I  # whether each number is finite
    assert peak(theta, rows, epochs=3) < copies + checks + ROW_NUMBERS + vectors + tile


def test_memory_of_a_fit_is_reused_by_the_next():
    memory = {
        "optimizer": vp.Momentum(0.1),
        "epochs": 1,
        "batch_size": 200,
        "engine": "compiled",
    }
    results = []
    for filled in (0, 255):  # as floating numbers, 0 and nan
        for kept in fit_record.KeptMemory.spare:
            kept.bytes[:] = filled
        results.append(vp.train(NETWORK, NETWORK.init(0), X, T, **memory).theta)
        [kept] = fit_record.KeptMemory.spare
    np.testing.assert_array_equal(*results)
    before = kept.bytes.ctypes.data
    vp.train(NETWORK, NETWORK.init(0), X[:1000], T[:1000], **memory)
    assert [again.bytes.ctypes.data for again in fit_record.KeptMemory.spare] == [
        before
    ]


def leave(size):
    """Allocate and release memory."""
    fit_record.KeptMemory.spare.clear()
    fit_record.KeptMemory(size)


def left():
    return [len(kept.bytes) for kept in fit_record.KeptMemory.spare]


@pytest.mark.parametrize("size", [1, 2**20 - 1, 2**28])
def test_small_and_huge_memory_is_not_reused(size):
    leave(2**21)
    kept: Any = fit_record.KeptMemory(size)
    assert len(kept.bytes) == size
    assert left() == [2**21]


@pytest.mark.parametrize(
    ("spare", "used"),
    [(2**21 - 1, False), (2**21, True), (2**22, True), (2**22 + 1, False)],
)
def test_memory_of_suitable_size_is_reused(spare, used):
    leave(spare)
    first: Any = fit_record.KeptMemory(2**21)
    second: Any = fit_record.KeptMemory(2**21)
    assert len(first.bytes) == (spare if used else 2**21)
    assert not np.shares_memory(first.bytes, second.bytes)
    assert not fit_record.KeptMemory.spare
    del second
    assert left() == [2**21]


def test_a_predictor_holds_no_large_memory():
    leave(2**24)
    predict = vp.compile(NETWORK).predictor(NETWORK.init(0))
    predict(X[:300])
    assert left() == [2**24]


@njit(**OPTIONS)
def read(address):
    c = fit_at(address)
    return (
        c.table,
        c.training.x,
        c.training.rows,
        c.validation.x,
        c.validation.rows,
        c.clip,
        c.predictions,
    )


@njit(**OPTIONS)
def write(address):
    c = fit_at(address)
    c.epochs += 5
    c.validation.rows = 7
    c.clip = 0.25


def test_compiled_code_reads_and_writes_fields_by_name():
    X = np.zeros(3)
    context = Context(
        table=1,
        training={"x": X, "rows": 3},
        validation={"x": 4, "rows": 5},
        clip=1,
        predictions=6,
    )
    assert read(context.address) == (1, X.ctypes.data, 3, 4, 5, 1.0, 6)
    write(context.address)
    assert read(context.address)[4:6] == (7, 0.25)
    assert context.record["epochs"][0] == context.words[OFFSETS["epochs"]] == 5


def test_every_field_has_a_separate_word():
    groups = ("training", "validation")
    offsets = [offset for name, offset in OFFSETS.items() if name not in groups]
    offsets += [offset for group in groups for offset in OFFSETS[group].values()]
    assert sorted(offsets) == list(range(FIT.itemsize // 8))
    assert all(set(OFFSETS[group]) == set(ROWS.names or ()) for group in groups)


def test_an_unknown_field_is_an_error():
    with pytest.raises(KeyError, match="epoch"):
        Context(epoch=1)


def test_a_context_from_a_template_has_a_separate_record():
    first = Context(epochs=3, clip=0.5)
    second = Context(first, epochs=4)
    assert (
        first.record["epochs"][0],
        second.record["epochs"][0],
        second.record["clip"][0],
    ) == (3, 4, 0.5)

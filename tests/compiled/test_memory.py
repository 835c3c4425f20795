"""What a fit allocates: a copy of data that need one, a few vectors of parameters and a tile; nothing for a batch."""

import tracemalloc

import numpy as np
import pytest

import vecprop as vp

N, I, WIDTH = 20_000, 50, 100
X = np.random.default_rng(0).normal(size=(N, I))
T = (X[:, 0] > 0).astype(int)
NETWORK = vp.Network(I, [vp.Dense(WIDTH), vp.ReLU(), vp.Dense(2)], vp.SoftmaxCrossEntropy())
DATA = X.nbytes
ROW_NUMBERS = 4 * 8 * N  # the order of rows, its keys and places, and all rows' numbers


def peak(theta, X, **arguments):
    """Return how many bytes a fit holds at once beyond what is there before."""
    arguments = {"optimizer": vp.Adam(), "epochs": 1, "batch_size": 200, "engine": "compiled", **arguments}
    targets = T[: len(X)]
    vp.train(NETWORK, theta, X, targets, **arguments)  # so that nothing is compiled or imported later
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
    assert peak(theta, X_, engine=engine, epochs=3) < once + 10_000  # what the history holds of an epoch
    assert peak(theta, X_, engine=engine, batch_size=100) < once + 8 * rows // 100 + 10_000  # a learning rate a step


@pytest.mark.parametrize("given", ["as it is wanted", "float32", "integers", "transposed"])
def test_data_are_converted_once_at_most(given):
    theta = NETWORK.init(0)
    rows = {"float32": X.astype(np.float32), "integers": X.astype(int), "transposed": np.asfortranarray(X)}.get(
        given, X
    )
    vectors = 12 * theta.nbytes  # theta, its last finite value, moments, gradients
    tile = 8 * 256 * (4 * I + 6 * WIDTH) * 2  # two threads' tiles
    copies = 0 if given == "as it is wanted" else DATA
    checks = N * I  # whether each number is finite
    assert peak(theta, rows, epochs=3) < copies + checks + ROW_NUMBERS + vectors + tile

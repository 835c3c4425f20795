"""Training on sparse rows equals that on dense rows, and bits do not depend on the number of threads."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

import vecprop as vp
from sampled import sampled
from vecprop import Member, train_population
from vecprop.compiled.compiled_network import BatchLoss, gradient_of_a_step
from vecprop.compiled.program import program_of
from vecprop.core.rows.sparse import SparseNetwork
from vecprop.system.threads import limit_threads

DEEP = vp.Network(
    300,
    [vp.Dense(37), vp.LayerNorm(), vp.Tanh(), vp.Dropout(0.2), vp.Dense(3)],
    vp.SoftmaxCrossEntropy(),
    vp.L2(1e-3),
)
SMALL = vp.Network(
    5, [vp.Dense(2), vp.Tanh(), vp.Dense(1)], vp.SquaredError(), vp.L1(1e-3)
)
NETWORKS = pytest.mark.parametrize("network", [DEEP, SMALL], ids=["split", "not split"])
TYPES = pytest.mark.parametrize("F", sampled([np.float64, np.float32]))


def data(network, rows, F: type = np.float64) -> tuple[Any, np.ndarray]:
    """Return rows with a density of 10 %, some of them empty, and their targets."""
    rng = np.random.default_rng(0)
    # SciPy's name before release 1.15, which it still takes
    drawn: dict[str, Any] = {"random_state": rng}
    X = sparse.random_array(
        (rows, network.inputs), density=0.1, dtype=F, format="csr", **drawn
    )
    if network.outputs == 1:
        return X, rng.normal(size=(rows, 1)).astype(F)
    return X, rng.integers(0, network.outputs, rows)


def trained(
    network, X, T, F: type = np.float64, engine: Any = "compiled", **options: Any
):
    options = {
        "optimizer": vp.Adam(),
        "epochs": 3,
        "batch_size": 150,
        "seed": 1,
        "engine": engine,
        **options,
    }
    return vp.train(network, network.init(seed=0, dtype=F), X, T, **options)


@NETWORKS
@TYPES
@pytest.mark.parametrize("batch_size", [150, 40, None])
def test_training_equals_that_on_dense_rows(network, F, batch_size):
    X, T = data(network, 310, F)
    weight = np.random.default_rng(1).uniform(0.5, 2, 310)
    options: dict[str, Any] = {
        "batch_size": batch_size,
        "sample_weight": weight,
        "clip_norm": 0.5,
    }
    options["validation"] = X[:90], T[:90]
    found = trained(SparseNetwork(network), X, T, F, **options)
    options["validation"] = X[:90].toarray(), T[:90]
    expected = trained(network, X.toarray(), T, F, engine="reference", **options)
    tolerance = 1e-9 if F is np.float64 else 5e-3
    np.testing.assert_allclose(
        found.theta, expected.theta, rtol=tolerance, atol=tolerance
    )
    np.testing.assert_allclose(
        found.history.loss, expected.history.loss, rtol=tolerance
    )
    np.testing.assert_allclose(
        found.history.validation_loss, expected.history.validation_loss, rtol=tolerance
    )


@TYPES
@pytest.mark.parametrize("outputs", [1, 7, 33, 130])
@pytest.mark.parametrize("columns", [1, 2, 400])
def test_gradients_equal_those_of_dense_rows(columns, outputs, F):
    network = vp.Network(columns, [vp.Dense(outputs)], vp.SquaredError(reduction="sum"))
    X, T = data(network, 70, F)
    T = np.random.default_rng(0).normal(size=(70, outputs)).astype(F)
    theta = network.init(seed=0, dtype=F)
    loss, gradient = network.loss_and_gradient(theta, X.toarray(), T)
    own = SparseNetwork(network)
    batch = own._batch(theta, X, T)
    tolerance = 1e-12 if F is np.float64 else 1e-4
    for found in (
        BatchLoss(own, F, batch).loss_and_gradient(theta),
        gradient_of_a_step(own, theta, batch),
    ):
        np.testing.assert_allclose(found[0], loss, rtol=tolerance)
        np.testing.assert_allclose(found[1], gradient, rtol=tolerance, atol=tolerance)


def test_unsorted_duplicate_and_wide_indices():
    rows = np.array([0, 0, 0, 1, 2, 2]), np.array([4, 1, 4, 0, 3, 2])
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    X = sparse.csr_array(
        (values, rows[1].astype(np.int64), np.array([0, 3, 4, 6], np.int64)),
        shape=(3, 5),
    )
    T, theta = np.ones((3, 1)), SMALL.init(seed=0)
    own = SparseNetwork(SMALL)
    gradient = gradient_of_a_step(own, theta, own._batch(theta, X, T))[1]
    np.testing.assert_allclose(
        gradient, SMALL.loss_and_gradient(theta, X.toarray(), T)[1], rtol=1e-12
    )
    assert X.indices.tolist() == rows[1].tolist()  # what was given is left as it is


@NETWORKS
@TYPES
def test_bits_do_not_depend_on_threads_or_other_members(network, F):
    X, T = data(network, 310, F)
    own = SparseNetwork(network)
    assert bool(program_of(own, F).for_batches(150).split_layers) == (network is DEEP)
    options: dict[str, Any] = {
        "optimizer": vp.Adam(),
        "batch_size": 150,
        "epochs": 2,
        "seed": 1,
    }
    theta, rows = network.init(seed=0, dtype=F), np.arange(0, 310, 2)
    results = []
    for threads in (1, 2, 4):
        with limit_threads(threads):
            results.append(vp.train(own, theta, X[rows], T[rows], **options))
            members = [
                Member(own, theta, rows=rows, **options),
                Member(own, theta, rows=rows + 1, **options),
            ]
            results.append(train_population(members, X, T)[0])
    assert all(np.array_equal(result.theta, results[0].theta) for result in results)
    assert all(
        np.array_equal(result.history.loss, results[0].history.loss)
        for result in results
    )


def test_a_number_that_is_not_finite_is_named():
    X, T = data(SMALL, 40)
    X.data[3] = np.nan
    row = int(np.searchsorted(X.indptr, 3, side="right")) - 1
    with pytest.raises(
        ValueError, match=rf"X is not finite: row {row}, column {X.indices[3]} is nan"
    ):
        trained(SparseNetwork(SMALL), X, T)
    with pytest.raises(ValueError, match=rf"row {row}, column"):
        SparseNetwork(SMALL).predict(SMALL.init(seed=0), X)


@pytest.mark.parametrize("column", [5, -1])
def test_a_column_index_out_of_range_is_refused(column):
    X, T = data(SMALL, 40)
    X.indices[3] = column
    with pytest.raises(
        ValueError, match=f"^X has 5 columns, but an entry in column {column}: rebuild"
    ):
        trained(SparseNetwork(SMALL), X, T)


@pytest.mark.parametrize("start", [10**9, -1, 0])
def test_invalid_row_pointers_are_refused(start):
    X, T = data(SMALL, 40)
    X.indptr[20] = start
    with pytest.raises(
        ValueError, match=f"^X has {X.nnz} entries, but its indptr does not increase"
    ):
        trained(SparseNetwork(SMALL), X, T)
    with pytest.raises(ValueError, match="rebuild the sparse matrix"):
        SparseNetwork(SMALL).predict(SMALL.init(seed=0), X)


@NETWORKS
def test_rows_without_entries(network):
    _, T = data(network, 90)
    X = sparse.csr_array((90, network.inputs))
    found = trained(SparseNetwork(network), X, T, batch_size=40)
    expected = trained(network, X.toarray(), T, batch_size=40)
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-9, atol=1e-9)


def test_the_memory_of_a_fit_does_not_grow_with_the_columns_of_a_tile():
    network = SparseNetwork(vp.Network(10_000, [vp.Dense(8)], vp.SquaredError()))
    context = program_of(network, np.float64).for_batches(200).training_context(2)
    assert sum(context.reserved.values()) < 10_000 * 200

"""Sparse, chosen, scaled and lazily converted rows give the same results as one dense array."""

import numpy as np
import pytest
from scipy import sparse

import vecprop as vp
from vecprop.core.rows.selection import Scaling, Selection
from vecprop.core.rows.sparse import SparseNetwork

rng = np.random.default_rng(0)
NETWORK = vp.Network(3, [vp.Dense(4), vp.Tanh(), vp.Dense(2)], vp.SoftmaxCrossEntropy())
THETA = NETWORK.init(0) + 0.1
X, T, WEIGHT = (
    rng.normal(size=(6, 3)),
    rng.integers(0, 2, 6),
    np.array([1.0, 2.0, 0.0, 1.0, 0.5, 0.0]),
)
ROWS = np.array([4, 1, 1, 3])


@pytest.mark.parametrize("form", ["csr", "csc"])
def test_sparse_rows(form):
    entries = X * (rng.uniform(size=X.shape) < 0.5)
    entries[2] = 0
    network, rows = SparseNetwork(NETWORK), sparse.csr_array(entries).asformat(form)
    loss, gradient = network.loss_and_gradient(THETA, rows, T, WEIGHT)
    expected = NETWORK.loss_and_gradient(THETA, entries, T, WEIGHT)
    np.testing.assert_allclose(loss, expected[0], rtol=1e-14)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(
        network.predict(THETA, rows), NETWORK.predict(THETA, entries), rtol=1e-14
    )


@pytest.mark.parametrize(
    ("part", "place", "value", "says"),
    [
        ("indptr", 0, 1, "does not increase from 0"),
        ("indptr", -1, 7, "X has 6 entries"),
        ("indptr", 1, 5, "does not increase"),
        ("indices", 0, 3, "X has 3 columns, but an entry in column 3"),
        ("indices", 0, -1, "an entry in column -1"),
        ("data", 3, np.nan, "X is not finite: row 3, column 1 is nan"),
    ],
)
def test_damaged_sparse_rows(part, place, value, says):
    rows = sparse.csr_array(np.repeat(np.eye(3), 2, axis=0))
    getattr(rows, part)[place] = value
    with pytest.raises(ValueError, match=says):
        SparseNetwork(NETWORK).predict(THETA, rows)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("multiplies", [False, True])
def test_chosen_and_scaled_rows(order, multiplies):
    shift, scale = np.array([0.5, -1.0, 2.0]), np.array([2.0, 0.5, 4.0])
    scaled = X * scale + shift if multiplies else (X - shift) / scale
    selection = Selection(
        np.asarray(X, order=order), ROWS, Scaling(shift, scale, multiplies)
    )
    np.testing.assert_array_equal(selection.whole(), scaled[ROWS])
    np.testing.assert_array_equal(Selection(selection.X).take([2, 0]), X[[2, 0]])
    batch = NETWORK._batch(THETA, selection, T, WEIGHT).take(np.array([3, 0]))
    np.testing.assert_array_equal(batch.X, scaled[[3, 4]])
    np.testing.assert_array_equal(batch.T, T[[3, 4]])
    np.testing.assert_array_equal(batch.weight, WEIGHT[[3, 4]])


def test_chosen_rows_without_weight():
    with pytest.raises(ValueError, match="0 in every selected row"):
        NETWORK._batch(THETA, Selection(X, np.array([2, 5])), T, WEIGHT)
    summed = vp.Network(3, [vp.Dense(2)], vp.SoftmaxCrossEntropy(reduction="sum"))
    assert (
        summed._batch(summed.init(0), Selection(X, np.array([2, 5])), T, WEIGHT).rows
        == 2
    )


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_large_inputs_are_converted_lazily(dtype):
    network = vp.Network(64, [vp.Dense(1)], vp.SquaredError())
    large = np.zeros((2**18, 64), dtype)
    large[2, 1] = 1
    batch = network._batch(network.init(0), large, np.zeros(len(large)), as_read=True)
    assert batch.X is large
    np.testing.assert_array_equal(batch.take(np.array([2])).X, large[2:3].astype(float))
    assert batch.take(np.array([2])).X.dtype == float
    assert (
        network._batch(network.init(0), large[:4], np.zeros(4), as_read=True).X.dtype
        == float
    )


def test_members_of_targets_and_inputs():
    with pytest.raises(
        ValueError, match=r"theta and X has the leading axes \(2,\) and T \(3,\)"
    ):
        NETWORK._batch(THETA, np.broadcast_to(X, (2, 6, 3)), np.broadcast_to(T, (3, 6)))

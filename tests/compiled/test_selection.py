"""Sparse, selected, scaled and lazily converted rows give the results of one dense array."""

from itertools import product

import numpy as np
import pytest
from scipy import sparse

import vecprop as vp
from vecprop.compiled.gemm.products import uses_blocks
from vecprop.compiled.program import program_of
from vecprop.compiled.run.parallelism import WeightSplit
from vecprop.core.rows.selection import Scaling, Selection
from vecprop.core.rows.sparse import SparseNetwork
from vecprop.optimize.settings import EngineName

RNG = np.random.default_rng(0)
NETWORKS = {  # by how tiles are filled
    "few features": (5, [8], 40),
    "squares of features": (30, [8], 40),
    "split by inputs": (300, [300], 40),
}


def network_of(I, widths):
    hidden = [layer for width in widths for layer in (vp.Dense(width), vp.ReLU())]
    return vp.Network(
        I, [*hidden, vp.Dense(3)], vp.SoftmaxCrossEntropy(), penalty=vp.L2(1e-4)
    )


def scaled(X, scaling):
    """Scale like scikit-learn's scalers, with in-place operations."""
    Y = X.copy()
    if scaling.multiplies:
        Y *= scaling.scale
        Y += scaling.shift
    else:
        Y -= scaling.shift
        Y /= scaling.scale
    return Y


def assert_trains_alike(
    name, F, of_scaling, multiplies, engine: EngineName = "compiled"
):
    I, widths, batch_size = NETWORKS[name]
    N = 2 * batch_size + 40
    network, X, t = (
        network_of(I, widths),
        (3 * RNG.normal(size=(N, I)) + 1).astype(F),
        RNG.integers(0, 3, N),
    )
    theta, weight = network.init(0, F), RNG.random(N)
    order = RNG.permutation(N)
    rows, unseen = order[: 2 * batch_size + 9], order[-20:]
    scaling = Scaling(
        X.mean(axis=0).astype(of_scaling), X.std(axis=0).astype(of_scaling), multiplies
    )
    Z = scaled(X, scaling)
    settings = {
        "optimizer": vp.Adam(0.01),
        "epochs": 2,
        "seed": 3,
        "early_stopping": vp.EarlyStopping(patience=5),
    }
    for size in (batch_size, None):
        settings |= {"batch_size": size}
        copied = vp.train(
            network, theta, Z[rows], t[rows], sample_weight=weight[rows], engine=engine,
            validation=(Z[unseen], t[unseen], weight[unseen]), **settings,
        )  # fmt: skip
        chosen = vp.train(
            network, theta, Selection(X, rows, scaling), t, sample_weight=weight, engine=engine,
            validation=(Selection(X, unseen, scaling), t, weight), **settings,
        )  # fmt: skip
        member = vp.Member(
            network,
            theta,
            X=Selection(X, None, scaling),
            rows=rows,
            validation_rows=unseen,
            **settings,
        )
        [in_population] = vp.train_population(
            [member], X, t, sample_weight=weight, engine=engine
        )
        for result in (chosen, in_population):
            np.testing.assert_array_equal(result.theta, copied.theta)
            np.testing.assert_array_equal(result.history.loss, copied.history.loss)
            np.testing.assert_array_equal(
                result.history.validation_loss, copied.history.validation_loss
            )


def test_the_networks_fill_tiles_as_named():
    programs = [
        program_of(network_of(I, widths), np.float64).for_batches(B)
        for I, widths, B in NETWORKS.values()
    ]
    if uses_blocks():
        splits = [WeightSplit(program.table[0]["split"]) for program in programs]
        assert splits == [WeightSplit.NONE, WeightSplit.NONE, WeightSplit.INPUTS]
    else:
        assert [program.by_rows for program in programs] == [False, False, True]


def is_short(name, F, of_scaling, multiplies):
    """Return whether a case belongs to the short suite, which compiles few float32 kernels."""
    return F is np.float64 or (
        name == "few features" and multiplies == (of_scaling is F)
    )


@pytest.mark.parametrize(
    ("name", "F", "of_scaling", "multiplies"),
    [
        pytest.param(*case, marks=() if is_short(*case) else pytest.mark.long)
        for name, multiplies in product(NETWORKS, (False, True))
        for F, of_scaling in (
            (np.float32, np.float32),
            (np.float32, np.float64),
            (np.float64, np.float64),
        )
        for case in [(name, F, of_scaling, multiplies)]
    ],
)
def test_selected_and_scaled_rows(name, F, of_scaling, multiplies):
    assert_trains_alike(name, F, of_scaling, multiplies)


def test_the_reference_engine_reads_selections():
    assert_trains_alike(
        "few features", np.float64, np.float64, multiplies=False, engine="reference"
    )


def test_lbfgs_reads_selections():
    network, X, t = network_of(5, [4]), RNG.normal(size=(60, 5)), RNG.integers(0, 3, 60)
    theta, rows, scaling = (
        network.init(0),
        np.arange(0, 60, 2),
        Scaling(np.ones(5), np.full(5, 2.0)),
    )
    chosen = vp.train(
        network, theta, Selection(X, rows, scaling), t, optimizer=vp.LBFGS(), epochs=9
    )
    copied = vp.train(
        network,
        theta,
        scaled(X, scaling)[rows],
        t[rows],
        optimizer=vp.LBFGS(),
        epochs=9,
    )
    np.testing.assert_array_equal(chosen.theta, copied.theta)


@pytest.mark.parametrize("N", [1, 511, 512, 513, 1024, 1025, 3000])
def test_parts_cover_all_rows_and_have_at_least_two(N):
    X, rows = RNG.normal(size=(3000, 700)), RNG.permutation(3000)[:N]
    parts = list(Selection(X, rows).parts())
    np.testing.assert_array_equal(np.concatenate(parts), X[rows])
    assert min(map(len, parts)) > 1 or N == 1
    assert len(parts) == max(-(-(N - 1) // 512), 1)


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

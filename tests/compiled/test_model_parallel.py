"""Layers split between threads train like others, and bits do not depend on the number of threads."""

from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecprop as vp
from sampled import sampled
from vecprop.compiled.gemm.products import uses_blocks
from vecprop.compiled.program import program_of
from vecprop.compiled.run import parallelism
from vecprop.compiled.run.parallelism import (
    SplitLayer,
    WeightSplit,
    blocks_of,
    split_of,
)
from vecprop.system.threads import limit_threads

WIDE = vp.Network(
    300,
    [
        vp.Dense(280),
        vp.LayerNorm(),
        vp.Tanh(),
        vp.Dropout(0.2),
        vp.Dense(90),
        vp.ELU(),
        vp.Dense(3),
    ],
    vp.SoftmaxCrossEntropy(),
    vp.L2(1e-3),
)
NARROW_FIRST = vp.Network(
    20,
    [vp.Dense(300), vp.ReLU(), vp.Dense(64), vp.Tanh(), vp.Dense(1)],
    vp.SquaredError(),
    vp.L1(1e-3),
)

LARGE = vp.Network(
    150,
    [vp.Dense(1800), vp.ReLU(), vp.Dense(150), vp.Tanh(), vp.Dense(3)],
    vp.SoftmaxCrossEntropy(),
    vp.L2(1e-3),
)
WITHOUT_PENALTY = vp.Network(150, LARGE.layers, vp.SoftmaxCrossEntropy())
WITHOUT_NOISE = vp.Network(
    300, [vp.Dense(100), vp.Tanh(), vp.Dense(10)], vp.SoftmaxCrossEntropy()
)
NORM_FIRST = vp.Network(
    300,
    [vp.LayerNorm(), vp.Dense(64), vp.Tanh(), vp.Dense(2)],
    vp.SoftmaxCrossEntropy(reduction="sum"),
    vp.L2(1e-3),
)
NETWORKS = pytest.mark.parametrize(
    "network",
    [WIDE, NARROW_FIRST, NORM_FIRST, LARGE],
    ids=["first", "second", "after a norm", "by results"],
)


def data(network, rows, F: type = np.float64, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, network.inputs)).astype(F)
    if network.outputs == 1:
        return X, rng.normal(size=(rows, 1)).astype(F)
    return X, rng.integers(0, network.outputs, rows)


def trained(network, F: type = np.float64, engine="compiled", rows=300, **options: Any):
    X, T = data(network, rows, F)
    options = {
        "optimizer": vp.Adam(),
        "epochs": 3,
        "batch_size": 128,
        "seed": 1,
        "engine": engine,
        **options,
    }
    return vp.train(network, network.init(seed=0, dtype=F), X, T, **options)


def assert_same_course(found, expected, tolerance):
    np.testing.assert_allclose(
        found.theta, expected.theta, rtol=tolerance, atol=tolerance
    )
    np.testing.assert_allclose(
        found.history.loss, expected.history.loss, rtol=tolerance
    )
    np.testing.assert_allclose(
        found.history.gradient_norm, expected.history.gradient_norm, rtol=10 * tolerance
    )


@NETWORKS
@pytest.mark.parametrize(
    "F", [np.float64, pytest.param(np.float32, marks=pytest.mark.long)]
)
def test_training_equals_the_reference_engine(network, F):
    assert bool(program_of(network, F).for_batches(128).split_layers) == uses_blocks()
    options: dict[str, Any] = {"optimizer": vp.Momentum(0.01)}
    assert_same_course(
        trained(network, F, **options),
        trained(network, F, "reference", **options),
        1e-9 if F is np.float64 else 2e-3,
    )


@pytest.mark.parametrize(
    "network",
    [WIDE, NARROW_FIRST, pytest.param(LARGE, marks=pytest.mark.long)],
    ids=["first", "second", "by results"],
)
def test_no_layer_is_split_if_blas_computes_products(network, products_by):
    products_by("BLAS")
    assert not program_of(network, np.float64).for_batches(128).split_layers
    assert_same_course(trained(network), trained(network, engine="reference"), 1e-7)
    with limit_threads(1):
        alone = trained(network)
    np.testing.assert_array_equal(trained(network).theta, alone.theta)


@pytest.mark.parametrize(
    "optimizer",
    sampled([vp.Adam(0.001), vp.GradientDescent(0.01), vp.AdamW(0.001)], 3),
    ids=repr,
)
@pytest.mark.parametrize("clip", [pytest.param(None, marks=pytest.mark.long), 0.1])
def test_every_number_of_moments(optimizer, clip):
    options = {"optimizer": optimizer, "clip_norm": clip}
    assert_same_course(
        trained(WIDE, **options), trained(WIDE, engine="reference", **options), 1e-7
    )


@NETWORKS
@pytest.mark.parametrize(
    ("batch_size", "F"),
    sampled([(150, np.float64), (64, np.float32), (128, np.float32)], 3),
)
def test_bits_do_not_depend_on_threads(network, batch_size, F):
    results = []
    for threads in (1, 2, 3, 4):
        with limit_threads(threads):
            results.append(
                trained(
                    network, F, batch_size=batch_size, training_loss="running", epochs=2
                )
            )
    assert all(np.array_equal(result.theta, results[0].theta) for result in results)
    assert all(
        np.array_equal(result.history.loss, results[0].history.loss)
        for result in results
    )


@pytest.mark.parametrize(
    "network", [NARROW_FIRST, LARGE], ids=["by inputs", "by results"]
)
@pytest.mark.parametrize(
    "batch_size",
    [*(pytest.param(size, marks=pytest.mark.long) for size in (3, 128)), 100],
)
def test_full_batches(network, batch_size):
    options = {"rows": batch_size, "batch_size": None, "optimizer": vp.Momentum(0.01)}
    assert bool(
        program_of(network, np.float64).for_batches(batch_size).split_layers
    ) == (uses_blocks() and (network is LARGE or batch_size > 3))
    expected = trained(network, engine="reference", **options)
    assert_same_course(trained(network, **options), expected, 1e-9)
    one_by_one = trained(network, callbacks=[lambda state: None], **options)
    np.testing.assert_array_equal(
        one_by_one.history.loss, trained(network, **options).history.loss
    )


@pytest.mark.parametrize(
    "network",
    [WITHOUT_NOISE, LARGE, WITHOUT_PENALTY],
    ids=["by inputs", "by results", "without a penalty"],
)
@pytest.mark.parametrize(("threads", "F"), sampled([(2, np.float64), (1, np.float32)]))
def test_carried_losses_are_bit_identical_to_measured_ones(network, threads, F):
    """The next step of a full batch computes the loss; epochs that run one by one must measure it."""
    options = {"optimizer": vp.Adam(), "rows": 128, "batch_size": None, "epochs": 24}
    with limit_threads(threads):
        whole = trained(network, F, **options)
        one_by_one = trained(network, F, callbacks=[lambda state: None], **options)
    np.testing.assert_array_equal(one_by_one.history.loss, whole.history.loss)
    np.testing.assert_array_equal(one_by_one.theta, whole.theta)


@NETWORKS
@pytest.mark.parametrize("rows", [257, pytest.param(258, marks=pytest.mark.long)])
def test_a_last_batch_of_fewer_rows_than_shards(network, rows):
    options = {"rows": rows, "batch_size": 256, "optimizer": vp.Momentum(0.01)}
    assert_same_course(
        trained(network, **options),
        trained(network, engine="reference", **options),
        1e-9,
    )


def test_weights_chosen_rows_and_validation():
    X, t = data(WIDE, 400)
    weight = np.random.default_rng(1).random(400)
    options = {
        "optimizer": vp.Adam(),
        "epochs": 4,
        "batch_size": 128,
        "early_stopping": vp.EarlyStopping(patience=1),
    }
    weighted = {
        "validation": (X[300:], t[300:], weight[300:]),
        "sample_weight": weight[:300],
    }
    theta = WIDE.init(seed=0)
    expected = vp.train(
        WIDE, theta, X[:300], t[:300], engine="reference", **options, **weighted
    )
    found = vp.train(
        WIDE, theta, X[:300], t[:300], engine="compiled", **options, **weighted
    )
    assert_same_course(found, expected, 1e-7)
    np.testing.assert_allclose(
        found.history.validation_loss, expected.history.validation_loss, rtol=1e-7
    )
    rows = {"rows": np.arange(300), "validation_rows": np.arange(300, 400)}
    member = vp.Member(WIDE, theta, **{"seed": 0, **options, **rows})
    (of_population,) = vp.train_population([member], X, t, sample_weight=weight)
    np.testing.assert_array_equal(of_population.theta, found.theta)


@pytest.mark.parametrize(
    ("wide", "F"),
    [(WIDE, np.float64), (LARGE, np.float32)],
    ids=["by inputs", "by results"],
)
def test_members_train_as_single_fits(wide, F):
    X, t = data(wide, 260, F)
    narrow = vp.Network(wide.inputs, [vp.Dense(3)], vp.SoftmaxCrossEntropy())
    optimizer, options = (
        vp.Adam(),
        {
            "epochs": 3,
            "batch_size": 128,
            "early_stopping": vp.EarlyStopping(patience=2),
        },
    )
    members = [
        vp.Member(network, network.init(seed, dtype=F), optimizer, seed=seed, **options)
        for seed in range(3)
        for network in (wide, narrow)
    ]
    for member, found in zip(members, vp.train_population(members, X, t), strict=True):
        fit = {
            "optimizer": member.optimizer,
            "seed": member.seed,
            "engine": "compiled",
            **options,
        }
        alone = vp.train(member.network, member.theta, X, t, **fit)
        np.testing.assert_array_equal(found.theta, alone.theta)
        np.testing.assert_array_equal(found.state.theta, alone.state.theta)
        for name in optimizer.moments:
            np.testing.assert_array_equal(
                found.state.optimizer[name], alone.state.optimizer[name]
            )


@pytest.mark.parametrize(
    "network", [WIDE, NARROW_FIRST, LARGE], ids=["first", "second", "by results"]
)
@pytest.mark.parametrize("value", sampled([np.nan, np.inf]))
def test_nonfinite_x_is_detected_in_the_gradient(network, value, limit):
    limit("compiled: many inputs", 1)
    X, t = data(network, 300)
    X[257, 19] = value
    with pytest.raises(ValueError, match="X is not finite: row 257, column 19"):
        vp.train(
            network,
            network.init(seed=0),
            X,
            t,
            optimizer=vp.Momentum(0.01),
            batch_size=128,
            engine="compiled",
        )


def test_continues_where_it_stopped():
    X, t = data(WIDE, 300)
    options = {"optimizer": vp.Adam(), "batch_size": 128, "engine": "compiled"}
    whole = vp.train(WIDE, WIDE.init(seed=0), X, t, epochs=4, **options)
    half = vp.train(WIDE, WIDE.init(seed=0), X, t, epochs=2, **options)
    rest = vp.train(WIDE, half.theta, X, t, epochs=2, state=half.state, **options)
    np.testing.assert_array_equal(rest.theta, whole.theta)


def test_the_last_finite_parameters_are_restored():
    X, t = data(WIDE, 300)
    with pytest.raises(vp.DivergenceError) as error:
        vp.train(
            WIDE,
            WIDE.init(seed=0),
            X,
            t,
            optimizer=vp.GradientDescent(1e200),
            batch_size=128,
            engine="compiled",
        )
    np.testing.assert_array_equal(error.value.result.theta, WIDE.init(seed=0))


@given(size=st.integers(1, 50), P=st.integers(0, 40))
def test_blocks_cover_all_parameters(size, P):
    layers = [SplitLayer(3, 4, 6), SplitLayer(40, 2, 5)]
    blocks = blocks_of(55 + P, layers, size)
    assert blocks[0, 0] == 0
    assert blocks[-1, 1] == 55 + P
    np.testing.assert_array_equal(blocks[1:, 0], blocks[:-1, 1])
    assert (blocks[:, 1] - blocks[:, 0] <= size).all()
    alone = np.zeros(55 + P, bool)
    for layer in layers:
        for quarter, (low, high) in enumerate(layer.quarters()):
            own = blocks[(low <= blocks[:, 0]) & (blocks[:, 0] < high)]
            assert (own[:, 1] <= high).all()
            assert (own[:, 2] == quarter).all()
            alone[low:high] = True
    for low, high, _, is_alone in blocks:
        assert (alone[low:high] == is_alone).all()


def test_when_layers_are_split():
    cases = {
        WeightSplit.INPUTS: [
            (784, 128, 128),
            (784, 128, 522),
            (1024, 100, 128),
            (1024, 1024, 31),
        ],
        WeightSplit.RESULTS: [(1024, 1024, 128), (100, 10_000, 31), (1024, 1024, 4096)],
        WeightSplit.NONE: [
            (784, 128, 523),
            (784, 31, 128),
            (191, 1000, 16),
            (784, 128, 1),
            (1024, 1024, 4097),
        ],
    }
    for split, sizes in cases.items():
        assert {split_of(*each) for each in sizes} == {
            split if uses_blocks() else WeightSplit.NONE
        }
    assert not program_of(WIDE, np.float64).for_batches(2).split_layers


@given(start=st.integers(0, 500), count=st.integers(1, 20_000))
def test_quarters_are_equal_or_one(start, count):
    quarters = parallelism._quarters(start, start + count)
    assert [low for low, _ in quarters] == [start, *(high for _, high in quarters[:-1])]
    assert quarters[-1][1] == start + count
    assert len(quarters) == (
        parallelism.QUARTERS if count >= parallelism.MIN_DIVIDED else 1
    )
    sizes = [high - low for low, high in quarters]
    assert max(sizes) - min(sizes) <= parallelism.QUARTERS * parallelism.LINE_NUMBERS


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_each_quarter_belongs_to_one_worker(workers):
    quarters_of = numba.njit(
        lambda worker, workers: parallelism.quarters_of(worker, workers)
    )
    shares = [quarters_of(worker, workers) for worker in range(workers)]
    assert [quarter for first, end in shares for quarter in range(first, end)] == list(
        range(parallelism.QUARTERS)
    )
    assert all(first < end for first, end in shares)

"""The check finds planted faults in the kernels of the compiled engine, and reports no others."""

import numpy as np
import pytest

import vecprop as vp
from engine_faults import (
    Point,
    computing,
    faulty_source,
    found,
    planted,
    trains_alike,
    wrong_gradients,
)
from fits import Own
from kernel_faults import (
    BY_INPUTS,
    BY_INPUTS_LATER,
    BY_RESULTS,
    DROPOUT,
    FOUR_SHARDS,
    OF_GRADIENTS,
    OF_STEPS,
    ONE_ROW,
    POINTS,
    SAMPLE,
    SEVERAL_TILES,
    SMALL,
    TWO_SHARDS,
)
from random_networks import PLACES, case
from sampled import sampled
from vecprop.compiled.compiled_network import gradient_of_a_step
from vecprop.compiled.jit.cache import folder
from vecprop.compiled.program import program_of

TYPES = pytest.mark.parametrize(
    "F", [np.float64, pytest.param(np.float32, marks=pytest.mark.long)]
)


RIGHT = [(fault.algorithm, fault.at) for fault in OF_GRADIENTS]
RIGHT += [("blocks", at) for at in POINTS]
RIGHT += [
    (algorithm, at)
    for algorithm in ("loops", "packed", "BLAS")
    for at in (ONE_ROW, SEVERAL_TILES, FOUR_SHARDS)
]


@TYPES
def test_engines_without_faults_are_right(F):
    for algorithm in sorted({algorithm for algorithm, _ in RIGHT}):
        with computing(algorithm):
            for at in {id(at): at for own, at in RIGHT if own == algorithm}.values():
                assert wrong_gradients(at.in_type(F)) == [], (algorithm, at.network)


@pytest.mark.parametrize(
    ("first", "end"), [(0, 24), pytest.param(24, 1000, marks=pytest.mark.long)]
)
def test_random_networks(first, end):
    for seed in range(first, end):
        if PLACES[seed % len(PLACES)] in ("ordinary", "wide", "constant columns"):
            one = case(seed)
            at = Point(one.network, one.theta, one.X, one.T, one.weight, one.noise)
            assert wrong_gradients(at) == [], seed


def test_points_have_the_intended_splits():
    points = (
        (BY_INPUTS, "blocks", [1]),
        (BY_INPUTS_LATER, "blocks", [1]),
        (BY_RESULTS, "packed", [2, 2]),
    )
    for at, algorithm, splits in points:
        with computing(algorithm):
            program = program_of(at.network, np.float64).for_batches(len(at.X))
            assert [split for split in program.table["split"] if split] == splits
    with computing("blocks"):
        assert [
            program_of(at.network, np.float64).shards(len(at.X))
            for at in (TWO_SHARDS, FOUR_SHARDS)
        ] == [2, 4]


def test_every_fault_can_be_planted():
    """Each faulty line occurs exactly once in the source."""
    for fault in (*OF_GRADIENTS, *OF_STEPS):
        compile(faulty_source(fault), "<faulty>", "exec")


@pytest.mark.parametrize("fault", sampled(SAMPLE, 4), ids=str)
def test_a_sample_of_faults_is_found_and_not_cached(fault):
    assert not found(fault.at)
    place = folder()
    assert place is not None
    kept = set(place.glob("*.kernel"))
    with planted(fault):
        assert found(fault.at)
    assert set(place.glob("loops._derivative_float64_Tanh-*.kernel")) <= kept
    assert not found(fault.at)


@pytest.mark.long
@TYPES
@pytest.mark.parametrize("fault", OF_GRADIENTS, ids=str)
def test_every_fault_is_found(fault, F):
    with planted(fault):
        assert found(fault.at.in_type(F))


@pytest.mark.long
def test_faults_are_attributed_to_the_faulty_gradients():
    of_both, of_steps = (
        SAMPLE[1],
        next(
            fault
            for fault in OF_GRADIENTS
            if fault.function.endswith(".steps.penalize")
        ),
    )
    with planted(of_both):
        assert wrong_gradients(of_both.at) == ["evaluation", "training step"]
    with planted(of_steps):
        assert wrong_gradients(of_steps.at) == ["training step"]


@pytest.mark.parametrize(
    "options", {str(fault.at): fault.at for fault in OF_STEPS}.values(), ids=str
)
def test_steps_without_faults_are_right(options):
    assert trains_alike(SMALL.network, **options)


@pytest.mark.parametrize(
    "fault",
    [OF_STEPS[0], *(pytest.param(f, marks=pytest.mark.long) for f in OF_STEPS[1:])],
    ids=str,
)
def test_faults_in_steps_are_found(fault):
    with planted(fault):
        assert not trains_alike(SMALL.network, **fault.at)
    assert trains_alike(SMALL.network, **fault.at)


def step(network, theta, X, T, F=np.float64, noise=None):
    theta = np.array(theta, F)
    return gradient_of_a_step(network, theta, network._batch(theta, X, T), noise)


@TYPES
@pytest.mark.parametrize("size", [1e-30, 1e-3, 1e30, 1e200])
def test_gradients_of_any_magnitude_are_exact(size, F):
    # the squares of large sizes overflow
    size = F(min(size, float(np.finfo(F).max) / 4))
    loss, gradient = step(
        vp.Network(1, [vp.Dense(1)], vp.SquaredError()), [0, 3], [[size]], [[1]], F
    )
    assert (loss, *gradient) == (2, 2 * size, 2)
    assert loss.dtype == gradient.dtype == F


def test_infinite_losses_and_gradients_are_returned():
    network = vp.Network(1, [vp.Dense(1)], vp.SquaredError(), vp.L2(0.1))
    loss, gradient = step(network, [1e200, 0], [[1e200]], [[1]])
    assert loss == np.inf
    np.testing.assert_array_equal(gradient, [np.inf, np.inf])


def test_theta_is_not_modified():
    theta = SMALL.theta.copy()
    theta.setflags(write=False)
    gradient_of_a_step(
        SMALL.network, theta, SMALL.network._batch(theta, SMALL.X, SMALL.T)
    )
    np.testing.assert_array_equal(theta, SMALL.theta)


@pytest.mark.parametrize(
    ("algorithm", "at"),
    sampled(
        [("blocks", BY_INPUTS), ("packed", BY_RESULTS), ("blocks", FOUR_SHARDS)], 3
    ),
)
def test_results_do_not_depend_on_the_number_of_threads(algorithm, at, monkeypatch):
    results = []
    with computing(algorithm):
        for threads in (1, 2, 4):
            monkeypatch.setenv("VECPROP_NUM_THREADS", str(threads))
            results.append(step(at.network, at.theta, at.X, at.T))
    for loss, gradient in results:
        assert loss == results[0][0]
        np.testing.assert_array_equal(gradient, results[0][1])


def test_training_uses_the_gradient_of_a_step():
    """The optimizer moves along this gradient, with the same random masks."""
    at, rate = DROPOUT, 2.0**-10
    options = {
        "optimizer": vp.GradientDescent(rate),
        "epochs": 1,
        "seed": 7,
        "engine": "compiled",
    }
    moved = vp.train(at.network, at.theta, at.X, at.T, **options).theta
    _, gradient = step(
        at.network, at.theta, at.X, at.T, noise=vp.extend.RandomKey(seed=7)
    )
    np.testing.assert_array_equal(moved, at.theta - rate * gradient)


@pytest.mark.parametrize(("layers", "F", "noise", "reason"), [
    ([vp.Dense(1), Own()], np.float64, None, "Own is a custom part"),
    ([vp.Dense(1)], np.float16, None, "float32 and float64"),
    ([vp.Dense(1)], np.float64, vp.extend.RandomKey(rows=np.arange(5)), "all rows in their order"),
    ([vp.Dense(1)], np.float64, vp.extend.RandomKey([1, 2]), "an integer seed"),
    ([vp.Dense(1)], np.float64, vp.extend.RandomKey(step=-1), "a step of at least 0"),
])  # fmt: skip
def test_errors_of_the_compiled_engine_state_the_reason(layers, F, noise, reason):
    network = vp.Network(2, layers, vp.SquaredError())
    theta = network.init(0, F)
    with pytest.raises(
        ValueError, match=f"The compiled engine cannot be checked: .*{reason}"
    ):
        vp.check_gradients(
            network,
            theta,
            np.ones((5, 2)),
            np.ones((5, 1)),
            noise=noise,
            engine="compiled",
        )

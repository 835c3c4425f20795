"""A fault in any kernel of the compiled engine is found, and none is found if there is none."""

import numpy as np
import pytest
from engine_faults import Fault, Point, computing, faulty_source, found, planted, trains_alike, wrong_gradients

import registry
import vecprop as vp
from fits import Own
from random_networks import PLACES, case
from sampled import sampled
from vecprop.compiled.compiled_network import gradient_of_a_step
from vecprop.compiled.jit.cache import folder
from vecprop.compiled.program import program_of
from vecprop.optimize.optimizers import AdamHat

TYPES = pytest.mark.parametrize("F", [np.float64, pytest.param(np.float32, marks=pytest.mark.long)])


def point(*layers, inputs=12, loss=None, penalty=(), rows=48, targets=None, weighted=False, noise=None):
    """Return a network at random parameters, with random rows."""
    rng = np.random.default_rng(0)
    network = vp.Network(inputs, layers, loss or vp.SquaredError(), penalty)
    theta, X = rng.normal(size=network.layout.size) / 2, rng.normal(size=(rows, inputs))
    T = registry.targets(network.loss_function, rng, rows, network.outputs) if targets is None else targets
    return Point(network, theta, X, T, rng.uniform(0.1, 2, rows) if weighted else None, noise)


def hidden(layer, **options):
    return point(vp.Dense(7), layer, vp.Dense(3), **options)


LAYERS = (vp.Dense(17), vp.Tanh(), vp.Dense(20), vp.Tanh(), vp.Dense(3))
SMALL = point(*LAYERS)
WEIGHTED = point(*LAYERS, weighted=True)
CLASSES = point(*LAYERS, loss=vp.SoftmaxCrossEntropy(), targets=np.arange(48) % 3)
SOFT = point(*LAYERS, loss=vp.SoftmaxCrossEntropy())
ONE_ROW = point(*LAYERS, rows=1)
SEVERAL_TILES = point(*LAYERS, rows=1300, weighted=True)
FILLED_TILE = point(vp.Dense(3), vp.Tanh(), vp.Dense(2), inputs=4, rows=45)
DEEP_PRODUCTS = point(vp.Dense(5), vp.Tanh(), vp.Dense(3), inputs=80, rows=128)
LARGE = point(vp.Dense(30), vp.Tanh(), vp.Dense(9), inputs=300, rows=34)
BY_INPUTS = point(vp.Dense(32), vp.Tanh(), vp.Dense(3), inputs=200, rows=128)
BY_INPUTS_LATER = point(vp.LayerNorm(), vp.Dense(32), vp.Tanh(), vp.Dense(3), inputs=200, rows=128)
BY_RESULTS = point(vp.Dense(40), vp.Tanh(), vp.Dense(36), inputs=48, rows=150)
TWO_SHARDS, FOUR_SHARDS = (
    point(vp.Dense(64), vp.Tanh(), vp.Dense(64), vp.Tanh(), vp.Dense(3), rows=rows) for rows in (140, 280)
)
PENALIZED = point(*LAYERS, penalty=(vp.L2(0.3), vp.L1(0.2)))
AVERAGED = point(*LAYERS, penalty=(vp.L2(3.0, averaged=True), vp.L1(2.0, averaged=True)), weighted=True)
NORM = hidden(vp.LayerNorm(epsilon=0.1))
DROPOUT = hidden(vp.Dropout(0.3), noise=vp.extend.RandomKey(seed=3, step=2))

DENSE = [
    Fault("compiled.run.dense._loops", "p[o:], O, I + 1", "p[o:], O, I", SMALL, "loops"),
    Fault("compiled.run.dense._put_weighted_rows", "+ d * D[s])", "- d * D[s])", SMALL, "loops"),
    Fault("compiled.run.dense._loops_back", "A_k[s] * delta_o[s]", "A_k[s] * delta_o[s] * (k < I)", SMALL, "loops"),
    Fault("compiled.run.dense._blocks", "I + 1, left", "I, left", SMALL),
    Fault("compiled.run.dense._blocks_back", "delta, row, J, column, add",
          "delta, row, J, column, 0 * one", SEVERAL_TILES),
    Fault("compiled.gemm.products.multiply", "add != 0 or k > 0", "add != 0", DEEP_PRODUCTS),
    Fault("compiled.gemm.products.dots", "B + n * B_n", "B", hidden(vp.Tanh())),
    Fault("compiled.gemm.vectors.dots_block", "builder.fadd(old, v.shuffle(total, total, places))", "old", SMALL),
    Fault("compiled.run.dense._packed", "S, I + 1, p", "S, I, p", LARGE, "packed"),
    Fault("compiled.gemm.packed.multiply", "add != 0 or k > 0", "add != 0", LARGE, "packed"),
    Fault("compiled.gemm.vectors.packed_block", "builder.fadd(v.load(at, mask), sum)", "sum", LARGE, "packed"),
    Fault("compiled.run.dense._through_blas", "p[I * O + o]", "p[o]", SMALL, "BLAS"),
    Fault("compiled.run.dense._through_blas_back", "J_o = total", "J_o = -total", SMALL, "BLAS"),
    Fault("compiled.run.parallelism.sum_quarters", "[2 * n + i] + products", "[2 * n + i] - products", BY_INPUTS),
    Fault("compiled.run.batches.backward_by_inputs", "np.int64(shard > 0)", "np.int64(0)", BY_INPUTS),
    Fault("compiled.run.batches._multiply_weights", "row.inputs + 1", "row.inputs", BY_RESULTS, "packed"),
]  # fmt: skip

ACTIVATIONS = [
    Fault("compiled.lower.loops._map", "formula(h, z[i])", "formula(h, z[0])", SMALL),
    Fault("compiled.lower.loops._derivative", "delta[i] *= formula", "delta[i] = formula", SMALL),
    Fault("core.activations.Tanh.derivative", "1 - y * y", "1 - y", SMALL),
    Fault("core.activations.ELU.value", "self.alpha * expm1", "expm1", hidden(vp.ELU(0.7))),
    Fault("core.activations._gelu_u", "0.044715 * c * c * c", "0.044715 * c * c", hidden(vp.GELU())),
]  # fmt: skip


def scored(loss):
    return point(*LAYERS, loss=loss, weighted=True)


LOSSES = [
    Fault("compiled.lower.loops._softmax_loss", "* (log_total[s] - (", "* (log_total[s] + (", SOFT),
    Fault("compiled.lower.loops._elementwise_loss", "loss[s] += formula", "loss[s] = formula", WEIGHTED),
    Fault("core.losses.BinaryCrossEntropy.element", "(1 - T) * softplus(Z)",
          "T * softplus(Z)", scored(vp.BinaryCrossEntropy())),
    Fault("core.losses.Poisson.delta", "exp(Z) - T", "exp(Z)", scored(vp.Poisson())),
]  # fmt: skip

NORMALIZATION = [
    Fault("compiled.lower.loops._norm", "* kept[k, s] + b[k]", "* kept[k, s]", NORM),
    Fault("compiled.lower.loops._norm_back", "delta[k, s] *= g[k]", "delta[k, s] *= g[k] * g[k]", NORM),
]  # fmt: skip

DROPPING = [
    Fault("compiled.lower.loops._drop", "1 / (1 - h[0])", "1 / h[0]", DROPOUT),
    Fault("compiled.run.tiles.backward", "delta[i] *= extra[i]", "delta[i] *= 1", DROPOUT),
]  # fmt: skip

ROWS = [
    Fault("compiled.run.tiles.gather_weights", "(weight[places[s]] if", "(1 if", WEIGHTED),
    Fault("compiled.run.tiles._one_hot", "tile[classes[rows[s]] * S + s]", "tile[classes[rows[0]] * S + s]", CLASSES),
    Fault("compiled.run.tiles.loss_of_tile", "weights[s] * losses[s]", "losses[s]", WEIGHTED),
    Fault("compiled.run.tiles.gradient_of_rows", "np.int64(1) if start", "np.int64(0) if start", SEVERAL_TILES),
    Fault("compiled.run.epochs._scale", "1 / rows.size", "1 / (rows.size - 1)", SMALL),
    Fault("compiled.run.steps._sum_shards", "gradients, other * P + low, other",
          "gradients, own * P + low, own", TWO_SHARDS),
]  # fmt: skip

PENALTIES = [
    Fault("compiled.run.steps.sum_block", "J_W[i] += l2 * W[i]", "J_W[i] += l2 / 2 * W[i]", PENALIZED),
    Fault("compiled.run.steps.sum_block", "scale * c.l2_averaged", "c.l2_averaged", AVERAGED),
    Fault("compiled.run.steps.penalty_of", "l2 / 2 * squares", "l2 * squares", PENALIZED),
]  # fmt: skip

OF_GRADIENTS = [*DENSE, *ACTIVATIONS, *LOSSES, *NORMALIZATION, *DROPPING, *ROWS, *PENALTIES]


SAMPLE = [
    next(fault for fault in OF_GRADIENTS if fault.function.endswith(name))
    for name in ("Tanh.derivative", ".dense._blocks", "._softmax_loss", "._norm_back")
]
"""One fault of each type of kernel that compiles quickly: a derivative, a dense layer, a loss, a backward pass."""


ADAM, CLIPPED = {"optimizer": vp.Adam(0.05, epsilon=0.1)}, {"optimizer": vp.Momentum(0.05), "clip": 0.1}
OF_STEPS = [
    Fault("optimize.optimizers.GradientDescent.update", "theta - rate * J,",
          "theta + rate * J,", {"optimizer": vp.GradientDescent(0.1)}),
    Fault("optimize.optimizers.next_moment", "momentum * M - rate * J",
          "momentum * M - J", {"optimizer": vp.Momentum(0.05)}),
    Fault("optimize.optimizers.Nesterov.update", "theta + self.momentum * M",
          "theta + M", {"optimizer": vp.Nesterov(0.05)}),
    Fault("optimize.optimizers.Adam.update", "(1 - self.beta1) * J", "self.beta1 * J", ADAM),
    Fault("optimize.optimizers.AdamHat.update", "(1 - self.beta2**t) ** 0.5",
          "(1 - self.beta2**t)", {"optimizer": AdamHat(0.05)}),
    Fault("optimize.optimizers.AdamW.update", "1 - rate * self.weight_decay",
          "1 - self.weight_decay", {"optimizer": vp.AdamW(0.05)}),
    Fault("compiled.lower.loops._update0", "(theta[i],) = formula(h, before, J[i]",
          "(theta[i],) = formula(h, before, J[0]", {"optimizer": vp.GradientDescent(0.1)}),
    Fault("compiled.lower.loops._update1", "theta[i], first[i] = formula",
          "theta[i], first[0] = formula", {"optimizer": vp.Momentum(0.05)}),
    Fault("compiled.lower.loops._update2", "t, first[i], second[i])", "t, first[0], second[i])", ADAM),
    Fault("compiled.run.steps.move_block", "theta.dtype.type(shorten)", "theta.dtype.type(1)", CLIPPED),
    Fault("compiled.run.epochs.run_epochs", "clip / slope", "clip / slope**2", CLIPPED),
]  # fmt: skip

SUMMED = point(*LAYERS, loss=vp.SquaredError(reduction="sum"), penalty=vp.L2(0.3, averaged=True), weighted=True)
POINTS = [SUMMED, FILLED_TILE, BY_INPUTS_LATER, point(*LAYERS, noise=vp.extend.RandomKey(1)), FOUR_SHARDS]
POINTS += [hidden(layer) for layer in (vp.Dropout(0.3), *registry.LAYERS)]
RIGHT = [(fault.algorithm, fault.at) for fault in OF_GRADIENTS]
RIGHT += [("blocks", at) for at in POINTS]
RIGHT += [(algorithm, at) for algorithm in ("loops", "packed", "BLAS") for at in (ONE_ROW, SEVERAL_TILES, FOUR_SHARDS)]


@TYPES
def test_right_engines_are_right(F):
    for algorithm in sorted({algorithm for algorithm, _ in RIGHT}):
        with computing(algorithm):
            for at in {id(at): at for own, at in RIGHT if own == algorithm}.values():
                assert wrong_gradients(at.in_type(F)) == [], (algorithm, at.network)


@pytest.mark.parametrize(("first", "end"), [(0, 24), pytest.param(24, 1000, marks=pytest.mark.long)])
def test_random_networks(first, end):
    for seed in range(first, end):
        if PLACES[seed % len(PLACES)] in ("ordinary", "wide", "constant columns"):
            one = case(seed)
            at = Point(one.network, one.theta, one.X, one.T, one.weight, one.noise)
            assert wrong_gradients(at) == [], seed


def test_points_are_split_as_they_are_meant_to_be():
    points = (BY_INPUTS, "blocks", [1]), (BY_INPUTS_LATER, "blocks", [1]), (BY_RESULTS, "packed", [2, 2])
    for at, algorithm, splits in points:
        with computing(algorithm):
            program = program_of(at.network, np.float64).for_batches(len(at.X))
            assert [split for split in program.table["split"] if split] == splits
    with computing("blocks"):
        assert [program_of(at.network, np.float64).shards(len(at.X)) for at in (TWO_SHARDS, FOUR_SHARDS)] == [2, 4]


def test_every_fault_can_be_planted():
    """Its line occurs once in the source, so that the long tests plant the faults that they name."""
    for fault in (*OF_GRADIENTS, *OF_STEPS):
        compile(faulty_source(fault), "<faulty>", "exec")


@pytest.mark.parametrize("fault", sampled(SAMPLE, 4), ids=str)
def test_a_sample_of_faults_is_found_and_not_kept_on_disk(fault):
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
def test_a_fault_of_both_gradients_is_found_in_both_and_one_of_the_step_in_the_step_alone():
    of_both, of_steps = SAMPLE[1], next(fault for fault in OF_GRADIENTS if fault.function.endswith(".steps.sum_block"))
    with planted(of_both):
        assert wrong_gradients(of_both.at) == ["evaluation", "training step"]
    with planted(of_steps):
        assert wrong_gradients(of_steps.at) == ["training step"]


@pytest.mark.parametrize("options", {str(fault.at): fault.at for fault in OF_STEPS}.values(), ids=str)
def test_right_steps_are_right(options):
    assert trains_alike(SMALL.network, **options)


@pytest.mark.parametrize(
    "fault", [OF_STEPS[0], *(pytest.param(f, marks=pytest.mark.long) for f in OF_STEPS[1:])], ids=str
)
def test_faults_of_steps_are_seen(fault):
    with planted(fault):
        assert not trains_alike(SMALL.network, **fault.at)
    assert trains_alike(SMALL.network, **fault.at)


def step(network, theta, X, T, F=np.float64, noise=None):
    theta = np.array(theta, F)
    return gradient_of_a_step(network, theta, network.batch(theta, X, T), noise)


@TYPES
@pytest.mark.parametrize("size", [1e-30, 1e-3, 1e30, 1e200])
def test_gradients_of_any_size_keep_their_bits(size, F):
    size = F(min(size, float(np.finfo(F).max) / 4))  # of which the squares overflow
    loss, gradient = step(vp.Network(1, [vp.Dense(1)], vp.SquaredError()), [0, 3], [[size]], [[1]], F)
    assert (loss, *gradient) == (2, 2 * size, 2)
    assert loss.dtype == gradient.dtype == F


def test_infinite_losses_and_gradients_come_back():
    network = vp.Network(1, [vp.Dense(1)], vp.SquaredError(), vp.L2(0.1))
    loss, gradient = step(network, [1e200, 0], [[1e200]], [[1]])
    assert loss == np.inf
    np.testing.assert_array_equal(gradient, [np.inf, np.inf])


def test_theta_is_not_moved():
    theta = SMALL.theta.copy()
    theta.setflags(write=False)
    gradient_of_a_step(SMALL.network, theta, SMALL.network.batch(theta, SMALL.X, SMALL.T))
    np.testing.assert_array_equal(theta, SMALL.theta)


@pytest.mark.parametrize(
    ("algorithm", "at"), sampled([("blocks", BY_INPUTS), ("packed", BY_RESULTS), ("blocks", FOUR_SHARDS)], 3)
)
def test_the_number_of_threads_changes_no_bit(algorithm, at, monkeypatch):
    results = []
    with computing(algorithm):
        for threads in (1, 2, 4):
            monkeypatch.setenv("VECPROP_NUM_THREADS", str(threads))
            results.append(step(at.network, at.theta, at.X, at.T))
    for loss, gradient in results:
        assert loss == results[0][0]
        np.testing.assert_array_equal(gradient, results[0][1])


def test_it_is_the_gradient_of_training():
    """The optimizer's step, with its noise, is taken along it."""
    at, rate = DROPOUT, 2.0**-10
    options = {"optimizer": vp.GradientDescent(rate), "epochs": 1, "seed": 7, "engine": "compiled"}
    moved = vp.train(at.network, at.theta, at.X, at.T, **options).theta
    _, gradient = step(at.network, at.theta, at.X, at.T, noise=vp.extend.RandomKey(seed=7))
    np.testing.assert_array_equal(moved, at.theta - rate * gradient)


@pytest.mark.parametrize(("layers", "F", "noise", "reason"), [
    ([vp.Dense(1), Own()], np.float64, None, "Own is a part of your own"),
    ([vp.Dense(1)], np.float16, None, "float32 and float64"),
    ([vp.Dense(1)], np.float64, vp.extend.RandomKey(rows=np.arange(5)), "rows as they lie"),
    ([vp.Dense(1)], np.float64, vp.extend.RandomKey([1, 2]), "one whole number as its seed"),
    ([vp.Dense(1)], np.float64, vp.extend.RandomKey(step=-1), "a step of at least 0"),
])  # fmt: skip
def test_refusals_of_the_compiled_engine_name_their_reason(layers, F, noise, reason):
    network = vp.Network(2, layers, vp.SquaredError())
    theta = network.init(0, F)
    with pytest.raises(ValueError, match=f"The compiled engine cannot be checked: .*{reason}"):
        vp.check_gradients(network, theta, np.ones((5, 2)), np.ones((5, 1)), noise=noise, engine="compiled")

"""Faults in kernels of the compiled engine, each with a network whose gradient or step shows it."""

import numpy as np

import registry
import vecprop as vp
from engine_faults import Fault, Point
from vecprop.optimize.optimizers import AdamHat


def point(
    *layers,
    inputs=12,
    loss=None,
    penalty=(),
    rows=48,
    targets=None,
    weighted=False,
    noise=None,
):
    """Return a network at random parameters, with random rows."""
    rng = np.random.default_rng(0)
    network = vp.Network(inputs, layers, loss or vp.SquaredError(), penalty)
    theta, X = rng.normal(size=network.layout.size) / 2, rng.normal(size=(rows, inputs))
    T = (
        registry.targets(network.loss_function, rng, rows, network.outputs)
        if targets is None
        else targets
    )
    return Point(
        network, theta, X, T, rng.uniform(0.1, 2, rows) if weighted else None, noise
    )


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
BY_INPUTS_LATER = point(
    vp.LayerNorm(), vp.Dense(32), vp.Tanh(), vp.Dense(3), inputs=200, rows=128
)
BY_RESULTS = point(vp.Dense(40), vp.Tanh(), vp.Dense(36), inputs=48, rows=150)
TWO_SHARDS, FOUR_SHARDS = (
    point(vp.Dense(64), vp.Tanh(), vp.Dense(64), vp.Tanh(), vp.Dense(3), rows=rows)
    for rows in (140, 280)
)
PENALIZED = point(*LAYERS, penalty=(vp.L2(0.3), vp.L1(0.2)))
AVERAGED = point(
    *LAYERS,
    penalty=(vp.L2(3.0, averaged=True), vp.L1(2.0, averaged=True)),
    weighted=True,
)
NORM = hidden(vp.LayerNorm(epsilon=0.1))
DROPOUT = hidden(vp.Dropout(0.3), noise=vp.extend.RandomKey(seed=3, step=2))

DENSE = [
    Fault("compiled.run.dense._loops", "p[o:], O, I + 1", "p[o:], O, I", SMALL, "loops"),
    Fault("compiled.run.dense._put_weighted_rows", "+ d * D[s])", "- d * D[s])", SMALL, "loops"),
    Fault("compiled.run.dense._loops_back", "A_k[s] * delta_o[s]", "A_k[s] * delta_o[s] * (k < I)", SMALL, "loops"),
    Fault("compiled.run.dense._blocks", "S, I + 1, A=p", "S, I, A=p", SMALL),
    Fault("compiled.run.dense._blocks_back", "delta, row, J, column, add",
          "delta, row, J, column, 0 * add", SEVERAL_TILES),
    Fault("compiled.gemm.products.multiply", "add != 0 or k > 0", "add != 0", DEEP_PRODUCTS),
    Fault("compiled.gemm.products.dots", "B + n * B_n", "B", hidden(vp.Tanh())),
    Fault(
        "compiled.gemm.vectors._dots",
        "builder.fadd(previous_rows[m], row)",
        "previous_rows[m]",
        SMALL,
    ),
    Fault("compiled.run.dense._packed", "S, I + 1, A=p", "S, I, A=p", LARGE, "packed"),
    Fault("compiled.gemm.packed.multiply", "add != 0 or k > 0", "add != 0", LARGE, "packed"),
    Fault("compiled.gemm.vectors.packed_block", "[v.all_lanes] * len(C_at), add)",
          "[v.all_lanes] * len(C_at), _WORD(0))", LARGE, "packed"),
    Fault("compiled.run.dense._through_blas", "p[I * O + o]", "p[o]", SMALL, "BLAS"),
    Fault("compiled.run.dense._through_blas_back", "J_o = total", "J_o = -total", SMALL, "BLAS"),
    Fault("compiled.run.parallelism.sum_quarters", "[2 * n + i] + products", "[2 * n + i] - products", BY_INPUTS),
    Fault("compiled.run.batches.backward_by_inputs", "add = shard > 0", "add = 0", BY_INPUTS),
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
    Fault("compiled.lower.loops._softmax_loss", "log_total[s] - (", "log_total[s] + (", SOFT),
    Fault("compiled.lower.loops._elementwise_loss", "loss[s] += formula", "loss[s] = formula", WEIGHTED),
    Fault("core.losses.BinaryCrossEntropy.element", "(1 - T) * softplus(Z)",
          "T * softplus(Z)", scored(vp.BinaryCrossEntropy())),
    Fault("core.losses.Poisson.delta", "exp(Z) - T", "exp(Z)", scored(vp.Poisson())),
]  # fmt: skip

NORMALIZATION = [
    Fault("compiled.lower.loops._norm", "* x_hat[k, s] + b[k]", "* x_hat[k, s]", NORM),
    Fault("compiled.lower.loops._norm_back", "delta[k, s] *= g[k]", "delta[k, s] *= g[k] * g[k]", NORM),
]  # fmt: skip

DROPPING = [
    Fault("compiled.lower.loops._drop", "1 / (1 - h[0])", "1 / h[0]", DROPOUT),
    Fault("compiled.lower.loops._drop_back", "delta[i] *= mask[i]", "delta[i] *= 1", DROPOUT),
]  # fmt: skip

ROWS = [
    Fault("compiled.run.tiles.find_rows", "_loaded(weight, index,", "_loaded(0 * weight, index,", WEIGHTED),
    Fault("compiled.run.tiles.gather_targets", "load(indices.load(s))", "load(indices.load(0))", CLASSES),
    Fault("compiled.lower.loops._weighted", "weight[s] * loss[s]", "loss[s]", WEIGHTED),
    Fault("compiled.run.tiles.gradient_of_rows", "smaller(start, 1)", "np.int64(0)", SEVERAL_TILES),
    Fault("compiled.run.measures.scale_of", "1 / n.cast", "1 / (n - 1).cast", SMALL),
    Fault("compiled.run.steps.sum_shards", "J[i] += second[i]", "J[i] += J[i]", TWO_SHARDS),
]  # fmt: skip

PENALTIES = [
    Fault("compiled.run.steps.penalize", "number(l2) * W[i]", "number(l2 / 2) * W[i]", PENALIZED),
    Fault("compiled.run.steps.penalize", "scale * fit.l2_averaged", "fit.l2_averaged", AVERAGED),
    Fault("compiled.run.steps.penalize", "l2 / 2 * squares", "l2 * squares", PENALIZED),
]  # fmt: skip

OF_GRADIENTS = [
    *DENSE,
    *ACTIVATIONS,
    *LOSSES,
    *NORMALIZATION,
    *DROPPING,
    *ROWS,
    *PENALTIES,
]


SAMPLE = [
    next(fault for fault in OF_GRADIENTS if fault.function.endswith(name))
    for name in ("Tanh.derivative", ".dense._blocks", "._softmax_loss", "._norm_back")
]
"""One fault of each type of kernel that compiles quickly: a derivative, a dense
layer, a loss, a backward pass.
"""


ADAM, CLIPPED = (
    {"optimizer": vp.Adam(0.05, epsilon=0.1)},
    {"optimizer": vp.Momentum(0.05), "clip_norm": 0.1},
)
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
    Fault("compiled.lower.loops._update2", "t, first[i], second[i]\n", "t, first[0], second[i]\n", ADAM),
    Fault("compiled.run.steps.move_block", "J.dtype.type(shorten)", "J.dtype.type(1)", CLIPPED),
    Fault("compiled.run.epochs.run_epochs", "_shortening(fit.clip, slope)", "_shortening(fit.clip, slope**2)", CLIPPED),
]  # fmt: skip

SUMMED = point(
    *LAYERS,
    loss=vp.SquaredError(reduction="sum"),
    penalty=vp.L2(0.3, averaged=True),
    weighted=True,
)
POINTS = [
    SUMMED,
    FILLED_TILE,
    BY_INPUTS_LATER,
    point(*LAYERS, noise=vp.extend.RandomKey(1)),
    FOUR_SHARDS,
]
POINTS += [hidden(layer) for layer in (vp.Dropout(0.3), *registry.LAYERS)]

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import registry
import vecprop as vp

SEED = vp.Network(
    2, [vp.Dense(3), vp.Logistic(), vp.Dense(2)], vp.SoftmaxCrossEntropy()
)


@given(
    shapes=st.lists(
        st.dictionaries(
            st.sampled_from("Wbg"),
            st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
            max_size=3,
        ),
        max_size=4,
    ),
    members=st.lists(st.integers(1, 3), max_size=2).map(tuple),
)
def test_views_cover_the_vector_once_and_share_its_memory(shapes, members):
    layout = vp.extend.Layout(shapes)
    vector = np.zeros((*members, layout.size))
    views = layout.views(vector)
    assert [
        {name: tuple(shape) for name, shape in named.items()} for named in shapes
    ] == [
        {name: view.shape[len(members) :] for name, view in named.items()}
        for named in views
    ]
    for named in views:
        for view in named.values():
            view += 1
    assert (vector == 1).all()


def test_views_of_strided_vectors_are_views():
    for vector in (
        np.zeros((4, 34))[:, ::2],
        np.zeros((17, 4)).T,
        np.zeros((4, 3, 17))[:, 1],
    ):
        SEED.layout.views(vector)[2]["W"][...] = 1
        assert vector.sum() == 4 * 6


def test_locate_agrees_with_views():
    numbers = SEED.layout.views(np.arange(17))
    assert SEED.layout.locate(int(numbers[2]["W"][1, 0])) == "layer 2 (Dense) W[1, 0]"
    assert SEED.layout.locate(int(numbers[0]["b"][2])) == "layer 0 (Dense) b[2]"


def test_summary_by_hand():
    assert str(SEED.summary()).splitlines() == [
        "layer                  output  parameters            operations per row",
        "input                  (N, 2)",
        "0 Dense(3)             (N, 3)  W (2, 3), b (3,)   9                  12",
        "1 Logistic()           (N, 3)                                         3",
        "2 Dense(2)             (N, 2)  W (3, 2), b (2,)   8                  12",
        "SoftmaxCrossEntropy()  (N, 2)",
        "total                                            17                  27",
    ]
    assert repr(SEED.summary()) == str(SEED.summary())
    # 24 bytes per row for its index and order
    memory = SEED.summary(10**9, 10).splitlines()[-1]
    assert re.fullmatch(
        r"a fit of 1,000,000,000 rows in batches of 10 takes 24,00\S+ MB in float32 or"
        r" .* float64 .*",
        memory,
    )


@pytest.mark.parametrize("value", [0, -1, 1.5, "100", True])
def test_summary_rejects_invalid_numbers_of_rows(value):
    with pytest.raises(
        ValueError, match=f"rows must be an integer of at least 1, got {value!r}"
    ):
        SEED.summary(rows=value)
    with pytest.raises(
        ValueError, match=f"batch_size must be an integer of at least 1, got {value!r}"
    ):
        SEED.summary(rows=100, batch_size=value)
    assert SEED.summary(rows=int(np.int64(100))) == SEED.summary(rows=np.int64(100))  # pyright: ignore[reportArgumentType]


def test_the_seed_formulas_by_hand():
    """Compute Y = softmax(logistic(X W_h + b_h) W_o + b_o) and the gradient of one row by hand."""
    theta = SEED.init(seed=3)
    x, t = np.array([0.5, -2.0]), np.array([1.0, 0.0])
    h_layer, _, o_layer = SEED.layout.views(theta)
    h = 1 / (1 + np.exp(-(x @ h_layer["W"] + h_layer["b"])))
    e = np.exp(h @ o_layer["W"] + o_layer["b"])
    y = e / e.sum()
    loss, gradient = SEED.loss_and_gradient(theta, x[None], t[None])
    J_h, _, J_o = SEED.layout.views(gradient)
    np.testing.assert_allclose(SEED.predict(theta, x[None])[0], y, rtol=1e-14)
    np.testing.assert_allclose(loss, -np.log(y[0]), rtol=1e-14)
    np.testing.assert_allclose(J_o["W"], np.outer(h, y - t), rtol=1e-13)
    np.testing.assert_allclose(J_o["b"], y - t, rtol=1e-13)
    delta_h = h * (1 - h) * (o_layer["W"] @ (y - t))
    np.testing.assert_allclose(J_h["W"], np.outer(x, delta_h), rtol=1e-12)
    np.testing.assert_allclose(J_h["b"], delta_h, rtol=1e-12)


def test_initial_parameters_depend_only_on_the_seed():
    thetas = SEED.init([3, 1, 4], dtype=np.float32)
    assert thetas.dtype == np.float32
    assert thetas.shape == (3, 17)
    for row, seed in zip(thetas, [3, 1, 4], strict=True):
        np.testing.assert_array_equal(row, SEED.init(seed, dtype=np.float32))
        np.testing.assert_array_equal(row, SEED.init(seed).astype(np.float32))
    assert SEED.init([]).shape == (0, SEED.layout.size)
    grid: Any = [[3, 1], [4, 1]]
    np.testing.assert_array_equal(SEED.init(grid)[1, 0], SEED.init(4))
    numbers: Any = np.arange(3)
    np.testing.assert_array_equal(SEED.init(numbers), SEED.init(range(3)))


@pytest.mark.parametrize(
    ("initializer", "deviation", "bound"),
    [
        (vp.Normal(0.3), 0.3, np.inf),
        (vp.Glorot(), (2 / 500) ** 0.5, (6 / 500) ** 0.5),
        (vp.He(), 0.1, np.inf),
    ],
    ids=registry.name,
)
def test_initializers_have_the_documented_deviation(initializer, deviation, bound):
    W = initializer(np.random.default_rng(0), 200, 300)
    assert W.shape == (200, 300)
    assert abs(W.std() / deviation - 1) < 0.01
    assert abs(W.mean()) < 0.01 * deviation * 3
    assert np.abs(W).max() <= bound


def test_layers_have_the_documented_initial_values():
    network = vp.Network(
        4, [vp.Dense(3, vp.Normal(2.0)), vp.LayerNorm()], vp.SquaredError()
    )
    dense, norm = network.layout.views(network.init(0))
    assert (dense["b"] == 0).all()
    assert (norm["g"] == 1).all()
    assert (norm["b"] == 0).all()


def test_penalties_by_hand():
    network = vp.Network(1, [vp.Dense(2)], vp.SquaredError(), [vp.L2(0.5), vp.L1(0.1)])
    theta = np.array([3.0, -4.0, 100.0, 100.0])  # W, then b, which has no penalty
    X, T = np.zeros((2, 1)), np.full((2, 2), 100.0)
    loss, gradient = network.loss_and_gradient(theta, X, T)
    np.testing.assert_allclose(loss, 0.25 * 25 + 0.1 * 7)
    np.testing.assert_allclose(gradient, [0.5 * 3 + 0.1, -0.5 * 4 - 0.1, 0, 0])


def test_averaged_penalties_by_hand():
    """Averaged penalties are divided by the weights of each member: (Σ w ℓ + penalty) / Σ w."""
    theta, X, T = np.array([3.0, 100.0]), np.zeros((2, 1)), np.full((2, 1), 98.0)
    network = vp.Network(
        1, [vp.Dense(1)], vp.SquaredError(), [vp.L2(0.5, averaged=True), vp.L1(0.1)]
    )
    loss, gradient = network.loss_and_gradient(theta, X, T, [[1.0, 3.0], [1.0, 0.0]])
    np.testing.assert_allclose(loss, [2 + 2.25 / 4 + 0.3, 2 + 2.25 + 0.3])
    np.testing.assert_allclose(gradient, [[1.5 / 4 + 0.1, 2], [1.5 + 0.1, 2]])
    total = vp.Network(
        1, [vp.Dense(1)], vp.SquaredError(reduction="sum"), vp.L2(0.5, averaged=True)
    )
    np.testing.assert_allclose(total.loss(theta, X, T, [1.0, 3.0]), 8 + 2.25)


def test_losses_by_hand():
    Z, T = np.array([[1.0, -2.0]]), np.array([[0.0, 1.0]])
    np.testing.assert_allclose(vp.SquaredError().value(Z, T), [0.5 + 4.5])
    np.testing.assert_allclose(vp.AbsoluteError().value(Z, T), [4])
    np.testing.assert_allclose(vp.Huber(2.0).value(Z, T), [0.5 + 2 * (3 - 1)])
    np.testing.assert_allclose(vp.Quantile(0.9).value(Z, T), [0.1 * 1 + 0.9 * 3])
    np.testing.assert_allclose(vp.Poisson().value(Z, T), [np.e + np.exp(-2) + 2])
    np.testing.assert_allclose(
        vp.BinaryCrossEntropy().value(Z, T), [np.log(1 + np.e) + np.log(1 + np.exp(2))]
    )
    np.testing.assert_allclose(
        vp.SoftmaxCrossEntropy().value(Z, T), [np.log(np.e + np.exp(-2)) + 2]
    )


def test_reductions_by_hand():
    theta, X, T, w = (
        np.zeros(2),
        np.zeros((3, 1)),
        np.array([2.0, 4.0, 6.0]),
        [1.0, 2.0, 5.0],
    )
    of = {
        r: vp.Network(1, [vp.Dense(1)], vp.SquaredError(reduction=r))
        for r in ("mean", "sum")
    }
    assert of["sum"].loss(theta, X, T) == 2 + 8 + 18
    assert of["mean"].loss(theta, X, T) == pytest.approx(28 / 3)
    assert of["sum"].loss(theta, X, T, w) == 2 + 16 + 90
    assert of["mean"].loss(theta, X, T, w) == pytest.approx(108 / 8)


def test_the_median_and_quantiles_minimize_their_losses():
    t = np.random.default_rng(0).normal(size=101)
    for loss, expected in [
        (vp.AbsoluteError(), np.median(t)),
        (vp.Quantile(0.8), np.quantile(t, 0.8)),
    ]:
        costs = [
            loss.value(np.full((101, 1), z), t[:, None]).mean() for z in np.sort(t)
        ]
        assert np.sort(t)[np.argmin(costs)] == pytest.approx(expected)


def test_dropout_keeps_the_share_and_the_mean():
    Y, _ = vp.Dropout(0.3).forward({}, np.ones((400, 250)), vp.extend.RandomKey(seed=1))
    assert set(np.unique(Y)) == {0.0, 1 / 0.7}
    assert abs((Y == 0).mean() - 0.3) < 0.005
    assert abs(Y.mean() - 1) < 0.01
    assert vp.Dropout(0.3).forward({}, Y)[0] is Y


def test_layer_norm_by_hand():
    Y, _ = vp.LayerNorm(1e-12).forward(
        {"g": np.array([2.0, 1.0, 1.0]), "b": np.ones(3)}, np.array([[1.0, 2.0, 3.0]])
    )
    np.testing.assert_allclose(Y, [[1 - 2 * 1.5**0.5, 1, 1 + 1.5**0.5]])


def test_hidden_returns_the_output_of_each_layer():
    theta, X = SEED.init(0), np.random.default_rng(0).normal(size=(4, 2))
    np.testing.assert_array_equal(
        SEED.hidden(theta, X, 1), SEED.forward(theta, X)[0][1]
    )
    np.testing.assert_array_equal(
        SEED.hidden(theta, X, -1), SEED.forward(theta, X)[0][2]
    )


def test_custom_layer_and_loss_without_base_class():
    class Scale:
        def parameters(self, inputs):
            return {"a": (inputs,)}, inputs

        def forward(self, p, X, noise=None):
            return X * p["a"][..., None, :], X

        def backward(self, p, saved, delta, J):
            J["a"][...] = (delta * saved).sum(-2)
            return delta * p["a"][..., None, :]

    class Cubic:
        def predict(self, Z):
            return Z

        def value(self, Z, T):
            return ((Z - T) ** 3).sum(-1)

        def delta(self, Z, T):
            return 3 * (Z - T) ** 2

    own: Any = Scale(), Cubic()  # without base classes
    network = vp.Network(2, [own[0], vp.Dense(1)], own[1])
    rng = np.random.default_rng(0)
    theta, X, T = rng.normal(size=5), rng.normal(size=(4, 2)), rng.normal(size=(4, 1))
    gradient = network.loss_and_gradient(theta, X, T)[1]
    np.testing.assert_allclose(
        gradient,
        network.loss(theta + 1e-20j * np.eye(5), X, T).imag / 1e-20,
        rtol=1e-12,
    )
    assert network.init(0).shape == (5,)
    assert "Scale" in network.summary()
    assert not network._random
    assert vp.Network(2, [own[0], vp.Dropout(0.5)], vp.SquaredError())._random

"""A compiled network equals the network up to rounding."""

import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import registry
import vecprop as vp
from sampled import sampled
from vecprop import compile

CASES = [(layer, vp.SquaredError()) for layer in registry.LAYERS] + [
    (vp.Tanh(), loss) for loss in registry.LOSSES
]
TYPES = sampled([np.float64, np.float32])
TOLERANCE = {np.float64: 1e-12, np.float32: 2e-5}


def assert_same(found, expected, F=np.float64):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == F
    scale = np.abs(expected).max(initial=0)
    assert (
        np.abs(found - expected).max(initial=0)
        <= TOLERANCE[F] * scale + np.finfo(F).tiny
    )


@pytest.mark.parametrize("F", TYPES)
@pytest.mark.parametrize(("layer", "loss"), CASES, ids=registry.name)
def test_every_layer_and_loss(layer, loss, F):
    p = registry.problem(layer, loss)
    theta, compiled = p.theta.astype(F), compile(p.network)
    expected = p.network.loss_and_gradient(theta, p.X, p.T, p.weight, p.noise)
    for found, same in zip(
        compiled.loss_and_gradient(theta, p.X, p.T, p.weight, p.noise),
        expected,
        strict=True,
    ):
        assert_same(found, same, F)
    assert_same(compiled.loss(theta, p.X, p.T), p.network.loss(theta, p.X, p.T), F)
    assert_same(compiled.predict(theta, p.X), p.network.predict(theta, p.X), F)


@settings(max_examples=40)
@given(
    widths=st.lists(st.sampled_from([1, 2, 3, 17, 40]), min_size=1, max_size=4),
    inputs=st.sampled_from([1, 2, 3, 30, 65]),
    rows=st.sampled_from([1, 2, 31, 127, 128, 129, 300]),
    members=st.sampled_from([(), (3,)]),
    seed=st.integers(0, 100),
)
def test_any_shape(widths, inputs, rows, members, seed):
    rng = np.random.default_rng(seed)
    layers = [
        part for width in widths for part in (vp.Dense(width), vp.LayerNorm(), vp.ELU())
    ]
    network = vp.Network(inputs, layers, vp.SquaredError(), vp.L2(0.1))
    theta = rng.normal(size=(*members, network.layout.size))
    X, T = rng.normal(size=(rows, inputs)), rng.normal(size=(rows, widths[-1]))
    expected = network.loss_and_gradient(theta, X, T)
    found = compile(network).loss_and_gradient(theta, X, T)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-11)
    np.testing.assert_allclose(
        found[1], expected[1], rtol=1e-8, atol=1e-10 * np.abs(expected[1]).max()
    )
    assert_same(compile(network).predict(theta, X), network.predict(theta, X))


@pytest.mark.parametrize(
    ("fast", "large"),
    [(True, 40), (False, 40), (False, 10**6)],
    ids=["blocks", "BLAS", "loops"],
)
@pytest.mark.parametrize("widths", [(65, 40, 3), (3, 17, 1), (1, 40, 40), (30, 1, 9)])
def test_every_algorithm_of_products(widths, fast, large, products_by, limit):
    products_by("blocks" if fast else "BLAS")
    limit("compiled: large layer", large)
    limit("compiled: wide layer", large)
    network = vp.Network(
        widths[0],
        [vp.Dense(widths[1]), vp.Tanh(), vp.Dense(widths[2])],
        vp.SquaredError(),
    )
    theta, rng = network.init(seed=0), np.random.default_rng(0)
    for rows in (1, 31, 300):
        X, T = rng.normal(size=(rows, widths[0])), rng.normal(size=(rows, widths[-1]))
        found, expected = (
            each.loss_and_gradient(theta, X, T) for each in (compile(network), network)
        )
        assert_same(found[0], expected[0])
        assert_same(found[1], expected[1])
        assert_same(compile(network).predict(theta, X), network.predict(theta, X))


def test_integer_classes_weights_and_members():
    p = registry.problem(vp.Tanh(), vp.SoftmaxCrossEntropy(), members=(2, 2))
    t = np.array([0, 1, 2, 2, 1, 0])
    compiled = compile(p.network)
    for arguments in [
        (p.X, t),
        (p.X, np.eye(3)[t]),
        (p.X, t, p.weight),
        (np.stack([p.X, 2 * p.X]), t),
    ]:
        expected = p.network.loss_and_gradient(p.theta, *arguments)
        for found, same in zip(
            compiled.loss_and_gradient(p.theta, *arguments), expected, strict=True
        ):
            assert_same(found, same)
    per_row = p.network.loss_and_gradient(p.theta[0, 0], p.X[:, None], p.T[:, None])[1]
    assert_same(
        compiled.loss_and_gradient(p.theta[0, 0], p.X[:, None], p.T[:, None])[1],
        per_row,
    )


@pytest.mark.parametrize("z", [1000.0, 1e300])
@pytest.mark.parametrize(
    "loss", [vp.SoftmaxCrossEntropy(), vp.BinaryCrossEntropy()], ids=registry.name
)
def test_cross_entropies_of_large_logits(loss, z):
    network = vp.Network(2, [vp.Identity()], loss)
    X, T = np.array([[z, -z], [-z, z]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(
        compile(network).loss(np.empty(0), X, T), network.loss(np.empty(0), X, T)
    )
    np.testing.assert_array_equal(
        compile(network).predict(np.empty(0), X), [[1, 0], [0, 1]]
    )


@pytest.mark.parametrize("F", TYPES)
@pytest.mark.parametrize("activation", registry.ACTIVATIONS, ids=registry.name)
def test_equal_rows_have_equal_predictions(activation, F):
    """Results do not depend on whether a loop computes them in whole vectors or in its remainder."""
    network = vp.Network(1, [vp.Dense(1), activation], vp.SquaredError())
    predict = compile(network).predictor(np.array([1, 0], F))
    unit = 8 * np.finfo(F).eps
    for z in (-100, *np.linspace(-6, 6, 60), 100):
        found = predict(np.full((37, 1), z, F))
        np.testing.assert_array_equal(found, np.full_like(found, found[0, 0]))
        np.testing.assert_allclose(
            found[0], activation.value(F([z])), rtol=unit, atol=unit
        )


@pytest.mark.parametrize("F", TYPES)
# a tile has 512 at most
@pytest.mark.parametrize("rows", [1, 7, 8, 9, 15, 16, 17, 31, 33, 100, 513, 1050])
def test_tiles_are_padded_to_whole_vectors(rows, F):
    network = vp.Network(
        3, [vp.Dense(4), vp.Tanh(), vp.Dense(2)], vp.SquaredError(), vp.L2(0.1)
    )
    theta, rng = network.init(0, F), np.random.default_rng(0)
    rows = (
        rng.normal(size=(rows, 3)),
        rng.normal(size=(rows, 2)),
        rng.uniform(0, 2, rows),
    )
    expected = network.loss_and_gradient(theta.astype(float), *rows)
    for found, same in zip(
        compile(network).loss_and_gradient(theta, *rows), expected, strict=True
    ):
        assert_same(found, same, F)


def test_padding_is_copies_of_a_row():
    network = vp.Network(1, [vp.Dense(1)], vp.Poisson())
    theta, ones = np.array([-1.0, 1000.0]), np.ones((17, 1))
    # exp(1000) overflows, exp(0) not
    loss, gradient = compile(network).loss_and_gradient(theta, 1000 * ones, ones)
    assert loss == pytest.approx(network.loss(theta, 1000 * ones, ones))
    np.testing.assert_allclose(
        gradient, network.loss_and_gradient(theta, 1000 * ones, ones)[1]
    )


def test_parts_without_a_kernel():
    class Softer(vp.SoftmaxCrossEntropy):
        """No kernel of its own."""

    with pytest.raises(
        ValueError,
        match="because Softer is a custom part that is not derived from Activation",
    ):
        compile(vp.Network(2, [vp.Dense(2)], Softer()))
    p = registry.problem(vp.Tanh(), vp.SquaredError())
    v = np.ones_like(p.theta)
    # uses the reference formulas
    derivative = compile(p.network).loss(p.theta + 1e-20j * v, p.X, p.T).imag / 1e-20
    assert derivative == pytest.approx(
        p.network.loss_and_gradient(p.theta, p.X, p.T)[1] @ v
    )


def test_errors_of_inputs_equal_those_of_the_network():
    p = registry.problem(vp.Tanh(), vp.SquaredError())
    with pytest.raises(ValueError, match=r"X has shape \(6, 2\)"):
        compile(p.network).loss(p.theta, p.X[:, :2], p.T)


def test_a_predictor():
    p = registry.problem(vp.Tanh(), vp.SoftmaxCrossEntropy())
    theta = p.theta.copy()
    predict = compile(p.network).predictor(theta)
    expected = p.network.predict(theta, p.X)
    theta[:] = 0  # it has its own copy
    for rows in (p.X, p.X[:1], np.asfortranarray(p.X), p.X.tolist()):
        assert_same(predict(rows), expected[: len(rows)])
    big = np.random.default_rng(0).normal(size=(1000, 3))
    assert_same(predict(big), p.network.predict(p.theta, big))
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(predict))(big), predict(big)
    )
    for bad, pattern in [
        (p.X[:, :2], "X has shape"),
        (np.full((1, 3), np.nan), "row 0, column 0 is nan"),
    ]:
        with pytest.raises(ValueError, match=pattern):
            predict(bad)
    for bad in (p.X[None], np.stack([p.X, p.X]), p.X + 1j):
        with pytest.raises(
            ValueError,
            match=r"but a predictor takes real rows of shape \(N, 3\): use predict",
        ):
            predict(bad)
    with pytest.raises(ValueError, match=r"theta must have shape \(P,\)"):
        compile(p.network).predictor(np.stack([p.theta, p.theta]))


def test_threads_share_a_predictor():
    network = vp.Network(
        3, [vp.Dense(40), vp.Tanh(), vp.Dense(20)], vp.SoftmaxCrossEntropy()
    )
    theta, rng = network.init(0), np.random.default_rng(0)
    predict, wrong = compile(network).predictor(theta), []

    def ask(X):
        expected = network.predict(theta, X)
        wrong.extend(
            1 for _ in range(100) if not np.allclose(predict(X), expected, rtol=1e-12)
        )

    threads = [
        threading.Thread(target=ask, args=(rng.normal(size=(n, 3)),))
        for n in (1, 50, 200)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("likely", range(5))
def test_the_softmax_does_not_overflow_for_any_class(likely):
    network = vp.Network(2, [vp.Dense(5)], vp.SoftmaxCrossEntropy())
    theta, X, t = np.zeros(15), np.ones((4, 2)), np.array([0, 1, 4, 2])
    network.layout.views(theta)[0]["b"][likely] = 5000
    loss, gradient = network.loss_and_gradient(theta, X, t)
    found = compile(network).loss_and_gradient(theta, X, t)
    assert found[0] == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(
        compile(network).predict(theta, X),
        network.predict(theta, X),
        rtol=1e-12,
        atol=1e-15,
    )


@pytest.mark.parametrize(
    "key", [vp.extend.RandomKey(3), vp.extend.RandomKey(3, rows=np.array([7, 2, 9, 4]))]
)
def test_dropout_follows_the_rows_of_the_key(key):
    network = vp.Network(
        2, [vp.Dense(8), vp.Dropout(0.5), vp.Dense(1)], vp.SquaredError()
    )
    theta, X, T = network.init(0), np.arange(8.0).reshape(4, 2), np.ones((4, 1))
    expected = network.loss(theta, X, T, noise=key)
    assert compile(network).loss(theta, X, T, noise=key) == pytest.approx(
        expected, rel=1e-12
    )


SIZES = [
    (2, 64),
    (33, 64),
    (129, 64),
    (257, 64),
    pytest.param(257, 500, marks=pytest.mark.long),
]


@pytest.mark.parametrize(("rows", "width"), SIZES)
def test_predictions_do_not_depend_on_the_number_of_rows(rows, width):
    """Products of a single row with many weights have different bits, so only a single row gets a tile of one row."""
    wide = vp.Network(
        600, [vp.Dense(width), vp.ReLU(), vp.Dense(13)], vp.SoftmaxCrossEntropy()
    )
    predict = vp.compile(wide).predictor(wide.init(0, np.float32))
    many = np.random.default_rng(0).normal(size=(300, 600)).astype(np.float32)
    np.testing.assert_array_equal(predict(many[:rows]), predict(many)[:rows])


@pytest.mark.parametrize(
    "layers", [[vp.Dense(3)], [vp.Dense(300), vp.ReLU(), vp.Dense(1)]], ids=len
)
def test_predictions_do_not_depend_on_the_rows_per_call(layers, limit):
    network = vp.Network(40, layers, vp.SquaredError())
    theta, X = network.init(0), np.random.default_rng(0).normal(size=(2100, 40))
    whole = vp.compile(network).predictor(theta)
    limit("compiled: rows in a call", 1)  # a tile in each call
    in_parts = vp.compile(network).predictor(theta)
    for rows in (1, 2, 128, 129, 256, 257, 258, 512, 513, 1025, 2100):
        np.testing.assert_array_equal(in_parts(X[:rows]), whole(X[:rows]))

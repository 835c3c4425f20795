"""The error for bad input is one sentence: what is wrong, where, both shapes, what to do."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

import registry
import vecprop as vp

ANY: Any = vp
"""The package without types, for calls with arguments of wrong types."""
NETWORK = vp.Network(2, [vp.Dense(3), vp.Tanh(), vp.Dense(2)], vp.SoftmaxCrossEntropy())
REGRESSION = vp.Network(2, [vp.Dense(1)], vp.SquaredError())
THETA, X, T = np.zeros(17), np.ones((4, 2)), np.array([0, 1, 1, 0])


def changed(array, index, value):
    array = np.array(array, dtype=float)
    array[index] = value
    return array


def bad(
    pattern,
    network=NETWORK,
    theta: Any = THETA,
    X: Any = X,
    T: Any = T,
    weight: Any = None,
):
    return pattern, network, theta, X, T, weight


OF = {
    loss: vp.Network(2, [vp.Dense(1)], loss)
    for loss in (vp.BinaryCrossEntropy(), vp.Poisson())
}
TWO_OUTPUTS, T2 = (
    vp.Network(2, [vp.Dense(2)], vp.SquaredError()),
    changed(np.full((4, 2), 0.5), (2, 0), 0.7),
)
BAD = [
    bad(r"theta has shape \(16,\).*\(\*M, 17\).*layer 0", theta=np.zeros(16)),
    bad(r"theta has shape \(\)", theta=1.0),
    bad("theta has dtype int64", theta=np.zeros(17, int)),
    bad(r"layer 2 \(Dense\) W\[1, 1\] is nan", theta=changed(THETA, 12, np.nan)),
    bad(
        r"layer 0 \(Dense\) b\[2\] of member 1 is inf",
        theta=changed(np.zeros((3, 17)), (1, 8), np.inf),
    ),
    bad(r"X has shape \(4, 3\).*layer 0 \(Dense\) takes", X=np.ones((4, 3))),
    bad(r"X\[None, :\]", X=np.ones(2)),
    bad("X has no rows", X=np.ones((0, 2)), T=T[:0]),
    bad("row 3, column 1 is nan", X=changed(X, (3, 1), np.nan)),
    bad("X has dtype <U1", X=np.array([["a", "b"]] * 4)),
    bad("X is not an array", X=[[1.0, 2.0], [3.0]]),
    bad(
        r"theta has the leading axes \(3,\) and X \(2,\)",
        theta=np.zeros((3, 17)),
        X=np.ones((2, 4, 2)),
    ),
    bad(
        r"theta and X has the leading axes \(2,\) and T \(3,\)",
        theta=np.zeros((2, 17)),
        T=np.zeros((3, 4), int),
    ),
    bad(r"T has shape \(3,\).*4 rows takes \(\*M, 4, 2\)", T=T[:3]),
    bad("class 2 in row 1.*0 to 1", T=np.array([0, 2, 1, 0])),
    bad("class -1 in row 3", T=np.array([0, 1, 1, -1])),
    bad(r"dtype float64.*or integer classes", T=T.astype(float)),
    bad(r"sum to 1.*row 2 of T is \[0\.7, 0\.5\]", T=T2),
    bad(
        "T is not finite: row 2",
        REGRESSION,
        np.zeros(3),
        T=changed(np.ones(4), 2, np.nan),
    ),
    bad(
        r"T has shape \(4,\).*takes \(\*M, 4, 2\)",
        TWO_OUTPUTS,
        np.zeros(6),
        T=np.ones(4),
    ),
    bad(
        r"on 1 outputs and 4 rows takes \(\*M, 4, 1\) or \(4,\)\.$",
        REGRESSION,
        np.zeros(3),
        T=np.ones(3),
    ),
    bad(
        "between 0 and 1, but row 2",
        OF[vp.BinaryCrossEntropy()],
        np.zeros(3),
        T=np.array([0, 1, 2, 0]),
    ),
    bad(
        "at least 0, but row 2",
        OF[vp.Poisson()],
        np.zeros(3),
        T=np.array([0, 1, -2, 0]),
    ),
    bad(r"sample_weight has shape \(3,\).*4 rows", weight=np.ones(3)),
    bad("sample_weight is -1.0 in row 1", weight=[1, -1, 1, 1]),
    bad("sample_weight is nan in row 1", weight=[1, np.nan, 1, 1]),
    bad("0 in every row", weight=np.zeros(4)),
]


@pytest.mark.parametrize(
    ("pattern", "network", "theta", "X", "T", "weight"),
    BAD,
    ids=[case[0] for case in BAD],
)
@pytest.mark.parametrize("method", ["loss", "loss_and_gradient"])
def test_bad_input_raises_one_sentence(pattern, network, theta, X, T, weight, method):
    error = (
        TypeError
        if pattern.startswith(("theta has dtype", "X has dtype"))
        else ValueError
    )
    with pytest.raises(error, match=pattern) as caught:
        getattr(network, method)(theta, X, T, weight)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


ONE, LOSS = [vp.Dense(1)], vp.SquaredError()
DESCRIPTIONS: dict[type[Exception], dict[str, Any]] = {
    TypeError: {
        "layers must be a list, got one Dense": lambda: ANY.Network(
            2, vp.Dense(1), LOSS
        ),
        "layers must be a list, got SquaredError": lambda: ANY.Network(2, LOSS, ONE),
        r"Layer 0 is a class: pass an instance, Tanh\(\)": lambda: ANY.Network(
            2, [vp.Tanh], LOSS
        ),
        r"Layer 0 must be a layer such as Dense\(3\) or ReLU\(\), got 'x'": lambda: (
            ANY.Network(2, ["x"], LOSS)
        ),
        r"The loss is 'mse': pass SquaredError\(\)": lambda: ANY.Network(2, ONE, "mse"),
        "The penalty is 0.1, which lacks the method value of a penalty": lambda: (
            ANY.Network(2, ONE, LOSS, 0.1)
        ),
        "seed must be an integer, got '12'": lambda: ANY.Network.init(NETWORK, "12"),
        "dtype, got int64": lambda: NETWORK.init(0, int),
    },
    ValueError: {
        "inputs of a network must be a positive integer, got 0": lambda: vp.Network(
            0, ONE, LOSS
        ),
        "at least one layer": lambda: vp.Network(2, [], LOSS),
        "got 0": lambda: vp.Dense(0),
        "got 2.5": lambda: ANY.Dense(2.5),
        "not 1.0": lambda: vp.Dropout(1.0),
        "positive epsilon": lambda: vp.LayerNorm(0.0),
        "reduction of SquaredError must be one of 'mean', 'sum', got 'max'": lambda: (
            ANY.SquaredError(reduction="max")
        ),
        "positive threshold": lambda: vp.Huber(threshold=0),
        "between 0 and 1": lambda: vp.Quantile(level=1),
        "at least 0, not -1.0": lambda: vp.L2(-1.0),
        "its sum could overflow": lambda: NETWORK.loss(THETA, X, T, np.full(4, 1e308)),
    },
    IndexError: {
        "layer 3 is out of range": lambda: NETWORK.hidden(THETA, X, 3),
        "index 17 is out of range": lambda: NETWORK.layout.locate(17),
    },
}


@pytest.mark.parametrize(
    ("error", "pattern"),
    [(error, pattern) for error in DESCRIPTIONS for pattern in DESCRIPTIONS[error]],
)
def test_bad_descriptions_raise(error, pattern):
    with pytest.raises(error, match=pattern):
        DESCRIPTIONS[error][pattern]()


def test_layer_with_undeclared_output_shape_raises():
    class Narrow(vp.extend.Layer):
        def forward(self, p, X, noise=None):
            return X[..., :1], None

        def backward(self, p, saved, delta, J):
            return delta

    network = vp.Network(2, [vp.Dense(3), Narrow()], vp.SquaredError())
    with pytest.raises(
        ValueError, match=r"Layer 1 \(Narrow\) returned shape \(4, 1\).*\(\*M, N, 3\)"
    ):
        network.loss(np.zeros(9), X, np.zeros((4, 3)))


def test_lists_integers_and_frames_are_accepted():
    pd = pytest.importorskip("pandas")
    theta = np.random.default_rng(0).normal(size=17)
    expected = NETWORK.loss(theta, np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 1]))
    assert NETWORK.loss(theta, [[1, 2], [3, 4]], [0, 1]) == expected
    assert (
        NETWORK.loss(
            theta, pd.DataFrame({"a": [1, 3], "b": [2.0, 4.0]}), pd.Series([0, 1])
        )
        == expected
    )
    assert REGRESSION.loss(np.zeros(3), [[1, 2]], [2.0]) == 2.0


def test_inputs_are_not_changed():
    theta, X, T = np.ones(17), np.ones((4, 2)), np.eye(2)[[0, 1, 1, 0]]
    copies = theta.copy(), X.copy(), T.copy()
    NETWORK.loss_and_gradient(theta, X, T)
    for array, copy in zip((theta, X, T), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_repr_of_a_network_evaluates_to_the_network():
    for network in (NETWORK, vp.Network(2, [vp.Dense(1)], vp.Huber(2.0), [vp.L2(0.1)])):
        assert (
            eval(repr(network), {name: getattr(vp, name) for name in vp.__all__})
            == network
        )


@pytest.mark.parametrize("F", [np.float32, np.float64])
# one by one, by squares, and by several threads
@pytest.mark.parametrize("rows", [3, 2**15 + 5, 2**17 + 5])
def test_only_finite_numbers_are_accepted(F, rows, monkeypatch, limit):
    monkeypatch.setenv("VECPROP_NUM_THREADS", "3")
    limit("inputs: many numbers", 2**15)
    limit("inputs: numbers of a thread", 2**17)
    t = np.zeros(rows, int)
    for value in (1, np.finfo(F).max / 4):  # squares of the second overflow
        X = np.full((rows, 2), value, F)
        np.testing.assert_array_equal(NETWORK._batch(THETA.astype(F), X, t).X, X)
        for row in (0, rows - 1):
            with pytest.raises(
                ValueError, match=f"X is not finite: row {row}, column 1 is inf"
            ):
                NETWORK._batch(THETA.astype(F), changed(X, (row, 1), np.inf), t)


def test_large_inputs_are_validated_if_threads_cannot_start(monkeypatch, limit):
    """Threads cannot start while Python shuts down."""

    def refuse(*arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setenv("VECPROP_NUM_THREADS", "3")
    limit("threads: helpers", refuse)
    X, t = np.zeros((2**21 + 5, 2)), np.zeros(2**21 + 5, int)
    assert NETWORK._batch(THETA, X, t).X is X
    with pytest.raises(
        ValueError, match="X is not finite: row 2097156, column 0 is nan"
    ):
        NETWORK._batch(THETA, changed(X, (-1, 0), np.nan), t)


def test_soft_labels_are_normalized_in_their_precision():
    """Labels rounded to float32 are off by 1e-8, and a float64 gradient would have the same error."""
    loss, exact = vp.SoftmaxCrossEntropy(), np.array([[0.25, 0.75], [0.0, 1.0]])
    rounded = np.array([[0.1, 0.2, 0.7]]).astype(np.float32).astype(np.float64)
    assert loss.exact_targets(exact) is exact
    assert abs(rounded.sum() - 1) > 1e-9
    np.testing.assert_allclose(loss.exact_targets(rounded).sum(), 1, rtol=0, atol=1e-15)
    np.testing.assert_allclose(loss.exact_targets(rounded), rounded, rtol=1e-7)


def test_square_integer_targets_are_one_hot():
    network = vp.Network(2, [vp.Dense(3)], vp.SoftmaxCrossEntropy())
    theta, X = network.init(0), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    classes = np.array([2, 0, 1])
    assert network.loss(theta, X, np.eye(3, dtype=int)[classes]) == network.loss(
        theta, X, classes
    )


def test_weights_of_one_member_broadcast_to_all_members():
    network = vp.Network(2, [vp.Dense(3)], vp.SoftmaxCrossEntropy())
    theta, X, t, weight = (
        network.init([0, 1]),
        np.ones((4, 2)),
        np.zeros(4, int),
        np.ones((1, 4)),
    )
    assert network._batch(theta, X, t, weight).members == (1,)
    members = np.ones((2, 4, 2))
    assert network._batch(theta, members, t, weight).members == (2,)
    assert network._batch(theta, members[:1], t, np.ones((2, 4))).members == (2,)


@pytest.mark.parametrize(
    "types",
    [
        ["Float64", "Int32"],
        ["float64", "boolean"],
        ["double[pyarrow]", "int8[pyarrow]"],
    ],
)
def test_frames_of_types_with_missing_values(types):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [0.5, 2.0, 3.0, 4.0], "b": [1, 0, 1, 0]})
    frame = frame.astype(dict(zip("ab", types, strict=True)))
    assert frame.isna().sum().sum() == 0
    np.testing.assert_array_equal(
        NETWORK._batch(THETA, frame, T).X, [[0.5, 1], [2, 0], [3, 1], [4, 0]]
    )
    frame.loc[2, "a"] = None
    with pytest.raises(ValueError, match="row 2, column 0 is nan; fill or drop it"):
        NETWORK._batch(THETA, frame, T)
    with pytest.raises(
        TypeError, match="X has dtype object, but must be numeric: encode text"
    ):
        NETWORK._batch(THETA, frame.assign(a="1"), T)


def test_sparse_inputs_of_a_network_are_refused():
    with pytest.raises(
        TypeError,
        match=(
            r"X has .*: it is a sparse matrix, so pass X.toarray\(\), or use an"
            r" estimator"
        ),
    ):
        NETWORK._batch(THETA, sparse.csr_array(X), T)


def test_targets_and_weights_of_nullable_pandas_types():
    pd = pytest.importorskip("pandas")
    network, X = vp.Network(2, [vp.Dense(3)], vp.SoftmaxCrossEntropy()), np.eye(3, 2)
    theta = network.init(0)
    classes, weight = (
        pd.Series([0, 1, 2], dtype="Int64"),
        pd.Series([1, 2, 0.5], dtype="Float64"),
    )
    assert network.loss(theta, X, classes, weight) == network.loss(
        theta, X, np.arange(3), np.array([1, 2, 0.5])
    )
    shares = pd.DataFrame(np.eye(3)).astype("Float64")
    assert network.loss(theta, X, shares) == network.loss(theta, X, np.eye(3))
    shares.loc[1, 0] = pd.NA
    with pytest.raises(ValueError, match="T is not finite: row 1, column 0 is nan"):
        network.loss(theta, X, shares)


@pytest.mark.parametrize("loss", registry.LOSSES, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictions_of_no_rows_are_empty(loss, dtype):
    network = vp.Network(
        2, [vp.LayerNorm(), vp.Dense(3), vp.Dropout(0.5), vp.Tanh(), vp.Dense(2)], loss
    )
    thetas, X = (
        np.stack([network.init(0, dtype), network.init(1, dtype)]),
        np.zeros((0, 2), dtype),
    )
    for engine in (network, vp.compile(network)):
        for rows in (X, X.tolist() or X.astype(int)):
            Y = engine.predict(thetas[0], rows)
            assert (Y.shape, Y.dtype) == ((0, 2), dtype)
        assert engine.predict(thetas, X).shape == (2, 0, 2)
    assert vp.compile(network).predictor(thetas[0])(X).shape == (0, 2)

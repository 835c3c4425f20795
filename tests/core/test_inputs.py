"""The error for bad input is one sentence: what is wrong, where, both shapes, what to do."""

from typing import Any

import numpy as np
import pytest

import vecprop as vp

ANY: Any = vp
"""Where arguments are wrong by their types already."""
NETWORK = vp.Network(2, [vp.Dense(3), vp.Tanh(), vp.Dense(2)], vp.SoftmaxCrossEntropy())
REGRESSION = vp.Network(2, [vp.Dense(1)], vp.SquaredError())
THETA, X, T = np.zeros(17), np.ones((4, 2)), np.array([0, 1, 1, 0])


def changed(array, index, value):
    array = np.array(array, dtype=float)
    array[index] = value
    return array


BAD = {
    "theta too short": ((NETWORK, np.zeros(16), X, T), ValueError, r"theta has shape \(16,\).*\(\*M, 17\).*layer 0"),
    "theta a number": ((NETWORK, 1.0, X, T), ValueError, r"theta has shape \(\)"),
    "theta of integers": ((NETWORK, np.zeros(17, int), X, T), TypeError, "theta has dtype int64"),
    "theta NaN": (
        (NETWORK, changed(THETA, 12, np.nan), X, T),
        ValueError,
        r"layer 2 \(Dense\) W\[1, 1\] is nan",
    ),
    "theta NaN in a member": (
        (NETWORK, changed(np.zeros((3, 17)), (1, 8), np.inf), X, T),
        ValueError,
        r"layer 0 \(Dense\) b\[2\] of member 1 is inf",
    ),
    "X too wide": ((NETWORK, THETA, np.ones((4, 3)), T), ValueError, r"X has shape \(4, 3\).*layer 0 \(Dense\) takes"),
    "X one row": ((NETWORK, THETA, np.ones(2), T), ValueError, r"X\[None, :\]"),
    "X empty": ((NETWORK, THETA, np.ones((0, 2)), T[:0]), ValueError, "X has no rows"),
    "X NaN": ((NETWORK, THETA, changed(X, (3, 1), np.nan), T), ValueError, "row 3, column 1 is nan"),
    "X text": ((NETWORK, THETA, np.array([["a", "b"]] * 4), T), TypeError, "X has dtype <U1"),
    "X ragged": ((NETWORK, THETA, [[1.0, 2.0], [3.0]], T), ValueError, "X is not an array"),
    "X with other members": (
        (NETWORK, np.zeros((3, 17)), np.ones((2, 4, 2)), T),
        ValueError,
        r"theta has the leading axes \(3,\) and X \(2,\)",
    ),
    "T too short": ((NETWORK, THETA, X, T[:3]), ValueError, r"T has shape \(3,\).*4 rows takes \(\*M, 4, 2\)"),
    "T class too high": ((NETWORK, THETA, X, np.array([0, 2, 1, 0])), ValueError, "class 2 in row 1.*0 to 1"),
    "T class negative": ((NETWORK, THETA, X, np.array([0, 1, 1, -1])), ValueError, "class -1 in row 3"),
    "T real classes": ((NETWORK, THETA, X, T.astype(float)), ValueError, r"dtype float64.*or integer classes"),
    "T not a distribution": (
        (NETWORK, THETA, X, changed(np.full((4, 2), 0.5), (2, 0), 0.7)),
        ValueError,
        r"sum to 1.*row 2 of T is \[0\.7, 0\.5\]",
    ),
    "T NaN": ((REGRESSION, np.zeros(3), X, changed(np.ones(4), 2, np.nan)), ValueError, "T is not finite: row 2"),
    "T 1-D for two outputs": (
        (vp.Network(2, [vp.Dense(2)], vp.SquaredError()), np.zeros(6), X, np.ones(4)),
        ValueError,
        r"T has shape \(4,\).*takes \(\*M, 4, 2\)",
    ),
    "T too short for one output": (
        (REGRESSION, np.zeros(3), X, np.ones(3)),
        ValueError,
        r"on 1 outputs and 4 rows takes \(\*M, 4, 1\) or \(4,\)\.$",
    ),
    "T out of [0, 1]": (
        (vp.Network(2, [vp.Dense(1)], vp.BinaryCrossEntropy()), np.zeros(3), X, np.array([0, 1, 2, 0])),
        ValueError,
        "between 0 and 1, but row 2",
    ),
    "T negative counts": (
        (vp.Network(2, [vp.Dense(1)], vp.Poisson()), np.zeros(3), X, np.array([0, 1, -2, 0])),
        ValueError,
        "at least 0, but row 2",
    ),
    "weights too short": ((NETWORK, THETA, X, T, np.ones(3)), ValueError, r"sample_weight has shape \(3,\).*4 rows"),
    "weights negative": ((NETWORK, THETA, X, T, [1, -1, 1, 1]), ValueError, "sample_weight is -1.0 in row 1"),
    "weights NaN": ((NETWORK, THETA, X, T, [1, np.nan, 1, 1]), ValueError, "sample_weight is nan in row 1"),
    "weights 0": ((NETWORK, THETA, X, T, np.zeros(4)), ValueError, "0 in every row"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("method", ["loss", "loss_and_gradient"])
def test_bad_input_is_named(case, method):
    (network, *arguments), error, pattern = BAD[case]
    with pytest.raises(error, match=pattern) as caught:
        getattr(network, method)(*arguments)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("build", "error", "pattern"),
    [
        (lambda: vp.Network(0, [vp.Dense(1)], vp.SquaredError()), ValueError, "positive whole number of inputs, not 0"),
        (lambda: vp.Network(2, [], vp.SquaredError()), ValueError, "at least one layer"),
        (lambda: ANY.Network(2, vp.Dense(1), vp.SquaredError()), TypeError, "layers are a list"),
        (
            lambda: ANY.Network(2, [vp.Tanh], vp.SquaredError()),
            TypeError,
            r"Layer 0 is the class Tanh, not an object of it: write Tanh\(…\)",
        ),
        (
            lambda: ANY.Network(2, ["relu"], vp.SquaredError()),
            TypeError,
            r"Layer 0 is 'relu', which lacks the method parameters of a layer: give one such as Dense\(3\) or",
        ),
        (
            lambda: ANY.Network(2, [vp.Dense(1)], "mse"),
            TypeError,
            "The loss is 'mse', which lacks the method predict of a loss",
        ),
        (
            lambda: ANY.Network(2, [vp.Dense(1)], vp.SquaredError(), 0.1),
            TypeError,
            "The penalty is 0.1, which lacks the method value of a penalty",
        ),
        (lambda: vp.Dense(0), ValueError, "not 0"),
        (lambda: ANY.Dense(2.5), ValueError, "not 2.5"),
        (lambda: vp.Dropout(1.0), ValueError, "not 1.0"),
        (lambda: vp.LayerNorm(0.0), ValueError, "positive epsilon"),
        (lambda: ANY.SquaredError(reduction="max"), ValueError, "not 'max'"),
        (lambda: vp.Huber(threshold=0), ValueError, "positive threshold"),
        (lambda: vp.Quantile(level=1), ValueError, "between 0 and 1"),
        (lambda: vp.L2(-1.0), ValueError, "at least 0, not -1.0"),
        (
            lambda: ANY.Network(2, vp.SquaredError(), [vp.Dense(2)]),
            TypeError,
            "layers are a list, not SquaredError",
        ),
        (lambda: ANY.Network.init(NETWORK, "12"), TypeError, "A seed is a whole number, not '12'"),
        (lambda: NETWORK.init(0, int), TypeError, "dtype cannot be int64"),
        (lambda: NETWORK.loss(THETA, X, T, np.full(4, 1e308)), ValueError, "its sum could overflow"),
        (lambda: NETWORK.hidden(THETA, X, 3), IndexError, "no layer 3"),
        (lambda: NETWORK.layout.locate(17), IndexError, "no parameter 17"),
    ],
)
def test_bad_descriptions_are_named(build, error, pattern):
    with pytest.raises(error, match=pattern):
        build()


def test_a_layer_that_breaks_its_promise_is_named():
    class Narrow(vp.extend.Layer):
        def forward(self, p, X, noise=None):
            return X[..., :1], None

        def backward(self, p, saved, delta, J):
            return delta

    network = vp.Network(2, [vp.Dense(3), Narrow()], vp.SquaredError())
    with pytest.raises(ValueError, match=r"Layer 1 \(Narrow\) gave shape \(4, 1\).*\(\*M, N, 3\)"):
        network.loss(np.zeros(9), X, np.zeros((4, 3)))


def test_lists_integers_and_frames_are_taken():
    pd = pytest.importorskip("pandas")
    theta = np.random.default_rng(0).normal(size=17)
    expected = NETWORK.loss(theta, np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 1]))
    assert NETWORK.loss(theta, [[1, 2], [3, 4]], [0, 1]) == expected
    assert NETWORK.loss(theta, pd.DataFrame({"a": [1, 3], "b": [2.0, 4.0]}), pd.Series([0, 1])) == expected
    assert REGRESSION.loss(np.zeros(3), [[1, 2]], [2.0]) == 2.0


def test_inputs_are_not_changed():
    theta, X, T = np.ones(17), np.ones((4, 2)), np.eye(2)[[0, 1, 1, 0]]
    copies = theta.copy(), X.copy(), T.copy()
    NETWORK.loss_and_gradient(theta, X, T)
    for array, copy in zip((theta, X, T), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_network_s_repr_makes_it():
    for network in (NETWORK, vp.Network(2, [vp.Dense(1)], vp.Huber(2.0), [vp.L2(0.1)])):
        assert eval(repr(network), dict(vars(vp))) == network


@pytest.mark.parametrize("F", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [3, 2**19 + 5, 2**21 + 5])  # one by one, by squares, and by several threads
def test_numbers_are_taken_if_they_are_finite(F, rows, monkeypatch):
    monkeypatch.setenv("VECPROP_NUM_THREADS", "3")
    t = np.zeros(rows, int)
    for value in (1, np.finfo(F).max / 4) if rows < 2**20 else (1,):  # squares of the second overflow
        X = np.full((rows, 2), value, F)
        np.testing.assert_array_equal(NETWORK.batch(THETA.astype(F), X, t).X, X)
        for row in (0, rows - 1):
            with pytest.raises(ValueError, match=f"X is not finite: row {row}, column 1 is inf"):
                NETWORK.batch(THETA.astype(F), changed(X, (row, 1), np.inf), t)


def test_many_numbers_are_checked_where_no_thread_starts(monkeypatch):
    """As when Python is shutting down."""

    def refuse(*arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setenv("VECPROP_NUM_THREADS", "3")
    monkeypatch.setattr("vecprop.system.threads._helpers", refuse)
    X, t = np.zeros((2**21 + 5, 2)), np.zeros(2**21 + 5, int)
    assert NETWORK.batch(THETA, X, t).X is X
    with pytest.raises(ValueError, match="X is not finite: row 2097156, column 0 is nan"):
        NETWORK.batch(THETA, changed(X, (-1, 0), np.nan), t)


def test_soft_labels_sum_to_1_as_exactly_as_they_are_used():
    """Labels that were rounded to float32 are off by 1e-8, which would be the error of a float64 gradient."""
    loss, exact = vp.SoftmaxCrossEntropy(), np.array([[0.25, 0.75], [0.0, 1.0]])
    rounded = np.array([[0.1, 0.2, 0.7]]).astype(np.float32).astype(np.float64)
    assert loss.exact_targets(exact) is exact
    assert abs(rounded.sum() - 1) > 1e-9
    np.testing.assert_allclose(loss.exact_targets(rounded).sum(), 1, rtol=0, atol=1e-15)
    np.testing.assert_allclose(loss.exact_targets(rounded), rounded, rtol=1e-7)


def test_as_many_rows_of_whole_numbers_as_classes_are_one_hot():
    network = vp.Network(2, [vp.Dense(3)], vp.SoftmaxCrossEntropy())
    theta, X = network.init(0), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    classes = np.array([2, 0, 1])
    assert network.loss(theta, X, np.eye(3, dtype=int)[classes]) == network.loss(theta, X, classes)


def test_one_member_of_weights_is_for_all_members():
    network = vp.Network(2, [vp.Dense(3)], vp.SoftmaxCrossEntropy())
    theta, X, t, weight = network.init([0, 1]), np.ones((4, 2)), np.zeros(4, int), np.ones((1, 4))
    assert network.batch(theta, X, t, weight).members == (1,)
    members = np.ones((2, 4, 2))
    assert network.batch(theta, members, t, weight).members == (2,)
    assert network.batch(theta, members[:1], t, np.ones((2, 4))).members == (2,)


@pytest.mark.parametrize("types", [["Float64", "Int32"], ["float64", "boolean"], ["double[pyarrow]", "int8[pyarrow]"]])
def test_frames_of_types_with_missing_values(types):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [0.5, 2.0, 3.0, 4.0], "b": [1, 0, 1, 0]})
    frame = frame.astype(dict(zip("ab", types, strict=True)))
    assert frame.isna().sum().sum() == 0
    np.testing.assert_array_equal(NETWORK.batch(THETA, frame, T).X, [[0.5, 1], [2, 0], [3, 1], [4, 0]])
    frame.loc[2, "a"] = None
    with pytest.raises(ValueError, match="row 2, column 0 is nan; fill or drop it"):
        NETWORK.batch(THETA, frame, T)
    with pytest.raises(TypeError, match="X has dtype object, but numbers are needed: encode text"):
        NETWORK.batch(THETA, frame.assign(a="1"), T)


def test_targets_and_weights_of_nullable_pandas_types():
    pd = pytest.importorskip("pandas")
    network, X = vp.Network(2, [vp.Dense(3)], vp.SoftmaxCrossEntropy()), np.eye(3, 2)
    theta = network.init(0)
    classes, weight = pd.Series([0, 1, 2], dtype="Int64"), pd.Series([1, 2, 0.5], dtype="Float64")
    assert network.loss(theta, X, classes, weight) == network.loss(theta, X, np.arange(3), np.array([1, 2, 0.5]))
    shares = pd.DataFrame(np.eye(3)).astype("Float64")
    assert network.loss(theta, X, shares) == network.loss(theta, X, np.eye(3))
    shares.loc[1, 0] = pd.NA
    with pytest.raises(ValueError, match="T is not finite: row 1, column 0 is nan"):
        network.loss(theta, X, shares)

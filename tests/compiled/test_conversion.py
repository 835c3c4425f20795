"""Training on a large X of another dtype or order is bit-identical to training on a converted copy."""

import tracemalloc
from itertools import product
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vecprop as vp
from anonymous_memory import MEGABYTE, peak_of, reads_proc
from sampled import sampled
from vecprop.compiled.jit import fit_record
from vecprop.core.rows.selection import Scaling, Selection
from vecprop.core.summary import memory_of_a_fit
from vecprop.optimize.settings import EngineName

RNG = np.random.default_rng(0)
NETWORKS = {
    "few features": (5, 8, 40),
    "many features": (30, 8, 40),
    "split by inputs": (300, 300, 40),
}
TYPES = [
    np.bool_,
    *(np.dtype(f"{kind}{size}").type for kind in "iu" for size in (1, 2, 4, 8)),
    np.float32,
    np.float64,
]
FEW = [np.int64, np.float64]


@pytest.fixture(autouse=True)
def all_is_large(limit):
    """Convert small arrays lazily, too."""
    limit("inputs: numbers kept as read", 0)
    limit("inputs: numbers in a part", 64)


def numbers(N, I, kind):
    """Return numbers of a dtype, including numbers that float32 cannot represent."""
    X = RNG.normal(size=(N, I))
    if kind == np.bool_:
        return X > 0
    whole = np.dtype(kind).kind in "iu"
    return (
        (X % 1 * min(np.iinfo(kind).max, 2**40)).astype(kind)
        if whole
        else (X / 3).astype(kind)
    )


def assert_trains_alike(name, F, kind, by_columns, engine: EngineName = "compiled"):
    I, width, batch_size = NETWORKS[name]
    network = vp.Network(
        I, [vp.Dense(width), vp.ReLU(), vp.Dense(3)], vp.SoftmaxCrossEntropy()
    )
    X, t = numbers(2 * batch_size + 9, I, kind), RNG.integers(0, 3, 2 * batch_size + 9)
    raw = np.asfortranarray(X) if by_columns else X
    scaling, theta = (
        Scaling(np.full(I, 0.1, F), np.full(I, 3 * max(float(abs(X).max()), 1), F)),
        network.init(0, F),
    )
    rows = RNG.permutation(len(X))
    settings = {"optimizer": vp.Adam(0.01), "epochs": 2, "seed": 3, "engine": engine}
    for size in (batch_size, None):
        copied, as_read = (
            [
                vp.train(network, theta, of, t, validation=(of[:20], t[:20]), batch_size=size, **settings),
                vp.train(network, theta, Selection(of, rows[9:], scaling), t, batch_size=size, **settings),
                *vp.train_population(
                    [vp.Member(network, theta, vp.Adam(0.01), rows[9:], rows[:9], epochs=2, batch_size=size)],
                    of, t, engine=engine,
                ),
            ]
            for of in (X.astype(F), raw)
        )  # fmt: skip
        for one, other in zip(copied, as_read, strict=True):
            np.testing.assert_array_equal(other.theta, one.theta)
            np.testing.assert_array_equal(other.history.loss, one.history.loss)
            np.testing.assert_array_equal(
                other.history.validation_loss, one.history.validation_loss
            )


@pytest.mark.parametrize("by_columns", [False, True])
@pytest.mark.parametrize(
    ("F", "kind"),
    [
        pytest.param(
            F, kind, marks=[] if F is np.float32 and kind in FEW else pytest.mark.long
        )
        for F in (np.float32, np.float64)
        for kind in TYPES
    ],
)
def test_each_dtype(F, kind, by_columns):
    assert_trains_alike("many features", F, kind, by_columns)


@pytest.mark.parametrize(
    "name", ["few features", pytest.param("split by inputs", marks=pytest.mark.long)]
)
def test_each_way_to_fill_a_tile(name):
    assert_trains_alike(name, np.float32, np.float64, by_columns=False)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_part_of_an_array(order):
    network = vp.Network(
        9, [vp.Dense(4), vp.ReLU(), vp.Dense(3)], vp.SoftmaxCrossEntropy()
    )
    of, t, theta = (
        np.asarray(RNG.normal(size=(200, 20)), order=order),
        RNG.integers(0, 3, 90),
        network.init(0),
    )
    part = of[10:190:2, 3:21:2]
    alike = [
        vp.train(network, theta, X, t, optimizer=vp.Adam(), epochs=2, batch_size=9)
        for X in (part, part.copy())
    ]
    np.testing.assert_array_equal(alike[0].theta, alike[1].theta)
    backwards = part[::-1]  # is copied
    np.testing.assert_array_equal(
        vp.train(network, theta, backwards, t, optimizer=vp.Adam(), epochs=1).theta,
        vp.train(
            network, theta, backwards.copy(), t, optimizer=vp.Adam(), epochs=1
        ).theta,
    )


def test_the_reference_engine_converts_dtypes():
    assert_trains_alike(
        "few features", np.float32, np.int64, by_columns=False, engine="reference"
    )


@pytest.mark.parametrize("wrong", [np.nan, 1e300])
def test_values_that_overflow_in_the_dtype_of_theta_are_named(wrong):
    network = vp.Network(3, [vp.Dense(2)], vp.SoftmaxCrossEntropy())
    X, t = RNG.normal(size=(100, 3)), RNG.integers(0, 2, 100)
    X[77, 1] = wrong
    member = vp.Member(network, network.init(0, np.float32), vp.Adam(), epochs=1)
    with pytest.raises(
        ValueError,
        match=r"X is not finite: row 77, column 1 is (nan|inf); fill or drop it",
    ):
        vp.train(network, member.theta, X, t, optimizer=vp.Adam(), epochs=1)
    with pytest.raises(
        ValueError, match="In member 0: X is not finite: row 77, column 1"
    ):
        vp.train_population([member], X, t)


def test_the_error_of_a_wrong_shape_is_the_usual_one():
    network = vp.Network(3, [vp.Dense(2)], vp.SoftmaxCrossEntropy())
    with pytest.raises(
        ValueError,
        match=r"X has shape \(5, 4\), but layer 0 \(Dense\) takes \(\*M, N, 3\)",
    ):
        vp.train(
            network,
            network.init(0, np.float32),
            np.zeros((5, 4)),
            np.zeros(5, int),
            optimizer=vp.Adam(),
        )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [np.int64, np.float64])
def test_predictions_in_chunks_are_bit_identical(kind, limit):
    I, X = 30, numbers(1100, 30, kind)
    network = vp.Network(
        I, [vp.Dense(8), vp.ReLU(), vp.Dense(3)], vp.SoftmaxCrossEntropy()
    )
    theta, rows = network.init(0, np.float32), X.astype(np.float32)
    model = vp.MLPClassifier((8,), max_iter=1, random_state=0).fit(
        rows[:50], RNG.integers(0, 2, 50)
    )
    compiled = vp.compile(network)
    expected = [compiled.predict(theta, rows), model.predict_proba(rows)]
    limit("selection: numbers in a part", 1)  # parts of as few rows as may be
    for raw in (X, np.asfortranarray(X)):
        for whole, by_parts in zip(
            expected,
            [compiled.predict(theta, raw), model.predict_proba(raw)],
            strict=True,
        ):
            np.testing.assert_array_equal(by_parts, whole)
    if kind == np.float64:
        X[1000, 2] = np.nan
        with pytest.raises(
            ValueError, match="X is not finite: row 1000, column 2 is nan"
        ):
            compiled.predict(theta, X)


ESTIMATORS = {
    "classifier": vp.MLPClassifier((8,), max_iter=2, random_state=0),
    "early stopping": vp.MLPClassifier(
        (8,), max_iter=3, early_stopping=True, scoring="accuracy", random_state=0
    ),
    "L-BFGS": vp.MLPRegressor(
        hidden_layer_sizes=(8,), max_iter=2, solver="lbfgs", random_state=0
    ),
    "regressor": vp.MLPRegressor(
        hidden_layer_sizes=(8,), max_iter=2, n_restarts=2, random_state=0
    ),
    "ensemble": vp.MLPEnsembleClassifier(
        vp.MLPClassifier((8,), max_iter=2),
        n_estimators=3,
        oob_score=True,
        max_samples=0.5,
        random_state=0,
    ),
    "search": vp.MLPSearchCV(
        make_pipeline(
            StandardScaler(), vp.MLPClassifier((8,), max_iter=2, random_state=0)
        ),
        {"mlpclassifier__alpha": [0.0, 0.1]},
        cv=3,
    ),
}


@pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:18 of 90 rows have no"
)
@pytest.mark.parametrize(
    ("name", "kind"), sampled(product(ESTIMATORS, [np.bool_, np.int64, np.float64]))
)
def test_estimators_convert_dtypes_bit_identically(name, kind, limit):
    limit("search: large data of a fold", 0)
    limit("search: large data of scores", 0)
    X, y = numbers(90, 6, kind), RNG.integers(0, 2, 90)
    X = X % 9 if kind == np.int64 else X
    if kind == np.float64:  # in place of other numbers, by columns
        X, copied = np.asfortranarray(X), X
    else:
        copied = X.astype(float)
    copies: Any = [clone(ESTIMATORS[name]) for _ in range(2)]
    raw, floats = (
        model.fit(of, y) for model, of in zip(copies, (X, copied), strict=True)
    )
    for of in (X, copied):
        np.testing.assert_array_equal(raw.predict(of), floats.predict(copied))
    last = getattr(raw, "best_estimator_", raw)
    last = last[-1] if name == "search" else last
    if name != "ensemble":
        assert last.theta_.dtype == np.float64
        assert last.diagnose(X, y) == last.diagnose(copied, y)
    if name == "search":
        np.testing.assert_array_equal(
            raw.cv_results_["mean_test_score"], floats.cv_results_["mean_test_score"]
        )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_integers_pass_the_checks_of_scikit_learn():
    model = vp.MLPClassifier((4,), max_iter=2, random_state=0).fit(
        numbers(50, 4, np.int64) % 9, np.arange(50) % 2
    )
    X = numbers(50, 5, np.int64)
    with pytest.raises(
        ValueError,
        match="X has 5 features, but MLPClassifier is expecting 4 features as input",
    ):
        model.predict(X)
    with pytest.raises(
        ValueError, match="Found input variables with inconsistent numbers of samples"
    ):
        model.fit(X, np.arange(49))
    with pytest.raises(ValueError, match="Found array with dim 3"):
        model.fit(X[None], [0])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.fit(np.where(X[0] == X, np.nan, X), np.arange(50) % 2)


ON_A_DISK = """
    import sys, tempfile
    from functools import partial
    import numpy as np, vecprop as vp
    from sklearn.model_selection import ShuffleSplit
    rows, inputs, path = 1_000_000, 32, tempfile.NamedTemporaryFile(suffix=".npy")
    X = np.lib.format.open_memmap(path.name, "w+", np.{kind}, (rows, inputs), fortran_order={by_columns})
    for start in range(0, rows, 50_000):
        X[start : start + 50_000] = 20 * np.random.default_rng(start).normal(size=(50_000, inputs))
    X.flush()
    X, t = np.load(path.name, mmap_mode="r"), (np.asarray(X[:, 0]) > 0).astype(int)
    layers = [vp.Dense(64), vp.ReLU(), vp.Dense(64), vp.ReLU(), vp.Dense(2)]
    network = vp.Network(inputs, layers, vp.SoftmaxCrossEntropy())
    theta, settings = network.init(0, np.float32), {{"optimizer": vp.Adam(), "epochs": 1, "batch_size": 256}}
    stopping = vp.EarlyStopping("loss", patience=5)
    compiled, model = vp.compile(network), vp.MLPClassifier((64, 64), max_iter=1, random_state=0)

    network_of = partial(vp.MLPClassifier, (64, 64), batch_size=256, max_iter=1, random_state=0)
    call = {{
        "train": lambda X, t: vp.train(network, theta, X, t, early_stopping=stopping, **settings),
        "population": lambda X, t: vp.train_population([vp.Member(network, theta, **settings)], X, t),
        "predict": lambda X, t: compiled.predict(theta, X),
        "proba": lambda X, t: model.predict_proba(X),
        "fit": network_of().fit,
        "stopped": network_of(early_stopping=True).fit,
        "search": lambda X, t: vp.MLPSearchCV(
            network_of(), {{"alpha": [0.0]}}, cv=ShuffleSplit(1, test_size=0.1)
        ).fit(X, t),
    }}["{call}"]
    model.fit(np.asarray(X[:1000], np.float32), t[:1000])
    few = 500_000 if {by_columns} else 530_000
    call(X[:few], t[:few])  # so that nothing is compiled or imported later
"""


def told(rows, batch_size):
    """Return the memory in bytes that a summary estimates for a fit in float32."""
    network = vp.Network(
        32,
        [vp.Dense(64), vp.ReLU(), vp.Dense(64), vp.ReLU(), vp.Dense(2)],
        vp.SoftmaxCrossEntropy(),
    )
    words = network.summary(rows, batch_size).splitlines()[-1].split()
    return float(words[words.index("takes") + 1]) * 1e6


@pytest.mark.long
@reads_proc
@pytest.mark.parametrize(
    ("call", "kind", "by_columns", "of_a_row"),
    [
        ("train", "float64", False, 0),
        ("train", "float32", True, 0),
        ("train", "bool_", False, 0),
        ("population", "int16", False, 0),
        ("predict", "int16", True, 0),
        ("predict", "float32", False, 0),
        ("proba", "float64", False, 0),
        ("fit", "int64", False, 0),
        # the numbers of rows, which are drawn, where X in float64 takes 256
        ("stopped", "bool_", True, 80),
        ("search", "float64", True, 32),
    ],
)
def test_a_memory_map_is_not_copied(call, kind, by_columns, of_a_row):
    peak = peak_of(
        "call(X, t)", ON_A_DISK.format(call=call, kind=kind, by_columns=by_columns)
    )
    assert peak < told(1_000_000, 256) + 10 * MEGABYTE + 1_000_000 * of_a_row


@pytest.mark.long
@pytest.mark.parametrize(
    ("rows", "inputs", "widths", "batch_size", "F"),
    [
        (200_000, 30, [64, 64], 256, np.float32),
        (200_000, 5, [8], 64, np.float64),
        (20_000, 784, [128], 128, np.float32),
        (4_000, 784, [1024, 1024], 1000, np.float32),
        (4_000, 300, [300], None, np.float64),
        (2_000, 2000, [2000], 500, np.float32),
    ],
)
def test_a_summary_estimates_the_memory_of_a_fit(
    rows, inputs, widths, batch_size, F, monkeypatch
):
    monkeypatch.undo()
    layers = [
        layer
        for width in widths
        for layer in (vp.Dense(width), vp.ReLU(), vp.Dropout(0.1))
    ]
    network = vp.Network(inputs, [*layers, vp.Dense(3)], vp.SoftmaxCrossEntropy())
    X, t = RNG.normal(size=(rows, inputs)).astype(F), np.arange(rows) % 3
    settings = {"optimizer": vp.Adam(), "epochs": 1, "batch_size": batch_size}

    def fit():
        vp.train(
            network,
            network.init(0, F),
            X,
            t,
            early_stopping=vp.EarlyStopping("loss", patience=5),
            **settings,
        )

    fit()
    fit_record.KeptMemory.spare.clear()
    tracemalloc.start()
    fit()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (
        0.4
        < peak / memory_of_a_fit(network, rows, batch_size, np.dtype(F).itemsize)
        < 1.05
    )

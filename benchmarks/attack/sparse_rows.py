"""Random sparse rows: the numbers of dense ones, the bits of any threads and company, odd and damaged matrices."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

import vecprop as vp
from draws import Fit, fit, one, width
from networks import in_population, near_the_reference
from vecprop.core.rows.sparse import SparseNetwork
from vecprop.system.threads import limit_threads

FORMS: list[Any] = [
    sparse.csr_matrix,
    sparse.csr_array,
    sparse.csc_matrix,
    sparse.csc_array,
    sparse.coo_array,
    sparse.lil_matrix,
    sparse.dok_matrix,
    sparse.bsr_array,
]
"""Those that scikit-learn accepts."""


def attack(rng: np.random.Generator) -> None:
    """Attack a random fit on sparse rows, and an estimator."""
    drawn = fit(rng, first=int(one(rng, [1, 2, width(rng), width(rng, 3000)])))
    dense = drawn.X * (rng.random(drawn.X.shape) < one(rng, [0, 0.01, 0.1, 0.5]))
    X = odd(dense, rng)
    before = digest(X)
    drawn = replace(drawn, network=SparseNetwork(drawn.network), X=X)
    whole = drawn.alone(engine="compiled")
    for threads in (1, 2, 3, 8):
        with limit_threads(threads):
            whole.require_equal(drawn.alone(engine="compiled"), f"{threads} threads")
    whole.require_equal(in_population(drawn, rng), "in a population")
    near_the_reference(drawn, whole, rng)
    dense_too(drawn, dense, rng)
    assert digest(X) == before, "X was changed"
    estimated(dense, rng)
    damaged(drawn, dense, rng)


def odd(dense: np.ndarray, rng: np.random.Generator) -> Any:
    """Return rows as a compressed matrix whose entries may be doubled, zero, unsorted, wide-numbered or read-only."""
    row, column = np.nonzero(dense)
    values = dense[row, column]
    if len(values) and rng.random() < 0.5:  # entries that sum to one
        again = rng.integers(0, len(values), len(values) // 3 + 1)
        row, column = (
            np.concatenate([row, row[again]]),
            np.concatenate([column, column[again]]),
        )
        extra = rng.normal(size=len(again)).astype(values.dtype)
        np.add.at(dense, (row[len(values) :], column[len(values) :]), extra)
        values = np.concatenate([values, extra])
    if rng.random() < 0.5:  # explicit zeros
        count = int(rng.integers(1, 9))
        row = np.concatenate([row, rng.integers(0, len(dense), count)])
        column = np.concatenate([column, rng.integers(0, dense.shape[1], count)])
        values = np.concatenate([values, np.zeros(count, values.dtype)])
    order = rng.permutation(len(row))
    order = order[np.argsort(row[order], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(dense)))])
    words = one(rng, [np.int32, np.int64])
    form = one(rng, [sparse.csr_matrix, sparse.csr_array])
    X = form(
        (values[order], column[order].astype(words), starts.astype(words)),
        shape=dense.shape,
    )
    if rng.random() < 0.3:
        for part in (X.data, X.indices, X.indptr):
            part.flags.writeable = False
    return X


def digest(X: Any) -> str:
    """Return what X consists of."""
    return json.dumps(
        [X.data.tolist(), X.indices.tolist(), X.indptr.tolist(), str(X.indices.dtype)]
    )


def dense_too(drawn: Fit, dense: np.ndarray, rng: np.random.Generator) -> None:
    """Require the loss, gradient and predictions of dense rows."""
    first: Any = drawn.network.layers[0]
    plain = vp.Network(
        drawn.network.inputs, [vp.Dense(first.outputs), *drawn.network.layers[1:]],
        drawn.network.loss_function, drawn.network.penalties,
    )  # fmt: skip
    near = 1e5 * np.finfo(drawn.theta.dtype).eps
    found = drawn.network.loss_and_gradient(drawn.theta, drawn.X, drawn.T, drawn.weight)
    expected = plain.loss_and_gradient(drawn.theta, dense, drawn.T, drawn.weight)
    found, expected = (
        (*found, drawn.network.predict(drawn.theta, drawn.X)),
        (*expected, plain.predict(drawn.theta, dense)),
    )
    for one_, other in zip(found, expected, strict=True):
        largest = max(np.abs(other).max(initial=0), 1e-6)
        np.testing.assert_allclose(
            one_ / largest,
            other / largest,
            rtol=near,
            atol=near,
            err_msg="sparse and dense",
        )


def estimated(dense: np.ndarray, rng: np.random.Generator) -> None:
    """Require that estimators read any form and type alike."""
    rows, F = len(dense), one(rng, ["f8", "f4", "i4", "?", "u1", "i8"])
    if rows < 12:
        return
    dense = (10 * dense).round().clip(0 if F in "?u1" else -99, 99).astype(F)
    y = rng.integers(0, 3, rows)
    y[:9] = [0, 1, 2] * 3
    settings = {
        "hidden_layer_sizes": (int(width(rng, 60)),),
        "max_iter": 2,
        "random_state": int(rng.integers(99)),
        "solver": one(rng, ["adam", "sgd", "rmsprop"]),
        "batch_size": one(rng, ["auto", int(rng.integers(5, 50))]),
        "early_stopping": bool(rows > 60 and rng.random() < 0.4),
    }
    model = one(rng, [vp.MLPClassifier, vp.MLPRegressor])(**settings)
    fits = [
        fitted(model, form(dense), y) for form in (sparse.csr_array, one(rng, FORMS))
    ]
    np.testing.assert_array_equal(*fits, err_msg="forms")
    if not fits[0].size:
        return
    predictions = [
        model.predict(X)
        for X in (dense, sparse.csr_matrix(dense), one(rng, FORMS)(dense))
    ]
    np.testing.assert_array_equal(
        predictions[1], predictions[2], err_msg="predictions of forms"
    )
    if isinstance(model, vp.MLPRegressor):
        near = 1e-3 if model.theta_.dtype == np.float32 else 1e-9
        np.testing.assert_allclose(predictions[0], predictions[1], rtol=near, atol=near)


def fitted(model: Any, X: Any, y: np.ndarray) -> np.ndarray:
    """Return the fitted parameters, or an empty array if training diverged, as it may on large numbers."""
    try:
        return model.fit(X, y).theta_
    except ValueError as error:
        if "Training diverged" not in str(error):
            raise
        return np.empty(0)


def damaged(drawn: Fit, dense: np.ndarray, rng: np.random.Generator) -> None:
    """Require a sentence for entries that are not finite, and for columns and rows that are not there."""
    X: Any = sparse.csr_matrix(dense)
    if not X.nnz:
        return
    place = int(rng.integers(X.nnz))
    row, column = (
        int(np.searchsorted(X.indptr, place, side="right")) - 1,
        int(X.indices[place]),
    )
    kind = one(rng, ["nan", "inf", "column", "negative column", "starts"])
    words = {
        "nan": f"row {row}, column {column} is nan",
        "inf": f"row {row}, column {column} is inf",
    }
    if kind in ("nan", "inf"):
        X.data[place] = float(kind)
    elif kind == "starts":
        X.indptr[int(rng.integers(1, len(X.indptr)))] = one(rng, [X.nnz + 10**6, -1])
    else:
        X.indices[place] = X.shape[1] if kind == "column" else -1
    for engine in ("compiled", "reference"):
        try:
            vp.train(
                drawn.network,
                drawn.theta,
                X,
                drawn.T,
                optimizer=vp.Adam(),
                epochs=1,
                engine=engine,
            )
            said = "nothing"
        except ValueError as error:
            said = str(error)
        assert words.get(kind, "rebuild the sparse matrix") in said, f"{kind}: {said}"

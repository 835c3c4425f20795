"""Random selections of rows, and rows that searches and early stopping choose: the bits of copies."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

import vecprop as vp
from draws import Fit, Outcome, fit, one, width
from vecprop.core.rows import selection
from vecprop.core.rows.selection import Scaling, Selection
from vecprop.estimators.many import evaluation, folds, scaling
from vecprop.optimize.settings import EngineName
from vecprop.system.threads import limit_threads


def attack(rng: np.random.Generator) -> None:
    """Attack a random selection, then a search or early stopping."""
    selected(rng)
    one(rng, [searched, searched, stopped])(rng)


def selected(rng: np.random.Generator) -> None:
    """Require that chosen and scaled rows train as their copies do, alone and in a population."""
    drawn = fit(rng)
    F, I = drawn.theta.dtype, drawn.network.inputs
    of_scaling = one(rng, [F, np.float64])
    shift, scale = (
        rng.normal(size=I).astype(of_scaling),
        rng.uniform(0.5, 2, I).astype(of_scaling),
    )
    scaler = one(rng, [None, Scaling(shift, scale, bool(rng.random() < 0.5))])
    copied = drawn.X if scaler is None else scaler(drawn.X)
    expected = replace(drawn, X=copied).alone(engine="compiled")
    with tempfile.TemporaryDirectory() as folder:
        X = clothed(drawn.X, rng, Path(folder))
        for threads in (1, int(rng.integers(2, 9))):
            with limit_threads(threads):
                expected.require_equal(
                    chosen(drawn, X, scaler, "compiled"), f"chosen from {type(X)}"
                )
                member = replace(drawn.member(), X=Selection(X, None, scaler))
                (result,) = vp.train_population(
                    [member], drawn.X, drawn.T, sample_weight=drawn.weight
                )
                expected.require_equal(
                    Outcome.of(lambda result=result: result), "member"
                )
        near = replace(drawn, X=copied).alone(engine="reference")
        near.require_equal(chosen(drawn, X, scaler, "reference"), "chosen, reference")


def chosen(drawn: Fit, X: Any, scaler: Scaling | None, engine: EngineName) -> Outcome:
    """Return the outcome of training on rows that are chosen as they are read."""
    settings: dict[str, Any] = drawn.settings | {
        "engine": engine,
        "sample_weight": drawn.weight,
    }
    if drawn.seen is not None:
        weight = () if drawn.weight is None else (drawn.weight,)
        settings["validation"] = (Selection(X, drawn.seen, scaler), drawn.T, *weight)
    rows = Selection(X, drawn.rows, scaler)
    return Outcome.of(
        lambda: vp.train(drawn.network, drawn.theta, rows, drawn.T, **settings)
    )


def clothed(X: np.ndarray, rng: np.random.Generator, folder: Path) -> np.ndarray:
    """Return the same numbers in another layout."""
    kind = one(rng, ["plain", "memmap", "strided", "Fortran", "reversed", "read-only"])
    if kind == "memmap":
        np.save(folder / "X.npy", X)
        return np.load(folder / "X.npy", mmap_mode="r")
    if kind == "strided":
        return np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]
    if kind == "Fortran":
        return np.asfortranarray(X)
    if kind == "reversed":
        return X[::-1, ::-1].copy()[::-1, ::-1]
    X = X.copy()
    X.flags.writeable = kind != "read-only"
    return X


def table(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs, of which some columns may be constant, large or tiny, and targets."""
    N, I = int(rng.integers(60, 260)), width(rng, 60)
    X = rng.normal(size=(N, I)) * 10.0 ** rng.integers(-3, 4, I) + rng.normal(
        size=I
    ) * 10.0 ** rng.integers(-2, 3, I)
    if rng.random() < 0.3:
        X[:, 0] = one(rng, [0.0, 1.0, 0.1, 1e8, -3.3])
    return X.astype(one(rng, [np.float32, np.float64])), (
        X[:, 0] + rng.normal(size=N) > np.median(X[:, 0])
    ).astype(int)


def model(rng: np.random.Generator, **settings: Any) -> Any:
    """Return a small classifier or regressor."""
    settings = {
        "hidden_layer_sizes": tuple(width(rng, 40) for _ in range(rng.integers(1, 3))),
        "max_iter": int(rng.integers(1, 6)),
        "random_state": int(rng.integers(1000)),
        "batch_size": int(rng.integers(5, 60)),
        "solver": one(rng, ["adam", "sgd", "rmsprop", "adamw"]),
        "dropout": float(one(rng, [0, 0, 0.3])),
        **settings,
    }
    return one(rng, [vp.MLPClassifier, vp.MLPRegressor])(**settings)


def searched(rng: np.random.Generator) -> None:
    """Require the bits of GridSearchCV, as if all data were large."""
    X, y = table(rng)
    scaler = one(
        rng,
        [
            StandardScaler(),
            StandardScaler(with_mean=False),
            StandardScaler(with_std=False),
            MinMaxScaler((-1, 2)),
            MaxAbsScaler(),
            RobustScaler(),
            RobustScaler(with_scaling=False),
            "passthrough",
        ],
    )
    own = model(rng, early_stopping=bool(rng.random() < 0.3))
    pipeline = make_pipeline(scaler, own)
    grid = {
        f"{pipeline.steps[-1][0]}__alpha": [1e-4, 1.0],
        f"{pipeline.steps[-1][0]}__activation": ["relu", "tanh"],
    }
    cv = one(
        rng,
        [
            3,
            KFold(2, shuffle=True, random_state=0),
            ShuffleSplit(2, test_size=0.3, random_state=1),
        ],
    )
    settings = {
        "cv": cv,
        "return_train_score": bool(rng.random() < 0.5),
        "error_score": np.nan,
    }
    kept = [
        (folds, "LARGE"),
        (evaluation, "LARGE"),
        (scaling, "PART"),
        (scaling, "SOME"),
        (selection, "PART"),
    ]
    before = [getattr(module, name) for module, name in kept]
    given = one(rng, [X, np.asfortranarray(X), X[::-1].copy()[::-1]])
    try:
        if rng.random() < 0.8:
            for (module, name), value in zip(kept, (0, 0, 1000, 30, 1), strict=True):
                setattr(module, name, value)
        search = vp.MLPSearchCV(pipeline, grid, **settings).fit(given, y)
        predicted = search.predict(given)
    finally:
        for (module, name), value in zip(kept, before, strict=True):
            setattr(module, name, value)
    expected = GridSearchCV(pipeline, grid, **settings).fit(given, y)
    for name, column in expected.cv_results_.items():
        if not name.endswith("_time") and name != "params":
            np.testing.assert_array_equal(
                search.cv_results_[name], column, err_msg=f"{scaler} {name}"
            )
    np.testing.assert_array_equal(
        search.best_estimator_[-1].theta_, expected.best_estimator_[-1].theta_
    )
    np.testing.assert_array_equal(
        predicted, expected.predict(given), err_msg="predictions"
    )


def stopped(rng: np.random.Generator) -> None:
    """Require that early stopping trains as with the same rows given by hand."""
    X, y = table(rng)
    X /= np.abs(X).max(axis=0) + 1
    weight = one(rng, [None, rng.uniform(0.1, 2, len(X))])
    own = model(
        rng,
        early_stopping=True,
        solver="adam",
        scoring="loss",
        n_iter_no_change=2,
        max_iter=15,
    )
    fitted = own.fit(X, y, weight)
    again = type(own)(**own.get_params()).fit(np.asfortranarray(X), y, weight)
    np.testing.assert_array_equal(again.theta_, fitted.theta_, err_msg="Fortran")
    listed = type(own)(**own.get_params()).fit(
        X.astype(X.dtype.newbyteorder(">")), y, weight
    )
    np.testing.assert_array_equal(listed.theta_, fitted.theta_, err_msg="big-endian")

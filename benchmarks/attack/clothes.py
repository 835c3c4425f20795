"""Random inputs in other clothes, with planted numbers that are not finite, and of odd sizes."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

import vecprop as vp
from draws import Fit, fit, one, width


def attack(rng: np.random.Generator) -> None:
    """Attack with one of each."""
    clothed(rng)
    planted(rng)
    sized(rng)


def clothed(rng: np.random.Generator) -> None:
    """Require equal bits of the same numbers in any clothes."""
    drawn = fit(rng)
    names = ["X", "T"] if drawn.T.dtype.kind == "f" else ["X"]
    given: dict[str, Any] = {"X": drawn.X.round(1), "T": drawn.T}
    plain = replace(
        drawn,
        X=given["X"].astype(np.float16).astype(drawn.X.dtype),
        rows=np.arange(len(drawn.X)),
    )
    plain.settings.update(early_stopping=None, validation_score=None, schedule=None)
    expected = train(plain, plain.X, plain.T)
    for name in names:
        values = getattr(plain, name)
        for kind in (
            "list",
            "frame",
            "nullable",
            "swapped",
            "strided",
            "read-only",
            "Fortran",
            "double",
            "objects",
        ):
            dressed = values.astype(float) if kind == "double" else wear(values, kind)
            found = train(plain, **({"X": plain.X, "T": plain.T} | {name: dressed}))
            np.testing.assert_array_equal(
                found, expected, err_msg=f"{name} as {kind}", strict=True
            )
    whole = (10 * plain.X).round()
    kinds = [np.int8, np.int32, np.int64, ">i2", np.float16]
    X = whole.clip(-100, 100).astype(one(rng, kinds))
    np.testing.assert_array_equal(
        train(plain, X, plain.T), train(plain, X.astype(plain.X.dtype), plain.T)
    )
    np.testing.assert_array_equal(
        train(plain, X > 0, plain.T), train(plain, (X > 0).astype(float), plain.T)
    )
    estimated(rng)


def train(drawn: Fit, X: Any, T: Any) -> np.ndarray:
    """Return the trained parameters."""
    try:
        return vp.train(
            drawn.network,
            drawn.theta,
            X,
            T,
            sample_weight=drawn.weight,
            **drawn.settings,
        ).theta
    except vp.DivergenceError as error:
        return error.result.theta


def wear(values: np.ndarray, kind: str) -> Any:
    """Return the same numbers in other clothes."""
    if kind == "list":
        return values.tolist()
    if kind == "frame":
        return pd.DataFrame(values)
    if kind == "nullable":
        return pd.DataFrame(values).astype(
            "Float64" if values.dtype == np.float64 else "Float32"
        )
    if kind == "swapped":
        return values.astype(values.dtype.newbyteorder("S"))
    if kind == "strided":
        return np.repeat(values, 2, axis=0)[::2]
    if kind == "Fortran":
        return np.asfortranarray(values)
    if kind == "objects":
        return pd.DataFrame(values).astype(object).infer_objects()
    values = values.copy()
    values.flags.writeable = False
    return values


def estimated(rng: np.random.Generator) -> None:
    """Require that estimators fit and predict alike in any clothes."""
    N, I = int(rng.integers(20, 200)), width(rng, 50)
    X = rng.normal(size=(N, I)).astype(one(rng, [np.float32, np.float64]))
    y = rng.integers(0, 2, N)
    y[:4] = [0, 1, 0, 1]
    settings = {
        "hidden_layer_sizes": (5,),
        "max_iter": 2,
        "random_state": int(rng.integers(99)),
    }
    model = vp.MLPClassifier(**settings).fit(X, y)
    expected = model.predict_proba(X)
    for kind in (
        "frame",
        "swapped",
        "strided",
        "read-only",
        "Fortran",
        *(["list"] if X.dtype == np.float64 else []),
    ):
        other = vp.MLPClassifier(**settings).fit(wear(X, kind), y)
        np.testing.assert_array_equal(
            other.theta_, model.theta_, err_msg=kind, strict=True
        )
        np.testing.assert_array_equal(
            other.predict_proba(wear(X, kind)), expected, err_msg=kind, strict=True
        )


def planted(rng: np.random.Generator) -> None:
    """Require an error that names the row of a number that is not finite."""
    drawn = fit(rng)
    drawn.settings.update(early_stopping=None, validation_score=None)
    N, value = len(drawn.X), one(rng, [np.nan, np.inf, -np.inf])
    row = int(rng.integers(N))
    X, T = (
        drawn.X.copy(),
        drawn.T.astype(drawn.theta.dtype) if drawn.T.ndim > 1 else drawn.T,
    )
    weight, validation = np.ones(N), None
    where = one(
        rng,
        (
            ["X", "T", "weight", "validation"]
            if T.ndim > 1
            else ["X", "weight", "validation"]
        ),
    )
    if where == "X":
        X[row, int(rng.integers(X.shape[1]))] = value
    elif where == "T":
        T = T.copy()
        T[row, int(rng.integers(T.shape[1]))] = value
    elif where == "weight":
        weight[row] = value
    else:
        other = X.copy()
        other[row, 0] = value
        validation = (other, T)
    for engine in ("compiled", "reference"):
        said = "nothing"
        try:
            vp.train(
                drawn.network, drawn.theta, X, T, sample_weight=weight, validation=validation, engine=engine,
                **drawn.settings | {"epochs": max(drawn.settings["epochs"], 1)},
            )  # fmt: skip
        except ValueError as error:
            said = str(error)
        assert f"row {row}" in said, f"{where} {value} in row {row}: {said}"
    X = drawn.X.copy()
    X[row, 0] = value
    for predict in (
        vp.compile(drawn.network).predictor(drawn.theta),
        lambda X: drawn.network.predict(drawn.theta, X),
    ):
        said = "nothing"
        try:
            predict(X)
        except ValueError as error:
            said = str(error)
        assert f"row {row}" in said, f"predicted {value} in row {row}: {said}"


def sized(rng: np.random.Generator) -> None:
    """Require of inputs, targets, weights and rates of any size that both engines end alike, with finite parameters.

    They may end otherwise where a sum in a layer overflows, whose order decides whether
    it is infinite or NaN, and where the reference engine itself does so with parameters
    that differ in their last bits.
    """
    drawn = fit(rng)
    F = drawn.theta.dtype
    most = 30 if np.float32 == F else 200
    power = 10.0 ** rng.integers(-most, most)
    part = one(rng, ["X", "weight", "rate", "clip_norm", "theta"])
    X, theta, weight, settings = drawn.X, drawn.theta, drawn.weight, drawn.settings
    settings.update(early_stopping=None, validation_score=None)
    if part == "X":
        X = (X * power).astype(F)
    elif part == "theta":
        theta = (theta * power).astype(F)
    elif part == "weight":
        weight = np.full(len(X), power)
    elif part == "clip_norm":
        settings["clip_norm"] = power
    else:
        settings["optimizer"] = replace(settings["optimizer"], learning_rate=power)
    drawn = replace(drawn, X=X, theta=theta, weight=weight)
    found, expected = end(drawn, "compiled"), end(drawn, "reference")
    if found != expected and largest_sum(drawn) <= np.finfo(F).max:
        moved = 1 + 16 * np.finfo(F).eps * rng.uniform(-1, 1, (40, theta.size))
        others = [
            end(replace(drawn, theta=(theta * by).astype(F)), "reference")
            for by in moved
        ]
        assert found in others, f"{part} {power}: {found}, {expected}"


def end(drawn: Fit, engine: Any) -> str:
    """Return how training ends, whose parameters and losses must be finite."""
    try:
        arguments: dict[str, Any] = drawn.settings | {
            "sample_weight": drawn.weight,
            "engine": engine,
        }
        result = vp.train(drawn.network, drawn.theta, drawn.X, drawn.T, **arguments)
    except vp.DivergenceError as error:
        result = error.result
    except ValueError as error:
        return str(error)
    assert np.isfinite(result.theta).all(), f"{engine}: theta is not finite"
    assert np.isfinite(result.history.loss).all(), f"{engine}: {result.history.loss}"
    return result.reason


def largest_sum(drawn: Fit) -> float:
    """Return the largest Σ |x W| in the layers, before and after each epoch of training in a wider type."""
    wide, found = drawn.widened(), [0.0]
    net = wide.network

    def look(theta: np.ndarray) -> None:
        with np.errstate(all="ignore"):
            outputs, _ = net.forward(theta, wide.X)
        for layer, X in zip(net.layout.views(theta), [wide.X, *outputs], strict=False):
            if "W" in layer:
                found.append((np.abs(X) @ np.abs(layer["W"])).max())

    look(wide.theta)
    settings = wide.settings | {
        "callbacks": [lambda state: look(state.theta)],
        "engine": "reference",
    }
    with suppress(vp.DivergenceError):
        vp.train(net, wide.theta, wide.X, wide.T, sample_weight=wide.weight, **settings)
    return max(found)

"""Settings of a wrong type or out of range are one sentence that names them, on both engines."""

from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest

# untyped, since types that are wrong are the subject
vp: Any = import_module("vecprop")

RNG = np.random.default_rng(0)
X: Any = RNG.normal(size=(12, 3))
T: Any = X[:, 0]
NETWORK = vp.Network(3, [vp.Dense(4), vp.ReLU(), vp.Dense(1)], vp.SquaredError())
THETA = NETWORK.init(0)


def fit(engine="auto", theta=THETA, X=X, T=T, **changes):
    return vp.train(
        NETWORK,
        theta,
        X,
        T,
        **{"optimizer": vp.Adam(0.01), "epochs": 2, "engine": engine} | changes,
    )


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: vp.Dense(3, "relu"),
            (
                r"The initializer of Dense .* got 'relu': .* as in \[Dense\(3\),"
                r" ReLU\(\)\]"
            ),
        ),
        (
            lambda: vp.Dropout("x"),
            "Dropout needs a rate of at least 0 and less than 1, not 'x'",
        ),
        (lambda: vp.LayerNorm(np.inf), "LayerNorm needs a positive epsilon, not inf"),
        (lambda: vp.LeakyReLU("x"), "LeakyReLU needs a finite leak, not 'x'"),
        (lambda: vp.ELU(None), "ELU needs a finite alpha, not None"),
        (lambda: vp.Huber("x"), "Huber needs a positive threshold, not 'x'"),
        (
            lambda: vp.Quantile(level=True),
            "Quantile needs a level between 0 and 1, not True",
        ),
        (lambda: vp.L2(np.inf), "L2 needs a finite strength of at least 0, not inf"),
        (lambda: vp.L1("x"), "L1 needs a finite strength of at least 0, not 'x'"),
        (
            lambda: vp.Momentum(-0.1),
            "Momentum needs a finite learning_rate of at least 0, not -0.1",
        ),
        (lambda: vp.Adam([0.1, np.inf]), "finite learning_rate"),
        (
            lambda: vp.Momentum(0.1, 1.0),
            "a momentum of at least 0 and less than 1, not 1.0",
        ),
        (lambda: vp.Adam(beta2=1.5), "beta2"),
        (lambda: vp.RMSProp(epsilon=0), "positive epsilon"),
        (lambda: vp.AdamW(weight_decay=-1), "weight_decay"),
        (lambda: vp.LBFGS(memory=0), "positive memory"),
        (lambda: vp.LBFGS(memory=2.5), "LBFGS needs an integer as its memory, not 2.5"),
        (lambda: vp.Normal(np.nan), "Normal needs a scale of at least 0, not nan"),
        (lambda: vp.Normal("x"), "Normal needs a scale of at least 0, not 'x'"),
        (lambda: vp.compile("x"), "network must be a Network, got str"),
        (
            lambda: NETWORK.loss(THETA, X, T, noise=1.5),
            "noise must be an integer, a RandomKey or None, got 1.5",
        ),
        (
            lambda: NETWORK.loss_and_gradient(THETA, X, T, noise=0.0),
            "noise must be an integer, a RandomKey or None",
        ),
        (
            lambda: vp.compile(NETWORK).loss(
                THETA, X, T, noise=np.random.default_rng(0)
            ),
            "noise must be an integer",
        ),
        (
            lambda: vp.learn.trace(NETWORK, THETA, X, T, noise="x"),
            "noise must be an integer",
        ),
        (
            lambda: vp.Adam("x"),
            "Adam needs a finite learning_rate of at least 0, not 'x'",
        ),
        (
            lambda: vp.Adam(beta2="x"),
            "Adam needs a beta2 of at least 0 and less than 1, not 'x'",
        ),
        (
            lambda: vp.Adam(epsilon=np.inf),
            "Adam needs a finite positive epsilon, not inf",
        ),
        (
            lambda: vp.Momentum(momentum=[0.9]),
            r"Momentum needs a momentum of at least 0 and less than 1, not \[0.9\]",
        ),
        (
            lambda: vp.EarlyStopping(patience="x"),
            "EarlyStopping needs a patience of at least 1 epoch, not 'x'",
        ),
        (lambda: vp.Adaptive("x"), "Adaptive needs a cut between 0 and 1"),
        (lambda: vp.Cosine("x"), "Cosine needs a final factor between 0 and 1"),
        (
            lambda: vp.OneCycle(start="x"),
            "OneCycle needs a start factor between 0 and 1",
        ),
        (
            lambda: fit(X=X + 1j),
            "X has dtype complex128, but training takes real numbers",
        ),
        (
            lambda: fit(T=T + 1j),
            "T has dtype complex128, but training takes real numbers",
        ),
        (
            lambda: fit(X=(row for row in X)),
            r"an iterator can be read only once, so pass list\(X\)",
        ),
        (
            lambda: fit(X=pd.DataFrame(X).astype(str)),
            "X has dtype .*, but must be numeric: encode text",
        ),
        (
            lambda: vp.MLPRegressor().fit(X, np.array(["a"] * 12)),
            "expected numbers: use MLPClassifier",
        ),
    ],
)
def test_it_is_named(make, says):
    with pytest.raises((ValueError, TypeError), match=says):
        make()


@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"sample_weight": np.full(12, 1e-310)},
            "1e-310 in row 0: weights must be 0 or at least 2.2e-3",
        ),
        (
            {"theta": THETA.astype("f4"), "optimizer": vp.Adam(epsilon=1e-45)},
            "The epsilon of Adam is 1e-45, but theta",
        ),
    ],
)
def test_what_is_smaller_than_any_normal_number_is_refused(engine, changes, says):
    with pytest.raises(ValueError, match=says):
        fit(engine, **changes)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_a_clip_beyond_all_numbers_clips_nothing(engine):
    theta = THETA.astype(np.float32)
    np.testing.assert_array_equal(
        fit(engine, theta, clip_norm=1e39).theta, fit(engine, theta).theta
    )


@pytest.mark.parametrize(("rate", "batch_size"), [(1e8, None), (1e3, 4)])
@pytest.mark.parametrize("training_loss", ["exact", "running"])
def test_histories_are_as_long_on_both_engines_where_training_diverges(
    rate, batch_size, training_loss
):
    lengths = []
    for engine in ("compiled", "reference"):
        settings = {
            "epochs": 60,
            "batch_size": batch_size,
            "training_loss": training_loss,
        }
        with pytest.raises(vp.DivergenceError) as caught:
            fit(engine, optimizer=vp.GradientDescent(rate), **settings)
        history = caught.value.result.history
        names = ("loss", "gradient_norm", "step_size", "time")
        lengths.append(
            [
                caught.value.result.state.epoch,
                *(len(getattr(history, name)) for name in names),
            ]
        )
    assert lengths[0] == lengths[1]

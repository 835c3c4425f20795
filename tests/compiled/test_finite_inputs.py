"""Nonfinite numbers in X are named, even if X is checked only after the gradient is not finite."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecprop as vp


@pytest.fixture(autouse=True)
def all_is_large(limit):
    """Check small arrays only after the gradient."""
    limit("compiled: many inputs", 1)


@given(
    layers=st.sampled_from(
        [
            [vp.ReLU()],
            [vp.Tanh(), vp.Dense(3), vp.ReLU()],
            [vp.LayerNorm(), vp.Dropout(0.5)],
            [],
        ]
    ),
    value=st.sampled_from([np.nan, np.inf, -np.inf]),
    row=st.integers(0, 69),
    column=st.integers(0, 8),
    batch_size=st.sampled_from([None, 1, 16, 70]),
    weighed=st.sampled_from(["all", "others", "none"]),
    running=st.booleans(),
)
def test_nonfinite_x_is_detected_in_the_gradient(
    layers, value, row, column, batch_size, weighed, running
):
    """A large X is not checked first."""
    network = vp.Network(
        9, [vp.Dense(5), *layers, vp.Dense(2)], vp.SoftmaxCrossEntropy(reduction="sum")
    )
    rng = np.random.default_rng(0)
    X, t, weight = rng.normal(size=(70, 9)), rng.integers(0, 2, 70), np.ones(70)
    theta = network.init(seed=0)
    X[row, column] = value
    weight[row if weighed == "others" else slice(None if weighed == "none" else 0)] = 0
    options = {
        "batch_size": batch_size,
        "training_loss": "running" if running else "exact",
        "sample_weight": weight,
    }
    with pytest.raises(
        ValueError, match=f"X is not finite: row {row}, column {column} is {value}"
    ) as error:
        vp.train(
            network,
            theta,
            X,
            t,
            optimizer=vp.Momentum(1e-4),
            epochs=2,
            engine="compiled",
            **options,
        )
    assert error.value.__context__ is None
    with pytest.raises(ValueError, match="X is not finite"):
        vp.train(
            network,
            theta,
            X,
            t,
            optimizer=vp.Momentum(1e-4),
            epochs=0,
            engine="compiled",
        )


def test_x_is_checked_before_layers_that_would_hide_nonfinite_values():
    network = vp.Network(2, [vp.ReLU(), vp.Dense(1)], vp.SquaredError())
    X = np.array([[1.0, 2.0], [-np.inf, 1.0]])
    with pytest.raises(ValueError, match="X is not finite: row 1, column 0 is -inf"):
        vp.train(
            network,
            np.ones(3),
            X,
            np.ones(2),
            optimizer=vp.Momentum(0.1),
            epochs=1,
            engine="compiled",
        )
    plain = vp.Network(2, [vp.Dense(1)], vp.SquaredError())
    with pytest.raises(vp.DivergenceError):
        vp.train(
            plain,
            np.ones(3),
            np.ones((9, 2)),
            np.ones(9),
            optimizer=vp.GradientDescent(1e200),
            engine="compiled",
        )


def test_callbacks_do_not_start_if_x_is_not_finite():
    X, begun = np.full((4, 2), np.nan), []

    class Log(contextlib.nullcontext):
        def __enter__(self):
            begun.append(self)

        def __call__(self, state):
            begun.append(state)

    network, options = (
        vp.Network(2, [vp.Dense(1)], vp.SquaredError()),
        {"epochs": 1, "engine": "compiled"},
    )
    with pytest.raises(ValueError, match="X is not finite: row 0, column 0"):
        vp.train(
            network,
            np.ones(3),
            X,
            np.ones(4),
            optimizer=vp.Momentum(0.1),
            callbacks=[Log()],
            **options,
        )
    assert not begun

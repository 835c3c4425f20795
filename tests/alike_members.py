"""A population with members of every kind, and what `train` returns for each alone."""

import json
from typing import Any

import numpy as np

import vecprop as vp

RNG = np.random.default_rng(0)
N = 120
X = RNG.normal(size=(N, 4))
T = np.sin(X @ RNG.normal(size=(4, 3)))
t = T.argmax(axis=1)
W = RNG.uniform(0.2, 2, N)
HALF, OTHERS = np.arange(0, N, 2), np.arange(1, N, 2)
TWICE = RNG.integers(0, N, 70)  # as a bootstrap draws them


def network(
    width=5,
    activation: vp.extend.Activation = vp.Tanh(),  # noqa: B008 (frozen)
    loss: vp.extend.Loss = vp.SquaredError(),  # noqa: B008
    penalty: Any = None,
    depth=1,
):
    hidden = [part for _ in range(depth) for part in (vp.Dense(width), activation)]
    return vp.Network(4, [*hidden, vp.Dense(3)], loss, penalty)


def member(
    network=network(),  # noqa: B008
    seed=0,
    F: type = np.float64,
    optimizer: Any = vp.Momentum(0.05),  # noqa: B008
    **settings: Any,
):
    return vp.Member(
        network,
        network.init(seed, dtype=F),
        optimizer,
        seed=seed,
        **{"epochs": 6, **settings},
    )


def alone(member, X=X, T=T, weight=None):
    """Return the result of `train` for a member."""

    def chosen(rows):
        return (
            (X, T, weight)
            if rows is None
            else (X[rows], T[rows], None if weight is None else weight[rows])
        )

    X, T = X if member.X is None else member.X, T if member.T is None else member.T
    weight = weight if member.sample_weight is None else member.sample_weight
    own = chosen(member.rows)
    names = (
        "epochs",
        "batch_size",
        "shuffle",
        "seed",
        "training_loss",
        "schedule",
        "early_stopping",
        "clip_norm",
    )
    settings = {name: getattr(member, name) for name in (*names, "validation_score")}
    validation = (
        None if member.validation_rows is None else chosen(member.validation_rows)
    )
    arguments = {
        "optimizer": member.optimizer,
        "sample_weight": own[2],
        "validation": validation,
        **settings,
    }
    try:
        return vp.train(member.network, member.theta, *own[:2], **arguments)
    except vp.DivergenceError as error:
        return error.result


def assert_equal(found, expected):
    assert found.reason == expected.reason
    assert found.theta.dtype == expected.theta.dtype
    np.testing.assert_array_equal(found.theta, expected.theta)
    np.testing.assert_array_equal(found.state.theta, expected.state.theta)
    for name in (
        "loss",
        "validation_loss",
        "validation_score",
        "gradient_norm",
        "step_size",
    ):
        one, other = getattr(found.history, name), getattr(expected.history, name)
        np.testing.assert_array_equal(one, other, err_msg=name)
        assert one.dtype == other.dtype
    assert found.history.time.shape == expected.history.time.shape
    assert (found.state.epoch, found.state.step) == (
        expected.state.epoch,
        expected.state.step,
    )
    assert (found.state.epochs, found.state.rows) == (
        expected.state.epochs,
        expected.state.rows,
    )
    assert found.state.optimizer.keys() == expected.state.optimizer.keys()
    for name, value in found.state.optimizer.items():
        np.testing.assert_array_equal(
            value, expected.state.optimizer[name], err_msg=name
        )
    assert found.state.schedule == expected.state.schedule


class Failing(vp.GradientDescent):
    def step(self, theta, gradient, state):
        raise json.JSONDecodeError("deep in my code", "", 0)


MEMBERS = [
    member(),
    member(seed=1),
    member(seed=2, batch_size=16),
    member(seed=2**70, batch_size=16, shuffle=False),
    member(
        network(
            width=3,
            activation=vp.ReLU(),
            penalty=[vp.L2(0.1), vp.L1(0.01, averaged=True)],
        ),
        batch_size=50,
    ),
    member(network(width=90, depth=3), batch_size=64, training_loss="running"),
    member(network(width=200), F=np.float32, optimizer=vp.Adam(0.01), batch_size=32),
    member(
        vp.Network(4, [vp.Dense(8), vp.Dropout(0.3), vp.Dense(3)], vp.SquaredError()),
        rows=TWICE,
        batch_size=20,
    ),
    member(rows=HALF, validation_rows=OTHERS, batch_size=16),
    member(rows=HALF, validation_rows=OTHERS, training_loss="running"),
    member(
        network(loss=vp.Huber(0.5)),
        optimizer=vp.RMSProp(0.01),
        rows=OTHERS,
        clip_norm=0.1,
    ),
    member(optimizer=vp.Nesterov(0.05), batch_size=30, schedule=vp.OneCycle()),
    member(
        batch_size=10,
        rows=HALF,
        validation_rows=OTHERS,
        early_stopping=vp.EarlyStopping(patience=2),
        epochs=60,
    ),
    member(
        batch_size=10,
        early_stopping=vp.EarlyStopping(min_delta=0.01, patience=3),
        epochs=60,
        optimizer=vp.Momentum(0.3),
    ),
    member(
        early_stopping=vp.EarlyStopping(min_delta=0.01, patience=3),
        epochs=60,
        optimizer=vp.Momentum(0.3),
    ),
    member(
        batch_size=10,
        training_loss="running",
        early_stopping=vp.EarlyStopping(
            "loss", 1e-2, 2, restore_best=False, compare_to="best"
        ),
        epochs=60,
    ),
    member(
        early_stopping=vp.EarlyStopping(patience=2, restore_best=False),
        **{"rows": HALF, "validation_rows": OTHERS, "batch_size": 10, "epochs": 60},
    ),
    member(
        early_stopping=vp.EarlyStopping("validation_score", patience=3),
        validation_score="accuracy",
        **{
            "rows": HALF,
            "validation_rows": OTHERS,
            "batch_size": 10,
            "epochs": 60,
            "training_loss": "running",
        },
    ),
    member(
        early_stopping=vp.EarlyStopping("loss", patience=3),
        validation_score="subset_accuracy",
        **{
            "rows": HALF,
            "validation_rows": OTHERS,
            "batch_size": 10,
            "epochs": 60,
            "training_loss": "running",
        },
    ),
    member(
        network(width=200),
        F=np.float32,
        early_stopping=vp.EarlyStopping("validation_score", 1e-2, 2, compare_to="best"),
        validation_score="r2",
        **{
            "rows": TWICE,
            "validation_rows": OTHERS,
            "batch_size": 10,
            "epochs": 60,
            "sample_weight": W,
        },
    ),
    member(validation_score="r2", rows=HALF, validation_rows=OTHERS, epochs=0),
    member(
        early_stopping=vp.EarlyStopping("validation_loss", 1e-2, 2, compare_to="best"),
        rows=HALF,
        validation_rows=OTHERS,
        epochs=60,
    ),
    member(epochs=0),
    member(optimizer=vp.GradientDescent(1e200)),
    member(optimizer=vp.GradientDescent(1e200), batch_size=16, training_loss="running"),
    member(sample_weight=W, batch_size=32, rows=HALF, training_loss="running"),
    member(X=X[:50].astype(np.float32), T=T[:50], batch_size=16),
    member(optimizer=vp.LBFGS(), epochs=5),
    member(schedule=vp.Adaptive(patience=1), batch_size=32),
    member(
        network(activation=vp.GELU()),
        F=np.float32,
        rows=HALF,
        batch_size=7,
        optimizer=vp.AdamW(0.01),
    ),
]

"""Training that is split into several calls is bit-identical to one call."""

import copy
import pickle

import numpy as np
import pytest

import vecprop as vp
from sampled import sampled

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
T = np.sin(X[:, 0]) + RNG.normal(0, 0.3, 60)
NETWORK = vp.Network(4, [vp.Dense(6), vp.Tanh(), vp.Dense(1)], vp.SquaredError())
THETA = NETWORK.init(0)
EPOCHS = 16
RULES = [
    None,
    vp.EarlyStopping(patience=3),
    vp.EarlyStopping("loss", patience=3),
    vp.EarlyStopping("validation_score", min_delta=0.001, patience=3),
    vp.EarlyStopping("loss", 1e-3, 3, restore_best=False, compare_to="best"),
    vp.EarlyStopping("validation_loss", 1e-3, 3, compare_to="best"),
]
LONG = pytest.mark.long


def fit(epochs=EPOCHS, theta=THETA, network=NETWORK, **changes):
    settings = {
        "optimizer": vp.Adam(0.05),
        "batch_size": 16,
        "validation": (X[40:], T[40:]),
        "validation_score": "r2",
    }
    return vp.train(network, theta, X[:40], T[:40], epochs=epochs, **settings | changes)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize(
    "schedule", sampled([vp.Adaptive(patience=1, tolerance=0.01), None]), ids=str
)
@pytest.mark.parametrize(
    "others",
    [
        {},
        *(
            pytest.param(of, marks=LONG)
            for of in ({"training_loss": "running"}, {"batch_size": None})
        ),
    ],
)
def test_training_resumes_bit_identically(engine, rule, schedule, others):
    settings = {
        "engine": engine,
        "early_stopping": rule,
        "schedule": schedule,
        **others,
    }
    checkpoints = []
    whole = fit(
        callbacks=[lambda state: checkpoints.append(copy.deepcopy(state))], **settings
    )
    last = whole.state.epoch
    assert last < EPOCHS or rule is None or rule.on == "loss"
    for epochs in (1, last - 1, last):
        for state in (
            checkpoints[epochs - 1],
            pickle.loads(pickle.dumps(fit(epochs, **settings).state)),
        ):
            rest = fit(EPOCHS - epochs, state.theta, state=state, **settings)
            assert (rest.state.epoch, rest.reason) == (last, whole.reason)
            np.testing.assert_array_equal(rest.theta, whole.theta)
            np.testing.assert_array_equal(rest.state.theta, whole.state.theta)


def test_members_stop_and_resume_separately():
    settings = {"early_stopping": vp.EarlyStopping(patience=2), "engine": "reference"}
    thetas = np.stack([NETWORK.init(seed) for seed in range(3)])
    whole, half = fit(theta=thetas, **settings), fit(4, thetas, **settings)
    rest = fit(EPOCHS - 4, half.state.theta, state=half.state, **settings)
    np.testing.assert_array_equal(rest.theta, whole.theta)
    assert rest.state.epoch == whole.state.epoch


def test_train_continues_a_member_of_a_population():
    rule, rows = vp.EarlyStopping(patience=3), np.arange(60)
    member = vp.Member(
        NETWORK,
        THETA,
        vp.Adam(0.05),
        rows[:40],
        rows[40:],
        batch_size=16,
        epochs=5,
        early_stopping=rule,
    )
    (begun,) = vp.train_population([member], X, T)
    whole = fit(early_stopping=rule)
    rest = fit(EPOCHS - 5, begun.state.theta, state=begun.state, early_stopping=rule)
    np.testing.assert_array_equal(rest.theta, whole.theta)


def test_a_rule_with_another_monitor_starts_over():
    begun = fit(5, early_stopping=vp.EarlyStopping(patience=3))
    rest = fit(
        5,
        begun.state.theta,
        state=begun.state,
        early_stopping=vp.EarlyStopping("loss", patience=3),
    )
    assert rest.state.early_stopping["monitor"] == "loss"
    assert begun.state.early_stopping["monitor"] == "validation_loss"


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        (
            {
                "network": vp.Network(
                    4, [vp.Dense(6), vp.ReLU(), vp.Dense(1)], vp.SquaredError()
                )
            },
            "the network Network",
        ),
        ({"theta": THETA.astype(np.float32)}, "theta of dtype float64, not float32"),
        ({"optimizer": vp.AdamW(0.05)}, "the optimizer Adam, not AdamW"),
        ({"optimizer": vp.Momentum(0.05)}, "the optimizer Adam, not Momentum"),
        ({"theta": np.stack([THETA, THETA])}, r"theta of shape \(37,\), not \(2, 37\)"),
        ({"schedule": vp.Adaptive()}, r"a schedule with \[\], not"),
    ],
)
def test_state_mismatches_are_named(changes, differs):
    with pytest.raises(ValueError, match=f"The state comes from {differs}"):
        fit(**changes, state=fit(1).state)


def test_training_continues_with_other_data_batches_and_seeds():
    begun = fit(2)
    rest = vp.train(
        NETWORK,
        begun.theta,
        X[:9],
        T[:9],
        optimizer=vp.Adam(0.01),
        epochs=1,
        batch_size=4,
        seed=7,
        state=begun.state,
    )
    assert rest.state.epoch == 3


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_an_error_in_a_callback_carries_the_result_so_far(engine):
    def full(state):
        if state.epoch == 3:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space") as caught:
        fit(callbacks=[full], engine=engine)
    result = vars(caught.value)["result"]
    assert (result.state.epoch, len(result.history.validation_loss)) == (3, 4)
    rest = fit(2, result.theta, state=result.state, engine=engine)
    np.testing.assert_array_equal(rest.theta, fit(5, engine=engine).theta)

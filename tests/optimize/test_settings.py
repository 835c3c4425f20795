"""Wrong or inconsistent settings of training raise, and valid settings train."""

from typing import Any

import numpy as np
import pytest

import vecprop as vp

ANY: Any = vp
"""The package without types, for calls with arguments of wrong types."""
NETWORK = vp.Network(2, [vp.Dense(1)], vp.SquaredError())
DROPPING = vp.Network(2, [vp.Dropout(0.5), vp.Dense(1)], vp.SquaredError())


class ByHand:
    """An optimizer that is not a dataclass."""

    learning_rate = 0.1

    def init(self, theta): ...
    def step(self, theta, gradient, state): ...


def check(validates=False, network=NETWORK, theta=None, **changes):
    """Train with some settings."""
    rows = np.ones((4, 2)), np.arange(4.0)
    settings: dict[str, Any] = {"optimizer": vp.Adam(0.5), "epochs": 0}
    if validates:
        settings["validation"] = rows
    if theta is None:
        theta = network.init(0)
    vp.train(network, theta, *rows, **settings | changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"optimizer": ANY.Adam}, r"optimizer is a class: pass an instance, Adam\(\)"),
        ({"optimizer": "adam"}, r"optimizer is 'adam': pass Adam\(\)"),
        ({"epochs": -1}, "epochs must be an integer of at least 0, got -1"),
        ({"epochs": 1.5}, "epochs must be .* got 1.5"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"seed": 0.5}, "seed must be an integer, got 0.5"),
        ({"clip_norm": 0}, "clip_norm must be a positive and finite number, got 0"),
        ({"clip_norm": np.inf}, "clip_norm .* got inf"),
        ({"clip_norm": [1.0]}, r"clip_norm .* got \[1.0\]"),
        ({"engine": "fast"}, "engine must be .* got 'fast'"),
        ({"training_loss": "mean"}, "training_loss must be .* got 'mean'"),
        ({"shuffle": 1}, "shuffle must be .* got 1"),
        ({"early_stopping": 10}, "early_stopping must be .* got 10"),
        (
            {"schedule": ANY.Cosine},
            r"schedule is a class: pass an instance, Cosine\(\)",
        ),
        ({"schedule": 5}, "schedule must be .* got 5"),
        (
            {"early_stopping": vp.EarlyStopping("validation_score")},
            "monitors the validation score: pass one",
        ),
        (
            {"validation_score": "f1", "validates": True},
            "validation_score must be one of .* got 'f1'",
        ),
        (
            {"validation_score": "r2"},
            "validation_score is 'r2', which needs validation rows",
        ),
        (
            {"optimizer": ByHand(), "schedule": vp.Cosine()},
            "dataclass with a learning_rate, which ByHand is not",
        ),
        (
            {"optimizer": vp.LBFGS(), "theta": np.zeros((2, 3))},
            r"LBFGS trains one network, .* the leading axes \(2,\)",
        ),
        (
            {"optimizer": vp.LBFGS(), "network": DROPPING},
            "LBFGS needs a deterministic loss",
        ),
        ({"epochs": True}, "epochs must be .* got True"),
        ({"batch_size": True}, "batch_size must be .* got True"),
        ({"theta": np.zeros(3, complex)}, "training needs real parameters"),
    ],
)
def test_wrong_settings(changes, says):
    with pytest.raises((ValueError, TypeError), match=says):
        check(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {
            "epochs": np.int64(0),
            "batch_size": np.int32(1),
            "seed": np.uint8(3),
            "clip_norm": np.float32(1),
            "shuffle": False,
        },
        {"optimizer": vp.LBFGS(), "engine": "reference", "training_loss": "exact"},
        {
            "schedule": vp.Cosine(),
            "early_stopping": vp.EarlyStopping(),
            "training_loss": "running",
        },
        {
            "validation_score": "r2",
            "early_stopping": vp.EarlyStopping("validation_score"),
            "validates": True,
        },
        {"optimizer": ByHand(), "engine": "reference"},
    ],
)
def test_right_settings(changes):
    check(**changes)


def test_validation_scores():
    X, T = np.ones((2, 2)), np.ones(2)
    check(validation=(X, T, np.array([0.0, 1.0])), validation_score="r2")
    with pytest.raises(ValueError, match="needs at least 2 validation rows"):
        check(validation=(X[:1], T[:1]), validation_score="r2")
    summed = vp.Network(2, [vp.Dense(1)], vp.SquaredError(reduction="sum"))
    validation = X, T, np.zeros(2)
    with pytest.raises(ValueError, match="All validation rows have weight 0"):
        check(network=summed, validation=validation, validation_score="r2")
    check(network=summed, validation=validation)

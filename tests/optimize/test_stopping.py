"""Tests of the stopping rules."""

import numpy as np
import pytest

import vecprop as vp


def watched(rule, start, step, losses, engine):
    """Return the epoch in which a rule ends a training with these losses, or None.

    The absolute error of a single bias falls by the learning rate, and stays at 0.
    """
    network = vp.Network(1, [vp.Dense(1)], vp.AbsoluteError())
    row = np.zeros((1, 1)), np.zeros(1)
    result = vp.train(
        network,
        np.array([0.0, start]),
        *row,
        optimizer=vp.GradientDescent(step),
        epochs=len(losses) - 1,
        validation=row,
        early_stopping=rule,
        engine=engine,
    )
    monitored = result.history.validation_loss
    np.testing.assert_allclose(monitored, losses[: len(monitored)], atol=1e-12)
    return result.state.epoch if result.reason == "early stopping" else None


@pytest.mark.parametrize(("rule", "end"), [
    # each second loss is half below the latest progress
    (vp.EarlyStopping(min_delta=0.5, patience=2), None),
    # no loss is half below the lowest, and the loss before the first epoch does not count
    (vp.EarlyStopping("loss", 0.5, 2, restore_best=False, compare_to="best"), 3),
])  # fmt: skip
@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_progress_is_counted_from_the_latest_or_from_the_lowest(rule, end, engine):
    losses = [3.0, 2.7, 2.4, 2.1, 1.8, 1.5, 1.2]
    assert watched(rule, 3.0, 0.3, losses, engine) == end


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"monitor": 5},
            (
                "monitor of EarlyStopping must be one of 'loss', 'validation_loss',"
                " 'validation_score', got 5"
            ),
        ),
        (
            {"compare_to": "start"},
            (
                "compare_to of EarlyStopping must be one of 'progress', 'best', got"
                " 'start'"
            ),
        ),
        (
            {"restore_best": "yes"},
            "restore_best of EarlyStopping must be one of True, False, got 'yes'",
        ),
        ({"min_delta": -1.0}, "needs a min_delta of at least 0, not -1.0"),
    ],
)
def test_wrong_settings(settings, says):
    with pytest.raises(ValueError, match=says):
        vp.EarlyStopping(**settings)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_zero_min_delta_counts_any_decrease(engine):
    rule = vp.EarlyStopping(min_delta=0, patience=1)
    losses = [0.5, 0.25, 0.0, 0.0, 0.0]
    assert watched(rule, 0.5, 0.25, losses, engine) == 3

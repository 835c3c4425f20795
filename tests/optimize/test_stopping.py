"""Tests of the stopping rules."""

import pytest

import vecprop as vp
from vecprop.optimize.settings import observed


def watched(rule, losses):
    """Return the index of the loss where a rule ends training, or None."""
    patience, min_delta, compares_to_best, _ = rule._as_numbers()
    lowest = progress_at = float("inf")
    stalled = 0.0
    for epoch, loss in enumerate(losses):
        lowest, progress_at, stalled = observed(
            loss, lowest, progress_at, stalled, min_delta, bool(compares_to_best)
        )
        if stalled >= patience:
            return epoch
    return None


@pytest.mark.parametrize(("rule", "end"), [
    # each second loss is half below the latest progress
    (vp.EarlyStopping(min_delta=0.5, patience=2), None),
    # no loss is half below the lowest
    (vp.EarlyStopping("loss", 0.5, 2, restore_best=False, compare_to="best"), 2),
])  # fmt: skip
def test_progress_is_counted_from_the_latest_or_from_the_lowest(rule, end):
    assert watched(rule, [3.0, 2.7, 2.4, 2.1, 1.8, 1.5, 1.2]) == end


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


def test_zero_min_delta_counts_any_decrease():
    assert (
        watched(vp.EarlyStopping(min_delta=0, patience=1), [1.0, 0.999, 0.998, 0.998])
        == 3
    )

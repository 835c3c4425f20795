"""Tests of the stopping rules."""

import pytest

import vecprop as vp
from vecprop.optimize.settings import observed


def watched(rule, losses):
    """Return the index of the loss where a rule ends training, or None."""
    patience, tolerance, from_lowest, _ = rule.as_numbers()
    lowest = progress_at = float("inf")
    stalled = 0.0
    for epoch, loss in enumerate(losses):
        lowest, progress_at, stalled = observed(loss, lowest, progress_at, stalled, tolerance, bool(from_lowest))
        if stalled >= patience:
            return epoch
    return None


@pytest.mark.parametrize(("rule", "end"), [
    (vp.EarlyStopping(patience=2, tolerance=0.5), None),  # each second loss is half below the latest progress
    (vp.Stagnation(patience=2, tolerance=0.5), 2),  # no loss is half below the lowest
])  # fmt: skip
def test_progress_is_counted_from_the_latest_or_from_the_lowest(rule, end):
    assert watched(rule, [3.0, 2.7, 2.4, 2.1, 1.8, 1.5, 1.2]) == end


def test_restored_parameters():
    """Rules restore the best parameters, except scikit-learn's rule on the training loss."""
    assert vp.EarlyStopping(on="loss").restores
    assert vp.Stagnation(on="validation_loss").restores
    assert not vp.Stagnation().restores


def test_zero_tolerance_counts_any_decrease():
    assert watched(vp.EarlyStopping(patience=1, tolerance=0), [1.0, 0.999, 0.998, 0.998]) == 3

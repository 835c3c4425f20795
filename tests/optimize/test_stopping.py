"""The rule that ends training, as one formula."""

import pytest

import vecprop as vp
from vecprop.optimize.settings import observed


def watched(rule, losses):
    """Return the number of the loss after which a rule ends training, or None."""
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


def test_which_parameters_come_back():
    """The best parameters, except by scikit-learn's rule on the training loss."""
    assert vp.EarlyStopping(on="loss").restores
    assert vp.Stagnation(on="validation_loss").restores
    assert not vp.Stagnation().restores


def test_no_tolerance_is_one():
    assert watched(vp.EarlyStopping(patience=1, tolerance=0), [1.0, 0.999, 0.998, 0.998]) == 3

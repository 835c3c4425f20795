"""The formula that rules of early stopping count by, as Python and as a kernel."""

import numpy as np
import pytest
from numba import njit

from vecprop.optimize.stopping import observed

NAN = float("nan")


@pytest.mark.parametrize("count", [observed, njit(observed)], ids=["Python", "kernel"])
@pytest.mark.parametrize(
    ("loss", "from_lowest", "expected"),
    [  # after a lowest loss of 3, progress at 4 two epochs ago and a tolerance of 0.5
        (3.75, False, (3.0, 4.0, 3.0)),
        (3.5, False, (3.0, 4.0, 3.0)),  # just the tolerance is no progress
        (3.25, False, (3.0, 3.25, 0.0)),
        (2.75, False, (2.75, 2.75, 0.0)),
        (NAN, False, (3.0, 4.0, 3.0)),
        (3.25, True, (3.0, 4.0, 3.0)),
        (2.75, True, (2.75, 4.0, 3.0)),  # many small steps are no progress
        (2.5, True, (2.5, 2.5, 0.0)),  # but just the tolerance is
        (NAN, True, (3.0, NAN, 0.0)),
    ],
)
def test_it_is_what_was_worked_out_by_hand(count, loss, from_lowest, expected):
    np.testing.assert_array_equal(count(loss, 3.0, 4.0, 2.0, 0.5, from_lowest), expected)

"""Test the data sets."""

import numpy as np
import pytest
from sklearn.datasets import make_circles

from vecprop.learn.playground.points import SETS
from vecprop.learn.playground.session_settings import CLASSES


@pytest.mark.parametrize("name", SETS)
def test_data_sets_are_deterministic_with_classes_and_noise(name):
    XY, t = SETS[name](seed=3, rows=60, noise=0.1)
    again, same = SETS[name](seed=3, rows=60, noise=0.1)
    other, _ = SETS[name](seed=4, rows=60, noise=0.1)
    assert XY.shape == (60, 2)
    assert XY.tobytes() == again.tobytes()
    assert t.tobytes() == same.tobytes()
    assert (other != XY).any()
    if CLASSES[name]:
        assert set(t.tolist()) == set(range(CLASSES[name]))
    else:
        assert t.dtype.kind == "f"
    (still, t), (moved, u) = (
        SETS[name](seed=3, rows=60, noise=noise) for noise in (0.0, 1.0)
    )
    assert (moved != still).any() or (t != u).any()


def test_the_tutorial_points_are_reproduced():
    XY, t = SETS["tutorial"](seed=1, rows=100, noise=0.1)
    generator = np.random.RandomState(1)
    points = make_circles(
        100, shuffle=False, factor=0.3, noise=0.1, random_state=generator
    )
    expected, classes = map(np.asarray, points)
    np.testing.assert_allclose(XY, expected, rtol=1e-14, atol=1e-15)
    assert t.tolist() == classes.tolist()

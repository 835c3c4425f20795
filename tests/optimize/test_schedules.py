import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import registry
import vecprop as vp


def factors(schedule, steps):
    return np.array(
        [schedule.factor(step, steps, schedule.init()) for step in range(steps)], float
    )


@given(schedule=st.sampled_from(registry.SCHEDULES), steps=st.integers(1, 60))
def test_factors_are_between_0_and_1(schedule, steps):
    values = factors(schedule, steps)
    assert ((values >= 0) & (values <= 1)).all()
    # beyond the end too
    assert 0 <= float(schedule.factor(steps + 5, steps, schedule.init())) <= 1


def test_by_hand():
    assert factors(vp.Constant(), 3) == pytest.approx([1, 1, 1])
    assert factors(vp.InverseScaling(), 4) == pytest.approx([1, 2**-0.5, 3**-0.5, 0.5])
    assert factors(vp.InverseScaling(1.0), 4) == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    assert factors(vp.Cosine(final=0.5), 2) == pytest.approx([1, 0.75])
    assert factors(vp.WarmUp(2, vp.Cosine()), 4) == pytest.approx([0.5, 1, 1, 0.5])


def test_one_cycle_rises_and_falls():
    values = factors(vp.OneCycle(rise=0.25, start=0.1, final=0.0), 100)
    assert np.argmax(values) == 25
    assert values.max() == 1
    assert (np.diff(values[:26]) > 0).all()
    assert (np.diff(values[25:]) < 0).all()
    assert values[0] == pytest.approx(0.1)
    assert values[-1] < 0.01


def test_adaptive_reduces_each_member_separately():
    schedule = vp.Adaptive(cut=0.5, patience=2, tolerance=0.1)
    state = schedule.init()
    for losses in [(3.0, 3.0), (2.0, 2.95), (1.0, 2.93), (0.5, 2.92), (0.1, 2.91)]:
        schedule.observe(np.array(losses), state)
    np.testing.assert_allclose(schedule.factor(5, 10, state), [1.0, 0.25])


def test_warm_up_passes_the_loss_on():
    schedule = vp.WarmUp(1, vp.Adaptive(cut=0.5, patience=1))
    state = schedule.init()
    for _ in range(2):
        schedule.observe(1.0, state)
    assert schedule.factor(5, 10, state) == 0.5


@pytest.mark.parametrize(
    ("schedule", "options", "wanted"),
    [
        (vp.InverseScaling, {"power": -1}, "a power of at least 0"),
        (vp.Adaptive, {"cut": 1.0}, "a cut between 0 and 1"),
        (vp.Adaptive, {"patience": 0}, "a patience of at least 1 epoch"),
        (vp.Adaptive, {"tolerance": -1}, "a tolerance of at least 0"),
        (vp.Cosine, {"final": 2}, "a final factor between 0 and 1"),
        (vp.OneCycle, {"rise": 0}, "a rise between 0 and 1"),
        (vp.OneCycle, {"start": 2}, "a start factor between 0 and 1"),
        (vp.WarmUp, {"steps": 0}, "a number of steps of at least 1"),
        (
            vp.WarmUp,
            {"steps": 3, "after": "cosine"},
            "a schedule as its argument after",
        ),
    ],
)
def test_out_of_range(schedule, options, wanted):
    value = [*options.values()][-1]
    with pytest.raises(
        ValueError, match=f"^{schedule.__name__} needs {wanted}, not {value!r}."
    ):
        schedule(**options)


def test_bounds_of_the_ranges_are_valid():
    flat = vp.OneCycle(start=1.0, final=1.0)
    assert [flat.factor(step, 10, {}) for step in (0, 5, 9)] == pytest.approx([1, 1, 1])
    assert vp.OneCycle(start=0.0, final=0.0).factor(0, 10, {}) == 0


def test_adaptive_counts_a_fall_of_more_than_its_tolerance_as_progress():
    default, none = vp.Adaptive(patience=1), vp.Adaptive(patience=1, tolerance=0.0)
    for schedule, fall, factor in (
        (default, 1.5e-4, 1.0),
        (default, 0.5e-4, 0.2),
        (none, 0.0, 0.2),
    ):
        state = schedule.init()
        for loss in (1.0, 1.0 - fall):
            schedule.observe(loss, state)
        assert schedule.factor(0, 1, state) == pytest.approx(factor)

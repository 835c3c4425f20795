import pytest
from mutation_suite import PLACES, run


def within(tally):
    """Assert the claim: no false alarm, no miss, and hardly a case left open."""
    print(tally)
    stories = "\n".join(tally.stories)
    assert tally.false_alarms == 0, stories
    assert tally.misses == 0, stories
    assert tally.undecided_right <= 0.01 * tally.networks, stories
    assert tally.undecided_wrong <= 0.01 * tally.errors, stories


def test_sample_has_no_false_alarms_and_no_misses():
    tally = run(range(5 * len(PLACES)), errors_each=4)
    assert tally.networks == 60
    assert tally.errors > 200
    within(tally)


def test_networks_that_were_once_misjudged():
    """Saturated in both types; on its targets; a sum that is exactly 0; slopes that underflow in a complex step."""
    within(run([52, 1246, 1256, 5205, 5547], errors_each=4))


def test_fast_mode_sample():
    within(run(range(100, 100 + 2 * len(PLACES)), errors_each=3, method="directions"))


@pytest.mark.long
def test_whole_suite():
    tally = run(range(1000, 1000 + 40 * len(PLACES)), errors_each=8)
    assert tally.networks == 480
    assert tally.errors > 3000
    within(tally)


@pytest.mark.long
def test_whole_suite_in_fast_mode():
    within(run(range(2000, 2000 + 20 * len(PLACES)), errors_each=6, method="directions"))

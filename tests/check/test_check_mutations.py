import numpy as np
import pytest

from random_networks import PLACES, case, hostile_case, run
from vecprop.check import Verdict, check_gradients


def within(tally):
    """Assert no false alarms, no misses and few undecided cases."""
    print(tally)
    stories = "\n".join(tally.stories)
    assert tally.false_alarms == 0, stories
    assert tally.misses == 0, stories
    assert tally.undecided_right <= 0.01 * tally.networks, stories
    assert tally.undecided_wrong <= 0.01 * tally.errors, stories


def test_sample_has_no_false_alarms_and_no_misses():
    tally = run(range(len(PLACES)), errors_each=1)
    assert (tally.networks, tally.errors > 10) == (12, True)
    within(tally)


def test_networks_that_had_a_wrong_verdict():
    """The cases are saturation, exact targets, a sum of exactly 0, and underflow in a complex step."""
    within(run([52, 1246, 1256, 5205, 5547], errors_each=1))


def test_sample_along_directions():
    within(run(range(100, 100 + len(PLACES), 4), errors_each=1, method="directions"))


@pytest.mark.long
def test_whole_suite():
    tally = run(range(1000, 1000 + 40 * len(PLACES)), errors_each=8)
    assert tally.networks == 480
    assert tally.errors > 3000
    within(tally)


@pytest.mark.long
def test_whole_suite_along_directions():
    within(
        run(range(2000, 2000 + 20 * len(PLACES)), errors_each=6, method="directions")
    )


def check_hostile(seeds):
    """Assert that no verdict is wrong; rounding may hide errors."""
    tally = run(seeds, errors_each=1, cases=hostile_case)
    assert (tally.false_alarms, tally.misses) == (0, 0), "\n".join(tally.stories)
    for seed in seeds:
        one = hostile_case(seed)
        with np.errstate(all="ignore"):
            report = check_gradients(
                one.network, one.theta, one.X, one.T, one.weight, one.noise
            )
        assert report.verdict not in (Verdict.FAIL, Verdict.NONDETERMINISTIC), (
            seed,
            report.text(),
        )


def test_a_sample_of_inputs_with_hostile_offsets_and_scales():
    check_hostile(range(4))


@pytest.mark.long
def test_inputs_with_hostile_offsets_and_scales():
    check_hostile(range(1000))


@pytest.mark.parametrize(
    ("seed", "method"),
    [
        (11, "central differences"),
        (14, "ridders"),
        pytest.param(32, "ridders", marks=pytest.mark.long),
        (32, "central differences"),
    ],
)
def test_networks_that_vary_over_less_than_the_steps_do_not_fail(seed, method):
    one = hostile_case(seed)
    with np.errstate(all="ignore"):
        report = check_gradients(
            one.network, one.theta, one.X, one.T, one.weight, one.noise, method=method
        )
        wrong = check_gradients(
            one.network,
            one.theta,
            one.X,
            one.T,
            one.weight,
            one.noise,
            method=method,
            gradient=lambda theta: theta + 1,
        )
    assert report.verdict is Verdict.INCONCLUSIVE
    assert wrong.verdict is Verdict.FAIL


def check_both_engines(seeds):
    """Assert that both engines pass if the reference engine passes."""
    open_yet = 0
    for seed in seeds:
        one = case(seed)
        arguments = one.network, one.theta, one.X, one.T, one.weight, one.noise
        report, alone = (
            check_gradients(*arguments),
            check_gradients(*arguments, engine="reference"),
        )
        assert {row.engine for row in report.rows} <= {"both", "compiled"}
        assert report.verdict not in (Verdict.FAIL, Verdict.NONDETERMINISTIC), (
            seed,
            report.text(),
        )
        open_yet += report.verdict is Verdict.INCONCLUSIVE is not alone.verdict
    assert open_yet <= 0.01 * len(seeds)


def test_both_engines_are_right_in_a_sample():
    check_both_engines(range(0, len(PLACES), 3))


@pytest.mark.long
def test_both_engines_are_right():
    check_both_engines(range(20 * len(PLACES)))

from dataclasses import replace

import numpy as np
import pytest

import registry
import vecprop as vp


def two_steps(optimizer, theta=(1.0, -2.0), gradients=((4.0, -1.0), (2.0, 3.0))):
    theta = np.array(theta)
    state = optimizer.init(theta)
    for gradient in gradients:
        optimizer.step(theta, np.array(gradient), state)
    return theta, state


def test_gradient_descent_and_momentum_by_hand():
    assert two_steps(vp.GradientDescent(0.1))[0] == pytest.approx(
        [1 - 0.4 - 0.2, -2 + 0.1 - 0.3]
    )
    theta, state = two_steps(vp.Momentum(0.1, momentum=0.5))
    # M = λ M - μ J
    assert state["M"] == pytest.approx([0.5 * -0.4 - 0.2, 0.5 * 0.1 - 0.3])
    # theta + M
    assert theta == pytest.approx(
        [1 - 0.4 + (0.5 * -0.4 - 0.2), -2 + 0.1 + (0.5 * 0.1 - 0.3)]
    )
    theta, state = two_steps(vp.Nesterov(0.1, momentum=0.5))
    assert state["M"] == pytest.approx([-0.4, -0.25])
    assert theta[0] == pytest.approx(1 + (0.5 * -0.4 - 0.4) + (0.5 * -0.4 - 0.2))


def test_rmsprop_by_hand():
    theta, state = two_steps(vp.RMSProp(0.1, decay=0.5))
    v1, v2 = 0.5 * 16, 0.5 * (0.5 * 16) + 0.5 * 4
    assert state["v"][0] == pytest.approx(v2)
    assert theta[0] == pytest.approx(1 - 0.1 * 4 / v1**0.5 - 0.1 * 2 / v2**0.5)


def test_adam_by_hand():
    theta, state = two_steps(vp.Adam(0.1, beta1=0.5, beta2=0.75))
    m, v = 0.5 * (0.5 * 4) + 0.5 * 2, 0.75 * (0.25 * 16) + 0.25 * 4
    assert (state["m"][0], state["v"][0], state["t"]) == (
        pytest.approx(m),
        pytest.approx(v),
        2,
    )
    second = (m / (1 - 0.5**2)) / (v / (1 - 0.75**2)) ** 0.5
    assert theta[0] == pytest.approx(1 - 0.1 * 1 - 0.1 * second, rel=1e-6)


def test_adamw_decay_is_decoupled_from_the_gradient():
    decayed = two_steps(
        vp.AdamW(0.1, weight_decay=0.5), gradients=((0.0, 0.0), (0.0, 0.0))
    )[0]
    assert decayed == pytest.approx([0.95**2, -2 * 0.95**2])
    np.testing.assert_array_equal(
        two_steps(vp.AdamW(0.1, weight_decay=0.0))[0], two_steps(vp.Adam(0.1))[0]
    )


@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS, ids=registry.name)
def test_steps_are_in_place_and_members_are_independent(optimizer):
    rng = np.random.default_rng(0)
    theta, gradients = rng.normal(size=(2, 3, 5)), rng.normal(size=(4, 2, 3, 5))
    together, state = theta.copy(), optimizer.init(theta)
    for gradient in gradients:
        kept = gradient.copy()
        assert optimizer.step(together, gradient, state) is None
        np.testing.assert_array_equal(gradient, kept)
    alone, state = theta[1, 2].copy(), optimizer.init(theta[1, 2])
    for gradient in gradients:
        optimizer.step(alone, gradient[1, 2], state)
    np.testing.assert_array_equal(together[1, 2], alone)


@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS, ids=registry.name)
def test_a_learning_rate_per_member(optimizer):
    rng = np.random.default_rng(0)
    theta, gradient, rates = (
        rng.normal(size=(3, 5)),
        rng.normal(size=(3, 5)),
        [0.1, 0.0, 0.2],
    )
    several = replace(optimizer, learning_rate=np.array(rates))
    moved, state = theta.copy(), several.init(theta)
    several.step(moved, gradient, state)
    for k, rate in enumerate(rates):
        single = replace(optimizer, learning_rate=rate)
        alone = theta[k].copy()
        single.step(alone, gradient[k], single.init(alone))
        np.testing.assert_array_equal(moved[k], alone)
    assert hash(several) == hash(replace(optimizer, learning_rate=rates))


@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS, ids=registry.name)
def test_float32_is_preserved(optimizer):
    for rate in (0.1, np.float64(0.1), [0.1, 0.2]):
        theta = np.ones((2, 3), np.float32)
        single = replace(optimizer, learning_rate=rate)
        moved = single.update(
            theta, theta, single._rate(theta), 1, *[theta for _ in single.moments]
        )
        assert {array.dtype for array in moved} == {np.dtype(np.float32)}


def valley(theta):
    scale = np.array([12.0, 1.0])
    return (scale * theta**2).sum() / 2, scale * theta


def logistic_regression(theta):
    X, t = (
        np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [1.0, 0.5]]),
        np.array([0.0, 1.0, 1.0, 0.0]),
    )
    z = X @ theta
    y = 1 / (1 + np.exp(-z))
    loss = (np.logaddexp(0, z) - t * z).sum() + (theta**2).sum() / 2
    return loss, X.T @ (y - t) + theta


@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS, ids=registry.name)
@pytest.mark.parametrize("function", [valley, logistic_regression])
def test_optimizers_minimize_convex_functions(optimizer, function):
    from scipy.optimize import minimize

    theta = np.array([2.0, -3.0])
    best = minimize(function, theta, jac=True, tol=1e-12).fun
    start, state = function(theta)[0], optimizer.init(theta)
    for _ in range(1500):
        optimizer.step(theta, function(theta)[1], state)
    assert function(theta)[0] - best < 1e-3 * (start - best)


def test_wrong_number_of_learning_rates_raises():
    theta = np.ones((3, 2))
    optimizer = vp.Momentum([0.1, 0.2])
    with pytest.raises(
        ValueError, match=r"learning_rate has shape \(2,\).*leading axes \(3,\)"
    ):
        optimizer.step(theta, theta, optimizer.init(theta))


@pytest.mark.parametrize("members", [(), (3,), (2, 3)])
def test_an_integer_learning_rate_applies_to_all_members(members):
    theta = np.ones((*members, 2))
    optimizer = vp.GradientDescent(1)
    optimizer.step(theta, np.full_like(theta, 3.0), optimizer.init(theta))
    np.testing.assert_array_equal(theta, np.full((*members, 2), -2.0))


def test_lbfgs_converges_where_the_function_stops_decreasing():
    ended = vp.LBFGS(tolerance=1e-300).minimize(
        lambda v: (float(1 + v @ v), 2 * v), np.array([2.0, -3.0]), iterations=100
    )[1]
    assert ended == "converged"


def test_lbfgs_completes_the_iteration_that_exceeds_the_evaluations():
    seen = []

    def function(v):
        seen.append(v)
        return valley(v)

    assert (
        vp.LBFGS(max_evaluations=4).minimize(
            function, np.array([2.0, -3.0]), iterations=100
        )[1]
        == "epochs"
    )
    assert len(seen) > 4


def test_lbfgs_reports_why_it_ended():
    theta, ended = vp.LBFGS(tolerance=1e-9).minimize(
        valley, np.array([2.0, -3.0]), iterations=100
    )
    assert ended == "converged"
    assert np.abs(theta).max() < 1e-8
    assert (
        vp.LBFGS().minimize(valley, np.array([2.0, -3.0]), iterations=1)[1] == "epochs"
    )
    assert (
        vp.LBFGS(max_evaluations=2).minimize(
            valley, np.array([2.0, -3.0]), iterations=100
        )[1]
        == "epochs"
    )


def test_lbfgs_stalls_where_no_step_lowers_the_function():
    uphill = lambda theta: (theta @ theta, -2 * theta)  # noqa: E731
    assert (
        vp.LBFGS().minimize(uphill, np.array([2.0, -3.0]), iterations=100)[1]
        == "stalled"
    )

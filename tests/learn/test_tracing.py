"""Test the values, equations and output formats of traces."""

import numpy as np
import pytest

import registry
import vecprop as vp
from core.test_composite_layer import INSIDE, Residual
from vecprop import learn
from vecprop.learn.tracing.equations import computed

RNG = np.random.default_rng(0)
TUTORIAL = vp.Network(
    2,
    [vp.Dense(3), vp.Logistic(), vp.Dense(2)],
    vp.SoftmaxCrossEntropy(reduction="sum"),
)


def assert_equations_hold(traced, loss=None):
    """Check that each equation computes its value."""
    for value in traced.values_in_order:
        if (
            value.equation
            and "f(" not in value.equation
            and "backward(" not in value.equation
        ):
            found = computed(value.name, value.equation, traced, loss)
            np.testing.assert_allclose(
                found, value.array, rtol=1e-12, atol=1e-14, err_msg=value.name
            )


@pytest.mark.parametrize("layer", registry.LAYERS, ids=registry.name)
def test_equations_of_layers(layer):
    case = registry.problem(layer, vp.SquaredError())
    traced = learn.trace(
        case.network, case.theta, case.X, case.T, case.weight, case.noise
    )
    assert_equations_hold(traced)
    without = {
        value.name
        for value in traced.values_in_order
        if not value.equation and value.stage != "given"
    }
    penalties = {f"R_{name}" for name, *_ in traced.point[3] if name.startswith("W")}
    assert without == {
        "w",
        "R",
        *penalties,
        *(["mask_D1"] if isinstance(layer, vp.Dropout) else []),
    }
    loss, gradient = case.network.loss_and_gradient(
        case.theta, case.X, case.T, case.weight, case.noise
    )
    assert traced["L"] == loss
    J = [traced[f"J_{name}"].ravel() for name, *_ in traced.point[3]]
    np.testing.assert_array_equal(np.concatenate(J), gradient)
    np.testing.assert_array_equal(traced.gradient, gradient)


@pytest.mark.parametrize("loss", registry.LOSSES, ids=registry.name)
@pytest.mark.parametrize("weighted", [False, True])
def test_equations_of_losses(loss, weighted):
    case = registry.problem(vp.Tanh(), loss, penalty=None)
    traced = learn.trace(
        case.network, case.theta, case.X, case.T, case.weight if weighted else None
    )
    assert_equations_hold(traced, loss)
    assert all(
        value.equation for value in traced.values_in_order if value.stage == "backward"
    )
    assert ("w" in traced) == (weighted or loss.reduction == "mean")


@pytest.mark.parametrize("optimizer", registry.OPTIMIZERS, ids=registry.name)
def test_equations_of_optimizers_and_several_steps(optimizer):
    X, T, theta = RNG.normal(size=(4, 2)), np.array([0, 1, 1, 0]), TUTORIAL.init(3)
    expected, state = theta.copy(), optimizer.init(theta)
    before, kept = theta, None
    for step in range(1, 4):
        traced = learn.trace(TUTORIAL, before, X, T)
        moved = traced.step(optimizer, kept)
        assert_equations_hold(moved)
        optimizer.step(expected, TUTORIAL.loss_and_gradient(expected, X, T)[1], state)
        np.testing.assert_array_equal(moved.theta, expected)
        np.testing.assert_array_equal(
            moved["W2_new"], TUTORIAL.layout.views(expected)[2]["W"]
        )
        np.testing.assert_array_equal(traced.theta, before)
        before, kept = moved.theta, moved.state
        assert kept is not None
        assert kept["t"] == step


def test_a_layer_of_layers_is_traced_inside():
    network = vp.Network(
        3, [Residual(INSIDE), vp.Dense(2)], vp.SquaredError(), vp.L2(0.1)
    )
    theta, X, T = network.init(1), RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2))
    traced = learn.trace(network, theta, X, T, noise=3)
    assert_equations_hold(traced)
    np.testing.assert_array_equal(
        traced.gradient, network.loss_and_gradient(theta, X, T, noise=3)[1]
    )
    np.testing.assert_array_equal(traced["F1"], X + traced["F1.Z2"])
    np.testing.assert_allclose(
        traced["J_0W_F1"], X.T @ traced["delta_F1.Z1"] + 0.1 * traced["0W_F1"]
    )
    np.testing.assert_allclose(
        traced["delta_X"], traced["delta_F1"] + traced["delta_F1.X"]
    )
    assert traced["F1.mask_D1"].shape == (5, 5)
    # the name 0W_F1 begins with a digit
    assert r"\mathrm{0W}_{F_{1}}" in traced.to_latex()
    assert "<i>0W</i><sub>F1</sub>" in traced.to_html()


def test_shared_and_custom_layers_are_traced():
    class Cube(vp.extend.Activation):
        def value(self, z):
            return z**3

        def derivative(self, z, y):
            return 3 * z * z

    cube = Cube()
    network = vp.Network(
        2, [vp.Dense(3), cube, cube, vp.Dense(1), cube], vp.SquaredError()
    )
    theta, X = network.init(0), RNG.normal(size=(4, 2))
    traced = learn.trace(network, theta, X, np.ones(4))
    np.testing.assert_allclose(traced["H1"] ** 3, traced["H1b"])
    np.testing.assert_array_equal(
        traced.gradient, network.loss_and_gradient(theta, X, np.ones(4))[1]
    )
    assert "f(Z1    )" in str(traced)
    theta[...], X[...] = 0, 0
    assert traced["X"].all()  # a copy
    assert traced["W1"].all()


def test_rows_sum_to_the_whole():
    network = vp.Network(
        2,
        [vp.Dense(4), vp.LayerNorm(), vp.Dropout(0.3), vp.Dense(2)],
        vp.SoftmaxCrossEntropy(),
    )
    X, T, weight = (
        RNG.normal(size=(5, 2)),
        np.array([0, 1, 1, 0, 1]),
        RNG.uniform(1, 2, 5),
    )
    whole = learn.trace(network, network.init(0), X, T, weight, noise=4)
    parts = [whole.row(number) for number in range(5)]
    for name in ("J_W1", "J_b1", "J_g_N1", "J_b_N1", "J_W2", "J_b2"):
        np.testing.assert_allclose(
            sum(part[name] for part in parts), whole[name], atol=1e-15
        )
    for name in ("Z1", "mask_D1", "Y", "delta_Z2", "l", "w"):
        np.testing.assert_array_equal(
            np.concatenate([part[name] for part in parts]), whole[name]
        )
    np.testing.assert_array_equal(whole.row(-1)["X"], X[4:])
    assert "L" not in parts[0]


def test_rows_sum_to_the_gradient_without_penalties():
    layers, penalties = (
        [vp.Dense(4), vp.Tanh(), vp.Dense(2)],
        [vp.L2(0.1), vp.L1(0.2, averaged=True)],
    )
    X, T, theta = RNG.normal(size=(3, 2)), np.array([0, 1, 1]), RNG.normal(size=22)
    whole = learn.trace(
        vp.Network(2, layers, vp.SoftmaxCrossEntropy(), penalties), theta, X, T
    )
    expected = vp.Network(2, layers, vp.SoftmaxCrossEntropy()).loss_and_gradient(
        theta, X, T
    )[1]
    np.testing.assert_allclose(
        sum(whole.row(number).gradient for number in range(3)), expected, atol=1e-15
    )


STEP = vp.Momentum(0.1)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (
            lambda traced, *values: learn.trace(3, *values),  # pyright: ignore
            TypeError,
            "network must be a Network, got int",
        ),
        (
            lambda traced, theta, X, T: learn.trace(TUTORIAL, [theta] * 2, X, T),
            ValueError,
            "one member at a time",
        ),
        (
            lambda traced, theta, X, T: learn.trace(TUTORIAL, theta, X[None], T),
            ValueError,
            "one member at a time",
        ),
        (
            lambda traced, *_: traced.row(2),
            IndexError,
            "The row index must be between 0 and 1, got 2",
        ),
        (
            lambda traced, *_: traced.step(0.1),
            TypeError,
            "optimizer must be an Optimizer",
        ),
        (
            lambda traced, *_: traced.step(vp.Momentum([0.1, 0.2])),
            ValueError,
            "a single learning rate",
        ),
        (
            lambda traced, *_: traced.row(0).step(STEP),
            ValueError,
            "A step needs all rows",
        ),
        (
            lambda traced, *_: traced.step(STEP).row(0),
            ValueError,
            "call row on the trace before the step",
        ),
        (
            lambda traced, *_: traced.step(STEP).step(STEP),
            ValueError,
            "This trace already has a step",
        ),
        (
            lambda traced, *_: traced["Z9"],
            KeyError,
            "The trace has no value 'Z9': choose from X, T, W1",
        ),
    ],
)
def test_invalid_traces_raise_a_clear_error(wrong, error, message):
    values = TUTORIAL.init(0), np.ones((2, 2)), np.array([0, 1])
    with pytest.raises(error, match=message):
        wrong(learn.trace(TUTORIAL, *values), *values)


def test_shown_as_text_html_latex_and_frame():
    network = vp.Network(14, [vp.Dense(3), vp.ReLU(), vp.Dense(1)], vp.SquaredError())
    traced = learn.trace(
        network, network.init(0), RNG.normal(size=(30, 14)), RNG.normal(size=30)
    ).step(vp.Adam())
    text, page, latex = str(traced), traced._repr_html_(), traced.to_latex()
    assert "Z1      = X        W1      + b1\n(30, 3)   (30, 14) (14, 3)   (3,)" in text
    assert "… 22 more rows" in text
    assert "J_W1    = Xᵀ       delta_Z1\n(14, 3)   (14, 30) (30, 3)" in text
    assert f"L = Σₙ(w ∘ l    ) = {float(traced['L']):.6g}" in text
    assert "<i>δ</i><sub>Z1</sub>" in page
    assert "and 22 more rows, 4 more columns" in page
    assert page.count("<table>") == page.count("</table>") > 20
    assert (
        r"\underset{(14, 3)}{J_{W_{1}}} & = \underset{(14, 30)}{X^\top}\,\underset{(30,"
        r" 3)}{\delta_{Z_{1}}}" in latex
    )
    assert latex.count("{") == latex.count("}")
    pytest.importorskip("pandas")
    frame = traced.to_frame()
    assert len(frame) == sum(array.size for array in traced.values())
    entry = frame[(frame.name == "J_W1") & (frame.row == 4) & (frame.column == 2)]
    assert entry["value"].item() == traced["J_W1"][4, 2]
    alone = (
        learn.trace(network, traced.theta, np.ones((3, 14)), np.ones(3))
        .row(2)
        .to_frame()
    )
    assert alone.query("name == 'l'").row.item() == 2
    assert repr(traced).startswith("Trace(X, T, W1")

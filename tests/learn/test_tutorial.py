"""Test that the functions reproduce the results of the original tutorial."""

import numpy as np
import pytest
from sklearn.datasets import make_circles

import vecprop as vp
from vecprop.learn import tutorial


def draw(generator, scale):
    """Draw bh, Wh, bo and Wo in the tutorial's order; return them in the order of its arguments."""
    bh, Wh = generator.randn(1, 3) * scale, generator.randn(2, 3) * scale
    bo, Wo = generator.randn(1, 2) * scale, generator.randn(3, 2) * scale
    return [Wh, bh, Wo, bo]


@pytest.fixture(scope="module")
def circles():
    generator = np.random.RandomState(1)
    X, t = make_circles(
        n_samples=100, shuffle=False, factor=0.3, noise=0.1, random_state=generator
    )
    return X, np.eye(2)[t], draw(generator, 1), draw(generator, 0.1)


@pytest.fixture(scope="module")
def trained(circles):
    X, T, _, parameters = circles
    moments = [np.zeros_like(P) for P in parameters]
    losses = [tutorial.loss(tutorial.nn(X, *parameters), T)]
    for _ in range(300):
        moments = tutorial.update_momentum(X, T, parameters, moments, 0.9, 0.02)
        parameters = tutorial.update_params(parameters, moments)
        losses.append(tutorial.loss(tutorial.nn(X, *parameters), T))
    return parameters, np.array(losses)


def test_the_loss_of_the_tutorial(circles, trained):
    X, T, _, _ = circles
    parameters, losses = trained
    assert f"{losses[0]:.6f}" == "69.474040"
    assert f"{losses[-1]:.6f}" == "0.380753"
    np.testing.assert_array_equal(tutorial.nn_predict(X, *parameters), T)


def test_train_computes_the_same_losses(circles, trained):
    X, T, _, parameters = circles
    network = vp.Network(
        2,
        [vp.Dense(3), vp.Logistic(), vp.Dense(2)],
        vp.SoftmaxCrossEntropy(reduction="sum"),
    )
    theta = np.concatenate([P.ravel() for P in parameters])
    result = vp.train(
        network, theta, X, T, optimizer=vp.Momentum(0.02, 0.9), epochs=300
    )
    assert result.history.loss.shape == (301,)
    np.testing.assert_allclose(result.history.loss, trained[1], rtol=1e-9)


def test_functions_match_plain_formulas(circles):
    X, T, (Wh, bh, Wo, bo), _ = circles
    H = 1 / (1 + np.exp(-(X @ Wh + bh)))
    E = np.exp(H @ Wo + bo)
    Y = E / E.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(tutorial.hidden_activations(X, Wh, bh), H, rtol=1e-14)
    np.testing.assert_allclose(tutorial.output_activations(H, Wo, bo), Y, rtol=1e-14)
    np.testing.assert_allclose(tutorial.loss(Y, T), -(T * np.log(Y)).sum(), rtol=1e-14)
    Eo = tutorial.error_output(Y, T)
    Eh = H * (1 - H) * (Eo @ Wo.T)
    np.testing.assert_allclose(tutorial.error_hidden(H, Wo, Eo), Eh, rtol=1e-14)
    found = tutorial.backprop_gradients(X, T, Wh, bh, Wo, bo)
    expected = [X.T @ Eh, Eh.sum(0, keepdims=True), H.T @ Eo, Eo.sum(0, keepdims=True)]
    for J, plain in zip(found, expected, strict=True):
        assert J.shape == plain.shape
        np.testing.assert_allclose(J, plain, rtol=1e-11, atol=1e-13)


def test_a_point_of_the_grid_loop(trained):
    parameters, _ = trained
    grid = np.linspace(-2, 2, 9)
    plane = [
        [tutorial.nn_predict(np.asarray([x, y]), *parameters)[0, 0] for x in grid]
        for y in grid
    ]
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    np.testing.assert_array_equal(
        np.ravel(plane), tutorial.nn_predict(points, *parameters)[:, 0]
    )


def test_leading_axes(circles):
    X, T, _, _ = circles
    rng = np.random.default_rng(0)
    members = [
        rng.normal(size=(5, *shape)) for shape in [(2, 3), (1, 3), (3, 2), (1, 2)]
    ]
    losses = tutorial.loss(tutorial.nn(X, *members), T)
    gradients = tutorial.backprop_gradients(X, T, *members)
    moments = tutorial.update_momentum(
        X, T, members, [np.zeros_like(P) for P in members], 0.9, 0.02
    )
    assert losses.shape == (5,)
    for k in range(5):
        alone = [P[k] for P in members]
        np.testing.assert_allclose(
            losses[k], tutorial.loss(tutorial.nn(X, *alone), T), rtol=1e-13
        )
        for together, single in zip(
            gradients, tutorial.backprop_gradients(X, T, *alone), strict=True
        ):
            np.testing.assert_allclose(together[k], single, rtol=1e-11, atol=1e-13)
        for M, J in zip(moments, gradients, strict=True):
            np.testing.assert_allclose(M[k], -0.02 * J[k], rtol=1e-13)


def test_functions_are_stable_where_plain_formulas_overflow():
    np.testing.assert_array_equal(
        tutorial.logistic(np.array([-1000.0, 1000.0])), [0, 1]
    )
    np.testing.assert_array_equal(
        tutorial.softmax(np.array([[1e300, -1e300]])), [[1, 0]]
    )
    Y = tutorial.softmax(np.array([[1000.0, -1000.0]]))
    assert tutorial.loss(Y, np.array([[1.0, 0.0]])) == 0
    # -log of the smallest positive number
    assert 700 < tutorial.loss(Y, np.array([[0.0, 1.0]])) < 710
    # no softmax
    assert tutorial.loss(
        np.array([[0.5, 0.25]]), np.array([[0.0, 1.0]])
    ) == pytest.approx(np.log(4))
    np.testing.assert_allclose(tutorial.softmax(np.array([[1, 1]])), [[0.5, 0.5]])


def test_momentum_takes_any_numbers_lists_and_biases_without_an_axis_of_rows(circles):
    X, T, parameters, _ = circles
    ones = [np.ones_like(P) for P in parameters]
    moments = tutorial.update_momentum(X, T, parameters, ones, 1.0, -0.5)
    for M, J in zip(
        moments, tutorial.backprop_gradients(X, T, *parameters), strict=True
    ):
        np.testing.assert_allclose(M, 1 + 0.5 * J)
    X = np.ascontiguousarray(X)  # BLAS rounds products of strided arrays differently
    lists = [P.ravel().tolist() if len(P) == 1 else P.tolist() for P in parameters]
    assert len(lists[1]) == 3
    np.testing.assert_array_equal(
        tutorial.nn(X.tolist(), *lists), tutorial.nn(X, *parameters)
    )
    found = tutorial.backprop_gradients(X.tolist(), T.tolist(), *lists)
    for J, expected in zip(
        found, tutorial.backprop_gradients(X, T, *parameters), strict=True
    ):
        np.testing.assert_array_equal(J, expected)
    moments = tutorial.update_momentum(X.tolist(), T.tolist(), lists, lists, 0.9, 0.02)
    np.testing.assert_array_equal(
        tutorial.update_params(lists, moments)[0], parameters[0] + moments[0]
    )
    np.testing.assert_array_equal(
        tutorial.update_params([[1.0, 2.0]], [[3.0, 4.0]]), [[4.0, 6.0]]
    )
    np.testing.assert_array_equal(tutorial.logistic([0, 1000]), [0.5, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"Wh": np.ones((3, 2))},
            (
                r"Wh has shape \(3, 2\) and X has shape \(4, 2\), but expected Wh"
                r" \(inputs, hidden"
            ),
        ),
        (
            {"bh": np.ones((3, 1))},
            r"bh has shape \(3, 1\) and X has.*bh \(1, hidden.*equal rows, got 3 and 4",
        ),
        (
            {"bo": np.ones(3)},
            r"bo has shape \(3,\) and T has shape \(4, 2\).*equal outputs, got 3 and 2",
        ),
        (
            {"Wo": np.ones(3)},
            r"Wo must have shape \(hidden units, outputs\), got \(3,\)",
        ),
    ],
)
def test_wrong_shapes_raise_a_clear_error(change, message):
    shapes = {
        "X": (4, 2),
        "T": (4, 2),
        "Wh": (2, 3),
        "bh": (1, 3),
        "Wo": (3, 2),
        "bo": (1, 2),
    }
    right = {name: np.ones(shape) for name, shape in shapes.items()}
    assert len(tutorial.backprop_gradients(**right)) == 4
    with pytest.raises(ValueError, match=message):
        tutorial.backprop_gradients(**right | change)


def test_plain_functions_accept_other_array_likes(circles):
    pd = pytest.importorskip("pandas")
    X, T, (Wh, bh, Wo, bo), _ = circles
    H, frame = tutorial.hidden_activations(X, Wh, bh), pd.DataFrame(X)
    np.testing.assert_array_equal(tutorial.hidden_activations(frame, Wh, bh), H)
    np.testing.assert_array_equal(
        tutorial.hidden_activations(X, Wh, 0.0),
        tutorial.hidden_activations(X, Wh, 0 * bh),
    )
    np.testing.assert_allclose(
        tutorial.hidden_activations(X, Wh, np.repeat(bh, len(X), axis=0)), H, rtol=1e-14
    )
    Y = tutorial.nn(X, Wh, bh, Wo, bo)
    losses = [tutorial.loss(y, t) for y, t in zip(Y, T.astype(bool), strict=True)]
    assert sum(losses) == pytest.approx(tutorial.loss(Y, pd.DataFrame(T)))
    Eo = Y - T
    np.testing.assert_allclose(
        sum(tutorial.gradient_weight_out(h, e) for h, e in zip(H, Eo, strict=True)),
        tutorial.gradient_weight_out(H, Eo),
    )
    np.testing.assert_array_equal(tutorial.gradient_bias_hidden(Eo[0]), Eo[:1])
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix(H)  # its * is a matrix product
    np.testing.assert_array_equal(
        tutorial.error_hidden(matrix, Wo, Eo), tutorial.error_hidden(H, Wo, Eo)
    )


def test_invalid_arguments_raise_and_a_star_import_has_only_the_functions():
    for parameters, moments, message in (
        (
            [(2, 3)] * 4,
            [(2, 3)] * 3,
            r"Ms must contain one array per parameter, 4, got 3",
        ),
        (
            [(2, 3)],
            [(3, 2)],
            r"Ms\[0\] must have the shape of ls_of_params\[0\], \(2, 3\), got \(3, 2\)",
        ),
        (
            [(2, 3)] * 3,
            [(2, 3)] * 3,
            r"ls_of_params must contain 4 arrays, \[Wh, bh, Wo, bo\], got 3",
        ),
    ):
        lists = [
            [np.ones(shape) for shape in shapes] for shapes in (parameters, moments)
        ]
        with pytest.raises(ValueError, match=message):
            tutorial.update_momentum(
                np.ones((4, 2)), np.ones((4, 2)), lists[0], lists[1], 0.9, 0.1
            )
    with pytest.raises(TypeError, match="Ms must be a list of arrays"):
        tutorial.update_params([np.ones(3)], 3.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"z must be a numeric array.*None"):
        tutorial.softmax(None)
    with pytest.raises(
        TypeError, match="X must be a numeric array with rows of equal length"
    ):
        tutorial.nn(
            [[1.0, 2.0], [3.0]],
            *[np.ones(shape) for shape in [(2, 3), (1, 3), (3, 2), (1, 2)]],
        )
    names = {}
    exec("from vecprop.learn.tutorial import *", names)
    assert all(
        callable(value) for name, value in names.items() if name != "__builtins__"
    )
    assert not names.keys() & {"Array", "clip", "log", "Sequence", "namespace"}

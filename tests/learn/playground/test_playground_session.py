"""Test that a session trains as `train` does and shows the values of its network."""

import numpy as np
import pytest

import vecprop as vp
from vecprop.learn.playground import session as session_module
from vecprop.learn.playground.downloads import model_file
from vecprop.learn.playground.points import SETS
from vecprop.learn.playground.session import Session
from vecprop.learn.playground.session_settings import CHOICES, Settings, SettingsError
from vecprop.learn.playground.shown import (
    check,
    edges,
    hidden,
    loss_surface,
    losses_of_starts,
    map_of,
    row,
    units_of,
)


def losses(session):
    """Return the training losses."""
    return session.history.values[:, 0]


def test_it_trains_as_train_does():
    session = Session(
        Settings(
            data="moons", rows=100, test=0.3, layers=(4, 3), batch=16, optimizer="adam"
        )
    )
    session.run_epochs(12)
    XY, t = SETS["moons"](1, 100, 0.1)
    order = np.random.default_rng(1).permutation(100)
    XY, T = XY[order], np.eye(2)[t[order]]
    network = vp.Network(
        2,
        [vp.Dense(4), vp.Tanh(), vp.Dense(3), vp.Tanh(), vp.Dense(2)],
        vp.SoftmaxCrossEntropy(),
    )
    result = vp.train(
        network,
        network.init(0),
        XY[30:],
        T[30:],
        optimizer=vp.Adam(0.1),
        epochs=12,
        batch_size=16,
        shuffle=False,
        validation=(XY[:30], T[:30]),
        training_loss="exact",
    )
    assert session.theta.tobytes() == result.theta.tobytes()
    expected = np.stack([result.history.loss, result.history.validation_loss], axis=1)
    np.testing.assert_allclose(session.history.values, expected, rtol=1e-12)
    assert session.history.epochs.tolist() == list(range(13))
    assert (session.epoch, session.steps) == (12, 12 * 5)


@pytest.mark.parametrize("batch", [0, 16])
def test_single_steps_equal_an_epoch(batch):
    by_steps, at_once = (
        Session(Settings(rows=100, batch=batch, optimizer="nesterov")) for _ in range(2)
    )
    by_steps.step(3 * by_steps.batches)
    at_once.run_epochs(3)
    assert by_steps.theta.tobytes() == at_once.theta.tobytes()
    assert (by_steps.epoch, by_steps.steps, by_steps.batch) == (
        at_once.epoch,
        at_once.steps,
        0,
    )
    np.testing.assert_allclose(losses(by_steps), losses(at_once), rtol=1e-12)


def test_an_incomplete_epoch_is_completed_first():
    begun, whole = (
        Session(Settings(rows=100, batch=16)),
        Session(Settings(rows=100, batch=16)),
    )
    begun.step(2)
    assert (begun.epoch, begun.batch, begun.steps) == (0, 2, 2)
    begun.run_epochs(2)
    whole.run_epochs(2)
    assert begun.theta.tobytes() == whole.theta.tobytes()
    assert begun.epoch == 2


def test_restart_resets_to_the_initial_weights():
    session = Session(Settings(dropout=0.2, layers=(4,), batch=32))
    start = session.theta.copy()
    session.run_epochs(5)
    first = session.theta.copy()
    session.restart()
    assert session.theta.tobytes() == start.tobytes()
    assert (session.epoch, session.steps, session.history.epochs.tolist()) == (
        0,
        0,
        [0],
    )
    session.run_epochs(5)
    assert session.theta.tobytes() == first.tobytes()


def test_divergence_is_reported_and_training_resumes_after_a_change():
    session = Session(Settings(data="wave", learning_rate=30.0, activation="identity"))
    session.run_epochs(1000)
    assert "Lower the learning rate (now 30) and press Reset." in session.trouble
    assert np.isfinite(session.theta).all()
    assert np.isfinite(losses(session)).all()
    stopped = session.epoch, session.theta.copy()
    as_far = Session(session.settings)
    as_far.run_epochs(session.epoch)
    assert as_far.theta.tobytes() == session.theta.tobytes()
    assert len(losses(session)) == session.epoch + 1 > 1
    session.run_epochs(5)
    session.step()
    assert session.epoch == stopped[0]
    assert (session.theta == stopped[1]).all()
    session.change(learning_rate=0.01)
    assert session.trouble == ""
    session.restart()
    session.run_epochs(5)
    assert (session.trouble, session.epoch) == ("", 5)
    session = Session(
        Settings(
            data="wave",
            batch=16,
            learning_rate=100.0,
            activation="identity",
            momentum=0.99,
        )
    )
    session.step(2000)
    assert session.trouble.startswith("Training diverged: the next step")
    assert np.isfinite(session.theta).all()
    starts = losses_of_starts(as_far, 3, 500)
    assert np.isfinite(starts[:, 0]).all()
    assert np.isnan(starts[:, -1]).all()


@pytest.mark.parametrize(
    "settings",
    [
        {name: choice}
        for name in ("optimizer", "activation", "loss")
        for choice in CHOICES[name]
    ],
    ids=str,
)
def test_every_choice_trains(settings):
    session = Session(Settings(**{"rows": 60, "learning_rate": 0.02, **settings}))
    session.run_epochs(10)
    assert losses(session)[-1] < losses(session)[0]


def test_inputs_are_computed_from_x_and_y():
    names = ("x", "y", "x*x", "y*y", "x*y", "sin(x)", "sin(y)")
    session = Session(Settings(features=names, rows=50, layers=()))
    x, y = session.points.XY.T
    expected = np.stack([x, y, x * x, y * y, x * y, np.sin(x), np.sin(y)], axis=1)
    assert (hidden(session) == expected).all()
    assert session.network.inputs == 7
    session.run_epochs(200)
    assert session.right[0] == 1.0  # a circle is a line in x² and y²


def test_the_history_stays_small(limit):
    limit("playground: entries of curves", 100)
    session = Session(Settings(rows=20))
    for _ in range(50):
        session.run_epochs(7)
    epochs = session.history.epochs
    assert len(epochs) <= 100
    assert epochs[0] == 0
    assert epochs[-1] == session.epoch == 350
    assert (np.diff(epochs) > 0).all()
    assert losses(session)[-1] == pytest.approx(
        session.network.loss(session.theta, *session.rows)
    )


@pytest.mark.parametrize("sizes", [[1000], [7, 300, 1, 1, 450, 2, 90, 149]])
def test_a_shortened_curve_is_even(limit, sizes):
    limit("playground: entries of curves", 100)
    curves, all_epochs = session_module.Curves(1), np.arange(1000)
    for part in np.split(all_epochs, np.cumsum(sizes)[:-1]):
        curves.add(part, part[:, None] / 2)
    assert curves.epochs.tolist() == [*range(0, 999, 16), 999]
    assert curves.values[:, 0].tolist() == [epoch / 2 for epoch in curves.epochs]


def test_gradient_and_update_norms_are_recorded_per_dense_layer():
    session = Session(
        Settings(
            rows=60,
            layers=(4, 3),
            normalization=True,
            optimizer="descent",
            learning_rate=0.5,
        )
    )
    session.run_epochs(3)
    before = session.theta.copy()
    gradient = session.gradient_norms.values[-1] * 0.5
    session.step()
    views = session.network.layout.views(session.theta - before)
    moves = [
        np.sqrt((p["W"] ** 2).sum() + (p["b"] ** 2).sum()) for p in views if "W" in p
    ]
    np.testing.assert_allclose(session.moves.values[-1], moves)
    # a step of gradient descent is rate * gradient
    np.testing.assert_allclose(gradient, moves)
    assert session.moves.epochs.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("change", "keeps_theta", "keeps_state"),
    [
        ({"learning_rate": 0.5}, True, True),
        ({"noise": 0.5}, True, True),
        ({"data": "moons"}, True, True),
        ({"optimizer": "adam"}, True, False),
        ({"activation": "relu"}, True, False),
        ({"dropout": 0.5}, True, False),
        ({"mistake": "sum_for_mean"}, True, False),
        ({"layers": (4,)}, False, False),
        ({"normalization": True}, False, False),
        ({"data": "blobs"}, False, False),
        ({"start": 1}, False, False),
    ],
)
def test_theta_is_retained_if_its_shapes_fit(change, keeps_theta, keeps_state):
    session = Session(Settings(rows=60))
    session.run_epochs(3)
    theta = session.theta.copy()
    session.change(**change)
    assert (session.theta.tobytes() == theta.tobytes()) is keeps_theta
    assert (session.state is not None) is keeps_state
    assert session.epoch == (3 if keeps_theta else 0)
    session.run_epochs(2)
    assert session.trouble == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": "red"}, "Unknown setting 'colour'"),
        ({"rows": 1}, "rows must be between 4 and 20,000, got 1"),
        ({"data": "wave", "loss": "cross_entropy"}, "the targets are numeric"),
        ({"data": "table"}, "needs a table"),
    ],
)
def test_invalid_changes_change_nothing(change, said):
    session = Session(Settings(rows=60))
    session.run_epochs(3)
    before = (
        session.settings,
        session.theta.tobytes(),
        [*session.actions],
        session.points,
    )
    with pytest.raises(SettingsError, match=said):
        session.change(**change)
    assert before == (
        session.settings,
        session.theta.tobytes(),
        [*session.actions],
        session.points,
    )


def test_points_are_added_moved_and_removed():
    session = Session(Settings(rows=50, test=0.2))
    points, rows = len(session.points.t), session.rows[0].shape[0]
    session.edit("add", 1.5, -2.5, 1)
    assert session.points.XY[-1].tolist() == [1.5, -2.5]
    assert session.points.t[-1] == 1
    assert not session.points.is_test[-1]
    assert session.rows[0][-1].tolist() == [1.5, -2.5]
    session.edit("move", points, 0.5, 0.25)
    assert session.rows[0][-1].tolist() == [0.5, 0.25]
    session.edit("remove", points)
    assert (len(session.points.t), len(session.rows[0])) == (points, rows)
    session.edit("add", 0, 0, 0)
    session.restart()
    assert len(session.points.t) == points + 1  # the restart retains edited points
    session.change(noise=0.2)
    assert len(session.points.t) == points
    with pytest.raises(SettingsError, match="only training point"):
        Session(Settings(rows=4, test=0.75)).edit("remove", 3)
    session = Session(Settings(data="wave", rows=50))
    session.edit("add", 0, 0, 0.25)
    assert session.points.t[-1] == 0.25
    with pytest.raises(SettingsError, match="got nan"):
        session.edit("add", 0, 0, float("nan"))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda s: s.set_weight(17, 0.0),
            "The parameter index must be between 0 and 16, got 17",
        ),
        (
            lambda s: s.set_weight("a", 0.0),
            "The parameter index must be between 0 and 16, got 'a'",
        ),
        (lambda s: s.set_weight(0, float("nan")), "got nan"),
        (
            lambda s: s.set_weight(0, 1e9),
            "The weight must be between -1000 and 1000, got 1",
        ),
        (
            lambda s: s.edit("add", float("inf"), 0, 0),
            "x must be between -1000 and 1000, got inf",
        ),
        (
            lambda s: s.edit("add", 0, "a", 0),
            "y must be between -1000 and 1000, got 'a'",
        ),
        (lambda s: s.edit("add", 0, 0, 2), "a class index between 0 and 1, got 2"),
        (
            lambda s: s.edit("move", 50, 0, 0),
            "The point index must be between 0 and 49, got 50",
        ),
        (lambda s: s.edit("remove", -1), "got -1"),
        (lambda s: row(s, 50), "got 50"),
        (
            lambda s: losses_of_starts(s, 0, 1),
            "The number of starts must be between 1 and 200, got 0",
        ),
        (
            lambda s: losses_of_starts(s, 10, 10**6),
            "The number of epochs must be between 1 and 2,000, got 1000000",
        ),
    ],
)
def test_invalid_calls_raise_a_clear_error(call, said):
    session = Session(Settings(rows=50))
    before = session.theta.tobytes(), len(session.points.t), [*session.actions]
    with pytest.raises(SettingsError, match=said):
        call(session)
    assert before == (
        session.theta.tobytes(),
        len(session.points.t),
        [*session.actions],
    )


@pytest.mark.parametrize("data", ["circles", "blobs", "wave"])
def test_the_map_is_the_network_s_prediction(data):
    session = Session(Settings(data=data, rows=60, features=("x", "y", "x*y")))
    session.run_epochs(5)
    x, y = (np.linspace(low, high, 9) for low, high in session.points.limits)
    X = np.array([[x[7], y[2], x[7] * y[2]]])
    np.testing.assert_allclose(
        map_of(session, 9)[2, 7],
        session.network.predict(session.theta, X)[0],
        rtol=1e-10,
    )
    (x0, x1), (y0, y1) = session.points.limits
    assert x0 < session.points.XY[:, 0].min() < session.points.XY[:, 0].max() < x1
    assert y0 < session.points.XY[:, 1].min() < session.points.XY[:, 1].max() < y1


def test_units_show_the_outputs_of_each_layer():
    session = Session(Settings(layers=(4, 3), rows=50, dropout=0.3))
    session.run_epochs(3)
    units = units_of(session, 7)
    assert [values.shape for values in units] == [
        (2, 7, 7),
        (4, 7, 7),
        (3, 7, 7),
        (2, 7, 7),
    ]
    np.testing.assert_allclose(
        np.moveaxis(units[-1], 0, -1), map_of(session, 7), rtol=1e-10
    )
    left, right = session.points.limits[0]
    assert (units[0][0] == np.linspace(left, right, 7)).all()
    assert hidden(session).shape == (50, 3)


def test_weights_have_the_names_of_the_gradient_check():
    session = Session(Settings(rows=20, layers=(3, 2)))
    names = {edge.name.partition("[")[0] for edge in edges(session)}
    assert names == {row.name for row in check(session).rows}
    assert edges(session)[1].name == "layer 0 (Dense) W[0, 1]"
    assert edges(session)[-1].name == "layer 4 (Dense) b[1]"


def test_weights_are_editable_edges():
    session = Session(Settings(layers=(4,), normalization=True))
    found = edges(session)
    W1, W2 = (p["W"] for p in session.network.layout.views(session.theta) if "W" in p)
    between = {(edge.layer, edge.source, edge.target): edge for edge in found}
    assert between[0, 1, 2].value == W1[1, 2]
    assert between[1, 3, 0].value == W2[3, 0]
    assert len(found) == 2 * 4 + 4 + 4 * 2 + 2
    session.set_weight(between[1, 3, 0].index, 7.5)
    assert session.network.layout.views(session.theta)[-1]["W"][3, 0] == 7.5
    assert [
        edge.value
        for edge in edges(session)
        if (edge.layer, edge.source, edge.target) == (1, 3, 0)
    ] == [7.5]


def test_a_row_is_traced_and_accuracies_are_correct():
    session = Session(Settings(rows=50, test=0.0))
    traced = row(session, 7)
    X, T = session.points.XY[7:8], np.eye(2)[session.points.t[7:8]]
    loss, gradient = session.network.loss_and_gradient(session.theta, X, T)
    assert traced["L"] == pytest.approx(loss)
    np.testing.assert_allclose(traced.gradient, gradient)

    Y = session.network.predict(session.theta, session.points.XY)
    train, test = session.right
    assert train == np.mean(Y.argmax(axis=1) == session.points.t)
    assert np.isnan(test)
    assert np.isnan(Session(Settings(data="wave")).right[0])
    assert np.isnan(session.history.values[:, 1]).all()


NAMED = {
    "slope_forgotten": "the derivative of layer 1 (Tanh) is missing",
    "no_transpose": "it is transposed",
    "sum_for_mean": "the sum over rows is not divided by N = 140",
}


@pytest.mark.parametrize("mistake", CHOICES["mistake"][1:])
def test_the_check_names_a_deliberate_mistake_that_disturbs_training(mistake):
    right, wrong = Session(), Session(Settings(mistake=mistake))
    report = check(wrong)
    assert not report.passed
    assert NAMED[mistake] in str(report)
    # predictions are correct
    assert map_of(wrong, 5).tobytes() == map_of(right, 5).tobytes()
    right.run_epochs(100)
    wrong.run_epochs(100)
    assert losses(wrong)[-1] > 3 * losses(right)[-1]
    wrong.change(
        mistake="none", layers=(4, 3), dropout=0.2, penalty="L2", normalization=True
    )
    wrong.run_epochs(3)
    assert check(wrong).passed


def test_the_surface_is_the_loss_around_theta():
    session = Session(Settings(rows=50))
    assert loss_surface(session, 5).loss.shape == (5, 5)  # before the first step
    for _ in range(10):
        session.run_epochs(2)
    surface = loss_surface(session, 11)
    loss = float(session.network.loss(session.theta, *session.rows))
    assert surface.loss[5, 5] == pytest.approx(loss)
    assert surface.first[5] == surface.second[5] == 0
    assert surface.path.shape == (11, 2)
    assert surface.path[-1].tolist() == [0, 0]
    assert np.abs(surface.path[:, 0]).max() < surface.first[-1]
    assert np.abs(surface.path[:, 1]).max() < surface.second[-1]
    moved = np.linalg.norm(np.array(session.path) - session.theta, axis=1)
    assert (np.linalg.norm(surface.path, axis=1) <= moved + 1e-12).all()
    at_once = Session(Settings(rows=50))
    at_once.run_epochs(20)
    assert np.linalg.norm(loss_surface(at_once, 5).path[0]) == pytest.approx(moved[0])


@pytest.mark.parametrize(
    "settings",
    [{}, {"batch": 16, "dropout": 0.2, "layers": (4,)}, {"mistake": "no_transpose"}],
)
def test_the_first_of_many_starts_is_the_session_s_own(settings):
    session = Session(Settings(rows=50, **settings))
    starts = losses_of_starts(session, 5, 20)
    assert starts.shape == (5, 21)
    session.run_epochs(20)
    np.testing.assert_allclose(starts[0], losses(session), rtol=1e-9)
    assert len(set(starts[:, -1])) == 5


@pytest.mark.parametrize("mistake", ["none", "sum_for_mean"])
def test_the_model_file_holds_the_network(mistake, tmp_path):
    session = Session(Settings(rows=50, mistake=mistake))
    session.run_epochs(5)
    path = tmp_path / "network.npz"
    path.write_bytes(model_file(session))
    network, theta, state = vp.load(path)
    assert network == session.network
    assert theta.tobytes() == session.theta.tobytes()
    assert (state is None) is (mistake != "none")

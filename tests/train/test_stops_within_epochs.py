"""Training that is stopped within an epoch, by Ctrl-C or another thread, resumes from the last complete epoch."""

import os
import signal
import threading
from functools import partial

import numpy as np
import pytest

import vecprop as vp
from sampled import sampled
from vecprop.compiled import compiled_network
from vecprop.estimators.fit import FitRun

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40_000, 2))
T = np.sin(X[:, :1])
NETWORK = vp.Network(2, [vp.Dense(3), vp.Tanh(), vp.Dense(1)], vp.SquaredError())
THETA = NETWORK.init(0)
# an epoch of single rows takes some hundredths of a second
ROWS = {"compiled": 40_000, "reference": 300}


def fit(epochs, theta=THETA, engine="compiled", **settings):
    settings = {"optimizer": vp.Adam(), "batch_size": 1, "engine": engine, **settings}
    return vp.train(
        NETWORK, theta, X[: ROWS[engine]], T[: ROWS[engine]], epochs=epochs, **settings
    )


def press(after=0.0):
    threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT)).start()


def pressing(after, work, *arguments, **settings):
    """Call work, and press Ctrl-C meanwhile."""
    press(after)
    return work(*arguments, **settings)


@pytest.mark.parametrize("engine", ROWS)
@pytest.mark.parametrize("moves", [pytest.param(False, marks=pytest.mark.long), True])
def test_ctrl_c_undoes_the_unfinished_epoch(engine, moves):
    def callback(pressing, state):
        if moves:
            state.theta[0] += 0.1
        if pressing and state.epoch == 1:
            press(after=0.01)

    result = fit(40, callbacks=[partial(callback, True)], engine=engine)
    assert result.reason == "interrupted"
    epochs = result.state.epoch
    assert 1 <= epochs < 40
    assert result.state.step == epochs * ROWS[engine]
    assert len(result.history.loss) == epochs
    rest = fit(
        1,
        result.theta,
        engine,
        state=result.state,
        callbacks=[partial(callback, False)],
    )
    whole = fit(epochs + 1, engine=engine, callbacks=[partial(callback, False)])
    np.testing.assert_array_equal(rest.theta, whole.theta)


@pytest.mark.parametrize(
    "optimizer",
    sampled([vp.Adam(), vp.Momentum(0.01), vp.GradientDescent(0.01)], 3),
    ids=str,
)
@pytest.mark.parametrize("split", [False, True])
def test_threads_stop_at_the_same_batch(optimizer, split, monkeypatch, limit):
    """The stop is requested at once, so that the first epoch is undone; threads may split the wide layer."""
    width = 400 if split else 60
    network = vp.Network(
        width, [vp.Dense(200), vp.ReLU(), vp.Dense(1)], vp.SquaredError()
    )
    X = np.random.default_rng(0).normal(size=(2_000, width))
    monkeypatch.setenv("VECPROP_NUM_THREADS", "2")
    limit("threads: seconds between polls", 1e-4)
    limit("compiled: long training", 0)
    arguments = {"optimizer": optimizer, "batch_size": 250, "engine": "compiled"}

    def train(epochs, theta, **more):
        return vp.train(network, theta, X, X[:, :1], epochs=epochs, **arguments, **more)

    train(1, network.init(0))
    try:
        press(after=0.005)
        result = train(1000, network.init(0))
    except KeyboardInterrupt:  # before the first epoch
        return
    assert result.reason == "interrupted"
    assert result.state.step == 8 * result.state.epoch
    rest = train(1, result.theta, state=result.state)
    np.testing.assert_array_equal(
        rest.theta, train(result.state.epoch + 1, network.init(0)).theta
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 1},
        {"batch_size": 1, "validation_rows": np.arange(9)},
        {"batch_size": None, "rows": np.arange(99)},
    ],
    ids=str,
)
@pytest.mark.parametrize("training_loss", sampled(["exact", "running"]))
def test_stopped_members_continue(settings, training_loss):
    settings = {**settings, "training_loss": training_loss}
    member = vp.Member(NETWORK, THETA, vp.Adam(), epochs=10**6, **settings)
    (result,) = vp.train_population(
        [member], X, T, progress=lambda progress: progress.share > 0
    )
    assert result.reason == "interrupted"
    epochs, rows = result.state.epoch, settings.pop("rows", slice(None))
    steps = 1 if settings["batch_size"] is None else len(X)
    assert (result.state.step, result.state.optimizer["t"]) == (
        epochs * steps,
        epochs * steps,
    )
    assert len(result.history.loss) == epochs + (training_loss == "exact")
    if settings.pop("validation_rows", None) is not None:
        settings["validation"] = X[:9], T[:9]

    def train(epochs, theta, **more):
        return vp.train(
            NETWORK,
            theta,
            X[rows],
            T[rows],
            optimizer=vp.Adam(),
            epochs=epochs,
            **settings,
            **more,
        )

    rest = train(1, result.theta, state=result.state)
    np.testing.assert_array_equal(rest.theta, train(epochs + 1, THETA).theta)


def test_ctrl_c_stops_the_measurement_of_validation_rows():
    many = np.broadcast_to(X[0], (2_000_000, 2))
    with pytest.raises(KeyboardInterrupt):
        pressing(0.01, fit, 1, validation=(many, many[:, :1]))


def test_ctrl_c_does_not_wait_for_a_long_evaluation_of_lbfgs(monkeypatch, limit):
    is_stopped, ended = threading.Event(), []

    def evaluate(*arguments):
        is_stopped.wait(5)
        ended.append(True)
        return 0.0

    limit("compiled: long rows", 0)
    monkeypatch.setattr(compiled_network, "_GRADIENT", lambda address: evaluate)
    with pytest.raises(KeyboardInterrupt):
        pressing(
            0.2,
            vp.train,
            NETWORK,
            THETA,
            X[:9],
            T[:9],
            optimizer=vp.LBFGS(),
            engine="compiled",
        )
    assert not ended
    is_stopped.set()


@pytest.mark.parametrize("engine", ROWS)
def test_a_second_ctrl_c_stops_at_once(engine):
    def pressed_twice(state):
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(3, callbacks=[pressed_twice], engine=engine, batch_size=100)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_ctrl_c_may_let_training_continue():
    pressed = []
    signal.signal(signal.SIGINT, lambda *arguments: pressed.append(arguments))
    press(after=0.005)
    result = fit(6)
    assert (result.reason, len(pressed)) == ("epochs", 1)
    np.testing.assert_array_equal(result.theta, fit(6).theta)


def test_an_exception_set_by_another_thread_stops_an_epoch():
    import ctypes

    def raise_in_main(state):
        set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
        number, error = (
            ctypes.c_ulong(threading.main_thread().ident or 0),
            ctypes.py_object(ZeroDivisionError),
        )
        if state.epoch == 1:  # a second exception could be raised after the test
            threading.Timer(0.01, set_exception, (number, error)).start()

    with pytest.raises(ZeroDivisionError):
        fit(100, callbacks=[raise_in_main])
    assert fit(1).reason == "epochs"


def test_ctrl_c_stops_fits_in_other_threads(monkeypatch):
    """Fits with callbacks run in separate threads and stop without waiting for each other."""
    begun, train = [], FitRun.train

    def train_and_press(run):
        begun.append(run)
        if len(begun) == 1:
            press(after=0.05)
        return train(run)

    monkeypatch.setenv("VECPROP_NUM_THREADS", "2")
    monkeypatch.setattr(FitRun, "train", train_and_press)
    endless = {
        "max_iter": 10**6,
        "n_iter_no_change": 10**6,
        "callbacks": [lambda state: None],
    }
    member = vp.MLPRegressor(hidden_layer_sizes=(3,), batch_size=1, **endless)
    with (
        pytest.raises(KeyboardInterrupt),
        pytest.warns(UserWarning, match="interrupted"),
    ):
        vp.MLPEnsembleRegressor(member, n_estimators=50, n_jobs=2).fit(
            X[:1000], T[:1000, 0]
        )
    assert len(begun) <= 2

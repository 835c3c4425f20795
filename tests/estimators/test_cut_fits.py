"""Fits that are cut anywhere go on as if they had not been: by warm_start, from a file, from a pickle."""

import pickle

import numpy as np
import pytest

import vecprop as vp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4))
TARGETS = {vp.MLPClassifier: (np.sin(X[:, 0]) > RNG.normal(0, 0.3, 150)).astype(int), vp.MLPRegressor: np.sin(X[:, 0])}
SETTINGS = {"hidden_layer_sizes": (6,), "random_state": 0, "n_iter_no_change": 3, "warm_start": True}
EPOCHS = 15
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize(
    "settings",
    [
        {"early_stopping": True},
        {"early_stopping": True, "scoring": "loss"},
        {"early_stopping": True, "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1},
        {},
    ],
)
def test_warm_starts(kind, settings, tmp_path):
    y = TARGETS[kind]
    whole = kind(max_iter=EPOCHS, **SETTINGS, **settings).fit(X, y)
    for epochs in (1, 4):
        model = kind(max_iter=epochs, **SETTINGS, **settings).fit(X, y)
        vp.save(model, tmp_path / "model.npz")
        for begun in (model, vp.load(tmp_path / "model.npz")):
            begun.set_params(max_iter=EPOCHS - epochs).fit(X, y)
            np.testing.assert_array_equal(begun.theta_, whole.theta_)
            assert begun.loss_curve_ == whole.loss_curve_


@pytest.mark.parametrize("settings", [{"early_stopping": True}, {}])
def test_a_checkpoint_that_a_callback_makes(settings, tmp_path):
    y = TARGETS[vp.MLPClassifier]

    def checkpoint(state):
        if state.epoch == 4:
            vp.save(model, tmp_path / "model.npz")
            model.callbacks = None
            kept.append(pickle.dumps(model))

    kept: list[bytes] = []
    model = vp.MLPClassifier(max_iter=EPOCHS, callbacks=[checkpoint], **SETTINGS, **settings)
    model.fit(X, y)
    for begun in (pickle.loads(kept[0]), vp.load(tmp_path / "model.npz")):
        assert (begun.n_iter_, begun.callbacks) == (4, None)
        begun.set_params(max_iter=EPOCHS - 4).fit(X, y)
        np.testing.assert_array_equal(begun.theta_, model.theta_)
        assert begun.loss_curve_ == model.loss_curve_


def test_an_error_in_a_callback_leaves_what_was_trained():
    y = TARGETS[vp.MLPRegressor]

    def full(state):
        if state.epoch == 3:
            raise OSError(28, "No space left on device")

    model = vp.MLPRegressor(max_iter=EPOCHS, callbacks=[full], **SETTINGS)
    with pytest.raises(OSError, match="No space") as caught:
        model.fit(X, y)
    np.testing.assert_array_equal(vars(caught.value)["result"].theta, model.theta_)
    model.set_params(callbacks=None, max_iter=2).fit(X, y)
    whole = vp.MLPRegressor(max_iter=5, **SETTINGS).fit(X, y)
    np.testing.assert_array_equal(model.theta_, whole.theta_)

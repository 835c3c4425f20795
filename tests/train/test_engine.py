"""Both engines have the same interface, and `engine_for` chooses between them."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

import vecprop as vp
from fits import Own
from vecprop.core.scores import score
from vecprop.optimize import ENGINES
from vecprop.train.trainer import ENGINE_CLASSES, engine_for

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(30, 4)), RNG.normal(size=(30, 2))
NETWORK = vp.Network(
    4,
    [vp.Dense(5), vp.Tanh(), vp.Dropout(0.2), vp.Dense(2)],
    vp.SquaredError(),
    vp.L2(0.01),
)
THETA = NETWORK.init(0)
BATCH = NETWORK._batch(THETA, X, T)


OWN = vp.Network(4, [vp.Dense(5), Own(), vp.Dense(2)], vp.SquaredError())


def test_kernels_support_the_noise_of_every_step():
    compiled = ENGINE_CLASSES["compiled"]
    assert (
        compiled.unsupported_reason(
            NETWORK, THETA, noise=vp.extend.RandomKey(3, step=0)
        )
        is None
    )
    refusal = compiled.unsupported_reason(
        NETWORK, THETA, noise=vp.extend.RandomKey(3, step=-1)
    )
    assert refusal is not None
    assert "a step of at least 0" in refusal.reason


@pytest.mark.parametrize("noise", [None, vp.extend.RandomKey(3)])
@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_computes_the_network(name, noise):
    engine = ENGINE_CLASSES[name](NETWORK)
    loss, gradient = NETWORK.loss_and_gradient(THETA, X, T, noise=noise)
    evaluation = engine.evaluation(THETA, BATCH, noise)
    np.testing.assert_allclose(evaluation.loss(THETA), loss, rtol=1e-13)
    for found in (
        evaluation.loss_and_gradient(THETA),
        *(
            gradient_of(THETA, BATCH)
            for gradient_of in engine.gradients(noise).values()
        ),
    ):
        np.testing.assert_allclose(found[0], loss, rtol=1e-13)
        np.testing.assert_allclose(found[1], gradient, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        engine.predict(THETA, X), NETWORK.predict(THETA, X), rtol=1e-13
    )
    assert score("r2", engine, THETA, BATCH) == pytest.approx(
        score("r2", NETWORK, THETA, BATCH), rel=1e-12
    )


@pytest.mark.parametrize("name", ENGINES)
def test_predictions_follow_changes_of_theta(name):
    theta = THETA.copy()
    predict = ENGINE_CLASSES[name](NETWORK).predictor(theta)
    before = predict(X)
    theta *= 2
    assert (predict(X) != before).any()
    np.testing.assert_allclose(predict(X), NETWORK.predict(theta, X), rtol=1e-13)


def test_the_fastest_engine_that_supports_a_network_is_chosen():
    adam = vp.Adam()
    assert engine_for(NETWORK, THETA, [BATCH], adam).name == "compiled"
    assert engine_for(NETWORK, THETA, [BATCH], adam, "reference").name == "reference"
    members = np.stack([THETA, THETA])
    assert engine_for(NETWORK, members, [BATCH], adam).name == "compiled"
    assert engine_for(NETWORK, members, [BATCH], vp.Adam((0.1, 0.2))).name == "compiled"
    assert engine_for(NETWORK, members).name == "reference"  # for predictions
    assert (
        engine_for(
            NETWORK, members, [NETWORK._batch(members, np.stack([X, X]), T)], adam
        ).name
        == "reference"
    )
    assert engine_for(NETWORK, THETA, [BATCH], vp.Adam((0.1, 0.2))).name == "reference"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert engine_for(OWN, THETA, silent=True).name == "reference"
    with pytest.warns(
        UserWarning, match="reference engine, which is slower: Own is a custom part"
    ):
        assert engine_for(OWN, THETA, [BATCH], adam).name == "reference"
    with pytest.raises(
        ValueError,
        match=(
            r"The compiled engine cannot train this network: Own is .*; use"
            r' train with engine="auto"'
        ),
    ):
        engine_for(OWN, THETA, [BATCH], adam, "compiled")


@pytest.mark.parametrize("lacks", [None, "Numba is missing"])
def test_the_warning_of_the_reference_engine_names_the_line_of_the_caller(
    monkeypatch, lacks
):
    monkeypatch.setattr(sys.modules["vecprop.train.trainer"], "missing", lambda: lacks)
    monkeypatch.setattr(sys.modules["vecprop.train.trainer"], "_warned", set())
    with pytest.warns(
        UserWarning, match=f"on the reference engine, which is slower: {lacks or 'Own'}"
    ) as caught:
        vp.train(OWN, OWN.init(0), X, T, optimizer=vp.Adam(), epochs=1)
    assert caught[0].filename == __file__


def test_the_reference_engine_does_not_import_numba():
    code = (
        "import sys, numpy as np, vecprop as vp\nnetwork = vp.Network(2, [vp.Dense(1)],"
        " vp.SquaredError())\ndata, settings = (np.ones((5, 2)), np.ones(5)),"
        " {'optimizer': vp.Adam(), 'epochs': 1}\nvp.train(network, network.init(0),"
        " *data, **settings, engine='reference')\nassert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_network_without_parameters_trains_on_each_engine():
    network, X = vp.Network(2, [vp.Tanh()], vp.SquaredError()), np.full((5, 2), 0.3)
    for clip in (None, 1.0):
        results = [
            vp.train(
                network,
                network.init(0),
                X,
                2 * X,
                optimizer=vp.Adam(),
                epochs=2,
                clip_norm=clip,
                engine=name,
            )
            for name in ("compiled", "reference")
        ]
        assert [result.theta.size for result in results] == [0, 0]
        np.testing.assert_allclose(
            *(result.history.loss for result in results), rtol=1e-12
        )
